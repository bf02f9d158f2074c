"""A function of JAX or HIPS autograd as a derivation, and as a reference."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import numpy as np
import torch

from compare.checker.derivations.bridge import PullBack, bridged
from compare.checker.derivations.form import Form, in_order, named
from compare.checker.derivations.problem import Answer, Arrays, Problem
from compare.checker.frameworks.engines import Hips, Jax
from compare.checker.probe import listening
from compare.checker.recorder import Recorder, unheard
from manual.arrays import Array


@dataclass(frozen=True)
class FrameworkFunction:
    """A function of another framework, with its arguments.

    Args:
        framework: runs and differentiates it.
        function: the function.
        form: where each leaf lies in its arguments.
        dtype: the precision of the arguments.
    """

    framework: Jax | Hips
    function: Callable[..., Any]
    form: Form
    dtype: str

    def in_precision(self, dtype: str) -> "FrameworkFunction":
        """Return the same function on arguments of another precision."""
        return replace(self, dtype=dtype)

    def solve(self, problem: Problem, probe: Recorder | None) -> Answer:
        """Run the function and pull the incoming gradients back.

        Raises:
            ValueError: it does not return an array for each output. Its exceptions, and the framework's, propagate.
        """
        values, moving = [*problem.inputs.values()], [[*problem.inputs].index(name) for name in problem.differentiable]
        with listening(probe or unheard):
            outputs, pull_back = self.vjp(values, moving, self.dtype)
            outputs = in_order([*problem.d_outputs], outputs)
            if probe:
                probe.restore()
            found = dict(zip(problem.differentiable, pull_back(problem.d_outputs)))
        return Answer(outputs, found, {})

    def vjp(self, values: list[Any], moving: list[int], dtype: str) -> tuple[Arrays, PullBack]:
        """Return the outputs and how to pull their gradients back to the values in some places."""
        framework, form = self.framework, self.form
        held = [framework.array(v, dtype) if isinstance(v, np.ndarray) else v for v in values]

        def outputs(given: list[Any]) -> dict[str, Any]:
            leaves = dict(enumerate(held)) | dict(zip(moving, given))
            mixed = [framework.joined(v) if form.names[k] in form.complex_names else v for k, v in leaves.items()]
            positional, keywords, _ = form.arguments(mixed)
            return named(self.function(*positional, **keywords), framework.containers)

        return framework.vjp(outputs, [held[k] for k in moving])

    def as_reference(self) -> Callable[..., dict[str, torch.Tensor]]:
        """Return it as a function of tensors, which autograd differentiates by asking the framework."""

        @wraps(self.function, assigned=("__name__", "__qualname__", "__doc__"), updated=())
        def reference(*leaves: Any) -> dict[str, torch.Tensor]:
            moving = [k for k, v in enumerate(leaves) if isinstance(v, torch.Tensor) and v.is_floating_point()]
            dtype = str(torch.get_default_dtype()).removeprefix("torch.")

            def run(arrays: list[Array]) -> tuple[Arrays, PullBack]:
                values = {
                    k: v.numpy() if isinstance(v, torch.Tensor) else v for k, v in enumerate(leaves) if k not in moving
                }
                mixed = values | dict(zip(moving, arrays))
                return self.vjp([mixed[k] for k in range(len(leaves))], moving, dtype)

            return bridged(run, [leaves[k] for k in moving])

        del reference.__wrapped__  # it takes no probe by name
        return reference
