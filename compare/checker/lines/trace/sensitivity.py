"""How every gradient depends on every value in the backward pass, and so what any edit of a line would change.

A backward pass is linear in the incoming gradients. So where a line is wrong, the difference of its right value from
the one it computes explains the differences of all gradients exactly. One traced run gives the weights with which each
value enters a random sum of each gradient; an edit is judged by the values of its line alone.
"""

import ast
import traceback
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from compare.checker.lines.case import Case, Run, TooLong, differing
from compare.checker.lines.program import Edits
from compare.checker.lines.trace.known import Known, Watching, values_of
from compare.checker.lines.trace.record import Event
from manual.arrays import Array

#: What is said of a program that gives something else when it is followed.
CHANGED = "since it computes something else with every value recorded"

#: How near the predicted and the needed change of a gradient are to be, relative to its terms.
EXACT = 1e-6

#: What is no larger, relative to the other gradients, is nothing but rounding: as that of a shift before a softmax.
SMALL = 1e-5

#: The most random sums of gradients that are looked at together, and the most derivatives of them.
ROWS, LARGEST = 300, 20_000_000

#: The places, along the first two axes but the last, at which an incoming gradient is left.
CORNERS = ((0, 0), (1, 0), (0, 1), (1, 1), (-1, -1), (-2, -1), (-1, -2))


