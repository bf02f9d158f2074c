"""Named faults, each one change to the real source of ``manual``: what the checkers themselves are checked with.

Most come from bug reports and from published code.
"""

from compare.diagnosis.catalogue import fast, gru, lstm, rnn
from compare.diagnosis.catalogue.fault import FastFault, Injected, TextFault, TrainingFault
from compare.diagnosis.catalogue.training import TRAINING

#: In the text, for the localiser to name.
FAULTS: list[TextFault] = [*lstm.LSTM, *gru.GRU, *rnn.RNN]

#: In the fast kernels, which are held against the text.
FAST: list[FastFault] = [*fast.LSTM, *fast.GRU, *fast.RNN]

__all__ = ["FAST", "FAULTS", "TRAINING", "FastFault", "Injected", "TextFault", "TrainingFault"]
