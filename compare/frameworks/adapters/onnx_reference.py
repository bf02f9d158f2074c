"""The operators of ONNX as its own reference implementation computes them, without gradients."""

from typing import Any

from onnx.reference import ReferenceEvaluator

from compare.cells.layout import Arrays
from compare.frameworks.case import Call, LayerCase, Leaves
from compare.frameworks.files.onnx_write import layer_model


def build(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """Build an evaluator of a case."""
    evaluator = ReferenceEvaluator(layer_model(case, weights))

    def call(leaves: Leaves, *inputs: Any) -> tuple[Any, ...]:
        return tuple(evaluator.run(None, dict(zip(evaluator.input_names, inputs))))

    return weights, call
