"""Rows and tasks in the making: what is said of people stage by stage, until all of it stands in one set of tables.

Each thing is said of some rows of one stage; where a row will stand is known only when everybody's rows are there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

import numpy as np

from flowsim.model.people import Column, Levels, People, Who, among, moved, of, one_behind_the_other, size, together
from flowsim.model.tables import NONE, ROW_DEFAULTS, TASK_DEFAULTS, WIDE, Journeys, RowTable, SpellTable, TaskTable


@dataclass
class Entry:
    """What a column says of some `rows` of a sheet, positions in it; of the others it says what it does by default."""

    column: str
    rows: Who
    values: Column


@dataclass
class Link:
    """A column that names, for some `rows` of a sheet, their people's rows in the sheet with the code `to`."""

    column: str
    rows: Who
    to: int


@dataclass
class TaskSheet:
    """One task of a stage: `rows`, positions in the sheet of rows; `place`, which of their tasks it is; its columns."""

    rows: Who
    place: Column
    columns: dict[str, Column]


@dataclass
class Sheet:
    """One stage's rows for those people who may come to it, n of them.

    Attributes:
        code: the stage's code, and the number of stages more for each time the person may have been unfit again: what
            follows then is asked for anew, and each row is entered once.
        who: their positions among the people.
        dies: (n,) bool, who dies in the stage; None for nobody.
        back: the rows after which people are readmitted.
        entries, links: what the columns say, in this order where they say two things of one row.
        tasks: the tasks of these rows, in order.
    """

    code: int
    who: Who
    dies: np.ndarray | None = None
    back: Who = field(default_factory=lambda: slice(0, 0))
    entries: list[Entry] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    tasks: list[TaskSheet] = field(default_factory=list)

    def __len__(self) -> int:
        return size(self.who)

    def say(self, column: str, values: Column, rows: Who | None = None) -> None:
        """Have a column say so of some rows, positions in the sheet, or of all: one value, or one for each, (rows,)."""
        self.entries.append(Entry(column, slice(0, len(self)) if rows is None else rows, values))

    def said(self, column: str) -> Column:
        """What a column says, of those rows of which it was said. Raises KeyError when it was not."""
        return {entry.column: entry.values for entry in self.entries}[column]


def one_sheet(parts: list[tuple[int, Sheet]]) -> Sheet:
    """The sheets of one stage for several groups of people as one; each with the number of people before its group.
    They have no tasks yet."""
    sheets = [sheet for _, sheet in parts]
    rows_before = list(itertools.accumulate((len(sheet) for sheet in sheets), initial=0))
    here = list(zip(rows_before, sheets, strict=False))
    dies = None
    if any(sheet.dies is not None for sheet in sheets):
        dies = np.concatenate([np.zeros(len(s), dtype=bool) if s.dies is None else s.dies for s in sheets])
    return Sheet(
        sheets[0].code,
        one_behind_the_other([moved(sheet.who, people_before) for people_before, sheet in parts]),
        dies,
        one_behind_the_other([moved(sheet.back, before) for before, sheet in here]),
        [Entry(e.column, moved(e.rows, before), e.values) for before, sheet in here for e in sheet.entries],
        [Link(k.column, moved(k.rows, before), k.to) for before, sheet in here for k in sheet.links],
    )


@dataclass
class Draft:
    """Everything that is said of some people: n of them, and a sheet a stage. A person's rows stand in the order of the
    sheets' codes.

    Attributes:
        count: (n,) how many rows each person has.
        places: (codes, n) which of a person's rows is that in the sheet with a code; -1 for none.
    """

    people: People
    sheets: list[Sheet]

    def __post_init__(self) -> None:
        n = len(self.people)
        named = (code for sheet in self.sheets for code in (sheet.code, *(link.to for link in sheet.links)))
        kind = np.min_scalar_type(-len(self.sheets) - 1)  # as small as does
        self.count = np.zeros(n, dtype=kind)
        self.places = np.full((max(named, default=0) + 1, n), NONE, dtype=kind)
        for sheet in sorted(self.sheets, key=lambda sheet: sheet.code):
            place = of(self.count, sheet.who)
            self.places[sheet.code][sheet.who] = place
            self.count[sheet.who] = place + 1

    def row(self, code: int, who: Who, begin: np.ndarray) -> np.ndarray:
        """The index of the rows of `who` in the sheet with this code, -1 for none, when a person's rows `begin` there,
        (n,): (number of `who`,) int64."""
        place = of(self.places[code], who)
        row = of(begin, who) + place
        return row if (place >= 0).all() else np.where(place >= 0, row, NONE)

    def first_row(self, begin: np.ndarray) -> np.ndarray:
        """The index of the row with which each person begins, (n,) int64."""
        n = len(self.people)
        return begin + self.places.reshape(-1).take(self.people.first * n + np.arange(n))


