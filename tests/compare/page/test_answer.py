"""The page on which the LSTM of the first write-up is trained in the browser."""

import time

import numpy as np
import pytest

import manual
from compare.binary_addition import all_sums
from compare.cli import main
from compare.page.render import render
from compare.published.departures import DepartingLSTM
from compare.published.systems import SYSTEMS
from manual.activations import sigmoid

#: The switch of each departure.
SWITCH_OF = {
    "nothing-through-h": "carryH",
    "nothing-through-c": "carryC",
    "tanh-slope-at-c": "slopeAtC",
    "slope-of-h": "slopeOfH",
    **{f"slope-of-weights-{gate}": "slopeOfWeights" for gate in "ifgo"},
}


@pytest.fixture
def page(open_page, tmp_path):
    render("answer.html", {}, {}, tmp_path / "answer.html")
    return open_page(tmp_path / "answer.html")


SWITCHES = tuple(dict.fromkeys(SWITCH_OF.values()))
SUBSETS = [(), *((name,) for name in SWITCHES), SWITCHES]


@pytest.mark.slow
@pytest.mark.parametrize("on", SUBSETS, ids=lambda on: " ".join(on) or "true")
def test_its_gradient_is_that_of_manual_with_the_same_departures(page, on):
    H, T = 5, 8
    rng = np.random.default_rng(3)
    ih, hh, out = rng.normal(size=(4 * H, 2)), rng.normal(size=(4 * H, H)), rng.normal(size=H)
    a, b, y = rng.integers(0, 2, (3, T))
    ours = page.evaluate(
        """([H, ih, hh, out, a, b, y, on]) => {
          const network = { H, ih, hh, out };
          const steps = trace(network, a, b);
          const found = backward(network, steps, a, b, y, Object.fromEntries(on.map((name) => [name, true])));
          return [steps.map((one) => one.logit), ...["ih", "hh", "out"].map((name) => [...found[name]])];
        }""",
        [H, ih.ravel().tolist(), hh.ravel().tolist(), out.tolist(), a.tolist(), b.tolist(), y.tolist(), list(on)],
    )
    departures = tuple(d for d in SYSTEMS["no-bias LSTM"].departures if SWITCH_OF[d.name] in on)
    layer = DepartingLSTM(departures, 2, H, bias=False, rng=rng)
    layer.parameters["weight_ih_l0"][...], layer.parameters["weight_hh_l0"][...] = ih, hh
    h, _, tape = layer.forward(np.stack([a, b], axis=1)[:, None].astype(float))
    logits = h[:, 0] @ out
    delta = sigmoid(logits) - y
    _, _, gradients = layer.backward(tape, delta[:, None, None] * out)
    right = [logits, gradients["weight_ih_l0"], gradients["weight_hh_l0"], delta @ h[:, 0]]
    for found, expected in zip(ours, right, strict=True):
        np.testing.assert_allclose(found, expected.ravel(), rtol=0, atol=1e-9 * np.abs(expected).max())


@pytest.mark.slow
def test_it_counts_the_sums_that_manual_gets_right_and_reads_one_half_either_way(page):
    found = page.evaluate(
        """() => {
          const network = newNetwork(4, 7);
          for (let k = 0; k < 3000; k++) {
            const { a, b, y } = problem(network.random);
            descend(network, backward(network, trace(network, a, b), a, b, y), 0.1);
          }
          const weights = ["ih", "hh", "out"].map((name) => [...network[name]]);
          return [...weights, sumsRight(network, false), sumsRight(network, true)];
        }"""
    )
    *weights, plain, rounded = found
    layer = manual.LSTM(2, 4, bias=False, rng=np.random.default_rng(0))
    layer.parameters["weight_ih_l0"][...] = np.reshape(weights[0], (16, 2))
    layer.parameters["weight_hh_l0"][...] = np.reshape(weights[1], (16, 4))
    sums = all_sums(8)
    logits = layer.forward(sums.inputs(np.float64))[0] @ np.array(weights[2])[:, None]
    assert plain == round(4**7 * sums.share_correct(logits)) > 1000
    assert rounded == (((logits[:, :, 0] >= 0) == sums.total).all(axis=0)).sum() <= 0.75 * 4**7


def test_it_learns_with_the_true_gradient_and_draws_that(page):
    page.select_option("#units", "8")
    assert page.inner_text("#cosine") == "1.000"
    page.click("#run")
    deadline = time.monotonic() + 60
    while int(page.inner_text("#problems").replace(",", "")) < 1500 and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    page.click("#run")
    assert float(page.inner_text("#right").split()[0]) > 20
    assert page.evaluate("document.querySelector('#curve polyline').points.length") > 10
    assert "correlation" in page.inner_text("#unit")
    page.click("#all")
    assert page.is_checked("#slopeOfH") and page.inner_text("#cosine") != "1.000"
    page.click("#restart")
    assert page.inner_text("#problems") == "0"


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_overlaps(open_page, tmp_path, overlapping, width):
    render("answer.html", {}, {}, tmp_path / "answer.html")
    page = open_page(tmp_path / "answer.html", width=width)
    assert overlapping(page, ".answer button, .answer label, .answer td") == []


def test_the_command_writes_it_and_replaces_it_only_by_force(tmp_path, capsys):
    file = tmp_path / "answer.html"
    assert main(["recipes", "--page", str(file)]) == 0
    assert main(["recipes", "--page", str(file)]) == 2
    assert "page: expected a new file" in capsys.readouterr().err
    assert main(["recipes", "--page", str(file), "--force"]) == 0
