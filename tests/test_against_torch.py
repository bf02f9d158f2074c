"""The hand-derived layers against torch: every output and every gradient, all arguments random.

Opponents are the written-out twin and, where torch has the form, ``torch.nn``'s own layer.
"""

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from forms import run
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import relative_error
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import manual
import torch_impl
from manual.arrays import as_state, state_parts

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
CELLS = {
    "lstm": ("LSTM", {}),
    "lstm projected": ("LSTM", {"proj_size": 3}),
    "gru": ("GRU", {}),
    "gru, reset before": ("GRU", {"reset_after": False}),
    "rnn tanh": ("RNN", {}),
    "rnn relu": ("RNN", {"nonlinearity": "relu"}),
    "rnn sigmoid": ("RNN", {"nonlinearity": "sigmoid"}),
}
TORCH_HAS_NOT = ("gru, reset before", "rnn sigmoid")


@dataclass
class Trial:
    """One configuration of a layer, random arguments for it, and what each side makes of them."""

    cell: str
    options: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, int, int, int] = (6, 4, 2, 5)  # T, B, D, H
    lengths: list[int] | None = None
    unbatched: bool = False
    masked: bool = False
    dtype: str = "float64"
    seed: int = 0
    own: dict[str, Any] = field(default_factory=dict)  # what only the hand-derived layer takes

    def __post_init__(self):
        self.kind, own = CELLS[self.cell]
        T, B, D, H = self.shape
        rng = np.random.default_rng(sum(self.shape) + self.seed)
        options = {**own, **self.options}
        self.build = lambda package, **more: getattr(package, self.kind)(D, H, **options, **more)
        self.layer = self.build(manual, dtype=self.dtype, rng=rng, **self.own)

        def normal(*axes: tuple[str, int]) -> np.ndarray:
            kept = [size for letter, size in axes if letter != "B" or not self.unbatched]
            if self.options.get("batch_first") and axes[0][0] == "T" and not self.unbatched:
                kept[:2] = kept[1::-1]
            return rng.normal(size=kept).astype(self.dtype)

        K = len(self.layer.sweeps)
        time_major = [("T", T), ("B", B)]
        self.x = normal(*time_major, ("D", D))
        self.d_output = normal(*time_major, ("H", self.layer.output_size))
        states = [[("K", K), ("B", B), ("H", size)] for size in self.layer.state_sizes.values()]
        self.state, self.d_state = ([normal(*axes) for axes in states] for _ in range(2))
        self.masks = self.layer.draw_masks(T, B, rng) if self.masked else None

    def by_hand(self, probe=None, **options) -> dict[str, np.ndarray]:
        return run(self.layer, self, probe, **self.called_with, **options)

    @property
    def called_with(self) -> dict[str, Any]:
        return {"lengths": self.lengths, "masks": self.masks, "training": self.masked}

    def by_autograd(self, package) -> dict[str, np.ndarray]:
        module = self.build(package, dtype=getattr(torch, self.dtype)).train(self.masked)
        assert list(module.state_dict()) == list(self.layer.parameters)
        module.load_state_dict({name: torch.tensor(array) for name, array in self.layer.parameters.items()})
        x = torch.tensor(self.x, requires_grad=True)
        state = tuple(torch.tensor(s, requires_grad=True) for s in self.state)
        hx = as_state(state)
        if package is torch.nn and self.lengths:
            first = bool(self.options.get("batch_first"))
            sequences = pack_padded_sequence(x, torch.tensor(self.lengths), first, enforce_sorted=False)
            output, last = module(sequences, hx)
            output, _ = pad_packed_sequence(output, first, total_length=self.shape[0])
        elif package is torch.nn:
            output, last = module(x, hx)
        else:
            masks = None if self.masks is None else torch.tensor(self.masks)
            output, last = module(x, hx, lengths=self.lengths, masks=masks)
        lasts, names = state_parts(last), list(self.layer.state_sizes)
        torch.autograd.backward([output, *lasts], [torch.tensor(d) for d in (self.d_output, *self.d_state)])
        results = {"output": output, "d_x": x.grad} | {f"{n}_n": part for n, part in zip(names, lasts, strict=True)}
        results |= {f"d_{n}_0": part.grad for n, part in zip(names, state, strict=True)}
        results |= {name: parameter.grad for name, parameter in module.named_parameters()}
        return {name: tensor.detach().numpy() for name, tensor in results.items()}

    def assert_agrees(self, least_scale: float = 0.0):
        """Errors are relative to each tensor's largest element, or to ``least_scale`` where that is larger."""
        mine = self.by_hand()
        for package in (torch_impl,) if self.cell in TORCH_HAS_NOT else (torch_impl, torch.nn):
            reference = self.by_autograd(package)
            assert mine.keys() == reference.keys()
            for name, array in reference.items():
                assert mine[name].dtype == array.dtype
                assert mine[name].shape == array.shape
                scale = max(np.abs(array).max(), least_scale)
                error = np.abs(mine[name] - array).max() / scale
                assert error < TOLERANCE[self.dtype], (name, error, package.__name__, self)


