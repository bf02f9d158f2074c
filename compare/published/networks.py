"""Independent networks side by side: an LSTM, a sigmoid RNN and the original GRU, forward and true backward.

The equations are those of ``manual``, numbered as there; a test compares the two. Here every array may have leading
axes, one entry for each network: x is (T, …, B, D), weight_ih (…, 4H, D), weight_hh (…, 4H, H), bias (…, 4H), gates in
PyTorch's order. Training from many starts at once then costs little more than from one. Every write-up has the forward
pass right. Their LSTMs' backward passes are in ``programs.py`` and read the traces defined here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from manual.activations import sigmoid, sigmoid_derivative, tanh_derivative
from manual.arrays import Array, Probe, unprobed

Weights = Mapping[str, Array]
Gradients = dict[str, Array]

#: From a trace and d_output (T, …, B, H) to the gradients; the probe is called as the layers of ``manual`` call it.
Backward = Callable[[Any, Array, Probe | None], Gradients]


@dataclass(frozen=True)
class Trace:
    """Everything that a backward pass reads of a forward pass: x (T, …, B, D), h of each step and of the one before."""

    weights: Weights
    x: Array
    h_prev: Array  # (T, …, B, H)
    h: Array

    @property
    def last_state(self) -> tuple[Array, ...]:
        """The state after the last step, (…, B, H) each."""
        return (self.h[-1],)


@dataclass(frozen=True)
class LSTMTrace(Trace):
    """The trace of an LSTM, with its cells and gates, (T, …, B, H) each."""

    c_prev: Array
    c: Array
    i: Array
    f: Array
    g: Array
    o: Array

    @property
    def last_state(self) -> tuple[Array, ...]:
        """The state after the last step: h and c."""
        return self.h[-1], self.c[-1]


@dataclass(frozen=True)
class GRUTrace(Trace):
    """The trace of a GRU, with its gates and q = r ∘ h_prev, (T, …, B, H) each."""

    r: Array
    z: Array
    n: Array
    q: Array


class Network(NamedTuple):
    """The two passes of a cell."""

    forward: Callable[..., Any]
    backward: Backward


def lstm_forward(
    weights: Weights, x: Array, probe: Probe | None = None, state: tuple[Array, ...] | None = None
) -> LSTMTrace:
    """Run x (T, …, B, D) from the ``state`` (h_0, c_0), (…, B, H) each, by default zeros."""
    probe = probe or unprobed
    W_hh = np.swapaxes(weights["weight_hh"], -1, -2)
    T, H = len(x), W_hh.shape[-2]
    a = x @ np.swapaxes(weights["weight_ih"], -1, -2) + weights["bias"][..., None, :]  # x's part of z, then the gates
    h, c = np.zeros((2, T + 1, *a.shape[1:-1], H))
    if state:
        h[0], c[0] = state
    scale, shift = np.full(4 * H, 0.5), np.full(4 * H, 0.5)  # σ(z) is 0.5 tanh(0.5 z) + 0.5
    scale[2 * H : 3 * H], shift[2 * H : 3 * H] = 1.0, 0.0
    for t in range(T):
        h[t], c[t] = probe("h_prev", t, h[t]), probe("c_prev", t, c[t])
        z = _probe_gates(probe, "z_{}", t, a[t] + h[t] @ W_hh)  # (L1)
        a[t] = _probe_gates(probe, "{}", t, scale * np.tanh(scale * z) + shift)  # (L2) to (L5)
        i, f, g, o = gate_blocks(a[t])
        c[t + 1] = probe("c", t, f * c[t] + i * g)  # (L6)
        h[t + 1] = probe("h", t, o * np.tanh(c[t + 1]))  # (L7)
    return LSTMTrace(weights, x, h[:-1], h[1:], c[:-1], c[1:], *gate_blocks(a))


def lstm_backward(trace: LSTMTrace, d_output: Array, probe: Probe | None = None) -> Gradients:
    """Return the true gradients of an LSTM's weights."""
    probe = probe or unprobed
    i, f, g, o, tanh_c = trace.i, trace.f, trace.g, trace.o, np.tanh(trace.c)
    d_c_by_d_h = o * tanh_derivative(tanh_c)
    d_z_by_d_c = np.concatenate(  # for o: d_z by d_h
        [
            g * sigmoid_derivative(i),
            trace.c_prev * sigmoid_derivative(f),
            i * tanh_derivative(g),
            tanh_c * sigmoid_derivative(o),
        ],
        axis=-1,
    )
    d_z = np.empty_like(d_z_by_d_c)
    d_h_prev, d_c_prev = np.zeros_like(trace.h[0]), np.zeros_like(trace.h[0])
    for t in reversed(range(len(trace.x))):
        d_h = probe("d_h", t, d_output[t] + d_h_prev)  # (L8)
        d_c = probe("d_c", t, d_c_prev + d_h * d_c_by_d_h[t])  # (L9)
        np.multiply(np.concatenate([d_c, d_c, d_c, d_h], axis=-1), d_z_by_d_c[t], out=d_z[t])  # (L10) to (L13)
        d_z[t] = _probe_gates(probe, "d_z_{}", t, d_z[t])
        d_c_prev = probe("d_c_prev", t, d_c * f[t])  # (L14)
        d_h_prev = probe("d_h_prev", t, d_z[t] @ trace.weights["weight_hh"])  # (L15)
    return parameter_gradients(trace, d_z)


