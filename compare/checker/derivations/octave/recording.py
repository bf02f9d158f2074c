"""Plain assignments of MATLAB files, recorded as if by probes."""

import ast
import shutil
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compare.checker.derivations.octave.engine import Engine
from compare.checker.derivations.octave.folder import Folder
from compare.checker.lines.fix import fixed
from compare.checker.lines.matlab.language import source

#: What only moves numbers, so that a value made of nothing else is one that was computed elsewhere.
MOVING = {"one_", "page_", "span_", "end_", "element_", "column_"}


@dataclass(frozen=True)
class Assignment:
    """A statement ``name = expression;`` of a file: whether it is in a loop, and the expression."""

    name: str
    file: Path
    in_loop: bool
    value: Any


def assignments(folder: Path, names: Collection[str]) -> dict[str, Assignment]:
    """Return, of the names that a reference has, those that are computed in one place, and where.

    What a loop begins with is not counted. A file that is not understood has none; what it probes itself is left out.
    """
    found: dict[str, list[Assignment]] = {}
    probed: set[str] = set()
    for file in sorted(folder.glob("*.m")):
        try:
            tree, _ = source(str(file))
        except ValueError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "probe":
                probed |= {getattr(one, "value", "") for one in node.args}
        for one in _assigned(file, tree.body, False):
            found.setdefault(one.name, []).append(one)
    chosen = {}
    for name in sorted(set(found) & set(names) - probed):
        computed = [one for one in found[name] if _computes(one.value)] or found[name]
        repeated = [one for one in computed if one.in_loop]
        if len(repeated or computed) == 1:
            chosen[name] = (repeated or computed)[0]
    return chosen


def recording(folder: Folder, chosen: Collection[Assignment]) -> Folder:
    """Return a derivation in which these assignments are probes: its files are a copy, whose places are the user's."""
    own = folder.engine.folder
    copy = tempfile.TemporaryDirectory()
    for file in own.glob("*.m"):
        probes = [_probe(one) for one in chosen if one.file == file]
        shutil.copy(file, copy.name)
        (Path(copy.name) / file.name).write_bytes(fixed(file, probes)[0])
    return Folder(Engine(Path(copy.name), shown=own, keeping=copy), folder.nested, folder.steps_last)


def _assigned(file: Path, block: list[Any], in_loop: bool) -> Iterator[Assignment]:
    for node in block:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and not hasattr(node, "implied"):
            yield Assignment(node.targets[0].id, file, in_loop, node.value)
        for inner in ("body", "orelse"):
            yield from _assigned(file, getattr(node, inner, []), in_loop or isinstance(node, ast.For | ast.While))


def _computes(value: Any) -> bool:
    """Whether an expression computes anything."""
    called = [getattr(one.func, "id", "np") for one in ast.walk(value) if isinstance(one, ast.Call)]
    inside = [one for one in ast.walk(value) if isinstance(one, ast.Subscript)]
    indices = {id(part) for one in inside for part in ast.walk(one.slice)}
    operations = [one for one in ast.walk(value) if isinstance(one, ast.BinOp | ast.UnaryOp) and id(one) not in indices]
    return bool(operations) or bool(set(called) - MOVING)


def _probe(one: Assignment) -> dict[str, Any]:
    """Return an assignment's value as a probe of it, as ``fixed`` takes what replaces a span."""
    value = one.value
    span = value.lineno, value.col_offset, value.end_lineno, value.end_col_offset
    text = ast.get_source_segment(one.file.read_text(), value)
    return {"span": span, "repair": f"probe('{one.name}', {text})", "file": str(one.file)}
