"""Linear recurrences: gates that see no state, as cumulative sums; complex poles in real numbers; the delta rule."""

import numpy as np
import torch

from compare import probe
from zoo.specimen import Specimen

C = 4


def sig(z):
    return 1 / (1 + np.exp(-z))


class MinGRU(Specimen):
    """minGRU by a parallel scan in log space: h = exp(a*) cumsum …, no loop."""

    inputs = [{"k": (B, T, C), "v": (B, T, C)} for T, B in ((6, 2), (1, 2), (15, 1))]

    @staticmethod
    def forward(k, v):
        z = probe("z", sig(k))
        log_f = -np.logaddexp(0, k)
        a = probe("a", np.cumsum(log_f, axis=1))
        w = probe("w", z * v * np.exp(-a))
        r = probe("r", np.cumsum(w, axis=1))
        return np.exp(a) * r, (k, v, z, a, r)

    @staticmethod
    def backward(tape, d_h):
        k, v, z, a, r = tape
        d_r = probe("d_r", d_h * np.exp(a))
        d_w = probe("d_w", np.cumsum(d_r[:, ::-1], axis=1)[:, ::-1])
        d_a = probe("d_a", d_h * np.exp(a) * r - d_w * z * v * np.exp(-a))
        d_log_f = probe("d_log_f", np.cumsum(d_a[:, ::-1], axis=1)[:, ::-1])
        d_z = probe("d_z", d_w * v * np.exp(-a))
        return d_z * z * (1 - z) - d_log_f * z, d_w * z * np.exp(-a)

    @staticmethod
    def reference(k, v):
        z = probe("z", k.sigmoid())
        log_f = probe("log_f", -torch.nn.functional.softplus(k))
        a = probe("a", log_f.cumsum(1))
        w = probe("w", z * v * torch.exp(-a))
        r = probe("r", w.cumsum(1))
        return torch.exp(a) * r

    faults = (
        ("np.cumsum(d_r[:, ::-1], axis=1)[:, ::-1]", "np.cumsum(d_r, axis=1)", "d_w"),
        ("np.cumsum(d_a[:, ::-1], axis=1)[:, ::-1]", "np.cumsum(d_a[:, ::-1], axis=1)", "d_log_f"),
        ("np.cumsum(d_a[:, ::-1], axis=1)[:, ::-1]", "np.cumsum(d_a[:, ::-1], axis=0)[:, ::-1]", "d_log_f"),
        (" - d_w * z * v * np.exp(-a))", ")", "d_a"),
        (" - d_log_f * z,", " + d_log_f * z,", "d_k"),
        (" - d_log_f * z,", " - d_log_f * (1 - z),", "d_k"),
        ("d_w * z * np.exp(-a)\n", "d_w * z * np.exp(a)\n", "d_v"),
    )


class RotatingSSM(Specimen):
    """A diagonal state space model with complex poles, written without complex numbers."""

    inputs = [
        {"u": (T, B), "s0": (B, C, 2), "log_r": (C,), "theta": (C,), "w": (C, 2)} for T, B in ((6, 3), (1, 2), (40, 2))
    ]
    options = {"axes": "T B"}

    @staticmethod
    def forward(u, s0, log_r, theta, w):
        r = probe("r", np.exp(-np.exp(log_r)))
        co, si = probe("co", r * np.cos(theta)), probe("si", r * np.sin(theta))
        s, tape, ys = s0, [], []
        for t in range(len(u)):
            tape.append(s)
            re, im = s[..., 0], s[..., 1]
            s = probe("s", np.stack([co * re - si * im + u[t][:, None], si * re + co * im], axis=-1))
            ys.append((s * w).sum(axis=(1, 2)))
        return np.stack(ys), (tape, s, u, r, co, si, log_r, theta, w)

    @staticmethod
    def backward(tapes, d_y):
        tape, s, u, r, co, si, log_r, theta, w = tapes
        d_s, d_co, d_si, d_w, d_u = 0, 0, 0, 0, np.zeros_like(u)
        for t in reversed(range(len(u))):
            d_s = probe("d_s", d_s + d_y[t][:, None, None] * w)
            d_w = d_w + (d_y[t][:, None, None] * s).sum(axis=0)
            s = tape[t]
            a, b = d_s[..., 0], d_s[..., 1]
            re, im = s[..., 0], s[..., 1]
            d_u[t] = a.sum(axis=1)
            d_co = d_co + (a * re + b * im).sum(axis=0)
            d_si = d_si + (b * re - a * im).sum(axis=0)
            d_s = np.stack([co * a + si * b, co * b - si * a], axis=-1)
        d_co, d_si = probe("d_co", d_co), probe("d_si", d_si)
        d_r = probe("d_r", d_co * np.cos(theta) + d_si * np.sin(theta))
        return d_u, d_s, -d_r * r * np.exp(log_r), d_si * co - d_co * si, d_w

    @staticmethod
    def reference(u, s0, log_r, theta, w):
        r = probe("r", torch.exp(-torch.exp(log_r)))
        co, si = probe("co", r * theta.cos()), probe("si", r * theta.sin())
        s, ys = s0, []
        for t in range(len(u)):
            re, im = s[..., 0], s[..., 1]
            s = probe("s", torch.stack([co * re - si * im + u[t][:, None], si * re + co * im], -1))
            ys.append((s * w).sum(dim=(1, 2)))
        return torch.stack(ys)

    faults = (
        ("co * b - si * a]", "co * b + si * a]", "d_s d_s0"),
        ("(b * re - a * im)", "(b * re + a * im)", "d_si"),
        ("d_w = d_w + ", "d_w = ", "d_w"),
        ("d_co * np.cos(theta) + d_si", "d_co * np.cos(theta) - d_si", "d_r"),
        ("-d_r * r * np.exp(log_r)", "-d_r * np.exp(log_r)", "d_log_r"),
        ("-d_r * r * np.exp(log_r)", "d_r * r * np.exp(log_r)", "d_log_r"),
        ("d_si * co - d_co * si", "d_si * co", "d_theta"),
        ("s = tape[t]", "pass", "d_co d_si d_w"),
        ("d_s + d_y[t][:, None, None] * w", "d_s * 0 + d_y[t][:, None, None] * w", "d_s"),
    )


