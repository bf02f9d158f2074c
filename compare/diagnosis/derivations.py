"""What can be held against autograd: a problem, a derivation that works on it, and the reference that knows better.

A derivation has named inputs, parameters and outputs, and two passes. Nothing here knows of recurrent layers but
``Layer``, which makes a derivation of one of ``manual``'s.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from compare.diagnosis.probes import Record, TensorRecorder
from manual.arrays import Array, Probe, as_state, state_parts
from manual.recurrent import Recurrent

Arrays = dict[str, Array]


@dataclass(frozen=True)
class Problem:
    """What both sides are given: parameters, inputs, and an incoming gradient for each output."""

    parameters: Arrays
    inputs: Arrays
    d_outputs: Arrays


@dataclass(frozen=True)
class Answer:
    """What a derivation makes of a problem, by name: outputs, gradients of the inputs and of the parameters."""

    outputs: Arrays
    d_inputs: Arrays
    gradients: Arrays

    def tensors(self) -> Arrays:
        """All of them: outputs under their own names, gradients of inputs with ``d_`` before the input's."""
        return self.outputs | {f"d_{name}": array for name, array in self.d_inputs.items()} | self.gradients


class Derivation(Protocol):
    """A forward and a backward pass derived by hand."""

    def solve(self, problem: Problem, probe: Probe | None) -> Answer:
        """Run both passes, calling the probe, if there is one, at each named intermediate."""


@dataclass(frozen=True)
class Reference:
    """What is right: each named intermediate with its adjoint, and the answer."""

    record: Record
    answer: Answer


class Layer:
    """A layer of ``manual`` as a derivation. Inputs are x and the initial state, outputs the output and final state.

    Args:
        layer: the layer; its parameters are overwritten by each problem's.
        lengths: of the rows, where they differ.
    """

    def __init__(self, layer: Recurrent, lengths: list[int] | None = None):
        self.layer, self.lengths = layer, lengths

    def solve(self, problem: Problem, probe: Probe | None) -> Answer:
        """Run both passes."""
        for name, array in problem.parameters.items():
            self.layer.parameters[name][...] = array
        x, *state = problem.inputs.values()
        d_output, *d_state = problem.d_outputs.values()
        output, last, tape = self.layer.forward(x, as_state(state), lengths=self.lengths, training=False, probe=probe)
        d_x, d_initial, gradients = self.layer.backward(tape, d_output, as_state(d_state), probe)
        outputs, d_inputs = (output, *state_parts(last)), (d_x, *state_parts(d_initial))
        return Answer(dict(zip(problem.d_outputs, outputs)), dict(zip(problem.inputs, d_inputs)), gradients)


def layer_problem(layer: Recurrent, T: int, B: int, rng: np.random.Generator) -> Problem:
    """Random parameters, inputs and incoming gradients for a layer."""
    K = len(layer.sweeps)
    states = {name: (K, B, size) for name, size in layer.state_sizes.items()}

    def normal(*shape: int) -> Array:
        return rng.normal(size=shape).astype(layer.dtype)

    return Problem(
        {name: (0.5 * rng.normal(size=a.shape)).astype(layer.dtype) for name, a in layer.parameters.items()},
        {"x": normal(T, B, layer.input_size)} | {f"{name}_0": normal(*shape) for name, shape in states.items()},
        {"output": normal(T, B, layer.output_size)} | {f"{name}_n": normal(*shape) for name, shape in states.items()},
    )


def reference(module: nn.Module, problem: Problem, call: Callable[..., Any] | None = None) -> Reference:
    """What autograd says: run a module on a problem and go back through it.

    Args:
        module: its parameters, by name, are the problem's; it takes a ``probe`` by keyword.
        problem: what to run it on.
        call: how to call the module with the inputs, in their order, and a probe; ``module(*inputs, probe=probe)`` if
            left out. It returns the outputs, in their order.

    Raises:
        ValueError: the module's parameters or outputs are not the problem's.
    """
    parameters = dict(module.named_parameters())
    if parameters.keys() != problem.parameters.keys():
        raise ValueError(f"reference: expected parameters {list(problem.parameters)}, got {list(parameters)}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            if tuple(parameter.shape) != problem.parameters[name].shape:
                raise ValueError(
                    f"reference: {name}: expected shape {problem.parameters[name].shape}, got {tuple(parameter.shape)}"
                )
            parameter.copy_(torch.from_numpy(problem.parameters[name]))
            parameter.grad = None
    inputs = {name: torch.tensor(array, requires_grad=True) for name, array in problem.inputs.items()}
    recorder = TensorRecorder()
    returned = (call or module)(*inputs.values(), probe=recorder)
    outputs = dict(zip(problem.d_outputs, state_parts(returned), strict=True))
    torch.autograd.backward(list(outputs.values()), [torch.from_numpy(d) for d in problem.d_outputs.values()])
    answer = Answer(
        {name: tensor.detach().numpy() for name, tensor in outputs.items()},
        {name: _grad(tensor) for name, tensor in inputs.items()},
        {name: _grad(parameter) for name, parameter in parameters.items()},
    )
    return Reference(recorder.record(), answer)


def call_recurrent(module: nn.Module, lengths: list[int] | None = None) -> Callable[..., Any]:
    """How ``reference`` calls one of ``torch_impl``'s recurrent layers: x, then its state; output, then its state."""

    def call(x: torch.Tensor, *state: torch.Tensor, probe: TensorRecorder) -> tuple[torch.Tensor, ...]:
        output, last = module(x, as_state(state), lengths=lengths, probe=probe)
        return output, *state_parts(last)

    return call


def _grad(tensor: torch.Tensor) -> Array:
    return np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.numpy()
