"""A derivation in MATLAB files that is searched for a wrong line."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from compare.checker.derivations.octave.folder import Folder
from compare.checker.derivations.pair import Pair
from compare.checker.lines.case import Case, differing
from compare.checker.lines.fix import fixed
from compare.checker.lines.matlab.language import functions
from compare.checker.lines.matlab.tokens import UnreadableError
from compare.checker.lines.program import Edits, Program
from compare.checker.lines.wrong_line import Change, NotSought
from compare.checker.reference import Autograd
from manual.arrays import Array


class MatlabCase(Case):
    """MATLAB files, run as Python: arrays have two axes or more, as there.

    Args:
        folder: the derivation, run by Octave.
        trials: problems of several sizes and values, each with a ``reference``.

    Raises:
        NotSought: something in the files is not in the subset, or does not compute what it does in Octave.
    """

    def __init__(self, folder: Folder, trials: list[Any]):
        try:
            forward, backward = functions(folder.engine.folder)
        except UnreadableError as error:
            raise NotSought(f"in files that are not understood so far ({error})") from error
        self.folder = folder
        there = [replace(trial, problem=folder.problem_there(trial.problem)) for trial in trials]
        self._start(Pair(forward, backward, folder.nested), there, Program(forward, backward))
        for trial, moved in zip(trials, there):
            octave = folder.all_there(folder.solve(trial.problem, None).tensors())
            if differing(self.tensors(moved.problem) or {}, octave):
                raise NotSought("since the files, read as Python, compute something else than in Octave")

    def right(self, k: int) -> dict[str, Array]:
        """Return the right outputs and gradients of a trial, with the axes that they have there."""
        if k not in self._right:
            self._right[k] = self.folder.all_there(super().right(k))
        return self._right[k]

    def right_at(self, k: int, problem: Any) -> dict[str, Array] | None:
        """Return what is right on a trial with other incoming gradients."""
        reference = getattr(self.trials[k].reference, "__self__", None)
        if not isinstance(reference, Autograd):
            return None
        own = reference.problem
        d_outputs = {n: self.folder.here(problem.d_outputs[n], d.shape) for n, d in own.d_outputs.items()}
        found = super().right_at(k, replace(own, d_outputs=d_outputs))
        return self.folder.all_there(found) if found else None

    @staticmethod
    def steps_first(array: Array) -> Array:
        """Return an array as a view in the order of steps, rows, units, of which steps are the last axis there."""
        return array.T

    def confirmed(self, edits: Edits, changes: Sequence[Change], agrees: Callable[..., bool]) -> bool:
        """Whether the whole check agrees with the files that have these changes, run by Octave."""
        with tempfile.TemporaryDirectory() as place:
            copy = shutil.copytree(self.folder.engine.folder, Path(place) / "repaired")
            for file in {change.file for change in changes}:
                faults = [vars(change) for change in changes]
                (copy / Path(file).name).write_bytes(fixed(Path(file), faults)[0])
            return agrees(Folder(copy, self.folder.nested, self.folder.steps_last))
