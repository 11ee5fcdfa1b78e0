"""Lines of the kernel turned round: each is found by its mark, `# rule: want, ties`, and changed by what it is, not by
what it reads, so that names and layout may change.

A mark stands behind its line or, where there is no room, alone above it. An edit is given the statement that begins or
runs on there and returns the statements to stand in its place. Of an `if` or a loop it changes the head, not the body.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable

Edit = Callable[[ast.stmt], list[ast.stmt]]

MARK = re.compile(r"# rule: (.+)")
SIGNS: dict[str, type[ast.AST]] = {
    "+": ast.Add, "-": ast.Sub, "<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE, "and": ast.And, "or": ast.Or,
}  # fmt: skip


class MarkError(Exception):
    """A mark is missing or stands twice, or its line does not have what is to be changed."""


def marked(source: str) -> dict[str, list[int]]:
    """The lines of code at which each mark stands."""
    lines: dict[str, list[int]] = {}
    above: list[str] = []
    code = False  # on the line being read
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.NL, tokenize.NEWLINE):
            code = False
        elif token.type == tokenize.COMMENT:
            mark = MARK.fullmatch(token.string)
            if mark and code:
                lines.setdefault(mark[1], []).append(token.start[0])
            elif mark:
                above.append(mark[1])
        elif token.type not in (tokenize.INDENT, tokenize.DEDENT):
            code = True
            for name in above:
                lines.setdefault(name, []).append(token.start[0])
            above.clear()
    return lines


def turned(source: str, changes: dict[str, Edit]) -> ast.Module:
    """The syntax tree of a source, its marked lines changed so.

    Raises:
        MarkError: a mark is missing or stands twice, or an edit finds nothing to change at it.
    """
    tree, lines = ast.parse(source), marked(source)
    statements = {}
    for name in changes:
        at = lines.get(name, [])
        if len(at) != 1:
            often = "is missing from" if not at else f"stands {len(at)} times in"
            raise MarkError(f"The mark `# rule: {name}` {often} the source: give it to one line, the one it is of.")
        statements[_statement(tree, at[0])] = name

    class Turner(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST | list[ast.stmt]:
            self.generic_visit(node)
            if node not in statements:
                return node
            name = statements[node]
            try:
                return changes[name](node)
            except MarkError as error:
                raise MarkError(f"At the mark `# rule: {name}`, `{ast.unparse(_head(node))}`: {error}") from None

    return ast.fix_missing_locations(Turner().visit(tree))


def _statement(tree: ast.Module, line: int) -> ast.stmt:
    """The innermost statement that runs on a line."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and node.lineno <= line <= node.end_lineno]
    return max(found, key=lambda node: (node.lineno, node.col_offset))


def _head(statement: ast.stmt) -> ast.AST:
    """What of a statement is no statement of its own."""
    if isinstance(statement, ast.If | ast.While):
        return statement.test
    return statement.iter if isinstance(statement, ast.For) else statement


