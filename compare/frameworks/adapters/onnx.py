"""The operators of ONNX as its runtimes compute them, without gradients."""

from collections.abc import Callable, Sequence
from typing import Any

from compare.cells.layout import Arrays
from compare.frameworks.case import Call, LayerCase, Leaves
from compare.frameworks.files.onnx_write import layer_model


def build(case: LayerCase, weights: list[Arrays], runtime: str) -> tuple[Leaves, Call]:
    """Build the layer of a case for a runtime, a key of ``RUNTIMES``."""
    run = RUNTIMES[runtime](layer_model(case, weights))
    return weights, lambda leaves, *inputs: tuple(run(inputs))


def _onnxruntime(model: Any) -> Callable[[Any], Sequence[Any]]:
    """ONNX Runtime, which has no float64 for them."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [argument.name for argument in session.get_inputs()]
    return lambda inputs: session.run(None, dict(zip(names, inputs)))


def _reference(model: Any) -> Callable[[Any], Sequence[Any]]:
    """ONNX's own reference implementation."""
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model)
    return lambda inputs: evaluator.run(None, dict(zip(evaluator.input_names, inputs)))


def _openvino(model: Any) -> Callable[[Any], Sequence[Any]]:
    """OpenVINO on the processor, at full precision."""
    import openvino

    core, options = openvino.Core(), {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", options)
    return lambda inputs: compiled(list(inputs)).to_tuple()


RUNTIMES = {"onnxruntime": _onnxruntime, "reference": _reference, "openvino": _openvino}
