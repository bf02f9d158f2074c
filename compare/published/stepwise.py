"""What the write-ups have right within a step: the pre-activations' adjoints from those of h and c."""

import numpy as np

from compare.published.passes import Tape, every_step
from manual.activations import sigmoid_derivative, tanh_derivative
from manual.arrays import Array, Probe


def deltas_without_carry(tape: Tape, d_h: Array, d_c: Array, probe: Probe | None) -> Array:
    """d_z (T, …, B, 4H) of all steps from d_h and d_c (T, …, B, H) of all steps, shown to the probe."""
    blocks = (
        ("d_z_i", d_c * tape.g * sigmoid_derivative(tape.i)),
        ("d_z_f", d_c * tape.c_prev * sigmoid_derivative(tape.f)),
        ("d_z_g", d_c * tape.i * tanh_derivative(tape.g)),
        ("d_z_o", d_h * np.tanh(tape.c) * sigmoid_derivative(tape.o)),
    )
    return np.concatenate([every_step(probe, name, values) for name, values in blocks], axis=-1)


def deltas(tape: Tape, t: int, d_h: Array, d_c: Array, probe: Probe | None) -> Array:
    """d_z (…, B, 4H) of step t from its d_h and d_c (…, B, H), shown to the probe."""
    blocks = {
        "d_z_i": d_c * tape.g[t] * sigmoid_derivative(tape.i[t]),
        "d_z_f": d_c * tape.c_prev[t] * sigmoid_derivative(tape.f[t]),
        "d_z_g": d_c * tape.i[t] * tanh_derivative(tape.g[t]),
        "d_z_o": d_h * np.tanh(tape.c[t]) * sigmoid_derivative(tape.o[t]),
    }
    return np.concatenate([probe(name, t, d) if probe else d for name, d in blocks.items()], axis=-1)
