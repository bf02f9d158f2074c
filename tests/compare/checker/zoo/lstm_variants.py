"""LSTMs with other gates: peepholes, coupled gates, layer norm, a multiplicative state."""

import numpy as np
import torch

from compare import probe
from zoo.specimen import Specimen

T, B, D, H = 4, 3, 2, 5


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class PeepholeLSTM(Specimen):
    """The gates see the cell: i and f the last one, o the new one."""

    inputs = {"x": (T, B, D), "h_0": (B, H), "c_0": (B, H)}
    options = {
        "axes": "T B",
        "parameters": {"W": (D, 4 * H), "U": (H, 4 * H), "p_i": (H,), "p_f": (H,), "p_o": (H,)},
    }

    @staticmethod
    def forward(p, x, h_0, c_0):
        h, c, tape, hs = h_0, c_0, [], []
        for x_t in x:
            a_i, a_f, a_g, a_o = np.split(x_t @ p["W"] + h @ p["U"], 4, axis=1)
            i = probe("i", sigmoid(a_i + p["p_i"] * c))
            f = probe("f", sigmoid(a_f + p["p_f"] * c))
            g = probe("g", np.tanh(a_g))
            c_new = probe("c", f * c + i * g)
            o = probe("o", sigmoid(a_o + p["p_o"] * c_new))
            tape.append((x_t, h, c, i, f, g, o, c_new))
            h, c = probe("h", o * np.tanh(c_new)), c_new
            hs.append(h)
        return np.stack(hs), tape

    @staticmethod
    def backward(p, tape, d_hs):
        d_p = {name: np.zeros_like(value) for name, value in p.items()}
        d_x, d_h, d_c = [], np.zeros((B, H)), np.zeros((B, H))
        for d_out, (x, h_prev, c_prev, i, f, g, o, c) in zip(d_hs[::-1], tape[::-1]):
            d_h = probe("d_h", d_h + d_out)
            d_o = probe("d_o", d_h * np.tanh(c))
            z_o = d_o * o * (1 - o)
            d_c = probe("d_c", d_c + d_h * o * (1 - np.tanh(c) ** 2) + z_o * p["p_o"])
            d_i, d_f, d_g = probe("d_i", d_c * g), probe("d_f", d_c * c_prev), probe("d_g", d_c * i)
            z_i, z_f, z_g = d_i * i * (1 - i), d_f * f * (1 - f), d_g * (1 - g * g)
            d_a = np.hstack([z_i, z_f, z_g, z_o])
            d_p["W"] += x.T @ d_a
            d_p["U"] += h_prev.T @ d_a
            d_p["p_i"] += (z_i * c_prev).sum(0)
            d_p["p_f"] += (z_f * c_prev).sum(0)
            d_p["p_o"] += (z_o * c).sum(0)
            d_x.append(d_a @ p["W"].T)
            d_h = d_a @ p["U"].T
            d_c = d_c * f + z_i * p["p_i"] + z_f * p["p_f"]
        return np.stack(d_x[::-1]), d_h, d_c, d_p

    @staticmethod
    def reference(p, x, h_0, c_0):
        h, c, hs = h_0, c_0, []
        for x_t in x:
            i, f, g, o = (x_t @ p["W"] + h @ p["U"]).chunk(4, dim=1)
            i = probe("i", torch.sigmoid(i + p["p_i"] * c))
            f = probe("f", torch.sigmoid(f + p["p_f"] * c))
            g = probe("g", torch.tanh(g))
            c = probe("c", f * c + i * g)
            o = probe("o", torch.sigmoid(o + p["p_o"] * c))
            h = probe("h", o * torch.tanh(c))
            hs.append(h)
        return torch.stack(hs)

    faults = (
        (' + z_o * p["p_o"])', ")", "d_c"),
        (' + z_f * p["p_f"]', "", "d_c d_c_0"),
        ("(z_f * c_prev).sum(0)", "(z_f * c).sum(0)", "p_f"),
        ("(z_o * c).sum(0)", "(z_o * c_prev).sum(0)", "p_o"),
        ('probe("d_g", d_c * i)', 'probe("d_g", d_c * i * (1 - i))', "d_g"),
        ('d_x.append(d_a @ p["W"].T)', 'd_x.append(z_i @ p["W"][:, :H].T)', "d_x"),
        ('p["p_o"] * c_new))', 'p["p_o"] * c))', "o"),
        ("d_h * np.tanh(c))", "d_h * np.tanh(c) * [[1], [1], [0]])", "d_o"),
    )


