"""The forward pass in torch, for autograd to differentiate: the same arguments, outputs and names of probes."""

import torch

from compare import probe


def reference(p, x, s_0):
    """From x (T, B, D) and s_0 (B, D): y (T, B, O) and s_n (B, D)."""
    a = probe("a", torch.sigmoid(p["rate"]))
    s, y = s_0, []
    for t in range(len(x)):
        s = probe("s", a * s + (1 - a) * x[t], t=t)
        y.append(s @ p["weight"] + p["bias"])
    return torch.stack(y), s
