"""Backward passes as others published them, compared with the true gradient, and the same systems as they should be.

Five public write-ups derive or program an LSTM by hand. README.md tells what is wrong with them and what that costs;
``python -m compare audit`` computes every figure on it. ``kernels`` has those of four
kernels in wide use.
"""
