"""The cores of Haiku, unrolled by ``dynamic_unroll``. Haiku has no layer that runs backwards."""

from typing import Any

import haiku as hk

from compare.cells.layout import Arrays
from compare.frameworks.case import Call, LayerCase, Leaves
from manual.arrays import state_parts

CORES = {"lstm": hk.LSTM, "gru, reset before": hk.GRU, "rnn, relu": hk.VanillaRNN}


def build(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """Build the layer of a case."""

    def unroll(x: Any, state: Any) -> Any:
        return hk.dynamic_unroll(CORES[case.form](case.H, name="core"), x, state)

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
