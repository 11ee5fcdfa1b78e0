"""The weeks ahead of a census, one panel for each thing that is followed: median and bands by week."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure

from flowsim.folder.result import Result
from flowsim.place import PlaceError
from flowsim.present.pictures.picture import EXPERIMENTS, Data, Picture
from flowsim.present.pictures.style import BLUE, GRID, finish, legend_below, line_of
from flowsim.present.titles import replication_count, settings_words, titled
from flowsim.present.words import few_words
from flowsim.questions.forecast import BEDS, ENOUGH, is_forecast, weekly

LONGEST_SERIES = 56
"""Characters of a line above a panel."""


def data(result: Result) -> Data:
    """Bands by week, as `forecast.weekly` has them, of what is followed and ever is anybody. Raises PlaceError."""
    if not is_forecast(result):
        raise PlaceError("kind: 'forecast' needs a run that started from a census (census=FILE.csv).")
    bands = weekly(result)
    bands = bands[bands.groupby("series")["high_90"].transform("any")]
    if bands.empty:
        raise PlaceError("kind: 'forecast' has nothing to show: nobody is there in any week.")
    inner = "" if len(result.scenarios) > 1 else "dark band: the middle half; "
    n = replication_count(result)
    banded = f"{inner}light band: the middle 80 %" if n > 1 else "one replication, so no band"
    few = f"{few_words(n)} " if 1 < n < ENOUGH else ""
    return Data(
        frame=bands.reset_index(drop=True),
        title="The weeks ahead, from the census",
        caption=f"Lines: median of {n} replications of each week's mean night; {banded}; dotted: beds meant to be "
        f"open, without surge beds and closures for infection. {few}"
        "A projection from the stays, arrivals and rules that are assumed, not a promise.",
        settings=settings_words(result),
        scenarios={name: titled(result, name) for name in result.scenarios},
    )


def draw(data: Data) -> Figure:
    """A panel a series, a line a scenario."""
    shown = list(dict.fromkeys(data.frame["series"]))
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(5.4 * columns, 2.3 * rows + 1.2))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, series in zip(grid.flat, shown, strict=False):
        bands = data.frame[data.frame["series"] == series]
        for at, (scenario, title) in enumerate(data.scenarios.items()):
            _draw_line(axes, bands[bands["scenario"] == scenario], title, at, len(data.scenarios))
        axes.set_title("\n".join(textwrap.wrap(series, LONGEST_SERIES)))
        axes.set_ylabel("people")
        if series.startswith(BEDS):
            axes.set_ylabel("people (axis not from 0)")
        else:
            axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=GRID)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    finish(figure, data, bottom=legend_below(figure, *grid[0, 0].get_legend_handles_labels()))
    return figure


def _draw_line(axes: Axes, bands: pd.DataFrame, title: str, at: int, scenarios: int) -> None:
    colour, style = line_of(at)
    if scenarios == 1:
        colour = BLUE
    middle = bands["week"].to_numpy() + np.timedelta64(3, "D")
    axes.plot(middle, bands["median"], style, color=colour, linewidth=1.6, marker="o", markersize=3, label=title)
    axes.plot(middle, bands["open"], ":", color=colour, linewidth=1.2)
    if bands["n"].max() > 1:
        axes.fill_between(middle, bands["low_10"], bands["high_90"], color=colour, alpha=0.15, linewidth=0)
        if scenarios == 1:
            axes.fill_between(middle, bands["low_25"], bands["high_75"], color=colour, alpha=0.3, linewidth=0)


PICTURE = Picture("forecast", 20, EXPERIMENTS, data, draw)
