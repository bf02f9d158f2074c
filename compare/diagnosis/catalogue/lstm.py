"""Faults of the LSTM, forward and backward, and of what runs it over time and in both directions."""

from compare.diagnosis.catalogue.fault import Injected, after, faults_of

Z = ("z_i", "z_f", "z_g", "z_o")
BIAS = 'weights["bias_ih"] + weights["bias_hh"]'
L1 = "product(x_1_h, w, z_out)"
L6 = "add(new, kept, c)  # (L6) (B, H)"
L7 = "multiply(o, tanh_c, m)  # (L7)"
L8 = "add(d_h, d_output[t], d_h)  # (L8) (B, P)"
L9 = "add(d_c, m_by_c, d_c)  # (L9)"
BY_M = "multiply(d_m, m_by_c, m_by_c)"
L10 = "multiply(d_c, c_by_i, d_z_i)  # (L10)"
L11 = "multiply(d_c, c_by_f, d_z_f)  # (L11)"
L12 = "multiply(d_c, c_by_g, d_z_g)  # (L12)"
L13 = "multiply(d_m, m_by_o, d_z_o)  # (L13)"
L14 = "multiply(d_c, f, d_c)  # (L14)"
L15 = "to_h_prev(d_z, d_h)  # (L15)"
BACK = 'tape.to_h_prev.load(weights["weight_hh"])'
IN = 'tape.to_x.load(weights["weight_ih"])'
L17 = "d_w[:, :D].copy(),  # (L17) (4H, D)"
L18 = "d_w[:, D + 1 :].copy(),  # (L18) (4H, P)"
L19 = "d_w[:, D].copy(),  # (L19) (4H,)"
L20 = "d_w[:, D].copy(),  # (L20) (4H,)"
OUT_BY_C = "by_tanh(m_new, o_i, tanh_c_g, by_tanhs)"

#: What a kernel makes of the recurrent matrix if it takes each gate's block for its transpose.
TRANSPOSED = 'np.vstack([W.T for W in np.split(weights["weight_hh"], 4)])'

#: A factor for rows of weights that leaves out the first gate.
WITHOUT_I = "(np.arange(rows) >= H)[:, None]"

_lstm = faults_of("lstm", "lstm.py")

