import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL))
def test_an_example_prints_what_its_comments_say(example, capsys):
    exec(compile(example, str(README), "exec"), {})
    said = re.findall(r"^print\(.*\) +# (.*)$", example, re.MULTILINE)
    assert said
    assert capsys.readouterr().out.splitlines() == said
