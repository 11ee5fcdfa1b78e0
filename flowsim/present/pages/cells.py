"""Rows of the tables of results as cells of a page."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from flowsim.folder.result import Result
from flowsim.measures.registry import MEASURES
from flowsim.present.pages.page import Cell, Entry
from flowsim.present.words import NO_MATTER, possible

MORE_THAN_FULL = (
    "Occupancy passes 100 % on nights when people still lie in beds that are closed: surge beds shut again, or a ward "
    "closed for infection."
)


CLOSED = "closed"
"""In the place of an infinite load: nothing is open, and people ask."""


def number_or_closed(value: float) -> Entry:
    """A number, such as a load, or that the service is closed."""
    return CLOSED if math.isinf(value) else Cell(value)


def mean_cell(row: Any, measure: str, beside: str = "") -> Cell:
    """The mean of a measure with its interval, of a row of `Result.summary`; what cannot be is cut off."""
    low, high = np.clip([row["low"], row["high"]], *possible(measure))
    return Cell(float(row["mean"]), float(low), float(high), MEASURES[measure].unit, beside=beside)


def difference_cell(row: Any, unit: str, brief: bool = False, least: float = 0.0, beside: str = "") -> Cell:
    """A paired difference with its interval, of a row of `compare.paired_differences`.

    Unless `brief`, with the smallest that would have shown. `least`: the smallest that matters, see `matters.least`.
    """
    would_show = None if brief else float(row["smallest_detectable"])
    limits = float(row["low"]), float(row["high"])
    change = judged(str(row["change"]), float(row["difference"]), least)
    return Cell(float(row["difference"]), *limits, unit, change, would_show=would_show, beside=beside)


def judged(change: str, difference: float, least: float) -> str:
    """How a difference is judged, or that it is smaller than the `least` that matters."""
    return NO_MATTER if change in ("more", "less") and abs(difference) < least else change


def more_than_full(result: Result) -> tuple[str, ...]:
    """A sentence on occupancy, where its mean or its interval is above 100 % in some scenario."""
    summary = result.summary()
    above = summary.loc[summary["measure"] == "acute_occupancy", ["mean", "high"]] > 100
    return (MORE_THAN_FULL,) if above.any(axis=None) else ()
