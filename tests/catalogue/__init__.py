"""Named faults, each a single change to the source of ``manual``, with which the checkers themselves are tested.

Most come from bug reports and from published code.
"""

from catalogue import compiled, fast, gru, lstm, lstm_variants, rnn
from catalogue.fault import FastFault, Injected, TextFault, TrainingFault
from catalogue.training import TRAINING

#: Faults in the text, to be named by the localiser.
FAULTS: list[TextFault] = [*lstm.LSTM, *lstm_variants.TEXT, *gru.GRU, *rnn.RNN]

#: Faults in the fast kernels, which are compared with the text.
FAST: list[FastFault] = [*fast.LSTM, *lstm_variants.FAST, *fast.GRU, *fast.RNN]

#: Faults in the compiled kernels, likewise. They need Numba.
COMPILED: list[FastFault] = compiled.FAULTS

__all__ = ["COMPILED", "FAST", "FAULTS", "TRAINING", "FastFault", "Injected", "TextFault", "TrainingFault"]
