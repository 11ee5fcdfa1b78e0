"""The numbers of a place that may be varied, with their ranges: what a slider moves and a fit sets."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flowsim.declare.evidence import SET_BY_USER, ids_of, numbers_in
from flowsim.declare.trees import value_at
from flowsim.place import PlaceError

if TYPE_CHECKING:
    import pandas as pd

    from flowsim.declare.composition import Composition

DIALS_FILE = "dials.csv"
COLUMNS = ("keys", "value", "low", "high", "step", "unit", "moves", "rest", "source", "why")
COLUMNS_OF_DIALS = ("step", "dial", "no_range")
"""What the table of evidence says more of a number: the step and the name of its dial, or why it has none."""
NOTHING = "nothing"
_WRITABLE = re.compile(r"[A-Za-z_][\w-]*|\d+")
"""A step of a key that the command line can say; a table's level such as 85+ is said with the table it is in."""
_CAPACITY = re.compile(r"\.(capacity|(by_site|by_locality|neighbours)\.[^.]+)$")
_DECIMALS = 12


@dataclass(frozen=True)
class Dial:
    """A number that may be varied: of one key, or of several that move together.

    Attributes:
        keys: what it moves, as on the command line (``place.…`` or ``scenario.NAME.…``). In the file ``*`` stands for
            any one step.
        value: what the keys say, in `unit`; 1 for a factor.
        low, high: the range of `value`.
        step: by how much a slider moves it.
        unit: of the value and the range.
        moves: ``value``: each key is set to the dial's value; ``factor``: each key is what it was, times the value.
        rest: the option of the same shares that takes what the others leave; empty where the keys are no shares.
        source: ids of the evidence that the range comes from, with commas between.
        why: what else is to be known of the range.
    """

    keys: tuple[str, ...]
    value: float
    low: float
    high: float
    step: float
    unit: str
    moves: Literal["value", "factor"]
    rest: str
    source: str
    why: str

    @property
    def name(self) -> str:
        """Its first key, by which it is called."""
        return self.keys[0]


@dataclass(frozen=True)
class Fixed:
    """Numbers that rest on an assumption and have no range: rules of the model, sums, what is so by definition."""

    keys: tuple[str, ...]
    source: str
    why: str


def read_dials(folders: Iterable[Path]) -> tuple[tuple[Dial, ...], tuple[Fixed, ...]]:
    """What the files evidence/dials.csv of all folders say, with ``*`` as it stands there. Raises PlaceError."""
    rows: list[Dial | Fixed] = []
    for folder in folders:
        path = folder / "evidence" / DIALS_FILE
        if path.is_file():
            rows += _read_rows(path, path.stat().st_mtime_ns)
    return tuple(row for row in rows if isinstance(row, Dial)), tuple(row for row in rows if isinstance(row, Fixed))


def dials(composed: Composition) -> tuple[Dial, ...]:
    """Every dial of the place and of the scenarios that are composed with it, with the place's own numbers as values.

    A dial counts where a number has a key of its and a source of its; so the ranges of one place are not those of
    another whose services have the same names but other sources. Raises PlaceError for a file that cannot be read.
    """
    numbers = _numbers_of(composed)
    ranges, _ = read_dials(composed.folders)
    return tuple(_expanded(row, keys, numbers) for row in ranges if (keys := _matching(row, numbers)))


def settings(dial: Dial, value: float, composed: Composition) -> tuple[str, ...]:
    """The overrides that set a dial of `dials(composed)` to a value, for the command line or `flowsim.load`.

    Raises PlaceError where the value is outside the dial's range, or the shares beside it cannot give so much.
    """
    if not dial.low <= value <= dial.high:
        raise PlaceError(f"{dial.name}: {value:g} was given; allowed: {dial.low:g} to {dial.high:g} {dial.unit}.")
    numbers = _numbers_of(composed)
    moved: dict[str, float] = {}
    for key in dial.keys:
        before = numbers[key].value
        moved[key] = _like(before, value if dial.moves == "value" else before * value, key)
        if dial.rest:
            other = _beside(key, dial.rest)
            left = moved.get(other, numbers[other].value) - (moved[key] - before)
            if left < -(10**-_DECIMALS):
                raise PlaceError(f"{other}: {left:g} is left by {key}={moved[key]:g}; allowed: nothing below 0.")
            moved[other] = max(round(left, _DECIMALS), 0.0)
    return tuple(_overrides(moved, composed))


def beside(dial: Dial) -> tuple[str, ...]:
    """The keys of the shares that take what the dial leaves."""
    return tuple(dict.fromkeys(_beside(key, dial.rest) for key in dial.keys if dial.rest))


def with_dials(table: pd.DataFrame, composed: Composition) -> pd.DataFrame:
    """The table of evidence with the dials' ranges in its columns `low`, `high` and `unit`, and `COLUMNS_OF_DIALS`.

    A number that a factor moves has that factor's range times itself.
    """
    import pandas as pd

    known: dict[str, dict[str, str]] = {}
    numbers, varied = _numbers_of(composed), dials(composed)
    for rule in read_dials(composed.folders)[1]:
        known |= {_in_place(key): {"no_range": rule.why} for key in _matching(rule, numbers)}
    for dial in varied:
        known |= {_in_place(key): {"no_range": f"takes what {dial.name} leaves"} for key in beside(dial)}
    for dial in varied:
        for key in dial.keys:
            times = 1.0 if dial.moves == "value" else float(numbers[key].value)
            ends = sorted(round(end * times, _DECIMALS) for end in (dial.low, dial.high))
            told = {"low": f"{ends[0]:.6g}", "high": f"{ends[1]:.6g}", "step": f"{dial.step * abs(times):.6g}"}
            known[_in_place(key)] = {**told, "unit": dial.unit if dial.moves == "value" else "", "dial": dial.name}
    rows = []
    for row in table.to_dict("records"):
        of_dial = {} if row["source"] == SET_BY_USER else known.get(str(row["key"]), {})
        rows.append(dict.fromkeys(COLUMNS_OF_DIALS, "") | row | of_dial)
    return pd.DataFrame(rows, columns=[*table.columns, *COLUMNS_OF_DIALS])


