"""What the faults of the catalogue are."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Injected:
    """A mistake made on purpose: one piece of text in a file of ``manual`` replaced by another.

    Args:
        title: the mistake in words.
        file: the file of ``manual``.
        old: the text to be replaced, which occurs once.
        new: the text put there.
        wrong: what a checker that works must name, and nothing else.
    """

    title: str
    file: str
    old: str
    new: str
    wrong: tuple[str, ...]

    def inject(self, source: str) -> str:
        """Return the file's source with the mistake in it.

        Raises:
            ValueError: the text to be replaced does not occur exactly once.
        """
        if source.count(self.old) != 1:
            raise ValueError(f"{self.title}: expected {self.old!r} once in {self.file}, got {source.count(self.old)}")
        return source.replace(self.old, self.new)


@dataclass(frozen=True)
class TextFault(Injected):
    """A mistake in the text. ``wrong`` are names of intermediates and tensors, with gates as in ``bias_hh[i o]``.

    Args:
        cell: a key of ``equations.EQUATIONS``.
        hint: what one of the hints must contain.
        steps: the time steps it shows at; empty for all.
        rows: the rows it shows in; empty for all.
        options: of the layer.
        lengths: of the rows, where they differ.
    """

    cell: str = ""
    hint: str = ""
    steps: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    lengths: tuple[int, ...] | None = None


@dataclass(frozen=True)
class FastFault(Injected):
    """A mistake in a fast kernel. ``wrong`` are the outputs and gradients that then differ from the text's.

    Args:
        cell: a key of ``equations.EQUATIONS``.
        options: of the layer.
        trains: whether training sees it. It starts from states of zero, and asks for no gradient of them or of x.
    """

    cell: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    trains: bool = True


@dataclass(frozen=True)
class TrainingFault(Injected):
    """A mistake outside the recurrent layers. ``wrong`` is what the lock-step must list, group before tensor.

    Args:
        options: of the command ``train``.
    """

    options: tuple[str, ...] = ()


def text_faults(cell: str, **usual: Any) -> Callable[..., TextFault]:
    """Return a function that makes faults in the text of a cell: from title, old, new, the wrong names and the rest."""

    def fault(title: str, old: str, new: str, *wrong: str, **more: Any) -> TextFault:
        return TextFault(
            **{"file": f"{cell.partition(',')[0]}.py", "cell": cell}
            | usual
            | more
            | dict(title=title, old=old, new=new, wrong=wrong)
        )

    return fault
