"""One thread for BLAS and torch. At the tests' sizes several only compete for the cores."""

import os

os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")})

import torch

torch.set_num_threads(1)
