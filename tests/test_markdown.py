"""What GitHub shows of the Markdown files: cmark-gfm, which renders them there, leaves each formula as it was written.

In ``$…$`` and ``$$…$$`` it does not: a backslash before punctuation is Markdown's own, so that ``\\,`` becomes a comma.
"""

import html
import re
from pathlib import Path

import pytest

cmarkgfm = pytest.importorskip("cmarkgfm", reason="the extra `test` is not installed")

ROOT = Path(__file__).parent.parent
FILES = [
    file
    for place in ("*.md", ".github/**/*.md", "manual/**/*.md", "compare/**/*.md")
    for file in sorted(ROOT.glob(place))
]
WRITTEN = re.compile(r"^```math\n(.*?)^```$|\$`(.+?)`\$", re.DOTALL | re.MULTILINE)
SHOWN = re.compile(r'<pre lang="math"><code>(.*?)</code></pre>|\$<code>(.*?)</code>\$', re.DOTALL)


def formulas(pattern: re.Pattern[str], text: str) -> list[str]:
    return [" ".join((block or inline).split()) for block, inline in pattern.findall(text)]


def check(markdown: str) -> int:
    """Hold that all formulas come out, and that no dollar is left that may have been meant for one; count them."""
    shown = cmarkgfm.github_flavored_markdown_to_html(markdown)
    written = formulas(WRITTEN, markdown)
    assert [html.unescape(tex) for tex in formulas(SHOWN, shown)] == written
    assert "$" not in re.sub(r"<code.*?</code>", "", SHOWN.sub("", shown), flags=re.DOTALL)
    return len(written)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_formula_comes_out_as_it_was_written(file):
    count = check(file.read_text())
    assert (count > 100) == (file.name == "DERIVATION.md")


@pytest.mark.parametrize(
    "markdown",
    [
        r"so $W\, x$ is the product",
        "$$\na \\\\ b\n$$",
        "| a | b |\n|---|---|\n| $`|x|`$ | c |\n",
        "`` $`a` `` and $`b`$",
    ],
)
def test_a_formula_that_does_not_is_noticed(markdown):
    with pytest.raises(AssertionError):
        check(markdown)
