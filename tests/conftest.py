"""One thread for BLAS and torch: at the tests' sizes several only compete for the cores. Keras runs on torch."""

import multiprocessing
import os
from importlib import import_module

import pytest

os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")})
os.environ.setdefault("KERAS_BACKEND", "torch")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Run the tests of single files in this process: starting others takes longer than most of them."""
    return 0 if any(".py" in argument for argument in config.args) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of what is tried in a browser only the first test of a file is not exhaustive; what is exhaustive is slow."""
    tried = set()
    for item in items:
        if "browser" in item.fixturenames:
            if item.path in tried:
                item.add_marker("exhaustive")
            tried.add(item.path)
        if item.get_closest_marker("exhaustive"):
            item.add_marker("slow")


@pytest.fixture
def preloaded(monkeypatch):
    """Fork processes from one that has imported what they all need, which takes seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "matplotlib.figure", "compare.cells.check"])
    monkeypatch.setattr(multiprocessing, "get_context", lambda method=None: context)


@pytest.fixture
def tried_until_found(monkeypatch):
    """Leave out the trials that follow a finding, which tell only at which sizes it is met again."""
    diagnose = import_module("compare.checker.diagnose")
    rest = diagnose._try
    monkeypatch.setattr(diagnose, "_try", lambda report, *more: report.outcome == "disagree" or rest(report, *more))


@pytest.fixture
def uncompiled(monkeypatch):
    """Run the loops of a faulty copy as plain Python, since compiling a kernel takes seconds."""
    numba = pytest.importorskip("numba", reason="the extra `compiled` is not installed")
    for name in ("gru", "lstm", "lstm_variants", "optimizers", "rnn"):
        import_module(f"manual.compiled.{name}")  # the real ones stay compiled
    for name in ("sigmoid", "tanh"):
        getattr(import_module("manual.compiled.activations"), name)(0.5)  # and what they choose is chosen now
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
