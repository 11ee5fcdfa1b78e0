"""The page of one scenario: its headline measures, its services, what it costs."""

from __future__ import annotations

from collections.abc import Iterator

from flowsim.folder.result import Result
from flowsim.measures.registry import HEADLINE
from flowsim.present.pages import forecast, national, trouble, who_waits, worth
from flowsim.present.pages.cells import mean_cell, more_than_full, number_or_closed
from flowsim.present.pages.page import Cell, Entry, Section
from flowsim.present.pages.unfinished import still_there, still_waiting
from flowsim.present.titles import service_title, titled, unit_in
from flowsim.questions.compare import SERVICE_LOAD, SERVICE_WAIT


def subject(result: Result) -> str:
    """What was asked, for the title."""
    return titled(result, result.scenarios[0])


def sections(result: Result, brief: bool) -> Iterator[Section]:
    """Everything that is told of one scenario; less where `brief`."""
    yield from trouble.sections(result)
    if result.results.empty:
        return
    yield from forecast.sections(result)
    yield measures(result)
    yield from who_waits.sections(result)
    yield from services(result)
    yield from payers(result)
    yield from worth.sections(result)
    if not brief:
        yield national.section(result)
        yield worth.definitions(result)


def measures(result: Result) -> Section:
    """The headline measures."""
    summary = result.summary().set_index("measure")
    still = still_there(result)
    rows = tuple(
        (
            measure.title,
            unit_in(name, result),
            mean_cell(summary.loc[name], name, still.get((result.scenarios[0], name), "")),
        )
        for name, measure in HEADLINE.items()
        if name in summary.index
    )
    sentences = (*more_than_full(result), *forecast.not_beside_others(result))
    columns = ("", "unit", "mean (95 % interval)")
    return Section("Headline measures", columns, rows, sentences, in_a_line=True)


def services(result: Result) -> Iterator[Section]:
    """Every queue with its load, occupancy and wait."""
    shown = (SERVICE_LOAD, "service_occupancy", "service_queue_mean", SERVICE_WAIT)
    table = result.summary(headline=False)
    wide = table[table["measure"].isin(shown)].pivot(index=["where", "of"], columns="measure", values="mean")
    wide = wide.reindex(columns=list(shown)).sort_values(SERVICE_LOAD, ascending=False, kind="stable")
    wide = wide[wide[SERVICE_LOAD].notna()]
    still = still_waiting(result)
    rows: tuple[tuple[Entry, ...], ...] = tuple(
        (
            service_title(result, of, where),
            *(number_or_closed(float(value)) for value in values[:-1]),
            Cell(float(values[-1]), beside=still.get((result.scenarios[0], where, of), "")),
        )
        for (where, of), values in zip(wide.index, wide.to_numpy(), strict=True)
    )
    if rows:
        columns = ("service", "offered load", "occupancy %", "people waiting", "mean wait, days")
        yield Section("Services, the most heavily loaded first", columns, rows)


def payers(result: Result) -> Iterator[Section]:
    """The money spent, by payer."""
    summary = result.summary(headline=False)
    cost = summary[summary["measure"] == "money_spent"]
    if len(cost):
        cost = cost.sort_values("of", key=lambda payer: payer == "", kind="stable")
        named = cost["of"].replace("", "all payers")
        cells = (mean_cell(row, "money_spent") for row in cost.to_dict("records"))
        rows = tuple(zip(named, cells, strict=True))
        yield Section("What it costs", ("payer", unit_in("money_spent", result)), rows)
