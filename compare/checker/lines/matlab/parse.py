"""Read a .m file as the syntax tree of a Python module that computes the same."""

import ast
import re
from pathlib import Path
from typing import Any

from compare.checker.lines.matlab.expressions import Expressions, without_place
from compare.checker.lines.matlab.tokens import UnreadableError

SIGNATURE = re.compile(r"^\s*function\s+(?:(\[[^\]]*\]|\w+)\s*=\s*)?(\w+)", re.MULTILINE)


def read(file: Path) -> ast.Module:
    """Return a .m file as a module of functions.

    Raises:
        UnreadableError: something in it is not in the subset.
    """
    return Parser(file.read_text(), functions_of(file), set()).file()


def functions_of(file: Path) -> dict[str, int]:
    """Return the functions that a file may call, its own and those of files beside it, and how much each returns."""
    known: dict[str, int] = {}
    for beside in [*sorted(file.parent.glob("*.m")), file]:
        for outputs, name in SIGNATURE.findall(beside.read_text()):
            if beside == file or name == beside.stem:
                known[name] = len(outputs.strip("[]").replace(",", " ").split())
    return known


class Parser(Expressions):
    """Reads files, functions and statements."""

    def skip(self) -> None:
        """Go on to what is no end of a statement."""
        while self.now.kind == "newline":
            self.at += 1

    def file(self) -> ast.Module:
        """Read a file of functions."""
        found: list[ast.stmt] = []
        self.skip()
        while self.now.text == "function":
            found.append(self.function())
            self.skip()
        if self.now.kind != "over" or not found:
            raise UnreadableError(f"line {self.now.span[0]}: expected functions alone, got {self.now.text!r}")
        return ast.Module(found, [])

    def function(self) -> ast.FunctionDef:
        """Read a function."""
        first = self.at
        self.need("function")
        outputs: list[str] = []
        if self.take("["):
            while not self.take("]"):
                outputs.append(self.name())
                self.take(",")
            self.need("=")
        elif self.tokens[self.at + 1].text == "=":
            outputs = [self.name()]
            self.need("=")
        name, inputs = self.name(), []
        if self.take("("):
            while not self.take(")"):
                inputs.append("_" if self.take("~") else self.name())
                self.take(",")
        self.variables, self.handles = set(inputs), set()
        head = self.at
        body = self.statements("end", "endfunction", "function")
        self.take("end", "endfunction")
        values: list[ast.expr] = [ast.Name(one, ast.Load()) for one in outputs]
        value = values[0] if len(values) == 1 else ast.Tuple(values, ast.Load())
        began = [ast.Assign([ast.Name(one, ast.Store())], ast.Dict([], [])) for one in self.made(body, inputs)]
        for node in [*began, last := ast.Return(value)]:
            node.implied = True  # type: ignore[attr-defined]
            self.placed(node, first, head)
        arguments = ast.arguments([], [ast.arg(one) for one in inputs], None, [], [], None, [])
        made = ast.FunctionDef(name, arguments, [*began, *body, last], [])
        for one in ast.walk(made):
            if isinstance(one, ast.Return) and one.value is None:
                one.value, one.implied = without_place(ast.unparse(value)), True  # type: ignore[attr-defined]
        return self.placed(made, first)

    @staticmethod
    def made(body: list[ast.stmt], inputs: list[str]) -> list[str]:
        """Return the structs that are made by writing to a field of theirs."""
        begun = set(inputs)
        found = []
        for node in (one for statement in body for one in ast.walk(statement)):
            for target in node.targets if isinstance(node, ast.Assign) else []:
                root: Any = target
                while isinstance(root, ast.Subscript):
                    root = root.value
                if isinstance(target, ast.Name | ast.Tuple):
                    begun |= {one.id for one in ast.walk(target) if isinstance(one, ast.Name)}
                elif isinstance(root, ast.Name) and root.id not in begun:
                    begun.add(root.id)
                    found.append(root.id)
        return found

    def statements(self, *ends: str) -> list[ast.stmt]:
        """Read statements up to one of these words."""
        found: list[ast.stmt] = []
        self.skip()
        while self.now.kind != "over" and not (self.now.kind == "keyword" and self.now.text in ends):
            found.append(self.statement())
            if self.now.kind not in ("newline", "keyword", "over"):
                raise UnreadableError(f"line {self.now.span[0]}: {self.now.text!r}")
            self.skip()
        return found

    def statement(self) -> ast.stmt:
        """Read a statement."""
        first = self.at
        if self.now.kind == "keyword":
            return self.placed(self.compound(), first)
        if self.now.text == "[" and self.is_assignment():
            return self.placed(self.several(), first)
        value = self.expression()
        if self.now.text == "=" and self.now.kind == "operator":
            self.at += 1
            target = self.as_target(value)
            right = self.expression()
            if isinstance(target, ast.Name):
                self.variables.add(target.id)
                (self.handles.add if isinstance(right, ast.Lambda) else self.handles.discard)(target.id)
            return self.placed(ast.Assign([target], right), first)
        return self.placed(ast.Expr(value), first)

    def compound(self) -> Any:
        """Read a statement that begins with a word of the language."""
        word = self.now.text
        self.at += 1
        if word == "for":
            bracket = self.take("(")
            target = self.name()
            self.variables.add(target)
            self.need("=")
            steps = self.range("steps_")
            if bracket:
                self.need(")")
            body = self.statements("end", "endfor")
            self.need("end", "endfor")
            return ast.For(ast.Name(target, ast.Store()), steps, body or [ast.Pass()], [])
        if word == "while":
            test = self.expression()
            body = self.statements("end", "endwhile")
            self.need("end", "endwhile")
            return ast.While(test, body or [ast.Pass()], [])
        if word in ("if", "elseif"):
            test = self.expression()
            body = self.statements("end", "endif", "else", "elseif")
            other: list[ast.stmt] = []
            if self.now.text == "elseif":
                first = self.at
                return ast.If(test, body or [ast.Pass()], [self.placed(self.compound(), first)])
            if self.take("else"):
                other = self.statements("end", "endif")
            self.need("end", "endif")
            return ast.If(test, body or [ast.Pass()], other)
        if word == "return":
            return ast.Return(None)
        if word in ("break", "continue"):
            return ast.Break() if word == "break" else ast.Continue()
        raise UnreadableError(f"line {self.tokens[self.at - 1].span[0]}: {word}")

    def is_assignment(self) -> bool:
        """Whether a bracket begins the targets of an assignment."""
        depth, k = 0, self.at
        while True:
            depth += {"[": 1, "]": -1}.get(self.tokens[k].text, 0)
            k += 1
            if depth == 0 or self.tokens[k].kind == "over":
                return self.tokens[k].text == "="

    def several(self) -> ast.stmt:
        """Read an assignment to several targets."""
        self.need("[")
        targets: list[ast.expr] = []
        while not self.take("]"):
            if self.take("~"):
                targets.append(ast.Name("_", ast.Store()))
            else:
                targets.append(self.as_target(self.postfix()))
            self.take(",")
        self.need("=")
        value = self.expression()
        self.variables |= {one.id for one in targets if isinstance(one, ast.Name)}
        if isinstance(value, ast.Subscript) and isinstance(value.value, ast.Call):  # of a function with several outputs
            value.slice = ast.Slice(None, ast.Constant(len(targets)))
        return ast.Assign([ast.Tuple(targets, ast.Store())], value)

    def as_target(self, node: Any) -> Any:
        """Return an expression as what is written to."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("element_", "column_"):
            raise UnreadableError(f"line {self.now.span[0]}: writing to elements by one index")
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Subscript | ast.Name):
            node.ctx = ast.Store()
            return node
        if isinstance(node, ast.Name):
            node.ctx = ast.Store()
            return node
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            raise UnreadableError(f"line {self.now.span[0]}: writing to {node.func.id} before it is made")
        raise UnreadableError(f"line {self.now.span[0]}: a target")
