from typing import Any

import pytest
from forms import KERNELS, LOOPS

from manual.fast import products


@pytest.fixture(params=KERNELS)
def kernels(request: pytest.FixtureRequest) -> Any:
    """The equations of each form, and what runs them in the memory of ``manual/fast``."""
    return KERNELS[request.param]


@pytest.fixture(params=KERNELS | LOOPS)
def any_kernels(request: pytest.FixtureRequest) -> Any:
    """The equations of each form, and everything else that computes them."""
    return (KERNELS | LOOPS)[request.param]


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of two columns, sums over parts of two steps, and products hoisted, also where there is little to do."""
    monkeypatch.setattr(products, "SMALL_PRODUCT", 150)
    monkeypatch.setattr(products, "TILE_WIDTHS", (2,))
    monkeypatch.setattr(products, "PART_WIDTH", 2)
    monkeypatch.setattr(products, "PART_ROWS", 5)
    monkeypatch.setattr(products, "HOISTED_WEIGHTS", 1)
