"""The page of a comparison: what each scenario changes, breaks and costs, and how well that is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from flowsim.measures.registry import HEADLINE
from flowsim.present.pages import costs, forecast, national, parts, trouble, worth
from flowsim.present.pages.answer_compare import risen, where_it_differs
from flowsim.present.pages.cells import CLOSED, difference_cell, mean_cell, more_than_full
from flowsim.present.pages.page import Cell, Entry, Section
from flowsim.present.pages.unfinished import still_there, still_waiting
from flowsim.present.titles import (
    in_force,
    key_measures,
    replication_count,
    service_title,
    title_and_unit,
    titled,
    unit_in,
)
from flowsim.present.words import NO_CHANGE, number, signed
from flowsim.questions.compare import NO_CLEAR_CHANGE, Comparison, where_pairing_does_not_help
from flowsim.questions.matters import least

ENOUGH_FOR_VARIANCES = 30
"""Replications from which a ratio of variances is known to about a factor of two."""
MOST_SERVICES = 5
READ_TOGETHER = (
    "Read delay together with the hidden wait: earlier recognition can raise the measured delay while the stay falls."
)
READ_TOGETHER_OF = {"delay_days_mean", "hidden_wait_days_mean"}
IN_THE_EMERGENCY_DEPARTMENT = ("boarding_hours_mean", "trolley_12_hour_count", "ed_12_hour_share")
"""Measures that show people who wait in the emergency department and so cannot be delayed on a ward."""
DEATHS = "deaths_in_hospital"
EXPECTED_DEATHS = "expected_extra_deaths_of_waiting"
DEATHS_MOVE = (
    "Read the two lines on deaths together. No effect on deaths in hospital is built in: a scenario moves them only by "
    "who is in hospital, for how long, and whose stay ends within the time measured. What long waits for a bed do is "
    "in the deaths expected of them by published evidence, among those admitted alone; nobody here dies of it."
)
STILL_THERE = (
    "Who is still there at the end stands beside what they could turn: their stay or wait counts only so far, or not "
    "yet, and a scenario that keeps more of them may look shorter for it."
)


def subject(result: Comparison) -> str:
    """What was asked, for the title."""
    if result.is_part:
        return f"{titled(result, result.others[0])} against {titled(result, result.baseline)}"
    return f"{len(result.places)} scenarios compared"


def sections(result: Comparison, brief: bool) -> Iterator[Section]:
    """Everything that is told of a comparison; less where `brief`."""
    yield from trouble.sections(result, () if result.results.empty else unpaired(result))
    if result.results.empty:
        return
    yield from where_it_differs(result)
    yield from forecast.sections(result)
    yield from what_changes(result, brief)


def what_changes(result: Comparison, brief: bool) -> Iterator[Section]:
    """The answer of a comparison, without trouble and the weeks ahead."""
    yield differences(result, brief)
    yield from parts.sections(result, brief)
    yield from breaks_next(result)
    yield from costs.sections(result, brief)
    yield from evidence(result)
    yield from worth.sections(result)
    if not brief:
        yield from pairing(result)
        yield detectable(result)
        yield national.section(result, result.differences)
        yield worth.definitions(result)


def differences(result: Comparison, brief: bool) -> Section:
    """Every headline measure: its mean in the first scenario, and what each other changes; `brief` has the key ones."""
    summary = result.summary()
    first = summary[summary["scenario"] == result.baseline].set_index("measure")
    table: Any = result.table().set_index(["measure", "scenario"])
    rows: list[tuple[Entry, ...]] = []
    still = still_there(result)
    for name in key_measures(result) if brief else HEADLINE:
        if name not in first.index:
            continue
        cells: list[Entry] = [mean_cell(first.loc[name], name, still.get((result.baseline, name), ""))]
        for scenario in result.others:
            row = table.loc[name, scenario] if (name, scenario) in table.index else None
            beside = still.get((scenario, name), "")
            unit, matters = HEADLINE[name].unit, least(name, result)
            cells.append("-" if row is None else difference_cell(row, unit, brief, matters, beside))
        rows.append((title_and_unit(name, result), *cells))
    columns = ("", titled(result, result.baseline), *(titled(result, name) for name in result.others))
    heading = f"What changes, compared with {titled(result, result.baseline)}"
    deaths = result.table().query("measure in [@DEATHS, @EXPECTED_DEATHS]")
    deaths_move = not brief and deaths["change"].isin(["more", "less"]).any()
    sentences = (
        *_waiting_elsewhere(result),
        *_over_which_days(result),
        _how_to_read(result, brief),
        *([READ_TOGETHER] if set(first.index) >= READ_TOGETHER_OF else []),
        *([DEATHS_MOVE] if deaths_move else []),
        *([STILL_THERE] if still else []),
        *more_than_full(result),
        *forecast.not_beside_others(result),
    )
    return Section(heading, columns, tuple(rows), sentences)


def _over_which_days(result: Comparison) -> Iterator[str]:
    """One sentence a scenario with dates: over which days its numbers are, and how to see the others."""
    days = round(result.days)
    for scenario in result.others:
        held, dates = in_force(result, scenario)
        if not dates:
            continue
        if held >= days:
            over = f"it holds on all of the {days} days measured"
        else:
            over = f"it holds on {held} of the {days} days measured, and every number is of all {days}"
        yield (
            f"{titled(result, scenario)} holds by date, {dates}: {over}. window=during measures the days on which it "
            "holds, window=after those that follow, window=all the whole run: three numbers for three questions."
        )


def _waiting_elsewhere(result: Comparison) -> Iterator[str]:
    """One sentence a scenario whose delayed patients do not rise, but clearly more wait in the emergency department."""
    table = result.table()
    for scenario in result.others:
        rows = table[(table["scenario"] == scenario) & (table["change"] == "more")]
        clearly_more = dict(zip(rows["measure"], rows["difference"], strict=True))
        waits = "; ".join(
            f"{HEADLINE[name].title.lower()} {signed(clearly_more[name])} {_spoken(name, result)}"
            for name in IN_THE_EMERGENCY_DEPARTMENT
            if name in clearly_more
        )
        if waits and "delayed_patients" not in clearly_more:
            yield (
                f"{titled(result, scenario)}: the delayed patients hide part of the waiting. Clearly more people wait "
                f"in the emergency department ({waits}), and who has no bed yet is not counted as delayed in one."
            )


def _spoken(measure: str, result: Comparison) -> str:
    """The unit of a difference: of a share it is points."""
    return "points" if HEADLINE[measure].unit == "%" else unit_in(measure, result)


def _how_to_read(result: Comparison, brief: bool) -> str:
    if replication_count(result) < 2:
        return "One replication: no interval, so no difference here can be told from chance."
    unclear = (
        "no clear change"
        if brief
        else "no clear change, and the smallest difference these replications would have shown"
    )
    return f"Each cell: the mean paired difference and its 95 % interval; where that includes no change: {unclear}."


def breaks_next(result: Comparison) -> Iterator[Section]:
    """The services that each scenario loads more."""
    ranked = result.what_breaks_next()
    if ranked.empty:
        return
    clear = pd.Series(ranked.index.isin(risen(result).index), ranked.index)
    still = still_waiting(result)
    rows: list[tuple[Entry, ...]] = []
    for scenario in result.others:
        name = titled(result, scenario)
        services = ranked[ranked["scenario"] == scenario]
        rises = clear[services.index]
        services = services[rises].head(MOST_SERVICES) if rises.any() else services.head(1)
        for row in services.to_dict("records"):
            load = _load(row)
            waits = Cell(row["wait_difference"], change=_side(row["wait_change"]))
            words, beside = f"{{}} {row['wait_unit']}", still.get((scenario, "all", row["service"]), "")
            wait = Cell(row["wait"], unit=row["wait_unit"], note=words, difference=waits, beside=beside)
            rows.append((name, service_title(result, row["service"]), load, wait))
            name = ""
    columns = ("scenario", "service", "offered load (change)", "mean wait (change)")
    sentence = (
        "Services whose load or wait clearly rises (where none does, the one nearest to it), ranked by both together; "
        "with an offered load at or above 1 the queue grows until people give up."
    )
    yield Section("What breaks next", columns, tuple(rows), (sentence,), in_a_line=True)


def _load(row: Mapping[Any, Any]) -> Entry:
    """A load with its change; closed where nothing is open, or was before."""
    change = Cell(row["load_difference"], change=_side(row["load_change"]))
    if np.isinf(row["load"]):
        return CLOSED
    if np.isinf(row["load_difference"]):
        return Cell(row["load"], note=f"{{}} ({CLOSED} before)")
    return Cell(row["load"], difference=change)


def _side(change: str) -> str:
    """How a difference without an interval is judged."""
    return change if change in (NO_CLEAR_CHANGE, NO_CHANGE) else "changed"


def evidence(result: Comparison) -> Iterator[Section]:
    """What the scenarios say is known about effects like these."""
    having: dict[str, list[str]] = {}
    for scenario in result.others:
        for source, text in result.places[scenario].scenario.evidence.items():
            having.setdefault(f"{text} ({source})", []).append(titled(result, scenario))
    if having:
        sentences = tuple(f"{', '.join(names)}: {text}" for text, names in having.items())
        yield Section("What the evidence says about sizes like these", sentences=sentences)


def detectable(result: Comparison) -> Section:
    """The smallest difference of each measure that so many replications would find."""
    table = result.table().pivot(index="measure", columns="scenario", values="smallest_detectable")
    rows: tuple[tuple[Entry, ...], ...] = tuple(
        (
            title_and_unit(name, result),
            *(Cell(float(table[s].get(name, np.nan)), unit=HEADLINE[name].unit) for s in result.others),
        )
        for name in HEADLINE
        if name in table.index
    )
    columns = ("", *(titled(result, name) for name in result.others))
    sentence = (
        "The true difference that four comparisons in five with this many replications would find to be clear: "
        "(t(0.975) + t(0.80)) x sd of the paired differences / square root of n."
    )
    return Section("The smallest difference that would have shown", columns, rows, (sentence,))


def pairing(result: Comparison) -> Iterator[Section]:
    """How many times more replications other people in each scenario would take."""
    gain = result.pairing_gain()
    if gain.empty:
        return
    table = gain.pivot(index="measure", columns="scenario", values="ratio")
    rows = tuple(
        (HEADLINE[name].title, *(_times(float(table[s].get(name, np.nan))) for s in result.others if s in table))
        for name in HEADLINE
        if name in table.index
    )
    columns = ("", *(titled(result, name) for name in result.others if name in table))
    sentence = (
        "How many times more replications it would take to know a difference as well if other people came in each "
        "scenario: the variance of the unpaired difference over that of the paired."
    )
    n = int(gain["n"].max())
    rough = f"From {n} replications these are rough estimates: more may well give half or twice as much."
    sentences = (sentence, rough) if n < ENOUGH_FOR_VARIANCES else (sentence,)
    yield Section("What it gains that the same people come", columns, rows, sentences)


def _times(ratio: float) -> Entry:
    if np.isinf(ratio):
        return "every difference equal"
    return Cell(ratio, note="{} times") if np.isfinite(ratio) else "-"


def unpaired(result: Comparison) -> Iterator[str]:
    """One sentence a scenario in whose differences pairing does not help."""
    for scenario, rows in where_pairing_does_not_help(result.pairing_gain()).groupby("scenario", sort=False):
        named = ", ".join(f"{row['title']} ({number(row['ratio'])})" for row in rows.to_dict("records"))
        yield (
            f"In {titled(result, str(scenario))} it does not help that the same people come (unpaired over paired "
            f"variance at most 1): {named}."
        )
