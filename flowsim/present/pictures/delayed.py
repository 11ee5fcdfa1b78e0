"""Delayed people each night: in all and by pathway, one line a scenario, with bands over replications of a few."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure

from flowsim.folder.result import Result
from flowsim.place import PlaceError
from flowsim.present.pictures.picture import EXPERIMENTS, Data, Picture
from flowsim.present.pictures.style import (
    BLACK,
    GREY,
    GRID,
    MOST_BANDS,
    SCENARIO_COLOURS,
    finish,
    legend_below,
    line_of,
)
from flowsim.present.titles import replication_count, settings_words, titled
from flowsim.present.words import day_words, few_words, number
from flowsim.questions.forecast import ENOUGH

SMOOTHING = 7
MOST_NAMED = 3
"""Of scenarios in the sentence above."""
MOST_LINES = len(SCENARIO_COLOURS)


@dataclass(frozen=True, kw_only=True)
class Delayed(Data):
    """The frame has scenario, pathway (empty for all), date, mean, low and high (the middle 80 % of replications, NaN
    of one), running means all; only of the scenarios that are shown.

    Attributes:
        dates: the first day of the run, and the first after it.
        unmeasured: spans of days, each with the first after it, that do not count.
        changes: days on which something dated begins or ends.
        highest: of each pathway the row of the first scenario, of those measured, with most people.
    """

    dates: tuple[dt.date, dt.date]
    unmeasured: tuple[tuple[dt.date, dt.date], ...]
    changes: tuple[dt.date, ...]
    highest: pd.DataFrame


def data(result: Result) -> Delayed:
    """Running means of the delayed people of each night, with their band. Raises PlaceError."""
    counts_of = _counts(result)
    if not counts_of:
        raise PlaceError("kind: 'delayed' has nothing to show: nobody is counted as delayed.")
    pathways = [pathway for pathway, counts in counts_of.items() if any(each.any() for _, each in counts.values())]
    if not pathways:
        raise PlaceError("kind: 'delayed' has nothing to show: nobody is delayed on any night.")
    shown = result.scenarios[:MOST_LINES]
    frames = [
        _line(*counts_of[pathway][scenario]).assign(scenario=scenario, pathway=pathway)
        for pathway in pathways
        for scenario in shown
        if scenario in counts_of[pathway]
    ]
    run = next(iter(result.places.values())).run
    first, last = (run.date_of(minute) for minute in result.span)
    changes = {date for change in result.dates_of_changes for date in change}
    frame = pd.concat(frames, ignore_index=True)[["scenario", "pathway", "date", "mean", "low", "high"]]
    measured = frame[(frame["date"] >= np.datetime64(first)) & (frame["date"] < np.datetime64(last))]
    return Delayed(
        frame=frame,
        title=_message(result, measured[measured["pathway"] == pathways[0]]),
        highest=measured[measured["scenario"] == shown[0]].sort_values("mean").groupby("pathway").tail(1),
        caption=_caption(result, len(shown), bool(changes)),
        settings=settings_words(result),
        scenarios={name: titled(result, name) for name in shown},
        dates=(run.first_date, run.end_date),
        unmeasured=tuple((a, b) for a, b in ((run.first_date, first), (last, run.end_date)) if a < b),
        changes=tuple(date for date in sorted(changes) if run.first_date < date < run.end_date),
    )


def _message(result: Result, rows: pd.DataFrame) -> str:
    """The mean and the highest week of each scenario, of all pathways: ``Delayed: As things are 124, most 143 ...``."""
    said = []
    for scenario, nights in list(rows.groupby("scenario", sort=False))[:MOST_NAMED]:
        most: Any = nights.iloc[int(nights["mean"].to_numpy().argmax())]
        mean, peak = (number(float(value), "people") for value in (nights["mean"].mean(), most["mean"]))
        said.append(f"{titled(result, str(scenario))} {mean}, most {peak} about {day_words(most['date'])}")
    more = rows["scenario"].nunique() - MOST_NAMED
    return f"People delayed each night: {'; '.join(said)}{f'; {more} more below' if more > 0 else ''}"


def _caption(result: Result, shown: int, dated: bool) -> str:
    n = replication_count(result)
    few = f"{few_words(n)} " if n < ENOUGH else ""
    bands = f"bands: their middle 80 %. {few}"
    if shown > MOST_BANDS:
        bands = "no bands, for they would hide the lines. "
    band = bands if n > 1 else "one replication, so no band. "
    of_them = "" if shown == len(result.scenarios) else f"The first {shown} scenarios. "
    dates = " Dashed lines: the start and end of dated blocks and moves." if dated else ""
    return (
        f"{of_them}Lines: mean of {n} replications, {SMOOTHING}-day running mean; ring: the highest; {band}"
        f"Grey: not measured, such as the warm-up.{dates}"
    )


def _counts(result: Result) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Each pathway ("" for all) and each scenario: the nights, and people of shape (replications, nights)."""
    counts_of: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for (scenario, pathway), rows in result.delayed_nights.groupby(["scenario", "of"], observed=True):
        nights, column = np.unique(rows["date"].to_numpy(), return_inverse=True)
        replications, row = np.unique(rows["replication"].to_numpy(), return_inverse=True)
        counts = np.zeros((len(replications), len(nights)))
        counts[row, column] = rows["count"]
        counts_of.setdefault(str(pathway), {})[str(scenario)] = nights, counts
    return dict(sorted(counts_of.items()))


