"""The tokens of a .m file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass


class UnreadableError(ValueError):
    """Something that is not in the subset."""


@dataclass(frozen=True)
class Token:
    """A token: its kind and text; its first line and column and its last line and the column after it, in bytes."""

    kind: str
    text: str
    span: tuple[int, int, int, int]


KEYWORDS = frozenset(
    """function end if elseif else while for break continue return switch case otherwise try catch global persistent
    endfunction endif endwhile endfor do until unwind_protect""".split()  # noqa: SIM905
)

PATTERN = re.compile(
    r"(?P<space>[ \t]+|\.\.\.[^\n]*\n)|(?P<comment>[%#][^\n]*)|(?P<newline>[\n;,])"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<operator>\.\^'|\.\*|\./|\.\\|\.\^|\.'|==|~=|!=|<=|>=|&&|\|\||[-+*/\\^<>=&|~!()\[\]{}:.@'\"])"
)

#: What may end an operand, so that a quote after it transposes.
ENDS = (")", "]", "}", "'", ".'")


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a program; in brackets a comma stands where only space separates elements.

    Raises:
        UnreadableError: there is something else.
    """
    place, line, start = 0, 1, 0
    brackets: list[str] = []
    before: Token | None = None
    spaced = False
    text = re.sub(r"(?ms)^[ \t]*%\{[ \t]*$.*?^[ \t]*%\}[ \t]*$", lambda m: "\n" * m[0].count("\n"), text) + "\n"

    def column(where: int) -> int:
        return len(text[start:where].encode())

    while place < len(text):
        operand = before is not None and (before.kind in ("number", "name", "string") or before.text in ENDS)
        inside = bool(brackets) and brackets[-1] != "("
        if text[place] == '"' or (text[place] == "'" and (not operand or (spaced and inside))):
            quote = text[place]
            match = re.compile(rf"{quote}(?:[^{quote}\n]|{quote}{quote})*{quote}").match(text, place)
            kind = "string"
        else:
            match = PATTERN.match(text, place)
            kind = match.lastgroup or "" if match else ""
        if match is None:
            raise UnreadableError(f"line {line}: {text[place]!r}")
        found, end = match[0], match.end()
        if kind in ("space", "comment"):
            spaced, place = True, end
            if found.endswith("\n"):
                line, start = line + 1, end
            continue
        if kind == "name" and found in KEYWORDS and not brackets and not (before and before.text == "."):
            kind = "keyword"
        begins = kind in ("name", "number", "string") or found in ("(", "[", "{", "@")
        signed = found in ("-", "+", "~", "!") and end < len(text) and text[end] not in " \t="
        if inside and spaced and operand and (begins or signed):
            yield Token("newline", ",", (line, column(place), line, column(place)))
        if found == "\n" and brackets:
            if brackets[-1] == "(":
                raise UnreadableError(f"line {line}: a line ends in parentheses")
            found = ";" if before and before.text not in ("[", "{", ";", ",") else ""
        if found:
            before = Token(kind, found, (line, column(place), line, column(end)))
            yield before
        if found in ("(", "[", "{"):
            brackets.append(found)
        elif found in (")", "]", "}"):
            if not brackets:
                raise UnreadableError(f"line {line}: {found}")
            brackets.pop()
        spaced, place = False, end
        if text[end - 1] == "\n":
            line, start, spaced = line + 1, end, True
