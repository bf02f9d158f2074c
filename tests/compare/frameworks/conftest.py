"""Keras takes its backend from the environment when it is first imported: here torch, which is always installed."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
