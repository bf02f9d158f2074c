"""``torch.nn.LSTM``, ``GRU`` and ``RNN``."""

from typing import Any

import torch

from compare.cells.layout import Arrays
from compare.frameworks.case import Call, LayerCase, Leaves
from compare.frameworks.forms import FORMS
from manual.arrays import as_state, state_parts


def build(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """Build the layer of a case."""
    form = FORMS[case.form]
    options = {"bidirectional": case.directions == 2, "dtype": getattr(torch, case.dtype), **form.options}
    if "weight_hr" in weights[0]:
        options["proj_size"] = len(weights[0]["weight_hr"])
    layer = form.cell.of(torch.nn)(case.D, case.H, **options)
    leaves = [
        {name: layer.get_parameter(name + suffix) for name in arrays} for arrays, suffix in zip(weights, case.suffixes)
    ]
    with torch.no_grad():
        for own, arrays in zip(leaves, weights):
            for name, array in arrays.items():
                own[name].copy_(torch.from_numpy(array))

    def call(leaves: Leaves, x: Any, *state: Any) -> tuple[Any, ...]:
        output, last = layer(x, as_state(state))
        return output, *state_parts(last)

    return leaves, call
