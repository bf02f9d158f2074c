"""The MATLAB class of "LSTM神经网络 - MATLAB实现" (LSTM neural network in MATLAB), in a text without title or author.

10 inputs, 20 units, 15 steps, the squared error of h itself. Its pass through one step is right, and works out rightly
what to hand to the step before, but hands it to nobody; the loop over the steps makes up its own.

Departures from the true gradient, all in what a step hands to the step before:

1. through h, the forget gate's share has d_h in the place of d_c ∘ c_prev;
2. the input gate's d_h in the place of d_c ∘ g;
3. the candidate's d_h ∘ g in the place of d_c ∘ i;
4. the output gate's lacks tanh(c);
5. through c, only what came in from the step after is handed on, without the step's own share; it begins as zero and
   so stays zero: nothing is carried through c;
6. and the forget gate is that of the step before. Since 5 makes it a factor of zero, it does harm only if a gradient of
   the last c comes in; an argument that the class does not have, and that this one has to show it.

Two lines of prose before the class, without a comment sign, keep every parser from accepting the file; the
demonstration below it cannot be called from outside, and its call is a comment. The targets of the demonstration are
drawn with new weights at every step, so that x says nothing about y: the best answer is 0, and both gradients find it.
"""

import numpy as np

from compare.published.passes import Gradients, Tape, sums
from compare.published.stepwise import deltas
from manual.activations import sigmoid_derivative, tanh_derivative
from manual.arrays import Array, Probe


def backward(tape: Tape, d_output: Array, probe: Probe | None = None, d_c_n: Array | None = None) -> Gradients:
    """The published gradient; ``d_c_n`` (…, B, H) comes in at the last c, zero if left out."""
    W_hh = tape.weights["weight_hh"]
    d_z = np.empty((*d_output.shape[:-1], W_hh.shape[-2]))
    d_h_prev = np.zeros_like(d_output[0])
    d_c_prev = np.zeros_like(d_output[0]) if d_c_n is None else d_c_n
    for t in reversed(range(len(d_output))):
        i, f, g, o = tape.i[t], tape.f[t], tape.g[t], tape.o[t]
        d_h, came_in = d_output[t] + d_h_prev, d_c_prev
        if probe:
            d_h = probe("d_h", t, d_h)
        d_c = came_in + d_h * o * tanh_derivative(np.tanh(tape.c[t]))
        if probe:
            d_c = probe("d_c", t, d_c)
        d_z[t] = deltas(tape, t, d_h, d_c, probe)
        # What nobody asks for, at step 0, is worked out like the rest, with the forget gate of step 0 itself.
        d_c_prev = came_in * tape.f[max(t - 1, 0)]  # departures 5 and 6
        slopes = sigmoid_derivative(i), sigmoid_derivative(f), g * tanh_derivative(g), sigmoid_derivative(o)
        d_h_prev = np.concatenate([d_h * slope for slope in slopes], axis=-1) @ W_hh  # departures 1 to 4
        if probe:
            d_c_prev, d_h_prev = probe("d_c_prev", t, d_c_prev), probe("d_h_prev", t, d_h_prev)
    return sums(tape, d_z)
