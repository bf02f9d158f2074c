"""The contenders: the same layer, and the same training step, computed by different means.

A contender is built from a case and its inputs, and is then a function without arguments that does the work once. Its
module is imported only then, because each contender runs in a process of its own, without the others' libraries.
"""

import shutil
import symtable
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path

from compare.benchmark.case import Inputs, Result, TimedCase, Work


@dataclass(frozen=True)
class Contender:
    """One way to do the work."""

    label: str  #: its name in tables and figures, with ``{cell}`` for the name of the layer's class
    builder: str  #: the function that builds it, as ``module.function`` in this package, or as ``file.py:function``
    needs: str = ""  #: a module, or ``compiler``, that the project does not otherwise need
    longest: int = 0  #: the largest T at which it takes part, if not 0. Compiling more unrolled steps takes minutes.

    def build(self, case: TimedCase, inputs: Inputs) -> Work:
        """Prepare everything that is not timed."""
        file, _, function = self.builder.rpartition(":")
        if file:
            sys.path.insert(0, str(Path(file).parent))
            theirs = run_path(file)[function](case, inputs)
            return lambda: Result(*theirs())
        module, _, function = self.builder.rpartition(".")
        work: Work = getattr(import_module(f"{__name__}.{module}"), function)(case, inputs)
        return work

    @property
    def missing(self) -> str:
        """How to install what it needs; empty if that is installed."""
        if self.needs == "compiler":
            return "" if shutil.which("g++") or shutil.which("clang++") else "install a C++ compiler such as g++"
        if self.needs and not find_spec(self.needs):
            return "pip install -c constraints.txt -e '.[bench]'"
        return ""


#: By their names on the command line. The first is the one that the others are compared with.
CONTENDERS = {
    "manual": Contender("manual", "by_hand.with_numpy"),
    "manual-compiled": Contender("manual compiled", "by_hand.compiled", "numba"),
    "autograd": Contender("written-out autograd", "torch_modules.written_out"),
    "cell": Contender("nn.{cell}Cell loop", "torch_modules.cell_loop"),
    "fused": Contender("nn.{cell}", "torch_modules.fused"),
    "jax": Contender("JAX jit", "jax_scan.build", "jax"),
    "hips": Contender("HIPS autograd", "hips_autograd.build", "autograd"),
    "compiled": Contender("torch.compile", "torch_modules.compiled", "compiler", longest=16),
}

#: The bare matrix products, by the library whose BLAS multiplies.
PRODUCTS = {
    "numpy": Contender("products, NumPy's BLAS", "matrix_products.with_numpy"),
    "torch": Contender("products, torch's BLAS", "matrix_products.with_torch"),
}


def own(place: str) -> Contender:
    """Return a contender of the user's own, ``file.py:function``.

    Its function takes a ``TimedCase`` and its ``Inputs``, and returns a function without arguments. That one does the
    work once, and returns two dicts of arrays by the names of ``layer_result``: outputs and gradients.
    """
    file, _, name = place.rpartition(":")
    if not (file and name.isidentifier()):
        raise ValueError(f"contender: expected file.py:function, got {place!r}")
    try:
        symbols = symtable.symtable(Path(file).read_text(), file, "exec").get_symbols()
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"contender: expected a Python file, got {file}: {error}") from None
    if not any(symbol.get_name() == name and (symbol.is_assigned() or symbol.is_imported()) for symbol in symbols):
        raise ValueError(f"contender: expected a function that {file} defines, got {name!r}")
    label = place.replace("{", "{{").replace("}", "}}")
    return Contender(label, f"{Path(file).absolute()}:{name}")
