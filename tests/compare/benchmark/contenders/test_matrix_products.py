from dataclasses import replace

import pytest

from compare.benchmark.case import TimedCase, draw_inputs
from compare.benchmark.contenders import PRODUCTS
from compare.benchmark.contenders.matrix_products import required_products, tiled

CASE = TimedCase("layer", "LSTM", 3, 4, 2, 5, "float64", 1)


@pytest.mark.parametrize("second", [(256, 512), (4096, 67)])
def test_a_tiled_product_has_as_many_multiplications_as_a_whole_one(second, monkeypatch):
    monkeypatch.setattr("manual.fast.products.SMALL_PRODUCT", 10**6)
    first = (64, second[0])
    stacks = tiled(first, second)
    assert len(stacks) > 1
    for (parts, one, m, inner), (also_parts, tiles, also_inner, width), result in stacks:
        assert (also_parts, also_inner, result) == (parts, inner, (parts, tiles, m, width))
        assert one == 1
        assert parts * tiles * m * inner * width == 64 * second[0] * second[1]


@pytest.mark.parametrize("cell, gates", [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_the_products_are_those_that_forward_and_backward_need(cell, gates):
    T, B, D, H = CASE.size
    multiplications = sum(n * a[0] * a[1] * b[1] for n, a, b in required_products(replace(CASE, cell=cell)))
    assert multiplications == 3 * T * B * gates * H * (H + D)  # three times each weight, for each row and step


@pytest.mark.parametrize("library", PRODUCTS)
def test_the_products_can_be_computed_with_each_library(library):
    result = PRODUCTS[library].build(CASE, draw_inputs(CASE))()
    assert not result.outputs and not result.gradients
