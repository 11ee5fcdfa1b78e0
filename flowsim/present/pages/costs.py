"""What scenarios cost more or less than the first, by payer, and what a released bed-day costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from flowsim.measures.registry import HEADLINE
from flowsim.place import Place
from flowsim.present.pages.cells import difference_cell
from flowsim.present.pages.page import Cell, Entry, Section
from flowsim.present.titles import titled, unit_in
from flowsim.questions.compare import SAVING_COMES, SAVING_FAILS, Comparison


def sections(result: Comparison, brief: bool) -> Iterator[Section]:
    """The table of costs; nothing where a place knows of none. `brief`: only payers for whom something changes."""
    net = result.net_cost()
    if net.empty:
        return
    moved = net.groupby("payer", sort=False)["difference"].any()
    payers = ["all", *(payer for payer in moved.index if payer != "all" and (moved[payer] or not brief))]
    columns = ("scenario", "in acute beds", "all payers", *payers[1:], "a released bed-day")
    heading = f"What it costs ({unit_in('cost_total', result)}, difference)"
    yield Section(heading, columns, tuple(_rows(result, net, payers, brief)), tuple(_sentences(result, net)))


def _rows(result: Comparison, net: pd.DataFrame, payers: list[str], brief: bool) -> Iterator[tuple[Entry, ...]]:
    """A row a scenario and case; one case where nothing is saved or spent in acute beds."""
    by_payer: Any = net.set_index(["scenario", "case", "payer"])
    released = result.released_bed_days().set_index("scenario")
    cases = {SAVING_COMES: SAVING_COMES, SAVING_FAILS: SAVING_FAILS}
    if not net["beds"].any():
        cases = {SAVING_COMES: "cost as before"}
    for scenario in result.others:
        name: str = titled(result, scenario)
        price: Entry = released_cell(released, scenario)
        for case, words in cases.items():
            keys = [(scenario, case, payer) for payer in payers]
            unit = HEADLINE["cost_total"].unit
            cells = [difference_cell(by_payer.loc[key], unit, brief) if key in by_payer.index else "-" for key in keys]
            yield name, words, *cells, price
            name, price = "", ""


def _sentences(result: Comparison, net: pd.DataFrame) -> Iterator[str]:
    saved = sorted(net.loc[net["case"] == SAVING_FAILS, "cashable"].unique())
    shares = "nothing" if saved == [0] else " or ".join(f"{share:.0%}" for share in saved)
    yield (
        "The saving comes: every acute bed-day used less or more counts as money. It does not come: beds are staffed "
        f"whether in use or not, and {shares} of that counts (place.metrics.cashable)."
    )
    yield (
        "A released bed-day is priced by what everything but acute beds costs more, over the delayed bed-days that "
        "fall away (Fieller's 95 % interval)."
    )
    if longer := [name for name in result.others if _changes_hours(result.places[name])]:
        named = ", ".join(titled(result, name) for name in longer)
        yield f"{named}: the staff for longer hours are not in these costs, since no source gives theirs."


def _changes_hours(place: Place) -> bool:
    """Does the scenario change when people work, whose cost is not known?"""
    return any(key.startswith("calendars.") for key in place.scenario.changes)


def released_cell(released: pd.DataFrame, scenario: str) -> Entry:
    """What a released bed-day costs, or why that cannot be said."""
    if scenario not in released.index:
        return "-"
    row: Any = released.loc[scenario]
    if not row["released_clear"]:
        return "no clear release of bed-days"
    if row["ratio"] < 0:  # told as a saving: the interval is turned with it
        return Cell(-row["ratio"], -row["high"], -row["low"], "£", note="saves {}")
    return Cell(row["ratio"], row["low"], row["high"], "£", note="costs {}")
