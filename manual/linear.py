"""The linear readout: forward, and directly below it backward. Equation numbers are those of DERIVATION.md."""

from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from manual.arrays import Array, check_array


class LinearTape(NamedTuple):
    """What backward needs of a forward pass: h (T, B, H) and the weight (O, H)."""

    h: Array
    weight: Array


class Linear:
    """y = W h + b over the last axis, with the parameters and initial distribution of ``torch.nn.Linear``.

    Args:
        in_features: size H of the last axis of h.
        out_features: size O of the last axis of y.
        bias: whether there is a bias.
        dtype: of parameters, arguments and results.
        rng: draws the initial parameters; a generator with fresh entropy if left out.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float64,
        rng: np.random.Generator | None = None,
    ):
        rng = rng or np.random.default_rng()
        bound = 1 / np.sqrt(in_features)
        self.dtype = np.dtype(dtype)
        self.parameters: dict[str, Array] = {
            "weight": rng.uniform(-bound, bound, (out_features, in_features)).astype(dtype),
        }
        if bias:
            self.parameters["bias"] = rng.uniform(-bound, bound, out_features).astype(dtype)

    def forward(self, h: Array) -> tuple[Array, LinearTape]:
        """Return y (T, B, O) from h (T, B, H), and the tape.

        Raises:
            TypeError, ValueError: h is not an array of that shape and of the parameters' dtype.
        """
        weight = self.parameters["weight"]
        check_array("h", h, "T, B, H", (-1, -1, weight.shape[1]), self.dtype)
        return h @ weight.T + self.parameters.get("bias", 0), LinearTape(h.copy(), weight.copy())  # (Y1)

    def backward(self, tape: LinearTape, d_y: Array) -> tuple[Array, dict[str, Array]]:
        """Return d_h (T, B, H) from d_y (T, B, O), and the gradients of weight (O, H) and bias (O,), if any.

        Raises:
            TypeError, ValueError: the tape is not that of a layer of this shape and dtype, or d_y not an array of that
                shape and of the parameters' dtype.
        """
        if not isinstance(tape, LinearTape):
            raise TypeError(f"tape: expected the tape of a forward pass, got {type(tape).__name__}")
        h, weight = tape
        O, H = self.parameters["weight"].shape
        check_array("tape.weight", weight, "O, H", (O, H), self.dtype)
        check_array("d_y", d_y, "T, B, O", (*h.shape[:-1], O), self.dtype)
        rows = d_y.reshape(-1, O)
        gradients = {
            "weight": rows.T @ h.reshape(-1, H),  # (Y3)
            "bias": rows.sum(axis=0),  # (Y4)
        }
        return d_y @ weight, {name: gradients[name] for name in self.parameters}  # d_h is (Y2)
