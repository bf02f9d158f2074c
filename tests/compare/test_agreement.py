import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compare.agreement import TOLERANCES, Disagreement, by_hand, compare, difference, position

TOLERANCE = 1e-12
GATES = ("i", "f", "g", "o")
NAN, INF = np.nan, np.inf

shapes = st.lists(st.integers(1, 5), min_size=0, max_size=3).map(tuple)
seeds = st.integers(0, 2**32 - 1)


def draw(seed: int, shape: tuple[int, ...] = (3, 4, 2)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def assert_problem(found, problem: str) -> None:
    """A comparison is impossible, which is no agreement."""
    assert not found.agrees and found.error == found.used == INF
    assert found.problem == problem


def test_the_tolerances_are_those_documented():
    assert TOLERANCES == {"float64": 1e-12, "float32": 1e-5}


@given(seeds, shapes, st.data())
@settings(max_examples=50, deadline=None)
def test_error_index_and_values_are_those_of_the_perturbed_element(seed, shape, data):
    reference = draw(seed, shape)
    same = difference("a", reference.copy(), reference, TOLERANCE)
    assert same.agrees and same.error == 0 and same.used == 0 and not same.problem
    index = data.draw(st.tuples(*(st.integers(0, size - 1) for size in shape)))
    actual = reference.copy()
    actual[index] += 0.25
    found = difference("a", actual, reference, TOLERANCE)
    assert found.index == index
    assert (found.actual, found.reference) == (actual[index], reference[index])
    assert found.error == pytest.approx(0.25 / np.abs(reference).max(), rel=1e-12)
    assert found.used == found.error / TOLERANCE
    assert not found.agrees


def test_the_worst_of_several_differences_is_reported():
    reference = draw(1)
    actual = reference.copy()
    actual[0, 1, 1] += 1e-3
    actual[2, 3, 0] -= 4e-3
    actual[1, 0, 1] += 2e-3
    assert difference("a", actual, reference, TOLERANCE).index == (2, 3, 0)


@given(seeds, st.floats(1e-100, 1e100))
@settings(max_examples=30, deadline=None)
def test_the_error_does_not_depend_on_the_unit_of_measurement(seed, unit):
    actual, reference = draw(seed), draw(seed + 1)
    whole = difference("a", actual, reference, TOLERANCE).error
    assert difference("a", actual * unit, reference * unit, TOLERANCE).error == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize(
    "actual, reference, scale, error",
    [
        ([3.0, 1.0], [2.0, 1.0], 0.0, 0.5),  # relative to the reference, not to the other side
        ([2.0, 1.0], [3.0, 1.0], 0.0, 1 / 3),
        ([-8.0, 2.0], [-8.0, 1.0], 0.0, 1 / 8),  # the largest magnitude, even if negative
        ([2.0, 1.5], [2.0, 1.0], 10.0, 0.05),  # a larger scale takes the place of the reference's
        ([2.0, 1.5], [2.0, 1.0], 0.1, 0.25),  # a smaller one does not
        ([0.0, 0.0], [2.0, -1.0], 0.0, 1.0),  # zeros differ from any other reference by the whole of it
        ([0.0, 1e-300], [0.0, 0.0], 0.0, INF),  # and anything is infinitely far from zeros
    ],
)
def test_an_error_is_relative_to_the_largest_element_of_the_reference(actual, reference, scale, error):
    found = difference("a", np.array(actual), np.array(reference), TOLERANCE, scale)
    assert found.error == error and not found.agrees


@pytest.mark.parametrize("times, agrees", [(0.9, True), (1.1, False)])
def test_the_tolerance_divides_what_agrees_from_what_does_not(times, agrees):
    reference = draw(2)
    actual = reference.copy()
    actual[1, 2, 1] += times * 1e-5 * np.abs(reference).max()
    found = difference("a", actual, reference, 1e-5)
    assert found.agrees is agrees
    assert found.used == pytest.approx(times, rel=1e-6)


def test_an_error_of_exactly_the_tolerance_agrees():
    assert difference("a", np.array([4.0, 1.5]), np.array([4.0, 1.0]), 0.125).agrees
    assert not difference("a", np.array([4.0, 1.5]), np.array([4.0, 1.0]), 0.1249).agrees


@pytest.mark.parametrize(
    "shape, other",
    [
        ((3, 1), (3, 4)),
        ((1, 4), (3, 4)),
        ((4,), (3, 4)),
        ((1, 3, 4), (3, 4)),
        ((4, 3), (3, 4)),
        ((), (1,)),
        ((12,), (3, 4)),
    ],
)
def test_nothing_is_broadcast_transposed_or_flattened_to_fit(shape, other):
    actual, reference = np.full(shape, 0.7), np.full(other, 0.7)
    for one, two in ((actual, reference), (reference, actual)):
        assert_problem(difference("a", one, two, TOLERANCE), f"shape {one.shape}, expected {two.shape}")


def test_another_dtype_is_a_problem_though_the_values_are_equal():
    reference = draw(3).astype(np.float32)
    found = difference("a", reference.astype(np.float64), reference, TOLERANCE)
    assert_problem(found, "dtype float64, expected float32")


@pytest.mark.parametrize(
    "ours, theirs", [(NAN, 0.3), (0.3, NAN), (NAN, NAN), (INF, 0.3), (0.3, INF), (INF, INF), (-INF, -INF), (INF, -INF)]
)
@pytest.mark.parametrize("scale", [0.0, 1e300])
def test_what_is_not_finite_on_either_side_or_on_both_is_a_problem_whatever_else_differs(ours, theirs, scale):
    actual = draw(4)
    reference = actual.copy()
    actual[0, 0, 0] += 1e9
    actual[1, 2, 0], reference[1, 2, 0] = ours, theirs
    found = difference("a", actual, reference, TOLERANCE, scale)
    assert_problem(found, "not finite")
    assert found.index == (1, 2, 0)
    np.testing.assert_equal((found.actual, found.reference), (ours, theirs))


def test_a_scale_or_a_difference_that_is_not_finite_lets_nothing_pass_without_a_warning():
    assert_problem(difference("a", np.array([1.0]), np.array([2.0]), TOLERANCE, scale=INF), "not finite")
    assert not difference("a", np.array([1e308]), np.array([-1e308]), TOLERANCE).agrees


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 4, 2)])
def test_empty_arrays_have_nothing_to_compare(shape):
    assert_problem(difference("a", np.empty(shape), np.empty(shape), TOLERANCE), "nothing to compare: no elements")


