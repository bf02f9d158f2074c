import torch

INPUTS = [{"x": (2, T), "h": (4,)} for T in (5, 1, 9)]
PARAMETERS = {"W": (4, 2), "U": (4, 4), "b": (4,)}


def reference(p, x, h):
    hs = []
    for x_t in x.T:
        h = torch.tanh(p["W"] @ x_t + p["U"] @ h + p["b"])
        hs.append(h)
    return torch.stack(hs, dim=1)
