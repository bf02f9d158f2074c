import json
from dataclasses import asdict, replace
from importlib.metadata import version

import numpy as np
import pytest
from runs_on_pages import rows

import manual
from compare.agreement import Difference
from compare.converter import load
from compare.lockstep import run_folder
from compare.lockstep.lockstep import GROUPS, Finding
from compare.lockstep.training import CorrectSums

FILES = {"summary.json", "steps.csv", "weights.safetensors", "agreement.png", "run.html", "derivation.html"}


def written(run, folder) -> dict:
    run_folder.write(run, folder)

    def refuse(constant: str):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads((folder / "summary.json").read_text(), parse_constant=refuse)


def spoil(run, **groups: float) -> None:
    """Give the readout's bias a disagreement in each of these groups."""
    for group, error in groups.items():
        found = Difference("readout.bias", error, 1e-12, (0,), 0.5, 0.4)
        run.lockstep.worst["nn.LSTM", f"{group} readout.bias"] = Finding("nn.LSTM", group, found, (1,), 2)


def test_the_summary_of_an_agreement(run, tmp_path, undrawn):
    folder = tmp_path / "new" / "folder"
    summary, settings = written(run, folder), asdict(run.settings)
    assert {path.name for path in folder.iterdir()} == FILES
    assert summary["verdict"] == "agree"
    assert summary["sentence"].startswith("AGREE: 4 steps in float64, 42 intermediates and gradients individually, ")
    assert summary["title"] == "LSTM, 5 bits, float64"
    assert {name: summary[name] for name in settings} == settings
    assert (summary["dtype"], summary["seed"], summary["steps"]) == ("float64", 1, 4)
    assert summary["versions"] == {name: version(name) for name in ("numpy", "torch")}
    assert summary["disagreements"] == [] and summary["failures"] == []
    assert summary["tolerance"] == 1e-12
    assert list(summary["worst"]) == ["output", "loss", "gradient", "parameter", "optimizer"]


def test_the_summary_of_a_disagreement_has_the_worst_of_each_group_and_tensor(run, tmp_path, undrawn):
    spoil(run, gradient=2e-12, parameter=0.9e-12, optimizer=0.7e-12)
    summary = written(run, tmp_path)
    assert summary["verdict"] == "disagree"
    assert summary["disagreements"] == [
        {"against": "nn.LSTM", "compared": "gradient", "tensor": "readout.bias", "error": 2e-12}
    ]
    assert summary["worst"] == {group: run.lockstep.worst_of(group) for group in GROUPS}
    assert summary["worst"]["optimizer"] == 0.7e-12
    tensors = summary["tensors"]
    assert len(tensors) == 27  # the optimiser's has a name of its own
    assert {entry["compared"] for entry in tensors} == set(GROUPS)
    (entry,) = [entry for entry in tensors if (entry["compared"], entry["tensor"]) == ("gradient", "readout.bias")]
    assert (entry["error"], entry["against"], entry["step"], entry["position"]) == (2e-12, "nn.LSTM", 2, "output 0")
    assert entry["of_tolerance"] == 2
    for group in GROUPS:
        worst = max(entry["error"] for entry in tensors if entry["compared"] == group)
        assert worst == run.lockstep.worst_of(group)


def test_the_summary_has_the_accuracy_of_both_sides_at_each_length(run, tmp_path, undrawn):
    correct_sums = [CorrectSums(5, 256, 0.75, 0.5), CorrectSums(64, 9, 0.25, 0.125), CorrectSums(1024, 9, 0.0625, 1.0)]
    summary = written(replace(run, correct_sums=correct_sums), tmp_path)
    assert summary["accuracy"] == {"manual": 0.75, "autograd": 0.5}
    assert summary["accuracy_64"] == {"manual": 0.25, "autograd": 0.125}
    assert summary["accuracy_1024"] == {"manual": 0.0625, "autograd": 1.0}
    assert summary["sums"][1] == {"bits": 64, "count": 9, "manual": 0.25, "autograd": 0.125}


def test_the_summary_has_the_bits_of_the_examples_most_significant_first(run, tmp_path, undrawn):
    sums, logits = run.examples
    examples = written(run, tmp_path)["examples"]
    assert len(examples) == 3
    for row, example in enumerate(examples):
        a, b, true = (int(example[name], 2) for name in ("a", "b", "true"))
        assert a == sum(int(bit) << t for t, bit in enumerate(sums.a[:, row]))
        assert a + b == true
        assert example["predicted"] == "".join(str(int(logit > 0)) for logit in logits[::-1, row, 0])


def test_numbers_that_are_not_finite_are_strings_in_the_summary(run, tmp_path, undrawn):
    spoil(run, gradient=np.inf)
    run.lockstep.steps[-1] = replace(run.lockstep.steps[-1], drift=np.nan)
    summary = written(run, tmp_path)
    assert summary["worst"]["gradient"] == "Infinity" and summary["drift"] == "NaN"  # the last
    assert summary["disagreements"][0]["error"] == "Infinity"


def test_the_steps_are_all_there_with_every_digit(run, tmp_path, undrawn):
    run_folder.write(run, tmp_path)
    table = rows(tmp_path)
    assert [row["step"] for row in table] == ["1", "2", "3", "4"]
    for row, step in zip(table, run.lockstep.steps, strict=True):
        assert float(row["loss_manual"]) == step.loss_manual
        assert float(row["loss_autograd"]) == step.loss_autograd
        assert float(row["drift"]) == step.drift
        assert {group: float(row[group]) for group in GROUPS} == step.errors


def test_the_weights_are_the_manual_sides_to_the_bit(run, tmp_path, undrawn):
    run_folder.write(run, tmp_path)
    ours, rng = run.lockstep.manual.model, np.random.default_rng(9)
    other = manual.Model(manual.LSTM(2, 3, rng=rng), manual.Linear(3, 1, rng=rng))
    load(tmp_path / "weights.safetensors", other, ("i", "f", "g", "o"))
    assert {n: a.tobytes() for n, a in other.parameters.items()} == {n: a.tobytes() for n, a in ours.parameters.items()}


@pytest.mark.slow
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("what", ["errors", "losses"])
def test_what_no_log_axis_can_show_is_drawn_without_a_warning(run, tmp_path, value, what):
    changed = {"loss_manual": value, "loss_autograd": value}
    if what == "errors":
        changed = {"errors": dict.fromkeys(GROUPS, value), "drift": value}
    run.lockstep.steps[:] = [replace(step, **changed) for step in run.lockstep.steps]
    run_folder.write(run, tmp_path)
    content = (tmp_path / "agreement.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n") and content.rstrip().endswith(b"IEND\xaeB`\x82")
    width, height = (int.from_bytes(content[start : start + 4], "big") for start in (16, 20))
    assert width > 600 and height > 600


def test_a_second_run_takes_the_place_of_the_first(run, tmp_path, undrawn):
    run_folder.write(run, tmp_path)
    run.lockstep.steps.pop()
    run.lockstep.failures.append("manual: dead")
    summary = written(run, tmp_path)
    assert summary["verdict"] == "disagree" and summary["failures"] == ["manual: dead"] and len(rows(tmp_path)) == 3
    assert {path.name for path in tmp_path.iterdir()} == FILES - {"derivation.html"}
