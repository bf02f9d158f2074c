"""Layers without time: activations, gates, experts, highways, nested parameters."""

import numpy as np
import torch

from compare import probe
from zoo.specimen import Specimen

B, D, H, K = 4, 3, 5, 2


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class GeluMLP(Specimen):
    """With the approximation by tanh, and a skip connection."""

    inputs = {"x": (B, D), "W": (D, H), "b": (H,), "V": (H, D)}
    options = {"axes": "B"}

    @staticmethod
    def forward(x, W, b, V):
        a = probe("a", x @ W + b)
        th = np.tanh(np.sqrt(2 / np.pi) * (a + 0.044715 * a**3))
        g = probe("g", 0.5 * a * (1 + th))
        return x + g @ V, (x, W, V, a, th, g)

    @staticmethod
    def backward(tape, d_y):
        x, W, V, a, th, g = tape
        d_g = probe("d_g", d_y @ V.T)
        slope = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * a**2)
        d_a = probe("d_a", d_g * (0.5 * (1 + th) + 0.5 * a * (1 - th**2) * slope))
        return d_y + d_a @ W.T, x.T @ d_a, d_a.sum(axis=0), g.T @ d_y

    @staticmethod
    def reference(x, W, b, V):
        a = probe("a", x @ W + b)
        return x + probe("g", torch.nn.functional.gelu(a, approximate="tanh")) @ V

    faults = (
        (" + 0.5 * a * (1 - th**2) * slope", "", "d_a"),
        ("(1 - th**2) * slope", "(1 - th**2)", "d_a"),
        ("d_y + d_a @ W.T", "d_a @ W.T", "d_x"),
        ("3 * 0.044715", "0.044715", "d_a"),
        ("d_y @ V.T)", "d_y @ V.T * (1 + 1e-6))", "d_g"),
        ("g.T @ d_y", "a.T @ d_y", "d_V"),
        ("d_a.sum(axis=0)", "d_g.sum(axis=0)", "d_b"),
        ("0.044715 * a**3", "0.044715 * a**2", "g d_a"),
    )


class MixtureOfExperts(Specimen):
    """Two experts of three a row; the chosen gates are normalised again."""

    inputs = {"x": (B, D), "G": (D, 3), "W": (3, D, H)}
    options = {"axes": "B"}

    @staticmethod
    def forward(x, G, W):
        s = probe("s", x @ G)
        chosen = np.argsort(s, axis=1)[:, 1:]
        e = np.exp(s - s.max(axis=1, keepdims=True))
        on = np.zeros_like(s)
        np.put_along_axis(on, chosen, 1.0, axis=1)
        g = probe("g", e * on / (e * on).sum(axis=1, keepdims=True))
        y = probe("y", np.einsum("bd,edh->beh", x, W))
        return np.einsum("be,beh->bh", g, y), (x, G, W, g, y)

    @staticmethod
    def backward(tape, d_out):
        x, G, W, g, y = tape
        d_g = probe("d_g", np.einsum("bh,beh->be", d_out, y))
        d_y = probe("d_y", g[:, :, None] * d_out[:, None])
        d_s = probe("d_s", g * (d_g - (g * d_g).sum(axis=1, keepdims=True)))
        d_x = d_s @ G.T + np.einsum("beh,edh->bd", d_y, W)
        return d_x, x.T @ d_s, np.einsum("bd,beh->edh", x, d_y)

    @staticmethod
    def reference(x, G, W):
        s = probe("s", x @ G)
        on = torch.zeros_like(s, dtype=torch.bool).scatter(1, s.topk(2, dim=1).indices, True)
        g = probe("g", torch.softmax(s.masked_fill(~on, -torch.inf), dim=1))
        y = probe("y", torch.einsum("bd,edh->beh", x, W))
        return (g[:, :, None] * y).sum(dim=1)

    faults = (
        ("d_s @ G.T + ", "", "d_x"),
        (" - (g * d_g).sum(axis=1, keepdims=True)", " - d_g.mean(axis=1, keepdims=True)", "d_s"),
        ("g[:, :, None] * d_out[:, None]", "(g > 0)[:, :, None] * d_out[:, None]", "d_y"),
        ("x.T @ d_s", "x.T @ d_g", "d_G"),
        ("x, d_y)", "x, d_out[:, None] * np.ones((1, 3, 1)))", "d_W"),
        ("[:, 1:]", "[:, :2]", "g"),
        ("d_out, y)", "d_out, y[::-1])", "d_g"),
    )


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


class Maxout(Specimen):
    """The largest of three linear maps of each unit."""

    inputs = {"x": (B, D), "W": (3, D, H), "b": (3, H)}
    options = {"axes": "B"}

    @staticmethod
    def forward(x, W, b):
        a = probe("a", np.einsum("bd,kdh->bkh", x, W) + b)
        return a.max(axis=1), (x, W, a)

    @staticmethod
    def backward(tape, d_y):
        x, W, a = tape
        won = a == a.max(axis=1, keepdims=True)
        d_a = probe("d_a", won * d_y[:, None])
        return np.einsum("bkh,kdh->bd", d_a, W), np.einsum("bd,bkh->kdh", x, d_a), d_a.sum(axis=0)

    @staticmethod
    def reference(x, W, b):
        return probe("a", torch.einsum("bd,kdh->bkh", x, W) + b).amax(dim=1)

    faults = (
        ("won * d_y[:, None])", "d_y[:, None] / 3 * np.ones((3, 1)))", "d_a"),
        ("a == a.max(axis=1, keepdims=True)", "a == a.max(axis=2, keepdims=True)", "d_a"),
        ("d_a.sum(axis=0)", "d_a.sum(axis=0)[::-1]", "d_b"),
        ("d_a, W)", "d_a, W[::-1])", "d_x"),
        ("x, d_a)", "x, d_a * won[:, :1])", "d_W"),
        ("won * d_y", "won * won.sum(axis=2, keepdims=True) * d_y", "d_a"),
        (", W) + b)", ", W) - b)", "a"),
    )
