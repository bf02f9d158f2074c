"""Plain recurrences in the forms that make them awkward: two directions, several lengths, a read-out, a cut."""

import numpy as np
import torch

from compare import probe
from zoo.specimen import Specimen

T, B, D, H, K = 6, 3, 2, 4, 5


class ReadOutOnce(Specimen):
    """Many to one: a recurrence over T steps, and a read-out that is shown once."""

    inputs = {"x": (T, B, D)}
    options = {"axes": "T B", "parameters": {"rnn": {"W": (D, H), "U": (H, H)}, "out": {"V": (H, K), "b": (K,)}}}

    @staticmethod
    def forward(p, x):
        hs = [np.zeros((x.shape[1], H))]
        for x_t in x:
            hs.append(probe("h", np.tanh(x_t @ p["rnn"]["W"] + hs[-1] @ p["rnn"]["U"])))
        y = probe("y", hs[-1] @ p["out"]["V"] + p["out"]["b"])
        return np.exp(y).sum(axis=1), (x, hs, y)

    @staticmethod
    def backward(p, tape, d_s):
        x, hs, y = tape
        d_y = probe("d_y", d_s[:, None] * np.exp(y))
        d_out = {"V": hs[-1].T @ d_y, "b": d_y.sum(axis=0)}
        d_h = d_y @ p["out"]["V"].T
        d_W, d_U, d_x = np.zeros((D, H)), np.zeros((H, H)), np.zeros_like(x)
        for t in reversed(range(len(x))):
            d_h = probe("d_h", d_h)
            d_a = d_h * (1 - hs[t + 1] ** 2)
            d_W += x[t].T @ d_a
            d_U += hs[t].T @ d_a
            d_x[t] = d_a @ p["rnn"]["W"].T
            d_h = d_a @ p["rnn"]["U"].T
        return d_x, {"rnn": {"W": d_W, "U": d_U}, "out": d_out}

    @staticmethod
    def reference(p, x):
        h = x.new_zeros(x.shape[1], H)
        for x_t in x:
            h = probe("h", torch.tanh(x_t @ p["rnn"]["W"] + h @ p["rnn"]["U"]))
        return probe("y", h @ p["out"]["V"] + p["out"]["b"]).exp().sum(dim=1)

    faults = (
        ("d_s[:, None] * np.exp(y)", "np.exp(y)", "d_y"),
        ("hs[-1].T @ d_y", "hs[-2].T @ d_y", "out.V"),
        ("hs[t].T @ d_a", "hs[t + 1].T @ d_a", "rnn.U"),
        ("1 - hs[t + 1] ** 2", "1 - hs[t] ** 2", "rnn.W rnn.U d_x d_h"),
        ('d_a @ p["rnn"]["U"].T', 'd_h @ p["rnn"]["U"].T', "d_h"),
        ('d_y @ p["out"]["V"].T', 'd_y @ p["out"]["V"].T / B', "d_h"),
        ("d_y.sum(axis=0)", "d_y.sum(axis=0) / B", "out.b"),
    )


class TruncatedBPTT(Specimen):
    """Nothing is carried back across every second step."""

    inputs = {"x": (T, B, D), "W": (D, H), "U": (H, H)}
    options = {"axes": "T B"}

    @staticmethod
    def forward(x, W, U):
        h, hs = np.zeros((B, H)), []
        for x_t in x:
            h = probe("h", np.tanh(x_t @ W + h @ U))
            hs.append(h)
        return np.stack(hs), (x, W, U, hs)

    @staticmethod
    def backward(tape, d_hs):
        x, W, U, hs = tape
        d_x, d_W, d_U, d_next = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U), np.zeros((B, H))
        for t in reversed(range(T)):
            d_h = probe("d_h", d_hs[t] + d_next)
            d_a = d_h * (1 - hs[t] ** 2)
            d_x[t] = d_a @ W.T
            d_W += x[t].T @ d_a
            if t > 0:
                d_U += hs[t - 1].T @ d_a
            d_next = d_a @ U.T if t % 2 else np.zeros((B, H))
        return d_x, d_W, d_U

    @staticmethod
    def reference(x, W, U):
        h, hs = x.new_zeros(B, H), []
        for t in range(T):
            h = probe("h", torch.tanh(x[t] @ W + (h if t % 2 else h.detach()) @ U))
            hs.append(h)
        return torch.stack(hs)

    faults = (
        ("d_a @ U.T if t % 2 else np.zeros((B, H))", "d_a @ U.T", "d_h"),
        ("if t % 2 else", "if t % 2 == 0 else", "d_h"),
        ("if t > 0:", "if t % 2:", "d_U"),
        ("if t > 0:", "if t > 1:", "d_U"),
        ("d_W += x[t].T", "d_W += x[-1].T", "d_W"),
        ("d_hs[t] + d_next", "d_hs[t] - d_next", "d_h"),
        ("d_a @ W.T", "(d_a * (t != 3)) @ W.T", "d_x"),
    )


