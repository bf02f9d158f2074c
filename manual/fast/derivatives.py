"""Derivatives of gated products, in two operations each on what forward has stored.

A gate multiplies: every gated quantity is a product p = s ∘ v with s = σ(z_s). Where the p, s and v of several gates
are neighbours in memory, one call serves them all. Equation numbers are those of DERIVATION.md.
"""

from numpy import multiply, subtract

from manual.arrays import Array


def product_by_sigmoid(p: Array, s: Array, out: Array) -> None:
    """Write ∂p/∂z_s to ``out``, where p = s ∘ v and ``s`` = σ(z_s): p - p s. All of one shape."""
    multiply(p, s, out)
    subtract(p, out, out)  # (F2)


def product_by_tanh(p: Array, s: Array, v: Array, out: Array) -> None:
    """Write ∂p/∂z_v to ``out``, where p = s ∘ v and ``v`` = tanh(z_v): s - p v. All of one shape."""
    multiply(p, v, out)
    subtract(s, out, out)  # (F3)
