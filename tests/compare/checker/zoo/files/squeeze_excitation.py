"""Channels that are scaled by what their means say, in a file; its reference is a function with parameters."""

import numpy as np
import torch

from compare import probe

INPUTS = {"x": (3, 4, 7)}
PARAMETERS = {"down": (4, 2), "up": (2, 4)}
AXES = "B"


def forward(p, x):
    mean = probe("mean", x.mean(axis=2))
    h = probe("h", np.maximum(mean @ p["down"], 0))
    s = probe("s", 1 / (1 + np.exp(-(h @ p["up"]))))
    return x * s[:, :, None], (x, mean, h, s)


def backward(p, tape, d_y):
    x, mean, h, s = tape
    d_s = probe("d_s", (d_y * x).sum(axis=2))
    d_z = d_s * s * (1 - s)
    d_h = probe("d_h", d_z @ p["up"].T)
    d_a = d_h * (h > 0)
    d_mean = probe("d_mean", d_a @ p["down"].T)
    d_x = d_y * s[:, :, None] + d_mean[:, :, None] / x.shape[2]
    return d_x, {"down": mean.T @ d_a, "up": h.T @ d_z}


def reference(p, x):
    mean = probe("mean", x.mean(dim=2))
    h = probe("h", torch.relu(mean @ p["down"]))
    s = probe("s", torch.sigmoid(h @ p["up"]))
    return x * s[:, :, None]


FAULTS = (
    (" / x.shape[2]", "", "d_x"),
    (" + d_mean[:, :, None]", " + 0 * d_mean[:, :, None]", "d_x"),
    ("(d_y * x).sum(axis=2)", "(d_y * x).mean(axis=2)", "d_s"),
    ("(d_y * x)", "x", "d_s"),
    ("d_h * (h > 0)", "d_h", "down d_mean"),
    ("h.T @ d_z", "h.T @ d_s", "up"),
    ('d_a @ p["down"].T', 'd_a @ p["up"]', "d_mean"),
)
