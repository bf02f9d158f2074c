"""The operators of ONNX as OpenVINO computes them on the processor, without gradients."""

from typing import Any

import openvino

from compare.cells.layout import Arrays
from compare.frameworks.case import Call, LayerCase, Leaves
from compare.frameworks.files.onnx_write import layer_model


def build(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """Compile a model of a case, at full precision."""
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    model = core.compile_model(core.read_model(layer_model(case, weights).SerializeToString()), "CPU", options)

    def call(leaves: Leaves, *inputs: Any) -> tuple[Any, ...]:
        return tuple(model(list(inputs)).to_tuple())

    return weights, call
