"""The forms of each cell that frameworks have, and which of them a layer of ``manual`` is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import manual
from compare.cells import CELLS, Cell
from manual.activations import ACTIVATIONS
from manual.recurrent import Recurrent


@dataclass(frozen=True)
class Form:
    """One form of a cell.

    Args:
        cell: the cell.
        options: what sets this form apart, as keyword arguments of the layer in ``manual``.
    """

    cell: Cell
    options: Mapping[str, Any] = field(default_factory=dict)

    def layer(self, D: int, H: int, **options: Any) -> Recurrent:
        """Return a layer of this form with random weights."""
        layer: Recurrent = self.cell.of(manual)(D, H, **self.options, **options)
        return layer


#: By the names that tables show and other tables are keyed by.
FORMS = {
    "lstm": Form(CELLS["lstm"]),
    "lstm, peepholes": Form(CELLS["lstm"], {"peepholes": True}),
    "lstm, coupled": Form(CELLS["lstm"], {"coupled": True}),
    "lstm, peepholes, coupled": Form(CELLS["lstm"], {"peepholes": True, "coupled": True}),
    "gru": Form(CELLS["gru"]),
    "gru, reset before": Form(CELLS["gru"], {"reset_after": False}),
    "rnn": Form(CELLS["rnn"]),
    "rnn, relu": Form(CELLS["rnn"], {"nonlinearity": "relu"}),
}


def form_of(layer: Recurrent) -> str:
    """Return the name of a layer's form.

    Raises:
        ValueError: it has none, since no framework has such a layer.
    """
    kernel: Any = layer.kernel
    if getattr(kernel, "proj_size", 0):
        raise ValueError(f"proj_size: expected 0, since only torch projects h, got {kernel.proj_size}")
    own: dict[str, Any] = {name: True for name in ("peepholes", "coupled") if getattr(kernel, name, False)}
    if not getattr(kernel, "reset_after", True):
        own["reset_after"] = False
    if hasattr(kernel, "activation"):
        nonlinearity = next(name for name, (function, _) in ACTIVATIONS.items() if function is kernel.activation)
        own |= {} if nonlinearity == "tanh" else {"nonlinearity": nonlinearity}
    for name, form in FORMS.items():
        if set(kernel.gates) <= set(form.cell.gates) and form.options == own:
            return name
    raise ValueError(f"layer: expected one of {'; '.join(FORMS)}, got one with {own}")
