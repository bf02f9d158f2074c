"""A GRU layer derived by hand. Fill in each ``...``, in any order.

``lstm-by-hand check`` on this file says at any time what is right, what is wrong and what is next; with --watch it does
so whenever the file is saved.

``p`` holds the weights as LAYOUT describes them, here one matrix per gate: weight_ih_r (D, H), weight_hh_r (H, H),
bias_ih_r and bias_hh_r (H,) and so on. ``probe(name, t, value)`` shows the check a value (B, H) and returns the one to
continue with. Probes are optional. The more there are, the more precisely the check says where a mistake is.
"""

import numpy as np

LEARNING = True  # check names a mistake, but not its line: with --hint, or with --solution
CELL = "gru"
OPTIONS = {"reset_after": True}  # False: the reset gate acts on h_prev before the matrix does, q = r * h_prev
LAYOUT = {
    "gates": "r z n",  # in any order; it matters where they are stacked
    "stacked": False,  # True: one weight_ih (3H, D), one weight_hh (3H, H) and so on for all gates
    "columns": True,  # True: (D, H), for x @ W; False: (H, D)
    "joined": "",  # "xh" or "hx": one matrix ``weight`` for [x, h] or [h, x]
    "biases": 2,  # 2: bias_ih and bias_hh; 1: bias; "scalar": one number per gate; 0: none
}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(p, x, h_0, probe):
    """From x (T, B, D) and h_0 (B, H): output (T, B, H), h_n (B, H), and what backward will need."""
    h, output, tape = h_0, [], []
    for t in range(len(x)):
        h_prev = probe("h_prev", t, h)
        from_x = {gate: x[t] @ p[f"weight_ih_{gate}"] + p[f"bias_ih_{gate}"] for gate in "rzn"}
        from_h = {gate: h_prev @ p[f"weight_hh_{gate}"] + p[f"bias_hh_{gate}"] for gate in "rzn"}
        r = probe("r", t, sigmoid(probe("z_r", t, from_x["r"] + from_h["r"])))
        z = probe("z", t, sigmoid(probe("z_z", t, from_x["z"] + from_h["z"])))
        q = probe("q", t, from_h["n"])
        n = probe("n", t, np.tanh(probe("z_n", t, from_x["n"] + r * q)))
        h = probe("h", t, (1 - z) * n + z * h_prev)
        output.append(h)
        tape.append((x[t], h_prev, r, z, q, n))
    return np.stack(output), h, tape


def backward(p, tape, d_output, d_h_n, probe):
    """From the gradients of what forward returned: d_x (T, B, D), d_h_0 (B, H), and a gradient for each of p."""
    d_h_prev = d_h_n
    d_x = np.zeros((len(tape), *tape[0][0].shape))
    gradients = {name: np.zeros_like(array) for name, array in p.items()}
    for t in reversed(range(len(tape))):
        x, h_prev, r, z, q, n = tape[t]
        d_h = probe("d_h", t, ...)
        d_z = probe("d_z", t, ...)
        d_n = probe("d_n", t, ...)
        d_z_z = probe("d_z_z", t, ...)
        d_z_n = probe("d_z_n", t, ...)
        d_q = probe("d_q", t, ...)
        d_r = probe("d_r", t, ...)
        d_z_r = probe("d_z_r", t, ...)
        d_h_prev = probe("d_h_prev", t, ...)
        d_x[t] = ...
        for gate, d_from_x, d_from_h in (("r", d_z_r, d_z_r), ("z", d_z_z, d_z_z), ("n", d_z_n, d_q)):
            gradients[f"weight_ih_{gate}"] += ...
            gradients[f"weight_hh_{gate}"] += ...
            gradients[f"bias_ih_{gate}"] += ...
            gradients[f"bias_hh_{gate}"] += ...
    return d_x, d_h_prev, gradients
