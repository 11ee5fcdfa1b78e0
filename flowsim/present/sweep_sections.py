"""What a sweep found, said in tables: its best points and which settings matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from flowsim.measures.registry import HEADLINE
from flowsim.present.sections import Section, difference_text
from flowsim.present.words import number, setting, with_scaled_unit
from flowsim.questions.sweep import POINT, Sweep

MOST_POINTS_BRIEF, MOST_POINTS = 8, 50
FITTED = " These points are no full grid, so both are from a least-squares fit with a curve for each setting."


def points(result: Sweep, brief: bool) -> Iterator[Section]:
    """The best points and what matters; `brief` has fewer points."""
    first = result.asked_measures[0]
    best = result.best(first).head(MOST_POINTS_BRIEF if brief else MOST_POINTS)
    tables = {name: result.table(name).set_index(POINT) for name in result.asked_measures}
    named = ranked_names(result, first)
    named[result.base] += " (nothing varied)"
    rows = tuple((named[point], *_measured(point, tables)) for point in (result.base, *map(str, best[POINT])))
    columns = ("point", *(with_scaled_unit(name, result) for name in tables))
    side = "most" if HEADLINE[first].better > 0 else "least"
    of_them = len(result.points) - 1
    shown = f"the best {len(best)} of {of_them}" if len(best) < of_them else f"all {of_them}"
    sentences = (
        f"First the place as it is, then {shown} points by {HEADLINE[first].title.lower()} ({side} first): the mean, "
        f"and the paired difference to the first row with its 95 % interval. Every point: {result.out / 'sweep.csv'}.",
        "The best of many points looks better than it is: run it again with another seed, or ask flowsim select.",
    )
    yield Section("The best points", columns, rows, sentences)
    yield from _what_matters(result)


def base_title(result: Sweep) -> str:
    """What the point is called that leaves every setting as it is; points by design have its title too."""
    return result.places[result.base].scenario.title or result.base


def ranked_names(result: Sweep, measure: str) -> dict[str, str]:
    """What each point is called: the base by its title, the others by their rank in a measure and their name."""
    named = {result.base: base_title(result)}
    for rank, point in enumerate(result.best(measure)[POINT], start=1):
        named[str(point)] = f"{rank}: {str(point).replace('_', ' ').replace(',', ', ')}"
    return named


def _measured(point: str, tables: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """The mean of each measure at a point, and its difference to the base."""
    for name, table in tables.items():
        if point not in table.index:
            yield "-"
            continue
        row: Any = table.loc[point]
        unit = HEADLINE[name].unit
        paired = {"low": row["difference_low"], "high": row["difference_high"]}
        paired |= {"difference": row["difference"], "change": row["change"]}
        change = f"\n{difference_text(paired, unit, brief=True)}" if np.isfinite(row["difference"]) else ""
        yield number(float(row["mean"]), unit) + change


def _what_matters(result: Sweep) -> Iterator[Section]:
    """Settings by how much of the variance each explains, where there are several."""
    if len(result.settings) < 2:
        return
    first = result.asked_measures[0]
    heading = f"Which settings matter to {HEADLINE[first].title.lower()}"
    if result.unrankable:
        yield Section(heading, sentences=(result.unrankable,))
        return
    unit = HEADLINE[first].unit
    rows = tuple(
        (
            result.labels[row["setting"]],
            f"{row['share']:.0f} %",
            f"{number(row['lowest'], unit)} at {setting(row['lowest_at'])}",
            f"{number(row['highest'], unit)} at {setting(row['highest_at'])}",
        )
        for row in result.ranking(first).to_dict("records")
    )
    sentence = (
        "The share of the variance between points that each setting explains by itself within the values tried, and "
        "the lowest and highest mean at one of its values, the others being as they are on average; what is missing "
        f"to 100 % is what settings do together, and chance.{'' if result.is_full_grid else FITTED}"
    )
    yield Section(heading, ("setting", "explains", "lowest mean", "highest mean"), rows, (sentence,))
