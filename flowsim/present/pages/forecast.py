"""The weeks ahead of a census: what any run or comparison tells that began from one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from flowsim.folder.result import Result
from flowsim.present.pages.page import Cell, Section
from flowsim.present.titles import titled
from flowsim.present.words import few_words
from flowsim.questions.forecast import ENOUGH, is_forecast, weekly

INNER, OUTER = ("low_25", "high_75"), ("low_10", "high_90")
FROM_A_CENSUS = (
    "These start from the census and cover only the days from it, without a warm-up: they cannot be set beside those "
    "of a run without a census, such as a baseline's year."
)
WARNINGS = (
    "A projection from what the census counted and from assumed stays, arrivals and rules; what is not in them "
    "(a closed home, an outbreak, a strike) is not in the bands.",
    "Bands show chance alone: the middle half and the middle 80 % of replications, as if every number of the place "
    "were right.",
    "Measured stays and delays count from the first day, not from before. Those who left hospital in the months before "
    "and come back as readmissions are drawn from a usual quarter, not from the census.",
)


def sections(result: Result) -> Iterator[Section]:
    """The weeks ahead of a census, and what they are worth; nothing of a run that did not begin from one."""
    if not is_forecast(result):
        return
    bands = weekly(result)
    for title, rows in bands.groupby("series", sort=False):
        if rows["high_90"].any():
            yield _weeks(result, str(title), rows)
    n = int(bands["n"].max())
    few = (few_words(n),) if 1 < n < ENOUGH else ()
    yield Section("What this projection is worth", sentences=(*few, *WARNINGS))


def not_beside_others(result: Result) -> tuple[str, ...]:
    """A sentence on what measures of a run from a census cannot be set beside."""
    return (FROM_A_CENSUS,) if is_forecast(result) else ()


def _weeks(result: Result, title: str, rows: pd.DataFrame) -> Section:
    """A row a week: of one scenario its median and two bands, of several each one's median and wider band."""
    by_scenario = {str(name): weeks.set_index("week") for name, weeks in rows.groupby("scenario", sort=False)}
    columns: tuple[str, ...] = ("week from", "median", "25 to 75 %", "10 to 90 %")
    if len(result.places) > 1:
        columns = ("week from", *(f"{titled(result, name)}: median (10 to 90 %)" for name in by_scenario))
    lines: list[tuple[str | Cell, ...]] = []
    for week in dict.fromkeys(rows["week"]):
        of_the_week: list[Any] = [weeks.loc[week] for weeks in by_scenario.values()]
        if len(result.places) > 1:
            cells = [Cell(float(row["median"]), *_band(row, OUTER)) for row in of_the_week]
        else:
            (row,) = of_the_week
            cells = [Cell(float(row["median"])), Cell(None, *_band(row, INNER)), Cell(None, *_band(row, OUTER))]
        lines.append((f"{week.day} {week:%B}", *cells))
    heading = f"The weeks ahead. {title} (people, each week's mean night)"
    return Section(heading, columns, tuple(lines), in_a_line=True)


def _band(row: Any, ends: tuple[str, str]) -> tuple[float, float]:
    """The ends of a band over replications, of which one has none."""
    low, high = ends
    return (float(row[low]), float(row[high])) if row["n"] > 1 else (float("nan"), float("nan"))
