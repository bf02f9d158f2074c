"""The LSTM, plain, projected, with peepholes and with coupled gates."""

from collections.abc import Mapping
from typing import Any

from compare.cells.cell import OF_STATE, Cell, Equations, Option
from compare.checker.notation import Equation

EQUATIONS: Equations = {
    **OF_STATE,
    "c_prev": Equation("", "c of the previous step"),
    "c_n": Equation("", "c of the last step"),
    "d_c_0": Equation("", "d_c_prev of the first step"),
    **{f"z_{gate}": Equation("L1", f"W_i{gate} x + b_i{gate} + W_h{gate} h_prev + b_h{gate}") for gate in "ifgo"},
    "i": Equation("L2", "σ(z_i)"),
    "f": Equation("L3", "σ(z_f)"),
    "g": Equation("L4", "tanh(z_g)"),
    "o": Equation("L5", "σ(z_o)"),
    "c": Equation("L6", "f ∘ c_prev + i ∘ g"),
    "h": Equation("L7", "o ∘ tanh(c)"),
    "d_h": Equation("L8", "d_output + d_h_prev of the next step (d_h_n at the last)"),
    "d_c": Equation("L9", "d_c_prev of the next step (d_c_n at the last) + d_h ∘ o ∘ (1 - tanh²(c))"),
    "d_i": Equation("L10", "d_c ∘ g"),
    "d_f": Equation("L11", "d_c ∘ c_prev"),
    "d_g": Equation("L12", "d_c ∘ i"),
    "d_o": Equation("L13", "d_h ∘ tanh(c)"),
    "d_z_i": Equation("L10", "d_c ∘ g ∘ i (1 - i)"),
    "d_z_f": Equation("L11", "d_c ∘ c_prev ∘ f (1 - f)"),
    "d_z_g": Equation("L12", "d_c ∘ i ∘ (1 - g²)"),
    "d_z_o": Equation("L13", "d_h ∘ tanh(c) ∘ o (1 - o)"),
    "d_c_prev": Equation("L14", "d_c ∘ f"),
    "d_h_prev": Equation("L15", "W_hhᵀ d_z"),
    "d_x": Equation("L16", "W_ihᵀ d_z"),
    "weight_ih": Equation("L17", "Σ d_z xᵀ"),
    "weight_hh": Equation("L18", "Σ d_z h_prevᵀ"),
    "weight": Equation("L17, L18", "Σ d_z [x, h_prev]ᵀ"),
    "bias_ih": Equation("L19", "Σ d_z"),
    "bias": Equation("L19", "Σ d_z"),
    "bias_hh": Equation("L20", "Σ d_z"),
    "m": Equation("L7", "o ∘ tanh(c)"),
    "d_m": Equation("L22", "W_mhᵀ d_h"),
    "weight_hr": Equation("L23", "Σ d_h mᵀ"),
}

BARE_OUTPUT: Equations = {
    "h": Equation("", "o ∘ c"),
    "d_c": Equation("", "d_c_prev of the next step (d_c_n at the last) + d_h ∘ o"),
    "d_o": Equation("", "d_h ∘ c"),
    "d_z_o": Equation("", "d_h ∘ c ∘ o (1 - o)"),
}

PEEPHOLES: Equations = {
    "z_i": Equation("L24", "W_ii x + b_ii + W_hi h_prev + b_hi + p_i ∘ c_prev"),
    "i": Equation("L24", "σ(z_i)"),
    "z_f": Equation("L25", "W_if x + b_if + W_hf h_prev + b_hf + p_f ∘ c_prev"),
    "f": Equation("L25", "σ(z_f)"),
    "z_o": Equation("L26", "W_io x + b_io + W_ho h_prev + b_ho + p_o ∘ c"),
    "o": Equation("L26", "σ(z_o)"),
    "d_c": Equation("L27", f"{EQUATIONS['d_c'].formula} + d_z_o ∘ p_o"),
    "d_c_prev": Equation("L28", "d_c ∘ f + d_z_i ∘ p_i + d_z_f ∘ p_f"),
    "weight_ch": Equation("L29, L30, L31", "Σ d_z_i ∘ c_prev, Σ d_z_f ∘ c_prev, Σ d_z_o ∘ c"),
    "weight_ch_i": Equation("L29", "Σ d_z_i ∘ c_prev"),
    "weight_ch_f": Equation("L30", "Σ d_z_f ∘ c_prev"),
    "weight_ch_o": Equation("L31", "Σ d_z_o ∘ c"),
}

COUPLED: Equations = {
    "f": Equation("L32", "1 - i"),
    "d_i": Equation("L33", "d_c ∘ (g - c_prev)"),
    "d_z_i": Equation("L33", "d_c ∘ (g - c_prev) ∘ i (1 - i)"),
}

COUPLED_PEEPHOLES: Equations = {
    "d_c_prev": Equation("L34", "d_c ∘ f + d_z_i ∘ p_i"),
    "weight_ch": Equation("L29, L31", "Σ d_z_i ∘ c_prev, Σ d_z_o ∘ c"),
}

PROJECTION: Equations = {
    "h": Equation("L21", "W_mh m"),
    "d_c": Equation("L9", EQUATIONS["d_c"].formula.replace("d_h ∘", "d_m ∘")),
    "d_z_o": Equation("L13", "d_m ∘ tanh(c) ∘ o (1 - o)"),
}


def equations(options: Mapping[str, Any]) -> Equations:
    """Return the equations of a form. Those that DERIVATION.md does not cover have a formula and no number."""
    table = EQUATIONS | ({} if options["output_tanh"] else BARE_OUTPUT)
    table |= PROJECTION if options["proj_size"] else {}
    table |= PEEPHOLES if options["peepholes"] else {}
    table |= COUPLED if options["coupled"] else {}
    return table | (COUPLED_PEEPHOLES if options["peepholes"] and options["coupled"] else {})


LSTM = Cell(
    name="lstm",
    gates=("i", "f", "g", "o"),
    states=("h", "c"),
    options={
        "output_tanh": Option((True, False), "bare output", "no tanh on the way to its output"),
        "peepholes": Option((False, True), "peepholes"),
        "coupled": Option((False, True), "coupled", "coupled gates"),
        "proj_size": Option((0, int), "projection", "a projection to {} units"),
    },
    equations=equations,
    places={
        **{"c_prev": (0, 0.0), "parameters": (0, 0.8), "h_prev": (0, 2.55), "x": (0, 3.85)},
        **{"f": (1, 0.85), "i": (1, 1.85), "g": (1, 2.85), "o": (1, 3.85)},
        **{"c": (2, 0.0), "m": (2, 2.0), "h": (2, 3.85)},
    },
)
