"""The check that whole numbers a user gave are large enough."""


def check_least(given: object, **least: int) -> None:
    """Make sure that attributes of ``given`` are at least so large.

    Raises:
        ValueError: one is smaller.
    """
    for name, bound in least.items():
        if getattr(given, name) < bound:
            raise ValueError(f"{name}: expected at least {bound}, got {getattr(given, name)}")
