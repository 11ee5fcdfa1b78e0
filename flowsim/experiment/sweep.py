"""Many points of a place in one experiment: every point is a scenario, and the same people come in all of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flowsim.compose import Composition, Dimension, compose, dimensions, value_now
from flowsim.experiment.compare import paired_differences
from flowsim.experiment.design import SCENARIO, Points, choose, plain_key, read_table, short_keys
from flowsim.experiment.result import Result
from flowsim.experiment.runner import run_all
from flowsim.experiment.store import Store, write_csv
from flowsim.measures.headline import HEADLINE, MEASURES
from flowsim.place import Place, PlaceError, refuse
from flowsim.settings import Settings

POINT = "point"
POINTS_FILE = "points.csv"
SWEPT = ("place", SCENARIO, "policy_start")
"""What may be varied: what the same people can live through. Anything else makes another run."""
DEFAULT_MEASURES = ("delayed_patients", "acute_occupancy", "boarding_hours_mean", "cost_total")
"""What a sweep is judged and drawn by where nobody says; the first decides which points are best."""
GROUPS = 10
"""Most groups into which an interval is cut to see how much of the variance it explains."""


class Sweep(Result):
    """A result of many points; the first scenario is the place as it is, with which each point is compared."""

    @property
    def base(self) -> str:
        """The point that leaves every setting as it is."""
        return self.scenarios[0]

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row a point, the base first: `point` and a column a setting (what the base has now, in its row)."""
        return pd.read_csv(self.out / POINTS_FILE)

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings that were varied."""
        return tuple(name for name in self.points.columns if name != POINT)

    @property
    def asked_measures(self) -> tuple[str, ...]:
        """What it is judged and drawn by (by default, of those that vary); the first decides which points are best."""
        if asked := self.manifest.get("measures"):
            return tuple(asked)
        values = self.results[self.results["where"] == "all"].groupby("measure")["value"].nunique()
        return tuple(name for name in DEFAULT_MEASURES if values.get(name, 0) > 1) or DEFAULT_MEASURES[:1]

    @property
    def labels(self) -> dict[str, str]:
        """The settings that were varied, in few words."""
        return short_keys(self.settings)

    @cached_property
    def results(self) -> pd.DataFrame:
        """Of each cell the headline measures of the whole place, and the checks; `results.parquet` has all of them.

        Columns scenario, replication, measure, where, unit, value.
        """
        checks = [name for name in MEASURES if name.startswith("check_")]
        store = Store(self.out)
        parts = [store.results(list(HEADLINE), ["all"]), store.results(checks)]
        return pd.concat(parts, ignore_index=True)

    @cached_property
    def differences(self) -> pd.DataFrame:
        """Every paired difference of a headline measure to the base; see `compare.paired_differences`."""
        headline = self.results[self.results["where"] == "all"]
        return paired_differences(headline, self.base, self.scenarios[1:])

    def table(self, measure: str | None = None) -> pd.DataFrame:
        """One row a (point, measure), as `sweep.csv`; with a name of a measure those of this one.

        Columns: point, the settings, measure, unit, n, mean, low, high (95 % interval), difference (paired, to the
        base), difference_low, difference_high and change. Raises PlaceError for a name that is none.
        """
        if measure is None:
            return self._table
        known = self._table["measure"].unique()
        if measure not in known:
            raise refuse("measure", measure, "one of", known)
        return self._table[self._table["measure"] == measure].reset_index(drop=True)

    @cached_property
    def _table(self) -> pd.DataFrame:
        means = self.summary().rename(columns={"scenario": POINT}).drop(columns="where")
        paired = self.differences.rename(
            columns={"scenario": POINT, "low": "difference_low", "high": "difference_high"}
        )
        paired = paired[[POINT, "measure", "difference", "difference_low", "difference_high", "change"]]
        found = self.points.merge(means, on=POINT, how="left").merge(paired, on=[POINT, "measure"], how="left")
        return found[found["measure"].notna()].reset_index(drop=True)

    def best(self, measure: str | None = None) -> pd.DataFrame:
        """Rows of a measure's `table` (default: the first asked for), the best point first; without the base."""
        measure = measure or self.asked_measures[0]
        found = self.table(measure)
        found = found[found[POINT] != self.base]
        return found.sort_values("mean", ascending=HEADLINE[measure].better <= 0, kind="stable", ignore_index=True)

    def ranking(self, measure: str | None = None) -> pd.DataFrame:
        """How much each setting matters to a measure (default: the first asked for); see `rank_settings`."""
        found = self.table(measure or self.asked_measures[0])
        found = found[found[POINT] != self.base]
        return rank_settings(found[list(self.settings)], found["mean"])


