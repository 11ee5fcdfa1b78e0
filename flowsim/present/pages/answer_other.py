"""The answers of a run, a selection, and of the weeks ahead of a census."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from flowsim.folder.result import Result
from flowsim.measures.registry import MEASURES
from flowsim.present.pages import answer
from flowsim.present.pages.answer import MOST_NAMED, Said, in_words, level, plain
from flowsim.present.pages.cells import judged, mean_cell
from flowsim.present.pages.page import Cell, Entry, Section
from flowsim.present.pages.unfinished import still_there
from flowsim.present.titles import point_words, service_title, titled
from flowsim.present.words import NO_CHANGE, NO_MATTER, day_words, number, signed
from flowsim.questions.compare import CAPACITY_FREED as FREED
from flowsim.questions.compare import NO_CLEAR_CHANGE, SERVICE_LOAD, not_costed
from flowsim.questions.forecast import BOARDING, DELAYED, TO_BE_SEEN, extra_beds, is_forecast, weekly
from flowsim.questions.guards import blind, guards_of
from flowsim.questions.matters import least
from flowsim.questions.select import GUARDED, Selection
from flowsim.questions.sweep import Sweep

DEATHS = ("deaths_in_hospital", "expected_extra_deaths_of_waiting")
"""Never the one without the other: who is counted moves with who is there, what waiting does is in the expected."""
MOST_OPTIONS = 12
MOST_COLUMNS = 4
MOST_WEEKS = 12
SHORT = {DELAYED: "ready to leave, in hospital", BOARDING: "in A&E for a bed", TO_BE_SEEN: "to be seen in A&E"}


def of_run(result: Result) -> Section:
    """What there is, how sure, what it costs, what is fullest, what to doubt."""
    if is_forecast(result):
        return of_forecast(result)
    summary: Any = result.summary().set_index("measure")
    names = answer.shown_measures(result)
    levels = [f"{plain(name)} {_level(summary.loc[name], name)}" for name in names if name in summary.index]
    said = [*answer.range_broken(result), Said("What there is", "; ".join(levels[:3]))]
    said += [answer.how_sure(result), Said("Fullest", fullest(result)), answer.doubts(result)]
    shown = [n for n in dict.fromkeys((*names, "acute_occupancy", "los_days_mean", *DEATHS)) if n in summary.index]
    still = still_there(result)
    rows = [
        (answer.plain_and_unit(n, result), mean_cell(summary.loc[n], n, still.get((result.scenarios[0], n), "")))
        for n in shown
    ]
    return replace(answer.section(said, ("", "mean (range)"), rows), in_a_line=True)


def _level(row: Any, measure: str) -> str:
    cell = mean_cell(row, measure)
    return level(measure, float(row["mean"]), cell.low, cell.high)


def fullest(result: Result) -> str:
    """The services that are asked for most of what they can do."""
    table = result.summary(headline=False)
    load = table[(table["measure"] == SERVICE_LOAD) & (table["where"] == "all")]
    highest = load.groupby("of")["mean"].max().sort_values(ascending=False, kind="stable")
    named = [f"{service_title(result, str(name))} {100 * value:.0f} %" for name, value in highest.items() if value > 0]
    return f"asked for, of what they can do: {in_words(named)}" if named else "no service has a limit"


def guarded(result: Sweep | Selection, worse: Mapping[str, Sequence[str]]) -> str:
    """What must not become clearly worse, and which scenarios or points make something so."""
    names = guards_of(result)
    if not names:
        return "nothing is guarded (guards=[])"
    named = point_words if isinstance(result, Sweep) else partial(titled, result)
    failing = [named(name) for name, measures in worse.items() if measures]
    nobody = blind(result) or "nothing shown here makes any of it clearly worse"
    several = f"{len(failing)} of {len(result.scenarios) - 1}, shown last"
    said = f"not called best: {in_words(failing) if len(failing) <= MOST_NAMED else several}" if failing else nobody
    plainly = ", by plain 95 % intervals" if isinstance(result, Selection) else ""
    return f"{', '.join(map(plain, names))} (guards={plainly}); {said}"


def of_selection(result: Selection) -> Section:
    """Which was selected, with what promise; every scenario, ranked, with its money and with who waits at the door."""
    said = [*answer.range_broken(result), Said("Which is best", _in_titles(result, result.outcome))]
    said += [Said("How sure", result.promise)] if result.promise is not None else []
    said += [Said("Not to be made worse", guarded(result, result.asked["worse"]))]
    doubt = answer.doubts(result)
    unpriced = sum(bool(not_costed(result.places[name])) for name in result.others)
    too_well = f"{unpriced} of {len(result.others)} need what has no price, so they rank too well by money; "
    by_money = result.asked["measure"] in answer.MONEY and unpriced > 0
    said.append(Said(doubt.about, (too_well if by_money else "") + doubt.words))
    names = _beside(result)
    rows = [_option(result, row, names) for row in result.ranking.head(MOST_OPTIONS).to_dict("records")]
    return answer.section(said, ("rank: change", *(answer.plain_and_unit(name, result) for name in names)), rows)


def _beside(result: Selection) -> list[str]:
    """What is ranked by, then money and who is delayed or waits at the door.

    What is ranked by money has the worth of what is freed next to it, and neither is taken from the other.
    """
    asked, there = result.asked["measure"], answer.shown_measures(result)
    freed = [FREED] if asked in answer.MONEY and FREED in set(result.results["measure"]) else []
    money = [name for name in there if name in answer.MONEY]
    return list(dict.fromkeys((asked, *freed, *money, *there)))[:MOST_COLUMNS]


def _option(result: Selection, row: Mapping[Hashable, Any], names: Sequence[str]) -> tuple[Entry, ...]:
    """A scenario with its rank: the means of the first, and what each other changes."""
    scenario, asked = str(row["scenario"]), result.asked["measure"]
    first = scenario == result.baseline
    every: Any = (result.summary() if first else result.table()).set_index(["scenario", "measure"])
    rank = "-" if row["ended"] == GUARDED else row["rank"]
    cells: list[Entry] = []
    for name in names:
        if (scenario, name) not in every.index:
            cells.append("-")
            continue
        its, unit = every.loc[(scenario, name)], MEASURES[name].unit
        if first:
            cells.append(Cell(float(its["mean"]), unit=unit))
            continue
        words = _change(its, name, result)
        in_part = name == asked and name in answer.MONEY and not_costed(result.places[scenario])
        cells.append(costed_in_part(words) if in_part else words)
    return f"{rank}: {titled(result, scenario)}", *cells


def costed_in_part(change: str) -> str:
    """What a scenario spends of which not all has a price: more than the change that is known, where that is clear."""
    return f"over {change}" if change[:1] in "+-" else "not costed"


def _change(row: Any, measure: str, result: Result) -> str:
    """A paired difference in the fewest words: the page has its interval."""
    change = judged(str(row["change"]), float(row["difference"]), least(measure, result))
    if change == NO_CLEAR_CHANGE:
        return "unclear"
    return "none" if change in (NO_CHANGE, NO_MATTER) else signed(float(row["difference"]), MEASURES[measure].unit)


def _in_titles(result: Selection, sentence: str) -> str:
    best = result.asked["best"]
    return sentence if best is None else sentence.replace(str(best), titled(result, str(best)), 1)


# ---------------------------------------------------------------------------------------------------------------------
# The weeks ahead


def of_forecast(result: Result) -> Section:
    """The worst week with its range, what opens when, who waits outside; a row a week. Of the first scenario."""
    bands = weekly(result)
    scenario = result.scenarios[0]
    bands = bands[(bands["scenario"] == scenario) & bands["series"].isin(list(SHORT))]
    wide = {str(title): rows.set_index("week") for title, rows in bands.groupby("series", sort=False)}
    wide = {title: wide[title] for title in SHORT if title in wide and wide[title]["high_90"].any()}
    said = [
        *answer.range_broken(result),
        Said("The worst weeks", "; ".join(f"{SHORT[title]} {peak(rows)}" for title, rows in wide.items())),
    ]
    opens = [*what_opens(result, scenario), *beds_that_open(result, scenario)]
    said.append(Said("What opens when", "; ".join(opens[: answer.MOST_NAMED]) or "no ward opens or closes beds"))
    said.append(_bands_of(int(bands["n"].max()) if len(bands) else 0))
    said.append(answer.doubts(result))
    weeks = list(dict.fromkeys(bands["week"]))
    rows = [(day_words(week), *(_band(rows, week) for rows in wide.values())) for week in weeks[:MOST_WEEKS]]
    columns = ("week from", *(SHORT[title] for title in wide))
    return replace(answer.section(said, columns, rows), in_a_line=True)


def _bands_of(n: int) -> Said:
    if n < 2:
        return Said("How sure", "one run only, so no range")
    return Said("How sure", f"ranges hold eight of ten of the {n} runs made, as if every number set were right")


def peak(rows: pd.DataFrame) -> str:
    """The worst of the weeks of one series, by week: ``137 (120 to 150) in the week from 3 December``."""
    week: Any = rows["median"].idxmax()
    top = rows.loc[week]
    limits = f" ({number(float(top['low_10']))} to {number(float(top['high_90']))})" if top["n"] > 1 else ""
    return f"{number(float(top['median']))}{limits} in the week from {day_words(week)}"


def _band(rows: pd.DataFrame, week: Any) -> str | Cell:
    if week not in rows.index:
        return "-"
    row: Any = rows.loc[week]
    limits = (float(row["low_10"]), float(row["high_90"])) if row["n"] > 1 else (float("nan"), float("nan"))
    return Cell(float(row["median"]), *limits)


def what_opens(result: Result, scenario: str) -> Iterator[str]:
    """Beds on wards that open or close by plan within the time measured, each with its date."""
    place = result.places[scenario]
    table = result.capacities[result.capacities["scenario"] == scenario]
    wards = [name for name, service in place.services.items() if service.role == "ward"]
    table = table[table["of"].isin(wards)].sort_values("date", kind="stable")
    steps = table.assign(step=table.groupby(["where", "of"])["open"].diff())
    for date, step in steps.groupby("date")["step"].sum().items():
        if step and abs(step) >= 1:
            yield f"{abs(step):,.0f} beds {'open' if step > 0 else 'close'} on {day_words(pd.Timestamp(str(date)))}"


def beds_that_open(result: Result, scenario: str) -> Iterator[str]:
    """Beds that open when people queue, by hospital: how many, from when, on how many nights, in how many runs."""
    table = extra_beds(result, scenario)
    for (where, of), rows in table.groupby(["where", "of"], sort=False):
        some = rows[rows["nights"] > 0]
        n, days = len(rows), round(result.days)
        often = "" if n < 2 or len(some) == n else f" in {len(some)} of {n} runs"
        nights = f"{rows['nights'].median():,.0f}{_range(rows['nights'])} of {days} nights"
        yield (
            f"up to {some['most'].max():,.0f} extra beds in {service_title(result, str(of), str(where))}{often}, from "
            f"{_dates(some['first'])}, open on {nights}"
        )


def _range(values: pd.Series) -> str:
    """`` (3 to 9)`` of eight in ten runs, where there is more than one."""
    low, high = values.quantile(0.1), values.quantile(0.9)
    return f" ({low:,.0f} to {high:,.0f})" if len(values) > 1 and high > low else ""


def _dates(first: pd.Series) -> str:
    """The middle one of some dates, and the first and last of eight in ten where they differ."""
    quantiles: Any = (first.quantile(part, interpolation="nearest") for part in (0.1, 0.5, 0.9))
    low, middle, high = (day_words(pd.Timestamp(date)) for date in quantiles)
    return f"{middle} ({low} to {high})" if low != high else middle
