"""Faults of the fast kernels, at least a dozen for each cell: mistakes typical of large operations on shared memory."""

from catalogue.fault import fast_faults

LOAD = "memory.load(x, state, weights"
CARRY = "copyto(s.next_h_prev, s.h)"
D_H = "add(d_h, d_output[t], d_h)"
SUMS = "memory.gradients()"
LAST_BIAS = "memory.d_z[:, -1].sum(axis=1).reshape(-1)"
WITH_THIS_H = 'np.einsum("gtbh,tbk->ghk", memory.d_z, memory.h_prev[1:]).reshape(-1, d_h.shape[1])'

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _load(**changed: str) -> str:
    """Return the call that loads the arguments, with some of them changed."""
    arguments = {"x": "x", "state": "state", "weights": "weights"} | changed
    return f"memory.load({', '.join(arguments.values())}"


def _scaled(name: str, factor: int) -> str:
    return f'{{**weights, "{name}": {factor} * weights["{name}"]}}'


def _sums(name: str, instead: str) -> str:
    """Return what computes the gradients of the weights, with something else in the place of one."""
    return f'{SUMS} | {{"{name}": {instead}}}'


_lstm, _gru, _rnn = (fast_faults(cell, f"fast/{cell}.py") for cell in ("lstm", "gru", "rnn"))

LSTM_BACKWARD = ("d_x", "d_h_0", "d_c_0", *WEIGHTS)
LSTM_ALL = ("output", "h_n", "c_n", *LSTM_BACKWARD)
BY_TANHS = "product_by_tanh(s.m_ig, s.o_i, s.tanh_c_g, memory.derivatives[3:])"

LSTM = [
    _lstm("a bias is left out", LOAD, _load(weights=_scaled("bias_hh", 0)), *LSTM_ALL),
    _lstm("a bias is added twice", LOAD, _load(weights=_scaled("bias_ih", 2)), *LSTM_ALL),
    _lstm(
        "the initial hidden state is ignored", LOAD, _load(state="(0 * state[0], state[1])"), *LSTM_ALL, trains=False
    ),
    _lstm("a sigmoid has a 2 for its 1", "add(s.o_i_f, one, s.o_i_f)", "add(s.o_i_f, 2, s.o_i_f)", *LSTM_ALL),
    _lstm("tanh is applied twice", "tanh(s.c, s.tanh_c)", "tanh(tanh(s.c), s.tanh_c)", *LSTM_ALL),
    _lstm("the hidden state is not carried", CARRY, "copyto(s.next_h_prev, 0)", *LSTM_ALL),
    _lstm(
        "σ' is left out of all gates",
        "product_by_sigmoid(s.m_ig_fc, s.o_i_f, memory.derivatives[:3])",
        "copyto(memory.derivatives[:3], s.m_ig_fc)",
        *LSTM_BACKWARD,
    ),
    _lstm(
        "tanh' is taken at the cell state", BY_TANHS, f"{BY_TANHS}; copyto(m_by_c, s.o * (1 - s.c**2))", *LSTM_BACKWARD
    ),
    _lstm("two derivatives are swapped", "derivatives[1:3]", "derivatives[2:0:-1]", *LSTM_BACKWARD),
    _lstm("= for += in d_h", D_H, "copyto(d_h, d_output[t])", *LSTM_BACKWARD),
    _lstm("= for += in d_c", "add(d_c, m_by_c, d_c)", "copyto(d_c, m_by_c)", *LSTM_BACKWARD),
    _lstm("the forget gate is left out of the carry", "multiply(d_c, s.f, d_c)", "pass", *LSTM_BACKWARD),
    _lstm(
        "the recurrent matrix is transposed in the backward pass",
        "memory.to_h_prev(s.d_z, d_h)",
        "d_h[...] = sum(d @ W.T for d, W in zip(memory.d_z[:, t], np.split(memory.to_h_prev.plain, 4)))",
        *LSTM_BACKWARD,
    ),
    _lstm(
        "input weights from the last step only",
        SUMS,
        _sums("weight_ih", 'np.einsum("gbh,bk->ghk", memory.d_z[:, -1], memory.x[-1]).reshape(4 * H, -1)'),
        "weight_ih",
    ),
    _lstm("recurrent weights with h of this step", SUMS, _sums("weight_hh", WITH_THIS_H), "weight_hh"),
    _lstm("a bias is not summed over time", SUMS, _sums("bias_ih", LAST_BIAS), "bias_ih"),
    _lstm(
        "each gate's bias takes another's gradient",
        SUMS,
        _sums("bias_hh", 'np.roll(memory.gradients()["bias_hh"], H)'),
        "bias_hh",
    ),
    _lstm(
        "the gradient of c_n is ignored",
        "for t in reversed",
        "d_c *= 0\n        for t in reversed",
        *LSTM_BACKWARD,
        trains=False,
    ),
    _lstm("the gradient of x is doubled", "memory.d_x(), (d_h", "2 * memory.d_x(), (d_h", "d_x", trains=False),
    _lstm(
        "the gradient of c_0 is not returned",
        "(d_h, d_c), gradients",
        "(d_h, 0 * d_c), gradients",
        "d_c_0",
        trains=False,
    ),
]

