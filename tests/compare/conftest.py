import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch

import manual
import torch_impl
from compare.checker.report import findings
from compare.lockstep import run_folder
from compare.lockstep.adding import Adding
from compare.lockstep.lockstep import Lockstep
from compare.lockstep.settings import Settings
from compare.lockstep.trainers import ManualTrainer, TorchTrainer
from compare.lockstep.training import Run, train

D, H, O = 2, 5, 1


@pytest.fixture(autouse=True)
def the_same_initial_weights():
    torch.manual_seed(7)


@pytest.fixture(autouse=True, scope="module")
def lines_are_not_searched(request):
    """Compare quantities alone: a search for the wrong line takes seconds, and has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.parent.name != "lines":
            patch.setattr("compare.checker.diagnose._wrong_lines", lambda *arguments: [])
        yield


@pytest.fixture(autouse=True)
def failed(monkeypatch):
    """Let a defect of the search fail the test rather than be said in a note; return what says it."""

    def raised(error):
        raise error

    said = findings.failed
    monkeypatch.setattr(findings, "failed", raised)
    return said


@pytest.fixture
def undrawn(monkeypatch):
    """Leave out of a run's folder the picture and the derivation, which take longer than all the rest."""
    monkeypatch.setattr(run_folder, "_draw", lambda run, path: path.touch())
    monkeypatch.setattr(run_folder.derivation, "write", lambda model, origin, path: path.touch())


@pytest.fixture
def batch(rng) -> tuple[np.ndarray, np.ndarray]:
    T, B = 7, 3
    return rng.normal(size=(T, B, D)), rng.integers(0, 2, (T, B, O)).astype(float)


@pytest.fixture
def manual_model() -> Callable[..., manual.Model]:
    def make(seed: int = 0, hidden_size: int = H, dtype: str = "float64") -> manual.Model:
        rng = np.random.default_rng(seed)
        lstm = manual.LSTM(D, hidden_size, dtype=dtype, rng=rng)
        return manual.Model(lstm, manual.Linear(hidden_size, O, dtype=dtype, rng=rng))

    return make


@pytest.fixture
def torch_model() -> Callable[..., torch_impl.Model]:
    def make(layer: type = torch_impl.LSTM, hidden_size: int = H, dtype: torch.dtype = torch.float64):
        readout = torch.nn.Linear(hidden_size, O, dtype=dtype)
        return torch_impl.Model(layer(D, hidden_size, dtype=dtype), readout)

    return make


@pytest.fixture
def manual_trainer(manual_model) -> Callable[..., ManualTrainer]:
    def make(optimizer: type = manual.Adam, loss: str = "bce", seed: int = 0, **options: float) -> ManualTrainer:
        model = manual_model(seed)
        return ManualTrainer(model, optimizer(model.parameters, **({"lr": 0.05} | options)), loss)

    return make


@pytest.fixture
def torch_trainer(torch_model) -> Callable[..., TorchTrainer]:
    def make(
        optimizer: type = torch.optim.Adam, loss: str = "bce", layer: type = torch_impl.LSTM, **options: float
    ) -> TorchTrainer:
        module = torch_model(layer)
        return TorchTrainer(module, optimizer(module.parameters(), **({"lr": 0.05} | options)), loss)

    return make


@pytest.fixture
def lockstep(manual_trainer, torch_trainer) -> Callable[..., Lockstep]:
    def make(optimizer: str = "Adam", loss: str = "bce", **options: float) -> Lockstep:
        def opponent(layer: type) -> TorchTrainer:
            return torch_trainer(getattr(torch.optim, optimizer), loss, layer, **options)

        return Lockstep(
            manual_trainer(getattr(manual, optimizer), loss, **options),
            {"autograd": opponent(torch_impl.LSTM), "nn.LSTM": opponent(torch.nn.LSTM)},
            opponent(torch_impl.LSTM),
        )

    return make


@pytest.fixture(scope="session")
def finished_run() -> Run:
    return train(Adding(Settings(hidden_size=3, bits=5, steps=4, batch_size=6, seed=1)))


@pytest.fixture
def run(finished_run) -> Run:
    """A finished run of its own for each test, for it to make of it what it likes."""
    tape = finished_run.lockstep.manual.tape
    return copy.deepcopy(finished_run, {id(tape): tape})  # all but the tape, which cannot be copied
