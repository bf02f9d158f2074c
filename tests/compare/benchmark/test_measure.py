import csv
import json
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from compare.benchmark import contenders
from compare.benchmark import measure as benchmark
from compare.benchmark import report as bench_report
from compare.benchmark.case import Case, numbers
from compare.benchmark.contenders import CONTENDERS, PRODUCTS, Contender
from compare.benchmark.limit import in_pieces, products
from compare.benchmark.measure import Measured, Plan, Timing, check_contenders, measure, workers
from compare.benchmark.worker import versions
from compare.cli import main

CASE = Case("layer", "LSTM", 3, 4, 2, 5, "float64", 1)
BUILT = [name for name in CONTENDERS if name != "compiled" and not CONTENDERS[name].missing]
BRIEF = Plan(rounds=3, seconds=0.1, turn=0.001)


def flat(result):
    arrays = (result.outputs | result.gradients).items()
    arrays = {name: a.detach().numpy() if hasattr(a, "detach") else np.asarray(a) for name, a in arrays}
    return {name: array.squeeze() for name, array in arrays.items()}


@pytest.mark.parametrize("task", ["layer", "step"])
@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
def test_all_contenders_do_the_same_work(task, cell):
    case = replace(CASE, task=task, cell=cell)
    results = {name: flat(CONTENDERS[name].build(case, numbers(case))()) for name in BUILT}
    expected = results["manual"]
    states = {"LSTM": ["h_n", "c_n", "d_h_0", "d_c_0"]}.get(cell, ["h_n", "d_h_0"])
    if task == "layer":
        assert {"output", "d_x", *states, "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"} == set(expected)
    else:
        assert len(expected) == 8
    for name, result in results.items():
        assert result.keys() == expected.keys(), name
        for tensor, array in result.items():
            assert np.abs(array - expected[tensor]).max() < 1e-14, (name, tensor)


@pytest.mark.parametrize("name", BUILT)
def test_each_training_step_moves_the_weights(name):
    case = replace(CASE, task="step")
    step = CONTENDERS[name].build(case, numbers(case))
    losses = [float(flat(step())["loss"]) for _ in range(4)]
    expected = CONTENDERS["manual"].build(case, numbers(case))
    assert losses == pytest.approx([float(flat(expected())["loss"]) for _ in range(4)], rel=1e-9)
    assert losses[3] < losses[0]


@pytest.mark.parametrize("second", [(256, 512), (4096, 67)])
def test_a_product_in_pieces_has_as_many_multiplications_as_in_one_piece(second, monkeypatch):
    monkeypatch.setattr("manual.fast.products.SMALL_PRODUCT", 10**6)
    first = (64, second[0])
    pieces = in_pieces(first, second)
    assert len(pieces) > 1
    for (parts, one, m, inner), (also_parts, tiles, also_inner, width), result in pieces:
        assert (also_parts, also_inner, result) == (parts, inner, (parts, tiles, m, width))
        assert one == 1
        assert parts * tiles * m * inner * width == 64 * second[0] * second[1]


