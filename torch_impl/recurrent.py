"""Layers × directions × lengths × dropout × layout over any cell, one time step at a time.

``manual`` cuts sequences of different lengths into rectangles. Here a row whose sequence has ended, or has not begun,
simply keeps its state. The two methods check each other.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torch_impl.gru import GRUCell
from torch_impl.lstm import LSTMCell
from torch_impl.lstm_variants import LSTMVariantCell
from torch_impl.rnn import RNNCell
from torch_impl.tensors import Cell, Probe, as_state, check_tensor, state_parts

#: ``(h, c)`` for an LSTM, ``h`` alone for the other cells.
State = Tensor | tuple[Tensor, ...]


class Recurrent(nn.Module):
    """A stack of recurrent layers with any cell, for autograd to differentiate.

    Parameters have the names and shapes of ``torch.nn``'s, so that a ``state_dict`` fits both unchanged.

    Args:
        cell: the equations of one time step.
        input_size: D.
        hidden_size: H.
        num_layers: layers, each reading the outputs of the one before.
        bias: whether there are biases, two for each layer and direction.
        batch_first: whether input and output are (B, T, …).
        dropout: probability with which the outputs of all layers but the last are dropped in training.
        bidirectional: whether each layer also runs from the end to the beginning.
        device: of the parameters.
        dtype: of parameters, arguments and results.

    Raises:
        ValueError: an option outside its range.
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if size < 1:
                raise ValueError(f"{name}: expected at least 1, got {size}")
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout: expected a probability in [0, 1], got {dropout}")
        self.cell = cell
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        self.directions = 2 if bidirectional else 1
        self.state_sizes = cell.state_sizes(hidden_size)
        self.output_size = self.directions * next(iter(self.state_sizes.values()))
        bound = hidden_size**-0.5
        for k in range(num_layers * self.directions):
            D = input_size if k < self.directions else self.output_size
            for name, shape in cell.parameter_shapes(D, hidden_size).items():
                if bias or not name.startswith("bias"):
                    initial = torch.empty(shape, device=device, dtype=dtype).uniform_(-bound, bound)
                    self.register_parameter(name + self._suffix(k), nn.Parameter(initial))

    def forward(
        self,
        input: Tensor,
        hx: State | None = None,
        *,
        lengths: Sequence[int] | Tensor | None = None,
        masks: Tensor | None = None,
        probe: Probe | None = None,
    ) -> tuple[Tensor, State]:
        """Run a batch of sequences through the stack.

        Args:
            input: (T, B, D); (B, T, D) if ``batch_first``; (T, D) for one sequence without a batch axis.
            hx: ``(h_0, c_0)`` for an LSTM, ``h_0`` otherwise, each (layers * directions, B, H), with P for the H of a
                projected h, and without B if the input has none; zeros if left out.
            lengths: (B,), the number of steps in each row; the rest is padding.
            masks: dropout masks for training, (layers - 1, T, B, directions * P); drawn if left out.
            probe: called at each named intermediate with its name and the suffix of its layer and direction
                (``c_l0_reverse``), the time step and the value (B, H); the computation goes on with what it returns.

        Returns:
            output (T, B, directions * P), in the layout of the input and zero in the padding; the state at the end of
            each sequence, in the shape of the initial one.

        Raises:
            TypeError: an argument is not a tensor, or not of the parameters' dtype.
            ValueError: an argument has the wrong shape, or the lengths don't fit.
        """
        dtype = next(self.parameters()).dtype
        unbatched = isinstance(input, Tensor) and input.ndim == 2
        axes = [0, 2] if unbatched else [1, 0, 2] if self.batch_first else [0, 1, 2]
        letters = ", ".join("TBD"[axis] for axis in axes)
        check_tensor("input", input, letters, tuple((-1, -1, self.input_size)[axis] for axis in axes), dtype)
        source = input[:, None] if unbatched else input.transpose(0, 1) if self.batch_first else input
        T, B, _ = source.shape
        if source.numel() == 0:
            raise ValueError(f"input: expected at least one time step and one row, got {tuple(input.shape)}")
        if unbatched and lengths is not None:
            raise ValueError("lengths: expected none for an input of shape (T, D), which has no padding")
        running = None if lengths is None else _running(lengths, T, B, source.device)
        initial = self._initial(hx, B, unbatched, source)
        if running is not None:
            source = torch.where(running, source, 0)

        final = []
        for layer in range(self.num_layers):
            if layer and self.training and self.dropout:
                source = self._drop(source, masks, layer)
            outputs = []
            for k in range(layer * self.directions, (layer + 1) * self.directions):
                output, last = self._sweep(k, source, tuple(s[k] for s in initial), running, probe)
                outputs.append(output)
                final.append(last)
            source = torch.cat(outputs, dim=2) if self.bidirectional else outputs[0]
        output = source[:, 0] if unbatched else source.transpose(0, 1) if self.batch_first else source
        parts = tuple(torch.stack(part) for part in zip(*final))  # (layers * directions, B, H)
        if unbatched:
            parts = tuple(part[:, 0] for part in parts)
        return output, as_state(parts)

    def _sweep(
        self, k: int, source: Tensor, state: tuple[Tensor, ...], running: Tensor | None, probe: Probe | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run layer and direction ``k`` over ``source`` (T, B, D): output (T, B, P), and the final state."""
        T, suffix, reverse = len(source), self._suffix(k), k % self.directions == 1
        weights = {
            name: getattr(self, name + suffix, None)
            for name in self.cell.parameter_shapes(source.shape[2], self.hidden_size)
        }
        outputs = []
        for t in reversed(range(T)) if reverse else range(T):

            def at_step(name: str, value: Tensor, t: int = t) -> Tensor:
                if probe is None:
                    return value
                return probe(name + suffix, t, value if running is None else torch.where(running[t], value, 0))

            before = state
            if probe:  # a view, whose adjoint is exactly what this step passes back to the previous one
                before = tuple(at_step(f"{name}_prev", s.view_as(s)) for name, s in zip(self.state_sizes, state))
            after = self.cell.step(source[t], before, weights, at_step)
            if running is None:
                state, output = after, after[0]
            else:
                state = tuple(torch.where(running[t], a, s) for a, s in zip(after, state))
                output = torch.where(running[t], after[0], 0)
            outputs.append(output)
        return torch.stack(outputs[::-1] if reverse else outputs), state

    def _initial(self, hx: State | None, B: int, unbatched: bool, like: Tensor) -> tuple[Tensor, ...]:
        """Check the initial state and return its parts, (layers * directions, B, H) each."""
        K = self.num_layers * self.directions
        if hx is None:
            return tuple(like.new_zeros(K, B, size) for size in self.state_sizes.values())
        parts = state_parts(hx)
        if len(parts) != len(self.state_sizes):
            names = ", ".join(f"{name}_0" for name in self.state_sizes)
            raise ValueError(f"hx: expected ({names}), got {len(parts)} tensors")
        for (name, size), part in zip(self.state_sizes.items(), parts):
            letter = "H" if size == self.hidden_size else "P"
            letters = ["layers * directions", letter] if unbatched else ["layers * directions", "B", letter]
            shape = (K, size) if unbatched else (K, B, size)
            check_tensor(f"{name}_0", part, ", ".join(letters), shape, like.dtype)
        return tuple(part[:, None] if unbatched else part for part in parts)

    def _drop(self, source: Tensor, masks: Tensor | None, layer: int) -> Tensor:
        """Apply dropout to the input of ``layer``."""
        if masks is None:
            return nn.functional.dropout(source, self.dropout)
        shape = (self.num_layers - 1, *source.shape)
        return source * check_tensor("masks", masks, "layers - 1, T, B, directions * P", shape, source.dtype)[layer - 1]

    def _suffix(self, k: int) -> str:
        layer, direction = divmod(k, self.directions)
        return f"_l{layer}_reverse" if direction else f"_l{layer}"


def _running(lengths: Sequence[int] | Tensor, T: int, B: int, device: torch.device) -> Tensor:
    """Return whether each row is running at each step, (T, B, 1).

    Raises:
        ValueError: ``lengths`` are not B whole numbers from 1 to T.
    """
    steps = torch.as_tensor(lengths, device=device)
    if steps.shape != (B,) or steps.is_floating_point() or not ((steps >= 1) & (steps <= T)).all():
        raise ValueError(f"lengths: expected B = {B} whole numbers from 1 to T = {T}, got {lengths}")
    return (torch.arange(T, device=device)[:, None] < steps)[:, :, None]


class LSTM(Recurrent):
    """Long short-term memory with the arguments of ``torch.nn.LSTM``, its equations written out.

    With ``peepholes`` the gates i f o see the cell; ``coupled``, f = 1 - i and the gates are i g o.

    Raises:
        ValueError: ``proj_size`` is not below ``hidden_size``, or not 0 in one of the other two forms.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *args: Any,
        proj_size: int = 0,
        peepholes: bool = False,
        coupled: bool = False,
        **options: Any,
    ):
        if proj_size and not 0 < proj_size < hidden_size:
            raise ValueError(f"proj_size: expected at least 0 and below hidden_size = {hidden_size}, got {proj_size}")
        if proj_size and (peepholes or coupled):
            raise ValueError(f"proj_size: expected 0 with peepholes or coupled gates, got {proj_size}")
        cell = LSTMVariantCell(peepholes, coupled) if peepholes or coupled else LSTMCell(proj_size)
        super().__init__(cell, input_size, hidden_size, *args, **options)


class GRU(Recurrent):
    """Gated recurrent unit with the arguments of ``torch.nn.GRU``, its equations written out.

    With ``reset_after=False`` the reset gate acts before the matrix product.
    """

    def __init__(self, input_size: int, hidden_size: int, *args: Any, reset_after: bool = True, **options: Any):
        super().__init__(GRUCell(reset_after), input_size, hidden_size, *args, **options)


class RNN(Recurrent):
    """Elman network with the arguments of ``torch.nn.RNN``, its equations written out; ``sigmoid`` is allowed as well.

    Raises:
        ValueError: another nonlinearity.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        *args: Any,
        **options: Any,
    ):
        super().__init__(RNNCell(nonlinearity), input_size, hidden_size, num_layers, *args, **options)
