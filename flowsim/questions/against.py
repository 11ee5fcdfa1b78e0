"""One measure against another over the points of an experiment: where the second becomes worse fastest.

The same people come at every point, so what lies between two neighbours is a paired difference, and how steep it is a
ratio of two of them (`intervals.ratio_interval`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from flowsim.folder.result import Result
from flowsim.measures.registry import HEADLINE
from flowsim.place import PlaceError, refuse
from flowsim.questions.matters import least
from flowsim.statistics.intervals import LEVEL, ratio_interval, t_interval, t_quantile, whole

FEWEST_POINTS = 2


def against(result: Result, first: str, second: str) -> pd.DataFrame:
    """One row a scenario or point, in the order of the first measure's mean.

    Columns: point; n, the replications that have both; of the first measure x, x_low and x_high, of the second y, y_low
    and y_high: means with 95 % intervals. From the row before to this one, paired: across and up (differences of the
    first and the second) and slope (up for each unit across), each with _low and _high; slopes are NaN where across is
    not clearly more than nought. `clear`: across is clear, and up is at least the smallest that matters and clear,
    even as the steepest of so many steps: all of their intervals together hold 95 times in 100 (Bonferroni).

    Raises PlaceError for a name that is no headline measure of this result, and where fewer than two points have both.
    """
    rows = whole(result.results)
    there = [name for name in HEADLINE if (rows["measure"] == name).any()]
    for name in (first, second):
        if name not in there:
            raise refuse("against", name, "two of", there)
    if first == second:
        raise PlaceError(f"against: {first!r} was given twice; allowed: two measures.")
    wide = {
        name: rows[rows["measure"] == name].pivot(index="scenario", columns="replication", values="value")
        for name in (first, second)
    }
    points = [name for name in result.scenarios if all(name in table.index for table in wide.values())]
    both = {name: _both(wide[first].loc[name], wide[second].loc[name]) for name in points}
    both = {name: pair for name, pair in both.items() if len(pair)}
    if len(both) < FEWEST_POINTS:
        raise PlaceError(f"against: fewer than two points have {first} and {second}; allowed: two or more.")
    ordered = sorted(both, key=lambda name: float(both[name]["x"].mean()))
    table = pd.DataFrame([{"point": name, **_mean(both[name])} for name in ordered])
    befores = [None, *ordered[:-1]]
    steps = [_step(None if one is None else both[one], both[two]) for one, two in zip(befores, ordered, strict=True)]
    table = pd.concat([table, pd.DataFrame(steps)], axis=1)
    size = table["up"].abs() >= least(second, result)
    table["clear"] = (table["across_low"] > 0) & (table["up"].abs() > _needed(table)) & size
    return table


def steepest(table: pd.DataFrame, second: str) -> int | None:
    """Of a table of `against` the row to which the second measure becomes worse fastest from the row before; of one
    without a better side, to which it changes fastest. None where it becomes worse nowhere, or no slope is known."""
    better = HEADLINE[second].better
    worse = table["slope"].abs() if better == 0 else -better * table["slope"]
    worse = worse[worse > 0]
    return None if worse.empty else int(worse.sort_values(kind="stable").index[-1])


def _needed(table: pd.DataFrame) -> np.ndarray:
    """How large each step up has to be to be clear among all: half its interval, made wider for so many."""
    half = (table["up_high"] - table["up_low"]).to_numpy(dtype=float) / 2
    steps, freedom = max(1, len(table) - 1), np.maximum(table["n"].to_numpy(dtype=float) - 1, 1)
    alone, among = (t_quantile(1 - (1 - LEVEL) / 2 / many, freedom) for many in (1, steps))
    return np.asarray(half * among / alone)


def _both(first: Any, second: Any) -> pd.DataFrame:
    """The replications that have a number of both measures: columns x and y."""
    return pd.DataFrame({"x": first, "y": second}).replace([np.inf, -np.inf], np.nan).dropna()


def _mean(pair: pd.DataFrame) -> dict[str, float]:
    n, mean, _, low, high = t_interval(pair[["x", "y"]].to_numpy(dtype=float).T)
    ends = zip(("", "_low", "_high"), (mean, low, high), strict=True)
    return {"n": int(n[0])} | {f"{name}{end}": float(value[at]) for end, value in ends for at, name in enumerate("xy")}


def _step(before: pd.DataFrame | None, after: pd.DataFrame) -> dict[str, float]:
    """What lies between two neighbours, over the replications that both have."""
    names = [f"{what}{end}" for what in ("across", "up", "slope") for end in ("", "_low", "_high")]
    if before is None:
        return dict.fromkeys(names, np.nan)
    change = (after - before).dropna()
    _, mean, _, low, high = t_interval(change[["x", "y"]].to_numpy(dtype=float).T)
    slope = (np.nan, np.nan, np.nan)
    if low[0] > 0:  # else the two cannot be told apart across, and how steep it is cannot be said
        slope = ratio_interval(change["y"].to_numpy(dtype=float), change["x"].to_numpy(dtype=float))
    values = (mean[0], low[0], high[0], mean[1], low[1], high[1], *slope)
    return dict(zip(names, map(float, values), strict=True))