class Bidirectional(Specimen):
    """One recurrence from the left, one from the right, both read together."""

    inputs = [{"x": (t, b, D), "W": (2, D, H), "U": (2, H, H), "V": (2 * H, K)} for t, b in ((4, 3), (1, 2), (7, 1))]
    options = {"axes": "T B"}

    @staticmethod
    def forward(x, W, U, V):
        T, B = x.shape[:2]
        left, right = np.zeros((T + 1, B, H)), np.zeros((T + 1, B, H))
        for t in range(T):
            left[t + 1] = probe("l", np.tanh(x[t] @ W[0] + left[t] @ U[0]), t=t)
        for t in reversed(range(T)):
            right[t] = probe("r", np.tanh(x[t] @ W[1] + right[t + 1] @ U[1]), t=t)
        h = np.concatenate([left[1:], right[:-1]], axis=2)
        return h @ V, (x, W, U, V, left, right, h)

    @staticmethod
    def backward(tape, d_y):
        x, W, U, V, left, right, h = tape
        T, B = x.shape[:2]
        d_V = np.einsum("tbh,tbk->hk", h, d_y)
        d_h = d_y @ V.T
        d_x, d_W, d_U = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U)
        d = np.zeros((B, H))
        for t in reversed(range(T)):
            d = probe("d_l", d + d_h[t, :, :H], t=t)
            d_a = d * (1 - left[t + 1] ** 2)
            d_W[0] += x[t].T @ d_a
            d_U[0] += left[t].T @ d_a
            d_x[t] += d_a @ W[0].T
            d = d_a @ U[0].T
        d = np.zeros((B, H))
        for t in range(T):
            d = probe("d_r", d + d_h[t, :, H:], t=t)
            d_a = d * (1 - right[t] ** 2)
            d_W[1] += x[t].T @ d_a
            d_U[1] += right[t + 1].T @ d_a
            d_x[t] += d_a @ W[1].T
            d = d_a @ U[1].T
        return d_x, d_W, d_U, d_V

    @staticmethod
    def reference(x, W, U, V):
        T, B = x.shape[:2]
        h, left = x.new_zeros(B, H), []
        for t in range(T):
            h = probe("l", torch.tanh(x[t] @ W[0] + h @ U[0]), t=t)
            left.append(h)
        h, right = x.new_zeros(B, H), []
        for t in reversed(range(T)):
            h = probe("r", torch.tanh(x[t] @ W[1] + h @ U[1]), t=t)
            right.append(h)
        return torch.cat([torch.stack(left), torch.stack(right[::-1])], dim=2) @ V

    faults = (
        ("d_h[t, :, H:]", "d_h[t, :, :H]", "d_r"),
        ("d_x[t] += d_a @ W[1].T", "d_x[t] = d_a @ W[1].T", "d_x"),
        ("right[t + 1].T @ d_a", "right[t].T @ d_a", "d_U"),
        ("d = d_a @ U[1].T", "d = d_a @ U[0].T", "d_r"),
        ("d * (1 - left[t + 1] ** 2)", "d * (1 - left[t] ** 2)", "d_W d_U d_x d_l"),
        ("h, d_y)", "h, d_y - d_y[0])", "d_V"),
        ('d_l", d + d_h[t', 'd_l", d + d_h[T - 1 - t', "d_l"),
    )


class CharacterRNN(Specimen):
    """Teacher forcing: embedded characters in, softmax and cross entropy over the next ones, a number out."""

    inputs = {
        "text": lambda rng: rng.integers(0, K, (T + 1, B)),
        "E": (K, D), "W": (D, H), "U": (H, H), "V": (H, K), "b": (K,),
    }  # fmt: skip

    @staticmethod
    def forward(text, E, W, U, V, b):
        h, loss, tape = np.zeros((B, H)), 0.0, []
        rows = np.arange(B)
        for now, after in zip(text[:-1], text[1:]):
            h_prev, x = h, E[now]
            h = probe("h", np.tanh(x @ W + h @ U))
            y = probe("y", h @ V + b)
            p = np.exp(y - y.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            loss -= np.log(p[rows, after]).sum()
            tape.append((now, after, x, h_prev, h, p))
        return loss, (tape, E, W, U, V)

    @staticmethod
    def backward(tape, d_loss):
        steps, E, W, U, V = tape
        d_E, d_W, d_U, d_V = np.zeros_like(E), np.zeros_like(W), np.zeros_like(U), np.zeros_like(V)
        d_b, d_h = np.zeros(K), np.zeros((B, H))
        rows = np.arange(B)
        for now, after, x, h_prev, h, p in reversed(steps):
            d_y = p.copy()
            d_y[rows, after] -= 1
            d_y = probe("d_y", d_y * d_loss)
            d_V += h.T @ d_y
            d_b += d_y.sum(axis=0)
            d_h = probe("d_h", d_h + d_y @ V.T)
            d_a = d_h * (1 - h * h)
            d_W += x.T @ d_a
            d_U += h_prev.T @ d_a
            np.add.at(d_E, now, d_a @ W.T)
            d_h = d_a @ U.T
        return d_E, d_W, d_U, d_V, d_b

    @staticmethod
    def reference(text, E, W, U, V, b):
        h, loss = E.new_zeros(B, H), 0.0
        for now, after in zip(text[:-1], text[1:]):
            h = probe("h", torch.tanh(E[now] @ W + h @ U))
            y = probe("y", h @ V + b)
            loss = loss + torch.nn.functional.cross_entropy(y, after, reduction="sum")
        return loss

    faults = (
        ("np.add.at(d_E, now, d_a @ W.T)", "d_E[now] += d_a @ W.T", "d_E"),
        ("d_y[rows, after] -= 1", "d_y[rows, now] -= 1", "d_y"),
        ("d_y * d_loss", "d_y", "d_y"),
        ("d_y * d_loss", "d_y * d_loss / B", "d_y"),
        ("d_h + d_y @ V.T", "d_y @ V.T", "d_h"),
        ("d_V += h.T @ d_y", "d_V += h_prev.T @ d_y", "d_V"),
        ("d_h = d_a @ U.T", "d_h = d_a @ U", "d_h"),
    )
