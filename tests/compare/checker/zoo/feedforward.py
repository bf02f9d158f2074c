"""Layers without time: a gate, nested parameters, a normalisation, attention in tiles; a loss."""

import numpy as np
import torch

from compare import probe
from zoo.specimen import Specimen

B, D, H, K = 4, 3, 5, 2


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class Highway(Specimen):
    """Three layers that share their weights and carry their input past a gate."""

    inputs = {"x": (B, H), "W_h": (H, H), "b_h": (H,), "W_t": (H, H), "b_t": (H,)}
    options = {"axes": "B"}

    @staticmethod
    def forward(x, W_h, b_h, W_t, b_t):
        tape = []
        for _ in range(3):
            h = probe("h", np.maximum(x @ W_h + b_h, 0))
            t = probe("t", sigmoid(x @ W_t + b_t))
            tape.append((x, h, t))
            x = probe("y", t * h + (1 - t) * x)
        return x, (tape, W_h, W_t)

    @staticmethod
    def backward(tape, d_y):
        layers, W_h, W_t = tape
        d_W_h, d_b_h, d_W_t, d_b_t = 0, 0, 0, 0
        for x, h, t in reversed(layers):
            d_y = probe("d_y", d_y)
            d_h = probe("d_h", d_y * t)
            d_t = probe("d_t", d_y * (h - x))
            d_a, d_g = d_h * (h > 0), d_t * t * (1 - t)
            d_W_h, d_b_h = d_W_h + x.T @ d_a, d_b_h + d_a.sum(0)
            d_W_t, d_b_t = d_W_t + x.T @ d_g, d_b_t + d_g.sum(0)
            d_y = d_y * (1 - t) + d_a @ W_h.T + d_g @ W_t.T
        return d_y, d_W_h, d_b_h, d_W_t, d_b_t

    @staticmethod
    def reference(x, W_h, b_h, W_t, b_t):
        for _ in range(3):
            h, t = probe("h", torch.relu(x @ W_h + b_h)), probe("t", torch.sigmoid(x @ W_t + b_t))
            x = probe("y", t * h + (1 - t) * x)
        return x

    faults = (
        ("d_y * (h - x)", "d_y * h", "d_t"),
        ("d_y * (1 - t) + ", "", "d_y d_x"),
        ("d_h * (h > 0)", "d_h", "d_W_h d_b_h d_y d_x"),
        ("d_W_t + x.T", "x.T", "d_W_t"),
        ("d_b_h + d_a.sum(0)", "d_b_h + d_g.sum(0)", "d_b_h"),
        ("d_g @ W_t.T", "d_g @ W_t", "d_y d_x"),
        ("d_y * t)", "d_y * (1 - t))", "d_h"),
    )


