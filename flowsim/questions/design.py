"""Which points a sweep has: full grids, Latin hypercubes, Sobol sequences, and tables that somebody wrote by hand.

A point is a mapping of keys to values as they stand on the command line, beside ``=``. Sources: M. D. McKay, R. J.
Beckman and W. J. Conover (1979), Technometrics 21 (Latin hypercube); I. M. Sobol' (1967), scrambled as in A. B. Owen
(1998), J. Complexity 14; both as SciPy makes them (`scipy.stats.qmc`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

from flowsim.declare.overrides import Dimension, is_key, parse, single_value
from flowsim.declare.yaml_and_csv import read_csv
from flowsim.folder.configuration import free_name
from flowsim.place import PlaceError, nearest, refuse

DESIGNS = ("grid", "lhs", "sobol")
"""Every combination; Latin hypercube; Sobol sequence."""
PATH, TODAY = "path", "today"
"""What a sweep has whose points are one year after the other, and the point of a scenario without any."""
TABLE = "table"
"""What a sweep has whose points somebody wrote by hand."""
MOST_POINTS = 100_000
LONGEST_NAME = 80
FIGURES = 6
"""Significant figures of a value that a design draws: what is written is what is run."""
SCENARIO = "scenario"
NAME = "name"
"""The column of a table that names its rows."""


@dataclass(frozen=True)
class Points:
    """The points of a sweep.

    Attributes:
        settings: one mapping of keys to values a point, by the point's name, in order; a key it has not is left as it
            is in the place.
        kind: grid, lhs, sobol or table.
        lines: where a point of a table stands, by its name.
        years: of a path, how many years from now a point is, by its name.
    """

    settings: dict[str, dict[str, str]]
    kind: str
    lines: Mapping[str, str] = field(default_factory=dict)
    years: Mapping[str, int] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that some point sets, in order of appearance."""
        return tuple(dict.fromkeys(key for point in self.settings.values() for key in point))

    def in_each(self, scenarios: Sequence[str]) -> Points:
        """The same points in each of these scenarios, which is a further dimension of them, the slowest.

        A path begins with today in all but the first, in which today is the place that is compared with.
        """
        settings, years = self.settings, self.years
        crossed: dict[str, dict[str, str]] = {}
        in_years: dict[str, int] = {}
        for scenario in scenarios:
            crossed |= {f"{scenario},{name}": {SCENARIO: scenario, **point} for name, point in settings.items()}
            in_years |= {f"{scenario},{name}": year for name, year in years.items()}
            if self.years:
                settings, years = {TODAY: {}} | self.settings, {TODAY: 0, **self.years}
        lines = {f"{scenario},{name}": line for scenario in scenarios for name, line in self.lines.items()}
        return Points(crossed, self.kind, lines, in_years)


def plain_key(key: str) -> str:
    """A key without the ``+`` that adds."""
    return key.lstrip("+")


# ---------------------------------------------------------------------------------------------------------------------
# Designs


def choose(dimensions: Sequence[Dimension], design: str = "grid", points: int | None = None, seed: int = 1) -> Points:
    """The points of a design over these dimensions; `points` and `seed` are for lhs and sobol. Raises PlaceError."""
    if design not in DESIGNS:
        raise refuse("design", design, "one of", DESIGNS)
    if not dimensions:
        raise PlaceError("sweep: nothing is varied; allowed: a setting with values, such as KEY=60,80 or range().")
    keys = [one.key for one in dimensions]
    if len({plain_key(key) for key in keys}) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise PlaceError(f"{twice}: this is given twice; allowed: each setting once.")
    if any(one.by_year for one in dimensions):
        return _path(dimensions, design, points)
    rows = _grid(dimensions, points) if design == "grid" else _drawn(dimensions, design, points, seed)
    return Points(named([dict(zip(keys, row, strict=True)) for row in rows]), design)


