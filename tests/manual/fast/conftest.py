import pytest

from manual.fast import products


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles of two columns, sums over parts of two steps, and products hoisted, also where there is little to do."""
    monkeypatch.setattr(products, "SMALL_PRODUCT", 150)
    monkeypatch.setattr(products, "TILE_WIDTHS", (2,))
    monkeypatch.setattr(products, "PART_WIDTH", 2)
    monkeypatch.setattr(products, "PART_ROWS", 5)
    monkeypatch.setattr(products, "HOISTED_WEIGHTS", 1)
