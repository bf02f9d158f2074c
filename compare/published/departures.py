"""Ways of departing from the true gradient, each a small change to our own backward pass, to be switched on one by one.

A change of an adjoint is made through the probes that every backward pass here calls: it is given what the pass
computed and returns what the published code has in its place. A change of the sums is made to the gradients after
the pass. So the list of a system's departures is complete exactly where our backward pass with all of them equals the
published one. The functions take arrays with or without axes for runs, as ``passes.py`` has them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.published.passes import Gradients, Weights
from manual.activations import sigmoid_derivative, tanh_derivative
from manual.arrays import Array


@dataclass(frozen=True)
class Departure:
    """One departure.

    ``words`` say what it is; ``shows`` is what a localiser finds wrong because of it: a probe's name, or a gradient's
    and its gate; ``of`` is the adjoint that ``change`` changes, empty where it changes the gradients.
    """

    words: str
    shows: tuple[str, ...]
    of: str
    change: Callable[..., Any]


def departure(of: str = "", shows: str | tuple[str, ...] = "") -> Callable[[Callable[..., Any]], Departure]:
    """Make a departure of a function, whose docstring is the words."""
    places = (shows,) if isinstance(shows, str) else shows

    def make(change: Callable[..., Any]) -> Departure:
        return Departure((change.__doc__ or "").rstrip("."), places, of, change)

    return make


class Departing:
    """A probe that makes departures, and remembers what it has seen for those that come later.

    Args:
        departures: to be made, in this order where two change one thing.
        weights: of the pass, in PyTorch's layout.
        x: what the pass reads, (T, …, B, D).
        d_output: what comes in, (T, …, B, H).
    """

    def __init__(self, departures: Iterable[Departure], weights: Weights, x: Array, d_output: Array):
        self.departures, self.weights, self.x, self.d_output = tuple(departures), weights, x, d_output
        self.T = len(x)
        self.values: dict[tuple[str, int], Array] = {}

    def __call__(self, name: str, t: int, value: Array) -> Array:
        """Change the value as the departures have it."""
        bare = name.removesuffix("_l0")
        for departure in self.departures:
            if departure.of == bare:
                value = departure.change(self, t, value)
        self.values[bare, t] = value = np.array(value)
        return value

    def __getitem__(self, key: tuple[str, int]) -> Array:
        """The value of a name at a step, as the pass went on with it."""
        return self.values[key]

    def gradients(self, gradients: Gradients) -> Gradients:
        """Change the gradients, in PyTorch's layout with one bias, as the departures have it."""
        for departure in self.departures:
            if not departure.of:
                gradients = departure.change(self, gradients)
        return gradients

    def step_delta(self, t: int) -> Array:
        """d_z of a step, (…, B, 4H)."""
        return np.concatenate([self[f"d_z_{gate}", t] for gate in "ifgo"], axis=-1)


# What each step hands to the step before.


@departure(of="d_h_prev", shows="d_h")
def nothing_through_h(v: Departing, t: int, d_h_prev: Array) -> Array:
    """Nothing is carried back through h."""
    return np.zeros_like(d_h_prev)


@departure(of="d_c_prev", shows="d_c")
def nothing_through_c(v: Departing, t: int, d_c_prev: Array) -> Array:
    """Nothing is carried back through c."""
    return np.zeros_like(d_c_prev)


@departure(of="d_c_prev", shows="d_c_prev")
def own_share_not_through_c(v: Departing, t: int, d_c_prev: Array) -> Array:
    """What a step hands back through c lacks the step's own share, so that it stays zero."""
    own = v["d_h", t] * v["o", t] * tanh_derivative(np.tanh(v["c", t]))
    return d_c_prev - own * v["f", t]


@departure(of="d_c_prev", shows="d_c_prev")
def earlier_forget_gate(v: Departing, t: int, d_c_prev: Array) -> Array:
    """What a step hands back through c is multiplied by the forget gate of the step before."""
    return d_c_prev * v["f", max(t - 1, 0)] / v["f", t]


