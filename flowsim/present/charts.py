"""The pictures: PNG or SVG, the same bytes for the same numbers.

Colours are those of Okabe and Ito (2008), which people with any common colour vision tell apart; nothing is said by
colour alone. Every picture says in its caption how many replications stand behind it and what its bands and bars are.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex, to_rgb
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator, StrMethodFormatter

from flowsim.folder.result import Result
from flowsim.measures.causes import TRANSPORT
from flowsim.measures.registry import HEADLINE
from flowsim.place import WEEKDAYS, PlaceError, notice, refuse
from flowsim.present.words import (
    KEY_MEASURES,
    cause_title,
    few_words,
    number,
    period_words,
    scaled,
    settings_words,
    tick,
    titled,
    with_unit,
)
from flowsim.questions.compare import NO_CLEAR_CHANGE, Comparison
from flowsim.questions.forecast import BEDS, ENOUGH, is_forecast, weekly
from flowsim.statistics.intervals import t_interval
from flowsim.statistics.warm_up import BATCH, batch_means, delayed_series, mser5_statistic, truncation_days

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
GREY = "#7F7F7F"
SCENARIO_STYLES = ((BLACK, "-"), (BLUE, "-"), (VERMILION, "-"), (GREEN, "-"), (PURPLE, "-"), (ORANGE, "-"), (SKY, "-"))
LINE_STYLES = ("-", "--", "-.", ":")
STACK = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, YELLOW)
OTHERS = "#D0D0D0"
HATCHES = {
    "capacity": {"service": ""},
    "task": {"task": "//"},
    "staff": {"pool": ".."},
    "calendar": {"task": "\\\\", "service": "xx", "pool": "++"},
}
"""The hatch of a cause: by its kind, and by what it waits for."""
MOST_CAUSES = 8
EMERGENCY = ("ed_four_hour_share", "boarding_hours_mean", "trolley_12_hour_count")
SMOOTHING = 7
LONGEST_LINE, LONGEST_LABEL, LONGEST_HEADING = 24, 46, 42
"""Characters of a line of a scenario's title beside an axis, of a legend, and above one of three panels."""
MOST_BANDS = 3
"""Scenarios that have bands by night and by weekday; of more the lines alone are clearer."""


Published = Mapping[str, Mapping[str, list[float]]]
"""Published discharges by weekday: a site or "all" -> words for the legend -> seven numbers, Monday first."""


def save(result: Result, path: str | Path, kind: str = "differences", **options: Any) -> Path:
    """Draw one chart and write it; the ending of `path` (.png or .svg) decides the format.

    Kinds: differences, forecast, emergency, delayed, causes, weekdays, warm_up. Raises PlaceError for another kind or
    ending, or when the result has nothing to show of that kind.
    """
    if kind not in KINDS:
        raise refuse("kind", kind, "one of", KINDS)
    return write(partial(KINDS[kind], result, **options), path)


def write(draw: Callable[[], Figure], *paths: str | Path) -> Path:
    """Draw a picture in flowsim's style and write it to .png or .svg files; returns the first.

    Raises PlaceError for another ending.
    """
    files = [Path(path) for path in paths]
    for path in files:
        if path.suffix not in FORMATS:
            raise refuse("path", str(path), "a name ending in .png or .svg")
    with _style():
        canvas = _laid_out(draw())
        for path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            FORMATS[path.suffix](canvas, path)
    return files[0]


def _laid_out(figure: Figure) -> FigureCanvasAgg:
    """Find room for everything, once for all formats. The canvas it was measured on has kept the size of every word."""
    canvas = FigureCanvasAgg(figure)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")
    # the solver does not always repeat the last bit, and clip paths in SVG are named after positions
    for axes in figure.axes:
        left, bottom, width, height = (round(edge, 6) for edge in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))
        for axis in (axes.xaxis, axes.yaxis):
            _fix_ticks(axis)
    return canvas