def _line(nights: np.ndarray, counts: np.ndarray) -> pd.DataFrame:
    smooth = _running_mean(counts)
    several = len(smooth) > 1
    low, high = np.quantile(smooth, (0.1, 0.9), axis=0) if several else np.full((2, len(nights)), np.nan)
    return pd.DataFrame({"date": nights, "mean": smooth.mean(axis=0), "low": low, "high": high})


def _running_mean(counts: np.ndarray) -> np.ndarray:
    """Mean over so many nights about each night, fewer at both ends."""
    total = np.cumsum(np.pad(counts, ((0, 0), (1, 0))), axis=1)
    night = np.arange(counts.shape[1])
    first, after = np.maximum(night - SMOOTHING // 2, 0), np.minimum(night + SMOOTHING // 2 + 1, counts.shape[1])
    return np.asarray((total[:, after] - total[:, first]) / (after - first))


def draw(data: Delayed) -> Figure:
    """A panel a pathway."""
    pathways = list(dict.fromkeys(data.frame["pathway"]))
    figure = Figure(figsize=(10, 2.1 * len(pathways) + 1.4))
    grid = figure.subplots(len(pathways), 1, sharex=True, squeeze=False)[:, 0]
    for axes, pathway in zip(grid, pathways, strict=True):
        of_pathway = data.frame[data.frame["pathway"] == pathway]
        for at, (scenario, title) in enumerate(data.scenarios.items()):
            rows = of_pathway[of_pathway["scenario"] == scenario]
            if len(rows):
                _draw_line(axes, rows, title, at, len(data.scenarios))
        most = data.highest.set_index("pathway").loc[pathway]
        words = f"most {number(float(most['mean']), 'people')} about {day_words(most['date'])}"
        axes.plot([most["date"]], [most["mean"]], "o", markersize=9, markerfacecolor="none", color=BLACK)
        what = pathway.replace("_", " ") or "all pathways"
        axes.set_title(f"Delayed, {what} ({next(iter(data.scenarios.values()))}: {words})")
        axes.set_ylabel("people at 23:59")
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=GRID)
        _mark_dates(axes, data)
    grid[-1].xaxis.set_major_formatter(ConciseDateFormatter(grid[-1].xaxis.get_major_locator()))
    finish(figure, data, bottom=legend_below(figure, *grid[0].get_legend_handles_labels()))
    return figure


def _draw_line(axes: Axes, rows: pd.DataFrame, title: str, at: int, scenarios: int) -> None:
    colour, style = line_of(at)
    nights = rows["date"].to_numpy()
    axes.plot(nights, rows["mean"].to_numpy(), style, color=colour, linewidth=1.5, label=title)
    if rows["low"].notna().all() and scenarios <= MOST_BANDS:
        low, high = rows["low"].to_numpy(), rows["high"].to_numpy()
        axes.fill_between(nights, low, high, color=colour, alpha=0.15 if scenarios == 1 else 0.08, linewidth=0)


def _mark_dates(axes: Axes, data: Delayed) -> None:
    for begin, end in data.unmeasured:
        axes.axvspan(np.datetime64(begin), np.datetime64(end), color="#EEEEEE", zorder=0)  # type: ignore[arg-type]
    axes.set_xlim(*(np.datetime64(date) for date in data.dates))  # type: ignore[arg-type]
    for date in data.changes:
        axes.axvline(np.datetime64(date), color=GREY, linestyle=(0, (4, 3)), linewidth=1)  # type: ignore[arg-type]


PICTURE = Picture("delayed", 40, EXPERIMENTS, data, draw)
