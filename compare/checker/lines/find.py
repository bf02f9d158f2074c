"""Find the wrong lines of a derivation, each with the line that is right."""

import ast
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from compare.checker.derivations.octave.folder import Folder
from compare.checker.derivations.torch_function import TorchFunction
from compare.checker.lines.case import Case, attempted, differing
from compare.checker.lines.edits.text import edited
from compare.checker.lines.edits.words import words
from compare.checker.lines.matlab_case import MatlabCase
from compare.checker.lines.search import Search
from compare.checker.lines.statement import COMPOUND, Statement
from compare.checker.lines.step import Mended
from compare.checker.lines.torch_case import TorchCase
from compare.checker.lines.unseen import unseen
from compare.checker.lines.wrong_line import Change, NotSought, WrongLine
from compare.checker.trials import Trial
from manual.arrays import Array

#: How long the search for a repair may take, in seconds of processor time.
SECONDS = 6.0

#: The most lines that are named where no repair is known.
POSSIBLE = 2


def wrong_lines(
    pair: Any, trials: list[Any], agrees: Callable[..., bool] = lambda *_: True, seconds: float = SECONDS
) -> list[WrongLine]:
    """Find the wrong lines of a derivation, and the lines that are right.

    Args:
        pair: the derivation, a ``Pair``, or a ``TorchFunction`` in double precision.
        trials: problems of several sizes and values with their references.
        agrees: whether the whole check agrees, called with the repairs made; where they are made in a copy, with that.
        seconds: how long the search may take.

    Raises:
        NotSought: it cannot be looked for. Any other exception is a defect of the search.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case, groups = _case(pair, trials), []
        if isinstance(case.pair, TorchFunction):
            function = case.pair.function
            passes = [getattr(function, "__dict__", {}).get(name, function) for name in ("backward", "forward")]
        else:
            passes = [case.pair.backward, case.pair.forward]
        if reason := unseen(passes[0], case.program):  # or a line of forward would be blamed
            raise reason
        search = Search(case, seconds)
        with case.searching():
            found = [[one for one in group if _can_be_written(one)] for group in search.repairs()]
            groups = [_holding(case, found, one) for one in found] if all(found) else []
        if groups:
            edits = {one[0].candidate.statement.number: one[0].new for one in groups}
            firsts = [change for one in groups for change in _changes(one[:1])]
            if case.confirmed(edits, firsts, agrees):
                return [WrongLine(tuple(_changes(one))) for one in groups]
        possible = {(statement.source.file, statement.line): statement for statement in search.possible}
        if 1 <= len(possible) <= POSSIBLE:
            return [WrongLine(tuple(_change(statement, "", "") for statement in possible.values()))]
        for function in [*passes, *case.program.missing]:
            if reason := unseen(function, case.program):
                raise reason
        if case.unfollowed:
            raise NotSought(case.unfollowed)
        if search.over():
            raise NotSought(f"to the end, since {seconds:g} s of processor time are up")
        return []


def _case(pair: Any, trials: list[Any]) -> Case:
    if isinstance(pair, Folder):
        return MatlabCase(pair, trials)
    case = TorchCase(pair, trials) if isinstance(pair, TorchFunction) else Case(pair, trials)
    first = case.trials[0]
    with case.searching():
        for uneven in (True, False) if first.on and not _sizes(first) & case.program.numbers else ():
            trial = _larger(first, uneven)
            right: Any = trial and attempted(trial.reference)
            found = case.tensors(trial.problem) if trial and right else None
            if trial and found and not differing(found, right.answer.outputs):
                case.trials.append(trial)
                break
    return case


def _sizes(trial: Trial) -> set[int]:
    """Return the lengths of the axes of all arguments."""
    values = (*trial.problem.inputs.values(), *trial.problem.parameters.values())
    return {size for value in values for size in np.shape(value)}


def _larger(trial: Trial, uneven: bool) -> Trial | None:
    """Return a trial in which every axis is longer by one, so that a number is not a size by chance.

    If it is ``uneven``, the last axis of what is as long as it is wide is longer by two. What is positive, symmetric or
    an index stays so: the first numbers are repeated, and each is scaled by its places. None if the reference does not
    run on it.
    """
    rng, scales = np.random.default_rng(1), dict[int, Array]()

    def longer(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        for axis, size in enumerate(before := value.shape):
            more = 2 if uneven and axis + 1 == len(before) and size in before[:-1] else 1
            value = value.take(np.arange(size + more) % size, axis)
            if value.dtype.kind == "f":
                scale = scales.setdefault(size + more, rng.uniform(0.7, 1.3, size + more))
                value = value * scale.reshape(-1, *[1] * (value.ndim - axis - 1))
        return value

    problem = trial.problem
    parts = {part: {n: longer(v) for n, v in getattr(problem, part).items()} for part in ("inputs", "parameters")}
    made = trial.having(**parts)
    outputs = attempted(lambda: made.on(made.problem).outputs(tuple(problem.d_outputs)))  # type: ignore[misc]
    return outputs and made.having(d_outputs={name: rng.normal(size=value.shape) for name, value in outputs.items()})


def _can_be_written(one: Mended) -> bool:
    """Whether the user's language has what an edit puts into a line."""
    try:
        edited(one.candidate)
    except ValueError:
        return False
    return True


def _holding(case: Case, found: list[list[Mended]], group: list[Mended]) -> list[Mended]:
    """Return the first edit for a fault, and those that together with the others' first make everything right, too."""
    others = {one[0].candidate.statement.number: one[0].new for one in found if one is not group}
    trials = range(len(case.trials)) if others else ()
    return group[:1] + [
        one
        for one in group[1:]
        if all(case.wrong(k, others | {one.candidate.statement.number: one.new}) == frozenset() for k in trials)
    ]


def _changes(found: list[Mended]) -> list[Change]:
    """Return the simplest change of each line."""
    best: dict[tuple[str, int], tuple[float, int, Mended, str]] = {}
    for one in found:
        text = edited(one.candidate)
        rank = (round(one.candidate.cost, 1), len(text), one, text)
        place = one.candidate.statement.source.file, one.candidate.statement.line
        if place not in best or rank[:2] < best[place][:2]:
            best[place] = rank
    ordered = sorted(best.values(), key=lambda rank: rank[:2])
    return [_change(one.candidate.statement, text, words(one.candidate)) for _, _, one, text in ordered]


def _change(statement: Statement, repair: str, why: str) -> Change:
    node = statement.node
    span = node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or 0
    if isinstance(node, COMPOUND):
        span = node.lineno, node.col_offset, node.lineno, len(statement.source.lines[node.lineno - 1].encode())
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    name = statement.source.language.unparse(target) if isinstance(target, ast.expr) else ""
    return Change(statement.source.file, span, name, statement.text, repair, why)
