"""The gradients of the pre-activations of one step, from those of h and c: the part that most write-ups have right."""

import numpy as np

from compare.published.networks import LSTMTrace
from manual.activations import sigmoid_derivative, tanh_derivative
from manual.arrays import Array, Probe


def deltas(trace: LSTMTrace, t: int, d_h: Array, d_c: Array, probe: Probe) -> Array:
    """Return d_z (…, B, 4H) of step t from its d_h and d_c (…, B, H), shown to the probe: (L10) to (L13)."""
    by_gate = {
        "d_z_i": d_c * trace.g[t] * sigmoid_derivative(trace.i[t]),
        "d_z_f": d_c * trace.c_prev[t] * sigmoid_derivative(trace.f[t]),
        "d_z_g": d_c * trace.i[t] * tanh_derivative(trace.g[t]),
        "d_z_o": d_h * np.tanh(trace.c[t]) * sigmoid_derivative(trace.o[t]),
    }
    return np.concatenate([probe(name, t, d) for name, d in by_gate.items()], axis=-1)
