"""The weeks ahead of a census, one panel for each thing that is followed: median and bands by week,
the highest week, and when extra beds open; who waits for a bed beside who waits to be seen."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from flowsim.folder.result import Result
from flowsim.place import PlaceError
from flowsim.present.pages.answer import in_words
from flowsim.present.pages.answer_other import peak
from flowsim.present.pictures.picture import EXPERIMENTS, Data, Picture
from flowsim.present.pictures.style import (
    ABOVE_LINES,
    BEHIND_NUMBERS,
    BLUE,
    GRID,
    MOST_BANDS,
    band,
    finish,
    legend_below,
    line_of,
    lines_above,
    number_beside,
)
from flowsim.present.titles import replication_count, settings_words, titled
from flowsim.present.words import day_words, few_words, number
from flowsim.questions.forecast import (
    BEDS,
    BOARDING,
    DELAYED,
    ENOUGH,
    TO_BE_SEEN,
    is_forecast,
    openings,
    weekly,
)

LONGEST_SERIES = 56
"""Characters of a line above a panel."""
MOST_NUMBERS = 12
"""Weeks that have their number beside each point; of more the highest alone has one."""
AT_THE_DOOR = (BOARDING, TO_BE_SEEN)
"""Panels side by side, with one axis: a calm queue for a bed tells nothing of the one outside."""
SHORT = {DELAYED: "delayed", BOARDING: "waiting for a bed in A&E", TO_BE_SEEN: "waiting to be seen in A&E"}
"""What is followed, in the title."""


@dataclass(frozen=True, kw_only=True)
class Forecast(Data):
    """The frame has the columns of `forecast.weekly`; `opened` those of `forecast.openings`."""

    opened: pd.DataFrame


def data(result: Result) -> Forecast:
    """Bands by week, as `forecast.weekly` has them, of what is followed and ever is anybody. Raises PlaceError."""
    if not is_forecast(result):
        raise PlaceError("kind: 'forecast' needs a run that started from a census (census=FILE.csv).")
    bands = weekly(result)
    bands = bands[bands.groupby("series")["high_90"].transform("any")]
    if bands.empty:
        raise PlaceError("kind: 'forecast' has nothing to show: nobody is there in any week.")
    several = len(result.scenarios) > 1
    inner = "thin lines" if several else "dark band: the middle half; light band"
    n = replication_count(result)
    banded = f"{inner}: the middle 80 %" if n > 1 else "one replication, so no band"
    few = f"{few_words(n)} " if 1 < n < ENOUGH else ""
    opened = openings(result)
    extra = (
        "Triangles: the night by which half of the runs have opened extra beds. "
        if opened["date"].notna().any()
        else ""
    )
    door = [series for series in AT_THE_DOOR if (bands["series"] == series).any()]
    order = [*door, *(series for series in dict.fromkeys(bands["series"]) if series not in door)]
    bands = bands.sort_values("series", key=lambda names: names.map(order.index), kind="stable")
    titles = {name: titled(result, name) for name in result.scenarios}
    return Forecast(
        frame=bands.reset_index(drop=True),
        title=message(bands, opened, titles),
        caption=f"Lines: median of {n} replications of each week's mean night; {banded}; ringed: the highest week; "
        f"dotted: beds meant to be open, without surge beds and closures for infection. {extra}{few}"
        "A projection from the stays, arrivals and rules that are assumed, not a promise.",
        settings=settings_words(result),
        scenarios=titles,
        opened=opened,
    )


def message(bands: pd.DataFrame, opened: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """The highest weeks with their ranges, and when extra beds open: of one scenario all of it, of several of each the
    queue at the door."""
    known = [series for series in (TO_BE_SEEN, BOARDING, DELAYED) if (bands["series"] == series).any()]
    if len(titles) > 1:
        (series, *_) = [*known, bands["series"].iloc[0]]
        rows = bands[bands["series"] == series]
        each = [f"{title} {highest(rows[rows['scenario'] == name])}" for name, title in titles.items()]
        return f"Highest {SHORT.get(series, series)}: {in_words(each)}"
    said = [f"{SHORT[series]} {highest(bands[bands['series'] == series])}" for series in known]
    dated = opened.dropna(subset="date").sort_values("date", kind="stable")
    said += [opening_words(row) for row in dated.head(2).to_dict("records")]
    return f"Highest weeks: {'; '.join(said)}" if said else "The weeks ahead, from the census"


def highest(rows: pd.DataFrame) -> str:
    """``412 (229 to 602) in the week from 20 January``, of the bands of one series in one scenario."""
    if not rows["high_90"].any():
        return "nobody in any week"
    return peak(rows.sort_values(["median", "high_90"], ascending=False, kind="stable").set_index("week"))


def opening_words(row: Any) -> str:
    """``extra beds open by 4 December, Southport (9 of 10 runs)``"""
    return f"extra beds open by {day_words(row['date'])}, {row['title']} ({row['runs']} of {row['n']} runs)"


def draw(data: Forecast) -> Figure:
    """A panel a series, a line a scenario."""
    shown = list(dict.fromkeys(data.frame["series"]))
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    named = min(len(data.scenarios), MOST_BANDS)
    figure = Figure(figsize=(5.4 * columns, (2.3 + 0.15 * named) * rows + 1.2))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, series in zip(grid.flat, shown, strict=False):
        _panel(axes, data, data.frame[data.frame["series"] == series], series)
    beside = [axes for axes, series in zip(grid.flat, shown, strict=False) if series in AT_THE_DOOR]
    most = max((axes.get_ylim()[1] for axes in beside), default=1.0)
    for axes in beside:
        axes.set_ylim(0, most)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    finish(figure, data, bottom=legend_below(figure, *grid[0, 0].get_legend_handles_labels()))
    return figure


def _panel(axes: Axes, data: Forecast, bands: pd.DataFrame, series: str) -> None:
    peaks = []
    for at, (scenario, title) in enumerate(data.scenarios.items()):
        rows = bands[bands["scenario"] == scenario]
        if rows.empty:
            continue
        colour, style = line_of(at) if len(data.scenarios) > 1 else (BLUE, "-")
        _draw_line(axes, rows, title, colour, style, len(data.scenarios))
        peaks.append((f"highest: {highest(rows)}", colour))
        _mark_openings(axes, data.opened[(data.opened["scenario"] == scenario) & (data.opened["series"] == series)], at)
    lines_above(axes, "\n".join(textwrap.wrap(series, LONGEST_SERIES)), peaks[:MOST_BANDS])
    axes.margins(y=0.15)
    axes.set_ylabel("people")
    if series.startswith(BEDS):
        axes.set_ylabel("people (axis not from 0)")
    else:
        axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=GRID)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))


def _draw_line(axes: Axes, bands: pd.DataFrame, title: str, colour: str, style: str, scenarios: int) -> None:
    middle = bands["week"].to_numpy() + np.timedelta64(3, "D")
    median = bands["median"].to_numpy()
    axes.plot(middle, median, style, color=colour, linewidth=1.6, marker="o", markersize=3, label=title)
    axes.plot(middle, bands["open"], ":", color=colour, linewidth=1.2)
    top = int(median.argmax())
    axes.plot(middle[top], median[top], "o", color=colour, markersize=9, markerfacecolor="none")
    if bands["n"].max() > 1 and scenarios <= MOST_BANDS:
        band(axes, middle, bands["low_10"], bands["high_90"], colour, scenarios)
        if scenarios == 1:
            band(axes, middle, bands["low_25"], bands["high_75"], colour, scenarios, alpha=0.3)
    if scenarios == 1 and len(median) <= MOST_NUMBERS:
        for x, y in zip(middle, median, strict=True):
            number_beside(axes, number(float(y)), (x, float(y)), (0, 6), ha="center", fontsize=6.5)


def _mark_openings(axes: Axes, opened: pd.DataFrame, at: int) -> None:
    """A triangle at the foot of the panel, with its date."""
    for row in opened.dropna(subset="date").to_dict("records"):
        colour, _ = line_of(at)
        along, when = axes.get_xaxis_transform(), float(date2num(row["date"]))
        axes.plot(when, 0.03, "^", color=colour, markersize=7, transform=along, clip_on=False, zorder=5)
        words = f"extra beds by {day_words(row['date'])}, {row['runs']} of {row['n']} runs"
        axes.annotate(
            words, (when, 0.03), (6, 11 * at), xycoords=along, textcoords="offset points",
            fontsize=7.5, color=colour, bbox=BEHIND_NUMBERS, zorder=ABOVE_LINES,
        )  # fmt: skip


PICTURE = Picture("forecast", 20, EXPERIMENTS, data, draw)
