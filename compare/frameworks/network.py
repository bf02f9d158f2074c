"""A stack of recurrent layers with or without a readout, as every reader returns it and every writer takes it."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import manual
from compare.cells.layer import form_of
from compare.cells.layout import Arrays
from compare.frameworks.layouts import FORMS
from manual.arrays import Array
from manual.recurrent import Recurrent


@dataclass(frozen=True)
class Network:
    """The weights of a network, under PyTorch's names and in its layout, and what it does at its edges."""

    form: str  #: the key of ``FORMS`` of all its recurrent layers
    #: of each layer the weights of each direction: weight_ih, weight_hh, bias_ih, bias_hh; weight_ch of peepholes,
    #: weight_hr of a projection
    layers: list[list[Arrays]]
    readout: Arrays  #: weight (O, directions * H) and bias (O,) of a linear layer, or nothing
    activation: str = "linear"  #: what the readout ends in, as in ``manual.Model``
    final: bool = False  #: whether the readout, or the caller if there is none, gets only the final h of the last layer
    batch_first: bool = False  #: whether it takes x as (B, T, D), and not as (T, B, D)

    @classmethod
    def of(cls, model: manual.Model | Recurrent) -> "Network":
        """Return the network that a model or layer of ``manual`` is, or raise a ValueError. Copies; no bias is zero."""
        recurrent = model.recurrent if isinstance(model, manual.Model) else model
        form = form_of(recurrent)
        if form.options.get("proj_size"):
            raise ValueError(f"proj_size: expected 0, since only torch projects h, got {form.options['proj_size']}")
        if form.name not in FORMS:
            raise ValueError(f"layer: expected one of {'; '.join(FORMS)}, got {form.name}")
        readout = model.readout.parameters if isinstance(model, manual.Model) else {}
        sweeps = [{name: recurrent.parameters[full].copy() for name, full in sweep.names} for sweep in recurrent.sweeps]
        for arrays in sweeps:
            for name in ("bias_ih", "bias_hh"):
                arrays.setdefault(name, np.zeros_like(arrays["weight_hh"][:, 0]))
        K = recurrent.directions
        layers = [sweeps[k : k + K] for k in range(0, len(sweeps), K)]
        own = {name: array.copy() for name, array in readout.items()}
        if own:
            own.setdefault("bias", np.zeros_like(own["weight"][:, 0]))
        edges = (model.activation, model.final) if isinstance(model, manual.Model) else ("linear", False)
        return cls(form.name, layers, own, *edges, recurrent.batch_first)

    def model(self) -> manual.Model | Recurrent:
        """Return the model of ``manual``, or the layer without a readout; a ValueError if it does not fit. Copies."""
        if len({len(layer) for layer in self.layers}) > 1:
            raise ValueError("layers: expected one direction in all or both in all")
        first = self.layers[0][0]
        H, dtype, rng = first["weight_hh"].shape[1], first["weight_hh"].dtype, np.random.default_rng(0)
        projected = {}
        if "weight_hr" in first:
            projected["proj_size"], H = first["weight_hr"].shape
        layer: Recurrent = FORMS[self.form].layer(
            manual,
            first["weight_ih"].shape[1],
            H,
            num_layers=len(self.layers),
            bidirectional=len(self.layers[0]) == 2,
            batch_first=self.batch_first,
            dtype=dtype,
            rng=rng,
            **projected,
        )
        for sweep, arrays in zip(layer.sweeps, [arrays for layer in self.layers for arrays in layer], strict=True):
            for name, full in sweep.names:
                _copy(full, arrays[name], layer.parameters[full])
        if not self.readout:
            return layer
        O, width = self.readout["weight"].shape
        if width != layer.output_size:
            raise ValueError(f"readout: expected weights of {layer.output_size} columns, got {width}")
        linear = manual.Linear(width, O, dtype=dtype, rng=rng)
        for name, array in self.readout.items():
            _copy(f"readout.{name}", array, linear.parameters[name])
        return manual.Model(layer, linear, self.activation, self.final)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its weights."""
        return self.layers[0][0]["weight_hh"].dtype

    def astype(self, dtype: DTypeLike) -> "Network":
        """Return the network with weights of another dtype."""
        layers = [[{n: a.astype(dtype) for n, a in arrays.items()} for arrays in layer] for layer in self.layers]
        return replace(self, layers=layers, readout={name: array.astype(dtype) for name, array in self.readout.items()})

    @property
    def title(self) -> str:
        """What it is, in words."""
        H, D = self.layers[0][0]["weight_hh"].shape[1], self.layers[0][0]["weight_ih"].shape[1]
        count, ways = len(self.layers), "both directions, " if len(self.layers[0]) == 2 else ""
        readout = f", readout to {len(self.readout['bias'])}" if self.readout else ""
        activation = f" with {self.activation}" if self.activation != "linear" else ""
        final = ", of the final state alone" if self.final else ""
        order = ", batch first" if self.batch_first else ""
        return f"{self.form}, {ways}{count} layer{'s' * (count > 1)} from {D} to {H}{readout}{activation}{final}{order}"


def _copy(name: str, source: Array, target: Array) -> None:
    for form in ("shape", "dtype"):
        if getattr(source, form) != getattr(target, form):
            raise ValueError(f"{name}: expected {form} {getattr(target, form)}, got {getattr(source, form)}")
    if not np.isfinite(source).all():
        raise ValueError(f"{name}: expected finite numbers, got others")
    np.copyto(target, source)