def _fix_ticks(axis: Axis) -> None:
    """Keep ticks and their words as they are now: each drawing would look for them again, several times."""
    ticks, formatter = list(axis.get_majorticklocs()), axis.get_major_formatter()
    words = FixedFormatter(formatter.format_ticks(ticks))
    words.set_offset_string(formatter.get_offset())
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(words)


def _png(canvas: FigureCanvasAgg, path: Path) -> None:
    canvas.figure.set_dpi(PNG_DPI)  # an SVG has its own
    options = {"compress_level": COMPRESSION}
    canvas.print_png(path, metadata={"Software": "flowsim"}, pil_kwargs=options)


def _svg(canvas: FigureCanvasAgg, path: Path) -> None:
    FigureCanvasSVG(canvas.figure).print_svg(path, metadata={"Date": None, "Creator": "flowsim"})


# not figure.savefig, which draws each picture twice
FORMATS: dict[str, Callable[[FigureCanvasAgg, Path], None]] = {".png": _png, ".svg": _svg}
PNG_DPI = 150
COMPRESSION = 3
"""Of a PNG: its files are as small as those of the default of 6, in half the time."""


def save_all(result: Result, folder: str | Path, published: Published | None = None) -> list[Path]:
    """Every chart that can be drawn of this result, as PNG and SVG, the most important first."""
    written = []
    for kind, draw in KINDS.items():
        own = {"published": published} if kind == "weekdays" else {}
        paths = [Path(folder) / f"{kind}{ending}" for ending in FORMATS]
        with or_without(kind):
            write(partial(draw, result, **own), *paths)
            written += paths
    return written


@contextlib.contextmanager
def or_without(kind: str) -> Iterator[None]:
    """A picture that has nothing to show is left out; one that fails as well, with a notice: it costs no result."""
    try:
        yield
    except PlaceError:
        pass
    except Exception as error:
        notice(f"the picture {kind!r} could not be drawn ({type(error).__name__}: {error}); all else is complete")


@contextlib.contextmanager
def _style() -> Iterator[None]:
    settings: dict[Any, Any] = {
        "svg.hashsalt": "flowsim",
        "svg.fonttype": "path",
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.hinting": "none",  # letters have the same places at every size, and take far less time
        "axes.titlesize": 9.5,
        "axes.titlelocation": "left",
        "axes.titley": 1.0,  # where it would be put by trying, in each drawing anew
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "figure.dpi": PNG_DPI,
    }
    with matplotlib.rc_context(settings):
        yield


def finish(figure: Figure, result: Result, title: str, caption: str, bottom: float = 0.0) -> None:
    """Title above, below the legend, for which `bottom` leaves inches, the caption and what the user set."""
    width, height = figure.get_size_inches()
    lines = [line for words in (caption, settings_words(result)) for line in textwrap.wrap(words, int(width * 17))]
    below = 0.16 * len(lines) + 0.12 + bottom
    for legend in figure.legends:
        legend.set_bbox_to_anchor((0, (0.13 * len(lines) + 0.12) / height), transform=figure.transFigure)
    figure.suptitle(title, x=0.1 / width, y=1 - 0.1 / height, ha="left", va="top", fontsize=12, fontweight="bold")
    figure.text(0.1 / width, 0.06 / height, "\n".join(lines), ha="left", va="bottom", fontsize=7.5, color="#444444")
    figure.set_layout_engine("constrained", rect=(0.005, below / height, 0.99, 1 - (below + 0.42) / height))


def in_lines(words: str, width: int = LONGEST_LINE) -> str:
    """Words broken into lines of so many characters."""
    return "\n".join(textwrap.wrap(words, width))


def _label_scenarios(axes: Axes, result: Result, scenarios: Sequence[str]) -> None:
    """Scenarios down the left side, the first on top."""
    axes.set_yticks(range(len(scenarios)), [in_lines(titled(result, name)) for name in scenarios])
    axes.set_ylim(len(scenarios) - 0.5, -0.5)


def _lines_of(result: Result, scenarios: Sequence[str]) -> float:
    """How much room scenarios down a side need, in lines; a title's second line needs half of one."""
    return sum(1 + in_lines(titled(result, name)).count("\n") / 2 for name in scenarios)


