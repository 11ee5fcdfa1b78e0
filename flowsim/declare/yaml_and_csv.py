"""Where the files of places, scenarios and evidence are, and how YAML and CSV are read."""

from __future__ import annotations

import ast
import contextlib
import csv
import io
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import yaml

from flowsim.declare.trees import copied
from flowsim.place import PlaceError


def shipped_folder() -> Path:
    """The scenarios that come with flowsim: inside the package when installed, beside it in a checkout."""
    inside = Path(__file__).resolve().parents[1] / "scenarios"
    return inside if inside.is_dir() else inside.parent.parent / "scenarios"


def folders(scenarios_dir: str | Path | None = None) -> tuple[Path, ...]:
    """Where to look, first come first served: `scenarios_dir` (or ``./scenarios`` if it is there), then the shipped."""
    given = Path("scenarios") if scenarios_dir is None else Path(scenarios_dir)
    if scenarios_dir is not None and not given.is_dir():
        raise PlaceError(f"scenarios_dir: {str(scenarios_dir)!r} was given; allowed: a folder that exists.")
    shipped = shipped_folder()
    mine = (given.resolve(),) if given.is_dir() and given.resolve() != shipped else ()
    return (*mine, shipped)


def main_file(where: Sequence[Path]) -> Path:
    """The `config.yaml` that counts."""
    return next(folder / "config.yaml" for folder in where if (folder / "config.yaml").is_file())


def main_keys(main: Path) -> list[str]:
    """The keys of `config.yaml` that can be set."""
    return [key for key in read_yaml(main) if key != "defaults"]


def main_choices(main: Path) -> dict[str, list[str]]:
    """The files that `config.yaml` chooses of each group."""
    listed = read_yaml(main).get("defaults") or []
    pairs = [pair for entry in listed if isinstance(entry, dict) for pair in entry.items()]
    return {str(k): [str(n) for n in (v if isinstance(v, list) else [v])] for k, v in pairs}


def groups(where: Sequence[Path]) -> list[str]:
    """The kinds of files to choose from, each a folder: `place`, `scenario`."""
    names = {folder.name for one in where for folder in one.iterdir() if folder.is_dir()}
    return sorted(names - {"evidence", "template"})


def options(group: str, scenarios_dir: str | Path | None = None) -> dict[str, Path]:
    """The files of a group (`place`, `scenario`) by name; the user's own come before the shipped ones."""
    files: dict[str, Path] = {}
    for folder in folders(scenarios_dir):
        for path in sorted((folder / group).glob("*.yaml")):
            files.setdefault(path.stem, path)
    return files


def setting_names(scenarios_dir: str | Path | None = None) -> list[str]:
    """What can be set: the keys of `config.yaml`, and the groups of files."""
    where = folders(scenarios_dir)
    return [*main_keys(main_file(where)), *groups(where)]


def file_in_words(path: Path) -> str:
    """A file of a group as people are told of it: ``scenarios/place/sefton.yaml``."""
    return f"{path.parent.parent.name}/{path.parent.name}/{path.name}"


@contextlib.contextmanager
def told_unreadable(path: Path) -> Iterator[None]:
    """A file of the user's that cannot be read (its rights, a lock, a drive that is gone) as PlaceError."""
    try:
        yield
    except OSError as trouble:
        raise PlaceError(f"{path}: this file cannot be read ({trouble.strerror or trouble}).") from None


def read_csv(path: Path) -> tuple[str, list[tuple[int, list[str]]]]:
    """The separator of a CSV file, and line number and trimmed cells of every row that is not blank.

    As spreadsheets write it: with commas, semicolons or tabs, in UTF-8 (with a byte order mark or without) or the code
    page of Windows. Raises PlaceError for a file that is no text or cannot be read.
    """
    with told_unreadable(path):
        raw = path.read_bytes()
    if raw[:2] == b"PK" or b"\0" in raw:
        raise PlaceError(f"{path}: this is no CSV file; allowed: in the spreadsheet, save it as CSV.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    heading = next((line for line in text.splitlines() if line.strip(" ,;\t")), "")
    separator = max((";", "\t", ","), key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    return separator, [(line, cells) for line, cells in rows if any(cells)]


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a mapping, read by the rules of YAML 1.2: `on`, `yes` and 17:00 are words.

    Raises PlaceError, naming file and line, for a file that cannot be read, is not YAML, gives a key twice or is not a
    mapping.
    """
    with told_unreadable(path):
        state = path.stat()
    return copied(_read(path, state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=256)
def _read(path: Path, changed: int, size: int) -> dict[str, Any]:
    content = load_yaml(path, _Loader)
    if content is not None and not isinstance(content, dict):
        raise PlaceError(f"{path}: a {type(content).__name__} was given; allowed: a mapping of keys to values.")
    return content or {}


def load_yaml(path: Path, loader: Any) -> Any:
    """What a YAML file says by the rules of one of PyYAML's loaders.

    Raises PlaceError, naming file and line, for a file that cannot be read or is not YAML.
    """
    try:
        with told_unreadable(path):
            text = path.read_text(encoding="utf-8")
        return yaml.load(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise PlaceError(f"{path}{line}: this is not YAML: {error.problem}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlaceError(f"{path}: this is not YAML: {' '.join(str(error).split())}.") from None


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


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, Any]]]] = {}

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key '{key.value}' is given twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return {str(k): v for k, v in super().construct_mapping(node, deep=deep).items()}

    def construct_yaml_int(self, node: Any) -> int:
        return int(self.construct_scalar(node))

    def construct_worked_out(self, node: Any) -> float:
        """``= 0.135 * 1.8``: a number worked out where it stands, so that what it is made of can be read."""
        text = self.construct_scalar(node)
        try:
            return worked_out(ast.parse(text.removeprefix("=").strip(), mode="eval").body)
        except (SyntaxError, ValueError, ZeroDivisionError):
            problem = f"{text!r} was given; allowed after '=': numbers with + - * / and brackets"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None


_WORKED_OUT = "tag:yaml.org,2002:value"  # what YAML keeps '=' for
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_constructor(_WORKED_OUT, _Loader.construct_worked_out)
for _tag, _pattern, _first in (
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("bool", r"^(?:true|false)$", ["t", "f"]),
    ("int", r"^[-+]?[0-9]+$", list("-+0123456789")),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+)$", list("-+.0123456789")),
    ("merge", r"^<<$", ["<"]),
    ("value", r"^= .*$", ["="]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)
