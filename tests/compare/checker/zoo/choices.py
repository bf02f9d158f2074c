"""Pooling and masks: derivations that choose numbers."""

import numpy as np
import torch

from compare import probe
from zoo.specimen import Specimen

B, C, O = 3, 2, 4


class MaxPool(Specimen):
    """The largest of each three; only it gets a gradient."""

    inputs = {"x": (B, C, 9)}
    options = {"axes": "B"}

    @staticmethod
    def forward(x):
        windows = x.reshape(len(x), C, 3, 3)
        y = probe("y", windows.max(axis=3))
        return y**3, (windows, y)

    @staticmethod
    def backward(tape, d_z):
        windows, y = tape
        d_y = probe("d_y", 3 * y**2 * d_z)
        d_x = np.zeros_like(windows)
        np.put_along_axis(d_x, windows.argmax(axis=3)[..., None], d_y[..., None], axis=3)
        return d_x.reshape(len(d_x), C, -1)

    @staticmethod
    def reference(x):
        return probe("y", torch.nn.functional.max_pool1d(x, 3)) ** 3

    faults = (
        ("windows.argmax", "windows.argmin", "d_x"),
        ("* d_z)", ")", "d_y"),
        ("d_y[..., None], axis=3", "d_y[..., None] / 3, axis=3", "d_x"),
        ("np.zeros_like(windows)", "np.zeros_like(windows) + 1e-6", "d_x"),
        ("3 * y**2", "2 * y", "d_y"),
        ("windows.max(", "windows.mean(", "y"),
    )


class Dropout(Specimen):
    """A mask that is handed in, one row of it for each step."""

    inputs = {
        "x": (4, B, C), "W": (C, O), "V": (O, O),
        "mask": lambda rng: rng.random((4, B, O)) < 0.6,
    }  # fmt: skip
    options = {"axes": "T B"}

    @staticmethod
    def forward(x, W, V, mask):
        h, hs, tape = np.zeros((B, O)), [], []
        for t in range(len(x)):
            kept = probe("kept", h * mask[t] / 0.6)
            a = probe("a", x[t] @ W + kept @ V)
            h = np.tanh(a)
            hs.append(h)
            tape.append((kept, h))
        return np.stack(hs), (x, W, V, mask, tape)

    @staticmethod
    def backward(tape, d_hs):
        x, W, V, mask, steps = tape
        d_x, d_W, d_V, d_h = np.zeros_like(x), np.zeros_like(W), np.zeros_like(V), np.zeros((B, O))
        for t in reversed(range(len(x))):
            kept, h = steps[t]
            d_a = probe("d_a", (d_h + d_hs[t]) * (1 - h**2))
            d_x[t] = d_a @ W.T
            d_W += x[t].T @ d_a
            d_V += kept.T @ d_a
            d_kept = probe("d_kept", d_a @ V.T)
            d_h = d_kept * mask[t] / 0.6
        return d_x, d_W, d_V

    @staticmethod
    def reference(x, W, V, mask):
        h, hs = x.new_zeros(B, O), []
        for t in range(len(x)):
            kept = probe("kept", h * mask[t] / 0.6)
            h = torch.tanh(probe("a", x[t] @ W + kept @ V))
            hs.append(h)
        return torch.stack(hs)

    faults = (
        ("d_kept * mask[t] / 0.6", "d_kept * mask[0] / 0.6", "d_a"),
        ("d_kept * mask[t] / 0.6", "d_kept * mask[t]", "d_a"),
        ("d_kept * mask[t] / 0.6", "d_kept", "d_a"),
        ("d_V += kept.T", "d_V += h.T", "d_V"),
        ("d_a @ V.T)", "d_a @ V)", "d_kept"),
        ("d_x[t] = d_a", "d_x[-1 - t] = d_a", "d_x"),
        ("h * mask[t] / 0.6", "h * mask[t]", "kept"),
    )
