"""The bed of programs with faults is what is said of it: right programs, and faults that change a gradient."""

import pytest
from bed import CASES
from bed.trial import judged, tried


@pytest.fixture(params=CASES.values(), ids=[*CASES])
def case(request):
    if "scipy" in request.param.program:
        pytest.importorskip("scipy", reason="SciPy is not installed")
    return request.param


def test_a_right_program_has_the_gradients_of_autograd(case, tmp_path):
    assert case.is_right(case.write(case.program, tmp_path))


def test_each_fault_changes_a_gradient(case, tmp_path):
    for number, fault in enumerate(case.faults, 1):
        assert not case.is_right(case.write(fault.program, tmp_path)), number


@pytest.mark.slow
@pytest.mark.parametrize("name, number", [("cosine", 1), ("rmsnorm", 6), ("two_layer", 1)])
def test_a_fault_is_found_and_its_repair_is_right(name, number):
    record = tried(name, number)
    assert record["caught"] and record["exact"] and record["repair right"]
    assert not record["innocent lines only"]


@pytest.mark.parametrize(
    "wrong, places, exact, innocent",
    [
        ({3}, {3: 3}, True, False),
        ({3}, {2: 4, 7: 7}, True, False),  # the statement begins on line 2
        ({3}, {3: 3, 7: 7, 8: 8}, False, False),
        ({3, 5}, {3: 3, 5: 5, 7: 7}, True, False),
        ({3, 5}, {3: 3, 7: 7}, False, False),
        ({3}, {7: 7}, False, True),
        ({3}, {}, False, False),
    ],
)
def test_lines_are_exact_or_innocent(wrong, places, exact, innocent):
    assert judged(wrong, places) == {"exact": exact, "innocent lines only": innocent}
