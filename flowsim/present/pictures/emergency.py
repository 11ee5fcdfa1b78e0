"""What the emergency department bears in each scenario: four-hour share, wait for a bed, waits over 12 hours."""

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
    ticks_in,
)
from flowsim.present.titles import period_words, replication_count, settings_words, titled, unit_in
from flowsim.present.words import interval_words, number

EMERGENCY = ("ed_four_hour_share", "boarding_hours_mean", "trolley_12_hour_count")


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
    dotted = f"; dotted: {titled(result, result.scenarios[0])}" if len(result.scenarios) > 1 else ""
    bars = interval_words(replication_count(result))
    return Data(
        frame=frame[["measure", "title", "unit", "axis", "scenario", "mean", "low", "high"]].reset_index(drop=True),
        title="The emergency department, where people wait who are not counted as delayed",
        caption=f"Points: means; bars: {bars}{dotted}. {period_words(result)}",
        settings=settings_words(result),
        scenarios={name: titled(result, name) for name in result.scenarios},
    )


def draw(data: Data) -> Figure:
    """A panel a measure, a line a scenario."""
    shown = list(dict.fromkeys(data.frame["measure"]))
    titles = list(data.scenarios.values())
    figure = Figure(figsize=(3.6 * len(shown) + 1.4, 0.32 * lines_of(titles) + 1.7))
    grid = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, name in zip(grid, shown, strict=True):
        _panel(axes, data.frame[data.frame["measure"] == name].set_index("scenario"), list(data.scenarios))
    label_scenarios(grid[0], titles)
    finish(figure, data)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, scenarios: list[str]) -> None:
    first = rows.iloc[0]
    unit = str(first["unit"])
    highest = 100.0 if unit == "%" else float(np.nanmax(rows[["mean", "high"]].to_numpy(dtype=float))) or 1.0
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
        axes.annotate(number(row["mean"]), (row["mean"], at), (0, 6), textcoords="offset points", ha=side, fontsize=8)
    if len(scenarios) > 1 and scenarios[0] in rows.index:
        axes.axvline(float(rows["mean"][scenarios[0]]), color=GREY, linestyle=":", linewidth=1)
    axes.set_title(in_lines(str(first["title"]), LONGEST_HEADING))
    axes.set_xlabel(str(first["axis"]), fontsize=8)
    axes.set_xlim(-0.03 * highest, 1.05 * highest)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(ticks_in(unit))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID)


PICTURE = Picture("emergency", 30, EXPERIMENTS, data, draw)
