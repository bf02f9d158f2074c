"""Who may import whom: the two sides share nothing, and neither knows of the place where they meet."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {"manual": {"torch", "torch_impl", "compare"}, "torch_impl": {"numpy", "manual", "compare"}}


def imported(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports(package):
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        assert not FORBIDDEN[package].intersection(imported(file)), file


def test_each_equation_has_a_derivation_a_line_of_code_and_a_test():
    derived = set(re.findall(r"\\tag\{(\w+)\}", (ROOT / "manual" / "DERIVATION.md").read_text()))
    code = "".join(file.read_text() for file in (ROOT / "manual").rglob("*.py"))
    tests = "".join(file.read_text() for file in (ROOT / "tests" / "manual").rglob("*.py"))
    assert len(derived) > 30
    carried = {number for comment in re.findall(r"#.*", code) for number in re.findall(r"\(([A-Z]\d+)\)", comment)}
    assert carried == derived
    asserted = {a.upper() or b for a, b in re.findall(r"test_equation_([a-z]\d+)|\"([A-Z]\d+)\"", tests)}
    assert asserted == derived
