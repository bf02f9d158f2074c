"""A JAX scan, differentiated by ``value_and_grad`` and compiled as a whole."""

from typing import Any

import jax
import jax.numpy as jnp

from compare.benchmark.case import LEARNING_RATE, Inputs, Result, TimedCase, Work, layer_result, step_gradients
from compare.cells import CELLS
from compare.cells.functional import bce, input_products, step


def build(case: TimedCase, inputs: Inputs) -> Work:
    """Compile the layer's forward and backward pass, or a training step with Adam."""
    jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call,unused-ignore]
    device = jax.tree_util.tree_map(jnp.asarray, inputs)

    def forward(weights: Any, x: Any, state: Any) -> Any:
        def body(carry: Any, from_x: Any) -> Any:
            carry = step(jnp, case.cell, weights, from_x, carry)
            return carry, carry[0]

        last, output = jax.lax.scan(body, state, input_products(jnp, case.cell, weights, x))
        return output, last

    if case.task == "step":
        state = tuple(jnp.zeros((case.B, case.H), case.dtype) for _ in CELLS[case.cell.lower()].states)

        def loss_of(parameters: Any) -> Any:
            output, _ = forward(parameters["recurrent"], device.x, state)
            logits = output @ parameters["readout"]["weight"].T + parameters["readout"]["bias"]
            return bce(jnp, logits, device.d_output), logits

        def adam(parameters: Any, mean: Any, square: Any, k: Any) -> Any:
            (loss, logits), gradients = jax.value_and_grad(loss_of, has_aux=True)(parameters)
            tree = jax.tree_util.tree_map
            mean = tree(lambda m, g: m + 0.1 * (g - m), mean, gradients)
            square = tree(lambda v, g: 0.999 * v + 0.001 * g * g, square, gradients)
            rate, root = LEARNING_RATE / (1 - 0.9**k), (1 - 0.999**k) ** 0.5
            parameters = tree(lambda p, m, v: p - rate * m / (v**0.5 / root + 1e-8), parameters, mean, square)
            return (parameters, mean, square, k + 1), loss, logits, gradients

        update = jax.jit(adam)
        parameters = {"recurrent": device.weights, "readout": device.readout}
        zeros = jax.tree_util.tree_map(jnp.zeros_like, parameters)
        training: tuple[Any, ...] = (parameters, zeros, zeros, jnp.asarray(1.0, case.dtype))

        def train() -> Result:
            nonlocal training
            training, loss, logits, gradients = _finished(update(*training))
            return Result({"loss": loss, "logits": logits}, step_gradients(**gradients))

        return train

    def weighted_sum(weights: Any, x: Any, state: Any) -> Any:
        """Weight the outputs by their incoming gradients, so that its gradient is the layer's backward pass."""
        output, last = forward(weights, x, state)
        total = (output * device.d_output).sum() + sum((s * d).sum() for s, d in zip(last, device.d_state))
        return total, (output, last)

    both = jax.jit(jax.value_and_grad(weighted_sum, argnums=(0, 1, 2), has_aux=True))

    def run() -> Result:
        (_, (output, last)), (gradients, d_x, d_initial) = _finished(both(device.weights, device.x, device.state))
        return layer_result(output, last, d_x, d_initial, {f"{name}_l0": g for name, g in gradients.items()})

    return run


def _finished(results: Any) -> Any:
    """Wait for the results, which JAX computes asynchronously."""
    return jax.block_until_ready(results)  # type: ignore[no-untyped-call,unused-ignore]
