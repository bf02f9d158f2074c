"""MATLAB's language is read as what Octave computes, and written back as it was; what is not understood is refused."""

import ast

import numpy as np
import pytest
from extras import needs_octave

from compare.checker.derivations.octave.engine import Engine
from compare.checker.lines.matlab.language import functions, source
from compare.checker.lines.matlab.tokens import UnreadableError

#: Statements that have a = (3, 2), b = (2, 4), c = (3, 2), v = (3, 1), s a struct and T = 3, and compute ``y``.
STATEMENTS = [
    "y = a * b",
    "y = 2 * a - c ./ 3",
    "y = a .* c + a ./ (1 + c .^ 2)",
    "y = -a .^ 2",
    "y = 2 ^ -1 * a",
    "y = (a + v) .* c",
    "y = a' * c",
    "y = [a; c]",
    "y = [a, c, v]",
    "y = [a(:, 1), v; 1, 2]",
    "y = [1 -2; 3 - 4, 5]",
    "y = a(:, 2)",
    "y = a(T - 1, :)",
    "y = a(2:3, :)",
    "y = a(end, 1) + a(end - 1, end)",
    "y = v(2) + v(end)",
    "y = a(:)",
    "y = sum(a, 2)",
    "y = sum(a) + mean(c, 1)",
    "y = sum(a(:)) * v",
    "y = sum(v)",
    "y = max(a, 0) .* (c > 0)",
    "y = exp(a) + tanh(c) + sqrt(abs(a)) + log(1 + c .^ 2) + sign(a)",
    "y = size(a, 1) + numel(b) * length(b)",
    "y = zeros(2, 3); y(:, 2) = [4; 5]",
    "y = ones(size(a)) + eye(3) * a",
    "y = zeros(2)",
    "y = zeros(3, 2, 2); y(:, :, 2) = a; y = y(:, :, 2) + y(:, :, 1)",
    "q = cell(1, T); q{2} = a; y = q{2} * 3",
    "q.a = a; q.b = struct('c', c); y = q.a + q.b.c + s.x",
    "q = struct('a', a, 'it''s', 3); y = q.a",
    "y = 0; for k = T:-1:1, y = y + k * a(k, :); end",
    "y = 0; for k = 1:T\n y = y * 2 + k; if k == 2, continue, end\n y = y + 0.5; end",
    "y = 0; while y < 5, y = y + 2; end",
    "if T > 2 && ~(T == 5), y = a; elseif T ~= 4 || T < 0, y = c; else, y = v; end",
    "f = @(z) 1 ./ (1 + exp(-z)); y = f(a) .* f(-c)",
    "[m, n] = size(a); y = zeros(m, n) + T",
    "[~, n] = both(a, c); y = n + both(a, 1)",
    "y = twice(a); % twice(c)\n%{\ny = 0;\n%}\ny = y + ...  the rest\n    1",
    "y = [];\ny = [y; v'];\ny = [y; v'];",
]

#: Those that are written otherwise: with other signs that mean the same.
OTHERWISE = ("y = zeros(2)", "y = 2 * a - c ./ 3", "y = 2 ^ -1 * a", "y = [a(:, 1), v; 1, 2]", "y = [1 -2; 3 - 4, 5]")

HEAD = "function [y, tape] = forward(a, b, c, v, s, T)\n"
TWICE = "function y = twice(x)\nif sum(x(:)) > 1e9\n  y = x; return\nend\ny = 2 * x;\nend\n"
MORE = "\nend\nfunction [sum_of, difference] = both(p, q)\nsum_of = p + q;\ndifference = p - q;\nend\n"


@pytest.fixture
def files(tmp_path):
    def made(statement):
        (tmp_path / "twice.m").write_text(
            "function y = twice(x)\nif sum(x(:)) > 1e9\n  y = x; return\nend\ny = 2 * x;\nend\n"
        )
        (tmp_path / "forward.m").write_text(
            f"function [y, tape] = forward(a, b, c, v, s, T)\n{statement};\ntape = 1;{MORE}"
        )
        (tmp_path / "backward.m").write_text("function d = backward(tape)\nd = tape;\nend\n")
        return tmp_path

    return made


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A function that computes each statement, in Octave and as Python."""
    folder = tmp_path_factory.mktemp("statements")
    choice = "".join(f"if k == {k}, y = s{k}(a, b, c, v, s, T); end\n" for k in range(len(STATEMENTS)))
    each = "".join(f"function y = s{k}(a, b, c, v, s, T)\n{one};\nend\n" for k, one in enumerate(STATEMENTS))
    (folder / "forward.m").write_text(f"function [y, t] = forward(k, a, b, c, v, s, T)\n{choice}t = 1;{MORE}{each}")
    (folder / "backward.m").write_text("function d = backward(tape)\nd = tape;\nend\n")
    (folder / "twice.m").write_text(TWICE)
    return Engine(folder), functions(folder)[0]


@needs_octave
@pytest.mark.parametrize("k, statement", list(enumerate(STATEMENTS)))
def test_a_statement_computes_what_it_does_in_octave(both, k, statement):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in ((3, 2), (2, 4), (3, 2), (3, 1))]
    given = [k, *arrays, {"x": rng.normal(size=(3, 2))}, 3]
    engine, forward = both
    right, found = engine.call("forward", False, 2, given)[0], forward(*given)[0]
    assert np.shape(found) == right.shape or (np.ndim(found) == 0 and right.size == 1)
    np.testing.assert_allclose(found, right, rtol=1e-14)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_is_written_as_it_was_read(files, statement):
    tree, language = source(str(files(statement) / "forward.m"))
    (function, *_) = tree.body
    assigned = [one for one in ast.walk(function) if isinstance(one, ast.Assign) and not hasattr(one, "implied")]
    for node in assigned:
        text = language.unparse(node)
        again = language.parse(text)
        assert ast.dump(again) == ast.dump(node) or language.unparse(again) == text
    if statement.count("=") == 1 and "\n" not in statement and statement not in OTHERWISE:
        assert statement in [language.unparse(node) for node in assigned]


def test_a_node_has_its_place_in_the_file(files):
    folder = files("y = a * ...\n   b' + é(1)".replace(" + é(1)", " + v"))
    tree, _ = source(str(folder / "forward.m"))
    (node,) = [one for one in ast.walk(tree.body[0]) if isinstance(one, ast.BinOp)]
    text = (folder / "forward.m").read_text()
    assert ast.get_source_segment(text, node) == "a * ...\n   b' + v"
    assert ast.get_source_segment(text, node.right) == "v"


@pytest.mark.parametrize(
    "statement",
    [
        "y = a \\ c",
        "v(2) = 1; y = v",
        "y = interp1(a, c)",
        "try, y = a; catch, y = c; end",
        "hold on",
        "x = a(2:3); y = x",
    ],
)
def test_what_is_not_understood_is_refused(files, statement):
    with pytest.raises(UnreadableError):
        functions(files(statement))


@pytest.mark.parametrize("text", ["np.outer(a, c)", "a[::-1]", "a[..., None]", "f'{a}'", "a.sum(0)"])
def test_what_matlab_lacks_is_not_written(files, text):
    _, language = source(str(files("y = a") / "forward.m"))
    with pytest.raises(UnreadableError):
        language.unparse(ast.parse(text, mode="eval").body)
