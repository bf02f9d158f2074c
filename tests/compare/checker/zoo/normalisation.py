"""Normalisations, and what is trained in front of them."""

import numpy as np
import torch

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


class GroupNorm(Specimen):
    inputs = {"x": (B, C, 4), "gamma": (C,), "beta": (C,)}
    options = {"axes": "B"}

    @staticmethod
    def forward(x, gamma, beta):
        groups = x.reshape(len(x), 2, -1)
        std = np.sqrt(groups.var(axis=2, keepdims=True) + 1e-5)
        n = probe("n", ((groups - groups.mean(axis=2, keepdims=True)) / std).reshape(x.shape))
        return n * gamma[:, None] + beta[:, None], (n, std, gamma)

    @staticmethod
    def backward(tape, d_y):
        n, std, gamma = tape
        d_gamma, d_beta = (d_y * n).sum(axis=(0, 2)), d_y.sum(axis=(0, 2))
        d_n = probe("d_n", d_y * gamma[:, None])
        n_g, d_g = n.reshape(len(n), 2, -1), d_n.reshape(len(n), 2, -1)
        d_g = d_g - d_g.mean(axis=2, keepdims=True) - n_g * (d_g * n_g).mean(axis=2, keepdims=True)
        return (d_g / std).reshape(n.shape), d_gamma, d_beta

    @staticmethod
    def reference(x, gamma, beta):
        n = probe("n", torch.nn.functional.group_norm(x, 2))
        return n * gamma[:, None] + beta[:, None]

    faults = (
        ("d_g.mean(axis=2, keepdims=True)", "d_g.mean(axis=1, keepdims=True)", "d_x"),
        ("(d_g * n_g).mean", "(d_g * n_g).sum", "d_x"),
        ("(d_y * n).sum(axis=(0, 2))", "(d_y * n)[..., -1].sum(axis=0)", "d_gamma"),
        ("d_y * gamma[:, None])", "d_y)", "d_n"),
        ("d_y.sum(axis=(0, 2))", "d_y.mean(axis=(0, 2))", "d_beta"),
        ("(d_g / std)", "(d_g * std)", "d_x"),
        ("groups.var(axis=2", "groups.var(axis=1", "n d_x"),
    )


class WeightNorm(Specimen):
    """A matrix as lengths times directions."""

    inputs = {"x": (B, C), "V": (H, C), "g": (H,)}
    options = {"axes": "B"}

    @staticmethod
    def forward(x, V, g):
        norm = np.linalg.norm(V, axis=1)
        U = V / norm[:, None]
        W = probe("W", g[:, None] * U)
        return x @ W.T, (x, g, norm, U, W)

    @staticmethod
    def backward(tape, d_y):
        x, g, norm, U, W = tape
        d_W = probe("d_W", d_y.T @ x)
        d_g = (d_W * U).sum(axis=1)
        d_V = (g / norm)[:, None] * (d_W - d_g[:, None] * U)
        return d_y @ W, d_V, d_g

    @staticmethod
    def reference(x, V, g):
        W = probe("W", g[:, None] * torch.nn.functional.normalize(V, dim=1))
        return x @ W.T

    faults = (
        (" - d_g[:, None] * U", "", "d_V"),
        ("d_y.T @ x)", "d_y.T @ (x - x.mean(0)))", "d_W"),
        ("(g / norm)", "(1 / norm)", "d_V"),
        ("(d_W * U).sum(axis=1)", "(d_W * W).sum(axis=1)", "d_g d_V"),
        ("d_y @ W, ", "(d_y * g) @ W, ", "d_x"),
        ("d_y @ W, ", "d_y @ W * np.eye(len(x), 1, -2) , ", "d_x"),
        ('probe("W", g[:, None] * U)', 'probe("W", U)', "W"),
    )
