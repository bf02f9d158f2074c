"""One thread for BLAS and torch: at the tests' sizes several only compete for the cores. Keras runs on torch."""

import os

os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")})
os.environ.setdefault("KERAS_BACKEND", "torch")

import torch

torch.set_num_threads(1)
