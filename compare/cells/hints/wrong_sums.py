"""Common mistakes in the gradients of a recurrent layer's parameters, which are sums over steps and rows."""

from collections.abc import Callable, Iterator

import numpy as np

from compare.cells.hints.witness import Values
from compare.checker.derivations.problem import Arrays
from manual.activations import sigmoid_derivative as slope
from manual.activations import tanh_derivative as tanh_slope
from manual.arrays import Array


def wrong_sums(cell: str, v: Values) -> Iterator[tuple[str, Callable[[], Arrays]]]:
    """Yield the words for each mistake, and a function that computes the wrong gradients, in PyTorch's layout."""
    order = range(v.T)[::-1] if v.reverse else range(v.T)
    steps, rows = np.arange(v.T)[:, None, None], np.arange(v.h_prev.shape[1])[None, :, None]

    def sums(keep: Array | None = None, h_prev: Array | None = None, x: Array | None = None) -> Arrays:
        kept = np.ones((1, 1, 1)) if keep is None else keep
        d_ih = np.concatenate([v[f"d_z_{gate}"] for gate in v.witness.gates], axis=2) * kept
        h_prev = v.h_prev if h_prev is None else h_prev
        d_hh = np.concatenate([v.d_z_r, v.d_z_z, v.d_q], axis=2) * kept if cell in ("gru", "gru, renewing") else d_ih
        weight_hh = np.einsum("tbg,tbh->gh", d_hh, h_prev)
        if "reset before" in cell:
            weight_hh[-h_prev.shape[2] :] = np.einsum("tbg,tbh->gh", v.d_z_n * kept, v.q)
        names = {
            "weight_ih": np.einsum("tbg,tbd->gd", d_ih, v.x if x is None else x),
            "weight_hh": weight_hh,
            "bias_ih": d_ih.sum(axis=(0, 1)),
            "bias_hh": d_hh.sum(axis=(0, 1)),
        }
        return {name + v.suffix: array for name, array in names.items()}

    def times(derivative: Callable[[Array], Array]) -> Arrays:
        return {n: a * derivative(v.witness.parameters[n]) for n, a in sums().items()}

    yield "only the last step is in the sum", lambda: sums(steps == order[-1])
    yield "only the first step is in the sum", lambda: sums(steps == order[0])
    yield "the last step is missing from the sum", lambda: sums(steps != order[-1])
    yield "the first step is missing from the sum", lambda: sums(steps != order[0])
    for row in range(rows.size):
        yield f"only row {row} is in the sum", lambda row=row: sums(rows == row)
        yield f"row {row} is missing from the sum", lambda row=row: sums(rows != row)
    yield "h of this step instead of the previous step", lambda: sums(h_prev=v.h)
    yield "x of the previous step", lambda: sums(x=v.earlier(v.x))
    yield "an extra factor of σ'(W)", lambda: times(slope)
    yield "an extra factor of tanh'(W)", lambda: times(tanh_slope)
    if cell in ("gru", "gru, renewing"):
        yield (
            "d_z_n instead of d_q",
            lambda: {
                n.replace("_ih", "_hh"): np.einsum(
                    "tbg,tbh->gh", np.concatenate([v.d_z_r, v.d_z_z, v.d_z_n], axis=2), v.h_prev
                )
                if "weight" in n
                else a
                for n, a in sums().items()
                if "_ih" in n
            },
        )
