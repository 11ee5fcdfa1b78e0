"""Who waits longest to leave hospital, and why: by age, pathway, locality, days of delay and cause."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from flowsim.folder.result import Result
from flowsim.measures.registry import MEASURES, OF_WARDS
from flowsim.measures.who_waits import AND, BANDS, KINDS, OF_DELAY
from flowsim.present.pages.page import Cell, Entry, Section
from flowsim.present.titles import cause_title, unit_in
from flowsim.present.words import number
from flowsim.statistics.intervals import t_interval

HALF = 0.5
MOST_CAUSES = 6
FEWEST = 10
"""People delayed, below whom a kind is not said to wait longest: its mean is that of a few."""
CAUSE = "cause"
PEOPLE, STILL, MEAN, BED_DAYS, CAUSES = (
    "delayed_people", "delayed_still", "delay_days", "delayed_bed_days", "delayed_causes",
)  # fmt: skip
"""What the measures of a kind begin with: ``delayed_people_by_age``."""


def sections(result: Result, scenario: str = "") -> Iterator[Section]:
    """The table, its answer first, of one scenario (the first where none is named); none where there are no wards."""
    means = _means(result, scenario or result.scenarios[0])
    if OF_WARDS not in set(result.results["measure"].unique()) or means.empty:
        return
    rows = [row for kind in (*KINDS, CAUSE) for row in _rows(result, means, kind)]
    days = unit_in("delayed_bed_days", result).replace("bed-days", "days of delay")
    columns = ("", "people delayed", "still there", "mean wait, days", days, "most for")
    yield Section(
        "Who waits longest, and why", columns, tuple(rows), tuple(_sentences(result, means)), half=True, told_first=True
    )


def _means(result: Result, scenario: str) -> pd.DataFrame:
    """Mean, low and high of each measure of kinds, by measure and `of`; of a sum, what is absent is nought."""
    every = result.results
    known = [f"{name}_by_{kind}" for name in (PEOPLE, STILL, MEAN, BED_DAYS, CAUSES) for kind in (*KINDS, CAUSE)]
    every = every[(every["scenario"] == scenario) & (every["where"] == "all") & every["measure"].isin(known)]
    wide = every.pivot(index=["measure", "of"], columns="replication", values="value")
    samples = wide.to_numpy(dtype=float, copy=True)
    adds_up = np.array([MEASURES[str(name)].adds_up for name in wide.index.get_level_values("measure")], dtype=bool)
    samples[np.isnan(samples) & adds_up[:, None]] = 0.0
    _, mean, _, low, high = t_interval(samples)
    limits = {"mean": mean, "low": np.where(adds_up, np.maximum(low, 0), low), "high": high}
    return pd.DataFrame(limits, index=wide.index)


def _rows(result: Result, means: pd.DataFrame, kind: str) -> Iterator[tuple[Entry, ...]]:
    """A line with what the kind is, then one of each level that has anybody; of causes the largest alone."""
    names = _levels(means, kind)
    if kind == CAUSE:
        names = names[:MOST_CAUSES]
    if names:
        yield f"BY {KINDS.get(kind, kind).upper()}", "", "", "", "", ""
    for name in names:
        cells = [_cell(means, f"{each}_by_{kind}", name) for each in (PEOPLE, STILL, MEAN, BED_DAYS)]
        if kind == OF_DELAY and not BANDS[name]:
            cells[:2] = ["-", "-"]  # hours by day, which nobody is counted as delayed for
        words = cause_title(result, name) if kind == CAUSE else _level(result, kind, name)
        yield words, *cells, "" if kind == CAUSE else _largest(result, means, kind, [name])


def _levels(means: pd.DataFrame, kind: str) -> list[str]:
    """The levels of a kind with any delay: in their order, causes the largest first."""
    rows = _of(means, f"{BED_DAYS}_by_{kind}")
    rows = rows[rows["mean"] > 0]
    if kind == OF_DELAY:
        return [name for name in BANDS if name in rows.index]
    return list(rows.sort_values("mean", ascending=False, kind="stable").index if kind == CAUSE else rows.index)


def _of(means: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The rows of one measure by `of`."""
    rows = means[means.index.get_level_values("measure") == measure]
    return rows.set_axis(rows.index.get_level_values("of"))


