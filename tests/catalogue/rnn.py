"""Faults of the Elman RNN."""

from catalogue.fault import EquationFault, equation_faults

R2 = "self.activation(z_h)"
R3 = "d_output[t] + d_h_prev"
R4 = "d_h * self.derivative(h)"
R5 = "d_z_h @ W_hh"

_rnn = equation_faults("rnn")

RNN: list[EquationFault] = [
    _rnn("the second bias is left out", "W_hh.T + b_hh", "W_hh.T", "z_h"),
    _rnn("tanh is applied twice", R2, f"self.activation({R2})", "h"),
    _rnn("tanh is left out", R2, "z_h", "h"),
    _rnn("the output's gradient is left out", R3, "d_h_prev", "d_h"),
    _rnn("= for += in d_h", R3, "d_output[t]", "d_h"),
    _rnn("tanh' is left out", R4, "d_h", "d_z_h"),
    _rnn("tanh' appears twice", R4, f"{R4} ** 2", "d_z_h"),
    _rnn("σ' instead of tanh'", R4, "d_h * h * (1 - h)", "d_z_h"),
    _rnn("the sign is wrong", R4, f"-{R4}", "d_z_h"),
    _rnn("the carry is dropped", R5, "0 * h_prev", "d_h_prev"),
    _rnn("the carry skips tanh'", R5, "d_h @ W_hh", "d_h_prev"),
    _rnn("the recurrent matrix is transposed in the backward pass", R5, "d_z_h @ W_hh.T", "d_h_prev"),
    _rnn("a fault at one time step only", R4, f"{R4} * (1 + (t == 4))", "d_z_h", steps=(4,)),
    _rnn("a fault in one row only", R4, f"{R4} * [[1], [1], [3]]", "d_z_h", rows=(2,)),
    _rnn("a factor of 1 + 1e-9", R4, f"{R4} * (1 + 1e-9)", "d_z_h"),
]
