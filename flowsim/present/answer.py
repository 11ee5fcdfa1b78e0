"""A table for the terminal: answers to questions about a results folder."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd

from flowsim.folder.result import Result
from flowsim.folder.store import Store
from flowsim.measures.registry import HEADLINE, MEASURES
from flowsim.place import PlaceError, nearest
from flowsim.present.pages import who_waits as pages_who_waits
from flowsim.present.pages.page import Cell
from flowsim.present.titles import title_and_unit
from flowsim.present.words import entry_words
from flowsim.present.writers.terminal import in_parts, print_body, print_table

MOST_ROWS = 200
"""Rows that are printed; `to=` writes all of them."""
WIDEST = 10_000
MOST_ACROSS = 8
"""Scenarios that stand beside each other."""


def headline(result: Result) -> pd.DataFrame:
    """The means of the headline measures with their intervals: a row a measure and a column a scenario.

    Of many scenarios, as in a sweep, a row a scenario and a column a measure.
    """
    summary = result.summary()
    titled = summary["measure"].map({name: title_and_unit(name, result) for name in HEADLINE})
    rows = zip(*(summary[name] for name in ("mean", "low", "high", "unit")), strict=True)
    words = [entry_words(Cell(mean, low, high, unit), in_a_line=True) for mean, low, high, unit in rows]
    table = summary.assign(measure=titled, words=words).pivot(index="measure", columns="scenario", values="words")
    table = table.reindex(index=titled.unique(), columns=list(result.scenarios)).fillna("-")
    return (table.T if len(result.scenarios) > MOST_ACROSS else table).reset_index()


def remark(sql: str, answer: pd.DataFrame, store: Store) -> str:
    """What there is to say of an answer: names in the question that nothing has, with the nearest; that it is empty."""
    known = {"measure": list(MEASURES), "scenario": list(store.manifest.keys)}
    unknown = []
    for column, names in known.items():
        compared = re.findall(rf"\b{column}\b\"?\s*(?:=|in\b\s*\()\s*((?:'[^']*'[\s,]*)+)", sql, re.IGNORECASE)
        for given in re.findall(r"'([^']*)'", " ".join(compared)):
            if given not in names:
                unknown.append(f"no {column} is called {given!r}{nearest(given, names)}")
    nothing = bool(answer.isna().all(axis=None))
    if unknown:
        return f"{'Nothing matches' if nothing else 'Note'}: {'; '.join(unknown)}."
    return "Nothing matched." if nothing else ""


def show(answer: pd.DataFrame) -> None:
    """Print an answer; no column is cut, and outside a terminal no line is broken.

    In a terminal that is too narrow, an answer whose rows are named by their first column comes in parts.
    """
    from rich.console import Console

    console = Console()
    if answer.columns.empty:
        return
    rows = [[_cell(value) for value in row] for row in answer.head(MOST_ROWS).itertuples(index=False)]
    lines = [[str(name) for name in answer.columns], *rows]
    width = console.width if console.is_terminal else WIDEST
    named = answer.iloc[:, 0].is_unique  # else nobody would know whose the rows of a second part are
    for columns, *part in in_parts(lines, width) if named else [lines]:
        print_table(columns, part, console, width)
    if len(answer) > MOST_ROWS:
        console.print(f"{MOST_ROWS} of {len(answer):,} rows; to=FILE.csv writes all of them.", soft_wrap=True)


def who_waits(result: Result, scenario: str = "") -> None:
    """Print who waits longest to leave hospital, and why: of the first scenario, or of one.

    Raises PlaceError: there is no such scenario, or nobody can be delayed in it.
    """
    from rich.console import Console

    if scenario and scenario not in result.scenarios:
        allowed = ", ".join(result.scenarios)
        raise PlaceError(f"who: {scenario!r} was given{nearest(scenario, result.scenarios)}; allowed: {allowed}.")
    told = list(pages_who_waits.sections(result, scenario))
    if not told:
        raise PlaceError(f"who: {result.out} was given, where nobody can be delayed; allowed: a result with wards.")
    for section in told:
        print_body(section, Console())


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else "-"
    return "-" if value is None or value is pd.NaT else str(value)
