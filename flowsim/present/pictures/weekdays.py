"""Discharges by weekday as an index (the mean day is 1), with the published patterns where some are given."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flowsim.folder.result import Result
from flowsim.place import WEEKDAYS, FlowsimNotice, PlaceError
from flowsim.present.pictures.picture import EXPERIMENTS, Data, Picture
from flowsim.present.pictures.style import (
    BLACK,
    GREY,
    GRID,
    MOST_BANDS,
    finish,
    legend_below,
    line_of,
)
from flowsim.present.titles import replication_count, settings_words, titled
from flowsim.present.words import interval_words, number
from flowsim.statistics.intervals import t_interval

MEASURE = "discharges_by_weekday"
MARKERS = "osD^v"
PUBLISHED = "published"


@dataclass(frozen=True, kw_only=True)
class Weekdays(Data):
    """The frame has where (a site, or "all"), series (a scenario, or the words of a published pattern), kind (scenario
    or published), weekday, mean, low and high; `panels` are the titles of each where that is shown."""

    panels: Mapping[str, str]


def data(result: Result) -> Weekdays:
    """Each scenario's index in all hospitals, and at each site of which a pattern is published. Raises PlaceError.

    A site has a panel of its own lines: its pattern cannot be read against those of all.
    """
    published = published_patterns(result)
    patterns = {where: _patterns(result, where) for where in dict.fromkeys(("all", *published))}
    shown = [where for where, known in patterns.items() if known]
    if not shown:
        raise PlaceError("kind: 'weekdays' has nothing to show: no discharges by weekday were found.")
    rows: list[tuple[Any, ...]] = []
    for where in shown:
        for scenario, values in patterns[where].items():
            _, mean, _, low, high = t_interval(values)
            rows += _rows(where, scenario, "scenario", mean, low, high)
        for words, index in published.get(where, {}).items():
            rows += _rows(where, words, PUBLISHED, index, [np.nan] * 7, [np.nan] * 7)
    sites = next(iter(result.places.values())).sites
    intervals = interval_words(replication_count(result))
    bands = f"bands: {intervals}" if len(result.scenarios) <= MOST_BANDS else "no bands, for they would hide the lines"
    frame = pd.DataFrame(rows, columns=["where", "series", "kind", "weekday", "mean", "low", "high"])
    return Weekdays(
        frame=frame,
        title=_message(result, frame[frame["where"] == shown[0]]),
        caption=f"Lines: mean; {bands}; markers: published figures.",
        settings=settings_words(result),
        scenarios={name: titled(result, name) for name in result.scenarios},
        panels={where: "All hospitals" if where == "all" else sites[where].title for where in shown},
    )


def _message(result: Result, rows: pd.DataFrame) -> str:
    """On which days most and fewest leave in the first scenario, and by what is published; of one panel's rows."""
    said = []
    for series, pattern in rows.groupby("series", sort=False):
        if series == rows["series"].iloc[0] or pattern["kind"].iloc[0] == PUBLISHED:
            days = pattern["mean"].to_numpy()
            name = titled(result, str(series)) if series in result.scenarios else "published"
            both = (int(days.argmax()), int(days.argmin()))
            most, fewest = (f"{WEEKDAYS[at].title()} ({number(float(days[at]))})" for at in both)
            said.append(f"{name} most on {most}, fewest on {fewest}")
    return f"Discharges by day of the week, a mean day being 1: {'; '.join(said)}"


def published_patterns(result: Result) -> dict[str, dict[str, list[float]]]:
    """Published discharges by weekday: a site or "all" -> whose and when -> seven index numbers, Monday first.

    Warns (`FlowsimNotice`) of a row of the evidence that is not such numbers, and leaves it out.
    """
    patterns: dict[str, dict[str, list[float]]] = {}
    for row in result.published[result.published["measure"] == MEASURE].to_dict("records"):
        values = _index(row["value"])
        if values is None:
            read = f"{row['id']} of the evidence: {row['value']!r}"
            words = f"{read} is not seven numbers with '/' between; left out."
            warnings.warn(words, FlowsimNotice, stacklevel=2)
            continue
        words = f"published ({row['id']}): {', '.join(row['why'].split(', ')[:2])}"
        patterns.setdefault(row["where"], {})[words] = values
    return patterns


def _index(text: str) -> list[float] | None:
    """Seven finite numbers with ``/`` between them; None when the text is anything else."""
    try:
        values = [float(value) for value in text.split("/")]
    except ValueError:
        return None
    return values if len(values) == len(WEEKDAYS) and all(map(math.isfinite, values)) else None


def _patterns(result: Result, where: str) -> dict[str, np.ndarray]:
    """Each scenario's index at a site or in "all" of them: (7, replications), where all seven days are known."""
    rows = result.results[result.results["measure"] == MEASURE]
    patterns = {}
    for scenario in result.scenarios:
        there = rows[(rows["scenario"] == scenario) & (rows["where"] == where)]
        wide = there.pivot_table(index="of", columns="replication", values="value").reindex(WEEKDAYS)
        if len(there) and wide.notna().any(axis=1).all():
            patterns[scenario] = wide.to_numpy(dtype=float)
    return patterns


def _rows(where: str, series: str, kind: str, *values: Any) -> Iterator[tuple[Any, ...]]:
    for day, numbers in zip(WEEKDAYS, zip(*values, strict=True), strict=True):
        yield where, series, kind, day, *map(float, numbers)


def draw(data: Weekdays) -> Figure:
    """A panel for all hospitals, and one for each site with a published pattern."""
    several = len(data.panels) > 1
    figure = Figure(figsize=(5.2 * len(data.panels) if several else 8, 4.8))
    grid = figure.subplots(1, len(data.panels), sharey=True, squeeze=False)[0]
    markers = itertools.cycle(MARKERS)
    for axes, (where, title) in zip(grid, data.panels.items(), strict=True):
        rows = data.frame[data.frame["where"] == where]
        _draw_lines(axes, rows, data.scenarios)
        for words, pattern in rows[rows["kind"] == PUBLISHED].groupby("series", sort=False):
            values = list(pattern["mean"])
            axes.plot(range(7), values, next(markers), color=BLACK, markerfacecolor="white", markersize=7, label=words)
        if several:
            axes.set_title(title)
        axes.axhline(1, color=GREY, linewidth=0.8)
        axes.set_xticks(range(7), [day[:3].title() if several else day.title() for day in WEEKDAYS])
        axes.grid(axis="y", color=GRID)
    grid[0].set_ylabel("discharges, index (mean day = 1)")
    grid[0].set_ylim(bottom=0)
    lines = {label: line for axes in grid for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    finish(figure, data, bottom=legend_below(figure, list(lines.values()), list(lines)))
    return figure


def _draw_lines(axes: Axes, rows: pd.DataFrame, scenarios: Mapping[str, str]) -> None:
    of_scenarios = rows[rows["kind"] != PUBLISHED]
    for at, (scenario, title) in enumerate(scenarios.items()):
        line = of_scenarios[of_scenarios["series"] == scenario]
        if line.empty:
            continue
        colour, style = line_of(at)
        axes.plot(range(7), line["mean"].to_numpy(), style, color=colour, linewidth=1.6, label=title)
        if np.isfinite(line["low"]).all() and len(scenarios) <= MOST_BANDS:
            low, high = np.maximum(line["low"].to_numpy(), 0), line["high"].to_numpy()
            axes.fill_between(range(7), low, high, color=colour, alpha=0.15, linewidth=0)


PICTURE = Picture("weekdays", 60, EXPERIMENTS, data, draw)
