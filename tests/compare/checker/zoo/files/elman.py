"""A plain RNN with a read-out at its end, in a file; its reference is a module."""

import numpy as np
import torch

from compare import probe

INPUTS = [{"x": (5, 3, 2), "h_0": (3, 4)}, {"x": (1, 2, 2), "h_0": (2, 4)}, {"x": (12, 1, 2), "h_0": (1, 4)}]
OUTPUTS = ("y",)
AXES = "T B"


def forward(p, x, h_0, probe):
    h, hs = h_0, [h_0]
    for t in range(len(x)):
        h = probe("h", t, np.tanh(x[t] @ p["cell.weight"].T + p["cell.bias"] + h @ p["recurrent"].T))
        hs.append(h)
    return h @ p["head.weight"].T, (x, hs)


def backward(p, tape, d_y, probe):
    x, hs = tape
    grads = {name: np.zeros_like(array) for name, array in p.items()}
    grads["head.weight"] += d_y.T @ hs[-1]
    d_x, d_h = np.zeros_like(x), d_y @ p["head.weight"]
    for t in reversed(range(len(x))):
        d_h = probe("d_h", t, d_h)
        d_a = d_h * (1 - hs[t + 1] ** 2)
        grads["cell.weight"] += d_a.T @ x[t]
        grads["cell.bias"] += d_a.sum(axis=0)
        grads["recurrent"] += d_a.T @ hs[t]
        d_x[t] = d_a @ p["cell.weight"]
        d_h = d_a @ p["recurrent"]
    return d_x, d_h, grads


class Reference(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = torch.nn.Linear(2, 4), torch.nn.Linear(4, 3, bias=False)
        self.recurrent = torch.nn.Parameter(torch.zeros(4, 4))

    def forward(self, x, h):
        for x_t in x:
            h = probe("h", torch.tanh(self.cell(x_t) + h @ self.recurrent.T))
        return self.head(h)


FAULTS = (
    ("d_a.T @ hs[t]", "d_a.T @ hs[t + 1]", "recurrent"),
    ('d_a @ p["recurrent"]', 'd_a @ p["recurrent"].T', "d_h d_h_0"),
    ("d_y.T @ hs[-1]", "d_y.T @ hs[-2]", "head.weight"),
    ('grads["cell.bias"] +=', 'grads["cell.bias"] =', "cell.bias"),
    ("d_h * (1 - hs[t + 1] ** 2)", "d_h", "cell.weight cell.bias recurrent d_x d_h d_h_0"),
    ("d_h = d_a @", "d_h = (t < 8) * d_a @", "d_h"),
    ('d_y @ p["head.weight"]\n', 'np.ones_like(d_y) @ p["head.weight"]\n', "d_h"),
)
