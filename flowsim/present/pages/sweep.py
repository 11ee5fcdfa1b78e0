"""The page of a sweep: its best points and which settings matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from flowsim.measures.registry import HEADLINE
from flowsim.place import counted
from flowsim.present.pages import trouble, worth
from flowsim.present.pages.page import Cell, Entry, Section
from flowsim.present.titles import point_words, title_and_unit, titled
from flowsim.present.words import setting
from flowsim.questions.design import SCENARIO
from flowsim.questions.guards import in_words, told
from flowsim.questions.sweep import POINT, YEAR, Sweep

MOST_POINTS_BRIEF, MOST_POINTS = 8, 50
FITTED = " These points are no full grid, so both are from a least-squares fit with a curve for each setting."


def subject(result: Sweep) -> str:
    """What was asked, for the title."""
    if result.is_path:
        return f"{counted(int(result.points[YEAR].max()), 'year')} of {', '.join(result.labels.values())}"
    if result.has_options:
        return f"{counted(len(result.places) - 1, 'option')} compared with the place as it is"
    return f"{counted(len(result.places) - 1, 'point')} of {', '.join(result.labels.values())}"


def sections(result: Sweep, brief: bool) -> Iterator[Section]:
    """Everything that is told of a sweep; fewer points where `brief`."""
    yield from trouble.sections(result)
    if result.results.empty:
        return
    yield year_by_year(result) if result.is_path else best_points(result, brief)
    yield from what_matters(result)
    yield from worth.sections(result)


def best_points(result: Sweep, brief: bool) -> Section:
    """The point that leaves all as it is, then the best by the first measure; fewer where `brief`."""
    first = result.asked_measures[0]
    best = result.best(first).head(MOST_POINTS_BRIEF if brief else MOST_POINTS)
    tables = {name: result.table(name).set_index(POINT) for name in result.asked_measures}
    named = ranked_names(result, first)
    named[result.base] += " (nothing varied)"
    rows = tuple((named[point], *_measured(point, tables)) for point in (result.base, *map(str, best[POINT])))
    failing = {point: names for point, names in result.worse.items() if names}
    if failing:
        rows = tuple(
            (*row, in_words(failing.get(point, ())))
            for row, point in zip(rows, (result.base, *map(str, best[POINT])), strict=True)
        )
    columns = ("point", *(title_and_unit(name, result) for name in tables), *(("clearly worse",) if failing else ()))
    side = "most" if HEADLINE[first].better > 0 else "least"
    of_them = len(result.points) - 1
    shown = f"the best {len(best)} of {of_them}" if len(best) < of_them else f"all {of_them}"
    sentences = (
        f"First the place as it is, then {shown} points by {HEADLINE[first].title.lower()} ({side} first): the mean, "
        f"and the paired difference to the first row with its 95 % interval. Every point: {result.out / 'sweep.csv'}.",
        told(result, base_title(result)),
        *_failing(len(failing), of_them),
        "The best of many points looks better than it is: run it again with another seed, or ask flowsim select.",
    )
    return Section("The best points", columns, rows, sentences)


def year_by_year(result: Sweep) -> Section:
    """Today, then every year of a path in order."""
    tables = {name: result.table(name).set_index(POINT) for name in result.asked_measures}
    rows = [(f"{base_title(result)} (today)", *_measured(result.base, tables))]
    rows += [(point_title(result, point), *_measured(point, tables)) for point in result.scenarios[1:]]
    sentence = (
        "Each year is a run of its own, in which demand or supply has come so far along the path and all else is as "
        "today: the mean, and the paired difference to the first row with its 95 % interval. "
        f"Every measure: {result.out / 'sweep.csv'}."
    )
    columns = ("year", *(title_and_unit(name, result) for name in tables))
    return Section("Year by year", columns, tuple(rows), (sentence,))


def _failing(failing: int, of_them: int) -> Iterator[str]:
    """How many points fail a guard, where there are any."""
    if failing == of_them:
        yield "Every point makes one of them clearly worse: none is better than to leave things as they are."
    elif failing:
        yield f"{counted(failing, 'point')} fail{'s' if failing == 1 else ''} a guard: shown last, and not ranked."


def base_title(result: Sweep) -> str:
    """What the point is called that leaves every setting as it is; points by design have its title too."""
    return result.places[result.base].scenario.title or result.base


def point_title(result: Sweep, point: str) -> str:
    """What a point is called: one that is a scenario by its title, one that somebody named by that."""
    if point == result.base:
        return base_title(result)
    if result.is_path and SCENARIO in result.settings:
        return f"{scenario_title(result, point)}, {point_words(point.rpartition(',')[2])}"
    return titled(result, point) if result.settings == (SCENARIO,) else point_words(point)


def scenario_title(result: Sweep, point: str) -> str:
    """The title of the scenario that a point is a state of."""
    scenario = result.places[point].scenario
    return scenario.title or point_words(scenario.name)


def ranked_names(result: Sweep, measure: str) -> dict[str, str]:
    """What each point is called: the base by its title, the others by their rank in a measure and their name.

    A point that fails a guard has no rank.
    """
    named = {result.base: base_title(result)}
    for rank, point in enumerate(result.best(measure)[POINT].astype(str), start=1):
        place = "not ranked" if result.worse.get(point) else str(rank)
        named[point] = f"{place}: {point_title(result, point)}"
    return named


def _measured(point: str, tables: Mapping[str, pd.DataFrame]) -> Iterator[Entry]:
    """The mean of each measure at a point, and its difference to the base."""
    for name, table in tables.items():
        if point not in table.index:
            yield "-"
            continue
        row: Any = table.loc[point]
        unit = HEADLINE[name].unit
        paired = None
        if np.isfinite(row["difference"]):
            limits = float(row["difference_low"]), float(row["difference_high"])
            paired = Cell(float(row["difference"]), *limits, unit, str(row["change"]))
        yield Cell(float(row["mean"]), unit=unit, difference=paired)


def what_matters(result: Sweep) -> Iterator[Section]:
    """Settings by how much of the variance each explains, where there are several."""
    if len(result.settings) < 2 or result.is_path:
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
            Cell(round(row["share"]), note="{} %"),
            Cell(row["lowest"], unit=unit, note=f"{{}} at {setting(row['lowest_at'])}"),
            Cell(row["highest"], unit=unit, note=f"{{}} at {setting(row['highest_at'])}"),
        )
        for row in result.ranking(first).to_dict("records")
    )
    sentence = (
        "The share of the variance between points that each setting explains by itself within the values tried, and "
        "the lowest and highest mean at one of its values, the others being as they are on average; what is missing "
        f"to 100 % is what settings do together, and chance.{'' if result.is_full_grid else FITTED}"
    )
    yield Section(heading, ("setting", "explains", "lowest mean", "highest mean"), rows, (sentence,))
