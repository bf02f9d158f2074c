"""The autograd side: the forward equations of ``manual`` written out in torch, differentiated by autograd.

Where torch has the same thing, it is used directly: ``torch.nn.Linear``, ``torch.optim``, the activations.
"""

from torch_impl.losses import LOSSES
from torch_impl.model import Model
from torch_impl.recurrent import GRU, LSTM, RNN

__all__ = ["GRU", "LOSSES", "LSTM", "RNN", "Model"]