class CoupledLSTM(Specimen):
    """One gate forgets what it does not let in: c = (1 - i) c + i g."""

    inputs = {"x": (T, B, D), "W": (D + H, 3 * H), "b": (3 * H,)}
    options = {"axes": "T B", "outputs": ("h_T", "c_T")}

    @staticmethod
    def forward(x, W, b, probe):
        h, c, tape = np.zeros((B, H)), np.zeros((B, H)), []
        for t in range(len(x)):
            xh = np.hstack([x[t], h])
            z_i, z_g, z_o = np.split(probe("z", t, xh @ W + b), 3, axis=1)
            i, g, o = sigmoid(z_i), np.tanh(z_g), sigmoid(z_o)
            tape.append((xh, i, g, o, c))
            c = probe("c", t, (1 - i) * c + i * g)
            tape[-1] = (*tape[-1], c)
            h = probe("h", t, o * np.tanh(c))
        return h, c, (W, tape)

    @staticmethod
    def backward(tape, d_h_T, d_c_T, probe):
        W, steps = tape
        d_x, d_W, d_b = np.zeros((len(steps), B, D)), np.zeros_like(W), np.zeros(3 * H)
        d_h, d_c = d_h_T, d_c_T
        for t in reversed(range(len(steps))):
            xh, i, g, o, c_prev, c = steps[t]
            d_h = probe("d_h", t, d_h)
            d_c = probe("d_c", t, d_c + d_h * o * (1 - np.tanh(c) ** 2))
            d_i, d_g, d_o = d_c * (g - c_prev), d_c * i, d_h * np.tanh(c)
            d_z = probe("d_z", t, np.hstack([d_i * i * (1 - i), d_g * (1 - g**2), d_o * o * (1 - o)]))
            d_W += xh.T @ d_z
            d_b += d_z.sum(0)
            d_xh = d_z @ W.T
            d_x[t], d_h, d_c = d_xh[:, :D], d_xh[:, D:], d_c * (1 - i)
        return d_x, d_W, d_b

    @staticmethod
    def reference(x, W, b, probe):
        h = c = x.new_zeros(B, H)
        for t in range(len(x)):
            i, g, o = probe("z", t, torch.cat([x[t], h], 1) @ W + b).chunk(3, dim=1)
            c = probe("c", t, torch.lerp(c, torch.tanh(g), torch.sigmoid(i)))
            h = probe("h", t, torch.sigmoid(o) * torch.tanh(c))
        return h, c

    faults = (
        ("d_c * (g - c_prev)", "d_c * g", "d_z"),
        ("d_c * (1 - i)\n", "d_c * i\n", "d_c"),
        ("d_xh[:, D:],", "0 * d_xh[:, D:],", "d_h"),
        ("d_W += xh.T", "d_W += xh.T * (t < len(steps) - 1)", "d_W"),
        ("d_xh[:, :D]", "d_xh[:, -D:]", "d_x"),
        ("(1 - i) * c + i * g", "i * c + (1 - i) * g", "c"),
        ("d_z.sum(0)", "d_z.mean(0)", "d_b"),
    )


