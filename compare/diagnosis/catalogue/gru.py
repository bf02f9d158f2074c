"""Faults of the GRU in both its forms."""

from compare.diagnosis.catalogue.fault import Injected, after, faults_of

G5 = "multiply(r, q, reset)\n                add(n, reset, n)  # (G5)"
G7 = "add(n, update, h)  # (G7)"
G8 = "add(d_h, d_output[t], d_h)  # (G8) (B, H)"
G9 = "multiply(d_h, h_by_z, d_z_z)  # (G9)"
G10 = "multiply(d_h, h_by_n, d_z_n)  # (G10)"
G11 = "multiply(d_z_n, r, d_q)  # (G11)"
G12 = "multiply(d_z_n if self.reset_after else d_q, by_r, d_z_r)  # (G12) or (G22)"
G13 = "add(d_h, d_h_product, d_h)  # (G13) or (G23)"
KEEP = "multiply(d_h, z, d_h)"
G16 = "concatenate((d_w_rz[:, D + 1 :], d_weight_hn)),  # (G16) or (G24) (3H, H)"
G17 = "concatenate((d_w_rz[:, D], d_w_n[:, D])),  # (G17) (3H,)"
G18 = "concatenate((d_w_rz[:, D], d_bias_hn)),  # (G18) or (G25) (3H,)"

_gru = faults_of("gru", "gru.py")
#: In the form whose reset gate acts before the product.
_before = faults_of("gru, reset before", "gru.py", options={"reset_after": False})

GRU: list[Injected] = [
    _gru("z and 1 - z are swapped", G7, "copyto(h, z * n + (1 - z) * h_prev)", "h", hint="z and 1 - z are swapped"),
    _gru("the old state is forgotten", G7, "copyto(h, (1 - z) * n)", "h", hint="z ∘ h_prev is missing"),
    _gru(
        "the reset gate is left out",
        G5,
        "multiply(r, q, reset)\n                add(n, q, n)",
        "z_n",
        hint="∘ r is missing",
    ),
    _gru(
        "the update gate resets",
        G5,
        "multiply(r, q, reset)\n                add(n, z * q, n)",
        "z_n",
        hint="z in the place",
    ),
    _gru(
        "the candidate's second bias is forgotten",
        "tape.candidate_h.load(b_hh[n, None], W_hh[n])",
        "tape.candidate_h.load(0 * b_hh[n, None], W_hh[n])",
        "q",
        hint="bias_hh is missing",
    ),
    _gru("the output's gradient is left out", G8, "add(d_h, 0, d_h)", "d_h", hint="d_output is missing"),
    _gru("= for += in d_h", G8, "copyto(d_h, d_output[t])", "d_h", hint="what the step after hands back is missing"),
    _gru(
        "σ' is left out of the update gate", G9, "multiply(d_h, h_by_z / (1 - z) / z, d_z_z)", "d_z_z", hint="left out"
    ),
    _gru(
        "the candidate is forgotten in the update gate's adjoint",
        G9,
        "multiply(d_h, tape.h_prev[t] * z * (1 - z), d_z_z)",
        "d_z_z",
        hint="- n is missing",
    ),
    _gru(
        "the candidate's adjoint has z for 1 - z",
        G10,
        "multiply(d_h, h_by_n / (1 - z) * z, d_z_n)",
        "d_z_n",
        hint="z in the place of 1 - z",
    ),
    _gru(
        "the candidate's adjoint lacks 1 - z", G10, "multiply(d_h, h_by_n / (1 - z), d_z_n)", "d_z_n", hint="is missing"
    ),
    _gru("the reset gate is left out on the way to q", G11, "copyto(d_q, d_z_n)", "d_q", hint="∘ r is missing"),
    _gru(
        "the reset gate's adjoint sees h_prev, not q",
        G12,
        "multiply(d_z_n, tape.h_prev[t] * r * (1 - r), d_z_r)",
        "d_z_r",
        hint="h_prev in the place of q",
    ),
    _gru("the reset gate's adjoint has the wrong sign", G12, "multiply(d_z_n, -by_r, d_z_r)", "d_z_r", hint="sign"),
    _gru("the old state hands nothing back", KEEP, "d_h[...] = 0", "d_h_prev", hint="d_h ∘ z is missing"),
    _gru(
        "the old state hands back 1 - z", KEEP, "multiply(d_h, 1 - z, d_h)", "d_h_prev", hint="1 - z in the place of z"
    ),
    _gru("nothing comes back through the matrix", G13, "pass", "d_h_prev"),
    _gru(
        "the candidate's recurrent weights see d_z_n",
        G16,
        "concatenate((d_w_rz[:, D + 1 :], over_time(d_z[:D_R], tape.h_prev[:T]))),",
        "weight_hh[n]",
        hint="with d_z_n in the place of d_q",
    ),
    _gru(
        "the candidate's second bias is taken for its first",
        G18,
        "concatenate((d_w_rz[:, D], d_w_n[:, D])),",
        "bias_hh[n]",
        hint="it equals bias_ih_l0 n",
    ),
    _gru(
        "a bias is not summed over time",
        G17,
        "d_z[:, -1].sum(axis=1)[[D_R, D_Z, D_N]].reshape(-1),",
        "bias_ih",
        hint="last",
    ),
    _gru("a fault at one time step only", G11, after(G11, "d_q *= 1 + (t == 2)"), "d_q", hint="2 times", steps=(2,)),
    _gru("a factor of 1 + 1e-9", G10, after(G10, "d_z_n *= 1 + 1e-9"), "d_z_n", hint="1.000000001 times"),
    _before(
        "the reset gate is left out",
        "multiply(r, h_prev, q)  # (G19)",
        "copyto(q, h_prev)",
        "q",
        hint="∘ r is missing",
    ),
    _before(
        "the recurrent matrix is transposed on the way to q",
        "tape.to_q.load(W_hh[n])",
        "tape.to_q.load(W_hh[n].T)",
        "d_q",
        hint="the recurrent matrix is transposed",
    ),
    _before(
        "the reset gate is left out of what is handed back",
        "multiply(d_q, r, d_q)\n                add",
        "add",
        "d_h_prev",
        hint="∘ r is missing",
    ),
    _before(
        "the candidate's recurrent weights see h_prev, not q",
        "over_time(d_z[:D_R], tape.blocks[1:, RESET])",
        "over_time(d_z[:D_R], tape.h_prev[:T])",
        "weight_hh[n]",
    ),
]
