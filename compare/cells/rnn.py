"""The Elman RNN."""

from compare.cells.cell import OF_STATE, Cell, Equations, Option
from compare.checker.notation import Equation

EQUATIONS: Equations = {
    **OF_STATE,
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
}

RNN = Cell(
    name="rnn",
    gates=("h",),
    states=("h",),
    options={"nonlinearity": Option(("tanh", "relu", "sigmoid"), "{}")},
    equations=lambda options: EQUATIONS,
    places={"h_prev": (0, 0.0), "x": (0, 1.0), "h": (1, 0.4), "parameters": (2, 0.2)},
)
