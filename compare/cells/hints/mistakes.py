"""Common mistakes in recurrent layers: the words for each, and a formula that computes its wrong value.

They come from published code and from bug reports of well-known projects. ``v.name`` is the correct value that a probe
of that name would show, (T, B, H); ``v.parameter(name, gate)`` is one gate's rows of a parameter.
"""

from collections.abc import Callable, Sequence

import numpy as np

from compare.cells.hints.witness import Values
from manual.activations import sigmoid
from manual.activations import sigmoid_derivative as slope
from manual.activations import tanh_derivative as tanh_slope
from manual.arrays import Array

Mistake = tuple[str, Callable[[Values], Array]]


def _pre_activation(gate: str, gates: str) -> list[Mistake]:
    name = f"z_{gate}"
    mistakes: list[Mistake] = [
        ("the h_prev term is missing", lambda v: v[name] - v.h_prev @ v.parameter("weight_hh", gate).T),
        ("the x term is missing", lambda v: v[name] - v.x @ v.parameter("weight_ih", gate).T),
        (
            "the recurrent matrix is transposed",
            lambda v: v[name] + v.h_prev @ (v.parameter("weight_hh", gate) - v.parameter("weight_hh", gate).T),
        ),
        ("x of the previous step", lambda v: v[name] + (v.earlier(v.x) - v.x) @ v.parameter("weight_ih", gate).T),
        (
            "the steps of x are in reverse order",
            lambda v: v[name] + (v.x[::-1] - v.x) @ v.parameter("weight_ih", gate).T,
        ),
        (
            "the initial state instead of the previous step's",
            lambda v: v[name] + (v.h_prev[[-1 if v.reverse else 0]] - v.h_prev) @ v.parameter("weight_hh", gate).T,
        ),
    ]
    for bias in ("bias_ih", "bias_hh"):
        mistakes += [
            (f"{bias} is missing", lambda v, bias=bias: v[name] - v.parameter(bias, gate)),
            (f"{bias} is added twice", lambda v, bias=bias: v[name] + v.parameter(bias, gate)),
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
    wrong, name, other = (sigmoid, "tanh", "σ") if right is np.tanh else (np.tanh, "σ", "tanh")
    return [
        ("the activation is left out", lambda v: v[f"z_{gate}"]),
        (f"{other} instead of {name}", lambda v: wrong(v[f"z_{gate}"])),
        ("the activation is applied twice", lambda v: right(right(v[f"z_{gate}"]))),
    ]


def _delta(gate: str, incoming: Callable[[Values], Array], right: Callable[[Array], Array]) -> list[Mistake]:
    """Mistakes in the adjoint of a pre-activation: the incoming gradient times the derivative of the activation."""
    wrong, name, other = (slope, "tanh'", "σ'") if right is tanh_slope else (tanh_slope, "σ'", "tanh'")
    return [
        (f"{name} is left out", incoming),
        (f"{name} appears twice", lambda v: incoming(v) * right(v[gate]) ** 2),
        (f"{other} instead of {name}", lambda v: incoming(v) * wrong(v[gate])),
        (f"{name} is taken at z_{gate}, not at the output", lambda v: incoming(v) * right(v[f"z_{gate}"])),
        ("the incoming gradient is missing", lambda v: right(v[gate])),
        *(
            [
                (f"{gate} is missing", lambda v: incoming(v) * (1 - v[gate])),
                (f"(1 - {gate}) is missing", lambda v: incoming(v) * v[gate]),
            ]
            if right is slope
            else [
                (f"1 - {gate} instead of 1 - {gate}²", lambda v: incoming(v) * (1 - v[gate])),
                (f"{gate}² instead of 1 - {gate}²", lambda v: incoming(v) * v[gate] ** 2),
            ]
        ),
    ]


def _sum_over_uses(state: str, local: str) -> list[Mistake]:
    """Mistakes in the adjoint of a state that is used twice: in its own step (``local``) and by the next step."""
    total = f"d_{state}"
    return [
        ("the gradient carried back from the next step is missing", lambda v: v[total] - v.carried_back(state)),
        (f"{local} is missing", lambda v: v.carried_back(state)),
        ("the gradient carried back from the next step is added twice", lambda v: v[total] + v.carried_back(state)),
        ("an extra factor of σ'(h)", lambda v: v[total] * slope(v.h)),
        (
            "the gradient carried back from the next step is missing, and there is an extra factor of σ'(h)",
            lambda v: (v[total] - v.carried_back(state)) * slope(v.h),
        ),
    ]


def _through_matrix(total: str, deltas: Sequence[tuple[str, str]]) -> list[Mistake]:
    """Mistakes in a gradient carried back through the recurrent matrix, given the (gate, delta) pairs it sums over."""

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
            (f"gate {gate}'s term is missing", lambda v, gate=gate, delta=delta: v[total] - share(v, gate, delta)),
            (f"only gate {gate}'s term is present", lambda v, gate=gate, delta=delta: share(v, gate, delta)),
        ]
    return mistakes