@dataclass(frozen=True)
class _Number:
    value: float
    source: str


@lru_cache(maxsize=16)
def _read_rows(path: Path, changed: int) -> tuple[Dial | Fixed, ...]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise PlaceError(f"{path}: the first line gives {reader.fieldnames}; needed: {', '.join(COLUMNS)}.")
        return tuple(_read_row(row, f"{path}, line {reader.line_num}") for row in reader)


def _read_row(row: Mapping[str, str], at: str) -> Dial | Fixed:
    keys = tuple(row["keys"].split())
    if not keys or not row["source"]:
        raise PlaceError(f"{at}: a dial has at least one key and a source.")
    if row["moves"] == NOTHING:
        if not row["why"] or row["low"] or row["high"]:
            raise PlaceError(f"{at}: what moves nothing has no range, and says why.")
        return Fixed(keys, row["source"], row["why"])
    if row["moves"] not in ("value", "factor"):
        raise PlaceError(f"{at}: moves {row['moves']!r}; allowed: value, factor, {NOTHING}.")
    try:
        value, low, high, step = (float(row[name]) for name in ("value", "low", "high", "step"))
    except ValueError as error:
        raise PlaceError(f"{at}: {error}; allowed: numbers for value, low, high and step.") from None
    if not low <= value <= high or not low < high or step <= 0:
        given = f"{value:g} from {low:g} to {high:g} by {step:g}"
        raise PlaceError(f"{at}: {given}; allowed: low <= value <= high, low < high, a step above 0.")
    moves: Literal["value", "factor"] = "value" if row["moves"] == "value" else "factor"
    return Dial(keys, value, low, high, step, row["unit"], moves, row["rest"], row["source"], row["why"])


def _roots(composed: Composition) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What keys begin with, and the tree below: the place without its scenario, and what scenarios change."""
    yield "place", composed.before
    for name, scenario in composed.scenarios.items():
        above = {} if scenario.source is None else {"source": scenario.source}
        yield f"scenario.{name}.place", {**above, **scenario.place}
        for part_name, part in scenario.parts.items():
            of_part = above if part.source is None else {"source": part.source}
            yield f"scenario.{name}.parts.{part_name}.place", {**of_part, **part.place}


def _numbers_of(composed: Composition) -> dict[str, _Number]:
    """Every single number that has a key, with its source; hours and profiles are none."""
    return {
        ".".join((root, *path)): _Number(value, source)
        for root, tree in _roots(composed)
        for path, value, source in numbers_in(tree)
        if isinstance(value, int | float)
    }


def _matching(row: Dial | Fixed, numbers: Mapping[str, _Number]) -> list[str]:
    """The keys that a row of the file stands for, of those that rest on one of its sources."""
    sources = set(ids_of(row.source))
    patterns = [re.compile(re.escape(key).replace(r"\*", r"[^.]+")) for key in row.keys]
    of_source = [key for key, number in numbers.items() if sources & set(ids_of(number.source))]
    return list(dict.fromkeys(key for pattern in patterns for key in of_source if pattern.fullmatch(key)))


def _expanded(row: Dial, keys: list[str], numbers: Mapping[str, _Number]) -> Dial:
    return replace(row, keys=tuple(keys), value=float(numbers[keys[0]].value) if row.moves == "value" else 1.0)


def _beside(key: str, rest: str) -> str:
    return f"{key.rpartition('.')[0]}.{rest}"


def _in_place(key: str) -> str:
    """The key of the place that a scenario's key changes."""
    return f"place.{key.partition('.place.')[2]}" if key.startswith("scenario.") else key


def _like(before: float, value: float, key: str) -> float:
    """A new number as the old one is written: capacities of people, beds and slots are whole."""
    whole = isinstance(before, int) and _CAPACITY.search(key) is not None
    return round(value) if whole or value == int(value) else round(value, _DECIMALS)


def _overrides(moved: Mapping[str, float], composed: Composition) -> Iterator[str]:
    """One override for each key that can be written, one for each table with levels that cannot."""
    trees = dict(_roots(composed))
    anchors: dict[str, dict[tuple[str, ...], float]] = {}
    for key, value in moved.items():
        root = max((one for one in trees if key.startswith(f"{one}.")), key=len)
        path = tuple(key.removeprefix(f"{root}.").split("."))
        shown = next((at for at, step in enumerate(path) if not _WRITABLE.fullmatch(step)), len(path))
        anchors.setdefault(".".join((root, *path[:shown])), {})[path[shown:]] = value
    for anchor, changes in anchors.items():
        if () in changes:
            yield f"{anchor}={changes[()]:.15g}"
            continue
        root = max((one for one in trees if anchor.startswith(f"{one}.")), key=len)
        table = value_at(trees[root], anchor.removeprefix(f"{root}.").split("."))
        yield f"{anchor}={_literal(_changed(table, changes))}"


def _changed(table: Any, changes: Mapping[tuple[str, ...], float]) -> Any:
    made = deepcopy(table)
    for path, value in changes.items():
        node = made
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = value
    return made


def _literal(value: Any) -> str:
    """Plain data in the grammar of overrides."""
    if isinstance(value, Mapping):
        inside = (f"{key}: {_literal(each)}" for key, each in value.items())
        return f"{{{', '.join(inside)}}}"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:.15g}" if isinstance(value, int | float) else f"'{value}'"
