"""The same network in JAX: a scan over time, differentiated by ``value_and_grad``, compiled, and trained by Optax.

Parameters have PyTorch's names and shapes, and both biases.
"""

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compare.cells import CELLS
from compare.cells.functional import input_products, step
from compare.lockstep.settings import Settings
from compare.lockstep.trainers import ManualTrainer, Pass
from manual.arrays import Array

#: What Optax calls the optimisers' buffers.
BUFFERS = {"adam": {"exp_avg": "mu", "exp_avg_sq": "nu"}, "sgd": {"momentum_buffer": "trace"}}


class JaxTrainer:
    """The network of a run in JAX, with the optimiser of the run from Optax."""

    def __init__(self, settings: Settings, parameters: dict[str, Array]):
        jax.config.update("jax_enable_x64", True)
        self.held = {name: jnp.asarray(array) for name, array in parameters.items()}
        self.kinds = BUFFERS[settings.optimizer] if settings.optimizer == "adam" or settings.momentum else {}
        optimizer = _optimizer(settings)
        self.optimizer_state = optimizer.init(self.held)
        directions = ("", "_reverse")[: 1 + settings.bidirectional]
        suffixes = [[f"_l{k}{end}" for end in directions] for k in range(settings.layers)]

        def logits(parameters: Any, x: Any) -> Any:
            for of_layer in suffixes:
                x = jnp.concatenate([_sweep(settings.cell, parameters, end, x) for end in of_layer], axis=2)
            return x @ parameters["readout.weight"].T + parameters["readout.bias"]

        def loss(parameters: Any, x: Any, y: Any) -> Any:
            z = logits(parameters, x)
            return _LOSSES[settings.loss](z, y), z

        def update(parameters: Any, state: Any, gradients: Any) -> Any:
            updates, state = optimizer.update(gradients, state, parameters)
            return optax.apply_updates(parameters, updates), state

        self._logits, self._update = jax.jit(logits), jax.jit(update)
        self._run = jax.jit(jax.value_and_grad(loss, has_aux=True))

    def run(self, x: Array, y: Array) -> Pass:
        """Run forward and backward on x (T, B, D) with targets y (T, B, 1)."""
        (loss, logits), gradients = self._run(self.held, x, y)
        return Pass(np.asarray(loss), np.asarray(logits), _plain(gradients))

    def update(self, gradients: dict[str, Array]) -> None:
        """Take one optimiser step."""
        self.held, self.optimizer_state = self._update(self.held, self.optimizer_state, gradients)

    def logits(self, x: Array) -> Array:
        """Return the network's logits (T, B, 1) for x (T, B, D)."""
        return np.asarray(self._logits(self.held, x))

    @property
    def parameters(self) -> dict[str, Array]:
        """The parameters by name."""
        return _plain(self.held)

    @property
    def buffers(self) -> dict[str, Array]:
        """The optimiser's buffers by name, as in ``exp_avg of recurrent.weight_ih_l0``."""
        trees = {kind: optax.tree_utils.tree_get(self.optimizer_state, name) for kind, name in self.kinds.items()}
        return {f"{kind} of {name}": np.asarray(a) for kind, tree in trees.items() for name, a in tree.items()}

    def follow(self, leader: ManualTrainer) -> None:
        """Copy the leader's parameters and optimiser buffers."""
        self.load(leader.parameters)
        for kind, name in self.kinds.items():
            tree = {parameter: jnp.array(leader.buffers[f"{kind} of {parameter}"]) for parameter in self.held}
            self.optimizer_state = optax.tree_utils.tree_set(self.optimizer_state, **{name: tree})

    def load(self, parameters: Mapping[str, Array]) -> None:
        """Replace the parameters."""
        self.held = {name: jnp.array(array) for name, array in parameters.items()}

    def copy(self) -> "JaxTrainer":
        """Return an independent side in the same state, which JAX never changes in place."""
        return copy(self)

    def state(self) -> dict[str, Array]:
        """Return everything that training changes, by name; the optimiser's part as in ``optimizer 3``."""
        leaves = jax.tree_util.tree_leaves(self.optimizer_state)
        return self.parameters | {f"optimizer {k}": np.asarray(leaf) for k, leaf in enumerate(leaves)}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Return to a state of the same configuration."""
        self.load({name: state[name] for name in self.held})
        leaves, structure = jax.tree_util.tree_flatten(self.optimizer_state)
        leaves = [jnp.array(state[f"optimizer {k}"]) for k in range(len(leaves))]
        self.optimizer_state = jax.tree_util.tree_unflatten(structure, leaves)


def _optimizer(settings: Settings) -> Any:
    """Build the optimiser of Optax. PyTorch's weight decay is an L2 term of the gradient."""
    decay = optax.add_decayed_weights(settings.weight_decay)
    if settings.optimizer == "sgd":
        momentum = settings.momentum or None
        return optax.chain(decay, optax.sgd(settings.learning_rate, momentum, settings.nesterov))
    return optax.chain(decay, optax.adam(settings.learning_rate))


def _sweep(cell: str, parameters: Any, suffix: str, x: Any) -> Any:
    """Return the output (T, B, H) of one layer in one direction for x (T, B, D)."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = {name: parameters[f"recurrent.{name}{suffix}"] for name in names}
    zeros = jnp.zeros((x.shape[1], weights["weight_hh"].shape[1]), x.dtype)

    def one_step(state: Any, from_x: Any) -> Any:
        state = step(jnp, cell.upper(), weights, from_x, state)
        return state, state[0]

    initial = tuple(zeros for _ in CELLS[cell].states)
    of_x, reverse = input_products(jnp, cell.upper(), weights, x), suffix.endswith("_reverse")
    _, output = jax.lax.scan(one_step, initial, of_x, reverse=reverse)
    return output


_LOSSES: dict[str, Callable[..., Any]] = {
    "bce": lambda z, y: optax.sigmoid_binary_cross_entropy(z, y).mean(),
    "mse": lambda z, y: jnp.square(jax.nn.sigmoid(z) - y).mean(),
}


def _plain(tree: Any) -> dict[str, Array]:
    return {name: np.asarray(array) for name, array in tree.items()}
