import os
import stat

import pytest

from compare.files import filling, replacing


def test_the_file_appears_with_what_was_written_and_nothing_else_is_left(tmp_path):
    with replacing(tmp_path / "file") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_until_the_block_ends_the_old_content_stays(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_an_error_in_the_block_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="half way"), replacing(path) as temporary:
        temporary.write_text("ne")
        raise RuntimeError("half way")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_in_the_block_creates_no_file(tmp_path):
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "file") as temporary:
        temporary.write_text("ne")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_an_error_before_anything_is_written_is_the_one_that_is_raised(tmp_path):
    with pytest.raises(RuntimeError, match="at once"), replacing(tmp_path / "file"):
        raise RuntimeError("at once")


def test_the_temporary_file_is_in_the_same_folder_so_that_the_rename_is_atomic(tmp_path):
    with replacing(tmp_path / "file") as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path
        assert temporary.name != "file"
        inode = temporary.stat().st_ino
    assert (tmp_path / "file").stat().st_ino == inode


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


def test_a_folder_is_filled_at_the_end_and_its_last_file_last(tmp_path):
    (tmp_path / "summary").write_text("old")
    with filling(tmp_path, "summary") as temporary:
        (temporary / "weights").write_text("new")
        (temporary / "summary").write_text("new")
        assert not (tmp_path / "weights").exists() and (tmp_path / "summary").read_text() == "old"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"weights": "new", "summary": "new"}


def test_a_folder_stays_as_it_is_if_filling_fails(tmp_path):
    (tmp_path / "summary").write_text("old")
    with pytest.raises(RuntimeError), filling(tmp_path, "summary") as temporary:
        (temporary / "weights").write_text("new")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["summary"]
