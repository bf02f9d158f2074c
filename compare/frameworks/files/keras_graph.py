"""The graph of a Keras model, run on labels from its input to its output."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from compare.frameworks.files.chain import Chain
from compare.frameworks.files.keras_layer import KINDS, cells_of, check_layer
from compare.frameworks.files.stage import Labels, Layer, Marked

#: The layers and operations that move elements and change none, and those that do nothing but in training.
MOVES = frozenset(
    (
        *("Reshape", "Permute", "Flatten", "RepeatVector", "Cropping1D", "Concatenate", "Transpose", "Moveaxis"),
        *("Swapaxes", "ExpandDims", "Squeeze", "Flip", "GetItem", "Stack", "Split", "Unstack", "Take", "Slice", "Cast"),
    )
)
UNCHANGED = frozenset(
    (
        *("Identity", "Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout"),
        *("ActivityRegularization", "StopGradient"),
    )
)

#: The activations of a readout, by the names of layers and operations. ReLU has options that change it.
ENDS = {"Sigmoid": "sigmoid", "Tanh": "tanh", "Relu": "relu", "ReLU": "relu", "Softmax": "softmax"}


class Graph:
    """A functional model that was run on labels, at one size.

    Args:
        part: the name of a recurrent layer if not all of the model has to be one chain. What reads something else is
            then the first of a chain of its own.
        sizes: of B and T, where the model leaves these free.
    """

    def __init__(self, model: Any, source: str, part: str, sizes: tuple[int, int]):
        self.part, self.sizes, self.chain = part, sizes, Chain(source)
        self.values: dict[int, Any] = {}  # by the identity of Keras's symbolic tensors
        self.layers: list[Layer] = []
        self.nodes: list[Any] = []
        self.feeds: list[Labels] = []
        for tensor in model.inputs:
            free = iter(sizes)
            shape = [next(free, 1) if size is None else size for size in tensor.shape]
            self.feeds.append(self.chain.input(f"input {tensor.name}", shape))
            self.values[id(tensor)] = Marked(None if part else self.feeds[-1])
        self._run(model)

    def labels(self, tensor: Any) -> Labels:
        """Return the labels of a symbolic tensor."""
        value = self.values.get(id(tensor))
        if not isinstance(value, Marked) or value.labels is None:
            raise self.chain.error("output", "expected what recurrent layers compute, got something else")
        return value.labels

    def _run(self, model: Any) -> None:
        """Run all operations of a functional model whose inputs have values."""
        by_depth = model._nodes_by_depth
        for node in [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]:
            if node.is_input:
                continue
            arguments, options = node.arguments.fill_in(self.values)
            try:
                outputs = self._outputs(node, arguments, options)
            except ValueError:
                if not self.part or self.part == node.operation.name:
                    raise
                outputs = [Marked() for _ in node.outputs]
            self.nodes.append(node)
            self.values |= {id(tensor): value for tensor, value in zip(node.outputs, outputs)}

    def _outputs(self, node: Any, arguments: Any, options: dict[str, Any]) -> Sequence[Marked]:
        """Return what an operation makes of its inputs."""
        operation, kind = node.operation, type(node.operation).__name__
        values = [self.values[id(tensor)] for tensor in node.input_tensors]
        if kind in KINDS:
            return self._layer(node, arguments, options)
        if hasattr(operation, "_nodes_by_depth") or hasattr(operation, "_functional"):
            return self._model(operation, values)
        if any(value.labels is None for value in values):
            return [Marked() for _ in node.outputs]
        if kind in UNCHANGED:
            return values[:1]
        if kind in MOVES:
            return self._moved(node, arguments, options)
        labels = self._computed(operation, kind, arguments, values)
        if labels is None:
            raise self._refused(node, values)
        return [Marked(labels)]

    def _model(self, model: Any, values: list[Marked]) -> list[Marked]:
        """Run a model that is a layer of another."""
        inner = getattr(model, "_functional", None) or model
        if not hasattr(inner, "_nodes_by_depth"):
            raise self.chain.error(model.name, "expected a Sequential or functional model, got a class of its own")
        self.values |= {id(tensor): value for tensor, value in zip(inner.inputs, values)}
        self._run(inner)
        return [self.values[id(tensor)] for tensor in inner.outputs]

    def _layer(self, node: Any, arguments: Any, options: dict[str, Any]) -> list[Marked]:
        """Add a recurrent layer, or a stack of cells, to the chain."""
        layer, chain = node.operation, self.chain
        title = title_of(layer)
        try:
            check_layer(layer)
            stack = cells_of(layer)
        except ValueError as error:
            raise chain.error(title, str(error)) from None
        x, *states = [arguments[0], *_listed(arguments[1:]), *_listed(options.get("initial_state"))]
        if isinstance(x, list):
            x, states = x[0], [*x[1:], *states]
        if options.get("mask") is not None:
            raise chain.error(title, "expected no mask, got one")
        if x.labels is None and not self.part:
            raise chain.error(title, "expected to read the input of the model, got constants")
        if x.labels is None or (self.part and not chain.follows(x.labels.swapaxes(0, 1))):
            given = node.input_tensors[0].shape[:2]
            shape = [size or free for size, free in zip(given, self.sizes)] + [stack[0][1][0]["weight_ih"].shape[1]]
            x = Marked(chain.input(f"what {title} reads", shape))
        by_step = x.labels.swapaxes(0, 1)  # (T, B, D)
        initial = self._initial(title, states, len(stack[0][1]))
        if initial and len(stack) > 1:
            raise chain.error(title, "expected no initial state of a stack of cells, got one")
        ends: list[Labels] = []
        for form, directions in stack:
            y, h, c = chain.layer(title, form, directions, by_step, initial, layer_runs_backwards(layer))
            by_step = y
            ends += [part[k] for k in range(len(directions)) for part in ((h, c) if form.startswith("lstm") else (h,))]
        self.layers.append((node, chain.stages[-1], y))
        final = np.concatenate(list(h), axis=-1)  # (B, directions * H)
        in_order = y[::-1] if layer_runs_backwards(layer) else y  # as it comes out, the last step of time first
        outputs = [in_order.swapaxes(0, 1) if layer.return_sequences else final]
        return [Marked(labels) for labels in (*outputs, *(ends if layer.return_state else ()))]

    def _initial(self, title: str, states: list[Any], K: int) -> list[Labels]:
        """Return the labels of an initial state, (directions, B, H) each; nothing where it is zero."""
        given = [state for state in states if isinstance(state, Marked)]
        for state in states:
            if state is not None and not isinstance(state, Marked) and np.any(np.asarray(state)):
                raise self.chain.error(title, "initial_state: expected zeros or inputs of the model, got constants")
        if self.part or not given:
            return []
        if len(given) != len(states):
            raise self.chain.error(title, "initial_state: expected all parts to be inputs of the model, got some")
        count = len(given) // K
        return [np.stack([given[k * count + part].labels for k in range(K)]) for part in range(count)]

    def _computed(self, operation: Any, kind: str, arguments: Any, values: list[Marked]) -> Labels | None:
        """Return the labels that a readout, its bias or its activation hands out; None for another operation."""
        chain, title, x = self.chain, title_of(operation), values[0].labels
        if kind == "TimeDistributed":
            return self._computed(operation.layer, type(operation.layer).__name__, arguments, values)
        if kind == "Dense":
            arrays = [np.array(array) for array in operation.get_weights()]
            weight, bias = arrays[0].T.copy(), arrays[1] if operation.use_bias else None
            logits = chain.product(title, x, weight)
            logits = logits if bias is None else chain.affine(title, logits, bias)
            name = operation.activation.__name__
            if name == "linear":
                return logits
            if name not in ENDS.values():
                raise chain.error(title, f"expected one of linear, {', '.join(sorted(set(ENDS.values())))}, got {name}")
            return chain.activate(title, logits, name)
        if kind == "Activation":
            name = operation.activation.__name__
            return chain.activate(title, x, name) if name in ENDS.values() else x if name == "linear" else None
        options = operation.get_config() if kind in ("ReLU", "Softmax") and hasattr(operation, "get_config") else {}
        if kind in ENDS and not any(options.get(name) for name in ("max_value", "negative_slope", "threshold")):
            axis = options.get("axis", getattr(operation, "axis", -1))
            return chain.activate(title, x, ENDS[kind], axis) if isinstance(axis, int) else None
        if len(values) != 1 or len(arguments) != 2 or kind not in ("Add", "Subtract", "Matmul"):
            return None
        is_first = isinstance(arguments[0], Marked)
        constant = np.asarray(arguments[1] if is_first else arguments[0])
        if kind == "Matmul":
            return chain.product(title, x, constant.T) if is_first and constant.ndim == 2 else None
        if kind == "Subtract" and not is_first:
            return chain.affine(title, x, constant, -1)
        return chain.affine(title, x, -constant if kind == "Subtract" else constant)

    def _moved(self, node: Any, arguments: Any, options: dict[str, Any]) -> list[Marked]:
        """Move labels as an operation moves values."""
        import keras

        def plain(value: Any) -> Any:
            if isinstance(value, Marked):
                return keras.ops.convert_to_tensor(value.labels)
            return type(value)(map(plain, value)) if isinstance(value, (list, tuple)) else value

        if type(node.operation).__name__ == "Cast" and str(node.outputs[0].dtype) not in ("float32", "float64"):
            raise self.chain.error(title_of(node.operation), "expected a cast to float32 or float64, got another")
        if type(node.operation).__name__ == "Cast":
            return [arguments[0]]
        kept = {name: plain(value) for name, value in options.items() if name not in ("training", "mask")}
        outputs = node.operation.call(*map(plain, arguments), **kept)
        return [Marked(keras.ops.convert_to_numpy(output).astype(np.int64)) for output in _listed(outputs)]

    def _refused(self, node: Any, values: list[Marked]) -> ValueError:
        """Return the error for an operation that is none of a chain: what it does, and where it stands."""
        from keras import ops

        owners = [stage for value in values for stage in self.chain.owners(value.labels)]
        titles = list(dict.fromkeys(stage.title for stage in owners if stage.source))
        place = f"after {' and '.join(titles)}" if titles else "before any recurrent layer"
        function = getattr(ops, re.sub(r"_\d+$", "", node.operation.name), None)
        text = str(type(node.operation).__doc__ or getattr(function, "__doc__", "") or "is of another kind")
        does = text.strip().partition("\n")[0].rstrip(".")
        words = f"expected a recurrent layer, a readout or one that only moves elements, got one that {does!r}"
        return self.chain.error(f"{title_of(node.operation)}, {place}", words)


def title_of(operation: Any) -> str:
    """Return what errors call a layer or an operation."""
    return f"{type(operation).__name__} {operation.name}"


def layer_runs_backwards(layer: Any) -> bool:
    """Return whether a layer of one direction reads its input from the last step to the first."""
    return bool(getattr(layer, "go_backwards", False))


def _listed(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
