import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from compare.cli import main
from compare.commands.kernels import show
from compare.published import kernels
from compare.published.kernels import findings
from compare.published.kernels.findings import KERNELS, find

FOLDER = Path(kernels.__file__).parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found():
    return find(draws=1)


def test_every_kernel_agrees_and_of_the_published_mlstm_one_line_is_wrong(found):
    assert {name for name, kernel in found["kernels"].items() if kernel["agrees"]} == set(KERNELS)
    assert [fault["name"] for fault in found["published"]["faults"]] == ["d_c"]


def test_the_readme_shows_what_the_command_wrote_and_prints(found):
    written = json.loads((FOLDER / "kernels.json").read_text())
    assert written["kernels"].keys() == found["kernels"].keys()
    assert written["published"] == found["published"]
    assert written["sizes"] == found["sizes"] | {"draws": 25}
    text = io.StringIO()
    show(written, Console(file=text, width=120, color_system=None))
    printed = "\n".join(line.rstrip() for line in text.getvalue().rstrip().splitlines())
    assert f"```\n{printed}\n```" in (FOLDER / "README.md").read_text()


def test_the_command_writes_what_it_found(tmp_path, capsys):
    assert main(["kernels", "--draws", "1", "--json", "--out", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "kernels.json").read_text())
    assert main(["kernels", "--draws", "0"]) == 2
    assert capsys.readouterr().err == "python -m compare: draws: expected at least 1, got 0\n"


FOUR = ["d_q", "d_k", "d_i", "d_f"]


@pytest.fixture(scope="module")
def costs():
    return findings.costs(draws=2)


def test_the_gradient_of_the_values_is_right(costs):
    for gradients in costs.values():
        assert gradients["d_v"]["error"] == [0, 0, 0]
        assert gradients["d_v"]["cosine"] == pytest.approx([1, 1, 1], rel=1e-12)


@pytest.mark.parametrize("name", FOUR)
def test_without_a_norm_a_gradient_is_off_by_about_its_own_length(name, costs):
    median, least, most = costs["no norm"][name]["error"]
    assert 0.8 < least <= median <= most < 1.2
    assert costs["no norm"][name]["cosine"][2] < 0.6


@pytest.mark.parametrize("name", FOUR)
def test_behind_a_norm_the_error_is_the_epsilon_of_the_norm(name, costs):
    assert 1e-7 < costs["layer norm"][name]["error"][1] < costs["layer norm"][name]["error"][2] < 1e-5
    assert costs["layer norm, ε = 0"][name]["error"][2] < 1e-13
