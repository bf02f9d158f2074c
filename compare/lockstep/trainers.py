"""One interface to both sides: run a batch to get loss, logits and gradients, then update the parameters; and losses.

All arrays are NumPy arrays. Those of a torch side on the CPU share memory with its tensors.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

import manual
import torch_impl
from compare.converter import to_torch
from manual.arrays import Array


@dataclass(frozen=True)
class Objective:
    """A loss on outputs and targets (T, B, O): its value and gradient in NumPy, and its value in torch."""

    value: Callable[[Array, Array], Array]
    gradient: Callable[[Array, Array], Array]
    torch_value: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

    def times(self, scale: float) -> "Objective":
        """Return the loss multiplied by a constant."""
        return Objective(
            lambda z, y: np.asarray(scale * self.value(z, y)),
            lambda z, y: scale * self.gradient(z, y),
            lambda z, y: scale * self.torch_value(z, y),
        )


def objective(name: str) -> Objective:
    """Return a loss on logits by name, ``bce`` or ``mse``; a ValueError if it is another."""
    if name not in manual.LOSSES:
        raise ValueError(f"loss: expected one of {', '.join(manual.LOSSES)}, got {name!r}")
    return Objective(*manual.LOSSES[name], torch_impl.LOSSES[name])


class Pass(NamedTuple):
    """The results of a forward and a backward pass over one batch."""

    loss: Array  # a scalar
    logits: Array  # (T, B, 1)
    gradients: dict[str, Array]


class ManualTrainer:
    """A model of ``manual`` with the optimiser of those of its parameters that are to learn; ``loss`` may be a name."""

    def __init__(self, model: manual.Model, optimizer: manual.SGD | manual.Adam, loss: str | Objective):
        self.model, self.optimizer = model, optimizer
        chosen = objective(loss) if isinstance(loss, str) else loss
        self.loss, self.d_loss = chosen.value, chosen.gradient
        self.tape: Any = None  # of the previous run; the next one reuses its memory

    def run(self, x: Array, y: Array) -> Pass:
        """Run forward and backward on x (T, B, D) with targets y (T, B, 1)."""
        logits, _, self.tape = self.model.forward(x, out=self.tape)
        loss = self.loss(logits, y)
        _, _, gradients = self.model.backward(self.tape, self.d_loss(logits, y))
        return Pass(loss, logits, dict(gradients))

    def update(self, gradients: dict[str, Array]) -> None:
        """Take one optimiser step."""
        self.optimizer.step({name: gradients[name] for name in self.optimizer.parameters})

    def logits(self, x: Array) -> Array:
        """Return the model's logits (T, B, 1) for x (T, B, D)."""
        return self.model.forward(x)[0]

    @property
    def parameters(self) -> dict[str, Array]:
        """The model's parameters by name."""
        return self.model.parameters

    @property
    def buffers(self) -> dict[str, Array]:
        """The optimiser's buffers by name, as in ``exp_avg of recurrent.weight_ih_l0``."""
        return {f"{kind} of {n}": a for kind, arrays in self.optimizer.buffers.items() for n, a in arrays.items()}

    def state(self) -> dict[str, Array]:
        """Return everything that training changes, by name."""
        return self.parameters | self.buffers | {"steps": np.array(self.optimizer.steps)}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Return to a state of the same configuration."""
        for name, array in (self.parameters | self.buffers).items():
            array[...] = state[name]
        self.optimizer.steps = int(state["steps"])


class Trainer(Protocol):
    """A side that is compared with the manual one."""

    @property
    def parameters(self) -> dict[str, Array]:
        """The parameters by name."""

    @property
    def buffers(self) -> dict[str, Array]:
        """The optimiser's buffers by name, as in ``exp_avg of recurrent.weight_ih_l0``."""

    def run(self, x: Array, y: Array) -> Pass:
        """Run forward and backward on x (T, B, D) with targets y (T, B, 1)."""

    def update(self, gradients: dict[str, Array]) -> None:
        """Take one optimiser step."""

    def logits(self, x: Array) -> Array:
        """Return the logits (T, B, 1) for x (T, B, D)."""

    def follow(self, leader: ManualTrainer) -> None:
        """Copy the leader's parameters and optimiser buffers."""

    def load(self, parameters: Mapping[str, Array]) -> None:
        """Replace the parameters."""

    def copy(self) -> "Trainer":
        """Return an independent side in the same state."""

    def state(self) -> dict[str, Array]:
        """Return everything that training changes, by name."""

    def restore(self, state: Mapping[str, Array]) -> None:
        """Return to a state of the same configuration."""


