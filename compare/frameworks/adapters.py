"""How each framework's own layer is built and called. A framework is imported where it is asked for, and not before.

Each function returns leaves and a call. ``weights`` are those of each direction in the framework's layout, the leaves
the same as tensors to differentiate with respect to. ``call(leaves, x, *state)`` runs the layer on x (T, B, D) from a
state, (directions, B, H) each; it returns the output (T, B, directions * H) and the final state, (directions, B, H)
each.
"""

from importlib import import_module
from typing import Any

import numpy as np

from compare.cells.layout import Arrays
from compare.frameworks.case import Call, LayerCase, Leaves
from compare.frameworks.layouts import FORMS, LAYOUTS
from manual.arrays import as_state, state_parts


def torch_nn(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """``torch.nn.LSTM``, ``GRU`` and ``RNN``."""
    import torch

    form = FORMS[case.form]
    options = {"bidirectional": case.directions == 2, "dtype": getattr(torch, case.dtype), **form.options}
    if "weight_hr" in weights[0]:
        options["proj_size"] = len(weights[0]["weight_hr"])
    layer = form.cell.of(torch.nn)(case.D, case.H, **options)
    leaves = [
        {name: layer.get_parameter(name + suffix) for name in arrays} for arrays, suffix in zip(weights, case.suffixes)
    ]
    with torch.no_grad():
        for own, arrays in zip(leaves, weights):
            for name, array in arrays.items():
                own[name].copy_(torch.from_numpy(array))

    def call(leaves: Leaves, x: Any, *state: Any) -> tuple[Any, ...]:
        output, last = layer(x, as_state(state))
        return output, *state_parts(last)

    return leaves, call


def paddle(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """``paddle.nn.LSTM``, ``GRU`` and ``SimpleRNN``."""
    import paddle

    paddle.set_default_dtype(case.dtype)
    kind = {"lstm": paddle.nn.LSTM, "gru": paddle.nn.GRU}.get(case.form, paddle.nn.SimpleRNN)
    options = {"activation": "relu"} if case.form == "rnn, relu" else {}
    direction = "bidirect" if case.directions == 2 else "forward"
    layer = kind(case.D, case.H, time_major=True, direction=direction, **options)
    leaves = [
        {name: getattr(layer, name + suffix) for name in arrays} for arrays, suffix in zip(weights, case.suffixes)
    ]
    for own, arrays in zip(leaves, weights):
        for name, array in arrays.items():
            own[name].set_value(array)

    def call(leaves: Leaves, x: Any, *state: Any) -> tuple[Any, ...]:
        output, last = layer(x, as_state(state))
        return output, *state_parts(last)

    return leaves, call


def flax(case: LayerCase, weights: list[Arrays], api: str) -> tuple[Leaves, Call]:
    """The cells of ``flax.linen`` and of ``flax.nnx`` in their ``RNN`` and ``Bidirectional``. A carry is (c, h)."""
    import jax.numpy as jnp
    from flax.traverse_util import unflatten_dict

    flax, both = import_module(f"flax.{api}"), case.directions == 2
    cell = getattr(flax, {"lstm": "OptimizedLSTMCell", "gru": "GRUCell"}.get(case.form, "SimpleCell"))
    options = {"activation_fn": flax.relu} if case.form == "rnn, relu" else {}
    if api == "linen":
        layers = [flax.RNN(cell(case.H, **options)) for _ in weights]
        layer = flax.Bidirectional(*layers) if both else layers[0]
    else:
        options |= {"dtype": case.dtype, "param_dtype": case.dtype, "rngs": flax.Rngs(0)}
        layers = [flax.RNN(cell(case.D, case.H, **options)) for _ in weights]
        graphs = [flax.split(layer, flax.Param, ...) for layer in layers]

    def call(leaves: Leaves, x: Any, *state: Any) -> tuple[Any, ...]:
        cells = [{"cell": unflatten_dict(arrays, sep="/")} for arrays in leaves]
        carries = tuple(as_state(part[k] for part in reversed(state)) for k in range(len(leaves)))
        carry = {"initial_carry": carries if both else carries[0], "time_major": True, "return_carry": True}
        if api == "linen":
            named = dict(zip(("forward_rnn", "backward_rnn"), cells)) if both else cells[0]
            last, output = layer.apply({"params": named}, x, **carry)
        else:
            runs = [flax.merge(graph, flax.State(cell), rest) for (graph, _, rest), cell in zip(graphs, cells)]
            last, output = (flax.Bidirectional(*runs) if both else runs[0])(x, **carry)
        parts = zip(*(reversed(state_parts(of_one)) for of_one in (last if both else [last])))
        return output, *(jnp.stack(part) for part in parts)

    return weights, call


def haiku(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """The cores of Haiku, unrolled by ``dynamic_unroll``. Haiku has no layer that runs backwards."""
    import haiku as hk

    core = {"lstm": hk.LSTM, "gru, reset before": hk.GRU, "rnn, relu": hk.VanillaRNN}[case.form]

    def unroll(x: Any, state: Any) -> Any:
        return hk.dynamic_unroll(core(case.H, name="core"), x, state)

    layer = hk.without_apply_rng(hk.transform(unroll))

    def call(leaves: Leaves, x: Any, *state: Any) -> tuple[Any, ...]:
        modules: dict[str, dict[str, Any]] = {}
        for name, array in leaves[0].items():
            *path, leaf = name.split("/")
            modules.setdefault("/".join(["core", *path]), {})[leaf] = array
        first = [part[0] for part in state]
        output, last = layer.apply(modules, x, hk.LSTMState(*first) if len(first) == 2 else first[0])
        return output, *(part[None] for part in state_parts(last))

    return weights, call


def equinox(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """The cells of ``equinox.nn``, over the batch by ``vmap`` and over time by ``scan``, as its manual shows."""
    import equinox as eqx
    import jax

    cell = {"lstm": eqx.nn.LSTMCell, "gru": eqx.nn.GRUCell}[case.form](case.D, case.H, key=jax.random.key(0))

    def call(leaves: Leaves, x: Any, *state: Any) -> tuple[Any, ...]:
        names = list(leaves[0])
        own = eqx.tree_at(lambda c: [getattr(c, name) for name in names], cell, [leaves[0][name] for name in names])

        def step(carry: Any, x: Any) -> Any:
            carry = jax.vmap(own)(x, carry)
            return carry, state_parts(carry)[0]

        last, output = jax.lax.scan(step, as_state(part[0] for part in state), x)
        return output, *(part[None] for part in state_parts(last))

    return weights, call


def mlx(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """``mlx.nn``'s layers, which return all states, on the processor: no other device of MLX's has float64."""
    import mlx.core as mx
    import mlx.nn as nn

    mx.set_default_device(mx.cpu)
    kind = {"lstm": nn.LSTM, "gru": nn.GRU}.get(case.form, nn.RNN)
    layer = kind(case.D, case.H, **({"nonlinearity": nn.relu} if case.form == "rnn, relu" else {}))

    def call(leaves: Leaves, x: Any, *state: Any) -> tuple[Any, ...]:
        layer.update(leaves[0])
        steps = state_parts(layer(x.swapaxes(0, 1), *(part[0] for part in state)))
        return steps[0].swapaxes(0, 1), *(part[:, -1][None] for part in steps)

    return weights, call


def keras(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """The layers of Keras, and its ``Bidirectional``, on the backend that ``KERAS_BACKEND`` names."""
    import keras

    from compare.frameworks.files.keras_layer import LAYERS

    keras.config.set_floatx(case.dtype)
    kind, options = LAYERS[case.form]
    layer = getattr(keras.layers, kind)(case.H, return_sequences=True, return_state=True, dtype=case.dtype, **options)
    if case.directions == 2:
        layer = keras.layers.Bidirectional(layer, dtype=case.dtype)
    layer.build((None, None, case.D))
    names = LAYOUTS["keras"][case.form].arrays
    layer.set_weights([arrays[name] for arrays in weights for name in names])
    values = iter(variable.value for variable in layer.trainable_variables)
    leaves = [{name: next(values) for name in names} for _ in weights]
    others = [variable.value for variable in layer.non_trainable_variables]
    is_jax = keras.backend.backend() == "jax"

    def call(leaves: Leaves, x: Any, *state: Any) -> tuple[Any, ...]:
        x = keras.ops.swapaxes(x, 0, 1)
        first = [part[k] for k in range(case.directions) for part in state]
        if is_jax:  # whose variables are set for the length of a call
            flat = [arrays[name] for arrays in leaves for name in names]
            (output, *last), _ = layer.stateless_call(flat, others, x, initial_state=first)
        else:
            output, *last = layer(x, initial_state=first)
        parts = [last[k :: len(state)] for k in range(len(state))]
        return keras.ops.swapaxes(output, 0, 1), *(keras.ops.stack(part) for part in parts)

    return leaves, call


def tensorflow(case: LayerCase, weights: list[Arrays], version: int) -> tuple[Leaves, Call]:
    """TensorFlow's block operations ``BlockLSTM`` and ``BlockLSTMV2``, without forget bias and clipping."""
    import tensorflow as tf

    operation, options = tf.raw_ops.BlockLSTMV2, {}
    if version == 1:
        operation, options = tf.raw_ops.BlockLSTM, {"forget_bias": 0.0}
    leaves = [{name: tf.Variable(array) for name, array in arrays.items()} for arrays in weights]
    none = tf.zeros(case.H, case.dtype)

    def call(leaves: Leaves, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
        _, cells, _, _, _, _, hidden = operation(
            seq_len_max=np.int64(case.T),
            x=x,
            cs_prev=c[0],
            h_prev=h[0],
            cell_clip=-1.0,
            use_peephole="wci" in leaves[0],
            **({"wci": none, "wcf": none, "wco": none} | leaves[0]),
            **options,
        )
        return hidden, hidden[-1:], cells[-1:]

    return leaves, call


def onnx(case: LayerCase, weights: list[Arrays], runtime: str) -> tuple[Leaves, Call]:
    """The operators of ONNX, without gradients: by ONNX Runtime, OpenVINO in full precision or ONNX's reference."""
    from compare.frameworks.files.onnx_layer import layer_model

    model = layer_model(case, weights)
    if runtime == "reference":
        from onnx.reference import ReferenceEvaluator

        evaluator = ReferenceEvaluator(model)
        return weights, lambda _, *inputs: tuple(evaluator.run(None, dict(zip(evaluator.input_names, inputs))))
    if runtime == "openvino":
        import openvino

        core = openvino.Core()
        read = core.read_model(model.SerializeToString())
        compiled = core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return weights, lambda _, *inputs: tuple(compiled(list(inputs)).to_tuple())
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [argument.name for argument in session.get_inputs()]
    return weights, lambda _, *inputs: tuple(session.run(None, dict(zip(names, inputs))))
