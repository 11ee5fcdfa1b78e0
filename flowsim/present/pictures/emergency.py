"""What the emergency department bears in each scenario: who waits at its door and leaves unseen, the four-hour share,
the wait for a bed, waits over 12 hours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from flowsim.folder.result import Result
from flowsim.measures.registry import HEADLINE
from flowsim.place import PlaceError
from flowsim.present.pictures.message import of_measure
from flowsim.present.pictures.picture import EXPERIMENTS, Data, Picture
from flowsim.present.pictures.style import (
    GREY,
    GRID,
    LONGEST_HEADING,
    finish,
    in_lines,
    label_scenarios,
    line_of,
    lines_of,
    number_beside,
    ticks_in,
)
from flowsim.present.titles import period_words, replication_count, settings_words, titled, unit_in
from flowsim.present.words import interval_words, number

EMERGENCY = (
    "ed_queue_mean", "ed_left_unseen_share", "ed_four_hour_share", "boarding_hours_mean", "trolley_12_hour_count",
)  # fmt: skip
MOST_COLUMNS = 3
HALF_OF_ALL = 50.0
"""Per cent: a share above it has an axis to 100, a smaller one would be lost there."""


def data(result: Result) -> Data:
    """The means of each scenario with their intervals: measure, title, unit, axis (the unit in words), scenario, mean,
    low, high. Raises PlaceError."""
    table = result.summary()
    known = set(table.loc[table["mean"].notna(), "measure"])
    shown = [name for name in EMERGENCY if name in known]
    if not shown:
        raise PlaceError("kind: 'emergency' has nothing to show: nobody was in an emergency department.")
    frame = table[table["measure"].isin(shown)]
    frame = frame.sort_values("measure", key=lambda names: names.map(shown.index), kind="stable")
    frame = frame.assign(
        title=frame["measure"].map({name: HEADLINE[name].title for name in shown}),
        axis=frame["measure"].map({name: unit_in(name, result) for name in shown}),
    )
    thin = f"; thin line: {titled(result, result.scenarios[0])}" if len(result.scenarios) > 1 else ""
    bars = interval_words(replication_count(result))
    return Data(
        frame=frame[["measure", "title", "unit", "axis", "scenario", "mean", "low", "high"]].reset_index(drop=True),
        title=of_measure(result, shown[0]),
        caption=f"Points and numbers: means; bars: {bars}{thin}. None of these people is counted as delayed. "
        f"{period_words(result)}",
        settings=settings_words(result),
        scenarios={name: titled(result, name) for name in result.scenarios},
    )


def draw(data: Data) -> Figure:
    """A panel a measure, a line a scenario."""
    shown = list(dict.fromkeys(data.frame["measure"]))
    titles = list(data.scenarios.values())
    columns = min(MOST_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(3.6 * columns + 1.4, (0.34 * lines_of(titles) + 0.85) * rows + 0.9))
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, name in zip(grid.flat, shown, strict=False):
        _panel(axes, data.frame[data.frame["measure"] == name].set_index("scenario"), list(data.scenarios))
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        label_scenarios(axes, titles)
    finish(figure, data)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, scenarios: list[str]) -> None:
    first = rows.iloc[0]
    unit = str(first["unit"])
    highest = float(np.nanmax(rows[["mean", "high"]].to_numpy(dtype=float))) or 1.0
    highest = 100.0 if unit == "%" and highest > HALF_OF_ALL else highest
    for at, scenario in enumerate(scenarios):
        if scenario not in rows.index:
            continue
        row: Any = rows.loc[scenario]
        colour, _ = line_of(at)
        if np.isfinite(row["low"]):
            ends = np.clip([row["low"], row["high"]], 0, highest)
            axes.plot(ends, [at, at], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot(row["mean"], at, "o", color=colour, markersize=6.5)
        side = "left" if row["mean"] < highest / 2 else "right"
        number_beside(axes, number(row["mean"], unit), (row["mean"], at), (0, 6), ha=side)
    if len(scenarios) > 1 and scenarios[0] in rows.index:
        axes.axvline(float(rows["mean"][scenarios[0]]), color=GREY, linewidth=0.7)
    axes.set_title(in_lines(str(first["title"]), LONGEST_HEADING))
    axes.set_xlabel(str(first["axis"]), fontsize=8)
    axes.set_xlim(-0.03 * highest, 1.05 * highest)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(ticks_in(unit))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID)


PICTURE = Picture("emergency", 30, EXPERIMENTS, data, draw)
