"""Faults of the fast kernels, one for each set of results that a mistake in them can spoil.

How a result came to differ from that of the equations is nothing to what compares them.
"""

from catalogue.fault import fast_faults

LOAD = "memory.load(x, state, weights"
SUMS = "memory.gradients()"
LAST_BIAS = "memory.d_z[:, -1].sum(axis=1).reshape(-1)"
WITH_THIS_H = 'np.einsum("gtbh,tbk->ghk", memory.d_z, memory.h_prev[1:]).reshape(-1, d_h.shape[1])'

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _load(**changed: str) -> str:
    """Return the call that loads the arguments, with some of them changed."""
    arguments = {"x": "x", "state": "state", "weights": "weights"} | changed
    return f"memory.load({', '.join(arguments.values())}"


def _sums(name: str, instead: str) -> str:
    """Return what computes the gradients of the weights, with something else in the place of one."""
    return f'{SUMS} | {{"{name}": {instead}}}'


_lstm, _gru, _rnn = (fast_faults(cell, f"fast/{cell}.py") for cell in ("lstm", "gru", "rnn"))

LSTM_BACKWARD = ("d_x", "d_h_0", "d_c_0", *WEIGHTS)
LSTM_ALL = ("output", "h_n", "c_n", *LSTM_BACKWARD)

LSTM = [
    _lstm("tanh is applied twice", "tanh(s.c, s.tanh_c)", "tanh(tanh(s.c), s.tanh_c)", *LSTM_ALL),
    _lstm(
        "the initial hidden state is ignored", LOAD, _load(state="(0 * state[0], state[1])"), *LSTM_ALL, trains=False
    ),
    _lstm("= for += in d_c", "add(d_c, m_by_c, d_c)", "copyto(d_c, m_by_c)", *LSTM_BACKWARD),
    _lstm(
        "the gradient of c_n is ignored",
        "for t in reversed",
        "d_c *= 0\n        for t in reversed",
        *LSTM_BACKWARD,
        trains=False,
    ),
    _lstm(
        "input weights from the last step only",
        SUMS,
        _sums("weight_ih", 'np.einsum("gbh,bk->ghk", memory.d_z[:, -1], memory.x[-1]).reshape(4 * H, -1)'),
        "weight_ih",
    ),
    _lstm("recurrent weights with h of this step", SUMS, _sums("weight_hh", WITH_THIS_H), "weight_hh"),
    _lstm("a bias is not summed over time", SUMS, _sums("bias_ih", LAST_BIAS), "bias_ih"),
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
    _gru("z and 1 - z are swapped", "add(s.n, s.update, s.h)", "subtract(s.h_prev, s.update, s.h)", *ALL),
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
    _rnn("a bias is added twice", LOAD, _load(weights='{**weights, "bias_ih": 2 * weights["bias_ih"]}'), *ALL),
    _rnn("tanh' is left out", "self.derivative(memory.h, memory.d_z[0])", "memory.d_z[0] = 1", *BACKWARD),
    _rnn("recurrent weights with h of this step", SUMS, _sums("weight_hh", WITH_THIS_H), "weight_hh"),
    _rnn("a bias is not summed over time", SUMS, _sums("bias_hh", LAST_BIAS), "bias_hh"),
    _rnn("the gradient of x is doubled", "memory.d_x(), (d_h", "2 * memory.d_x(), (d_h", "d_x", trains=False),
]
