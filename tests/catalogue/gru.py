"""Faults of both forms of the GRU."""

from catalogue.fault import EquationFault, equation_faults

G5 = "b_in + r * q"
G7 = "(1 - z) * n + z * h_prev"
G8 = "d_output[t] + d_h_prev"
G9 = "d_h * (h_prev - n) * z * (1 - z)"
G10 = "d_h * (1 - z) * (1 - n**2)"
G11 = "d_z_n * r"
G12 = "d_z_n * q * r * (1 - r)"
G13 = "d_h * z + d_z_r @ W_hr + d_z_z @ W_hz + d_q @ W_hn"
G17 = "d_b_ih += d_z.sum(axis=0)"
INPUT_SIDE = "np.hstack([d_z_r, d_z_z, d_z_n])"

_gru = equation_faults("gru")
#: Faults of the form whose reset gate acts before the product.
_before = equation_faults("gru", options={"reset_after": False})

GRU: list[EquationFault] = [
    _gru("z and 1 - z are swapped", G7, "z * n + (1 - z) * h_prev", "h"),
    _gru("the previous state is left out of h", G7, "(1 - z) * n", "h"),
    _gru("the reset gate is left out", G5, "b_in + q", "z_n"),
    _gru("the update gate replaces the reset gate", G5, "b_in + z * q", "z_n"),
    _gru("the candidate's second bias is left out", "h_prev @ W_hn.T + b_hn", "h_prev @ W_hn.T", "q"),
    _gru("the output's gradient is left out", G8, "d_h_prev", "d_h"),
    _gru("= for += in d_h", G8, "d_output[t]", "d_h"),
    _gru("σ' is left out of the update gate", G9, "d_h * (h_prev - n)", "d_z_z"),
    _gru("the candidate is left out of the update gate's adjoint", G9, "d_h * h_prev * z * (1 - z)", "d_z_z"),
    _gru("the candidate's adjoint has z for 1 - z", G10, "d_h * z * (1 - n**2)", "d_z_n"),
    _gru("the candidate's adjoint lacks 1 - z", G10, "d_h * (1 - n**2)", "d_z_n"),
    _gru("the reset gate is left out of d_q", G11, "d_z_n", "d_q"),
    _gru("the reset gate's adjoint sees h_prev, not q", G12, "d_z_n * h_prev * r * (1 - r)", "d_z_r"),
    _gru("the reset gate's adjoint has the wrong sign", G12, f"-{G12}", "d_z_r"),
    _gru("the direct path to h_prev is dropped", G13, "d_z_r @ W_hr + d_z_z @ W_hz + d_q @ W_hn", "d_h_prev"),
    _gru(
        "the direct path to h_prev has 1 - z for z",
        G13,
        "d_h * (1 - z) + d_z_r @ W_hr + d_z_z @ W_hz + d_q @ W_hn",
        "d_h_prev",
    ),
    _gru("nothing is carried back through the recurrent matrix", G13, "d_h * z", "d_h_prev"),
    _gru(
        "the candidate's recurrent weights see d_z_n", "d_z_hh.T @ h_prev", f"{INPUT_SIDE}.T @ h_prev", "weight_hh[n]"
    ),
    _gru(
        "the candidate's second bias takes the first one's gradient",
        "d_z_hh.sum(axis=0)",
        f"{INPUT_SIDE}.sum(axis=0)",
        "bias_hh[n]",
    ),
    _gru("a bias is not summed over time", G17, f"{G17} * (t == len(tape.x) - 1)", "bias_ih"),
    _gru("a fault at one time step only", G11, f"{G11} * (1 + (t == 2))", "d_q", steps=(2,)),
    _gru("a factor of 1 + 1e-9", G10, f"{G10} * (1 + 1e-9)", "d_z_n"),
    _before("the reset gate is left out", "r * h_prev", "h_prev", "q"),
    _before("the recurrent matrix is transposed in d_q", "d_z_n @ W_hn", "d_z_n @ W_hn.T", "d_q"),
    _before("the reset gate is left out of d_h_prev", "d_q * r", "d_q", "d_h_prev"),
    _before("the candidate's recurrent weights see h_prev, not q", "d_z_n.T @ q", "d_z_n.T @ h_prev", "weight_hh[n]"),
]
