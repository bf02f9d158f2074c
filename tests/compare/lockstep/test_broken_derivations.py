"""Each fault of the catalogue that training can meet is listed by the lock-step, in the tensors it touches."""

import json

import pytest
from catalogue import COMPILED, FAST, TRAINING, EquationFault, FastFault, TrainingFault
from catalogue.broken import broken
from catalogue.training import ALL
from tiers import first, first_of_each

from compare.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("undrawn")]

W_HH = "recurrent.weight_hh_l0"
BACKWARD = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
OUTPUT = ("output", *BACKWARD)
PLAIN = [fault for fault in FAST if not fault.options]  # the command trains PyTorch's form of the GRU only
SEEN = [fault for fault in PLAIN if fault.trains]
UNSEEN = [fault for fault in PLAIN if not fault.trains]

#: What no step of a training run shows, and how the check of each equation names it.
TEXT = [
    EquationFault("the gradient of x is doubled", "lstm.py", "= d_z @ W_ih", "= 2 * d_z @ W_ih", ("(L16) d_x",)),
    EquationFault("the gradient of c_0 is not returned", "lstm.py", "d_c_prev.copy()", "0 * d_c_prev", ("d_c_0",)),
    EquationFault(
        "the initial hidden state is ignored",
        "lstm.py",
        "(s.copy() for s in state)",
        "(0 * state[0], state[1].copy())",
        ("h_prev_l0",),
    ),
]


def summary(folder, *options):
    """Exit code and summary of a short run."""
    small = ["--steps", "3", "--hidden-size", "3", "--bits", "5", "--batch-size", "4", "--weight-decay", "0.01"]
    code = main([*small, "--out", str(folder), "--quiet", *options])
    written = json.loads((folder / "summary.json").read_text())
    assert written["verdict"] == ("disagree" if code else "agree")
    return code, written


def disagreement(fault, folder, *options):
    """Summary of a short run with a fault, which is a disagreement."""
    with broken(fault):
        code, written = summary(folder, *options)
    assert code == 1
    return written


def listed(written):
    """What a summary lists as in disagreement, and with whom."""
    entries = written["disagreements"]
    return {f"{entry['compared']} {entry['tensor']}" for entry in entries}, {entry["against"] for entry in entries}


def expected(fault: FastFault) -> set[str]:
    """What the lock-step lists of a fault of a fast kernel."""
    if "output" in fault.wrong:
        return {"output logits", "loss loss"} | {f"gradient {name}" for name in ALL}
    return {f"gradient recurrent.{name}_l0" for name in fault.wrong if name.startswith(("weight", "bias"))}


def title(fault):
    return f"{getattr(fault, 'cell', '')} {fault.title}".strip()


@pytest.mark.parametrize("options", sorted({fault.options for fault in TRAINING}))
def test_the_derivation_as_it_stands_agrees(tmp_path, options):
    code, written = summary(tmp_path, *options)
    assert code == 0
    assert listed(written) == (set(), set())
    assert 0 < written["fast_against_equations"] < 1e-14


@pytest.mark.parametrize("fault", first_of_each(lambda fault: (fault.file, fault.wrong), TRAINING), ids=title)
def test_a_fault_outside_the_layers_is_listed_in_the_tensors_it_touches_and_no_others(
    fault: TrainingFault, tmp_path, capsys
):
    written = disagreement(fault, tmp_path, *fault.options)
    assert listed(written) == (set(fault.wrong), {"autograd", "nn.LSTM"})
    printed = capsys.readouterr().out
    assert all(name in printed for name in fault.wrong)


@pytest.mark.parametrize("fault", first_of_each(lambda fault: (fault.cell, fault.wrong), SEEN), ids=title)
def test_a_fault_of_a_fast_kernel_is_listed_in_the_tensors_it_touches_and_no_others(fault, tmp_path, capsys):
    written = disagreement(fault, tmp_path, "--cell", fault.cell)
    assert listed(written) == (expected(fault), {"autograd", f"nn.{fault.cell.upper()}"})
    assert written["faults"] == []
    printed = capsys.readouterr().out
    assert all(name in printed for name in expected(fault))
    assert "; fast kernels against the equations: " in printed


@pytest.mark.parametrize("fault", {f.cell: f for f in COMPILED if not f.options}.values(), ids=title)
def test_a_fault_of_a_compiled_kernel_is_listed_in_the_tensors_it_touches_and_no_others(fault, tmp_path, uncompiled):
    written = disagreement(fault, tmp_path, "--cell", fault.cell, "--engine", "compiled")
    assert listed(written) == (expected(fault), {"autograd", f"nn.{fault.cell.upper()}"})


@pytest.mark.parametrize("fault", first_of_each(lambda fault: (fault.cell, fault.wrong), UNSEEN), ids=title)
def test_a_fault_of_a_fast_kernel_that_training_does_not_show_is_found_at_the_end(fault, tmp_path, capsys):
    written = disagreement(fault, tmp_path, "--cell", fault.cell)
    assert listed(written) == (set(), set())
    assert written["fast_against_equations"] > 1e-3
    _, _, names = capsys.readouterr().out.partition(
        "DISAGREE: 3 steps in float64; fast kernels against the equations: "
    )
    assert {name.removesuffix("_l0") for name in names.splitlines()[0].split(", ")} == set(fault.wrong)


@pytest.mark.parametrize("fault", first(1, TEXT), ids=title)
def test_an_equation_that_training_does_not_use_is_checked_at_the_end(fault, tmp_path, capsys):
    written = disagreement(fault, tmp_path)
    assert listed(written) == (set(), set())
    assert written["faults"] == list(fault.wrong)
    assert (tmp_path / "faults.png").read_bytes().startswith(b"\x89PNG")
    assert (
        f"DISAGREE: 3 steps in float64; {'; '.join(fault.wrong)}; fast kernels against the equations: "
        in capsys.readouterr().out
    )


def test_an_equation_that_raises_is_a_disagreement(tmp_path, capsys):
    """Training runs the fast kernels, so that the equations raise only when they are checked."""
    fault = EquationFault("raises", "lstm.py", "d_z @ W_hh)", "d_z @ W_hh.T)", ())
    written = disagreement(fault, tmp_path)
    assert written["failures"][0].startswith("manual: each equation raised ValueError: matmul: ")
    assert "DISAGREE: 3 steps in float64; manual: each equation raised" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("more", [".T.copy()", ".astype(np.float32)"], ids=["transposed", "another dtype"])
def test_a_gradient_of_another_form_is_a_disagreement_that_names_it(tmp_path, capsys, more):
    sums = "memory.gradients()"
    other = f'{sums} | {{"weight_hh": {sums}["weight_hh"]{more}}}'
    written = disagreement(FastFault(more, "fast/lstm.py", sums, other, ()), tmp_path)
    assert listed(written) == ({f"gradient {W_HH}"}, {"autograd", "nn.LSTM"})
    printed = capsys.readouterr().out
    assert f"gradient {W_HH}" in printed
    assert "no step can be taken" in printed
