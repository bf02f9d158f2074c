import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
from extras import needs_numba
from tiers import first_of_each, rarely

from compare.cells import CELLS
from compare.cli import main
from compare.converter import read_arrays
from compare.lockstep.trainers import ManualTrainer
from compare.lockstep.training import train
from compare.published.audit.learning_curves import Training
from compare.published.departures import DEPARTURES
from compare.published.recipe_training import FromRecipe, changed
from compare.published.recipes import RECIPES, Start
from compare.published.systems import SYSTEMS
from compare.published.tasks import Addition, Moment
from manual.engines import ENGINES

#: How many steps show that a recipe learns, and how many of the first and last are compared. The others need hundreds
#: of sums or thousands: ``test_learning_curves.py`` shows that they learn, and that its training is this one.
ENOUGH = {"lstm-class": (200, 100), "lstm-class-one-target": (200, 100), "lstm-layer": (1, 0)}

#: What the Python RNN prints: error, prediction, truth, and the sum it makes of a and b; as its text has it.
TRASK = """
3.45638663 00000001 01000101 9 + 60 = 1
3.63389116 11111111 00111111 28 + 35 = 255
3.91366595 01001000 10100000 116 + 44 = 72
3.72191702 11011111 01001101 4 + 73 = 223
3.5852713 00001000 01010010 71 + 11 = 8
2.53352328 10100010 11000010 81 + 113 = 162
0.57691441 01010001 01010001 81 + 0 = 81
1.42589952 10000001 10000001 4 + 125 = 129
0.47477457 00111000 00111000 39 + 17 = 56
0.21595037 00001110 00001110 11 + 3 = 14
""".strip().splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("name", first_of_each(lambda name: RECIPES[name].cell, RECIPES))
def test_both_sides_agree_at_every_step_and_the_loss_falls(name):
    steps, some = ENOUGH.get(name, (20, 0))
    run = train(FromRecipe(replace(RECIPES[name], steps=steps)))
    assert run.agrees and not run.lockstep.failures
    assert len(run.lockstep.steps) == steps
    losses = np.array([step.loss_manual for step in run.lockstep.steps])
    if some:
        assert losses[-some:].mean() < losses[:some].mean() - 0.02 * abs(losses[:some].mean())


@pytest.mark.slow
def test_sums_are_counted_with_logits_that_are_compared(monkeypatch):
    original = ManualTrainer.logits
    monkeypatch.setattr(ManualTrainer, "logits", lambda side, x: original(side, x) * np.nan)
    run = train(FromRecipe(replace(RECIPES["trask-rnn"], steps=2)))
    assert run.lockstep.failures == ["logits of 8 bits against autograd: not finite"]


@pytest.mark.parametrize(
    ("name", "form"), [("gru-layer", ("gru", {"reset_after": False})), ("lstm-layer", ("lstm", {}))]
)
@pytest.mark.slow
def test_a_recipe_s_layer_is_checked_by_the_equations_of_its_form(name, form):
    found = train(FromRecipe(replace(RECIPES[name], steps=2))).checked.notation
    assert (found.cell.name, found.options) == form


@pytest.mark.exhaustive
def test_the_python_rnn_prints_digit_by_digit_what_its_text_prints():
    recipe = RECIPES["trask-rnn"]
    trainer = (experiment := FromRecipe(recipe)).set_up().manual
    printed = []
    for step, (x, y) in enumerate(experiment.batches(), start=1):
        if look := recipe.task.look(Moment(step, recipe.steps, trainer, x, y, [])):
            error, predicted, true, total, _ = look.lines
            bits = (re.sub(r"[\[\] ]", "", line.partition(":")[2]) for line in (error, predicted, true))
            printed.append(" ".join([*bits, total]))
        if len(printed) == len(TRASK):
            break
        trainer.update(trainer.run(x, y).gradients)
    assert printed == TRASK


