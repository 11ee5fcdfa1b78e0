"""What the pictures of a sweep have in common: panels, values along an axis, captions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from flowsim.place import PlaceError, counted
from flowsim.present.pictures.style import SCENARIO_COLOURS, in_lines, ticks_in
from flowsim.present.titles import period_words, replication_count, title_and_unit
from flowsim.present.words import setting
from flowsim.questions.design import SCENARIO
from flowsim.questions.sweep import POINT, Sweep
from flowsim.statistics.importance import AS_IT_IS

FILE = "sweep"
"""The name of the file of the picture that fits."""
COLOURS = "cividis"
"""Dark to light in one order for everybody, whatever their colour vision."""
MOST_LINES = len(SCENARIO_COLOURS)
MOST_OPTIONS = 30
"""Options that are drawn by themselves where nobody asks for a picture."""
LONGEST_VALUE, LONGEST_TITLE = 40, 42
"""Characters of a value on an axis, in two lines, and of a line above a panel."""


def fitting(result: Sweep) -> str:
    """The picture for such points: path, options, or by the number of settings lines, heat or parallel."""
    if result.is_path:
        return "path"
    if result.has_options and len(result.points) - 1 <= MOST_OPTIONS:
        return "options"
    if len(result.settings) == 1 or _one_line_a_scenario(result):
        return "lines"
    return "heat" if len(result.settings) == 2 else "parallel"


def _one_line_a_scenario(result: Sweep) -> bool:
    if len(result.settings) != 2 or SCENARIO not in result.settings:
        return False
    return points_of(result)[SCENARIO].nunique() <= MOST_LINES


def asked(result: Sweep, measures: Iterable[str]) -> list[str]:
    """The measures that are drawn: these, or those the sweep was asked for. Raises PlaceError where there is none."""
    shown = list(measures or result.asked_measures)
    if not shown:
        raise PlaceError("measure: there is nothing to show: none of the usual measures was found.")
    return shown


def points_of(result: Sweep) -> pd.DataFrame:
    """The points without the base; what a point leaves as it is has the base's value."""
    is_base = result.points[POINT] == result.base
    now = result.points[is_base].iloc[0].dropna().to_dict()
    return result.points[~is_base].fillna(now)


def panel_title(result: Sweep, measure: str) -> str:
    """A measure's title and unit above a panel."""
    return in_lines(title_and_unit(measure, result), LONGEST_TITLE)


def caption(result: Sweep, what: str) -> str:
    """What is shown, of how many points, over which time."""
    points, replications = counted(len(result.points) - 1, "point"), counted(replication_count(result), "replication")
    return f"{what} {points}, {replications} each. {period_words(result)}"


def is_number(column: pd.Series) -> bool:
    """Has a column numbers alone, and not yes and no?"""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def panels(number_of: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels of this size in inches, two beside each other."""
    columns = min(2, number_of)
    rows = -(-number_of // columns)
    figure = Figure(figsize=(width * columns, height * rows + 0.9))
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[number_of:]:
        axes.set_visible(False)
    return figure, grid[:number_of]


def colour_bar(axes: Axes, shown: ScalarMappable, unit: str, label: str = "") -> None:
    """What the colours of a panel mean."""
    assert axes.figure is not None
    axes.figure.colorbar(shown, ax=axes, format=ticks_in(unit), label=label, use_gridspec=False)


def positions(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Where values stand on an axis, and the words for whole positions where they are no numbers."""
    if is_number(column):
        return column.to_numpy(dtype=float), []
    codes, names = pd.factorize(column.astype(object).where(column.notna(), AS_IT_IS))
    return codes.astype(float), labels(names)


def labels(values: Iterable[Any]) -> list[str]:
    """Values for an axis: cut where they are long, unless two of them are then the same."""
    whole = [written(value) for value in values]
    cut = [text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..." for text in whole]
    return [in_lines(text, LONGEST_VALUE // 2) for text in (cut if len(set(cut)) == len(cut) else whole)]


def written(value: Any) -> str:
    """A value of a setting, with room to break a long one into lines."""
    text = setting(value.item() if isinstance(value, np.generic) else value)
    return text.replace(":", ": ").replace(",", ", ") if text.startswith(("{", "[")) else text
