"""What a fault of the catalogue is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Injected:
    """A fault, and what a checker that works has to say of it.

    Args:
        cell: whose it is, a key of ``equations.EQUATIONS``.
        title: the mistake in words.
        file: the file of ``manual`` that it is made in.
        old: the text it replaces, which occurs once.
        new: the text it puts there.
        wrong: the names that have to be found wrong, and no others: of an intermediate or tensor, and for some gates of
            a parameter only, ``bias_hh[i o]``.
        hint: what one of the hints has to contain.
        steps: the time steps it shows at; empty for all.
        rows: the rows it shows in; empty for all.
        options: of the layer.
        lengths: of the rows, where they differ.
    """

    cell: str
    title: str
    file: str
    old: str
    new: str
    wrong: tuple[str, ...]
    hint: str = ""
    steps: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    lengths: tuple[int, ...] | None = None


def faults_of(cell: str, source: str, **usual: Any) -> Callable[..., Injected]:
    """A function that makes faults of a cell: called with title, old, new, the wrong names, and what else differs."""

    def fault(title: str, old: str, new: str, *wrong: str, file: str = source, **more: Any) -> Injected:
        return Injected(cell, title, file, old, new, wrong, **(usual | more))

    return fault
