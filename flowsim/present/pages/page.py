"""A page: what is to be told of an experiment, with its numbers as numbers. Writers make words, files and tables of it.

One page is written in many ways: in a terminal, as Markdown, later as a web page, a document or a workbook. So a table
here holds `Cell`, which knows its number, interval and unit, and how the number changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cell:
    """A number in a table, and what is known of it.

    Attributes:
        value: the number, in `unit`; a whole number where it is an int; None where the interval is all there is.
        low, high: its interval; NaN where there is none.
        unit: what it is in, such as "days", "%" or "£ a year".
        change: of a difference how it is judged, as in `compare.paired_differences`: "more", "less", "no change",
            "no clear change", "no difference that matters" or that there is no interval; empty where it is none.
        note: words that stand with the number, with ``{}`` in its place: ``costs {}``, ``{} times``.
        would_show: of a difference the smallest that would have shown, where that is to be told.
        difference: how the value differs from another, to stand beside it.
        beside: words below it, such as on those whom a mean leaves out.
    """

    value: float | None = None
    low: float = math.nan
    high: float = math.nan
    unit: str = ""
    change: str = ""
    note: str = "{}"
    would_show: float | None = None
    difference: Cell | None = None
    beside: str = ""


Entry = str | Cell
"""What may stand in a table: words or a number."""


@dataclass(frozen=True)
class Section:
    """A heading with a table, sentences, or both.

    Attributes:
        columns, rows: the table; each row has as many entries as there are columns.
        loud: it is a warning.
        in_a_line: numbers and what stands beside them are read in one line, such as ``12.3 (11.9 to 12.7)``.
        told_first: its sentences are the answer, and stand before the table.
        half: numbers stand with half of their interval alone, where there is little room: ``12.3 ±0.4``.
    """

    heading: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Entry, ...], ...] = ()
    sentences: tuple[str, ...] = ()
    loud: bool = False
    in_a_line: bool = False
    half: bool = False
    told_first: bool = False


@dataclass(frozen=True)
class Page:
    """All that is told of an experiment, in order.

    Attributes:
        title: what was asked, over which time, how often.
        sections: trouble first, then everything that is told, then what it rests on.
        answer: before them the answer in a few sentences and one small table; None where nothing was found.
        settings: what the user set, in a sentence; empty where all is as usual.
        folder: where the results are.
        written: does the folder's summary tell of the same? Not of some of its scenarios.
        pictures: those that are in `folder`, relative to it, the most important first.
    """

    title: str
    sections: tuple[Section, ...]
    settings: str = ""
    folder: Path = Path()
    pictures: tuple[str, ...] = ()
    answer: Section | None = None
    written: bool = True