@pytest.mark.parametrize("other, kind", [(None, "NoneType"), ([0.3, 0.7], "list"), (0.3, "float")])
def test_what_is_no_array_on_either_side_is_a_problem(other, kind):
    for one, two in ((other, draw(6)), (draw(6), other)):
        assert_problem(difference("a", one, two, TOLERANCE), f"expected an array, got {kind}")


def test_compare_keeps_the_references_order_and_names_what_either_side_lacks():
    one = draw(7)
    found = compare({"x": one, "b": one, "a": one}, {"b": one, "c": one, "a": one}, TOLERANCE)
    assert [difference.name for difference in found] == ["b", "c", "a", "x"]
    assert found[0].agrees and found[2].agrees
    assert_problem(found[1], "missing")
    assert_problem(found[3], "missing in the reference")
    (nothing,) = compare({}, {}, TOLERANCE)
    assert_problem(nothing, "nothing was compared")


def test_only_the_tensor_that_differs_is_found_to_differ_and_neither_side_is_changed():
    reference = {name: draw(seed) for seed, name in enumerate("abc")}
    actual = {name: array.copy() for name, array in reference.items()}
    actual["b"][2, 0, 1] *= 1 + 1e-9
    before = [array.copy() for array in (*actual.values(), *reference.values())]
    assert [found.name for found in compare(actual, reference, TOLERANCE) if not found.agrees] == ["b"]
    np.testing.assert_array_equal([*actual.values(), *reference.values()], before)


def test_compare_takes_each_tensors_scale_from_its_name():
    reference = {"a": np.array([0.25]), "b": np.array([0.25])}
    actual = {"a": np.array([0.375]), "b": np.array([0.375])}
    errors = [found.error for found in compare(actual, reference, TOLERANCE, {"b": 0.5})]
    assert errors == [0.5, 0.25]


@pytest.mark.parametrize(
    "name, index, shape, words",
    [
        ("weight_ih_l0", (0, 1), (12, 2), "gate i, unit 0, input 1"),
        ("recurrent.weight_ih_l0", (7, 1), (12, 2), "gate g, unit 1, input 1"),
        ("recurrent.weight_hh_l0", (11, 2), (12, 3), "gate o, unit 2, from unit 2"),
        ("recurrent.weight_hh_l1_reverse", (3, 0), (12, 3), "gate f, unit 0, from unit 0"),
        ("recurrent.bias_ih_l0", (5,), (12,), "gate f, unit 2"),
        ("exp_avg_sq of recurrent.bias_hh_l0", (6,), (12,), "gate g, unit 0"),
        ("readout.weight", (0, 4), (1, 5), "output 0, from unit 4"),
        ("exp_avg of readout.bias", (0,), (1,), "output 0"),
        ("logits", (7, 3, 0), (8, 4, 1), "step 7, row 3, unit 0"),
        ("loss", (), (), ""),
    ],
)
def test_the_position_of_an_element_is_described(name, index, shape, words):
    assert position(name, index, shape, GATES) == words


def test_the_position_names_the_gates_that_are_given():
    assert position("weight_hh_l0", (4, 1), (6, 2), ("r", "z", "n")) == "gate n, unit 0, from unit 1"


@pytest.mark.parametrize(
    "error, words",
    [
        (ValueError("no axis 3"), "ValueError: no axis 3"),
        (OSError("no axis 3"), "OSError: no axis 3"),
        (SystemExit("no axis 3"), "SystemExit: no axis 3"),
        (ValueError("σ\ud800"), r"ValueError: σ\\ud800"),  # no terminal takes half a character
    ],
)
def test_whatever_is_raised_is_a_verdict_that_names_it(error, words):
    with pytest.raises(Disagreement, match=f"^manual: backward raised {words}$"), by_hand("backward"):
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError("8 GiB"), Disagreement("manual: wrong: d_x")])
def test_an_interrupt_a_lack_of_memory_and_a_verdict_are_none(error):
    with pytest.raises(type(error)) as caught, by_hand("backward"):
        raise error
    assert caught.value is error