@pytest.mark.slow
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("layers, dtype", [(1, "float64"), (1, "float32"), (3, "float64")])
@pytest.mark.parametrize("cell", CELLS)
def test_the_whole_product_agrees(cell, layers, bidirectional, dtype):
    for bias, batch_first, lengths, unbatched in product((True, False), (True, False), (None, [3, 6, 1, 4]), (0, 1)):
        if not (lengths and unbatched):
            options = dict(num_layers=layers, bidirectional=bidirectional, bias=bias, batch_first=batch_first)
            Trial(cell, options, lengths=lengths, unbatched=bool(unbatched), dtype=dtype).assert_agrees()


@pytest.mark.slow
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_configuration_agrees(data):
    cell = data.draw(st.sampled_from(list(CELLS)))
    T, B, D = (data.draw(st.integers(1, 7)) for _ in range(3))
    H = data.draw(st.integers(4 if cell == "lstm projected" else 1, 7))
    options = {
        "num_layers": data.draw(st.integers(1, 3)),
        "bidirectional": data.draw(st.booleans()),
        "bias": data.draw(st.booleans()),
        "batch_first": data.draw(st.booleans()),
    }
    lengths = data.draw(st.none() | st.lists(st.integers(1, T), min_size=B, max_size=B))
    # The arguments, where rounding begins, are of size 1. At sizes as small as these a sum may happen to cancel, or all
    # relus be dead, and what is left has no scale of its own.
    Trial(cell, options, (T, B, D, H), lengths, dtype=data.draw(st.sampled_from(list(TOLERANCE)))).assert_agrees(
        least_scale=0.1
    )


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.slow
def test_long_sequences_agree(cell, dtype):
    Trial(cell, shape=(100, 3, 2, 8), dtype=dtype).assert_agrees()


@pytest.mark.parametrize("lengths", [None, [3, 6, 1, 4]])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("cell", CELLS)
def test_one_dropout_mask_means_the_same_on_both_sides(cell, bidirectional, lengths):
    options = dict(num_layers=3, bidirectional=bidirectional, dropout=0.4)
    trial = Trial(cell, options, lengths=lengths, masked=True)
    mine, reference = trial.by_hand(), trial.by_autograd(torch_impl)
    without = Trial(cell, options, lengths=lengths).by_hand()
    assert relative_error(mine["output"], without["output"]) > 1e-3
    for name, array in reference.items():
        assert relative_error(mine[name], array) < 1e-12, name


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell not in TORCH_HAS_NOT])
def test_dropping_everything_is_what_torch_does_with_probability_1(cell):
    trial = Trial(cell, dict(num_layers=2, dropout=1.0), masked=True)
    mine, reference = trial.by_hand(), trial.by_autograd(torch.nn)
    for name, array in reference.items():
        assert np.array_equal(mine[name], 0 * array) if not array.any() else relative_error(mine[name], array) < 1e-12


@pytest.mark.parametrize("package", [manual, torch_impl], ids=["manual", "torch_impl"])
@pytest.mark.parametrize("reverse", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("cell", CELLS)
def test_padding_is_not_read(cell, reverse, package):
    """Neither a result nor a gradient changes, whatever stands in the padding and comes in for it."""
    lengths = [3, 6, 1, 4]
    clean, dirty = (Trial(cell, {"bidirectional": reverse, "num_layers": 2}, lengths=lengths) for _ in range(2))
    for row, length in enumerate(lengths):
        dirty.x[length:, row] = np.nan
        dirty.d_output[length:, row] = 1e3
    results = [t.by_hand() if package is manual else t.by_autograd(package) for t in (clean, dirty)]
    for name, array in results[0].items():
        assert np.array_equal(array, results[1][name]), name
    for row, length in enumerate(lengths):
        assert not results[1]["output"][length:, row].any()
        assert not results[1]["d_x"][length:, row].any()


@pytest.mark.parametrize("package", [manual, torch_impl], ids=["manual", "torch_impl"])
@pytest.mark.parametrize(
    "lengths", [[3, 6, 1], [0, 6, 1, 4], [3, 7, 1, 4], [3.0, 6.0, 1.0, 4.0]], ids=["count", "zero", "long", "float"]
)
def test_lengths_that_do_not_fit_are_named(lengths, package):
    trial = Trial("gru", lengths=lengths)
    with pytest.raises(ValueError, match=r"lengths: expected B = 4 whole numbers from 1 to T = 6, got \["):
        trial.by_hand() if package is manual else trial.by_autograd(package)


@pytest.mark.parametrize("size", [5, 6, -1])
@pytest.mark.parametrize("package", [manual, torch_impl], ids=["manual", "torch_impl"])
def test_a_projection_that_is_none_is_named(package, size):
    options = {"rng": np.random.default_rng(0)} if package is manual else {}
    with pytest.raises(ValueError, match=f"proj_size: expected at least 0 and below hidden_size = 5, got {size}"):
        package.LSTM(2, 5, proj_size=size, **options)
