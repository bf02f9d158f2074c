import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from compare.lockstep import run_folder

if TYPE_CHECKING:  # starting a browser takes the import, collecting the tests does not
    from playwright.sync_api import Browser, Page

#: The rules of accessibility, which npm installs.
AXE = Path(__file__).parents[3] / ".ci" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Chromium; where there is none, tests are skipped, unless REQUIRE_BROWSER is set."""
    path = shutil.which("chromium")
    if path is None and not os.environ.get("REQUIRE_BROWSER"):
        pytest.skip("no program called chromium is installed; the pages are tested in it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path)
        yield started
        started.close()


@pytest.fixture
def open_page(browser) -> "Iterator[Callable[..., Page]]":
    """Open a file in a tab of its own. At the end nothing may have been requested or reported as an error."""
    contexts, problems = [], []

    def open_page(file: Path, fragment: str = "", width: int = 1280, scheme: str = "light", scripts: bool = True):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(5000)
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda request: problems.append(request.url) if not request.url.startswith(("file:", "data:")) else None,
        )
        page.goto(file.resolve().as_uri() + fragment)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def overlapping() -> "Callable[[Page, str], list[str]]":
    def overlapping(page: "Page", selector: str) -> list[str]:
        """Return the pairs of elements that overlap, and what is wider than the window."""
        return page.evaluate(
            """(selector) => {
              const shown = [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility());
              const boxes = shown.map((one) => [one, one.getBoundingClientRect()]);
              const name = (one) => one.id || one.textContent.trim().slice(0, 30) || one.tagName;
              const found = [];
              for (const [i, [a, p]] of boxes.entries()) {
                for (const [b, q] of boxes.slice(i + 1)) {
                  if (a.contains(b) || b.contains(a)) continue;
                  const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
                  const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
                  if (wide > 0.5 && high > 0.5) found.push(`${name(a)} / ${name(b)}`);
                }
              }
              const width = document.documentElement.scrollWidth;
              if (width > innerWidth) found.push(`the page is ${width} wide in a window of ${innerWidth}`);
              return found;
            }""",
            selector,
        )

    return overlapping


@pytest.fixture(params=[1280, 768, 390])
def broken_rules(request, open_page) -> Callable[[Path], list[tuple[str, list[str]]]]:
    """Check a page by the rules of axe-core, at a width, in light and in dark, with everything unfolded."""
    if not AXE.exists() and not os.environ.get("REQUIRE_BROWSER"):
        pytest.skip("axe-core is not installed: npm install --prefix .ci")

    def broken_rules(file: Path) -> list[tuple[str, list[str]]]:
        broken = []
        for scheme in ("light", "dark"):
            page = open_page(file, width=request.param, scheme=scheme)
            page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
            page.wait_for_timeout(100)  # what scrolls is known after the next layout
            page.evaluate(AXE.read_text(encoding="utf-8"))
            found = page.evaluate("axe.run()")
            assert len(found["passes"]) > 15
            broken += [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]
        return broken

    return broken_rules


@pytest.fixture
def written(tmp_path, undrawn):
    """Write the folder of a run, without the picture and the derivation, and return it."""

    def write(run):
        run_folder.write(run, tmp_path / "run")
        return tmp_path / "run"

    return write
