import os
import subprocess

import numpy as np

from compare.benchmark import machine


def test_versions_name_the_blas():
    found = machine.versions()
    assert found["numpy"] == np.__version__
    assert "blas" in found["numpy's BLAS"].lower()
    assert found["torch's BLAS"]


def test_the_description_has_processor_cores_load_and_versions(monkeypatch):
    answering = subprocess.Popen(["echo", '{"numpy": "3.1"}'], stdout=subprocess.PIPE, text=True)
    monkeypatch.setattr(machine.workers, "start", lambda module: answering)
    found = machine.describe()
    assert found["cores"] == len(machine.available_cores()) <= (os.cpu_count() or 1)
    assert found["processor"] and found["load"] >= 0 and found["numpy"] == "3.1"
