"""Charging delay to causes: every minute between recognition and leaving goes to exactly one of them.

- *a task at work*: open minutes of its calendar, ``task: NAME``; closed ones, ``calendar: NAME``; so a clock task is
  all calendar. A task the place marks as transport is ``transport`` from being asked for until its end.
- *a task waiting for staff*: ``staff: POOL``.
- *queueing* for the next service, or for the one turned to after giving that up: ``capacity: SERVICE``.

The last two wait on somebody's calendar as well as on somebody's capacity. A closed minute is charged to the calendar
(``calendar: SERVICE``, ``calendar: POOL``) only if the person would have been taken had it been open: who was accepted
in the very minute it opened is charged to capacity until, in the closed time before, there were units for all who were
accepted in that minute ahead and for the person (and quota for that many), and to the calendar from then on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flowsim.engine.spells import GAVE_UP, TURNED_AWAY
from flowsim.measures.history import History, ranges
from flowsim.model.calendar import ALWAYS_OPEN, DAY
from flowsim.model.capacity import NO_QUOTA
from flowsim.model.journeys import NONE
from flowsim.place import Place

TRANSPORT = "transport"


@dataclass(frozen=True)
class Charges:
    """Delayed minutes by row and cause.

    Attributes:
        names: the causes; which there are depends on the place alone.
        row: (P,) a row of the journeys; a row comes as often as it has pieces.
        cause: (P,) index into `names`.
        minutes: (P,) int64.
    """

    names: tuple[str, ...]
    row: np.ndarray
    cause: np.ndarray
    minutes: np.ndarray


_Piece = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Rows, causes and minutes, of one length."""


@dataclass(frozen=True)
class _Waits:
    """Stretches of time that delayed rows waited in a queue.

    Attributes:
        row: the delayed row.
        queue: in which it waited.
        start, end: minutes.
        turn: as whom the person was accepted: a row, or the number of rows plus a task; -1 for never.
        full: the cause while there was no capacity.
        shut: the cause while only the calendar was in the way.
    """

    row: np.ndarray
    queue: np.ndarray
    start: np.ndarray
    end: np.ndarray
    turn: np.ndarray
    full: np.ndarray
    shut: np.ndarray

    @classmethod
    def together(cls, *parts: _Waits) -> _Waits:
        """All of these as one."""
        return cls(*(np.concatenate(columns) for columns in zip(*(vars(p).values() for p in parts), strict=True)))

    def __getitem__(self, which: np.ndarray) -> _Waits:
        return _Waits(*(column[which] for column in vars(self).values()))


