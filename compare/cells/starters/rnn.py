"""An Elman RNN layer derived by hand. Fill in each ``...``, in any order.

``lstm-by-hand check`` on this file says at any time what is right, what is wrong and what is next; with --watch it does
so whenever the file is saved.

``p`` holds the weights as LAYOUT describes them, here weight_ih (D, H), weight_hh (H, H) and bias (H,).
``probe(name, t, value)`` shows the check a value (B, H) and returns the one to continue with. Probes are optional. The
more there are, the more precisely the check says where a mistake is.
"""

import numpy as np

LEARNING = True  # check names a mistake, but not its line: with --hint, or with --solution
CELL = "rnn"
OPTIONS = {"nonlinearity": "tanh"}  # or "relu", or "sigmoid"
LAYOUT = {
    "gates": "h",
    "stacked": True,
    "columns": True,  # True: (D, H), for x @ W; False: (H, D)
    "joined": "",  # "xh" or "hx": one matrix ``weight`` for [x, h] or [h, x]
    "biases": 1,  # 2: bias_ih and bias_hh; 1: bias; "scalar": one number; 0: none
}


def forward(p, x, h_0, probe):
    """From x (T, B, D) and h_0 (B, H): output (T, B, H), h_n (B, H), and what backward will need."""
    h, output, tape = h_0, [], []
    for t in range(len(x)):
        h_prev = probe("h_prev", t, h)
        z_h = probe("z_h", t, x[t] @ p["weight_ih"] + h_prev @ p["weight_hh"] + p["bias"])
        h = probe("h", t, np.tanh(z_h))
        output.append(h)
        tape.append((x[t], h_prev, h))
    return np.stack(output), h, tape


def backward(p, tape, d_output, d_h_n, probe):
    """From the gradients of what forward returned: d_x (T, B, D), d_h_0 (B, H), and a gradient for each of p."""
    d_h_prev = d_h_n
    d_x = np.zeros((len(tape), *tape[0][0].shape))
    gradients = {name: np.zeros_like(array) for name, array in p.items()}
    for t in reversed(range(len(tape))):
        x, h_prev, h = tape[t]
        d_h = probe("d_h", t, ...)
        d_z_h = probe("d_z_h", t, ...)
        d_h_prev = probe("d_h_prev", t, ...)
        d_x[t] = ...
        gradients["weight_ih"] += ...
        gradients["weight_hh"] += ...
        gradients["bias"] += ...
    return d_x, d_h_prev, gradients
