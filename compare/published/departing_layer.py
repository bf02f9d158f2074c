"""An LSTM whose backward pass departs from the true one, as a layer of ``manual`` that can be trained and checked."""

from typing import Any, NamedTuple

import manual
from compare.published.departures import Departing, Departure
from manual.arrays import Array, Probe
from manual.recurrent import State


class DepartingTape(NamedTuple):
    """The layer's own tape, its input (T, B, D), and the intermediates by name and step."""

    own: Any
    x: Array
    seen: dict[tuple[str, int], Array]


class DepartingLSTM(manual.LSTM):
    """An LSTM of one layer with departures from its true gradient, but for those in the form of the biases."""

    def __init__(self, departures: tuple[Departure, ...], *sizes: int, **options: Any):
        super().__init__(*sizes, **options)
        self.departures = departures

    def forward(
        self, x: Array, state: State | None = None, *, probe: Probe | None = None, out: Any = None, **options: Any
    ) -> tuple[Array, State, Any]:
        """Run as ``manual.LSTM`` does, and keep what the departures need."""
        seen: dict[tuple[str, int], Array] = {}

        def record(name: str, t: int, value: Array) -> Array:
            seen[name.removesuffix("_l0"), t] = value = probe(name, t, value) if probe else value
            return value

        output, final, own = super().forward(x, state, probe=record, **options)
        return output, final, DepartingTape(own, x, seen)

    def backward(
        self, tape: Any, d_output: Array, d_state: State | None = None, probe: Probe | None = None
    ) -> tuple[Array, State, dict[str, Array]]:
        """Carry gradients back as ``manual.LSTM`` does, but for the departures."""
        weights = {name.removesuffix("_l0"): array for name, array in self.parameters.items()}
        departing = Departing(self.departures, weights, tape.x, d_output)
        departing.values |= tape.seen

        def change(name: str, t: int, value: Array) -> Array:
            value = departing(name, t, value)
            if probe:
                departing.values[name.removesuffix("_l0"), t] = value = probe(name, t, value)
            return value

        d_x, d_initial, gradients = super().backward(tape.own, d_output, d_state, change)
        bare = {name.removesuffix("_l0"): array for name, array in gradients.items()}
        changed = departing.gradients(
            {"weight_ih": bare["weight_ih"], "weight_hh": bare["weight_hh"], "bias": bare.get("bias_ih", d_x[0, 0])}
        )
        both = {"bias_ih": changed["bias"], "bias_hh": changed["bias"]}
        return d_x, d_initial, {f"{name}_l0": (changed | both)[name] for name in bare}
