"""Mistakes that people make in recurrent layers, as formulas on the right values: what they are, and what they give.

From published code and from the bug reports of well-known projects. ``v.name`` is the value that a probe of that name
would show, (T, B, H), ``v.parameter(name, gate)`` a gate's block of rows of a parameter.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from compare.diagnosis.derivations import Arrays
from compare.diagnosis.witness import Values
from manual.activations import sigmoid
from manual.activations import sigmoid_derivative as slope
from manual.activations import tanh_derivative as tanh_slope
from manual.arrays import Array

Mistake = tuple[str, Callable[[Values], Array]]


def _pre_activation(gate: str, gates: str) -> list[Mistake]:
    name = f"z_{gate}"
    mistakes: list[Mistake] = [
        ("h_prev's share is missing", lambda v: v[name] - v.h_prev @ v.parameter("weight_hh", gate).T),
        ("x's share is missing", lambda v: v[name] - v.x @ v.parameter("weight_ih", gate).T),
        (
            "the recurrent matrix is transposed",
            lambda v: v[name] + v.h_prev @ (v.parameter("weight_hh", gate) - v.parameter("weight_hh", gate).T),
        ),
        ("x of the step before", lambda v: v[name] + (v.earlier(v.x) - v.x) @ v.parameter("weight_ih", gate).T),
        (
            "the steps of x are in reverse order",
            lambda v: v[name] + (v.x[::-1] - v.x) @ v.parameter("weight_ih", gate).T,
        ),
        (
            "the initial state in the place of the step before's",
            lambda v: v[name] + (v.h_prev[[-1 if v.reverse else 0]] - v.h_prev) @ v.parameter("weight_hh", gate).T,
        ),
    ]
    for bias in ("bias_ih", "bias_hh"):
        mistakes += [
            (f"{bias} is missing", lambda v, bias=bias: v[name] - v.parameter(bias, gate)),
            (f"{bias} is there twice", lambda v, bias=bias: v[name] + v.parameter(bias, gate)),
        ]
        mistakes += [
            (
                f"the {bias} of gate {other}",
                lambda v, bias=bias, other=other: v[name] - v.parameter(bias, gate) + v.parameter(bias, other),
            )
            for other in gates
            if other != gate
        ]
    return mistakes


def _activation(gate: str, right: Callable[[Array], Array]) -> list[Mistake]:
    wrong, name = (sigmoid, "σ") if right is np.tanh else (np.tanh, "tanh")
    return [
        ("the activation is left out", lambda v: v[f"z_{gate}"]),
        (f"{name} in its place", lambda v: wrong(v[f"z_{gate}"])),
        ("the activation is there twice", lambda v: right(right(v[f"z_{gate}"]))),
    ]


def _delta(gate: str, incoming: Callable[[Values], Array], right: Callable[[Array], Array]) -> list[Mistake]:
    """In the adjoint of a pre-activation: what comes in, times the derivative of the activation."""
    wrong, name, other = (slope, "tanh'", "σ'") if right is tanh_slope else (tanh_slope, "σ'", "tanh'")
    return [
        (f"{name} is left out", incoming),
        (f"{name} is there twice", lambda v: incoming(v) * right(v[gate]) ** 2),
        (f"{other} in the place of {name}", lambda v: incoming(v) * wrong(v[gate])),
        (f"{name} is taken at z_{gate}, not at the output", lambda v: incoming(v) * right(v[f"z_{gate}"])),
        ("what comes in is left out", lambda v: right(v[gate])),
        *(
            [
                (f"{gate} is missing", lambda v: incoming(v) * (1 - v[gate])),
                (f"(1 - {gate}) is missing", lambda v: incoming(v) * v[gate]),
            ]
            if right is slope
            else [
                (f"1 - {gate} in the place of 1 - {gate}²", lambda v: incoming(v) * (1 - v[gate])),
                (f"{gate}² in the place of 1 - {gate}²", lambda v: incoming(v) * v[gate] ** 2),
            ]
        ),
    ]


def _sum_over_uses(state: str, own: str) -> list[Mistake]:
    """In the adjoint of a state that is used twice: its own use in this step, and the step after."""
    total = f"d_{state}"
    return [
        ("what the step after hands back is missing", lambda v: v[total] - v.handed_back(state)),
        (f"{own} is missing", lambda v: v.handed_back(state)),
        ("what the step after hands back is there twice", lambda v: v[total] + v.handed_back(state)),
        ("σ'(h) does not belong there", lambda v: v[total] * slope(v.h)),
        (
            "what the step after hands back is missing, and σ'(h) does not belong there",
            lambda v: (v[total] - v.handed_back(state)) * slope(v.h),
        ),
    ]


def _through_matrix(total: str, deltas: Sequence[tuple[str, str]]) -> list[Mistake]:
    """In what a step hands back through the recurrent matrix, a (gate, name of its delta) at a time."""

    def share(v: Values, gate: str, delta: str) -> Array:
        return v[delta] @ v.parameter("weight_hh", gate)

    def turned(v: Values, gate: str, delta: str) -> Array:
        return v[delta] @ v.parameter("weight_hh", gate).T

    mistakes: list[Mistake] = [
        (
            "the recurrent matrix is transposed",
            lambda v: v[total] + sum(turned(v, *pair) - share(v, *pair) for pair in deltas),
        )
    ]
    for gate, delta in deltas:
        mistakes += [
            (f"gate {gate}'s share is missing", lambda v, gate=gate, delta=delta: v[total] - share(v, gate, delta)),
            (f"it is gate {gate}'s share alone", lambda v, gate=gate, delta=delta: share(v, gate, delta)),
        ]
    return mistakes


#: By cell and name, the mistakes in an intermediate.
INTERMEDIATES: dict[str, dict[str, list[Mistake]]] = {
    "lstm": {
        **{f"z_{gate}": _pre_activation(gate, "ifgo") for gate in "ifgo"},
        **{gate: _activation(gate, sigmoid) for gate in "ifo"},
        "g": _activation("g", np.tanh),
        "c": [
            ("f ∘ c_prev is missing", lambda v: v.i * v.g),
            ("i ∘ g is missing", lambda v: v.f * v.c_prev),
            ("i and f are swapped", lambda v: v.i * v.c_prev + v.f * v.g),
            ("∘ f is missing", lambda v: v.c_prev + v.i * v.g),
            ("∘ i is missing", lambda v: v.f * v.c_prev + v.g),
        ],
        "h": [
            ("tanh is left out", lambda v: v.o * v.c),
            ("∘ o is missing", lambda v: np.tanh(v.c)),
            ("c of the step before", lambda v: v.o * np.tanh(v.c_prev)),
            ("tanh is there twice", lambda v: v.o * np.tanh(np.tanh(v.c))),
            ("σ in the place of tanh", lambda v: v.o * sigmoid(v.c)),
        ],
        "d_h": _sum_over_uses("h", "d_output"),
        "d_c": [
            *_sum_over_uses("c", "h's share"),
            ("tanh' is taken at c, not at tanh(c)", lambda v: v.handed_back("c") + v.d_h * v.o * tanh_slope(v.c)),
            (
                "what the step after hands back is missing, and tanh' is taken at c, not at tanh(c)",
                lambda v: v.d_h * v.o * tanh_slope(v.c),
            ),
            ("tanh' is left out", lambda v: v.handed_back("c") + v.d_h * v.o),
            ("∘ o is missing", lambda v: v.handed_back("c") + v.d_h * tanh_slope(np.tanh(v.c))),
            ("σ' in the place of tanh'", lambda v: v.handed_back("c") + v.d_h * v.o * slope(np.tanh(v.c))),
            (
                "(1 - tanh)² in the place of 1 - tanh²",
                lambda v: v.handed_back("c") + v.d_h * v.o * (1 - np.tanh(v.c)) ** 2,
            ),
            (
                "what the step after hands back is missing, and (1 - tanh)² in the place of 1 - tanh²",
                lambda v: v.d_h * v.o * (1 - np.tanh(v.c)) ** 2,
            ),
        ],
        "d_z_i": [
            *_delta("i", lambda v: v.d_c * v.g, slope),
            ("∘ g is missing", lambda v: v.d_c * slope(v.i)),
            ("c_prev in the place of g", lambda v: v.d_c * v.c_prev * slope(v.i)),
            ("d_h in the place of d_c", lambda v: v.d_h * v.g * slope(v.i)),
        ],
        "d_z_f": [
            *_delta("f", lambda v: v.d_c * v.c_prev, slope),
            ("∘ c_prev is missing", lambda v: v.d_c * slope(v.f)),
            ("c of this step, not of the step before", lambda v: v.d_c * v.c * slope(v.f)),
            ("g in the place of c_prev", lambda v: v.d_c * v.g * slope(v.f)),
            ("d_h in the place of d_c", lambda v: v.d_h * v.c_prev * slope(v.f)),
        ],
        "d_z_g": [
            *_delta("g", lambda v: v.d_c * v.i, tanh_slope),
            ("∘ i is missing", lambda v: v.d_c * tanh_slope(v.g)),
            ("f in the place of i", lambda v: v.d_c * v.f * tanh_slope(v.g)),
            ("d_h in the place of d_c", lambda v: v.d_h * v.i * tanh_slope(v.g)),
        ],
        "d_z_o": [
            *_delta("o", lambda v: v.d_h * np.tanh(v.c), slope),
            ("∘ tanh(c) is missing", lambda v: v.d_h * slope(v.o)),
            ("c in the place of tanh(c)", lambda v: v.d_h * v.c * slope(v.o)),
            ("d_c in the place of d_h", lambda v: v.d_c * np.tanh(v.c) * slope(v.o)),
        ],
        "d_c_prev": [
            ("∘ f is missing", lambda v: v.d_c),
            ("i in the place of f", lambda v: v.d_c * v.i),
            ("f of the step before", lambda v: v.d_c * v.earlier(v.f)),
            ("f of the step after", lambda v: v.d_c * v.later(v.f)),
            ("only what the step after handed back", lambda v: v.handed_back("c") * v.f),
            (
                "only what the step after handed back, and f of the step before",
                lambda v: v.handed_back("c") * v.earlier(v.f),
            ),
        ],
        "d_h_prev": [
            *_through_matrix("d_h_prev", [(gate, f"d_z_{gate}") for gate in "ifgo"]),
            (
                "d_h ∘ σ' of each gate, for g d_h ∘ g ∘ tanh', in the place of its delta",
                lambda v: (
                    sum(v.d_h * slope(v[gate]) @ v.parameter("weight_hh", gate) for gate in "ifo")
                    + v.d_h * v.g * tanh_slope(v.g) @ v.parameter("weight_hh", "g")
                ),
            ),
        ],
    },
    "gru": {
        **{f"z_{gate}": _pre_activation(gate, "rzn") for gate in "rz"},
        "z_n": [
            ("r ∘ q is missing", lambda v: v.z_n - v.r * v.q),
            ("∘ r is missing", lambda v: v.z_n - v.r * v.q + v.q),
            ("z in the place of r", lambda v: v.z_n + (v.z - v.r) * v.q),
            *_pre_activation("n", "rzn"),
        ],
        **{gate: _activation(gate, sigmoid) for gate in "rz"},
        "n": _activation("n", np.tanh),
        "q": [
            ("bias_hh is missing", lambda v: v.q - v.parameter("bias_hh", "n")),
            (
                "the recurrent matrix is transposed",
                lambda v: v.h_prev @ v.parameter("weight_hh", "n") + v.parameter("bias_hh", "n"),
            ),
            ("∘ r is missing", lambda v: v.h_prev),
        ],
        "h": [
            ("z and 1 - z are swapped", lambda v: v.z * v.n + (1 - v.z) * v.h_prev),
            ("z ∘ h_prev is missing", lambda v: (1 - v.z) * v.n),
            ("(1 - z) ∘ n is missing", lambda v: v.z * v.h_prev),
            ("r in the place of z", lambda v: (1 - v.r) * v.n + v.r * v.h_prev),
        ],
        "d_h": _sum_over_uses("h", "d_output"),
        "d_z_z": [
            *_delta("z", lambda v: v.d_h * (v.h_prev - v.n), slope),
            ("∘ (h_prev - n) is missing", lambda v: v.d_h * slope(v.z)),
            ("- n is missing", lambda v: v.d_h * v.h_prev * slope(v.z)),
            ("h_prev is missing", lambda v: -v.d_h * v.n * slope(v.z)),
        ],
        "d_z_n": [
            *_delta("n", lambda v: v.d_h * (1 - v.z), tanh_slope),
            ("z in the place of 1 - z", lambda v: v.d_h * v.z * tanh_slope(v.n)),
            ("∘ (1 - z) is missing", lambda v: v.d_h * tanh_slope(v.n)),
        ],
        "d_z_r": [
            *_delta("r", lambda v: v.d_z_n * v.q, slope),
            ("∘ q is missing", lambda v: v.d_z_n * slope(v.r)),
            ("h_prev in the place of q", lambda v: v.d_z_n * v.h_prev * slope(v.r)),
            ("d_h in the place of d_z_n", lambda v: v.d_h * v.q * slope(v.r)),
        ],
        "d_q": [("∘ r is missing", lambda v: v.d_z_n), ("z in the place of r", lambda v: v.d_z_n * v.z)],
        "d_h_prev": [
            ("d_h ∘ z is missing", lambda v: v.d_h_prev - v.d_h * v.z),
            ("1 - z in the place of z", lambda v: v.d_h_prev + v.d_h * (1 - 2 * v.z)),
            ("∘ z is missing", lambda v: v.d_h_prev + v.d_h * (1 - v.z)),
            ("d_z_n in the place of d_q", lambda v: v.d_h_prev + (v.d_z_n - v.d_q) @ v.parameter("weight_hh", "n")),
            *_through_matrix("d_h_prev", [("r", "d_z_r"), ("z", "d_z_z"), ("n", "d_q")]),
        ],
    },
    "rnn": {
        "z_h": _pre_activation("h", "h"),
        "h": [
            ("the activation is left out", lambda v: v.z_h),
            ("the activation is there twice", lambda v: np.tanh(np.tanh(v.z_h))),
            ("σ in its place", lambda v: sigmoid(v.z_h)),
        ],
        "d_h": _sum_over_uses("h", "d_output"),
        "d_z_h": _delta("h", lambda v: v.d_h, tanh_slope),
        "d_h_prev": [
            *_through_matrix("d_h_prev", [("h", "d_z_h")]),
            ("d_h in the place of d_z_h", lambda v: v.d_h @ v.parameter("weight_hh", "h")),
        ],
    },
}

INTERMEDIATES["gru, reset before"] = {
    **{name: INTERMEDIATES["gru"][name] for name in ("z_r", "z_z", "r", "z", "n", "h", "d_h", "d_z_z", "d_z_n")},
    "q": [("∘ r is missing", lambda v: v.h_prev), ("z in the place of r", lambda v: v.z * v.h_prev)],
    "z_n": [("∘ r is missing", lambda v: v.z_n + (v.h_prev - v.q) @ v.parameter("weight_hh", "n").T)],
    "d_q": [("the recurrent matrix is transposed", lambda v: v.d_z_n @ v.parameter("weight_hh", "n").T)],
    "d_z_r": [
        *_delta("r", lambda v: v.d_q * v.h_prev, slope),
        ("∘ h_prev is missing", lambda v: v.d_q * slope(v.r)),
        ("d_z_n in the place of d_q", lambda v: v.d_z_n * v.h_prev * slope(v.r)),
    ],
    "d_h_prev": [
        ("d_h ∘ z is missing", lambda v: v.d_h_prev - v.d_h * v.z),
        ("d_q ∘ r is missing", lambda v: v.d_h_prev - v.d_q * v.r),
        ("∘ r is missing", lambda v: v.d_h_prev - v.d_q * v.r + v.d_q),
        *_through_matrix("d_h_prev", [("r", "d_z_r"), ("z", "d_z_z")]),
    ],
}

INTERMEDIATES["rnn, sigmoid"] = INTERMEDIATES["rnn"] | {
    "h": _activation("h", sigmoid),
    "d_z_h": _delta("h", lambda v: v.d_h, slope),
}
INTERMEDIATES["rnn, relu"] = {name: INTERMEDIATES["rnn"][name] for name in ("z_h", "d_h", "d_h_prev")}


def _without(cell: str, *names: str) -> dict[str, list[Mistake]]:
    """The mistakes in what a form of a cell has in common with the usual form."""
    return {name: mistakes for name, mistakes in INTERMEDIATES[cell].items() if name not in names}


INTERMEDIATES["lstm, bare output"] = _without("lstm", "h", "d_c", "d_z_o")
INTERMEDIATES["gru, renewing"] = _without("gru", "h", "d_z_z", "d_z_n", "d_h_prev")
INTERMEDIATES["gru, reset before, renewing"] = _without("gru, reset before", "h", "d_z_z", "d_z_n", "d_h_prev")


def wrong_sums(cell: str, v: Values) -> Iterator[tuple[str, Callable[[], Arrays]]]:
    """Mistakes in the sums over steps and rows that are the gradients of the parameters, all in PyTorch's layout."""
    order = range(v.T)[::-1] if v.reverse else range(v.T)
    steps, rows = np.arange(v.T)[:, None, None], np.arange(v.h_prev.shape[1])[None, :, None]

    def sums(keep: Array | None = None, h_prev: Array | None = None, x: Array | None = None) -> Arrays:
        kept = np.ones((1, 1, 1)) if keep is None else keep
        d_ih = np.concatenate([v[f"d_z_{gate}"] for gate in v.witness.gates], axis=2) * kept
        h_prev = v.h_prev if h_prev is None else h_prev
        d_hh = np.concatenate([v.d_z_r, v.d_z_z, v.d_q], axis=2) * kept if cell in ("gru", "gru, renewing") else d_ih
        weight_hh = np.einsum("tbg,tbh->gh", d_hh, h_prev)
        if "reset before" in cell:
            weight_hh[-h_prev.shape[2] :] = np.einsum("tbg,tbh->gh", v.d_z_n * kept, v.q)
        names = {
            "weight_ih": np.einsum("tbg,tbd->gd", d_ih, v.x if x is None else x),
            "weight_hh": weight_hh,
            "bias_ih": d_ih.sum(axis=(0, 1)),
            "bias_hh": d_hh.sum(axis=(0, 1)),
        }
        return {name + v.suffix: array for name, array in names.items()}

    def times(derivative: Callable[[Array], Array]) -> Arrays:
        return {n: a * derivative(v.witness.parameters[n]) for n, a in sums().items()}

    yield "only the last step is in the sum", lambda: sums(steps == order[-1])
    yield "only the first step is in the sum", lambda: sums(steps == order[0])
    yield "the last step is missing in the sum", lambda: sums(steps != order[-1])
    yield "the first step is missing in the sum", lambda: sums(steps != order[0])
    for row in range(rows.size):
        yield f"only row {row} is in the sum", lambda row=row: sums(rows == row)
        yield f"row {row} is missing in the sum", lambda row=row: sums(rows != row)
    yield "with h of this step, not of the step before", lambda: sums(h_prev=v.h)
    yield "with x of the step before", lambda: sums(x=v.earlier(v.x))
    yield "times σ' of the weight, which does not belong there", lambda: times(slope)
    yield "times tanh' of the weight, which does not belong there", lambda: times(tanh_slope)
    if cell in ("gru", "gru, renewing"):
        yield (
            "with d_z_n in the place of d_q",
            lambda: {
                n.replace("_ih", "_hh"): np.einsum(
                    "tbg,tbh->gh", np.concatenate([v.d_z_r, v.d_z_z, v.d_z_n], axis=2), v.h_prev
                )
                if "weight" in n
                else a
                for n, a in sums().items()
                if "_ih" in n
            },
        )
