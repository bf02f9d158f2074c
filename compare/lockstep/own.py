"""Train a derivation of a cell in a user's file on binary addition, in lock-step with its equations under autograd."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import manual
import torch_impl
from compare.agreement import by_hand
from compare.cells.check import check_file, passes
from compare.cells.file import CellFile, Parameters
from compare.cells.twins import twin
from compare.checker.derivations.file import load
from compare.checker.derivations.pair import call
from compare.checker.recorder import unheard
from compare.checker.report.report import Report
from compare.lockstep.adding import Adding
from compare.lockstep.lockstep import Lockstep
from compare.lockstep.settings import Settings
from compare.lockstep.trainers import ManualTrainer, TorchTrainer
from manual.arrays import Array, as_state


class OwnLayer:
    """The passes of a file as one layer of a ``manual.Model``, in double precision, from zero states.

    Raises:
        ValueError: the biases of the file are not those of the reference, so that they cannot learn the same.
    """

    def __init__(self, path: Path, H: int, rng: np.random.Generator):
        module = load(path)
        self.passes = passes(module, path)
        self.file = CellFile(vars(module), str(path))
        if self.file.layout.biases in (0, "scalar"):
            raise ValueError(f"LAYOUT: biases: expected others than 0 and 'scalar' to train, in {path}")
        self.kernel, self.output_size, self.directions, self.dtype = self.file.form, H, 1, np.dtype("float64")
        shapes = twin(self.file.form, 2, H).cell.parameter_shapes(2, H)
        self.parameters = {f"{name}_l0": rng.uniform(-(H**-0.5), H**-0.5, size) for name, size in shapes.items()}

    def forward(self, x: Array, state: Any = None, out: Any = None) -> tuple[Array, Any, Any]:
        """Return the output (T, B, H), the final state and the tape, from x (T, B, 2)."""
        own = {name.removesuffix("_l0"): array for name, array in self.parameters.items()}
        p = Parameters(self.file.layout.weights(own))
        initial = [self.file.turned(np.zeros((x.shape[1], self.output_size))) for _ in self.file.form.cell.states]
        output, *last, tape = call("forward", self.passes[0], [p, self.file.turned(x), *initial], unheard)
        return self.file.turned(np.array(output)), as_state(last), (p, tape, last)

    def backward(self, tape: Any, d_output: Array, d_state: Any = None, probe: Any = None) -> tuple[Any, Any, Any]:
        """Return d_x, the gradient of the initial state and of ``parameters``, from d_output (T, B, H)."""
        p, own, last = tape
        d_last = [np.zeros_like(array) for array in last]
        returned = call("backward", self.passes[1], [p, own, self.file.turned(d_output), *d_last], unheard)
        gradients = self.file.layout.gradients(returned if isinstance(returned, Mapping) else returned[-1])
        return None, None, {f"{name}_l0": array for name, array in gradients.items()}


class OwnAdding(Adding):
    """Binary addition by a network whose recurrent layer is a file's; settings of a layer count for nothing but H."""

    def __init__(self, path: Path, settings: Settings):
        super().__init__(settings)
        self.path = path

    def set_up(self) -> Lockstep:
        """Build the file's side, and its equations under autograd twice."""
        layer: Any = OwnLayer(self.path, self.settings.hidden_size, self.weights)
        with by_hand("building the network"):
            model = manual.Model(layer, manual.Linear(layer.output_size, 1, rng=self.weights))
            leader = ManualTrainer(model, self.optimizer(manual, model.parameters), self.settings.loss)

        def side() -> TorchTrainer:
            recurrent, readout = twin(layer.file.form, 2, layer.output_size), nn.Linear(layer.output_size, 1)
            module = torch_impl.Model(recurrent, readout.double())
            return TorchTrainer(module, self.optimizer(torch.optim, module.parameters()), self.settings.loss)

        return Lockstep(leader, {"autograd": side()}, side())

    def check(self, lockstep: Lockstep) -> Report:
        """Check the file."""
        return check_file(self.path)

    def other_batches(self, lockstep: Lockstep) -> None:
        """Compare nothing: rows of several lengths, and stretches of a sequence, are no affair of the file's."""
