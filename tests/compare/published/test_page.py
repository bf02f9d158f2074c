"""Every figure on the page and in its letters is that of ``audit.json``, with its interval."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compare.published.audit import tables
from compare.published.audit.tables import complete, counted, lost, lowest, percent, quantiles, shares, wilson
from compare.published.audit.trainings import TRAININGS

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "compare" / "published"
RESULTS = json.loads((FOLDER / "results" / "audit.json").read_text())
TABLES = {table.title: table for table in tables.tables(RESULTS)}

#: What a figure looks like: a share, a count of seeds, a decimal number, a power of ten.
FIGURE = re.compile(r"\d[\d.,]* ?%|\b\d+ of \d+\b|(?<![\w.])-?\d+\.\d+\b|\b\d+e-\d+\b")

#: Figures that are no results: tolerances, the output that is exactly a half, rates, and the interval that is meant.
NO_RESULTS = {"1e-12", "1e-14", "0.5", "0.1", "0.03", "95 %", "100 %", "75.00 %", "75 %"}


def plain(text):
    """The text on one line, its tables without padding."""
    return re.sub(r"-{3,}", "---", " ".join(text.split()))


PAGE = plain((FOLDER / "README.md").read_text())
MAIN = (ROOT / "README.md").read_text()
SEEDS = RESULTS["seeds"]


def after(problems, kind="true", title="no-bias LSTM"):
    """The values of all seeds in a trial after so many problems."""
    trial = RESULTS["trials"][title]
    return trial[kind][trial["problems"].index(problems)]


def repair(name):
    return RESULTS["repairs"][name]


def at(cell, units, loss, problems):
    """The values of a network in the comparison."""
    (one,) = [o for o in RESULTS["compared"] if (o["cell"], o["units"], o["loss"]) == (cell, units, loss)]
    return one["values"][one["problems"].index(problems)]


def carried(layer, what="norm"):
    """The norms, or their bounds, of all seeds after all steps back."""
    return quantiles(RESULTS["carry"][layer][what][-1], "{:.1f}".format)


SCALAR, ROW = "scalar-bias LSTM", "scalar-bias LSTM, only the row"
EQUAL, RNN, PUBLISHED = "concatenated LSTM", "RNN, MATLAB", "published"
SINGLE_REPAIRS = [name for name in RESULTS["repairs"] if name.startswith("only") and name.endswith("repaired")]
COSINES = {when: RESULTS["systems"]["no-bias LSTM"][when]["cosine"] for when in ("at_start", "after_training")}
ONE_W = {kind: np.array(RESULTS["trials"]["LSTM class, one W"][kind][-1]) for kind in ("true", PUBLISHED)}
REMEDIES, FALL = RESULTS["remedies"], RESULTS["fall"]
USUAL = REMEDIES["rate 0.1"]
OTHERS = [curve for words, curve in REMEDIES.items() if words != "rate 0.1"]
ROUNDED = RESULTS["by_round"]

#: The figures in the text, by what they are about: the words around them, and the figures.
FIGURES_IN_TEXT = {
    "answer": (
        """From {} seeds all 16,384 sums of two 7-bit numbers are right after 1,000 problems, from {} after 2,000, from
        {} after 5,000 and from {} after 10,000. By the published gradient the median is {} after 20,000 problems, and
        no seed has every sum right at any look.""",
        *(complete(after(problems)) for problems in (1_000, 2_000, 5_000, 10_000)),
        shares(after(20_000, PUBLISHED)),
    ),
    "round": (
        """Read with `round`, as the author reads them, the same networks get {} of the sums right after 20,000
        problems; read with `pred_out > 0.5` they get {}.""",
        shares(ROUNDED),
        shares(after(20_000)),
    ),
    "floor": (
        "keeps his `Error:` line from falling below {} on average.",
        f"{RESULTS['error_floor']:.3f}",
    ),
    "right angles": (
        "the cosine is {} at the start and {} after training.",
        *(quantiles(cosines, tables.cosine) for cosines in COSINES.values()),
    ),
    "commented": (
        "overflow within 1,000 problems from {} seeds.",
        counted(RESULTS["commented_line"]["not_a_number"], SEEDS),
    ),
    "single": (
        """With any one of the five repaired, the median is at most {} %: whoever tries one repair at a time sees little
        progress. `h (1 - h)` alone leaves {}, the factors of the weights alone {}.""",
        percent(max(float(np.median(repair(name))) for name in SINGLE_REPAIRS)),
        shares(repair("only h (1 - h) wrong")),
        shares(repair("only W (1 - W), 1 - W² wrong")),
    ),
    "carry alone": (
        "With only the carry through h missing it is {}, with only the carry through c missing {}.",
        shares(repair("only the carry through h wrong")),
        shares(repair("only the carry through c wrong")),
    ),
    "1 - c²": ("alone depends on the seed: {}.", shares(repair("only 1 - c² wrong"))),
    "chance": (
        "With `h (1 - h)` and the factors of the weights repaired, the program gets {} of the sums right.",
        shares(repair("h (1 - h) and W (1 - W), 1 - W² repaired")),
    ),
    "lost": (
        """Of the networks that have every sum right at one look, {} have not at a later one. Most lose a few sums;
        the deepest fall, an extreme of {} seeds, is to {} %.""",
        lost(USUAL),
        SEEDS,
        percent(lowest(USUAL)),
    ),
    "fall": (
        """In the deepest fall the steps are {:.4f} long in the median, and the longest is {:.1f}: a single problem that
        the network gets wrong moves it further than hundreds that it gets right.""",
        float(np.median(FALL["steps"])),
        max(FALL["steps"]),
    ),
    "remedies": (
        """With a smaller rate, or with the gradient cut, slips are as frequent, but no network fell below {} %, an
        extreme again. Both learn more slowly.""",
        percent(min(map(lowest, OTHERS))),
    ),
    "compared": (
        """With 16 units and cross-entropy the LSTM has every sum right from {} seeds after 5,000 problems, the RNN from
        {}; with squared error it is {} and {}.""",
        *(complete(at(cell, 16, loss, 5_000)) for loss in ("bce", "mse") for cell in ("LSTM", "RNN")),
    ),
    "long": (
        "On sums of 16 bits the LSTM gets {} right after 5,000 problems, the RNN {}.",
        *(
            shares(RESULTS["long"][cell]["values"][RESULTS["long"][cell]["problems"].index(5_000)])
            for cell in ("LSTM", "RNN")
        ),
    ),
    "scalar": (
        """The scalar-bias program as published learns, but slowly and unsteadily: {} after 1,000 problems. After
        10,000, {} seeds get every sum right; by the true gradient {} do.""",
        shares(after(1_000, PUBLISHED, SCALAR)),
        complete(after(10_000, PUBLISHED, SCALAR)),
        complete(after(10_000, title=SCALAR)),
    ),
    "row": (
        """With an otherwise true gradient, {} seeds get every sum right after 1,000 problems. With one number for each
        gate, as declared, and its summed gradient, it is {}.""",
        complete(after(1_000, PUBLISHED, ROW)),
        complete(after(1_000, title=SCALAR)),
    ),
    "adding": (
        """The class's carry leaves {} after 5,000 problems. The layer's backward pass, called once for each step, gets
        every sum right from {} seeds after as many""",
        shares(after(5_000, PUBLISHED, "LSTM class, adding")),
        complete(after(5_000, PUBLISHED, "LSTM layer, adding")),
    ),
    "equal": (
        """from {} seeds after 1,000 problems and {} after 2,000, where gates drawn one by one have {} and {}.""",
        *(complete(after(problems, PUBLISHED, EQUAL)) for problems in (1_000, 2_000)),
        *(complete(after(problems, title=EQUAL)) for problems in (1_000, 2_000)),
    ),
    "one W": (
        "the published gradient ends at a higher loss than the true one from {} seeds.",
        counted(int(np.sum(ONE_W[PUBLISHED] > ONE_W["true"])), SEEDS),
    ),
    "vanishing": (
        """the logarithm of the norm is {}, where that of the RNN is {}. With a forget bias of 1 it is {}. Of these
        layers, only the one whose forget gates remember for up to 1,023 steps carries the gradient all the way: {}.""",
        *map(carried, ("LSTM", "RNN", "LSTM, forget bias 1", "LSTM, forget bias ln U(1, 1023)")),
    ),
    "bound": (
        "for the RNN (V2) allows a logarithm of {}, for orthogonal matrices one of {}.",
        carried("RNN", "bound"),
        carried("RNN, orthogonal W_hh", "bound"),
    ),
}
SENTENCES = {name: plain(words.format(*figures)) for name, (words, *figures) in FIGURES_IN_TEXT.items()}


def test_every_seed_is_counted():
    assert SEEDS >= 100 and RESULTS["share_of_problems"] == 1
    assert all(len(system["at_start"]["error"]) >= 100 for system in RESULTS["systems"].values())
    assert all(len(errors) >= 100 for check in RESULTS["gradient_check"].values() for errors in check.values())
    for trial in RESULTS["trials"].values():
        assert np.shape(trial["true"]) == np.shape(trial["published"]) == (len(trial["problems"]), SEEDS)


@pytest.mark.parametrize("title", TABLES)
def test_the_page_has_the_table(title):
    assert plain(TABLES[title].markdown()) in PAGE


@pytest.mark.parametrize("name", SENTENCES)
def test_the_page_has_the_figures(name):
    assert SENTENCES[name] in PAGE


def test_the_page_has_no_other_figures():
    rest = PAGE
    for known in (*(plain(table.markdown()) for table in TABLES.values()), *SENTENCES.values()):
        rest = rest.replace(known, "")
    assert set(FIGURE.findall(rest)) <= NO_RESULTS


def test_the_main_readme_and_the_letters_have_no_other_figures():
    known = set(FIGURE.findall(" ".join(SENTENCES.values()))) | NO_RESULTS
    paragraphs = [plain(text) for text in MAIN.split("\n\n") if "compare/published/README.md" in text]
    letters = [plain(file.read_text()) for file in (*(FOLDER / "letters").glob("*.md"), FOLDER / "README.zh.md")]
    assert paragraphs and len(letters) == 9
    for text in (*paragraphs, *letters):
        assert set(FIGURE.findall(text)) <= known, text[:60]


def test_each_letter_is_linked_in_both_languages_and_the_main_readme_leads_to_the_chinese_page():
    assert "](compare/published/README.zh.md)" in MAIN
    for file in (FOLDER / "letters").glob("*.md"):
        page = "README.zh.md" if file.name.endswith(".zh.md") else "README.md"
        assert f"](letters/{file.name})" in (FOLDER / page).read_text(), file.name


# What the page concludes.


def test_by_round_three_quarters_of_the_sums_are_right_when_all_others_are():
    whole = np.array(after(20_000)) == 1
    assert whole.sum() > 50 and set(np.array(ROUNDED)[whole]) == {0.75}


def test_one_repair_at_a_time_is_worse_than_the_two_repairs_of_the_next_author():
    two = np.quantile(repair("h (1 - h) and W (1 - W), 1 - W² repaired"), 0.05)
    assert max(np.quantile(repair(name), 0.95) for name in SINGLE_REPAIRS) < two


def test_the_true_gradient_is_ahead_of_the_published_one():
    for problems in (500, 1_000, 5_000, 10_000, 20_000):
        assert np.quantile(after(problems), 0.05) > np.quantile(after(problems, PUBLISHED), 0.95), problems


def test_the_published_check_saw_what_is_right_and_nothing_else():
    two, three = ({name: np.array(e) for name, e in check.items()} for check in RESULTS["gradient_check"].values())
    right = {name for name, errors in two.items() if errors.max() < 1e-12}
    assert right == {"weight_ih_f", "bias_f", *(f"weight_hh_{gate}" for gate in "ifgo")}
    assert np.median(three["weight_hh_f"]) > 0.01


def test_only_gates_that_remember_carry_a_gradient_all_the_way_and_an_lstm_alone_is_no_cure():
    last = {name: of_all["norm"][-1] for name, of_all in RESULTS["carry"].items() if name != "steps_back"}
    remembering = last.pop("LSTM, forget bias ln U(1, 1023)")
    assert np.quantile(remembering, 0.05) > -2 and max(np.quantile(norms, 0.95) for norms in last.values()) < -30


@pytest.mark.exhaustive
def test_the_intervals_cover_another_set_of_seeds():
    """Twelve fresh seeds: no count is outside what the two Wilson intervals, of them and of the page, can both hold."""
    for name, title, kind in (
        ("no-bias LSTM, true", "no-bias LSTM", "true"),
        ("no-bias LSTM, published", "no-bias LSTM", PUBLISHED),
        ("RNN, MATLAB", RNN, "true"),
    ):
        curve = replace(TRAININGS[name], problems=2_000).run(range(5_000, 5_012))
        for problems, values in zip(curve.problems, curve.values):
            if problems in RESULTS["trials"][title]["problems"]:
                ours = np.array(after(problems, kind, title))
                fresh, page = wilson(int((values == 1).sum()), 12), wilson(int((ours == 1).sum()), SEEDS)
                assert fresh[0] <= page[1] and page[0] <= fresh[1], (name, problems)
                assert np.quantile(ours, 0.01) - 0.02 <= np.median(values) <= np.quantile(ours, 0.99) + 0.02
