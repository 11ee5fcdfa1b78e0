"""How numbers are written for people: plain ASCII signs, thousands with commas, three figures.

Pages hold numbers; what a writer makes of them is decided here.
"""

from __future__ import annotations

import datetime as dt
import math

from flowsim.measures.registry import MEASURES
from flowsim.present.pages.page import Cell, Entry
from flowsim.questions.compare import NO_CLEAR_CHANGE

NO_SHARE_OF_A_WHOLE = ("acute_occupancy", "service_occupancy")
"""Percentages that pass 100: whoever is in a bed or slot that closes stays in it until they leave."""
NO_CHANGE = "no change"
NO_MATTER = "no difference that matters"
"""Of a clear difference that is smaller than the smallest that matters (`Measure.matters`)."""
NONE_THAT_MATTERS = "none that matters"
"""The same where there is little room."""


def number(value: float, unit: str = "", figures: int = 3) -> str:
    """A number with about three figures: 1,234; 56.7; 0.123; pounds in millions where there are millions.

    Of percentages above 100 with a fourth, for it is there that 100.4 (100.2 to 100.6) says something.
    """
    if not math.isfinite(value):
        return "-"
    if unit.startswith("£"):
        return _pounds(value)
    size = abs(value)
    if unit == "%" and 100 <= size < 1000:
        return f"{value:.1f}".removesuffix(".0")
    if size >= 1000 or value == 0:
        return f"{value:,.0f}"
    places = figures - 1 - math.floor(math.log10(size))
    return f"{value:,.{min(max(places, 0), 4)}f}"


def with_unit(value: float, unit: str) -> str:
    """A number with its unit: ``12.3 days``, ``£283k a year``."""
    return f"{number(value, unit)} {unit.removeprefix('£').strip()}".strip()


def tick(value: float, unit: str) -> str:
    """A number on an axis: pounds short, others as they are, thousands with commas; a plain minus."""
    if unit.startswith("£"):
        return _pounds(value).replace(".00m", "m")
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:,.6g}"


def day_words(date: dt.date) -> str:
    """``4 December``"""
    return f"{date.day} {date:%B}"


def signed(value: float, unit: str = "") -> str:
    """A difference: always with its sign."""
    text = number(value, unit)
    return f"+{text}" if value > 0 and text != "-" else text


def _pounds(value: float) -> str:
    sign = "-" if value < 0 else ""
    size = abs(value)
    if size >= 1e6:
        return f"{sign}£{size / 1e6:,.2f}m"
    if size >= 1e4:
        return f"{sign}£{size / 1e3:,.0f}k"
    return f"{sign}£{size:,.0f}"


def possible(measure: str) -> tuple[float, float]:
    """The least and the most that a measure can be: an interval of Student's t knows of neither and is cut there."""
    unit = MEASURES[measure].unit
    most = 100.0 if unit == "%" and measure not in NO_SHARE_OF_A_WHOLE else math.inf
    return (-math.inf if unit.startswith("£") else 0.0), most


def interval(low: float, high: float, unit: str = "", sign: bool = False) -> str:
    """``12.1 to 14.5``, or nothing where there is no interval."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    write = signed if sign else number
    return f"{write(low, unit)} to {write(high, unit)}"


def setting(value: object) -> str:
    """A value of a setting: whole numbers as they are, others with three figures, names without underscores."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value).replace("_", " ")
    if math.isnan(value):
        return ""
    return f"{value:,.0f}" if float(value).is_integer() else number(float(value))


def few_words(n: int) -> str:
    """A caution about bands over so few replications."""
    return f"{n} replications are too few for a band: it says little more than where these {n} happened to lie."


def interval_words(n: int, kind: str = "") -> str:
    """What bars and bands are, for a caption."""
    return f"95 % intervals over {n} {kind}replications" if n > 1 else "one replication, so no interval"


# ---------------------------------------------------------------------------------------------------------------------
# What stands in a table


def entry_words(entry: Entry, in_a_line: bool = False, half: bool = False) -> str:
    """What stands in a table, in words: of a number what it is beside, its interval and its change.

    In lines of their own, or after each other in one, where `in_a_line`; with half of the interval alone, where `half`.
    """
    if isinstance(entry, str):
        return entry
    words = _cell_words(entry, in_a_line, half)
    return f"{words}{', ' if in_a_line else chr(10)}{entry.beside}" if entry.beside else words


def _cell_words(entry: Cell, in_a_line: bool, half: bool) -> str:
    if half and entry.value is not None:
        return _with_half(entry)
    limits = interval(entry.low, entry.high, entry.unit, sign=bool(entry.change))
    if entry.value is None:
        return limits
    if entry.change:
        return _difference_words(entry, limits, in_a_line)
    whole = isinstance(entry.value, int)
    text = entry.note.replace("{}", f"{entry.value:,}" if whole else number(entry.value, entry.unit), 1)
    beside = [limits] if limits else []
    if entry.difference is not None:
        beside.append(entry_words(entry.difference, in_a_line))
    return text + "".join(f" ({words})" if in_a_line else f"\n{words}" for words in beside)


def _with_half(entry: Cell) -> str:
    """``12.3 ±0.4``; of an interval that is cut on one side, the longer half."""
    if entry.change in (NO_CHANGE, NO_MATTER, NO_CLEAR_CHANGE):
        return NONE_THAT_MATTERS if entry.change == NO_MATTER else entry.change
    value = entry.value or 0.0
    text = (signed if entry.change else number)(value, entry.unit)
    if not math.isfinite(entry.low) or entry.high == entry.low:
        return text
    return f"{text} ±{number(max(entry.high - value, value - entry.low), entry.unit, 2)}"


def _difference_words(entry: Cell, limits: str, in_a_line: bool) -> str:
    """A difference: the number and its interval, or that there is no clear change."""
    if entry.change == NO_CHANGE:
        return NO_CHANGE
    if entry.change == NO_MATTER:
        beside = [f"({limits})"] if limits else []
        return " ".join([NO_MATTER, *beside]) if in_a_line else "\n".join([NO_MATTER, *beside])
    if entry.change == NO_CLEAR_CHANGE:
        would_show = "" if entry.would_show is None else f"({number(entry.would_show, entry.unit)} would show)"
        beside = [words for words in (limits, would_show) if words]
        return " ".join([NO_CLEAR_CHANGE, *beside]) if in_a_line else "\n".join([NO_CLEAR_CHANGE, *beside])
    text = f"{signed(entry.value or 0.0, entry.unit)}{' points' if entry.unit == '%' else ''}"
    if in_a_line:
        return f"{text} ({limits})" if limits else text
    return f"{text}\n{limits or '(no interval)'}"
