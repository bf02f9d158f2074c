"""The process that a framework runs in: ``python -m compare.frameworks.worker NAME``.

It is asked for the versions that it runs on, and to run cases: it writes outputs and gradients to a file, and answers
with times and memory. An engine makes outputs and gradients of a call on a framework's own tensors.
"""

import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from compare import workers
from compare.cells.layout import Arrays
from compare.checker.derivations.problem import Answer, Problem
from compare.frameworks import adapters
from compare.frameworks.case import Call, LayerCase, Leaves, Run, by_direction, by_manual, draw
from compare.frameworks.layouts import LAYOUTS
from compare.frameworks.registry import FRAMEWORKS
from manual.arrays import Array


def infer(leaves: Leaves, call: Call, problem: Problem) -> Run:
    """Call; there are no gradients."""
    return lambda: (call(leaves, *problem.inputs.values()), [], [])


def with_jax(leaves: Leaves, call: Call, problem: Problem) -> Run:
    """Compile the call and its vector-Jacobian product as one."""
    import jax

    def both(leaves: Any, inputs: Any, incoming: Any) -> Any:
        outputs, pull_back = jax.vjp(lambda leaves, inputs: list(call(leaves, *inputs)), leaves, inputs)
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


#: Seconds, and runs at the least, that a case is timed for once it has run.
SECONDS, RUNS = 0.2, 3


def prepare(name: str, case: LayerCase) -> tuple[Callable[[], Any], Callable[[Any], Answer]]:
    """Return what runs a case once, and what makes an answer of its result; ``manual`` is a framework, too."""
    if name == "manual":
        return partial(by_manual, case, draw(case)), lambda answer: answer
    framework = FRAMEWORKS[name]
    layout = LAYOUTS[framework.layout][case.form]
    problem = draw(case, layout.lacking)
    if framework.engine == "jax":
        import_module("jax").config.update("jax_enable_x64", True)
    weights = by_direction(case, problem.parameters, layout)
    leaves, call = getattr(adapters, framework.adapter)(case, weights, **framework.options)

    def as_answer(result: Any) -> Answer:
        outputs, d_inputs, d_leaves = result
        gradients: Arrays = {}
        for suffix, own in zip(case.suffixes, d_leaves):
            arrays = layout.gradients({name: _plain(tensor) for name, tensor in own.items()})
            gradients |= {name + suffix: array for name, array in arrays.items()}
        by_name = dict(zip(problem.d_outputs, map(_plain, outputs)))
        return Answer(by_name, dict(zip(problem.inputs, map(_plain, d_inputs))), gradients)

    return ENGINES[framework.engine](leaves, call, problem), as_answer


def measure(name: str, case: LayerCase, file: Path) -> dict[str, Any]:
    """Run a case: leave its tensors in a file, return seconds of the first call and of a later one, and peak bytes."""
    start = perf_counter()
    run, as_answer = prepare(name, case)
    result = run()
    first = perf_counter() - start
    with file.open("wb") as stream:
        np.savez(stream, **as_answer(result).tensors())  # type: ignore[arg-type]
    seconds: list[float] = []
    while len(seconds) < RUNS or sum(seconds) < SECONDS:
        start = perf_counter()
        run()
        seconds.append(perf_counter() - start)
    return {"first": first, "step": statistics.median(seconds), "peak": workers.memory("VmHWM")}


def answer(name: str, order: dict[str, Any]) -> dict[str, Any]:
    """Return the versions that a framework runs on, or what comes of a case."""
    if not order:
        modules = ("numpy",) if name == "manual" else FRAMEWORKS[name].modules
        return {module: import_module(module).__version__.partition("-")[0] for module in modules}
    try:
        return measure(name, LayerCase(**order["case"]), Path(order["file"]))
    except Exception as error:  # any that a framework raises is a finding, and the next case may run
        return {"problem": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}


def _plain(tensor: Any) -> Array:
    """Return a tensor of any framework as a NumPy array."""
    return np.asarray(tensor.detach() if hasattr(tensor, "detach") else tensor)


if __name__ == "__main__":
    workers.serve(partial(answer, sys.argv[1]))
