from dataclasses import replace

import numpy as np
import pytest
from tiers import first_of_each

from compare.benchmark.case import TimedCase, draw_inputs
from compare.benchmark.contenders import CONTENDERS

CASE = TimedCase("layer", "LSTM", 3, 4, 2, 5, "float64", 1)
WORK = [
    replace(CASE, cell=cell, task=task)
    for tasks in (["layer", "step", "layer"], ["step", "layer", "step"])
    for cell, task in zip(["LSTM", "GRU", "RNN"], tasks)
]
BUILT = [name for name in CONTENDERS if name != "compiled" and not CONTENDERS[name].missing]


def flat(result):
    arrays = (result.outputs | result.gradients).items()
    arrays = {name: a.detach().numpy() if hasattr(a, "detach") else np.asarray(a) for name, a in arrays}
    return {name: array.squeeze() for name, array in arrays.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", first_of_each(lambda case: case.cell, WORK), ids=lambda case: f"{case.cell} {case.task}"
)
def test_all_contenders_do_the_same_work(case):
    results = {name: flat(CONTENDERS[name].build(case, draw_inputs(case))()) for name in BUILT}
    expected = results["manual"]
    states = {"LSTM": ["h_n", "c_n", "d_h_0", "d_c_0"]}.get(case.cell, ["h_n", "d_h_0"])
    if case.task == "layer":
        assert {"output", "d_x", *states, "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"} == set(expected)
    else:
        assert len(expected) == 8
    for name, result in results.items():
        assert result.keys() == expected.keys(), name
        for tensor, array in result.items():
            assert np.abs(array - expected[tensor]).max() < 1e-14, (name, tensor)


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILT)
def test_each_training_step_moves_the_weights(name):
    case = replace(CASE, task="step")
    step = CONTENDERS[name].build(case, draw_inputs(case))
    losses = [float(flat(step())["loss"]) for _ in range(4)]
    expected = CONTENDERS["manual"].build(case, draw_inputs(case))
    assert losses == pytest.approx([float(flat(expected())["loss"]) for _ in range(4)], rel=1e-9)
    assert losses[3] < losses[0]
