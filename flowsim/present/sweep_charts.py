"""Pictures of sweeps: lines over one setting, heat maps over two, parallel coordinates over more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from flowsim.measures.registry import HEADLINE
from flowsim.place import PlaceError, counted, refuse
from flowsim.present.charts import (
    BLACK,
    GREY,
    LINE_STYLES,
    SCENARIO_STYLES,
    VERMILION,
    finish,
    in_lines,
    interval_words,
    replication_count,
    write,
)
from flowsim.present.sweep_sections import base_title, ranked_names
from flowsim.present.words import number, period_words, possible, setting, tick, with_scaled_unit
from flowsim.questions.design import SCENARIO
from flowsim.questions.sweep import POINT, Sweep
from flowsim.statistics.importance import AS_IT_IS

COLOURS = "cividis"
"""Dark to light in one order for everybody, whatever their colour vision."""
MOST_WRITTEN = 14
"""Values of a setting up to which a heat map has its numbers written in."""
MOST_LINES = len(SCENARIO_STYLES)
ASIDE = 0.15
"""How far points of two scenarios at the same name stand from each other."""
MOST_NAMED = 5
"""Best points that parallel coordinates name."""
LIGHTEST = 0.85
"""Of the colours, how light thin lines may be to be seen on white."""
LONGEST_VALUE, LONGEST_TITLE = 40, 42
"""Characters of a value on an axis, in two lines, and of a line above a panel."""
BEST = 0.1
"""Share of the points that parallel coordinates show in front."""
KINDS = ("lines", "heat", "parallel")


def save(result: Sweep, path: str | Path, kind: str | None = None, measures: Sequence[str] = ()) -> Path:
    """Draw a sweep; without `kind` the one that fits: lines, heat or parallel. Raises PlaceError."""
    shown = measures or result.asked_measures
    if not shown:
        raise PlaceError("measure: there is nothing to show: none of the usual measures was found.")
    kind = kind or fitting(result)
    if kind not in KINDS:
        raise refuse("kind", kind, "one of", KINDS)
    draw = {"lines": lines, "heat": heat, "parallel": parallel}[kind]
    return write(lambda: draw(result, shown), path)


def fitting(result: Sweep) -> str:
    """The picture for so many settings."""
    if len(result.settings) == 1 or _one_line_a_scenario(result):
        return "lines"
    return "heat" if len(result.settings) == 2 else "parallel"


def _one_line_a_scenario(result: Sweep) -> bool:
    if len(result.settings) != 2 or SCENARIO not in result.settings:
        return False
    return _points(result)[SCENARIO].nunique() <= MOST_LINES


def _points(result: Sweep) -> pd.DataFrame:
    """The points without the base; what a point leaves as it is has the base's value."""
    is_base = result.points[POINT] == result.base
    now = result.points[is_base].iloc[0].dropna().to_dict()
    return result.points[~is_base].fillna(now)


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _panels(number_of: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    columns = min(2, number_of)
    rows = -(-number_of // columns)
    figure = Figure(figsize=(width * columns, height * rows + 0.9))
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[number_of:]:
        axes.set_visible(False)
    return figure, grid[:number_of]


def _colour_bar(axes: Axes, shown: ScalarMappable, unit: str, label: str = "") -> None:
    assert axes.figure is not None
    numbers = FuncFormatter(lambda value, _: tick(value, unit))
    axes.figure.colorbar(shown, ax=axes, format=numbers, label=label, use_gridspec=False)


def _title(result: Sweep, measure: str) -> str:
    return in_lines(with_scaled_unit(measure, result), LONGEST_TITLE)


def _caption(result: Sweep, what: str) -> str:
    points, replications = counted(len(_points(result)), "point"), counted(replication_count(result), "replication")
    return f"{what} {points}, {replications} each. {period_words(result)}"


# ---------------------------------------------------------------------------------------------------------------------
# One setting


def lines(result: Sweep, measures: Sequence[str]) -> Figure:
    """Each measure over one setting, with bands; with `scenario` beside it one line a scenario."""
    (setting,) = [name for name in result.settings if name != SCENARIO or len(result.settings) == 1]
    figure, panels = _panels(len(measures), 5.2, 3.2)
    for axes, measure in zip(panels, measures, strict=True):
        _lines_panel(axes, result, measure, setting)
    if len(result.settings) > 1:
        panels[0].legend(frameon=False, fontsize=8)
    n = replication_count(result)
    of_what = " of the paired difference to the dotted line" if n > 1 else ""
    what = f"Points: means; bands or bars: {interval_words(n)}{of_what}. Dotted: {base_title(result)}."
    several = ", in each scenario" if len(result.settings) > 1 else ""
    title = "What each scenario does" if setting == SCENARIO else f"What {result.labels[setting]} does{several}"
    finish(figure, result, title, _caption(result, what))
    return figure


def _lines_panel(axes: Axes, result: Sweep, measure: str, setting: str) -> None:
    table = result.table(measure)
    unit = HEADLINE[measure].unit
    base = table[table[POINT] == result.base]
    points = table[table[POINT] != result.base]
    now_measured = float(base["mean"].iloc[0]) if len(base) else np.nan
    axes.axhline(now_measured, color=GREY, linestyle=":", linewidth=1.2)
    numbers = _is_number(points[setting])
    positions, names = _positions(points[setting])
    points = points.assign(x=positions).sort_values("x", kind="stable")
    groups = points.groupby(SCENARIO, sort=False) if setting != SCENARIO and SCENARIO in points else [("", points)]
    for at, (scenario, own) in enumerate(groups):
        colour, _ = SCENARIO_STYLES[at % MOST_LINES]
        x: Any = own["x"] + (0 if numbers else ASIDE * (at - (len(groups) - 1) / 2))
        style = LINE_STYLES[at % len(LINE_STYLES)] if numbers else "none"
        label = str(scenario).replace("_", " ")
        axes.plot(x, own["mean"], linestyle=style, marker="o", markersize=3.5, color=colour, linewidth=1.5, label=label)
        low, high = (np.clip(now_measured + own[f"difference_{end}"], *possible(measure)) for end in ("low", "high"))
        if numbers:
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        else:
            axes.vlines(x, low, high, color=colour, linewidth=2)
    if names:
        axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
        axes.set_xlim(-0.5, len(names) - 0.5)
    now = base[setting].iloc[0] if len(base) else None
    if numbers and _is_number(base[setting]) and pd.notna(now):
        axes.axvline(float(now), color=GREY, linestyle=":", linewidth=1.2)
    axes.set_title(_title(result, measure))
    axes.set_xlabel(result.labels[setting], fontsize=8)
    if numbers:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value, "")))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value, unit)))
    axes.grid(axis="y", color="#E5E5E5")