def deltas(trace: LSTMTrace, t: int, d_h: Array, d_c: Array, probe: Probe) -> Array:
    """Show the probe d_z (…, B, 4H) of step t, from its d_h and d_c (…, B, H); most write-ups have this part right."""
    by_gate = {
        "d_z_i": d_c * trace.g[t] * sigmoid_derivative(trace.i[t]),
        "d_z_f": d_c * trace.c_prev[t] * sigmoid_derivative(trace.f[t]),
        "d_z_g": d_c * trace.i[t] * tanh_derivative(trace.g[t]),
        "d_z_o": d_h * np.tanh(trace.c[t]) * sigmoid_derivative(trace.o[t]),
    }
    return np.concatenate([probe(name, t, d) for name, d in by_gate.items()], axis=-1)


def rnn_forward(
    weights: Weights, x: Array, probe: Probe | None = None, state: tuple[Array, ...] | None = None
) -> Trace:
    """Run x (T, …, B, D) from the ``state`` (h_0,), (…, B, H), by default zeros."""
    probe = probe or unprobed
    W_hh = np.swapaxes(weights["weight_hh"], -1, -2)
    z_x = x @ np.swapaxes(weights["weight_ih"], -1, -2) + weights["bias"][..., None, :]
    h_prev, h = np.empty_like(z_x), np.empty_like(z_x)
    last = state[0] if state else np.zeros_like(z_x[0])
    for t in range(len(x)):
        h_prev[t] = probe("h_prev", t, last)
        z = probe("z_h", t, z_x[t] + h_prev[t] @ W_hh)  # (R1)
        h[t] = last = probe("h", t, sigmoid(z))  # (R2)
    return Trace(weights, x, h_prev, h)


def rnn_backward(trace: Trace, d_output: Array, probe: Probe | None = None) -> Gradients:
    """Return the true gradients of a sigmoid RNN's weights."""
    probe = probe or unprobed
    d_z, d_h_prev = np.empty_like(trace.h), np.zeros_like(trace.h[0])
    for t in reversed(range(len(trace.x))):
        d_h = probe("d_h", t, d_output[t] + d_h_prev)  # (R3)
        d_z[t] = probe("d_z_h", t, d_h * sigmoid_derivative(trace.h[t]))  # (R4)
        d_h_prev = probe("d_h_prev", t, d_z[t] @ trace.weights["weight_hh"])  # (R5)
    return parameter_gradients(trace, d_z)


