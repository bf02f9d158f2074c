"""How many sums a network gets right, as compiled loops."""

import numpy as np

from compare.published.audit.compiled import add_rows
from manual.arrays import Array
from manual.compiled.activations import sigmoid, tanh
from manual.compiled.loops import compiled


@compiled
def sums_right(W: Array, readout: Array, half_is_one: bool) -> int:
    """Count the sums of two 7-bit numbers that a network gets right to the last bit, of 16,384.

    Sums that begin alike share their first steps, and a sum that has a wrong bit is dropped at once.

    Args:
        W: that of an LSTM (3 + H, 4H) or of a sigmoid RNN (3 + H, H).
        readout: (H,).
        half_is_one: whether an output of exactly 0.5 reads as 1.
    """
    H, N = len(readout), W.shape[1]
    is_lstm = N > H
    count = 0
    h, c, carries = np.zeros((9, 4, H)), np.zeros((9, 4, H)), np.zeros((9, 4), np.int64)
    waiting = np.zeros(9, np.int64)
    z_h, z = np.zeros(N), np.zeros(N)
    waiting[0] = 1
    t = 0
    while t >= 0:
        if waiting[t] == 0:
            t -= 1
            continue
        waiting[t] -= 1
        node = waiting[t]
        for n in range(N):
            z_h[n] = W[2, n]
        if t > 0:
            add_rows(W, 3, h[t, node], z_h)
        carry = carries[t, node]
        waiting[t + 1] = 0
        for digits in range(4 if t < 7 else 1):
            a, b = digits >> 1, digits & 1
            place = waiting[t + 1]
            for n in range(N):
                z[n] = z_h[n] + a * W[0, n] + b * W[1, n]
            if is_lstm:
                for n in range(2 * H):
                    z[n] = sigmoid(z[n])
                for n in range(2 * H, 3 * H):
                    z[n] = tanh(z[n])
                for n in range(3 * H, N):
                    z[n] = sigmoid(z[n])
                for u in range(H):
                    c[t + 1, place, u] = z[H + u] * c[t, node, u] + z[u] * z[2 * H + u]
                for u in range(H):
                    h[t + 1, place, u] = z[3 * H + u] * tanh(c[t + 1, place, u])
            else:
                for u in range(H):
                    h[t + 1, place, u] = sigmoid(z[u])
            logit = 0.0
            for u in range(H):
                logit += h[t + 1, place, u] * readout[u]
            column = a + b + carry
            answer = logit > 0 or (half_is_one and logit == 0)
            if answer == (column & 1):
                if t == 7:
                    count += 1
                else:
                    carries[t + 1, place] = column >> 1
                    waiting[t + 1] += 1
        if t < 7:
            t += 1
    return count
