"""Which cases of a population every run of the tests takes, and which are left to ``-m ""``."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def first_of_each(kind: Callable[[Any], Any], cases: Iterable[Any], rest: Any = pytest.mark.exhaustive) -> list[Any]:
    """Mark every case but the first of its kind."""
    kinds, marked = set(), []
    for case in cases:
        marked.append(pytest.param(case, marks=rest) if kind(case) in kinds else case)
        kinds.add(kind(case))
    return marked
