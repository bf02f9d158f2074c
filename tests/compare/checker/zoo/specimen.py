"""A derivation in the zoo: right code, its reference, what it is tried on, and mistakes that people make in it."""

import inspect
import sys
import tempfile
import textwrap
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

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
        forward, backward = edited([cls.forward, cls.backward], faults)
        return check_backward(forward, backward, cls.reference, cls.inputs, seed=seed, **cls.options)


class TorchSpecimen(Specimen):
    """A ``torch.autograd.Function``, which ``faults`` are edits of; ``inputs`` are those of ``check_function``."""

    function: Any

    @classmethod
    def check(cls, *faults: Fault, seed: int = 0) -> Report:
        (function,) = edited([cls.function], faults)
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
            file.write_text(_replaced(self.path.name, [self.code], faults)[0])
            return check_file(file, reference=(self.path, self.reference), seed=seed)


def edited(things: list[Any], faults: tuple[Fault, ...]) -> list[Any]:
    """Functions or classes, with mistakes put into their source, at the lines where they stand."""
    if not faults:
        return things
    made = []
    sources = [source(thing) for thing in things]
    texts = _replaced(things[0].__qualname__, [text for text, _ in sources], faults)
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


def _replaced(where: str, texts: list[str], faults: tuple[Fault, ...]) -> list[str]:
    for old, new, _ in faults:
        count = sum(text.count(old) for text in texts)
        if count != 1:
            raise LookupError(f"{where}: expected {old!r} once, found it {count} times")
        texts = [text.replace(old, new) for text in texts]
    return texts


def variants(faults: tuple[Fault, ...]) -> list[tuple[Fault, ...]]:
    """Each mistake alone, and every third one together."""
    return [*((fault,) for fault in faults), faults[1::3][:3]]
