from contextlib import closing
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from compare.benchmark import contenders, measure, report
from compare.benchmark.case import TimedCase
from compare.benchmark.contenders import CONTENDERS, PRODUCTS, Contender
from compare.benchmark.measure import Budget, Measured, Pool, Timing

CASE = TimedCase("layer", "LSTM", 3, 4, 2, 5, "float64", 1)


@pytest.mark.exhaustive
def test_a_case_is_compared_then_timed(monkeypatch):
    monkeypatch.delitem(PRODUCTS, "torch")  # saves the start of a process
    budget = Budget(rounds=3, seconds=0.1, turn=0.001)
    with closing(Pool(["manual", "fused"], 1)) as pool:
        measured = measure.measure(pool, CASE, ["manual", "fused"], budget)
    assert measured.agrees
    for timing in measured.timings.values():
        assert len(timing.seconds) == 3
        assert min(timing.seconds) > 0
        assert 0 <= timing.used < 1
        assert not timing.problem
    assert len(measured.lower_bound.seconds) == 3 and measured.share_of_products("manual") > 0
    assert all(process.poll() == 0 for process in pool.processes.values())


def test_what_disagrees_is_not_timed(tmp_path):
    rng = np.random.default_rng(0)
    right = {"output": rng.normal(size=(3, 4)), "d_x": rng.normal(size=(3, 2))}
    wrong = right | {"d_x": right["d_x"] * (1 + 1e-9)}
    results = {"manual": wrong, "autograd": right, "fused": right, "jax": {"output": right["output"]}}
    for name, arrays in results.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
    timings = {name: Timing(name) for name in results}
    measure._compare(timings, CASE, tmp_path)
    assert timings["manual"].problem == "disagrees with autograd in d_x: error 1.0e-09, tolerance 1e-12"
    assert timings["jax"].problem == "disagrees with autograd in d_x: missing"
    assert not timings["autograd"].problem + timings["fused"].problem
    measured = Measured(CASE, "", 0.0, timings, {})
    assert not measured.agrees
    console = Console(file=StringIO(), width=200)
    report.show({"processor": "P", "cores": 1, "load": 0.6}, [measured], console)
    assert "DISAGREE: in 1 of 1 cases" in console.file.getvalue()
    assert "The machine was busy: load 0.60 on 1 cores" in console.file.getvalue()


def test_without_the_written_out_module_the_reference_is_another_s(tmp_path):
    right = {"output": np.random.default_rng(0).normal(size=(3, 4))}
    wrong = {"output": right["output"] * (1 + 1e-9)}
    results = {"manual": wrong, "manual-compiled": wrong, "fused": right}
    for name, arrays in results.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
    timings = {name: Timing(name) for name in results}
    measure._compare(timings, CASE, tmp_path)
    assert [name for name, timing in timings.items() if "disagrees with fused" in timing.problem] == [
        "manual",
        "manual-compiled",
    ]


def test_the_advice_is_the_fastest_and_how_far_it_is_ahead():
    def measured(H, **seconds):
        case = replace(CASE, H=H)
        return Measured(case, "", 0.0, {name: Timing(name, [s, s]) for name, s in seconds.items()}, {})

    cases = [measured(5, manual=2.0, fused=3.0), measured(6, manual=2.0, fused=8.0), measured(7, manual=2.2, fused=2.0)]
    assert report.advice(cases) == [
        "\nWhich should I use? manual is the fastest in 2 of 3 cases; nn.LSTM in 1, as at 3, 4, 2, 7 "
        "(LSTM, forward + backward, float64, one thread).",
        "By how much? The next takes 1.10 times the time, manual at 3, 4, 2, 7 (LSTM, forward + backward, float64, "
        "one thread), and 4.00 times the time, nn.LSTM at 3, 4, 2, 6 (LSTM, forward + backward, float64, one thread).",
    ]
    assert report.advice([measured(5, manual=2.0)]) == []


def test_ratios_are_paired_within_rounds():
    slow, fast = Timing("a", seconds=[2.0, 20.0, 6.0, 8.0]), Timing("b", seconds=[1.0, 10.0, 2.0, 2.0])
    assert slow.over(fast) == pytest.approx((2.0, 2.5, 3.25))
    assert slow.median == 7.0
    assert all(np.isnan(value) for value in slow.over(Timing("c")))


def test_the_lower_bound_is_that_of_the_faster_library():
    products = {"numpy": Timing("numpy", [2.0, 3.0]), "torch": Timing("torch", [1.0, 2.0])}
    measured = Measured(CASE, "", 0.0, {"manual": Timing("manual", [4.0, 5.0])}, products)
    assert measured.lower_bound is products["torch"]
    assert measured.share_of_products("manual") == pytest.approx((1 / 4 + 2 / 5) / 2)


@pytest.mark.parametrize(
    "needs, how",
    [("no_such_module", r"pip install -c constraints.txt -e '.\[bench\]'"), ("compiler", "C\\+\\+ compiler")],
)
def test_a_contender_that_is_not_installed_says_how_to_install_it(needs, how, monkeypatch):
    monkeypatch.setitem(CONTENDERS, "jax", Contender("JAX jit", "jax_scan.build", needs))
    monkeypatch.setattr(contenders.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match=f"contenders: 'jax' is not installed here: .*{how}"):
        measure.check_contenders(["manual", "jax"])
    assert "jax" not in measure.installed()


@pytest.mark.slow
def test_a_process_that_ends_is_named():
    with closing(Pool(["manual"], 1)) as pool:
        pool.processes["CONTENDERS", "manual"].kill()
        with pytest.raises(RuntimeError, match="the process of manual ended"):
            pool.ask("CONTENDERS", "manual", {"do": "time", "runs": 1})
