"""A softplus layer and a squared error in single precision, in a file; its reference takes the probe as an argument."""

import numpy as np
import torch

DTYPE = "float32"
INPUTS = {"x": lambda rng: rng.uniform(0.1, 2, (6, 3)).astype("float32"), "target": (6,)}
AXES = "B"


def forward(p, x, target, probe):
    a = probe("a", 0, x @ p["first"])
    h = probe("h", 0, np.log1p(np.exp(a)))
    e = probe("e", 0, h @ p["second"] - target)
    return 0.5 * (e * e).sum(), (x, a, h, e)


def backward(p, tape, d_loss, probe):
    x, a, h, e = tape
    d_e = probe("d_e", 0, d_loss * e)
    d_h = probe("d_h", 0, np.outer(d_e, p["second"]))
    d_a = probe("d_a", 0, d_h / (1 + np.exp(-a)))
    return d_a @ p["first"].T, -d_e, {"first": x.T @ d_a, "second": h.T @ d_e}


class Reference(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Parameter(torch.zeros(3, 4))
        self.second = torch.nn.Parameter(torch.zeros(4))

    def forward(self, x, target, probe):
        a = probe("a", 0, x @ self.first)
        h = probe("h", 0, torch.log1p(torch.exp(a)))
        e = probe("e", 0, h @ self.second - target)
        return 0.5 * e.square().sum()


FAULTS = (
    ("d_loss * e", "e", "d_e"),
    ("/ (1 + np.exp(-a))", "/ (1 + np.exp(a))", "d_a"),
    ("-d_e, {", "d_e, {", "d_target"),
    ("h.T @ d_e", "a.T @ d_e", "second"),
    ("x.T @ d_a", "(x * [[1]] * (np.arange(6) > 0)[:, None]).T @ d_a", "first"),
    ("np.outer(d_e,", "np.outer(d_e * 2,", "d_h"),
    ("0.5 * (e * e)", "(e * e)", "output"),
)