class LayerNormLSTM(Specimen):
    """What goes into the gates is normalised, row by row."""

    inputs = {"x": (T, B, D), "h_0": (B, H), "c_0": (B, H)}
    options = {"axes": "T B", "parameters": {"W": (D + H, 4 * H), "gain": (4 * H,), "bias": (4 * H,)}}

    @staticmethod
    def forward(p, x, h_0, c_0):
        h, c, tape, hs = h_0, c_0, [], []
        for x_t in x:
            xh = np.hstack([x_t, h])
            a = probe("a", xh @ p["W"])
            rstd = 1 / np.sqrt(a.var(axis=1, keepdims=True) + 1e-5)
            n = probe("n", (a - a.mean(axis=1, keepdims=True)) * rstd)
            i, f, g, o = np.split(n * p["gain"] + p["bias"], 4, axis=1)
            i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
            c_prev, c = c, probe("c", f * c + i * g)
            h = probe("h", o * np.tanh(c))
            tape.append((xh, rstd, n, i, f, g, o, c_prev, c))
            hs.append(h)
        return np.stack(hs), tape

    @staticmethod
    def backward(p, tape, d_hs):
        d_W, d_gain, d_bias = 0, 0, 0
        d_x, d_h, d_c = [], 0, 0
        for t in reversed(range(len(tape))):
            xh, rstd, n, i, f, g, o, c_prev, c = tape[t]
            d_h = probe("d_h", d_hs[t] + d_h)
            d_c = probe("d_c", d_c + d_h * o * (1 - np.tanh(c) ** 2))
            d_z = np.hstack([
                d_c * g * i * (1 - i), d_c * c_prev * f * (1 - f), d_c * i * (1 - g * g), d_h * np.tanh(c) * o * (1 - o)
            ])  # fmt: skip
            d_gain = d_gain + (d_z * n).sum(axis=0)
            d_bias = d_bias + d_z.sum(axis=0)
            d_n = probe("d_n", d_z * p["gain"])
            d_a = d_n - d_n.mean(axis=1, keepdims=True) - n * (d_n * n).mean(axis=1, keepdims=True)
            d_a = probe("d_a", d_a * rstd)
            d_W = d_W + xh.T @ d_a
            d_xh = d_a @ p["W"].T
            d_x.append(d_xh[:, :D])
            d_h, d_c = d_xh[:, D:], d_c * f
        return np.stack(d_x[::-1]), d_h, d_c, {"W": d_W, "gain": d_gain, "bias": d_bias}

    @staticmethod
    def reference(p, x, h_0, c_0):
        h, c, hs = h_0, c_0, []
        for x_t in x:
            a = probe("a", torch.cat([x_t, h], 1) @ p["W"])
            n = probe("n", torch.nn.functional.layer_norm(a, (4 * H,)))
            i, f, g, o = (n * p["gain"] + p["bias"]).chunk(4, dim=1)
            c = probe("c", torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g))
            h = probe("h", torch.sigmoid(o) * torch.tanh(c))
            hs.append(h)
        return torch.stack(hs)

    faults = (
        (" - n * (d_n * n).mean(axis=1, keepdims=True)", "", "d_a"),
        ("d_a * rstd)", "d_a)", "d_a"),
        ('d_z * p["gain"]', "d_z", "d_n"),
        ("(d_z * n).sum(axis=0)", '(d_z * n * p["gain"]).sum(axis=0)', "gain"),
        ("d_bias + d_z.sum", "d_z.sum", "bias"),
        ("d_xh[:, D:], d_c * f", "d_xh[:, :H], d_c * f", "d_h d_h_0"),
        ("d_hs[t] + d_h)", "d_h + (t + 1 < len(tape) or 1) * d_hs[-1])", "d_h"),
        ("(axis=1, keepdims=True)) * rstd", "(keepdims=True)) * rstd", "n"),
    )


