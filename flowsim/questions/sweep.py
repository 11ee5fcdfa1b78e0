"""Many points of a place in one experiment: every point is a scenario, and the same people come in all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import pandas as pd

from flowsim.cells.runner import run_all
from flowsim.declare.composition import Composition, compose, value_now, with_notices
from flowsim.declare.overrides import Dimension, dimensions
from flowsim.declare.settings import Settings
from flowsim.declare.totals import tell_splits
from flowsim.declare.user import Overruled, tell_overruled
from flowsim.folder.at_work import at_work
from flowsim.folder.atomic import put, write_csv
from flowsim.folder.result import Result
from flowsim.measures.registry import HEADLINE, MEASURES, OF_WARDS, WITHOUT_WARDS
from flowsim.place import Place, PlaceError, refuse
from flowsim.questions.against import against
from flowsim.questions.compare import paired_differences
from flowsim.questions.design import PATH, SCENARIO, TABLE, Points, choose, plain_key, read_table, short_keys
from flowsim.questions.guards import worse_than
from flowsim.questions.matters import least, telling
from flowsim.statistics.importance import is_full_grid, rank_settings, unrankable
from flowsim.statistics.intervals import whole

POINT = "point"
YEAR = "year"
"""Of a path: how many years from now a point is, a column beside its settings; 0 is today."""
POINTS_FILE = "points.csv"
SWEPT = ("place", SCENARIO, "policy_start")
"""What may be varied: what the same people can live through. Anything else makes another run."""
DEFAULT_MEASURES = ("delayed_patients", "acute_occupancy", "boarding_hours_mean", "money_spent", "capacity_freed")
"""What a sweep is judged and drawn by where nobody says, of a place without wards `WITHOUT_WARDS`; the first decides
which points are best."""
MOST_MEASURES = len(DEFAULT_MEASURES)


class Sweep(Result):
    """A result of many points; the first scenario is the place as it is, with which each point is compared.

    It has `table()`, `best()`, `ranking()` and `points`.
    """

    question: ClassVar[str] = "sweep"
    main_chart: ClassVar[str | None] = None

    @property
    def base(self) -> str:
        """The point that leaves every setting as it is."""
        return self.scenarios[0]

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row a point, the base first: `point`, of a path `year`, and a column a setting (in the base's row what
        it has now)."""
        return self.store.read_table(POINTS_FILE)

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings that were varied."""
        return tuple(name for name in self.points.columns if name not in (POINT, YEAR))

    @property
    def asked_measures(self) -> tuple[str, ...]:
        """What it is judged and drawn by; the first decides which points are best.

        By default what the place has of `DEFAULT_MEASURES` or, where it has no wards, of `WITHOUT_WARDS`, and varies.
        """
        if asked := self.manifest.measures:
            return tuple(asked)
        values = whole(self.results).groupby("measure")["value"].nunique()
        usual = DEFAULT_MEASURES if OF_WARDS in values else WITHOUT_WARDS
        there = [name for name in (*usual, *HEADLINE) if name in values]
        return tuple(name for name in usual if values.get(name, 0) > 1)[:MOST_MEASURES] or tuple(there[:1])

    @property
    def has_options(self) -> bool:
        """Are its points options with names of their own, of a table or scenarios, rather than values of settings?"""
        return self.manifest.design == TABLE or self.settings == (SCENARIO,)

    @property
    def is_path(self) -> bool:
        """Are its points one year after the other?"""
        return YEAR in self.points.columns

    @property
    def labels(self) -> dict[str, str]:
        """The settings that were varied, in few words."""
        return short_keys(self.settings)

    @cached_property
    def results(self) -> pd.DataFrame:
        """Of each cell the headline measures of the whole place, and the checks; `results.parquet` has all of them.

        Columns scenario, replication, measure, where, of, unit, value.
        """
        checks = [name for name in MEASURES if name.startswith("check_")]
        store = self.store
        parts = [store.results(list(HEADLINE), ["all"], [""]), store.results(checks)]
        return pd.concat(parts, ignore_index=True)

    @cached_property
    def differences(self) -> pd.DataFrame:
        """Every paired difference of a headline measure to the base; see `compare.paired_differences`."""
        return paired_differences(whole(self.results), self.base, self.scenarios[1:])

    def table(self, measure: str | None = None) -> pd.DataFrame:
        """One row a (point, measure), as `sweep.csv`; with a name of a measure those of this one.

        Columns: point, the settings, measure, unit, n, mean, low, high (95 % interval), difference (paired, to the
        base), difference_low, difference_high, change and worse (the guards that are clearly worse at this point, with
        spaces between; see `guards`). Raises PlaceError for a name that is none.
        """
        if measure is None:
            return self._table
        known = self._table["measure"].unique()
        if measure not in known:
            raise refuse("measure", measure, "one of", known)
        return self._table[self._table["measure"] == measure].reset_index(drop=True)

    @cached_property
    def _table(self) -> pd.DataFrame:
        means = self.summary().rename(columns={"scenario": POINT}).drop(columns=["where", "of"])
        paired = self.differences.rename(
            columns={"scenario": POINT, "low": "difference_low", "high": "difference_high"}
        )
        paired = paired[[POINT, "measure", "difference", "difference_low", "difference_high", "change"]]
        table = self.points.merge(means, on=POINT, how="left").merge(paired, on=[POINT, "measure"], how="left")
        table["worse"] = table[POINT].map({name: " ".join(names) for name, names in self.worse.items()}).fillna("")
        return table[table["measure"].notna()].reset_index(drop=True)

    @cached_property
    def worse(self) -> dict[str, tuple[str, ...]]:
        """Of each point the guards that are clearly worse than in the base; such a point is never the best."""
        return worse_than(self, self.base)

    def best(self, measure: str | None = None) -> pd.DataFrame:
        """Rows of a measure's `table` (default: the first asked for), the best point first; without the base.

        Points at which a guard is clearly worse (`worse`) come after all others.
        """
        measure = measure or self.asked_measures[0]
        rows = self.table(measure)
        rows = rows[rows[POINT] != self.base]
        rows = rows.sort_values("mean", ascending=HEADLINE[measure].better <= 0, kind="stable")
        return rows.sort_values("worse", key=lambda column: column != "", kind="stable", ignore_index=True)

    def not_told_apart(self, measure: str | None = None) -> tuple[str, ...]:
        """The points that the best by a measure (default: the first asked for) cannot be told from.

        Those whose paired difference to it is not clear, or smaller than the smallest that matters; without the base,
        and without those that make a guard clearly worse. None where the best itself does that.
        """
        measure = measure or self.asked_measures[0]
        ranked = self.best(measure)
        best, *others = ranked[ranked["worse"] == ""][POINT].astype(str) if len(ranked) else [""]
        rows = whole(self.results)
        paired = paired_differences(rows[rows["measure"] == measure], best, tuple(others)) if others else None
        if paired is None:
            return ()
        return tuple(paired[~telling(paired, least(measure, self))]["scenario"].astype(str))

    def years_that_matter(self, measure: str | None = None) -> dict[str, tuple[int, ...]]:
        """Of a path, by scenario (an empty name where there is one path): the years, in order, in which a measure's
        difference from today is clear and at least the smallest that matters; default: the first asked for."""
        measure = measure or self.asked_measures[0]
        rows = self._tried(measure)
        whose = rows[SCENARIO].astype(str) if SCENARIO in rows else pd.Series("", rows.index)
        told = telling(rows, least(measure, self))
        paths = {name: rows[YEAR].where(told)[whose == name].dropna() for name in dict.fromkeys(whose)}
        return {name: tuple(sorted(int(year) for year in years)) for name, years in paths.items()}

    def against(self, first: str, second: str) -> pd.DataFrame:
        """One measure against another, a row a point; see `against.against`."""
        return against(self, first, second)

    def main_table(self) -> pd.DataFrame:
        """The points, the best first; of a path year by year."""
        return self.table(self.asked_measures[0]) if self.is_path else self.best()

    def ranking(self, measure: str | None = None) -> pd.DataFrame:
        """How much each setting matters to a measure (default: the first asked for); see `importance.rank_settings`.

        No rows where `unrankable` says why.
        """
        rows = self._tried(measure or self.asked_measures[0])
        return rank_settings(rows[list(self.settings)], rows["mean"])

    @property
    def unrankable(self) -> str:
        """Why these points cannot say which settings matter, in one sentence; empty where they can."""
        return unrankable(self._tried(self.asked_measures[0])[list(self.settings)])

    @property
    def is_full_grid(self) -> bool:
        """Is every combination of the settings' values a point, once?"""
        return is_full_grid(self._tried(self.asked_measures[0])[list(self.settings)])

    def _tried(self, measure: str) -> pd.DataFrame:
        """Rows of a measure's table of the points, without the base, where it is known."""
        rows = self.table(measure)
        return rows[(rows[POINT] != self.base) & rows["mean"].notna()]


