"""The kernel's loop in C: `flowsim/engine/kernel.py` translated from its syntax tree, run on the same tables.

Nothing is written twice, so the C stays in step with the kernel: every function that `advance` calls becomes a C
function of the same name, line by line, and the tables become C arrays. What the kernel may use is what is translated
here, whole numbers and tables, loops and calls; anything else is refused. The C knows the width of each table when it
is compiled, as a C programmer would write it; the kernel learns it when it is called.
"""

from __future__ import annotations

import ast
import ctypes
import inspect
import subprocess
import tempfile
import time
from pathlib import Path
from types import ModuleType

import numpy as np

from benchmarks.c_loop import compiler
from flowsim.engine import compiled
from flowsim.model.tables import Journeys, Network

FLAGS = ("-O3", "-march=native", "-fwrapv", "-shared", "-fPIC", "-w")
START = "advance"
LINE = 64
"""Bytes that the processor fetches from memory at once."""
OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "/", ast.Mod: "%", ast.LShift: "<<", ast.RShift: ">>",
    ast.BitAnd: "&", ast.BitOr: "|", ast.Invert: "~", ast.USub: "-", ast.Not: "!", ast.And: "&&", ast.Or: "||",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
"""Division rounds towards nought in C; the kernel divides only what is not negative."""
HEAD = """#include <stdint.h>
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
"""


def measured(journeys: Journeys, network: Network, repeats: int) -> tuple[list[float], list[float]]:
    """CPU seconds of the kernel's loop and of the C loop, each so many times on memory that has been touched.

    Raises:
        FileNotFoundError: there is no C compiler.
        AssertionError: a table of the two differs when they are done.
    """
    kernel = compiled.load_kernel()
    tables = compiled.lay_out(journeys, network)
    kernel.advance(*_copies(tables), 0, 0)  # loads the compiled code
    seconds: tuple[list[float], list[float]] = [], []
    with tempfile.TemporaryDirectory() as folder:
        in_c = _Library(kernel, tables, Path(folder))
        for _ in range(repeats):
            ends = []
            for advance, found in zip((kernel.advance, in_c), seconds, strict=True):
                copies = _copies(tables)
                began = time.process_time()
                advance(*copies, 0, network.horizon)
                found.append(time.process_time() - began)
                ends.append(copies)
            different = [k for k, (one, other) in enumerate(zip(*ends, strict=True)) if not np.array_equal(one, other)]
            if different:
                raise AssertionError(f"the kernel and its translation into C differ in tables {different}")
    return seconds


