"""The LSTM of "LSTM简单例子(MATLAB code)" (A simple LSTM example), whose text names no author.

The same program as in ``no_bias_lstm.py``, repaired: its opening remarks name h (1 - h), the derivatives of the weights
and the missing biases as the mistakes, and those are gone. 32 units, one number of bias for each gate, adding numbers
of 8 bits.

Departures from the true gradient:

1. d_h is the output's share alone; what the step after hands back is not added.
2. d_c is h's share alone; what the step after hands back is not added.
3. tanh' is taken at c, not at tanh(c): 1 - c², negative as soon as |c| > 1.
4. The gradient of a gate's bias, declared as one number, is not summed over the units: it is a row of H. The update
   adds the row to the number, and MATLAB makes a row of both, so that from the second problem on each unit has a bias
   of its own, and the gradient of that is right. It is therefore as biases of H that this system is run here.

The gradient of the readout is right, and the loss is the cross-entropy summed over the bits, whose gradient is p - y.
"""

from compare.published.passes import Gradients, Tape, every_step, sums
from compare.published.stepwise import deltas_without_carry
from manual.activations import tanh_derivative
from manual.arrays import Array, Probe


def backward(tape: Tape, d_output: Array, probe: Probe | None = None) -> Gradients:
    """The published gradient. Nothing is carried, so that each line does all steps at once."""
    d_h = every_step(probe, "d_h", d_output)  # departure 1
    d_c = every_step(probe, "d_c", d_h * tape.o * tanh_derivative(tape.c))  # departures 2 and 3
    return sums(tape, deltas_without_carry(tape, d_h, d_c, probe))  # departure 4: a bias of H