@dataclass(frozen=True)
class _Delays:
    """The delay of every row within the window: from `first` until `last`, (R,) each; nothing where they are equal."""

    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, history: History, rows: np.ndarray, start: int, end: int) -> _Delays:
        """The time from recognition until leaving, of these rows; no other row has a delay."""
        first, last = np.zeros_like(history.left), np.zeros_like(history.left)
        first[rows] = np.maximum(history.spells.recognised[rows], start)
        last[rows] = np.maximum(np.minimum(history.left[rows], end), first[rows])
        return cls(first, last)

    def within(self, row: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What of stretches of time lies within the delay of their rows."""
        begins = np.maximum(start, self.first.take(row))
        return begins, np.maximum(np.minimum(end, self.last.take(row)), begins)


class _Causes:
    """The causes there can be, by number."""

    def __init__(self, history: History) -> None:
        pools = [k for k in history.kind_names if k in history.place.pools]
        services = [k for k in history.kind_names if k not in history.place.pools]
        tasks = history.journeys.task_names
        self.names = tuple(
            dict.fromkeys(
                [
                    *(f"capacity: {k}" for k in services),
                    *(f"task: {t}" for t in tasks),
                    *(f"calendar: {n}" for n in (*tasks, *services, *pools)),
                    *(f"staff: {p}" for p in pools),
                    TRANSPORT,
                ]
            )
        )
        self.transport = self.names.index(TRANSPORT)
        moved = _transport_tasks(history.place)
        here = [t in moved for t in tasks]
        self.work = self._table([TRANSPORT if m else f"task: {t}" for m, t in zip(here, tasks, strict=True)])
        self.closed = self._table([TRANSPORT if m else f"calendar: {t}" for m, t in zip(here, tasks, strict=True)])
        is_pool = [k in history.place.pools for k in history.kind_names]
        kinds = list(zip(is_pool, history.kind_names, strict=True))
        self.full = self._table([f"{'staff' if p else 'capacity'}: {k}" for p, k in kinds])[history.kind]
        self.shut = self._table([f"calendar: {k}" for _, k in kinds])[history.kind]

    def _table(self, names: list[str]) -> np.ndarray:
        return np.array([self.names.index(n) for n in names], dtype=np.int64)


def _transport_tasks(place: Place) -> set[str]:
    places = (place, place.before) if place.before else (place,)
    return {
        name
        for p in places
        for stage in p.stages.values()
        for name, task in (*stage.before.items(), *stage.after.items())
        if task.transport
    }


def charge(history: History, rows: np.ndarray, start: int, end: int) -> Charges:
    """The delay of these rows (recognised to left) within [start, end), in pieces that add up to it to the minute."""
    causes = _Causes(history)
    delays = _Delays.of(history, rows, start, end)
    rows = rows[delays.last[rows] > delays.first[rows]]
    tasks = history.tasks_of(rows)
    waits = _Waits.together(*_queueing(history, causes, rows), _staffing(history, causes, *tasks))
    pieces = [*_split(history, delays, waits), *_working(history, causes, delays, *tasks)]
    row, cause, minutes = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return Charges(causes.names, row, cause, minutes)


def _queueing(history: History, causes: _Causes, rows: np.ndarray) -> Iterator[_Waits]:
    """Waiting for the next row, for what was turned to when that was given up, and so on."""
    journeys, s = history.journeys.rows, history.spells
    holder, wanted = rows, journeys.next[rows]
    while len(holder):
        asked = (wanted >= 0) & (s.joined[wanted] >= s.recognised[holder]) & (s.joined[wanted] <= history.left[holder])
        holder, wanted = holder[asked], wanted[asked]
        queue = history.service[wanted]
        turn = np.where(s.accepted[wanted] >= 0, wanted, NONE)
        until = history.waited_until[wanted]
        yield _Waits(holder, queue, s.joined[wanted], until, turn, causes.full[queue], causes.shut[queue])
        ended = s.ended[wanted]
        elsewhere = np.flatnonzero((ended == GAVE_UP) | (ended == TURNED_AWAY))
        holder, wanted = holder[elsewhere], journeys.otherwise[wanted[elsewhere]]


def _staffing(history: History, causes: _Causes, tasks: np.ndarray, row: np.ndarray) -> _Waits:
    """Tasks of delayed rows waiting for staff."""
    s, table = history.spells, history.journeys.tasks
    some = np.flatnonzero((table.pool.take(tasks) >= 0) & (history.task_over.take(tasks) > s.task_began.take(tasks)))
    tasks, row = tasks[some], row[some]
    granted = s.task_granted[tasks] >= 0
    until = np.where(granted, s.task_granted[tasks], history.task_over[tasks])
    turn = np.where(granted, len(history.spell) + tasks, NONE)
    pool = table.pool[tasks]
    moves = causes.work[table.kind[tasks]] == causes.transport
    full, shut = (np.where(moves, causes.transport, of_pool[pool]) for of_pool in (causes.full, causes.shut))
    return _Waits(row, pool, s.task_began[tasks], until, turn, full, shut)


def _working(history: History, causes: _Causes, delays: _Delays, tasks: np.ndarray, row: np.ndarray) -> list[_Piece]:
    """Tasks of delayed rows at work: open minutes are the task's, closed ones the calendar's."""
    table, granted = history.journeys.tasks, history.spells.task_granted.take(tasks)
    first, last = delays.within(row, granted, history.task_over.take(tasks))
    some = np.flatnonzero((granted >= 0) & (last > first))
    tasks, row, first, last = (column.take(some) for column in (tasks, row, first, last))
    kind, calendar = table.kind.take(tasks), table.calendar.take(tasks)
    opened = last - first
    closes = np.flatnonzero(calendar != ALWAYS_OPEN)
    calendar, total = calendar[closes], history.network.calendars.opened
    opened[closes] = total[calendar, last[closes]] - total[calendar, first[closes]]
    return [_piece(row, causes.work[kind], opened), _piece(row, causes.closed[kind], last - first - opened)]


def _piece(row: np.ndarray, cause: np.ndarray, minutes: np.ndarray) -> _Piece:
    """Of these charges, those that come to something."""
    some = np.flatnonzero(minutes > 0)
    return row.take(some), cause.take(some), minutes.take(some)


def _split(history: History, delays: _Delays, waits: _Waits) -> list[_Piece]:
    """Waits in two: until the capacity was there, and what was only the calendar after that."""
    first, last = delays.within(waits.row, waits.start, waits.end)
    some = np.flatnonzero(last > first)
    waits, first, last = waits[some], first[some], last[some]
    change = np.clip(_capacity_there(history, waits), first, last)
    return [_piece(waits.row, waits.full, change - first), _piece(waits.row, waits.shut, last - change)]


def _capacity_there(history: History, waits: _Waits) -> np.ndarray:
    """From when on only the calendar kept each person: (n,) minutes in [start, end]; `end` where it never did."""
    there = waits.end.copy()
    who = np.flatnonzero(_taken_as_it_opened(history, waits))
    turns = _Turns(history, waits.queue[who], waits.end[who])
    place = turns.place[waits.turn[who]]
    who, place = who[place >= 0], place[place >= 0]
    queue, end = waits.queue[who], waits.end[who]
    minute = np.maximum(waits.start[who], _closed_since(history, queue, end))
    while len(who):
        (used, used_until), (opened, open_until) = history.use.now(queue, minute), history.capacity.now(queue, minute)
        fits = opened - used >= turns.needed[place]
        fits[fits] = turns.quota_left(queue[fits], minute[fits]) >= turns.rank[place[fits]]
        there[who[fits]] = minute[fits]
        midnight = (minute // DAY + 1) * DAY
        minute = np.minimum(np.minimum(used_until, open_until), midnight)
        on = ~fits & (minute < end)
        who, place, queue, end, minute = who[on], place[on], queue[on], end[on], minute[on]
    return there


def _taken_as_it_opened(history: History, waits: _Waits) -> np.ndarray:
    """(n,) bool: was the person accepted in a minute in which the queue opened?"""
    calendar, minute = history.network.calendar[waits.queue], waits.end
    found = (waits.turn >= 0) & (calendar != ALWAYS_OPEN) & (minute > 0) & (minute < history.horizon)
    some = np.flatnonzero(found)
    opened, c, t = history.network.calendars.opened, calendar[some], minute[some]
    found[some] = (opened[c, t + 1] > opened[c, t]) & (opened[c, t] == opened[c, t - 1])
    return found


def _closed_since(history: History, queue: np.ndarray, minute: np.ndarray) -> np.ndarray:
    """The minute from which each queue, closed in the minute before this one, had been closed."""
    calendars, calendar = history.network.calendars, history.network.calendar[queue]
    opened = calendars.opened[calendar, minute]
    last_open = calendars.minutes[np.maximum(calendars.first[calendar] + opened - 1, 0)]
    return np.where(opened > 0, last_open + 1, 0)


class _Accepted(NamedTuple):
    """Some of those who were accepted and took something: (A,) each.

    Attributes:
        turn: as whom: a row, or the number of rows plus a task.
        row: the row, a task's too.
        queue, minute: where and when.
        joined: when they joined that queue, or the one that gives their place in it.
        units: what they took.
    """

    turn: np.ndarray
    row: np.ndarray
    queue: np.ndarray
    minute: np.ndarray
    joined: np.ndarray
    units: np.ndarray

    @classmethod
    def by(cls, history: History, queues: np.ndarray) -> _Accepted:
        """Everybody these queues accepted."""
        rows, tasks, s = history.journeys.rows, history.journeys.tasks, history.spells
        row = history.by_queue.of(queues)
        row = row[(s.accepted[row] >= 0) & (history.need[row] > 0) & ~history.initial[row]]
        since = rows.since[row]
        joined = np.where((since >= 0) & (s.joined[since] >= 0), s.joined[since], s.joined[row])
        of_rows = (row, row, history.service[row], s.accepted[row], joined, history.need[row])
        task = history.pool_tasks[history.by_pool.of(queues)]
        task = task[s.task_granted[task] >= 0]
        one = np.ones(len(task), dtype=np.int64)
        begun, granted = s.task_began[task], s.task_granted[task]
        of_tasks = (task + len(rows.spell), history.row_of(task), tasks.pool[task], granted, begun, one)
        return cls(*(np.concatenate(columns) for columns in zip(of_rows, of_tasks, strict=True)))


class _Turns:
    """Whose turn it was in some minutes of some queues.

    Attributes:
        place: (rows and tasks,) where each who was accepted then stands in the following; -1 for everybody else.
        rank: (A,) how many were accepted in that queue and minute up to this one, this one included.
        needed: (A,) how many units they took between them.
    """

    def __init__(self, history: History, queue: np.ndarray, minute: np.ndarray) -> None:
        self.history = history
        everybody = _Accepted.by(history, np.unique(queue))
        key = self._key(everybody.queue, everybody.minute)
        by_key = np.argsort(key, kind="stable")
        self.all_keys = key[by_key]
        asked = np.unique(self._key(queue, minute))
        first, last = np.searchsorted(self.all_keys, asked), np.searchsorted(self.all_keys, asked, side="right")
        then = by_key[ranges(first, last)]
        some, key = _Accepted(*(column[then] for column in everybody)), key[then]
        rows, number = history.journeys.rows, history.journeys.spells.number
        order = np.lexsort((some.row, number[history.spell[some.row]], some.joined, rows.priority[some.row], key))
        key, units = key[order], some.units[order]
        begins = np.append(True, key[1:] != key[:-1])[: len(key)]
        group = np.flatnonzero(begins)[np.cumsum(begins) - 1]
        self.rank = np.arange(len(key)) - group + 1
        total = np.cumsum(units)
        self.needed = total - (total - units)[group]
        self.place = np.full(len(rows.spell) + len(history.journeys.tasks.kind), NONE, dtype=np.int32)
        self.place[some.turn[order]] = np.arange(len(order))

    def quota_left(self, queue: np.ndarray, minute: np.ndarray) -> np.ndarray:
        """How many more each queue might have accepted on that day and in that week, when the minute was over."""
        network = self.history.network
        day = minute // DAY
        week = (day + network.first_weekday) // 7
        monday = np.maximum(week * 7 - network.first_weekday, 0)
        left = np.full(len(queue), np.iinfo(np.int64).max)
        for quota, since in ((network.quota_day[queue, day], day), (network.quota_week[queue, week], monday)):
            some = np.flatnonzero(quota != NO_QUOTA)
            taken = np.searchsorted(self.all_keys, self._key(queue[some], minute[some]), side="right")
            earlier = np.searchsorted(self.all_keys, self._key(queue[some], since[some] * DAY))
            left[some] = np.minimum(left[some], quota[some] - (taken - earlier))
        return left

    def _key(self, queue: np.ndarray, minute: np.ndarray) -> np.ndarray:
        """A queue and a minute as one number."""
        return queue * np.int64(self.history.horizon + 1) + minute
