import numpy as np
import pytest
import torch
from tiers import rarely

from compare.lockstep.lockstep import GROUPS, Lockstep

TENSORS = {
    "recurrent.weight_ih_l0": (6, 1),
    "recurrent.weight_hh_l0": (13, 4),
    "recurrent.bias_ih_l0": (18,),
    "recurrent.bias_hh_l0": (0,),
    "readout.weight": (0, 3),
    "readout.bias": (0,),
}


def train(lockstep: Lockstep, steps: int = 4, seed: int = 0) -> Lockstep:
    rng, (T, B) = np.random.default_rng(seed), (7, 3)
    for _ in range(steps):
        lockstep.step(rng.normal(size=(T, B, 2)), rng.integers(0, 2, (T, B, 1)).astype(float))
    lockstep.finish()
    return lockstep


def after(lockstep: Lockstep, side, method: str, step: int, change) -> Lockstep:
    """Have ``change`` applied, at that step only, to what the side's method returns."""
    original = getattr(side, method)

    def changed(*arguments):
        result = original(*arguments)
        if len(lockstep.steps) + 1 == step:
            change(result)
        return result

    setattr(side, method, changed)
    return lockstep


def disagreements(lockstep: Lockstep) -> set[tuple[str, str]]:
    return {(opponent, what) for (opponent, what), f in lockstep.worst.items() if not f.difference.agrees}


def against_both(what: str) -> set[tuple[str, str]]:
    return {("autograd", what), ("nn.LSTM", what)}


@pytest.mark.parametrize("loss", ["bce", "mse"])
@pytest.mark.parametrize(
    "optimizer, options",
    [
        ("Adam", {}),
        ("Adam", {"weight_decay": 0.1}),
        ("SGD", {}),
        ("SGD", {"momentum": 0.9, "weight_decay": 0.1}),
        ("SGD", {"momentum": 0.9, "nesterov": True}),
    ],
)
def test_a_right_model_agrees_with_both_opponents(lockstep, optimizer, options, loss):
    run = train(lockstep(optimizer, loss, **options))
    assert run.agrees and not run.failures and not disagreements(run)
    assert all(run.worst_of(group) < 1e-13 for group in GROUPS)
    without = set() if optimizer == "Adam" or "momentum" in options else {"optimizer"}
    assert {finding.group for finding in run.worst.values()} == {*GROUPS} - without


def test_everything_is_compared_with_both_opponents(lockstep):
    run = train(lockstep(), steps=1)
    what = ["output logits", "loss loss"]
    what += [f"{group} {name}" for group in ("gradient", "parameter") for name in TENSORS]
    what += [f"optimizer {kind} of {name}" for kind in ("exp_avg", "exp_avg_sq") for name in TENSORS]
    assert run.worst.keys() == {(opponent, name) for opponent in ("autograd", "nn.LSTM") for name in what}


@pytest.mark.parametrize("name, index", TENSORS.items())
def test_one_wrong_element_is_found_with_tensor_step_and_position_in_that_step_only(lockstep, name, index):
    run = lockstep()

    def perturb(result):
        result.gradients[name][index] += 1e-9

    train(after(run, run.manual, "run", 2, perturb))
    assert not run.agrees
    assert disagreements(run) == against_both(f"gradient {name}")
    finding = run.worst["autograd", f"gradient {name}"]
    assert (finding.opponent, finding.group, finding.step) == ("autograd", "gradient", 2)
    assert finding.difference.name == name and finding.shape == run.manual.parameters[name].shape
    assert finding.difference.index == index
    assert finding.difference.actual - finding.difference.reference == pytest.approx(1e-9, rel=1e-4)
    assert [step.errors["gradient"] > 1e-12 for step in run.steps] == [False, True, False, False]
    assert all(step.errors[group] < 1e-12 for step in run.steps for group in GROUPS if group != "gradient")


def test_the_opponent_that_differs_is_the_one_that_is_named(lockstep):
    run = lockstep()

    def grow(result):
        result.gradients["readout.weight"] *= 1 + 1e-9

    def spoil(result):
        result.logits[3, 2, 0] += 1e-9
        result.loss[...] *= 1 + 1e-9

    after(run, run.opponents["nn.LSTM"], "run", 2, grow)
    train(after(run, run.opponents["autograd"], "run", 2, spoil))
    assert disagreements(run) == {
        ("nn.LSTM", "gradient readout.weight"), ("autograd", "output logits"), ("autograd", "loss loss"),
    }  # fmt: skip
    assert run.worst["autograd", "output logits"].difference.index == (3, 2, 0)


