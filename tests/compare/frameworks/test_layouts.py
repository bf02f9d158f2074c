from dataclasses import replace

import numpy as np
import pytest

import manual
from compare.cells.layout import Layout
from compare.frameworks.layouts import FORMS, LAYOUTS
from compare.frameworks.network import Network
from manual import LSTM

D, H = 3, 5


def draw(form, seed=0):
    """Random parameters of one layer in one direction, with values in them that arithmetic would lose."""
    layer = FORMS[form].layer(manual, D, H, rng=np.random.default_rng(seed))
    rng = np.random.default_rng(seed + 1)
    parameters = {name.removesuffix("_l0"): rng.normal(size=a.shape) for name, a in layer.parameters.items()}
    parameters["bias_ih"][:3] = -0.0, np.finfo(float).smallest_subnormal, 1 / 3
    return parameters


def bits(arrays):
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()}


def with_constant_second_bias(layout, parameters):
    """The parameters as a framework with one bias can hold them exactly."""
    if layout.biases not in (1, "candidate"):
        return parameters
    blocks = [np.full(H, layout.added.get(gate, 0.0)) for gate in layout.order]
    if layout.biases == "candidate":
        blocks[layout.order.index("n")] = parameters["bias_hh"][-H:]
    return parameters | {"bias_hh": np.concatenate(blocks)}


@pytest.mark.parametrize("framework", LAYOUTS)
def test_weights_come_back_bit_for_bit_in_arrays_of_their_own(framework):
    for form, layout in LAYOUTS[framework].items():
        parameters = with_constant_second_bias(layout, draw(form))
        weights = layout.weights(parameters)
        back, gradients = layout.parameters(weights), layout.gradients(weights)
        assert list(weights) == layout.arrays
        assert bits(back) == bits(parameters), form
        for converted, source in ((weights, parameters), (back, weights), (gradients, weights)):
            assert not any(np.shares_memory(a, b) for a in converted.values() for b in source.values()), form
        other = {name: np.random.default_rng(2).normal(size=array.shape) for name, array in weights.items()}
        if "-" in layout.gates:  # blocks that nothing reads
            other = layout.weights(layout.parameters(other))
        assert bits(layout.weights(layout.parameters(other))) == bits(other), form


@pytest.mark.parametrize("framework", LAYOUTS)
def test_two_biases_are_added_where_there_is_one(framework):
    for form, layout in LAYOUTS[framework].items():
        parameters = draw(form)
        if layout.lacking:
            parameters["bias_hh"][-H:] = 0
        again = layout.parameters(layout.weights(parameters))
        total, expected = again["bias_ih"] + again["bias_hh"], parameters["bias_ih"] + parameters["bias_hh"]
        assert np.abs(total - expected).max() < 1e-15, form
        if form == "gru":  # whose candidate has a second bias that is not redundant
            assert bits({"n": again["bias_hh"][-H:]}) == bits({"n": parameters["bias_hh"][-H:]})


def test_the_gradient_of_a_sum_is_that_of_each_bias():
    layout = LAYOUTS["keras"]["lstm"]
    gradients = layout.gradients(layout.weights(draw("lstm")))
    assert bits({"b": gradients["bias_ih"]}) == bits({"b": gradients["bias_hh"]})


def test_the_gradient_of_an_inverted_gate_changes_its_sign():
    layout = LAYOUTS["haiku"]["gru, reset before"]
    arrays = {"w_i": np.ones((D, 3 * H)), "w_h": np.ones((H, 3 * H)), "b": np.ones(3 * H)}
    signs = np.repeat([1.0, -1.0, 1.0], H)  # r z n
    for name, gradient in layout.gradients(arrays).items():
        assert np.array_equal(gradient, np.ones_like(gradient) * (signs if gradient.ndim == 1 else signs[:, None])), (
            name
        )


def test_what_a_framework_adds_has_no_gradient():
    layout = LAYOUTS["haiku"]["lstm"]
    arrays = layout.weights(draw("lstm"))
    assert bits(layout.gradients(arrays)) == bits(replace(layout, added={}).gradients(arrays))


def test_a_bias_that_a_layout_lacks_is_refused_unless_it_is_zero():
    layout, parameters = LAYOUTS["nnx"]["gru"], draw("gru")
    with pytest.raises(
        ValueError, match="bias_hh: expected zeros for gate n, whose second bias this layout cannot hold"
    ):
        layout.weights(parameters)
    parameters["bias_hh"][-H:] = 0
    assert "bias_hh" not in layout.gradients(layout.weights(parameters))


def test_missing_biases_are_zeros():
    parameters = draw("lstm")
    without = {name: array for name, array in parameters.items() if name.startswith("weight")}
    zeros = {name: np.zeros(4 * H) for name in ("bias_ih", "bias_hh")}
    for framework in ("torch", "keras", "linen", "onnx"):
        layout = LAYOUTS[framework]["lstm"]
        assert bits(layout.weights(without)) == bits(layout.weights(without | zeros))


def test_arrays_of_another_layout_are_refused():
    with pytest.raises(ValueError, match="weights: expected arrays kernel, recurrent_kernel, bias, got kernel"):
        LAYOUTS["keras"]["lstm"].parameters({"kernel": np.ones((D, 4 * H))})


def test_a_layout_is_what_its_description_says():
    layout = Layout(
        "f i o g",
        columns=True,
        joined="xh",
        biases=1,
        names={"weight": "w", "bias": "b"},
        negated="i",
        added={"f": 1.0},
    )
    weights = layout.weights({"weight_ih": np.full((4, 2), 3.0), "weight_hh": np.array([[1.0], [2.0], [4.0], [5.0]])})
    assert np.array_equal(weights["w"], [[3, -3, 3, 3], [3, -3, 3, 3], [2, -1, 5, 4]])
    assert np.array_equal(weights["b"], [-1, 0, 0, 0])


def test_a_layer_that_no_framework_has_is_refused():
    with pytest.raises(ValueError, match="proj_size: expected 0, since only torch projects h, got 2"):
        Network.of(LSTM(D, H, proj_size=2, rng=np.random.default_rng(0)))
