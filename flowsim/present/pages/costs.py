"""What scenarios spend more or less than the first, by payer; apart from it, what the beds they free are worth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from flowsim.measures.registry import MEASURES
from flowsim.present.pages.cells import difference_cell
from flowsim.present.pages.page import Cell, Entry, Section
from flowsim.present.titles import titled, unit_in
from flowsim.questions.compare import CASH, FREED, SPENT, Comparison, not_costed

COSTED, PARTLY, UNCOSTED = "yes", "in part", "not costed"


def sections(result: Comparison, brief: bool) -> Iterator[Section]:
    """The table of money; nothing where a place has no prices. `brief`: only payers for whom something changes."""
    money = result.money()
    if money.empty:
        return
    spent = money[money["what"] == SPENT]
    moved = spent.groupby("payer", sort=False)["difference"].any()
    payers = [payer for payer in moved.index if payer != "all" and (moved[payer] or not brief)]
    cash = bool((money["cashable"] > 0).any())
    columns = ("scenario", SPENT, *payers, FREED, *((CASH,) if cash else ()), "a released bed-day", "costed")
    heading = f"What it costs ({unit_in('money_spent', result)}, difference)"
    rows = tuple(_rows(result, money, payers, brief, cash))
    yield Section(heading, columns, rows, tuple(_sentences(result, money)))


def _rows(
    result: Comparison, money: pd.DataFrame, payers: list[str], brief: bool, cash: bool
) -> Iterator[tuple[Entry, ...]]:
    by_payer: Any = money.set_index(["scenario", "what", "payer"])
    released = result.released_bed_days().set_index("scenario")
    asked = [(SPENT, "all"), *((SPENT, payer) for payer in payers), (FREED, "all"), *([(CASH, "all")] if cash else [])]
    unit = MEASURES["money_spent"].unit
    for scenario in result.others:
        keys = [(scenario, *key) for key in asked]
        cells = [difference_cell(by_payer.loc[key], unit, brief) if key in by_payer.index else "-" for key in keys]
        spends = bool(by_payer["difference"].get((scenario, SPENT, "all"), 0.0))
        missing = not_costed(result.places[scenario])
        costed = (PARTLY if spends else UNCOSTED) if missing else COSTED
        yield titled(result, scenario), *cells, released_cell(released, scenario), costed


def _sentences(result: Comparison, money: pd.DataFrame) -> Iterator[str]:
    shares = sorted(money["cashable"].unique())
    saved = "nothing" if shares == [0] else " or ".join(f"{share:.0%}" for share in shares)
    yield (
        "Money spent is capacity at its price, whether used or not, with staff and schemes; beds that are closed are "
        "paid for all the same, and are not freed. What beds freed are worth is no money and is not taken from it: "
        f"{saved} of it is saved (place.metrics.cashable)."
    )
    yield (
        "A released bed-day is priced by the money spent more, over the delayed bed-days that fall away (Fieller's "
        "95 % interval)."
    )
    for scenario in result.others:
        if missing := not_costed(result.places[scenario]):
            yield f"{titled(result, scenario)}: not costed, since no source gives a price: {', '.join(missing)}."


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