@at_work()
def sweep(
    overrides: Sequence[str],
    settings: Settings,
    *,
    design: str = "grid",
    points: int | None = None,
    table: str | Path | None = None,
    scenarios: Sequence[str] = (),
    measures: Sequence[str] = (),
    guards: Sequence[str] | None = None,
    scenarios_dir: str | Path | None = None,
) -> Sweep:
    """Run every point of a design with the same people, and compare each with the place as it is.

    Args:
        overrides: as on the command line; those with several values, in Hydra's grammar, are varied.
        settings: how it is done; its seed is that of lhs and sobol too.
        design: grid, lhs or sobol.
        points: how many, for lhs and sobol.
        table: a CSV file of points, instead of a design; see `design.read_table`.
        scenarios: each point is run in each of these; the first is the one compared with.
        measures: what it is judged and drawn by; default `DEFAULT_MEASURES`.
        guards: measures that may not be clearly worse at the best point; default `guards.DEFAULT_GUARDS`.

    Raises PlaceError.
    """
    places, frame = compose_sweep(
        overrides,
        design=design,
        points=points,
        table=table,
        scenarios=scenarios,
        seed=settings.seed,
        scenarios_dir=scenarios_dir,
    )
    asked: dict[str, object] = {"measures": list(measures), "guards": None if guards is None else list(guards)}
    asked["design"] = TABLE if table is not None else PATH if YEAR in frame.columns else design
    result = run_all(places, settings, verb="sweep", nights=False, beside={POINTS_FILE: frame}, asked=asked)
    swept = Sweep.of(result)
    if not swept.results.empty:
        write_csv(result.out / "sweep.csv", swept.table())
        put(result.out / "sweep.parquet", swept.table().to_parquet(index=False))
    return swept


