"""Recurrent layers in NumPy with backward passes derived by hand. DERIVATION.md has the derivations."""

from manual.linear import Linear
from manual.losses import LOSSES
from manual.model import Model
from manual.optimizers import SGD, Adam
from manual.recurrent import GRU, LSTM, RNN

__all__ = ["GRU", "LOSSES", "LSTM", "RNN", "SGD", "Adam", "Linear", "Model"]