@pytest.mark.parametrize("cell, gates", [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_the_products_are_those_that_a_pass_needs(cell, gates):
    T, B, D, H = CASE.size
    multiplications = sum(n * a[0] * a[1] * b[1] for n, a, b in products(replace(CASE, cell=cell)))
    assert multiplications == 3 * T * B * gates * H * (H + D)  # three times each weight, for each row and step
    for name in PRODUCTS:
        PRODUCTS[name].build(CASE, numbers(CASE))()


def test_a_case_is_compared_then_timed():
    with workers(["manual", "fused"], 1) as running:
        measured = measure(running, CASE, ["manual", "fused"], BRIEF)
    assert measured.agrees
    for timing in measured.timings.values():
        assert len(timing.seconds) == 3
        assert min(timing.seconds) > 0
        assert 0 <= timing.used < 1
        assert not timing.problem
    assert measured.limit.seconds
    assert 0 < measured.share("manual") == measured.limit.over(measured.timings["manual"])[1]
    assert all(process.poll() == 0 for process in running.processes.values())


def test_what_disagrees_is_not_timed(tmp_path):
    rng = np.random.default_rng(0)
    right = {"output": rng.normal(size=(3, 4)), "d_x": rng.normal(size=(3, 2))}
    wrong = right | {"d_x": right["d_x"] * (1 + 1e-9)}
    for name, arrays in {
        "manual": wrong,
        "autograd": right,
        "fused": right,
        "jax": {"output": right["output"]},
    }.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
    timings = {name: Timing(name) for name in ("manual", "autograd", "fused", "jax")}
    benchmark._compare(timings, CASE, tmp_path)
    assert timings["manual"].problem == "disagrees with autograd in d_x: error 1.0e-09, tolerance 1e-12"
    assert timings["jax"].problem == "disagrees with autograd in d_x: missing"
    assert not timings["autograd"].problem + timings["fused"].problem
    measured = Measured(CASE, "", 0.0, timings, {})
    assert not measured.agrees
    console = Console(file=StringIO(), width=200)
    bench_report.show({"processor": "P", "cores": 1, "load": 0.0}, [measured], console)
    assert "DISAGREE: in 1 of 1 cases" in console.file.getvalue()


def test_ratios_are_paired_within_rounds():
    slow, fast = Timing("a", seconds=[2.0, 20.0, 6.0, 8.0]), Timing("b", seconds=[1.0, 10.0, 2.0, 2.0])
    assert slow.over(fast) == pytest.approx((2.0, 2.5, 3.25))
    assert slow.median == 7.0
    assert all(np.isnan(value) for value in slow.over(Timing("c")))


def test_a_process_that_ends_is_named(monkeypatch):
    with workers(["manual"], 1) as running:
        running.processes["CONTENDERS", "manual"].kill()
        with pytest.raises(RuntimeError, match="the process of manual ended"):
            measure(running, CASE, ["manual"], BRIEF)


@pytest.mark.parametrize(
    "needs, how",
    [("no_such_module", r"pip install -c constraints.txt -e '.\[bench\]'"), ("compiler", "C\\+\\+ compiler")],
)
def test_a_contender_that_is_not_installed_says_how_to_install_it(needs, how, monkeypatch, capsys):
    monkeypatch.setitem(CONTENDERS, "jax", Contender("JAX jit", lambda case, given: None, needs))
    monkeypatch.setattr(contenders.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match=f"contenders: 'jax' is not installed here: .*{how}"):
        check_contenders(["manual", "jax"])
    assert main(["bench", "--contenders", "manual", "jax"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "jax" not in benchmark.installed()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--contenders", "theano"], "contenders: expected some of manual, autograd,"),
        (["--sizes", "8,1,2"], "sizes: expected T,B,D,H as in 8,64,2,16, got '8,1,2'"),
        (["--sizes", "8,0,2,16"], "sizes: expected T, B, D and H of at least 1, got '8,0,2,16'"),
        (["--threads", "0"], "threads: expected numbers from 1 to the"),
        (["--rounds", "-1"], "rounds: expected more than 0, got -1"),
    ],
)
def test_bad_input_is_one_line(arguments, message, capsys, tmp_path):
    assert main(["bench", "--out", str(tmp_path), *arguments]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_versions_name_the_blas():
    found = versions()
    assert found["numpy"] == np.__version__
    assert "blas" in found["numpy's BLAS"].lower()
    assert found["torch's BLAS"]


def test_the_command_end_to_end(tmp_path, monkeypatch, capsys):
    monkeypatch.delitem(PRODUCTS, "torch")  # half the time to start processes
    monkeypatch.setattr("compare.commands.bench.STEP", (3, 2, 2, 3))
    monkeypatch.setattr("compare.commands.bench.SWEEPS", {"H": ((2, 2, 2), (3, 6)), "T": ((2, 2, 3), (1, 3))})
    options = ["--contenders", "manual", "fused", "--cells", "LSTM", "--sizes", "3,2,2,4", "--dtypes", "float32"]
    assert main(["bench", *options, "--threads", "1", "--rounds", "3", "--seconds", "0.1", "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"bench.json", "bench.csv", "bench.png"}
    kept = json.loads((tmp_path / "bench.json").read_text())
    assert [(case["case"]["task"], case["sweep"]) for case in kept["cases"]] == [
        ("layer", ""), ("step", ""), ("layer", "H"), ("layer", "H"), ("layer", "T"), ("layer", "T"),
    ]  # fmt: skip
    assert kept["machine"]["numpy"] == np.__version__
    with (tmp_path / "bench.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["contender"] for row in rows} == {"manual", "fused", "products, numpy"}
    layer = [row for row in rows if row["contender"] == "fused" and row["task"] == "layer" and not row["sweep"]]
    assert [float(row["seconds"]) for row in layer] == kept["cases"][0]["timings"]["fused"]["seconds"]
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "AGREE: all outputs and gradients, in each of 6 cases, before it was timed" in printed
    assert "nn.LSTM" in printed
