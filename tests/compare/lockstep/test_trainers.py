import numpy as np
import pytest
import torch

import manual
import torch_impl
from compare.agreement import compare
from compare.lockstep.trainers import ManualTrainer, TorchTrainer

NAMES = [
    "recurrent.weight_ih_l0",
    "recurrent.weight_hh_l0",
    "recurrent.bias_ih_l0",
    "recurrent.bias_hh_l0",
    "readout.weight",
    "readout.bias",
]


@pytest.fixture(params=["manual", "written out", "torch.nn"])
def trainer(request, manual_trainer, torch_trainer):
    if request.param == "manual":
        return manual_trainer()
    return torch_trainer(layer=torch.nn.LSTM if request.param == "torch.nn" else torch_impl.LSTM)


def copied(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in arrays.items()}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_a_run_yields_a_loss_logits_and_a_gradient_for_each_parameter(trainer, batch):
    x, y = batch
    loss, logits, gradients = trainer.run(x, y)
    assert loss.shape == () and logits.shape == y.shape
    assert list(gradients) == list(trainer.parameters) == NAMES
    assert all(gradients[name].shape == array.shape for name, array in trainer.parameters.items())
    assert all(array.dtype == np.float64 for array in (loss, logits, *gradients.values()))


def test_a_run_changes_nothing_and_its_gradients_neither_add_up_nor_change_later(trainer, batch):
    x, y = batch
    trainer.update(trainer.run(x, y).gradients)
    parameters, buffers = copied(trainer.parameters), copied(trainer.buffers)
    first = trainer.run(x, y)
    loss, logits, gradients = first.loss.copy(), first.logits.copy(), copied(first.gradients)
    trainer.run(-x, 1 - y)
    assert first.loss == loss and np.array_equal(first.logits, logits) and same(first.gradients, gradients)
    assert same(trainer.run(x, y).gradients, gradients)
    assert same(trainer.parameters, parameters) and same(trainer.buffers, buffers)


def test_logits_are_those_of_a_run(trainer, batch):
    x, y = batch
    np.testing.assert_array_equal(trainer.logits(x), trainer.run(x, y).logits)


def test_an_update_uses_the_gradients_it_is_given_and_parameters_show_what_it_made_of_them(trainer, batch):
    gradients = trainer.run(*batch).gradients
    parameters, before = trainer.parameters, copied(trainer.parameters)
    given = {name: np.zeros_like(array) for name, array in gradients.items()}
    given["recurrent.bias_hh_l0"] = gradients["recurrent.bias_hh_l0"]
    for of, moved in ((given, ["recurrent.bias_hh_l0"]), (gradients, NAMES)):
        trainer.update(of)
        assert [name for name in NAMES if not np.array_equal(parameters[name], before[name])] == moved


@pytest.mark.parametrize("optimizer, options", [("Adam", {}), ("SGD", {"momentum": 0.9, "nesterov": True})])
@pytest.mark.parametrize("side", ["manual", "torch"])
def test_an_update_leaves_the_gradients_as_they_are(manual_trainer, torch_trainer, batch, side, optimizer, options):
    make, package = (manual_trainer, manual) if side == "manual" else (torch_trainer, torch.optim)
    trainer = make(getattr(package, optimizer), weight_decay=0.1, **options)
    gradients = trainer.run(*batch).gradients
    before = copied(gradients)
    for _ in range(3):
        trainer.update(gradients)
        assert same(gradients, before)


@pytest.mark.parametrize("loss", ["bce", "mse"])
def test_both_sides_yield_the_same_after_the_torch_side_has_followed(manual_trainer, torch_trainer, batch, loss):
    ours, theirs = manual_trainer(loss=loss), torch_trainer(loss=loss)
    theirs.follow(ours)
    one, other = ours.run(*batch), theirs.run(*batch)
    assert one.loss != manual_trainer(loss="mse" if loss == "bce" else "bce").run(*batch).loss
    pairs = [({"loss": one.loss, "logits": one.logits} | one.gradients)]
    pairs.append({"loss": other.loss, "logits": other.logits} | other.gradients)
    assert all(found.agrees for found in compare(*pairs, 1e-12))


@pytest.mark.parametrize(
    "optimizer, options, kinds",
    [("Adam", {}, ["exp_avg", "exp_avg_sq"]), ("SGD", {"momentum": 0.9}, ["momentum_buffer"]), ("SGD", {}, [])],
)
def test_both_sides_keep_buffers_of_the_same_names(manual_trainer, torch_trainer, batch, optimizer, options, kinds):
    ours = manual_trainer(getattr(manual, optimizer), **options)
    theirs = torch_trainer(getattr(torch.optim, optimizer), **options)
    for trainer in (ours, theirs):
        trainer.update(trainer.run(*batch).gradients)
    assert ours.buffers.keys() == theirs.buffers.keys() == {f"{kind} of {name}" for kind in kinds for name in NAMES}


def test_following_takes_over_parameters_and_buffers_bit_for_bit_once(manual_trainer, torch_trainer, batch):
    leader, follower = manual_trainer(seed=1), torch_trainer()
    assert follower.buffers == {}  # before its first step
    for trainer in (leader, follower):
        trainer.update(trainer.run(*batch).gradients)
    assert not same(follower.parameters, leader.parameters) and not same(follower.buffers, leader.buffers)
    follower.follow(leader)
    assert same(follower.parameters, leader.parameters) and same(follower.buffers, leader.buffers)
    bias = follower.module.readout.bias  # the module and its optimiser themselves
    assert bias.item() == leader.parameters["readout.bias"].item()
    assert follower.optimizer.state[bias]["exp_avg"].item() == leader.buffers["exp_avg of readout.bias"].item()
    parameters, buffers = copied(follower.parameters), copied(follower.buffers)
    leader.update(leader.run(*batch).gradients)
    assert same(follower.parameters, parameters) and same(follower.buffers, buffers)


def test_a_parameter_that_autograd_does_not_reach_has_no_gradient(torch_trainer, batch):
    trainer = torch_trainer()
    trainer.module.readout.bias.requires_grad_(False)
    assert list(trainer.run(*batch).gradients) == NAMES[:-1]


@pytest.mark.parametrize("side", ["manual", "torch"])
def test_only_what_the_optimiser_holds_learns_and_its_gradients_do_not_pile_up(side, manual_model, torch_model, batch):
    held = NAMES[0]
    if side == "manual":
        model = manual_model()
        trainer = ManualTrainer(model, manual.SGD({held: model.parameters[held]}, lr=0.1), "bce")
    else:
        module = torch_model()
        trainer = TorchTrainer(module, torch.optim.SGD([dict(module.named_parameters())[held]], lr=0.1), "bce")
    before = copied(trainer.parameters)
    first = copied(trainer.run(*batch).gradients)
    assert same(trainer.run(*batch).gradients, first)
    trainer.update(first)
    assert {name for name in NAMES if not np.array_equal(trainer.parameters[name], before[name])} == {held}
