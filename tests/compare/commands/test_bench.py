import csv
import json

import numpy as np
import pytest

from compare.benchmark.contenders import CONTENDERS, PRODUCTS, Contender
from compare.cli import main


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--contenders", "theano"], "contenders: expected some of manual, manual-compiled,"),
        (["--contenders", "jax"], "contenders: 'jax' is not installed here: pip install"),
        (["--contender", "my.py"], "contender: expected file.py:function, got 'my.py'"),
        (["--contender", "none.py:make"], "contender: expected a Python file, got none.py"),
        (["--contender", f"{__file__}:make"], "test_bench.py defines, got 'make'"),
        (["--sizes", "8,1,2"], "sizes: expected T,B,D,H as in 8,64,2,16, got '8,1,2'"),
        (["--sizes", "8,0,2,16"], "sizes: expected T, B, D and H of at least 1, got '8,0,2,16'"),
        (["--threads", "0"], "threads: expected numbers from 1 to"),
        (["--rounds", "-1"], "rounds: expected more than 0, got -1"),
        (["--seconds", "nan"], "seconds: expected more than 0, got nan"),
    ],
)
def test_bad_input_is_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(CONTENDERS, "jax", Contender("JAX jit", "jax_scan.build", "no_such_module"))
    assert main(["bench", "--out", str(tmp_path), *arguments]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.iterdir())


MINE = """
from by_hand_of_mine import layer_of
print("anything")
def make(case, inputs):
    layer, state, d_state = layer_of(case, inputs)
    def run():
        output, (h_n, c_n), tape = layer.forward(inputs.x, state)
        d_x, (d_h_0, d_c_0), gradients = layer.backward(tape, inputs.d_output, d_state)
        return {"output": output, "h_n": h_n, "c_n": c_n}, {"d_x": d_x, "d_h_0": d_h_0, "d_c_0": d_c_0} | gradients
    return run
def wrong(case, inputs):
    run = make(case, inputs)
    return lambda: [named | {name: 1.001 * a for name, a in named.items() if name == "d_x"} for named in run()]
def broken(case, inputs):
    raise KeyError("W")
"""
BESIDE = """
import manual, numpy as np
def layer_of(case, inputs):
    layer = manual.LSTM(case.D, case.H, dtype=case.dtype, rng=np.random.default_rng(0))
    layer.parameters.update({f"{name}_l0": array for name, array in inputs.weights.items()})
    return layer, tuple(s[None] for s in inputs.state), tuple(d[None] for d in inputs.d_state)
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "function, code, said",
    [
        ("make", 0, "AGREE: all outputs and gradients, in all 1 cases"),
        ("wrong", 1, "disagrees with fused in d_x: error 1.0e-03"),
        ("broken", 2, "broken raised KeyError: 'W' (mine.py:15)"),
    ],
)
def test_a_contender_of_one_s_own_at_a_size_of_one_s_own(function, code, said, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("compare.benchmark.measure.PRODUCTS", {})
    monkeypatch.setattr("compare.commands.bench.CONTENDERS", CONTENDERS)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "by_hand_of_mine.py").write_text(BESIDE)
    place = f"{tmp_path}/mine.py:{function}"
    options = "--quick --contenders manual fused --cells LSTM --sizes 3,2,5,4 --no-sweeps --no-steps --rounds 3"
    out = tmp_path / "out"
    assert main(["bench", *options.split(), "--contender", place, "--seconds", "0.1", "--out", str(out)]) == code
    del CONTENDERS[place]
    printed = "".join(capsys.readouterr()).replace("\n", "")
    assert said in " ".join(printed.split())
    if code < 2:
        assert (out / "bench.png").read_bytes().startswith(b"\x89PNG")
        assert place in json.loads((out / "bench.json").read_text())["cases"][0]["timings"]


@pytest.mark.exhaustive
def test_the_command_end_to_end(tmp_path, monkeypatch, capsys):
    monkeypatch.delitem(PRODUCTS, "torch")  # saves half the time of starting processes
    monkeypatch.setattr("compare.commands.bench.STEPS", [(3, 2, 2, 3)])
    monkeypatch.setattr("compare.commands.bench.SWEEPS", {"H": ((2, 2, 2), (3, 4, 6)), "T": ((2, 2, 3), (1, 2, 3))})
    monkeypatch.setattr("compare.commands.bench.QUICK_SWEEPS", {"H": (3, 6), "T": (1, 3)})
    options = "--quick --contenders manual fused --cells LSTM --sizes 3,2,2,4 --dtypes float32 --threads 1 --rounds 3"
    assert main(["bench", *options.split(), "--seconds", "0.1", "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"bench.json", "bench.csv", "bench.html", "bench.png"}
    written = json.loads((tmp_path / "bench.json").read_text())
    assert [(case["case"]["task"], case["sweep"]) for case in written["cases"]] == [
        ("layer", ""), ("step", ""), ("layer", "H"), ("layer", "H"), ("layer", "T"), ("layer", "T"),
    ]  # fmt: skip
    assert written["machine"]["numpy"] == np.__version__
    with (tmp_path / "bench.csv").open() as file:
        rows = list(csv.DictReader(file))
    ratio = written["cases"][0]["timings"]["fused"]["ratio"]
    ours, its = (np.array(written["cases"][0]["timings"][name]["seconds"]) for name in ("manual", "fused"))
    np.testing.assert_allclose(ratio, np.quantile(its / ours, [0.25, 0.5, 0.75]))
    assert {row["contender"] for row in rows} == {"manual", "fused", "products, numpy"}
    layer = [row for row in rows if row["contender"] == "fused" and row["task"] == "layer" and not row["sweep"]]
    assert [float(row["seconds"]) for row in layer] == written["cases"][0]["timings"]["fused"]["seconds"]
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "AGREE: all outputs and gradients, in all 6 cases" in printed
    assert "nn.LSTM" in printed