# ---------------------------------------------------------------------------------------------------------------------
# From overrides to places


def compose_sweep(
    overrides: Sequence[str],
    *,
    design: str = "grid",
    points: int | None = None,
    table: str | Path | None = None,
    scenarios: Sequence[str] = (),
    seed: int = 1,
    scenarios_dir: str | Path | None = None,
) -> tuple[dict[str, Place], pd.DataFrame]:
    """The places of a sweep by the points' names, the base first, and the table of their settings.

    Arguments as for `sweep`. Raises PlaceError, before anything runs, for the first point that cannot be.
    """
    varied, fixed = dimensions(overrides, scenarios_dir)
    chosen = [f"{SCENARIO}={scenarios[0]}"] if scenarios else []
    if chosen and any(text.startswith(f"{SCENARIO}=") for text in overrides):
        raise PlaceError("scenario: it was given beside scenarios; allowed: one of the two.")
    base = compose(*chosen, *fixed, scenarios_dir=scenarios_dir)
    if table is None:
        tried = choose([_settled(one, base) for one in varied], design, points, seed)
    elif varied or points is not None or design != "grid":
        given = varied[0].key if varied else "points" if points is not None else "design"
        raise PlaceError(f"table: {given} was given beside it; allowed: a table, or a design of settings with values.")
    else:
        tried = read_table(table)
    if len(scenarios) > 1:
        tried = tried.in_each(scenarios)
    for key in tried.keys:
        _check_key(key, tried)
    name = base.scenario.name if base.scenario.name not in tried.settings else "as it is"
    places = {name: base.read(tell=False)}
    overruled = list(base.overruled)
    for point, settings in tried.settings.items():
        composed, places[point] = _read(
            fixed if SCENARIO in settings else (*chosen, *fixed), point, tried, scenarios_dir
        )
        overruled += composed.overruled
    notices = [*tell_overruled(_worth_telling(overruled, tried)).values(), *tell_splits(places[name], base.said)]
    notices += tell_splits(places[name], {plain_key(key): "" for key in tried.keys}, varied=True)
    places[name] = with_notices(places[name], notices)
    return places, _frame(name, base, tried)


