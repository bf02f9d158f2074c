"""The graph of an ONNX model, run on labels from its input to its output."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from compare.frameworks.files.chain import Chain
from compare.frameworks.files.onnx_layer import ACTIVATIONS, INPUTS, read_layer
from compare.frameworks.files.stage import Labels, Layer, Marked
from manual.arrays import Array

#: The operators that are recurrent layers.
RECURRENT = frozenset(ACTIVATIONS)

#: The operators that move elements and change none, each with the inputs whose elements those are.
MOVES: dict[str, slice] = dict.fromkeys(
    (
        *("Cast", "CastLike", "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "GatherElements", "GatherND"),
        *("Identity", "Reshape", "ReverseSequence", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose"),
        "Unsqueeze",
    ),
    slice(0, 1),
) | {"Concat": slice(None)}

#: The operators that a readout may end in.
ENDS = {"Sigmoid": "sigmoid", "Tanh": "tanh", "Relu": "relu", "Softmax": "softmax"}


def title_of(node: onnx.NodeProto) -> str:
    """Return what errors call an operator: its name, or else that of what it makes."""
    return f"{node.op_type} {node.name or node.output[0]}"


class Graph:
    """A model that was run on labels, at one size.

    Args:
        part: the name of a recurrent operator if not all of the model has to be one chain. What reads something else is
            then the first of a chain of its own.
        sizes: of the first and the second axis of the input, where these are free.
        batch_axis: which of the two is that of the batch, where an initial state leaves its own free.
    """

    def __init__(self, model: onnx.ModelProto, source: str, part: str, sizes: tuple[int, int], batch_axis: int = 1):
        self.model, self.part, self.sizes, self.chain = model, part, sizes, Chain(source)
        self.opsets = list(model.opset_import)
        self.nodes: list[onnx.NodeProto] = []  # in the order in which they were run, those inside others included
        self.given = list(model.graph.node)
        if not part:
            self.given = needed(self.given, [value.name for value in model.graph.output])
        self.values: dict[str, Array | Marked] = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self.layers: list[Layer] = []
        self.feeds = self._inputs(sizes[batch_axis])
        for node in self.given:
            self._run(node)

    def labels(self, name: str) -> Labels:
        """Return the labels of a value."""
        value = self.values[name]
        if not isinstance(value, Marked) or value.labels is None:
            raise self.chain.error(name, "expected what recurrent layers compute, got something else")
        return value.labels

    def _inputs(self, B: int) -> dict[str, Labels]:
        """Label the inputs of the model. What is free of the first one's shape has the sizes given."""
        feeds: dict[str, Labels] = {}
        dims: dict[str, int] = {}
        widths = [self.values.get(node.input[1]) for node in self.given if node.op_type in RECURRENT]
        D = widths[0].shape[-1] if widths and isinstance(widths[0], np.ndarray) else 1
        for value in self.model.graph.input:
            if value.name in self.values:
                continue
            given = value.type.tensor_type.shape.dim if value.type.tensor_type.HasField("shape") else [None] * 3
            defaults = (*self.sizes, D) if not feeds else (1, B, D)
            shape = []
            for axis, dim in enumerate(given):
                size = dim.dim_value if dim is not None else 0
                name = dim.dim_param if dim is not None else ""
                if size < 1:
                    size = dims.setdefault(name, defaults[min(axis, 2)]) if name else defaults[min(axis, 2)]
                shape.append(size)
            title = f"input {value.name}"
            feeds[value.name] = self.chain.input(title, shape)
            self.values[value.name] = Marked(None if self.part else feeds[value.name])
        return feeds

    def _run(self, node: onnx.NodeProto) -> None:
        """Run one operator on constants and labels."""
        inputs = [self.values[name] if name else None for name in node.input]
        marked = [value for value in inputs if isinstance(value, Marked)]
        try:
            outputs = self._outputs(node, inputs, marked)
        except Exception:  # whatever stands outside of a part may fail on what is not known
            if not self.part or self.part in (node.name, *node.output):
                raise
            outputs = [Marked() for _ in node.output]
            if node.op_type in MOVES and isinstance(inputs[0], np.ndarray) and inputs[0].size and not inputs[0].any():
                outputs = [inputs[0] for _ in node.output]  # zeros of a shape that is not known
        self.nodes.append(node)
        self.values |= {name: output for name, output in zip(node.output, outputs) if name}

    def _outputs(self, node: onnx.NodeProto, inputs: list[Any], marked: list[Marked]) -> Sequence[Array | Marked]:
        """Return what an operator makes of its inputs."""
        kind, is_known = node.op_type, node.domain in ("", "ai.onnx") and not node.op_type.startswith("Random")
        if kind in RECURRENT and is_known:
            return self._layer(node, inputs)
        inner = [title_of(one) for one in inside(node) if one.op_type in RECURRENT]
        if kind == "If" and isinstance(inputs[0], np.ndarray):
            return self._branch(node, bool(inputs[0].item()))
        if inner and self.part:
            return self._within(node)
        if inner:
            title = title_of(node)
            raise self.chain.error(
                title, f"expected recurrent operators outside of If, Loop and Scan, got {', '.join(inner)} in it"
            )
        if not marked and is_known:
            return self._evaluated(node, inputs)
        if any(value.labels is None for value in marked):
            return self._of_unknown(node, inputs)
        if kind in ("Shape", "Size") and is_known:
            return self._evaluated(node, [marked[0].labels])
        moved = inputs[MOVES[kind]] if kind in MOVES else []
        if is_known and moved and all(isinstance(value, Marked) for value in moved) and len(moved) == len(marked):
            return self._moved(node, inputs)
        labels = self._computed(node, inputs) if is_known else None
        if labels is None:
            raise self._refused(node, marked)
        return [Marked(labels)]

    def _layer(self, node: onnx.NodeProto, inputs: list[Any]) -> list[Marked]:
        """Add a recurrent operator to the chain; its outputs are Y (T, K, B, H), Y_h and Y_c (K, B, H)."""
        title, given = title_of(node), dict(zip(INPUTS, inputs))
        for name in "WRBP":
            if isinstance(given.get(name), Marked):
                raise self.chain.error(title, f"expected {name} to be a constant of the model")
        try:
            form, directions, reverse = read_layer(node, given)
        except ValueError as error:
            raise self.chain.error(title, str(error)) from None
        if not isinstance(given["X"], Marked):
            raise self.chain.error(title, "expected to read the input of the model, got constants")
        x = given["X"].labels
        if self.part and (x is None or not self.chain.follows(x)):
            x = self.chain.input(f"what {title} reads", (*self.sizes, directions[0]["weight_ih"].shape[1]))
        lengths = given.get("sequence_lens")
        if isinstance(lengths, Marked) and not self.part:
            raise self.chain.error(title, "sequence_lens: expected none, got lengths that are an input of the model")
        if isinstance(lengths, np.ndarray) and np.any(lengths != len(x)):
            raise self.chain.error(
                title, f"sequence_lens: expected all {len(x)} steps, got the constant {lengths.tolist()}"
            )
        states = [(name, given[name]) for name in ("initial_h", "initial_c") if given.get(name) is not None]
        for name, state in states:
            if isinstance(state, np.ndarray) and state.any():
                raise self.chain.error(title, f"{name}: expected zeros or an input of the model, got other constants")
        initial = [s.labels for _, s in states if isinstance(s, Marked) and s.labels is not None and not self.part]
        if initial and len(initial) != 1 + (node.op_type == "LSTM"):
            raise self.chain.error(
                title, "expected initial_h and initial_c both to be inputs of the model, got one of them"
            )
        y, h, c = self.chain.layer(title, form, directions, x, initial, reverse)
        T, B, width = y.shape
        self.layers.append((node, self.chain.stages[-1], y))
        K = len(directions)
        return [Marked(labels) for labels in (y.reshape(T, B, K, width // K).transpose(0, 2, 1, 3), h, c)]

    def _computed(self, node: onnx.NodeProto, inputs: list[Any]) -> Labels | None:
        """Return the labels that a readout, its bias or its activation hands out; None for another operator."""
        kind, title, chain = node.op_type, title_of(node), self.chain
        given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        marks = [isinstance(value, Marked) for value in inputs]
        first, second, *_ = [value.labels if isinstance(value, Marked) else value for value in (*inputs, None)]
        if kind in ENDS:
            axis = given.get("axis", -1 if self._opset() >= 13 else 1)
            if kind == "Softmax" and self._opset() < 13 and axis % first.ndim != first.ndim - 1:
                return None  # it is over all later axes together
            return chain.activate(title, first, ENDS[kind], axis)
        if marks[:2] not in ([True, False], [False, True]):
            return None
        weight, x = (second, first) if marks[0] else (first, second)
        if kind in ("Add", "Sub"):
            if kind == "Sub" and not marks[0]:
                return chain.affine(title, x, weight, -1)
            return chain.affine(title, x, -weight if kind == "Sub" else weight)
        if kind == "Gemm":
            x = x.T if given.get("transA" if marks[0] else "transB") else x
            weight = weight.T if given.get("transB" if marks[0] else "transA") else weight
            weight = weight * np.asarray(given.get("alpha", 1.0), weight.dtype)
        if kind not in ("MatMul", "Gemm") or weight.ndim < 2 or weight.size != np.prod(weight.shape[-2:]):
            return None
        weight = weight.reshape(weight.shape[-2:])
        if marks[0]:
            logits = chain.product(title, x, weight.T)
        else:
            logits = chain.product(title, x.swapaxes(-1, -2), weight).swapaxes(-1, -2)
        if kind == "Gemm" and len(inputs) > 2 and inputs[2] is not None:
            logits = chain.affine(title, logits, inputs[2] * np.asarray(given.get("beta", 1.0), weight.dtype))
        return logits

    def _moved(self, node: onnx.NodeProto, inputs: list[Any]) -> Sequence[Marked]:
        """Move labels as an operator moves values."""
        labels = [value.labels if isinstance(value, Marked) else value for value in inputs]
        if node.op_type in ("Cast", "CastLike"):
            to = next((a.i for a in node.attribute if a.name == "to"), onnx.TensorProto.FLOAT)
            if to not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
                raise self.chain.error(title_of(node), "expected a cast to float or double, got one that rounds")
            return [Marked(labels[0])]
        if node.op_type == "Dropout":
            if len(labels) > 2 and labels[2] is not None and labels[2]:
                raise self.chain.error(title_of(node), "expected dropout to be off, got training_mode")
            return [Marked(labels[0])]
        return [Marked(np.asarray(array)) for array in self._evaluated(node, labels)]

    def _of_unknown(self, node: onnx.NodeProto, inputs: list[Any]) -> Sequence[Array | Marked]:
        """Return what an operator makes of what was computed outside of a part; zeros of any shape are zero."""
        if node.op_type == "ConstantOfShape":
            value = next((numpy_helper.to_array(a.t) for a in node.attribute if a.name == "value"), np.zeros(1))
            return [value.reshape(())]
        if node.op_type == "Expand" and isinstance(inputs[0], np.ndarray) and np.ptp(inputs[0]) == 0:
            return [inputs[0]]
        return [Marked() for _ in node.output]

    def _branch(self, node: onnx.NodeProto, condition: bool) -> list[Array | Marked]:
        """Run the branch of an If whose condition is a constant."""
        name = "then_branch" if condition else "else_branch"
        graph = next(attribute.g for attribute in node.attribute if attribute.name == name)
        self.values |= {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        for inner in graph.node:
            self._run(inner)
        return [self.values[value.name] for value in graph.output]

    def _within(self, node: onnx.NodeProto) -> list[Array | Marked]:
        """Run what is inside an operator, of which nothing is known but its constants, for the sake of a part in it."""
        for graph in _graphs(node):
            self.values |= {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
            self.values |= {value.name: Marked() for value in graph.input}
            for inner in graph.node:
                self._run(inner)
        return [Marked() for _ in node.output]

    def _evaluated(self, node: onnx.NodeProto, inputs: Sequence[Array | None]) -> Sequence[Array]:
        """Run an operator on arrays."""
        names = [name for name in node.input if name]
        feeds = {name: array for name, array in zip(node.input, inputs) if name}
        graph = helper.make_graph(
            [node],
            "one",
            [helper.make_value_info(name, onnx.TypeProto()) for name in dict.fromkeys(names)],
            [helper.make_value_info(name, onnx.TypeProto()) for name in node.output if name],
        )
        opsets = self.opsets
        if node.op_type == "DequantizeLinear":  # which onnx.reference has from 19 on; it computes the same
            opsets = [helper.make_opsetid("", max(19, self._opset()))]
        one = helper.make_model(graph, opset_imports=opsets)
        return [np.asarray(array) for array in ReferenceEvaluator(one).run(None, feeds)]

    def _opset(self) -> int:
        return max((entry.version for entry in self.opsets if entry.domain in ("", "ai.onnx")), default=1)

    def _refused(self, node: onnx.NodeProto, marked: list[Marked]) -> ValueError:
        """Return the error for an operator that is none of a chain: what it does, and where it stands."""
        owners = [stage for value in marked if value.labels is not None for stage in self.chain.owners(value.labels)]
        titles = list(dict.fromkeys(stage.title for stage in owners if stage.source))
        later = _after(self.given, node)
        following = next((title_of(other) for other in later if other.op_type in RECURRENT), "")
        if not titles:
            place = f"before {following}" if following else "before any recurrent layer"
        else:
            place = f"between {' and '.join([*titles, following])}" if following else f"after {' and '.join(titles)}"
        try:
            does = onnx.defs.get_schema(node.op_type, domain=node.domain).doc.strip().split("\n\n")[0]
            does = f"one that {' '.join(does.split()).partition('. ')[0].rstrip('.')!r}"
        except onnx.defs.SchemaError:
            does = f"one of {node.domain}"
        words = f"expected a recurrent layer, a readout or an operator that only moves elements, got {does}"
        return self.chain.error(f"{title_of(node)}, {place}", words)


def needed(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> list[onnx.NodeProto]:
    """Return the operators that values depend on, in their order."""
    names, found = set(outputs) - {""}, []
    for node in reversed(nodes):
        if names & set(node.output):
            found.append(node)
            names = (names - set(node.output)) | _read_by(node) - {""}
    return found[::-1]


def _read_by(node: onnx.NodeProto) -> set[str]:
    """Return the names of what an operator reads, or an operator inside it."""
    return {*node.input, *(name for one in inside(node) for name in one.input)}


def inside(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """Yield the operators in the graphs that an operator has."""
    for graph in _graphs(node):
        for inner in graph.node:
            yield inner
            yield from inside(inner)


def _graphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """Return the graphs that an operator has: the branches of an If, the body of a Loop."""
    return [g for a in node.attribute for g in [*a.graphs, *([a.g] if a.HasField("g") else [])]]


def _after(nodes: Sequence[onnx.NodeProto], node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return the operators that depend on one, in their order."""
    names, found = set(node.output) - {""}, []
    for other in nodes:
        if names & _read_by(other):
            found.append(other)
            names |= set(other.output) - {""}
    return found
