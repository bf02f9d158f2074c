"""The MATLAB class of "LSTM神经网络 - MATLAB实现" (LSTM neural network in MATLAB), in a text without title or author.

10 inputs, 20 units, 15 steps, the squared error of h itself. Its pass through one step is right and computes the right
carry to the step before, but nobody uses it; the loop over the steps computes its own.

Departures from the true gradient, all in the carry from a step to the step before:

1. through h, the forget gate's share has d_h in place of d_c ∘ c_prev;
2. the input gate's has d_h in place of d_c ∘ g;
3. the candidate's has d_h ∘ g in place of d_c ∘ i;
4. the output gate's lacks tanh(c);
5. through c, a step passes on what it was given by the next step and leaves out its own share. What the last step is
   given is zero, so nothing is ever carried through c;
6. and the forget gate is that of the step before. Since 5 makes it a factor of zero, it does harm only if the last c
   has a gradient of its own: an argument that the class lacks and that ``backward`` has to show it.

Two lines of prose before the class, without a comment sign, make every parser reject the file; the demonstration below
it cannot be called from outside, and its call is a comment. The demonstration draws new target weights at every step,
so x says nothing about y: the best answer is 0, and both gradients find it.
"""

import numpy as np

from compare.published.networks import Gradients, LSTMTrace, deltas, parameter_gradients
from manual.activations import sigmoid_derivative, tanh_derivative
from manual.arrays import Array, Probe, unprobed


def backward(trace: LSTMTrace, d_output: Array, probe: Probe | None = None, d_c_n: Array | None = None) -> Gradients:
    """Return the published gradient; ``d_c_n`` (…, B, H) is the gradient of the last c, by default zero."""
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