def _legend_below(figure: Figure, handles: Sequence[Any], labels: Sequence[str], columns: int = 3) -> float:
    """A legend, which `finish` puts between the picture and its caption; returns the inches it needs."""
    told = [in_lines(label, LONGEST_LABEL) for label in labels]
    figure.legend(handles, told, loc="lower left", ncols=columns, frameon=False, fontsize=8)
    rows = -(-len(told) // columns)  # it is filled column by column
    lines = [sum(1 + label.count("\n") for label in told[at : at + rows]) for at in range(0, len(told), rows)]
    return 0.1 + 0.19 * max(lines, default=0)


def replication_count(result: Result) -> int:
    """How many replications stand behind a result."""
    return int(result.results["replication"].nunique())


def interval_words(n: int, kind: str = "") -> str:
    """What bars and bands are, for a caption."""
    return f"95 % intervals over {n} {kind}replications" if n > 1 else "one replication, so no interval"


# ---------------------------------------------------------------------------------------------------------------------
# Paired differences


def differences(result: Result) -> Figure:
    """Small multiples, one measure a panel: each scenario's paired difference with its interval."""
    if not isinstance(result, Comparison):
        raise PlaceError("kind: 'differences' needs a comparison of two or more scenarios.")
    table = result.table().set_index(["measure", "scenario"])
    shown = [name for name in KEY_MEASURES if name in table.index.get_level_values("measure")]
    if not shown:
        raise PlaceError("kind: 'differences' has nothing to show: no headline measure was found.")
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    height = 0.8 + 0.27 * _lines_of(result, result.others)
    figure = Figure(figsize=(3.6 * columns + 1.4, height * rows + 1.35))
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, name in zip(grid.flat, shown, strict=False):
        _difference_panel(axes, table.loc[[name]].droplevel("measure"), result, name)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        _label_scenarios(axes, result, result.others)
    n = int(table["n"].max())
    figure.legend(
        handles=_difference_legend(),
        loc="lower left",
        ncols=4,
        frameon=False,
    )
    finish(
        figure,
        result,
        f"What each scenario changes, compared with: {titled(result, result.baseline)}",
        f"Points: mean paired difference; bars: {interval_words(n, 'paired ')}. {period_words(result)}",
        bottom=0.3,
    )
    return figure


def _difference_panel(axes: Axes, rows: pd.DataFrame, result: Comparison, name: str) -> None:
    measure = HEADLINE[name]
    axes.axvline(0, color=GREY, linewidth=1)
    for at, scenario in enumerate(result.others):
        if scenario not in rows.index:
            continue
        row: Any = rows.loc[scenario]
        colour, marker, filled = _mark(str(row["change"]), measure.better)
        if np.isfinite(row["low"]):
            axes.plot([row["low"], row["high"]], [at, at], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot(
            row["difference"], at, marker, color=colour, markersize=6.5, markerfacecolor=colour if filled else "white"
        )
    first = rows.iloc[0]
    unit = str(first["unit"])
    of_the_first = f"({titled(result, result.baseline)}: {with_unit(float(first['baseline']), unit)})"
    axes.set_title(f"{in_lines(measure.title, LONGEST_HEADING)}\n{in_lines(of_the_first, LONGEST_HEADING)}")
    axes.set_xlabel(f"change, {'percentage points' if unit == '%' else scaled(unit, result)}", fontsize=8)
    axes.margins(x=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value, unit)))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#E5E5E5")


def _mark(change: str, better: int) -> tuple[str, str, bool]:
    """Colour, marker and filling of a difference: better, worse, changed with no better side, or not clear."""
    if change not in ("more", "less"):
        return GREY, "o", False
    side = better * (1 if change == "more" else -1)
    return {1: (BLUE, "o", True), -1: (VERMILION, "D", True), 0: (BLACK, "s", True)}[side]


