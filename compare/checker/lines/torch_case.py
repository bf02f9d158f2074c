"""A ``torch.autograd.Function`` that is searched for a wrong line. Its tape is that of torch itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from compare.checker.derivations.torch_function import TorchFunction, tensor_like
from compare.checker.lines.case import Case, Run, limited
from compare.checker.lines.program import Edits, Program
from compare.checker.lines.trace.record import Recorder, rewrite
from compare.checker.recorder import as_float64
from manual.arrays import Array

#: The precisions in which a search does not compute.
LOWER = (torch.float32, torch.float16, torch.bfloat16)


class TorchTape:
    """What one run computed: where a value is seen, zero is added to it, and the derivative in that is its adjoint."""

    def __init__(self) -> None:
        self.operations: list[Any] = []
        self.count = 1
        self._zeros: list[tuple[Array, torch.Tensor]] = []
        self._known: dict[int, tuple[Array, torch.Tensor]] = {}

    def alone(self, value: Any) -> Any:
        """Return a value with ids of its own."""
        if not isinstance(value, torch.Tensor) or not value.is_floating_point() or not torch.is_grad_enabled():
            return value
        zero = torch.zeros_like(value, requires_grad=True)
        seen = value + zero
        self._zeros.append((self.known(seen), zero))
        return seen

    def known(self, value: torch.Tensor) -> Array:
        """Give a value ids, and return them."""
        self.count += value.numel()
        ids = np.arange(self.count - value.numel(), self.count).reshape(tuple(value.shape))
        self._known[id(value)] = ids, value
        return ids

    def ids(self, value: Any) -> Array:
        """Return the ids of a value; 0 if it has none."""
        known = self._known.get(id(value))
        return known[0] if known else np.zeros(np.shape(value), np.int64)

    def adjoints(
        self, seeds: list[tuple[Array, Array]], first: int = 0, see: Callable[..., Any] | None = None
    ) -> Array:
        """Return the adjoint of each id, (P, ids), as ``Tape`` does."""
        P = len(seeds[0][1])
        adjoints = np.zeros((P, self.count))
        tensors = {int(ids.flat[0]): value for ids, value in self._known.values() if ids.size}
        pairs = [(tensors[int(ids.flat[0])], weights) for ids, weights in seeds if ids.size]
        pairs = [(value, weights) for value, weights in pairs if value.requires_grad]
        zeros = [zero for _, zero in self._zeros]
        if not (pairs and zeros):
            return adjoints
        for p in range(P):
            found = torch.autograd.grad(
                [value for value, _ in pairs],
                zeros,
                [torch.tensor(weights[p]).to(value) for value, weights in pairs],
                retain_graph=True,
                allow_unused=True,
            )
            for (ids, _), adjoint in zip(self._zeros, found):
                if adjoint is not None:
                    adjoints[p, ids] = as_float64(adjoint)
        return adjoints


@contextmanager
def exactly() -> Iterator[None]:
    """A context in which what is cast to a lower precision becomes double: that is rounding, and no mistake."""

    def to(value: torch.Tensor, *given: Any, **options: Any) -> torch.Tensor:
        given = tuple(torch.float64 if isinstance(one, torch.dtype) and one in LOWER else one for one in given)
        options = {k: torch.float64 if k == "dtype" and one in LOWER else one for k, one in options.items()}
        return torch._C.TensorBase.to(value, *given, **options)

    casts = dict.fromkeys(("float", "half", "bfloat16"), torch.Tensor.double) | {"to": to}
    try:
        for name, cast in casts.items():
            setattr(torch.Tensor, name, cast)
        yield
    finally:
        for name in casts:
            delattr(torch.Tensor, name)  # that of its base is seen again


class TorchCase(Case):
    """A torch function and what is right for it.

    Args:
        derivation: the function, in double precision.
        trials: problems of several sizes and values, each with a ``reference``.
    """

    def __init__(self, derivation: TorchFunction, trials: list[Any]):
        with exactly():
            self._start(derivation, trials, Program(derivation.function))

    @contextmanager
    def searching(self) -> Iterator[None]:
        """A context to search in."""
        with exactly(), super().searching():
            yield

    def trace(self, problem: Any, edits: Edits, shared: frozenset[int] | None) -> Run:
        """Run the function with every value of its backward pass seen."""
        tape = TorchTape()
        recorder = Recorder(tape.ids, tape.alone)
        run = Run(tape, recorder.events, {}, {}, 0, [], [], {})

        def differentiated(outputs: list[Any], d_outputs: list[Any], leaves: dict[str, torch.Tensor]) -> None:
            recorder.forward = False
            # A backward pass may go on writing into what it has used, as into one step of a gradient.
            with torch.autograd.graph.saved_tensors_hooks(lambda one: one.detach().clone(), lambda one: one):
                found = torch.autograd.grad(
                    outputs, [*leaves.values()], d_outputs, create_graph=True, allow_unused=True
                )
            for name, d in zip(leaves, found):
                if d is not None:
                    run.returned[f"d_{name}"] = tape.known(d)
                    run.tensors[f"d_{name}"] = as_float64(d)

        with self.program.running(edits, rewrite), self._seen_by(recorder), limited(30 * self.longest):
            inputs, outputs = self.pair.applied(problem)
            run.tensors |= {name: as_float64(value) for name, value in outputs.items()}
            wanted = {name: leaf for name, leaf in inputs.items() if leaf.requires_grad}
            kept = {name: value for name, value in outputs.items() if value.requires_grad}
            d_outputs = [tensor_like(problem.d_outputs[name], value) for name, value in kept.items()]
            differentiated(list(kept.values()), d_outputs, wanted)
        return run