class _Table:
    """A table in the making, of n entries; a column of which nothing is said takes no memory."""

    def __init__(self, n: int, defaults: dict[str, int]) -> None:
        self.n, self.defaults = n, defaults
        self.columns: dict[str, np.ndarray] = {}

    def write(self, name: str, at: np.ndarray, values: Column) -> None:
        """Have a column say `values` in the entries `at`, (m,) intp: one for all of them, or (m,) of any whole type.

        Of what is written twice the later holds; what is the default anyhow must be the first that is written there.
        """
        default = self.defaults.get(name, NONE)
        if isinstance(values, int) and values == default:
            return
        if name not in self.columns:
            self.columns[name] = np.full(self.n, default, dtype=_type(name))
        if not isinstance(values, int):
            values = values.astype(_type(name), copy=False)  # numpy sets three times as fast what is of the same type
        self.columns[name][at] = values

    def column(self, name: str) -> np.ndarray:
        """(n,) of its type; not to be written to."""
        if name in self.columns:
            return self.columns[name]
        return np.broadcast_to(_type(name)(self.defaults.get(name, NONE)), self.n)


def joined(drafts: list[Draft], stages: tuple[str, ...], task_names: tuple[str, ...], levels: Levels) -> Journeys:
    """Everything in the order of the spells' numbers; stage codes become indices of rows.

    Where each row and task will stand is counted, not sorted, and what is said of it is written there at once.
    """
    people = together([draft.people for draft in drafts])
    order = np.argsort(people.number, kind="stable")  # quick, since they come in a few runs
    count = np.concatenate([draft.count for draft in drafts])
    in_order = count.take(order)
    begin = np.empty(len(people), dtype=np.int64)
    begin[order] = _begins(in_order)

    rows = _Table(int(in_order.sum()), ROW_DEFAULTS)
    spell = rows.columns["spell"] = np.repeat(np.arange(len(people)), in_order)
    first_row = []
    row_of: list[tuple[Sheet, np.ndarray]] = []
    for draft, those in zip(drafts, _parts(draft.people for draft in drafts), strict=True):
        begins = begin[those]
        first_row.append(draft.first_row(begins))
        for sheet in draft.sheets:
            at = draft.row(sheet.code, sheet.who, begins)
            row_of.append((sheet, at))
            rows.write("stage", at, sheet.code % len(stages))
            for entry in sheet.entries:
                rows.write(entry.column, of(at, entry.rows), entry.values)
            for link in sheet.links:
                rows.write(link.column, of(at, link.rows), draft.row(link.to, among(sheet.who, link.rows), begins))
            if size(sheet.back):
                back = of(at, sheet.back)
                rows.write("child", back, spell.take(back) + 1)  # the next number is that of the same person, come back

    n_tasks = rows.column("n_before") + rows.column("n_after")
    first_task = _begins(n_tasks)
    rows.columns["first_task"] = first_task.astype(np.int32)
    tasks = _Table(int(n_tasks.sum()), TASK_DEFAULTS)
    for sheet, row in row_of:
        begins = first_task.take(row) if sheet.tasks else row
        for task in sheet.tasks:
            at = of(begins, task.rows) + task.place
            for name, column in task.columns.items():
                tasks.write(name, at, column)
    there = np.zeros(len(people), dtype=bool) if people.found is None else people.found.rule >= 0
    return Journeys(
        spells=SpellTable(
            number=people.number.take(order),
            arrival=people.arrival.take(order),
            first_row=np.concatenate(first_row).take(order),
            initial=there.take(order).astype(np.int64),
        ),
        rows=RowTable(**{f.name: rows.column(f.name) for f in fields(RowTable)}),
        tasks=TaskTable(**{f.name: tasks.column(f.name) for f in fields(TaskTable)}),
        stages=stages,
        task_names=task_names,
        attributes={name: people.codes[name].take(order) for name in levels.words if name in people.codes},
        levels={name: tuple(words) for name, words in levels.words.items()},
    )


def _parts(batches: Iterable[People]) -> Iterable[slice]:
    """Where each of several batches stands when they stand one behind the other."""
    start = 0
    for batch in batches:
        yield slice(start, start := start + len(batch))


def _type(column: str) -> type[np.int32 | np.int64]:
    return np.int64 if column in WIDE else np.int32


def _begins(count: np.ndarray) -> np.ndarray:
    """Where each of several lists of these lengths begins when they stand one behind the other."""
    begin = np.zeros(len(count), dtype=np.int64)
    np.cumsum(count[:-1], out=begin[1:])
    return begin