class MultiplicativeLSTM(Specimen):
    """The hidden state is multiplied by a projection of the input before the gates see it."""

    inputs = {"x": (T, B, D), "Wmx": (D, H), "Wmh": (H, H), "Wx": (D, 4 * H), "Wm": (H, 4 * H)}
    options = {"axes": "T B"}

    @staticmethod
    def forward(x, Wmx, Wmh, Wx, Wm):
        h, c, tape, hs = np.zeros((B, H)), np.zeros((B, H)), [], []
        for x_t in x:
            m = probe("m", (x_t @ Wmx) * (h @ Wmh))
            z = probe("z", x_t @ Wx + m @ Wm)
            i, f, o, g = sigmoid(z[:, :H]), sigmoid(z[:, H : 2 * H]), sigmoid(z[:, 2 * H : 3 * H]), z[:, 3 * H :]
            tape.append([x_t, h, m, i, f, o, g, c])
            c = probe("c", f * c + i * g)
            h = probe("h", np.tanh(c * o))
            tape[-1] += [c, h]
            hs.append(h)
        return np.stack(hs), (tape, Wmx, Wmh, Wx, Wm)

    @staticmethod
    def backward(tape, d_hs):
        steps, Wmx, Wmh, Wx, Wm = tape
        d_Wmx, d_Wmh, d_Wx, d_Wm = (np.zeros_like(W) for W in (Wmx, Wmh, Wx, Wm))
        d_x, d_h, d_c = np.empty((len(steps), B, D)), np.zeros((B, H)), np.zeros((B, H))
        for t, (x, h_prev, m, i, f, o, g, c_prev, c, h) in reversed(list(enumerate(steps))):
            d_h = probe("d_h", d_h + d_hs[t])
            d_co = d_h * (1 - h**2)
            d_c = probe("d_c", d_c + d_co * o)
            d_i, d_f, d_o, d_g = d_c * g, d_c * c_prev, d_co * c, d_c * i
            d_z = probe("d_z", np.hstack([d_i * i * (1 - i), d_f * f * (1 - f), d_o * o * (1 - o), d_g]))
            d_m = probe("d_m", d_z @ Wm.T)
            d_mx, d_mh = d_m * (h_prev @ Wmh), d_m * (x @ Wmx)
            d_Wx += x.T @ d_z
            d_Wm += m.T @ d_z
            d_Wmx += x.T @ d_mx
            d_Wmh += h_prev.T @ d_mh
            d_x[t] = d_z @ Wx.T + d_mx @ Wmx.T
            d_h, d_c = d_mh @ Wmh.T, d_c * f
        return d_x, d_Wmx, d_Wmh, d_Wx, d_Wm

    @staticmethod
    def reference(x, Wmx, Wmh, Wx, Wm):
        h = c = x.new_zeros(B, H)
        hs = []
        for x_t in x:
            m = probe("m", (x_t @ Wmx) * (h @ Wmh))
            i, f, o, g = probe("z", x_t @ Wx + m @ Wm).chunk(4, dim=1)
            c = probe("c", torch.sigmoid(f) * c + torch.sigmoid(i) * g)
            h = probe("h", torch.tanh(c * torch.sigmoid(o)))
            hs.append(h)
        return torch.stack(hs)

    faults = (
        ("d_z @ Wx.T + d_mx @ Wmx.T", "d_z @ Wx.T", "d_x"),
        ("d_mh @ Wmh.T", "d_m @ Wmh.T", "d_h"),
        ("d_co = d_h * (1 - h**2)", "d_co = d_h * (1 - np.tanh(h) ** 2)", "d_c d_z"),
        ("d_m * (h_prev @ Wmh)", "d_m * (h @ Wmh)", "d_x d_Wmx"),
        ("d_Wmh += h_prev.T @ d_mh", "d_Wmh += d_mh.T @ h_prev", "d_Wmh"),
        ("d_Wm += m.T @ d_z", "d_Wm += h_prev.T @ d_z", "d_Wm"),
        ("d_o * o * (1 - o), d_g", "d_o * o * (1 - o), d_g * (1 - g * g)", "d_z"),
        ("d_z @ Wm.T", "-d_z @ Wm.T", "d_m"),
    )
