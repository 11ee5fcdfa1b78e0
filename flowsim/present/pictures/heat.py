"""Each measure over two settings: a heat map of a full grid, coloured dots of other designs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
from flowsim.present.pictures.style import finish
from flowsim.present.pictures.sweeps import (
    COLOURS,
    FILE,
    asked,
    caption,
    colour_bar,
    fitting,
    labels,
    panel_title,
    panels,
    positions,
)
from flowsim.present.titles import settings_words
from flowsim.present.words import number
from flowsim.questions.sweep import POINT, Sweep

MOST_WRITTEN = 14
"""Values of a setting up to which a heat map has its numbers written in."""


@dataclass(frozen=True, kw_only=True)
class Heat(Data):
    """The frame has measure, title, unit, point, x, y (values of the two settings) and mean; `labels` name both."""

    labels: tuple[str, str]


def data(result: Sweep, measures: Sequence[str] = ()) -> Heat:
    """The mean of each measure at each point. Raises PlaceError."""
    shown = asked(result, measures)
    if len(result.settings) != 2:
        raise PlaceError(f"kind: 'heat' needs two settings; this sweep varies {len(result.settings)}.")
    x, y = result.settings
    frames = []
    for measure in shown:
        table = result.table(measure)
        points = table[table[POINT] != result.base].rename(columns={POINT: "point", x: "x", y: "y"})
        titled = points.assign(title=panel_title(result, measure), unit=HEADLINE[measure].unit)
        frames.append(titled[["measure", "title", "unit", "point", "x", "y", "mean"]])
    return Heat(
        frame=pd.concat(frames, ignore_index=True),
        title=title_of(result, shown[0], f"What {result.labels[x]} and {result.labels[y]} do"),
        caption=caption(result, f"Means; {base_title(result)}: {_of_base(result, shown)}."),
        settings=settings_words(result),
        labels=(result.labels[x], result.labels[y]),
    )


def _of_base(result: Sweep, measures: Sequence[str]) -> str:
    parts = []
    for measure in measures:
        table = result.table(measure)
        mean = table.loc[table[POINT] == result.base, "mean"]
        if len(mean):
            parts.append(f"{HEADLINE[measure].title.lower()} {number(float(mean.iloc[0]), HEADLINE[measure].unit)}")
    return ", ".join(parts) or "not known"


def draw(data: Heat) -> Figure:
    """A panel a measure."""
    shown = list(dict.fromkeys(data.frame["measure"]))
    figure, grid = panels(len(shown), 5.4, 4.0)
    for axes, measure in zip(grid, shown, strict=True):
        points = data.frame[data.frame["measure"] == measure]
        unit = str(points["unit"].iloc[0])
        means = points.pivot_table(index="y", columns="x", values="mean", sort=True, dropna=False)
        if len(points) == means.size and means.notna().all(axis=None):
            _map_panel(axes, means, unit)
        else:
            _dots_panel(axes, points, unit)
        axes.set_title(str(points["title"].iloc[0]))
        axes.set_xlabel(data.labels[0], fontsize=8)
        axes.set_ylabel(data.labels[1], fontsize=8)
    finish(figure, data)
    return figure


def _map_panel(axes: Axes, means: pd.DataFrame, unit: str) -> None:
    values = means.to_numpy(dtype=float)
    shown = axes.imshow(values, cmap=COLOURS, aspect="auto", origin="lower")
    for set_ticks, names in ((axes.set_xticks, means.columns), (axes.set_yticks, means.index)):
        step = -(-len(names) // MOST_WRITTEN)
        set_ticks(range(0, len(names), step), labels(names)[::step])
    axes.spines[:].set_visible(False)
    colour_bar(axes, shown, unit)
    if max(values.shape) > MOST_WRITTEN:
        return
    middle = (values.min() + values.max()) / 2
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value < middle else "black"
        axes.text(column, row, number(value, unit), ha="center", va="center", fontsize=7.5, color=colour)


def _dots_panel(axes: Axes, points: pd.DataFrame, unit: str) -> None:
    (across, columns), (up, rows) = positions(points["x"]), positions(points["y"])
    shown = axes.scatter(across, up, c=points["mean"], cmap=COLOURS, s=36, edgecolor="white")
    axes.margins(0.08)
    for axis, limits, names in ((axes.xaxis, axes.set_xlim, columns), (axes.yaxis, axes.set_ylim, rows)):
        if names:
            axis.set_ticks(range(len(names)), names)
            limits(-0.5, len(names) - 0.5)
        else:
            axis.set_major_locator(MaxNLocator(5))
    colour_bar(axes, shown, unit)


PICTURE = Picture("heat", 20, ("sweep",), data, draw, fits=lambda result: fitting(result) == "heat", file=FILE)