class TorchTrainer:
    """A torch module with the optimiser of those of its parameters that are to learn, and autograd's gradients."""

    def __init__(self, module: nn.Module, optimizer: torch.optim.Optimizer, loss: str | Objective):
        self.module, self.optimizer, self.objective = module, optimizer, loss
        self.trained: nn.Module = module  # what runs forward and backward
        self.device = next(module.parameters()).device
        self.loss = (objective(loss) if isinstance(loss, str) else loss).torch_value
        self.tensors = dict(module.named_parameters())

    def copy(self) -> "TorchTrainer":
        """Return an independent side in the same state."""
        return TorchTrainer(*deepcopy((self.module, self.optimizer)), self.objective)

    def run(self, x: Array, y: Array) -> Pass:
        """Run forward and backward on x (T, B, D) with targets y (T, B, 1)."""
        self.module.zero_grad()
        logits, _ = self.trained(torch.from_numpy(x).to(self.device))
        loss = self.loss(logits, torch.from_numpy(y).to(self.device))
        torch.autograd.backward(loss)
        gradients = {
            name: _plain(tensor.grad).copy() for name, tensor in self.tensors.items() if tensor.grad is not None
        }
        return Pass(_plain(loss), _plain(logits), gradients)

    def update(self, gradients: dict[str, Array]) -> None:
        """Take one optimiser step; a parameter without a gradient stays."""
        for name, tensor in self.tensors.items():
            tensor.grad = torch.from_numpy(gradients[name].copy()).to(self.device) if name in gradients else None
        self.optimizer.step()

    def logits(self, x: Array) -> Array:
        """Return the module's logits (T, B, 1) for x (T, B, D)."""
        with torch.no_grad():
            return _plain(self.module(torch.from_numpy(x).to(self.device))[0])

    @property
    def parameters(self) -> dict[str, Array]:
        """The module's parameters by name."""
        return {name: _plain(tensor) for name, tensor in self.tensors.items()}

    @property
    def buffers(self) -> dict[str, Array]:
        """The optimiser's buffers by name, as in ``exp_avg of recurrent.weight_ih_l0``; none before the first step."""
        return {name: _plain(buffer) for name, buffer in self._buffers().items()}

    def follow(self, leader: ManualTrainer) -> None:
        """Copy the leader's parameters, and its optimiser's buffers where both have them."""
        to_torch(leader.model, self.module)
        for name, buffer in self._buffers().items():
            if name in leader.buffers:
                buffer.copy_(torch.from_numpy(leader.buffers[name]))

    def load(self, parameters: Mapping[str, Array]) -> None:
        """Replace the parameters."""
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensor.copy_(torch.from_numpy(parameters[name]))

    def state(self) -> dict[str, Array]:
        """Return everything that training changes, by name; the optimiser's part as in ``optimizer 3 exp_avg``."""
        held = self.optimizer.state_dict()["state"]
        buffers = {f"optimizer {k} {kind}": _plain(buffer) for k, own in held.items() for kind, buffer in own.items()}
        return self.parameters | buffers

    def restore(self, state: Mapping[str, Array]) -> None:
        """Return to a state of the same configuration."""
        self.load(state)
        held: dict[int, dict[str, torch.Tensor]] = {}
        for name, array in state.items():
            if name not in self.tensors:
                _, k, kind = name.split()
                held.setdefault(int(k), {})[kind] = torch.tensor(array)
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": held})

    def _buffers(self) -> dict[str, torch.Tensor]:
        return {
            f"{kind} of {name}": buffer
            for name, tensor in self.tensors.items()
            for kind, buffer in self.optimizer.state.get(tensor, {}).items()
            if isinstance(buffer, torch.Tensor) and buffer.shape == tensor.shape
        }


def _plain(tensor: torch.Tensor) -> Array:
    """Return a tensor as an array, which shares its memory on the CPU."""
    return tensor.detach().cpu().numpy()
