import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compare.binary_addition import Sums, all_sums, batches, carry_chains, digits, random_sums, sums_to_count


def column(number: int, bits: int) -> np.ndarray:
    return np.array([number >> t & 1 for t in range(bits)])


def numbers(columns: np.ndarray) -> list[int]:
    """What (T, B) bits stand for, as Python's own integers."""
    return [int("".join(map(str, bits[::-1])), 2) for bits in columns.T]


def assert_sums_are_right(sums: Sums) -> None:
    assert {array.shape for array in (sums.a, sums.b, sums.total)} == {sums.a.shape}
    for a, b, total in zip(*map(numbers, (sums.a, sums.b, sums.total)), strict=True):
        assert a + b == total


@given(st.lists(st.tuples(st.integers(0, 2**200), st.integers(0, 2**200)), min_size=1, max_size=4), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_sums_of_any_length_are_those_of_pythons_integers(pairs, to_spare):
    bits = max(max(a, b).bit_length() for a, b in pairs) + 1 + to_spare
    a, b = (np.stack([column(number, bits) for number in side], axis=1) for side in zip(*pairs))
    sums = Sums.adding(a, b)
    assert numbers(sums.total) == [a + b for a, b in pairs]
    assert set(np.unique(sums.total)) <= {0, 1}


@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=5), st.integers(1, 63))
@settings(max_examples=40, deadline=None)
def test_digits_are_the_lowest_bits_least_significant_first(values, bits):
    assert numbers(digits(np.array(values), bits)) == [value % 2**bits for value in values]


@pytest.mark.parametrize("bits", [2, 3, 5, 8])
def test_every_problem_is_there_once_and_right(bits):
    sums = all_sums(bits)
    half = range(2 ** (bits - 1))
    assert sorted(zip(numbers(sums.a), numbers(sums.b))) == [(a, b) for a in half for b in half]
    assert_sums_are_right(sums)


@pytest.mark.parametrize("bits", [2, 9, 64, 1024])
def test_random_sums_of_any_length_are_right_and_their_sums_fit(rng, bits):
    sums = random_sums(rng, bits, 11)
    assert sums.a.shape == (bits, 11)
    assert_sums_are_right(sums)
    assert not sums.a[-1].any() and not sums.b[-1].any()


def test_random_sums_reach_every_pair_about_equally_often(rng):
    sums = random_sums(rng, 3, 16_000)
    pairs, counts = np.unique([numbers(sums.a), numbers(sums.b)], axis=1, return_counts=True)
    assert pairs.shape[1] == 16
    assert counts.min() > 800 and counts.max() < 1200


@pytest.mark.parametrize("bits", [2, 8, 64, 1024])
def test_carry_chains_are_right_and_run_the_whole_length_from_either_side(bits):
    sums = carry_chains(bits)
    assert_sums_are_right(sums)
    pairs = list(zip(numbers(sums.a), numbers(sums.b)))
    full = 2 ** (bits - 1) - 1
    assert (full, 1) in pairs and (1, full) in pairs
    assert numbers(sums.total)[pairs.index((full, 1))] == full + 1


def test_carry_chains_are_all_different_with_carries_everywhere_nowhere_and_in_between():
    sums = carry_chains(64)
    assert len(set(zip(numbers(sums.a), numbers(sums.b)))) == sums.a.shape[1] == 7
    carries = ((sums.a ^ sums.b ^ sums.total) == 1).sum(axis=0)
    assert {0, 63} < set(carries.tolist())
    assert any(15 < count < 63 for count in carries)


@pytest.mark.parametrize("bits, count", [(5, 256), (8, 16_384), (9, 20 + 7), (64, 20 + 7)])
def test_a_network_is_judged_by_all_short_sums_and_by_a_sample_of_long_ones_with_the_hardest(rng, bits, count):
    sums = sums_to_count(rng, bits, 20)
    assert sums.total.shape == (bits, count)
    assert_sums_are_right(sums)
    assert (2 ** (bits - 1) - 1, 1) in zip(numbers(sums.a), numbers(sums.b))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inputs_are_a_and_b_side_by_side_and_targets_the_bits_of_the_sum(rng, dtype):
    sums = random_sums(rng, 5, 3)
    x, y = sums.inputs(dtype), sums.targets(dtype)
    assert x.shape == (5, 3, 2) and y.shape == (5, 3, 1) and x.dtype == y.dtype == dtype
    np.testing.assert_array_equal(x, np.stack([sums.a, sums.b], axis=2))
    np.testing.assert_array_equal(y[:, :, 0], sums.total)


def test_a_sum_is_solved_only_if_every_bit_is_right(rng):
    sums = random_sums(rng, 6, 4)
    logits = np.where(sums.total == 1, 0.3, -0.2)[:, :, None]
    assert sums.share_correct(logits) == 1
    logits[2, 1, 0] *= -1
    assert sums.share_correct(logits) == 0.75
    logits[5, 1, 0] *= -1
    assert sums.share_correct(logits) == 0.75
    logits[5, 3, 0] *= -1
    assert sums.share_correct(logits) == 0.5
    assert sums.share_correct(-logits) == 0


def test_adding_problems_up_puts_both_sets_side_by_side(rng):
    one, other = random_sums(rng, 6, 2), random_sums(rng, 6, 3)
    both = one + other
    for part in ("a", "b", "total"):
        np.testing.assert_array_equal(getattr(both, part)[:, :2], getattr(one, part))
        np.testing.assert_array_equal(getattr(both, part)[:, 2:], getattr(other, part))


def test_batches_are_problems_of_the_asked_for_shape_and_right():
    made = list(batches(np.random.default_rng(3), 6, 5, 4, "float32"))
    assert len(made) == 4
    for x, y in made:
        assert x.shape == (6, 5, 2) and y.shape == (6, 5, 1)
        assert x.dtype == y.dtype == np.float32
        whole = x.astype(int), y.astype(int)
        assert_sums_are_right(Sums(whole[0][:, :, 0], whole[0][:, :, 1], whole[1][:, :, 0]))


def test_the_same_seed_makes_the_same_batches_another_others_and_a_shorter_run_the_first_of_them():
    def bits(seed: int, steps: int = 4) -> list[bytes]:
        return [x.tobytes() + y.tobytes() for x, y in batches(np.random.default_rng(seed), 6, 5, steps, "float64")]

    assert bits(3) == bits(3) == bits(3, 7)[:4]
    assert len(set(bits(3) + bits(4))) == 8
