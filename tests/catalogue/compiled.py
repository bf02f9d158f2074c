"""Faults of the compiled kernels: mistakes typical of loops over units."""

from typing import Any

from catalogue.fast import ALL, BACKWARD, LSTM_ALL, LSTM_BACKWARD
from catalogue.fault import FastFault


def _fault(cell: str, title: str, old: str, new: str, *wrong: str, **options: Any) -> FastFault:
    file = f"compiled/{cell}.py"
    return FastFault(title, file, old, new, wrong, cell, options, engine="compiled")


FAULTS = [
    _fault("lstm", "two gates are swapped", "g_u = tanh(g[u])", "g_u = tanh(o[u])", *LSTM_ALL),
    _fault(
        "lstm",
        "tanh' is taken at the cell state",
        "tanh_c = s[I], s[F], s[G], s[O], s[TANH_C]",
        "tanh_c = s[I], s[F], s[G], s[O], s[C]",
        *LSTM_BACKWARD,
    ),
    _fault(
        "lstm", "the forget gate is left out of the carry", "d_c[u] = d_c_u * f_u", "d_c[u] = d_c_u", *LSTM_BACKWARD
    ),
    _fault(
        "lstm",
        "all rows are taken for the first",
        "add_outer(x_1_h[t, b]",
        "add_outer(x_1_h[t, 0]",
        "weight_ih",
        "weight_hh",
    ),
    _fault("gru", "the old state hands nothing back", "d_h[u] = d_h_u * z_u", "d_h[u] = 0", *BACKWARD),
    _fault("gru", "the candidate's second bias is its first", "+= d_q[u] if reset_after else", "+=", "bias_hh"),
    _fault("gru", "the reset gate is left out", "= r_u * h_prev[u]", "= h_prev[u]", *ALL, reset_after=False),
    _fault("rnn", "the last unit is left out of the products", "d_z, d_x_1_h)", "d_z[: H - 1], d_x_1_h)", *BACKWARD),
    _fault("rnn", "= for += in d_h", "d_h[b, u] += d_output", "d_h[b, u] = d_output", *BACKWARD),
]
