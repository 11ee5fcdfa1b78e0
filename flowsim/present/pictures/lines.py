"""Each measure over one setting, with bands; with `scenario` beside it one line a scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from flowsim.measures.registry import HEADLINE
from flowsim.place import PlaceError
from flowsim.present.pages.answer_sweep import title_of
from flowsim.present.pages.sweep import base_title
from flowsim.present.pictures.picture import Data, Picture
from flowsim.present.pictures.style import GREY, GRID, finish, line_of, ticks_in
from flowsim.present.pictures.sweeps import (
    FILE,
    asked,
    caption,
    fitting,
    is_number,
    panel_title,
    panels,
    positions,
)
from flowsim.present.titles import replication_count, settings_words
from flowsim.present.words import interval_words, possible
from flowsim.questions.design import SCENARIO
from flowsim.questions.sweep import POINT, Sweep

ASIDE = 0.15
"""How far points of two scenarios at the same name stand from each other."""


@dataclass(frozen=True, kw_only=True)
class Lines(Data):
    """The frame has measure, title, unit, point, base (is it the place as it is?), scenario (empty where one line is
    drawn), value (of the setting), mean, low and high (about the base's mean); `label` is the setting's name."""

    label: str


def data(result: Sweep, measures: Sequence[str] = ()) -> Lines:
    """Each measure at each value of a setting. Raises PlaceError."""
    shown = asked(result, measures)
    over = [name for name in result.settings if name != SCENARIO or len(result.settings) == 1]
    if len(over) != 1:
        raise PlaceError(f"kind: 'lines' needs one setting; this sweep varies {len(over)}.")
    (setting,) = over
    several = len(result.settings) > 1
    n = replication_count(result)
    of_what = " of the paired difference to the dotted line" if n > 1 else ""
    what = f"Points: means; bands or bars: {interval_words(n)}{of_what}. Dotted: {base_title(result)}."
    in_each = ", in each scenario" if several else ""
    title = "What each scenario does" if setting == SCENARIO else f"What {result.labels[setting]} does{in_each}"
    return Lines(
        frame=pd.concat([rows_over(result, measure, setting) for measure in shown], ignore_index=True),
        title=title_of(result, shown[0], title),
        caption=caption(result, what),
        settings=settings_words(result),
        label=result.labels[setting],
    )


def rows_over(result: Sweep, measure: str, setting: str) -> pd.DataFrame:
    """What is drawn of a measure over a setting (or the years of a path): a row a point, see `Lines`."""
    table = result.table(measure)
    is_base = table[POINT] == result.base
    base = float(table.loc[is_base, "mean"].iloc[0]) if is_base.any() else np.nan
    low, high = (np.clip(base + table[f"difference_{end}"], *possible(measure)) for end in ("low", "high"))
    scenario = table[SCENARIO].astype(str) if setting != SCENARIO and SCENARIO in table else ""
    return pd.DataFrame(
        {
            "measure": measure,
            "title": panel_title(result, measure),
            "unit": HEADLINE[measure].unit,
            "point": table[POINT],
            "base": is_base,
            "scenario": scenario,
            "value": table[setting],
            "mean": table["mean"],
            "low": low,
            "high": high,
        }
    )


def draw(data: Lines) -> Figure:
    """A panel a measure."""
    shown = list(dict.fromkeys(data.frame["measure"]))
    figure, grid = panels(len(shown), 5.2, 3.2)
    for axes, measure in zip(grid, shown, strict=True):
        _panel(axes, data.frame[data.frame["measure"] == measure], data.label)
    if data.frame["scenario"].any():
        grid[0].legend(frameon=False, fontsize=8)
    finish(figure, data)
    return figure


def _panel(axes: Axes, table: pd.DataFrame, label: str) -> None:
    base, points = table[table["base"]], table[~table["base"]]
    axes.axhline(float(base["mean"].iloc[0]) if len(base) else np.nan, color=GREY, linestyle=":", linewidth=1.2)
    numbers = is_number(points["value"])
    where, names = positions(points["value"])
    points = points.assign(x=where).sort_values("x", kind="stable")
    groups = list(points.groupby("scenario", sort=False))
    for at, (scenario, rows) in enumerate(groups):
        aside = 0 if numbers else ASIDE * (at - (len(groups) - 1) / 2)
        _draw_line(axes, rows, rows["x"] + aside, str(scenario).replace("_", " "), at, numbers)
    if names:
        axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
        axes.set_xlim(-0.5, len(names) - 0.5)
    now = base["value"].iloc[0] if len(base) else None
    if numbers and pd.notna(now):
        axes.axvline(float(now), color=GREY, linestyle=":", linewidth=1.2)
    axes.set_title(str(table["title"].iloc[0]))
    axes.set_xlabel(label, fontsize=8)
    if numbers:
        axes.xaxis.set_major_formatter(ticks_in(""))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(ticks_in(str(table["unit"].iloc[0])))
    axes.grid(axis="y", color=GRID)


def _draw_line(axes: Axes, rows: pd.DataFrame, x: Any, label: str, at: int, numbers: bool) -> None:
    colour, style = line_of(at)
    style = style if numbers else "none"
    axes.plot(x, rows["mean"], linestyle=style, marker="o", markersize=3.5, color=colour, linewidth=1.5, label=label)
    if numbers:
        axes.fill_between(x, rows["low"], rows["high"], color=colour, alpha=0.15, linewidth=0)
    else:
        axes.vlines(x, rows["low"], rows["high"], color=colour, linewidth=2)


PICTURE = Picture("lines", 10, ("sweep",), data, draw, fits=lambda result: fitting(result) == "lines", file=FILE)
