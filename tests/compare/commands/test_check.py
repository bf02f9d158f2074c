"""``check --watch``: a check after every save, with what changed."""

import time

import pytest
from derived import FILLED, STARTERS

from compare.cli import main
from compare.commands.check import changes


def test_what_changed_is_said_by_what_it_is_now():
    before = {"right": ["(L8) d_h"], "wrong": ["(L13) d_o"], "open": ["(L9) d_c", "(L10) d_i"]}
    now = {"right": ["(L13) d_o"], "wrong": ["(L8) d_h", "(L9) d_c"], "open": ["(L10) d_i"]}
    assert changes(before, now) == "Now right: (L13) d_o; Now wrong: (L8) d_h, (L9) d_c"
    assert changes(now, now) == "Nothing changed"


@pytest.mark.slow
def test_every_save_is_checked_also_after_one_that_cannot_be(tmp_path, capsys, monkeypatch, preloaded):
    path = tmp_path / "mine.py"
    text = (STARTERS / "rnn.py").read_text()
    path.write_text(text)
    saves = [text + "    (", text.replace(*FILLED["rnn"][0])]

    def sleep(seconds):
        if not saves:
            raise KeyboardInterrupt
        path.write_text(saves.pop(0))

    monkeypatch.setattr(time, "sleep", sleep)
    assert main(["check", str(path), "--watch", "--out", str(tmp_path / "out")]) == 130
    printed = capsys.readouterr().out
    said = ["0 of 7 right, 7 to go; next: (R3) d_h", "SyntaxError", "1 of 7 right, 6 to go; next: (R4) d_z_h"]
    places = [printed.index(words) for words in [*said, "Now right: (R3) d_h"]]
    assert places == sorted(places)
