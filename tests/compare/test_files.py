import os
import stat
import subprocess
from pathlib import Path

import pytest

from compare.files import PREFIX, filling, replacing


def contents(folder) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_new_file_takes_the_place_of_the_old_one_when_the_block_ends(tmp_path):
    path = tmp_path / "file"
    for before, now in ((None, "old"), ("old", "new")):
        with replacing(path) as temporary:
            temporary.write_text(now)
            assert temporary.parent == tmp_path and temporary.name != "file"  # so that the rename is atomic
            inode = temporary.stat().st_ino
            assert (path.read_text() if path.exists() else None) == before
        assert contents(tmp_path) == {"file": now} and path.stat().st_ino == inode


@pytest.mark.parametrize("old", [{}, {"file": "old"}])
@pytest.mark.parametrize("written", ["", "ne"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_in_the_block_is_raised_and_leaves_what_was_there(tmp_path, old, written, error):
    for name, text in old.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(error, match="half way"), replacing(tmp_path / "file") as temporary:
        if written:
            temporary.write_text(written)
        raise error("half way")
    assert contents(tmp_path) == old


def test_missing_folders_are_made(tmp_path):
    with replacing(tmp_path / "a" / "b" / "file") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a" / "b" / "file").read_text() == "new"


def test_two_processes_write_to_different_places(tmp_path, monkeypatch):
    with replacing(tmp_path / "file") as ours:
        ours.write_text("ours")
        monkeypatch.setattr(os, "getpid", lambda: -1)
        with replacing(tmp_path / "file") as theirs:
            assert theirs != ours
            theirs.write_text("theirs")
    assert (tmp_path / "file").read_text() == "ours"


def test_the_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "other").touch()
    with replacing(tmp_path / "file") as temporary:
        temporary.touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "other")]
    assert modes[0] == modes[1]


def test_a_new_folder_appears_at_the_end_as_a_whole(tmp_path):
    folder = tmp_path / "a" / "b"
    with filling(folder, "summary", "weights") as temporary:
        (temporary / "weights").write_text("new")
        (temporary / "summary").write_text("new")
        assert not folder.exists() and temporary.parent == folder.parent
    assert contents(folder) == {"weights": "new", "summary": "new"}
    assert [path.name for path in folder.parent.iterdir()] == ["b"]


def test_an_existing_folder_is_filled_at_the_end_and_stale_files_go_but_no_others(tmp_path):
    for name in ("summary", "stale", "mine"):
        (tmp_path / name).write_text("old")
    with filling(tmp_path, "summary", "weights", "stale") as temporary:
        (temporary / "weights").write_text("new")
        (temporary / "summary").write_text("new")
        assert not (tmp_path / "weights").exists()
        assert (tmp_path / "summary").read_text() == (tmp_path / "stale").read_text() == "old"
    assert contents(tmp_path) == {"weights": "new", "summary": "new", "mine": "old"}


@pytest.mark.parametrize("existing", [False, True])
def test_a_folder_stays_as_it_is_if_filling_fails(tmp_path, existing):
    folder = tmp_path / "folder"
    if existing:
        folder.mkdir()
        (folder / "summary").write_text("old")
    with pytest.raises(RuntimeError), filling(folder, "summary", "weights") as temporary:
        (temporary / "summary").write_text("new")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["folder"] * existing
    assert not existing or contents(folder) == {"summary": "old"}


def test_the_file_that_marks_an_existing_folder_as_complete_goes_first_and_comes_last(tmp_path, monkeypatch):
    """Whatever ends the process between two renames, no summary stands beside files of another run."""
    (tmp_path / "summary").write_text("old")
    seen = []
    original = Path.replace

    def replace(path, target):
        seen.append((target.name, (tmp_path / "summary").exists()))
        return original(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with filling(tmp_path, "summary", "weights", "steps") as temporary:
        for name in ("summary", "weights", "steps"):
            (temporary / name).write_text("new")
    assert seen == [("steps", False), ("weights", False), ("summary", False)]


@pytest.mark.parametrize("existing", [False, True])
def test_what_killed_processes_left_goes_and_nothing_else(tmp_path, existing):
    ended = subprocess.Popen(["true"])
    ended.wait()
    folder = tmp_path / "new"
    place = folder if existing else tmp_path
    stay = [f"{PREFIX}1-x", f"{PREFIX}{os.getppid()}-new", f"{PREFIX}mine", ".partial-elsewhere-7-new", ".mine"]
    for name in (*stay, f"{PREFIX}{ended.pid}-older"):
        (place / name).mkdir(parents=True)
        (place / name / "half").touch()
    (place / f"{PREFIX}{ended.pid}-file").touch()
    with filling(folder, "summary") as temporary:
        (temporary / "summary").write_text("new")
    assert (folder / "summary").read_text() == "new"
    assert {path.name for path in place.iterdir()} == {*stay, "summary" if existing else "new"}
    (place / f"{PREFIX}{ended.pid}-file").touch()
    with replacing(place / "file") as temporary:
        temporary.touch()
    assert {path.name for path in place.iterdir()} == {*stay, "summary" if existing else "new", "file"}
