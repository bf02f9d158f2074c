"""All cores: the rows of a batch shared out among threads, each of which runs the whole sequence without waiting.

NumPy lets go of the interpreter inside products and large operations. No equation stands here: the rows of a batch
have nothing to do with each other, and the gradients of the weights are sums over the rows.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from manual.arrays import Array, Probe

#: Bytes of a block that a shard works on in each step, at least. With fewer, threads wait for the interpreter more than
#: they compute.
BYTES = 12 << 10


class Sharded:
    """A kernel whose runs, where it pays, are runs of another over shards of the rows.

    A run that is probed is never cut up, so a probe sees what it sees without threads. The same arguments give the
    same bits each time.

    Args:
        kernel: what computes.
        threads: the largest number of shards.
    """

    def __init__(self, kernel: Any, threads: int):
        self.kernel, self.threads = kernel, threads
        self.gates, self.parameter_shapes, self.state_sizes = kernel.gates, kernel.parameter_shapes, kernel.state_sizes

    def forward(
        self,
        x: Array,
        state: tuple[Array, ...],
        weights: Mapping[str, Array],
        probe: Probe | None = None,
        out: Any = None,
    ) -> tuple[Array, tuple[Array, ...], Any]:
        """As the kernel's; the tape is a list with that of each shard."""
        B = x.shape[1]
        n = 1 if probe else max(1, min(self.threads, B, state[-1].nbytes // BYTES))
        shards = _cut(B, n)
        tapes = out if isinstance(out, list) and len(out) == n else [None] * n
        if n == 1:
            output, state, tape = self.kernel.forward(x, state, weights, probe, tapes[0])
            return output, state, [tape]

        def run(k: int) -> tuple[Array, tuple[Array, ...], Any]:
            rows = shards[k]
            return self.kernel.forward(x[:, rows], tuple(s[rows] for s in state), weights, None, tapes[k])

        outputs, states, parts = zip(*_in_threads(run, n))
        return np.concatenate(outputs, axis=1), tuple(map(np.concatenate, zip(*states))), list(parts)

    def backward(
        self, tapes: list[Any], d_output: Array, d_state: tuple[Array, ...], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """As the kernel's, over the shards of the run that left the tapes.

        Raises:
            ValueError: there is a probe, and there was none in the forward pass, which ran in shards.
        """
        n, B = len(tapes), d_output.shape[1]
        if n == 1:
            return self.kernel.backward(tapes[0], d_output, d_state, probe)
        if probe:
            raise ValueError("probe: expected one in forward too, got one in backward only, after a run in shards")
        shards = _cut(B, n)

        def run(k: int) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
            rows = shards[k]
            return self.kernel.backward(tapes[k], d_output[:, rows], tuple(d[rows] for d in d_state))

        d_xs, d_states, parts = zip(*_in_threads(run, n))
        gradients = {name: np.add.reduce([part[name] for part in parts]) for name in parts[0]}
        return np.concatenate(d_xs, axis=1), tuple(map(np.concatenate, zip(*d_states))), gradients


def _cut(B: int, n: int) -> list[slice]:
    """B rows in n parts, as equal as can be."""
    return [slice(k * B // n, (k + 1) * B // n) for k in range(n)]


def _in_threads(run: Callable[[int], Any], n: int) -> Iterable[Any]:
    """``run`` of 0 to n - 1, the first of them in this thread."""
    others = [_pool(n - 1).submit(run, k) for k in range(1, n)]
    return [run(0), *(other.result() for other in others)]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)
