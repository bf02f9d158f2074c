"""Numbers with units as text."""


def duration(seconds: float) -> str:
    """Format seconds in a suitable unit."""
    rounded = float(f"{seconds:.3g}")  # 0.9996 s is 1 s, not 1e+03 ms
    factor, unit = (1e6, "µs") if rounded < 1e-3 else (1e3, "ms") if rounded < 1 else (1, "s")
    return f"{seconds * factor:.3g} {unit}" if rounded * factor < 1000 else f"{seconds * factor:,.0f} {unit}"
