"""The published backward passes, as others wrote them: a function for each program.

Each takes a trace of ``networks.py`` and d_output (T, …, B, H), and returns the gradients of the weights.
"""

from collections.abc import Callable

import numpy as np

from compare.published.networks import Gradients, LSTMTrace, deltas, gate_blocks, parameter_gradients
from manual.activations import sigmoid_derivative, tanh_derivative
from manual.arrays import Array, Probe, unprobed


def scalar_bias_lstm(trace: LSTMTrace, d_output: Array, probe: Probe | None = None) -> Gradients:
    """The LSTM of "LSTM简单例子(MATLAB code)" (A simple LSTM example), which names no author.

    It is the program of ``no_bias_lstm``, repaired: its opening remarks name h (1 - h), the derivatives of the weights
    and the missing biases as the mistakes, and those are gone. 32 units, one number as the bias of each gate, sums of 8
    bits.

    Departures from the true gradient:

    1. d_h is the output's share alone; the carry from the next step is missing.
    2. d_c is h's share alone; the carry from the next step is missing.
    3. tanh' is taken at c, not at tanh(c): 1 - c², negative as soon as |c| > 1.
    4. The gradient of a gate's bias, declared as one number, is not summed over the units: it is a row of H. The update
       adds the row to the number, and MATLAB makes a row of both. From the second problem on each unit has a bias of
       its own, whose gradient is right but for departures 1 to 3. The system is therefore run with H biases for each
       gate; the recipe ``scalar-bias-lstm`` trains the one number that was declared.

    The gradient of the readout is right; the loss is the cross-entropy summed over the bits, with the gradient p - y.
    """
    probe = probe or unprobed
    d_z = np.empty((*d_output.shape[:-1], trace.weights["weight_hh"].shape[-2]))
    for t in reversed(range(len(d_output))):
        d_h = probe("d_h", t, d_output[t])  # departure 1
        d_c = probe("d_c", t, d_h * trace.o[t] * tanh_derivative(trace.c[t]))  # departures 2 and 3
        d_z[t] = deltas(trace, t, d_h, d_c, probe)
    return parameter_gradients(trace, d_z)  # departure 4: a bias of H


def no_bias_lstm(trace: LSTMTrace, d_output: Array, probe: Probe | None = None) -> Gradients:
    """The LSTM in MATLAB of "RNN及LSTM的matlab实现" (RNN and LSTM in MATLAB), a repost that names no author.

    Its author was not satisfied with the results and asked the readers whether the task or the code is to blame. No
    biases, 32 units, sums of 8 bits.

    Departures from the true gradient:

    1. d_h is the output's share alone; the carry from the next step is missing.
    2. d_h is multiplied by h (1 - h). The h of an LSTM is not the output of a sigmoid: where h < 0 the sign flips.
    3. d_c is h's share alone; the carry from the next step is missing.
    4. tanh' is taken at c, not at tanh(c): 1 - c², negative as soon as |c| > 1.
    5. The weight gradients of the gates i, f and o are multiplied by W (1 - W) of the weight itself, which is negative
       for negative weights, and
    6. those of g by 1 - W². No derivative of the weight belongs there.

    The text shows none of its helper functions. That ``sigmoid_output_to_derivative`` is s (1 - s) and
    ``tan_h_output_to_derivative`` 1 - a² of its argument, on which departures 2 and 4 to 6 rest, is inferred from the
    names and from ``scalar_bias_lstm``, the repair of the same program, which prints them.

    A comment in both programs shows that the author tried to carry h back:
    ``future_H_diff * (W_i' + W_o' + W_f' + W_g')``. Each gate needs its own matrix with its own delta;
    ``carry_through_summed_matrices`` in ``departures.py`` is that line.

    The gradient of the readout is right; the loss is the cross-entropy summed over the bits, with the gradient p - y.

    One fault no gradient can mend: with no bias and a zero state, an input of zeros gives g = 0. So c and h stay 0 and
    the output stays 0.5 whatever the weights, for as long as both numbers have shown only zeros.
    """
    gradients = scalar_bias_lstm(trace, d_output * sigmoid_derivative(trace.h), probe)  # departures 1 to 4
    slopes = {}
    for name in ("weight_ih", "weight_hh"):
        weight = trace.weights[name]
        i, f, g, o = np.split(weight, 4, axis=-2)
        by_gate = sigmoid_derivative(i), sigmoid_derivative(f), tanh_derivative(g), sigmoid_derivative(o)
        slopes[name] = np.concatenate(by_gate, axis=-2)  # departures 5 and 6
    return gradients | {name: gradients[name] * slope for name, slope in slopes.items()}