class NestedMLP(Specimen):
    """Parameters in nested dicts; mean squared error, a number without axes."""

    inputs = {"x": (B, D), "target": (B, K)}
    options = {
        "axes": "B",
        "parameters": {"encoder": {"first": {"W": (D, H), "b": (H,)}, "second": {"W": (H, H)}}, "head": {"W": (H, K)}},
    }

    @staticmethod
    def forward(p, x, target):
        e = p["encoder"]
        h1 = probe("h1", np.tanh(x @ e["first"]["W"] + e["first"]["b"]))
        h2 = probe("h2", np.sin(h1 @ e["second"]["W"]))
        error = probe("error", h2 @ p["head"]["W"] - target)
        return (error**2).mean(), (x, h1, h2, error)

    @staticmethod
    def backward(p, tape, d_loss):
        x, h1, h2, error = tape
        e = p["encoder"]
        d_error = probe("d_error", d_loss * 2 * error / error.size)
        d_h2 = probe("d_h2", d_error @ p["head"]["W"].T)
        d_a2 = d_h2 * np.cos(h1 @ e["second"]["W"])
        d_h1 = probe("d_h1", d_a2 @ e["second"]["W"].T)
        d_a1 = d_h1 * (1 - h1**2)
        first = {"W": x.T @ d_a1, "b": d_a1.sum(0)}
        gradients = {"encoder": {"first": first, "second": {"W": h1.T @ d_a2}}, "head": {"W": h2.T @ d_error}}
        return d_a1 @ e["first"]["W"].T, -d_error, gradients

    @staticmethod
    def reference(p, x, target):
        e = p["encoder"]
        h1 = probe("h1", torch.tanh(x @ e["first"]["W"] + e["first"]["b"]))
        h2 = probe("h2", torch.sin(h1 @ e["second"]["W"]))
        return probe("error", h2 @ p["head"]["W"] - target).square().mean()

    faults = (
        ("2 * error / error.size", "2 * error", "d_error"),
        ("d_loss * 2", "2", "d_error"),
        ("-d_error, gradients", "d_error, gradients", "d_target"),
        ("h1.T @ d_a2", "(h1.T @ d_a2).T", "encoder.second.W"),
        ("d_h2 * np.cos", "d_h2 * -np.cos", "d_h1 encoder.second.W"),
        ("d_a1.sum(0)", "d_a1[-1]", "encoder.first.b"),
        ("h2.T @ d_error", "h1.T @ d_error", "head.W"),
        ("(error**2).mean()", "(error**2).sum()", "output"),
    )


class BatchNormAfterLinear(Specimen):
    """The true gradient of the bias in front of batch norm is zero."""

    inputs = {"x": (B, D), "W": (D, H), "b": (H,), "gamma": (H,), "beta": (H,)}
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


class FlashAttention(Specimen):
    """Softmax attention in tiles of keys, with a running maximum and sum; backward recomputes each tile."""

    inputs = {"q": (B, D), "k": (6, D), "v": (6, H)}

    @staticmethod
    def forward(q, k, v):
        m, l, o = np.full(B, -np.inf), np.zeros(B), np.zeros((B, v.shape[1]))
        for j in range(0, len(k), 2):
            s = probe("s", q @ k[j : j + 2].T)
            new = np.maximum(m, s.max(axis=1))
            p = np.exp(s - new[:, None])
            scale = np.exp(m - new)
            l, o, m = l * scale + p.sum(axis=1), o * scale[:, None] + p @ v[j : j + 2], new
        o = probe("o", o / l[:, None])
        return o, (q, k, v, o, m + np.log(l))

    @staticmethod
    def backward(tape, d_o):
        q, k, v, o, lse = tape
        d_o = probe("d_o", d_o)
        delta = (d_o * o).sum(axis=1)
        d_q, d_k, d_v = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
        for j in reversed(range(0, len(k), 2)):
            tile = slice(j, j + 2)
            p = np.exp(q @ k[tile].T - lse[:, None])
            d_v[tile] = p.T @ d_o
            d_p = d_o @ v[tile].T
            d_s = probe("d_s", p * (d_p - delta[:, None]))
            d_q += d_s @ k[tile]
            d_k[tile] = d_s.T @ q
        return d_q, d_k, d_v

    @staticmethod
    def reference(q, k, v):
        s = torch.cat([probe("s", q @ k[j : j + 2].T) for j in range(0, len(k), 2)], dim=1)
        return probe("o", torch.softmax(s, dim=1) @ v)

    faults = (
        ("(d_p - delta[:, None])", "d_p", "d_s"),
        ("(d_o * o).sum(axis=1)", "(d_o * d_o).sum(axis=1)", "d_s"),
        ("d_q += d_s", "d_q = d_s", "d_q"),
        ("d_k[tile] = d_s.T @ q", "d_k[tile] = p.T @ q", "d_k"),
        ("d_v[tile] = p.T @ d_o", "d_v[tile] = p.T @ o", "d_v"),
        ("o * scale[:, None] + p @", "o + p @", "o"),
        ("m + np.log(l))", "np.log(l))", "d_s d_v"),
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
