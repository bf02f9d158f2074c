import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from compare.agreement import Difference
from compare.binary_addition import Problems
from compare.lockstep.lockstep import Finding
from compare.lockstep.report import show, verdict
from compare.lockstep.training import Accuracy


def shown(run) -> str:
    console = Console(file=io.StringIO(), width=120)
    show(run, console)
    return console.file.getvalue()


def line_with(text: str, *words: str) -> str:
    (line,) = [line for line in text.splitlines() if all(word in line.split() for word in words)]
    return line


def found(run, opponent: str, group: str, name: str, error: float, index=(), problem: str = "", step: int = 2) -> None:
    """Put a finding in the place of the one that the run has."""
    key = opponent, f"{group} {name}"
    shape = run.lockstep.worst[key].shape if key in run.lockstep.worst else ()
    difference = Difference(name, error, 1e-12, index, 0.5, 0.5, problem)
    run.lockstep.worst[key] = Finding(opponent, group, difference, shape, step)


def test_the_verdict_on_agreement_gives_the_largest_share_of_the_tolerance(run):
    found(run, "nn.LSTM", "gradient", "readout.bias", 0.25e-12, (0,))
    assert re.search(r"fast kernels against text within \S+e-16; at most 25.00% of the tolerance used$", verdict(run))


def test_the_verdict_on_disagreement_names_each_tensor_once_whoever_disagrees(run):
    found(run, "autograd", "gradient", "readout.bias", 3e-12, (0,))
    found(run, "nn.LSTM", "gradient", "readout.bias", 4e-12, (0,))
    found(run, "nn.LSTM", "optimizer", "exp_avg of readout.weight", 4e-12, (0, 1))
    said = verdict(run)
    assert said.endswith("DISAGREE[/]: 4 steps in float64; gradient readout.bias; optimizer exp_avg of readout.weight")


def test_the_verdict_names_deaths_though_everything_agrees(run):
    run.lockstep.deaths.append("manual: the gradient of readout.bias has vanished")
    assert verdict(run).endswith("DISAGREE[/]: 4 steps in float64; manual: the gradient of readout.bias has vanished")


def test_the_verdict_is_no_agreement_where_nothing_was_compared(run):
    run.lockstep.worst.clear()
    assert "DISAGREE" in verdict(run)


def test_the_verdict_is_the_last_line(run):
    last = shown(run).splitlines()[-1]
    assert re.fullmatch(r"AGREE: 4 steps in float64, and 42 .*; at most 0\.\d\d% of the tolerance used", last)


def test_every_tensor_has_a_line(run):
    text = shown(run)
    for group, name in {(finding.group, finding.difference.name) for finding in run.lockstep.worst.values()}:
        assert line_with(text, group, *name.split())


@pytest.mark.parametrize("worse", ["autograd", "nn.LSTM"])
def test_the_line_is_about_the_opponent_that_differs_more(run, worse):
    for opponent in ("autograd", "nn.LSTM"):
        error, step = (0.03e-12, 3) if opponent == worse else (0.02e-12, 2)
        found(run, opponent, "gradient", "recurrent.weight_hh_l0", error, (7, 1), step=step)
    words = line_with(shown(run), "gradient", "recurrent.weight_hh_l0").split(maxsplit=6)
    assert words == [
        "gradient",
        "recurrent.weight_hh_l0",
        "3.0e-14",
        "3.00%",
        worse,
        "3",
        "gate g, unit 1, from unit 1",
    ]


def test_what_cannot_be_compared_says_why_instead_of_where(run):
    found(run, "autograd", "gradient", "readout.bias", np.inf, problem="missing in the reference")
    assert "missing in the reference" in line_with(shown(run), "gradient", "readout.bias", "inf")


def test_accuracies_are_shown_for_both_sides(run):
    text = shown(replace(run, accuracies=[Accuracy(8, 16384, 1.0, 0.9375), Accuracy(1024, 107, 0.5, 0.25)]))
    assert line_with(text, "8", "16,384").split() == ["8", "16,384", "100.00%", "93.75%"]
    assert line_with(text, "1,024", "107").split() == ["1,024", "107", "50.00%", "25.00%"]


def test_sums_are_worked_out_most_significant_digit_first(run):
    a, b = np.array([[0, 1], [1, 1], [1, 0], [0, 0]]), np.array([[1, 1], [1, 0], [0, 0], [0, 0]])
    problems = Problems.adding(a, b)  # 6 + 3 and 3 + 1
    logits = np.where(problems.total == 1, 2.5, -1.5)[:, :, None]
    logits[1, 0, 0] *= -1
    text = shown(replace(run, examples=(problems, logits)))
    sums = [
        ["a 0 1 1 0 6", "+ b 0 0 1 1 3", "predicted 1 0 1 1 11", "true 1 0 0 1 9"],
        ["a 0 0 1 1 3", "+ b 0 0 0 1 1", "predicted 0 1 0 0 4", "true 0 1 0 0 4"],
    ]
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for expected in sums:
        start = lines.index(expected[0])
        assert lines[start : start + 4] == expected


def test_times_are_medians_in_milliseconds(run):
    run.lockstep.seconds.update(
        manual=[0.002, 0.001, 0.9], autograd=[0.006, 0.8, 0.005], comparing=[0.003, 0.7, 0.0005]
    )
    assert "manual 2.00 ms, autograd 6.00 ms (3.00 times as long); comparing 3.00 ms" in " ".join(shown(run).split())


def test_the_drift_shown_is_that_after_the_last_step(run):
    run.lockstep.steps[-1] = replace(run.lockstep.steps[-1], drift=4.4e-7)
    assert "never brought together again: 4.4e-07" in " ".join(shown(run).split())