def _share_of_d_h(gate: str, words: str) -> Departure:
    """In what a step hands back through h, one gate's share comes from d_h ∘ φ' (∘ the gate itself for g)."""

    def change(v: Departing, t: int, d_h_prev: Array) -> Array:
        a = v[gate, t]
        slope = a * tanh_derivative(a) if gate == "g" else sigmoid_derivative(a)
        return d_h_prev + (v["d_h", t] * slope - v[f"d_z_{gate}", t]) @ block(v.weights["weight_hh"], gate, 4)

    return Departure(words, ("d_h_prev",), "d_h_prev", change)


share_of_i = _share_of_d_h("i", "In what is handed back through h, gate i's share has d_h in the place of d_c ∘ g")
share_of_f = _share_of_d_h("f", "In what is handed back through h, gate f's share has d_h in the place of d_c ∘ c_prev")
share_of_g = _share_of_d_h("g", "In what is handed back through h, gate g's share has d_h ∘ g in the place of d_c ∘ i")
share_of_o = _share_of_d_h("o", "In what is handed back through h, gate o's share lacks tanh(c)")


# Within a step.


@departure(of="d_h", shows="d_h")
def slope_of_h(v: Departing, t: int, d_h: Array) -> Array:
    """d_h is multiplied by h (1 - h), the slope of a sigmoid that h is not the output of."""
    return d_h * sigmoid_derivative(v["h", t])


@departure(of="d_h", shows="d_h")
def last_error_only(v: Departing, t: int, d_h: Array) -> Array:
    """Only the last step may have an error of its own."""
    return d_h if t == v.T - 1 else d_h - v.d_output[t]


@departure(of="d_c", shows="d_c")
def tanh_slope_at_c(v: Departing, t: int, d_c: Array) -> Array:
    """The derivative of tanh is taken at c: 1 - c² in the place of 1 - tanh²(c)."""
    c = v["c", t]
    return d_c + v["d_h", t] * v["o", t] * (np.tanh(c) ** 2 - c**2)


@departure(of="d_c", shows="d_c")
def square_of_difference(v: Departing, t: int, d_c: Array) -> Array:
    """(1 - tanh(c))² in the place of 1 - tanh²(c)."""
    tanh_c = np.tanh(v["c", t])
    return d_c + v["d_h", t] * v["o", t] * ((1 - tanh_c) ** 2 - tanh_derivative(tanh_c))


# In the sums over the steps.


def _slope_of_weights(gate: str) -> Departure:
    slope, formula = (tanh_derivative, "1 - W²") if gate == "g" else (sigmoid_derivative, "W (1 - W)")

    def change(v: Departing, gradients: Gradients) -> Gradients:
        changed = {name: array.copy() for name, array in gradients.items()}
        for name in ("weight_ih", "weight_hh"):
            block(changed[name], gate, 4)[...] *= slope(block(v.weights[name], gate, 4))
        return changed

    shows = (f"weight_ih {gate}", f"weight_hh {gate}")
    return Departure(f"Gate {gate}'s weight gradients are multiplied by {formula} of the weight", shows, "", change)


slope_of_weights_i, slope_of_weights_f, slope_of_weights_g, slope_of_weights_o = map(_slope_of_weights, "ifgo")


@departure(shows=tuple(f"weight_ih {gate}" for gate in "ifgo"))
def last_input_only(v: Departing, gradients: Gradients) -> Gradients:
    """The input weights' gradient is that of the last step only."""
    return gradients | {"weight_ih": np.swapaxes(v.step_delta(v.T - 1), -1, -2) @ v.x[-1]}


def _bias_from_f(gate: str) -> Departure:
    def change(v: Departing, gradients: Gradients) -> Gradients:
        bias = gradients["bias"].copy()
        block(bias, gate, 4, axis=-1)[...] = block(bias, "f", 4, axis=-1)
        return gradients | {"bias": bias}

    return Departure(f"Gate {gate}'s bias gradient is the forget gate's", (f"bias {gate}",), "", change)


bias_i_from_f, bias_o_from_f = map(_bias_from_f, "io")


def block(array: Array, gate: str, count: int, axis: int = -2) -> Array:
    """A gate's block of an array in PyTorch's layout, as a view."""
    return np.split(array, count, axis=axis)["ifgo".index(gate)]
