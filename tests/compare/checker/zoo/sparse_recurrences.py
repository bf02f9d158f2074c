"""Recurrences that are elementwise, partly asleep or of one gate: SRU, clockwork, minimal gated unit."""

import numpy as np
import torch

from compare import probe
from zoo.specimen import Specimen

T, B, D, H = 4, 3, 2, 5


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class SRU(Specimen):
    """A simple recurrent unit: all products before the loop, a highway behind it."""

    inputs = {"x": (T, B, H), "W": (H, 3 * H), "b_f": (H,), "b_r": (H,), "c_0": (B, H)}
    options = {"axes": "T B", "outputs": ("h", "c_T")}

    @staticmethod
    def forward(x, W, b_f, b_r, c_0):
        u, a_f, a_r = np.split(x @ W, 3, axis=-1)
        f, r = probe("f", sigmoid(a_f + b_f)), probe("r", sigmoid(a_r + b_r))
        cs = [c_0]
        for t in range(len(x)):
            cs.append(probe("c", f[t] * cs[-1] + (1 - f[t]) * u[t]))
        c = np.stack(cs)
        h = r * np.tanh(c[1:]) + (1 - r) * x
        return h, c[-1], (x, W, u, f, r, c)

    @staticmethod
    def backward(tape, d_h, d_c_T):
        x, W, u, f, r, c = tape
        tanh_c = np.tanh(c[1:])
        d_r = probe("d_r", d_h * (tanh_c - x))
        d_out = d_h * r * (1 - tanh_c**2)
        d_cs, d_c = np.zeros_like(d_out), d_c_T
        for t in range(len(x) - 1, -1, -1):
            d_c = d_cs[t] = probe("d_c", d_c + d_out[t])
            d_c = d_c * f[t]
        d_f = probe("d_f", d_cs * (c[:-1] - u))
        d_u = d_cs * (1 - f)
        d_af, d_ar = d_f * f * (1 - f), d_r * r * (1 - r)
        d_a = np.concatenate([d_u, d_af, d_ar], axis=-1)
        d_x = d_a @ W.T + d_h * (1 - r)
        d_W = np.einsum("tbi,tbj->ij", x, d_a)
        return d_x, d_W, d_af.sum((0, 1)), d_ar.sum((0, 1)), d_c

    @staticmethod
    def reference(x, W, b_f, b_r, c_0):
        u, f, r = (x @ W).chunk(3, dim=-1)
        f, r = probe("f", torch.sigmoid(f + b_f)), probe("r", torch.sigmoid(r + b_r))
        c, cs = c_0, []
        for t in range(len(x)):
            c = probe("c", f[t] * c + (1 - f[t]) * u[t])
            cs.append(c)
        return r * torch.tanh(torch.stack(cs)) + (1 - r) * x, c

    faults = (
        (" + d_h * (1 - r)", "", "d_x"),
        ("(c[:-1] - u)", "(c[1:] - u)", "d_f"),
        ("d_c = d_c * f[t]", "d_c = d_c * f[t - 1]", "d_c d_c_0"),
        ("d_h * (tanh_c - x)", "d_h * tanh_c", "d_r"),
        ("d_af.sum((0, 1))", "d_af[-1].sum(0)", "d_b_f"),
        ("d_c + d_out[t]", "d_c + d_out[t] * [[1], [1], [0]]", "d_c"),
        ("d_h * r * (1 - tanh_c**2)", "d_h * (1 - tanh_c**2)", "d_c"),
        ("(1 - f[t]) * u[t]", "f[t] * u[t]", "c"),
    )


