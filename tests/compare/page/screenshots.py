"""Make the two screenshots in the README: ``python tests/compare/page/screenshots.py``, with Chromium installed.

The formulas are set in Latin Modern Math, if that is installed (Debian's package fonts-lmodern).
"""

import contextlib
import shutil
import tempfile
from pathlib import Path

from derived import THREE_MISTAKES, write
from playwright.sync_api import sync_playwright

import compare
from compare.cli import main

FIGURES = Path(compare.__file__).parent / "figures"


def make() -> None:
    """Write the pages of a fixed run and of a fixed file, open them, and take a picture of each."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name), sync_playwright() as playwright:
        write(Path("my_lstm.py"), "lstm", *THREE_MISTAKES)
        main(["page"])
        main(["check", "my_lstm.py", "--out", "."])
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for page, fragment, step, height in (("derivation", "#L9", 6, 760), ("check", "", 5, 860)):
            tab = browser.new_page(viewport={"width": 1280, "height": height}, reduced_motion="reduce")
            tab.goto(Path(f"{page}.html").resolve().as_uri() + fragment)
            tab.click(f"button[data-step='{step}']")
            tab.mouse.move(0, 0)
            tab.screenshot(path=FIGURES / f"{page}.png")
        browser.close()


if __name__ == "__main__":
    make()