def _cell(means: pd.DataFrame, measure: str, name: str) -> Entry:
    if (measure, name) not in means.index:
        return "-"
    row: Any = means.loc[(measure, name)]
    if not np.isfinite(row["mean"]):
        return "-"
    limits = () if measure.startswith(STILL) else (float(row["low"]), float(row["high"]))  # else it is too wide
    return Cell(float(row["mean"]), *limits)


def _level(result: Result, kind: str, name: str) -> str:
    """A level in words."""
    localities = next(iter(result.places.values())).localities
    if kind == OF_DELAY and not BANDS[name]:
        return "hours, no days"
    return localities[name].title if kind == "locality" and name in localities else name.replace("_", " ")


def _largest(result: Result, means: pd.DataFrame, kind: str, names: list[str]) -> str:
    """The cause that most delayed days of these levels together are charged to, and its part of them."""
    rows = _of(means, f"{CAUSES}_by_{kind}")["mean"]
    parts = [str(name).partition(AND) for name in rows.index]
    causes = [cause if level in names else "" for level, _, cause in parts]
    by_cause = rows.groupby(causes).sum().drop("", errors="ignore")
    if by_cause.empty:
        return "-"
    return f"{cause_title(result, str(by_cause.idxmax()))}, {100 * by_cause.max() / by_cause.sum():.0f} %"


def _sentences(result: Result, means: pd.DataFrame) -> Iterator[str]:
    """Whose half of the delayed days is, and what for; who waits longest on average; what the columns are."""
    days, people = (_of(means, f"{name}_by_{OF_DELAY}")["mean"].reindex([*BANDS], fill_value=0.0)
                    for name in (BED_DAYS, PEOPLE))  # fmt: skip
    if not days.sum():
        yield "Nobody who is ready to leave waits in an acute bed."
        return
    share = days[::-1].cumsum() / days.sum()
    longest = share[share < HALF].index.tolist()
    longest = [*longest, share.index[len(longest)]]
    said = f"{people[longest].sum():,.0f} people delayed {BANDS[longest[-1]]} days or more"
    if longest[-1] == next(iter(BANDS)):
        said = "people delayed for hours, not days"
    yield (
        f"Half of the delayed days ({100 * share[longest[-1]]:.0f} %) are those of {said}, of {people.sum():,.0f} "
        f"delayed; the largest cause of theirs is {_largest(result, means, OF_DELAY, longest)}."
    )
    if top := [words for kind in ("age", "pathway", "locality") if (words := _longest(result, means, kind))]:
        yield f"Longest on average: {', '.join(top)}."
    yield (
        "People delayed left a day or more after they were recognised, or still wait at the end, their days so far "
        "counted. Delayed days are those within the time measured, hours by day too; of a cause, people and days "
        "are those whose delay some is charged to it."
    )


def _longest(result: Result, means: pd.DataFrame, kind: str) -> str:
    """Of one kind who waits longest on average, with the days; nothing where it cannot be told from all together."""
    people = _of(means, f"{PEOPLE}_by_{kind}")["mean"]
    people = people[people >= FEWEST]
    waits = _of(means, f"{MEAN}_by_{kind}").reindex(people.index)
    if len(waits) < 2:
        return ""
    longest: Any = waits["mean"].idxmax()
    of_all = float((waits["mean"] * people).sum() / people.sum())
    if not waits["low"][longest] > of_all:
        return ""
    level = _level(result, kind, str(longest))
    named = level if level.startswith(kind) else f"{KINDS[kind]} {level}"
    return f"{named} ({number(float(waits['mean'][longest]))} days; all {number(of_all)})"
