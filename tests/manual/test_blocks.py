import numpy as np
from oracles import Experiment


def test_gradients_stand_in_memory_of_their_own_one_row_after_the_other(kernel):
    _, (d_x, d_state, gradients) = Experiment.random(kernel).run()
    arrays = [d_x, *d_state, *gradients.values()]
    assert all(array.flags.c_contiguous for array in arrays)
    assert not any(np.shares_memory(a, b) for k, a in enumerate(arrays) for b in arrays[:k])
