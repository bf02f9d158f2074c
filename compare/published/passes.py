"""An LSTM and a sigmoid RNN, forward and rightly backward, for any number of runs side by side.

The equations are those of ``manual/lstm.py`` and ``manual/rnn.py``, numbered as there, and a test holds the two
together; here each array may have axes for runs: x is (T, …, B, D), weight_ih (…, 4H, D), weight_hh (…, 4H, H), bias
(…, 4H), gates i f g o. So a training of many starts at once costs hardly more than one. All write-ups have the forward
pass right; what they have of the backward pass stands in files of their own, which read the tapes of this one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from manual.activations import sigmoid, sigmoid_derivative, tanh_derivative
from manual.arrays import Array, Probe

Weights = Mapping[str, Array]
Gradients = dict[str, Array]


@dataclass(frozen=True)
class Tape:
    """What a forward pass leaves, (T, …, B, H) each; an RNN has no gates and no cell."""

    weights: Weights
    x: Array  # (T, …, B, D)
    h_prev: Array
    h: Array
    c_prev: Array
    c: Array
    i: Array
    f: Array
    g: Array
    o: Array


#: From a tape and d_output (T, …, B, H) to the gradients; the probe is called as a layer of ``manual`` calls it.
Backward = Callable[[Tape, Array, Probe | None], Gradients]


def lstm_forward(
    weights: Weights, x: Array, probe: Probe | None = None, state: tuple[Array, Array] | None = None
) -> Tape:
    """Run x (T, …, B, D) from the ``state`` h_0 and c_0, (…, B, H); zeros if left out."""
    W_hh = np.swapaxes(weights["weight_hh"], -1, -2)
    T, H = len(x), W_hh.shape[-2]
    a = x @ np.swapaxes(weights["weight_ih"], -1, -2) + weights["bias"][..., None, :]  # z's share of x, then the gates
    h, c = np.zeros((2, T + 1, *a.shape[1:-1], H))
    if state:
        h[0], c[0] = state
    sharp, shift = np.full(4 * H, 0.5), np.full(4 * H, 0.5)  # σ(z) is 0.5 tanh(0.5 z) + 0.5
    sharp[2 * H : 3 * H], shift[2 * H : 3 * H] = 1.0, 0.0
    for t in range(T):
        if probe:
            h[t], c[t] = probe("h_prev", t, h[t]), probe("c_prev", t, c[t])
        z = a[t] + h[t] @ W_hh  # (L1)
        if probe:
            z = _shown(probe, "z_{}", t, z)
        a[t] = sharp * np.tanh(sharp * z) + shift  # (L2) to (L5)
        if probe:
            a[t] = _shown(probe, "{}", t, a[t])
        i, f, g, o = blocks(a[t])
        c[t + 1] = f * c[t] + i * g  # (L6)
        if probe:
            c[t + 1] = probe("c", t, c[t + 1])
        h[t + 1] = o * np.tanh(c[t + 1])  # (L7)
        if probe:
            h[t + 1] = probe("h", t, h[t + 1])
    return Tape(weights, x, h[:-1], h[1:], c[:-1], c[1:], *blocks(a))


def lstm_backward(tape: Tape, d_output: Array, probe: Probe | None = None) -> Gradients:
    """The true gradient of an LSTM's weights."""
    i, f, g, o, tanh_c = tape.i, tape.f, tape.g, tape.o, np.tanh(tape.c)
    d_c_of_d_h = o * tanh_derivative(tanh_c)
    slopes = np.concatenate(  # what d_z is of d_c, for o of d_h
        [
            g * sigmoid_derivative(i),
            tape.c_prev * sigmoid_derivative(f),
            i * tanh_derivative(g),
            tanh_c * sigmoid_derivative(o),
        ],
        axis=-1,
    )
    d_z = np.empty_like(slopes)
    d_h_prev, d_c_prev = np.zeros_like(tape.h[0]), np.zeros_like(tape.h[0])
    for t in reversed(range(len(tape.x))):
        d_h = d_output[t] + d_h_prev  # (L8)
        if probe:
            d_h = probe("d_h", t, d_h)
        d_c = d_c_prev + d_h * d_c_of_d_h[t]  # (L9)
        if probe:
            d_c = probe("d_c", t, d_c)
        np.multiply(np.concatenate([d_c, d_c, d_c, d_h], axis=-1), slopes[t], out=d_z[t])  # (L10) to (L13)
        if probe:
            d_z[t] = _shown(probe, "d_z_{}", t, d_z[t])
        d_c_prev = d_c * f[t]  # (L14)
        d_h_prev = d_z[t] @ tape.weights["weight_hh"]  # (L15)
        if probe:
            d_c_prev, d_h_prev = probe("d_c_prev", t, d_c_prev), probe("d_h_prev", t, d_h_prev)
    return sums(tape, d_z)


