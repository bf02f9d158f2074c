"""The variants of the cells that OPTIONS in a file can select, written out for autograd."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from torch_impl.gru import GRUCell
from torch_impl.lstm import LSTMCell
from torch_impl.lstm_variants import LSTMVariantCell
from torch_impl.recurrent import Recurrent
from torch_impl.rnn import RNNCell

Probe = Callable[[str, Tensor], Tensor]


class BareOutputLSTM(LSTMCell):
    """An LSTM whose output is o ∘ c, without the tanh."""

    def step(
        self, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Any], probe: Probe
    ) -> tuple[Tensor, ...]:
        """Return h and c after the step, from x (B, D), h and c (B, H)."""
        h, c = state
        z = linear(x, weights["weight_ih"], weights["bias_ih"]) + linear(h, weights["weight_hh"], weights["bias_hh"])
        z_i, z_f, z_g, z_o = (probe(f"z_{gate}", block) for gate, block in zip("ifgo", z.chunk(4, dim=1)))
        i, f = probe("i", torch.sigmoid(z_i)), probe("f", torch.sigmoid(z_f))
        g, o = probe("g", torch.tanh(z_g)), probe("o", torch.sigmoid(z_o))
        c = probe("c", f * c + i * g)
        return probe("h", o * c), c


class RenewingGRU(GRUCell):
    """A GRU whose update gate weights the candidate: h = (1 - z) ∘ h_prev + z ∘ n, as in many texts."""

    def step(
        self, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Any], probe: Probe
    ) -> tuple[Tensor, ...]:
        """Return h after the step, from x (B, D) and h (B, H)."""
        (h,) = state
        W_hr, W_hz, W_hn = weights["weight_hh"].chunk(3)
        b_hr, b_hz, b_hn = weights["bias_hh"].chunk(3)
        x_r, x_z, x_n = linear(x, weights["weight_ih"], weights["bias_ih"]).chunk(3, dim=1)
        r = probe("r", torch.sigmoid(probe("z_r", x_r + linear(h, W_hr, b_hr))))
        z = probe("z", torch.sigmoid(probe("z_z", x_z + linear(h, W_hz, b_hz))))
        if self.reset_after:
            q = probe("q", linear(h, W_hn, b_hn))
            z_n = probe("z_n", x_n + r * q)
        else:
            q = probe("q", r * h)
            z_n = probe("z_n", x_n + linear(q, W_hn, b_hn))
        n = probe("n", torch.tanh(z_n))
        return (probe("h", (1 - z) * h + z * n),)


#: The options of each cell and their permitted values, the default first.
OPTIONS: dict[str, dict[str, tuple[Any, ...]]] = {
    "lstm": {"output_tanh": (True, False), "peepholes": (False, True), "coupled": (False, True)},
    "gru": {"reset_after": (True, False), "update_gate": ("keeps", "renews")},
    "rnn": {"nonlinearity": ("tanh", "relu", "sigmoid")},
}


def form(cell: str, options: Mapping[str, Any], D: int, H: int) -> Recurrent:
    """Make one layer of a cell in the chosen form, in double precision.

    Raises:
        ValueError: an unknown option, or a value that is not permitted.
    """
    known = OPTIONS[cell]
    chosen = {name: values[0] for name, values in known.items()} | dict(options)
    for name, value in chosen.items():
        if name not in known:
            raise ValueError(unknown_key("OPTIONS", name, known))
        if value not in known[name]:
            expected = " or ".join(map(repr, known[name]))
            raise ValueError(f"OPTIONS: {name}: expected {expected}, got {value!r}")
    equations: Any
    if cell == "lstm":
        variant = {name: chosen[name] for name in ("peepholes", "coupled")}
        if any(variant.values()) and not chosen["output_tanh"]:
            raise ValueError("OPTIONS: output_tanh: expected True with peepholes or coupled, got False")
        plain = LSTMCell() if chosen["output_tanh"] else BareOutputLSTM()
        equations = LSTMVariantCell(**variant) if any(variant.values()) else plain
    elif cell == "gru":
        equations = (GRUCell if chosen["update_gate"] == "keeps" else RenewingGRU)(chosen["reset_after"])
    else:
        equations = RNNCell(chosen["nonlinearity"])
    return Recurrent(equations, D, H, dtype=torch.float64)


def equations_key(cell: str, options: Mapping[str, Any]) -> str:
    """Return the key in ``equations.EQUATIONS`` of a cell in the chosen form."""
    if cell == "lstm" and not options.get("output_tanh", True):
        return "lstm, bare output"
    if cell == "lstm":
        named = {"proj_size": "projection", "peepholes": "peepholes", "coupled": "coupled"}
        return ", ".join(["lstm", *(name for option, name in named.items() if options.get(option))])
    if cell == "gru":
        before = "" if options.get("reset_after", True) else ", reset before"
        renews = ", renewing" if options.get("update_gate", "keeps") == "renews" else ""
        return f"gru{before}{renews}"
    return cell if options.get("nonlinearity", "tanh") == "tanh" else f"rnn, {options['nonlinearity']}"


def unknown_key(where: str, name: str, known: Mapping[str, Any]) -> str:
    """Return the message for an unknown key, with the valid ones and the nearest."""
    close = difflib.get_close_matches(name, known, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return f"{where}: expected keys {', '.join(known)}; got {name!r}{meant}"
