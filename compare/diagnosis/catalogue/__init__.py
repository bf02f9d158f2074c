"""Named faults, each one change to the real source of ``manual``: what the checker itself is checked with.

Most come from bug reports and from published code; ``FAULTS`` has them all.
"""

from compare.diagnosis.catalogue.fault import Injected
from compare.diagnosis.catalogue.gru import GRU
from compare.diagnosis.catalogue.lstm import LSTM
from compare.diagnosis.catalogue.rnn import RNN

FAULTS: list[Injected] = [*LSTM, *GRU, *RNN]

__all__ = ["FAULTS", "Injected"]