LSTM: list[Injected] = [
    # forward
    _lstm("the second bias is forgotten", BIAS, 'weights["bias_ih"]', *Z, hint="bias_hh is missing"),
    _lstm(
        "the first bias is added twice",
        BIAS,
        '2 * weights["bias_ih"] + weights["bias_hh"]',
        *Z,
        hint="bias_ih is there twice",
    ),
    _lstm(
        "the input gate has the forget gate's bias",
        BIAS,
        'weights["bias_ih"] + weights["bias_hh"][np.r_[H : 2 * H, H:rows]]',
        "z_i",
        hint="the bias_hh of gate f",
    ),
    _lstm(
        "the recurrent matrix is transposed",
        'bias[:, None], weights["weight_hh"]\n',
        f"bias[:, None], {TRANSPOSED}\n",
        *Z,
        hint="the recurrent matrix is transposed",
    ),
    _lstm(
        "the input is read one step late",
        L1,
        "product(np.hstack([tape.x_1_h[max(t - 1, 0), :, : D + 1], h_prev]), w, z_out)",
        *Z,
        hint="x of the step before",
    ),
    _lstm(
        "the initial cell state is ignored",
        "tape.blocks[0, C] = state[1]",
        "tape.blocks[0, C] = 0",
        "c_prev",
        hint="zero",
        steps=(0,),
    ),
    _lstm(
        "the candidate goes through σ",
        "tanh(z, z)  # (L4), and",
        "z_g = g.copy(); tanh(z, z); copyto(g, 1 / (1 + np.exp(-z_g)))  # and",
        "g",
        hint="σ in its place",
    ),
    _lstm("input and forget gate are swapped in c", L6, "add(f * g, i * c_prev, c)", "c", hint="swapped"),
    _lstm("the forget gate is left out of c", L6, "add(new, c_prev, c)", "c", hint="∘ f is missing"),
    _lstm("the input gate is left out of c", L6, "add(g, kept, c)", "c", hint="∘ i is missing"),
    _lstm("c forgets everything", L6, "copyto(c, new)", "c", hint="f ∘ c_prev is missing"),
    _lstm("tanh is left out of h", L7, "multiply(o, c, m)", "h", hint="tanh is left out"),
    _lstm("tanh is applied twice in h", L7, "multiply(o, tanh(tanh_c), m)", "h", hint="tanh is there twice"),
    _lstm("the output gate is left out of h", L7, "copyto(m, tanh_c)", "h", hint="∘ o is missing"),
    # the sums over uses
    _lstm("the output's gradient is left out", L8, "add(d_h, 0, d_h)", "d_h", hint="d_output is missing"),
    _lstm("= for += in d_h", L8, "copyto(d_h, d_output[t])", "d_h", hint="what the step after hands back is missing"),
    _lstm("= for += in d_c", L9, "copyto(d_c, m_by_c)", "d_c", hint="what the step after hands back is missing"),
    _lstm(
        "the gradient of c_n is ignored",
        "for t, m_new_kept,",
        "d_c[...] = 0\n        for t, m_new_kept,",
        "d_c",
        hint="what the step after hands back is missing",
        steps=(5,),
    ),
    _lstm(
        "tanh' is left out on the way to c",
        OUT_BY_C,
        after(OUT_BY_C, "copyto(m_by_c, o_i[0])"),
        "d_c",
        hint="tanh' is left out",
    ),
    _lstm(
        "tanh' is taken at the cell state",
        BY_M,
        "multiply(d_m, tape.blocks[t + 1, O] * (1 - tape.blocks[t + 1, C] ** 2), m_by_c)",
        "d_c",
        hint="tanh' is taken at c, not at tanh(c)",
    ),
    _lstm(
        "the output gate is left out on the way to c",
        OUT_BY_C,
        after(OUT_BY_C, "copyto(m_by_c, 1 - tanh_c_g[0] ** 2)"),
        "d_c",
        hint="∘ o is missing",
    ),
    # the adjoints of the pre-activations
    _lstm(
        "σ' is left out of the input gate", L10, "multiply(d_c, tape.blocks[t + 1, G], d_z_i)", "d_z_i", hint="left out"
    ),
    _lstm(
        "σ' is left out of the forget gate",
        L11,
        "multiply(d_c, tape.blocks[t, C], d_z_f)",
        "d_z_f",
        hint="left out",
    ),
    _lstm(
        "tanh' is left out of the candidate",
        L12,
        "multiply(d_c, tape.blocks[t + 1, I], d_z_g)",
        "d_z_g",
        hint="left out",
    ),
    _lstm(
        "σ' is left out of the output gate",
        L13,
        "multiply(d_m, tape.blocks[t + 1, TANH_C], d_z_o)",
        "d_z_o",
        hint="left out",
    ),
    _lstm(
        "the forget gate's adjoint is the input gate's", L11, "copyto(d_z_f, d_z_i)", "d_z_f", hint="it equals d_z_i"
    ),
    _lstm(
        "the forget gate sees c, not c_prev",
        L11,
        "multiply(d_c, tape.blocks[t + 1, C] * f * (1 - f), d_z_f)",
        "d_z_f",
        hint="c of this step",
    ),
    _lstm(
        "the candidate has σ' for tanh'",
        L12,
        "multiply(d_c, tape.blocks[t + 1, I] * tape.blocks[t + 1, G] * (1 - tape.blocks[t + 1, G]), d_z_g)",
        "d_z_g",
        hint="σ' in the place of tanh'",
    ),
    _lstm("the output gate's adjoint has the wrong sign", L13, "multiply(d_m, -m_by_o, d_z_o)", "d_z_o", hint="sign"),
    _lstm(
        "the output gate sees d_c",
        L10,
        after(L10, "copyto(d_z_o, d_z_o / d_m * d_c)"),
        "d_z_o",
        hint="d_c in the place",
    ),
    _lstm(
        "a fault at one time step only", L12, after(L12, "d_z_g *= 1 + (t == 3)"), "d_z_g", hint="2 times", steps=(3,)
    ),
    _lstm("a fault in one row only", L11, after(L11, "d_z_f[1] *= 1.5"), "d_z_f", hint="1.5 times", rows=(1,)),
    _lstm("a factor of 1 + 1e-9", L10, after(L10, "d_z_i *= 1 + 1e-9"), "d_z_i", hint="1.000000001 times"),
    # what is handed back
    _lstm("the cell carry is dropped", L14, "d_c[...] = 0", "d_c_prev", hint="zero"),
    _lstm("the forget gate is left out of the carry", L14, "pass", "d_c_prev", hint="∘ f is missing"),
    _lstm(
        "the carry goes through the input gate",
        L14,
        "d_c *= tape.blocks[t + 1, I]",
        "d_c_prev",
        hint="i in the place of f",
    ),
    _lstm(
        "the carry has the forget gate of the step before",
        L14,
        "d_c *= tape.blocks[max(t, 1), F]",
        "d_c_prev",
        hint="f of the step before",
        steps=(1, 2, 3, 4, 5),
    ),
    _lstm("the hidden carry is dropped", L15, "d_h[...] = 0", "d_h_prev", hint="zero"),
    _lstm(
        "the recurrent matrix is transposed on the way back",
        BACK,
        f"tape.to_h_prev.load({TRANSPOSED})",
        "d_h_prev",
        hint="the recurrent matrix is transposed",
    ),
    _lstm(
        "one gate is missing in the hidden carry",
        BACK,
        BACK.replace("])", f"] * {WITHOUT_I})"),
        "d_h_prev",
        hint="gate i's share is missing",
    ),
    _lstm("one gate is missing in d_x", IN, IN.replace("])", f"] * {WITHOUT_I})"), "d_x"),
    # the sums over steps and rows
    _lstm(
        "input weights from the last step only",
        L17,
        "over_time(tape.d_z[:, -1:], tape.x_1_h[T - 1 : T])[:, :D],",
        "weight_ih",
        hint="only the last step",
    ),
    _lstm(
        "recurrent weights with h of this step",
        L18,
        "over_time(tape.d_z, tape.h_prev[1:]),",
        "weight_hh",
        hint="with h of this step",
    ),
    _lstm(
        "recurrent weights times the weight's own σ'",
        L18,
        "d_w[:, D + 1 :] * (W := to_h_prev.weights.reshape(4 * H, P)) * (1 - W),",
        "weight_hh",
        hint="times σ' of the weight",
    ),
    _lstm(
        "the recurrent gradient is transposed",
        L18,
        "np.vstack([W.T for W in np.split(d_w[:, D + 1 :], 4)]),",
        "weight_hh",
        hint="transposed",
    ),
    _lstm(
        "a bias is not summed over time",
        L19,
        "tape.d_z[:, -1].sum(axis=1).reshape(-1),",
        "bias_ih",
        hint="only the last step",
    ),
    _lstm(
        "a bias is summed over one row only",
        L19,
        "tape.d_z[:, :, 0].sum(axis=1).reshape(-1),",
        "bias_ih",
        hint="only row 0",
    ),
    _lstm("a bias is averaged", L20, "d_w[:, D] / (T * B),", "bias_hh", hint="0.0555555555556 times"),
    _lstm(
        "two biases take the forget gate's gradient",
        L20,
        "d_w[:, D][np.r_[H : 2 * H, H : 3 * H, H : 2 * H]],",
        "bias_hh[i o]",
        hint="it equals",
    ),
    # over time and in both directions
    _lstm(
        "the reverse direction reads the input forwards",
        "source[::-1] if self.reverse else source,",
        "source,",
        *(f"{name}_l0_reverse" for name in (*Z, "weight_ih")),
        file="sweep.py",
        hint="the steps of x are in reverse order",
        options={"bidirectional": True},
    ),
    _lstm(
        "a row goes on past its end",
        "int((steps >= stop).sum())",
        "len(steps)",
        *("h_prev", "c_prev", *Z, "i", "f", "o", "d_h", "d_c", "h_n", "c_n"),
        file="sweep.py",
        hint="only in the padding",
        lengths=(3, 6, 2, 4),
    ),
]
