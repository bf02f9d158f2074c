"""Everything that README.md says in figures: which kernels agree, how the published mLSTM is named, what it costs."""

from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from compare import check_backward
from compare.checker.report.report import Report
from compare.published.kernels import attention, layer_norm, mlstm, selective_scan
from manual.arrays import Array

#: Heads, steps, and sizes of keys and values, as in the report of wrong gradients (NX-AI/mlstm_kernels, issue 16).
B, T, D, H = 4, 256, 64, 64

GRADIENTS = ("d_q", "d_k", "d_v", "d_i", "d_f")

#: What follows the cell: nothing, or a layer norm over each head, as in xLSTM, with this epsilon.
SETTINGS = {"no norm": None, "layer norm": layer_norm.EPSILON, "layer norm, ε = 0": 0.0}

#: By setting, gradient and measure, "error" or "cosine": the median over the draws, the least and the most.
Costs = dict[str, dict[str, dict[str, list[float]]]]


def costs(draws: int) -> Costs:
    """Compare the published gradients with the true ones, in double precision, on the same draws in each setting."""
    found: Costs = {}
    for setting, epsilon in SETTINGS.items():
        pairs = [_gradients(seed, epsilon) for seed in range(draws)]
        found[setting] = {
            name: {
                "error": _spread([_error(published[k], true[k]) for published, true in pairs]),
                "cosine": _spread([_cosine(published[k], true[k]) for published, true in pairs]),
            }
            for k, name in enumerate(GRADIENTS)
        }
    return found


def _gradients(seed: int, epsilon: float | None) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """The published and the true gradients of one draw: normal numbers, forget biases from 3 to 6 as xLSTM starts."""
    rng = np.random.default_rng(seed)
    q, k = rng.normal(size=(2, B, T, D))
    v, i = rng.normal(size=(B, T, H)), rng.normal(size=(B, T))
    f = np.linspace(3, 6, B)[:, None] + rng.normal(size=(B, T))
    h, tape = mlstm.forward(q, k, v, i, f)
    d_h = rng.normal(size=h.shape)
    if epsilon is not None:
        weight, bias = 1 + 0.1 * rng.normal(size=H), rng.normal(size=H)
        d_h, *_ = layer_norm.backward(layer_norm.forward(h, weight, bias, epsilon)[1], d_h)
    return mlstm.backward(tape, d_h, normaliser=False), mlstm.backward(tape, d_h)


def _spread(values: list[float]) -> list[float]:
    return [float(np.median(values)), min(values), max(values)]


def _error(published: Array, true: Array) -> float:
    return float(np.linalg.norm(published - true) / np.linalg.norm(true))


def _cosine(published: Array, true: Array) -> float:
    return float((published * true).sum() / (np.linalg.norm(published) * np.linalg.norm(true)))


KERNELS = {"mlstm": mlstm, "layer_norm": layer_norm, "attention": attention, "selective_scan": selective_scan}


def check(kernel: ModuleType, name: str, **options: Any) -> Report:
    """Hold a kernel against autograd at the sizes of its file; options go to its backward pass."""
    return check_backward(
        kernel.forward,
        partial(kernel.backward, **options),
        kernel.autograd,
        kernel.INPUTS,
        axes=kernel.AXES,
        name=name,
    )


def find(draws: int) -> dict[str, Any]:
    """Check all kernels and measure the published mLSTM over so many draws; returns what JSON can hold."""
    published = check(mlstm, "mlstm as published", normaliser=False)
    return {
        "kernels": {name: _checked(check(kernel, name)) for name, kernel in KERNELS.items()},
        "published": {
            "faults": [{"name": fault.name, "line": fault.code} for fault in published.faults],
            "differ as the code runs": [one.label for one in published.as_run if not one.agrees],
        },
        "sizes": {"B": B, "T": T, "D": D, "H": H, "draws": draws},
        "costs": costs(draws),
    }


def _checked(report: Report) -> dict[str, Any]:
    return {
        "agrees": report.agrees,
        "compared": len(report.as_run),
        "sizes": len(report.sizes),
        "worst": max(float(one.errors.max()) for one in report.as_run),
    }
