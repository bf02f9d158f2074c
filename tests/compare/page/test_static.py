"""The colours of the pages: text can be read on everything that it stands on, in light and in dark."""

import re

import pytest

from compare.page.render import STATIC

CSS = (STATIC / "base.css").read_text()
LIGHT, DARK = (
    dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", block))
    for block in CSS.partition("@media (prefers-color-scheme: dark)")[::2]
)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, as the Web Content Accessibility Guidelines define it."""

    def luminance(colour):
        parts = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_guidelines():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_both_schemes_have_the_same_names():
    assert len(LIGHT) > 10
    assert LIGHT.keys() == DARK.keys()


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read(scheme):
    for text in ("ink", "quiet", "forward", "backward", "right", "wrong", "doubt"):
        for ground in ("paper", "panel", f"{text}-tint"):
            if f"--{ground}" in scheme:
                assert contrast(scheme[f"--{text}"], scheme[f"--{ground}"]) >= 4.5, (text, ground)
    for ground in ("wrong-tint", "doubt-tint"):
        assert contrast(scheme["--quiet"], scheme[f"--{ground}"]) >= 4.5, ground
