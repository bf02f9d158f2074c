import pytest

from compare.lockstep.adding import compare_other_batches
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
