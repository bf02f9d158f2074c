"""Compiled code is kept between processes, and compiled anew when any source file has changed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba", reason="the extra `compiled` is not installed")

import manual
from manual.compiled import remove_outdated_cache

PROGRAM = """
import manual
from manual.compiled import gru, lstm, rnn
for name, cell in {"LSTM": lstm, "GRU": gru, "RNN": rnn}.items():
    getattr(manual, name)(2, 3, engine="compiled")
    print(name, [len(loop.stats.cache_misses) for loop in (cell.forward, cell.backward)])
"""


def test_code_older_than_a_source_file_of_the_package_is_removed(tmp_path):
    folder = tmp_path / "package" / "compiled"
    cache = folder / "__pycache__"
    cache.mkdir(parents=True)
    ages = {"../fast.py": 2000, "lstm.py": 1000, "__pycache__/a.nbi": 1500, "__pycache__/b.nbi": 2500}
    for name, seconds in ages.items():
        (folder / name).touch()
        os.utime(folder / name, (seconds, seconds))
    remove_outdated_cache(folder)
    assert [file.name for file in cache.iterdir()] == ["b.nbi"]


@pytest.mark.slow
def test_a_second_process_does_not_compile():
    for name in ("LSTM", "GRU", "RNN"):
        getattr(manual, name)(2, 3, engine="compiled", rng=np.random.default_rng(0))
    root = Path(manual.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "LSTM [0, 0]\nGRU [0, 0]\nRNN [0, 0]\n"
