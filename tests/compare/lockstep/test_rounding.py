import copy

import numpy as np
import pytest

from compare.agreement import Difference
from compare.lockstep.lockstep import SCALE_STEPS
from compare.lockstep.rounding import DRIFT_FACTOR, FACTOR, Rounding, jitter


def train(run, batch, steps=4):
    for _ in range(steps):
        run.step(*batch)
    run.finish()
    return run


def wrong(run, change, method="run"):
    """Let a method of the manual side change its result afterwards, or its arguments."""
    original = getattr(run.manual, method)

    def changed(*arguments):
        result = original(*arguments)
        return change(result, *arguments)

    setattr(run.manual, method, changed)


def growing(run, factor, steps=100):
    """Let the manual side's gradient of the recurrent weights be wrong in the first steps."""

    def grow(result, *arguments):
        if len(run.steps) < steps:
            result.gradients["recurrent.weight_hh_l0"] *= factor
        return result

    wrong(run, grow)


def test_rounding_explains_a_few_ulps_and_restores_the_parameters(torch_trainer, batch):
    side = torch_trainer()
    before = {name: array.copy() for name, array in side.parameters.items()}
    rounding = Rounding(side, lambda: {"logits": side.logits(batch[0])})
    eps = np.finfo(float).eps
    assert eps / 10 < rounding.explains("logits", 0.0) / FACTOR < 50 * eps
    assert rounding.explains("another", 0.0) == 0
    assert all(np.array_equal(side.parameters[name], array) for name, array in before.items())


def test_jitter_moves_every_parameter_by_one_unit_of_rounding(torch_trainer):
    side = torch_trainer()
    before = copy.deepcopy(side.parameters)
    jitter(side, np.random.default_rng(0))
    for name, array in before.items():
        moved = np.abs(side.parameters[name] / array - 1)
        assert (moved > 0).all() and moved.max() <= 2.1 * np.finfo(float).eps
    up = [(side.parameters[name] > array) == (array > 0) for name, array in before.items()]
    assert 0.3 < np.mean(np.concatenate([moved.ravel() for moved in up])) < 0.7


@pytest.mark.parametrize(
    "error, explained, verdict",
    [
        (1e-13, 0.0, "agrees"),
        (5e-8, 1e-7, "agrees"),
        (2e-7, 1e-7, "disagrees"),
        (0.1, 0.5, "cannot be judged"),
        (0.9e-6, 1.1e-6, "cannot be judged"),
        (0.6, 0.5, "disagrees"),
        (np.inf, 0.5, "disagrees"),
    ],
)
def test_what_is_explained_agrees_up_to_half_the_digits_and_is_open_beyond(monkeypatch, error, explained, verdict):
    monkeypatch.setattr(Rounding, "explains", lambda *_: explained)
    judged = Rounding(None, dict).judge(Difference("logits", error, 1e-12))
    assert verdict == ("cannot be judged" if judged is None else "agrees" if judged.agrees else "disagrees")


def test_a_problem_is_never_explained(monkeypatch):
    monkeypatch.setattr(Rounding, "explains", lambda *_: np.inf)
    assert not Rounding(None, dict).judge(Difference("logits", np.inf, 1e-12, problem="missing")).agrees


@pytest.mark.parametrize("wrong_steps, agrees", [(1, True), (2, True), (3, False), (4, False)])
def test_a_run_most_of_whose_steps_cannot_be_judged_is_a_failure(lockstep, batch, monkeypatch, wrong_steps, agrees):
    """A fault in a chaotic step is neither excused nor found; a run of such steps says nothing."""
    run = lockstep()
    monkeypatch.setattr(Rounding, "explains", lambda *_: 0.5)
    monkeypatch.setattr(run, "_drift", lambda parameters: 0.0)
    growing(run, 1.3, wrong_steps)
    assert train(run, batch).agrees is agrees
    assert run.unjudged == [f"step {k}" for k in range(1, wrong_steps + 1)]
    assert run.failures == ([] if agrees else [f"{wrong_steps} of 4 steps cannot be judged"])
    assert run.explained == 0


def test_a_gradient_off_by_more_than_rounding_explains_is_found_and_one_off_by_less_is_counted(
    lockstep, batch, monkeypatch
):
    run = lockstep()
    growing(run, 1 + 1e-10)
    assert not train(run, batch).agrees
    assert run.explained == 0
    run = lockstep()
    monkeypatch.setattr(Rounding, "explains", lambda *_: 1e-7)
    monkeypatch.setattr(run, "_drift", lambda parameters: 0.0)
    growing(run, 1 + 5e-8)
    assert train(run, batch, steps=3).agrees
    assert run.explained == 3 * len(run.opponents)