def lstm_class(trace: LSTMTrace, d_output: Array, probe: Probe | None = None, d_c_n: Array | None = None) -> Gradients:
    """The MATLAB class of "LSTM神经网络 - MATLAB实现" (LSTM neural network in MATLAB), by nobody named.

    10 inputs, 20 units, 15 steps, the squared error of h itself. Its pass through one step is right and computes the
    right carry to the step before, but nobody uses it; the loop over the steps computes its own.

    Departures from the true gradient, all in the carry from a step to the step before:

    1. through h, the forget gate's share has d_h in place of d_c ∘ c_prev;
    2. the input gate's has d_h in place of d_c ∘ g;
    3. the candidate's has d_h ∘ g in place of d_c ∘ i;
    4. the output gate's lacks tanh(c);
    5. through c, a step passes on what it was given by the next step and leaves out its own share. What the last step
       is given is zero, so nothing is ever carried through c;
    6. and the forget gate is that of the step before. Since 5 makes it a factor of zero, it does harm only if the last
       c has a gradient of its own: an argument ``d_c_n`` (…, B, H) that the class lacks.

    Two lines of prose before the class, without a comment sign, make every parser reject the file; the demonstration
    below it cannot be called from outside, and its call is a comment. The demonstration draws new target weights at
    every step, so x says nothing about y: the best answer is 0, and both gradients find it.
    """
    probe = probe or unprobed
    W_hh = trace.weights["weight_hh"]
    d_z = np.empty((*d_output.shape[:-1], W_hh.shape[-2]))
    d_h_prev = np.zeros_like(d_output[0])
    d_c_prev = np.zeros_like(d_output[0]) if d_c_n is None else d_c_n
    for t in reversed(range(len(d_output))):
        i, f, g, o = trace.i[t], trace.f[t], trace.g[t], trace.o[t]
        given = d_c_prev
        d_h = probe("d_h", t, d_output[t] + d_h_prev)
        d_c = probe("d_c", t, given + d_h * o * tanh_derivative(np.tanh(trace.c[t])))
        d_z[t] = deltas(trace, t, d_h, d_c, probe)
        # Step 0 hands its carry to nobody; to be defined, it uses its own forget gate.
        d_c_prev = probe("d_c_prev", t, given * trace.f[max(t - 1, 0)])  # departures 5 and 6
        slopes = sigmoid_derivative(i), sigmoid_derivative(f), g * tanh_derivative(g), sigmoid_derivative(o)
        carried = np.concatenate([d_h * slope for slope in slopes], axis=-1)  # departures 1 to 4
        d_h_prev = probe("d_h_prev", t, carried @ W_hh)
    return parameter_gradients(trace, d_z)


def lstm_layer(trace: LSTMTrace, d_output: Array, probe: Probe | None = None) -> Gradients:
    """The layer of "零基础入门深度学习(6) - 长短时记忆网络(LSTM)" (Deep learning from zero 6: LSTM) by hanbingtao.

    Equations 1 to 14, a layer in Python that follows them, and a check of its gradient against a numeric one.

    Departures of the program from the true gradient:

    1. d_c is h's share alone; the carry from the next step is missing. (Equation 7 leaves out the path from c to c.)
    2. The input weights' gradient is that of the last step, in the equations too, not a sum over the steps.
    3. The bias gradient of the input gate is the forget gate's (right in the equations), and
    4. so is that of the output gate.
    5. Only the last step may have an error of its own. A loss at every step takes one call for each step.

    The equations depart in 1, 2 and 5, and

    6. 10 to 12 have (1 - tanh(c))² in place of 1 - tanh²(c), which the program has right.

    Further: equation 13 is a product of sums that cannot be evaluated, and the error for the layer below (14) is not in
    the program. ``update`` reads four gradients under names that do not exist: of its twelve statements the first
    changes Wfh, the second raises. The gradient check passes an ``IdentityActivator`` that the text never defines, so
    the check as printed raises, too; its ``backward`` ignores the argument.

    The text's GRU has no backward pass, which is left to the reader. Its reset gate acts before the matrix product, and
    its update gate is the share of the new value, where PyTorch's is that of the old one.
    """
    gradients = _of_layer(trace, d_output, probe, tanh_derivative)
    _, f, g, _ = gate_blocks(gradients["bias"])
    return gradients | {"bias": np.concatenate([f, f, g, f], axis=-1)}  # departures 3 and 4


def equations_of_lstm_layer(trace: LSTMTrace, d_output: Array, probe: Probe | None = None) -> Gradients:
    """Return the gradient by the equations of the text of ``lstm_layer``."""
    return _of_layer(trace, d_output, probe, lambda tanh_c: (1 - tanh_c) ** 2)  # departure 6


def _of_layer(trace: LSTMTrace, d_output: Array, probe: Probe | None, slope: Callable[[Array], Array]) -> Gradients:
    probe = probe or unprobed
    d_z = np.empty((*d_output.shape[:-1], trace.weights["weight_hh"].shape[-2]))
    d_h = d_output[-1]  # departure 5
    for t in reversed(range(len(d_output))):
        d_h = probe("d_h", t, d_h)
        d_c = probe("d_c", t, d_h * trace.o[t] * slope(np.tanh(trace.c[t])))  # departure 1
        d_z[t] = deltas(trace, t, d_h, d_c, probe)
        d_h = probe("d_h_prev", t, d_z[t] @ trace.weights["weight_hh"])
    return parameter_gradients(trace, d_z) | {"weight_ih": np.swapaxes(d_z[-1], -1, -2) @ trace.x[-1]}  # departure 2
