"""A derivation of anything, here of a leaky integrator with a readout.

Fill in each ``...`` in backward, in any order, or put your own forward and backward pass in place of these and your own
reference in the other file. ``lstm-by-hand check FILE --reference FILE_reference.py:reference`` says at any time what
is right, what is wrong and what is next; with --watch it does so whenever the file is saved.

T time steps, B batch rows, D units, O outputs:

    a = σ(rate),  s_t = a ∘ s_{t-1} + (1 - a) ∘ x_t,  y_t = s_t W + b

``probe(name, value)`` shows the check a value and returns the one to continue with. Probes are optional. The more there
are, the more precisely the check says where a mistake is.
"""

import numpy as np

from compare import probe

LEARNING = True  # check names a mistake, but not its line: with --hint, or with --solution

D, O = 4, 2
INPUTS = [{"x": (T, B, D), "s_0": (B, D)} for T, B in [(6, 3), (1, 2), (40, 1)]]  # shapes, at several sizes
PARAMETERS = {"rate": (D,), "weight": (D, O), "bias": (O,)}
OUTPUTS = ["y", "s_n"]
AXES = "T B"  # the leading axes of the inputs


def forward(p, x, s_0):
    """From x (T, B, D) and s_0 (B, D): y (T, B, O), s_n (B, D), and what backward will need."""
    a = probe("a", 1 / (1 + np.exp(-p["rate"])))
    s, y, steps = s_0, [], []
    for t in range(len(x)):
        s_prev = s
        s = probe("s", a * s_prev + (1 - a) * x[t], t=t)
        y.append(s @ p["weight"] + p["bias"])
        steps.append((x[t], s_prev, s))
    return np.stack(y), s, (a, steps)


def backward(p, tape, d_y, d_s_n):
    """From the gradients of what forward returned: d_x (T, B, D), d_s_0 (B, D), and a gradient for each of p."""
    a, steps = tape
    d_s_carried = d_s_n  # from step t + 1, at the last step from s_n
    d_x = np.zeros((len(steps), *d_s_n.shape))
    d_a = np.zeros_like(a)
    gradients = {name: np.zeros_like(array) for name, array in p.items()}
    for t in reversed(range(len(steps))):
        x, s_prev, s = steps[t]
        d_s = probe("d_s", ..., t=t)
        d_a += ...
        d_x[t] = ...
        d_s_carried = ...
        gradients["weight"] += ...
        gradients["bias"] += ...
    d_a = probe("d_a", d_a)
    gradients["rate"] = ...
    return d_x, d_s_carried, gradients
