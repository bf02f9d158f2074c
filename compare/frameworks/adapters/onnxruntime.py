"""The operators of ONNX as ONNX Runtime computes them; it has no float64 for them, and no gradient."""

from typing import Any

import onnxruntime

from compare.cells.layout import Arrays
from compare.frameworks.case import Call, LayerCase, Leaves
from compare.frameworks.files.onnx_write import layer_model


def build(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """Build a session of a case."""
    session = onnxruntime.InferenceSession(layer_model(case, weights).SerializeToString())
    names = [argument.name for argument in session.get_inputs()]

    def call(leaves: Leaves, *inputs: Any) -> tuple[Any, ...]:
        return tuple(session.run(None, dict(zip(names, inputs))))

    return weights, call
