"""A user's file in a process of its own: whatever it does, the user sees their own lines and none of ours."""

import os
import select
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from derived import write
from tiers import first

from compare.cells.check import check_file
from compare.checker.process import check_within
from compare.commands.check import draw

pytestmark = pytest.mark.slow


#: Holds a named pipe open in the process of the check and in a child of it, and never ends.
ENDLESS = """
import subprocess

pipe = open({pipe!r}, "wb", buffering=0)
pipe.write(b"x")
subprocess.run(["sleep", "1000"], stdout=pipe)
"""

#: Writes something to the pipe that the result comes through.
WRITING = """
import gc, os
from multiprocessing.connection import Connection

(pipe,) = [one for one in gc.get_objects() if isinstance(one, Connection)]
"""


def check(path, seconds=60, memory=8):
    return check_within(check_file, partial(draw, path.name), seconds, memory, path)


def message(path, seconds=60, memory=8):
    with pytest.raises(ValueError) as error:
        check(path, seconds, memory)
    return str(error.value)


def endless(folder):
    """A file that never ends, and the pipe whose other end it and its child hold."""
    pipe, path = folder / "pipe", folder / "mine.py"
    os.mkfifo(pipe)
    path.write_text(ENDLESS.format(pipe=str(pipe)))
    return path, pipe


@contextmanager
def reading(pipe):
    """The end of a named pipe to read from, once there is something to read."""
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as held:
        assert select.select([held], [], [], 60)[0]
        assert held.read(1) == b"x"
        yield held


def is_closed(held):
    """Whether everyone who could write to the pipe is gone, within ten seconds."""
    return bool(select.select([held], [], [], 10)[0]) and held.read(1) == b""


def test_a_process_is_started_for_a_check(tmp_path):
    assert check(write(tmp_path / "mine.py", "rnn")).found["verdict"] == "agree"


def test_a_right_file_comes_back_as_found(tmp_path, preloaded):
    checked = check(write(tmp_path / "mine.py", "rnn"))
    assert checked.found["verdict"] == "agree"
    assert checked.found["subject"] == str(tmp_path / "mine.py")
    assert checked.text.startswith(f"AGREE: {tmp_path / 'mine.py'}: 13 intermediates")
    assert [*checked.drawn] == ["check.html"] and b"mine.py" in checked.drawn["check.html"]


def test_an_error_in_the_file_is_shown_from_the_file_on(tmp_path, preloaded):
    path = write(tmp_path / "mine.py", "rnn", ("d_h * (1 - h * h)", "slope(d_h, h)"))
    path.write_text(path.read_text() + "\n\ndef slope(d, h):\n    return d[:, :2] * (1 - k * h)\n")
    text = message(path)
    assert text.startswith("Traceback (most recent call last):")
    assert text.count('File "') == 2
    assert text.count(str(path)) == 2
    assert "return d[:, :2] * (1 - k * h)" in text
    assert text.splitlines()[-1].startswith("NameError: name 'k' is not defined")


def test_an_error_in_the_reference_is_shown_from_the_reference_on(tmp_path, preloaded):
    mine, reference = tmp_path / "mine.py", tmp_path / "reference.py"
    mine.write_text(
        "INPUTS = {'x': (2, 3)}\n\ndef forward(x):\n    return x, None\n\ndef backward(tape, d):\n    return d\n"
    )
    reference.write_text("def reference(x):\n    return x + x[:1, :2]\n")
    with pytest.raises(ValueError) as error:
        check_within(check_file, partial(draw, mine.name), 60, 8, mine, (reference, "reference"))
    text = str(error.value)
    assert text.count('File "') == text.count(str(reference)) == 1
    assert "return x + x[:1, :2]" in text
    assert text.splitlines()[-1].startswith("RuntimeError: The size of tensor a (3) must match")


def test_where_the_code_stops_at_a_wrong_shape_the_reference_fed_back_shows_which(tmp_path, preloaded):
    path = write(tmp_path / "mine.py", "rnn", ("d_h * (1 - h * h)", "(d_h * (1 - h * h)).T"))
    checked = check(path)
    (fault,) = checked.found["faults"]
    assert (fault["name"], fault["problem"]) == ("d_z_h", "shape (5, 3), expected (3, 5)")
    assert "d_z_h" in path.read_text().splitlines()[fault["line"] - 1]
    assert "Without the reference fed back, the code raises ValueError: " in checked.text
    assert checked.drawn["faults.png"].startswith(b"\x89PNG")


def test_a_wrong_number_of_values_is_one_line(tmp_path, preloaded):
    path = write(tmp_path / "mine.py", "rnn", ("return d_x, d_h_prev, gradients", "return d_x, gradients"))
    assert message(path).endswith("backward: expected d_x, d_h_0 and the gradients, got 2 values")


