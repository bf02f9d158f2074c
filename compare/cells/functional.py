"""The layers as functions of their weights, in any array module ``xp``, for tools that differentiate functions.

Nothing here is shared with ``manual``, whose results in long double these equations confirm.
"""

from typing import Any

#: The cells whose equations are here.
KNOWN = ("lstm", "gru", "rnn")


def input_products(xp: Any, cell: str, weights: dict[str, Any], x: Any) -> Any:
    """Return W_ih x plus all biases that can be added to it, for all time steps at once: (T, B, G H)."""
    bias = weights["bias_ih"] if cell == "GRU" else weights["bias_ih"] + weights["bias_hh"]
    return xp.dot(x, weights["weight_ih"].T) + bias


def step(xp: Any, cell: str, weights: dict[str, Any], from_x: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    """Take one time step, given its part (B, G H) of the input products, and return the new state."""
    h = state[0]
    H = h.shape[1]

    def sigmoid(z: Any) -> Any:
        return 0.5 + 0.5 * xp.tanh(0.5 * z)

    from_h = xp.dot(h, weights["weight_hh"].T)
    if cell == "LSTM":
        z = from_x + from_h
        i, f, g, o = (z[:, k * H : (k + 1) * H] for k in range(4))
        c = sigmoid(f) * state[1] + sigmoid(i) * xp.tanh(g)
        return sigmoid(o) * xp.tanh(c), c
    if cell == "GRU":
        from_h = from_h + weights["bias_hh"]
        r_z = sigmoid(from_x[:, : 2 * H] + from_h[:, : 2 * H])
        n = xp.tanh(from_x[:, 2 * H :] + r_z[:, :H] * from_h[:, 2 * H :])
        return (n + r_z[:, H:] * (h - n),)
    if cell == "RNN":
        return (xp.tanh(from_x + from_h),)
    raise ValueError(f"cell: expected LSTM, GRU or RNN, got {cell}")


def bce(xp: Any, z: Any, y: Any) -> Any:
    """Return the binary cross-entropy of logits z and targets y."""
    return xp.mean(xp.maximum(z, 0) - y * z + xp.log1p(xp.exp(-xp.abs(z))))
