"""Layers × directions × dropout × layout over any recurrent kernel. No equation of a cell stands here.

Layer k reads the outputs of layer k - 1, those of both directions side by side where there are two.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from manual.arrays import Array, Probe, as_state, check_array, state_parts
from manual.fast.gru import FastGRU
from manual.fast.lstm import FastLSTM
from manual.fast.rnn import FastRNN
from manual.fast.shards import Sharded
from manual.gru import GRUKernel
from manual.lstm import LSTMKernel
from manual.rnn import RNNKernel
from manual.sweep import FastKernel, Kernel, Schedule, Sweep

#: ``(h, c)`` for an LSTM, ``h`` alone for the other cells.
State = Array | tuple[Array, ...]


class Tape(NamedTuple):
    """What the backward pass of a stack needs of its forward pass."""

    schedule: Schedule
    unbatched: bool
    masks: Array | None  # (layers - 1, T, B, directions * P), rows in the schedule's order
    sweeps: list[list[Any]]  # what each sweep left


class Recurrent:
    """A stack of recurrent layers with hand-derived gradients: what all cells have in common.

    ``parameters`` maps PyTorch's names to arrays of PyTorch's shapes, drawn as PyTorch draws them, uniformly from
    ±1/√H. Write into the arrays to set them; each ``forward`` reads them anew.

    Args:
        kernel: the equations of one layer in one direction, as a probe sees them.
        fast: the same without probes.
        input_size: D.
        hidden_size: H.
        num_layers: layers, each reading the outputs of the one before.
        bias: whether there are biases, two for each layer and direction.
        batch_first: whether x and output are (B, T, …).
        dropout: probability with which the outputs of all layers but the last are dropped in training.
        bidirectional: whether each layer also runs from the end to the beginning.
        dtype: of parameters, arguments and results; any floating dtype of NumPy's, complex ones included.
        rng: what the initial parameters are drawn from; a generator with fresh entropy if left out.
        threads: how many share the rows of a batch, where there is enough to share. Above 1, start Python with
            ``OPENBLAS_NUM_THREADS=1``: a BLAS with threads of its own would have them wait for each other.

    Raises:
        ValueError: an option outside its range.
        TypeError: a dtype that is not floating.
    """

    def __init__(
        self,
        kernel: Kernel,
        fast: FastKernel,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: DTypeLike = np.float64,
        rng: np.random.Generator | None = None,
        threads: int = 1,
    ):
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers, "threads": threads}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name}: expected at least 1, got {size}")
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout: expected a probability in [0, 1], got {dropout}")
        if not np.issubdtype(dtype, np.inexact):
            raise TypeError(f"dtype: expected a floating dtype, got {np.dtype(dtype)}")
        self.kernel = kernel
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        self.dtype = np.dtype(dtype)
        self.directions = 2 if bidirectional else 1
        self.state_sizes = kernel.state_sizes(hidden_size)
        self.output_size = self.directions * next(iter(self.state_sizes.values()))
        self._initial = [f"{name}_0" for name in self.state_sizes]
        self._d_final = [f"d_{name}_n" for name in self.state_sizes]
        self._state_letters = [
            f"layers * directions, B, {'H' if size == hidden_size else 'P'}" for size in self.state_sizes.values()
        ]
        self.sweeps = [
            Sweep(
                kernel,
                Sharded(fast, threads) if threads > 1 else fast,
                D=self.output_size if layer else input_size,
                H=hidden_size,
                suffix=f"_l{layer}_reverse" if reverse else f"_l{layer}",
                reverse=reverse,
                bias=bias,
                dtype=dtype,
            )
            for layer in range(num_layers)
            for reverse in (False, True)[: self.directions]
        ]
        rng = rng or np.random.default_rng()
        bound = 1 / np.sqrt(hidden_size)
        self.parameters: dict[str, Array] = {
            name + sweep.suffix: rng.uniform(-bound, bound, shape).astype(dtype)
            for sweep in self.sweeps
            for name, shape in sweep.shapes.items()
        }

    def forward(
        self,
        x: Array,
        state: State | None = None,
        *,
        lengths: Sequence[int] | Array | None = None,
        training: bool = True,
        masks: Array | None = None,
        probe: Probe | None = None,
        out: Tape | None = None,
    ) -> tuple[Array, State, Tape]:
        """Run a batch of sequences through the stack.

        Args:
            x: (T, B, D); (B, T, D) if ``batch_first``; (T, D) for one sequence without a batch axis.
            state: ``(h_0, c_0)`` for an LSTM, ``h_0`` otherwise, each (layers * directions, B, H), or P in place of
                H where h is projected, and without B where x has none; zeros if left out.
            lengths: (B,), how many steps of each row are sequence; the rest is padding, which is not read.
            training: whether dropout acts.
            masks: what dropout multiplies with, from ``draw_masks``; called for where dropout acts.
            probe: called at each named intermediate with its name and the suffix of its layer and direction
                (``c_l0_reverse``), the time step and the value (B, H); the computation goes on with what it returns.
            out: the tape of an earlier run, which is written over and no longer good: the new tape takes its memory
                wherever their sizes are equal. In a loop this saves the allocation of megabytes.

        Returns:
            output (T, B, directions * P), laid out as x is and zero in the padding; the state at each sequence's own
            end, shaped as the initial one; the tape for ``backward``.

        Raises:
            TypeError: an argument is no array, or of another dtype than the parameters.
            ValueError: an argument's shape differs, or the lengths don't fit.
        """
        unbatched = isinstance(x, np.ndarray) and x.ndim == 2
        if unbatched and lengths is not None:
            raise ValueError("lengths: expected none for an x of shape (T, D), which has no padding")
        x = self._time_major("x", x, "T, B, D", (-1, -1, self.input_size), unbatched)
        T, B, _ = x.shape
        if out is not None and not isinstance(out, Tape):
            raise TypeError(f"out: expected the tape of an earlier run, got {type(out).__name__}")
        schedule = Schedule.of(lengths, T, B)
        masks = self._masks(masks, schedule) if training and self._has_dropout else None
        initial = self._by_sweep(self._initial, state, schedule, unbatched)

        source, final, tapes = schedule.sorted(x), [], []
        for layer in range(self.num_layers):
            if layer and masks is not None:
                source = source * masks[layer - 1]
            outputs = []
            for k in self._of_layer(layer):
                output, last, tape = self.sweeps[k].forward(
                    source, initial[k], self.parameters, schedule, probe, out.sweeps[k] if out else ()
                )
                outputs.append(output)
                final.append(last)
                tapes.append(tape)
            source = np.concatenate(outputs, axis=2) if self.bidirectional else outputs[0]
        return (
            self._as_came(source, schedule, unbatched),
            self._state(final, schedule, unbatched),
            Tape(schedule, unbatched, masks, tapes),
        )

    def backward(
        self, tape: Tape, d_output: Array, d_state: State | None = None, probe: Probe | None = None
    ) -> tuple[Array, State, dict[str, Array]]:
        """Carry the gradients of the outputs back through the run that left the tape.

        Args:
            tape: from ``forward``; it is not changed, and can be used again.
            d_output: the gradient of the loss with respect to the output, shaped as it. Its padding is not read.
            d_state: that with respect to the final state, shaped as it; zeros if left out.
            probe: as in ``forward``, for the adjoints (``d_z_i_l0``, ``d_c_l0``, …).

        Returns:
            d_x, shaped as x and zero in the padding; the gradient of the initial state, shaped as it; and the
            gradients, with the names and shapes of ``parameters``.

        Raises:
            TypeError: an argument is no array, or of another dtype than the parameters.
            ValueError: an argument's shape differs.
        """
        schedule, unbatched = tape.schedule, tape.unbatched
        sizes = (schedule.T, schedule.B, self.output_size)
        d_output = self._time_major("d_output", d_output, "T, B, directions * P", sizes, unbatched)
        d_final = self._by_sweep(self._d_final, d_state, schedule, unbatched)

        d_source, d_initial = schedule.sorted(d_output), d_final.copy()
        gradients: dict[str, Array] = {}
        for layer in reversed(range(self.num_layers)):
            d_inputs = []
            for k, block in zip(self._of_layer(layer), self._directions(d_source)):
                d_input, d_initial[k], shares = self.sweeps[k].backward(
                    tape.sweeps[k], block, d_final[k], schedule, probe
                )
                d_inputs.append(d_input)
                gradients |= shares
            d_source = d_inputs[0] + d_inputs[1] if self.bidirectional else d_inputs[0]
            if layer and tape.masks is not None:
                d_source = d_source * tape.masks[layer - 1]
        return (
            self._as_came(d_source, schedule, unbatched),
            self._state(d_initial, schedule, unbatched),
            {name: gradients[name] for name in self.parameters},
        )

    def draw_masks(self, T: int, B: int, rng: np.random.Generator) -> Array:
        """Dropout masks (layers - 1, T, B, directions * P): 0 with probability ``dropout``, else 1 / (1 - dropout)."""
        kept = rng.random((self.num_layers - 1, T, B, self.output_size)) >= self.dropout
        return (kept / (1 - self.dropout) if self.dropout < 1 else np.zeros(kept.shape)).astype(self.dtype)

    @property
    def _has_dropout(self) -> bool:
        return self.dropout > 0 and self.num_layers > 1

    def _of_layer(self, layer: int) -> range:
        return range(layer * self.directions, (layer + 1) * self.directions)

    def _directions(self, array: Array) -> list[Array]:
        """What in a (T, B, directions * P) array belongs to each direction."""
        return np.split(array, 2, axis=2) if self.bidirectional else [array]

    def _masks(self, masks: Array | None, schedule: Schedule) -> Array:
        """Dropout masks, checked, rows in the schedule's order."""
        shape = (self.num_layers - 1, schedule.T, schedule.B, self.output_size)
        if masks is None:
            raise ValueError(f"masks: expected an array of shape {shape} for dropout = {self.dropout}, got None")
        check_array("masks", masks, "layers - 1, T, B, directions * P", shape, self.dtype)
        return np.stack([schedule.sorted(mask) for mask in masks])

    def _time_major(self, argument: str, array: object, letters: str, sizes: tuple[int, ...], unbatched: bool) -> Array:
        """Check an array laid out as the user's, and return it as (T, B, …)."""
        if unbatched:
            letters, sizes = letters.replace("B, ", ""), (sizes[0], sizes[2])
        elif self.batch_first:
            letters, sizes = letters.replace("T, B", "B, T"), (sizes[1], sizes[0], sizes[2])
        checked = check_array(argument, array, letters, sizes, self.dtype)
        if not checked.size:
            raise ValueError(f"{argument}: expected at least one time step and one row, got {checked.shape}")
        return checked[:, None] if unbatched else checked.swapaxes(0, 1) if self.batch_first else checked

    def _as_came(self, array: Array, schedule: Schedule, unbatched: bool) -> Array:
        """Rows and axes of a (T, B, …) array back to the user's."""
        array = schedule.unsorted(array)
        return array[:, 0] if unbatched else array.swapaxes(0, 1) if self.batch_first else array

    def _by_sweep(
        self, names: list[str], state: State | None, schedule: Schedule, unbatched: bool
    ) -> list[tuple[Array, ...]]:
        """For each sweep its part of a state, (B, H) each, rows in the schedule's order."""
        K, B = len(self.sweeps), schedule.B
        if state is None:
            return list(zip(*(np.zeros((K, B, size), self.dtype) for size in self.state_sizes.values())))
        given = state_parts(state)
        if len(given) != len(names):
            raise ValueError(f"state: expected ({', '.join(names)}), got {len(given)} arrays")
        parts = []
        for name, letters, size, part in zip(names, self._state_letters, self.state_sizes.values(), given):
            if unbatched:
                check_array(name, part, letters.replace("B, ", ""), (K, size), self.dtype)
                part = part[:, None]
            else:
                check_array(name, part, letters, (K, B, size), self.dtype)
            parts.append(schedule.sorted(part))
        return list(zip(*parts))

    def _state(self, of_sweeps: list[tuple[Array, ...]], schedule: Schedule, unbatched: bool) -> State:
        """The opposite of ``_by_sweep``."""
        if len(of_sweeps) == 1:
            parts = tuple(part[None] for part in of_sweeps[0])
        else:
            parts = tuple(np.stack(part) for part in zip(*of_sweeps))  # (layers * directions, B, H)
        if not schedule.whole:
            parts = tuple(schedule.unsorted(part) for part in parts)
        if unbatched:
            parts = tuple(part[:, 0] for part in parts)
        return as_state(parts)