# ---------------------------------------------------------------------------------------------------------------------
# Two settings


def heat(result: Sweep, measures: Sequence[str]) -> Figure:
    """Each measure over two settings: a heat map of a full grid, coloured dots of other designs."""
    if len(result.settings) != 2:
        raise PlaceError(f"kind: 'heat' needs two settings; this sweep varies {len(result.settings)}.")
    x, y = result.settings
    figure, panels = _panels(len(measures), 5.4, 4.0)
    for axes, measure in zip(panels, measures, strict=True):
        table = result.table(measure)
        points = table[table[POINT] != result.base]
        grid = points.pivot_table(index=y, columns=x, values="mean", sort=True, dropna=False)
        if len(points) == grid.size and grid.notna().all(axis=None):
            _heat_panel(axes, grid, measure)
        else:
            _dots_panel(axes, points, x, y, measure)
        axes.set_title(_title(result, measure))
        axes.set_xlabel(result.labels[x], fontsize=8)
        axes.set_ylabel(result.labels[y], fontsize=8)
    finish(
        figure,
        result,
        f"What {result.labels[x]} and {result.labels[y]} do",
        _caption(result, f"Means; {base_title(result)}: {_of_base(result, measures)}."),
    )
    return figure


def _of_base(result: Sweep, measures: Sequence[str]) -> str:
    parts = []
    for measure in measures:
        table = result.table(measure)
        mean = table.loc[table[POINT] == result.base, "mean"]
        if len(mean):
            parts.append(f"{HEADLINE[measure].title.lower()} {number(float(mean.iloc[0]), HEADLINE[measure].unit)}")
    return ", ".join(parts) or "not known"


