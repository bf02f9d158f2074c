"""Each framework's own layer, run in this process: it agrees with ``manual``; no wrong reading of its layout does."""

import os
from dataclasses import replace
from functools import partial
from itertools import permutations

import numpy as np
import pytest
import torch

from compare.agreement import TOLERANCES
from compare.agreement import compare as compare_arrays
from compare.frameworks import adapters
from compare.frameworks.case import LayerCase, by_direction, by_manual, draw
from compare.frameworks.comparison import judge
from compare.frameworks.layouts import LAYOUTS
from compare.frameworks.registry import FRAMEWORKS
from compare.frameworks.worker import prepare

INSTALLED = [
    name
    for name, framework in FRAMEWORKS.items()
    if not framework.missing and framework.environment.get("KERAS_BACKEND") in (None, os.environ["KERAS_BACKEND"])
]
PAIRS = [(name, form) for name in INSTALLED for form in LAYOUTS[FRAMEWORKS[name].layout]]

#: The reference implementation of ONNX has only tanh in its RNN, and ignores input_forget.
LACKING = ("rnn, relu", "rnn, sigmoid", "lstm, coupled", "lstm, peepholes, coupled")
PAIRS = [(name, form) for name, form in PAIRS if name != "onnx" or form not in LACKING]
GATED = [(name, form) for name, form in PAIRS if form in ("lstm", "gru", "gru, reset before")]


def case_of(name, form, directions=1):
    """float32 of Keras, whose float64 is only single precision on some backends, and of what has no other."""
    dtype = "float32" if "float64" not in FRAMEWORKS[name].dtypes or name.startswith("keras") else "float64"
    return LayerCase(form, directions, T=4, B=3, D=2, H=5, dtype=dtype)


class Forward:
    """A framework's own forward pass in a case, given weights under ``manual``'s names, read as any layout says."""

    def __init__(self, name, form):
        framework = FRAMEWORKS[name]
        self.case, self.engine, self.options = case_of(name, form), framework.engine, framework.options
        self.layout = LAYOUTS[framework.layout][form]
        self.problem = draw(self.case, self.layout.lacking)
        self.adapter = getattr(adapters, framework.adapter)
        self.right = by_manual(self.case, self.problem).outputs
        self.compiled = None

    def agrees(self, layout=None, change=lambda parameters: parameters):
        """Whether the framework's outputs are ``manual``'s, with another layout or with its parameters changed."""
        weights = by_direction(self.case, change(self.problem.parameters), layout or self.layout)
        inputs = list(self.problem.inputs.values())
        if self.compiled:
            outputs = self.compiled(weights, *inputs)
        else:
            leaves, call = self.adapter(self.case, weights, **self.options)
            if self.engine == "jax":
                import jax

                jax.config.update("jax_enable_x64", True)
                self.compiled = call = jax.jit(call)
            elif self.engine == "torch":
                inputs = [torch.tensor(array) for array in inputs]
            outputs = call(leaves, *inputs)
        outputs = [np.asarray(o.detach() if hasattr(o, "detach") else o) for o in outputs]
        differences = compare_arrays(dict(zip(self.right, outputs)), self.right, TOLERANCES[self.case.dtype])
        return all(difference.agrees for difference in differences)


@pytest.mark.slow
@pytest.mark.parametrize("name, form", PAIRS)
def test_the_framework_agrees_with_manual(name, form):
    case = case_of(name, form, FRAMEWORKS[name].directions[-1])
    run, as_answer = prepare(name, case)
    found = judge(name, case, as_answer(run()).tensors())
    assert found.agrees, found
    assert found.output is not None
    assert (found.gradient is None) == (FRAMEWORKS[name].engine == "")
    assert found.ulps.rms < 2


@pytest.mark.slow
@pytest.mark.parametrize("name, form", GATED)
def test_each_wrong_reading_is_noticed(name, form):
    forward = Forward(name, form)
    order = forward.layout.order

    def by_gate(array):
        return dict(zip(order, np.split(array, len(order))))

    def permuted(parameters, wrong):
        held = {n: a for n, a in parameters.items() if not (forward.layout.lacking and n.startswith("bias_hh"))}
        return parameters | {n: np.concatenate([by_gate(a)[gate] for gate in wrong]) for n, a in held.items()}

    for wrong in permutations(order):
        assert forward.agrees(change=partial(permuted, wrong=wrong)) == (wrong == order), wrong
    assert not forward.agrees(
        change=lambda p: p | {"weight_hh_l0": np.concatenate([b.T for b in by_gate(p["weight_hh_l0"]).values()])}
    )
    if form == "gru" and not forward.layout.lacking:
        assert not forward.agrees(change=lambda p: p | {"bias_ih_l0": p["bias_hh_l0"], "bias_hh_l0": p["bias_ih_l0"]})
    if form.startswith("gru"):  # the reset gate in the other place
        other = replace(forward.case, form="gru" if form != "gru" else "gru, reset before")
        forward.right = by_manual(other, forward.problem).outputs
        assert not forward.agrees()


@pytest.mark.slow
@pytest.mark.skipif("haiku" not in INSTALLED, reason="Haiku is not installed")
@pytest.mark.parametrize("form, change", [("lstm", {"added": {}}), ("gru, reset before", {"negated": ""})])
def test_what_is_peculiar_to_haiku_is_noticed_if_it_is_left_out(form, change):
    forward = Forward("haiku", form)
    assert forward.agrees()
    assert not forward.agrees(replace(forward.layout, **change))


@pytest.mark.skipif("nnx" not in INSTALLED, reason="Flax is not installed")
def test_nnx_cannot_hold_a_gru_of_torch():
    case = case_of("nnx", "gru")
    with pytest.raises(ValueError, match="bias_hh: expected zeros for gate n"):
        by_direction(case, draw(case).parameters, LAYOUTS["nnx"]["gru"])