class LSTM(Recurrent):
    """Long short-term memory: ``torch.nn.LSTM`` with its backward pass derived by hand.

    It takes the arguments of ``Recurrent`` from ``input_size`` on.

    Args:
        proj_size: P, the size that h is projected to; 0 for no projection.

    Raises:
        ValueError: ``proj_size`` is not below ``hidden_size``.
    """

    def __init__(self, input_size: int, hidden_size: int, *args: Any, proj_size: int = 0, **options: Any):
        if proj_size and not 0 < proj_size < hidden_size:
            raise ValueError(f"proj_size: expected at least 0 and below hidden_size = {hidden_size}, got {proj_size}")
        super().__init__(LSTMKernel(proj_size), FastLSTM(), input_size, hidden_size, *args, **options)


class GRU(Recurrent):
    """Gated recurrent unit: ``torch.nn.GRU`` with its backward pass derived by hand.

    It takes the arguments of ``Recurrent`` from ``input_size`` on.

    Args:
        reset_after: whether the reset gate acts after the matrix product, as in PyTorch, or before it.
    """

    def __init__(self, input_size: int, hidden_size: int, *args: Any, reset_after: bool = True, **options: Any):
        kernel, fast = GRUKernel(reset_after), FastGRU(reset_after)
        super().__init__(kernel, fast, input_size, hidden_size, *args, **options)


class RNN(Recurrent):
    """Elman network: ``torch.nn.RNN`` with its backward pass derived by hand.

    It takes the arguments of ``Recurrent`` from ``input_size`` on, and as ``torch.nn.RNN`` does, the nonlinearity
    between the number of layers and the rest.

    Args:
        nonlinearity: ``tanh``, ``relu`` or ``sigmoid``.

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
        kernel, fast = RNNKernel(nonlinearity), FastRNN(nonlinearity)
        super().__init__(kernel, fast, input_size, hidden_size, num_layers, *args, **options)
