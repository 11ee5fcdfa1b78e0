"""What each scenario changes: paired differences with their intervals, a panel a measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from flowsim.measures.registry import HEADLINE
from flowsim.place import PlaceError
from flowsim.present.pages.cells import judged
from flowsim.present.pictures.message import of_measure
from flowsim.present.pictures.picture import Data, Picture
from flowsim.present.pictures.style import (
    BLACK,
    BLUE,
    DARK,
    GREY,
    GRID,
    LONGEST_HEADING,
    LONGEST_LINE,
    VERMILION,
    finish,
    in_lines,
    label_scenarios,
    lines_of,
    number_beside,
    ticks_in,
    width_for,
)
from flowsim.present.titles import key_measures, period_words, settings_words, titled, unit_in
from flowsim.present.words import interval_words, signed, with_unit
from flowsim.questions.compare import Comparison
from flowsim.questions.matters import least


@dataclass(frozen=True, kw_only=True)
class Differences(Data):
    """The frame has measure, title, unit, axis (what the difference is in), better, scenario, baseline, difference,
    low, high and change; `baseline` is the title of the scenario compared with, `scenarios` are the others."""

    baseline: str


def data(result: Comparison) -> Differences:
    """Each scenario's paired difference in the measures a planner asks for first. Raises PlaceError."""
    table = result.table()
    shown = key_measures(result)
    frame = table[table["measure"].isin(shown)]
    if frame.empty:
        raise PlaceError("kind: 'differences' has nothing to show: no headline measure was found.")
    frame = frame.sort_values("measure", key=lambda names: names.map(shown.index), kind="stable")
    axis = {name: "percentage points" if HEADLINE[name].unit == "%" else unit_in(name, result) for name in shown}
    rows = zip(frame["change"], frame["difference"], frame["measure"], strict=True)
    frame = frame.assign(
        change=[judged(change, difference, least(measure, result)) for change, difference, measure in rows],
        axis=frame["measure"].map(axis),
        better=frame["measure"].map({name: HEADLINE[name].better for name in axis}),
    )
    columns = ["measure", "title", "unit", "axis", "better", "scenario", "baseline"]
    intervals = interval_words(int(table["n"].max()), "paired ")
    return Differences(
        frame=frame[[*columns, "difference", "low", "high", "change"]].reset_index(drop=True),
        title=of_measure(result, shown[0]),
        caption=f"Points and numbers: mean paired difference to {titled(result, result.baseline)}; bars: {intervals}. "
        f"{period_words(result)}",
        settings=settings_words(result),
        scenarios={name: titled(result, name) for name in result.others},
        baseline=titled(result, result.baseline),
    )


def draw(data: Differences) -> Figure:
    """Small multiples, one measure a panel."""
    shown = list(dict.fromkeys(data.frame["measure"]))
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    titles = list(data.scenarios.values())
    width = width_for(titles)
    height = 0.8 + 0.35 * lines_of(titles, width)
    figure = Figure(figsize=(3.6 * columns + 1.4 + 0.065 * (width - LONGEST_LINE), height * rows + 1.35))
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, name in zip(grid.flat, shown, strict=False):
        _panel(axes, data, data.frame[data.frame["measure"] == name].set_index("scenario"))
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        label_scenarios(axes, titles, width)
    figure.legend(handles=_legend(), loc="lower left", ncols=4, frameon=False)
    finish(figure, data, bottom=0.3)
    return figure


def _panel(axes: Axes, data: Differences, rows: pd.DataFrame) -> None:
    axes.axvline(0, color=GREY, linewidth=1)
    first = rows.iloc[0]
    unit = str(first["unit"])
    for at, scenario in enumerate(data.scenarios):
        if scenario not in rows.index:
            continue
        row: Any = rows.loc[scenario]
        colour, marker, filled = _mark(str(row["change"]), row["better"])
        if np.isfinite(row["low"]):
            axes.plot([row["low"], row["high"]], [at, at], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot(
            row["difference"], at, marker, color=colour, markersize=6.5, markerfacecolor=colour if filled else "white"
        )
        words, ink = signed(float(row["difference"]), unit), DARK if colour == GREY else colour
        number_beside(axes, words, (row["difference"], at), (0, 6.5), ha="center", color=ink)
    of_the_first = f"({data.baseline}: {with_unit(float(first['baseline']), unit)})"
    axes.set_title(f"{in_lines(str(first['title']), LONGEST_HEADING)}\n{in_lines(of_the_first, LONGEST_HEADING)}")
    axes.set_xlabel(f"change, {first['axis']}", fontsize=8)
    axes.margins(x=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(ticks_in(unit))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID)


def _mark(change: str, better: int) -> tuple[str, str, bool]:
    """Colour, marker and filling of a difference: better, worse, changed with no better side, or not clear."""
    if change not in ("more", "less"):
        return GREY, "o", False
    side = better * (1 if change == "more" else -1)
    return {1: (BLUE, "o", True), -1: (VERMILION, "D", True), 0: (BLACK, "s", True)}[side]


def _legend() -> list[Line2D]:
    none = "no clear change, or none that matters"
    kinds = (("better", "more", 1), ("worse", "more", -1), ("changed", "more", 0), (none, "", 0))
    handles = []
    for word, change, better in kinds:
        colour, marker, filled = _mark(change, better)
        face = colour if filled else "white"
        handles.append(Line2D([], [], color=colour, marker=marker, markerfacecolor=face, linewidth=2, label=word))
    return handles


PICTURE = Picture("differences", 10, ("compare", "select"), data, draw, needs="a comparison of two or more scenarios")
