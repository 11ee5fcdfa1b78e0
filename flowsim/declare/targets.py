"""The published figures that a place is held against, each with the range it may lie in."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from flowsim.place import PlaceError

TARGETS_FILE = "targets.csv"
COLUMNS = (
    "id", "measure", "where", "of", "quantity", "value", "low", "high", "unit", "period", "source", "note",
    "not_measured",
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A published figure.

    Attributes:
        id: its name; figures that make one target together, such as seven weekdays, share what is before the dot.
        measure: the measure that is held against it, or, with `not_measured`, the one that would be.
        where: ``all``, a site or a locality.
        of: of what the measure is there: a pathway, a weekday, an age band, a service; empty for the whole.
        quantity: what was published, in words.
        value, low, high: the figure and the range that is as good, in `unit`.
        period: the time it is of.
        source: where it is from: an id of the evidence, a series, a target of docs/evidence.md.
        note: what else is to be known.
        not_measured: why the model has no such measure yet; empty where it has.
    """

    id: str
    measure: str
    where: str
    of: str
    quantity: str
    value: float
    low: float
    high: float
    unit: str
    period: str
    source: str
    note: str
    not_measured: str


def read_targets(folders: Iterable[Path]) -> dict[str, Target]:
    """The targets of all folders by id (evidence/targets.csv); a folder named first wins. Raises PlaceError."""
    targets: dict[str, Target] = {}
    for folder in folders:
        path = folder / "evidence" / TARGETS_FILE
        if path.is_file():
            for target in _read_rows(path, path.stat().st_mtime_ns):
                targets.setdefault(target.id, target)
    return targets


@lru_cache(maxsize=16)
def _read_rows(path: Path, changed: int) -> tuple[Target, ...]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise PlaceError(f"{path}: the first line gives {reader.fieldnames}; needed: {', '.join(COLUMNS)}.")
        targets = tuple(_read_row(row, f"{path}, line {reader.line_num}") for row in reader)
    ids = [target.id for target in targets]
    twice = next((one for one in ids if ids.count(one) > 1), None)
    if twice is not None:
        raise PlaceError(f"{path}: {twice!r} is given twice; allowed: each id once.")
    return targets


def _read_row(row: Mapping[str, str], at: str) -> Target:
    words = {name: row[name] for name in COLUMNS if name not in ("value", "low", "high")}
    try:
        value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    except (TypeError, ValueError) as error:
        raise PlaceError(f"{at}: {error}; allowed: numbers for value, low and high.") from None
    if not low <= value <= high:
        raise PlaceError(f"{at}: {value:g} from {low:g} to {high:g}; allowed: low <= value <= high.")
    if not (words["id"] and words["measure"] and words["where"] and words["source"]):
        raise PlaceError(f"{at}: a target has an id, a measure, a where and a source.")
    return Target(**words, value=value, low=low, high=high)
