"""What a test is skipped by where an extra is not installed; the README's command installs none."""

import shutil
from importlib.util import find_spec

import pytest

needs_numba = pytest.mark.skipif(not find_spec("numba"), reason="the extra `compiled` is not installed")
needs_jax = pytest.mark.skipif(not find_spec("jax"), reason="jax is not installed")
needs_keras = pytest.mark.skipif(not find_spec("keras"), reason="keras is not installed")
needs_octave = pytest.mark.skipif(not shutil.which("octave-cli"), reason="Octave is not installed")
needs_c = pytest.mark.skipif(not (shutil.which("cc") or shutil.which("gcc")), reason="no C compiler is installed")
needs_autograd = pytest.mark.skipif(not find_spec("autograd"), reason="HIPS autograd is not installed")
