"""``manual`` with a fault of the catalogue in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import pytest

import manual
from catalogue.fault import Injected

#: Where the packages find what a file of ``manual`` defines.
PLACES = {
    "lstm.py": ["manual.recurrent.LSTMKernel"],
    "lstm_variants.py": ["manual.recurrent.LSTMVariantKernel"],
    "gru.py": ["manual.recurrent.GRUKernel"],
    "rnn.py": ["manual.recurrent.RNNKernel"],
    "sweep.py": ["manual.recurrent.Sweep", "manual.layout.Schedule"],
    "fast/lstm.py": ["manual.recurrent.FastLSTM"],
    "fast/lstm_variants.py": ["manual.recurrent.FastLSTMVariant"],
    "fast/gru.py": ["manual.recurrent.FastGRU"],
    "fast/rnn.py": ["manual.recurrent.FastRNN"],
    "compiled/lstm.py": ["manual.compiled.lstm.CompiledLSTM"],
    "compiled/gru.py": ["manual.compiled.gru.CompiledGRU"],
    "compiled/rnn.py": ["manual.compiled.rnn.CompiledRNN"],
    "linear.py": ["manual.Linear"],
    "losses.py": ["manual.LOSSES"],
    "optimizers.py": ["manual.Adam", "manual.SGD"],
}


@contextmanager
def broken(fault: Injected) -> Iterator[set[int]]:
    """Have every package use a file of ``manual`` with the fault in it; the numbers of the lines it changes.

    Raises:
        ValueError: the text that the fault replaces does not occur exactly once.
    """
    right = (Path(manual.__file__).parent / fault.file).read_text()
    text = fault.inject(right)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder, fault.file.replace("/", "_"))
        path.write_text(text)
        module = ModuleType("broken")
        exec(compile(text, path, "exec"), vars(module))
        for place in PLACES[fault.file]:
            patch.setattr(place, getattr(module, place.rpartition(".")[2]))
        yield {n for n, (a, b) in enumerate(zip(right.splitlines(), text.splitlines()), 1) if a != b}