#: The mistakes in each intermediate, by cell and name.
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
            ("c of the previous step", lambda v: v.o * np.tanh(v.c_prev)),
            ("tanh is applied twice", lambda v: v.o * np.tanh(np.tanh(v.c))),
            ("σ instead of tanh", lambda v: v.o * sigmoid(v.c)),
        ],
        "d_h": _sum_over_uses("h", "d_output"),
        "d_c": [
            *_sum_over_uses("c", "the term from h"),
            ("tanh' is taken at c, not at tanh(c)", lambda v: v.carried_back("c") + v.d_h * v.o * tanh_slope(v.c)),
            (
                "the gradient carried back from the next step is missing, and tanh' is taken at c, not at tanh(c)",
                lambda v: v.d_h * v.o * tanh_slope(v.c),
            ),
            ("tanh' is left out", lambda v: v.carried_back("c") + v.d_h * v.o),
            ("∘ o is missing", lambda v: v.carried_back("c") + v.d_h * tanh_slope(np.tanh(v.c))),
            ("σ' instead of tanh'", lambda v: v.carried_back("c") + v.d_h * v.o * slope(np.tanh(v.c))),
            (
                "(1 - tanh)² instead of 1 - tanh²",
                lambda v: v.carried_back("c") + v.d_h * v.o * (1 - np.tanh(v.c)) ** 2,
            ),
            (
                "the gradient carried back from the next step is missing, and (1 - tanh)² instead of 1 - tanh²",
                lambda v: v.d_h * v.o * (1 - np.tanh(v.c)) ** 2,
            ),
        ],
        "d_z_i": [
            *_delta("i", lambda v: v.d_c * v.g, slope),
            ("∘ g is missing", lambda v: v.d_c * slope(v.i)),
            ("c_prev instead of g", lambda v: v.d_c * v.c_prev * slope(v.i)),
            ("d_h instead of d_c", lambda v: v.d_h * v.g * slope(v.i)),
        ],
        "d_z_f": [
            *_delta("f", lambda v: v.d_c * v.c_prev, slope),
            ("∘ c_prev is missing", lambda v: v.d_c * slope(v.f)),
            ("c of this step instead of the previous step", lambda v: v.d_c * v.c * slope(v.f)),
            ("g instead of c_prev", lambda v: v.d_c * v.g * slope(v.f)),
            ("d_h instead of d_c", lambda v: v.d_h * v.c_prev * slope(v.f)),
        ],
        "d_z_g": [
            *_delta("g", lambda v: v.d_c * v.i, tanh_slope),
            ("∘ i is missing", lambda v: v.d_c * tanh_slope(v.g)),
            ("f instead of i", lambda v: v.d_c * v.f * tanh_slope(v.g)),
            ("d_h instead of d_c", lambda v: v.d_h * v.i * tanh_slope(v.g)),
        ],
        "d_z_o": [
            *_delta("o", lambda v: v.d_h * np.tanh(v.c), slope),
            ("∘ tanh(c) is missing", lambda v: v.d_h * slope(v.o)),
            ("c instead of tanh(c)", lambda v: v.d_h * v.c * slope(v.o)),
            ("d_c instead of d_h", lambda v: v.d_c * np.tanh(v.c) * slope(v.o)),
        ],
        "d_c_prev": [
            ("∘ f is missing", lambda v: v.d_c),
            ("i instead of f", lambda v: v.d_c * v.i),
            ("f of the previous step", lambda v: v.d_c * v.earlier(v.f)),
            ("f of the next step", lambda v: v.d_c * v.later(v.f)),
            ("only the gradient carried back from the next step", lambda v: v.carried_back("c") * v.f),
            (
                "only the gradient carried back from the next step, with f of the previous step",
                lambda v: v.carried_back("c") * v.earlier(v.f),
            ),
        ],
        "d_h_prev": [
            *_through_matrix("d_h_prev", [(gate, f"d_z_{gate}") for gate in "ifgo"]),
            (
                "d_h ∘ σ' of each gate (d_h ∘ g ∘ tanh' for g) instead of its delta",
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
            ("z instead of r", lambda v: v.z_n + (v.z - v.r) * v.q),
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
            ("r instead of z", lambda v: (1 - v.r) * v.n + v.r * v.h_prev),
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
            ("z instead of 1 - z", lambda v: v.d_h * v.z * tanh_slope(v.n)),
            ("∘ (1 - z) is missing", lambda v: v.d_h * tanh_slope(v.n)),
        ],
        "d_z_r": [
            *_delta("r", lambda v: v.d_z_n * v.q, slope),
            ("∘ q is missing", lambda v: v.d_z_n * slope(v.r)),
            ("h_prev instead of q", lambda v: v.d_z_n * v.h_prev * slope(v.r)),
            ("d_h instead of d_z_n", lambda v: v.d_h * v.q * slope(v.r)),
        ],
        "d_q": [("∘ r is missing", lambda v: v.d_z_n), ("z instead of r", lambda v: v.d_z_n * v.z)],
        "d_h_prev": [
            ("d_h ∘ z is missing", lambda v: v.d_h_prev - v.d_h * v.z),
            ("1 - z instead of z", lambda v: v.d_h_prev + v.d_h * (1 - 2 * v.z)),
            ("∘ z is missing", lambda v: v.d_h_prev + v.d_h * (1 - v.z)),
            ("d_z_n instead of d_q", lambda v: v.d_h_prev + (v.d_z_n - v.d_q) @ v.parameter("weight_hh", "n")),
            *_through_matrix("d_h_prev", [("r", "d_z_r"), ("z", "d_z_z"), ("n", "d_q")]),
        ],
    },
    "rnn": {
        "z_h": _pre_activation("h", "h"),
        "h": [
            ("the activation is left out", lambda v: v.z_h),
            ("the activation is applied twice", lambda v: np.tanh(np.tanh(v.z_h))),
            ("σ instead of tanh", lambda v: sigmoid(v.z_h)),
        ],
        "d_h": _sum_over_uses("h", "d_output"),
        "d_z_h": _delta("h", lambda v: v.d_h, tanh_slope),
        "d_h_prev": [
            *_through_matrix("d_h_prev", [("h", "d_z_h")]),
            ("d_h instead of d_z_h", lambda v: v.d_h @ v.parameter("weight_hh", "h")),
        ],
    },
}

