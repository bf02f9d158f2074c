"""The two RNNs of "RNN及LSTM的matlab实现" (RNN and LSTM in MATLAB): one in MATLAB, and Andrew Trask's in Python.

The latter is the one of "Anyone Can Learn To Code an LSTM-RNN in Python". 16 sigmoid units, no biases, sums of 8 bits,
half the squared error summed over the bits. Departures from the true gradient: none, in either. The MATLAB text shows
no helper functions; that its sigmoid' is s (1 - s) of the output s is inferred from the Python program it translates.
"""

import numpy as np

from compare.published.networks import Gradients, Trace, parameter_gradients
from manual.activations import sigmoid_derivative
from manual.arrays import Array, Probe, unprobed


def backward(trace: Trace, d_output: Array, probe: Probe | None = None) -> Gradients:
    """Return the published gradient."""
    probe = probe or unprobed
    d_z = np.empty_like(trace.h)
    future = np.zeros_like(trace.h[0])
    for t in reversed(range(len(trace.x))):
        carried = future @ trace.weights["weight_hh"]
        if t + 1 < len(trace.x):
            carried = probe("d_h_prev", t + 1, carried)
        d_h = probe("d_h", t, carried + d_output[t])
        future = d_z[t] = probe("d_z_h", t, d_h * sigmoid_derivative(trace.h[t]))
    probe("d_h_prev", 0, future @ trace.weights["weight_hh"])
    return parameter_gradients(trace, d_z)