class ClockworkRNN(Specimen):
    """Modules of units that tick at every step, every second and every third one, and hold their state otherwise."""

    inputs = {
        "x": (T, B, D), "W": (D, 6), "U": (6, 6),
        "period": np.array([1, 1, 2, 2, 3, 3]),
    }  # fmt: skip
    options = {"axes": "T B"}

    @staticmethod
    def forward(x, W, U, period):
        h, tape, hs = np.zeros((B, len(period))), [], []
        for t in range(T):
            ticks = t % period == 0
            c = probe("c", np.tanh(x[t] @ W + h @ U))
            tape.append((h, c, ticks))
            h = probe("h", np.where(ticks, c, h))
            hs.append(h)
        return np.stack(hs), (x, W, U, tape)

    @staticmethod
    def backward(tape, d_hs):
        x, W, U, steps = tape
        d_x, d_W, d_U, d_h = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U), np.zeros_like(d_hs[0])
        for t in reversed(range(T)):
            h_prev, c, ticks = steps[t]
            d_h = probe("d_h", d_h + d_hs[t])
            d_c = probe("d_c", d_h * ticks)
            d_a = d_c * (1 - c**2)
            d_x[t] = d_a @ W.T
            d_W += x[t].T @ d_a
            d_U += h_prev.T @ d_a
            d_h = d_h * ~ticks + d_a @ U.T
        return d_x, d_W, d_U

    @staticmethod
    def reference(x, W, U, period):
        h, hs = x.new_zeros(B, len(period)), []
        for t in range(T):
            c = probe("c", torch.tanh(x[t] @ W + h @ U))
            h = probe("h", torch.where(t % period == 0, c, h))
            hs.append(h)
        return torch.stack(hs)

    faults = (
        ("d_h * ~ticks + d_a", "d_h + d_a", "d_h"),
        ("d_h * ~ticks + d_a", "d_a", "d_h"),
        ("d_h * ticks)", "d_h)", "d_c"),
        ("d_a = d_c * (1 - c**2)", "d_a = d_c * (1 - h_prev**2)", "d_x d_W d_U d_h"),
        ("d_U += h_prev.T @ d_a", "d_U += (h_prev * ticks).T @ d_a", "d_U"),
        ("t % period == 0", "(t + 1) % period == 0", "h d_c d_h"),
        ("x[t].T @ d_a", "x[t].T @ d_h", "d_W"),
    )


class MinimalGatedUnit(Specimen):
    """One gate that forgets and resets."""

    inputs = {"x": (T, B, D), "h_0": (B, H)}
    options = {
        "axes": "T B",
        "parameters": {"Wf": (D, H), "Uf": (H, H), "bf": (H,), "Wh": (D, H), "Uh": (H, H), "bh": (H,)},
    }

    @staticmethod
    def forward(p, x, h_0):
        hs, tape = [h_0], []
        for x_t in x:
            h = hs[-1]
            f = probe("f", sigmoid(x_t @ p["Wf"] + h @ p["Uf"] + p["bf"]))
            c = probe("c", np.tanh(x_t @ p["Wh"] + (f * h) @ p["Uh"] + p["bh"]))
            tape.append((x_t, h, f, c))
            hs.append(probe("h", (1 - f) * h + f * c))
        return np.stack(hs[1:]), tape

    @staticmethod
    def backward(p, tape, d_hs):
        g = {name: np.zeros_like(array) for name, array in p.items()}
        d_x, d_h = np.zeros((len(tape), B, D)), np.zeros((B, H))
        for t in reversed(range(len(tape))):
            x, h, f, c = tape[t]
            d_h = probe("d_h", d_hs[t] + d_h)
            d_c = probe("d_c", d_h * f)
            a_c = d_c * (1 - c * c)
            d_fh = a_c @ p["Uh"].T
            d_f = probe("d_f", d_h * (c - h) + d_fh * h)
            a_f = d_f * f * (1 - f)
            g["Wf"] += x.T @ a_f
            g["Uf"] += h.T @ a_f
            g["bf"] += a_f.sum(0)
            g["Wh"] += x.T @ a_c
            g["Uh"] += (f * h).T @ a_c
            g["bh"] += a_c.sum(0)
            d_x[t] = a_f @ p["Wf"].T + a_c @ p["Wh"].T
            d_h = d_h * (1 - f) + d_fh * f + a_f @ p["Uf"].T
        return d_x, d_h, g

    @staticmethod
    def reference(p, x, h_0):
        h, hs = h_0, []
        for x_t in x:
            f = probe("f", torch.sigmoid(x_t @ p["Wf"] + h @ p["Uf"] + p["bf"]))
            c = probe("c", torch.tanh(x_t @ p["Wh"] + (f * h) @ p["Uh"] + p["bh"]))
            h = probe("h", (1 - f) * h + f * c)
            hs.append(h)
        return torch.stack(hs)

    faults = (
        (" + d_fh * h)", ")", "d_f"),
        ("(f * h).T @ a_c", "h.T @ a_c", "Uh"),
        ("d_fh * f + a_f", "d_fh + a_f", "d_h d_h_0"),
        ('a_c @ p["Uh"].T', 'a_c @ p["Uh"]', "d_f d_h d_h_0"),
        ('g["bf"] += a_f', 'g["bf"] += a_c', "bf"),
        ('a_f @ p["Wf"].T + ', "", "d_x"),
        ("d_c * (1 - c * c)", "d_c * (1 - f * f)", "d_f Wh Uh bh d_x d_h d_h_0"),
        ('g["Wh"] += x.T @ a_c', 'g["Wh"] += (t == 2) * x.T @ a_c', "Wh"),
    )