@pytest.mark.parametrize("name", RECIPES)
def test_a_start_is_drawn_as_the_recipe_says(name):
    recipe = RECIPES[name]
    weights, readout = recipe.draw(recipe.generators()[0])
    count, H = len(CELLS[recipe.cell].gates), recipe.hidden_size
    assert weights["weight_ih"].shape == (count * H, recipe.task.inputs)
    assert weights["weight_hh"].shape == (count * H, H)
    assert not weights["bias_hh"].any()
    biases = weights["bias_ih"].reshape(count, H)
    if recipe.layout.biases == 0:
        assert not biases.any()
    elif recipe.layout.biases == "scalar":
        assert (biases == biases[:, :1]).all() and len(set(biases[:, 0])) == count
    elif not recipe.start.biases:
        assert (biases[1] == recipe.start.forget_bias).all() and not biases[[0, 2, 3]].any()
    if recipe.start.equal_gates:
        hh = weights["weight_hh"].reshape(count, H, H)
        assert (hh == hh[0]).all() and (biases == biases[0]).all()
    drawn = np.concatenate([weights["weight_hh"].ravel(), readout.ravel()])
    if recipe.start.draw == "uniform":
        assert 0.8 * recipe.start.size < np.abs(drawn).max() <= recipe.start.size
    else:
        assert drawn.std() == pytest.approx(np.sqrt(2 / 30), rel=0.1)
    again, _ = recipe.draw(recipe.generators()[0])
    assert all(np.array_equal(weights[key], again[key]) for key in weights)
    other, _ = (one := replace(recipe, seed=1)).draw(one.generators()[0])
    assert not np.array_equal(weights["weight_hh"], other["weight_hh"])


def test_the_start_with_equal_gates_is_the_published_one():
    """Its ``rand_arr`` seeds the generator on each call, so every array is the beginning of the same numbers."""
    recipe = RECIPES["concatenated-lstm-equal"]
    weights, _ = recipe.draw(recipe.generators()[0])
    weight, bias = (np.random.RandomState(0).rand(*shape) * 0.2 - 0.1 for shape in ((32, 34), (32,)))
    for k in range(4):
        rows = slice(32 * k, 32 * k + 32)
        assert np.array_equal(np.concatenate([weights["weight_ih"][rows], weights["weight_hh"][rows]], axis=1), weight)
        assert np.array_equal(weights["bias_ih"][rows], bias)


@pytest.mark.parametrize("name", ["scalar-bias-lstm", "lstm-class", "no-bias-lstm"])
def test_there_is_one_bias_that_learns_or_none(name):
    recipe = replace(RECIPES[name], steps=3)
    lockstep = (experiment := FromRecipe(recipe)).set_up()
    before = {key: array.copy() for key, array in lockstep.manual.parameters.items()}
    for x, y in experiment.batches():
        lockstep.step(x, y)
    moved = {key for key, array in lockstep.manual.parameters.items() if not np.array_equal(array, before[key])}
    assert moved == before.keys() - {"recurrent.bias_hh_l0"}
    biases = {key for key in moved if "bias" in key}
    one_number = {"recurrent.bias_l0"} if recipe.layout.biases == "scalar" else {"recurrent.bias_ih_l0"}
    assert biases == (one_number if recipe.layout.biases else set())
    assert lockstep.agrees
    assert ("readout.weight" in before, "readout.bias" in before) == (recipe.readout, False)


@needs_numba
@pytest.mark.parametrize("name", ["no-bias-lstm", "scalar-bias-lstm", "trask-rnn", "gru-layer"])
def test_a_recipe_learns_the_same_with_each_engine(name):
    losses = []
    for engine in ENGINES:
        recipe = replace(RECIPES[name], steps=20, engine=engine)
        trainer = (experiment := FromRecipe(recipe)).set_up().manual
        assert repr(trainer.model.recurrent).count(f"engine={engine}") == 1
        losses.append([])
        for x, y in experiment.batches():
            step = trainer.run(x, y)
            losses[-1].append(float(step.loss))
            trainer.update(step.gradients)
    assert np.allclose(*losses, rtol=1e-13, atol=0)
    assert len(set(losses[0])) == 20


