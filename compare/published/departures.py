"""Departures from the true gradient: small changes to our own backward pass, to be switched on one by one.

A departure changes an adjoint through the probes that every backward pass here calls: it is given what the pass
computed and returns what the published code has in its place. Or it changes the gradients of the parameters after the
pass. The list of a system's departures is complete exactly if our backward pass with all of them equals the published
one. Arrays may have leading axes for networks side by side, as in ``networks.py``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import manual
from compare.published.networks import Gradients, Weights
from manual.activations import sigmoid_derivative, tanh_derivative
from manual.arrays import Array, Probe
from manual.recurrent import State


@dataclass(frozen=True)
class Departure:
    """One departure."""

    name: str  #: what the command line calls it
    words: str  #: what it is
    #: what a localiser finds wrong because of it: the name of a probe, or that of a gradient and its gate
    found_at: tuple[str, ...]
    #: the name of the adjoint that ``change`` changes; empty if it changes the gradients of the parameters
    adjoint: str
    #: from a ``Departing`` and the right value (with the step before it, for an adjoint) to the wrong one
    change: Callable[..., Any]


def departure(adjoint: str = "", found_at: tuple[str, ...] = ()) -> Callable[[Callable[..., Any]], Departure]:
    """Make a departure of a function, whose docstring is the words."""

    def of(change: Callable[..., Any]) -> Departure:
        return Departure(
            change.__name__.replace("_", "-"), (change.__doc__ or "").rstrip("."), found_at, adjoint, change
        )

    return of


class Departing:
    """A probe that makes departures and records what the pass goes on with, which some departures need.

    Args:
        departures: in the order in which those of one value are made.
        weights: of the pass, in PyTorch's layout.
        x: the input of the pass, (T, …, B, D).
        d_output: its incoming gradient, (T, …, B, H).
    """

    def __init__(self, departures: Iterable[Departure], weights: Weights, x: Array, d_output: Array):
        self.departures, self.weights, self.x, self.d_output = tuple(departures), weights, x, d_output
        self.T = len(x)
        self.values: dict[tuple[str, int], Array] = {}

    def __call__(self, name: str, t: int, value: Array) -> Array:
        """Return the value with its departures made."""
        bare = name.removesuffix("_l0")
        for departure in self.departures:
            if departure.adjoint == bare:
                value = departure.change(self, t, value)
        self.values[bare, t] = value = np.array(value)
        return value

    def __getitem__(self, key: tuple[str, int]) -> Array:
        """Return the value of a name at a step, as the pass went on with it."""
        return self.values[key]

    def gradients(self, gradients: Gradients) -> Gradients:
        """Return the gradients of the parameters, in PyTorch's layout with one bias, with their departures made."""
        for departure in self.departures:
            if not departure.adjoint:
                gradients = departure.change(self, gradients)
        return gradients

    def step_delta(self, t: int) -> Array:
        """Return d_z of a step, (…, B, 4H)."""
        return np.concatenate([self[f"d_z_{gate}", t] for gate in "ifgo"], axis=-1)


# The carry from each step to the step before.


@departure(adjoint="d_h_prev", found_at=("d_h",))
def nothing_through_h(v: Departing, t: int, d_h_prev: Array) -> Array:
    """Nothing is carried back through h."""
    return np.zeros_like(d_h_prev)


@departure(adjoint="d_h_prev", found_at=("d_h_prev",))
def carry_through_summed_matrices(v: Departing, t: int, d_h_prev: Array) -> Array:
    """d_h is carried back through the sum of the four recurrent matrices, past the deltas."""
    return v["d_h", t] @ sum(block(v.weights["weight_hh"], gate, 4) for gate in "ifgo")


@departure(adjoint="d_c_prev", found_at=("d_c",))
def nothing_through_c(v: Departing, t: int, d_c_prev: Array) -> Array:
    """Nothing is carried back through c."""
    return np.zeros_like(d_c_prev)


@departure(adjoint="d_c_prev", found_at=("d_c_prev",))
def own_share_not_through_c(v: Departing, t: int, d_c_prev: Array) -> Array:
    """The carry through c lacks the step's own share, so it stays zero."""
    own = v["d_h", t] * v["o", t] * tanh_derivative(np.tanh(v["c", t]))
    return d_c_prev - own * v["f", t]


@departure(adjoint="d_c_prev", found_at=("d_c_prev",))
def earlier_forget_gate(v: Departing, t: int, d_c_prev: Array) -> Array:
    """The carry through c is multiplied by the forget gate of the step before."""
    return d_c_prev * v["f", max(t - 1, 0)] / v["f", t]


def _share_of_d_h(gate: str, words: str) -> Departure:
    """One gate's share of the carry through h comes from d_h ∘ φ', for g times the gate itself."""

    def change(v: Departing, t: int, d_h_prev: Array) -> Array:
        a = v[gate, t]
        slope = a * tanh_derivative(a) if gate == "g" else sigmoid_derivative(a)
        return d_h_prev + (v["d_h", t] * slope - v[f"d_z_{gate}", t]) @ block(v.weights["weight_hh"], gate, 4)

    return Departure(f"share-of-{gate}", words, ("d_h_prev",), "d_h_prev", change)


