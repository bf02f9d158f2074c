"""``page`` as a user runs it."""

import pytest

from compare.cli import main


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, title",
    [
        ([], "LSTM, derived by hand"),
        (["--proj-size", "5"], "LSTM with a projection to 5 units"),
        (["--cell", "gru", "--reset-before"], "GRU with the reset gate before the product"),
        (["--cell", "rnn", "--nonlinearity", "relu"], "RNN with relu"),
    ],
)
def test_a_page_of_a_form(arguments, title, tmp_path, capsys):
    file = tmp_path / "derivation.html"
    assert main(["page", *arguments, "--out", str(file)]) == 0
    assert capsys.readouterr().out == f"Written to {file}\n"
    assert title in file.read_text()
    assert "gets 100 % of 1,000 random sums" in file.read_text()


@pytest.mark.exhaustive
def test_a_page_with_the_weights_of_a_run(tmp_path):
    assert main(["train", "--cell", "gru", "--steps", "3", "--hidden-size", "5", "--out", str(tmp_path / "run")]) == 0
    assert main(["page", "--weights", str(tmp_path / "run"), "--out", str(tmp_path / "page.html")]) == 0
    assert "GRU, derived by hand" in (tmp_path / "page.html").read_text()
    assert "trained for 3 steps of 64 sums" in (tmp_path / "page.html").read_text()


@pytest.mark.exhaustive
@pytest.mark.parametrize("recipe", ["scalar-bias-lstm", "matlab-rnn"])
def test_a_page_with_the_weights_of_a_recipe(recipe, tmp_path):
    assert main(["train", "--recipe", recipe, "--steps", "3", "--quiet", "--out", str(tmp_path / "run")]) == 0
    assert main(["page", "--weights", str(tmp_path / "run"), "--out", str(tmp_path / "page.html")]) == 0
    assert "trained for 3 steps of 1 sum" in (tmp_path / "page.html").read_text()


def test_a_file_is_replaced_only_on_request(tmp_path, capsys):
    file = tmp_path / "derivation.html"
    file.write_text("mine")
    assert main(["page", "--out", str(file)]) == 2
    assert f"out: expected a new file, but {file} exists; --force replaces it" in capsys.readouterr().err
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--cell", "gru", "--peepholes"], "peepholes: expected only with --cell lstm, got --cell gru"),
        (["--reset-before"], "reset_before: expected only with --cell gru, got --cell lstm"),
        (["--nonlinearity", "relu"], "nonlinearity: expected only with --cell rnn, got --cell lstm"),
        (["--proj-size", "8"], "proj_size: expected at least 0 and below hidden_size = 8, got 8"),
        (["--weights", "nowhere", "--coupled"], "weights: expected no other option than out and force"),
        (["--weights", "nowhere"], "weights: expected the folder of a run, got nowhere"),
    ],
)
def test_a_wrong_option_is_named(arguments, message, tmp_path, capsys):
    assert main(["page", *arguments, "--out", str(tmp_path / "derivation.html")]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
