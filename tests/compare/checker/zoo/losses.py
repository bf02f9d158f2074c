"""Losses: numbers without axes, integer targets, noise that is handed in."""

import numpy as np
import torch

from compare import probe
from zoo.specimen import Specimen

B, K, D = 5, 4, 3


class VariationalAutoencoder(Specimen):
    """Noise is handed in; a squared error and the divergence from a normal distribution."""

    inputs = {"x": (B, D), "noise": lambda rng: rng.normal(size=(B, 2))}
    options = {"axes": "B", "parameters": {"mean": (D, 2), "log_var": (D, 2), "decoder": (2, D)}}

    @staticmethod
    def forward(p, x, noise):
        mu, lv = probe("mu", x @ p["mean"]), probe("lv", x @ p["log_var"])
        sigma = np.exp(lv / 2)
        z = probe("z", mu + sigma * noise)
        e = probe("e", z @ p["decoder"] - x)
        divergence = probe("kl", -0.5 * (1 + lv - mu**2 - sigma**2))
        return (e**2).sum() + divergence.sum(), (x, noise, mu, sigma, z, e)

    @staticmethod
    def backward(p, tape, d_loss):
        x, noise, mu, sigma, z, e = tape
        d_e = probe("d_e", 2 * e * d_loss)
        d_kl = probe("d_kl", np.full(mu.shape, d_loss))
        d_z = probe("d_z", d_e @ p["decoder"].T)
        d_mu = probe("d_mu", d_z + d_kl * mu)
        d_lv = probe("d_lv", d_z * noise * sigma / 2 + d_kl * 0.5 * (sigma**2 - 1))
        d_x = d_mu @ p["mean"].T + d_lv @ p["log_var"].T - d_e
        return d_x, None, {"mean": x.T @ d_mu, "log_var": x.T @ d_lv, "decoder": z.T @ d_e}

    @staticmethod
    def reference(p, x, noise):
        mu, lv = probe("mu", x @ p["mean"]), probe("lv", x @ p["log_var"])
        z = probe("z", mu + torch.exp(lv / 2) * noise)
        e = probe("e", z @ p["decoder"] - x)
        return e.square().sum() + probe("kl", -0.5 * (1 + lv - mu.square() - lv.exp())).sum()

    faults = (
        (" + d_kl * mu", "", "d_mu"),
        ("noise * sigma / 2", "noise * sigma", "d_lv"),
        (" - d_e\n", "\n", "d_x"),
        ("(sigma**2 - 1)", "(sigma - 1)", "d_lv"),
        ("2 * e * d_loss", "2 * e", "d_e"),
        ("np.full(mu.shape, d_loss)", "np.full(mu.shape, d_loss / B)", "d_kl"),
        ("x.T @ d_lv", "x.T @ (d_lv * sigma)", "log_var"),
        ("mu + sigma * noise", "mu + noise", "z"),
    )


class LogisticRegression(Specimen):
    """With weights for the classes and a penalty, from logits, without overflow."""

    inputs = {"x": (B, D), "w": (D,), "b": (), "y": lambda rng: rng.integers(0, 2, B), "weight": np.array([1.0, 3.0])}
    options = {"axes": "B"}

    @staticmethod
    def forward(x, w, b, y, weight):
        z = probe("z", x @ w + b)
        nll = probe("nll", np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z))))
        return (weight[y] * nll).sum() + 0.1 * w @ w, (x, w, y, weight, z, nll)

    @staticmethod
    def backward(tape, d_loss):
        x, w, y, weight, z, nll = tape
        d_nll = probe("d_nll", d_loss * weight[y])
        d_z = probe("d_z", d_nll * (1 / (1 + np.exp(-z)) - y))
        d_weight = d_loss * np.array([nll[y == 0].sum(), nll[y == 1].sum()])
        return np.outer(d_z, w), d_z @ x + d_loss * 0.2 * w, d_z.sum(), None, d_weight

    @staticmethod
    def reference(x, w, b, y, weight):
        z = probe("z", x @ w + b)
        nll = probe("nll", torch.nn.functional.binary_cross_entropy_with_logits(z, y.to(z), reduction="none"))
        return (weight[y] * nll).sum() + 0.1 * w @ w

    faults = (
        (" + d_loss * 0.2 * w", "", "d_w"),
        (" + d_loss * 0.2 * w", " + 0.2 * w", "d_w"),
        ("- y))", "- 1))", "d_z"),
        ("d_loss * weight[y])", "d_loss * weight[1 - y])", "d_nll"),
        ("d_z.sum()", "d_z.mean()", "d_b"),
        ("np.outer(d_z, w)", "np.outer(d_nll, w)", "d_x"),
        ("(1 / (1 + np.exp(-z)) - y)", "(1 / (1 + np.exp(z)) - y)", "d_z"),
        ("- z * y + ", "- z * (1 - y) + ", "nll"),
    )
