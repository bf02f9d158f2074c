"""Time the hand-derived layers against autograd and other frameworks, and measure the rounding errors of both."""
