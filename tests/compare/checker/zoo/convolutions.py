"""Convolutions, pooling, look-ups and masks: derivations that move and choose numbers."""

import numpy as np
import torch

from compare import probe
from zoo.specimen import Specimen

B, C, O, L = 3, 2, 4, 7


class Conv1d(Specimen):
    """Along a sequence, with padding; ReLU behind it."""

    inputs = {"x": (B, C, L), "W": (O, C, 3), "b": (O,)}
    options = {"axes": "B"}

    @staticmethod
    def forward(x, W, b):
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1)))
        a = np.zeros((len(x), O, L)) + b[:, None]
        for k in range(3):
            a += np.einsum("oc,bcl->bol", W[:, :, k], padded[:, :, k : k + L])
        a = probe("a", a)
        return np.maximum(a, 0), (padded, W, a)

    @staticmethod
    def backward(tape, d_y):
        padded, W, a = tape
        d_a = probe("d_a", d_y * (a > 0))
        d_W, d_padded = np.zeros_like(W), np.zeros_like(padded)
        for k in range(3):
            d_W[:, :, k] = np.einsum("bol,bcl->oc", d_a, padded[:, :, k : k + L])
            d_padded[:, :, k : k + L] += np.einsum("oc,bol->bcl", W[:, :, k], d_a)
        return d_padded[:, :, 1:-1], d_W, d_a.sum(axis=(0, 2))

    @staticmethod
    def reference(x, W, b):
        return torch.relu(probe("a", torch.nn.functional.conv1d(x, W, b, padding=1)))

    faults = (
        (" * (a > 0)", " * (d_y > 0)", "d_a"),
        ("d_padded[:, :, k : k + L] +=", "d_padded[:, :, k : k + L] =", "d_x"),
        ("W[:, :, k], d_a)", "W[:, :, 2 - k], d_a)", "d_x"),
        ("d_padded[:, :, 1:-1]", "d_padded[:, :, 2:]", "d_x"),
        ("d_a, padded[:, :, k : k + L])", "d_a, padded[:, :, 1 : 1 + L])", "d_W"),
        ("d_a.sum(axis=(0, 2))", "d_y.sum(axis=(0, 2))", "d_b"),
        ("np.zeros_like(W), np.zeros_like(padded)", "np.zeros_like(W), padded.copy()", "d_x"),
        ("W[:, :, k], padded", "W[:, :, 2 - k], padded", "a"),
    )


class Conv2dByColumns(Specimen):
    """One matrix product over all patches; stride two."""

    inputs = {"x": (B, C, 5, 7), "W": (O, C, 3, 3)}
    options = {"axes": "B"}

    @staticmethod
    def forward(x, W):
        at = [(i, j) for i in range(0, 3, 2) for j in range(0, 5, 2)]
        columns = np.stack([x[:, :, i : i + 3, j : j + 3].reshape(len(x), -1) for i, j in at], axis=1)
        columns = probe("columns", columns)
        y = columns @ W.reshape(O, -1).T
        return y.swapaxes(1, 2).reshape(len(x), O, 2, 3), (x.shape, W, at, columns)

    @staticmethod
    def backward(tape, d_y):
        shape, W, at, columns = tape
        d = d_y.reshape(len(d_y), O, -1).swapaxes(1, 2)
        d_W = np.einsum("bpo,bpk->ok", d, columns).reshape(W.shape)
        d_columns = probe("d_columns", d @ W.reshape(O, -1))
        d_x = np.zeros(shape)
        for n, (i, j) in enumerate(at):
            d_x[:, :, i : i + 3, j : j + 3] += d_columns[:, n].reshape(-1, C, 3, 3)
        return d_x, d_W

    @staticmethod
    def reference(x, W):
        columns = probe("columns", torch.nn.functional.unfold(x, 3, stride=2).mT)
        return (columns @ W.flatten(1).T).mT.reshape(len(x), O, 2, 3)

    faults = (
        ("j : j + 3] += d", "j : j + 3] = d", "d_x"),
        ("d_y.reshape(len(d_y), O, -1).swapaxes(1, 2)", "d_y.reshape(len(d_y), -1, O)", "d_columns d_W"),
        ("d, columns)", "d[:, :-1], columns[:, :-1])", "d_W"),
        ("d @ W.reshape(O, -1))", "d @ W[:, :, ::-1, ::-1].reshape(O, -1))", "d_columns"),
        ("reshape(-1, C, 3, 3)", "reshape(-1, 3, 3, C).transpose(0, 3, 1, 2)", "d_x"),
        ("enumerate(at):", "enumerate(at[1:]):", "d_x"),
        ("x[:, :, i : i + 3, j : j + 3].reshape", "x[:, :, i : i + 3, j : j + 3].swapaxes(2, 3).reshape", "columns"),
    )


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


class EmbeddingBag(Specimen):
    """The mean of looked-up rows; a word may stand in a bag twice."""

    inputs = {"E": (8, O), "words": lambda rng: rng.integers(0, 5, (B, L)), "W": (O, C)}

    @staticmethod
    def forward(E, words, W):
        bag = probe("bag", E[words].mean(axis=1))
        return bag @ W, (E, words, W, bag)

    @staticmethod
    def backward(tape, d_y):
        E, words, W, bag = tape
        d_bag = probe("d_bag", d_y @ W.T)
        d_E = np.zeros_like(E)
        for row, d in zip(words, d_bag):
            np.add.at(d_E, row, d / L)
        return d_E, bag.T @ d_y

    @staticmethod
    def reference(E, words, W):
        return probe("bag", E[words].mean(dim=1)) @ W

    faults = (
        ("np.add.at(d_E, row, d / L)", "d_E[row] += d / L", "d_E"),
        ("d / L)", "d)", "d_E"),
        ("bag.T @ d_y", "bag.T @ d_y * (1 - 1e-6)", "d_W"),
        ("d_y @ W.T)", "(d_y @ W.T) * [[1], [0], [1]])", "d_bag"),
        ("d_bag):", "d_bag[::-1]):", "d_E"),
        ("mean(axis=1)", "sum(axis=1)", "bag"),
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
