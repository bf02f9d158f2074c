"""The equations as DERIVATION.md has them, and the lines of code that carry their numbers."""

import re
from dataclasses import dataclass
from functools import cache, cached_property
from html import escape
from pathlib import Path

from latex2mathml.converter import convert
from markupsafe import Markup

import manual

ROOT = Path(manual.__file__).parent.parent
DERIVATION = ROOT / "manual" / "DERIVATION.md"

#: A numbered formula, and a heading.
FORMULA = re.compile(r"^```math\n(?P<tex>(?:(?!```).)*?)\\tag\{(?P<number>\w+)\}\n```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ .*$", re.MULTILINE)

#: A number in a comment.
NUMBER = re.compile(r"\(([A-Z]\d+)\)")


@dataclass(frozen=True)
class Formula:
    """A numbered formula in TeX, and in Markdown the text that derives it; converted where they are shown."""

    tex: str
    markdown: str

    @cached_property
    def mathml(self) -> Markup:
        """The formula as MathML."""
        return Markup(_mathml(self.tex, display="block"))

    @cached_property
    def text(self) -> Markup:
        """The text as HTML."""
        return _html(self.markdown)


@dataclass(frozen=True)
class Line:
    """A line of code, without its comment: the file, relative to the project, and the line's number in it."""

    file: str
    number: int
    code: str


@cache
def formulas(path: Path = DERIVATION) -> dict[str, Formula]:
    """Return the numbered formulas of a derivation, by number, each with the text between the one before and itself."""
    found = {}
    for section in HEADING.split(path.read_text(encoding="utf-8")):
        start = 0
        for match in FORMULA.finditer(section):
            found[match["number"]] = Formula(match["tex"].strip(), section[start : match.start()])
            start = match.end()
    return found


def lines(path: Path) -> dict[str, list[Line]]:
    """Return the lines of a file that carry the number of an equation, by number."""
    found: dict[str, list[Line]] = {}
    for position, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        code, _, comment = text.partition("  # ")
        for number in NUMBER.findall(comment) if code.strip() else ():
            line = Line(path.relative_to(ROOT).as_posix(), position, code.strip())
            found.setdefault(number, []).append(line)
    return found


def _html(markdown: str) -> Markup:
    """Return the paragraphs that follow one formula and lead to the next: text, formulas, code and emphasis.

    A sentence that goes on from the formula above begins in lower case. It belongs to that formula and is left out.
    """
    paragraphs = [" ".join(paragraph.split()) for paragraph in markdown.strip().split("\n\n")]
    if paragraphs[0][:1].islower():
        paragraphs[0] = paragraphs[0].partition(". ")[2]
    kept = [paragraph for paragraph in paragraphs if paragraph and paragraph[0] not in "|*"]
    return Markup("".join(f"<p>{_inline(paragraph)}</p>" for paragraph in kept))


def _inline(text: str) -> str:
    """Return text as HTML; every second part is a formula."""
    parts = re.split(r"\$`(.+?)`\$", text)
    words = [re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(part)) for part in parts[::2]]
    parts[::2] = [re.sub(r"`(.+?)`", r"<code>\1</code>", part) for part in words]
    parts[1::2] = [_mathml(tex) for tex in parts[1::2]]
    return "".join(parts)


def _mathml(tex: str, display: str = "inline") -> str:
    """Convert a formula. A function and its argument without parentheses get a thin space between them, as in TeX.

    A prime is raised as it is, so it is no superscript, which would make it smaller.
    """
    spaced = re.sub(
        r"(<mi>tanh</mi>|<msup><mi>tanh</mi><mn>2</mn></msup>)(?=<m(?!o))",
        r'\1<mspace width="0.167em"/>',
        convert(tex, display=display),
    )
    return re.sub(r"<msup>(<mi>\S+?</mi>)<mi>&#x02032;</mi></msup>", r"<mrow>\1<mi>&#x02032;</mi></mrow>", spaced)
