"""What the recipes train on: problems one at a time, and what their authors print while it goes on.

A task has ``batches(rng, steps)``, which yields x (T, 1, D) and y (T, 1, O) for each step, and ``printed(step)`` with
``lines(step, trainer, x, y, losses)``, which say at which steps, counted from 1, something is printed, and what.
It is asked before the step's update, as the authors do; ``losses`` are those of the steps before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from compare.binary_addition import Sums, digits
from compare.lockstep.trainers import ManualTrainer
from manual.activations import sigmoid
from manual.arrays import Array

#: Either of NumPy's generators: one recipe needs the old one, to draw what its author drew.
Generator = np.random.Generator | np.random.RandomState


@dataclass(frozen=True)
class Addition:
    """a + b in ``bits`` bits, a and b whole numbers up to and including a bound, printed at regular steps.

    ``least`` is the smallest a and b, ``largest_a`` and ``largest_b`` the largest; ``first`` is the first step after
    which something is printed, ``every`` the distance to the next.
    """

    least: int = 1
    largest_a: int = 128
    largest_b: int = 127
    first: int = 1000
    every: int = 1000
    bits: int = 8

    def problems(self, rng: Generator, count: int) -> Sums:
        """``count`` random problems."""
        draw = rng.randint if isinstance(rng, np.random.RandomState) else rng.integers
        a, b = draw([self.least] * 2, [self.largest_a + 1, self.largest_b + 1], (count, 2)).T
        return Sums.adding(digits(a, self.bits), digits(b, self.bits))

    def batches(self, rng: Generator, steps: int) -> Iterator[tuple[Array, Array]]:
        """One problem a step."""
        problems = self.problems(rng, steps)
        x, y = problems.inputs(np.float64), problems.targets(np.float64)
        for step in range(steps):
            yield x[:, [step]], y[:, [step]]

    def printed(self, step: int) -> bool:
        """Whether something is printed after this step."""
        return step >= self.first and (step - self.first) % self.every == 0

    def lines(self, step: int, trainer: ManualTrainer, x: Array, y: Array, losses: Sequence[float]) -> list[str]:
        """The error summed over the bits, the prediction and the truth, most significant bit first."""
        z, bits = trainer.logits(x)[::-1, 0, 0], y[::-1, 0, 0].astype(int)
        said = (z > 0).astype(int)
        a, b, total = (int("".join(map(str, d)), 2) for d in (*x[::-1, 0].T.astype(int), said))
        return [
            f"Error: {np.abs(sigmoid(z) - bits).sum():.8f}",
            f"Pred:  {' '.join(map(str, said))}",
            f"True:  {' '.join(map(str, bits))}",
            f"{a} + {b} = {total}",
            f"------------ {step:,}",
        ]


@dataclass(frozen=True)
class Regression:
    """Targets y = W x + noise, a fixed set of samples gone through in order, epoch after epoch.

    ``inputs``, ``units`` and ``steps`` are the sizes of x, of y, and of a sample in time; W is normal with deviation
    ``spread``. ``one_target`` says whether there is one W, or, as in the write-up, a new one for each step.
    """

    one_target: bool = False
    inputs: int = 10
    units: int = 20
    steps: int = 15
    samples: int = 100
    spread: float = 0.1
    noise: float = 0.01

    def data(self, rng: Generator, samples: int) -> tuple[Array, Array]:
        """The samples: x (T, samples, D) and y (T, samples, H)."""
        shape = self.steps, samples
        x = rng.normal(size=(*shape, self.inputs))
        size = (1, 1) if self.one_target else shape
        W = rng.normal(0, self.spread, (*size, self.units, self.inputs))
        return x, (W @ x[..., None])[..., 0] + rng.normal(0, self.noise, (*shape, self.units))

    def batches(self, rng: Generator, steps: int) -> Iterator[tuple[Array, Array]]:
        """One sample a step."""
        x, y = self.data(rng, self.samples)
        for step in range(steps):
            sample = [step % self.samples]
            yield x[:, sample], y[:, sample]

    def printed(self, step: int) -> bool:
        """After the first epoch, and every hundredth."""
        epoch, rest = divmod(step, self.samples)
        return rest == 0 and (epoch == 1 or epoch % 100 == 0)

    def lines(self, step: int, trainer: ManualTrainer, x: Array, y: Array, losses: Sequence[float]) -> list[str]:
        """The epoch, and the mean loss of its samples, each before its own update."""
        epoch = [*losses[len(losses) - self.samples + 1 :], float(trainer.run(x, y).loss)]
        return [f"Epoch {step // self.samples}, mean loss: {np.mean(epoch):.6f}"]


@dataclass(frozen=True)
class GradientCheck:
    """One fixed sequence; printed is the numeric gradient of the forget gate's recurrent weights, beside ours."""

    sequence: tuple[tuple[float, ...], ...] = ((1.0, 2.0, 3.0), (2.0, 3.0, 4.0))
    units: int = 2
    epsilon: float = 1e-3
    every: int = 50

    def batches(self, rng: Generator, steps: int) -> Iterator[tuple[Array, Array]]:
        """The same sequence each time; there are no targets, and y is zero."""
        x = np.array(self.sequence)[:, None]
        for _ in range(steps):
            yield x, np.zeros((len(x), 1, self.units))

    def printed(self, step: int) -> bool:
        """After the first step, and at regular ones."""
        return step == 1 or step % self.every == 0

    def lines(self, step: int, trainer: ManualTrainer, x: Array, y: Array, losses: Sequence[float]) -> list[str]:
        """A line for each weight: numeric, then ours."""
        name, H = "recurrent.weight_hh_l0", self.units
        weight, ours = trainer.parameters[name], trainer.run(x, y).gradients[name]
        lines = []
        for row, column in np.ndindex(H, H):
            index = H + row, column  # the second block is the forget gate's
            kept = weight[index]
            losses = []
            for moved in (kept + self.epsilon, kept - self.epsilon):
                weight[index] = moved
                losses.append(float(trainer.run(x, y).loss))
            weight[index] = kept
            numeric = (losses[0] - losses[1]) / (2 * self.epsilon)
            lines.append(f"weights({row},{column}): expected - actual {numeric:.4e} - {ours[index]:.4e}")
        return [*lines, f"------------ {step:,}"]


Task = Addition | Regression | GradientCheck