def sweep(
    overrides: Sequence[str],
    settings: Settings,
    *,
    design: str = "grid",
    points: int | None = None,
    table: str | Path | None = None,
    scenarios: Sequence[str] = (),
    measures: Sequence[str] = (),
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
    result = run_all(places, settings, verb="sweep", census=False, beside={POINTS_FILE: frame})
    store = Store(result.out)
    store.write_manifest({**store.manifest, "measures": list(measures)})
    found = Sweep(result.out, result.places, result.failures, result.notices, result.interrupted)
    if not found.results.empty:
        write_csv(result.out / "sweep.csv", found.table())
        found.table().to_parquet(result.out / "sweep.parquet", index=False)
    return found


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
        found = choose([_settled(one, base) for one in varied], design, points, seed)
    elif varied or points is not None or design != "grid":
        given = varied[0].key if varied else "points" if points is not None else "design"
        raise PlaceError(f"table: {given} was given beside it; allowed: a table, or a design of settings with values.")
    else:
        found = read_table(table)
    if len(scenarios) > 1:
        found = found.in_each(scenarios)
    for key in found.keys:
        _check_key(key, found)
    name = base.scenario.name if base.scenario.name not in found.settings else "as it is"
    places = {name: base.read()}
    for point, settings in found.settings.items():
        places[point] = _read(fixed if SCENARIO in settings else (*chosen, *fixed), point, found, scenarios_dir)
    return places, _frame(name, base, found)


def _check_key(key: str, points: Points) -> None:
    if plain_key(key).split(".")[0] not in SWEPT:
        where = f"{next(iter(points.lines.values())).rsplit(',', 1)[0]}, line 1: " if points.lines else ""
        allowed = "place.KEY, scenario and policy_start; for others `flowsim run -m`, since other people come then"
        raise PlaceError(f"{where}{key}: this cannot be varied in a sweep; allowed: {allowed}.")


def _read(fixed: Sequence[str], name: str, points: Points, scenarios_dir: str | Path | None) -> Place:
    """The place of one point; a mistake is told with the point, or the line and column of the table."""
    settings = points.settings[name]
    try:
        texts = [f"{key}={value}" for key, value in settings.items()]
        return compose(*fixed, *texts, scenarios_dir=scenarios_dir).read()
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
    return table


def _numbers(column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    return column if (numbers.isna() & column.notna()).any() else numbers


# ---------------------------------------------------------------------------------------------------------------------
# Which settings matter


def rank_settings(settings: pd.DataFrame, values: pd.Series) -> pd.DataFrame:
    """Settings by how much of the variance of a measure over the points each explains by itself, most first.

    The share is that of the variance between the means of groups (each value a group; many numbers are cut into at most
    ten groups of equal size): a first-order sensitivity index estimated by groups (E. Plischke 2010, Reliability
    Engineering and System Safety 95). Unless the points are a full grid, where the other settings are the same in each
    group, it is freed of what groups of pure chance would explain, ``1 - (1 - R2)(n - 1)/(n - groups)``, at least
    nought. Columns setting, share (%; NaN where every group is one point), lowest and highest (mean of the measure in
    the lowest and in the highest group), lowest_at, highest_at (that group's value, or the mean of its values).
    """
    full_grid = len(settings) == settings.nunique(dropna=False).prod() and not settings.duplicated().any()
    rows: list[list[Any]] = []
    for name in settings.columns:
        groups = _groups(settings[name], full_grid)
        means = values.groupby(groups).mean()
        at = settings[name].groupby(groups).mean() if pd.api.types.is_numeric_dtype(settings[name]) else None
        ends = [int(np.argmin(means.to_numpy())), int(np.argmax(means.to_numpy()))]
        places = means.index[ends] if at is None else at.to_numpy()[ends]
        rows.append([name, _explained(values, groups, full_grid), *means.to_numpy()[ends], *places])
    columns = ["setting", "share", "lowest", "highest", "lowest_at", "highest_at"]
    return pd.DataFrame(rows, columns=columns).sort_values("share", ascending=False, kind="stable", ignore_index=True)


def _groups(column: pd.Series, full_grid: bool) -> pd.Series:
    """The group of each point: its value, or its tenth where nearly every point has a number of its own."""
    if not full_grid and pd.api.types.is_numeric_dtype(column) and column.nunique() > len(column) / 2:
        most = max(2, min(GROUPS, len(column) // 5))
        return pd.Series(pd.qcut(column.rank(method="first"), most, labels=False), index=column.index)
    return column.astype(object).where(column.notna(), "as it is")


def _explained(values: pd.Series, groups: pd.Series, full_grid: bool) -> float:
    """Per cent."""
    n, number = len(values), groups.nunique()
    total = float(((values - values.mean()) ** 2).sum())
    if n <= number and not full_grid:
        return np.nan
    if number < 2 or total == 0:
        return 0.0
    within = float(((values - values.groupby(groups).transform("mean")) ** 2).sum())
    chance = 1.0 if full_grid else (n - 1) / (n - number)
    return 100 * max(0.0, 1 - within / total * chance)