@pytest.mark.parametrize(
    "optimizer, kind", [("Adam", "exp_avg"), ("Adam", "exp_avg_sq"), ("SGD", "momentum_buffer"), ("Adam", "parameter")]
)
@pytest.mark.parametrize(
    "name",
    [
        "recurrent.weight_hh_l0",
        *rarely("recurrent.bias_hh_l0", "readout.weight", "readout.bias", mark=pytest.mark.slow),
    ],
)
def test_a_wrong_update_of_a_buffer_or_a_parameter_is_found_and_named(lockstep, optimizer, kind, name):
    run = lockstep(optimizer, **({"momentum": 0.9} if optimizer == "SGD" else {}))

    def perturb(_):
        wrong = run.manual.parameters if kind == "parameter" else run.manual.optimizer.buffers[kind]
        wrong[name] *= 1 + 1e-9

    train(after(run, run.manual, "update", 3, perturb))
    assert not run.agrees
    what = f"parameter {name}" if kind == "parameter" else f"optimizer {kind} of {name}"
    assert disagreements(run) == against_both(what)
    assert run.worst["autograd", what].step == 3


def test_a_missing_gradient_is_a_disagreement(lockstep):
    run = lockstep()
    run.opponents["autograd"].module.readout.bias.requires_grad_(False)
    train(run)
    assert disagreements(run) == {("autograd", "gradient readout.bias")}
    assert run.worst["autograd", "gradient readout.bias"].difference.problem == "missing in the reference"


def test_buffers_that_only_one_side_keeps_are_a_disagreement(lockstep):
    run = lockstep("SGD", momentum=0.9)
    opponent = run.opponents["autograd"]
    opponent.optimizer = torch.optim.SGD(opponent.module.parameters(), lr=0.05)
    run.step(np.random.default_rng(1).normal(size=(7, 3, 2)), np.full((7, 3, 1), 0.3))
    assert {("autograd", f"optimizer momentum_buffer of {name}") for name in TENSORS} <= disagreements(run)


def test_an_error_is_relative_to_the_largest_element_of_its_layer_so_far(lockstep):
    run, seen = lockstep(), []
    after(run, run.opponents["autograd"], "run", 1, lambda result: seen.append(result.gradients))
    after(run, run.opponents["autograd"], "run", 2, lambda result: seen.append(result.gradients))

    def perturb(result):
        for gradient in result.gradients.values():
            gradient[0] += 1e-6

    train(after(run, run.manual, "run", 2, perturb), steps=2)
    for layer in ("recurrent", "readout"):
        names = [name for name in TENSORS if name.startswith(layer)]
        largest = max(np.abs(gradients[name]).max() for gradients in seen for name in names)
        for name in names:
            error = run.worst["autograd", f"gradient {name}"].difference.error
            assert error == pytest.approx(1e-6 / largest, rel=1e-6)


def test_an_error_in_a_parameter_is_relative_to_the_largest_of_its_layer(lockstep):
    run = lockstep("SGD", lr=1e-9)
    run.manual.parameters["recurrent.weight_hh_l0"][2, 1] = 40

    def perturb(_):
        run.manual.parameters["recurrent.bias_ih_l0"][1] += 1e-6

    train(after(run, run.manual, "update", 1, perturb), steps=1)
    error = run.worst["autograd", "parameter recurrent.bias_ih_l0"].difference.error
    assert error == pytest.approx(1e-6 / 40, rel=1e-6)


def test_without_a_step_or_an_opponent_nothing_was_compared_and_nothing_agrees(lockstep):
    run = lockstep()
    run.finish()
    assert not run.agrees and not run.worst
    alone = train(Lockstep(run.manual, {}, run.autograd))
    assert not alone.failures and not alone.agrees


def test_a_readout_of_zeros_is_a_dead_model(lockstep):
    run = lockstep()
    run.manual.parameters["readout.weight"][...] = 0
    train(run)
    assert not disagreements(run) and not run.agrees
    sides = ("manual", "autograd", "nn.LSTM")
    names = [name for name in TENSORS if name.startswith("recurrent")]
    vanished = [f"{side}: the gradient of {name} has vanished" for side in sides for name in names]
    assert sorted(run.failures) == sorted(vanished)


def test_inputs_that_are_all_zero_are_no_failure(lockstep, batch):
    x, y = batch
    run = lockstep()
    assert not run.manual.run(0 * x, y).gradients["recurrent.weight_ih_l0"].any()
    run.step(x, y)
    run.step(0 * x, y)
    assert not run.failures and run.agrees