share_of_i = _share_of_d_h("i", "In the carry through h, gate i's share has d_h in place of d_c ∘ g")
share_of_f = _share_of_d_h("f", "In the carry through h, gate f's share has d_h in place of d_c ∘ c_prev")
share_of_g = _share_of_d_h("g", "In the carry through h, gate g's share has d_h ∘ g in place of d_c ∘ i")
share_of_o = _share_of_d_h("o", "In the carry through h, gate o's share lacks tanh(c)")


# Within a step.


@departure(adjoint="d_h", found_at=("d_h",))
def slope_of_h(v: Departing, t: int, d_h: Array) -> Array:
    """d_h is multiplied by h (1 - h), as if h were the output of a sigmoid."""
    return d_h * sigmoid_derivative(v["h", t])


@departure(adjoint="d_h", found_at=("d_h",))
def last_error_only(v: Departing, t: int, d_h: Array) -> Array:
    """Only the last step may have an error of its own."""
    return d_h if t == v.T - 1 else d_h - v.d_output[t]


@departure(adjoint="d_c", found_at=("d_c",))
def tanh_slope_at_c(v: Departing, t: int, d_c: Array) -> Array:
    """The derivative of tanh is taken at c: 1 - c² in place of 1 - tanh²(c)."""
    c = v["c", t]
    return d_c + v["d_h", t] * v["o", t] * (np.tanh(c) ** 2 - c**2)


@departure(adjoint="d_c", found_at=("d_c",))
def square_of_difference(v: Departing, t: int, d_c: Array) -> Array:
    """(1 - tanh(c))² in place of 1 - tanh²(c)."""
    tanh_c = np.tanh(v["c", t])
    return d_c + v["d_h", t] * v["o", t] * ((1 - tanh_c) ** 2 - tanh_derivative(tanh_c))


# The gradients of the parameters, sums over the steps.


def _slope_of_weights(gate: str) -> Departure:
    slope, formula = (tanh_derivative, "1 - W²") if gate == "g" else (sigmoid_derivative, "W (1 - W)")

    def change(v: Departing, gradients: Gradients) -> Gradients:
        changed = {name: array.copy() for name, array in gradients.items()}
        for name in ("weight_ih", "weight_hh"):
            block(changed[name], gate, 4)[...] *= slope(block(v.weights[name], gate, 4))
        return changed

    found_at = (f"weight_ih {gate}", f"weight_hh {gate}")
    words = f"Gate {gate}'s weight gradients are multiplied by {formula} of the weight"
    return Departure(f"slope-of-weights-{gate}", words, found_at, "", change)


slope_of_weights_i, slope_of_weights_f, slope_of_weights_g, slope_of_weights_o = map(_slope_of_weights, "ifgo")


@departure(found_at=tuple(f"weight_ih {gate}" for gate in "ifgo"))
def last_input_only(v: Departing, gradients: Gradients) -> Gradients:
    """The input weights' gradient is that of the last step only."""
    return gradients | {"weight_ih": np.swapaxes(v.step_delta(v.T - 1), -1, -2) @ v.x[-1]}


@departure(found_at=tuple(f"weight_ih {gate}" for gate in "ifgo"))
def input_weights_from_own_errors(v: Departing, gradients: Gradients) -> Gradients:
    """The input weights see each step's own error only, without what is carried back."""
    total = np.zeros_like(gradients["weight_ih"])
    for t in range(v.T):
        i, f, g, o, c = (v[name, t] for name in "ifgoc")
        d_c = v.d_output[t] * o * tanh_derivative(np.tanh(c))
        c_prev = v["c", t - 1] if t else np.zeros_like(c)
        d_z_i, d_z_f = d_c * g * sigmoid_derivative(i), d_c * c_prev * sigmoid_derivative(f)
        d_z_g, d_z_o = d_c * i * tanh_derivative(g), v.d_output[t] * np.tanh(c) * sigmoid_derivative(o)
        total += np.swapaxes(np.concatenate([d_z_i, d_z_f, d_z_g, d_z_o], axis=-1), -1, -2) @ v.x[t]
    return gradients | {"weight_ih": total}


def _bias_from_f(gate: str) -> Departure:
    def change(v: Departing, gradients: Gradients) -> Gradients:
        bias = gradients["bias"].copy()
        block(bias, gate, 4, axis=-1)[...] = block(bias, "f", 4, axis=-1)
        return gradients | {"bias": bias}

    words = f"Gate {gate}'s bias gradient is the forget gate's"
    return Departure(f"bias-{gate}-from-f", words, (f"bias {gate}",), "", change)


bias_i_from_f, bias_o_from_f = map(_bias_from_f, "io")


@departure()
def row_for_one_number(v: Departing, gradients: Gradients) -> Gradients:
    """The gradient of a bias declared as one number is a row, not summed over the units."""
    return gradients | {"bias": sum(v.step_delta(t).sum(axis=-2) for t in range(v.T))}


#: All departures, by name.
DEPARTURES = {value.name: value for value in list(globals().values()) if isinstance(value, Departure)}


def block(array: Array, gate: str, count: int, axis: int = -2) -> Array:
    """Return a gate's block of an array in PyTorch's layout, as a view."""
    return np.split(array, count, axis=axis)["ifgo".index(gate)]


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
