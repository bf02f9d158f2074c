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

from compare.published.gate_deltas import deltas_without_carry, probed_at_every_step
from compare.published.networks import Gradients, LSTMTrace, parameter_gradients
from manual.activations import tanh_derivative
from manual.arrays import Array, Probe


def backward(trace: LSTMTrace, d_output: Array, probe: Probe | None = None) -> Gradients:
    """Return the published gradient. Nothing is carried, so each line computes all steps at once."""
    d_h = probed_at_every_step(probe, "d_h", d_output)  # departure 1
    d_c = probed_at_every_step(probe, "d_c", d_h * trace.o * tanh_derivative(trace.c))  # departures 2 and 3
    return parameter_gradients(trace, deltas_without_carry(trace, d_h, d_c, probe))  # departure 4: a bias of H
