"""Our own reader of YAML: what somebody wrote becomes plain data, with the line of each key, before others see it.

By the rules of YAML 1.2, in which `on`, `yes` and 17:00 are words. It goes through the file event by event and never
into itself, and counts as it goes: bytes, nesting, and values with each use of a named block (`*name`) as many as the
block has. What it does not take is refused where it stands: tags, circles, keys that are no text, keys given twice,
numbers that are too long, and ``${...}`` that names anything but a key.
"""

from __future__ import annotations

import ast
import datetime as dt
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from flowsim.declare.limits import LETTERS_EACH, Limits, limits
from flowsim.place import PlaceError
from flowsim.place.refusals import shown

_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = re.compile(r"^(?:null|~|)$")
_BOOL = re.compile(r"^(?:true|false)$")
_INT = re.compile(r"^[-+]?[0-9]+$")
_FLOAT = re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+)$")
_DATE = re.compile(r"^\d{4}-\d\d-\d\d$")
_MERGE, _MISSING = "<<", "???"
_REFERENCE = re.compile(r"\$\{(\.*[\w-]+(?:\.[\w-]+)*)\}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
NAMES = ("defaults", "scenarios")
"""Keys of a file under which names of files stand, which are names as they are written: 2026_27, 1e3, true."""
LONGEST_KEY = 200
LONGEST_SUM = 400
_NUMBERS = (_INT, _FLOAT)
NUMBERS_AS_TEXT = re.compile(rf"{_INT.pattern}|{_FLOAT.pattern}")
"""Text that has to stand in quotes, or it is read as a number."""

Path = tuple[str, ...]


@dataclass(frozen=True)
class Document:
    """What a file says.

    Attributes:
        content: plain data; a block that is used again is the same object.
        lines: the line of each key, by its path.
        refers: does anything in it refer to another key (``${days}``)?
        package: what its heading says after ``@package``; None where it has none.
    """

    content: Any
    lines: dict[Path, int]
    refers: bool
    package: str | None

    def where(self, path: Sequence[str]) -> str:
        """``, line 7``: the line of a key, or of what it would stand in; nothing where that is the file."""
        for depth in range(len(path), 0, -1):
            if tuple(path[:depth]) in self.lines:
                return f", line {self.lines[tuple(path[:depth])]}"
        return ""


def read_document(raw: bytes, name: str, stored: bool = False) -> Document:
    """What a file of YAML says; `name` is what it is called in refusals.

    Args:
        stored: it is a configuration that flowsim wrote: dates are dates, and no text means anything else.

    Raises PlaceError, naming file, line and key.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        told = f"this is not YAML in UTF-8 (byte {raw[error.start]:#04x} is no letter of it)"
        raise PlaceError(f"{name}: {told}; allowed: text saved as UTF-8; see line {line}.") from None
    reader = _Reader(name, limits(), stored)
    try:
        content = reader.read(yaml.parse(text, Loader=_Parser))
    except yaml.MarkedYAMLError as error:
        line_of = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise PlaceError(f"{name}{line_of}: this is not YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise PlaceError(f"{name}: this is not YAML: {' '.join(str(error).split())}.") from None
    return Document(content, reader.lines, reader.refers, _package(text))


def _package(text: str) -> str | None:
    """What a file's first comments say after ``@package``."""
    for line in text.splitlines():
        line = line.strip()
        if line and not line.startswith("#"):
            break
        if match := re.match(r"#\s*@\s*package\b\s*:?\s*(.*)$", line):
            return match[1].strip()
    return None


# ---------------------------------------------------------------------------------------------------------------------
# Event by event


@dataclass
class _Named:
    """A block that is used again, or could be: what it is, how many values, and how deep."""

    value: Any
    size: int
    depth: int


@dataclass
class _Open:
    """A mapping or list that is being read; of a mapping `key` is the one whose value comes next."""

    value: Any
    path: Path
    line: int
    anchor: str | None
    before: int
    key: str | None = None
    merged: list[Any] = field(default_factory=list)
    deepest: int = 0


class _Reader:
    def __init__(self, name: str, most: Limits, stored: bool) -> None:
        self.name, self.most, self.stored = name, most, stored
        self.lines: dict[Path, int] = {}
        self.refers = False
        self.open: list[_Open] = []
        self.named: dict[str, _Named] = {}
        self.count = 0
        self.done: list[Any] = []

    def read(self, events: Iterator[Any]) -> Any:
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind in (yaml.MappingStartEvent, yaml.SequenceStartEvent):
                self._begin(event, {} if kind is yaml.MappingStartEvent else [])
            elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
                self._end()
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent and self.done:
                raise self._refuse(_line(event), (), "a second document begins here ('---'); allowed: one")
        return self.done[0] if self.done else None

    def _refuse(self, line: int, path: Path, told: str) -> PlaceError:
        key = f"{'.'.join(path)}: " if path else ""
        return PlaceError(f"{self.name}, line {line}: {key}{told}.")

    @property
    def _path(self) -> Path:
        if not self.open:
            return ()
        inner = self.open[-1]
        if isinstance(inner.value, list):
            return (*inner.path, str(len(inner.value)))
        return inner.path if inner.key is None else (*inner.path, inner.key)

    def _counted(self, size: int, line: int) -> None:
        self.count += size
        if self.count > self.most.values:
            told = "more values than can be read, each use of a named block counted"
            raise self._refuse(line, self._path, f"{told}; allowed: {self.most.more('values')}")

    def _deep(self, below: int, line: int) -> None:
        """What begins here has so many levels."""
        if len(self.open) + below > self.most.nesting:
            told = "mappings and lists stand in one another too deep"
            raise self._refuse(line, self._path[:6], f"{told}; allowed: {self.most.more('nesting')}")
        for depth, one in enumerate(self.open):
            one.deepest = max(one.deepest, len(self.open) - depth + below)

    def _begin(self, event: Any, empty: Any) -> None:
        line = _line(event)
        self._refuse_tag(event, line)
        if self._at_key():
            kind = "a mapping" if isinstance(empty, dict) else "a list"
            raise self._refuse(line, self._path, f"{kind} was given as a key; allowed: a name")
        self._deep(1, line)
        self._counted(1, line)
        self.open.append(_Open(empty, self._path, line, event.anchor, self.count - 1, deepest=1))
        if event.anchor:
            self.named.pop(event.anchor, None)

    def _end(self) -> None:
        one = self.open.pop()
        value = one.value
        if one.merged:
            below: dict[str, Any] = {}
            for mapping in one.merged:
                below.update({key: item for key, item in mapping.items() if key not in below})
            value = {**below, **value}
        if one.anchor:
            self.named[one.anchor] = _Named(value, self.count - one.before, one.deepest)
        self._put(value, one.line)

    def _alias(self, event: Any) -> None:
        line, name = _line(event), event.anchor
        if any(one.anchor == name for one in self.open):
            raise self._refuse(line, self._path, f"'*{name}' stands within '&{name}' itself; allowed: no circle")
        if name not in self.named:
            told = f"'*{name}' was given; allowed: a block that is named above, '&{name}'"
            raise self._refuse(line, self._path, told)
        if self._at_key():
            raise self._refuse(line, self._path, f"'*{name}' was given as a key; allowed: a name")
        named = self.named[name]
        self._deep(named.depth, line)
        self._counted(named.size, line)
        self._put(named.value, line)

    def _at_key(self) -> bool:
        return bool(self.open) and isinstance(self.open[-1].value, dict) and self.open[-1].key is None

    def _scalar(self, event: Any) -> None:
        line = _line(event)
        self._refuse_tag(event, line)
        self._counted(1 + len(event.value) // LETTERS_EACH, line)
        if self._at_key():
            self._key(event, line)
            return
        value = self._value(event, line)
        if event.anchor:
            self.named[event.anchor] = _Named(value, 1 + len(event.value) // LETTERS_EACH, 0)
        self._put(value, line)

    def _key(self, event: Any, line: int) -> None:
        inner, key = self.open[-1], event.value
        if event.implicit[0] and key == _MERGE:
            if inner.merged:
                raise self._refuse(line, inner.path, f"{_MERGE!r} is given twice; allowed: one list of blocks")
            inner.key = _MERGE
            return
        if not key.strip() or len(key) > LONGEST_KEY or _CONTROL.search(key) or "\n" in key:
            allowed = f"a name of 1 to {LONGEST_KEY} letters, on one line"
            raise self._refuse(line, inner.path, f"{_short(key)} was given as a key; allowed: {allowed}")
        if key in inner.value:
            raise self._refuse(line, inner.path, f"the key {_short(key)} is given twice")
        inner.key = key
        self.lines.setdefault((*inner.path, key), line)

    def _put(self, value: Any, line: int) -> None:
        if not self.open:
            self.done.append(value)
            return
        inner = self.open[-1]
        if isinstance(inner.value, list):
            self.lines.setdefault((*inner.path, str(len(inner.value))), line)
            inner.value.append(value)
        elif inner.key == _MERGE:
            every = value if isinstance(value, list) else [value]
            if not all(isinstance(one, dict) for one in every):
                raise self._refuse(line, inner.path, "'<<' takes named blocks that are mappings, such as <<: *name")
            inner.merged += every
            inner.key = None
        else:
            inner.value[inner.key] = value
            inner.key = None

    def _refuse_tag(self, event: Any, line: int) -> None:
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            allowed = "values without tags; text that looks like a number, in quotes"
            raise self._refuse(line, self._path, f"the tag {_short(tag)} was given; allowed: {allowed}")

    # -- what a scalar says -------------------------------------------------------------------------------------------

    def _value(self, event: Any, line: int) -> Any:
        text = event.value
        if match := _CONTROL.search(text):
            told = f"the letter {match[0]!a} was given, which cannot be printed"
            raise self._refuse(line, self._path, f"{told}; allowed: text of letters, spaces and ends of lines")
        if not self.stored:
            self._references(text, line)
        if not event.implicit[0]:
            return text
        if not self.stored and text == _MISSING:
            raise self._refuse(line, self._path, f"{_MISSING!r} was given; allowed: a value")
        if not self.stored and text.startswith("= "):
            return self._worked_out(text, line)
        if len(self.open) > 1 and self.open[0].key in NAMES:
            return text
        return self._plain(text, line)

    def _plain(self, text: str, line: int) -> Any:
        if _NULL.match(text):
            return None
        if _BOOL.match(text):
            return text == "true"
        if any(pattern.match(text) for pattern in _NUMBERS):
            return self._number(text, line)
        if self.stored and _DATE.match(text):
            try:
                return dt.date.fromisoformat(text)
            except ValueError:
                told = f"{text!r} was given, a day that no calendar has; allowed: a date such as 2024-04-01"
                raise self._refuse(line, self._path, told) from None
        return text

    def _number(self, text: str, line: int) -> int | float:
        digits = sum(letter.isdigit() for letter in text)
        if digits > self.most.digits:
            told = f"{_short(text)} was given, a number of {digits:,} digits"
            raise self._refuse(line, self._path, f"{told}; allowed: {self.most.more('digits')}")
        if _INT.match(text):
            return int(text)
        return self._finite(float(text), text, line)

    def _finite(self, number: float, text: str, line: int) -> float:
        if not abs(number) < float("inf"):
            raise self._refuse(line, self._path, f"{_short(text)} was given, which is too large for a number")
        return number

    def _worked_out(self, text: str, line: int) -> float:
        """``= 0.135 * 1.8``: a number worked out where it stands, so that what it is made of can be read."""
        try:
            if len(text) > LONGEST_SUM:
                raise ValueError
            number = worked_out(ast.parse(text.removeprefix("=").strip(), mode="eval").body)
        except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
            allowed = "numbers with + - * / and brackets"
            raise self._refuse(line, self._path, f"{_short(text)} was given; allowed after '=': {allowed}") from None
        return self._finite(number, text, line)

    def _references(self, text: str, line: int) -> None:
        if "${" not in text:
            return
        if "${" in _REFERENCE.sub("", text):
            told = f"{_short(text)} was given; allowed in ${{...}}: a key of these files, such as ${{days}}"
            raise self._refuse(line, self._path, told)
        self.refers = True


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _short(given: object) -> str:
    return shown(given, 60, plain=isinstance(given, str) and _CONTROL.search(given) is not None)


_SIGNS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip


def worked_out(term: ast.expr) -> float:
    """The number that sums, differences, products and quotients of numbers make. Raises ValueError for all else."""
    if isinstance(term, ast.Constant) and isinstance(term.value, int | float) and not isinstance(term.value, bool):
        return float(term.value)
    if isinstance(term, ast.BinOp) and type(term.op) in _SIGNS:
        return _SIGNS[type(term.op)](worked_out(term.left), worked_out(term.right))
    raise ValueError("this is no arithmetic of numbers")
