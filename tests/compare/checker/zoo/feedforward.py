"""Layers without time: a gate, and nested parameters."""

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
