"""The LSTM of "LSTM简单例子(MATLAB code)" (A simple LSTM example), which names no author.

It is the program of ``no_bias_lstm.py``, repaired: its opening remarks name h (1 - h), the derivatives of the weights
and the missing biases as the mistakes, and those are gone. 32 units, one number as the bias of each gate, sums of 8
bits.

Departures from the true gradient:

1. d_h is the output's share alone; the carry from the next step is missing.
2. d_c is h's share alone; the carry from the next step is missing.
3. tanh' is taken at c, not at tanh(c): 1 - c², negative as soon as |c| > 1.
4. The gradient of a gate's bias, declared as one number, is not summed over the units: it is a row of H. The update
   adds the row to the number, and MATLAB makes a row of both. From the second problem on each unit has a bias of its
   own, whose gradient is right but for departures 1 to 3. The system is therefore run with H biases for each gate; the
   recipe ``scalar-bias-lstm`` trains the one number that was declared.

The gradient of the readout is right, and the loss is the cross-entropy summed over the bits, whose gradient is p - y.
"""

import numpy as np

from compare.published.networks import Gradients, LSTMTrace, deltas, parameter_gradients
from manual.activations import tanh_derivative
from manual.arrays import Array, Probe, unprobed


def backward(trace: LSTMTrace, d_output: Array, probe: Probe | None = None) -> Gradients:
    """Return the published gradient."""
    probe = probe or unprobed
    d_z = np.empty((*d_output.shape[:-1], trace.weights["weight_hh"].shape[-2]))
    for t in reversed(range(len(d_output))):
        d_h = probe("d_h", t, d_output[t])  # departure 1
        d_c = probe("d_c", t, d_h * trace.o[t] * tanh_derivative(trace.c[t]))  # departures 2 and 3
        d_z[t] = deltas(trace, t, d_h, d_c, probe)
    return parameter_gradients(trace, d_z)  # departure 4: a bias of H
