import re
from itertools import product
from pathlib import Path

from compare.cells import CELLS, Form

DERIVATION = Path(__file__).parent.parent.parent.parent / "manual" / "DERIVATION.md"


def every_form():
    """All forms of all cells, also those that no layer has."""
    for cell in CELLS.values():
        values = [[2 if value is int else value for value in option.values] for option in cell.options.values()]
        yield from (Form(cell, dict(zip(cell.options, chosen))) for chosen in product(*values))


def test_every_number_is_derived():
    derived = set(re.findall(r"\\tag\{(\w+)\}", DERIVATION.read_text()))
    numbers = {n for form in every_form() for e in form.equations.values() for n in e.number.split(", ") if n}
    assert numbers <= derived


def test_a_parameter_of_one_gate_has_the_equation_of_all():
    form = Form(CELLS["lstm"])
    assert form.equation("weight_ih_f") == form.equation("weight_ih_l0_reverse") == form.equations["weight_ih"]


def test_an_unknown_name_has_none():
    assert Form(CELLS["lstm"]).equation("zeta").number == ""


def test_a_gate_says_which_block_of_a_parameter_is_meant_and_nothing_of_an_intermediate():
    form = Form(CELLS["lstm"], {"peepholes": True})
    assert [form.equation("weight_ch_l0", gate).number for gate in "ifo"] == ["L29", "L30", "L31"]
    assert Form(CELLS["gru"]).equation("z_l0", "z").number == "G3"
