"""One network in training as compiled loops: the same as ``learning_curves.py`` has in NumPy for several at once.

The equations are those of ``networks.py``, the departures those of ``departures.py``, as switches. Weights lie as in
``manual/compiled``: one matrix W (K, N) with a row for each element of x, one for the bias and one for each unit of h.
Rows are read four at a time, so that what is multiplied by them is read once for four.
"""

import numpy as np

from compare.published.audit.switches import (
    DELTAS,
    FROM_F,
    NO_BIAS,
    OF_H,
    SLOPES,
    SQUARES,
    SUMMED,
    WHOLE_GATE,
    Switches,
)
from manual.arrays import Array
from manual.compiled.activations import sigmoid, tanh
from manual.compiled.loops import compiled, compiled_sum

#: Steps are taken in fours, so that a row of W is read and written once for four of them.
FOUR = 4


@compiled
def add_rows(W: Array, first: int, v: Array, out: Array) -> None:
    """Add Σ v_k W_k of the rows of h to ``out`` (N,), four rows at a time; v is (H,)."""
    H, N = len(v), len(out)
    k = 0
    while k + FOUR <= H:
        v0, v1, v2, v3 = v[k], v[k + 1], v[k + 2], v[k + 3]
        for n in range(N):
            out[n] += (
                v0 * W[first + k, n] + v1 * W[first + k + 1, n] + v2 * W[first + k + 2, n] + v3 * W[first + k + 3, n]
            )
        k += FOUR
    while k < H:
        for n in range(N):
            out[n] += v[k] * W[first + k, n]
        k += 1


@compiled_sum
def _multiply(W: Array, first: int, v: Array, out: Array) -> None:
    """Write W v of the rows of h to ``out`` (H,), four rows at a time, from v (N,)."""
    H, N = len(out), len(v)
    k = 0
    while k + FOUR <= H:
        total_0, total_1, total_2, total_3 = 0.0, 0.0, 0.0, 0.0
        for n in range(N):
            total_0 += W[first + k, n] * v[n]
            total_1 += W[first + k + 1, n] * v[n]
            total_2 += W[first + k + 2, n] * v[n]
            total_3 += W[first + k + 3, n] * v[n]
        out[k], out[k + 1], out[k + 2], out[k + 3] = total_0, total_1, total_2, total_3
        k += FOUR
    while k < H:
        total = 0.0
        for n in range(N):
            total += W[first + k, n] * v[n]
        out[k] = total
        k += 1


@compiled
def _add_outer(scale: float, v: Array, first: int, last: int, d_z: Array, W: Array) -> None:
    """Add scale Σ_t v_tk d_z_t to the rows ``first`` to ``last`` of W (K, N), in blocks of four rows and four steps.

    Args:
        scale: a factor.
        v: (T + 1, K), with T padded with zeros to fours.
        first: the first row.
        last: the one after the last.
        d_z: (T, N), padded likewise.
        W: what is added to.
    """
    N = d_z.shape[1]
    for t in range(0, len(d_z), FOUR):
        k = first
        while k + FOUR <= last:
            a0, a1, a2, a3 = v[t, k], v[t, k + 1], v[t, k + 2], v[t, k + 3]
            b0, b1, b2, b3 = v[t + 1, k], v[t + 1, k + 1], v[t + 1, k + 2], v[t + 1, k + 3]
            c0, c1, c2, c3 = v[t + 2, k], v[t + 2, k + 1], v[t + 2, k + 2], v[t + 2, k + 3]
            d0, d1, d2, d3 = v[t + 3, k], v[t + 3, k + 1], v[t + 3, k + 2], v[t + 3, k + 3]
            for n in range(N):
                a, b, c, d = scale * d_z[t, n], scale * d_z[t + 1, n], scale * d_z[t + 2, n], scale * d_z[t + 3, n]
                W[k, n] += a0 * a + b0 * b + c0 * c + d0 * d
                W[k + 1, n] += a1 * a + b1 * b + c1 * c + d1 * d
                W[k + 2, n] += a2 * a + b2 * b + c2 * c + d2 * d
                W[k + 3, n] += a3 * a + b3 * b + c3 * c + d3 * d
            k += FOUR
        while k < last:
            v0, v1, v2, v3 = scale * v[t, k], scale * v[t + 1, k], scale * v[t + 2, k], scale * v[t + 3, k]
            if v0 != 0 or v1 != 0 or v2 != 0 or v3 != 0:
                for n in range(N):
                    W[k, n] += v0 * d_z[t, n] + v1 * d_z[t + 1, n] + v2 * d_z[t + 2, n] + v3 * d_z[t + 3, n]
            k += 1


@compiled_sum
def _squares(v: Array) -> float:
    """Return the sum of squares of v (N,)."""
    total = 0.0
    for n in range(len(v)):
        total += v[n] ** 2
    return total


