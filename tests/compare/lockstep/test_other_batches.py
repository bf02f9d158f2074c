import numpy as np
import pytest

from compare.lockstep.adding import Adding
from compare.lockstep.other_batches import compare_other_batches
from compare.lockstep.settings import Settings
from compare.lockstep.training import train
from manual.fast.lstm import FastLSTM
from manual.fast.products import FromGates
from manual.linear import Linear


@pytest.fixture
def finished(lockstep, batch):
    run = lockstep()
    for _ in range(2):
        run.step(*batch)
    return run


def test_right_layers_agree_on_other_batches(finished, rng):
    compare_other_batches(finished, finished.autograd, 6, rng)
    assert finished.agrees and not finished.failures


@pytest.mark.slow
@pytest.mark.parametrize(
    "title, fails",
    [
        ("a single row", lambda T, B: B == 1),
        ("rows of different lengths", lambda T, B: B == 5),
        ("200 steps", lambda T, B: T > 100),
        ("200 rows", lambda T, B: B > 64),
    ],
)
def test_a_fault_in_batches_of_one_form_only_is_found(finished, rng, monkeypatch, title, fails):
    original = Linear.backward

    def wrong(self, tape, d_y):
        d_h, gradients = original(self, tape, d_y)
        return d_h, {name: g * (1 + 1e-9 * fails(*d_y.shape[:2])) for name, g in gradients.items()}

    monkeypatch.setattr(Linear, "backward", wrong)
    compare_other_batches(finished, finished.autograd, 6, rng)
    assert [failure.split(":")[:2] for failure in finished.failures] == [
        [title, " readout.weight"],
        [title, " readout.bias"],
    ]


@pytest.mark.parametrize("kind, method", [(FastLSTM, "forward"), (FromGates, "load")])
def test_a_manual_side_that_raises_ends_in_a_verdict(monkeypatch, kind, method):
    def fail(*arguments):
        raise ValueError("axis 3 is out of bounds")

    monkeypatch.setattr(kind, method, fail)
    run = train(Adding(Settings(hidden_size=3, bits=4, steps=3, batch_size=6)))
    assert not run.agrees and np.isnan(run.lockstep.steps[0].loss_manual)
    assert run.lockstep.failures == ["manual: forward and backward raised ValueError: axis 3 is out of bounds"]
