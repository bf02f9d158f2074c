"""The autograd side: the equations of ``manual``'s forward passes in torch, whose autograd does the backward.

What torch has under the same name and form is used as it is: ``torch.nn.Linear``, ``torch.optim``, the activations.
"""

from torch_impl.losses import LOSSES
from torch_impl.model import Model
from torch_impl.recurrent import GRU, LSTM, RNN

__all__ = ["GRU", "LOSSES", "LSTM", "RNN", "Model"]
