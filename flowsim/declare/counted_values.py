"""Values that were counted, from a CSV file beside the place or scenario that names it: `empirical: {file: stays.csv}`.

They become part of the place, so that a configuration that was written with a run makes the same run without the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowsim.declare.yaml_and_csv import read_csv
from flowsim.place import PlaceError, refuse

VALUE, WEIGHT = "value", "weight"
"""The columns of such a file; the second may be missing."""


def with_counted_values(raw: Any, folder: Path, path: tuple[str, ...] = ("place",)) -> Any:
    """A mapping in which every `file` of an `empirical` is replaced by what it holds; a relative name is looked for in
    `folder`. Raises PlaceError, naming file, line and column."""
    if not isinstance(raw, Mapping):
        return raw
    if "file" in raw and "empirical" in path:
        key = ".".join((*path, "file"))
        if set(raw) - {"file", "source"}:
            raise PlaceError(f"{key}: it stands alone; allowed: a file, or values and weights.")
        if not isinstance(raw["file"], str):
            raise refuse(key, raw["file"], "the name of a CSV file with the columns value and weight")
        rest = {name: value for name, value in raw.items() if name != "file"}
        return {**rest, **_read(key, raw["file"], folder)}
    return {name: with_counted_values(value, folder, (*path, str(name))) for name, value in raw.items()}


def _read(key: str, name: str, folder: Path) -> dict[str, list[float]]:
    file = folder / name
    if not file.is_file():
        raise refuse(key, name, f"a CSV file in {folder}, or its whole path")
    _, rows = read_csv(file)
    head = [cell.casefold() for cell in rows[0][1]] if rows else []
    if head not in ([VALUE], [VALUE, WEIGHT]) or len(rows) == 1:
        raise PlaceError(
            f"{key}: the first line of {file} is {','.join(head)!r}; allowed: 'value' or 'value,weight', and below it "
            "a line for each value."
        )
    columns: dict[str, list[float]] = {column: [] for column in head}
    for line, cells in rows[1:]:
        for at, column in enumerate(head):
            columns[column].append(_number(f"{file}, line {line}, column {column}", cells[at : at + 1]))
    return {f"{column}s": numbers for column, numbers in columns.items()}


def _number(where: str, cell: list[str]) -> float:
    given = cell[0] if cell else ""
    try:
        number = float(given)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise refuse(where, given, "a number, not negative")
    return number
