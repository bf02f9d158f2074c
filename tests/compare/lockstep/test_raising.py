"""Whatever the hand-derived side raises, wherever and whenever it does, is a verdict that is printed."""

import pytest

import manual
from compare.cli import main
from compare.lockstep.trainers import ManualTrainer
from manual.recurrent import Recurrent

SMALL = ["--steps", "2", "--hidden-size", "2", "--bits", "3", "--batch-size", "2"]


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch, undrawn):
    monkeypatch.chdir(tmp_path)


AXIS = ValueError("no axis 3")


def failing(monkeypatch, kind, method, error=AXIS, after=0):
    """Let a method raise an error once it has been called ``after`` times."""
    original, calls = getattr(kind, method), []

    def fail(*arguments, **options):
        calls.append(1)
        if len(calls) > after:
            raise error
        return original(*arguments, **options)

    monkeypatch.setattr(kind, method, fail)


@pytest.mark.parametrize("error", [ValueError("no axis 3"), SystemExit(0)])
@pytest.mark.parametrize("kind", [Recurrent, manual.Linear, manual.Model, manual.Adam])
def test_while_the_network_is_built(kind, error, monkeypatch, capsys, tmp_path):
    failing(monkeypatch, kind, "__init__", error)
    assert main(SMALL) == 1
    said = f"DISAGREE: manual: building the network raised {type(error).__name__}: {error}\n"
    assert capsys.readouterr() == (said, "")
    assert not list(tmp_path.rglob("summary.json"))


@pytest.mark.slow
def test_while_the_network_of_a_recipe_is_built(monkeypatch, capsys):
    failing(monkeypatch, manual.SGD, "__init__")
    assert main(["--recipe", "matlab-rnn", "--steps", "1"]) == 1
    assert capsys.readouterr().out == "DISAGREE: manual: building the network raised ValueError: no axis 3\n"


@pytest.mark.slow
@pytest.mark.parametrize("method, place", [("forward", "forward and backward"), ("backward", "forward and backward")])
@pytest.mark.parametrize("after", [0, 1, 2], ids=["first step", "last step", "first batch again"])
def test_while_it_trains_and_right_after(method, place, after, monkeypatch, capsys):
    failing(monkeypatch, manual.Model, method, SystemExit(0), after)
    assert main([*SMALL, "--quiet"]) == 1
    assert capsys.readouterr().out.endswith(f"; manual: {place} raised SystemExit: 0\n")


@pytest.mark.parametrize("name", ["parameters", "buffers"])
def test_while_it_hands_something_out(name, monkeypatch, capsys):
    def fail(trainer):
        raise KeyError("weight_ih")

    monkeypatch.setattr(ManualTrainer, name, property(fail))
    assert main([*SMALL, "--quiet"]) == 1
    assert "raised KeyError: 'weight_ih'" in capsys.readouterr().out


def test_parameters_of_other_names_are_named(monkeypatch, capsys):
    names = manual.Model.parameters.fget
    monkeypatch.setattr(
        manual.Model, "parameters", property(lambda model: {n.replace("hh", "hx"): a for n, a in names(model).items()})
    )
    assert main(SMALL) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("DISAGREE: manual: copying its parameters raised ValueError: parameters: expected [")
    assert "'recurrent.weight_hx_l0'" in printed


@pytest.mark.slow
@pytest.mark.parametrize("loss", [None, [0.5], "0.5"])
def test_a_loss_that_is_no_number_is_named(loss, monkeypatch, capsys):
    monkeypatch.setitem(manual.LOSSES, "bce", (lambda z, y: loss, manual.LOSSES["bce"][1]))
    assert main([*SMALL, "--quiet"]) == 1
    assert "DISAGREE: 2 steps in float64; loss loss" in capsys.readouterr().out


@pytest.mark.parametrize("gradients", [None, 3])
def test_gradients_that_are_no_mapping_are_a_verdict(gradients, monkeypatch, capsys):
    monkeypatch.setattr(manual.Model, "backward", lambda *arguments: (None, None, gradients))
    assert main([*SMALL, "--quiet"]) == 1
    assert "manual: forward and backward raised TypeError: " in capsys.readouterr().out


def test_a_lack_of_memory_is_no_verdict(monkeypatch, capsys):
    failing(monkeypatch, manual.Model, "forward", MemoryError("Unable to allocate 8 GiB"))
    assert main(SMALL) == 3
    assert capsys.readouterr().err == "python -m compare: out of memory: Unable to allocate 8 GiB\n"