def test_a_file_that_is_no_python(tmp_path, preloaded):
    path = tmp_path / "mine.py"
    path.write_text("def forward(:\n")
    text = message(path)
    assert text.splitlines()[0].strip() == f'File "{path}", line 1'
    assert text.splitlines()[-1] == "SyntaxError: invalid syntax"


def test_a_file_that_ends_the_process(tmp_path, preloaded):
    path = tmp_path / "mine.py"
    path.write_text("import os\n\nos._exit(3)\n")
    assert message(path) == f"{path}: expected a result, but its process ended without one"


def test_a_file_that_takes_all_memory(tmp_path, preloaded):
    path = write(tmp_path / "mine.py", "rnn", ("    d_h_prev = d_h_n\n", "    d_h_prev = d_h_n + np.ones(2**28)[0]\n"))
    assert "Unable to allocate 2.00 GiB for an array with shape (268435456,)" in message(path, memory=1)


def test_a_file_that_never_ends_is_ended_with_its_children(tmp_path, preloaded):
    path, pipe = endless(tmp_path)
    with ThreadPoolExecutor() as pool:
        ended = pool.submit(message, path, seconds=4)
        with reading(pipe) as held:
            assert ended.result() == f"{path}: expected a result within 4 s (--timeout), got none"
            assert is_closed(held)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "writes",
    ["while True:\n    os.write(pipe.fileno(), bytes(1 << 16))", "os.write(pipe.fileno(), bytes(4))\nwhile True: ..."],
)
def test_neither_a_message_that_never_ends_nor_four_bytes_hold_the_check_up(writes, tmp_path, preloaded):
    path = tmp_path / "mine.py"
    path.write_text(f"{WRITING}\n{writes}\n")
    assert message(path, seconds=4) == f"{path}: expected a result within 4 s (--timeout), got none"


@pytest.mark.parametrize(
    "forged", first(1, [b'{"agrees": true, "found": {}}', b"\x00\x00\x00\x10{}", bytes(5)]), ids=repr
)
def test_a_message_that_the_file_writes_does_not_turn_the_verdict(tmp_path, preloaded, forged):
    path = write(tmp_path / "mine.py", "rnn", ("d_h * (1 - h * h)", "d_h"))
    path.write_text(f"{path.read_text()}\n{WRITING}\nos.write(pipe.fileno(), {forged!r})\n")
    checked = check(path)
    assert checked.found["verdict"] == "disagree"
    assert [fault["name"] for fault in checked.found["faults"]] == ["d_z_h"]


@pytest.mark.parametrize("stream", first(1, ["None", "object()"]))
def test_a_file_may_replace_standard_output(tmp_path, preloaded, stream):
    path = write(tmp_path / "mine.py", "rnn", ("d_h * (1 - h * h)", "d_h"))
    path.write_text(f"{path.read_text()}\nimport sys\n\nsys.stdout = sys.stderr = {stream}\n")
    assert check(path).found["verdict"] == "disagree"


@pytest.mark.exhaustive
def test_a_copy_of_the_process_sends_no_result(tmp_path, preloaded):
    path = write(tmp_path / "mine.py", "rnn", ("d_h * (1 - h * h)", "d_h if WRONG else d_h * (1 - h * h)"))
    path.write_text(f"import os, time\n\nWRONG = os.fork() != 0\nif WRONG:\n    time.sleep(1)\n\n{path.read_text()}")
    assert check(path).found["verdict"] == "disagree"


@pytest.mark.parametrize("number", first(1, [signal.SIGKILL, signal.SIGINT]))
def test_a_file_ends_with_the_command_that_checks_it(tmp_path, number):
    path, pipe = endless(tmp_path)
    command = subprocess.Popen(
        [sys.executable, "-m", "compare", "check", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with reading(pipe) as held:
        command.send_signal(number)
        command.wait()  # not for the end of its output, which what it leaves behind would hold open
        assert is_closed(held)


def test_a_file_may_import_files_beside_it_and_have_annotations_that_are_strings(tmp_path, preloaded):
    (tmp_path / "slopes.py").write_text("def slope(h):\n    return 1 - h * h\n")
    path = write(tmp_path / "mine.py", "rnn", ("d_h * (1 - h * h)", "d_h * slope(h)"))
    _, doc, code = path.read_text().split('"""', 2)
    added = (
        "from __future__ import annotations\n\nfrom dataclasses import dataclass\n\nfrom slopes import slope\n\n\n"
        "@dataclass\nclass Step:\n    h: np.ndarray\n"
    )
    path.write_text(f'"""{doc}"""\n\n{added}\n\n{code}')
    assert check(path).found["verdict"] == "agree"
