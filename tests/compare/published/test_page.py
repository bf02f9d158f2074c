"""Every figure on the page of the write-ups, and about them in the main README, is that of ``audit.json``."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from compare.published import audit_tables
from compare.published.audit_tables import complete, percent, shares, spread

ROOT = Path(__file__).parents[3]
RESULTS = json.loads((ROOT / "compare" / "published" / "audit.json").read_text())
TABLES = {table.title: table for table in audit_tables.tables(RESULTS)}

#: What a figure looks like: a share, a count of starts, a decimal number, a power of ten.
FIGURE = re.compile(r"\d[\d.,]* ?%|\b\d+ of \d+\b|(?<![\w.])-?\d+\.\d+\b|\b\d+e-\d+\b")

#: Figures that are no results: the tolerance of the tests, and the output that is exactly a half.
NO_RESULTS = {"1e-12", "0.5"}


def plain(text):
    """The text on one line, its tables without padding."""
    return re.sub(r"-{3,}", "---", " ".join(text.split()))


PAGE = plain((ROOT / "compare" / "published" / "README.md").read_text())
MAIN = (ROOT / "README.md").read_text()


def after(problems, kind="true", title="no-bias LSTM"):
    """The values of all starts in a trial after so many problems."""
    trial = RESULTS["trials"][title]
    return trial[kind][trial["problems"].index(problems)]


def repair(name):
    return RESULTS["repairs"][name]


def carried(layer, what="norm"):
    """The norms, or their bounds, of all starts after all steps back."""
    return spread(RESULTS["carry"][layer][what][-1], "{:.1f}".format)


SCALAR, ROW = "scalar-bias LSTM", "scalar-bias LSTM, only the row"
EQUAL, RNN, PUBLISHED = "concatenated LSTM", "RNN, MATLAB", "published"
SINGLE_REPAIRS = [name for name in RESULTS["repairs"] if name.startswith("only") and name.endswith("repaired")]
COSINES = {when: RESULTS["systems"]["no-bias LSTM"][when]["cosine"] for when in ("at_start", "after_training")}
ONE_W = {kind: np.array(RESULTS["trials"]["LSTM class, one W"][kind][-1]) for kind in ("true", PUBLISHED)}

#: The figures in the text, by what they are about: the words around them, and the figures.
FIGURES_IN_TEXT = {
    "answer": (
        """{} starts get all 16,384 sums of two 7-bit numbers right after 1,000 problems, {} after 2,000, where the
        worst start is at {} %, and {} after 10,000. With the published gradient the median is at {} % after 99,999
        problems, and no start was above {} % at any of {} checks on the way.""",
        complete(after(1_000)),
        complete(after(2_000)),
        percent(min(after(2_000))),
        complete(after(10_000)),
        percent(float(np.median(after(99_999, PUBLISHED)))),
        percent(np.max(RESULTS["close_look"]["values"])),
        len(RESULTS["close_look"]["problems"]),
    ),
    "rnn": (
        """The RNN needs more problems than the LSTM: {} starts get every sum right after 5,000, {} after 10,000.""",
        complete(after(5_000, title=RNN)),
        complete(after(10_000, title=RNN)),
    ),
    "right angles": (
        "the cosine is {} at the start, from 100 starts, and {} after training.",
        *(spread(cosines, audit_tables.cosine) for cosines in COSINES.values()),
    ),
    "commented": (
        "overflow within 1,000 problems from {} of 25 starts.",
        RESULTS["commented_line"]["not_a_number"],
    ),
    "single": (
        """With any one of the five repaired, the best of all starts gets {} % of the sums right: whoever tries one
        repair at a time sees little progress. `h (1 - h)` alone keeps every start at or below {} %, the factors of the
        weights alone at or below {} %.""",
        percent(max(map(max, map(repair, SINGLE_REPAIRS)))),
        percent(max(repair("only h (1 - h) wrong"))),
        percent(max(repair("only W (1 - W), 1 - W² wrong"))),
    ),
    "carry alone": (
        """With only the carry through h missing the worst start is at {} %, with only the carry through c missing at
        {} %.""",
        percent(min(repair("only the carry through h wrong"))),
        percent(min(repair("only the carry through c wrong"))),
    ),
    "1 - c²": (
        "alone depends on the start: {}, and {} starts get everything right.",
        shares(repair("only 1 - c² wrong")),
        complete(repair("only 1 - c² wrong")),
    ),
    "chance": (
        "With `h (1 - h)` and the factors of the weights repaired, the program gets {} of the sums right.",
        shares(repair("h (1 - h) and W (1 - W), 1 - W² repaired")),
    ),
    "scalar": (
        """The scalar-bias program as published learns, but slowly and unsteadily: {} after 1,000 problems. After
        20,000, {} starts get every sum right, and at the end {}; by the true gradient {} do after 20,000.""",
        shares(after(1_000, PUBLISHED, SCALAR)),
        complete(after(20_000, PUBLISHED, SCALAR)),
        complete(after(99_999, PUBLISHED, SCALAR)),
        complete(after(20_000, title=SCALAR)),
    ),
    "row": (
        """With an otherwise true gradient, {} starts get every sum right after 1,000 problems. With one number for each
        gate, as declared, and its summed gradient, it is {}, and {} after 2,000. The sum makes large steps: the worst
        start is at {} % after 10,000 problems, and at {} % after 20,000.""",
        complete(after(1_000, PUBLISHED, ROW)),
        complete(after(1_000, title=SCALAR)),
        complete(after(2_000, title=SCALAR)),
        percent(min(after(10_000, title=SCALAR))),
        percent(min(after(20_000, title=SCALAR))),
    ),
    "adding": (
        """The class's carry leaves {} after 20,000 problems. The layer's backward pass, called once for each step, gets
        every sum right from {} starts after 5,000 problems""",
        shares(after(20_000, PUBLISHED, "LSTM class, adding")),
        complete(after(5_000, PUBLISHED, "LSTM layer, adding")),
    ),
    "equal": (
        """from {} starts after 1,000 problems and {} after 2,000, where gates drawn one by one have {} and {}.""",
        *(complete(after(problems, PUBLISHED, EQUAL)) for problems in (1_000, 2_000)),
        *(complete(after(problems, title=EQUAL)) for problems in (1_000, 2_000)),
    ),
    "one W": (
        "the published gradient ends at a higher loss than the true one from {} of 25 starts.",
        np.sum(ONE_W[PUBLISHED] > ONE_W["true"]),
    ),
    "vanishing": (
        """the logarithm of the norm is {}, where that of the RNN is {}: the ranges overlap. With a forget bias of 1 it
        is {}. Of these layers, only the one whose forget gates remember for up to 1,023 steps carries the gradient all
        the way: {}.""",
        *map(carried, ("LSTM", "RNN", "LSTM, forget bias 1", "LSTM, forget bias ln U(1, 1023)")),
    ),
    "bound": (
        "for the RNN (V2) allows a logarithm of {}, for orthogonal matrices one of {}.",
        carried("RNN", "bound"),
        carried("RNN, orthogonal W_hh", "bound"),
    ),
}
SENTENCES = {name: plain(words.format(*figures)) for name, (words, *figures) in FIGURES_IN_TEXT.items()}


def test_every_start_is_counted():
    assert RESULTS["starts"] >= 25 and RESULTS["share_of_problems"] == 1
    assert all(len(system["at_start"]["error"]) >= 100 for system in RESULTS["systems"].values())
    assert all(len(errors) >= 100 for check in RESULTS["gradient_check"].values() for errors in check.values())
    for trial in RESULTS["trials"].values():
        assert np.shape(trial["true"]) == np.shape(trial["published"]) == (len(trial["problems"]), RESULTS["starts"])


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


def test_the_main_readme_has_no_other_figures_about_it():
    paragraphs = [plain(text) for text in MAIN.split("\n\n") if "compare/published/README.md" in text]
    assert paragraphs
    for paragraph in paragraphs:
        assert set(FIGURE.findall(paragraph)) <= set(FIGURE.findall(SENTENCES["answer"]))


# What the page concludes holds for every start, or it says of how many.


def test_one_repair_at_a_time_is_worse_from_any_start_than_the_two_repairs_of_the_next_author():
    two = repair("h (1 - h) and W (1 - W), 1 - W² repaired")
    assert max(max(repair(name)) for name in SINGLE_REPAIRS) < min(two)


def test_the_true_gradient_is_ahead_of_the_published_one_from_every_start():
    for problems in (500, 1_000, 10_000, 99_999):
        assert min(after(problems)) > max(after(problems, PUBLISHED)), problems


def test_the_published_check_saw_what_is_right_and_nothing_else():
    two, three = ({name: np.array(e) for name, e in check.items()} for check in RESULTS["gradient_check"].values())
    right = {name for name, errors in two.items() if errors.max() < 1e-12}
    assert right == {"weight_ih_f", "bias_f", *(f"weight_hh_{gate}" for gate in "ifgo")}
    assert min(errors.min() for name, errors in two.items() if name not in right) > 1e-7
    assert three["weight_hh_f"].min() > 0.01


def test_only_gates_that_remember_carry_a_gradient_all_the_way_and_an_lstm_alone_is_no_cure():
    last = {name: of_all["norm"][-1] for name, of_all in RESULTS["carry"].items() if name != "steps_back"}
    remembering = last.pop("LSTM, forget bias ln U(1, 1023)")
    assert min(remembering) > -2 and max(map(max, last.values())) < -30
    assert min(last["RNN"]) < max(last["LSTM"]) and min(last["LSTM"]) < max(last["RNN"])