def _copies(tables: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    return tuple(like(table) for table in tables)


def like(table: np.ndarray) -> np.ndarray:
    """A copy that begins at the same place of a line of memory."""
    room = np.empty(table.nbytes + LINE, dtype=np.uint8)
    begin = (table.ctypes.data - room.ctypes.data) % LINE
    copy = room[begin : begin + table.nbytes].view(table.dtype).reshape(table.shape)
    copy[...] = table
    return copy


class _Library:
    """The translated kernel, compiled and loaded; it is called as the kernel is."""

    def __init__(self, kernel: ModuleType, tables: tuple[np.ndarray, ...], folder: Path) -> None:
        cc = compiler()
        if cc is None:
            raise FileNotFoundError("no C compiler was found")
        source, library = folder / "kernel.c", folder / "kernel.so"
        source.write_text(translated(kernel, tables), encoding="utf-8")
        subprocess.run([cc, *FLAGS, "-o", str(library), str(source)], check=True)
        self._advance = getattr(ctypes.CDLL(str(library)), START)

    def __call__(self, *arguments: np.ndarray | int) -> None:
        words: list[ctypes.c_void_p | ctypes.c_int64] = []
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                words.append(ctypes.c_void_p(argument.ctypes.data))
                words += [ctypes.c_int64(n) for n in argument.shape]
            else:
                words.append(ctypes.c_int64(argument))
        self._advance(*words)


def translated(kernel: ModuleType, tables: tuple[np.ndarray, ...]) -> str:
    """The kernel as C, for tables of these types and widths; `tables` are the first arguments of `advance`."""
    tree = ast.parse(inspect.getsource(kernel))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    names = [argument.arg for argument in functions[START].args.args]
    types = dict(zip(names, tables, strict=False))
    done: dict[str, str] = {}
    heads: list[str] = []

    def add(name: str) -> None:
        if name in done:
            return
        done[name] = ""
        one = _Function(functions[name], kernel, types, functions)
        done[name] = one.text
        heads.append(one.head + ";")
        for other in one.calls:
            add(other)

    add(START)
    globals_ = [line for name, table in types.items() for line in _declared(name, table)]
    return "\n".join([HEAD, *globals_, *heads, *done.values()]) + "\n"


def _declared(name: str, table: np.ndarray) -> list[str]:
    """A table and its lengths; only the width of a table that grows with the run is not known before."""
    lines = [f"static {table.dtype.name}_t *restrict {name};"]
    return lines + [f"static int64_t {name}_{k};" for k in range(table.ndim)]


def _width(name: str, table: np.ndarray) -> str:
    """How many entries a row of a table has: a number where it is the same for every run."""
    return str(table.shape[1]) if table.shape[1] <= 64 else f"{name}_1"


class _Function:
    """One function of the kernel in C.

    Attributes:
        head: its declaration; text: all of it; calls: the kernel's functions that it calls.
    """

    def __init__(
        self,
        node: ast.FunctionDef,
        kernel: ModuleType,
        tables: dict[str, np.ndarray],
        functions: dict[str, ast.FunctionDef],
    ) -> None:
        self.kernel, self.tables, self.functions = kernel, tables, functions
        self.calls: list[str] = []
        arguments = [argument.arg for argument in node.args.args]
        self.local = {argument for argument in arguments if argument not in tables}
        scalars = [f"int64_t {argument}" for argument in arguments if argument not in tables]
        assigned = {
            target.id
            for inner in ast.walk(node)
            for target in _targets(inner)
            if isinstance(target, ast.Name) and target.id not in self.local
        }
        self.local |= assigned
        gives = any(isinstance(inner, ast.Return) and inner.value is not None for inner in ast.walk(node))
        body: list[str] = []
        if node.name == START:
            taken = [a for a in arguments if a in tables]
            scalars = [
                *(
                    word
                    for a in taken
                    for word in (
                        f"{tables[a].dtype.name}_t *_{a}",
                        *(f"int64_t _{a}_{k}" for k in range(tables[a].ndim)),
                    )
                ),
                *scalars,
            ]
            for a in taken:
                body += [f"{word} = _{word};" for word in (a, *(f"{a}_{k}" for k in range(tables[a].ndim)))]
        storage = "" if node.name == START else f"static {_laid_in(node)} "
        self.head = f"{storage}{'int64_t' if gives else 'void'} {node.name}({', '.join(scalars) or 'void'})"
        declared = [f"int64_t {', '.join(sorted(assigned))};"] if assigned else []
        statements = [line for statement in node.body for line in self.statement(statement)]
        self.text = "\n".join([self.head, "{", *declared, *body, *statements, "}"])

    def block(self, statements: list[ast.stmt]) -> list[str]:
        return ["{", *(line for statement in statements for line in self.statement(statement)), "}"]

    def statement(self, node: ast.stmt) -> list[str]:
        match node:
            case ast.Assign(targets=targets, value=value):
                return [f"{' = '.join(map(self.expression, targets))} = {self.expression(value)};"]
            case ast.AugAssign(target=target, op=op, value=value):
                return [f"{self.expression(target)} {OPERATORS[type(op)]}= {self.expression(value)};"]
            case ast.Expr(value=ast.Constant()):
                return []  # what is said about the function
            case ast.Expr(value=value):
                return [f"{self.expression(value)};"]
            case ast.Return(value=None):
                return ["return;"]
            case ast.Return(value=value) if value is not None:
                return [f"return {self.expression(value)};"]
            case ast.If(test=test, body=body, orelse=other):
                otherwise = ["else", *self.block(other)] if other else []
                return [f"if ({self.expression(test)})", *self.block(body), *otherwise]
            case ast.While(test=test, body=body, orelse=[]):
                return [f"while ({self.expression(test)})", *self.block(body)]
            case ast.For(
                target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"), args=between), body=body, orelse=[]
            ):
                low, high = map(self.expression, between if len(between) == 2 else [ast.Constant(0), *between])
                return [f"for ({name} = {low}; {name} < {high}; {name}++)", *self.block(body)]
            case ast.Break():
                return ["break;"]
            case ast.Continue():
                return ["continue;"]
        raise NotImplementedError(f"line {node.lineno} of the kernel: {ast.unparse(node)}")

    def expression(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name):
                return self.name(name)
            case ast.Constant(value=bool() | int() as value):
                return f"{int(value)}LL"
            case ast.BinOp(left=left, op=op, right=right):
                return f"({self.expression(left)} {OPERATORS[type(op)]} {self.expression(right)})"
            case ast.UnaryOp(op=op, operand=operand):
                return f"({OPERATORS[type(op)]}{self.expression(operand)})"
            case ast.BoolOp(op=op, values=values):
                return f"({f' {OPERATORS[type(op)]} '.join(map(self.expression, values))})"
            case ast.IfExp(test=test, body=body, orelse=other):
                return f"({self.expression(test)} ? {self.expression(body)} : {self.expression(other)})"
            case ast.Compare(left=left, ops=[ast.In()], comparators=[ast.Tuple(elts=options)]):
                one = self.expression(left)
                return f"({' || '.join(f'{one} == {self.expression(option)}' for option in options)})"
            case ast.Compare(left=left, ops=ops, comparators=others):
                values = [self.expression(value) for value in (left, *others)]
                pairs = zip(values, ops, values[1:], strict=False)
                return f"({' && '.join(f'{one} {OPERATORS[type(op)]} {other}' for one, op, other in pairs)})"
            case ast.Subscript(value=ast.Attribute(value=ast.Name(id=name), attr="shape"), slice=ast.Constant(value=k)):
                return f"{name}_{k}"
            case ast.Subscript(value=ast.Name(id=name), slice=index, ctx=context):
                cell = f"{name}[{self.index(name, index)}]"
                return cell if isinstance(context, ast.Store) else f"((int64_t){cell})"
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self.call(name, arguments)
        raise NotImplementedError(f"line {node.lineno} of the kernel: {ast.unparse(node)}")

    def index(self, name: str, index: ast.expr) -> str:
        if isinstance(index, ast.Tuple):
            line, column = map(self.expression, index.elts)
            return f"{line} * {_width(name, self.tables[name])} + {column}"
        return self.expression(index)

    def name(self, name: str) -> str:
        if name in self.local:
            return name
        value = getattr(self.kernel, name)
        return f"{int(value)}"

    def call(self, name: str, arguments: list[ast.expr]) -> str:
        if name in ("int64", "int32"):
            return f"(({name}_t){self.expression(arguments[0])})"
        if name == "index":  # C never counts from the end
            return f"((int64_t){self.expression(arguments[0])})"
        if name in ("min", "max"):
            return f"{name}({', '.join(map(self.expression, arguments))})"
        if name == "lowest_bit":
            return f"(int64_t)__builtin_ctzll({self.expression(arguments[0])})"
        if name == "fetch":
            table, *cell = arguments
            assert isinstance(table, ast.Name)
            return f"__builtin_prefetch(&{table.id}[{self.index(table.id, ast.Tuple(cell))}])"
        taken = [argument.arg for argument in self.functions[name].args.args]
        given = []
        for parameter, argument in zip(taken, arguments, strict=True):
            if parameter not in self.tables:
                given.append(self.expression(argument))
            elif not (isinstance(argument, ast.Name) and argument.id == parameter):
                raise NotImplementedError(f"{name}: table {parameter} is given as {ast.unparse(argument)}")
        self.calls.append(name)
        return f"{name}({', '.join(given)})"


def _laid_in(node: ast.FunctionDef) -> str:
    """The kernel says which functions are laid into their callers; the C does the same."""
    kinds = {decorator.id for decorator in node.decorator_list if isinstance(decorator, ast.Name)}
    return "inline __attribute__((always_inline))" if "hot" in kinds else "__attribute__((noinline))"


def _targets(node: ast.AST) -> list[ast.expr]:
    """What a statement gives a value to."""
    if isinstance(node, ast.Assign):
        return list(node.targets)
    return [node.target] if isinstance(node, ast.AugAssign | ast.For) else []
