"""Recursions that are no networks: scans, cumulative sums, filters, dynamic programming."""

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


class CRFLogPartition(Specimen):
    """The logarithm of a sum over all paths, by the forward recursion; backward is forward-backward."""

    inputs = {"scores": (T, B, D), "transition": (D, D)}
    options = {"axes": "T B"}

    @staticmethod
    def forward(scores, transition):
        alpha = probe("alpha", scores[0])
        tape = []
        for t in range(1, len(scores)):
            paths = alpha[:, :, None] + transition
            top = paths.max(axis=1, keepdims=True)
            new = top[:, 0] + np.log(np.exp(paths - top).sum(axis=1)) + scores[t]
            tape.append(np.exp(paths + (scores[t] - new)[:, None]))
            alpha = probe("alpha", new)
        top = alpha.max(axis=1)
        log_z = probe("log_z", top + np.log(np.exp(alpha - top[:, None]).sum(axis=1)))
        return log_z.sum(), (scores, alpha, log_z, tape)

    @staticmethod
    def backward(tape, d_out):
        scores, alpha, log_z, weights = tape
        d_log_z = probe("d_log_z", np.full(len(log_z), d_out))
        d_alpha = d_log_z[:, None] * np.exp(alpha - log_z[:, None])
        d_scores, d_transition = np.zeros_like(scores), np.zeros((D, D))
        for t in reversed(range(len(scores))):
            d_alpha = probe("d_alpha", d_alpha)
            d_scores[t] = d_alpha
            if t == 0:
                break
            d_paths = weights[t - 1] * d_alpha[:, None]
            d_transition += d_paths.sum(axis=0)
            d_alpha = d_paths.sum(axis=2)
        return d_scores, d_transition

    @staticmethod
    def reference(scores, transition):
        alpha = probe("alpha", scores[0])
        for t in range(1, len(scores)):
            alpha = probe("alpha", torch.logsumexp(alpha[:, :, None] + transition, dim=1) + scores[t])
        return probe("log_z", torch.logsumexp(alpha, dim=1)).sum()

    faults = (
        ("d_alpha = d_paths.sum(axis=2)", "d_alpha = d_paths.sum(axis=1)", "d_alpha"),
        ("d_transition += d_paths", "d_transition = d_paths", "d_transition"),
        ("weights[t - 1] * d_alpha[:, None]", "weights[t - 1] * d_alpha[:, :, None]", "d_transition d_alpha"),
        ("np.full(len(log_z), d_out)", "np.ones(len(log_z))", "d_log_z"),
        ("d_log_z[:, None] * np.exp", "np.exp", "d_alpha"),
        ("d_scores[t] = d_alpha", "d_scores[t] = d_alpha * (1 + 1e-6)", "d_scores"),
        (".sum(axis=1)) + scores[t]", ".sum(axis=1)) + scores[t - 1]", "alpha d_transition d_alpha"),
    )


class BlankOrLabel(Specimen):
    """The forward recursion of CTC for one row: stay on a state of the labels with blanks between, or move on."""

    inputs = {"logits": (T, D), "labels": np.array([0, 2, 0, 1, 0])}
    options = {"axes": "T"}

    @staticmethod
    def forward(logits, labels):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        y = probe("y", e / e.sum(axis=1, keepdims=True))
        skip = np.zeros(len(labels))
        skip[2:] = (labels[2:] != 0) & (labels[2:] != labels[:-2])
        a = np.zeros(len(labels))
        a[:2] = y[0, labels[:2]]
        a, tape = probe("a", a), []
        for t in range(1, len(logits)):
            reached = a.copy()
            reached[1:] += a[:-1]
            reached[2:] += a[:-2] * skip[2:]
            tape.append(reached)
            a = probe("a", reached * y[t, labels])
        return -np.log(a[-1] + a[-2]), (y, labels, skip, tape, a)

    @staticmethod
    def backward(tape, d_loss):
        y, labels, skip, steps, a = tape
        d_y, d_a = np.zeros_like(y), np.zeros(len(labels))
        d_a[-2:] = -d_loss / (a[-1] + a[-2])
        for t in reversed(range(1, len(y))):
            d_a = probe("d_a", d_a)
            np.add.at(d_y[t], labels, d_a * steps[t - 1])
            d_reached = d_a * y[t, labels]
            d_a = d_reached.copy()
            d_a[:-1] += d_reached[1:]
            d_a[:-2] += d_reached[2:] * skip[2:]
        d_a = probe("d_a", d_a)
        np.add.at(d_y[0], labels[:2], d_a[:2])
        d_y = probe("d_y", d_y)
        return y * (d_y - (d_y * y).sum(axis=1, keepdims=True))

    @staticmethod
    def reference(logits, labels):
        y = probe("y", torch.softmax(logits, dim=1))
        skip = torch.zeros(len(labels), dtype=y.dtype)
        skip[2:] = ((labels[2:] != 0) & (labels[2:] != labels[:-2])).to(y.dtype)
        a = probe("a", torch.cat([y[0, labels[:2]], y.new_zeros(len(labels) - 2)]))
        for t in range(1, len(logits)):
            moved = torch.cat([a.new_zeros(1), a[:-1]]) + torch.cat([a.new_zeros(2), a[:-2]]) * skip
            a = probe("a", (a + moved) * y[t, labels])
        return -torch.log(a[-1] + a[-2])

    faults = (
        ("d_a[:-2] += d_reached[2:] * skip[2:]", "d_a[:-2] += d_reached[2:]", "d_a"),
        ("d_a[:-1] += d_reached[1:]", "d_a[1:] += d_reached[:-1]", "d_a"),
        ("np.add.at(d_y[t], labels, d_a * steps[t - 1])", "d_y[t, labels] += d_a * steps[t - 1]", "d_y"),
        ("d_a[-2:] = -d_loss", "d_a[-1:] = -d_loss", "d_a"),
        (" - (d_y * y).sum(axis=1, keepdims=True)", "", "d_logits"),
        ("-d_loss / (a", "-1 / (a", "d_a"),
        ("np.add.at(d_y[0], labels[:2], d_a[:2])", "np.add.at(d_y[0], labels[:1], d_a[:1])", "d_y"),
        ("a[:-2] * skip[2:]", "a[:-2]", "a d_y"),
    )