def _worth_telling(overruled: Sequence[Overruled], points: Points) -> Iterator[Overruled]:
    """What is told once of all points. A setting that is varied is there to overrule a scenario, unless several are
    compared: then they are alike in it."""
    varied = {plain_key(key) for key in points.keys}
    for one in overruled:
        if SCENARIO in varied and one.key in varied:
            yield replace(one, setting=f"{one.key}, which is varied,", alone="")
        elif one.key not in varied and (SCENARIO in varied or one.differs):
            yield one


def _check_key(key: str, points: Points) -> None:
    if plain_key(key).split(".")[0] not in SWEPT:
        where = f"{next(iter(points.lines.values())).rsplit(',', 1)[0]}, line 1: " if points.lines else ""
        allowed = "place.KEY, scenario and policy_start; for others `flowsim run -m`, since other people come then"
        raise PlaceError(f"{where}{key}: this cannot be varied in a sweep; allowed: {allowed}.")


def _read(
    fixed: Sequence[str], name: str, points: Points, scenarios_dir: str | Path | None
) -> tuple[Composition, Place]:
    """The place of one point; a mistake is told with the point, or the line and column of the table."""
    settings = points.settings[name]
    try:
        texts = [f"{key}={value}" for key, value in settings.items()]
        composed = compose(*fixed, *texts, scenarios_dir=scenarios_dir)
        return composed, composed.read(tell=False)
    except PlaceError as error:
        if name not in points.lines:
            raise PlaceError(f"{name}: {error}") from None
        words = re.findall(r"[\w.]+", str(error))
        column = next(
            (key for key in settings if any(f"{plain_key(key)}.".startswith(f"{word}.") for word in words)), ""
        )
        where = f"{points.lines[name]}, column '{column}'" if column else points.lines[name]
        raise PlaceError(f"{where}: {error}") from None


def _settled(dimension: Dimension, base: Composition) -> Dimension:
    """An interval of a setting that is a whole number now has whole numbers, unless it says otherwise itself."""
    if dimension.ends is None or dimension.whole is not None:
        return dimension
    now = value_now(base, dimension.key)
    return replace(dimension, whole=isinstance(now, int) and not isinstance(now, bool))


def _frame(base_name: str, base: Composition, points: Points) -> pd.DataFrame:
    """One row a point, the base first; numbers in the columns that have nothing else."""
    now = [base.scenario.name if key == SCENARIO else value_now(base, key) for key in points.keys]
    rows = [now, *([point.get(key) for key in points.keys] for point in points.settings.values())]
    table = pd.DataFrame(rows, columns=[plain_key(key) for key in points.keys], dtype=object)
    table = table.apply(_numbers)
    table.insert(0, POINT, [base_name, *points.settings])
    if points.years:
        table.insert(1, YEAR, [0, *points.years.values()])
    return table


def _numbers(column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    return column if (numbers.isna() & column.notna()).any() else numbers
