"""The lock-step against other frameworks, and with the torch side elsewhere: on a GPU, or in several processes."""

import json
import multiprocessing
import os
import runpy
import subprocess
import sys

import numpy as np
import pytest
import torch

from compare.cli import main
from compare.lockstep.adding import Adding
from compare.lockstep.distributed import check_batch_size, own_device
from compare.lockstep.settings import OPPONENTS, Settings
from compare.lockstep.training import train

SMALL = {"hidden_size": 5, "bits": 5, "batch_size": 6, "steps": 6}
VARIANTS = [
    {},
    {"cell": "gru", "layers": 2, "bidirectional": True, "optimizer": "sgd", "momentum": 0.9, "nesterov": True},
    {"cell": "rnn", "loss": "mse", "optimizer": "sgd", "learning_rate": 0.5},
]

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


def lockstep(against, **changed):
    for module in OPPONENTS[against]:
        pytest.importorskip(module)
    return train(Adding(Settings(**SMALL | {"against": against} | changed))).lockstep


def disagreeing(run):
    return {f"{f.group} {f.difference.name}" for f in run.worst.values() if not f.difference.agrees}


@pytest.mark.slow
@pytest.mark.parametrize("against, dtype", [("jax", "float64"), ("keras", "float32")])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_sides_agree_in_everything(against, dtype, variant):
    run = lockstep(against, dtype=dtype, **variant)
    assert run.agrees, disagreeing(run)
    groups = {f.group for f in run.worst.values()}
    has_buffers = variant.get("optimizer", "adam") == "adam" or "momentum" in variant
    assert groups == {"output", "loss", "gradient", "parameter"} | ({"optimizer"} if has_buffers else set())
    assert {f.opponent for f in run.worst.values()} == {against}
    assert 0 <= run.steps[-1].drift < 1e-4


@pytest.fixture(params=["jax", "keras"])
def opponent(request):
    """A lock-step of a few steps, and the side that the manual one is compared with."""
    run = lockstep(request.param, dtype="float32", steps=2)
    return run, run.opponents[request.param]


@pytest.mark.slow
def test_a_wrong_parameter_gradient_or_buffer_is_noticed(opponent, monkeypatch):
    run, side = opponent
    x, y = run.first_batch
    assert run.agrees

    def doubled(kind, own):
        return lambda *arguments: {n: 2 * a if "weight_hh" in n else a for n, a in own(*arguments).items()}

    kind = type(side)
    with monkeypatch.context() as patch:
        patch.setattr(kind, "parameters", property(doubled("parameters", kind.parameters.fget)))
        run.step(x, y)
    with monkeypatch.context() as patch:
        patch.setattr(kind, "buffers", property(doubled("buffers", kind.buffers.fget)))
        run.step(x, y)
    with monkeypatch.context() as patch:
        right = kind.run
        wrong = lambda self, x, y: (p := right(self, x, y))._replace(gradients=doubled("", lambda: p.gradients)())  # noqa: E731
        patch.setattr(kind, "run", wrong)
        run.step(x, y)
    found = disagreeing(run)
    assert {"parameter recurrent.weight_hh_l0", "optimizer exp_avg of recurrent.weight_hh_l0"} <= found
    assert "gradient recurrent.weight_hh_l0" in found
    assert not any("readout" in name or name.startswith(("output", "loss")) for name in found)


@pytest.mark.slow
def test_a_fault_in_the_hand_derived_side_is_noticed(monkeypatch):
    monkeypatch.setattr("manual.fast.lstm.product_by_sigmoid", lambda p, s, out: np.copyto(out, p))
    assert "gradient recurrent.weight_hh_l0" in disagreeing(lockstep("jax", steps=2))


