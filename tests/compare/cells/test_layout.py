from itertools import product

import numpy as np
import pytest

from compare.cells.layout import Layout

D, H = 3, 5
GATES = ("i", "f", "g", "o")
OPTIONS = [
    dict(gates="o g f i", stacked=stacked, columns=columns, joined=joined)
    for stacked, columns, joined in product((True, False), (True, False), ("", "xh", "hx"))
]


@pytest.mark.parametrize("biases", [0, 1, 2, "scalar"])
def test_there_and_back_is_where_one_began_with_arrays_of_their_own(biases):
    for options in OPTIONS:
        layout = Layout(**options, biases=biases)
        drawn = layout.draw(D, H, np.random.default_rng(0))
        there = layout.parameters(drawn)
        back = layout.of_gradients(there)
        assert back.keys() == drawn.keys()
        for name, array in drawn.items():
            copies = H if biases == "scalar" and "bias" in name else 1  # a gradient adds them up
            np.testing.assert_allclose(back[name], copies * array, rtol=1e-15, err_msg=str(options))
        assert not any(np.shares_memory(a, b) for a in drawn.values() for b in there.values()), options
        assert not any(np.shares_memory(a, b) for a in there.values() for b in back.values()), options


@pytest.mark.parametrize("biases", [0, 1, 2, "scalar"])
def test_gradients_are_those_of_the_map_to_torch(biases):
    """<parameters(a), g> = <a, of_gradients(g)>: one is the adjoint of the other, so it moves gradients."""
    for options in OPTIONS:
        layout, rng = Layout(**options, biases=biases), np.random.default_rng(0)
        weights = layout.draw(D, H, rng)
        there = layout.parameters(weights)
        gradient = {name: rng.normal(size=array.shape) for name, array in there.items()}
        if biases != 2:
            gradient["bias_hh"] = gradient["bias_ih"]
        one_side = sum((array * gradient[name]).sum() for name, array in there.items())
        other = sum((array * layout.of_gradients(gradient)[name]).sum() for name, array in weights.items())
        assert one_side == pytest.approx(other, rel=1e-12), options


def test_a_known_example():
    """Two gates' worth of an Elman cell joined as [h, x], in columns."""
    layout = Layout(gates="h", columns=True, joined="hx", biases=1)
    weight = np.arange(4.0).reshape(4, 1)  # H = 1, D = 3
    there = layout.parameters({"weight": weight, "bias": np.array([7.0])})
    assert there["weight_hh"].tolist() == [[0.0]]
    assert there["weight_ih"].tolist() == [[1.0, 2.0, 3.0]]
    assert there["bias_ih"].tolist() == [7.0]
    assert there["bias_hh"].tolist() == [0.0]


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("columns", [True, False])
def test_blocks_are_the_gates_own(columns, stacked):
    layout = Layout(gates="f i o g", columns=columns, stacked=stacked)
    weights = {"weight_ih": np.repeat(np.arange(4.0), H)[:, None] * np.ones((1, D)), "weight_hh": np.zeros((4 * H, H))}
    arrays = layout.of_gradients(weights | {"bias_ih": np.zeros(4 * H), "bias_hh": np.zeros(4 * H)})
    names = ["weight_ih"] if stacked else [f"weight_ih_{gate}" for gate in GATES]
    blocks = {gate: block for name in names for gate, block in layout.blocks(name, arrays[name]).items()}
    assert {gate: np.unique(block).tolist() for gate, block in blocks.items()} == {
        "i": [0],
        "f": [1],
        "g": [2],
        "o": [3],
    }
    assert all(block.shape == ((D, H) if columns else (H, D)) for block in blocks.values())


@pytest.mark.parametrize("gates", ["i f g", "i f g g", "ifgo", "i f g c", ""])
def test_gates_of_another_cell_are_refused(gates):
    with pytest.raises(ValueError, match=f"gates: expected 'i f g o' in any order, got '{gates}'"):
        Layout(gates=gates).check_gates(GATES)