@dataclass(eq=False)
class Sensitivity:
    """What one traced run tells.

    ``names`` are those of the gradients, ``missing`` what each lacks (its random sum), ``weights`` (gradients, ids) how
    each of them depends on each number, ``problem`` what it ran on.
    """

    run: Run
    names: list[str]
    missing: Array
    weights: Array
    scales: Array
    wrong: frozenset[str]
    known: Known
    problem: Any
    forward: bool = False
    right: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._limits, self._agreeing = EXACT * self.scales, self.missing == 0

    def weight(self, ids: Array) -> Array:
        """Return how each gradient depends on numbers, (gradients, *shape)."""
        return self.weights[:, ids]

    def rows(self) -> tuple[Array, Array, Array]:
        """Return random sums of each gradient, relative to its scale, as (rows, ids), how each depends on each number.

        With it go what each lacks, and which gradient it is a sum of. There are no more than a gradient has numbers.
        """
        rng, run = np.random.default_rng(5), self.run
        sizes = np.array([run.tensors[name].size for name in self.names], int)
        room = max(len(sizes), min(ROWS, LARGEST // run.tape.count))
        counts = sizes if sizes.sum() <= room else np.maximum(1, sizes * room // sizes.sum())
        owner = np.repeat(np.arange(len(sizes)), counts)
        seeds, missing = [], np.zeros(len(owner))
        least = SMALL * float(np.median([np.abs(self.right[name]).max(initial=0) for name in self.names] or [0]))
        for j, name in enumerate(self.names):
            own, right = owner == j, self.right[name]
            lack = right - run.tensors[name]
            scale = max(np.abs(right).max(initial=0), np.abs(lack).max(initial=0), least, 1e-9)
            weights = np.zeros((len(owner), *right.shape))
            weights[own] = rng.normal(size=(counts[j], *right.shape)) / scale
            seeds.append((run.returned[name], weights))
            if name in self.wrong:
                missing[own] = (weights[own] * lack).reshape(counts[j], -1).sum(1)
        adjoints = run.tape.adjoints(seeds) if seeds else np.zeros((0, run.tape.count))
        return adjoints, missing, owner

    def reach(self, event: Event) -> frozenset[str]:
        """Return the gradients that depend on what a statement computed there."""
        found = np.zeros(len(self.names), bool)
        for ids in event.value_ids:
            found |= (self.weights[:, ids] != 0).reshape(len(self.names), -1).any(1)
        return frozenset(name for name, there in zip(self.names, found) if there)

    def wrong_of(self, found: dict[str, Array]) -> frozenset[str]:
        """Return which gradients of such a run are wrong."""
        return frozenset(_wrong(found, self.right)) & frozenset(self.names)

    def judge(self, change: Array) -> frozenset[str]:
        """Return the gradients that a change of them makes right; none if it makes another one wrong.

        Args:
            change: the predicted change of each gradient's random sum, (gradients,).
        """
        right = np.abs(change - self.missing) <= self._limits
        if not right.any() or not right[self._agreeing].all():
            return frozenset()
        return frozenset(name for name, good in zip(self.names, right & ~self._agreeing) if good)


def sensitivity(case: Case, k: int, edits: Edits) -> Sensitivity | None:
    """Trace a trial and return how its gradients depend on every value; None if the program cannot be traced."""
    problem, right = case.trials[k].problem, case.right(k)
    run = traced(case, problem, edits)
    if isinstance(run, str):
        case.unfollowed = case.unfollowed or ("" if edits else run)
        return None
    outputs = differing(run.tensors, right) & set(problem.d_outputs)
    if outputs:
        nothing = np.zeros((0, run.tape.count))
        empty = np.zeros(0)
        return Sensitivity(run, [], empty, nothing, empty, outputs, values_of(case, k), problem, forward=True)
    known = Known()
    own = _near(own_gradients(case, run, list(problem.d_outputs.values()), known), right)
    _see_what_depends(case, problem, run, edits)
    return _corner(case, k, run, own, edits) or _weighed(run, right, known, problem)


def _near(found: dict[str, Array], right: dict[str, Array]) -> bool:
    """Whether all gradients found are right, up to the accuracy of derivatives by differences."""
    return bool(found) and all(
        value.shape == right[name].shape
        and np.abs(value - right[name]).max(initial=0) <= 1e-6 * max(np.abs(right[name]).max(initial=0), 1e-9)
        for name, value in found.items()
        if name in right
    )


def own_gradients(case: Case, run: Run, d_outputs: list[Array], known: Known) -> dict[str, Array]:
    """Return the gradients of the user's own forward pass, as its tape has them, and get to know all adjoints."""
    if not run.outputs:
        return {}
    seeds = [(ids, np.asarray(d, float)[None]) for (ids, _), d in zip(run.outputs, d_outputs)]
    operations = run.tape.operations
    run.tape.operations = operations[: run.first]
    try:
        adjoints = run.tape.adjoints(seeds, see=known.add_all)[0]
    finally:
        run.tape.operations = operations
    for event in run.events:
        for value, ids in zip(event.value, event.value_ids) if event.forward else ():
            known.add_pair(value, adjoints[ids])
        if event.forward:
            for name, ids in zip(targets(case.program.by_number[event.statement].node), event.value_ids):
                known.named.setdefault(name, []).append(adjoints[ids])
    return {name: adjoints[ids] for name, ids in run.arguments.items()}


def targets(node: ast.stmt) -> list[str]:
    """Return the names of the variables, or entries, that a statement assigns its values to."""
    target: Any = node.targets[0] if isinstance(node, ast.Assign) else None
    named: list[Any] = target.elts if isinstance(target, ast.Tuple) else [target]
    found = [str(getattr(one, "id", "") or getattr(getattr(one, "slice", None), "value", "")) for one in named]
    return found if all(found) else []


def traced(case: Case, problem: Any, edits: Edits, first: Run | None = None) -> Run | str:
    """Return a traced run that computes what the program does; if there is none, why.

    Values are copied unless they are one array under two names. The ``first`` run, with all incoming gradients, tells
    which those are: where they are zero, so is what is lost by writing into a copy.

    Raises:
        Exception: raised by this package in such a run, of a program that runs without it.
    """
    plain = case.tensors(problem, edits)
    if plain is None:
        return ""
    shared = first.shared if first else frozenset()
    while True:
        parted = None
        try:
            run = case.trace(problem, edits, shared)
        except TooLong:
            why = "since it takes too long with every value recorded"
        except Exception as error:
            if shared is None and _is_ours(error):
                raise
            why = f"since it does not run with every value recorded ({type(error).__name__}: {error})"
        else:
            if not differing(run.tensors, plain):
                return run
            why, parted = CHANGED, run.parted
        if shared is None:
            return why
        shared = parted if parted and not shared else None


def _is_ours(error: Exception) -> bool:
    """Whether an exception was raised by this package, not by the user's code or in a library that it calls."""
    return traceback.extract_tb(error.__traceback__)[-1].filename.startswith(str(Path(__file__).parents[1]))


def _corner(case: Case, k: int, run: Run, own: bool, edits: Edits) -> Sensitivity | None:
    """Return the sensitivity where only a corner of one output has an incoming gradient, and something is wrong.

    In a recurrence an error is carried on, so that a line at one step sees wrong operands because of itself at another.
    With an incoming gradient at the last step alone there are no others. What is right there is known from the user's
    ``own`` forward pass, if that is differentiated right, or from the reference.
    """
    tried, problem = set(), case.trials[k].problem
    outputs = sorted(problem.d_outputs, key=lambda name: -np.ndim(problem.d_outputs[name]))  # sequences, then states
    for name in outputs:
        for first, second in CORNERS:
            made = {}
            for other, d in problem.d_outputs.items():
                made[other] = np.zeros_like(np.asarray(d))
                d, into = case.steps_first(np.asarray(d)), case.steps_first(made[other])
                index = (first, second)[: max(d.ndim - 1, 0)]
                if other == name and all(-n <= i < n for i, n in zip(index, d.shape)):
                    into[index] = d[index]
            key = tuple(np.asarray(d).tobytes() for d in made.values())
            if key in tried or not any(d.any() for d in made.values()):
                continue
            tried.add(key)
            at = replace(problem, d_outputs=made)
            found = case.tensors(at, edits)
            if found is None:
                continue
            known = Known()
            with nullcontext() if own else Watching(known):
                right = own_gradients(case, run, [*made.values()], known) if own else case.right_at(k, at)
            if right is None:
                return None
            for event in run.events if not own else ():
                assigned = targets(case.program.by_number[event.statement].node) if event.forward else []
                for target, value in zip(assigned, event.value):
                    known.name(target, value)
            wrong = _wrong(found, right)
            if wrong:
                again = traced(case, at, edits, run)
                if isinstance(again, str):
                    return None
                _see_what_depends(case, at, again, edits)
                return _weighed(again, right, known, at)
    return None


def _see_what_depends(case: Case, problem: Any, run: Run, edits: Edits) -> None:
    """Mark the events of a run that compute the same without an incoming gradient."""
    nothing = {name: np.zeros_like(np.asarray(d)) for name, d in problem.d_outputs.items()}
    without = traced(case, replace(problem, d_outputs=nothing), edits, run)
    for one, other in zip(run.events, [] if isinstance(without, str) else without.events):
        if one.statement != other.statement:
            break
        one.depends = any(not np.array_equal(a, b) for a, b in zip(one.value, other.value))


def _weighed(run: Run, right: dict[str, Array], known: Known, problem: Any) -> Sensitivity:
    rng = np.random.default_rng(3)
    names = [n for n, ids in run.returned.items() if n in right and ids.shape == right[n].shape]
    missing, seeds, scales = np.zeros(len(names)), [], np.zeros(len(names))
    wrong = _wrong(run.tensors, right) & set(names)
    for j, name in enumerate(names):
        weights = rng.normal(size=right[name].shape)
        lack = right[name] - run.tensors[name] if name in wrong else np.zeros(right[name].shape)
        missing[j] = (weights * lack).sum()
        scales[j] = np.abs(weights * right[name]).sum() + np.abs(weights * lack).sum()
        spread = np.zeros((len(names), *right[name].shape))
        spread[j] = weights
        seeds.append((run.returned[name], spread))
    weights = run.tape.adjoints(seeds) if names else np.zeros((0, run.tape.count))
    for name, value in right.items():
        known.named.setdefault(name.removeprefix("d_"), []).append(value)
    for value in [*right.values(), *(value for event in run.events if event.forward for value in event.value)]:
        known.add(value)
    scales = np.maximum(scales, max(SMALL * float(np.median(scales)) if names else 0.0, 1e-9))
    return Sensitivity(run, names, missing, weights, scales, frozenset(wrong), known, problem, right=right)


def _wrong(found: dict[str, Array], right: dict[str, Array]) -> set[str]:
    """Return the names of what differs from what derivatives by differences may have found."""
    least = 1e-13 * max((np.abs(value).max(initial=0) for value in right.values()), default=0.0)

    def same(actual: Array, value: Array) -> bool:
        if actual.shape != value.shape:
            return False
        return bool(np.abs(actual - value).max(initial=0) <= max(1e-8 * np.abs(value).max(initial=0), least))

    return {name for name, value in right.items() if name in found and not same(np.asarray(found[name]), value)}
