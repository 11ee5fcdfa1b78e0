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
from functools import cached_property

import numpy as np

from flowsim.engine.stamps import GAVE_UP, TURNED_AWAY
from flowsim.measures.history import History, ranges
from flowsim.model.calendar import ALWAYS_OPEN, DAY
from flowsim.model.tables import NO_QUOTA, NONE
from flowsim.place import Place

TRANSPORT = "transport"


@dataclass(frozen=True)
class Charges:
    """Delayed minutes by row and cause.

    Attributes:
        names: the causes; which there are depends on the place alone.
        row: (D,) the rows of the journeys in which there was delay, each once.
        case: (P,) index into `row`; a row comes as often as it has pieces.
        cause: (P,) index into `names`.
        minutes: (P,) whole numbers.
    """

    names: tuple[str, ...]
    row: np.ndarray
    case: np.ndarray
    cause: np.ndarray
    minutes: np.ndarray

    @cached_property
    def total(self) -> np.ndarray:
        """(D,) float64, the minutes charged for each row."""
        return np.bincount(self.case, weights=self.minutes, minlength=len(self.row))


_Piece = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Places in the delays, causes and minutes, of one length."""


@dataclass(frozen=True)
class _Waits:
    """Stretches of time that delayed people waited in a queue.

    Attributes:
        case: whose delay: its place in the delays.
        queue: in which it waited.
        start, end: minutes.
        turn: as whom the person was accepted: a row, or the number of rows plus a task; -1 for never.
        full: the cause while there was no capacity.
        shut: the cause while only the calendar was in the way.
    """

    case: np.ndarray
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
    """The delays there were within the window, from `first` until `last`, and the rows they were in; (D,) each."""

    row: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, history: History, rows: np.ndarray, start: int, end: int) -> _Delays:
        """The time from recognition until leaving of those of these rows in which there was any."""
        first = np.maximum(history.stamps.recognised.take(rows), start)
        last = np.minimum(history.left.take(rows), end)
        some = np.flatnonzero(last > first)
        return cls(rows.take(some), first.take(some), last.take(some))

    def within(self, case: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What of stretches of time lies within these delays: (first minutes, last ones), not before the first."""
        begins = np.maximum(start, self.first.take(case))
        return begins, np.maximum(np.minimum(end, self.last.take(case)), begins)


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
    tasks = _tasks(history, delays)
    waits = _Waits.together(*_queueing(history, causes, delays), _staffing(history, causes, *tasks))
    pieces = [*_split(history, delays, waits), *_working(history, causes, delays, *tasks)]
    case, cause, minutes = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return Charges(causes.names, delays.row, case, cause, minutes)


def _tasks(history: History, delays: _Delays) -> tuple[np.ndarray, np.ndarray]:
    """The tasks of the delayed rows and whose delay each is in; those up to recognition are over when it begins."""
    rows, row = history.journeys.rows, delays.row
    n_before = rows.n_before.take(row)
    over = np.minimum(rows.recognition.take(row), n_before)
    first, count = rows.first_task.take(row) + over, n_before - over + rows.n_after.take(row)
    return ranges(first, first + count), np.repeat(np.arange(len(row)), count)


def _queueing(history: History, causes: _Causes, delays: _Delays) -> Iterator[_Waits]:
    """Waiting for the next row, for what was turned to when that was given up, and so on."""
    journeys, s = history.journeys.rows, history.stamps
    case, wanted = np.arange(len(delays.row)), journeys.next.take(delays.row)
    while len(case):
        joined, holder = s.joined.take(wanted), delays.row.take(case)
        asked = (wanted >= 0) & (joined >= s.recognised.take(holder)) & (joined <= history.left.take(holder))
        some = np.flatnonzero(asked)
        case, wanted = case.take(some), wanted.take(some)
        queue = history.service.take(wanted)
        turn = np.where(s.accepted.take(wanted) >= 0, wanted, NONE)
        until = history.waited_until.take(wanted)
        yield _Waits(case, queue, joined.take(some), until, turn, causes.full[queue], causes.shut[queue])
        ended = s.ended.take(wanted)
        elsewhere = np.flatnonzero((ended == GAVE_UP) | (ended == TURNED_AWAY))
        case, wanted = case.take(elsewhere), journeys.otherwise.take(wanted.take(elsewhere))


def _staffing(history: History, causes: _Causes, tasks: np.ndarray, case: np.ndarray) -> _Waits:
    """Tasks in delays waiting for staff."""
    s, table = history.stamps, history.journeys.tasks
    need_staff = np.flatnonzero(table.pool.take(tasks) >= 0)
    tasks, case = tasks.take(need_staff), case.take(need_staff)
    began, granted = s.task_began.take(tasks), s.task_granted.take(tasks)
    until = np.where(granted >= 0, granted, history.task_over.take(tasks))
    some = np.flatnonzero(until > began)
    tasks, case, began, granted, until = (column.take(some) for column in (tasks, case, began, granted, until))
    turn = np.where(granted >= 0, len(history.spell) + tasks, NONE)
    pool = table.pool.take(tasks)
    moves = causes.work[table.kind.take(tasks)] == causes.transport
    full, shut = (np.where(moves, causes.transport, of_pool[pool]) for of_pool in (causes.full, causes.shut))
    return _Waits(case, pool, began, until, turn, full, shut)


