"""Time the hand-derived layers against autograd and other frameworks."""
