"""The two RNNs of "RNN及LSTM的matlab实现" (RNN and LSTM in MATLAB): one in MATLAB, and Andrew Trask's in Python.

The latter is that of "Anyone Can Learn To Code an LSTM-RNN in Python". 16 sigmoid units, no biases, adding numbers of 8
bits, half the squared error summed over the bits. Departures from the true gradient: none, in either.
"""

import numpy as np

from compare.published.passes import Gradients, Tape, sums
from manual.activations import sigmoid_derivative
from manual.arrays import Array, Probe


def backward(tape: Tape, d_output: Array, probe: Probe | None = None) -> Gradients:
    """The published gradient."""
    d_z = np.empty_like(tape.h)
    future = np.zeros_like(tape.h[0])
    for t in reversed(range(len(tape.x))):
        carried = future @ tape.weights["weight_hh"]
        if probe and t + 1 < len(tape.x):
            carried = probe("d_h_prev", t + 1, carried)
        d_h = carried + d_output[t]
        if probe:
            d_h = probe("d_h", t, d_h)
        d_z[t] = d_h * sigmoid_derivative(tape.h[t])
        if probe:
            d_z[t] = probe("d_z_h", t, d_z[t])
        future = d_z[t]
    if probe:
        probe("d_h_prev", 0, future @ tape.weights["weight_hh"])
    return sums(tape, d_z)