def _edit(statement: ast.stmt, what: str, change: Callable[[ast.AST], ast.AST | None]) -> list[ast.stmt]:
    """Change the one node of a statement's head for which `change` has another in its place."""
    changed = []

    class Changer(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            if isinstance(node, ast.stmt) and node is not statement:
                return node  # the body
            other = change(node)
            if other is None:
                return self.generic_visit(node)
            changed.append(node)
            return other

    Changer().visit(statement)
    if len(changed) != 1:
        raise MarkError(f"{what} is there {len(changed)} times, not once.")
    return [statement]


def _expression(code: str) -> ast.expr:
    return ast.parse(code, mode="eval").body


# ----------------------------------------------------------------------------------------------- what becomes of a line


def drop(statement: ast.stmt) -> list[ast.stmt]:
    return [ast.Pass()]


def never(statement: ast.stmt) -> list[ast.stmt]:
    """The condition, of an `if` or within a line, does not hold."""
    return _condition(statement, False)


def always(statement: ast.stmt) -> list[ast.stmt]:
    return _condition(statement, True)


def _condition(statement: ast.stmt, holds: bool) -> list[ast.stmt]:
    if isinstance(statement, ast.If):
        statement.test = ast.Constant(holds)
        return [statement]

    def change(node: ast.AST) -> ast.AST | None:
        return (node.body if holds else node.orelse) if isinstance(node, ast.IfExp) else None

    return _edit(statement, "a condition", change)


def only_if(condition: str) -> Edit:
    """The `if` asks for this as well, first."""
    return _joined(ast.And, condition)


def also_if(condition: str) -> Edit:
    """The `if` is content with this as well."""
    return _joined(ast.Or, condition)


def _joined(sign: type[ast.boolop], condition: str) -> Edit:
    def edit(statement: ast.stmt) -> list[ast.stmt]:
        if not isinstance(statement, ast.If):
            raise MarkError("there is no `if`.")
        statement.test = ast.BoolOp(sign(), [_expression(condition), statement.test])
        return [statement]

    return edit


def sign(old: str, new: str) -> Edit:
    """A comparison or an operation is another one."""

    def change(node: ast.AST) -> ast.AST | None:
        return SIGNS[new]() if isinstance(node, SIGNS[old]) else None

    return lambda statement: _edit(statement, f"the sign {old}", change)


def only(side: str, of: str) -> Edit:
    """Of what a sign joins, one side alone: `only("left", "+")`."""

    def change(node: ast.AST) -> ast.AST | None:
        if isinstance(node, ast.BoolOp) and isinstance(node.op, SIGNS[of]):
            return node.values[0 if side == "left" else -1]
        if isinstance(node, ast.BinOp) and isinstance(node.op, SIGNS[of]):
            return node.left if side == "left" else node.right
        return None

    return lambda statement: _edit(statement, f"the sign {of}", change)


def plus(number: int) -> Edit:
    """What is assigned or returned is so much more."""

    def edit(statement: ast.stmt) -> list[ast.stmt]:
        if not isinstance(statement, ast.Assign | ast.Return) or statement.value is None:
            raise MarkError("nothing is assigned or returned.")
        statement.value = ast.BinOp(statement.value, ast.Add(), ast.Constant(number))
        return [statement]

    return edit


def backwards(statement: ast.stmt) -> list[ast.stmt]:
    """The loop runs from its end."""
    if not isinstance(statement, ast.For):
        raise MarkError("there is no `for`.")
    statement.iter = ast.Call(ast.Name("reversed", ast.Load()), [statement.iter], [])
    return [statement]


def exchange(one: str, other: str) -> Edit:
    """Two names stand in each other's place."""

    def edit(statement: ast.stmt) -> list[ast.stmt]:
        names = [node for node in ast.walk(statement) if isinstance(node, ast.Name) and node.id in (one, other)]
        if sorted(node.id for node in names) != sorted((one, other)):
            raise MarkError(f"{one} and {other} are not there once each.")
        for node in names:
            node.id = other if node.id == one else one
        return [statement]

    return edit


def swap(old: str, new: str) -> Edit:
    """One expression for another; only where no edit above will do."""
    wanted = ast.dump(_expression(old))

    def change(node: ast.AST) -> ast.AST | None:
        return _expression(new) if isinstance(node, ast.expr) and ast.dump(node) == wanted else None

    return lambda statement: _edit(statement, f"`{old}`", change)


def put(code: str) -> Edit:
    """This code instead, in which `...` on a line of its own is the marked line."""
    return lambda statement: _with_dots(code, [statement])


def inside(code: str) -> Edit:
    """This code instead of the body, in which `...` on a line of its own is the body."""

    def edit(statement: ast.stmt) -> list[ast.stmt]:
        if not isinstance(statement, ast.If | ast.While | ast.For):
            raise MarkError("it has no body.")
        statement.body = _with_dots(code, statement.body)
        return [statement]

    return edit


def _with_dots(code: str, dots: list[ast.stmt]) -> list[ast.stmt]:
    class Filler(ast.NodeTransformer):
        def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.stmt]:
            return dots if isinstance(node.value, ast.Constant) and node.value.value is ... else node

    return Filler().visit(ast.parse(code)).body
