"""Faults of the LSTM with peepholes and with coupled gates, in what these do not share with the usual LSTM."""

from catalogue.fast import LSTM_ALL, LSTM_BACKWARD
from catalogue.fault import EquationFault, FastFault, equation_faults, fast_faults

L27 = " + d_z_o * p_o"
L28 = "d_c * f + d_z_i * p_i + d_z_f * p_f"
L33 = "d_c * (g - c_prev) * i * (1 - i)"
L34 = "d_c * f + d_z_i * p_i)"
SWAPPED = ("z_i", "z_o", "d_c", "d_c_prev", "weight_ch[i o]")  # forward and backward cut the same weights up
PEEPHOLES, COUPLED = {"peepholes": True}, {"coupled": True}

_peepholes = equation_faults("lstm", file="lstm_variants.py", options=PEEPHOLES)
_coupled = equation_faults("lstm", file="lstm_variants.py", options=COUPLED)
_both = equation_faults("lstm", file="lstm_variants.py", options=PEEPHOLES | COUPLED)

TEXT: list[EquationFault] = [
    _peepholes("the input gate's peephole is left out", "z_i + p_i * c_prev", "z_i", "z_i"),
    _peepholes("the forget gate has the input gate's peephole", "p_f * c_prev", "p_i * c_prev", "z_f"),
    _peepholes("the output gate sees the old cell", "z_o + p_o * c)", "z_o + p_o * c_prev)", "z_o"),
    _peepholes("the output gate's peephole is left out on the way to c", L27, "", "d_c"),
    _peepholes("the input gate's peephole is left out of the carry", L28, "d_c * f + d_z_f * p_f", "d_c_prev"),
    _peepholes("the forget gate's peephole is left out of the carry", L28, "d_c * f + d_z_i * p_i", "d_c_prev"),
    _peepholes("both peepholes are left out of the carry", L28, "d_c * f", "d_c_prev"),
    _peepholes("the carry goes through the output gate's peephole", "+ d_z_f * p_f", "+ d_z_f * p_o", "d_c_prev"),
    _peepholes("the input gate's peephole has the new cell", "(d_z_i * c_prev).sum", "(d_z_i * c).sum", "weight_ch[i]"),
    _peepholes(
        "the output gate's peephole has the old cell", "(d_z_o * c).sum", "(d_z_o * c_prev).sum", "weight_ch[o]"
    ),
    _peepholes("= for += in a peephole's gradient", "d_p_f += (", "d_p_f[...] = (", "weight_ch[f]"),
    _peepholes("two peepholes are swapped", "p_i, *p_f, p_o = np.split", "p_o, *p_f, p_i = np.split", *SWAPPED),
    _coupled("the cell forgets what it takes in", '"f", t, 1 - i)', '"f", t, i)', "f"),
    _coupled("the input gate does not see what it forgets", L33, "d_c * g * i * (1 - i)", "d_z_i"),
    _coupled("the cell before has the wrong sign", L33, "d_c * (g + c_prev) * i * (1 - i)", "d_z_i"),
    _coupled("σ' is left out of the input gate", L33, "d_c * (g - c_prev)", "d_z_i"),
    _coupled("the carry goes through the input gate", L34, "d_c * i + d_z_i * p_i)", "d_c_prev"),
    _both("the input gate's peephole is left out of the carry", L34, "d_c * f)", "d_c_prev"),
]

#: What a wrong cell or adjoint of it reaches.
ALL_SEEN, BACKWARD_SEEN = (*LSTM_ALL, "weight_ch"), (*LSTM_BACKWARD, "weight_ch")

_fast = fast_faults("lstm", "fast/lstm_variants.py")

FAST: list[FastFault] = [
    _fast("the output gate sees the old cell", "[-1], s.c, s.m)", "[-1], s.c_prev, s.m)", *ALL_SEEN, peepholes=True),
    _fast(
        "the new cell's peephole has no gradient",
        "d_c += peepholes[-1] * s.d_z_o",
        "pass",
        *BACKWARD_SEEN,
        peepholes=True,
    ),
    _fast(
        "a peephole's gradient has the wrong cell",
        "memory.cells[1:]]",
        "memory.cells[:-1]]",
        "weight_ch",
        peepholes=True,
    ),
    _fast(
        "f is taken before i is activated", "subtract(1, s.i, s.f)", "subtract(1, s.g, s.f)", *LSTM_ALL, coupled=True
    ),
    _fast("f has no derivative", "subtract(c_by_i, c_by_f, c_by_i)", "pass", *LSTM_BACKWARD, coupled=True),
]
