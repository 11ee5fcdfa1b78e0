"""A table for the terminal: answers to questions about a results folder."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from flowsim.experiment.runner import Result
from flowsim.measures.headline import HEADLINE
from flowsim.present.words import interval, number

MOST_ROWS = 200
"""Rows that are printed; `to=` writes all of them."""
WIDEST = 10_000


def headline(result: Result) -> pd.DataFrame:
    """The means of the headline measures with their intervals: one row a measure, one column a scenario."""
    summary = result.summary()
    titled = summary["measure"].map({name: f"{one.title} ({one.unit})" for name, one in HEADLINE.items()})
    rows = zip(*(summary[name] for name in ("mean", "low", "high", "unit")), strict=True)
    told = [_with_interval(*row) for row in rows]
    table = summary.assign(measure=titled, told=told).pivot(index="measure", columns="scenario", values="told")
    return table.reindex(index=titled.unique(), columns=list(result.scenarios)).fillna("-").reset_index()


def _with_interval(mean: float, low: float, high: float, unit: str) -> str:
    words = interval(low, high, unit)
    return f"{number(mean, unit)} ({words})" if words else number(mean, unit)


def show(answer: pd.DataFrame) -> None:
    """Print an answer; no column is cut."""
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table()
    for name in answer.columns:
        table.add_column(Text(str(name)))
    for row in answer.head(MOST_ROWS).itertuples(index=False):
        table.add_row(*(Text(_cell(value)) for value in row))
    natural = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
    console.print(table, width=natural, crop=False, soft_wrap=True)
    if len(answer) > MOST_ROWS:
        console.print(f"{MOST_ROWS} of {len(answer):,} rows; to=FILE.csv writes all of them.", soft_wrap=True)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else "-"
    return "-" if value is None or value is pd.NaT else str(value)
