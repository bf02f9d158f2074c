import pytest

from compare.published.kernels import cost

pytestmark = pytest.mark.slow
FOUR = ["d_q", "d_k", "d_i", "d_f"]


@pytest.fixture(scope="module")
def costs():
    return cost.costs(draws=2)


def test_the_gradient_of_the_values_is_right(costs):
    for gradients in costs.values():
        assert gradients["d_v"]["error"] == [0, 0, 0]
        assert gradients["d_v"]["cosine"] == pytest.approx([1, 1, 1], rel=1e-12)


@pytest.mark.parametrize("name", FOUR)
def test_without_a_norm_a_gradient_is_off_by_about_its_own_length(name, costs):
    median, least, most = costs["no norm"][name]["error"]
    assert 0.8 < least <= median <= most < 1.2
    assert costs["no norm"][name]["cosine"][2] < 0.6


@pytest.mark.parametrize("name", FOUR)
def test_behind_a_norm_the_error_is_the_epsilon_of_the_norm(name, costs):
    assert 1e-7 < costs["layer norm"][name]["error"][1] < costs["layer norm"][name]["error"][2] < 1e-5
    assert costs["layer norm, ε = 0"][name]["error"][2] < 1e-13
