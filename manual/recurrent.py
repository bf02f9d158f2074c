"""Layers × directions × dropout × layout over any recurrent kernel. The equations of the cells are elsewhere.

Layer k reads the outputs of layer k - 1; those of two directions are concatenated.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.arrays import Array, Probe, as_state, check_array, state_parts
from manual.engines import compiled, is_compiled
from manual.fast.gru import FastGRU
from manual.fast.lstm import FastLSTM
from manual.fast.lstm_variants import FastLSTMVariant
from manual.fast.rnn import FastRNN
from manual.fast.shards import Sharded
from manual.gru import GRUKernel
from manual.layout import Layout, Part
from manual.lstm import LSTMKernel
from manual.lstm_variants import LSTMVariantKernel
from manual.rnn import RNNKernel
from manual.sweep import FastKernel, Kernel, Sweep
from manual.tape import StackTape

#: ``(h, c)`` for an LSTM, ``h`` alone for the other cells.
State = Array | tuple[Array, ...]


class Recurrent:
    """A stack of recurrent layers with hand-derived gradients, for any cell.

    ``parameters`` maps PyTorch's names to arrays of PyTorch's shapes, initially uniform in ±1/√H as in PyTorch. To set
    them, write into the arrays; each ``forward`` reads them afresh.

    Args:
        kernel: the equations of one layer in one direction, which run where there is a probe.
        fast: the fast kernel, which runs otherwise; None if there is none, and the equations always run.
        input_size: D.
        hidden_size: H.
        num_layers: layers, each reading the outputs of the previous one.
        bias: whether there are biases, two per layer and direction.
        batch_first: whether x and output are (B, T, …).
        dropout: probability of dropping each output of all layers but the last in training.
        bidirectional: whether each layer also runs backwards in time.
        dtype: of parameters, arguments and results: any inexact dtype, longdouble and complex included.
        rng: draws the initial parameters; a generator with fresh entropy if left out.
        threads: the number of threads that share the rows of a large batch. Above 1, start Python with
            ``OPENBLAS_NUM_THREADS=1``, since a BLAS with threads of its own competes with these.
        engine: ``numpy``, or ``compiled``, which compiles what is not a matrix product, and for few units that too. It
            needs the extra ``compiled`` and a dtype of float32 or float64, and compiles for some seconds the first time
            that a cell is used.

    Raises:
        ValueError: an option outside its range, or an engine that is not installed.
        TypeError: a dtype that is not inexact, or that the engine cannot compute in.
    """

    def __init__(
        self,
        kernel: Kernel,
        fast: FastKernel | None,
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
        engine: str = "numpy",
    ):
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers, "threads": threads}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name}: expected at least 1, got {size}")
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout: expected a probability in [0, 1], got {dropout}")
        if not np.issubdtype(dtype, np.inexact):
            raise TypeError(f"dtype: expected an inexact dtype, got {np.dtype(dtype)}")
        if is_compiled(engine, np.dtype(dtype)):
            fast = compiled(kernel, np.dtype(dtype))
        self.kernel = kernel
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        self.dtype = np.dtype(dtype)
        self.directions = 2 if bidirectional else 1
        self.state_sizes = kernel.state_sizes(hidden_size)
        self.output_size = self.directions * next(iter(self.state_sizes.values()))
        letters = {name: "H" if size == hidden_size else "P" for name, size in self.state_sizes.items()}
        self._initial = [(f"{name}_0", letters[name], size) for name, size in self.state_sizes.items()]
        self._d_final = [(f"d_{name}_n", letters[name], size) for name, size in self.state_sizes.items()]
        self.sweeps = [
            Sweep(
                kernel,
                Sharded(fast, threads) if fast and threads > 1 else fast,
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
        form = {name: value for name, value in vars(kernel).items() if not callable(value)} | {
            "bias": bias,
            "batch_first": batch_first,
            "bidirectional": bidirectional,
            "dtype": str(self.dtype),
            "engine": engine,
            **sizes,
        }
        self._form = f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in form.items())})"
        rng = rng or np.random.default_rng()
        bound = 1 / np.sqrt(hidden_size)
        self.parameters: dict[str, Array] = {
            name + sweep.suffix: rng.uniform(-bound, bound, shape).astype(dtype)
            for sweep in self.sweeps
            for name, shape in sweep.shapes.items()
        }

    def __repr__(self) -> str:
        return self._form

    def forward(
        self,
        x: Array,
        state: State | None = None,
        *,
        lengths: Sequence[int] | Array | None = None,
        training: bool = True,
        masks: Array | None = None,
        probe: Probe | None = None,
        out: StackTape | None = None,
    ) -> tuple[Array, State, StackTape]:
        """Run a batch of sequences through the stack.

        Args:
            x: (T, B, D); (B, T, D) if ``batch_first``; (T, D) for one sequence without a batch axis.
            state: ``(h_0, c_0)`` for an LSTM, ``h_0`` otherwise, each (layers * directions, B, H), with P for the H of
                a projected h, and without B if x has none; zeros if left out.
            lengths: (B,), the number of steps in each row; the rest is padding, which is not read.
            training: whether dropout is applied.
            masks: dropout masks from ``draw_masks``; required where dropout is applied.
            probe: called at each named intermediate with its name and the suffix of its layer and direction
                (``c_l0_reverse``), the time step and the value (B, H); the computation goes on with what it returns.
            out: the tape of an earlier run of this layer or one of the same form, given up to this one: wherever the
                sizes are equal, its memory is overwritten, which saves a training loop the allocation of megabytes, and
                ``backward`` refuses it then.

        Returns:
            output (T, B, directions * P), in the layout of x and zero in the padding; the state at the end of each
            sequence, in the shape of the initial one; the tape for ``backward``.

        Raises:
            TypeError: an argument is not an array, or not of the parameters' dtype; or ``out`` is no tape.
            ValueError: an argument has the wrong shape, the lengths don't fit, or ``out`` is that of a layer of another
                form.
        """
        layout = Layout.of(x, self.input_size, self.dtype, self.batch_first, lengths)
        if out is not None:
            StackTape.check("out", out, self._form)
        masks = self._masks(masks, layout) if training and self.dropout and self.num_layers > 1 else None
        initial = self._by_sweep(self._initial, state, layout)

        old = out.take_over() if out and not probe else []
        source, final, tapes = layout.time_major(x), [], []
        for layer in range(self.num_layers):
            if layer and masks is not None:
                source = source * masks[layer - 1]
            outputs = []
            for k in self._of_layer(layer):
                output, last, tape = self.sweeps[k].forward(
                    source, initial[k], self.parameters, layout.schedule, probe, old[k] if old else ()
                )
                outputs.append(output)
                final.append(last)
                tapes.append(tape)
            source = np.concatenate(outputs, axis=2) if self.bidirectional else output
        return layout.as_given(source), self._state(final, layout), StackTape(self._form, layout, masks, tapes)

    def backward(
        self, tape: StackTape, d_output: Array, d_state: State | None = None, probe: Probe | None = None
    ) -> tuple[Array, State, dict[str, Array]]:
        """Carry the gradients of the outputs back through the run on the tape.

        Args:
            tape: from ``forward`` of this layer or one of the same form; it stays valid. Calls from several threads on
                one tape wait for each other.
            d_output: the gradient of the loss with respect to the output, of the same shape. Its padding is not read.
            d_state: that with respect to the final state, of the same shape; zeros if left out.
            probe: as in ``forward``, for the adjoints (``d_z_i_l0``, ``d_c_l0``, …).

        Returns:
            d_x, in the shape of x and zero in the padding; the gradient of the initial state, in its shape; the
            gradients, with the names and shapes of ``parameters``.

        Raises:
            TypeError: the tape is none, or an argument is not an array, or not of the parameters' dtype.
            ValueError: the tape is that of a layer of another form, or a later run has overwritten it; an argument has
                the wrong shape; or there is a probe after a forward pass in several threads without one.
        """
        layout = StackTape.check("tape", tape, self._form).layout
        d_source = layout.sequence("d_output", d_output, "directions * P", self.output_size, self.dtype)
        d_final = self._by_sweep(self._d_final, d_state, layout)

        d_initial: list[tuple[Array, ...]] = [()] * len(self.sweeps)
        gradients: list[dict[str, Array]] = [{}] * len(self.sweeps)
        with tape.lock:
            if not tape.sweeps:
                raise ValueError("tape: its memory was reused by a later forward(out=…)")
            for layer in reversed(range(self.num_layers)):
                d_outputs = np.split(d_source, 2, axis=2) if self.bidirectional else [d_source]
                d_inputs = []
                for k, d_output in zip(self._of_layer(layer), d_outputs):
                    d_input, d_initial[k], gradients[k] = self.sweeps[k].backward(
                        tape.sweeps[k], d_output, d_final[k], layout.schedule, probe
                    )
                    d_inputs.append(d_input)
                d_source = d_inputs[0] + d_inputs[1] if self.bidirectional else d_input
                if layer and tape.masks is not None:
                    d_source = d_source * tape.masks[layer - 1]
        by_name = {
            full: of_weights[name] for sweep, of_weights in zip(self.sweeps, gradients) for name, full in sweep.names
        }
        return layout.as_given(d_source), self._state(d_initial, layout), by_name

    def draw_masks(self, T: int, B: int, rng: np.random.Generator) -> Array:
        """Draw dropout masks (layers - 1, T, B, directions * P): 0 with probability dropout, else 1 / (1 - dropout)."""
        kept = rng.random((self.num_layers - 1, T, B, self.output_size)) >= self.dropout
        return (kept / (1 - self.dropout) if self.dropout < 1 else np.zeros(kept.shape)).astype(self.dtype)

    def _of_layer(self, layer: int) -> range:
        """Return the positions of a layer's sweeps."""
        return range(layer * self.directions, (layer + 1) * self.directions)

    def _masks(self, masks: Array | None, layout: Layout) -> Array:
        """Check dropout masks, and return them with rows in the schedule's order."""
        shape = (self.num_layers - 1, layout.schedule.T, layout.schedule.B, self.output_size)
        if masks is None:
            raise ValueError(f"masks: expected an array of shape {shape} for dropout = {self.dropout}, got None")
        check_array("masks", masks, "layers - 1, T, B, directions * P", shape, self.dtype)
        return np.stack([layout.schedule.sorted(mask) for mask in masks])

    def _by_sweep(self, parts: list[Part], state: State | None, layout: Layout) -> list[tuple[Array, ...]]:
        """Check a state, zeros if None, and return what each sweep has of it: (B, H) arrays."""
        K = len(self.sweeps)
        if state is None:
            arrays = [np.zeros((K, layout.schedule.B, size), self.dtype) for _, _, size in parts]
        else:
            arrays = layout.state(parts, state_parts(state), K, self.dtype)
        return [tuple([array[k] for array in arrays]) for k in range(K)]

    def _state(self, by_sweep: list[tuple[Array, ...]], layout: Layout) -> State:
        """Return the state of the stack in the user's layout. The inverse of ``_by_sweep``."""
        if len(by_sweep) == 1:
            arrays = [array[None] for array in by_sweep[0]]
        else:
            arrays = [np.stack(array) for array in zip(*by_sweep)]
        return as_state(layout.state_as_given(arrays))


class LSTM(Recurrent):
    """Long short-term memory: ``torch.nn.LSTM`` with its backward pass derived by hand, and two forms that torch lacks.

    It takes the arguments of ``Recurrent`` from ``input_size`` on.

    Args:
        proj_size: P, the size that h is projected to; 0 for no projection.
        peepholes: whether the gates i f o see the cell, through the parameters weight_ch.
        coupled: whether the cell forgets what it does not take in, f = 1 - i, so that the gates are i g o.

    Raises:
        ValueError: ``proj_size`` is negative, not below ``hidden_size``, or not 0 in one of the other two forms.
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
        kernel: Kernel = LSTMKernel(proj_size)
        fast: FastKernel = FastLSTM()
        if peepholes or coupled:
            kernel, fast = LSTMVariantKernel(peepholes, coupled), FastLSTMVariant(peepholes, coupled)
        super().__init__(kernel, fast, input_size, hidden_size, *args, **options)


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

    It takes the arguments of ``Recurrent`` from ``input_size`` on, with the nonlinearity after ``num_layers`` as in
    ``torch.nn.RNN``.

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
