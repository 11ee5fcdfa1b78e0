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
from flowsim.measures.history import History
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

    def within(self, row: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What of stretches of time lies within the delay of their rows."""
        begins = np.maximum(start, self.first[row])
        return begins, np.maximum(np.minimum(end, self.last[row]), begins)


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
    first = np.maximum(history.spells.recognised, start)
    delays = _Delays(first, np.maximum(np.minimum(history.left, end), first))
    rows = rows[delays.last[rows] > delays.first[rows]]
    tasks = _tasks_of(history, rows)
    waits = _Waits.together(*_queueing(history, causes, rows), _staffing(history, causes, tasks))
    pieces = [*_split(history, delays, waits), *_working(history, causes, delays, tasks)]
    row, cause, minutes = (np.concatenate(column) for column in zip(*pieces, strict=True))
    some = minutes > 0
    return Charges(causes.names, row[some], cause[some], minutes[some])


def _queueing(history: History, causes: _Causes, rows: np.ndarray) -> Iterator[_Waits]:
    """Waiting for the next row, for what was turned to when that was given up, and so on."""
    journeys, s = history.journeys.rows, history.spells
    holder, wanted = rows, journeys.next[rows]
    while len(holder):
        asked = (wanted >= 0) & (s.joined[wanted] >= s.recognised[holder]) & (s.joined[wanted] <= history.left[holder])
        holder, wanted = holder[asked], wanted[asked]
        queue = journeys.service[wanted]
        turn = np.where(s.accepted[wanted] >= 0, wanted, NONE)
        until = history.waited_until[wanted]
        yield _Waits(holder, queue, s.joined[wanted], until, turn, causes.full[queue], causes.shut[queue])
        elsewhere = np.isin(s.ended[wanted], (GAVE_UP, TURNED_AWAY))
        holder, wanted = holder[elsewhere], journeys.otherwise[wanted[elsewhere]]


def _tasks_of(history: History, rows: np.ndarray) -> np.ndarray:
    """Indices of the tasks of these rows that began and took time."""
    of_row = np.zeros(len(history.journeys.rows.spell), dtype=bool)
    of_row[rows] = True
    return np.flatnonzero(of_row[history.task_row] & (history.task_over > history.spells.task_began))


def _staffing(history: History, causes: _Causes, tasks: np.ndarray) -> _Waits:
    """Tasks waiting for staff."""
    s = history.spells
    tasks = tasks[history.journeys.tasks.pool[tasks] >= 0]
    granted = s.task_granted[tasks] >= 0
    until = np.where(granted, s.task_granted[tasks], history.task_over[tasks])
    turn = np.where(granted, len(history.journeys.rows.spell) + tasks, NONE)
    pool = history.journeys.tasks.pool[tasks]
    moves = causes.work[history.journeys.tasks.kind[tasks]] == causes.transport
    full, shut = (np.where(moves, causes.transport, table[pool]) for table in (causes.full, causes.shut))
    return _Waits(history.task_row[tasks], pool, s.task_began[tasks], until, turn, full, shut)


def _working(history: History, causes: _Causes, delays: _Delays, tasks: np.ndarray) -> list[_Piece]:
    """Tasks at work: open minutes are the task's, closed ones the calendar's."""
    table, network = history.journeys.tasks, history.network
    tasks = tasks[history.spells.task_granted[tasks] >= 0]
    row = history.task_row[tasks]
    first, last = delays.within(row, history.spells.task_granted[tasks], history.task_over[tasks])
    at_work = np.flatnonzero(last > first)
    row, first, last, task = row[at_work], first[at_work], last[at_work], tasks[at_work]
    kind, calendar = table.kind[task], table.calendar[task]
    opened = last - first
    closes = np.flatnonzero(calendar != ALWAYS_OPEN)
    total = network.calendars.opened
    opened[closes] = total[calendar[closes], last[closes]] - total[calendar[closes], first[closes]]
    return [(row, causes.work[kind], opened), (row, causes.closed[kind], last - first - opened)]


def _split(history: History, delays: _Delays, waits: _Waits) -> list[_Piece]:
    """Waits in two: until the capacity was there, and what was only the calendar after that."""
    first, last = delays.within(waits.row, waits.start, waits.end)
    some = np.flatnonzero(last > first)
    waits, first, last = waits[some], first[some], last[some]
    change = np.clip(_capacity_there(history, waits), first, last)
    return [(waits.row, waits.full, change - first), (waits.row, waits.shut, last - change)]


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
        free = history.capacity.at(queue, minute) - history.use.at(queue, minute)
        fits = (free >= turns.needed[place]) & (turns.quota_left(queue, minute) >= turns.rank[place])
        there[who[fits]] = minute[fits]
        midnight = (minute // DAY + 1) * DAY
        change = np.minimum(history.use.next_change(queue, minute), history.capacity.next_change(queue, minute))
        minute = np.minimum(change, midnight)
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
        asked = np.zeros(history.n_queues + 1, dtype=bool)  # one more for no pool
        asked[queues] = True
        row = np.flatnonzero(asked[rows.service] & (s.accepted >= 0))
        row = row[(history.need[row] > 0) & ~history.initial[row]]
        since = rows.since[row]
        joined = np.where((since >= 0) & (s.joined[since] >= 0), s.joined[since], s.joined[row])
        of_rows = (row, row, rows.service[row], s.accepted[row], joined, history.need[row])
        task = np.flatnonzero(asked[tasks.pool] & (s.task_granted >= 0))
        one = np.ones(len(task), dtype=np.int64)
        begun, granted = s.task_began[task], s.task_granted[task]
        of_tasks = (task + len(rows.spell), history.task_row[task], tasks.pool[task], granted, begun, one)
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
        self.all_keys = np.sort(key)
        then = np.flatnonzero(np.isin(key, self._key(queue, minute)))
        some, key = _Accepted(*(column[then] for column in everybody)), key[then]
        rows, number = history.journeys.rows, history.journeys.spells.number
        order = np.lexsort((some.row, number[rows.spell[some.row]], some.joined, rows.priority[some.row], key))
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
        taken = np.searchsorted(self.all_keys, self._key(queue, minute), side="right")
        for quota, since in ((network.quota_day[queue, day], day), (network.quota_week[queue, week], monday)):
            used = taken - np.searchsorted(self.all_keys, self._key(queue, since * DAY))
            left = np.where(quota == NO_QUOTA, left, np.minimum(left, quota - used))
        return left

    def _key(self, queue: np.ndarray, minute: np.ndarray) -> np.ndarray:
        """A queue and a minute as one number."""
        return queue * np.int64(self.history.horizon + 1) + minute
