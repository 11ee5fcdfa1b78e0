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

from dataclasses import dataclass

import numpy as np

from flowsim.engine.spells import GAVE_UP, TURNED_AWAY
from flowsim.measures.history import History
from flowsim.model.calendar import ALWAYS_OPEN, DAY
from flowsim.model.capacity import NO_QUOTA
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


@dataclass(frozen=True)
class _Pieces:
    """Stretches of time of delayed rows with the cause they are charged to."""

    row: np.ndarray
    cause: np.ndarray
    start: np.ndarray
    end: np.ndarray


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
    waits = _queueing(history, causes, rows) + _staffing(history, causes, rows)
    certain = [_cut(history, pieces, start, end) for pieces in waits]
    found = [(p.row, p.cause, p.end - p.start) for p in certain]
    found += _working(history, causes, rows, start, end)
    row, cause, minutes = (np.concatenate(column) for column in zip(*found, strict=True))
    some = minutes > 0
    return Charges(causes.names, row[some], cause[some], minutes[some])


def _cut(history: History, pieces: _Pieces, start: int, end: int) -> _Pieces:
    """What of the pieces lies within the delay of their rows and within [start, end)."""
    first = np.maximum(np.maximum(pieces.start, history.spells.recognised[pieces.row]), start)
    last = np.minimum(np.minimum(pieces.end, history.left[pieces.row]), end)
    return _Pieces(pieces.row, pieces.cause, first, np.maximum(last, first))


def _queueing(history: History, causes: _Causes, rows: np.ndarray) -> list[_Pieces]:
    """Waiting for the next row, for what was turned to when that was given up, and so on."""
    journeys, s = history.journeys.rows, history.spells
    found: list[_Pieces] = []
    holder, wanted = rows, journeys.next[rows]
    while True:
        asked = (wanted >= 0) & (s.joined[wanted] >= s.recognised[holder]) & (s.joined[wanted] <= history.left[holder])
        holder, wanted = holder[asked], wanted[asked]
        if not len(holder):
            return found
        queue, joined, until = journeys.service[wanted], s.joined[wanted], history.waited_until[wanted]
        turn = np.where(s.accepted[wanted] >= 0, wanted, -1)
        found += _split(history, causes, holder, queue, joined, until, turn)
        elsewhere = np.isin(s.ended[wanted], (GAVE_UP, TURNED_AWAY))
        holder, wanted = holder[elsewhere], journeys.otherwise[wanted[elsewhere]]


def _tasks_of(history: History, rows: np.ndarray) -> np.ndarray:
    """Indices of the tasks of these rows that began."""
    of_row = np.zeros(len(history.journeys.rows.spell), dtype=bool)
    of_row[rows] = True
    return np.flatnonzero(of_row[history.task_row] & (history.spells.task_began >= 0))


def _staffing(history: History, causes: _Causes, rows: np.ndarray) -> list[_Pieces]:
    """Tasks waiting for staff."""
    tasks, s = _tasks_of(history, rows), history.spells
    tasks = tasks[history.journeys.tasks.pool[tasks] >= 0]
    granted = s.task_granted[tasks] >= 0
    until = np.where(granted, s.task_granted[tasks], history.task_over[tasks])
    row = history.task_row[tasks]
    pool = history.journeys.tasks.pool[tasks]
    moving = causes.work[history.journeys.tasks.kind[tasks]] == causes.transport
    carried = tasks[moving]
    transport = _Pieces(row[moving], np.full(len(carried), causes.transport), s.task_began[carried], until[moving])
    n_rows = len(history.journeys.rows.spell)
    turn = np.where(granted, n_rows + tasks, -1)[~moving]
    return [
        transport,
        *_split(history, causes, row[~moving], pool[~moving], s.task_began[tasks[~moving]], until[~moving], turn),
    ]