def _heat_panel(axes: Axes, grid: pd.DataFrame, measure: str) -> None:
    values = grid.to_numpy(dtype=float)
    unit = HEADLINE[measure].unit
    shown = axes.imshow(values, cmap=COLOURS, aspect="auto", origin="lower")
    for way, names in ((axes.set_xticks, grid.columns), (axes.set_yticks, grid.index)):
        step = -(-len(names) // MOST_WRITTEN)
        way(range(0, len(names), step), _labels(names)[::step])
    axes.spines[:].set_visible(False)
    _colour_bar(axes, shown, unit)
    if max(values.shape) > MOST_WRITTEN:
        return
    middle = (values.min() + values.max()) / 2
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value < middle else "black"
        axes.text(column, row, number(value, unit), ha="center", va="center", fontsize=7.5, color=colour)


def _dots_panel(axes: Axes, points: pd.DataFrame, x: str, y: str, measure: str) -> None:
    unit = HEADLINE[measure].unit
    (across, columns), (up, rows) = _positions(points[x]), _positions(points[y])
    shown = axes.scatter(across, up, c=points["mean"], cmap=COLOURS, s=36, edgecolor="white")
    axes.margins(0.08)
    for axis, limits, names in ((axes.xaxis, axes.set_xlim, columns), (axes.yaxis, axes.set_ylim, rows)):
        if names:
            axis.set_ticks(range(len(names)), names)
            limits(-0.5, len(names) - 0.5)
        else:
            axis.set_major_locator(MaxNLocator(5))
    _colour_bar(axes, shown, unit)


def _positions(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Where values stand on an axis, and the words for whole positions where they are no numbers."""
    if _is_number(column):
        return column.to_numpy(dtype=float), []
    codes, names = pd.factorize(column.astype(object).where(column.notna(), AS_IT_IS))
    return codes.astype(float), _labels(names)


def _labels(values: Iterable[Any]) -> list[str]:
    """Values for an axis: cut where they are long, unless two of them are then the same."""
    whole = [_written(value) for value in values]
    cut = [text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..." for text in whole]
    return [in_lines(text, LONGEST_VALUE // 2) for text in (cut if len(set(cut)) == len(cut) else whole)]


def _written(value: Any) -> str:
    text = setting(value.item() if isinstance(value, np.generic) else value)
    return text.replace(":", ": ").replace(",", ", ") if text.startswith(("{", "[")) else text


# ---------------------------------------------------------------------------------------------------------------------
# More settings


def parallel(result: Sweep, measures: Sequence[str]) -> Figure:
    """One line a point through all its settings and measures, coloured by the first; the best tenth in front."""
    first = measures[0]
    wide = _points(result).set_index(POINT)
    means = result.table().pivot(index=POINT, columns="measure", values="mean")
    wide = wide.join(means[[name for name in measures if name in means]], how="inner")
    order = result.best(first)[POINT]
    wide = wide.loc[[point for point in order if point in wide.index]]
    axes_of = list(wide.columns)
    scaled, ends = zip(*(_scaled(wide[name]) for name in axes_of), strict=True)
    figure = Figure(figsize=(max(8.0, 1.55 * len(axes_of)), 5.4))
    axes = figure.subplots()
    heights = np.column_stack(scaled)
    colour = wide[first].to_numpy(dtype=float)
    norm = Normalize(float(colour.min()), float(colour.max()) or None)
    colours = ListedColormap(colormaps[COLOURS](np.linspace(0, LIGHTEST, 256)))
    paths = np.stack([np.broadcast_to(np.arange(len(axes_of)), heights.shape), heights], axis=2)
    front = max(1, round(BEST * len(wide)))
    for rows, alpha, width in ((slice(front, None), 0.7, 0.9), (slice(0, front), 1.0, 2.4)):
        rgba = colours(norm(colour[rows]))
        axes.add_collection(LineCollection(list(paths[rows]), colors=rgba, alpha=alpha, linewidths=width))
    for at, (name, words) in enumerate(zip(axes_of, ends, strict=True)):
        axes.axvline(at, color=VERMILION if name in means else BLACK, linewidth=1)
        for height, text in words:
            axes.annotate(text, (at, height), (3, 2), textcoords="offset points", fontsize=7.5)
    best = list(wide.index[: min(front, MOST_NAMED)])
    for at in range(len(best)):  # side by side, for they may be equally high
        axes.text(-0.06 - 0.07 * at, heights[at, 0], str(at + 1), ha="right", va="center", fontweight="bold")
    axes.set_xlim(-0.12 - 0.07 * len(best), len(axes_of) - 0.55)
    axes.set_ylim(-0.04, 1.06)
    axes.set_xticks(range(len(axes_of)), [_axis_words(result, name) for name in axes_of], fontsize=8)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    unit = HEADLINE[first].unit
    _colour_bar(axes, ScalarMappable(norm, colours), unit, _title(result, first))
    named = ranked_names(result, first)
    what = (
        f"Each line is a point, coloured by {HEADLINE[first].title.lower()}; thick: the best {front}. Red axes: means. "
        f"{'; '.join(named[str(point)] for point in best)}."
    )
    told = f"{counted(len(wide), 'point')} of {counted(len(result.settings), 'setting')}"
    finish(figure, result, told, _caption(result, what))
    return figure


def _axis_words(result: Sweep, name: str) -> str:
    words = HEADLINE[name].title if name in HEADLINE else result.labels[name]
    return in_lines(words.replace("_", " ").replace(".", ". "), 15)


def _scaled(column: pd.Series) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Heights between nought and one, and the words that stand at some of them."""
    positions, names = _positions(column)
    positions = np.where(np.isfinite(positions), positions, np.nanmin(positions)) if len(positions) else positions
    low, high = float(positions.min()), float(positions.max())
    span = high - low or 1.0
    measure = HEADLINE.get(str(column.name))
    ends = [(0.0, low), ((high - low) / span, high)]
    words = [(at, number(value, measure.unit) if measure else _written(value)) for at, value in ends]
    return (positions - low) / span, [(at / span, name) for at, name in enumerate(names)] or words
