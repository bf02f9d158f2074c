"""Bounds of the numbers that a user chooses."""

from numbers import Integral


def check_at_least(options: object, **bounds: int) -> None:
    """Check that attributes are whole numbers within their lower bounds.

    Args:
        options: the object whose attributes are checked.
        bounds: the smallest value allowed, by attribute name.

    Raises:
        ValueError: an attribute is no whole number, or below its bound.
    """
    for name, bound in bounds.items():
        if not isinstance(getattr(options, name), Integral):
            raise ValueError(f"{name}: expected a whole number, got {getattr(options, name)!r}")
        if getattr(options, name) < bound:
            raise ValueError(f"{name}: expected at least {bound}, got {getattr(options, name)}")


def check_at_most(options: object, **bounds: int) -> None:
    """Check attributes against their upper bounds.

    Args:
        options: the object whose attributes are checked.
        bounds: the largest value allowed, by attribute name.

    Raises:
        ValueError: an attribute is above its bound.
    """
    for name, bound in bounds.items():
        if getattr(options, name) > bound:
            raise ValueError(f"{name}: expected at most {bound:,}, got {getattr(options, name)}")
