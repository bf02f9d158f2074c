"""Recurrent layers and a linear readout: one logit per time step."""

from typing import Any

from manual.arrays import Array, Probe
from manual.linear import Linear
from manual.recurrent import Recurrent, State


class Model:
    """``readout(recurrent(x))``.

    Args:
        recurrent: the recurrent layers.
        readout: turns their output into logits.
    """

    def __init__(self, recurrent: Recurrent, readout: Linear):
        self.recurrent, self.readout = recurrent, readout

    @property
    def parameters(self) -> dict[str, Array]:
        """The arrays of both parts, under their names in a PyTorch ``state_dict``."""
        return {f"recurrent.{name}": array for name, array in self.recurrent.parameters.items()} | {
            f"readout.{name}": array for name, array in self.readout.parameters.items()
        }

    def forward(
        self, x: Array, state: State | None = None, out: tuple[Any, Any] | None = None, **options: Any
    ) -> tuple[Array, State, tuple[Any, Any]]:
        """Return logits (T, B, O), the final state and the tape, from x (T, B, D).

        ``out`` is the tape of an earlier run, to be overwritten; ``options`` and errors are those of
        ``Recurrent.forward``.
        """
        old = None if out is None else _parts("out", out)[0]
        output, state, recurrent_tape = self.recurrent.forward(x, state, out=old, **options)
        logits, readout_tape = self.readout.forward(output)
        return logits, state, (recurrent_tape, readout_tape)

    def backward(
        self, tape: tuple[Any, Any], d_logits: Array, d_state: State | None = None, probe: Probe | None = None
    ) -> tuple[Array, State, dict[str, Array]]:
        """Return d_x (T, B, D) and the gradients of initial state and ``parameters``, from d_logits (T, B, O).

        Errors are those of ``Recurrent.backward`` and ``Linear.backward``.
        """
        recurrent_tape, readout_tape = _parts("tape", tape)
        d_output, readout = self.readout.backward(readout_tape, d_logits)
        d_x, d_state, recurrent = self.recurrent.backward(recurrent_tape, d_output, d_state, probe)
        return (
            d_x,
            d_state,
            {f"recurrent.{name}": gradient for name, gradient in recurrent.items()}
            | {f"readout.{name}": gradient for name, gradient in readout.items()},
        )


def _parts(argument: str, tape: object) -> tuple[Any, ...]:
    """Return the tapes of both parts of a model."""
    if isinstance(tape, tuple) and len(tape) == 2:
        return tape
    raise TypeError(f"{argument}: expected the tape of a forward pass of a model, got {type(tape).__name__}")
