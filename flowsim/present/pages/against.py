"""One measure against another, in words: where the second falls (or rises) steepest, and a table of the points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from flowsim.folder.result import Result
from flowsim.measures.registry import HEADLINE
from flowsim.present.pages.answer import changed
from flowsim.present.pages.page import Cell
from flowsim.present.pages.sweep import point_title
from flowsim.present.titles import title_and_unit, titled
from flowsim.present.words import NO_CHANGE, entry_words, interval, number, signed, with_unit
from flowsim.questions.against import steepest
from flowsim.questions.compare import NO_CLEAR_CHANGE, NO_INTERVAL
from flowsim.questions.sweep import Sweep


def sentence(table: pd.DataFrame, first: str, second: str, brief: bool = False) -> str:
    """Between which values of the first measure the second becomes worse fastest, or that this is not clear.

    `table`: of `questions.against.against`; less of it where `brief`.
    """
    across, up = (HEADLINE[name].title for name in (first, second))
    at = steepest(table, second)
    if at is None and table["slope"].notna().any():
        return f"{up}: worse nowhere, as {across.lower()} rises from one point to the next."
    if at is None:
        return (
            f"{up}: it is not clear where this becomes worse, since no two neighbours differ clearly in "
            f"{across.lower()}; more replications, or points further apart, would tell."
        )
    row: Any = table.loc[at]
    before: Any = table.loc[at - 1]
    unit, of_second = HEADLINE[first].unit, HEADLINE[second].unit
    where = f"between {across.lower()} of {number(before['x'], unit)} and {with_unit(float(row['x']), unit)}"
    size = f"{changed(second, float(row['up']))}, {interval(row['up_low'], row['up_high'], of_second, sign=True)}"
    if not row["clear"] and brief:
        return f"{up}: it is not clear where this becomes worse as {across.lower()} rises."
    if not row["clear"]:
        many = f" as the steepest of {len(table) - 1} steps" if at > 1 or len(table) > at + 1 else ""
        return (
            f"{up}: it is not clear where this becomes worse; its steepest step, {where}, is {size}, not clear{many}."
        )
    from_to = f"from {number(before['y'], of_second)} to {with_unit(float(row['y']), of_second)} ({size})"
    verb = "falls" if row["up"] < 0 else "rises"
    return f"{up}: this {verb} steepest {where}, {from_to}{'' if brief else _slope(table, at, first, second)}."


def _slope(table: pd.DataFrame, at: int, first: str, second: str) -> str:
    """How steep that is, and how steep the steepest other step."""
    unit, of_second = HEADLINE[first].unit, HEADLINE[second].unit
    row: Any = table.loc[at]
    each = f"point of {HEADLINE[first].title.lower()}" if unit == "%" else f"of the {unit}"
    limits = interval(row["slope_low"], row["slope_high"], of_second, sign=True)
    said = f"; that is {changed(second, float(row['slope']))}{f' ({limits})' if limits else ''} for each {each}"
    others = table.drop(index=at)
    next_one = steepest(others.reset_index(drop=True), second)
    if next_one is None:
        return said
    return f"{said}, and elsewhere at most {signed(float(others['slope'].iloc[next_one]), of_second)}"


def in_words(result: Result, table: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """The table for a reader: a row a point, numbered as in the picture, with both intervals and the step to it."""
    units = HEADLINE[first].unit, HEADLINE[second].unit
    rows = []
    for at, row in enumerate(table.to_dict("records")):
        x = Cell(row["x"], row["x_low"], row["x_high"], units[0])
        y = Cell(row["y"], row["y_low"], row["y_high"], units[1])
        step = Cell(row["up"], row["up_low"], row["up_high"], units[1], _change(row))
        words = [entry_words(cell, in_a_line=True) for cell in (x, y, step)]
        rows.append([at + 1, name_of(result, str(row["point"])), *words[:2], words[2] if at else ""])
    columns = ["", "point", title_and_unit(first, result), title_and_unit(second, result), "step from the point before"]
    return pd.DataFrame(rows, columns=columns)


def _change(row: Any) -> str:
    if not np.isfinite(row["up_low"]):
        return NO_INTERVAL
    if row["up_low"] == row["up_high"] == 0:
        return NO_CHANGE
    return "more" if row["up_low"] > 0 else "less" if row["up_high"] < 0 else NO_CLEAR_CHANGE


def name_of(result: Result, point: str) -> str:
    """What a point of a sweep, or a scenario, is called."""
    return point_title(result, point) if isinstance(result, Sweep) else titled(result, point)
