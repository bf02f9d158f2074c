"""A wrong line, and the line that is right; or why none was sought."""

from dataclasses import dataclass


class NotSought(Exception):  # noqa: N818
    """Lines were not sought; the message says where or why, and what to do."""

    def __init__(self, why: str, remedy: str = "place probes"):
        super().__init__(f"Lines were not sought {why}: {remedy}")


@dataclass(frozen=True)
class Change:
    """A statement of the user's and what could stand in its place.

    ``span`` holds its first line and column and its last line and the column after it, in ``file``. ``name`` is what it
    computes, ``code`` its text, ``repair`` the right one, "" if none is known. ``words`` say what is wrong.
    """

    file: str
    span: tuple[int, ...]
    name: str
    code: str
    repair: str
    words: str

    @property
    def line(self) -> int:
        """Its first line."""
        return self.span[0]


@dataclass(frozen=True)
class WrongLine:
    """A wrong line, or one of several that could be wrong.

    Args:
        changes: the equally simple changes that make everything right, one for each line; if there is no repair, the
            lines that may be wrong.
    """

    changes: tuple[Change, ...]

    @property
    def lines(self) -> tuple[int, ...]:
        """The lines."""
        return tuple(change.line for change in self.changes)
