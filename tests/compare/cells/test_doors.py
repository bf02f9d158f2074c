"""A layer of ``manual`` and a file of the same form: a fault in both is named with the same equation and formula."""

import numpy as np
import pytest
import torch
from catalogue import EquationFault
from catalogue.broken import broken
from derived import PEEPHOLES, write
from tiers import first

import manual
import torch_impl
from compare.cells import CELLS
from compare.cells.check import check_file, check_layer

#: A fault of a layer, the same fault in a file, and the equation that is wrong.
FAULTS = {
    "tanh' in the place of σ'": (
        EquationFault(
            "", "rnn.py", "self.derivative(h)", "(1 - h * h)", (), "rnn", options={"nonlinearity": "sigmoid"}
        ),
        [('"nonlinearity": "tanh"', '"nonlinearity": "sigmoid"'), ("np.tanh(z_h)", "1 / (1 + np.exp(-z_h))")],
        "(R4) d_z_h",
    ),
    "the peephole's term left out of d_c": (
        EquationFault("", "lstm_variants.py", " + d_z_o * p_o", "", (), "lstm", options={"peepholes": True}),
        [*PEEPHOLES, (' + d_o * o * (1 - o) * p["weight_ch_o"]', "")],
        "(L27) d_c",
    ),
}


@pytest.mark.parametrize("fault", first(1, FAULTS))
@pytest.mark.usefixtures("tried_until_found")
@pytest.mark.slow
def test_a_layer_and_a_file_with_the_same_fault_get_the_same_answer(fault, tmp_path):
    injected, edits, title = FAULTS[fault]
    kind = CELLS[injected.cell]
    with broken(injected):
        layer = kind.of(manual)(4, 5, **injected.options, rng=np.random.default_rng(0))
        of_layer = check_layer(layer, kind.of(torch_impl)(4, 5, **injected.options, dtype=torch.float64))
    of_file = check_file(write(tmp_path / "mine.py", injected.cell, *edits))
    assert [found.removesuffix("_l0") for found in of_layer.titles] == of_file.titles == [title]
    assert [found.formula for found in of_layer.faults] == [found.formula for found in of_file.faults] != [""]