def test_an_optimiser_that_changes_the_gradient_is_found(lockstep, batch):
    run = lockstep(optimizer="SGD")
    original = run.manual.update

    def update(gradients):
        for gradient in gradients.values():
            gradient *= -1
        original(gradients)

    run.manual.update = update
    assert not train(run, batch).agrees
    assert "manual: recurrent.weight_ih_l0 was changed by update" in run.failures
    assert any(group.startswith("parameter") for (_, group), f in run.worst.items() if not f.difference.agrees)


@pytest.mark.parametrize("k", [0, 1])
def test_a_forward_pass_that_writes_into_its_arguments_is_found(lockstep, batch, k):
    run, before = lockstep(), copy.deepcopy(batch)

    def write(result, *arguments):
        arguments[k][0] += 1
        return result

    wrong(run, write)
    train(run, batch)
    assert len(run.failures) == 1 and "a batch was changed by" in run.failures[0]
    assert all(map(np.array_equal, batch, before))


@pytest.mark.parametrize("change", [lambda g: g.astype(int), lambda g: None, lambda g: g[:0]])
def test_gradients_of_another_kind_are_named(lockstep, batch, change):
    run = lockstep()

    def replace(result, *arguments):
        result.gradients["readout.weight"] = change(result.gradients["readout.weight"])
        return result

    wrong(run, replace)
    run.step(*batch)
    assert run.stuck and not run.agrees
    assert not run.worst["autograd", "gradient readout.weight"].difference.agrees
    assert run.failures == ["manual: gradients and parameters differ in form, so no step can be taken"]
    (step,) = run.steps
    assert step.loss_manual == step.loss_autograd > 0 and step.drift == np.inf


def test_a_right_gradient_with_negative_strides_is_right(lockstep, batch):
    run = lockstep()

    def flip(result, *arguments):
        gradients = {name: gradient[::-1].copy()[::-1] for name, gradient in result.gradients.items()}
        return result._replace(gradients=gradients)

    wrong(run, flip)
    assert train(run, batch).agrees


def test_drift_beyond_what_rounding_explains_is_a_disagreement(lockstep, batch):
    run = lockstep()
    run.step(*batch)
    run.manual.parameters["readout.bias"][...] += 1e-3
    assert not train(run, batch, steps=3).agrees
    assert "drift of" in run.failures[0] and "of which rounding explains" in run.failures[0]


@pytest.mark.parametrize("ratio, agrees", [(0.9 * DRIFT_FACTOR, True), (1.1 * DRIFT_FACTOR, False)])
def test_drift_is_held_against_that_of_a_run_moved_by_rounding(lockstep, batch, monkeypatch, ratio, agrees):
    run = lockstep()
    drifts = iter([ratio * 1e-9, 1e-9] * 4)  # of the manual side and of the moved one, at each step
    monkeypatch.setattr(run, "_drift", lambda parameters: next(drifts))
    assert train(run, batch).agrees is agrees


def test_logits_that_differ_on_longer_inputs_are_a_disagreement(lockstep, batch):
    run = train(lockstep(), batch)
    run.compare_logits("logits of 7 bits", batch[0])
    assert run.agrees
    original = run.manual.logits
    run.manual.logits = lambda x: np.where(np.arange(len(x))[:, None, None] > 100, np.nan, original(x))
    run.compare_logits("logits of 128 bits", np.ones((128, 3, 2)))
    assert run.failures == ["logits of 128 bits against autograd: not finite", *run.failures[1:]]


def test_rounding_in_logits_is_measured_on_the_inputs_that_are_compared(lockstep, batch, monkeypatch):
    run, explained = train(lockstep(), batch), []
    monkeypatch.setattr(
        run, "note", lambda title, found, rounding, what: explained.append(rounding.explains(found.name, 0.0))
    )
    run.compare_logits("logits of 7 bits", batch[0])
    assert len(explained) == len(run.opponents)
    assert all(0 < error < 1e-11 for error in explained)


@pytest.mark.slow
def test_a_scale_reaches_back_only_some_steps(lockstep, batch):
    """A large gradient at the start must not hide a wrong small one later."""
    run = lockstep(optimizer="SGD", lr=0.0)
    theirs = [run.manual, *run.opponents.values()]
    factor = [1e6]
    for side in theirs:

        def scaled(x, y, original=side.run):
            result = original(x, y)
            return result._replace(gradients={name: factor[0] * g for name, g in result.gradients.items()})

        side.run = scaled
    run.step(*batch)
    factor[0] = 1.0
    grow = run.manual.run
    run.manual.run = lambda x, y: (r := grow(x, y))._replace(
        gradients={n: g * (1 + 5e-7) for n, g in r.gradients.items()}
    )
    for _ in range(SCALE_STEPS - 1):
        run.step(*batch)
    assert run.agrees
    run.step(*batch)
    assert not run.agrees
