"""The LSTM in MATLAB of "RNN及LSTM的matlab实现" (RNN and LSTM in MATLAB), a repost that names no author.

Its author was not satisfied with the results and asked the readers whether the task or the code is to blame. No biases,
32 units, sums of 8 bits.

Departures from the true gradient:

1. d_h is the output's share alone; the carry from the next step is missing.
2. d_h is multiplied by h (1 - h). The h of an LSTM is not the output of a sigmoid: where h < 0 the sign flips.
3. d_c is h's share alone; the carry from the next step is missing.
4. tanh' is taken at c, not at tanh(c): 1 - c², negative as soon as |c| > 1.
5. The weight gradients of the gates i, f and o are multiplied by W (1 - W) of the weight itself, which is negative for
   negative weights, and
6. those of g by 1 - W². No derivative of the weight belongs there.

The text shows none of its helper functions. That ``sigmoid_output_to_derivative`` is s (1 - s) and
``tan_h_output_to_derivative`` 1 - a² of its argument, on which departures 2 and 4 to 6 rest, is inferred from the names
and from ``scalar_bias_lstm.py``, the repair of the same program, which prints them.

A comment in both programs shows that the author tried to carry h back: ``future_H_diff * (W_i' + W_o' + W_f' + W_g')``.
Each gate needs its own matrix with its own delta; ``carry_through_summed_matrices`` in ``departures.py`` is that line.

The gradient of the readout is right, and the loss is the cross-entropy summed over the bits, whose gradient is p - y.

One fault no gradient can mend: with no bias and a zero state, an input of zeros gives g = 0. So c and h stay 0 and the
output stays 0.5 whatever the weights, for as long as both numbers have shown only zeros.
"""

from compare.published.networks import Gradients, LSTMTrace
from compare.published.programs import scalar_bias_lstm
from manual.activations import sigmoid_derivative, tanh_derivative
from manual.arrays import Array, Probe


def backward(trace: LSTMTrace, d_output: Array, probe: Probe | None = None) -> Gradients:
    """Return the published gradient: that of the repair, which shares departures 1, 3 and 4, with the other three."""
    gradients = scalar_bias_lstm.backward(trace, d_output * sigmoid_derivative(trace.h), probe)  # departure 2
    return gradients | {name: gradients[name] * _slope(trace.weights[name]) for name in ("weight_ih", "weight_hh")}


def _slope(weight: Array) -> Array:
    """Departures 5 and 6."""
    slope = sigmoid_derivative(weight)
    H = weight.shape[-2] // 4
    candidate = slice(2 * H, 3 * H)
    slope[..., candidate, :] = tanh_derivative(weight[..., candidate, :])
    return slope
