"""Whatever is typed or stands in a file: an exit status, words and files as they are documented."""

import argparse
import contextlib
import io
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import bits, network_of

from compare.cli import Parser, main
from compare.commands import COMMANDS
from compare.frameworks import files

#: Keras and torch have fallen out of step with NumPy here; nothing of it is ours.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

#: What is no number of any kind, what is no count either, and no choice. (`--` would end the options.)
NO_NUMBER = ["", "many", "1e400x", "-", "0x", "é", "nan", "-1", "-99999999999"]
NONSENSE = {int: [*NO_NUMBER, "inf", "1.5", "1e3"], float: NO_NUMBER, "choice": ["", "lion", "LSTM ", "σ"]}

#: What stands before the options.
POSITIONAL = {"check": ["a.py"], "new": ["a.py"], "convert": ["a.npz"], "add": ["run", "1", "2"]}
POSITIONAL |= {"recipes": ["trask-rnn"]}

SMALL = ["--steps=2", "--hidden-size=2", "--bits=3", "--batch-size=2"]


def ended(arguments: list[str]) -> tuple[int, str, str]:
    """Exit status, output and errors of a command line."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            status = main(arguments)
        except SystemExit as left:
            status = left.code
    return status, out.getvalue(), err.getvalue()


def options_of(command: str) -> list[argparse.Action]:
    """The options of a command that take a number or a choice."""
    parser = Parser(command)
    import_module(f"compare.commands.{command}").arguments(parser)
    return [one for one in parser._actions if one.option_strings and (one.type in NONSENSE or one.choices)]


@pytest.mark.slow
def test_nonsense_in_any_option_is_refused_on_one_line_before_any_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command, option in ((name, option) for name in COMMANDS for option in options_of(name)):
        for value in NONSENSE["choice" if option.choices else option.type]:
            given = [command, *POSITIONAL.get(command, []), f"{option.option_strings[-1]}={value}"]
            status, out, err = ended(given)
            assert (status, out, err.count("\n")) == (2, "", 1), (given, status, out, err)
            assert not list(tmp_path.iterdir()), given


def option(name: str, *values: str) -> st.SearchStrategy[list[str]]:
    return st.just([]) | st.sampled_from([[f"--{name}={value}"] for value in values])


@pytest.mark.exhaustive
@given(
    st.tuples(
        option("cell", "lstm", "gru", "rnn"),
        option("layers", "1", "2"),
        st.sampled_from([[], ["--bidirectional"]]),
        st.just([]) | option("momentum", "0.9").map(lambda more: ["--optimizer=sgd", *more]),
        option("learning-rate", "0", "1e-8", "0.03", "10"),
        option("weight-decay", "0", "0.01", "1"),
        option("loss", "bce", "mse"),
        option("dtype", "float32", "float64"),
        option("engine", "numpy", *(["compiled"] if find_spec("numba") else [])),
        option("seed", "0", "9999999999"),
        option("checkpoint-every", "1", "3"),
        option("out", "a/b", "run[/1]", "two words", "é"),
    )
)
@settings(max_examples=10, deadline=None)
def test_any_small_run_ends_with_a_verdict_and_all_of_its_files(chosen):
    with TemporaryDirectory() as place, contextlib.chdir(place):
        given = ["train", *SMALL, *(word for words in chosen for word in words)]
        status, out, err = ended(given)
        assert (status, err) in ((0, ""), (1, "")), (given, err)
        assert ("DISAGREE" in out) == (status == 1) and "AGREE" in out, (given, out)
        (summary,) = Path().rglob("summary.json")
        assert {path.name for path in summary.parent.iterdir()} >= {"summary.json", "steps.csv", "run.html"}
        assert not list(Path().rglob(".*")) and all(path.stat().st_size for path in Path().rglob("*.*")), given


#: Endings, each with a framework whose files have it, and whether a checksum guards all that a network is read from. In
#: an ONNX model it guards the arrays, but not the attributes of its operators.
KINDS = [
    (".safetensors", "torch", True),
    (".npz", "haiku", True),
    (".keras", "keras", True),
    (".weights.h5", "keras", True),
    (".onnx", "onnx", False),
    (".msgpack", "linen", True),
]

#: Where in a file, how many bytes of it go, and what stands there instead.
damages = st.tuples(st.floats(0, 1), st.sampled_from([0, 1, 8, 1000, 10**9]), st.binary(max_size=8))


@pytest.mark.exhaustive
@pytest.mark.parametrize("ending, framework, guarded", KINDS)
@given(damages)
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_of_weights_is_refused_on_one_line_or_has_the_numbers_that_were_written(
    ending, framework, guarded, damage
):
    pytest.importorskip({"linen": "flax"}.get(framework, framework))
    (share, gone, instead), network = damage, network_of("lstm", lacking=True)
    with TemporaryDirectory() as place:
        path, right, out = Path(place, f"weights{ending}"), Path(place, "right.npz"), Path(place, "out.npz")
        files.write(path, framework, network, prove=False)
        files.write(right, "torch", files.read(path, framework, prove=False).network, prove=False)
        whole = path.read_bytes()
        start = int(share * len(whole))
        path.write_bytes(whole[:start] + instead + whole[start + gone :])
        status, _, err = ended(["convert", str(path), "--from", framework, "--to", "torch", "--out", str(out)])
        if status:
            assert (status, err.count("\n"), out.exists()) == (2, 1, False), err
        elif guarded:
            read = [files.read(one, "torch", prove=False).network for one in (out, right)]
            assert bits(read[0]) == bits(read[1])
