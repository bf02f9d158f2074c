"""Batches of other forms than those trained on: a row, rows of different lengths, many steps, many rows."""

from typing import Any

import numpy as np
import torch

from compare.agreement import compare
from compare.lockstep.lockstep import Lockstep
from compare.lockstep.rounding import Rounding
from compare.lockstep.trainers import TorchTrainer
from manual.arrays import Array

#: T of one batch and B of another, in which faults show that need many steps or rows.
LARGE = 200


def compare_other_batches(lockstep: Lockstep, twin: TorchTrainer, bits: int, rng: np.random.Generator) -> None:
    """Compare logits and gradients with the written-out twin's, on batches of other forms.

    They have one row, rows of different lengths, 200 steps, and 200 rows. A difference is a failure; it is recorded
    unless the sides are known to disagree.
    """
    layer = lockstep.manual.model.recurrent
    for title, T, B, lengths in (
        ("a single row", bits, 1, None),
        ("rows of different lengths", bits, 5, [bits, *rng.integers(1, bits + 1, 4).tolist()]),
        (f"{LARGE} steps", LARGE, 3, None),
        (f"{LARGE} rows", 3, LARGE, None),
    ):
        if not lockstep.agrees:
            return
        x = rng.integers(0, 2, (T, B, 2)).astype(layer.dtype)
        d_logits = rng.normal(size=(T, B, 1)).astype(layer.dtype)
        twin.follow(lockstep.manual)
        ours = lockstep.attempt(title, lambda: _by_hand(lockstep.manual.model, x, lengths, d_logits))  # noqa: B023
        rounding = Rounding(twin, lambda: _by_autograd(twin, x, lengths, d_logits))  # noqa: B023
        for found in compare(ours or {}, _by_autograd(twin, x, lengths, d_logits), lockstep.tolerance):
            lockstep.note(title, found, rounding, f"{title}: {found.name}")


def _by_hand(model: Any, x: Array, lengths: list[int] | None, d_logits: Array) -> dict[str, Array]:
    logits, _, tape = model.forward(x.copy(), lengths=lengths)
    return {"logits": logits} | model.backward(tape, d_logits.copy())[2]


def _by_autograd(side: Any, x: Array, lengths: list[int] | None, d_logits: Array) -> dict[str, Array]:
    logits, _ = side.module(torch.from_numpy(x), lengths=lengths)
    gradients = torch.autograd.grad(logits, list(side.tensors.values()), torch.from_numpy(d_logits))
    return {"logits": logits.detach().numpy()} | {n: g.numpy() for n, g in zip(side.tensors, gradients, strict=True)}
