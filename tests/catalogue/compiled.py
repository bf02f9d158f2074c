"""Faults of the compiled kernels: mistakes typical of loops over units."""

from catalogue.fast import ALL, BACKWARD, LSTM_ALL, LSTM_BACKWARD
from catalogue.fault import fast_faults

_lstm, _gru, _rnn = (fast_faults(cell, f"compiled/{cell}.py", "compiled") for cell in ("lstm", "gru", "rnn"))

FAULTS = [
    _lstm("two gates are swapped", "g_u = tanh(g[u])", "g_u = tanh(o[u])", *LSTM_ALL),
    _lstm(
        "tanh' is taken at the cell state",
        "tanh_c = s[I], s[F], s[G], s[O], s[TANH_C]",
        "tanh_c = s[I], s[F], s[G], s[O], s[C]",
        *LSTM_BACKWARD,
    ),
    _lstm(
        "all rows are taken for the first", "add_outer(x_1_h[t, b]", "add_outer(x_1_h[t, 0]", "weight_ih", "weight_hh"
    ),
    _gru("the old state hands nothing back", "d_h[u] = d_h_u * z_u", "d_h[u] = 0", *BACKWARD),
    _gru("the candidate's second bias is its first", "+= d_q[u] if reset_after else", "+=", "bias_hh"),
    _gru("the reset gate is left out", "= r_u * h_prev[u]", "= h_prev[u]", *ALL, reset_after=False),
    _rnn("= for += in d_h", "d_h[b, u] += d_output", "d_h[b, u] = d_output", *BACKWARD),
]
