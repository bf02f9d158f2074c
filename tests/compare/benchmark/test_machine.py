import os
import subprocess

import numpy as np
import pytest

from compare.benchmark import machine


def test_versions_name_the_blas():
    found = machine.versions()
    assert found["numpy"] == np.__version__
    assert "blas" in found["numpy's BLAS"].lower()
    assert found["torch's BLAS"]


@pytest.mark.parametrize("load, said", [(0.9, ""), (1.0, "The machine was busy: load 1.00 on 2 cores")])
def test_a_load_of_half_the_cores_is_said(load, said):
    sentence = machine.busy({"load": load, "cores": 2})
    assert sentence.startswith(said) and bool(sentence) == bool(said)


def test_the_description_has_processor_cores_load_and_versions(monkeypatch):
    answering = subprocess.Popen(["echo", '{"numpy": "3.1"}'], stdout=subprocess.PIPE, text=True)
    monkeypatch.setattr(machine.workers, "start", lambda module: answering)
    found = machine.describe()
    assert found["cores"] == len(machine.available_cores()) <= (os.cpu_count() or 1)
    assert found["processor"] and found["load"] >= 0 and found["numpy"] == "3.1"
