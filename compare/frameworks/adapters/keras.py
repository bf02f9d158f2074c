"""The layers of Keras, and its ``Bidirectional``, on the backend that ``KERAS_BACKEND`` names."""

from typing import Any

import keras

from compare.cells.layout import Arrays
from compare.frameworks.case import Call, LayerCase, Leaves
from compare.frameworks.files.keras_write import LAYERS
from compare.frameworks.layouts import LAYOUTS


def build(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """Build the layer of a case."""
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
