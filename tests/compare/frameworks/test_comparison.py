from dataclasses import replace

import numpy as np
import pytest

from compare.frameworks import comparison
from compare.frameworks.case import LayerCase, by_manual, draw
from compare.frameworks.comparison import Worker, central_difference, judge, run, solved
from compare.frameworks.registry import FRAMEWORKS, Framework

CASE = LayerCase("lstm", 2, T=4, B=3, D=2, H=5, dtype="float64")
SIZE = [(4, 3, 2, 5)]


def answer(case=CASE):
    """What ``manual`` makes of a case, for a test to spoil."""
    return {name: array.copy() for name, array in by_manual(case, draw(case)).tensors().items()}


def test_the_same_numbers_are_drawn_each_time_and_none_is_zero():
    arrays, again = (
        [*one.parameters.values(), *one.inputs.values(), *one.d_outputs.values()] for one in (draw(CASE), draw(CASE))
    )
    assert all(np.array_equal(a, b) and a.all() and a.dtype == "float64" for a, b in zip(arrays, again))


def test_what_is_equal_agrees():
    found = judge("torch", CASE, answer())
    assert found.agrees
    assert found.output == found.gradient == 0
    assert found.ulps == found.manual_ulps
    assert 0 < found.ulps.rms < found.ulps.worst < 10


@pytest.mark.parametrize("name", answer())
def test_an_error_in_any_tensor_is_found_and_judged(name):
    spoiled = answer()
    index = tuple(size // 2 for size in spoiled[name].shape)
    spoiled[name][index] += 1e-9
    found = judge("torch", CASE, spoiled)
    (dispute,) = found.disputes
    assert (dispute.tensor, dispute.index, dispute.sides_with) == (name, index, "manual")
    assert dispute.expected == pytest.approx(dispute.manual, rel=1e-10, abs=1e-11)
    assert dispute.framework == pytest.approx(dispute.manual + 1e-9, abs=1e-15)
    assert dispute.judge == ("central difference" if found.gradient else "long double")
    assert found.ulps.worst > 1000 * found.manual_ulps.worst


def test_the_judge_does_not_side_with_manual_where_it_is_wrong(monkeypatch):
    problem, ours, truth = solved(CASE, "")
    wrong = replace(ours, d_inputs=ours.d_inputs | {"x": ours.d_inputs["x"] * 1.1})
    monkeypatch.setattr(comparison, "solved", lambda case, lacking: (problem, wrong, truth))
    (dispute,) = judge("torch", CASE, answer()).disputes
    assert (dispute.tensor, dispute.sides_with) == ("d_x", "the framework")


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda a: a.pop("d_h_0"), "missing"),
        (lambda a: a.update(d_x=a["d_x"].astype(np.float32)), "dtype float32, expected float64"),
        (lambda a: a.update(output=a["output"][:-1]), "shape"),
        (lambda a: a["weight_hh_l0"].fill(np.nan), "not finite"),
    ],
)
def test_what_cannot_be_compared_disagrees(spoil, words):
    arrays = answer()
    spoil(arrays)
    (dispute,) = judge("torch", CASE, arrays).disputes
    assert words in dispute.problem


def test_gradients_are_not_expected_of_what_only_infers():
    outputs = {name: array for name, array in answer().items() if name in ("output", "h_n", "c_n")}
    found = judge("onnx", CASE, outputs)
    assert found.agrees and found.gradient is None
    assert len(found.lacking) == len(answer()) - 3
    assert not judge("torch", CASE, outputs).agrees


def test_a_second_bias_is_not_expected_of_what_lacks_it():
    case = replace(CASE, form="gru")
    arrays = {name: a for name, a in by_manual(case, draw(case, "n")).tensors().items() if "bias_hh" not in name}
    found = judge("nnx", case, arrays)
    assert found.agrees and found.lacking == ["bias_hh_l0", "bias_hh_l0_reverse"]


@pytest.mark.parametrize("form", ["lstm", "gru, reset before", "rnn"])
def test_a_central_difference_is_the_derivative(form):
    case = replace(CASE, form=form)
    problem = draw(case)
    answer = by_manual(case, problem)
    for name, gradient in answer.tensors().items():
        if name in answer.outputs:
            continue
        index = tuple(size - 1 for size in gradient.shape)
        assert central_difference(case, problem, name, index) == pytest.approx(gradient[index], rel=1e-9, abs=1e-11)


@pytest.fixture
def few_cases(monkeypatch):
    """Two cases of each framework, not all that it has."""
    monkeypatch.setattr(comparison, "cases_of", lambda name, sizes: [CASE, replace(CASE, form="rnn", dtype="float32")])


def test_a_framework_has_a_case_for_each_size_form_direction_and_dtype():
    cases = comparison.cases_of("haiku", [*SIZE, (1, 2, 3, 4)])
    assert len(cases) == len(set(cases)) == 2 * 3 * 1 * 2
    assert {case.form for case in cases} == {"lstm", "gru, reset before", "rnn, relu"}


@pytest.mark.exhaustive
def test_frameworks_run_in_processes_of_their_own_and_one_that_fails_takes_no_others_along(monkeypatch, few_cases):
    # The process of "broken" knows no framework of that name; "absent" is not installed.
    broken = replace(FRAMEWORKS["torch"], title="Broken")
    monkeypatch.setitem(FRAMEWORKS, "broken", broken)
    monkeypatch.setitem(FRAMEWORKS, "absent", Framework("Absent", ("no_such_module",), "torch", "torch_nn", "torch"))
    told = []
    found = run(["broken", "absent", "torch"], SIZE, told.append)
    assert found.comparisons == told and not found.agrees
    assert found.missing == {"absent": ["no_such_module"]}
    failed, ours, theirs = ([one for one in told if one.framework == name] for name in ("broken", "manual", "torch"))
    assert [one.case for one in failed] == [one.case for one in ours] == [one.case for one in theirs]
    assert len(theirs) == 2
    for one in failed:
        assert one.problem == "its process ended with status 1: KeyError: 'broken'"
        assert not one.agrees
    assert replace(found, comparisons=[*ours, *theirs]).agrees
    assert all(one.output == one.gradient == 0 for one in ours)
    assert all(one.step > 0 and one.first > one.step / 10 and one.peak > 1e6 for one in [*ours, *theirs])
    assert found.versions["torch"].keys() == {"torch"}


@pytest.mark.exhaustive
def test_a_process_that_ends_is_started_anew(tmp_path):
    worker = Worker("torch", tmp_path / "log")
    assert "step" in worker.ask(CASE, tmp_path / "a.npz")
    worker.process.kill()
    worker.process.wait()
    assert worker.ask(CASE, tmp_path / "a.npz") == {"problem": "its process ended with status -9"}
    assert "step" in worker.ask(CASE, tmp_path / "a.npz")
    assert worker.ask(replace(CASE, form="gru, reset before"), tmp_path / "a.npz")["problem"].startswith("KeyError")
    worker.close()


def test_nothing_compared_is_no_agreement():
    assert not run([], SIZE).agrees
