"""Recurrent layers and a readout: one logit per time step, or of the final state alone."""

from typing import Any, NamedTuple

import numpy as np

from manual.activations import ACTIVATIONS, softmax, softmax_backward
from manual.arrays import Array, Probe, as_state, state_parts
from manual.linear import Linear, LinearTape
from manual.recurrent import Recurrent, State
from manual.tape import StackTape

#: What a readout may end in.
READOUTS = ("linear", "softmax", *ACTIVATIONS)


class ModelTape(NamedTuple):
    """What backward needs of a forward pass.

    The tapes of both parts, the shape of the output if the readout did not read it, and y if there is an activation.
    """

    recurrent: StackTape
    readout: LinearTape
    unread: tuple[int, ...] | None
    y: Array | None


class Model:
    """``activation(readout(recurrent(x)))``.

    Args:
        recurrent: the recurrent layers. If they are ``batch_first``, so is the model.
        readout: turns their output into logits.
        activation: what the logits go through: linear (nothing), sigmoid, tanh, relu, or softmax over the O logits.
        final: whether the readout reads only the last layer's final h, both directions joined, and not each output. The
            logits are (B, O) then.

    Raises:
        ValueError: another activation.
    """

    def __init__(self, recurrent: Recurrent, readout: Linear, activation: str = "linear", final: bool = False):
        if activation not in READOUTS:
            raise ValueError(f"activation: expected one of {', '.join(READOUTS)}, got {activation!r}")
        self.recurrent, self.readout, self.activation, self.final = recurrent, readout, activation, final

    @property
    def parameters(self) -> dict[str, Array]:
        """The arrays of both parts, under their names in a PyTorch ``state_dict``."""
        return {f"recurrent.{name}": array for name, array in self.recurrent.parameters.items()} | {
            f"readout.{name}": array for name, array in self.readout.parameters.items()
        }

    def forward(
        self, x: Array, state: State | None = None, out: ModelTape | None = None, **options: Any
    ) -> tuple[Array, State, ModelTape]:
        """Return logits (T, B, O), the final state and the tape, from x (T, B, D).

        With ``batch_first`` layers B comes before T; with ``final`` the logits are (B, O). ``out`` is the tape of an
        earlier run, to be overwritten; ``options`` and errors are those of ``Recurrent.forward``.
        """
        old = None if out is None else _checked("out", out).recurrent
        output, state, recurrent_tape = self.recurrent.forward(x, state, out=old, **options)
        if self.final:
            h = np.concatenate(state_parts(state)[0][-self.recurrent.directions :], axis=-1)  # (B, directions * H)
            (logits,), readout_tape = self.readout.forward(h[None])
        else:
            logits, readout_tape = self.readout.forward(output)
        if self.activation == "linear":
            y = None
        else:
            activate = softmax if self.activation == "softmax" else ACTIVATIONS[self.activation][0]
            logits = activate(logits)
            y = logits.copy()
        return logits, state, ModelTape(recurrent_tape, readout_tape, output.shape if self.final else None, y)

    def backward(
        self, tape: ModelTape, d_logits: Array, d_state: State | None = None, probe: Probe | None = None
    ) -> tuple[Array, State, dict[str, Array]]:
        """Return d_x (T, B, D) and the gradients of initial state and ``parameters``, from d_logits (T, B, O).

        Shapes and errors are those of ``forward``, ``Recurrent.backward`` and ``Linear.backward``.
        """
        recurrent_tape, readout_tape, unread, y = _checked("tape", tape)
        if y is not None and self.activation == "softmax":
            d_logits = softmax_backward(y, d_logits)
        elif y is not None:
            d_logits = d_logits * ACTIVATIONS[self.activation][1](y)
        if unread is None:
            d_output, readout = self.readout.backward(readout_tape, d_logits)
        else:
            (d_h,), readout = self.readout.backward(readout_tape, d_logits[None])
            d_output, d_state = np.zeros(unread, d_h.dtype), self._with_final(d_state, d_h)
        d_x, d_state, recurrent = self.recurrent.backward(recurrent_tape, d_output, d_state, probe)
        return (
            d_x,
            d_state,
            {f"recurrent.{name}": gradient for name, gradient in recurrent.items()}
            | {f"readout.{name}": gradient for name, gradient in readout.items()},
        )

    def _with_final(self, d_state: State | None, d_h: Array) -> State:
        """Add the gradient of what the readout has read, (B, directions * H), to that of the final state."""
        layers = self.recurrent
        if d_state is None:
            rows = (len(layers.sweeps), len(d_h))
            parts = [np.zeros((*rows, size), d_h.dtype) for size in layers.state_sizes.values()]
        else:
            parts = [array.copy() for array in state_parts(d_state)]
        parts[0][-layers.directions :] += np.split(d_h, layers.directions, axis=-1)
        return as_state(parts)


def _checked(argument: str, tape: object) -> ModelTape:
    """Return the tape if it is a model's."""
    if isinstance(tape, ModelTape):
        return tape
    raise TypeError(f"{argument}: expected the tape of a forward pass of a model, got {type(tape).__name__}")
