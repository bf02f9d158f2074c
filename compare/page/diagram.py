"""The diagram of a cell: a node for each value with its pre-activation and their adjoints, an arrow for each use.

The arrows are read off the equations: a value points to those whose formulas name it. Backward, each arrow carries the
gradient from the use to the value.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import Any

from compare.cells import Cell
from compare.checker.report.printable import SHOWN

#: The node of the parameters, of which there are only gradients.
PARAMETERS = "parameters"

#: Sizes in the units of the drawing.
WIDTH, GAP = 166, 88
LABEL, STRIP, PADDING, MARGIN = 66, 19, 6, 4

#: The space between two nodes, one above the other, and the number of columns where there is no table of places.
BETWEEN, COLUMNS = 19, 3

#: The distance of an arrow from the arrow that goes the other way, and between two that end at the same side.
APART, SPREAD = 2.5, 11


@dataclass
class Strip:
    """One quantity in a node, and how many numbers of it are drawn at a step."""

    quantity: Mapping[str, Any]
    count: int


@dataclass
class Node:
    """A box with the strips of a value, its pre-activation and their adjoints."""

    name: str
    strips: list[Strip]
    x: float = 0
    y: float = 0

    @property
    def height(self) -> float:
        """The height of the box."""
        return len(self.strips) * STRIP + 2 * PADDING


@dataclass
class Edge:
    """An arrow from a value to one computed from it, and the arrow of the gradient back."""

    source: str
    target: str
    forward: str = ""
    backward: str = ""


@dataclass
class Diagram:
    """All nodes and edges, and the size of the drawing."""

    nodes: list[Node]
    edges: list[Edge] = field(default_factory=list)
    width: float = 0
    height: float = 0
    node_width: int = WIDTH
    strip_height: int = STRIP
    padding: int = PADDING
    label_width: int = LABEL


def of_cell(cell: Cell, quantities: list[dict[str, Any]]) -> Diagram:
    """Lay out the diagram of a cell, with quantities as ``report.quantities`` returns them."""
    nodes = {node.name: node for node in _nodes(quantities) if node.name in cell.places}
    pitch = BETWEEN + max((node.height for name, node in nodes.items() if name != PARAMETERS), default=0)
    for name, node in nodes.items():
        column, row = cell.places[name]
        node.x, node.y = MARGIN + column * (WIDTH + GAP), MARGIN + row * pitch
    edges = [
        Edge(source, target) for target, node in nodes.items() for source in nodes if source in _named(node) - {target}
    ]
    return _drawn(nodes, edges)


def in_order(quantities: list[dict[str, Any]]) -> Diagram:
    """Lay out any other derivation: what goes in, what is seen of it in the order of computation, and what comes out.

    What goes in stands on the left, one below the other. The rest goes to and fro in rows, from the top.
    """
    nodes = _nodes(quantities)
    kinds: dict[str, set[str]] = {}
    for one in quantities:
        kinds.setdefault(node_of(one["name"]), set()).add(one["kind"])
    between = [node for node in nodes if kinds.get(node.name, set()) & {"value", "adjoint"}]
    outputs = [node for node in nodes if node not in between and "output" in kinds.get(node.name, set())]
    inputs = [node for node in nodes if node not in between + outputs]
    y = float(MARGIN)
    for node in inputs:
        node.x, node.y = MARGIN, y
        y += node.height + BETWEEN
    y = float(MARGIN)
    way = [*between, *outputs]
    for start in range(0, len(way), COLUMNS):
        row = way[start : start + COLUMNS]
        there = start // COLUMNS % 2 == 0
        for place, node in enumerate(row):
            column = (place if there else COLUMNS - 1 - place) + bool(inputs)
            node.x, node.y = MARGIN + column * (WIDTH + GAP), y
        y += max(node.height for node in row) + BETWEEN
    first, last = between[:1] or outputs, between[-1:]
    uses = [*product(inputs, first), *pairwise(between), *product(last, outputs)]
    return _drawn({node.name: node for node in nodes}, [Edge(a.name, b.name) for a, b in uses])


def node_of(name: str) -> str:
    """Return the node of a quantity: an adjoint and a pre-activation share that of the value."""
    return name.removeprefix("d_").removeprefix("z_")


def _nodes(quantities: list[dict[str, Any]]) -> list[Node]:
    """Group quantities by node, values before adjoints. Of the gates of a parameter, the first stands for all."""
    groups: dict[str, list[dict[str, Any]]] = {}
    seen = set()
    for one in quantities:
        if one["whole"] not in seen:
            seen.add(one["whole"])
            groups.setdefault(PARAMETERS if one["kind"] == "gradient" else node_of(one["name"]), []).append(one)
    return [
        Node(name, [_strip(one) for one in sorted(group, key=lambda one: one["backward"])])
        for name, group in groups.items()
    ]


def _strip(one: Mapping[str, Any]) -> Strip:
    count = len(one["actual"][0][0]) if one["actual"] and one["kind"] != "gradient" else 0
    if not one["steps"] and count:
        count = min(count * len(one["actual"][0]), SHOWN)
    return Strip(one, count)


def _named(node: Node) -> set[str]:
    """Return the nodes whose names are in the formulas of a node's values; an earlier step's are not drawn."""
    if node.name.endswith("_prev"):
        return set()
    return {
        node_of(name)
        for strip in node.strips
        if not strip.quantity["backward"]
        for name in re.findall(r"\b[a-z]\w*", strip.quantity["formula"])
    }


def _path(edge: Edge, edges: list[Edge], nodes: Mapping[str, Node], apart: float, back: bool = False) -> str:
    """Return a curve from one box to the other, or back."""
    a, b = nodes[edge.source], nodes[edge.target]
    if a.x == b.x:  # one above the other
        down = a.y < b.y
        x = a.x + WIDTH / 2 + apart
        ends = (x, a.y + a.height if down else a.y), (x, b.y if down else b.y + b.height)
        handles = ends
    else:
        right = a.x < b.x
        start = a.x + WIDTH if right else a.x
        end = b.x if right else b.x + WIDTH
        ends = (
            (start, a.y + a.height / 2 + apart + _shift(edge, edges, nodes, "source", "target")),
            (end, b.y + b.height / 2 + apart + _shift(edge, edges, nodes, "target", "source")),
        )
        bend = (end - start) / 2 if abs(end - start) < 2 * GAP else (GAP if right else -GAP) * 0.8
        handles = (start + bend, ends[0][1]), (end - bend, ends[1][1])
    (x1, y1), (x2, y2) = reversed(ends) if back else ends
    (p1, q1), (p2, q2) = reversed(handles) if back else handles
    return f"M{x1:g},{y1:.1f} C{p1:g},{q1:.1f} {p2:g},{q2:.1f} {x2:g},{y2:.1f}"


def _shift(edge: Edge, edges: list[Edge], nodes: Mapping[str, Node], end: str, other: str) -> float:
    """Return how far an arrow's end is from the middle of a side that it shares with others, by height."""
    box = nodes[getattr(edge, end)]

    def far(one: Edge) -> Node:
        return nodes[getattr(one, other)]

    at_box = [one for one in edges if nodes[getattr(one, end)] is box]
    shared = [one for one in at_box if far(one).x != box.x and (far(one).x < box.x) == (far(edge).x < box.x)]
    shared.sort(key=lambda one: far(one).y)
    room = (box.height - 2 * PADDING) / max(len(shared) - 1, 1)
    return (shared.index(edge) - (len(shared) - 1) / 2) * min(SPREAD, room)


def _drawn(nodes: Mapping[str, Node], edges: list[Edge]) -> Diagram:
    """Return the diagram of nodes in their places, with the paths of all edges."""
    for edge in edges:
        edge.forward = _path(edge, edges, nodes, -APART)
        edge.backward = _path(edge, edges, nodes, APART, back=True)
    width = max((node.x + WIDTH for node in nodes.values()), default=0) + MARGIN
    height = max((node.y + node.height for node in nodes.values()), default=0) + MARGIN
    return Diagram(list(nodes.values()), edges, width, height)
