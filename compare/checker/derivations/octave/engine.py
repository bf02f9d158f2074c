"""One GNU Octave, kept running beside: its functions are called over two pipes.

A value is a letter, its sizes and its numbers, in the order of columns as MATLAB has them. What forward keeps for
backward never leaves Octave. An error leaves both sides at the end of a message, so that the next call works.
"""

import os
import shutil
import signal
import struct
import subprocess
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from compare.checker.recorder import Place

#: The letters of arrays, by the kind of number: what they are sent as.
ARRAYS: dict[str, np.dtype[Any]] = {"b": np.dtype(np.uint8), "f": np.dtype(np.float32), "d": np.dtype(np.float64)}

#: Called with the name, the step from 0 or None, the value and the place of a probe; returns the value to go on with.
Probe = Callable[[str, int | None, Any, Place], Any]


class Engine:
    """An Octave that has the functions of a folder on its path; a ValueError if it lacks one, or there is no Octave.

    Args:
        folder: the folder, with ``forward.m`` and ``backward.m``.
        shown: the folder that is named in its place, if it is a copy.
        keeping: what is to live as long as this does.
    """

    def __init__(self, folder: Path, shown: Path | None = None, keeping: Any = None):
        for name in ("forward.m", "backward.m"):
            if not (folder / name).is_file():
                raise ValueError(f"FILE: expected a Python file, or a folder with {name} in it; got {folder}")
        program = shutil.which("octave-cli")
        if program is None:
            raise ValueError(f"octave-cli: expected GNU Octave on the path, to run {folder}, got none")
        self.folder, self.keeping = folder, keeping
        self._shown = (shown or folder).resolve()
        (their_in, to), (out, their_out) = os.pipe(), os.pipe()
        theirs = their_in, their_out
        process = subprocess.Popen(
            [program, "--no-gui", "-qf", "--eval", "driver('/dev/fd/{}', '/dev/fd/{}')".format(*theirs)],
            cwd=Path(__file__).parent,  # so that no function of the user's hides the driver's
            stdin=subprocess.DEVNULL,
            stdout=sys.__stderr__ or subprocess.DEVNULL,
            pass_fds=theirs,
        )
        for one in theirs:
            os.close(one)
        self._to, self._from = os.fdopen(to, "wb"), os.fdopen(out, "rb")
        self.close = weakref.finalize(self, _end, process, self._to, self._from)
        self.call("folder", str(folder.resolve()))

    def call(self, request: str, *arguments: Any, probe: Probe | None = None) -> list[Any]:
        """Return what a request of the driver's answers.

        Raises:
            ValueError: a function raised an error; the message has its file and line. An exception of the probe
                propagates, once the function has ended.
        """
        stopped: Exception | None = None
        try:
            self._send([request, *arguments])
            while True:
                kind, *answer = self._read()
                if kind == "done":
                    break
                if kind == "error":
                    message, file, line = answer
                    where = "{0.file}:{0.line}: ".format(self._place(file, line)) if file else ""
                    raise stopped or ValueError(where + "; ".join(filter(None, map(str.strip, message.splitlines()))))
                name, step, value, file, line = answer
                place = self._place(file, line)
                try:
                    assert probe, "otherwise none is heard"
                    if stopped:
                        raise stopped
                    self._send([probe(name, int(_number(step)) - 1 if step.size else None, value, place)])
                except Exception as error:
                    stopped = stopped or place.named_in(error)
                    self._send(["stop", str(stopped)])
        except (EOFError, BrokenPipeError):
            self.close()
            raise ValueError(f"{self.folder}: expected an answer from Octave, but it ended without one") from None
        except BaseException as error:
            if not isinstance(error, ValueError):
                self.close()
            raise
        if stopped:  # and the user's code went on
            raise stopped
        return answer

    def _place(self, file: str, line: Any) -> Place:
        """Return a line of one of the folder's files."""
        path = Path(file)
        return Place(str(self._shown / path.name if path.parent == self.folder.resolve() else path), int(_number(line)))

    def _send(self, value: Any) -> None:
        data = BytesIO()
        _write(data, value)  # all of it before any of it is sent
        self._to.write(data.getbuffer())
        self._to.flush()

    def _read(self) -> Any:
        def exactly(count: int) -> bytes:
            data = self._from.read(count)
            if len(data) < count:
                raise EOFError
            return data

        letter = exactly(1).decode()
        (axes,) = struct.unpack("=d", exactly(8))
        sizes = tuple(int(size) for size in struct.unpack(f"={int(axes)}d", exactly(8 * int(axes))))
        if letter == "l":
            return [self._read() for _ in range(sizes[0])]
        if letter == "s":
            return {self._read(): self._read() for _ in range(sizes[0])}
        if letter in "cx":
            text = exactly(sizes[0]).decode()
            return text if letter == "c" else np.array(text, dtype=object)
        kind = ARRAYS[letter]
        data = np.frombuffer(exactly(int(np.prod(sizes)) * kind.itemsize), kind)
        return np.array(data.astype(bool) if letter == "b" else data).reshape(sizes, order="F")


def _number(array: Any) -> float:
    return float(np.ravel(array)[0])


def _write(pipe: BinaryIO, value: Any) -> None:
    """Write a value as ``receive.m`` reads it; vectors are columns."""
    if isinstance(value, str):
        text = value.encode()
        pipe.write(b"c" + struct.pack("=2d", 1, len(text)) + text)
        return
    if isinstance(value, list | tuple | dict):
        pipe.write((b"s" if isinstance(value, dict) else b"l") + struct.pack("=2d", 1, len(value)))
        for one in chain.from_iterable(value.items()) if isinstance(value, dict) else value:
            _write(pipe, one)
        return
    array = np.zeros((0, 0)) if value is None else np.asarray(value)
    letter = {"b": "b", "f": "f" if array.dtype == np.float32 else "d", "i": "d", "u": "d"}.get(array.dtype.kind)
    if letter is None:
        raise ValueError(f"Octave: expected numbers, truth values, text or dicts of these, got {type(value).__name__}")
    sizes = array.shape if array.ndim > 1 else (array.size, 1)
    pipe.write(letter.encode() + struct.pack(f"={1 + len(sizes)}d", len(sizes), *sizes))
    pipe.write(array.astype(ARRAYS[letter]).tobytes(order="F"))


def _end(process: subprocess.Popen[bytes], *pipes: BinaryIO) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    for pipe in pipes:
        with suppress(OSError):
            pipe.close()
