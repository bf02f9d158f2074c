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

Further: equation 13 is a product of sums that cannot be evaluated, and the error for the layer below (14) is not in the
program. ``update`` reads four gradients under names that do not exist: of its twelve statements the first changes Wfh,
the second raises. The gradient check passes an ``IdentityActivator`` that the text never defines, so the check as
printed raises, too; ``backward`` ignores the argument.

The text's GRU has no backward pass, which is left to the reader. Its reset gate acts before the matrix product, and its
update gate is the share of the new value, where PyTorch's is that of the old one.
"""

from collections.abc import Callable

import numpy as np

from compare.published.networks import Gradients, LSTMTrace, deltas, gate_blocks, parameter_gradients
from manual.activations import tanh_derivative
from manual.arrays import Array, Probe, unprobed


def backward(trace: LSTMTrace, d_output: Array, probe: Probe | None = None) -> Gradients:
    """Return the program's gradient."""
    gradients = _backward(trace, d_output, probe, tanh_derivative)
    _, f, g, _ = gate_blocks(gradients["bias"])
    return gradients | {"bias": np.concatenate([f, f, g, f], axis=-1)}  # departures 3 and 4


def backward_of_the_equations(trace: LSTMTrace, d_output: Array, probe: Probe | None = None) -> Gradients:
    """Return the gradient by the text's equations."""
    return _backward(trace, d_output, probe, lambda tanh_c: (1 - tanh_c) ** 2)  # departure 6


def _backward(trace: LSTMTrace, d_output: Array, probe: Probe | None, slope: Callable[[Array], Array]) -> Gradients:
    probe = probe or unprobed
    d_z = np.empty((*d_output.shape[:-1], trace.weights["weight_hh"].shape[-2]))
    d_h = d_output[-1]  # departure 5
    for t in reversed(range(len(d_output))):
        d_h = probe("d_h", t, d_h)
        d_c = probe("d_c", t, d_h * trace.o[t] * slope(np.tanh(trace.c[t])))  # departure 1
        d_z[t] = deltas(trace, t, d_h, d_c, probe)
        d_h = probe("d_h_prev", t, d_z[t] @ trace.weights["weight_hh"])
    return parameter_gradients(trace, d_z) | {"weight_ih": np.swapaxes(d_z[-1], -1, -2) @ trace.x[-1]}  # departure 2
