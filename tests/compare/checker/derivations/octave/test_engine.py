"""Octave beside: values go there and back, an error leaves it ready for the next call, and it ends with the check."""

import subprocess

import numpy as np
import pytest
from extras import needs_octave

from compare.checker.derivations.octave.engine import Engine
from compare.checker.recorder import Place

pytestmark = needs_octave


@pytest.fixture
def engine(tmp_path):
    """An Octave whose forward does what is written to it, with ``x`` as its argument."""
    (tmp_path / "backward.m").write_text("function backward()\nend\n")

    def made(*lines):
        (tmp_path / "forward.m").write_text("\n".join(["function [out, tape] = forward(x)", *lines, "end\n"]))
        return Engine(tmp_path)

    return made


def forward(engine, x, probe=None):
    return engine.call("forward", probe is not None, 2, [x], probe=probe)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "value",
    [
        np.arange(24.0).reshape(2, 3, 4),
        np.array([[True, False]]),
        np.float32([[1.5, 2.5]]),
        np.zeros((0, 3)),
        "ö: text",
        {"a": np.ones((2, 1)), "b": {"c": np.zeros((1, 1))}},
    ],
)
def test_a_value_comes_back_as_it_went(engine, value):
    returned = forward(engine("out = x; tape = 0;"), value)
    np.testing.assert_equal(returned, value)
    if isinstance(value, np.ndarray):
        assert returned.dtype == value.dtype


@pytest.mark.slow
@pytest.mark.parametrize(
    "line, value, expected",
    [
        ("size(x)", np.arange(5.0), [[5, 1]]),  # a vector is a column
        ("x(2, 3, 4) + 100 * x(1, 2, 3)", np.arange(24).reshape(2, 3, 4), [[23 + 600]]),
        ("int32(x) + 1", 3, [[4.0]]),
        ("isempty(x)", None, [[True]]),
    ],
)
def test_an_array_has_the_same_indices_there(engine, line, value, expected):
    np.testing.assert_array_equal(forward(engine(f"out = {line}; tape = 0;"), value), expected)


@pytest.mark.slow
@pytest.mark.parametrize("line", ["{1}", "1 + 2i", "@sin", "struct('a', {1, 2})"])
def test_what_has_no_like_is_named_rather_than_guessed(engine, line):
    returned = forward(engine(f"out = {line}; tape = 0;"), 0)
    assert isinstance(returned, list) or returned.dtype == object


@pytest.mark.slow
def test_what_cannot_be_sent_is_refused_and_the_next_call_works(engine):
    one = engine("out = x; tape = 0;")
    with pytest.raises(ValueError, match="expected numbers, truth values, text or dicts of these, got ndarray"):
        forward(one, {"a": np.zeros(2), "b": np.ones(2) * 1j})
    assert forward(one, 4) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "lines, words",
    [
        (["y = x * ones(3, 1);", "out = y * ones(5, 2);"], r"forward.m:3: .*nonconformant"),
        (["out = 1;", "", "q = nowhere(2);"], r"forward.m:4: .*nowhere"),
        (["out = 2 +* 3;"], "parse error near line 2 of file .*forward.m"),
        (["tape = 1;"], "'out' undefined|out"),
    ],
)
def test_an_error_has_its_line_and_leaves_octave_ready(engine, lines, words):
    one = engine(*lines)
    for _ in range(2):
        with pytest.raises(ValueError, match=words) as error:
            forward(one, np.ones((2, 3)))
        assert "\n" not in str(error.value)
    one.call("folder", str(one.folder))


@pytest.mark.slow
def test_a_probe_is_a_round_trip_with_its_line_and_step(engine):
    seen = []

    def probe(name, step, value, place):
        seen.append((name, step, value.tolist(), place))
        return value + 1

    one = engine("out = probe('a', x);", "out = out + probe('b', 3, ...", "  out * 10); tape = 0;")
    assert forward(one, 1.0, probe) == 2 + 21
    file = str(one.folder / "forward.m")
    assert seen == [("a", None, [[1]], Place(file, 2)), ("b", 2, [[20]], Place(file, 3))]
    assert forward(one, 1.0) == 1 + 10  # where nobody listens, a probe returns its value


@pytest.mark.parametrize("rest", ["", "try, probe('b', x); catch, end; probe('c', x);"])
def test_an_error_of_the_probe_comes_back_with_its_line_and_octave_is_ready(engine, rest):
    def probe(name, step, value, place):
        raise ValueError("no such name")

    one = engine(f"try, probe('a', x); catch, end; {rest} out = 5; tape = 0;")
    with pytest.raises(ValueError, match=r"forward\.m:2: no such name"):
        forward(one, 1, probe)
    assert forward(one, 1) == 5


@pytest.mark.slow
def test_octave_ends_with_the_check_and_its_end_is_an_error(engine):
    one = engine("kill(getpid(), 9); out = 1; tape = 0;")
    with pytest.raises(ValueError, match="expected an answer from Octave, but it ended without one"):
        forward(one, 1)
    other = engine("out = getpid(); tape = 0;")
    pid = int(forward(other, 1).item())
    other.close()
    assert subprocess.run(["kill", "-0", str(pid)], capture_output=True).returncode


def test_without_octave_the_message_names_it(engine, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match=r"octave-cli: expected GNU Octave on the path, to run .*, got none"):
        engine()
