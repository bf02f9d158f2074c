"""The examples in the READMEs do what the READMEs say.

A block that begins with a comment such as ``# mine.py`` is a file of that name. Any other Python block is run, and
prints what its comments say, or asserts. In a console block each line after ``$`` is a command, run in a folder
with the files of all READMEs and ``my_lstm.py``, a starter filled in with three mistakes. Its output follows; …
stands for anything.
"""

import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from derived import THREE_MISTAKES, write
from tiers import first

from compare.cli import main

ROOT = Path(__file__).parent.parent
READMES = [
    ROOT / "README.md",
    *sorted(file for folder in ("manual", "compare") for file in ROOT.glob(f"{folder}/**/README.md")),
]
BLOCKS = {
    path.relative_to(ROOT).as_posix(): re.findall(
        r"^```(python|matlab|c|console)\n(.*?)^```", path.read_text(), re.M | re.S
    )
    for path in READMES
}
NAME = r"(?:#|%|//) ([\w/]+\.(?:py|m|c))\n"
EXAMPLES = [
    (readme, text)
    for readme, blocks in BLOCKS.items()
    for language, text in blocks
    if language == "python" and not re.match(NAME, text)
]
#: What commands need that the README does not install, by the README.
NEEDS = {
    "compare/frameworks/README.md": lambda: pytest.importorskip("onnxruntime"),
    "compare/checker/derivations/README.md": lambda: (
        (shutil.which("octave-cli") and shutil.which("cc")) or pytest.skip("Octave or a C compiler is not installed")
    ),
}

FILES = {name[1]: text for blocks in BLOCKS.values() for language, text in blocks if (name := re.match(NAME, text))}
SESSIONS = [readme for readme, blocks in BLOCKS.items() if any(language == "console" for language, _ in blocks)]


@pytest.mark.slow
def test_the_examples_print_what_their_comments_say(capsys):
    needs = {'engine="compiled"': "numba", "import compare, jax": "jax", "autograd.numpy": "autograd"}
    for readme, example in EXAMPLES:
        if all(find_spec(module) for sign, module in needs.items() if sign in example):
            exec(compile(example, readme, "exec"), {})
            said = re.findall(r"^print\(.*\) +# (.*)$", example, re.MULTILINE)
            assert said or "compare.assert_" in example, example
            assert capsys.readouterr().out.splitlines() == said, example


@pytest.mark.slow
@pytest.mark.parametrize("readme", first(1, SESSIONS))
def test_the_commands_print_what_is_shown(readme, tmp_path, monkeypatch, capsys, preloaded):
    NEEDS.get(readme, bool)()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    write(tmp_path / "my_lstm.py", "lstm", *THREE_MISTAKES)
    for language, text in BLOCKS[readme]:
        if language == "console":
            for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.M):
                program, *arguments = shlex.split(command.replace("python -m compare", "lstm-by-hand"))
                if program == "lstm-by-hand":
                    main(arguments)
                    printed = capsys.readouterr().out
                else:
                    assert program == "python"
                    printed = subprocess.run([sys.executable, *arguments], capture_output=True, text=True).stdout
                assert re.fullmatch(re.escape(shown).replace("…", ".*?"), printed, re.S), printed
