"""A module a framework, each with ``build(case, weights) -> (leaves, call)``.

``weights`` are those of each direction in the framework's layout, ``leaves`` the same as tensors to differentiate with
respect to. ``call(leaves, x, *state)`` runs the framework's own layer on x (T, B, D) from a state, (directions, B, H)
each; it returns the output (T, B, directions * H) and the final state, (directions, B, H) each.
"""
