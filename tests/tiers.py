"""Which cases of a population every run of the tests takes, and which are left to ``-m ""``."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def rarely(*cases: Any, mark: Any = pytest.mark.exhaustive) -> list[Any]:
    """Mark cases of a parametrisation, by one name or several."""
    return [pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=mark) for case in cases]


def first(number: int, cases: Iterable[Any]) -> list[Any]:
    """Mark every case but the first few."""
    cases = list(cases)
    return cases[:number] + rarely(*cases[number:])


def first_of_each(kind: Callable[[Any], Any], cases: Iterable[Any], rest: Any = pytest.mark.exhaustive) -> list[Any]:
    """Mark every case but the first of its kind."""
    kinds, found = set(), []
    for case in cases:
        found += rarely(case, mark=rest) if kind(case) in kinds else [case]
        kinds.add(kind(case))
    return found
