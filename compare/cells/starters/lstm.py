"""An LSTM layer derived by hand. Fill in each ``...``, in any order.

``lstm-by-hand check`` on this file says at any time what is right, what is wrong and what is next; with --watch it does
so whenever the file is saved.

``p`` holds the weights as LAYOUT describes them, here one matrix per gate: weight_ih_i (D, H), weight_hh_i (H, H),
bias_i (H,) and so on. ``probe(name, t, value)`` shows the check a value (B, H) and returns the one to continue
with. Probes are optional. The more there are, the more precisely the check says where a mistake is.
"""

import numpy as np

LEARNING = True  # check names a mistake, but not its line: with --hint, or with --solution
CELL = "lstm"
LAYOUT = {
    "gates": "i f g o",  # in any order; it matters where they are stacked
    "stacked": False,  # True: one weight_ih (4H, D), one weight_hh (4H, H), one bias (4H,) for all gates
    "columns": True,  # True: (D, H), for x @ W; False: (H, D)
    "joined": "",  # "xh" or "hx": one matrix ``weight`` for [x, h] or [h, x]
    "biases": 1,  # 2: bias_ih and bias_hh; 1: bias; "scalar": one number per gate; 0: none
}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(p, x, h_0, c_0, probe):
    """From x (T, B, D), h_0 and c_0 (B, H): output (T, B, H), h_n and c_n (B, H), and what backward will need."""
    h, c, output, tape = h_0, c_0, [], []
    for t in range(len(x)):
        h_prev, c_prev = probe("h_prev", t, h), probe("c_prev", t, c)
        z = {
            gate: x[t] @ p[f"weight_ih_{gate}"] + h_prev @ p[f"weight_hh_{gate}"] + p[f"bias_{gate}"] for gate in "ifgo"
        }
        i = probe("i", t, sigmoid(probe("z_i", t, z["i"])))
        f = probe("f", t, sigmoid(probe("z_f", t, z["f"])))
        g = probe("g", t, np.tanh(probe("z_g", t, z["g"])))
        o = probe("o", t, sigmoid(probe("z_o", t, z["o"])))
        c = probe("c", t, f * c_prev + i * g)
        h = probe("h", t, o * np.tanh(c))
        output.append(h)
        tape.append((x[t], h_prev, c_prev, i, f, g, o, c))
    return np.stack(output), h, c, tape


def backward(p, tape, d_output, d_h_n, d_c_n, probe):
    """From the gradients of what forward returned: d_x (T, B, D), d_h_0, d_c_0 (B, H), and a gradient for each of p."""
    d_h_prev, d_c_prev = d_h_n, d_c_n
    d_x = np.zeros((len(tape), *tape[0][0].shape))
    gradients = {name: np.zeros_like(array) for name, array in p.items()}
    for t in reversed(range(len(tape))):
        x, h_prev, c_prev, i, f, g, o, c = tape[t]
        d_h = probe("d_h", t, ...)
        d_o = probe("d_o", t, ...)
        d_c = probe("d_c", t, ...)
        d_i = probe("d_i", t, ...)
        d_f = probe("d_f", t, ...)
        d_g = probe("d_g", t, ...)
        d_z = {
            "i": probe("d_z_i", t, ...),
            "f": probe("d_z_f", t, ...),
            "g": probe("d_z_g", t, ...),
            "o": probe("d_z_o", t, ...),
        }
        d_c_prev = probe("d_c_prev", t, ...)
        d_h_prev = probe("d_h_prev", t, ...)
        d_x[t] = ...
        for gate in "ifgo":
            gradients[f"weight_ih_{gate}"] += ...
            gradients[f"weight_hh_{gate}"] += ...
            gradients[f"bias_{gate}"] += ...
    return d_x, d_h_prev, d_c_prev, gradients
