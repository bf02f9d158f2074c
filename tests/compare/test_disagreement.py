import pytest

from compare.disagreement import Disagreement, by_hand


@pytest.mark.parametrize("error", [ValueError("no axis 3"), OSError("no axis 3"), SystemExit("no axis 3")])
def test_whatever_is_raised_is_a_verdict_that_names_it(error):
    said = f"^manual: backward raised {type(error).__name__}: no axis 3$"
    with pytest.raises(Disagreement, match=said), by_hand("backward"):
        raise error


def test_half_a_character_is_written_out():
    with pytest.raises(Disagreement, match=r"raised ValueError: σ\\ud800$"), by_hand("backward"):
        raise ValueError("σ\ud800")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError("8 GiB"), Disagreement("manual: wrong: d_x")])
def test_an_interrupt_a_lack_of_memory_and_a_verdict_are_none(error):
    with pytest.raises(type(error)) as caught, by_hand("backward"):
        raise error
    assert caught.value is error
