"""The autograd side in several processes, as ``torchrun`` starts them: DistributedDataParallel on gloo.

Each process runs its share of the rows of every batch, and DistributedDataParallel averages the gradients. Each process
also runs the whole hand-derived side, so that the averaged gradient can be compared with that of the whole batch. With
``--device cuda`` each has a GPU of its own; what is gathered passes through the CPU, as gloo gathers nothing elsewhere.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from compare.lockstep.trainers import Objective, Pass, TorchTrainer
from manual.arrays import Array


@contextmanager
def processes() -> Iterator[int]:
    """Join the processes that ``torchrun`` started, if it did; yield this one's rank, 0 if it is alone."""
    if not dist.is_torchelastic_launched():
        yield 0
        return
    dist.init_process_group("gloo")
    try:
        yield dist.get_rank()
    finally:
        dist.destroy_process_group()


def check_batch_size(batch_size: int) -> None:
    """Raise a ValueError unless the processes can share the rows of a batch equally."""
    if batch_size % dist.get_world_size():
        raise ValueError(f"batch_size: expected a multiple of the {dist.get_world_size()} processes, got {batch_size}")


def own_device(device: str) -> str:
    """Return the device of this process, with ``cuda`` the GPU of its rank; a ValueError if there is none."""
    if device != "cuda":
        return device
    if not torch.cuda.is_available():
        raise ValueError("device: expected a GPU for cuda, but torch finds none")
    if not dist.is_initialized():
        return device
    rank, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if rank >= count:
        processes = os.environ.get("LOCAL_WORLD_SIZE", rank + 1)
        raise ValueError(f"device: expected a GPU for each of the {processes} processes here, but torch finds {count}")
    torch.cuda.set_device(rank)
    return f"cuda:{rank}"


class DistributedTrainer(TorchTrainer):
    """A module in every process, and its gradient averaged over the processes. What it returns is the whole batch's."""

    def __init__(self, module: nn.Module, optimizer: torch.optim.Optimizer, loss: str | Objective):
        super().__init__(module, optimizer, loss)
        self.trained = DistributedDataParallel(module)

    def run(self, x: Array, y: Array) -> Pass:
        """Run forward and backward on this process's share of x (T, B, D) with targets y (T, B, 1)."""
        count, rank = dist.get_world_size(), dist.get_rank()
        share = super().run(*(np.split(a, count, axis=1)[rank].copy() for a in (x, y)))
        total, own = torch.tensor(share.loss), torch.from_numpy(share.logits).contiguous()
        dist.all_reduce(total)
        shares = [torch.empty_like(own) for _ in range(count)]
        dist.all_gather(shares, own)
        return Pass((total / count).numpy(), torch.cat(shares, dim=1).numpy(), share.gradients)