def _path(dimensions: Sequence[Dimension], design: str, points: int | None) -> Points:
    """A point a year, in which every path has come as far."""
    beside = [one.key for one in dimensions if not one.by_year] or [design] * (design != "grid")
    if beside or points is not None or len({len(one.values) for one in dimensions}) > 1:
        given = f"{beside[0]} was given beside it" if beside else "paths of unlike lengths or points were given"
        allowed = "paths of as many years, and 'scenarios=[a,b]' for the same path in several scenarios"
        raise PlaceError(f"{next(one.key for one in dimensions if one.by_year)}: {given}; allowed: {allowed}.")
    years = range(1, len(dimensions[0].values) + 1)
    settings = {f"year_{year}": {one.key: one.values[year - 1] for one in dimensions} for year in years}
    return Points(settings, PATH, years=dict(zip(settings, years, strict=True)))


def _grid(dimensions: Sequence[Dimension], points: int | None) -> list[tuple[str, ...]]:
    for one in dimensions:
        if one.ends is not None:
            low, high = one.ends
            allowed = f"design=lhs or design=sobol with points=N, or range({low:g},{high:g},STEP)"
            raise PlaceError(f"{one.key}: an interval was given; a grid has no values of it; allowed: {allowed}.")
    if points is not None:
        raise PlaceError(f"points: {points} was given; allowed: with design=lhs or design=sobol; a grid is complete.")
    number = int(np.prod([float(len(one.values)) for one in dimensions]))
    if number > MOST_POINTS:
        raise PlaceError(f"sweep: {number:,} points were asked for; allowed: at most {MOST_POINTS:,}.")
    return list(product(*(dict.fromkeys(one.values) for one in dimensions)))


def _drawn(dimensions: Sequence[Dimension], design: str, points: int | None, seed: int) -> list[tuple[str, ...]]:
    from scipy.stats import qmc

    if points is None:
        missing = f"points: it is needed with design={design} and was not given"
        raise PlaceError(f"{missing}; allowed: a whole number from 1 to {MOST_POINTS:,}, such as points=16.")
    if isinstance(points, bool) or not isinstance(points, int) or not 1 <= points <= MOST_POINTS:
        raise refuse("points", points, f"a whole number from 1 to {MOST_POINTS:,}")
    if design == "sobol" and points & (points - 1):
        near = 2 ** round(np.log2(points))
        raise PlaceError(f"points: {points} was given; allowed: a power of two with design=sobol, such as {near}.")
    # a Sobol sequence has its balance only in whole powers of two
    kind = qmc.LatinHypercube if design == "lhs" else qmc.Sobol
    unit = kind(d=len(dimensions), rng=np.random.default_rng(seed)).random(points)
    return [
        tuple(_value(one, float(at)) for one, at in zip(dimensions, row, strict=True)) for row in np.atleast_2d(unit)
    ]


def _value(dimension: Dimension, at: float) -> str:
    """The value of a dimension at a place between nought and one."""
    if dimension.ends is None:
        return dimension.values[min(int(at * len(dimension.values)), len(dimension.values) - 1)]
    low, high = dimension.ends
    if dimension.whole:
        return str(min(int(np.floor(low + at * (high - low + 1))), int(high)))
    return f"{low + at * (high - low):.{FIGURES}g}"


# ---------------------------------------------------------------------------------------------------------------------
# Names


def named(points: Sequence[dict[str, str]]) -> dict[str, dict[str, str]]:
    """Points by short names of their settings, ``reablement=80,community_beds=60``; a second of a name is numbered."""
    short = short_keys({key for point in points for key in point})
    by_name: dict[str, dict[str, str]] = {}
    for at, point in enumerate(points):
        words = [value if key == SCENARIO else f"{short[key]}={value}" for key, value in point.items()]
        name = ",".join(words) or "as it is"
        if len(name) > LONGEST_NAME:
            name = f"point_{at + 1:0{len(str(len(points)))}d}"
        by_name[free_name(name, by_name)] = point
    return by_name


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """What tells each key from the others in few words: ``place.services.reablement.capacity`` is ``reablement``."""
    versions = {key: list(_shorter(plain_key(key))) for key in keys}
    short = {key: shortest for key, (shortest, *_) in versions.items()}
    for step in (1, 2):
        taken = list(short.values())
        short = {
            key: versions[key][min(step, len(versions[key]) - 1)] if taken.count(word) > 1 else word
            for key, word in short.items()
        }
    return short