BACKWARD = ("d_x", "d_h_0", *WEIGHTS)
ALL = ("output", "h_n", *BACKWARD)

GRU = [
    _gru("a bias is left out", LOAD, _load(weights=_scaled("bias_hh", 0)), *ALL),
    _gru("a sigmoid has a 2 for its 1", "add(s.r_z, one, s.r_z)", "add(s.r_z, 2, s.r_z)", *ALL),
    _gru("the reset gate is left out", "multiply(s.r, s.q, s.reset)", "copyto(s.reset, s.q)", *ALL),
    _gru("z and 1 - z are swapped", "add(s.n, s.update, s.h)", "subtract(s.h_prev, s.update, s.h)", *ALL),
    _gru("the hidden state is not carried", CARRY, "copyto(s.next_h_prev, 0)", *ALL),
    _gru(
        "σ' is left out of both gates",
        "product_by_sigmoid(s.reset_update, s.r_z, memory.derivatives[:2])",
        "copyto(memory.derivatives[:2], s.reset_update)",
        *BACKWARD,
    ),
    _gru("tanh' is left out", "product_by_tanh(h_by_n, s.d_q, s.n, h_by_n)", "copyto(h_by_n, s.d_q)", *BACKWARD),
    _gru("= for += in d_h", D_H, "copyto(d_h, d_output[t])", *BACKWARD),
    _gru("the reset gate is left out of d_q", "multiply(s.d_z_n, s.r, s.d_q)", "copyto(s.d_q, s.d_z_n)", *BACKWARD),
    _gru("the direct path to h_prev is dropped", "multiply(d_h, s.z, d_h)", "copyto(d_h, 0)", *BACKWARD),
    _gru(
        "the candidate's recurrent weights see d_z_n",
        "d_W_q[:, -1], d_W_q[:, :-1]",
        "d_W_q[:, -1], sum_of_outer_products(d_z[:D_R], memory.h_prev[:T])",
        "weight_hh",
    ),
    _gru("the candidate's second bias takes the first one's gradient", "d_W_q[:, -1], ", "d_W_n[:, D], ", "bias_hh"),
    _gru(
        "the reset gate acts on nothing",
        "multiply(s.r, s.h_prev, s.q)",
        "copyto(s.q, s.h_prev)",
        *ALL,
        reset_after=False,
    ),
    _gru("the reset gate is left out of d_h_prev", "add(d_h, by_r, d_h)", "pass", *BACKWARD, reset_after=False),
]

RNN = [
    _rnn("a bias is left out", LOAD, _load(weights=_scaled("bias_hh", 0)), *ALL),
    _rnn("a bias is added twice", LOAD, _load(weights=_scaled("bias_ih", 2)), *ALL),
    _rnn("the activation is applied twice", "activation(s.h, s.h)", "activation(activation(s.h), s.h)", *ALL),
    _rnn("the hidden state is not carried", CARRY, "copyto(s.next_h_prev, 0)", *ALL),
    _rnn("tanh' is left out", "self.derivative(memory.h, memory.d_z[0])", "memory.d_z[0] = 1", *BACKWARD),
    _rnn("tanh' is taken at h_prev", "self.derivative(memory.h,", "self.derivative(memory.h_prev[:-1],", *BACKWARD),
    _rnn("= for += in d_h", D_H, "copyto(d_h, d_output[t])", *BACKWARD),
    _rnn("the carry is dropped", "to_h_prev(s.d_z, d_h)", "copyto(d_h, 0)", *BACKWARD),
    _rnn("the carry skips tanh'", "to_h_prev(s.d_z, d_h)", "to_h_prev(d_h.copy(), d_h)", *BACKWARD),
    _rnn(
        "the recurrent matrix is transposed in the backward pass",
        "to_h_prev(s.d_z, d_h)",
        "copyto(d_h, s.d_z @ to_h_prev.plain.T)",
        *BACKWARD,
    ),
    _rnn("recurrent weights with h of this step", SUMS, _sums("weight_hh", WITH_THIS_H), "weight_hh"),
    _rnn("a bias is not summed over time", SUMS, _sums("bias_hh", LAST_BIAS), "bias_hh"),
    _rnn("the gradient of x is doubled", "memory.d_x(), (d_h", "2 * memory.d_x(), (d_h", "d_x", trains=False),
]
