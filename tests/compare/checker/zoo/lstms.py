"""An LSTM as tutorials write it."""

import numpy as np
import torch

from compare import probe
from zoo.specimen import Specimen

T, B, D, H = 4, 3, 2, 5


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class TutorialLSTM(Specimen):
    """A matrix a gate on [h, x], a cache of dicts, a dict of gradients that is added to."""

    inputs = {"x": (T, B, D), "h_0": (B, H), "c_0": (B, H)}
    options = {
        "axes": "T B",
        "outputs": ("hs", "c_T"),
        "parameters": {f"W_{g}": (D + H, H) for g in "fico"} | {f"b_{g}": (H,) for g in "fico"},
    }

    @staticmethod
    def forward(p, x, h_0, c_0):
        cache, hs, h, c = [], [], h_0, c_0
        for t in range(len(x)):
            hx, c_prev = np.concatenate([h, x[t]], axis=1), c
            f = probe("f", sigmoid(hx @ p["W_f"] + p["b_f"]))
            i = probe("i", sigmoid(hx @ p["W_i"] + p["b_i"]))
            g = probe("g", np.tanh(hx @ p["W_c"] + p["b_c"]))
            o = probe("o", sigmoid(hx @ p["W_o"] + p["b_o"]))
            c = probe("c", f * c_prev + i * g)
            h = probe("h", o * np.tanh(c))
            cache.append({"hx": hx, "c_prev": c_prev, "f": f, "i": i, "g": g, "o": o, "c": c})
            hs.append(h)
        return np.stack(hs), c, cache

    @staticmethod
    def backward(p, caches, d_hs, d_c_T):
        grads = {name: np.zeros_like(value) for name, value in p.items()}
        d_x, d_h_next, d_c_next = [], np.zeros_like(d_c_T), d_c_T
        for t in reversed(range(len(caches))):
            k = caches[t]
            hx, f, i, g, o, c = k["hx"], k["f"], k["i"], k["g"], k["o"], k["c"]
            d_h = probe("d_h", d_hs[t] + d_h_next)
            d_c = probe("d_c", d_c_next + d_h * o * (1 - np.tanh(c) ** 2))
            d_f = probe("d_f", d_c * k["c_prev"])
            d_i = probe("d_i", d_c * g)
            d_g = probe("d_g", d_c * i)
            d_o = probe("d_o", d_h * np.tanh(c))
            d_c_next = d_c * f
            d_z = {"f": d_f * f * (1 - f), "i": d_i * i * (1 - i), "o": d_o * o * (1 - o), "c": d_g * (1 - g**2)}
            d_hx = np.zeros_like(hx)
            for gate in "fico":
                grads[f"W_{gate}"] += hx.T @ d_z[gate]
                grads[f"b_{gate}"] += d_z[gate].sum(axis=0)
                d_hx += d_z[gate] @ p[f"W_{gate}"].T
            d_h_next, d_x_t = d_hx[:, :H], d_hx[:, H:]
            d_x.insert(0, d_x_t)
        return np.stack(d_x), d_h_next, d_c_next, grads

    @staticmethod
    def reference(p, x, h_0, c_0):
        hs, h, c = [], h_0, c_0
        for x_t in x:
            hx = torch.cat([h, x_t], dim=1)
            f, i, o = (probe(g, torch.sigmoid(hx @ p[f"W_{g}"] + p[f"b_{g}"])) for g in "fio")
            g = probe("g", torch.tanh(hx @ p["W_c"] + p["b_c"]))
            c = probe("c", f * c + i * g)
            h = probe("h", o * torch.tanh(c))
            hs.append(h)
        return torch.stack(hs), c

    faults = (
        ("d_c_next + d_h * o * (1", "d_h * o * (1", "d_c"),
        ("d_hs[t] + d_h_next", "d_hs[t]", "d_h"),
        ("(1 - np.tanh(c) ** 2)", "(1 - c**2)", "d_c"),
        ('d_c * k["c_prev"]', "d_c * c", "d_f"),
        ("d_o * o * (1 - o)", "d_o", "W_o b_o d_x d_h d_h_0"),
        ("d_h * np.tanh(c))", "d_h * c)", "d_o"),
        ('grads[f"W_{gate}"] +=', 'grads[f"W_{gate}"] =', "W_f W_i W_c W_o"),
        ("d_z[gate].sum(axis=0)", 'd_z["f"].sum(axis=0)', "b_i b_c b_o"),
        ("d_c_next = d_c * f", "d_c_next = d_c", "d_c d_c_0"),
        ("f * c_prev + i * g", "f * c_prev + g", "c"),
    )
