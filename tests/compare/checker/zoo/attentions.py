"""Attention with several heads, and in tiles."""

import numpy as np
import torch

from compare import probe
from zoo.specimen import Specimen

B, S, E, H = 2, 5, 6, 3


def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


class MultiHeadAttention(Specimen):
    """Two heads with biases: the true gradient of the keys' bias is zero."""

    inputs = {"x": (B, S, E)}
    options = {"axes": "B", "parameters": {f"{w}{name}": (E, E) if w == "W" else (E,) for name in "qkvo" for w in "Wb"}}

    @staticmethod
    def forward(p, x):
        def heads(a):
            return a.reshape(len(x), S, 2, H).transpose(0, 2, 1, 3)

        q, k, v = (heads(x @ p[f"W{n}"] + p[f"b{n}"]) for n in "qkv")
        q, k, v = probe("q", q), probe("k", k), probe("v", v)
        a = probe("a", softmax(q @ k.swapaxes(2, 3) / np.sqrt(H)))
        y = probe("y", (a @ v).transpose(0, 2, 1, 3).reshape(x.shape))
        return y @ p["Wo"] + p["bo"], (x, q, k, v, a, y)

    @staticmethod
    def backward(p, tape, d_out):
        x, q, k, v, a, y = tape
        grads = {"Wo": np.einsum("bse,bsf->ef", y, d_out), "bo": d_out.sum((0, 1))}
        d_y = probe("d_y", d_out @ p["Wo"].T)
        d_heads = d_y.reshape(len(x), S, 2, H).transpose(0, 2, 1, 3)
        d_v = probe("d_v", a.swapaxes(2, 3) @ d_heads)
        d_a = probe("d_a", d_heads @ v.swapaxes(2, 3))
        d_s = a * (d_a - (d_a * a).sum(-1, keepdims=True)) / np.sqrt(H)
        d_q = probe("d_q", d_s @ k)
        d_k = probe("d_k", d_s.swapaxes(2, 3) @ q)
        d_x = np.zeros_like(x)
        for name, d in (("q", d_q), ("k", d_k), ("v", d_v)):
            d = d.transpose(0, 2, 1, 3).reshape(x.shape)
            grads[f"W{name}"] = np.einsum("bse,bsf->ef", x, d)
            grads[f"b{name}"] = d.sum((0, 1))
            d_x += d @ p[f"W{name}"].T
        return d_x, grads

    @staticmethod
    def reference(p, x):
        q, k, v = (
            probe(n, (x @ p[f"W{n}"] + p[f"b{n}"]).reshape(len(x), S, 2, H).transpose(1, 2)) for n in "qkv"
        )  # fmt: skip
        a = probe("a", torch.softmax(q @ k.mT / H**0.5, dim=-1))
        y = probe("y", (a @ v).transpose(1, 2).reshape(x.shape))
        return y @ p["Wo"] + p["bo"]

    faults = (
        (" - (d_a * a).sum(-1, keepdims=True)", "", "d_q d_k"),
        ("d_s.swapaxes(2, 3) @ q", "d_s @ q", "d_k"),
        ("a.swapaxes(2, 3) @ d_heads", "a @ d_heads", "d_v"),
        ("d_x += d @", "d_x = d @", "d_x"),
        ('d_out @ p["Wo"].T', 'd_out @ p["Wo"]', "d_y"),
        ('"bse,bsf->ef", x, d)', '"bse,bsf->ef", x[:1], d[:1])', "Wq Wk Wv"),
        ("(-1, keepdims=True)) / np.sqrt(H)", "(-1, keepdims=True))", "d_q d_k"),
        ("y, d_out)", "d_out, y)", "Wo"),
        ("d_heads @ v.swapaxes(2, 3))", "d_heads[:, ::-1] @ v.swapaxes(2, 3))", "d_a"),
    )


class FlashAttention(Specimen):
    """Softmax attention in tiles of keys, with a running maximum and sum; backward recomputes each tile."""

    inputs = {"q": (S, E), "k": (6, E), "v": (6, H)}

    @staticmethod
    def forward(q, k, v):
        m, l, o = np.full(S, -np.inf), np.zeros(S), np.zeros((S, v.shape[1]))
        for j in range(0, len(k), 2):
            s = probe("s", q @ k[j : j + 2].T)
            new = np.maximum(m, s.max(axis=1))
            p = np.exp(s - new[:, None])
            scale = np.exp(m - new)
            l, o, m = l * scale + p.sum(axis=1), o * scale[:, None] + p @ v[j : j + 2], new
        o = probe("o", o / l[:, None])
        return o, (q, k, v, o, m + np.log(l))

    @staticmethod
    def backward(tape, d_o):
        q, k, v, o, lse = tape
        d_o = probe("d_o", d_o)
        delta = (d_o * o).sum(axis=1)
        d_q, d_k, d_v = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
        for j in reversed(range(0, len(k), 2)):
            tile = slice(j, j + 2)
            p = np.exp(q @ k[tile].T - lse[:, None])
            d_v[tile] = p.T @ d_o
            d_p = d_o @ v[tile].T
            d_s = probe("d_s", p * (d_p - delta[:, None]))
            d_q += d_s @ k[tile]
            d_k[tile] = d_s.T @ q
        return d_q, d_k, d_v

    @staticmethod
    def reference(q, k, v):
        s = torch.cat([probe("s", q @ k[j : j + 2].T) for j in range(0, len(k), 2)], dim=1)
        return probe("o", torch.softmax(s, dim=1) @ v)

    faults = (
        ("(d_p - delta[:, None])", "d_p", "d_s"),
        ("(d_o * o).sum(axis=1)", "(d_o * d_o).sum(axis=1)", "d_s"),
        ("d_q += d_s", "d_q = d_s", "d_q"),
        ("d_k[tile] = d_s.T @ q", "d_k[tile] = p.T @ q", "d_k"),
        ("d_v[tile] = p.T @ d_o", "d_v[tile] = p.T @ o", "d_v"),
        ("o * scale[:, None] + p @", "o + p @", "o"),
        ("m + np.log(l))", "np.log(l))", "d_s d_v"),
    )
