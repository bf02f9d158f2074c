"""What the recipes train on: problems one at a time, and what their authors print in the course of it.

A task has its ``data``, the size ``inputs`` of x, and ``look(moment)``, which says what its author sees before that
step's update, if anything. ``opening`` and ``closing`` are what the author prints before and after the training.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from compare.binary_addition import Sums, digits, sums_to_count
from compare.lockstep.lockstep import Step
from compare.lockstep.trainers import ManualTrainer
from compare.lockstep.training import Look
from compare.published.gradient_check import numeric, printed
from manual.activations import sigmoid
from manual.arrays import Array

#: Either of NumPy's generators: one recipe needs the old one, to draw what its author drew.
Generator = np.random.Generator | np.random.RandomState

#: Print-outs of a sum, as their authors print it.
WITH_SUM = "Error:{error:.5g}\nPred:{predicted}\nTrue:{true}\n{a} + {b} = {total}\n-------{step}------"
WITHOUT_SUM = "Error:{error:.5g}\nPred:{predicted}\nTrue:{true}\n-------------"
WITH_SIZE = "Error:{error:.5g}\nPred:{predicted}\nTrue:{true}\nans =\n\n     1{bits:6d}\n\n-------------"
IN_PYTHON = "Error:{errors}\nPred:{predicted_bits}\nTrue:{true_bits}\n{a} + {b} = {total}\n------------"


class Moment(NamedTuple):
    """A step of a training, before its update."""

    step: int  # counted from 1
    steps: int  # of the whole training
    trainer: ManualTrainer
    x: Array
    y: Array
    before: Sequence[Step]  # the steps before


class Task(ABC):
    """What all tasks have in common: most authors print nothing before or after the training."""

    error: ClassVar[str] = ""  # what the author's error curve is of

    @abstractmethod
    def data(self, rng: Generator, count: int) -> tuple[Array, Array]:
        """Draw the first ``count`` samples, or as many as there are: x (T, samples, D) and y (T, samples, O)."""

    def batches(self, rng: Generator, steps: int) -> Iterator[tuple[Array, Array]]:
        """Yield a sample for each step, over and over: x (T, 1, D) and y (T, 1, O)."""
        x, y = self.data(rng, steps)
        for step in range(steps):
            sample = [step % x.shape[1]]
            yield x[:, sample], y[:, sample]

    def opening(self) -> list[str]:
        """Return the lines before the first step."""
        return []

    def closing(self, trainer: ManualTrainer, rng: Generator) -> list[str]:
        """Return the lines after the last step, for which ``rng`` draws new data."""
        return []


@dataclass(frozen=True)
class Addition(Task):
    """a + b in ``bits`` bits, for whole numbers a and b, looked at in regular steps."""

    error: ClassVar[str] = "error of one problem, summed over the bits"
    inputs: ClassVar[int] = 2
    least: int = 1
    largest_a: int = 128
    largest_b: int = 127
    first: int = 1000  #: the first step after which something is printed
    every: int = 1000  #: the distance to the next
    bits: int = 8
    #: a format of ``error`` (summed over the bits) and ``errors`` (as an array), ``predicted`` and ``true`` (digits),
    #: ``predicted_bits`` and ``true_bits`` (arrays), ``a``, ``b``, ``total`` and ``step``
    print_out: str = WITH_SUM

    def with_bits(self, bits: int) -> "Addition":
        """Return the same task with sums of another length, and addends up to another half of what it holds."""
        if bits < 2:
            raise ValueError(f"bits: expected at least 2, got {bits}")
        more = 2 ** (bits - 1) - 2 ** (self.bits - 1)
        return replace(self, bits=bits, largest_a=self.largest_a + more, largest_b=self.largest_b + more)

    def problems(self, rng: Generator, count: int) -> Sums:
        """Draw ``count`` random problems."""
        draw = rng.randint if isinstance(rng, np.random.RandomState) else rng.integers
        a, b = draw([self.least] * 2, [self.largest_a + 1, self.largest_b + 1], (count, 2)).T
        return Sums.adding(digits(a, self.bits), digits(b, self.bits))

    def data(self, rng: Generator, count: int) -> tuple[Array, Array]:
        """Draw ``count`` problems."""
        problems = self.problems(rng, count)
        return problems.inputs(np.float64), problems.targets(np.float64)

    @cached_property
    def counted(self) -> Sums:
        """The sums by which a network is judged: all there are or, of many bits, a fixed sample."""
        return sums_to_count(np.random.default_rng(0), self.bits, 512)

    def look(self, now: Moment) -> Look | None:
        """Return the error summed over the bits, and the prediction beside the truth, most significant bit first."""
        if now.step < self.first or (now.step - self.first) % self.every:
            return None
        z, true = now.trainer.logits(now.x)[::-1, 0, 0], now.y[::-1, 0, 0].astype(int)
        predicted = (z > 0).astype(int)
        error = float(np.abs(sigmoid(z) - true).sum())
        written = ["".join(map(str, bits)) for bits in (*now.x[::-1, 0].T.astype(int), predicted, true)]
        a, b, total, _ = (int(number, 2) for number in written)
        lines = self.print_out.format(
            error=error,
            errors=np.array2string(np.array([error]), precision=8, legacy="1.13"),
            predicted=written[2],
            true=written[3],
            predicted_bits=predicted,
            true_bits=true,
            a=a,
            b=b,
            total=total,
            bits=self.bits,
            step=now.step,
        )
        return Look({self.error: error}, lines.split("\n"))


@dataclass(frozen=True)
class Regression(Task):
    """Targets y = W x + noise, a fixed set of samples in order, epoch after epoch."""

    error: ClassVar[str] = "mean loss of the epoch"
    one_target: bool = False  #: whether there is one W or, as in the write-up, a new one for each step of each sample
    inputs: int = 10
    units: int = 20
    steps: int = 15
    samples: int = 100
    spread: float = 0.1  #: the standard deviation of W
    noise: float = 0.01  #: the standard deviation of the noise

    def data(self, rng: Generator, count: int) -> tuple[Array, Array]:
        """Draw the samples of an epoch."""
        shape = self.steps, self.samples
        x = rng.normal(size=(*shape, self.inputs))
        size = (1, 1) if self.one_target else shape
        W = rng.normal(0, self.spread, (*size, self.units, self.inputs))
        y = (W @ x[..., None])[..., 0] + rng.normal(0, self.noise, (*shape, self.units))
        return x[:, :count], y[:, :count]

    def opening(self) -> list[str]:
        """Return: demonstration of an LSTM, generating training data, training begins."""
        return ["=== LSTM神经网络演示 ===", "生成训练数据...", "开始训练LSTM网络..."]

    def look(self, now: Moment) -> Look | None:
        """Return an epoch's mean loss, each sample's before its update; printed after 1, 100, 200, … epochs."""
        epoch, rest = divmod(now.step, self.samples)
        if rest:
            return None
        epoch_before = now.before[len(now.before) - self.samples + 1 :]
        losses = [*(step.loss_manual for step in epoch_before), float(now.trainer.run(now.x, now.y).loss)]
        mean = float(np.mean(losses))
        printed = epoch == 1 or epoch % 100 == 0
        return Look(
            {self.error: mean}, [f"Epoch {epoch}/{now.steps // self.samples}, 平均损失: {mean:.6f}"] if printed else []
        )

    def closing(self, trainer: ManualTrainer, rng: Generator) -> list[str]:
        """Return: testing the prediction, its size, and of a new sample the first five steps, a column each."""
        h = trainer.logits(rng.normal(size=(self.steps, 1, self.inputs)))[:, 0].T  # (units, steps)
        return [
            "",
            "测试预测...",
            f"预测完成! 输出维度: {h.shape[0]}x{h.shape[1]}",
            "",
            "前5个时间步的预测结果:",
            *("".join(f"{value:10.4f}" for value in row[:5]) for row in h),
        ]


@dataclass(frozen=True)
class GradientCheck(Task):
    """One fixed sequence, and the numeric gradient of every parameter beside ours at the first step.

    The write-up prints this of the forget gate's recurrent weights and leaves the others to the reader.
    """

    sequence: tuple[tuple[float, ...], ...] = ((1.0, 2.0, 3.0), (2.0, 3.0, 4.0))
    units: int = 2
    epsilon: float = 1e-3

    @property
    def inputs(self) -> int:
        """D."""
        return len(self.sequence[0])

    def data(self, rng: Generator, count: int) -> tuple[Array, Array]:
        """Return the sequence; there are no targets, and y is zero."""
        x = np.array(self.sequence)[:, None]
        return x, np.zeros((len(x), 1, self.units))

    def look(self, now: Moment) -> Look | None:
        """Return a line for each element of each parameter, under the write-up's names: numeric, then ours."""
        if now.step > 1:
            return None
        H, lines = self.units, []
        gradients = now.trainer.run(now.x, now.y).gradients
        kinds = {"weight_hh": "W{}h", "weight_ih": "W{}x", "bias_ih": "b{}"}
        for block, gate in ((1, "f"), (0, "i"), (3, "o"), (2, "c")):  # in the text's order; c is the candidate, g
            for kind, words in kinds.items():
                name, rows = f"recurrent.{kind}_l0", slice(block * H, (block + 1) * H)
                expected = numeric(now.trainer, now.x, now.y, now.trainer.parameters[name][rows], self.epsilon)
                lines += printed(words.format(gate), expected, gradients[name][rows])
        return Look({}, lines)
