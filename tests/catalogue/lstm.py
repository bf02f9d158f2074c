"""Faults of the LSTM, forward and backward, and of the sweep over time in both directions."""

from catalogue.fault import EquationFault, equation_faults

Z = ("z_i", "z_f", "z_g", "z_o")
FROM_H = "h_prev @ W_hh.T + b_hh"
L6 = "f * c_prev + i * g"
L7 = "m = o * np.tanh(c)"
L8 = "d_output[t] + d_h_prev"
L9 = "d_c_prev + d_m * o * (1 - np.tanh(c) ** 2)"
L10 = "d_c * g * i * (1 - i)"
L11 = "d_c * c_prev * f * (1 - f)"
L12 = "d_c * i * (1 - g**2)"
L13 = "d_m * np.tanh(c) * o * (1 - o)"
L14 = '"d_c_prev", t, d_c * f'
L15 = "d_z @ W_hh"
L18 = "d_z.T @ h_prev"
L19 = "d_b_ih += d_z.sum(axis=0)"
L20 = "d_b_hh += d_z.sum(axis=0)"
WITHOUT_I = "np.hstack([0 * d_z_i, d_z_f, d_z_g, d_z_o])"

_lstm = equation_faults("lstm")

LSTM: list[EquationFault] = [
    # forward
    _lstm("the second bias is left out", FROM_H, "h_prev @ W_hh.T", *Z),
    _lstm("the first bias is added twice", "W_ih.T + b_ih", "W_ih.T + 2 * b_ih", *Z),
    _lstm(
        "the input gate has the forget gate's bias",
        FROM_H,
        "h_prev @ W_hh.T + np.hstack([np.split(b_hh, 4)[k] for k in (1, 1, 2, 3)])",
        "z_i",
    ),
    _lstm("the recurrent matrix is transposed", FROM_H, "h_prev @ np.hstack(np.split(W_hh, 4)) + b_hh", *Z),
    _lstm("the input is read one step late", "z = x_t @", "z = tape.x[max(t - 1, 0)] @", *Z),
    _lstm(
        "the initial cell state is ignored",
        'probe("c_prev", t, c)',
        'probe("c_prev", t, c * (t > 0))',
        "c_prev",
        steps=(0,),
    ),
    _lstm("the candidate has σ for tanh", 'np.tanh(probe("z_g"', 'sigmoid(probe("z_g"', "g"),
    _lstm("input and forget gate are swapped in c", L6, "i * c_prev + f * g", "c"),
    _lstm("the forget gate is left out of c", L6, "c_prev + i * g", "c"),
    _lstm("the input gate is left out of c", L6, "f * c_prev + g", "c"),
    _lstm("the previous cell state is left out of c", L6, "i * g", "c"),
    _lstm("tanh is left out of h", L7, "m = o * c", "h"),
    _lstm("tanh is applied twice in h", L7, "m = o * np.tanh(np.tanh(c))", "h"),
    _lstm("the output gate is left out of h", L7, "m = np.tanh(c)", "h"),
    # the sums over uses
    _lstm("the output's gradient is left out", L8, "d_h_prev", "d_h"),
    _lstm("= for += in d_h", L8, "d_output[t]", "d_h"),
    _lstm("= for += in d_c", L9, "d_m * o * (1 - np.tanh(c) ** 2)", "d_c"),
    _lstm(
        "the gradient of c_n is ignored",
        "d_h_prev, d_c_prev = d_state",
        "d_h_prev, d_c_prev = d_state[0], 0 * d_state[1]",
        "d_c",
        steps=(5,),
    ),
    _lstm("tanh' is left out of d_c", L9, "d_c_prev + d_m * o", "d_c"),
    _lstm("tanh' is taken at the cell state", L9, "d_c_prev + d_m * o * (1 - c**2)", "d_c"),
    _lstm("the output gate is left out of d_c", L9, "d_c_prev + d_m * (1 - np.tanh(c) ** 2)", "d_c"),
    # the adjoints of the pre-activations
    _lstm("σ' is left out of the input gate", L10, "d_c * g", "d_z_i"),
    _lstm("σ' is left out of the forget gate", L11, "d_c * c_prev", "d_z_f"),
    _lstm("tanh' is left out of the candidate", L12, "d_c * i", "d_z_g"),
    _lstm("σ' is left out of the output gate", L13, "d_m * np.tanh(c)", "d_z_o"),
    _lstm("the forget gate's adjoint is the input gate's", L11, "d_z_i", "d_z_f"),
    _lstm("the forget gate sees c, not c_prev", L11, "d_c * c * f * (1 - f)", "d_z_f"),
    _lstm("the candidate has σ' for tanh'", L12, "d_c * i * g * (1 - g)", "d_z_g"),
    _lstm("the output gate's adjoint has the wrong sign", L13, f"-{L13}", "d_z_o"),
    _lstm("the output gate sees d_c", L13, "d_c * np.tanh(c) * o * (1 - o)", "d_z_o"),
    _lstm("a fault at one time step only", L12, f"{L12} * (1 + (t == 3))", "d_z_g", steps=(3,)),
    _lstm("a fault in one row only", L11, f"{L11} * [[1], [1.5], [1]]", "d_z_f", rows=(1,)),
    _lstm("a factor of 1 + 1e-9", L10, f"{L10} * (1 + 1e-9)", "d_z_i"),
    # the gradients carried back
    _lstm("the cell carry is dropped", L14, '"d_c_prev", t, 0 * d_c', "d_c_prev"),
    _lstm("the forget gate is left out of the carry", L14, '"d_c_prev", t, d_c', "d_c_prev"),
    _lstm("the carry goes through the input gate", L14, '"d_c_prev", t, d_c * i', "d_c_prev"),
    _lstm(
        "the carry has the forget gate of the previous step",
        L14,
        '"d_c_prev", t, d_c * tape.steps[max(t - 1, 0)].f',
        "d_c_prev",
        steps=(1, 2, 3, 4, 5),
    ),
    _lstm("the hidden carry is dropped", L15, "0 * h_prev", "d_h_prev"),
    _lstm(
        "the recurrent matrix is transposed in the backward pass",
        L15,
        "d_z @ np.vstack([W.T for W in np.split(W_hh, 4)])",
        "d_h_prev",
    ),
    _lstm("one gate is missing from the hidden carry", L15, f"{WITHOUT_I} @ W_hh", "d_h_prev"),
    _lstm("one gate is missing from d_x", "d_z @ W_ih", f"{WITHOUT_I} @ W_ih", "d_x"),
    # the sums over steps and rows
    _lstm(
        "input weights from the last step only",
        "d_z.T @ tape.x[t]",
        "d_z.T @ tape.x[t] * (t == len(tape.x) - 1)",
        "weight_ih",
    ),
    _lstm("recurrent weights with h of this step", L18, "d_z.T @ m", "weight_hh"),
    _lstm("recurrent weights times the weight's own σ'", L18, f"{L18} * W_hh * (1 - W_hh)", "weight_hh"),
    _lstm("the recurrent gradient is transposed", L18, f"np.vstack([W.T for W in np.split({L18}, 4)])", "weight_hh"),
    _lstm("a bias is not summed over time", L19, f"{L19} * (t == len(tape.x) - 1)", "bias_ih"),
    _lstm("a bias is summed over one row only", L19, "d_b_ih += d_z[0]", "bias_ih"),
    _lstm("a bias is averaged", L20, "d_b_hh += d_z.mean(axis=0) / len(tape.x)", "bias_hh"),
    _lstm(
        "two biases take the forget gate's gradient",
        L20,
        "d_b_hh += np.hstack([d_z_f, d_z_f, d_z_g, d_z_f]).sum(axis=0)",
        "bias_hh[i o]",
    ),
    # over time and in both directions
    _lstm(
        "the reverse direction reads the input forwards",
        "x = source[::-1] if self.reverse else source",
        "x = source",
        *(f"{name}_l0_reverse" for name in (*Z, "weight_ih")),
        file="sweep.py",
        options={"bidirectional": True},
    ),
    _lstm(
        "a row continues past its end",
        "int((steps >= stop).sum())",
        "len(steps)",
        *("h_prev", "c_prev", *Z, "i", "f", "o", "d_h", "d_c", "h_n", "c_n"),
        file="sweep.py",
        lengths=(3, 6, 2, 4),
    ),
]
