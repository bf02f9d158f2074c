"""Source with pieces of it replaced: the one way in which the tests put a mistake into code."""


def edited(text: str, *changes: tuple[str, str]) -> str:
    """Replace each of some pieces of text, which has to occur exactly once.

    Raises:
        ValueError: it does not.
    """
    for old, new in changes:
        if text.count(old) != 1:
            raise ValueError(f"expected {old!r} once, found it {text.count(old)} times")
        text = text.replace(old, new)
    return text