def _difference_legend() -> list[Line2D]:
    kinds = (("better", "more", 1), ("worse", "more", -1), ("changed", "more", 0), (NO_CLEAR_CHANGE, "", 0))
    found = []
    for word, change, better in kinds:
        colour, marker, filled = _mark(change, better)
        face = colour if filled else "white"
        found.append(Line2D([], [], color=colour, marker=marker, markerfacecolor=face, linewidth=2, label=word))
    return found


# ---------------------------------------------------------------------------------------------------------------------
# The emergency department


def emergency(result: Result) -> Figure:
    """What the emergency department bears in each scenario: four-hour share, wait for a bed, waits over 12 hours."""
    table = result.summary().set_index(["measure", "scenario"])
    known = table["mean"].dropna().index.get_level_values("measure")
    shown = [name for name in EMERGENCY if name in known]
    if not shown:
        raise PlaceError("kind: 'emergency' has nothing to show: nobody was in an emergency department.")
    figure = Figure(figsize=(3.6 * len(shown) + 1.4, 0.32 * _lines_of(result, result.scenarios) + 1.7))
    grid = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, name in zip(grid, shown, strict=True):
        _emergency_panel(axes, table.loc[[name]].droplevel("measure"), result, name)
    _label_scenarios(grid[0], result, result.scenarios)
    dotted = f"; dotted: {titled(result, result.scenarios[0])}" if len(result.scenarios) > 1 else ""
    finish(
        figure,
        result,
        "The emergency department, where people wait who are not counted as delayed",
        f"Points: means; bars: {interval_words(replication_count(result))}{dotted}. {period_words(result)}",
    )
    return figure


def _emergency_panel(axes: Axes, rows: pd.DataFrame, result: Result, name: str) -> None:
    unit = HEADLINE[name].unit
    highest = 100.0 if unit == "%" else float(np.nanmax(rows[["mean", "high"]].to_numpy(dtype=float))) or 1.0
    for at, scenario in enumerate(result.scenarios):
        if scenario not in rows.index:
            continue
        row: Any = rows.loc[scenario]
        colour = SCENARIO_STYLES[at % len(SCENARIO_STYLES)][0]
        if np.isfinite(row["low"]):
            ends = np.clip([row["low"], row["high"]], 0, highest)
            axes.plot(ends, [at, at], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot(row["mean"], at, "o", color=colour, markersize=6.5)
        side = "left" if row["mean"] < highest / 2 else "right"
        axes.annotate(number(row["mean"]), (row["mean"], at), (0, 6), textcoords="offset points", ha=side, fontsize=8)
    if len(result.scenarios) > 1 and result.scenarios[0] in rows.index:
        axes.axvline(float(rows["mean"][result.scenarios[0]]), color=GREY, linestyle=":", linewidth=1)
    axes.set_title(in_lines(HEADLINE[name].title, LONGEST_HEADING))
    axes.set_xlabel(scaled(unit, result), fontsize=8)
    axes.set_xlim(-0.03 * highest, 1.05 * highest)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value, unit)))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#E5E5E5")


# ---------------------------------------------------------------------------------------------------------------------
# Delayed people each night


def delayed(result: Result) -> Figure:
    """Delayed people each night: in all and by pathway, one line a scenario, with bands over replications of a few."""
    counts_of = _delayed(result)
    if not counts_of:
        raise PlaceError("kind: 'delayed' has nothing to show: nobody is counted as delayed.")
    states = [state for state, own in counts_of.items() if any(counts.any() for _, counts in own.values())]
    if not states:
        raise PlaceError("kind: 'delayed' has nothing to show: nobody is delayed on any night.")
    shown = result.scenarios[: len(SCENARIO_STYLES)]
    figure = Figure(figsize=(10, 2.1 * len(states) + 1.4))
    grid = figure.subplots(len(states), 1, sharex=True, squeeze=False)[:, 0]
    for axes, state in zip(grid, states, strict=True):
        for at, scenario in enumerate(shown):
            if scenario in counts_of[state]:
                _delayed_line(axes, *counts_of[state][scenario], titled(result, scenario), at, len(shown))
        words = state.replace("_", " ")
        axes.set_title(f"Delayed, {words}" if words else "Delayed, all pathways")
        axes.set_ylabel("people at 23:59")
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color="#E5E5E5")
        _mark_dates(axes, result)
    grid[-1].xaxis.set_major_formatter(ConciseDateFormatter(grid[-1].xaxis.get_major_locator()))
    legend = _legend_below(figure, *grid[0].get_legend_handles_labels())
    n = replication_count(result)
    dated = result.dates_of_changes
    dates = " Dashed lines: the start and end of dated blocks and moves." if dated else ""
    few = f"{few_words(n)} " if n < ENOUGH else ""
    bands = f"bands: their middle 80 %. {few}"
    if len(shown) > MOST_BANDS:
        bands = "no bands, for they would hide the lines. "
    band = bands if n > 1 else "one replication, so no band. "
    of_them = "" if len(shown) == len(result.scenarios) else f"The first {len(shown)} scenarios. "
    finish(
        figure,
        result,
        "People delayed in acute beds each night, by pathway",
        f"{of_them}Lines: mean of {n} replications, {SMOOTHING}-day running mean; {band}"
        f"Grey: not measured, such as the warm-up.{dates}",
        bottom=legend,
    )
    return figure


