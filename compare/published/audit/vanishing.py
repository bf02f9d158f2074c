"""How far back a gradient is carried: the norm of the carry in RNNs and LSTMs, and its bounds, (V1) to (V4).

Norms are logarithms to the base 10, relative to the incoming gradient: what vanishes underflows.
"""

from collections.abc import Callable, Iterable

import numpy as np

import manual
from manual.activations import tanh_derivative
from manual.arrays import Array
from manual.recurrent import Recurrent

#: Sizes of the measurement. The gradient comes in at the last step.
STEPS, D, H = 1024, 2, 32

#: At how many steps back a norm is reported.
BACK = (0, 8, 16, *range(32, STEPS + 1, 32))

#: The length of the incoming gradient, which keeps its carry above the smallest float.
SCALE = 1e150


def through_rnn(d_h: Array, slopes: Array, W_hh: Array) -> Array:
    """Return d_h (H,) of the last step carried back to the state before the first.

    Args:
        d_h: the incoming gradient.
        slopes: φ'(z) of each step, (n, H).
        W_hh: the recurrent weights, (H, H).
    """
    for slope in reversed(slopes):
        d_h = W_hh.T @ (slope * d_h)  # (V1)
    return d_h


def rnn_bounds(slopes: Array, W_hh: Array) -> Array:
    """Return upper bounds of the relative norm of (V1) after 0 to n steps back, log10, (n + 1,)."""
    each = np.log10(slopes.max(axis=1)) + np.log10(np.linalg.norm(W_hh, 2))
    return np.concatenate([[0.0], np.cumsum(each[::-1])])  # (V2)


def rnn_power(slopes: Array, W_hh: Array) -> float:
    """Return log10(β_φ β_W): by at most this much a norm grows, or by at least this much it falls, with each step."""
    return float(np.log10(slopes.max() * np.linalg.norm(W_hh, 2)))  # (V3)


def through_cells(d_c: Array, f: Array) -> Array:
    """Return d_c (H,) of the last step carried back through the cells alone, 0 to n steps; f is (n, H)."""
    return d_c * np.concatenate([np.ones_like(f[:1]), np.cumprod(f[::-1], axis=0)])  # (V4) (n + 1, H)


def measure(layer: Recurrent, rng: np.random.Generator) -> tuple[Array, Array]:
    """Carry a random gradient of the last state back over random inputs.

    Returns:
        The norm of the carry after 0 to STEPS steps back, log10, (STEPS + 1,); and, for an RNN, the bound (V2) on it
        or, for an LSTM, the norm of the part that goes through the cells alone, (V4).
    """
    x = rng.normal(size=(STEPS, 1, D))
    d_state = {name: rng.normal(size=(1, 1, H)) for name in layer.state_sizes}
    length = np.linalg.norm(list(d_state.values())) / SCALE
    d_state = {name: d / length for name, d in d_state.items()}
    seen: dict[tuple[str, int], Array] = {}

    def record(name: str, t: int, value: Array) -> Array:
        seen[name.removesuffix("_l0"), t] = value.copy()
        return value

    output, _, tape = layer.forward(x, probe=record)
    is_lstm = "c" in d_state
    layer.backward(tape, np.zeros_like(output), tuple(d_state.values()) if is_lstm else d_state["h"], record)

    def at_every_step(name: str) -> Array:
        return np.concatenate([seen[name, t] for t in range(STEPS)])  # (STEPS, H)

    back = np.concatenate([at_every_step(f"d_{name}_prev") for name in d_state], axis=1)[::-1]
    norms = np.concatenate([[0.0], _log_norms(back)])
    if is_lstm:
        cells = through_cells(d_state["c"][0, 0], at_every_step("f"))
        return norms, _log_norms(cells)
    return norms, rnn_bounds(tanh_derivative(at_every_step("h")), layer.parameters["weight_hh_l0"])


def _log_norms(vectors: Array) -> Array:
    """Return log10 of the norms of vectors (n, …), relative to ``SCALE``; their squares may be below any float."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    return np.log10(largest[:, 0]) - np.log10(SCALE) + np.log10(np.linalg.norm(vectors / largest, axis=1))


def _orthogonal(parameters: dict[str, Array], rng: np.random.Generator) -> None:
    parameters["weight_hh_l0"][...] = np.linalg.qr(rng.normal(size=(H, H)))[0]


def _forget_bias_1(parameters: dict[str, Array], rng: np.random.Generator) -> None:
    parameters["bias_ih_l0"][H : 2 * H] = 1


def _long_memory(parameters: dict[str, Array], rng: np.random.Generator) -> None:
    """Draw forget gates that keep the cell for 1 to 1,023 steps.

    The start is that of Tallec and Ollivier, "Can recurrent neural networks warp time?".
    """
    forget_bias = np.log(rng.uniform(1, STEPS - 1, H))
    parameters["bias_ih_l0"][: 2 * H] = np.concatenate([-forget_bias, forget_bias])


#: What is measured: the kind of layer, and a change to PyTorch's start, if any.
LAYERS: dict[str, tuple[Callable[..., Recurrent], Callable[[dict[str, Array], np.random.Generator], None] | None]] = {
    "RNN": (manual.RNN, None),
    "RNN, orthogonal W_hh": (manual.RNN, _orthogonal),
    "LSTM": (manual.LSTM, None),
    "LSTM, forget bias 1": (manual.LSTM, _forget_bias_1),
    "LSTM, forget bias ln U(1, 1023)": (manual.LSTM, _long_memory),
}


def carries(seeds: Iterable[int]) -> dict[str, dict[str, Array]]:
    """Return ``norm`` and ``bound`` of ``measure`` at ``BACK`` for every layer, (len(BACK), seeds) each."""
    found = {}
    for name, (kind, change) in LAYERS.items():
        pairs = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            layer = kind(D, H, rng=rng)
            if change:
                change(layer.parameters, rng)
            pairs.append(measure(layer, rng))
        norms, bounds = (np.stack(arrays, axis=1)[list(BACK)] for arrays in zip(*pairs))
        found[name] = {"norm": norms, "bound": bounds}
    return found
