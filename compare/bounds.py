"""Bounds of the numbers that a user chooses."""

from numbers import Integral


def check_at_least(options: object, **bounds: int) -> None:
    """Raise a ValueError unless the attributes of these names are whole numbers of at least these bounds."""
    for name, bound in bounds.items():
        if not isinstance(getattr(options, name), Integral):
            raise ValueError(f"{name}: expected a whole number, got {getattr(options, name)!r}")
        if getattr(options, name) < bound:
            raise ValueError(f"{name}: expected at least {bound}, got {getattr(options, name)}")


def check_at_most(options: object, **bounds: int) -> None:
    """Raise a ValueError if an attribute is above its bound."""
    for name, bound in bounds.items():
        if getattr(options, name) > bound:
            raise ValueError(f"{name}: expected at most {bound:,}, got {getattr(options, name)}")
