"""A recurrent cell for the tests of single verdicts, which edit its text."""

import numpy as np
import torch

from compare import probe
from zoo.specimen import Specimen

T, B, D, H = 5, 3, 2, 4

#: What an edited derivation keeps from call to call.
BUFFERS = {}


class Memory(Specimen):
    """A cell with one gate: what it remembers of its last state depends on the hidden state before."""

    inputs = {"x": (T, B, D), "c_0": (B, H)}
    options = {"axes": "T B", "parameters": {"W": (D, H), "V": (D, H), "U": (H, H)}}

    @staticmethod
    def forward(p, x, c_0):
        c, h, hs, tape = c_0.copy(), np.zeros_like(c_0), [], []
        for x_t in x:
            f = probe("f", 1 / (1 + np.exp(-(x_t @ p["V"] + h @ p["U"]))))
            tape.append([x_t, h, f, c.copy()])
            c = probe("c", f * c + x_t @ p["W"])
            h = probe("h", np.tanh(c))
            hs.append(h)
        return np.stack(hs), tape

    @staticmethod
    def backward(p, tape, d_hs):
        grads = {name: np.zeros_like(array) for name, array in p.items()}
        d_x, d_h, d_c = [], 0, 0
        for t in reversed(range(len(tape))):
            x, h_prev, f, c_prev = tape[t]
            c = f * c_prev + x @ p["W"]
            d_h = probe("d_h", d_h + d_hs[t])
            d_c = probe("d_c", d_c + d_h * (1 - np.tanh(c) ** 2))
            d_f = probe("d_f", d_c * c_prev)
            d_z = d_f * f * (1 - f)
            grads["W"] += x.T @ d_c
            grads["V"] += x.T @ d_z
            grads["U"] += h_prev.T @ d_z
            d_x.append(d_c @ p["W"].T + d_z @ p["V"].T)
            d_h, d_c = d_z @ p["U"].T, d_c * f
        return np.stack(d_x[::-1]), d_c, grads

    @staticmethod
    def reference(p, x, c_0):
        c, h, hs = c_0, torch.zeros_like(c_0), []
        for x_t in x:
            f = probe("f", torch.sigmoid(x_t @ p["V"] + h @ p["U"]))
            c = probe("c", f * c + x_t @ p["W"])
            h = probe("h", torch.tanh(c))
            hs.append(h)
        return torch.stack(hs)


def check_memory(*edits):
    """Check the cell with some of its text replaced."""
    return Memory.check(*((old, new, "") for old, new in edits))


def names(report):
    """The names of what is wrong."""
    return [fault.name for fault in report.faults]