def _delayed(result: Result) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Each pathway ("" for all) and each scenario: the nights, and people of shape (replications, nights)."""
    found: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for (scenario, pathway), rows in result.delayed_nights.groupby(["scenario", "of"], observed=True):
        nights, column = np.unique(rows["date"].to_numpy(), return_inverse=True)
        replications, row = np.unique(rows["replication"].to_numpy(), return_inverse=True)
        counts = np.zeros((len(replications), len(nights)))
        counts[row, column] = rows["count"]
        found.setdefault(str(pathway), {})[str(scenario)] = nights, counts
    return dict(sorted(found.items()))


def _delayed_line(axes: Axes, nights: np.ndarray, counts: np.ndarray, title: str, at: int, scenarios: int) -> None:
    smooth = _running_mean(counts)
    colour, _ = SCENARIO_STYLES[at % len(SCENARIO_STYLES)]
    style = LINE_STYLES[at % len(LINE_STYLES)]
    axes.plot(nights, smooth.mean(axis=0), style, color=colour, linewidth=1.5, label=title)
    if len(smooth) > 1 and scenarios <= MOST_BANDS:
        low, high = np.quantile(smooth, (0.1, 0.9), axis=0)
        axes.fill_between(nights, low, high, color=colour, alpha=0.15 if scenarios == 1 else 0.08, linewidth=0)


def _running_mean(counts: np.ndarray) -> np.ndarray:
    """Mean over so many nights about each night, fewer at both ends."""
    total = np.cumsum(np.pad(counts, ((0, 0), (1, 0))), axis=1)
    night = np.arange(counts.shape[1])
    first, after = np.maximum(night - SMOOTHING // 2, 0), np.minimum(night + SMOOTHING // 2 + 1, counts.shape[1])
    return np.asarray((total[:, after] - total[:, first]) / (after - first))


def _mark_dates(axes: Axes, result: Result) -> None:
    run = next(iter(result.places.values())).run
    first, last = (run.date_of(minute) for minute in result.span)
    for begin, end in ((run.first_date, first), (last, run.end_date)):
        if begin < end:
            axes.axvspan(np.datetime64(begin), np.datetime64(end), color="#EEEEEE", zorder=0)  # type: ignore[arg-type]
    axes.set_xlim(np.datetime64(run.first_date), np.datetime64(run.end_date))  # type: ignore[arg-type]
    edges: set[dt.date] = {date for change in result.dates_of_changes for date in change}
    for date in sorted(edges):
        if run.first_date < date < run.end_date:
            axes.axvline(np.datetime64(date), color=GREY, linestyle=(0, (4, 3)), linewidth=1)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------------------
# Where the waiting is


def causes(result: Result) -> Figure:
    """Delayed bed-days a year by what people wait for: one stacked bar a scenario."""
    rows = result.results[result.results["measure"] == "delayed_bed_days_by_cause"]
    rows = rows[rows["where"] == "all"]
    if rows.empty:
        raise PlaceError("kind: 'causes' has nothing to show: no delayed bed-days by cause were found.")
    replications = rows.groupby("scenario")["replication"].nunique()
    table = rows.groupby(["scenario", "of"])["value"].sum().unstack("of").fillna(0).div(replications, axis=0)
    table = table.loc[[s for s in result.scenarios if s in table.index]]
    largest = table.max().sort_values(ascending=False, kind="stable").index
    largest = largest[(table[largest] > 0).any()]
    if largest.empty:
        raise PlaceError("kind: 'causes' has nothing to show: nobody is delayed.")
    kept = list(largest[:MOST_CAUSES])
    bars = table[kept].copy()
    if len(largest) > MOST_CAUSES:
        bars[f"{len(largest) - MOST_CAUSES} other causes"] = table[largest[MOST_CAUSES:]].sum(axis=1)
    styles = _cause_styles(result)
    figure = Figure(figsize=(10, 0.55 * len(table) + 2.8))
    axes = figure.subplots()
    left = np.zeros(len(bars))
    for cause in bars.columns:
        colour, hatch = styles.get(str(cause), (OTHERS, ""))
        axes.barh(
            range(len(bars)), bars[cause], left=left, color=colour, hatch=hatch, edgecolor="white", height=0.7,
            label=cause_title(result, str(cause)),
        )  # fmt: skip
        left += bars[cause].to_numpy()
    for at, total in enumerate(left):
        axes.text(total, at, f" {total:,.0f}", va="center", fontsize=8.5)
    _label_scenarios(axes, result, [str(name) for name in bars.index])
    axes.margins(x=0.08)
    axes.set_xlabel(scaled(str(rows["unit"].iloc[0]), result))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    finish(
        figure,
        result,
        "Where the waiting is: delayed bed-days by cause",
        f"Mean of {replication_count(result)} replications. Each delayed minute is charged to exactly one cause; "
        f"'full' is capacity and 'closed' calendar in the tables. {period_words(result)}",
        bottom=_legend_below(figure, *axes.get_legend_handles_labels()),
    )
    return figure


def _cause_styles(result: Result) -> dict[str, tuple[str, str]]:
    """Colour and hatch of every cause there can be: by the place's own order, so the same in each run of a place."""
    found = {TRANSPORT: (GREY, "")}
    places = list(result.places.values())
    subjects = {
        "task": [task for place in places for stage in place.stages.values() for task in (*stage.before, *stage.after)],
        "service": [name for place in places for name in place.services],
        "pool": [name for place in places for name in place.pools],
    }
    for kind, hatches in HATCHES.items():
        for of_what, hatch in hatches.items():
            for at, name in enumerate(dict.fromkeys(subjects[of_what])):
                found[f"{kind}: {name}"] = _darker(STACK[at % len(STACK)], at // len(STACK)), hatch
    return found


def _darker(colour: str, steps: int) -> str:
    """A colour nearer to black, half of the way in each step."""
    return to_hex(np.array(to_rgb(colour)) / 2**steps)


# ---------------------------------------------------------------------------------------------------------------------
# Discharges by weekday


def weekdays(result: Result, published: Published | None = None) -> Figure:
    """Discharges by weekday as an index (the mean day is 1), with the published patterns where some are given.

    Each site of which a pattern is published has a panel of its own lines: it cannot be read against those of all.
    """
    published = published or {}
    patterns = {where: _weekday_patterns(result, where) for where in dict.fromkeys(("all", *published))}
    shown = [where for where, own in patterns.items() if own]
    if not shown:
        raise PlaceError("kind: 'weekdays' has nothing to show: no discharges by weekday were found.")
    figure = Figure(figsize=(8 if len(shown) == 1 else 5.2 * len(shown), 4.8))
    grid = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    markers = iter("osD^v" * len(shown))
    for axes, where in zip(grid, shown, strict=True):
        _weekday_lines(axes, result, patterns[where])
        for (words, values), marker in zip(published.get(where, {}).items(), markers, strict=False):
            axes.plot(range(7), values, marker, color=BLACK, markerfacecolor="white", markersize=7, label=words)
        if len(shown) > 1:
            axes.set_title("All hospitals" if where == "all" else _site_title(result, where))
        axes.axhline(1, color=GREY, linewidth=0.8)
        axes.set_xticks(range(7), [day[:3].title() if len(shown) > 1 else day.title() for day in WEEKDAYS])
        axes.grid(axis="y", color="#E5E5E5")
    grid[0].set_ylabel("discharges, index (mean day = 1)")
    grid[0].set_ylim(bottom=0)
    told = {label: line for axes in grid for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    intervals = interval_words(replication_count(result))
    bands = f"bands: {intervals}" if len(result.scenarios) <= MOST_BANDS else "no bands, for they would hide the lines"
    finish(
        figure,
        result,
        "Discharges from acute beds by day of the week",
        f"Lines: mean; {bands}; markers: published figures.",
        bottom=_legend_below(figure, list(told.values()), list(told)),
    )
    return figure


def _weekday_patterns(result: Result, where: str) -> dict[str, np.ndarray]:
    """Each scenario's index at a site or in "all" of them: (7, replications), where all seven days are known."""
    rows = result.results[result.results["measure"] == "discharges_by_weekday"]
    found = {}
    for scenario in result.scenarios:
        own = rows[(rows["scenario"] == scenario) & (rows["where"] == where)]
        wide = own.pivot_table(index="of", columns="replication", values="value").reindex(WEEKDAYS)
        if len(own) and wide.notna().any(axis=1).all():
            found[scenario] = wide.to_numpy(dtype=float)
    return found


def _weekday_lines(axes: Axes, result: Result, patterns: Mapping[str, np.ndarray]) -> None:
    for at, scenario in enumerate(result.scenarios):
        if scenario not in patterns:
            continue
        _, mean, _, low, high = t_interval(patterns[scenario])
        colour, _ = SCENARIO_STYLES[at % len(SCENARIO_STYLES)]
        style = LINE_STYLES[at % len(LINE_STYLES)]
        axes.plot(range(7), mean, style, color=colour, linewidth=1.6, label=titled(result, scenario))
        if np.isfinite(low).all() and len(result.scenarios) <= MOST_BANDS:
            axes.fill_between(range(7), np.maximum(low, 0), high, color=colour, alpha=0.15, linewidth=0)


def _site_title(result: Result, site: str) -> str:
    return next(iter(result.places.values())).sites[site].title


# ---------------------------------------------------------------------------------------------------------------------
# The warm-up


def warm_up(result: Result) -> Figure:
    """Delayed people from the first day of the warm-up, and what MSER-5 would leave out: is the warm-up long enough?"""
    name, place = next(iter(result.places.items()))
    if place.scenario.changes or place.run.census is not None:
        raise PlaceError("kind: 'warm_up' needs a place without a scenario, which is meant to change who is delayed.")
    own = result.delayed_nights[result.delayed_nights["scenario"] == name]
    series = delayed_series(own)
    days = truncation_days(own)
    if days is None:
        raise PlaceError("kind: 'warm_up' has nothing to show: there are too few days, or nobody is delayed.")
    batches = batch_means(series)
    at = BATCH * np.arange(len(batches)) + BATCH / 2
    figure = Figure(figsize=(9, 5.6))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    upper.plot(np.arange(len(series)) + 0.5, series, color=SKY, linewidth=0.9, label="each night")
    upper.plot(at, batches, color=BLUE, linewidth=1.6, label=f"mean of {BATCH} nights")
    level = float(series[place.run.warm_up_days :].mean())
    upper.axhline(level, color=GREY, linewidth=1, linestyle=":", label="mean of the days that count")
    upper.set_ylabel("people delayed at 23:59")
    upper.set_ylim(bottom=0)
    statistic = mser5_statistic(series)
    lower.plot(BATCH * np.arange(len(statistic)), statistic, color=BLACK, linewidth=1.4)
    lower.plot(days, statistic[days // BATCH], "o", color=VERMILION, markersize=7)
    lower.set_ylabel("MSER-5")
    lower.set_xlabel("days left out, from the first day of the warm-up")
    for axes in (upper, lower):
        axes.axvspan(0, place.run.warm_up_days, color="#EEEEEE", zorder=0)
        axes.axvline(days, color=VERMILION, linestyle="--", linewidth=1.2, label=f"MSER-5: leave out {days} days")
        axes.grid(axis="y", color="#E5E5E5")
        axes.set_xlim(0, len(series))
    upper.legend(frameon=False, fontsize=8, ncols=2)
    enough = "long enough" if days <= place.run.warm_up_days else "too short"
    finish(
        figure,
        result,
        f"Is the warm-up long enough? {titled(result, name)}",
        f"Mean of {replication_count(result)} replications; grey: the warm-up of {place.run.warm_up_days} days, which "
        f"looks {enough}. MSER-5 (White 1997) leaves out so many days that the mean of the rest is known best: where "
        "its curve is lowest, in the first half.",
    )
    return figure


# ---------------------------------------------------------------------------------------------------------------------
# The weeks ahead of a census


def forecast(result: Result) -> Figure:
    """The weeks ahead of a census, one panel for each thing that is followed: median and bands by week."""
    if not is_forecast(result):
        raise PlaceError("kind: 'forecast' needs a run that started from a census (census=FILE.csv).")
    bands = weekly(result)
    shown = [str(title) for title, rows in bands.groupby("series", sort=False) if rows["high_90"].any()]
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(5.4 * columns, 2.3 * rows + 1.2))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, title in zip(grid.flat, shown, strict=False):
        own = bands[bands["series"] == title]
        for at, scenario in enumerate(result.scenarios):
            _forecast_line(axes, own[own["scenario"] == scenario], titled(result, scenario), at, len(result.scenarios))
        axes.set_title("\n".join(textwrap.wrap(title, 56)))
        axes.set_ylabel("people")
        if title.startswith(BEDS):
            axes.set_ylabel("people (axis not from 0)")
        else:
            axes.set_ylim(bottom=0)
        axes.grid(axis="y", color="#E5E5E5")
        axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    inner = "" if len(result.scenarios) > 1 else "dark band: the middle half; "
    n = replication_count(result)
    banded = f"{inner}light band: the middle 80 %" if n > 1 else "one replication, so no band"
    few = f"{few_words(n)} " if 1 < n < ENOUGH else ""
    finish(
        figure,
        result,
        "The weeks ahead, from the census",
        f"Lines: median of {n} replications of each week's mean night; {banded}; dotted: beds meant to be open, "
        f"without surge beds and closures for infection. {few}"
        "A projection from the stays, arrivals and rules that are assumed, not a promise.",
        bottom=_legend_below(figure, *grid[0, 0].get_legend_handles_labels()),
    )
    return figure


def _forecast_line(axes: Axes, bands: pd.DataFrame, title: str, at: int, scenarios: int) -> None:
    colour, _ = SCENARIO_STYLES[at % len(SCENARIO_STYLES)]
    if scenarios == 1:
        colour = BLUE
    middle = bands["week"].to_numpy() + np.timedelta64(3, "D")
    marked = LINE_STYLES[at % len(LINE_STYLES)]
    axes.plot(middle, bands["median"], marked, color=colour, linewidth=1.6, marker="o", markersize=3, label=title)
    axes.plot(middle, bands["open"], ":", color=colour, linewidth=1.2)
    if bands["n"].max() > 1:
        axes.fill_between(middle, bands["low_10"], bands["high_90"], color=colour, alpha=0.15, linewidth=0)
        if scenarios == 1:
            axes.fill_between(middle, bands["low_25"], bands["high_75"], color=colour, alpha=0.3, linewidth=0)


KINDS: dict[str, Callable[..., Figure]] = {
    "differences": differences,
    "forecast": forecast,
    "emergency": emergency,
    "delayed": delayed,
    "causes": causes,
    "weekdays": weekdays,
    "warm_up": warm_up,
}
"""The most important first, as the summary shows them."""
