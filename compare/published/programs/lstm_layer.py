"""The layer of "零基础入门深度学习(6) - 长短时记忆网络(LSTM)" (Deep learning from zero 6: LSTM) by hanbingtao.

Equations 1 to 14, a layer in Python by these, and a check of its gradient against a numeric one.

Departures of the program from the true gradient:

1. d_c is h's share alone; what the step after hands back is not added. (Equation 7 leaves the path from c to c out.)
2. The input weights' gradient is that of the last step only (so in the equations, too), not a sum over the steps.
3. The bias gradient of the input gate is the forget gate's (right in the equations), and
4. that of the output gate, too.
5. Only the last step may have an error of its own. A loss on every step takes a call for each step.

The equations depart in 1, 2 and 5, and

6. 10 to 12 have (1 - tanh(c))² in the place of 1 - tanh²(c), which the program has right.

Equation 13 cannot be worked out, and the error for the layer below (14) is not in the program. ``update`` reads four
gradients under names that do not exist: of its twelve statements the first changes Wfh, the second raises.

The text's GRU has no backward pass, which it leaves to the reader. Its reset gate acts before the matrix product, its
update gate is the share of the new value, where PyTorch's is that of the old one.
"""

from collections.abc import Callable

import numpy as np

from compare.published.passes import Gradients, Tape, blocks, sums
from compare.published.stepwise import deltas
from manual.activations import tanh_derivative
from manual.arrays import Array, Probe


def backward(tape: Tape, d_output: Array, probe: Probe | None = None) -> Gradients:
    """The program's gradient."""
    gradients = _backward(tape, d_output, probe, tanh_derivative)
    return gradients | {"bias": _biases_from_f(gradients["bias"])}


def backward_of_the_equations(tape: Tape, d_output: Array, probe: Probe | None = None) -> Gradients:
    """The gradient by the text's equations."""
    return _backward(tape, d_output, probe, lambda tanh_c: (1 - tanh_c) ** 2)  # departure 6


def backward_at_each_step(tape: Tape, d_output: Array, probe: Probe | None = None) -> Gradients:
    """How the program serves a loss on every step: a call for each step as if it were the last, all added up.

    A call is linear in the error that comes in. So what the calls have in common, h's carry, is done once for all; only
    the input weights, which hear of a call's last step alone, need the deltas of each step's own error.
    """
    d_z = np.empty((*d_output.shape[:-1], tape.weights["weight_hh"].shape[-2]))
    own = np.empty_like(d_z)
    d_h_prev = np.zeros_like(d_output[0])
    for t in reversed(range(len(d_output))):
        for into, d_h in ((d_z, d_output[t] + d_h_prev), (own, d_output[t])):
            into[t] = deltas(tape, t, d_h, d_h * tape.o[t] * tanh_derivative(np.tanh(tape.c[t])), None)
        d_h_prev = d_z[t] @ tape.weights["weight_hh"]
    gradients = sums(tape, d_z)
    return gradients | {"weight_ih": sums(tape, own)["weight_ih"], "bias": _biases_from_f(gradients["bias"])}


def _backward(tape: Tape, d_output: Array, probe: Probe | None, slope: Callable[[Array], Array]) -> Gradients:
    d_z = np.empty((*d_output.shape[:-1], tape.weights["weight_hh"].shape[-2]))
    d_h = d_output[-1]  # departure 5
    for t in reversed(range(len(d_output))):
        if probe:
            d_h = probe("d_h", t, d_h)
        d_c = d_h * tape.o[t] * slope(np.tanh(tape.c[t]))  # departure 1
        if probe:
            d_c = probe("d_c", t, d_c)
        d_z[t] = deltas(tape, t, d_h, d_c, probe)
        d_h = d_z[t] @ tape.weights["weight_hh"]
        if probe:
            d_h = probe("d_h_prev", t, d_h)
    return sums(tape, d_z) | {"weight_ih": np.swapaxes(d_z[-1], -1, -2) @ tape.x[-1]}  # departure 2


def _biases_from_f(bias: Array) -> Array:
    """Departures 3 and 4."""
    _, f, g, _ = blocks(bias)
    return np.concatenate([f, f, g, f], axis=-1)
