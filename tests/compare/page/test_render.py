import pytest
from jinja2 import ChoiceLoader, DictLoader, UndefinedError
from markupsafe import Markup

from compare.page import render as rendering
from compare.page.render import render

HOSTILE = "</script><script>alert(1)</script><!--<script>'\""


BODY = (
    '{% extends "base.html" %}{% block title %}{{ name }}{% endblock %}{% block main %}<p>{{ name }}</p>{% endblock %}'
)


@pytest.fixture(autouse=True)
def one_template(monkeypatch):
    """Put a template where templates are looked for."""
    made = rendering._environment

    def environment():
        one = made()
        one.loader = ChoiceLoader([DictLoader({"one.html": BODY}), one.loader])
        return one

    monkeypatch.setattr(rendering, "_environment", environment)


@pytest.mark.slow
def test_text_of_users_stays_text_in_markup_and_in_data(open_page, tmp_path):
    render("one.html", {"name": HOSTILE}, {"name": HOSTILE}, tmp_path / "one.html")
    page = open_page(tmp_path / "one.html")
    assert page.title() == HOSTILE
    assert page.locator("main p").inner_text() == HOSTILE
    assert page.evaluate("DATA.name") == HOSTILE
    assert page.locator("script").count() == 2


def test_markup_is_written_as_it_is(tmp_path):
    render("one.html", {"name": Markup("<b>")}, {}, tmp_path / "one.html")
    assert "<p><b></p>" in (tmp_path / "one.html").read_text()


def test_a_missing_name_is_an_error_and_leaves_no_file(tmp_path):
    with pytest.raises(UndefinedError, match="name"):
        render("one.html", {}, {}, tmp_path / "one.html")
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_json_cannot_hold_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        render("one.html", {"name": ""}, {"loss": float("nan")}, tmp_path / "one.html")


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1, -0.5, 1e-5, 123456.7, 1234567.0, 0.059353249, 1e-300, 2.5e10, -3.0e-7])
def test_numbers_are_written_as_python_writes_them(number, open_page, tmp_path):
    render("one.html", {"name": "n"}, {"number": number}, tmp_path / "one.html")
    page = open_page(tmp_path / "one.html")
    assert page.evaluate("digits(DATA.number)") == f"{number:g}"
    assert page.evaluate("digits(DATA.number, 3)") == f"{number:.3g}"
