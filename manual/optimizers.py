"""Stochastic gradient descent and Adam, equal to ``torch.optim``'s at every step.

Both update the arrays they are given in place. ``buffers`` maps the names of PyTorch's optimiser state to one array per
parameter. Equation numbers are those of DERIVATION.md.
"""

from collections.abc import Callable, Mapping

import numpy as np

from manual.arrays import Array, check_array
from manual.engines import is_compiled


class Optimizer:
    """The base of the optimisers.

    Args:
        parameters: the arrays to update in place, by name.
        lr: learning rate, at least 0.
        weight_decay: λ ≥ 0; λ θ is added to the gradient of each parameter θ.

    Raises:
        ValueError: a setting outside its range.
    """

    def __init__(self, parameters: Mapping[str, Array], lr: float, weight_decay: float):
        if not lr >= 0:
            raise ValueError(f"lr: expected at least 0, got {lr}")
        if not weight_decay >= 0:
            raise ValueError(f"weight_decay: expected at least 0, got {weight_decay}")
        self.parameters, self.lr, self.weight_decay = parameters, lr, weight_decay
        self.steps = 0
        self.buffers: dict[str, dict[str, Array]] = {}

    def step(self, gradients: Mapping[str, Array]) -> None:
        """Update each parameter by one step.

        Raises:
            ValueError: the gradients' names or shapes are not those of the parameters.
            TypeError: a gradient is not an array, or not of its parameter's dtype.
        """
        if gradients.keys() != self.parameters.keys():
            raise ValueError(f"gradients: expected {sorted(self.parameters)}, got {sorted(gradients)}")
        for name, parameter in self.parameters.items():
            check_array(name, gradients[name], "its parameter's shape", parameter.shape, parameter.dtype)
        self.steps += 1
        for name, parameter in self.parameters.items():
            gradient = gradients[name]
            if self.weight_decay:
                gradient = gradient + self.weight_decay * parameter  # (U1)
            self._update(name, parameter, gradient)

    def _zeros(self) -> dict[str, Array]:
        return {name: np.zeros_like(parameter) for name, parameter in self.parameters.items()}

    def _update(self, name: str, parameter: Array, gradient: Array) -> None:
        raise NotImplementedError


class SGD(Optimizer):
    """Gradient descent with weight decay and momentum, classical or Nesterov's.

    Args:
        parameters: the arrays to update in place, by name.
        lr: learning rate η.
        momentum: μ ≥ 0.
        weight_decay: λ ≥ 0.
        nesterov: whether to use Nesterov's momentum.

    Raises:
        ValueError: a setting outside its range, or ``nesterov`` without momentum.
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ):
        super().__init__(parameters, lr, weight_decay)
        if not momentum >= 0:
            raise ValueError(f"momentum: expected at least 0, got {momentum}")
        if nesterov and not momentum:
            raise ValueError(f"nesterov: expected a momentum above 0, got {momentum}")
        self.momentum, self.nesterov = momentum, nesterov
        if momentum:
            self.buffers["momentum_buffer"] = self._zeros()

    def _update(self, name: str, parameter: Array, gradient: Array) -> None:
        if self.momentum:
            velocity = self.buffers["momentum_buffer"][name]
            velocity *= self.momentum
            velocity += gradient  # (U2)
            gradient = gradient + self.momentum * velocity if self.nesterov else velocity  # (U3)
        parameter -= self.lr * gradient  # (U4)


class Adam(Optimizer):
    """Adam with weight decay as an L2 term.

    Formulas: Kingma and Ba, "Adam: A Method for Stochastic Optimization". The real and the imaginary part of a complex
    parameter are two parameters, as in torch.

    Args:
        parameters: the arrays to update in place, by name.
        lr: learning rate η.
        betas: decay rates β1, β2 of the two moments, each in [0, 1).
        eps: ε ≥ 0; keeps the division finite.
        weight_decay: λ ≥ 0.
        engine: ``numpy``, or ``compiled``, which is faster for small parameters; see ``Recurrent``.

    Raises:
        ValueError: a setting outside its range, or an engine that is not installed.
        TypeError: a parameter's dtype in which the engine cannot compute.
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        engine: str = "numpy",
    ):
        super().__init__(parameters, lr, weight_decay)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas: expected two numbers in [0, 1), got {betas}")
        if not eps >= 0:
            raise ValueError(f"eps: expected at least 0, got {eps}")
        self.betas, self.eps = betas, eps
        self.buffers = {"exp_avg": self._zeros(), "exp_avg_sq": self._zeros()}
        self._formulas: Callable[..., None] = adam
        for parameter in parameters.values():
            if is_compiled(engine, parameter.dtype):
                from manual.compiled.optimizers import adam as compiled  # it needs Numba

                self._formulas, some = compiled, np.ones((1,) * parameter.ndim, parameter.dtype)
                compiled(some, some, some.copy(), some.copy(), 0.9, 0.9, 0.1, 1.0, 1.0)  # now, not at the first step

    def _update(self, name: str, parameter: Array, gradient: Array) -> None:
        arrays = parameter, gradient, self.buffers["exp_avg"][name], self.buffers["exp_avg_sq"][name]
        if np.iscomplexobj(parameter):
            self._move(*(array.real for array in arrays))
            self._move(*(array.imag for array in arrays))
        else:
            self._move(*arrays)

    def _move(self, parameter: Array, gradient: Array, mean: Array, square: Array) -> None:
        """Update a real parameter and its two moments."""
        beta1, beta2 = self.betas
        step_size, correction = self.lr / (1 - beta1**self.steps), (1 - beta2**self.steps) ** 0.5
        self._formulas(parameter, gradient, mean, square, beta1, beta2, step_size, correction, self.eps)


def adam(
    parameter: Array,
    gradient: Array,
    mean: Array,
    square: Array,
    beta1: float,
    beta2: float,
    step_size: float,
    correction: float,
    eps: float,
) -> None:
    """Update ``parameter``, ``mean`` and ``square`` in place.

    At step k, ``step_size`` is η / (1 - β1^k), and ``correction`` √(1 - β2^k).
    """
    mean += (1 - beta1) * (gradient - mean)  # (U5)
    square *= beta2
    square += (1 - beta2) * gradient * gradient  # (U6)
    parameter -= step_size * mean / (np.sqrt(square) / correction + eps)  # (U7)