def rnn_forward(weights: Weights, x: Array, probe: Probe | None = None, state: Array | None = None) -> Tape:
    """Run x (T, …, B, D) from the ``state`` h_0, (…, B, H); zeros if left out."""
    W_hh = np.swapaxes(weights["weight_hh"], -1, -2)
    z_x = x @ np.swapaxes(weights["weight_ih"], -1, -2) + weights["bias"][..., None, :]
    h_prev, h = np.empty_like(z_x), np.empty_like(z_x)
    last = np.zeros_like(z_x[0]) if state is None else state
    for t in range(len(x)):
        h_prev[t] = probe("h_prev", t, last) if probe else last
        z = z_x[t] + h_prev[t] @ W_hh  # (R1)
        if probe:
            z = probe("z_h", t, z)
        last = sigmoid(z)  # (R2)
        if probe:
            last = probe("h", t, last)
        h[t] = last
    none = np.empty(0)
    return Tape(weights, x, h_prev, h, none, none, none, none, none, none)


def rnn_backward(tape: Tape, d_output: Array, probe: Probe | None = None) -> Gradients:
    """The true gradient of a sigmoid RNN's weights."""
    d_z, d_h_prev = np.empty_like(tape.h), np.zeros_like(tape.h[0])
    for t in reversed(range(len(tape.x))):
        d_h = d_output[t] + d_h_prev  # (R3)
        if probe:
            d_h = probe("d_h", t, d_h)
        d_z[t] = d_h * sigmoid_derivative(tape.h[t])  # (R4)
        if probe:
            d_z[t] = probe("d_z_h", t, d_z[t])
        d_h_prev = d_z[t] @ tape.weights["weight_hh"]  # (R5)
        if probe:
            d_h_prev = probe("d_h_prev", t, d_h_prev)
    return sums(tape, d_z)


def sums(tape: Tape, d_z: Array) -> Gradients:
    """The gradients of the weights from the pre-activations' d_z (T, …, B, 4H): (L17) to (L19)."""
    rows = columns(d_z)
    return {
        "weight_ih": rows @ np.swapaxes(columns(tape.x), -1, -2),
        "weight_hh": rows @ np.swapaxes(columns(tape.h_prev), -1, -2),
        "bias": rows.sum(axis=-1),
    }


def columns(array: Array) -> Array:
    """From (T, …, B, N) to (…, N, T * B): a column for each step and row."""
    turned = np.moveaxis(array, (0, -2), (-2, -1))  # (…, N, T, B)
    return turned.reshape(*turned.shape[:-2], -1)


def every_step(probe: Probe | None, name: str, values: Array) -> Array:
    """Show the probe the values of all steps (T, …), the last step first."""
    if probe is None:
        return values
    return np.stack([probe(name, t, values[t]) for t in reversed(range(len(values)))][::-1])


def blocks(array: Array) -> tuple[Array, Array, Array, Array]:
    """The gates' shares i f g o of the last axis, as views."""
    H = array.shape[-1] // 4
    return array[..., :H], array[..., H : 2 * H], array[..., 2 * H : 3 * H], array[..., 3 * H :]


def _shown(probe: Probe, name: str, t: int, array: Array) -> Array:
    """The gates' shares after the probe has seen them, each under the name with its gate filled in."""
    return np.concatenate([probe(name.format(gate), t, b) for gate, b in zip("ifgo", blocks(array))], axis=-1)


#: By cell: forward, and the true backward.
PASSES: dict[str, tuple[Callable[..., Tape], Backward]] = {
    "lstm": (lstm_forward, lstm_backward),
    "rnn": (rnn_forward, rnn_backward),
}
