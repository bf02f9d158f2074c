"""Use all cores: each thread runs the whole sequence for its own share of the batch rows.

NumPy releases the interpreter lock inside products and large operations. No equation stands here: rows of a batch are
independent, and the gradients of the weights are sums over rows.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NoReturn

import numpy as np

from manual.arrays import Array, Backward, Forward, Parts, Weights

#: The least size in bytes of one shard's block in each step. Below it, threads wait for the interpreter more than they
#: compute.
MIN_BLOCK_BYTES = 12 << 10


class Shards(list[Any]):
    """The memory of each shard of a run."""

    def equations_tape(self) -> NoReturn:
        """Refuse: a probe sees whole batches, and these are parts.

        Raises:
            ValueError: always.
        """
        raise ValueError("probe: expected one in forward too, got one in backward only, after a run in shards")


class Sharded:
    """A fast kernel that runs shards of the rows in threads where that pays.

    The same arguments give the same bits each time.

    Args:
        kernel: what computes.
        threads: the largest number of shards.
    """

    def __init__(self, kernel: Any, threads: int):
        self.kernel, self.threads = kernel, threads

    def forward(self, x: Array, state: Parts, weights: Weights, out: Any = None) -> Forward[Any]:
        """Run as the kernel does; the memory is that of each shard where there are several."""
        B = x.shape[1]
        n = min(self.threads, B, state[-1].nbytes // MIN_BLOCK_BYTES)
        if n <= 1:
            return self.kernel.forward(x, state, weights, out)
        shards, old = _cut(B, n), out if isinstance(out, Shards) and len(out) == n else [None] * n

        def run(k: int) -> Forward[Any]:
            rows = shards[k]
            return self.kernel.forward(x[:, rows], tuple(s[rows] for s in state), weights, old[k])

        outputs, states, memories = zip(*_in_threads(run, n))
        return np.concatenate(outputs, axis=1), tuple(map(np.concatenate, zip(*states))), Shards(memories)

    def backward(self, memory: Any, d_output: Array, d_state: Parts) -> Backward:
        """Carry gradients back as the kernel does, over the shards of the forward run."""
        if not isinstance(memory, Shards):
            return self.kernel.backward(memory, d_output, d_state)
        n = len(memory)
        shards = _cut(d_output.shape[1], n)

        def run(k: int) -> Backward:
            rows = shards[k]
            return self.kernel.backward(memory[k], d_output[:, rows], tuple(d[rows] for d in d_state))

        d_xs, d_states, parts = zip(*_in_threads(run, n))
        gradients = {name: np.add.reduce([part[name] for part in parts]) for name in parts[0]}
        return np.concatenate(d_xs, axis=1), tuple(map(np.concatenate, zip(*d_states))), gradients


def _cut(B: int, n: int) -> list[slice]:
    """Cut B rows into n parts of nearly equal size."""
    return [slice(k * B // n, (k + 1) * B // n) for k in range(n)]


def _in_threads(run: Callable[[int], Any], n: int) -> list[Any]:
    """Call ``run`` with 0 to n - 1, the first in this thread."""
    others = [_pool(n - 1).submit(run, k) for k in range(1, n)]
    return [run(0), *(other.result() for other in others)]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


if hasattr(os, "register_at_fork"):  # a child process has the pools, but not their threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