def test_one_vanished_gradient_is_a_failure_reported_once(lockstep):
    run = lockstep()

    def vanish(result):
        result.gradients["recurrent.bias_hh_l0"] *= 1e-310

    for step in (2, 3):
        after(run, run.manual, "run", step, vanish)
    assert train(run).failures == ["manual: the gradient of recurrent.bias_hh_l0 has vanished"]


@pytest.mark.parametrize("optimizer, rate", [("Adam", 0.0), ("SGD", 0.0), ("Adam", 1e-16), ("SGD", 1e-14)])
def test_a_loss_that_does_not_move_is_a_failure_of_both_sides(lockstep, optimizer, rate):
    run = train(lockstep(optimizer, lr=rate))
    assert not disagreements(run) and not run.agrees
    start = f"the loss on the first batch did not move from {run.steps[0].loss_manual:.6g}"
    assert run.failures == [f"manual: {start}", f"autograd: {start}"]


def test_a_small_learning_rate_is_no_failure(lockstep):
    assert train(lockstep("SGD", lr=1e-6)).agrees


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_on_all_sides_are_a_failure(lockstep, value):
    run = lockstep()
    run.manual.parameters["readout.bias"][0] = value
    with np.errstate(invalid="ignore"):
        train(run, steps=1)
    assert not run.agrees
    assert against_both("output logits") | against_both("parameter readout.bias") <= disagreements(run)
    assert run.worst["autograd", "output logits"].difference.problem == "not finite"
    assert run.steps[0].errors["output"] == np.inf == run.worst_of("output")
    assert not any("changed" in failure for failure in run.failures)


@pytest.mark.parametrize("side", ["manual", "autograd"])
def test_a_gradient_that_is_not_a_number_on_one_side_is_a_failure(lockstep, side):
    run = lockstep()
    trainer = run.manual if side == "manual" else run.opponents["autograd"]

    def spoil(result):
        result.gradients["readout.weight"][0, 2] = np.nan

    train(after(run, trainer, "run", 1, spoil), steps=1)
    finding = run.worst["autograd", "gradient readout.weight"]
    assert not run.agrees and finding.difference.error == np.inf
    assert finding.difference.problem == "not finite" and finding.difference.index == (0, 2)


@pytest.mark.slow
def test_opponents_copy_the_weights_before_each_step(lockstep):
    run = train(lockstep(), steps=2)
    with torch.no_grad():
        for opponent in run.opponents.values():
            for tensor in opponent.module.parameters():
                tensor.mul_(1.5)
    assert train(run, steps=13).agrees
    assert len(run.steps) == 15 and run.steps[-1].drift > 0
    assert all(step.drift < 1e-12 for step in run.steps)


def test_drift_is_relative_to_the_largest_parameter_and_no_disagreement(lockstep):
    run = lockstep("SGD", lr=0.0)
    run.autograd.parameters["readout.bias"] += 1e-3
    step = run.step(np.random.default_rng(1).normal(size=(7, 3, 2)), np.full((7, 3, 1), 0.3))
    largest = max(np.abs(array).max() for array in run.autograd.parameters.values())
    assert step.drift == pytest.approx(1e-3 / largest, rel=1e-9)
    assert all(error < 1e-12 for error in step.errors.values())


def test_the_independent_side_is_never_resynchronised(lockstep):
    run = train(lockstep(), steps=1)
    run.autograd.parameters["readout.bias"] += 1e-3
    train(run, steps=3)
    assert all(step.drift > 1e-5 for step in run.steps[1:])
    assert run.agrees


def test_the_independent_side_learns_from_its_own_gradients(lockstep):
    run = lockstep("SGD")

    def perturb(result):
        result.gradients["readout.weight"] *= 2

    train(after(run, run.manual, "run", 2, perturb))
    assert [step.drift > 1e-6 for step in run.steps] == [False, True, True, True]


def test_both_losses_the_errors_of_each_group_and_the_times_are_recorded(lockstep):
    run = train(lockstep())
    for step in run.steps:
        assert step.loss_manual == pytest.approx(step.loss_autograd, rel=1e-12)
        assert list(step.errors) == list(GROUPS)
    for group in GROUPS:
        assert run.worst_of(group) == max(step.errors[group] for step in run.steps)
    assert run.seconds.keys() == {"manual", *run.opponents, "comparing"}
    assert all(len(spent) == 4 and min(spent) > 0 for spent in run.seconds.values())
