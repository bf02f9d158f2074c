"""Attention: masked, with several heads, in tiles, and without a softmax."""

import numpy as np
import torch

from compare import probe
from zoo.specimen import Specimen

B, S, E, H = 2, 5, 6, 3


def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def causal(size):
    return np.tril(np.ones((size, size), bool))


class MaskedAttention(Specimen):
    """Queries, keys and values under a causal mask."""

    inputs = {"q": (S, E), "k": (S, E), "v": (S, H)}

    @staticmethod
    def forward(q, k, v):
        s = probe("s", np.where(causal(len(q)), q @ k.T / np.sqrt(E), -np.inf))
        p = probe("p", softmax(s))
        return p @ v, (q, k, v, p)

    @staticmethod
    def backward(tape, d_o):
        q, k, v, p = tape
        d_v = p.T @ d_o
        d_p = probe("d_p", d_o @ v.T)
        d_s = probe("d_s", p * (d_p - (d_p * p).sum(axis=1, keepdims=True)))
        d_s = d_s / np.sqrt(E)
        return d_s @ k, d_s.T @ q, d_v

    @staticmethod
    def reference(q, k, v):
        mask = torch.ones(len(q), len(q), dtype=torch.bool).tril()
        s = probe("s", (q @ k.T / E**0.5).masked_fill(~mask, -torch.inf))
        return probe("p", torch.softmax(s, dim=1)) @ v

    faults = (
        (" - (d_p * p).sum(axis=1, keepdims=True)", "", "d_s"),
        ("d_s.T @ q", "d_s @ q", "d_k"),
        ("d_s = d_s / np.sqrt(E)", "d_s = d_s / E", "d_q d_k"),
        ("p.T @ d_o", "p @ d_o", "d_v"),
        ("d_o @ v.T)", "d_o @ v.T * (np.arange(S) > 0))", "d_p"),
        ("(d_p * p).sum(axis=1, keepdims=True)", "(d_p * p).sum(axis=0, keepdims=True)", "d_s"),
        ("causal(len(q))", "causal(len(q)).T", "s"),
    )


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


class LinearAttention(Specimen):
    """A state of outer products: read at each step, without a softmax, normalised by a running sum."""

    inputs = {"q": (S, E), "k": (S, E), "v": (S, H)}
    options = {"axes": "T"}

    @staticmethod
    def forward(q, k, v):
        q, k = probe("phi_q", np.exp(q)), probe("phi_k", np.exp(k))
        state, total, o, tape = np.zeros((E, H)), np.zeros(E), np.zeros((S, H)), []
        for t in range(S):
            state = probe("state", state + np.outer(k[t], v[t]))
            total = probe("total", total + k[t])
            o[t] = q[t] @ state / (q[t] @ total)
            tape.append((state, total))
        return o, (q, k, v, o, tape)

    @staticmethod
    def backward(tape, d_o):
        q, k, v, o, steps = tape
        d_phi_q, d_phi_k, d_v = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
        d_state, d_total = np.zeros((E, H)), np.zeros(E)
        for t in reversed(range(S)):
            state, total = steps[t]
            norm = q[t] @ total
            d_norm = -(d_o[t] @ o[t]) / norm
            d_phi_q[t] = state @ d_o[t] / norm + d_norm * total
            d_state = probe("d_state", d_state + np.outer(q[t], d_o[t]) / norm)
            d_total = probe("d_total", d_total + d_norm * q[t])
            d_phi_k[t] = d_state @ v[t] + d_total
            d_v[t] = k[t] @ d_state
        d_phi_q, d_phi_k = probe("d_phi_q", d_phi_q), probe("d_phi_k", d_phi_k)
        return d_phi_q * q, d_phi_k * k, d_v

    @staticmethod
    def reference(q, k, v):
        q, k = probe("phi_q", q.exp()), probe("phi_k", k.exp())
        state, total, o = q.new_zeros(E, H), q.new_zeros(E), []
        for t in range(S):
            state = probe("state", state + torch.outer(k[t], v[t]))
            total = probe("total", total + k[t])
            o.append(q[t] @ state / (q[t] @ total))
        return torch.stack(o)

    faults = (
        (" + d_norm * total", "", "d_phi_q"),
        (" @ v[t] + d_total", " @ v[t]", "d_phi_k"),
        ("d_state + np.outer", "np.outer", "d_state"),
        ("-(d_o[t] @ o[t]) / norm", "-(d_o[t] @ o[t]) / norm**2", "d_phi_q d_total"),
        ("k[t] @ d_state", "q[t] @ d_state", "d_v"),
        ("d_total + d_norm * q[t]", "d_total - d_norm * q[t]", "d_total"),
        ("d_phi_k * k", "d_phi_k", "d_k"),
        ("np.outer(q[t], d_o[t]) / norm", "np.outer(q[t], o[t]) / norm", "d_state"),
    )


class AdditiveAttention(Specimen):
    """Scores from a small network, as in early translation models; some positions are padding."""

    inputs = {
        "query": (B, E), "keys": (B, S, H), "Wq": (E, 4), "Wk": (H, 4), "v": (4,),
        "valid": np.array([[True] * 5, [True] * 3 + [False] * 2]),
    }  # fmt: skip
    options = {"axes": "B"}

    @staticmethod
    def forward(query, keys, Wq, Wk, v, valid):
        u = probe("u", np.tanh((query @ Wq)[:, None] + keys @ Wk))
        w = probe("w", softmax(np.where(valid, u @ v, -1e9)))
        return np.einsum("bs,bsh->bh", w, keys), (query, keys, Wq, Wk, v, u, w)

    @staticmethod
    def backward(tape, d_y):
        query, keys, Wq, Wk, v, u, w = tape
        d_w = probe("d_w", np.einsum("bh,bsh->bs", d_y, keys))
        d_keys = w[:, :, None] * d_y[:, None]
        d_s = w * (d_w - (w * d_w).sum(axis=1, keepdims=True))
        d_v = np.einsum("bs,bsj->j", d_s, u)
        d_u = probe("d_u", d_s[:, :, None] * v)
        d_a = d_u * (1 - u**2)
        d_keys = d_keys + d_a @ Wk.T
        d_hidden = d_a.sum(axis=1)
        return d_hidden @ Wq.T, d_keys, query.T @ d_hidden, np.einsum("bsh,bsj->hj", keys, d_a), d_v

    @staticmethod
    def reference(query, keys, Wq, Wk, v, valid):
        u = probe("u", torch.tanh((query @ Wq)[:, None] + keys @ Wk))
        w = probe("w", torch.softmax(torch.where(valid, u @ v, -1e9), dim=1))
        return (w[:, :, None] * keys).sum(dim=1)

    faults = (
        ("d_keys = d_keys + d_a @ Wk.T", "d_keys = d_a @ Wk.T", "d_keys"),
        ("d_a.sum(axis=1)", "d_a[:, -1]", "d_query d_Wq"),
        ("d_s, u)", "d_w, u)", "d_v"),
        ("(w * d_w).sum(axis=1, keepdims=True)", "(w * d_w).mean(axis=1, keepdims=True)", "d_v d_u"),
        ("d_s[:, :, None] * v)", "d_s[:, :, None] * v * u)", "d_u"),
        ("d_u * (1 - u**2)", "d_u * u * (1 - u)", "d_query d_keys d_Wq d_Wk"),
        ("query.T @ d_hidden", "(query.T @ d_hidden) / B", "d_Wq"),
    )