def test_a_start_says_what_it_is():
    assert str(Start("uniform", 0.1)) == "U(±0.1)"
    assert str(Start("normal", 0.5, biases=False, forget_bias=1.0)) == "N(0, 0.5), b 0, b_f 1"


# From the command line.


@pytest.fixture
def folder(tmp_path, undrawn):
    return tmp_path


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["no-bias-lstm", "scalar-bias-lstm", "trask-rnn", "lstm-layer", "gru-layer"])
def test_a_recipe_can_be_trained(name, folder, capsys):
    assert main(["train", "--recipe", name, "--steps", "2", "--seed", "2", "--out", str(folder)]) == 0
    assert "AGREE: 2 steps in float64" in capsys.readouterr().out
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["verdict"] == "agree" and summary["name"] == name and summary["seed"] == 2
    assert ("accuracy" in summary) is ("bits" in summary["task"])


@pytest.mark.slow
def test_train_with_the_recipe_is_the_same_run(folder, capsys):
    assert main(["recipes", "matlab-rnn", "--problems", "3", "--seed", "2", "--out", str(folder / "one")]) == 0
    assert main(["train", "--recipe", "matlab-rnn", "--steps", "3", "--seed", "2", "--out", str(folder / "two")]) == 0
    one, two = ((folder / name / "steps.csv").read_bytes() for name in ("one", "two"))
    assert one == two and capsys.readouterr().out.count("AGREE: 3 steps") == 2


def test_a_recipe_is_changed_as_the_options_say():
    recipe = changed("lstm-class", {"hidden_size": 7, "learning_rate": 0.5, "gradient": "published"})
    assert (recipe.hidden_size, recipe.task.units, recipe.loss_scale) == (7, 7, 3.5)
    assert recipe.learning_rate == 0.5 and recipe.gradient == tuple(d.name for d in SYSTEMS["LSTM class"].departures)
    adder = changed("no-bias-lstm", {"bits": 12, "gradient": "slope-of-weights,nothing-through-c"})
    assert (adder.task.bits, adder.task.largest_a, adder.task.largest_b, adder.loss_scale) == (12, 2048, 2047, 12)
    assert adder.gradient == (*(f"slope-of-weights-{gate}" for gate in "ifgo"), "nothing-through-c")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, given, equations",
    [
        ("no-bias-lstm", "slope-of-h", {"L8"}),
        *rarely(
            ("no-bias-lstm", "published", {"L8", "L9", "L17", "L18"}),
            ("scalar-bias-lstm", "published", {"L9", "L14", "L15"}),
        ),
    ],
)
def test_a_published_gradient_trains_and_what_is_wrong_with_it_is_named(name, given, equations, folder, capsys):
    """It moves the weights as the published program does, and the run goes on although the sides disagree."""
    arguments = ["recipes", name, "--problems", "3", "--hidden-size", "5", "--gradient", given, "--out", str(folder)]
    assert main([*arguments, "--quiet"]) == 1
    verdict = capsys.readouterr().out.splitlines()[-1]
    assert verdict.startswith("DISAGREE: 3 steps") and equations <= set(re.findall(r"\((L\d+)\)", verdict))
    summary = json.loads((folder / "summary.json").read_text())
    departures = tuple(DEPARTURES[one] for one in summary["gradient"])
    curve = Training(RECIPES[name].with_units(5), 3, departures=departures).run([0])
    read, _ = read_arrays(folder / "weights.safetensors")
    np.testing.assert_allclose(read["recurrent.weight_hh_l0"], curve.weights["weight_hh"][0], rtol=0, atol=1e-13)
    np.testing.assert_allclose(read["readout.weight"], curve.readout[0], rtol=0, atol=1e-13)


@pytest.mark.slow
def test_the_sums_right_are_counted_now_and_then_and_drawn(folder, capsys):
    options = ["--problems", "150", "--hidden-size", "4", "--bits", "5", "--out", str(folder)]
    assert main(["recipes", "matlab-rnn", *options]) == 0
    assert capsys.readouterr().out.startswith("150 problems take about a moment\n")
    curves = json.loads((folder / "summary.json").read_text())["curves"]
    assert [step for step, _ in curves["sums right"]] == [101, 135] and len(curves[Addition.error]) == 1
    assert "sums_right" in (folder / "run.html").read_text()


