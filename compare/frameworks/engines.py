"""How each framework differentiates: what makes outputs and gradients of a call on its own tensors.

A framework that only infers has ``infer``.
"""

from collections.abc import Callable, Sequence
from typing import Any

from compare.checker.derivations.problem import Problem
from compare.frameworks.case import Call, Leaves, Run


def infer(leaves: Leaves, call: Call, problem: Problem) -> Run:
    """Call; there are no gradients."""
    return lambda: (call(leaves, *problem.inputs.values()), [], [])


def with_jax(leaves: Leaves, call: Call, problem: Problem) -> Run:
    """Compile the call and its vector-Jacobian product as one."""
    import jax

    def both(leaves: Any, inputs: Any, incoming: Any) -> Any:
        outputs, pull_back = jax.vjp(lambda leaves, inputs: call(leaves, *inputs), leaves, inputs)
        d_leaves, d_inputs = pull_back(incoming)
        return outputs, d_inputs, d_leaves

    compiled = jax.jit(both)
    numbers = leaves, [*problem.inputs.values()], [*problem.d_outputs.values()]
    given = jax.tree_util.tree_map(jax.numpy.asarray, numbers)
    return lambda: jax.block_until_ready(compiled(*given))


def with_torch(leaves: Leaves, call: Call, problem: Problem) -> Run:
    """Record the call on a tape; the leaves are the parameters that it uses."""
    import torch

    return _on_tape(leaves, call, problem, torch.autograd.grad, torch.tensor, requires_grad=True)


def with_paddle(leaves: Leaves, call: Call, problem: Problem) -> Run:
    """Record the call on a tape; the leaves are the parameters that it uses."""
    import paddle

    return _on_tape(leaves, call, problem, paddle.grad, paddle.to_tensor, stop_gradient=False)


def _on_tape(
    leaves: Leaves,
    call: Call,
    problem: Problem,
    differentiate: Callable[..., Any],
    tensor: Callable[..., Any],
    **recorded: bool,
) -> Run:
    inputs = [tensor(array, **recorded) for array in problem.inputs.values()]
    incoming = [tensor(array) for array in problem.d_outputs.values()]

    def run() -> Any:
        outputs = call(leaves, *inputs)
        gradients = differentiate(list(outputs), [*inputs, *_flat(leaves)], incoming)
        return outputs, gradients[: len(inputs)], _as_leaves(gradients[len(inputs) :], leaves)

    return run


def with_tensorflow(leaves: Leaves, call: Call, problem: Problem) -> Run:
    """Trace the call and its gradient into one graph; the leaves are the variables that it uses."""
    import tensorflow as tf

    inputs = [tf.constant(array) for array in problem.inputs.values()]
    incoming = [tf.constant(array) for array in problem.d_outputs.values()]

    def both() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = call(leaves, *inputs)
        return outputs, *tape.gradient(outputs, (inputs, leaves), output_gradients=incoming)

    graph = tf.function(both)
    return lambda: graph()


def with_mlx(leaves: Leaves, call: Call, problem: Problem) -> Run:
    """Take the vector-Jacobian product of the call."""
    import mlx.core as mx

    dtype = getattr(mx, str(problem.inputs["x"].dtype))  # unasked, MLX makes float32 of float64
    given = [mx.array(a, dtype) for a in (*problem.inputs.values(), *_flat(leaves))]
    incoming = [mx.array(a, dtype) for a in problem.d_outputs.values()]
    count = len(problem.inputs)

    def flat_call(*arrays: Any) -> Any:
        return call(_as_leaves(arrays[count:], leaves), *arrays[:count])

    def run() -> Any:
        outputs, gradients = mx.vjp(flat_call, given, incoming)
        mx.eval(outputs, gradients)
        return outputs, gradients[:count], _as_leaves(gradients[count:], leaves)

    return run


def _flat(leaves: Leaves) -> list[Any]:
    return [leaf for arrays in leaves for leaf in arrays.values()]


def _as_leaves(flat: Sequence[Any], leaves: Leaves) -> Leaves:
    """Return a flat sequence in the form of ``leaves``."""
    values = iter(flat)
    return [{name: next(values) for name in arrays} for arrays in leaves]


#: By the names that the registry uses.
ENGINES: dict[str, Callable[[Leaves, Call, Problem], Run]] = {
    "": infer,
    "jax": with_jax,
    "torch": with_torch,
    "paddle": with_paddle,
    "tensorflow": with_tensorflow,
    "mlx": with_mlx,
}
