"""What the write-ups have right within a step: the pre-activations' adjoints from those of h and c."""

import numpy as np

from compare.published.passes import Tape, every_step
from manual.activations import sigmoid_derivative, tanh_derivative
from manual.arrays import Array, Probe


def deltas_without_carry(tape: Tape, d_h: Array, d_c: Array, probe: Probe | None) -> Array:
    """d_z (T, …, B, 4H) of all steps from d_h and d_c (T, …, B, H) of all steps, shown to the probe."""
    by_gate = _by_gate(tape, slice(None), d_h, d_c)
    return np.concatenate([every_step(probe, name, values) for name, values in by_gate.items()], axis=-1)


def deltas(tape: Tape, t: int, d_h: Array, d_c: Array, probe: Probe | None) -> Array:
    """d_z (…, B, 4H) of step t from its d_h and d_c (…, B, H), shown to the probe."""
    by_gate = _by_gate(tape, t, d_h, d_c)
    return np.concatenate([probe(name, t, d) if probe else d for name, d in by_gate.items()], axis=-1)


def _by_gate(tape: Tape, at: int | slice, d_h: Array, d_c: Array) -> dict[str, Array]:
    """(L10) to (L13) of a step or of several."""
    return {
        "d_z_i": d_c * tape.g[at] * sigmoid_derivative(tape.i[at]),
        "d_z_f": d_c * tape.c_prev[at] * sigmoid_derivative(tape.f[at]),
        "d_z_g": d_c * tape.i[at] * tanh_derivative(tape.g[at]),
        "d_z_o": d_h * np.tanh(tape.c[at]) * sigmoid_derivative(tape.o[at]),
    }
