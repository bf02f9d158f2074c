"""Recursions of other kinds: cumulative sums, a filter."""

import numpy as np
import torch

from compare import probe
from zoo.specimen import Specimen

T, B, D = 5, 3, 4


class CumulativeSums(Specimen):
    """Running sums, then running products of what they are squashed to."""

    inputs = {"x": (T, B), "w": (B,)}

    @staticmethod
    def forward(x, w):
        s = probe("s", np.cumsum(x, axis=0))
        g = probe("g", 1.5 + np.sin(s * w))
        y = probe("y", np.cumprod(g, axis=0))
        return y, (x, w, s, g, y)

    @staticmethod
    def backward(tape, d_y):
        x, w, s, g, y = tape
        d_y = probe("d_y", d_y)
        d_g = probe("d_g", np.cumsum((d_y * y)[::-1], axis=0)[::-1] / g)
        d_a = d_g * np.cos(s * w)
        d_s = probe("d_s", d_a * w)
        return np.cumsum(d_s[::-1], axis=0)[::-1], (d_a * s).sum(axis=0)

    @staticmethod
    def reference(x, w):
        s = probe("s", x.cumsum(0))
        g = probe("g", 1.5 + torch.sin(s * w))
        return probe("y", g.cumprod(0))

    faults = (
        ("np.cumsum(d_s[::-1], axis=0)[::-1]", "np.cumsum(d_s, axis=0)", "d_x"),
        ("np.cumsum(d_s[::-1], axis=0)[::-1]", "d_s", "d_x"),
        ("[::-1] / g)", "[::-1])", "d_g"),
        ("(d_y * y)[::-1]", "d_y[::-1]", "d_g"),
        ("d_g * np.cos(s * w)", "d_g * np.cos(s)", "d_s d_w"),
        ("(d_a * s).sum(axis=0)", "(d_a * x).sum(axis=0)", "d_w"),
        ("d_a * w)", "d_a)", "d_s"),
    )


class KalmanFilter(Specimen):
    """One number is tracked: predict, gain, update; the negative log-likelihood of what is measured."""

    inputs = {"y": (T,), "a": lambda rng: np.array(rng.uniform(0.5, 0.9)), "q": (), "r": ()}
    options = {"axes": "T"}

    @staticmethod
    def forward(y, a, q, r):
        Q, R = np.exp(q), np.exp(r)
        m, P, loss, tape = 0.0, 1.0, 0.0, []
        for y_t in y:
            m_before, P_before = m, P
            m_hat, P_hat = probe("m_hat", a * m), probe("P_hat", a * a * P + Q)
            S = probe("S", P_hat + R)
            gain, e = P_hat / S, y_t - m_hat
            loss += 0.5 * (np.log(S) + e * e / S)
            m, P = probe("m", m_hat + gain * e), probe("P", (1 - gain) * P_hat)
            tape.append((m_before, P_before, P_hat, S, gain, e))
        return loss, (a, Q, R, tape)

    @staticmethod
    def backward(tape, d_loss):
        a, Q, R, steps = tape
        d_y, d_a, d_Q, d_R, d_m, d_P = [], 0.0, 0.0, 0.0, 0.0, 0.0
        for m, P, P_hat, S, gain, e in reversed(steps):
            d_m, d_P = probe("d_m", d_m), probe("d_P", d_P)
            d_gain = d_m * e - d_P * P_hat
            d_e = d_m * gain + d_loss * e / S
            d_S = probe("d_S", d_loss * 0.5 * (1 / S - e * e / S**2) - d_gain * P_hat / S**2)
            d_P_hat = probe("d_P_hat", d_P * (1 - gain) + d_gain / S + d_S)
            d_m_hat = probe("d_m_hat", d_m - d_e)
            d_y.insert(0, d_e)
            d_R += d_S
            d_Q += d_P_hat
            d_a += d_m_hat * m + 2 * a * P * d_P_hat
            d_m, d_P = d_m_hat * a, d_P_hat * a * a
        return np.array(d_y), d_a, d_Q * Q, d_R * R

    @staticmethod
    def reference(y, a, q, r):
        m, P, loss = torch.zeros(()), torch.ones(()), 0.0
        for y_t in y:
            m_hat, P_hat = probe("m_hat", a * m), probe("P_hat", a * a * P + q.exp())
            S = probe("S", P_hat + r.exp())
            gain, e = P_hat / S, y_t - m_hat
            loss = loss + 0.5 * (S.log() + e.square() / S)
            m, P = probe("m", m_hat + gain * e), probe("P", (1 - gain) * P_hat)
        return loss

    faults = (
        (" - d_gain * P_hat / S**2", "", "d_S"),
        ("d_m * e - d_P * P_hat", "d_m * e", "d_S d_P_hat"),
        ("d_gain / S + d_S)", "d_gain / S)", "d_P_hat"),
        ("d_m - d_e)", "d_m)", "d_m_hat"),
        ("2 * a * P * d_P_hat", "a * P * d_P_hat", "d_a"),
        ("d_P_hat * a * a\n", "d_P_hat * a\n", "d_P"),
        ("d_R += d_S", "d_R = d_S", "d_r"),
        ("d_Q * Q", "d_Q", "d_q"),
        ("d_loss * e / S", "e / S", "d_m_hat d_y"),
    )