def _working(
    history: History, causes: _Causes, rows: np.ndarray, start: int, end: int
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Tasks at work, as (row, cause, minutes): open minutes are the task's, closed ones the calendar's."""
    tasks, s = _tasks_of(history, rows), history.spells
    tasks = tasks[s.task_granted[tasks] >= 0]
    kind, calendar = history.journeys.tasks.kind[tasks], history.journeys.tasks.calendar[tasks]
    pieces = _Pieces(history.task_row[tasks], kind, s.task_granted[tasks], history.task_over[tasks])
    pieces = _cut(history, pieces, start, end)
    length = pieces.end - pieces.start
    opened = length.copy()
    for c in np.unique(calendar[calendar != ALWAYS_OPEN]):
        here = calendar == c
        opened[here] = history.network.calendars.open_between(int(c), pieces.start[here], pieces.end[here])
    return [(pieces.row, causes.work[kind], opened), (pieces.row, causes.closed[kind], length - opened)]


def _split(
    history: History,
    causes: _Causes,
    row: np.ndarray,
    queue: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    turn: np.ndarray,
) -> list[_Pieces]:
    """Waits in a queue in two: until the capacity was there, and what was only the calendar after that.

    `turn` says as whom the person was accepted: a row, or the number of rows plus a task; -1 for never.
    """
    change = end.copy()
    waited = np.flatnonzero((turn >= 0) & (history.network.calendar[queue] != ALWAYS_OPEN) & (end > start))
    for q in np.unique(queue[waited]):
        mine = waited[queue[waited] == q]
        change[mine] = _Opening(history, int(q)).capacity_there(turn[mine], start[mine], end[mine])
    return [_Pieces(row, causes.full[queue], start, change), _Pieces(row, causes.shut[queue], change, end)]


class _Opening:
    """One queue with a calendar: who was accepted in the minutes it opened, and what was free while it was closed."""

    def __init__(self, history: History, queue: int) -> None:
        self.history, self.queue = history, queue
        calendars, calendar = history.network.calendars, int(history.network.calendar[queue])
        opened = calendars.opened[calendar]
        self.is_open = opened[1:] > opened[:-1]
        first, last = calendars.first[calendar], calendars.first[calendar + 1]
        self.open_minute = calendars.minutes[first:last].astype(np.int64)
        self._note_acceptances()
        self._note_free_units()

    def _note_acceptances(self) -> None:
        """Everybody who took something, in the order in which they were taken."""
        rows, tasks, s = self.history.journeys.rows, self.history.journeys.tasks, self.history.spells
        number = self.history.journeys.spells.number
        n_rows = len(rows.spell)
        if self.queue < self.history.network.n_pools:
            task = np.flatnonzero((tasks.pool == self.queue) & (s.task_granted >= 0))
            row, minute, joined = self.history.task_row[task], s.task_granted[task], s.task_began[task]
            who, need = task + n_rows, np.ones(len(task), dtype=np.int64)
        else:
            takers, first = self.history.takers
            row = takers[first[self.queue] : first[self.queue + 1]]
            minute, who, need = s.accepted[row], row, self.history.need[row]
            since = rows.since[row]
            joined = np.where((since >= 0) & (s.joined[since] >= 0), s.joined[since], s.joined[row])
        order = np.lexsort((row, number[rows.spell[row]], joined, rows.priority[row], minute))
        minute, who, need = minute[order], who[order], need[order]
        self.taken_at = minute
        begins = np.append(True, minute[1:] != minute[:-1]) if len(minute) else np.zeros(0, dtype=bool)
        group = np.flatnonzero(begins)[np.cumsum(begins) - 1]
        rank = np.arange(len(minute)) - group + 1
        total = np.cumsum(need)
        needed = total - (total - need)[group]
        by_who = np.argsort(who)
        self.who, self.rank, self.needed = who[by_who], rank[by_who], needed[by_who]

    def _note_free_units(self) -> None:
        """Free units and what is left of the quotas, when each minute of change was over."""
        network, horizon = self.history.network, self.history.horizon
        use_minute, use = self.history.use.of(self.queue)
        cap_minute, cap = self.history.capacity.of(self.queue)
        days = np.arange(-(-horizon // DAY))
        self.minute = np.unique(np.concatenate([use_minute, cap_minute, days * DAY]))
        self.free = _level(cap_minute, cap, self.minute) - _level(use_minute, use, self.minute)
        day = np.minimum(self.minute // DAY, len(days) - 1)
        week = (day + network.first_weekday) // 7
        monday = np.maximum(week * 7 - network.first_weekday, 0)
        taken = np.searchsorted(self.taken_at, self.minute, side="right")
        self.quota = np.full(len(self.minute), np.iinfo(np.int64).max)
        for quota, since in ((network.quota_day[self.queue, day], day), (network.quota_week[self.queue, week], monday)):
            used = taken - np.searchsorted(self.taken_at, since * DAY)
            self.quota = np.where(quota == NO_QUOTA, self.quota, np.minimum(self.quota, quota - used))

    def capacity_there(self, turn: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """From when on only the calendar kept each person: (n,) minutes in [start, end]; `end` where it never did."""
        change = end.copy()
        place = np.searchsorted(self.who, turn)
        known = (place < len(self.who)) & (self.who[np.minimum(place, len(self.who) - 1)] == turn)
        at_opening = known & (end > 0) & ~self.is_open[np.maximum(end - 1, 0)]
        who = np.flatnonzero(at_opening & self.is_open[np.minimum(end, len(self.is_open) - 1)])
        rank, needed = self.rank[place[who]], self.needed[place[who]]
        before = np.searchsorted(self.open_minute, end[who]) - 1
        closed_from = np.where(before >= 0, self.open_minute[before] + 1, 0)
        earliest = np.maximum(start[who], closed_from)
        at = np.searchsorted(self.minute, earliest, side="right") - 1
        unsure = np.arange(len(who))
        while len(unsure):
            fits = (self.free[at[unsure]] >= needed[unsure]) & (self.quota[at[unsure]] >= rank[unsure])
            sure = unsure[fits]
            change[who[sure]] = np.maximum(self.minute[at[sure]], earliest[sure])
            unsure = unsure[~fits]
            at[unsure] += 1
            unsure = unsure[at[unsure] < len(self.minute)]
            unsure = unsure[self.minute[at[unsure]] < end[who[unsure]]]
        return change


def _level(change: np.ndarray, level: np.ndarray, minute: np.ndarray) -> np.ndarray:
    """The level of a step function when each minute was over; 0 before its first change."""
    place = np.searchsorted(change, minute, side="right") - 1
    return np.where(place >= 0, level[place], 0) if len(level) else np.zeros(len(minute), dtype=np.int64)
