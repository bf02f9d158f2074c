"""What several tests need: random arrays, and gradients by complex steps, which owe nothing to any derivation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

#: In units in the last place of a tensor's largest element, or of 1, the size of the arguments, if that is larger, as a
#: sum may cancel. The worst of 12,000 random runs was 13.
ULPS = 32

STEP = 1e-100  # nothing is subtracted in a complex step, so it can be as small as one likes


def relative_error(actual: np.ndarray, reference: np.ndarray) -> float:
    assert actual.shape == reference.shape
    assert np.isfinite(actual).all()
    return float(np.abs(actual - reference).max() / np.abs(reference).max())


def complex_step(function: Callable[[np.ndarray], complex], at: np.ndarray) -> np.ndarray:
    """The gradient of a function at a real array, one element after the other."""
    gradient = np.empty(at.shape)
    for index in np.ndindex(at.shape):
        moved = at.astype(complex)
        moved[index] += 1j * STEP
        gradient[index] = function(moved).imag / STEP
    return gradient


@dataclass
class Experiment:
    """A kernel on random arrays, and a loss that weighs everything it hands out with random incoming gradients."""

    kernel: Any
    x: np.ndarray  # (T, B, D)
    state: tuple[np.ndarray, ...]  # (B, H) each
    weights: dict[str, np.ndarray]
    d_output: np.ndarray  # (T, B, H)
    d_state: tuple[np.ndarray, ...]

    @classmethod
    def random(cls, kernel: Any, T: int = 4, B: int = 3, D: int = 2, H: int = 5, seed: int = 0) -> "Experiment":
        rng = np.random.default_rng(seed)
        weights = {name: rng.normal(0, 0.7, shape) for name, shape in kernel.parameter_shapes(D, H).items()}
        x = rng.normal(size=(T, B, D))
        sizes = kernel.state_sizes(H)
        state, d_state = (tuple(rng.normal(size=(B, size)) for size in sizes.values()) for _ in range(2))
        return cls(kernel, x, state, weights, rng.normal(size=(T, B, sizes["h"])), d_state)

    def loss(
        self,
        x: np.ndarray | None = None,
        state: tuple[np.ndarray, ...] | None = None,
        weights: Mapping[str, np.ndarray] = MappingProxyType({}),
        probe: Any = None,
    ) -> complex:
        """The loss in complex arithmetic, with some of the arrays replaced."""
        x = self.x if x is None else x
        weights = {name: array.astype(complex) for name, array in (self.weights | dict(weights)).items()}
        state = tuple(s.astype(complex) for s in (state or self.state))
        output, last, _ = self.kernel.forward(x.astype(complex), state, weights, probe)
        return (output * self.d_output).sum() + sum((s * d).sum() for s, d in zip(last, self.d_state, strict=True))

    def run(self, probe: Any = None) -> tuple[Any, Any]:
        """What the kernel's forward and backward return; a fast kernel takes no probe."""
        probed = {"probe": probe} if probe else {}
        forward = self.kernel.forward(self.x, self.state, self.weights, **probed)
        return forward, self.kernel.backward(forward[2], self.d_output, self.d_state, **probed)

    def results(self) -> dict[str, np.ndarray]:
        """Everything that forward and backward return but the tape, by name."""
        (output, last, _), (d_x, d_first, gradients) = self.run()
        states = {f"state {k}": s for k, s in enumerate(last)} | {f"d_state {k}": d for k, d in enumerate(d_first)}
        return {"output": output, "d_x": d_x} | states | gradients

    def recorded(self) -> dict[str, np.ndarray]:
        """What a probe sees in a forward and a backward pass: by name, (T, B, H)."""
        seen: dict[str, dict[int, np.ndarray]] = {}

        def record(name: str, t: int, value: np.ndarray) -> np.ndarray:
            seen.setdefault(name, {})[t] = value.copy()
            return value

        self.run(record)
        assert all(sorted(steps) == list(range(len(self.x))) for steps in seen.values())
        return {name: np.stack([steps[t] for t in range(len(self.x))]) for name, steps in seen.items()}

    def adjoint(self, name: str) -> np.ndarray:
        """The gradient of the loss with respect to a named intermediate, at every time step: (T, B, H)."""
        shape = self.recorded()[name].shape

        def loss_moved_by(offset: np.ndarray) -> complex:
            return self.loss(probe=lambda n, t, value: value + offset[t] if n == name else value)

        return complex_step(loss_moved_by, np.zeros(shape))


def worst_ulps(text: Experiment, fast: Experiment) -> float:
    expected, actual = text.results(), fast.results()
    assert actual.keys() == expected.keys()

    def ulps(a: np.ndarray, b: np.ndarray) -> float:
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        assert np.isfinite(a).all()
        return float(np.abs(a - b).max() / max(np.abs(b).max(), 1) / np.finfo(b.dtype).eps)

    return max(ulps(actual[name], array) for name, array in expected.items())


def experiment(kernel, T: int, B: int, D: int, H: int, dtype: type, seed: int) -> Experiment:
    """Random arguments of size 1, and weights as a layer draws them."""
    e = Experiment.random(kernel, T, B, D, H, seed)
    rng = np.random.default_rng(seed)
    weights = {name: rng.uniform(-(H**-0.5), H**-0.5, w.shape).astype(dtype) for name, w in e.weights.items()}
    state, d_state = (tuple(s.astype(dtype) for s in states) for states in (e.state, e.d_state))
    return Experiment(kernel, e.x.astype(dtype), state, weights, e.d_output.astype(dtype), d_state)