class DeltaNet(Specimen):
    """Fast weights by the delta rule."""

    inputs = [
        {"q": (T, C), "k": (T, C), "v": (T, 3), "beta": lambda rng, T=T: rng.uniform(0.2, 0.8, T)} for T in (5, 1, 11)
    ]
    options = {"axes": "T", "outputs": ("o",)}

    @staticmethod
    def forward(q, k, v, beta):
        W, tape, out = np.zeros((3, C)), [], []
        for t in range(len(q)):
            kn = probe("kn", k[t] / np.linalg.norm(k[t]))
            u = probe("u", v[t] - W @ kn)
            tape.append((W, kn, u))
            W = probe("W", W + beta[t] * np.outer(u, kn))
            out.append(W @ q[t])
        return np.stack(out), (tape, W, q, k, v, beta)

    @staticmethod
    def backward(tapes, d_o):
        tape, W, q, k, v, beta = tapes
        d_q, d_k, d_v, d_beta = (np.zeros_like(a) for a in (q, k, v, beta))
        d_W = np.zeros_like(W)
        for t in range(len(q))[::-1]:
            d_q[t] = W.T @ d_o[t]
            d_W = probe("d_W", d_W + np.outer(d_o[t], q[t]))
            W, kn, u = tape[t]
            d_beta[t] = u @ d_W @ kn
            d_u = probe("d_u", beta[t] * d_W @ kn)
            d_kn = probe("d_kn", beta[t] * d_W.T @ u - W.T @ d_u)
            d_v[t] = d_u
            d_W = d_W - np.outer(d_u, kn)
            d_k[t] = (d_kn - kn * (kn @ d_kn)) / np.linalg.norm(k[t])
        return d_q, d_k, d_v, d_beta

    @staticmethod
    def reference(q, k, v, beta):
        W, out = torch.zeros(3, C), []
        for t in range(len(q)):
            kn = probe("kn", k[t] / k[t].norm())
            u = probe("u", v[t] - W @ kn)
            W = probe("W", W + beta[t] * torch.outer(u, kn))
            out.append(W @ q[t])
        return torch.stack(out)

    faults = (
        (" - W.T @ d_u)", ")", "d_kn"),
        ("d_W = d_W - np.outer(d_u, kn)", "d_W = d_W", "d_W"),
        ("d_W = d_W - np.outer(d_u, kn)", "d_W = d_W + np.outer(d_u, kn)", "d_W"),
        ("d_kn - kn * (kn @ d_kn)", "d_kn", "d_k"),
        ("u @ d_W @ kn", "d_W.sum()", "d_beta"),
        ("W, kn, u = tape[t]", "_, kn, u = tape[t]", "d_kn d_q"),
        ("d_W + np.outer(d_o[t], q[t])", "np.outer(d_o[t], q[t])", "d_W"),
        ("(d_kn - kn * (kn @ d_kn)) / np.linalg.norm(k[t])", "d_kn - kn * (kn @ d_kn)", "d_k"),
        ("v[t] - W @ kn)", "v[t] - beta[t] * W @ kn)", "u"),
    )
