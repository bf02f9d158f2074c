"""Normalisations, and what is trained in front of them."""

import numpy as np

from compare import probe
from zoo.specimen import Specimen

B, C, H = 5, 6, 4


class LayerNorm(Specimen):
    inputs = {"x": (B, H), "gamma": (H,), "beta": (H,)}
    options = {"axes": "B"}

    @staticmethod
    def forward(x, gamma, beta):
        centred = probe("centred", x - x.mean(axis=1, keepdims=True))
        rstd = probe("rstd", 1 / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5))
        n = probe("n", centred * rstd)
        return n * gamma + beta, (centred, rstd, n, gamma)

    @staticmethod
    def backward(tape, d_y):
        centred, rstd, n, gamma = tape
        d_n = probe("d_n", d_y * gamma)
        d_rstd = probe("d_rstd", (d_n * centred).sum(axis=1, keepdims=True))
        d_var = -0.5 * d_rstd * rstd**3
        d_centred = probe("d_centred", d_n * rstd + d_var * 2 * centred / H)
        d_x = d_centred - d_centred.mean(axis=1, keepdims=True)
        return d_x, (d_y * n).sum(axis=0), d_y.sum(axis=0)

    @staticmethod
    def reference(x, gamma, beta):
        centred = probe("centred", x - x.mean(dim=1, keepdim=True))
        rstd = probe("rstd", (centred.square().mean(dim=1, keepdim=True) + 1e-5).rsqrt())
        return probe("n", centred * rstd) * gamma + beta

    faults = (
        (" - d_centred.mean(axis=1, keepdims=True)", "", "d_x"),
        ("d_n * rstd + d_var * 2 * centred / H", "d_n * rstd", "d_centred"),
        ("d_var * 2 * centred / H", "d_var * centred / H", "d_centred"),
        ("rstd**3", "rstd**2", "d_centred"),
        ("d_y * gamma)", "d_y)", "d_n"),
        ("(d_y * n).sum(axis=0)", "d_y.sum(axis=0)", "d_gamma"),
        ("(d_n * centred).sum(axis=1, keepdims=True)", "(d_n * centred).mean(axis=1, keepdims=True)", "d_rstd"),
        ("x - x.mean(axis=1, keepdims=True)", "x - x.mean(axis=0, keepdims=True)", "centred"),
    )


class BatchNormAfterLinear(Specimen):
    """The true gradient of the bias in front of batch norm is zero."""

    inputs = {"x": (B, C), "W": (C, H), "b": (H,), "gamma": (H,), "beta": (H,)}
    options = {"axes": "B"}

    @staticmethod
    def forward(x, W, b, gamma, beta):
        a = probe("a", x @ W + b)
        std = np.sqrt(a.var(axis=0) + 1e-3)
        n = probe("n", (a - a.mean(axis=0)) / std)
        return gamma * n + beta, (x, W, gamma, std, n)

    @staticmethod
    def backward(tape, d_y):
        x, W, gamma, std, n = tape
        d_beta = d_y.sum(axis=0)
        d_gamma = (d_y * n).sum(axis=0)
        d_n = probe("d_n", d_y * gamma)
        d_a = probe("d_a", (d_n - d_n.mean(axis=0) - n * (d_n * n).mean(axis=0)) / std)
        d_b = d_a.sum(axis=0)
        return d_a @ W.T, x.T @ d_a, d_b, d_gamma, d_beta

    @staticmethod
    def reference(x, W, b, gamma, beta):
        a = probe("a", x @ W + b)
        n = probe("n", (a - a.mean(dim=0)) / (a.var(dim=0, unbiased=False) + 1e-3).sqrt())
        return gamma * n + beta

    faults = (
        (" - d_n.mean(axis=0)", "", "d_a"),
        ("n * (d_n * n).mean(axis=0)", "n * (d_n * n).mean()", "d_a"),
        ("(d_n * n).mean(axis=0)) / std", "(d_n * n).mean(axis=0))", "d_a"),
        ("x.T @ d_a", "x.T @ d_n", "d_W"),
        ("d_b = d_a.sum", "d_b = d_n.sum", "d_b"),
        ("d_y * gamma)", "d_y)", "d_n"),
        ("d_y.sum(axis=0)", "d_y.sum(axis=1)[:-1]", "d_beta"),
        ("a.var(axis=0)", "a.var(axis=0, ddof=1)", "n d_a"),
    )
