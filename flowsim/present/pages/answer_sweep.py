"""The answers of a sweep: which point is best, which of the options that somebody named, or what the years bring."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from flowsim.measures.registry import HEADLINE
from flowsim.present.pages import answer
from flowsim.present.pages.answer import Said, changed, in_words, level, plain
from flowsim.present.pages.answer_other import guarded
from flowsim.present.pages.cells import judged, mean_cell
from flowsim.present.pages.page import Cell, Section
from flowsim.present.pages.sweep import point_title, scenario_title
from flowsim.questions.design import SCENARIO
from flowsim.questions.matters import least
from flowsim.questions.sweep import POINT, YEAR, Sweep

MOST_POINTS, MOST_OPTIONS = 6, 12
FEW_OPTIONS, FEW_YEARS = 4, 6
"""Up to which there is room on a screen for names in full, and for several measures."""
MOST_MEASURES, LONGEST_OPTION = 4, 44
"""Columns of measures, of which options have one less or, being many, one alone; characters of the names of many."""


def of_sweep(result: Sweep) -> Section:
    """Which point is best by the first measure, and what it does to those who wait at the door; of a path `of_path`."""
    if result.is_path:
        return of_path(result)
    first = result.asked_measures[0]
    best = [str(point) for point in result.best(first)[POINT]]
    said = list(answer.range_broken(result, [result.base, *best[:1]]))
    if best:
        said.append(Said("Which is best" if result.has_options else "What changes", message(result, plain(first))))
    unclear = f"; the best of {len(best)} looks better than it is"
    said += [
        answer.how_sure(result, unclear + ("; rows below the first are changes" if result.has_options else "")),
        Said("Not to be made worse", guarded(result, result.worse)),
        answer.doubts(result, [result.base]),
    ]
    return _options(result, best, said) if result.has_options else _points(result, best, said)


def _points(result: Sweep, best: Sequence[str], said: Iterable[Said]) -> Section:
    """The means of the place as it is and of the best points."""
    names = _names(result, MOST_MEASURES)
    tables: dict[str, Any] = {name: result.table(name).set_index(POINT) for name in names}
    points = best[:MOST_POINTS]
    rows = [
        (point_title(result, point), *(_mean(tables[name], point, name) for name in names))
        for point in (result.base, *points)
    ]
    return answer.section(said, (_head(best, points, "point"), *_columns(result, names)), rows)


def _options(result: Sweep, best: Sequence[str], said: Iterable[Said]) -> Section:
    """The means of the place as it is, and what each option changes, with its interval."""
    few = len(best) <= FEW_OPTIONS
    names = _names(result, MOST_MEASURES - 1 if few else 1)
    tables: dict[str, Any] = {name: result.table(name).set_index(POINT) for name in names}
    points = best[:MOST_OPTIONS]
    rows = [(point_title(result, result.base), *(_mean(tables[name], result.base, name) for name in names))]
    rows += [
        (title, *(_change(tables[name], point, name, result) for name in names))
        for point, title in zip(points, _short([point_title(result, point) for point in points], few), strict=True)
    ]
    table = answer.section(said, (_head(best, points, "option"), *_columns(result, names)), rows)
    return dataclasses.replace(table, in_a_line=not few)


def _short(titles: list[str], few: bool) -> list[str]:
    """Titles of options, of many cut to a line, unless two of them are then the same; pictures have them in full."""
    cut = [title if len(title) <= LONGEST_OPTION else f"{title[: LONGEST_OPTION - 3].rstrip()}..." for title in titles]
    return titles if few or len(set(cut)) < len(cut) else cut


def _names(result: Sweep, most: int) -> list[str]:
    return list(dict.fromkeys((result.asked_measures[0], *answer.shown_measures(result))))[:most]


def _columns(result: Sweep, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(answer.plain_and_unit(name, result) for name in names)


def _head(best: Sequence[str], shown: Sequence[str], what: str) -> str:
    return f"best {len(shown)} of {len(best)}" if len(shown) < len(best) else what


def title_of(result: Sweep, shown: str, otherwise: str) -> str:
    """What stands above a picture whose first measure is `shown`: the message, where points are ranked by that."""
    first = result.asked_measures[0]
    ranked = shown == first and not result.best(first).empty
    return message(result, HEADLINE[first].title) if ranked else otherwise


def message(result: Sweep, measure: str) -> str:
    """Which point is best by the first measure, and which are not told apart from it: ``Delayed: A is best (-3 people
    against the place as it is); not told apart from it: B``. `measure`: its words."""
    first = result.asked_measures[0]
    ranked = [str(name) for name in result.best(first)[POINT]]
    point, named = ranked[0], point_title(result, ranked[0])
    paired: Any = result.differences[result.differences["scenario"] == point]
    paired = paired[(paired["where"] == "all") & (paired["of"] == "")].set_index("measure")
    if first not in paired.index:
        return f"{measure}: {named} comes first"
    row = {**paired.loc[first], "measure": first}
    clear = answer.matters(row, result)
    size = changed(first, row["difference"]) if clear else "no difference that matters and is clear"
    against = f"({size} against the place as it is)"
    # the points that fail a guard come last: where the first fails one, they all do
    worse = [f"{plain(name)} {changed(name, paired.loc[name, 'difference'])}" for name in result.worse.get(point, ())]
    if worse:
        return f"NO POINT IS BEST; {named} comes first by {measure} alone {against}, and makes worse {in_words(worse)}"
    if clear and row["difference"] * HEADLINE[first].better < 0:
        nothing = f"{measure}: NOTHING HERE IS BETTER THAN THE PLACE AS IT IS"
        return f"{nothing}; of what makes nothing else clearly worse {named} comes nearest {against}"
    best = f"{measure}: {named} {'is best' if clear else 'comes first'} {against}"
    return best + (_beside(result, ranked) if result.has_options else "")


def _beside(result: Sweep, ranked: Sequence[str]) -> str:
    """Which options cannot be told from the best; `ranked`: all of them."""
    alike = result.not_told_apart()
    if alike:
        return f"; not told apart from it: {in_words([point_title(result, name) for name in alike])}"
    return "; each other option is clearly behind it" if len(ranked) > 1 else ""


def of_path(result: Sweep) -> Section:
    """What the last year is like, from which year on the difference from today is one, and what becomes worse."""
    first = result.asked_measures[0]
    points = [str(point) for point in result.points[POINT] if point != result.base]
    few = len(points) <= FEW_YEARS
    names = _names(result, MOST_MEASURES - 1 if few else 1)
    tables: dict[str, Any] = {name: result.table(name).set_index(POINT) for name in names}
    rows = [(f"{point_title(result, result.base)} (today)", *(_mean(tables[n], result.base, n) for n in names))]
    rows += [
        (point_title(result, point), *(_change(tables[name], point, name, result) for name in names))
        for point in points
    ]
    said = [
        *answer.range_broken(result, result.scenarios),
        Said("What changes", message_of_path(result, first, plain(first))),
        Said("Worse with the years", _worse_from(result)),
        answer.how_sure(result, "; each year is a run of its own; rows below the first are changes from today"),
        answer.doubts(result, [result.base]),
    ]
    table = answer.section(said, ("year", *_columns(result, names)), rows)
    return dataclasses.replace(table, in_a_line=not few)


def message_of_path(result: Sweep, measure: str, words: str) -> str:
    """From what to what a measure goes, and when its difference from today is first clear and matters: ``Delayed: from
    132 people today to 150 in 5 years (+18 people); first clear and large enough to matter in year 3``."""
    table: Any = result.table(measure).set_index(POINT)
    last = int(result.points[YEAR].max())
    said = []
    for scenario, years in result.years_that_matter(measure).items():
        rows = table[(table[YEAR] == last) & ((table[SCENARIO] == scenario) if scenario else True)]
        if rows.empty or result.base not in table.index:
            continue
        where = f"{scenario_title(result, str(rows.index[0]))}, " if scenario else ""
        now, then = (level(measure, float(row["mean"])) for row in (table.loc[result.base], rows.iloc[0]))
        by = changed(measure, float(rows["difference"].iloc[0]))
        said.append(f"{where}from {now} today to {then} in {last} years ({by}), {year_words(years, last)}")
    return f"{words}: {'; '.join(said)}" if said else f"{words}: not known"


def year_words(years: Sequence[int], last: int) -> str:
    """From which year on the difference from today is clear and matters; not in all of those after it, maybe."""
    if not years:
        return f"in none of the {last} years clearly and by enough to matter"
    without = [str(year) for year in range(years[0], last + 1) if year not in years]
    but = f", but not in year {in_words(without)}" if without else ""
    return f"clearly and by enough to matter from {f'year {years[0]}' if years[0] else 'today'} on{but}"


def _worse_from(result: Sweep) -> str:
    """The guards that become clearly worse, each with the first year of it."""
    since: dict[str, int] = {}
    for point, year in zip(result.points[POINT], result.points[YEAR], strict=True):
        for name in result.worse.get(str(point), ()):
            since[name] = min(int(year), since.get(name, int(year)))
    named = [f"{plain(name)} from year {year}" for name, year in sorted(since.items(), key=lambda one: one[1])]
    return ", ".join(named) or "nothing that is guarded (guards=) becomes clearly worse"


def _mean(table: Any, point: str, measure: str) -> str | Cell:
    return mean_cell(table.loc[point], measure) if point in table.index else "-"


def _change(table: Any, point: str, measure: str, result: Sweep) -> str | Cell:
    if point not in table.index:
        return "-"
    row = table.loc[point]
    if not np.isfinite(row["difference"]):
        return "-"
    change = judged(str(row["change"]), float(row["difference"]), least(measure, result))
    limits = float(row["difference_low"]), float(row["difference_high"])
    return Cell(float(row["difference"]), *limits, HEADLINE[measure].unit, change)
