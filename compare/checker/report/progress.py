"""How far a derivation is that has open places: what is right, what is wrong, and what is still to be derived."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from compare.checker.compare import Compared
from compare.checker.notation import Notation

#: What is of the forward pass.
FORWARD = ("value", "output")


@dataclass(frozen=True)
class Progress:
    """Equations by number and name: those that are right, wrong and open, each in the order of computation.

    ``misfits`` counts the lines whose operands do not fit together: what they would give is open, and counted as wrong.
    """

    right: tuple[str, ...]
    wrong: tuple[str, ...]
    open: tuple[str, ...]
    misfits: int = 0

    @classmethod
    def of(
        cls,
        compared: list[Compared],
        wrong: Collection[str],
        names: Mapping[str, str],
        notation: Notation,
        misfits: int = 0,
    ) -> "Progress":
        """Count the equations of the backward pass, and of the forward pass if it has open places, too.

        Of a cell only those count that have a number: the others follow from them.

        Args:
            compared: everything compared, with the reference fed back.
            wrong: the titles of what is wrong.
            names: what is open, each with its kind as in ``Compared``.
            notation: what the names stand for.
            misfits: how many lines do not fit.
        """
        still = dict.fromkeys(notation.titled(name, kind in ("value", "adjoint")) for name, kind in names.items())
        everything = not {*names.values()}.isdisjoint(FORWARD)
        right = [
            notation.titled(one.name, one.recorded)
            for one in compared
            if (everything or one.kind not in FORWARD)
            and (notation.equation(one.name).number or not notation.cell_name)
            and one.agrees
        ]
        wrong = dict.fromkeys([*wrong, *(notation.titled(c.name, c.recorded) for c in compared if not c.agrees)])
        right = [title for title in dict.fromkeys(right) if title not in still and title not in wrong]
        return cls(tuple(right), tuple(wrong), tuple(title for title in still if title not in wrong), misfits)

    def __str__(self) -> str:
        """Return it in words, as in "3 of 16 right, 1 wrong, 12 to go; next: (L9) d_c"."""
        total = len(self.right) + len(self.wrong) + len(self.open)
        wrong, to_go = len(self.wrong) + self.misfits, max(len(self.open) - self.misfits, 0)
        words = [f"{len(self.right)} of {total} right", f"{wrong} wrong" if wrong else ""]
        words += [f"{to_go} to go"] if to_go else []
        return ", ".join(filter(None, words)) + (f"; next: {self.open[0]}" if to_go and not self.misfits else "")