@pytest.mark.parametrize(
    "given, words",
    [
        ({"against": "tinygrad"}, "against: expected one of torch, jax, keras, got 'tinygrad'"),
        ({"against": "jax", "device": "cuda"}, "device: expected cpu with against jax, got cuda"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        Settings(**given)


def test_a_framework_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setitem(OPPONENTS, "jax", ("no_such_module",))
    with pytest.raises(ValueError, match="against: jax needs no_such_module: pip install"):
        Settings(against="jax")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("command", ["train", "bench"])
def test_without_a_gpu_cuda_is_refused(command, tmp_path, capsys):
    assert main([command, "--device", "cuda", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "python -m compare: device: expected a GPU for cuda, but torch finds none\n"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_torch_side_agrees_on_a_gpu(cell, dtype):
    run = train(Adding(Settings(**SMALL, cell=cell, dtype=dtype, device="cuda"))).lockstep
    assert run.agrees, disagreeing(run)


def test_processes_that_cannot_share_a_batch_are_refused(monkeypatch):
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    check_batch_size(6)
    with pytest.raises(ValueError, match="batch_size: expected a multiple of the 2 processes, got 5"):
        check_batch_size(5)


@pytest.mark.parametrize(
    "rank, alone, found", [(0, False, "cuda:0"), (1, False, "cuda:1"), (0, True, "cuda"), (2, 0, "")]
)
def test_each_process_takes_its_own_gpu_or_is_refused(monkeypatch, rank, alone, found):
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: not alone)
    monkeypatch.setenv("LOCAL_RANK", str(rank))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert own_device("cpu") == "cpu"
    if not found:
        with pytest.raises(ValueError, match="expected a GPU for each of the 4 processes here, but torch finds 2"):
            own_device("cuda")
    else:
        assert own_device("cuda") == found and chosen == ([] if alone else [rank])


@pytest.mark.exhaustive
def test_the_averaged_gradient_of_two_processes_is_that_of_the_whole_batch(tmp_path, request):
    options = ["--steps", "5", "--batch-size", "6", "--hidden-size", "5", "--out", "run"]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "compare", *options]
    surroundings = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(request.config.rootpath)}
    done = subprocess.run(
        [sys.executable, *launcher], env=os.environ | surroundings, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("AGREE") == 1
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["verdict"] == "agree"
    assert 0 < summary["worst"]["gradient"] < 1e-14


#: Trains a hand-derived module alone and under DistributedDataParallel, in each of two processes.
PROGRAM = """
import os
import numpy as np, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
import manual
from compare.bridge import HandDerived

def made():
    return HandDerived(manual.LSTM(2, 5, rng=np.random.default_rng(0)))

os.environ["GLOO_SOCKET_IFNAME"] = "lo"
dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
x = torch.from_numpy(np.random.default_rng(1).normal(size=(4, 6, 2)))
alone, shared = made(), made()
parallel = DistributedDataParallel(shared)
optimizers = [torch.optim.Adam(module.parameters(), lr=0.1) for module in (alone, shared)]
for _ in range(3):
    for optimizer in optimizers:
        optimizer.zero_grad()
    alone(x)[0].square().mean().backward()
    parallel(x[:, 3 * rank : 3 * rank + 3])[0].square().mean().backward()
    for a, b in zip(alone.parameters(), shared.parameters()):
        assert (a.grad - b.grad).abs().max() < 1e-15 and a.grad.abs().max() > 1e-6
    for optimizer in optimizers:
        optimizer.step()
dist.destroy_process_group()
"""


@pytest.mark.exhaustive
def test_a_hand_derived_module_trains_in_two_processes(tmp_path, preloaded):
    (tmp_path / "train.py").write_text(PROGRAM)
    context = multiprocessing.get_context()
    processes = [
        context.Process(
            target=runpy.run_path, args=(str(tmp_path / "train.py"), {"rank": rank, "store": str(tmp_path / "store")})
        )
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(100)
    assert [process.exitcode for process in processes] == [0, 0]


@pytest.mark.slow
def test_a_side_goes_on_from_another_s_state_with_the_same_bits(opponent):
    run, side = opponent
    x, y = run.first_batch
    run.autograd.restore(side.state())
    for _ in range(2):
        for one in (side, run.autograd):
            one.update(one.run(x, y).gradients)
    for ours, theirs in ((side.parameters, run.autograd.parameters), (side.buffers, run.autograd.buffers)):
        assert {name: array.tobytes() for name, array in ours.items()} == {n: a.tobytes() for n, a in theirs.items()}
