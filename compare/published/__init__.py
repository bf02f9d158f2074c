"""Backward passes as others published them, each with its departures from the true gradient.

Five public write-ups derive or program an LSTM by hand. README.md tells what came of holding them against autograd;
``python -m compare audit`` works out every figure on it.
"""
