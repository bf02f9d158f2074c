"""The structure of the packages: who may import whom, without circles; and an equation's derivation, code and test."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {"manual": {"torch", "torch_impl", "compare"}, "torch_impl": {"numpy", "manual", "compare"}}

#: The wings of ``compare`` that a wing may import, besides the ground floor. A wing that is not listed may import none.
WINGS_OF = {
    "cells": {"checker"},
    "lockstep": {"cells", "checker", "frameworks", "page"},
    "page": {"cells", "checker"},
    "published": {"cells", "checker", "lockstep"},
    "benchmark": {"cells", "checker", "page"},
    "frameworks": {"cells", "checker"},
}

#: The wings that the library on the ground floor may import; its other files import none. A command may import all.
WINGS_OF_LIBRARY = {"cells", "checker"}

FILES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for package in ("manual", "torch_impl", "compare")
    for file in (ROOT / package).rglob("*.py")
}
WINGS = {name.split(".")[1] for name, file in FILES.items() if name.count(".") == 1 and file.name == "__init__.py"} - {
    "commands"
}


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the names of imported modules, also inside functions and for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in FILES else node.module for name in names)
        else:
            yield from imports(node)


COMMAND_LINE = {name for name in FILES if name.startswith(("compare.__main__", "compare.cli", "compare.commands"))}


@cache
def imports_of(name: str) -> set[str]:
    return set(imports(ast.parse(FILES[name].read_text())))


def wing(module: str) -> str:
    """Return the wing of ``compare`` that a module belongs to; empty for the ground floor and for other packages."""
    parts = module.split(".")
    return parts[1] if parts[0] == "compare" and len(parts) > 1 and parts[1] in WINGS else ""


@pytest.mark.parametrize("package", FORBIDDEN)
def test_the_two_sides_share_nothing(package):
    own = [name for name in FILES if name.partition(".")[0] == package]
    assert len(own) > 5
    for name in own:
        assert not FORBIDDEN[package] & {imported.partition(".")[0] for imported in imports_of(name)}, name


def test_imports_are_found_inside_functions_and_for_type_checkers():
    source = """
import os.path
if TYPE_CHECKING:
    from compare.cli import main
else:
    from manual import arrays
def late():
    from compare.agreement import compare
"""
    assert set(imports(ast.parse(source))) == {"os.path", "compare.cli", "manual.arrays", "compare.agreement"}


def test_there_is_no_circle():
    graph = {name: imports_of(name) & FILES.keys() for name in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_wings_import_the_ground_floor_and_only_the_wings_below_them():
    assert {"lockstep", "cells", "checker", "benchmark", "published"} <= WINGS
    for name in FILES.keys() - COMMAND_LINE:
        allowed = WINGS_OF.get(wing(name), set()) if wing(name) else WINGS_OF_LIBRARY if name == "compare" else set()
        found = {wing(imported) for imported in imports_of(name)} - {"", wing(name)}
        assert found <= allowed, f"{name} imports {found - allowed}"


def test_the_drawing_of_the_house_has_few_arrows():
    """A node of it is a package, a wing of ``compare``, or a file on the ground floor."""
    nodes = {}
    for name in FILES:
        package, _, rest = name.partition(".")
        folder = rest.partition(".")[0]
        is_wing = wing(name) or folder == "commands"
        nodes[name] = package if package != "compare" else f"{package}/{folder}" if is_wing else name
    arrows = {
        (nodes[name], nodes[imported])
        for name in FILES
        for imported in imports_of(name) & FILES.keys()
        if nodes[imported] != nodes[name]
    }
    assert 50 < len(arrows) <= 75


def test_the_checker_knows_no_cell():
    checker = {name for name in FILES if name.startswith("compare.checker")}
    assert {"compare.checker.diagnose", "compare.checker.report.report"} <= checker
    for name in checker:
        ours = {found for found in imports_of(name) if found.partition(".")[0] in ("manual", "torch_impl", "compare")}
        allowed = ("compare.checker", "compare.agreement", "compare.files", "manual.arrays")
        assert {found for found in ours if not found.startswith(allowed)} == set(), name


def test_nothing_imports_the_command_line():
    assert {"compare.cli", "compare.commands.train"} <= COMMAND_LINE
    for name in FILES.keys() - COMMAND_LINE:
        assert not imports_of(name) & COMMAND_LINE, name


@pytest.mark.parametrize(
    "derivation, folder, letters",
    [
        ("manual", "manual", "ALGRFYEU"),
        ("manual", "compare/published", "VW"),  # losses of the write-ups, vanishing gradients
        ("compare/published/kernels", "compare/published/kernels", "MNSC"),
    ],
)
def test_each_equation_has_a_derivation_a_line_of_code_and_a_test(derivation, folder, letters):
    code = "".join(file.read_text() for file in (ROOT / folder).rglob("*.py"))
    tests = "".join(file.read_text() for file in (ROOT / "tests" / folder).rglob("*.py"))
    comments = "".join(re.findall(r"#.*", code))
    derived, carried, asserted = (
        {number for number in found if number[0] in letters}
        for found in (
            re.findall(r"\\tag\{(\w+)\}", (ROOT / derivation / "DERIVATION.md").read_text()),
            re.findall(r"\(([A-Z]\d+)\)", comments),
            [a.upper() or b for a, b in re.findall(r"test_equation_([a-z]\d+)|\"([A-Z]\d+)\"", tests)],
        )
    )
    assert len(derived) > 5
    assert carried == derived
    assert asserted == derived


def test_every_derived_equation_has_an_owner():
    for folder, letters in (("manual", "ALGRFYEUVW"), ("compare/published/kernels", "MNSC")):
        derived = re.findall(r"\\tag\{(\w+)\}", (ROOT / folder / "DERIVATION.md").read_text())
        assert {number[0] for number in derived} == set(letters)
