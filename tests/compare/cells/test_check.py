"""The layers of ``manual`` against their twins, equation by equation."""

import numpy as np
import pytest
import torch
from derived import write

import manual
import torch_impl
from compare.cells.check import check_file, check_layer


@pytest.mark.slow
def test_an_intermediate_is_labelled_by_its_name_and_a_block_of_a_gradient_also_by_its_gate(tmp_path):
    of_file = {one.label for one in check_file(write(tmp_path / "mine.py", "lstm")).as_run}
    assert {"z_i", "i", "d_z_f", "weight_ih_i", "bias_o", "d_x"} <= of_file
    assert not any(" " in label for label in of_file)
    layer, twin = manual.LSTM(4, 5, rng=np.random.default_rng(0)), torch_impl.LSTM(4, 5, dtype=torch.float64)
    of_layer = {one.label for one in check_layer(layer, twin).as_run}
    blocks = {f"{name}_l0 {gate}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh") for gate in "ifgo"}
    assert {label for label in of_layer if " " in label} == blocks
    assert {"i_l0", "d_z_i_l0"} <= of_layer


@pytest.mark.slow
def test_an_intermediate_of_any_layer_and_direction_belongs_to_its_gate():
    options = {"num_layers": 2, "bidirectional": True}
    layer = manual.GRU(4, 5, **options, rng=np.random.default_rng(0))
    report = check_layer(layer, torch_impl.GRU(4, 5, **options, dtype=torch.float64))
    gates = {one.label: one.gate for one in report.as_run if one.recorded}
    assert {gates[name] for name in ("z_l0", "d_z_z_l1", "d_z_z_l1_reverse")} == {"z"}
    assert gates["h_l1_reverse"] == ""


@pytest.mark.slow
def test_a_layer_of_ours_stays_as_it_was():
    layer = manual.GRU(4, 5, rng=np.random.default_rng(0))
    twin = torch_impl.GRU(4, 5, dtype=torch.float64)
    before = [array.copy() for array in layer.parameters.values()], [p.clone() for p in twin.parameters()]
    assert check_layer(layer, twin).agrees
    assert all(np.array_equal(a, b) for a, b in zip(layer.parameters.values(), before[0]))
    assert all(torch.equal(a, b) for a, b in zip(twin.parameters(), before[1]))


@pytest.mark.parametrize("lengths", [None, [3, 6, 2, 4]], ids=["full", "lengths"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}], ids=str)
@pytest.mark.parametrize(
    "kind, own",
    [("LSTM", {}), ("LSTM", {"proj_size": 2}), ("GRU", {}), ("GRU", {"reset_after": False}), ("RNN", {})],
    ids=str,
)
@pytest.mark.slow
def test_every_layer_of_ours_agrees_equation_by_equation_and_in_its_fast_kernels(kind, own, options, lengths):
    layer = getattr(manual, kind)(4, 5, **own, **options, rng=np.random.default_rng(0))
    twin = getattr(torch_impl, kind)(4, 5, **own, **options, dtype=torch.float64)
    report = check_layer(layer, twin, lengths)
    assert report.agrees
    assert max(one.errors.max() for one in report.fed_back) < 1e-13
    assert [one.name for one in report.as_run if not report.notation.equation(one.name).formula] == []
    states = [name for state in layer.state_sizes for name in (f"{state}_n", f"d_{state}_0")]
    assert {found.name for found in report.fast} == {"output", "d_x", *states, *layer.parameters}
    assert report.fast_error < 1e-14
