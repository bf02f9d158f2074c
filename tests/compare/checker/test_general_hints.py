"""The hints for any derivation: each typical mistake is named, and what no known mistake explains is not."""

from typing import ClassVar

import numpy as np
import pytest
import torch

from compare import check_backward, probe


class Scaled:
    """The squared norm of tanh(x W + b) ∘ g - s at each step of x (T, B, D), with every intermediate shown."""

    inputs: ClassVar = {"x": (5, 3, 2), "W": (2, 2), "b": (2,), "g": (2,), "s": ()}

    @staticmethod
    def forward(x, W, b, g, s, edit):
        h = probe("h", np.tanh(edit("z", x @ W + b)))
        y = probe("y", edit("y", h * g - s))
        return (y * y).sum() / 2, (x, W, g, h, y)

    @staticmethod
    def backward(tape, d_loss, edit):
        x, W, g, h, y = tape
        v = {"x": x, "W": W, "g": g, "h": h, "y": y, "d_loss": d_loss}
        d_y = v["d_y"] = probe("d_y", edit("d_y", y * d_loss, v))
        d_h = v["d_h"] = probe("d_h", edit("d_h", d_y * g, v))
        d_z = v["d_z"] = probe("d_z", edit("d_z", d_h * (1 - h * h), v))
        d_W = np.einsum("tbi,tbo->io", x, d_z)
        return (
            edit("d_x", d_z @ W.T, v),
            edit("d_W", d_W, v),
            edit("d_b", d_z.sum(axis=(0, 1)), v),
            (d_y * h).sum(axis=(0, 1)),
            -d_y.sum(),
        )

    @staticmethod
    def reference(x, W, b, g, s):
        h = probe("h", torch.tanh(probe("z", x @ W + b)))
        y = probe("y", h * g - s)
        return (y * y).sum() / 2


def hint(name, mistake):
    """The hint for a mistake in one quantity, which is a function of its right value and of all values before it."""

    def edit(which, value, values=None):
        return mistake(value, values) if which == name else value

    report = check_backward(
        lambda *inputs: Scaled.forward(*inputs, edit),
        lambda tape, d_loss: Scaled.backward(tape, d_loss, edit),
        Scaled.reference,
        Scaled.inputs,
    )
    (fault,) = report.faults
    assert fault.name == name
    return fault.hint


@pytest.mark.parametrize(
    "name, mistake, words",
    [
        ("d_y", lambda right, v: v["y"], "the incoming gradient d_output is ignored"),
        ("d_y", lambda right, v: -right, "the sign is wrong"),
        ("d_y", lambda right, v: 2 * right, "2 times the expected value"),
        ("d_h", lambda right, v: v["d_y"], "the same as d_y"),
        ("d_h", lambda right, v: right * v["g"], "an extra factor of g"),
        ("d_z", lambda right, v: right / v["g"], "∘ g is missing"),
        ("d_z", lambda right, v: v["d_h"] * (1 - v["h"]), None),
        ("d_z", lambda right, v: right + v["d_h"] * v["h"], "the term -d_h ∘ h is missing, or d_h ∘ h is extra"),
        ("d_z", lambda right, v: right - v["d_h"] * v["h"], "the term d_h ∘ h is missing"),
        ("d_z", lambda right, v: np.where(v["h"] > 0, right, 0), "zero where it is wrong"),
        ("d_z", lambda right, v: 0 * right, "zero (never computed, or never carried back)"),
        ("d_z", lambda right, v: right * (1 + 1e-9), "1.000000001 times the expected value"),
        ("d_z", lambda right, v: right * (1 + 5e-12), None),
        ("d_z", lambda right, v: right.astype(int), "rounded to int64"),
        ("d_x", lambda right, v: v["d_z"], "the same as d_z"),
        ("d_x", lambda right, v: right - v["d_z"], "the term d_z is missing"),
        ("d_W", lambda right, v: right.T, "transposed"),
        ("d_b", lambda right, v: v["d_z"].sum(axis=0), "not summed over axis 0"),
        ("d_b", lambda right, v: v["d_z"], "not summed over axes 0, 1"),
        ("d_b", lambda right, v: right[None], "not summed over axis 0"),
        ("d_b", lambda right, v: right[:1], None),
        ("d_b", lambda right, v: right / v["g"], "∘ g is missing"),
        ("y", lambda right, v: right * 0.5, "0.5 times the expected value"),
    ],
)
def test_a_mistake_is_named(name, mistake, words):
    assert hint(name, mistake) == (words or "")


def test_a_term_of_the_forward_pass_that_is_missing_is_named():
    report = check_backward(
        lambda x, b: (probe("z", 3 * x), None),
        lambda tape, d_z: (3 * d_z, d_z.sum(axis=0)),
        lambda x, b: probe("z", 3 * x + b),
        {"x": (4, 3), "b": (3,)},
    )
    assert [(fault.name, fault.hint) for fault in report.faults] == [("z", "the term b is missing")]


@pytest.mark.parametrize(
    "which, words",
    [
        (slice(-1, None), "only the last step of x d_zᵀ is in the sum"),
        (slice(0, 1), "only the first step of x d_zᵀ is in the sum"),
        (slice(0, -1), "the last step of x d_zᵀ is missing from the sum"),
        (slice(1, None), "the first step of x d_zᵀ is missing from the sum"),
    ],
)
def test_steps_that_are_missing_from_a_sum_are_named(which, words):
    def forward(p, x):
        return np.stack([np.tanh(probe("z", x_t @ p["W"])) for x_t in x]), x

    def backward(p, x, d_y):
        steps = list(zip(x, d_y))
        d_z = [probe("d_z", d * (1 - np.tanh(x_t @ p["W"]) ** 2)) for x_t, d in reversed(steps)][::-1]
        return None, {"W": sum(x_t.T @ d for x_t, d in list(zip(x, d_z))[which])}

    def reference(p, x):
        return torch.stack([torch.tanh(probe("z", x_t @ p["W"])) for x_t in x])

    report = check_backward(forward, backward, reference, {"x": (4, 3, 2)}, parameters={"W": (2, 5)}, axes="T B")
    assert [(fault.name, fault.hint) for fault in report.faults] == [("W", words)]
