"""Gated recurrent units: reset after and before the product, and one gate for both."""

import numpy as np
import torch

from compare import probe
from zoo.specimen import Specimen

T, B, D, H = 4, 3, 2, 5


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class ResetAfterGRU(Specimen):
    """Reset after the product, as in cuDNN; the second bias of n is inside the reset."""

    inputs = {"x": (T, B, D), "h_0": (B, H)}
    options = {
        "axes": "T B",
        "parameters": {"input": {"W": (D, 3 * H), "b": (3 * H,)}, "hidden": {"W": (H, 3 * H), "b": (3 * H,)}},
    }

    @staticmethod
    def forward(p, x, h_0):
        h, hs, tape = h_0, [], []
        for x_t in x:
            a = x_t @ p["input"]["W"] + p["input"]["b"]
            u = h @ p["hidden"]["W"] + p["hidden"]["b"]
            r = probe("r", sigmoid(a[:, :H] + u[:, :H]))
            z = probe("z", sigmoid(a[:, H : 2 * H] + u[:, H : 2 * H]))
            n = probe("n", np.tanh(a[:, 2 * H :] + r * u[:, 2 * H :]))
            tape.append((x_t, h, u[:, 2 * H :], r, z, n))
            h = probe("h", (1 - z) * n + z * h)
            hs.append(h)
        return np.stack(hs), tape

    @staticmethod
    def backward(p, tape, d_hs):
        d_W, d_U, d_b, d_c = 0, 0, 0, 0
        d_x, d_h = [], 0
        for t in reversed(range(len(tape))):
            x, h_prev, u_n, r, z, n = tape[t]
            d_h = probe("d_h", d_h + d_hs[t])
            d_n = probe("d_n", d_h * (1 - z))
            d_z = probe("d_z", d_h * (h_prev - n))
            d_pre = d_n * (1 - n**2)
            d_r = probe("d_r", d_pre * u_n)
            d_rz = np.hstack([d_r * r * (1 - r), d_z * z * (1 - z)])
            d_a = np.hstack([d_rz, d_pre])
            d_u = np.hstack([d_rz, d_pre * r])
            d_W, d_b = d_W + x.T @ d_a, d_b + d_a.sum(0)
            d_U, d_c = d_U + h_prev.T @ d_u, d_c + d_u.sum(0)
            d_x.insert(0, d_a @ p["input"]["W"].T)
            d_h = d_h * z + d_u @ p["hidden"]["W"].T
        return np.stack(d_x), d_h, {"input": {"W": d_W, "b": d_b}, "hidden": {"W": d_U, "b": d_c}}

    @staticmethod
    def reference(p, x, h_0):
        h, hs = h_0, []
        for x_t in x:
            a_r, a_z, a_n = (x_t @ p["input"]["W"] + p["input"]["b"]).chunk(3, dim=1)
            u_r, u_z, u_n = (h @ p["hidden"]["W"] + p["hidden"]["b"]).chunk(3, dim=1)
            r, z = probe("r", torch.sigmoid(a_r + u_r)), probe("z", torch.sigmoid(a_z + u_z))
            n = probe("n", torch.tanh(a_n + r * u_n))
            h = probe("h", (1 - z) * n + z * h)
            hs.append(h)
        return torch.stack(hs)

    faults = (
        ("d_h * (h_prev - n)", "d_h * (n - h_prev)", "d_z"),
        ("d_pre * r])", "d_pre])", "hidden.W hidden.b d_h d_h_0"),
        ("d_h * z + d_u", "d_u", "d_h d_h_0"),
        ("d_c + d_u.sum(0)", "d_c + d_a.sum(0)", "hidden.b"),
        ("d_pre * u_n", "d_pre * h_prev", "d_r"),
        ("d_pre = d_n * (1 - n**2)", "d_pre = d_n * (1 - n)", "d_r input.W input.b hidden.W hidden.b d_x d_h d_h_0"),
        ("d_h * (1 - z))", "d_h * (1 - z) * (1 + 1e-6))", "d_n"),
        ("r * u[:, 2 * H :]", "r * u[:, :H]", "n"),
    )


class ResetBeforeGRU(Specimen):
    """The original form: z and r from one matrix, reset before the product, z lets the candidate in."""

    inputs = {"x": (T, B, D), "W_zr": (D + H, 2 * H), "W": (D + H, H), "b": (3 * H,)}
    options = {"axes": "T B", "outputs": ("h_T",)}

    @staticmethod
    def forward(x, W_zr, W, b, probe):
        h, tape = np.zeros((B, H)), []
        for t in range(len(x)):
            hx = np.concatenate((h, x[t]), axis=1)
            zr = probe("zr", t, sigmoid(hx @ W_zr + b[: 2 * H]))
            z, r = zr[:, :H], zr[:, H:]
            rhx = np.concatenate((r * h, x[t]), axis=1)
            c = probe("c", t, np.tanh(rhx @ W + b[2 * H :]))
            tape.append((h, hx, rhx, z, r, c))
            h = probe("h", t, (1 - z) * h + z * c)
        return h, (tape, W_zr, W)

    @staticmethod
    def backward(tape, d_h, probe):
        steps, W_zr, W = tape
        d_x, d_W_zr, d_W, d_b = np.zeros((T, B, D)), np.zeros_like(W_zr), np.zeros_like(W), np.zeros(3 * H)
        for t in range(len(steps))[::-1]:
            h_prev, hx, rhx, z, r, c = steps[t]
            d_h = probe("d_h", t, d_h)
            d_c = probe("d_c", t, d_h * z)
            d_pre = d_c * (1 - c**2)
            d_W += rhx.T @ d_pre
            d_rhx = d_pre @ W.T
            d_rh = d_rhx[:, :H]
            d_zr = probe("d_zr", t, np.concatenate((d_h * (c - h_prev), d_rh * h_prev), axis=1))
            d_gates = d_zr * np.concatenate((z * (1 - z), r * (1 - r)), axis=1)
            d_W_zr += hx.T @ d_gates
            d_b[: 2 * H] += d_gates.sum(axis=0)
            d_b[2 * H :] += d_pre.sum(axis=0)
            d_hx = d_gates @ W_zr.T
            d_x[t] = d_hx[:, H:] + d_rhx[:, H:]
            d_h = d_h * (1 - z) + d_rh * r + d_hx[:, :H]
        return d_x, d_W_zr, d_W, d_b

    @staticmethod
    def reference(x, W_zr, W, b, probe):
        h = x.new_zeros(B, H)
        for t in range(len(x)):
            zr = probe("zr", t, torch.sigmoid(torch.cat([h, x[t]], 1) @ W_zr + b[: 2 * H]))
            z, r = zr.chunk(2, dim=1)
            c = probe("c", t, torch.tanh(torch.cat([r * h, x[t]], 1) @ W + b[2 * H :]))
            h = probe("h", t, (1 - z) * h + z * c)
        return h

    faults = (
        ("d_rh * r + d_hx", "d_rh + d_hx", "d_h"),
        (" + d_rhx[:, H:]", "", "d_x"),
        ("d_rh * h_prev)", "d_rh * r)", "d_zr"),
        ("d_W += rhx.T", "d_W += hx.T", "d_W"),
        ("d_h * (1 - z) + ", "d_h * z + ", "d_h"),
        ("d_b[2 * H :] += d_pre", "d_b[2 * H :] = d_pre", "d_b"),
        ("r * (1 - r)", "r", "d_W_zr d_b d_x d_h"),
        ("(1 - z) * h + z * c", "z * h + (1 - z) * c", "h"),
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