@compiled
def train_lstm(
    W: Array, readout: Array, x: Array, y: Array, first: int, last: int, switches: Switches, losses: Array
) -> None:
    """Train an LSTM on problems ``first`` to ``last``, each a step of descent; W and ``readout`` are overwritten.

    Args:
        W: (D + 1 + H, 4H).
        readout: (H,); not used without a readout.
        x: (samples, T, D).
        y: (samples, T, O); problem n is sample n modulo their number.
        first: the first problem.
        last: the one after the last.
        switches: the gradient.
        losses: (last - first,): the loss of each problem before its step.
    """
    (_, T, D), H = x.shape, len(readout)
    N, K = 4 * H, D + 1 + H
    padded = (T + FOUR - 1) // FOUR * FOUR
    v, a, c, tanh_c = np.zeros((padded + 1, K)), np.zeros((T, N)), np.zeros((T + 1, H)), np.zeros((T, H))
    d_z, own = np.zeros((padded, N)), np.zeros((padded, N))
    d_h, d_c, carry, carried = np.zeros(H), np.zeros(H), np.zeros(H), np.zeros(N)
    delta, d_readout = np.zeros(T), np.zeros(H)
    gradient = np.zeros((K, N))
    for number in range(first, last):
        sample = number % len(x)
        loss = 0.0
        for t in range(T):  # forward
            z = a[t]
            for n in range(N):
                z[n] = W[D, n]
            for k in range(D):
                v[t, k] = x[sample, t, k]
                if v[t, k] != 0:
                    for n in range(N):
                        z[n] += v[t, k] * W[k, n]
            v[t, D] = 1
            if t > 0:
                add_rows(W, D + 1, v[t, D + 1 :], z)  # (L1)
            for n in range(2 * H):
                z[n] = sigmoid(z[n])  # (L2), (L3)
            for n in range(2 * H, 3 * H):
                z[n] = tanh(z[n])  # (L4)
            for n in range(3 * H, N):
                z[n] = sigmoid(z[n])  # (L5)
            for u in range(H):
                c[t + 1, u] = z[H + u] * c[t, u] + z[u] * z[2 * H + u]  # (L6)
            for u in range(H):
                tanh_c[t, u] = tanh(c[t + 1, u])
                v[t + 1, D + 1 + u] = z[3 * H + u] * tanh_c[t, u]  # (L7)
            if switches.loss == OF_H:
                for u in range(H):
                    loss += (v[t + 1, D + 1 + u] - y[sample, t, u]) ** 2 / (2 * T)
                continue
            logit = 0.0
            for u in range(H):
                logit += v[t + 1, D + 1 + u] * readout[u]
            p, true = sigmoid(logit), y[sample, t, 0]
            delta[t] = p - true
            if switches.loss == SQUARES:
                loss += 0.5 * delta[t] ** 2
                delta[t] *= p * (1 - p)
            else:
                loss += np.log1p(np.exp(-logit if true > 0 else logit))
        losses[number - first] = loss

        for u in range(H):
            carry[u] = 0.0
            d_c[u] = 0.0
            d_readout[u] = 0.0
        for t in range(T - 1, -1, -1):  # backward
            h = v[t + 1, D + 1 :]
            for u in range(H):
                if switches.loss == OF_H:
                    d_h[u] = (h[u] - y[sample, t, u]) / T
                else:
                    d_readout[u] += delta[t] * h[u]
                    d_h[u] = delta[t] * readout[u]
            if switches.own_errors:
                _deltas(a[t], c[t], c[t + 1], tanh_c[t], d_h, d_c, own[t], switches)
                for u in range(H):
                    d_c[u] = 0.0
            for u in range(H):
                d_h[u] += carry[u]  # (L8)
                if switches.slope_of_h:
                    d_h[u] *= h[u] * (1 - h[u])
            _deltas(a[t], c[t], c[t + 1], tanh_c[t], d_h, d_c, d_z[t], switches)
            for u in range(H):
                d_c[u] = d_c[u] * a[t, H + u] if switches.through_c else 0.0  # (L14)
            if switches.through_h == DELTAS and t > 0:
                _multiply(W, D + 1, d_z[t], carry)  # (L15)
            elif switches.through_h >= SLOPES and t > 0:
                i, f, g, o = a[t, :H], a[t, H : 2 * H], a[t, 2 * H : 3 * H], a[t, 3 * H :]
                for u in range(H):
                    past_slopes = switches.through_h == SUMMED
                    carried[u] = d_h[u] * (1 if past_slopes else i[u] * (1 - i[u]))
                    carried[H + u] = d_h[u] * (1 if past_slopes else f[u] * (1 - f[u]))
                    carried[2 * H + u] = d_h[u] * (1 if past_slopes else g[u] * (1 - g[u] ** 2))
                    carried[3 * H + u] = d_h[u] * (1 if past_slopes else o[u] * (1 - o[u]))
                _multiply(W, D + 1, carried, carry)

        rate = switches.rate
        if switches.most < np.inf or switches.slope_of_weights:
            for k in range(K):
                for n in range(N):
                    gradient[k, n] = 0.0
            _add_gradient(1.0, v, D, d_z, own, gradient, switches)
            if switches.slope_of_weights:
                for k in range(K):
                    for n in range(2 * H):
                        gradient[k, n] *= W[k, n] * (1 - W[k, n])
                    for n in range(2 * H, 3 * H):
                        gradient[k, n] *= 1 - W[k, n] ** 2
                    for n in range(3 * H, N):
                        gradient[k, n] *= W[k, n] * (1 - W[k, n])
            size = _squares(gradient.ravel()) + _squares(d_readout)
            rate *= min(1.0, switches.most / (np.sqrt(size) + 1e-300))
            for k in range(K):
                for n in range(N):
                    W[k, n] -= rate * gradient[k, n]
        else:
            _add_gradient(-rate, v, D, d_z, own, W, switches)
        if switches.loss != OF_H:
            for u in range(H):
                readout[u] -= rate * d_readout[u]


