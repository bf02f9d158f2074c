"""Right programs without a probe, for mistakes to be put into."""

import importlib.util
import sys

import torch

ELMAN = """\
import numpy as np

def forward(p, x, h_0):
    h, hs, tape = h_0, [], []
    for t in range(len(x)):
        before = h
        a = x[t] @ p["W"] + h @ p["U"] + p["b"]
        h = np.tanh(a)
        hs.append(h)
        tape.append((x[t], before, h))
    return np.stack(hs), tape

def backward(p, tape, d_hs):
    grads = {name: np.zeros_like(value) for name, value in p.items()}
    d_x, carry = np.zeros((len(tape), len(d_hs[0]), len(p["W"]))), 0.0
    for t in range(len(tape) - 1, -1, -1):
        x, before, h = tape[t]
        d_h = d_hs[t] + carry
        d_a = d_h * (1 - h**2)
        grads["W"] += x.T @ d_a
        grads["U"] += before.T @ d_a
        grads["b"] += d_a.sum(axis=0)
        d_x[t] = d_a @ p["W"].T
        carry = d_a @ p["U"].T
    return d_x, carry, grads
"""

NORM = """\
import numpy as np

class Norm:
    def __init__(self, eps):
        self.eps = eps

    def forward(self, x, scale, shift):
        centred = x - x.mean(axis=-1, keepdims=True)
        self.inverse = 1 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self.eps)
        self.n = centred * self.inverse
        return self.n * scale + shift, scale

    def backward(self, scale, d_y):
        d_n = d_y * scale
        d_x = self.inverse * (
            d_n - d_n.mean(axis=-1, keepdims=True) - self.n * (d_n * self.n).mean(axis=-1, keepdims=True)
        )
        return d_x, (d_y * self.n).sum(axis=0), d_y.sum(axis=0)

layer = Norm(1e-5)
forward, backward = layer.forward, layer.backward
"""

CLOSURES = """\
import numpy as np

def squashed(z):
    y = np.tanh(z)
    return y, lambda d: d * (1 - y**2)

def linear(x, w):
    def back(d):
        return d @ w.T, x.T @ d
    return x @ w, back

def forward(x, w, v):
    a, back_a = linear(x, w)
    h, back_h = squashed(a)
    b, back_b = linear(x, v)
    gate, back_gate = squashed(b)

    def back(d):
        d_x, d_w = back_a(back_h(d * gate))
        more, d_v = back_b(back_gate(d * h))
        return d_x + more, d_w, d_v

    return h * gate, back

def backward(back, d_y):
    return back(d_y)
"""

SCAN = """\
import torch

class Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        h = torch.zeros_like(x[0])
        hs = [h]
        for x_t in x:
            h = torch.tanh(x_t + h * w)
            hs.append(h)
        ctx.save_for_backward(torch.stack(hs), w)
        return torch.stack(hs[1:])

    @staticmethod
    def backward(ctx, d_hs):
        hs, w = ctx.saved_tensors
        d_h, d_w, d_x = torch.zeros_like(hs[0]), torch.zeros_like(w), torch.zeros_like(d_hs)
        for t in range(len(d_hs) - 1, -1, -1):
            d_z = (d_hs[t] + d_h) * (1 - hs[t + 1] ** 2)
            d_x[t] = d_z
            d_w += (d_z * hs[t]).sum(0)
            d_h = d_z * w
        return d_x, d_w
"""


def elman(p, x, h):
    hs = []
    for x_t in x:
        h = torch.tanh(x_t @ p["W"] + h @ p["U"] + p["b"])
        hs.append(h)
    return torch.stack(hs)


def written(text, folder):
    """A module of this text, from a file of its own."""
    name = f"program_{abs(hash(text))}"
    file = folder / f"{name}.py"
    file.write_text(text)
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
