"""A file's cell in training: in lock-step with its equations under autograd, and out of step where it is wrong."""

import pytest
from derived import write

from compare.lockstep.own import OwnAdding
from compare.lockstep.settings import Settings
from compare.lockstep.training import train

SMALL = Settings(hidden_size=4, bits=4, steps=12, batch_size=6)


@pytest.mark.parametrize("cell", ["rnn", "gru"])
@pytest.mark.slow
def test_a_file_is_trained_in_lock_step(cell, tmp_path):
    run = train(OwnAdding(write(tmp_path / "mine.py", cell), SMALL))
    assert run.agrees
    assert len(run.lockstep.steps) == 12
    assert {finding.group for finding in run.lockstep.worst.values()} >= {"output", "gradient", "parameter"}
    assert [sums.bits for sums in run.correct_sums] == [4, 64, 1024]
    assert run.checked.subject == str(tmp_path / "mine.py")


@pytest.mark.exhaustive
def test_a_wrong_gradient_is_found_in_training(tmp_path):
    path = write(tmp_path / "mine.py", "rnn", ('["weight_hh"] += h_prev.T @ d_z_h', '["weight_hh"] += h.T @ d_z_h'))
    run = train(OwnAdding(path, SMALL))
    assert not run.agrees
    wrong = {finding.difference.name for finding in run.lockstep.worst.values() if not finding.difference.agrees}
    assert "recurrent.weight_hh_l0" in wrong


def test_biases_that_the_reference_has_not_are_refused(tmp_path):
    path = write(tmp_path / "mine.py", "rnn", ('"biases": 1', '"biases": 0'))
    with pytest.raises(ValueError, match="LAYOUT: biases: expected others than 0 and 'scalar' to train"):
        OwnAdding(path, SMALL).set_up()
