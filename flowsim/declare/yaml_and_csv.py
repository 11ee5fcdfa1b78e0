"""Where the files of places, scenarios and evidence are, and how YAML and CSV are read."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from flowsim.declare.limits import Limits, limits
from flowsim.declare.trees import copied
from flowsim.declare.yaml_reader import Document, read_document
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
    """A YAML file as a mapping; see `yaml_reader`.

    Raises PlaceError, naming file and line, for a file that cannot be read, is not YAML, gives a key twice or is not a
    mapping.
    """
    return copied(read_file(path).content)


def read_file(path: Path) -> Document:
    """What a YAML file says, a mapping, with the line of each key; not to be changed. Raises PlaceError."""
    with told_unreadable(path):
        state = path.stat()
    return _read(path, state.st_mtime_ns, state.st_size, limits())


@lru_cache(maxsize=256)
def _read(path: Path, changed: int, size: int, most: Limits) -> Document:
    document = load_yaml(path)
    content = document.content
    if content is not None and not isinstance(content, dict):
        raise PlaceError(f"{path}: a {type(content).__name__} was given; allowed: a mapping of keys to values.")
    return document if content else replace(document, content={})


def load_yaml(path: Path, stored: bool = False) -> Document:
    """What a YAML file says; `stored`: one that flowsim wrote. Raises PlaceError, naming file and line."""
    with told_unreadable(path):
        if not path.is_file():
            raise PlaceError(f"{path}: this is no file; allowed: a file of YAML.")
        if path.stat().st_size > limits().bytes:
            raise PlaceError(f"{path}: this file is too long to be read; allowed: {limits().more('bytes')} bytes.")
        raw = path.read_bytes()
    return read_document(raw, str(path), stored)