def gru_forward(
    weights: Weights, x: Array, probe: Probe | None = None, state: tuple[Array, ...] | None = None
) -> GRUTrace:
    """Run x (T, …, B, D) from the ``state`` (h_0,), (…, B, H), by default zeros. No program is compared: no probes."""
    W_hh = np.swapaxes(weights["weight_hh"], -1, -2)
    T, H = len(x), W_hh.shape[-2]
    z_x = x @ np.swapaxes(weights["weight_ih"], -1, -2) + weights["bias"][..., None, :]
    r, z, n, q, h_prev, h = np.empty((6, *z_x.shape[:-1], H))
    last = state[0] if state else np.zeros_like(h[0])
    for t in range(T):
        h_prev[t] = last
        gates = sigmoid(z_x[t][..., : 2 * H] + last @ W_hh[..., : 2 * H])  # (G1) to (G3)
        r[t], z[t] = gates[..., :H], gates[..., H:]
        q[t] = r[t] * last  # (G19)
        n[t] = np.tanh(z_x[t][..., 2 * H :] + q[t] @ W_hh[..., 2 * H :])  # (G20), (G6)
        h[t] = last = n[t] + z[t] * (last - n[t])  # (G7)
    return GRUTrace(weights, x, h_prev, h, r, z, n, q)


def gru_backward(trace: GRUTrace, d_output: Array, probe: Probe | None = None) -> Gradients:
    """Return the true gradients of the original GRU's weights."""
    T, H = len(trace.x), trace.h.shape[-1]
    W_rz, W_n = trace.weights["weight_hh"][..., : 2 * H, :], trace.weights["weight_hh"][..., 2 * H :, :]
    d_z = np.empty((*trace.h.shape[:-1], 3 * H))
    d_h_prev = np.zeros_like(trace.h[0])
    for t in reversed(range(T)):
        r, z, n, h_prev = trace.r[t], trace.z[t], trace.n[t], trace.h_prev[t]
        d_h = d_output[t] + d_h_prev  # (G8)
        d_z_z = d_h * (h_prev - n) * sigmoid_derivative(z)  # (G9)
        d_z_n = d_h * (1 - z) * tanh_derivative(n)  # (G10)
        d_q = d_z_n @ W_n  # (G21)
        d_z_r = d_q * h_prev * sigmoid_derivative(r)  # (G22)
        d_z[t] = np.concatenate([d_z_r, d_z_z, d_z_n], axis=-1)
        d_h_prev = d_h * z + d_z[t][..., : 2 * H] @ W_rz + d_q * r  # (G23)
    gradients = parameter_gradients(trace, d_z)
    d_W_n = as_columns(d_z[..., 2 * H :]) @ np.swapaxes(as_columns(trace.q), -1, -2)  # (G24)
    return gradients | {"weight_hh": np.concatenate([gradients["weight_hh"][..., : 2 * H, :], d_W_n], axis=-2)}


def parameter_gradients(trace: Trace, d_z: Array) -> Gradients:
    """Return the gradients of the weights from the pre-activations' d_z (T, …, B, 4H): (L17) to (L19)."""
    columns = as_columns(d_z)
    return {
        "weight_ih": columns @ np.swapaxes(as_columns(trace.x), -1, -2),
        "weight_hh": columns @ np.swapaxes(as_columns(trace.h_prev), -1, -2),
        "bias": columns.sum(axis=-1),
    }


def as_columns(array: Array) -> Array:
    """Rearrange (T, …, B, N) to (…, N, T * B): one column for each step and row."""
    turned = np.moveaxis(array, (0, -2), (-2, -1))  # (…, N, T, B)
    return turned.reshape(*turned.shape[:-2], -1)


def gate_blocks(array: Array) -> tuple[Array, Array, Array, Array]:
    """Return the blocks i f g o of the last axis, as views."""
    H = array.shape[-1] // 4
    return array[..., :H], array[..., H : 2 * H], array[..., 2 * H : 3 * H], array[..., 3 * H :]


def _probe_gates(probe: Probe, name: str, t: int, array: Array) -> Array:
    """Show the probe each gate's block, under the name with the gate filled in."""
    if probe is unprobed:
        return array
    return np.concatenate([probe(name.format(gate), t, b) for gate, b in zip("ifgo", gate_blocks(array))], axis=-1)


#: The true passes of each cell.
NETWORKS = {
    "lstm": Network(lstm_forward, lstm_backward),
    "rnn": Network(rnn_forward, rnn_backward),
    "gru": Network(gru_forward, gru_backward),
}
