"""Where the numbers of a place come from: every number beside its source, grade, range and reason."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsim.declare.layers import Layer
from flowsim.declare.trees import is_evidence
from flowsim.place import PlaceError, parse_hours, refuse

if TYPE_CHECKING:
    import pandas as pd

SET_BY_USER = "set by user"
ASSUMPTION = "C (assumption)"
COLUMNS = ("key", "value", "source", "grade", "quantity", "low", "high", "unit", "why")
_DRAWINGS = {"order", "priority"}  # keys whose numbers only put things in order: there is nothing to know about them


@dataclass(frozen=True)
class Entry:
    """One row of the evidence: what is known, how well, why it is believed; and, where no number of a place rests on it
    that may be varied (`dials.py`), why none does."""

    id: str
    quantity: str
    value: str
    low: str
    high: str
    unit: str
    grade: str
    why: str
    no_dial: str = ""


def read_register(folders: Iterable[Path]) -> dict[str, Entry]:
    """The evidence of all folders by id; a folder named first wins. Files: evidence/figures.csv and assumptions.csv."""
    register: dict[str, Entry] = {}
    for folder in folders:
        for name in ("figures.csv", "assumptions.csv"):
            path = folder / "evidence" / name
            if path.is_file():
                for entry in _read_entries(path, path.stat().st_mtime_ns):
                    register.setdefault(entry.id, entry)
    return register


@lru_cache(maxsize=16)
def _read_entries(path: Path, changed: int) -> tuple[Entry, ...]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if rows and not {"id", "quantity", "value"} <= set(rows[0]):
        raise PlaceError(f"{path}: the first line gives {', '.join(rows[0])}; needed: id, quantity, value.")
    entries = []
    for row in rows:
        cells = {k: (v or "").strip() for k, v in row.items() if k is not None and not isinstance(v, list)}
        where_from = (cells.get("population"), cells.get("year"), cells.get("source"))
        why = cells.get("why") or ", ".join(words for words in where_from if words)
        grade = ASSUMPTION if "grade" not in cells or cells["id"].startswith("ASM") else cells["grade"]
        given = {k: cells.get(k, "") for k in ("id", "quantity", "value", "low", "high", "unit")}
        entries.append(Entry(**given, grade=grade, why=why, no_dial=cells.get("no_dial", "")))
    return tuple(entries)


def ids_of(source: str) -> list[str]:
    """The ids of a source: one, or several with commas between."""
    return [part.strip() for part in source.split(",") if part.strip()]


def refuse_unknown_sources(layer: Layer, register: Mapping[str, Entry]) -> None:
    """Raises PlaceError for the first source id of a layer, or id of what is `published`, that the evidence lacks."""
    for path, source in _sources(layer.raw, ()):
        for one in ids_of(source):
            if one not in register:
                key = ".".join(("place", *path))
                names = [n for n in register if n.split("-")[0] == one.split("-")[0]] or list(register)
                raise PlaceError(f"{layer.where(path)}: {refuse(key, one, 'an id of the evidence, such as', names)}")


def evidence_table(
    layers: Sequence[Layer], register: Mapping[str, Entry], user_keys: Iterable[str] = ()
) -> pd.DataFrame:
    """Every number of the place that the layers make, later ones on top, with what is known about it.

    Returns one row a number (hours of calendars too), columns `COLUMNS`: `key` as it is overridden on the command line,
    `value`, `source` (ids, ``set by user``, the name of a layer that gives none, or empty), `grade` (the lowest of
    its sources).
    """
    import pandas as pd

    numbers: dict[str, tuple[Any, str]] = {}
    for number, layer in enumerate(layers):
        for path, value, source in _numbers(layer.raw, (), ""):
            key = ".".join(("place", *path))
            if number:  # the first layer lies on none
                for old in [k for k in numbers if k == key or k.startswith(f"{key}.") or key.startswith(f"{k}.")]:
                    del numbers[old]
            numbers[key] = (value, source or ("" if number == 0 else f"{layer.name}: none given"))
    user = tuple(user_keys)
    rows = []
    for key, (value, source) in numbers.items():
        if any(key == u or key.startswith(f"{u}.") for u in user):
            rows.append((key, value, SET_BY_USER, "", "", "", "", "", ""))
            continue
        entries = [register[i] for i in ids_of(source) if i in register]
        joined = ("; ".join(dict.fromkeys(getattr(e, n) for e in entries if getattr(e, n))) for n in COLUMNS[4:])
        rows.append((key, value, source, max((e.grade for e in entries), default=""), *joined))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _sources(raw: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if not isinstance(raw, Mapping):
        return
    for key, value in raw.items():
        if not path and key == "published" and isinstance(value, Mapping):
            yield from ((("published", str(k)), str(one)) for k, v in value.items() if isinstance(v, list) for one in v)
        elif key != "source" or not is_evidence(value, path[-1] if path else ""):
            yield from _sources(value, (*path, key))
        elif isinstance(value, Mapping):
            yield from (((*path, key, str(k)), str(v)) for k, v in value.items())
        elif value is not None:
            yield (*path, key), str(value)


def _numbers(raw: Any, path: tuple[str, ...], source: str) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """(path, value, nearest source) of every number at and below `raw`."""
    if isinstance(raw, Mapping):
        of = path[-1] if path else ""
        said = raw.get("source") if is_evidence(raw.get("source"), of) else None
        here = said if isinstance(said, str) else source
        by_key = said if isinstance(said, Mapping) else {}
        for key, value in raw.items():
            if key not in _DRAWINGS and not (key == "source" and is_evidence(value, of)):
                yield from _numbers(value, (*path, str(key)), str(by_key.get(key, here)))
    elif isinstance(raw, list):
        if raw and all(_is_number(item) for item in raw):
            yield path, " ".join(f"{item:g}" for item in raw), source
    elif _is_number(raw) or (len(path) >= 2 and path[0] == "calendars" and _is_hours(raw)):
        yield path, raw, source


def numbers_in(raw: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """(path, value, nearest source) of every number of a place's mapping; hours and lists of numbers as text."""
    yield from _numbers(raw, (), "")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_hours(value: Any) -> bool:
    try:
        parse_hours(value)
    except (TypeError, ValueError):
        return False
    return True
