"""Everything that README.md says in figures: which kernels agree, how the published mLSTM is named, what it costs."""

from functools import partial
from types import ModuleType
from typing import Any

from compare import check_backward
from compare.checker.report.report import Report
from compare.published.kernels import attention, layer_norm, mlstm, selective_scan
from compare.published.kernels.cost import B, D, H, T, costs

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
