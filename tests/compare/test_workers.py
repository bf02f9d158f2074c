import sys

from compare import workers


def test_a_worker_finds_modules_where_this_process_does_and_not_in_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "answer.py").write_text("import os, random\nprint(input(), os.environ['SIZE'])")
    (tmp_path / "random.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "elsewhere")])
    with workers.start("answer", environment={"SIZE": "3"}) as process:
        assert process.communicate("of\n", timeout=20)[0] == "of 3\n"
    assert process.returncode == 0
