"""Right derivations with and without faults in their gradients: neither is ever taken for the other."""

from itertools import cycle

import pytest
import torch
from matrix import CASES, FAULTS, verdict, wrongs
from tiers import first_of_each

#: On ties, saturated, losing digits, with steps.
FEW = ["AboveTheMean", "SaturatedAttention", "NaiveCrossEntropy", "CrossEntropyOverSteps", "TopTwoGate", "BatchNorm"]
DTYPES = ["float64", "float32", "bfloat16", "float16"]


@pytest.mark.slow
@pytest.mark.parametrize("name, dtype", [*zip(FEW, cycle(DTYPES))])
def test_a_right_derivation_agrees(name, dtype):
    report = CASES[name].check_function(1, dtype=dtype)
    assert report.agrees, str(report)


@pytest.mark.slow
@pytest.mark.parametrize("factor, outcome", [(1.25, "disagree"), (1, "agree")])
def test_a_mistake_in_low_precision_alone_is_no_rounding(factor, outcome):
    """In double precision all is right, and the digits that float32 loses are told apart from the factor."""
    factors = {torch.float32: factor}
    case = CASES["SaturatedAttention"]
    report = case.check_function(0, ("q", lambda d: factors.get(d.dtype, 1) * d), "float32")
    assert report.outcome == outcome
    assert "d_k" in report.less_accurate


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, dtype, kind", first_of_each(lambda case: case[2], zip(CASES, cycle(DTYPES), cycle(FAULTS)))
)
def test_each_derivation_with_one_kind_of_fault(name, dtype, kind):
    assert CASES[name].check_function(1, dtype=dtype).agrees
    gradient, fault = min(wrongs(CASES[name]), key=lambda wrong: wrong[1] != kind)  # another where it changes nothing
    report = CASES[name].check_function(0, (gradient, FAULTS[fault]), dtype)
    assert report.outcome == "disagree", (fault, str(report))
    assert any(one.name != "output" for one in report.faults)


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_every_derivation_and_every_fault(name, dtype):
    """Each fault in one of the dtypes, in turn; ``python -m matrix`` tries all in all."""
    case, k = CASES[name], DTYPES.index(dtype)
    assert all(case.check_function(seed, dtype=dtype).agrees for seed in range(3))
    assert dtype == "bfloat16" or case.check_pair(0, dtype=dtype).agrees
    for gradient, fault in [*wrongs(case)][k :: len(DTYPES)]:
        found = verdict(case.check_function(0, (gradient, FAULTS[fault]), dtype))
        assert found == "disagree", (gradient, fault, found)
