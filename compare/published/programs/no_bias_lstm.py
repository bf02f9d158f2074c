"""The LSTM in MATLAB of "RNN及LSTM的matlab实现" (RNN and LSTM in MATLAB), a repost whose text names no author.

Its author found the results not so good and asked the readers whether it is the task or the code. No biases, 32
units, adding numbers of 8 bits.

Departures from the true gradient:

1. d_h is the output's share alone; what the step after hands back is not added.
2. d_h is multiplied by h (1 - h). The h of an LSTM is not the output of a sigmoid: where h < 0 the sign turns round.
3. d_c is h's share alone; what the step after hands back is not added.
4. tanh' is taken at c, not at tanh(c): 1 - c², negative as soon as |c| > 1.
5. The weight gradients of the gates i, f and o are multiplied by W (1 - W) of the weight itself, negative for
   negative weights, and
6. those of g by 1 - W². No derivative of the weight belongs there.

The gradient of the readout is right, and the loss is the cross-entropy summed over the bits, whose gradient is p - y.

One thing is beyond any gradient's reach: with no bias and a zero state, an input of zeros gives g = 0, so c and h stay
0 and the output 0.5 whatever the weights, for as long as both numbers have shown only zeros.
"""

from compare.published.passes import Gradients, Tape, every_step, sums
from compare.published.stepwise import deltas_without_carry
from manual.activations import sigmoid_derivative, tanh_derivative
from manual.arrays import Array, Probe


def backward(tape: Tape, d_output: Array, probe: Probe | None = None) -> Gradients:
    """The published gradient. Nothing is carried, so that each line does all steps at once."""
    d_h = every_step(probe, "d_h", d_output * sigmoid_derivative(tape.h))  # departures 1 and 2
    d_c = every_step(probe, "d_c", d_h * tape.o * tanh_derivative(tape.c))  # departures 3 and 4
    gradients = sums(tape, deltas_without_carry(tape, d_h, d_c, probe))
    return gradients | {name: gradients[name] * _slope(tape.weights[name]) for name in ("weight_ih", "weight_hh")}


def _slope(weight: Array) -> Array:
    """Departures 5 and 6."""
    slope = sigmoid_derivative(weight)
    H = weight.shape[-2] // 4
    candidate = slice(2 * H, 3 * H)
    slope[..., candidate, :] = tanh_derivative(weight[..., candidate, :])
    return slope
