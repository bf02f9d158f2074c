import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from compare.agreement import Difference
from compare.binary_addition import Sums
from compare.lockstep.lockstep import GROUPS, Finding
from compare.lockstep.report import show, verdict
from compare.lockstep.training import CorrectSums


def shown(run, verbose: bool = False) -> str:
    console = Console(file=io.StringIO(), width=120)
    show(run, console, verbose)
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


def test_the_verdict_on_agreement_is_the_last_line(run):
    found(run, "nn.LSTM", "gradient", "readout.bias", 0.25e-12, (0,))
    equations = r"AGREE: 4 steps in float64, 42 intermediates and gradients individually"
    fast = r"the fast kernels against the equations within \S+e-16; at most 25.00% of the tolerance used"
    assert re.fullmatch(f"{equations}, {fast}", " ".join(shown(run).splitlines()[-1:]))
    del run.lockstep.steps[1:]
    assert "AGREE[/]: 1 step in float64, 42 " in verdict(run)


@pytest.mark.slow
def test_the_verdict_names_a_few_steps_that_cannot_be_judged(run):
    run.lockstep.unjudged[:] = ["step 2"]
    words = "; not judged: step 2, where rounding alone explains more than 1e-06"
    assert verdict(run).endswith("of the tolerance used" + words)
    run.lockstep.unjudged += ["step 3", "a single row", "step 4", "step 5"]
    assert "; not judged: step 2, step 3, a single row and 2 more, where " in verdict(run)


def test_the_verdict_on_disagreement_names_each_tensor_once_and_failures_though_everything_agrees(run):
    vanished = "manual: the gradient of readout.bias has vanished"
    run.lockstep.failures.append(vanished)
    assert verdict(run).endswith(f"DISAGREE[/]: 4 steps in float64; {vanished}")
    run.lockstep.failures.clear()
    found(run, "autograd", "gradient", "readout.bias", 3e-12, (0,))
    found(run, "nn.LSTM", "gradient", "readout.bias", 4e-12, (0,))
    found(run, "nn.LSTM", "optimizer", "exp_avg of readout.weight", 4e-12, (0, 1))
    said = "DISAGREE[/]: 4 steps in float64; gradient readout.bias; optimizer exp_avg of readout.weight"
    assert verdict(run).endswith(said)
    run.lockstep.worst.clear()
    assert "DISAGREE" in verdict(run)  # where nothing was compared


def lines_of_groups(text: str) -> list[list[str]]:
    return [line.split(maxsplit=3) for line in text.splitlines() if line.split()[:1] and line.split()[0] in GROUPS]


def test_each_group_has_one_line_that_of_its_worst_tensor(run):
    found(run, "nn.LSTM", "gradient", "readout.weight", 0.4e-12, (0, 2))
    text = shown(run)
    assert [words[0] for words in lines_of_groups(text)] == list(GROUPS)
    assert line_with(text, "gradient", "readout.weight", "4.0e-13", "40.00%", "nn.LSTM")
    assert "--verbose lists all 26 tensors" in text


def test_verbose_gives_every_tensor_a_line(run):
    text = shown(run, verbose=True)
    tensors = {(finding.group, finding.difference.name) for finding in run.lockstep.worst.values()}
    assert len(lines_of_groups(text)) == len(tensors) == 26
    for group, name in tensors:
        assert line_with(text, group, *name.split())
    assert "--verbose" not in text


@pytest.mark.parametrize("worse", ["autograd", "nn.LSTM"])
def test_the_line_is_about_the_opponent_that_differs_more(run, worse):
    for opponent in ("autograd", "nn.LSTM"):
        error, step = (0.03e-12, 3) if opponent == worse else (0.02e-12, 2)
        found(run, opponent, "gradient", "recurrent.weight_hh_l0", error, (7, 1), step=step)
    words = line_with(shown(run, verbose=True), "gradient", "recurrent.weight_hh_l0").split(maxsplit=6)
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


@pytest.mark.parametrize("autograd", [0.125, 0.35])
def test_where_independent_runs_learn_different_things_the_drift_is_given_as_the_reason(run, autograd):
    run.lockstep.steps[-1] = replace(run.lockstep.steps[-1], drift=1.25)
    text = shown(replace(run, correct_sums=[CorrectSums(8, 16384, 0.35, autograd)]))
    assert line_with(text, "8", "16,384").split() == ["8", "16,384", "35.00%", f"{autograd:.2%}"]
    reason = "two independent runs, which rounding alone drives apart: by 1.2e+00 of the largest parameter"
    assert (reason in text) is (autograd != 0.35)
    assert "Drift of an independent autograd run: 1.2e+00" in " ".join(text.split())


@pytest.mark.parametrize("verbose, count", [(False, 1), (True, 2)])
def test_examples_are_written_out_most_significant_digit_first(run, verbose, count):
    a, b = np.array([[0, 1], [1, 1], [1, 0], [0, 0]]), np.array([[1, 1], [1, 0], [0, 0], [0, 0]])
    sums = Sums.adding(a, b)  # 6 + 3 and 3 + 1
    logits = np.where(sums.total == 1, 2.5, -1.5)[:, :, None]
    logits[1, 0, 0] *= -1
    lines = [" ".join(line.split()) for line in shown(replace(run, examples=(sums, logits)), verbose).splitlines()]
    examples = [
        ["a 0 1 1 0 6", "+ b 0 0 1 1 3", "predicted 1 0 1 1 11", "true 1 0 0 1 9"],
        ["a 0 0 1 1 3", "+ b 0 0 0 1 1", "predicted 0 1 0 0 4", "true 0 1 0 0 4"],
    ]
    for expected in examples[:count]:
        start = lines.index(expected[0])
        assert lines[start : start + 4] == expected
    assert sum(line.startswith("predicted") for line in lines) == count


def test_times_are_medians_in_milliseconds(run):
    run.lockstep.seconds.update(
        {
            "manual": [0.002, 0.001, 0.9],
            "autograd": [0.006, 0.8, 0.005],
            "nn.LSTM": [0.5, 0.004, 0.0],
            "comparing": [0.003, 0.7, 0.0005],
        }
    )
    assert (
        "manual 2.00 ms, its equations under autograd 6.00 ms (3.00 times as long), "
        "nn.LSTM 4.00 ms (2.00 times as long), comparison 3.00 ms"
    ) in " ".join(shown(run).split())