@compiled
def _add_gradient(scale: float, v: Array, D: int, d_z: Array, own: Array, W: Array, switches: Switches) -> None:
    """Add the gradient times ``scale`` to W: (L17) to (L19)."""
    K, N = W.shape
    H = N // 4
    _add_outer(scale, v, 0, D, own if switches.own_errors else d_z, W)
    _add_outer(scale, v, D + 1, K, d_z, W)
    if switches.biases == NO_BIAS:
        return
    for gate in range(4):
        source = 1 if switches.biases == FROM_F and gate != 2 else gate
        total = 0.0
        for u in range(H):
            own_bias = 0.0
            for t in range(len(d_z)):
                own_bias += d_z[t, source * H + u]
            total += own_bias
            if switches.biases != WHOLE_GATE:
                W[D, gate * H + u] += scale * own_bias
        if switches.biases == WHOLE_GATE:
            for u in range(H):
                W[D, gate * H + u] += scale * total


@compiled
def _deltas(
    a: Array, c_prev: Array, c: Array, tanh_c: Array, d_h: Array, d_c: Array, d_z: Array, switches: Switches
) -> None:
    """Add h's share to d_c (H,), and write d_z (4H,)."""
    H = len(d_h)
    for u in range(H):
        i, f, g, o = a[u], a[H + u], a[2 * H + u], a[3 * H + u]
        slope = 1 - c[u] ** 2 if switches.tanh_slope_at_c else 1 - tanh_c[u] ** 2
        d_c[u] += d_h[u] * o * slope  # (L9)
        d_z[u] = d_c[u] * g * i * (1 - i)  # (L10)
        d_z[H + u] = d_c[u] * c_prev[u] * f * (1 - f)  # (L11)
        d_z[2 * H + u] = d_c[u] * i * (1 - g**2)  # (L12)
        d_z[3 * H + u] = d_h[u] * tanh_c[u] * o * (1 - o)  # (L13)


@compiled
def train_rnn(
    W: Array, readout: Array, x: Array, y: Array, first: int, last: int, switches: Switches, losses: Array
) -> None:
    """Train a sigmoid RNN in the same way; W is (D + 1 + H, H), without a bias."""
    (_, T, D), H = x.shape, len(readout)
    K = D + 1 + H
    padded = (T + FOUR - 1) // FOUR * FOUR
    v, d_z, delta = np.zeros((padded + 1, K)), np.zeros((padded, H)), np.zeros(T)
    carry, d_readout = np.zeros(H), np.zeros(H)
    for number in range(first, last):
        sample = number % len(x)
        loss = 0.0
        for t in range(T):
            z = v[t + 1, D + 1 :]
            for u in range(H):
                z[u] = 0.0
            for k in range(D):
                v[t, k] = x[sample, t, k]
                if v[t, k] != 0:
                    for u in range(H):
                        z[u] += v[t, k] * W[k, u]
            if t > 0:
                add_rows(W, D + 1, v[t, D + 1 :], z)  # (R1)
            for u in range(H):
                z[u] = sigmoid(z[u])  # (R2)
            logit = 0.0
            for u in range(H):
                logit += z[u] * readout[u]
            p, true = sigmoid(logit), y[sample, t, 0]
            delta[t] = p - true
            if switches.loss == SQUARES:
                loss += 0.5 * delta[t] ** 2
                delta[t] *= p * (1 - p)
            else:
                loss += np.log1p(np.exp(-logit if true > 0 else logit))
        losses[number - first] = loss
        for u in range(H):
            carry[u] = 0.0
            d_readout[u] = 0.0
        for t in range(T - 1, -1, -1):
            h = v[t + 1, D + 1 :]
            for u in range(H):
                d_readout[u] += delta[t] * h[u]
                d_z[t, u] = (delta[t] * readout[u] + carry[u]) * h[u] * (1 - h[u])  # (R3), (R4)
            if t > 0:
                _multiply(W, D + 1, d_z[t], carry)  # (R5)
        _add_outer(-switches.rate, v, 0, D, d_z, W)
        _add_outer(-switches.rate, v, D + 1, K, d_z, W)
        for u in range(H):
            readout[u] -= switches.rate * d_readout[u]
