"""Bounds of the numbers that a user chooses."""


def check_at_least(options: object, **bounds: int) -> None:
    """Check attributes against their lower bounds.

    Args:
        options: the object whose attributes are checked.
        bounds: the smallest value allowed, by attribute name.

    Raises:
        ValueError: an attribute is below its bound.
    """
    for name, bound in bounds.items():
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
