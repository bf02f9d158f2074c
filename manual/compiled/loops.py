"""How loops are compiled, and the loops that all cells share.

The weights of all gates lie side by side in one matrix W (K, N), with K = D + 1 + P and N = G H for G gates: a row for
each element of x, one for the bias and one for each element of h_prev. So the innermost loops run over units, which are
neighbours in memory.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit
from numpy import ascontiguousarray, empty
from numpy.typing import DTypeLike

from manual.arrays import Array, Backward, Forward, Parts, Weights

Function = TypeVar("Function", bound=Callable[..., Any])


def _compiler(*fastmath: str) -> Callable[[Function], Function]:
    """Return a decorator that compiles a function when it is first called; ``fastmath`` are the liberties it takes."""
    decorator = njit(cache=True, nogil=True, error_model="numpy", fastmath=set(fastmath))
    return cast(Callable[[Function], Function], decorator)


#: Compile a function. A product may enter a sum unrounded; NaN, infinity and signed zero keep their meaning.
compiled = _compiler("contract")

#: Compile a function whose sums may be taken in any order, as a BLAS takes them.
compiled_sum = _compiler("contract", "reassoc")


@compiled
def add_transposed(W: Array, v: Array, out: Array) -> None:
    """Add Wᵀ v to ``out`` (N,), from v (K,) and the first N columns of W (K, …)."""
    for k in range(len(v)):
        for n in range(len(out)):
            out[n] += v[k] * W[k, n]


@compiled_sum
def multiply(W: Array, v: Array, out: Array) -> None:
    """Write W v to ``out`` (K,), from v (N,) and the first N columns of W (K, …)."""
    for k in range(len(out)):
        total = W[k, 0] * v[0]
        for n in range(1, len(v)):
            total += W[k, n] * v[n]
        out[k] = total


@compiled
def add_outer(v: Array, w: Array, out: Array) -> None:
    """Add v wᵀ to the first N columns of ``out`` (K, …), from v (K,) and w (N,)."""
    for k in range(len(v)):
        for n in range(len(w)):
            out[k, n] += v[k] * w[n]


@compiled
def load(x: Array, h_0: Array, W_ih: Array, W_hh: Array, b_ih: Array, b_hh: Array, x_1_h: Array, W: Array) -> None:
    """Copy x (T, B, D), 1 and h_0 (B, P) to ``x_1_h`` (T + 1, B, K), and the weights and biases to ``W`` (K, N)."""
    (T, B, D), (N, P) = x.shape, W_hh.shape
    for b in range(B):
        for t in range(T):
            for k in range(D):
                x_1_h[t, b, k] = x[t, b, k]
            x_1_h[t, b, D] = 1
        for k in range(P):
            x_1_h[0, b, D + 1 + k] = h_0[b, k]
    for k in range(D):
        for n in range(N):
            W[k, n] = W_ih[n, k]
    for n in range(N):
        W[D, n] = b_ih[n] + b_hh[n]
    for k in range(P):
        for n in range(N):
            W[D + 1 + k, n] = W_hh[n, k]


@compiled
def copy(state: Array, out: Array) -> None:
    """Copy a state (B, H) to ``out``."""
    for b in range(len(out)):
        for u in range(out.shape[1]):
            out[b, u] = state[b, u]


@compiled
def copy_h(x_1_h: Array, output: Array, h_n: Array) -> None:
    """Copy h of each step from ``x_1_h`` (T + 1, B, K) to ``output`` (T, B, P), and the last one to ``h_n`` (B, P)."""
    T, B, P = output.shape
    first = x_1_h.shape[2] - P
    for b in range(B):
        for p in range(P):
            for t in range(T):
                output[t, b, p] = x_1_h[t + 1, b, first + p]
            h_n[b, p] = output[T - 1, b, p]


@compiled
def unload(d_W: Array, d_W_ih: Array, d_W_hh: Array, d_b_ih: Array, d_b_hh: Array) -> None:
    """Copy the gradient of W (K, N) to those of the weights and biases that W consists of."""
    (N, D), P = d_W_ih.shape, d_W_hh.shape[1]
    for k in range(D):
        for n in range(N):
            d_W_ih[n, k] = d_W[k, n]
    for n in range(N):
        d_b_ih[n] = d_b_hh[n] = d_W[D, n]
    for k in range(P):
        for n in range(N):
            d_W_hh[n, k] = d_W[D + 1 + k, n]


def weight_gradients(N: int, D: int, P: int, dtype: DTypeLike) -> dict[str, Array]:
    """Allocate what ``unload`` fills: the gradients of weights and biases with N rows, from D inputs and P of h."""
    return {
        "weight_ih": empty((N, D), dtype),
        "weight_hh": empty((N, P), dtype),
        "bias_ih": empty(N, dtype),
        "bias_hh": empty(N, dtype),
    }


class LoopsOverH:
    """One layer in one direction whose only state is h; the weights come with each call.

    Args:
        option: the first argument of both loops.
        forwards: the loop of the forward pass, which fills a tape.
        backwards: that of the backward pass, which reads it.
        new_tape: makes a tape for T, B, D, H and a dtype.
    """

    def __init__(
        self,
        option: Any,
        forwards: Callable[..., None],
        backwards: Callable[..., None],
        new_tape: Callable[..., Any],
    ):
        self.option, self.forwards, self.backwards, self.new_tape = option, forwards, backwards, new_tape

    def forward(self, x: Array, state: Parts, weights: Weights, out: object = None) -> Forward[Any]:
        """Run as the equations do. ``out`` is not used: there is little to allocate."""
        (T, B, D), dtype, h_0 = x.shape, x.dtype, ascontiguousarray(state[0])
        H = h_0.shape[1]
        tape, output, h_n = self.new_tape(T, B, D, H, dtype), empty((T, B, H), dtype), empty((B, H), dtype)
        W_ih, W_hh, b_ih, b_hh = weights["weight_ih"], weights["weight_hh"], weights["bias_ih"], weights["bias_hh"]
        self.forwards(self.option, ascontiguousarray(x), h_0, W_ih, W_hh, b_ih, b_hh, *tape, output, h_n)
        return output, (h_n,), tape

    def backward(self, tape: Any, d_output: Array, d_state: Parts) -> Backward:
        """Carry gradients back as the equations do."""
        (T, B, H), (K, N), dtype = d_output.shape, tape.W.shape, d_output.dtype
        d_h_n, d_x, d_h_0 = ascontiguousarray(d_state[0]), empty((T, B, K - 1 - H), dtype), empty((B, H), dtype)
        gradients = weight_gradients(N, K - 1 - H, H, dtype)
        self.backwards(self.option, *tape, ascontiguousarray(d_output), d_h_n, d_x, d_h_0, *gradients.values())
        return d_x, (d_h_0,), gradients
