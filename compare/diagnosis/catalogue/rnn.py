"""Faults of the Elman RNN."""

from compare.diagnosis.catalogue.fault import Injected, after, faults_of

BIAS = 'weights["bias_ih"] + weights["bias_hh"]'
R2 = "activation(h, h)  # (R2)"
R3 = "add(d_h, d_output[t], d_h)  # (R3) (B, H)"
R4 = "multiply(d_h, d_z, d_z)  # (R4)"
R5 = "to_h_prev(d_z, d_h)  # (R5)"

_rnn = faults_of("rnn", "rnn.py")

RNN: list[Injected] = [
    _rnn("the second bias is forgotten", BIAS, 'weights["bias_ih"]', "z_h", hint="bias_hh is missing"),
    _rnn("tanh is applied twice", R2, "activation(h, h); activation(h, h)", "h", hint="the activation is there twice"),
    _rnn("tanh is left out", R2, "pass", "h", hint="the activation is left out"),
    _rnn("the output's gradient is left out", R3, "add(d_h, 0, d_h)", "d_h", hint="d_output is missing"),
    _rnn("= for += in d_h", R3, "copyto(d_h, d_output[t])", "d_h", hint="what the step after hands back is missing"),
    _rnn("tanh' is left out", R4, "copyto(d_z, d_h)", "d_z_h", hint="tanh' is left out"),
    _rnn("tanh' is there twice", R4, "multiply(d_h, d_z * d_z, d_z)", "d_z_h", hint="tanh' is there twice"),
    _rnn(
        "σ' in the place of tanh'",
        R4,
        "multiply(d_h, tape.h[t] * (1 - tape.h[t]), d_z)",
        "d_z_h",
        hint="σ' in the place of tanh'",
    ),
    _rnn("the sign is wrong", R4, "multiply(d_h, -d_z, d_z)", "d_z_h", hint="sign"),
    _rnn("the carry is dropped", R5, "d_h[...] = 0", "d_h_prev", hint="zero"),
    _rnn("the carry skips tanh'", R5, "to_h_prev(d_h.copy(), d_h)", "d_h_prev", hint="d_h in the place of d_z_h"),
    _rnn(
        "the recurrent matrix is transposed on the way back",
        'tape.to_h_prev.load(weights["weight_hh"])',
        'tape.to_h_prev.load(weights["weight_hh"].T)',
        "d_h_prev",
        hint="transposed",
    ),
    _rnn("a fault at one time step only", R4, after(R4, "d_z *= 1 + (t == 4)"), "d_z_h", hint="2 times", steps=(4,)),
    _rnn("a fault in one row only", R4, after(R4, "d_z[2] *= 3"), "d_z_h", hint="3 times", rows=(2,)),
    _rnn("a factor of 1 + 1e-9", R4, after(R4, "d_z *= 1 + 1e-9"), "d_z_h", hint="1.000000001 times"),
]
