"""A derivation in the zoo: right code, its reference, what it is tried on, and mistakes that people make in it."""

import inspect
import sys
import tempfile
import textwrap
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from edits import edited

from compare import check_backward, check_file, check_function
from compare.checker.report.report import Report

#: A mistake: text of the right code, what stands there instead, and the names of what is then wrong.
Fault = tuple[str, str, str]


class Specimen:
    """A derivation in NumPy.

    ``forward``, ``backward``, ``reference``, ``inputs`` and ``options`` are what ``check_backward`` takes.
    ``faults`` are edits of the text of ``forward`` and ``backward``.
    """

    forward: Any
    backward: Any
    reference: Any
    inputs: Any
    options: ClassVar[dict[str, Any]] = {}
    faults: tuple[Fault, ...]

    @classmethod
    def check(cls, *faults: Fault, seed: int = 0) -> Report:
        """Check the derivation with these mistakes in it."""
        forward, backward = with_faults([cls.forward, cls.backward], faults)
        return check_backward(forward, backward, cls.reference, cls.inputs, seed=seed, **cls.options)


class TorchSpecimen(Specimen):
    """A ``torch.autograd.Function``, which ``faults`` are edits of; ``inputs`` are those of ``check_function``."""

    function: Any

    @classmethod
    def check(cls, *faults: Fault, seed: int = 0) -> Report:
        (function,) = with_faults([cls.function], faults)
        return check_function(function, cls.reference, *cls.inputs, seed=seed, **cls.options)


class FileSpecimen:
    """A derivation in a file, with ``Reference`` or ``reference`` and ``FAULTS`` at its end."""

    def __init__(self, path: Path):
        self.path = path
        self.code, end = path.read_text().split("\nFAULTS = ")
        self.faults: tuple[Fault, ...] = eval(end)
        self.reference = "Reference" if "class Reference" in self.code else "reference"

    def check(self, *faults: Fault, seed: int = 0) -> Report:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, self.path.name)
            file.write_text(edited(self.code, *changes(faults)))
            return check_file(file, reference=(self.path, self.reference), seed=seed)


def with_faults(things: list[Any], faults: tuple[Fault, ...]) -> list[Any]:
    """Functions or classes, with mistakes put into their source, at the lines where they stand."""
    if not faults:
        return things
    made = []
    sources = [source(thing) for thing in things]
    texts = edited("\0".join(text for text, _ in sources), *changes(faults)).split("\0")
    for thing, text, (_, line) in zip(things, texts, sources):
        namespace = dict(vars(sys.modules[thing.__module__]))
        exec(compile("\n" * (line - 1) + text, inspect.getfile(thing), "exec"), namespace)
        made.append(namespace[thing.__name__])
    return made


@cache
def source(thing: Any) -> tuple[str, int]:
    """The text of a function or class, and its first line; reading it takes as long as a small check."""
    lines, first = inspect.getsourcelines(thing)
    return textwrap.dedent("".join(lines)), first


def changes(faults: tuple[Fault, ...]) -> list[tuple[str, str]]:
    """What the mistakes change in the text."""
    return [(old, new) for old, new, _ in faults]
