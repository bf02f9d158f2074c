"""Find what depends on what, by changing one quantity of the reference and seeing what else changes.

If every quantity that a derivation probes is held fixed, an error in one that it does not probe is visible exactly
where that quantity has an influence. So a set of faults that equals the influence of one hidden quantity may have one
cause.
"""

from collections.abc import Mapping

import numpy as np
import torch

from compare.checker.derivations.problem import Arrays
from compare.checker.recorder import Key, Record
from compare.checker.tensor_recorder import TensorRecorder
from compare.checker.trials import Trial
from manual.arrays import Array

#: The smallest change that counts, relative to a value's scale.
VISIBLE = 1e-9


class Influence:
    """The influence of each named quantity of a reference on the quantities computed from it.

    Args:
        fixed: the names that are reset to their correct values after they have been recorded.
    """

    def __init__(self, trial: Trial, fixed: set[str]):
        self.trial, self.fixed = trial, fixed
        recorder = TensorRecorder()
        self.answer = trial.reference(recorder=recorder).answer.tensors()
        self.record = recorder.record()
        forward = list(dict.fromkeys(name for name, _ in self.record if not name.startswith("d_")))
        recorded = {name for name, _ in self.record}
        adjoints = [f"d_{name}" for name in reversed(forward) if f"d_{name}" in recorded]
        #: In the order of computation: adjoints in the reverse order of the values.
        self.names = [*forward, *adjoints]
        self._once = frozenset(name for name, t in self.record if t is None)

    def of(self, name: str) -> set[str]:
        """Return the fixed names, outputs and gradients that change if this quantity is changed at every step."""
        rng = np.random.default_rng(0)
        noisy = {key: value + rng.normal(size=value.shape) for key, value in self.record.items() if key[0] == name}
        record, answer = self.following(noisy)
        reached = {n for (n, t), value in self.record.items() if n in self.fixed and _changed(record[n, t], value)}
        return (reached | {n for n, value in self.answer.items() if _changed(answer[n], value)}) - {name}

    def following(self, instead: Mapping[Key, Array]) -> tuple[Record, Arrays]:
        """Return each intermediate as computed, and the answer, with these values in the place of the right ones."""

        def change(key: Key, tensor: torch.Tensor) -> torch.Tensor:
            if key not in instead and key[0] not in self.fixed:
                return tensor
            return torch.as_tensor(instead.get(key, self.record[key]), dtype=tensor.dtype)

        recorder = TensorRecorder(change, self._once)
        answer = self.trial.reference(recorder=recorder).answer.tensors()
        return recorder.record(), answer


def _changed(value: Array, before: Array) -> bool:
    if value.dtype.kind != "f":
        return not np.array_equal(value, before)
    scale = np.abs(before).max() if before.size else 0.0
    return bool((np.abs(value - before) > VISIBLE * scale).any()) or not np.isfinite(value).all()
