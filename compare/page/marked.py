"""Two versions of a line, one beside the other, with what differs marked."""

import re
from difflib import SequenceMatcher

from markupsafe import Markup


def marked(old: str, new: str) -> tuple[Markup, Markup]:
    """Return both lines as HTML, where what only one of them has is in a ``mark`` element, word by word."""
    words_of = re.compile(r"\w+|\s+|\*\*|[^\w\s]")
    ours, theirs = words_of.findall(old), words_of.findall(new)
    before: list[Markup] = []
    after: list[Markup] = []
    for kind, a, b, c, d in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        for side, words in ((before, ours[a:b]), (after, theirs[c:d])):
            text = "".join(words)
            side.append(Markup("<mark>{}</mark>").format(text) if kind != "equal" and text else Markup.escape(text))
    return Markup("").join(before), Markup("").join(after)