def _shorter(key: str) -> tuple[str, str, str]:
    parts = key.split(".")
    inner = parts[2:] if len(parts) > 2 and parts[0] in ("place", "scenario") else parts
    last = [part for part in inner if part not in ("capacity", "by_site", "by_locality", "parts", "active")] or inner
    return ".".join(last), ".".join(inner), key


# ---------------------------------------------------------------------------------------------------------------------
# Tables


def read_table(path: str | Path) -> Points:
    """The points of a CSV file: one row a scenario, one column a setting, and a column `name` if there is one.

    As spreadsheets write it: with commas, semicolons or tabs, in UTF-8 or Windows' own letters; empty cells are left as
    the place has them; empty rows do not count. Raises PlaceError, naming line and column.
    """
    path = Path(path)
    if not path.is_file():
        raise PlaceError(f"table: {str(path)!r} was given; allowed: a CSV file that exists.")
    _, lines = read_csv(path)
    if not lines:
        raise PlaceError(f"{path}: this table is empty; allowed: a first line of settings, then one line a scenario.")
    header = list(lines[0][1])
    while header and not header[-1]:
        header.pop()
    _check_header(path, header)
    points: list[dict[str, str]] = []
    names: list[str] = []
    rows: list[int] = []
    for line, cells in lines[1:]:
        if len(cells) > len(header) and any(cells[len(header) :]):
            count = f"{len(cells)} cells, but there are {len(header)} columns"
            raise PlaceError(f"{path}, line {line}: {count}; allowed: quotes round a value with a comma.")
        row = {key: cell for key, cell in zip(header, cells, strict=False) if cell}
        name = row.pop(NAME, "")
        if name and name in names:
            raise PlaceError(f"{path}, line {line}, column '{NAME}': {name!r} is there already; allowed: another name.")
        for key, text in row.items():
            _check_cell(path, line, key, text)
        names.append(name)
        points.append(row)
        rows.append(line)
    if not points:
        raise PlaceError(f"{path}: this table has no rows; allowed: one line a scenario below the line of settings.")
    given, by_name = set(names) - {""}, dict[str, dict[str, str]]()
    where: dict[str, str] = {}
    for name, made, point, line in zip(names, named(points), points, rows, strict=True):
        unique = name or free_name(made, given | set(by_name))
        by_name[unique], where[unique] = point, f"{path}, line {line}"
    return Points(by_name, TABLE, where)


def _check_header(path: Path, header: list[str]) -> None:
    if not any(header):
        raise PlaceError(f"{path}, line 1: no settings are named; allowed: keys such as place.services.X.capacity.")
    for at, key in enumerate(header):
        where = f"{path}, line 1, column {at + 1}"
        if not key:
            raise PlaceError(f"{where}: this column has no setting in its first line; allowed: a key, or '{NAME}'.")
        if key in header[:at]:
            raise PlaceError(f"{where}: {key!r} is there twice; allowed: each setting once.")
        if key == NAME:
            continue
        if not is_key(key):
            near = nearest(key.lower(), [NAME])
            raise PlaceError(f"{where}: {key!r} was given; allowed: a key such as place.services.X.capacity{near}.")
        if key.lower() == NAME:
            raise PlaceError(f"{where}: {key!r} was given; allowed: '{NAME}', in small letters.")


def _check_cell(path: Path, line: int, key: str, text: str) -> None:
    where = f"{path}, line {line}, column '{key}'"
    try:
        (one,) = parse([f"{key}={text}"])
        single_value(one)
    except PlaceError:
        thousands = re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", text)
        plain = text.replace(",", "" if thousands else ".")
        hint = f", such as {plain}" if thousands or re.fullmatch(r"\d+,\d+", text) else ""
        raise PlaceError(f"{where}: {text!r} was given; allowed: one value{hint}.") from None
