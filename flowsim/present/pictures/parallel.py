"""Parallel coordinates of many settings: one line a point through all of them and the measures, the best in front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from flowsim.measures.registry import HEADLINE
from flowsim.place import counted
from flowsim.present.pages.answer_sweep import title_of
from flowsim.present.pages.sweep import ranked_names
from flowsim.present.pictures.picture import Data, Picture
from flowsim.present.pictures.style import BLACK, VERMILION, finish, in_lines
from flowsim.present.pictures.sweeps import (
    COLOURS,
    FILE,
    asked,
    caption,
    colour_bar,
    fitting,
    panel_title,
    points_of,
    positions,
    written,
)
from flowsim.present.titles import settings_words
from flowsim.present.words import number
from flowsim.questions.sweep import POINT, Sweep

MOST_NAMED = 5
"""Best points that are named."""
LIGHTEST = 0.85
"""Of the colours, how light thin lines may be to be seen on white."""
BEST = 0.1
"""Share of the points that stand in front."""


@dataclass(frozen=True, kw_only=True)
class Parallel(Data):
    """The frame has a row a point, the best first: point, its settings and the means of its measures.

    Attributes:
        axes: what stands below the axis of each column but the first.
        measures: the columns that are measures, with their units; the first decides what is best and the colour.
        colour: what the colour says.
    """

    axes: dict[str, str]
    measures: dict[str, str]
    colour: str


def data(result: Sweep, measures: Sequence[str] = ()) -> Parallel:
    """Every point with its settings and means. Raises PlaceError."""
    shown = asked(result, measures)
    first = shown[0]
    wide = points_of(result).set_index(POINT)
    means = result.table().pivot(index=POINT, columns="measure", values="mean")
    means = means[[name for name in shown if name in means]]
    wide = wide.join(means, how="inner")
    wide = wide.loc[[point for point in result.best(first)[POINT] if point in wide.index]]
    names = ranked_names(result, first)
    best = [names[str(point)] for point in wide.index[: min(_front(wide), MOST_NAMED)]]
    what = (
        f"Each line is a point, coloured by {HEADLINE[first].title.lower()}; thick: the best {_front(wide)}. "
        f"Red axes: means. {'; '.join(best)}."
    )
    axes = {name: HEADLINE[name].title if name in HEADLINE else result.labels[name] for name in wide.columns}
    return Parallel(
        frame=wide.rename_axis("point").reset_index(),
        title=title_of(result, first, f"{counted(len(wide), 'point')} of {counted(len(result.settings), 'setting')}"),
        caption=caption(result, what),
        settings=settings_words(result),
        axes=axes,
        measures={name: HEADLINE[name].unit for name in means.columns},
        colour=panel_title(result, first),
    )


def _front(frame: pd.DataFrame) -> int:
    """How many points stand in front."""
    return max(1, round(BEST * len(frame)))


def draw(data: Parallel) -> Figure:
    """One line a point, coloured by the first measure; the best tenth in front."""
    columns = list(data.axes)
    scaled, ends = zip(*(_scaled(data.frame[name], data.measures.get(name)) for name in columns), strict=True)
    figure = Figure(figsize=(max(8.0, 1.55 * len(columns)), 5.4))
    axes = figure.subplots()
    heights = np.column_stack(scaled)
    shown = _draw_points(axes, data, heights)
    for at, (name, words) in enumerate(zip(columns, ends, strict=True)):
        axes.axvline(at, color=VERMILION if name in data.measures else BLACK, linewidth=1)
        for height, text in words:
            axes.annotate(text, (at, height), (3, 2), textcoords="offset points", fontsize=7.5)
    named = min(_front(data.frame), MOST_NAMED)
    for at in range(named):  # side by side, for they may be equally high
        axes.text(-0.06 - 0.07 * at, heights[at, 0], str(at + 1), ha="right", va="center", fontweight="bold")
    axes.set_xlim(-0.12 - 0.07 * named, len(columns) - 0.55)
    axes.set_ylim(-0.04, 1.06)
    axes.set_xticks(range(len(columns)), [_below(words) for words in data.axes.values()], fontsize=8)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    colour_bar(axes, shown, next(iter(data.measures.values())), data.colour)
    finish(figure, data)
    return figure


def _draw_points(axes: Axes, data: Parallel, heights: np.ndarray) -> ScalarMappable:
    """The lines; returns what their colours mean."""
    colour = data.frame[next(iter(data.measures))].to_numpy(dtype=float)
    norm = Normalize(float(colour.min()), float(colour.max()) or None)
    colours = ListedColormap(colormaps[COLOURS](np.linspace(0, LIGHTEST, 256)))
    paths = np.stack([np.broadcast_to(np.arange(heights.shape[1]), heights.shape), heights], axis=2)
    front = _front(data.frame)
    for rows, alpha, width in ((slice(front, None), 0.7, 0.9), (slice(0, front), 1.0, 2.4)):
        rgba = colours(norm(colour[rows]))
        axes.add_collection(LineCollection(list(paths[rows]), colors=rgba, alpha=alpha, linewidths=width))
    return ScalarMappable(norm, colours)


def _below(words: str) -> str:
    return in_lines(words.replace("_", " ").replace(".", ". "), 15)


def _scaled(column: pd.Series, unit: str | None) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Heights between nought and one, and the words that stand at some of them; `unit` is a measure's."""
    places, names = positions(column)
    places = np.where(np.isfinite(places), places, np.nanmin(places)) if len(places) else places
    low, high = float(places.min()), float(places.max())
    span = high - low or 1.0
    ends = [(0.0, low), ((high - low) / span, high)]
    words = [(at, written(value) if unit is None else number(value, unit)) for at, value in ends]
    return (places - low) / span, [(at / span, name) for at, name in enumerate(names)] or words


PICTURE = Picture("parallel", 30, ("sweep",), data, draw, fits=lambda result: fitting(result) == "parallel", file=FILE)
