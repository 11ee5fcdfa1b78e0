"""The answer of a comparison: what changes, how sure, what is spent, what fills up next, what to doubt."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from flowsim.measures.registry import HEADLINE, MEASURES
from flowsim.place import Place
from flowsim.present.pages import answer
from flowsim.present.pages.answer import Said, changed, in_words, plain
from flowsim.present.pages.answer_other import SHORT, peak
from flowsim.present.pages.cells import difference_cell, mean_cell
from flowsim.present.pages.page import Cell, Entry, Section
from flowsim.present.pages.parts import against_the_sum
from flowsim.present.pages.unfinished import still_there
from flowsim.present.titles import in_force, service_title, titled
from flowsim.present.words import NO_MATTER, number
from flowsim.questions.compare import NO_CLEAR_CHANGE, Comparison
from flowsim.questions.forecast import is_forecast, weekly
from flowsim.questions.matters import least

MOST_ROWS = 8
SPLIT = ("delayed_patients", "acute_occupancy", "boarding_hours_mean", "ed_queue_mean")
"""Measures whose change is looked at by hospital and locality."""
KEEPS = ("care_home", "community", "home_care")
"""Roles of services in which people live or are cared for, whom a closure there would have to put somewhere."""
LOAD_MATTERS = 0.02
"""Of what a service is offered over what it can do: below it no queue changes that anybody would notice."""


def section(result: Comparison) -> Section:
    """The answer of a comparison."""
    table = result.table()
    names = answer.shown_measures(result)
    said = [Said("What changes", what_changes(result, table, names))]
    said.append(answer.how_sure(result, unclear(result, table, names)))
    money = answer.money_words(result, table)
    said += [Said("Money", money)] if money else []
    said += [Said("What fills up next", fills_next(result))]
    doubt = answer.doubts(result, result.others)
    warning = next(answer.range_broken(result), None)
    if warning is not None:  # before all else, and what to doubt ends with the rest
        said = [Said(warning.about, f"{warning.words}; {doubt.words}"), *said]
    else:
        said.append(doubt)
    columns = ("change (± its 95 % range)", *(answer.plain_and_unit(name, result) for name in names))
    return answer.section(said, columns, _rows(result, table, names), half=True)


def _rows(result: Comparison, table: pd.DataFrame, names: tuple[str, ...]) -> Iterator[tuple[Entry, ...]]:
    """A row a scenario: the means of the first, and what each other changes."""
    summary = result.summary()
    first: Any = summary[summary["scenario"] == result.baseline].set_index("measure")
    paired: Any = table.set_index(["measure", "scenario"])
    still = still_there(result)
    base = result.baseline
    means = (mean_cell(first.loc[n], n, still.get((base, n), "")) if n in first.index else "-" for n in names)
    yield titled(result, base), *means
    for scenario in result.others[:MOST_ROWS]:
        keys = [(name, scenario) for name in names]
        yield (
            titled(result, scenario),
            *(
                _brief(
                    difference_cell(
                        paired.loc[key],
                        HEADLINE[key[0]].unit,
                        True,
                        least(key[0], result),
                        still.get((scenario, key[0]), ""),
                    )
                )
                if key in paired.index
                else "-"
                for key in keys
            ),
        )


def _brief(cell: Cell) -> Cell:
    """Without its interval where nothing is clear or matters, for there is little room."""
    unclear = cell.change in (NO_CLEAR_CHANGE, NO_MATTER)
    return replace(cell, low=math.nan, high=math.nan) if unclear else cell


def what_changes(result: Comparison, table: pd.DataFrame, names: tuple[str, ...]) -> str:
    """The first measure in each scenario, with what it hides: those who wait in the emergency department instead."""
    first = names[0]
    rows = table[table["measure"] == first].set_index("scenario")
    words, nothing = [], []
    sums = against_the_sum(result, first)
    order = (rows["difference"] * -MEASURES[first].better).sort_values(kind="stable").index if len(rows) else rows.index
    for scenario in order:
        row: Any = rows.loc[scenario]
        hidden = hidden_queue(result, table, str(scenario))
        real = answer.matters({**row, "measure": first}, result)
        if real or hidden:
            small = NO_CLEAR_CHANGE if row["change"] == NO_CLEAR_CHANGE else NO_MATTER
            size = changed(first, float(row["difference"])) if real else small
            of_parts = f", {sums[str(scenario)]}" if str(scenario) in sums else ""
            held = part_of_the_days(result, str(scenario))
            words.append(f"{titled(result, str(scenario))} {size}{held}{hidden}{of_parts}")
        else:
            nothing.append(titled(result, str(scenario)) + part_of_the_days(result, str(scenario)))
    start = rows["baseline"].iloc[0] if len(rows) else float("nan")
    said = "; ".join(words[: answer.MOST_NAMED]) or "nothing that matters and is clear"
    if not words and len(nothing) == 1:
        said += part_of_the_days(result, result.others[0])
    if more := len(words) - answer.MOST_NAMED:
        said += f"; {more} more in the table" if more > 0 else ""
    said += "".join(f"; {words}" for words in nobody_moved(result))
    if apart := list(by_site(result)):
        said += f"; hospitals or areas differ: {apart[0][0]}"
    same = f"; no clear difference that matters: {in_words(nothing)}" if words and nothing else ""
    base = f"{number(float(start))} in {titled(result, result.baseline)}"
    return f"{plain(first)} ({base}): {said}{same}{worst_week(result)}"


def worst_week(result: Comparison) -> str:
    """Of the weeks ahead of a census, the worst in each scenario, with the middle 80 % of runs."""
    if not is_forecast(result):
        return ""
    bands = weekly(result)
    title = next((one for one in SHORT if bands.loc[bands["series"] == one, "high_90"].any()), None)
    by_scenario = bands[bands["series"] == title].groupby("scenario", sort=False)
    each = [f"{titled(result, str(name))} {peak(rows.set_index('week'))}" for name, rows in by_scenario]
    return f"; worst week, {SHORT[title]}, eight runs in ten: {in_words(each)}" if title else ""


def part_of_the_days(result: Comparison, scenario: str) -> str:
    """Beside a number: that what a scenario has by date holds on a part only of the days that the number is of."""
    held, dates = in_force(result, scenario)
    days = round(result.days)
    if not dates or held >= days:
        return ""
    when = f"in force on {held} of the {days} days measured" if held else "after it has ended or before it begins"
    return f" ({when})"


def nobody_moved(result: Comparison) -> Iterator[str]:
    """A clause on each service outside the wards that a scenario closes a part of without moving anybody out of it.

    Else "no change" reads as if the people who live there could be done without a place.
    """
    before = result.places[result.baseline].services
    use = result.summary(headline=False)
    use = use[(use["measure"] == "service_occupancy") & (use["where"] == "all")]
    mean = use.set_index(["scenario", "of"])["mean"]
    for scenario in result.others:
        for name, service in result.places[scenario].services.items():
            if service.role not in KEEPS or service.displacements or name not in before:
                continue
            blocks = {key: one for key, one in service.blocks.items() if one != before[name].blocks.get(key)}
            now, was = (math.inf if one.capacity == "unlimited" else one.capacity for one in (service, before[name]))
            if now < was or any(block.add < 0 for block in blocks.values()):
                share = mean.get((scenario, name))
                full = "" if share is None else f" ({share:.0f} % of what is open is in use)"
                yield (
                    f"NOBODY IS MOVED out of {service.title or name} in {titled(result, scenario)}: who is there "
                    f"stays, only places that are free or fall free close{full}"
                )


def hidden_queue(result: Comparison, table: pd.DataFrame, scenario: str) -> str:
    """Words on clearly more waiting in the emergency department, which a fall of delayed patients would hide."""
    rows = table[(table["scenario"] == scenario) & table["measure"].isin(answer.AT_THE_DOOR)]
    worse = [row for row in rows.to_dict("records") if row["change"] == "more" and answer.matters(row, result)]
    told = [f"{plain(str(row['measure']))} {changed(str(row['measure']), row['difference'])}" for row in worse]
    return f", BUT MORE WAIT IN A&E ({in_words(told)})" if told else ""


def unclear(result: Comparison, table: pd.DataFrame, names: tuple[str, ...]) -> str:
    """Of the first measure, where nothing is clear: how many runs would tell."""
    rows = table[(table["measure"] == names[0]) & (table["change"] == "no clear change")]
    said = [
        f"{titled(result, str(row['scenario']))} would take about {runs:,} runs"
        for row in rows.to_dict("records")
        if (runs := answer.runs_to_tell(row, result)) > row["n"]
    ]
    return f"; to tell a change this small, {in_words(said)}" if said else ""


def fills_next(result: Comparison) -> str:
    """The service whose load or wait rises most in each scenario, where that matters and its wait does not fall."""
    rows = risen(result)
    by_service: dict[str, list[str]] = {}
    for scenario in result.others:
        its = rows[rows["scenario"] == scenario]
        if len(its):
            row = its.iloc[0]
            least_wait = MEASURES["service_wait_days_mean"].matters
            longer = row["wait_change"] == "more" and row["wait_difference"] >= least_wait
            rise = f"wait {changed('delay_days_mean', row['wait_difference'])}" if longer else "busier"
            by_service.setdefault(row["service"], []).append(f"{rise} in {titled(result, scenario)}")
    words = [f"{service_title(result, service)} {in_words(rises)}" for service, rises in by_service.items()]
    return "; ".join(words[: answer.MOST_NAMED]) or "no service is clearly busier by an amount that matters"


def risen(result: Comparison) -> pd.DataFrame:
    """Rows of `what_breaks_next` that clearly rise by what matters; none whose wait falls."""
    ranked = result.what_breaks_next()
    wait = MEASURES["service_wait_days_mean"].matters
    longer = (ranked["wait_change"] == "more") & (ranked["wait_difference"] >= wait)
    busier = (ranked["load_change"] == "more") & (ranked["load_difference"] >= LOAD_MATTERS)
    closed = np.isinf(ranked["load"])  # nothing is open, and people ask
    return ranked[closed | longer | (busier & (ranked["wait_change"] != "less"))]


def by_site(result: Comparison) -> Iterator[tuple[str, tuple[str, str]]]:
    """Words on each measure and scenario whose change at one hospital or area clearly differs from another's.

    That is where the intervals do not meet and the two are of different sign, or apart by what matters.
    """
    for _, words, key in sorted(_apart(result), key=lambda one: -one[0]):
        yield words, key


def _apart(result: Comparison) -> Iterator[tuple[float, str, tuple[str, str]]]:
    """The same in no order, each with how many times what matters they are apart."""
    split = result.differences
    split = split[split["measure"].isin(SPLIT) & (split["of"] == "") & ~split["where"].isin(["all", "residents"])]
    place = result.places[result.baseline]
    known = where_titles(place)
    for (scenario, measure), rows in split.groupby(["scenario", "measure"], sort=False):
        rows = rows[rows["where"].isin(list(known))].sort_values("difference", kind="stable")
        if len(rows) < 2:
            continue
        low, high = rows.iloc[0], rows.iloc[-1]
        apart = high["difference"] - low["difference"] >= least(str(measure), result) and high["low"] > low["high"]
        if apart:
            each = " and ".join(
                f"{known[str(row['where'])]} "
                + (changed(str(measure), row["difference"]) if answer.matters(row, result) else "no more that matters")
                for row in (low.to_dict(), high.to_dict())
            )
            times = (high["difference"] - low["difference"]) / (least(str(measure), result) or 1.0)
            words = f"{titled(result, str(scenario))}, {plain(str(measure))}: {each}"
            yield times, words, (str(scenario), str(measure))


def where_titles(place: Place) -> dict[str, str]:
    """What each hospital and area of a place is called."""
    sites = {name: site.title for name, site in place.sites.items()}
    return sites | {name: locality.title for name, locality in place.localities.items()}


def where_it_differs(result: Comparison) -> Iterator[Section]:
    """A table by hospital and area of what moves differently in them."""
    keys = [key for _, key in by_site(result)]
    if not keys:
        return
    place = result.places[result.baseline]
    known = where_titles(place)
    split = result.differences
    split = split[split["of"] == ""]
    every: Any = split.set_index(["scenario", "measure", "where"])
    shown = [where for where in known if any((*key, where) in every.index for key in keys)]
    rows = tuple(
        (
            titled(result, scenario),
            HEADLINE[measure].title,
            *(
                difference_cell(
                    every.loc[(scenario, measure, where)], MEASURES[measure].unit, True, least(measure, result)
                )
                if (scenario, measure, where) in every.index
                else "-"
                for where in shown
            ),
        )
        for scenario, measure in keys
    )
    yield Section(
        "By hospital and area, where they move differently",
        ("scenario", "measure", *(known[where] for where in shown)),
        rows,
        ("Their change differs by more than the smallest that matters, and their intervals do not meet.",),
    )
