"""One thread for BLAS and torch: at the tests' sizes several only compete for the cores. Keras runs on torch."""

import multiprocessing
import os
from collections import Counter
from importlib import import_module

import numpy as np
import pytest

os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")})
os.environ.setdefault("KERAS_BACKEND", "torch")

#: So many cases of a slow test a plain run takes.
CASES = 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Run the tests of single files in this process: starting others takes longer than most of them."""
    return 0 if any(".py" in argument for argument in config.args) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leave to the exhaustive run what a sample stands for; what is exhaustive is slow.

    Of what is tried in a browser the first test of each file is the sample, of a slow test its first cases, unless the
    test itself says which.
    """
    sampled = {_test(item) for item in items if item.get_closest_marker("exhaustive")}
    tried = Counter()
    for item in items:
        browser = "browser" in item.fixturenames
        if browser or (item.get_closest_marker("slow") and _test(item) not in sampled):
            what = item.path if browser else _test(item)
            if tried[what] >= (1 if browser else CASES):
                item.add_marker("exhaustive")
            tried[what] += 1
        if item.get_closest_marker("exhaustive"):
            item.add_marker("slow")


def _test(item):
    return item.path, getattr(item, "originalname", item.name)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


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
