"""Checkpoints: a run under way in one file, from which it goes on.

The same libraries, BLAS kernel and number of threads go on to the same bits; the file says with which it was written.

The file is a safetensors file, replaced as a whole. It has the state of every side, the figures of every step and, as
the bytes of a JSON object, everything else. The checksum covers it all. The batches are not in it: they are drawn anew
from the seed.
"""

import json
import os
from collections import deque
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from compare.agreement import Difference
from compare.converter import checksum, read_arrays, write_arrays
from compare.lockstep.lockstep import GROUPS, SCALE_STEPS, Finding, Lockstep, Step
from manual.arrays import Array

#: The file's name in the folder of a run.
NAME = "checkpoint.safetensors"

#: The layout of the file. Another one is refused.
LAYOUT = "checkpoint 2"


class Checkpoint:
    """The checkpoint of a run in its folder, every so many steps, with the arguments that set the run up."""

    def __init__(self, folder: Path, every: int, configuration: dict[str, Any]):
        self.path, self.every, self.configuration = folder / NAME, every, configuration
        self.arrays: dict[str, Array] = {}
        self.rest: dict[str, Any] = {}

    @classmethod
    def read(cls, folder: Path) -> "Checkpoint":
        """Read the checkpoint of a run that was interrupted or killed; a ValueError if there is none that is whole."""
        if not (folder / NAME).is_file():
            raise ValueError(f"resume: expected a folder with a {NAME}, got {folder}")
        arrays, layout = read_arrays(folder / NAME, finite=False)
        if layout != LAYOUT:
            raise ValueError(f"resume: expected the layout {LAYOUT!r}, got {layout!r} in {folder / NAME}")
        try:
            rest = json.loads(arrays.pop("json").tobytes())
            checkpoint = cls(folder, rest["every"], rest["configuration"])
        except (LookupError, ValueError, TypeError, RecursionError):
            raise ValueError(f"resume: expected the state of a run, got another in {folder / NAME}") from None
        checkpoint.arrays, checkpoint.rest = arrays, rest
        return checkpoint

    def other_arithmetic(self) -> list[str]:
        """Return what computes otherwise here than where the file was written, a few words each."""
        before = self.rest.get("arithmetic", {})
        return [
            f"{what} {now}, not {before.get(what)}" for what, now in arithmetic().items() if now != before.get(what)
        ]

    def restore(self, lockstep: Lockstep, steps: int) -> dict[str, Any]:
        """Put a lock-step into the state that was read, or raise a ValueError; return what was added by ``save``."""
        if not self.rest:
            return {}
        taken = len(self.arrays.get("steps", ()))
        if not 1 <= taken <= steps:
            raise ValueError(f"resume: expected 1 to {steps:,} steps, got {taken:,} in {self.path}")
        try:
            return self._restore(lockstep)
        except (LookupError, ValueError, TypeError, AttributeError):
            raise ValueError(f"resume: expected the state of this run, got another in {self.path}") from None

    def _restore(self, lockstep: Lockstep) -> dict[str, Any]:
        for name, side in _sides(lockstep).items():
            prefix = f"{name}: "
            side.restore({key.removeprefix(prefix): a for key, a in self.arrays.items() if key.startswith(prefix)})
        for manual, autograd, *errors, drift, rounding_drift in self.arrays["steps"].tolist():
            lockstep.steps.append(Step(manual, autograd, dict(zip(GROUPS, errors)), drift, rounding_drift))
        lockstep.first_batch = self.arrays["x of the first batch"], self.arrays["y of the first batch"]
        lockstep.seconds = dict(zip(lockstep.seconds, self.arrays["seconds"].tolist()))
        lockstep.movements.bit_generator.state = self.rest["movements"]
        lockstep.scales = {tuple(key): deque(values, SCALE_STEPS) for key, values in self.rest["scales"]}
        findings = map(_finding, self.rest["worst"])
        lockstep.worst = {(one.opponent, f"{one.group} {one.difference.name}"): one for one in findings}
        for name in _PLAIN:
            setattr(lockstep, name, self.rest[name])
        added: dict[str, Any] = self.rest["added"]
        return added

    def after_step(self, lockstep: Lockstep, **added: Any) -> None:
        """Save if it is time to."""
        if len(lockstep.steps) % self.every == 0:
            self.save(lockstep, **added)

    def save(self, lockstep: Lockstep, **added: Any) -> None:
        """Write the file, after at least one step, with what else the run has gathered, for JSON."""
        arrays = {
            f"{name}: {key}": array for name, side in _sides(lockstep).items() for key, array in side.state().items()
        }
        arrays["steps"] = np.array(
            [
                (step.loss_manual, step.loss_autograd, *step.errors.values(), step.drift, step.rounding_drift)
                for step in lockstep.steps
            ]
        )
        arrays["seconds"] = np.array(list(lockstep.seconds.values()))
        arrays |= dict(zip(("x of the first batch", "y of the first batch"), lockstep.first_batch or ()))
        rest = {
            "every": self.every,
            "configuration": self.configuration,
            "arithmetic": arithmetic(),
            "movements": lockstep.movements.bit_generator.state,
            "scales": [(key, list(values)) for key, values in lockstep.scales.items()],
            "worst": [asdict(finding) for finding in lockstep.worst.values()],
            "added": added,
        }
        rest |= {name: getattr(lockstep, name) for name in _PLAIN}
        arrays["json"] = np.frombuffer(json.dumps(rest).encode(), np.uint8)
        write_arrays(self.path, arrays, LAYOUT)


#: The attributes of a lock-step that JSON holds as they are.
_PLAIN = ("failures", "stuck", "raised", "explained", "unjudged")


def arithmetic() -> dict[str, str]:
    """Return what the last bits depend on: libraries, threads, and the BLAS kernel, known by the bits of products."""
    rng = np.random.default_rng(0)
    products: dict[str, Array] = {}
    for rows, inner, columns in ((1, 18, 64), (64, 18, 64), (37, 301, 53)):
        for dtype in ("float64", "float32"):
            a, b = rng.normal(size=(rows, inner)).astype(dtype), rng.normal(size=(inner, columns)).astype(dtype)
            name = f"{rows} {dtype}"
            products |= {name: a @ b, f"{name} torch": (torch.from_numpy(a) @ torch.from_numpy(b)).numpy()}
    asked = [os.environ[name] for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS") if name in os.environ]
    threads = asked[0] if asked else str(os.cpu_count())
    return {
        "NumPy": version("numpy"),
        "torch": version("torch"),
        "threads": threads,
        "BLAS kernel": checksum(products)[:8],
    }


def _sides(lockstep: Lockstep) -> dict[str, Any]:
    """Return all sides of a lock-step by name."""
    opponents = {f"opponent {name}": side for name, side in lockstep.opponents.items()}
    return {"manual": lockstep.manual, **opponents, "autograd": lockstep.autograd, "moved": lockstep.moved}


def _finding(found: dict[str, Any]) -> Finding:
    """Return a finding that ``asdict`` took apart and JSON has turned tuples to lists of."""
    compared = found["difference"]
    difference = Difference(**compared | {"index": tuple(compared["index"])})
    return Finding(**found | {"difference": difference, "shape": tuple(found["shape"])})
