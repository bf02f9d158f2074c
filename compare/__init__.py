"""The comparison of hand-derived layers with autograd, the only place where the two sides meet."""
