"""The equation of each name: its number in ``manual/DERIVATION.md``, and its right-hand side.

The names are those of the probes, of the gradients of inputs (``d_x``), and of the parameters, which stand for their
gradients.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Equation:
    """The number of an equation, "" if it has none, and its right-hand side."""

    number: str
    formula: str


_READOUT_OF_STATE = {
    "h_prev": Equation("", "h of the previous step"),
    "output": Equation("", "h of each step"),
    "h_n": Equation("", "h of the last step"),
    "d_h_0": Equation("", "d_h_prev of the first step"),
}

EQUATIONS: dict[str, dict[str, Equation]] = {
    "lstm": {
        **_READOUT_OF_STATE,
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
    },
    "gru": {
        **_READOUT_OF_STATE,
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
    },
    "rnn": {
        **_READOUT_OF_STATE,
        "z_h": Equation("R1", "W_ih x + b_ih + W_hh h_prev + b_hh"),
        "h": Equation("R2", "φ(z_h)"),
        "d_h": Equation("R3", "d_output + d_h_prev of the next step (d_h_n at the last)"),
        "d_z_h": Equation("R4", "d_h ∘ φ'(z_h)"),
        "d_h_prev": Equation("R5", "W_hhᵀ d_z_h"),
        "d_x": Equation("R6", "W_ihᵀ d_z_h"),
        "weight_ih": Equation("R7", "Σ d_z_h xᵀ"),
        "weight_hh": Equation("R8", "Σ d_z_h h_prevᵀ"),
        "weight": Equation("R7, R8", "Σ d_z_h [x, h_prev]ᵀ"),
        "bias_ih": Equation("R9", "Σ d_z_h"),
        "bias": Equation("R9", "Σ d_z_h"),
        "bias_hh": Equation("R10", "Σ d_z_h"),
    },
}

EQUATIONS["gru, reset before"] = EQUATIONS["gru"] | {
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

# Forms that DERIVATION.md does not cover: the equations that differ have a formula and no number.
EQUATIONS["lstm, bare output"] = EQUATIONS["lstm"] | {
    "h": Equation("", "o ∘ c"),
    "d_c": Equation("", "d_c_prev of the next step (d_c_n at the last) + d_h ∘ o"),
    "d_o": Equation("", "d_h ∘ c"),
    "d_z_o": Equation("", "d_h ∘ c ∘ o (1 - o)"),
}
for _form in ("gru", "gru, reset before"):
    EQUATIONS[f"{_form}, renewing"] = EQUATIONS[_form] | {
        "h": Equation("", "(1 - z) ∘ h_prev + z ∘ n"),
        "d_z": Equation("", "d_h ∘ (n - h_prev)"),
        "d_n": Equation("", "d_h ∘ z"),
        "d_z_z": Equation("", "d_h ∘ (n - h_prev) ∘ z (1 - z)"),
        "d_z_n": Equation("", "d_h ∘ z ∘ (1 - n²)"),
        "d_h_prev": Equation("", EQUATIONS[_form]["d_h_prev"].formula.replace("d_h ∘ z", "d_h ∘ (1 - z)")),
    }
EQUATIONS["lstm, peepholes"] = EQUATIONS["lstm"] | {
    "z_i": Equation("L24", "W_ii x + b_ii + W_hi h_prev + b_hi + p_i ∘ c_prev"),
    "i": Equation("L24", "σ(z_i)"),
    "z_f": Equation("L25", "W_if x + b_if + W_hf h_prev + b_hf + p_f ∘ c_prev"),
    "f": Equation("L25", "σ(z_f)"),
    "z_o": Equation("L26", "W_io x + b_io + W_ho h_prev + b_ho + p_o ∘ c"),
    "o": Equation("L26", "σ(z_o)"),
    "d_c": Equation("L27", f"{EQUATIONS['lstm']['d_c'].formula} + d_z_o ∘ p_o"),
    "d_c_prev": Equation("L28", "d_c ∘ f + d_z_i ∘ p_i + d_z_f ∘ p_f"),
    "weight_ch": Equation("L29, L30, L31", "Σ d_z_i ∘ c_prev, Σ d_z_f ∘ c_prev, Σ d_z_o ∘ c"),
}
for _form in ("lstm", "lstm, peepholes"):
    EQUATIONS[f"{_form}, coupled"] = EQUATIONS[_form] | {
        "f": Equation("L32", "1 - i"),
        "d_i": Equation("L33", "d_c ∘ (g - c_prev)"),
        "d_z_i": Equation("L33", "d_c ∘ (g - c_prev) ∘ i (1 - i)"),
    }
EQUATIONS["lstm, peepholes, coupled"] |= {
    "d_c_prev": Equation("L34", "d_c ∘ f + d_z_i ∘ p_i"),
    "weight_ch": Equation("L29, L31", "Σ d_z_i ∘ c_prev, Σ d_z_o ∘ c"),
}
EQUATIONS["lstm, projection"] = EQUATIONS["lstm"] | {
    "h": Equation("L21", "W_mh m"),
    "d_c": Equation("L9", EQUATIONS["lstm"]["d_c"].formula.replace("d_h ∘", "d_m ∘")),
    "d_z_o": Equation("L13", "d_m ∘ tanh(c) ∘ o (1 - o)"),
}
EQUATIONS["rnn, sigmoid"] = EQUATIONS["rnn, relu"] = EQUATIONS["rnn"]


def form_of(cell: str, reset_after: bool) -> str:
    """Return the key of a cell in ``EQUATIONS``: a GRU whose reset gate acts before the product has a separate one."""
    return cell if reset_after else "gru, reset before"


def equation(cell: str, name: str) -> Equation:
    """Return the equation of a name, which may end in a layer and direction, a gate, or both; empty if unknown."""
    table = EQUATIONS.get(cell, {})
    bare = re.sub(r"_l\d+(_reverse)?$", "", name)
    if bare not in table:
        bare = bare.rpartition("_")[0]  # a parameter of one gate: weight_ih_f
    return table.get(bare, Equation("", ""))
