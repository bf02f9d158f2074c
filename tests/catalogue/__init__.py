"""Named faults, each a single change to the source of ``manual``, with which the checkers themselves are tested.

Most come from bug reports and from published code.
"""

from catalogue import compiled, fast, gru, lstm, lstm_variants, rnn
from catalogue.fault import EquationFault, FastFault, Injected, TrainingFault
from catalogue.training import TRAINING

#: Faults in the equations, to be named by the localiser.
FAULTS: list[EquationFault] = [*lstm.LSTM, *lstm_variants.TEXT, *gru.GRU, *rnn.RNN]

#: Faults in the fast kernels, which are compared with the equations.
FAST: list[FastFault] = [*fast.LSTM, *lstm_variants.FAST, *fast.GRU, *fast.RNN]

#: Faults in the compiled kernels, likewise. They need Numba.
COMPILED: list[FastFault] = compiled.FAULTS

__all__ = ["COMPILED", "FAST", "FAULTS", "TRAINING", "EquationFault", "FastFault", "Injected", "TrainingFault"]
