from dataclasses import dataclass

import pytest

from compare.published.audit.gradients import deviation, gradient_check
from compare.published.audit.learning_curves import initial_weights
from compare.published.systems import SYSTEMS, System, truth


@pytest.mark.slow
def test_a_right_gradient_does_not_deviate_and_a_wrong_one_does():
    for name in ("RNN, Python", "no-bias LSTM"):
        found = deviation(SYSTEMS[name], *initial_weights(SYSTEMS[name].recipe))
        if SYSTEMS[name].departures:
            assert found.error > 0.5 and abs(found.cosine) < 0.5
        else:
            assert found.error < 1e-12 and found.cosine == pytest.approx(1)


def test_a_gradient_is_summed_over_as_many_problems_as_the_recipe_has():
    for name, problems in (("LSTM layer, program", 1), ("LSTM class", 100), ("scalar-bias LSTM", 256)):
        assert deviation(SYSTEMS[name], *initial_weights(SYSTEMS[name].recipe)).problems == problems


def test_a_deviation_is_of_all_gradients_as_one_vector():
    @dataclass(frozen=True)
    class Half(System):
        """A system whose gradient is half the true one."""

        def solve(self, problem):
            answer = truth(self, problem).answer
            for gradient in answer.gradients.values():
                gradient /= 2
            return answer

    half = Half(**vars(SYSTEMS["no-bias LSTM"]))
    found = deviation(half, *initial_weights(half.recipe))
    assert found.error == pytest.approx(0.5) and found.cosine == pytest.approx(1)


def test_the_published_check_could_not_see_with_two_steps_what_a_third_shows():
    check = gradient_check(range(3))
    recurrent = [name for name in check[2] if name.startswith("weight_hh")]
    assert all(max(check[2][name]) < 1e-12 for name in recurrent) and len(recurrent) == 4
    assert min(check[3]["weight_hh_f"]) > 0.05  # the one it looked at
    assert len(set(check[3]["weight_hh_f"])) == 3  # of three starts
    for name in ("bias_i", "bias_o", "bias_g", "weight_ih_i", "weight_ih_g"):
        assert min(check[2][name]) > 0.05, name