@pytest.mark.slow
@needs_numba
@pytest.mark.parametrize("installed", ENGINES)
def test_compiled_loops_run_where_they_are_installed_unless_another_engine_is_asked_for(installed, monkeypatch):
    asked_for = []

    def stop(experiment, *_):
        asked_for.append(experiment.settings.engine)
        raise ValueError("enough")

    monkeypatch.setattr("compare.published.recipe_training.fastest_for_few_rows", lambda: installed)
    monkeypatch.setattr("compare.commands.runs.running.train", stop)
    for command in (["recipes"], ["train", "--recipe"]):
        for given in ([], ["--engine", "numpy"], ["--engine", "compiled"]):
            assert main([*command, "trask-rnn", *given]) == 2
    assert asked_for == 2 * [installed, "numpy", "compiled"]


@pytest.mark.slow
def test_its_author_s_lines_are_printed_and_its_curve_drawn_unless_it_is_to_be_quiet(folder, capsys):
    given = ["train", "--recipe", "trask-rnn", "--steps", "2", "--out", str(folder)]
    assert main(given) == 0
    assert capsys.readouterr().out.splitlines()[:6] == [
        "2 problems take about a moment",
        "Error:[ 3.45638663]",
        "Pred:[0 0 0 0 0 0 0 1]",
        "True:[0 1 0 0 0 1 0 1]",
        "9 + 60 = 1",
        "------------",
    ]
    assert (folder / "error_curve.png").read_bytes().startswith(b"\x89PNG")
    assert main([*given, "--quiet", "--force"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("AGREE")


@pytest.mark.parametrize(
    "given, message",
    [
        (["train", "--recipe", "nobody"], "recipe: expected one of scalar-bias-lstm, .*, got 'nobody'"),
        (["train", "--recipe", "lstm-class", "--cell", "gru"], "cell: expected no value with --recipe.*, got gru"),
        (["train", "--recipe", "lstm-class", "--nesterov"], "nesterov: expected no value with --recipe.*, got True"),
        (["train", "--recipe", "lstm-class", "--steps", "0"], "steps: expected at least 1, got 0"),
        (["train", "--recipe", "lstm-class", "--seed", "-1"], "seed: expected at least 0, got -1"),
        (["recipes", "nobody"], "recipe: expected one of scalar-bias-lstm, .*, got 'nobody'"),
        (["recipes", "lstm-class", "--problems", "0"], "problems: expected at least 1, got 0"),
        (["recipes", "--seed", "1"], "seed: expected only with the name of a recipe"),
        (["recipes", "no-bias-lstm", "--hidden-size", "0"], "hidden_size: expected 1 to 4,096, got 0"),
        (["recipes", "no-bias-lstm", "--bits", "1"], "bits: expected 2 to 4,096, got 1"),
        (
            ["recipes", "no-bias-lstm", "--learning-rate", "nan"],
            "learning_rate: expected a finite number of at least 0",
        ),
        (["recipes", "no-bias-lstm", "--gradient", "x"], "gradient: expected true, published or a list of nothing-thr"),
        (["recipes", "lstm-class", "--bits", "8"], "bits: expected a recipe that adds, got lstm-class"),
        (["recipes", "gru-layer", "--gradient", "published"], "gradient: expected true, for no backward pass is publ"),
    ],
)
def test_bad_arguments_are_said_on_one_line(given, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(given) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)
    assert not list(tmp_path.iterdir())


def test_recipes_are_listed_also_as_json(capsys):
    assert main(["recipes"]) == 0
    printed = capsys.readouterr().out
    for name, recipe in RECIPES.items():
        (row, words) = re.findall(rf"^{name}[ :].*$", printed, re.MULTILINE)
        assert f"{recipe.steps:,}" in row and recipe.source in words
    assert "W [x, h]" in printed and "W [h, x]" in printed
    assert main(["recipes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps({n: asdict(r) for n, r in RECIPES.items()}))
