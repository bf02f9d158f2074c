"""The diagrams of the cells: a node for each value, and an arrow for each use."""

from itertools import combinations, pairwise

import pytest

from compare.cells import CELLS, Form
from compare.page.diagram import Diagram, in_order, node_of, of_cell


def uses(text):
    """Return arrows that are written as what they lead from and what they lead to, as in "x>i"."""
    return {tuple(use.split(">")) for use in text.split()}


LSTM = uses("x>i x>f x>g x>o h_prev>i h_prev>f h_prev>g h_prev>o c_prev>c f>c i>c g>c c>h o>h")
GRU = uses("x>r x>z x>n h_prev>r h_prev>z h_prev>q h_prev>h r>n q>n n>h z>h")

#: Of each form: the names shown, and the arrows.
LSTM_NAMES, GRU_NAMES = "x h_prev c_prev z_i i z_f f z_g g z_o o c h", "x h_prev z_r r z_z z q z_n n h"
DRAWN = {
    Form(CELLS[cell], options).name: (Form(CELLS[cell], options), names, arrows)
    for cell, options, names, arrows in (
        ("lstm", {}, LSTM_NAMES, LSTM),
        ("lstm", {"proj_size": 2}, f"{LSTM_NAMES} m", LSTM - uses("c>h o>h") | uses("c>m o>m m>h")),
        ("lstm", {"peepholes": True}, LSTM_NAMES, LSTM | uses("c_prev>i c_prev>f c>o")),
        ("lstm", {"coupled": True}, LSTM_NAMES.replace("z_f ", ""), LSTM - uses("x>f h_prev>f") | uses("i>f")),
        ("gru", {}, GRU_NAMES, GRU),
        ("gru", {"reset_after": False}, GRU_NAMES, GRU - uses("r>n") | uses("r>q")),
        ("rnn", {}, "x h_prev z_h h", uses("x>h h_prev>h")),
    )
}


def quantity(name: str, kind: str = "value", steps: int = 4, units: int = 3, form: Form | None = None) -> dict:
    values = [[[0.5] * units] * max(steps, 1)] * 2
    return {
        **{"name": name, "whole": name, "label": name, "id": name, "kind": kind, "backward": kind != "value"},
        **{"actual": values, "steps": list(range(steps)), "formula": form.equation(name).formula if form else ""},
    }


def drawn(form: str) -> Diagram:
    of, names, _ = DRAWN[form]
    shown = [quantity(name, form=of) for name in names.split()]
    shown += [quantity(f"d_{name}", "adjoint", form=of) for name in names.split()]
    return of_cell(of.cell, [*shown, quantity("weight_ih", "gradient", 0), quantity("bias_hh", "gradient", 0)])


@pytest.mark.parametrize("form", DRAWN)
def test_the_arrows_are_the_uses(form):
    assert {(edge.source, edge.target) for edge in drawn(form).edges} == DRAWN[form][2]


@pytest.mark.parametrize("form", DRAWN)
def test_nodes_are_apart_and_within_the_drawing(form):
    diagram = drawn(form)
    boxes = [(node.x, node.y, node.x + diagram.node_width, node.y + node.height) for node in diagram.nodes]
    for one, other in combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    assert all(box[0] > 0 and box[1] > 0 and box[2] < diagram.width and box[3] < diagram.height for box in boxes)


def test_a_value_its_pre_activation_and_their_adjoints_share_a_node():
    assert {node_of(name) for name in ("i", "z_i", "d_i", "d_z_i")} == {"i"}
    assert {node_of(name) for name in ("z", "z_z", "d_z", "d_z_z")} == {"z"}
    assert node_of("d_h_prev") == "h_prev"


def test_values_come_before_adjoints_and_parameters_have_a_node_without_values():
    nodes = {node.name: [strip.quantity["whole"] for strip in node.strips] for node in drawn("lstm").nodes}
    assert nodes["f"] == ["z_f", "f", "d_z_f", "d_f"]
    assert nodes["parameters"] == ["weight_ih", "bias_hh"]
    assert all(strip.count == 0 for node in drawn("lstm").nodes if node.name == "parameters" for strip in node.strips)


def test_what_is_not_shown_has_no_node_and_no_arrow():
    diagram = of_cell(CELLS["lstm"], [quantity("c"), quantity("h", form=DRAWN["lstm"][0]), quantity("d_c", "adjoint")])
    assert [node.name for node in diagram.nodes] == ["c", "h"]
    assert [(edge.source, edge.target) for edge in diagram.edges] == [("c", "h")]


def test_the_arrow_back_ends_where_the_arrow_forth_begins():
    for edge in drawn("gru").edges:
        forth, back = (
            [[float(n) for n in point.split(",")] for point in path.replace("M", "").replace("C", "").split()]
            for path in (edge.forward, edge.backward)
        )
        for one, other in ((forth[0], back[-1]), (forth[-1], back[0])):
            assert 0 < abs(one[0] - other[0]) + abs(one[1] - other[1]) <= 5.2


def test_probes_of_anything_else_are_in_their_order_to_and_fro():
    names = ["mean", "a", "h", "b", "s"]
    diagram = in_order([quantity(name) for name in names] + [quantity("d_s", "adjoint"), quantity("y", "output")])
    assert [node.name for node in diagram.nodes] == [*names, "y"]
    rows = [[node.x for node in diagram.nodes if node.y == y] for y in sorted({node.y for node in diagram.nodes})]
    assert [len(row) for row in rows] == [3, 3]
    assert rows[0] == sorted(rows[0]) == rows[1][::-1]
    assert [(edge.source, edge.target) for edge in diagram.edges] == list(pairwise([*names, "y"]))


def test_without_a_probe_the_arrows_lead_from_what_goes_in_to_what_comes_out():
    diagram = in_order([quantity("y", "output"), quantity("d_x", "d_input"), quantity("w", "gradient", 0)])
    assert [(edge.source, edge.target) for edge in diagram.edges] == [("x", "y"), ("parameters", "y")]
    x, y, parameters = (next(node for node in diagram.nodes if node.name == n) for n in ("x", "y", "parameters"))
    assert x.x == parameters.x < y.x


def test_a_value_without_steps_is_drawn_whole_up_to_a_limit():
    strips = {node.name: node.strips[0].count for node in in_order(
        [quantity("a", steps=0, units=7), quantity("b", steps=0, units=1000), quantity("c", steps=5, units=7)]
    ).nodes}  # fmt: skip
    assert strips == {"a": 7, "b": 32, "c": 7}


def test_without_anything_shown_the_drawing_is_empty():
    assert in_order([]).nodes == []
