"""One measure against another: a dot a point with its intervals both ways, and the steepest step between neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from flowsim.folder.result import Result
from flowsim.measures.registry import HEADLINE
from flowsim.place import PlaceError, counted
from flowsim.present.pages.against import name_of, sentence
from flowsim.present.pictures.picture import Data, Picture
from flowsim.present.pictures.style import BLUE, GREY, GRID, LONGEST_LABEL, SKY, VERMILION, finish, in_lines, ticks_in
from flowsim.present.titles import period_words, replication_count, settings_words, title_and_unit
from flowsim.present.words import interval_words
from flowsim.questions.against import against, steepest

USUAL = ("acute_occupancy", "ed_four_hour_share", "boarding_hours_mean", "delayed_patients", "care_queue_mean")
"""Measures of which the first two that a place has are drawn where nobody names two."""
MOST_NAMED = 15
"""Points whose numbers are explained below the picture."""
WIDTH, CHARACTERS_AN_INCH = 8.4, 17
"""Inches of the picture, and letters of what stands below it in one of them."""


@dataclass(frozen=True, kw_only=True)
class Against(Data):
    """The frame is that of `questions.against.against`.

    Attributes:
        axes: titles of both measures; units: their units.
        steep: the row to which the steepest step leads, drawn where it is clear; None where there is none.
    """

    axes: tuple[str, str]
    units: tuple[str, str]
    steep: int | None


def data(result: Result, measures: Sequence[str] = ()) -> Against:
    """Two measures at every point. Raises PlaceError."""
    there = set(result.results.dropna(subset="value")["measure"])
    chosen = tuple(measures) or tuple(name for name in USUAL if name in there)[:2]
    if len(chosen) != 2:
        raise PlaceError(
            "kind: 'against' needs two measures, such as measures=['acute_occupancy', 'ed_four_hour_share']."
        )
    first, second = chosen
    frame = against(result, first, second)
    steep = steepest(frame, second)
    names = "; ".join(f"{at + 1}: {name_of(result, str(name))}" for at, name in enumerate(frame["point"]))
    n = replication_count(result)
    sizes = f"{counted(len(frame), 'point')}, {counted(n, 'replication')} each."
    what = f"Points: means; bars: {interval_words(n)}. Red: the steepest step between neighbours, where it is clear"
    listed = f" {names}." if len(frame) <= MOST_NAMED else ""
    return Against(
        frame=frame,
        title=sentence(frame, first, second, brief=True).rstrip("."),
        caption=f"{what}. {sizes}{listed} {period_words(result)}",
        settings=settings_words(result),
        axes=(title_and_unit(first, result), title_and_unit(second, result)),
        units=(HEADLINE[first].unit, HEADLINE[second].unit),
        steep=steep if steep is not None and frame["clear"][steep] else None,
    )


def draw(data: Against) -> Figure:
    """The points in the order of the first measure, joined."""
    below = (len(data.caption) + len(data.settings)) / (WIDTH * CHARACTERS_AN_INCH)
    figure = Figure(figsize=(WIDTH, 5.2 + 0.16 * below))
    axes, rows = figure.subplots(), data.frame
    axes.plot(rows["x"], rows["y"], color=GREY, linewidth=1, zorder=1)
    if data.steep is not None:
        step = rows.iloc[data.steep - 1 : data.steep + 1]
        axes.plot(step["x"], step["y"], color=VERMILION, linewidth=3.5, zorder=1, solid_capstyle="round")
    axes.hlines(rows["y"], rows["x_low"], rows["x_high"], color=SKY, linewidth=1.2)
    axes.vlines(rows["x"], rows["y_low"], rows["y_high"], color=SKY, linewidth=1.2)
    axes.plot(rows["x"], rows["y"], "o", color=BLUE, markersize=5.5)
    for at, (x, y) in enumerate(zip(rows["x"], rows["y"], strict=True), start=1):
        beside = (5, 5 if at % 2 else -11)  # neighbours may lie on each other
        axes.annotate(str(at), (x, y), beside, textcoords="offset points", fontsize=8)
    for axis, title, unit in zip((axes.xaxis, axes.yaxis), data.axes, data.units, strict=True):
        axis.set_label_text(in_lines(title, LONGEST_LABEL))
        axis.set_major_locator(MaxNLocator(6))
        axis.set_major_formatter(ticks_in(unit))
    axes.grid(color=GRID)
    finish(figure, data)
    return figure


PICTURE = Picture(
    "against", 40, ("sweep", "compare", "select"), data, draw, needs="two points or more", fits=lambda result: False
)