INTERMEDIATES["gru, reset before"] = {
    **{name: INTERMEDIATES["gru"][name] for name in ("z_r", "z_z", "r", "z", "n", "h", "d_h", "d_z_z", "d_z_n")},
    "q": [("∘ r is missing", lambda v: v.h_prev), ("z instead of r", lambda v: v.z * v.h_prev)],
    "z_n": [("∘ r is missing", lambda v: v.z_n + (v.h_prev - v.q) @ v.parameter("weight_hh", "n").T)],
    "d_q": [("the recurrent matrix is transposed", lambda v: v.d_z_n @ v.parameter("weight_hh", "n").T)],
    "d_z_r": [
        *_delta("r", lambda v: v.d_q * v.h_prev, slope),
        ("∘ h_prev is missing", lambda v: v.d_q * slope(v.r)),
        ("d_z_n instead of d_q", lambda v: v.d_z_n * v.h_prev * slope(v.r)),
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
    """Return the mistakes of a cell's usual form, without those in intermediates that another form redefines."""
    return {name: mistakes for name, mistakes in INTERMEDIATES[cell].items() if name not in names}


INTERMEDIATES["lstm, bare output"] = _without("lstm", "h", "d_c", "d_z_o")
INTERMEDIATES["gru, renewing"] = _without("gru", "h", "d_z_z", "d_z_n", "d_h_prev")
INTERMEDIATES["gru, reset before, renewing"] = _without("gru, reset before", "h", "d_z_z", "d_z_n", "d_h_prev")

INTERMEDIATES["lstm, peepholes"] = _without("lstm", "d_c", "d_c_prev") | {
    "z_i": [("the peephole is missing", lambda v: v.z_i - v.peephole("i") * v.c_prev), *_pre_activation("i", "ifgo")],
    "z_f": [("the peephole is missing", lambda v: v.z_f - v.peephole("f") * v.c_prev), *_pre_activation("f", "ifgo")],
    "z_o": [
        ("the peephole is missing", lambda v: v.z_o - v.peephole("o") * v.c),
        ("c_prev instead of c", lambda v: v.z_o + v.peephole("o") * (v.c_prev - v.c)),
        *_pre_activation("o", "ifgo"),
    ],
    "d_c": [
        ("the peephole's term is missing", lambda v: v.d_c - v.d_z_o * v.peephole("o")),
        *_sum_over_uses("c", "the term from h"),
    ],
    "d_c_prev": [
        ("the terms of both peepholes are missing", lambda v: v.d_c * v.f),
        ("d_z_i ∘ p_i is missing", lambda v: v.d_c_prev - v.d_z_i * v.peephole("i")),
        ("d_z_f ∘ p_f is missing", lambda v: v.d_c_prev - v.d_z_f * v.peephole("f")),
    ],
}
INTERMEDIATES["lstm, coupled"] = _without("lstm", "z_f", "f", "d_z_f") | {
    **{f"z_{gate}": _pre_activation(gate, "igo") for gate in "igo"},
    "f": [("i instead of 1 - i", lambda v: v.i)],
    "d_z_i": [
        *_delta("i", lambda v: v.d_c * (v.g - v.c_prev), slope),
        ("c_prev is missing", lambda v: v.d_c * v.g * slope(v.i)),
    ],
    "d_h_prev": _through_matrix("d_h_prev", [(gate, f"d_z_{gate}") for gate in "igo"]),
}
INTERMEDIATES["lstm, peepholes, coupled"] = _without("lstm, coupled", "d_c_prev") | {
    "d_c": INTERMEDIATES["lstm, peepholes"]["d_c"],
    "d_c_prev": [("the peephole's term is missing", lambda v: v.d_c * v.f)],
}
