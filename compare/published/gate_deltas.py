"""The gradients of the pre-activations of one step, from those of h and c: the part that most write-ups have right."""

import numpy as np

from compare.published.networks import LSTMTrace
from manual.activations import sigmoid_derivative, tanh_derivative
from manual.arrays import Array, Probe


def deltas(trace: LSTMTrace, t: int, d_h: Array, d_c: Array, probe: Probe) -> Array:
    """Return d_z (…, B, 4H) of step t from its d_h and d_c (…, B, H), shown to the probe."""
    by_gate = _by_gate(trace, t, d_h, d_c)
    return np.concatenate([probe(name, t, d) for name, d in by_gate.items()], axis=-1)


def deltas_without_carry(trace: LSTMTrace, d_h: Array, d_c: Array, probe: Probe | None) -> Array:
    """Return d_z (T, …, B, 4H) of all steps at once from d_h and d_c (T, …, B, H), shown to the probe."""
    by_gate = _by_gate(trace, slice(None), d_h, d_c)
    return np.concatenate([probed_at_every_step(probe, name, values) for name, values in by_gate.items()], axis=-1)


def probed_at_every_step(probe: Probe | None, name: str, values: Array) -> Array:
    """Show the probe the values of all steps (T, …), last step first."""
    if probe is None:
        return values
    return np.stack([probe(name, t, values[t]) for t in reversed(range(len(values)))][::-1])


def _by_gate(trace: LSTMTrace, at: int | slice, d_h: Array, d_c: Array) -> dict[str, Array]:
    """(L10) to (L13) of one step or of several."""
    return {
        "d_z_i": d_c * trace.g[at] * sigmoid_derivative(trace.i[at]),
        "d_z_f": d_c * trace.c_prev[at] * sigmoid_derivative(trace.f[at]),
        "d_z_g": d_c * trace.i[at] * tanh_derivative(trace.g[at]),
        "d_z_o": d_h * np.tanh(trace.c[at]) * sigmoid_derivative(trace.o[at]),
    }
