"""The bed of programs with faults is what its figures are said of, and the guide has these figures."""

import json
from collections import Counter
from pathlib import Path

import pytest
from bed import CASES, RESULTS
from bed.trial import judged, tried

from compare import checker

README = " ".join((Path(checker.__file__).parent / "README.md").read_text().split())
FIGURES = json.loads(RESULTS.read_text())


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
@pytest.mark.parametrize("name, number", [("cosine", 1), ("conv2d", 2), ("two_layer", 1)])
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


def test_the_figures_are_of_these_programs():
    faults = [(case.kind, fault.kind) for case in CASES.values() for fault in case.faults]
    assert FIGURES["right programs"]["number"] == len(CASES)
    assert FIGURES["total"]["number"] == len(faults)
    for of, kinds in zip(("program", "fault"), zip(*faults)):
        assert {kind: one["number"] for kind, one in FIGURES[f"by kind of {of}"].items()} == Counter(kinds)


def test_the_guide_has_the_figures():
    total, right = FIGURES["total"], FIGURES["right programs"]
    said = {
        name: f"{total[name]['rate']} % ({' to '.join(map(str, total[name]['interval']))})"
        for name in ("caught", "exact", "innocent lines only", "repair right")
    }
    assert (
        f"on {right['number']} programs with {total['number']} faults, written by another hand than the checker's. "
        f"{right['agree']['number']} of the right programs agree. Of the faults, {said['caught']} are caught. "
        f"The wrong lines are named, with at most one other, in {said['exact']}, only innocent ones in "
        f"{said['innocent lines only']}; the repair is right at other sizes and seeds, too, in {said['repair right']}, "
        f"each with Wilson's 95 % interval. A check takes {total['processor seconds']['median']} s of processor "
        "time in the median."
    ) in README
