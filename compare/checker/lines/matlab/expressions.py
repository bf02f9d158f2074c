"""Read expressions of MATLAB as syntax trees of Python that compute the same."""

import ast
import re
from typing import Any

from compare.checker.lines.matlab.tokens import Token, UnreadableError, tokens

#: Binary operators by how tightly they bind, and what they are in Python; ``*`` is a call of ``times``.
LEVELS: list[dict[str, Any]] = [
    {"||": ast.Or, "|": ast.Or},
    {"&&": ast.And, "&": ast.And},
    {"==": ast.Eq, "~=": ast.NotEq, "!=": ast.NotEq, "<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE},
    {"+": ast.Add, "-": ast.Sub},
    {"*": None, ".*": ast.Mult, "/": ast.Div, "./": ast.Div},
]

#: Functions that NumPy has under the same name, and those that it has under another.
SAME = {"exp", "log", "sqrt", "tanh", "sinh", "cosh", "sin", "cos", "tan", "abs", "sign", "floor"}
OTHER = {"max": "maximum", "min": "minimum", "zeros": "zeros", "ones": "ones", "eye": "eye"}

#: Functions of the runtime.
OWN = {"size": "size", "numel": "numel", "length": "length", "sum": "sum_", "mean": "mean_"}


class Expressions:
    """Reads expressions in a text, given how much the functions that it may call return, and its variables."""

    def __init__(self, text: str, known: dict[str, int], variables: set[str]):
        self.tokens = [*tokens(text), Token("over", "", (0, 0, 0, 0))]
        self.known, self.variables = known, variables
        self.handles: set[str] = set()
        self.at = 0
        self.ends: list[str] = []

    @property
    def now(self) -> Token:
        """The next token."""
        return self.tokens[self.at]

    def take(self, *texts: str) -> Token | None:
        """Return the next token, and go on, if it is one of these."""
        if self.now.kind != "string" and self.now.text in texts:
            self.at += 1
            return self.tokens[self.at - 1]
        return None

    def need(self, *texts: str) -> Token:
        """Read a token that has to be one of these."""
        found = self.take(*texts)
        if found is None:
            raise UnreadableError(f"line {self.now.span[0]}: expected {' or '.join(texts)}, got {self.now.text!r}")
        return found

    def name(self) -> str:
        """Read a name."""
        if self.now.kind != "name":
            raise UnreadableError(f"line {self.now.span[0]}: expected a name, got {self.now.text!r}")
        self.at += 1
        return self.tokens[self.at - 1].text

    def placed(self, node: Any, first: int, last: int | None = None) -> Any:
        """Give a node the place from one token to another, by default the last one read."""
        line, column, *_ = self.tokens[first].span
        *_, end, after = self.tokens[(self.at if last is None else last) - 1].span
        for one in ast.walk(node):
            if isinstance(one, ast.expr | ast.stmt | ast.keyword | ast.arg) and not hasattr(one, "lineno"):
                one.lineno, one.col_offset, one.end_lineno, one.end_col_offset = line, column, end, after
        return node

    def range(self, function: str) -> ast.expr:
        """Read ``first:last`` or ``first:step:last`` as a call of a function; without a colon the expression."""
        first = self.at
        parts = [self.expression()]
        while self.take(":"):
            parts.append(self.expression())
        return parts[0] if len(parts) == 1 else self.placed(ast.Call(ast.Name(function, ast.Load()), parts, []), first)

    def expression(self, level: int = 0) -> Any:
        """Read an expression of operators that bind at least so tightly."""
        if level == len(LEVELS):
            return self.unary()
        first = self.at
        left = self.expression(level + 1)
        while self.now.kind == "operator" and self.now.text in LEVELS[level]:
            kind = LEVELS[level][self.now.text]
            self.at += 1
            right = self.expression(level + 1)
            if kind is None:
                left = ast.Call(ast.Name("times", ast.Load()), [left, right], [])
            elif level < 2:
                left = ast.BoolOp(kind(), [left, right])
            elif level == 2:
                left = ast.Compare(left, [kind()], [right])
            else:
                left = ast.BinOp(left, kind(), right)
            self.placed(left, first)
        return left

    def unary(self) -> Any:
        """Read signs and powers."""
        first = self.at
        sign = self.take("-", "+", "~", "!")
        if sign:
            kind = {"-": ast.USub, "+": ast.UAdd}.get(sign.text, ast.Not)
            return self.placed(ast.UnaryOp(kind(), self.unary()), first)
        node = self.postfix()
        while self.take("^", ".^"):
            power = self.unary() if self.now.text in ("-", "+") else self.postfix()
            node = self.placed(ast.BinOp(node, ast.Pow(), power), first)
        return node

    def postfix(self) -> Any:
        """Read what is transposed, called, or indexed."""
        first = self.at
        node = self.primary()
        while True:
            if self.now.kind == "operator" and self.now.text in ("'", ".'"):
                self.at += 1
                node = ast.Attribute(node, "T", ast.Load())
            elif self.now.text == "." and self.tokens[self.at + 1].kind in ("name", "keyword"):
                self.at += 2
                field = ast.Constant(self.tokens[self.at - 1].text)
                node = ast.Subscript(node, self.placed(field, self.at - 1), ast.Load())
                if self.now.text == "(" and self.adjoins():
                    node = self.placed(self.indexed(node), first)
                    continue
            elif self.now.text == "(" and self.adjoins() and not isinstance(node, ast.Constant):
                node = self.called(node)
            elif self.now.text == "{" and self.adjoins():
                self.at += 1
                node = ast.Subscript(node, self.index(node, 1, 1, True), ast.Load())
                self.need("}")
            else:
                return node
            self.placed(node, first)

    def adjoins(self) -> bool:
        """Whether the next token follows the last one directly."""
        return self.tokens[self.at - 1].span[2:] == self.now.span[:2]

    def primary(self) -> Any:
        """Read a number, a text, a name, a matrix, a function, or what is in parentheses."""
        first, token = self.at, self.now
        self.at += 1
        if token.kind == "number":
            value = float(token.text) if re.search(r"[.eE]", token.text) else int(token.text)
            return self.placed(ast.Constant(value), first)
        if token.kind == "string":
            quote = token.text[0]
            return self.placed(ast.Constant(token.text[1:-1].replace(quote * 2, quote)), first)
        if token.text == "end" and self.ends:
            return self.placed(without_place(self.ends[-1]), first)
        if token.kind == "name":
            return self.placed(ast.Name(token.text, ast.Load()), first)
        if token.text == "(":
            node = self.expression()
            self.need(")")
            return node
        if token.text == "[":
            return self.placed(self.matrix(), first)
        if token.text == "@" and self.take("("):
            names = []
            while not self.take(")"):
                names.append(self.name())
                self.take(",")
            outer = set(self.variables)
            self.variables |= set(names)
            arguments = ast.arguments([], [ast.arg(one) for one in names], None, [], [], None, [])
            node = ast.Lambda(arguments, self.expression())
            self.variables = outer
            return self.placed(node, first)
        raise UnreadableError(f"line {token.span[0]}: {token.text!r}")

    def matrix(self) -> ast.expr:
        """Read the rest of a matrix."""
        rows: list[list[ast.expr]] = [[]]
        while not self.take("]"):
            if self.take(";"):
                rows.append([])
            elif not self.take(","):
                rows[-1].append(self.expression())
        rows = [row for row in rows if row]
        if not rows:
            return without_place("np.zeros((0, 0))")
        made: list[ast.expr] = [
            row[0] if len(row) == 1 else ast.Call(ast.Name("columns_", ast.Load()), row, []) for row in rows
        ]
        return made[0] if len(made) == 1 and len(rows[0]) > 1 else ast.Call(ast.Name("rows_", ast.Load()), made, [])

    def called(self, node: Any) -> Any:
        """Read a call of a function, or indices of a variable."""
        if not isinstance(node, ast.Name):
            return self.indexed(node)
        name = node.id
        if name in self.variables and name not in self.handles:
            return self.indexed(node)
        self.need("(")
        arguments: list[Any] = []
        while not self.take(")"):
            arguments.append(self.expression())
            self.take(",")
        return self.function_call(node, name, arguments)

    def function_call(self, node: ast.Name, name: str, arguments: list[Any]) -> Any:
        """Return what calls a function."""

        def call(function: Any, given: list[Any]) -> ast.Call:
            function = ast.Name(function, ast.Load()) if isinstance(function, str) else function
            return ast.Call(function, given, [])

        def numpy(one: str) -> ast.expr:
            return ast.Attribute(ast.Name("np", ast.Load()), one, ast.Load())

        if name in self.handles:
            return call(node, arguments)
        if name in self.known:
            made = call(node, arguments)
            return ast.Subscript(made, ast.Constant(0), ast.Load()) if self.known[name] > 1 else made
        if name == "probe":
            return call(node, arguments)
        if name in ("sum", "mean") and len(arguments) == 2 and getattr(arguments[1], "value", None) in (1, 2):
            keep = ast.keyword("keepdims", ast.Constant(True))
            axis = ast.Constant(arguments[1].value - 1)
            return ast.Call(ast.Attribute(arguments[0], name, ast.Load()), [axis], [keep])
        if name in OWN:
            return call(OWN[name], arguments)
        if name in SAME and len(arguments) == 1:
            return call(numpy(name), arguments)
        if name in ("max", "min") and len(arguments) == 2:
            return call(numpy(OTHER[name]), arguments)
        if name in ("zeros", "ones") and arguments:
            if len(arguments) > 1:
                shape: Any = ast.Tuple(arguments, ast.Load())
            else:
                is_size = isinstance(arguments[0], ast.Call) and getattr(arguments[0].func, "id", "") == "size"
                shape = arguments[0] if is_size else ast.Tuple([arguments[0], arguments[0]], ast.Load())
            return call(numpy(name), [shape])
        if name == "eye" and len(arguments) == 1:
            return call(numpy("eye"), arguments)
        if name == "cell" and len(arguments) in (1, 2):
            nothing = ast.List([ast.Constant(None)], ast.Load())
            return ast.BinOp(nothing, ast.Mult(), arguments[-1] if len(arguments) == 1 else _larger(arguments))
        if name == "struct" and not len(arguments) % 2:
            return ast.Dict(arguments[::2], arguments[1::2])
        raise UnreadableError(f"line {self.now.span[0]}: the function {name}")

    def indexed(self, node: Any) -> Any:
        """Read indices in parentheses."""
        self.need("(")
        count, depth, k = 1, 0, self.at
        while depth >= 0 and self.tokens[k].kind != "over":
            text = self.tokens[k].text
            depth += (text in ("(", "[", "{")) - (text in (")", "]", "}"))
            count += text == "," and depth == 0
            k += 1
        if count == 1:
            if self.now.text == ":" and self.tokens[self.at + 1].text == ")":
                self.at += 2
                return ast.Call(ast.Name("column_", ast.Load()), [node], [])
            index = self.index(node, 1, 1)
            self.need(")")
            if not (isinstance(index, ast.Call) and getattr(index.func, "id", "") == "one_"):
                raise UnreadableError(f"line {self.now.span[0]}: a range as the only index")
            return ast.Call(ast.Name("element_", ast.Load()), [node, index.args[0]], [])
        parts = []
        for k in range(1, count + 1):
            parts.append(self.index(node, k, count, k == count > 2))
            self.need("," if k < count else ")")
        return ast.Subscript(node, ast.Tuple(parts, ast.Load()), ast.Load())

    def index(self, node: Any, k: int, count: int, page: bool = False) -> ast.expr:
        """Read one of several indices."""
        first = self.at
        if self.now.text == ":" and self.tokens[self.at + 1].text in (",", ")"):
            self.at += 1
            return ast.Slice()
        self.ends.append(f"end_({ast.unparse(node)}, {k}, {count})")
        index = self.range("span_")
        self.ends.pop()
        if isinstance(index, ast.Call) and getattr(index.func, "id", "") == "span_":
            return index
        return self.placed(ast.Call(ast.Name("page_" if page else "one_", ast.Load()), [index], []), first)


def without_place(text: str) -> Any:
    """Return an expression of Python that has no place."""
    node = ast.parse(text, mode="eval").body
    for one in ast.walk(node):
        for place in ("lineno", "col_offset", "end_lineno", "end_col_offset"):
            one.__dict__.pop(place, None)
    return node


def _larger(arguments: list[Any]) -> Any:
    """Return the size of a cell of one row or one column that is not one."""
    ones = [isinstance(one, ast.Constant) and one.value == 1 for one in arguments]
    if not any(ones):
        raise UnreadableError("a cell of several rows")
    return arguments[1] if ones[0] else arguments[0]
