"""The same network in Keras, on the backend that ``KERAS_BACKEND`` names, trained by an optimiser of Keras's.

Where a layer of Keras has one bias, an LSTM's or a simple RNN's, the manual side's second bias stays zero.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from compare.cells.layout import Arrays
from compare.frameworks.files.keras_layer import as_model, import_keras
from compare.frameworks.layouts import LAYOUTS
from compare.frameworks.network import Network
from compare.lockstep.settings import Settings
from compare.lockstep.trainers import ManualTrainer, Pass
from manual.arrays import Array

#: What Keras's optimisers call their buffers.
BUFFERS = {"adam": {"exp_avg": "_momentums", "exp_avg_sq": "_velocities"}, "sgd": {"momentum_buffer": "momentums"}}

#: PyTorch's epsilon for Adam, and its second decay rate.
EPSILON, BETA2 = 1e-8, 0.999


def frozen(settings: Settings, parameters: Mapping[str, Array]) -> list[str]:
    """Return the parameters that Keras lacks, which the manual side has to hold at zero."""
    one_bias = LAYOUTS["keras"][settings.cell].biases == 1
    return [name for name in parameters if one_bias and "bias_hh" in name]


class KerasTrainer:
    """The network of a run in Keras, with the optimiser of the run."""

    def __init__(self, settings: Settings, leader: ManualTrainer):
        self.keras = import_keras()
        self.keras.config.set_floatx(settings.dtype)
        self.settings, self.leader, self.layout = settings, leader, LAYOUTS["keras"][settings.cell]
        self.suffixes = [sweep.suffix for sweep in leader.model.recurrent.sweeps]
        self.frozen = frozen(settings, leader.parameters)
        self.model = as_model(Network.of(leader.model))
        self.variables = self.model.trainable_variables
        rate = {"learning_rate": settings.learning_rate}
        if settings.optimizer == "adam":
            self.optimizer = self.keras.optimizers.Adam(**rate)
        else:
            self.optimizer = self.keras.optimizers.SGD(**rate, momentum=settings.momentum, nesterov=settings.nesterov)
        self.optimizer.build(self.variables)
        has_buffers = settings.optimizer == "adam" or settings.momentum
        self.kinds = BUFFERS[settings.optimizer] if has_buffers else {}
        self.differentiate = _DIFFERENTIATE[self.keras.backend.backend()](self.model, self._loss)
        self.steps = 0

    def run(self, x: Array, y: Array) -> Pass:
        """Run forward and backward on x (T, B, D) with targets y (T, B, 1)."""
        loss, logits, gradients = self.differentiate(x.swapaxes(0, 1).copy(), y.swapaxes(0, 1).copy())
        arrays = self._named([self._plain(gradient) for gradient in gradients], self.layout.gradients)
        return Pass(self._plain(loss), self._plain(logits).swapaxes(0, 1).copy(), arrays)

    def update(self, gradients: dict[str, Array]) -> None:
        """Take one optimiser step. PyTorch's weight decay is an L2 term of the gradient, and its epsilon grows."""
        self.steps += 1
        self.optimizer.epsilon = EPSILON * (1 - BETA2**self.steps) ** 0.5
        decayed = {
            name: 0 * gradient if name in self.frozen else gradient + self.settings.weight_decay * parameter
            for name, gradient, parameter in ((n, gradients[n], a) for n, a in self.parameters.items())
        }
        tensors = [self.keras.ops.convert_to_tensor(array) for array in self._flat(decayed)]
        self.optimizer.apply(tensors, self.variables)

    def logits(self, x: Array) -> Array:
        """Return the network's logits (T, B, 1) for x (T, B, D)."""
        return self._plain(self.model(x.swapaxes(0, 1).copy())).swapaxes(0, 1)

    @property
    def parameters(self) -> dict[str, Array]:
        """The parameters by name, with zeros for those that Keras lacks."""
        return self._named([self._plain(variable) for variable in self.variables], self.layout.parameters)

    @property
    def buffers(self) -> dict[str, Array]:
        """The optimiser's buffers by name, as in ``exp_avg of recurrent.weight_ih_l0``."""
        return {
            f"{kind} of {name}": self._scale(kind) * array
            for kind, attribute in self.kinds.items()
            for name, array in self._named(
                [self._plain(variable) for variable in getattr(self.optimizer, attribute)], self.layout.parameters
            ).items()
            if name not in self.frozen
        }

    def follow(self, leader: ManualTrainer) -> None:
        """Copy the leader's parameters and optimiser buffers."""
        self.load(leader.parameters)
        for kind, attribute in self.kinds.items():
            held = {name: leader.buffers.get(f"{kind} of {name}", 0 * a) for name, a in leader.parameters.items()}
            held = {name: array / self._scale(kind) for name, array in held.items()}
            self._assign(getattr(self.optimizer, attribute), held)

    def load(self, parameters: Mapping[str, Array]) -> None:
        """Replace the parameters."""
        self._assign(self.variables, parameters)

    def copy(self) -> "KerasTrainer":
        """Return an independent side in the same state."""
        other = KerasTrainer(self.settings, self.leader)
        other.restore(self.state())
        return other

    def state(self) -> dict[str, Array]:
        """Return everything that training changes, by name, in Keras's order and layout."""
        return {name: self._plain(variable) for name, variable in self._variables().items()} | {
            "steps": np.array(self.steps)
        }

    def restore(self, state: Mapping[str, Array]) -> None:
        """Return to a state of the same configuration."""
        for name, variable in self._variables().items():
            variable.assign(state[name])
        self.steps = int(state["steps"])

    def _variables(self) -> dict[str, Any]:
        return {f"variable {k}": variable for k, variable in enumerate([*self.variables, *self.optimizer.variables])}

    def _assign(self, variables: list[Any], arrays: Mapping[str, Array]) -> None:
        for variable, array in zip(variables, self._flat(arrays), strict=True):
            variable.assign(array)

    def _scale(self, kind: str) -> float:
        """Return what to multiply a buffer of Keras's by: its momentum is of the step, PyTorch's of the gradient."""
        return -1 / self.settings.learning_rate if kind == "momentum_buffer" else 1.0

    def _loss(self, z: Any, y: Any) -> Any:
        ops = self.keras.ops
        if self.settings.loss == "bce":
            return ops.mean(ops.binary_crossentropy(y, z, from_logits=True))
        return ops.mean(ops.square(ops.sigmoid(z) - y))

    def _plain(self, tensor: Any) -> Array:
        tensor = getattr(tensor, "value", tensor)
        return np.asarray(tensor.detach() if hasattr(tensor, "detach") else tensor)

    def _named(self, arrays: list[Array], as_torch: Callable[[Arrays], Arrays]) -> dict[str, Array]:
        """Return arrays in the order of Keras's variables under the manual side's names, in its layout."""
        *recurrent, kernel, bias = arrays
        named: dict[str, Array] = {}
        names = self.layout.arrays
        for k, suffix in enumerate(self.suffixes):
            own = as_torch(dict(zip(names, recurrent[k * len(names) :])))
            named |= {f"recurrent.{name}{suffix}": array for name, array in own.items()}
        return named | {"readout.weight": kernel.T.copy(), "readout.bias": bias.copy()}

    def _flat(self, arrays: Mapping[str, Array]) -> list[Array]:
        """Return arrays under the manual side's names in the order of Keras's variables, in their layout."""
        flat: list[Array] = []
        for suffix in self.suffixes:
            names = (f"{name}{suffix}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            own = {name.removesuffix(suffix): arrays[f"recurrent.{name}"] for name in names}
            flat += self.layout.weights(own).values()
        return [*flat, arrays["readout.weight"].T.copy(), arrays["readout.bias"]]


#: From x and y, batch first, to loss, logits and the gradients of the trainable variables.
Differentiate = Callable[[Array, Array], tuple[Any, Any, list[Any]]]


def _with_torch(model: Any, loss_of: Callable[[Any, Any], Any]) -> Differentiate:
    import torch

    def run(x: Array, y: Array) -> tuple[Any, Any, list[Any]]:
        z = model(torch.from_numpy(x))
        loss = loss_of(z, torch.from_numpy(y))
        return loss, z, list(torch.autograd.grad(loss, [variable.value for variable in model.trainable_variables]))

    return run


def _with_jax(model: Any, loss_of: Callable[[Any, Any], Any]) -> Differentiate:
    import jax

    jax.config.update("jax_enable_x64", True)
    rest = [variable.value for variable in model.non_trainable_variables]

    def forward(values: Any, x: Any, y: Any) -> Any:
        z, _ = model.stateless_call(values, rest, x)
        return loss_of(z, y), z

    compiled = jax.jit(jax.value_and_grad(forward, has_aux=True))

    def run(x: Array, y: Array) -> tuple[Any, Any, list[Any]]:
        (loss, z), gradients = compiled([variable.value for variable in model.trainable_variables], x, y)
        return loss, z, gradients

    return run


def _with_tensorflow(model: Any, loss_of: Callable[[Any, Any], Any]) -> Differentiate:
    import tensorflow as tf

    def forward(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            z = model(x)
            loss = loss_of(z, y)
        return loss, z, tape.gradient(loss, [variable.value for variable in model.trainable_variables])

    graph = tf.function(forward)
    return lambda x, y: graph(tf.constant(x), tf.constant(y))


_DIFFERENTIATE = {"torch": _with_torch, "jax": _with_jax, "tensorflow": _with_tensorflow}
