"""TensorFlow's block operations ``BlockLSTM`` and ``BlockLSTMV2``, without forget bias and clipping."""

from typing import Any

import numpy as np
import tensorflow as tf

from compare.cells.layout import Arrays
from compare.frameworks.case import Call, LayerCase, Leaves


def build(case: LayerCase, weights: list[Arrays], version: int) -> tuple[Leaves, Call]:
    """Build the operation of a case, in one of its two versions."""
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
