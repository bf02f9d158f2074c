"""The layers of ``manual``, each run reusing the memory of the previous run's tape."""

from typing import Any

import numpy as np

import manual
from compare.benchmark.case import LEARNING_RATE, Inputs, Result, TimedCase, Work, layer_result
from manual.arrays import as_state, state_parts


def with_numpy(case: TimedCase, inputs: Inputs) -> Work:
    """Build the work that NumPy does."""
    return _work(case, inputs, "numpy")


def compiled(case: TimedCase, inputs: Inputs) -> Work:
    """Build the work that compiled loops do wherever they are faster."""
    return _work(case, inputs, "compiled")


def _work(case: TimedCase, inputs: Inputs, engine: str) -> Work:
    """Build the layer, or for a training step the model and its optimiser."""
    rng = np.random.default_rng(0)
    options: dict[str, Any] = {"dtype": case.dtype, "rng": rng, "threads": case.threads, "engine": engine}
    layer = getattr(manual, case.cell)(case.D, case.H, **options)
    for name, array in inputs.weights.items():
        layer.parameters[f"{name}_l0"][...] = array
    tape: Any = None
    if case.task == "step":
        readout = manual.Linear(case.H, 1, dtype=case.dtype, rng=rng)
        for name, array in inputs.readout.items():
            readout.parameters[name][...] = array
        model = manual.Model(layer, readout)
        optimizer = manual.Adam(model.parameters, lr=LEARNING_RATE, engine=engine)
        loss_of, d_loss_of = manual.LOSSES["bce"]

        def step() -> Result:
            nonlocal tape
            logits, _, tape = model.forward(inputs.x, out=tape)
            loss = loss_of(logits, inputs.d_output)
            _, _, gradients = model.backward(tape, d_loss_of(logits, inputs.d_output))
            optimizer.step(gradients)
            return Result({"loss": loss, "logits": logits}, gradients)

        return step

    state, d_state = as_state(s[None] for s in inputs.state), as_state(d[None] for d in inputs.d_state)

    def run() -> Result:
        nonlocal tape
        output, last, tape = layer.forward(inputs.x, state, out=tape)
        d_x, d_initial, gradients = layer.backward(tape, inputs.d_output, d_state)
        return layer_result(output, state_parts(last), d_x, state_parts(d_initial), gradients)

    return run
