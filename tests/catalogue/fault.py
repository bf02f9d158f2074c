"""The kinds of faults in the catalogue."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edits import edited


@dataclass(frozen=True)
class Injected:
    """A mistake made on purpose: one piece of text in a file of ``manual`` replaced by another.

    Args:
        title: the mistake in words.
        file: the file of ``manual``.
        old: the text to be replaced, which occurs once.
        new: its replacement.
        wrong: what a correct checker must name, no more and no less.
    """

    title: str
    file: str
    old: str
    new: str
    wrong: tuple[str, ...]

    def inject(self, source: str) -> str:
        """Return the source of the file with the mistake.

        Raises:
            ValueError: the text to be replaced does not occur exactly once.
        """
        return edited(source, (self.old, self.new))


@dataclass(frozen=True)
class EquationFault(Injected):
    """A mistake in the equations. ``wrong`` names intermediates and tensors, those with gates as in ``bias_hh[i o]``.

    Args:
        cell: the name of the cell.
        steps: the time steps at which it shows; empty for all.
        rows: the rows in which it shows; empty for all.
        options: options of the layer.
        lengths: the number of steps in each row, if they differ.
    """

    cell: str = ""
    steps: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    lengths: tuple[int, ...] | None = None


@dataclass(frozen=True)
class FastFault(Injected):
    """A mistake in a fast kernel. ``wrong`` names the outputs and gradients that differ from the equations'.

    Args:
        cell: the name of the cell.
        options: options of the layer.
        trains: whether it affects training, which starts from zero states and needs no gradient of x or the state.
        engine: the engine whose kernel it is in.
    """

    cell: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    trains: bool = True
    engine: str = "numpy"


@dataclass(frozen=True)
class TrainingFault(Injected):
    """A mistake outside the recurrent layers. ``wrong`` is what the lock-step must list, as group and tensor.

    Args:
        options: options of the command ``train``.
    """

    options: tuple[str, ...] = ()


def equation_faults(cell: str, **usual: Any) -> Callable[..., EquationFault]:
    """Return a function that makes faults in a cell's equations from title, old, new, the wrong names and options."""

    def fault(title: str, old: str, new: str, *wrong: str, **more: Any) -> EquationFault:
        return EquationFault(
            **{"file": f"{cell}.py", "cell": cell} | usual | more | dict(title=title, old=old, new=new, wrong=wrong)
        )

    return fault


def fast_faults(cell: str, file: str, engine: str = "numpy") -> Callable[..., FastFault]:
    """Return a function that makes faults in a fast kernel from title, old, new, the wrong names and options."""

    def fault(title: str, old: str, new: str, *wrong: str, trains: bool = True, **options: Any) -> FastFault:
        return FastFault(title, file, old, new, wrong, cell, options, trains, engine)

    return fault
