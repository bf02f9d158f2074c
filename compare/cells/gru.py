"""The GRU, whose reset gate acts after the matrix product or before it."""

from collections.abc import Mapping
from typing import Any

from compare.cells.cell import OF_STATE, Cell, Equations, Option
from compare.checker.notation import Equation

EQUATIONS: Equations = {
    **OF_STATE,
    **{f"z_{gate}": Equation("G1", f"W_i{gate} x + b_i{gate} + W_h{gate} h_prev + b_h{gate}") for gate in "rz"},
    "r": Equation("G2", "σ(z_r)"),
    "z": Equation("G3", "σ(z_z)"),
    "q": Equation("G4", "W_hn h_prev + b_hn"),
    "z_n": Equation("G5", "W_in x + b_in + r ∘ q"),
    "n": Equation("G6", "tanh(z_n)"),
    "h": Equation("G7", "(1 - z) ∘ n + z ∘ h_prev"),
    "d_h": Equation("G8", "d_output + d_h_prev of the next step (d_h_n at the last)"),
    "d_z": Equation("G9", "d_h ∘ (h_prev - n)"),
    "d_n": Equation("G10", "d_h ∘ (1 - z)"),
    "d_r": Equation("G12", "d_z_n ∘ q"),
    "d_z_z": Equation("G9", "d_h ∘ (h_prev - n) ∘ z (1 - z)"),
    "d_z_n": Equation("G10", "d_h ∘ (1 - z) ∘ (1 - n²)"),
    "d_q": Equation("G11", "d_z_n ∘ r"),
    "d_z_r": Equation("G12", "d_z_n ∘ q ∘ r (1 - r)"),
    "d_h_prev": Equation("G13", "d_h ∘ z + W_hrᵀ d_z_r + W_hzᵀ d_z_z + W_hnᵀ d_q"),
    "d_x": Equation("G14", "W_ihᵀ d_z"),
    "weight_ih": Equation("G15", "Σ d_z xᵀ"),
    "weight_hh": Equation("G16", "Σ (d_z_r, d_z_z, d_q) h_prevᵀ"),
    "weight": Equation("G15, G16", "[Σ d_z xᵀ, Σ (d_z_r, d_z_z, d_q) h_prevᵀ]"),
    "bias_ih": Equation("G17", "Σ d_z"),
    "bias": Equation("G17", "Σ d_z"),
    "bias_hh": Equation("G18", "Σ (d_z_r, d_z_z, d_q)"),
}

RESET_BEFORE: Equations = {
    "q": Equation("G19", "r ∘ h_prev"),
    "z_n": Equation("G20", "W_in x + b_in + W_hn q + b_hn"),
    "d_q": Equation("G21", "W_hnᵀ d_z_n"),
    "d_r": Equation("G22", "d_q ∘ h_prev"),
    "d_z_r": Equation("G22", "d_q ∘ h_prev ∘ r (1 - r)"),
    "d_h_prev": Equation("G23", "d_h ∘ z + W_hrᵀ d_z_r + W_hzᵀ d_z_z + d_q ∘ r"),
    "weight_hh": Equation("G24", "Σ (d_z_r h_prevᵀ, d_z_z h_prevᵀ, d_z_n qᵀ)"),
    "weight": Equation("G15, G24", "[Σ d_z xᵀ, Σ (d_z_r h_prevᵀ, d_z_z h_prevᵀ, d_z_n qᵀ)]"),
    "bias_hh": Equation("G25", "Σ d_z"),
}

#: Whose update gate weights the candidate, not the previous state.
RENEWING: Equations = {
    "h": Equation("", "(1 - z) ∘ h_prev + z ∘ n"),
    "d_z": Equation("", "d_h ∘ (n - h_prev)"),
    "d_n": Equation("", "d_h ∘ z"),
    "d_z_z": Equation("", "d_h ∘ (n - h_prev) ∘ z (1 - z)"),
    "d_z_n": Equation("", "d_h ∘ z ∘ (1 - n²)"),
}


def equations(options: Mapping[str, Any]) -> Equations:
    """Return the equations of a form. Those that DERIVATION.md does not cover have a formula and no number."""
    table = EQUATIONS if options["reset_after"] else EQUATIONS | RESET_BEFORE
    if options["update_gate"] == "keeps":
        return table
    d_h_prev = Equation("", table["d_h_prev"].formula.replace("d_h ∘ z", "d_h ∘ (1 - z)"))
    return table | RENEWING | {"d_h_prev": d_h_prev}


GRU = Cell(
    name="gru",
    gates=("r", "z", "n"),
    states=("h",),
    options={
        "reset_after": Option((True, False), "reset before", "the reset gate before the product"),
        "update_gate": Option(("keeps", "renews"), "renewing", "an update gate that renews"),
    },
    equations=equations,
    places={
        **{"h_prev": (0, 0.0), "parameters": (0, 1.1), "x": (0, 2.85)},
        **{"z": (1, 0.6), "r": (1, 1.6), "q": (1, 2.6)},
        **{"h": (2, 0.0), "n": (2, 2.85)},
    },
)