def _working(history: History, causes: _Causes, delays: _Delays, tasks: np.ndarray, case: np.ndarray) -> list[_Piece]:
    """Tasks in delays at work: open minutes are the task's, closed ones the calendar's."""
    table, granted = history.journeys.tasks, history.stamps.task_granted.take(tasks)
    first, last = delays.within(case, granted, history.task_over.take(tasks))
    some = np.flatnonzero((granted >= 0) & (last > first))
    tasks, case, first, last = (column.take(some) for column in (tasks, case, first, last))
    kind = table.kind.take(tasks)
    opened = history.open_in_work(tasks, table.calendar.take(tasks), first, last)
    return [_piece(case, causes.work[kind], opened), _piece(case, causes.closed[kind], last - first - opened)]


def _piece(case: np.ndarray, cause: np.ndarray, minutes: np.ndarray) -> _Piece:
    """Of these charges, those that come to something."""
    some = np.flatnonzero(minutes > 0)
    return case.take(some), cause.take(some), minutes.take(some)


def _split(history: History, delays: _Delays, waits: _Waits) -> list[_Piece]:
    """Waits in two: until the capacity was there, and what was only the calendar after that."""
    first, last = delays.within(waits.case, waits.start, waits.end)
    some = np.flatnonzero(last > first)
    waits, first, last = waits[some], first[some], last[some]
    change = np.clip(_capacity_there(history, waits), first, last)
    return [_piece(waits.case, waits.full, change - first), _piece(waits.case, waits.shut, last - change)]


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
        # Room for this person alone is not enough: all who were accepted ahead in that minute come first.
        fits = opened - used >= turns.needed[place]
        fits[fits] = turns.quota_left(queue[fits], minute[fits]) >= turns.rank[place[fits]]
        there[who[fits]] = minute[fits]
        midnight = (minute // DAY + 1) * DAY  # when quotas begin again; nothing else can change in between
        minute = np.minimum(np.minimum(used_until, open_until), midnight)
        on = ~fits & (minute < end)
        who, place, queue, end, minute = who[on], place[on], queue[on], end[on], minute[on]
    return there


def _taken_as_it_opened(history: History, waits: _Waits) -> np.ndarray:
    """(n,) bool: was the person accepted in a minute in which the queue opened?"""
    calendar, minute = history.network.calendar[waits.queue], waits.end
    taken = (waits.turn >= 0) & (calendar != ALWAYS_OPEN) & (minute > 0) & (minute < history.horizon)
    some = np.flatnonzero(taken)
    taken[some] = history.network.calendars.opens(calendar[some], minute[some])
    return taken


def _closed_since(history: History, queue: np.ndarray, minute: np.ndarray) -> np.ndarray:
    """The minute from which each queue, closed in the minute before this one, had been closed."""
    return history.network.calendars.closed_since(history.network.calendar[queue], minute)


class _Turns:
    """Whose turn it was in some minutes of some queues.

    Those who were accepted are told as in `_Waits.turn`: a row, or the number of rows plus a task.

    Attributes:
        place: (rows and tasks,) where each who was accepted then stands in the following; -1 for everybody else.
        rank: (A,) how many were accepted in that queue and minute up to this one, this one included.
        needed: (A,) how many units they took between them.
    """

    def __init__(self, history: History, queue: np.ndarray, minute: np.ndarray) -> None:
        self.history = history
        turn, key = self._everybody(np.unique(queue))
        by_key = np.argsort(key, kind="stable")
        self.all_keys = key[by_key]
        asked = np.unique(self._key(queue, minute))
        first, last = np.searchsorted(self.all_keys, asked), np.searchsorted(self.all_keys, asked, side="right")
        then = by_key[ranges(first, last)]
        turn, key = turn[then], key[then]
        order, units = self._in_turn(turn, key)
        turn, key, units = turn[order], key[order], units[order]
        begins = np.append(True, key[1:] != key[:-1])[: len(key)]
        group = np.flatnonzero(begins)[np.cumsum(begins) - 1]
        self.rank = np.arange(len(key)) - group + 1
        total = np.cumsum(units)
        self.needed = total - (total - units)[group]
        self.place = np.full(len(history.spell) + len(history.journeys.tasks.kind), NONE, dtype=np.int32)
        self.place[turn] = np.arange(len(turn))

    def _everybody(self, queues: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Everybody whom these queues accepted and who took something, and when: queue and minute as one number."""
        history, s = self.history, self.history.stamps
        row = history.by_queue.of(queues)
        row = row[(s.accepted.take(row) >= 0) & (history.need.take(row) > 0) & ~history.initial.take(row)]
        staffed, mine = history.staffed, history.by_pool.of(queues)
        mine = mine[staffed.granted[mine] >= 0]
        of_rows = self._key(history.service[row], s.accepted[row])
        of_tasks = self._key(staffed.pool[mine], staffed.granted[mine])
        return np.append(row, staffed.task[mine] + len(history.spell)), np.append(of_rows, of_tasks)

    def _in_turn(self, turn: np.ndarray, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The order in which these were accepted in their queue and minute, and the units each of them took."""
        rows, s, number = self.history.journeys.rows, self.history.stamps, self.history.journeys.spells.number
        of_row = turn < len(self.history.spell)
        row_turn, task = turn[of_row], turn[~of_row] - len(self.history.spell)
        row, units = turn.copy(), np.ones(len(turn), dtype=np.int64)
        row[~of_row], units[of_row] = self.history.row_of(task), self.history.need[row_turn]
        # The engines' own order: priority, then when they asked (a place in a queue may be kept from an earlier row),
        # then person and row. Another order would charge the last units to somebody else.
        since = rows.since[row_turn]
        joined = np.empty(len(turn), dtype=np.int64)
        joined[of_row] = np.where((since >= 0) & (s.joined[since] >= 0), s.joined[since], s.joined[row_turn])
        joined[~of_row] = s.task_began[task]
        return np.lexsort((row, number[self.history.spell[row]], joined, rows.priority[row], key)), units

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
