"""What happened, as intervals: who was where, who waited for what and until when, what was in use, and what was open.

Everything here is worked out from the journeys and the stamps alone, once, and shared by all measures. Intervals are
half-open, ``[start, end)``, in whole minutes; what the end of the run cut off ends at the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flowsim.engine.spells import (
    DIED,
    DISPLACED,
    GAVE_UP,
    LEFT,
    NEVER,
    READMITTED,
    TURNED_AWAY,
    UNFIT_AGAIN,
    Spells,
)
from flowsim.model.calendar import ALWAYS_OPEN
from flowsim.model.capacity import UNLIMITED, Network
from flowsim.model.journeys import NONE, Journeys
from flowsim.place import Place, Service

NOT_YET = 2**40
"""Later than any minute of a run."""


@dataclass(frozen=True)
class Intervals:
    """So many units in a queue from `start` until `end`; int64 arrays of one length."""

    queue: np.ndarray
    start: np.ndarray
    end: np.ndarray
    units: np.ndarray

    def __add__(self, other: Intervals) -> Intervals:
        return Intervals(
            *(np.concatenate([getattr(self, f), getattr(other, f)]) for f in ("queue", "start", "end", "units"))
        )

    def area(self, n: int, start: int, end: int) -> np.ndarray:
        """Unit-minutes of each of n queues within [start, end): (n,) float64."""
        inside = np.minimum(self.end, end) - np.maximum(self.start, start)
        return np.bincount(self.queue, weights=np.maximum(inside, 0) * self.units, minlength=n).astype(np.float64)

    def steps(self, horizon: int) -> Steps:
        """The same as step functions of time."""
        key = np.concatenate([self.queue, self.queue]) * (horizon + 1) + np.concatenate([self.start, self.end])
        change = np.concatenate([self.units, -self.units])
        small = len(key) == 0 or int(key.max()) < 2**31
        order = np.argsort(key.astype(np.int32) if small else key)
        key = key[order]
        level = np.cumsum(change[order])
        last = np.flatnonzero(np.append(key[1:] != key[:-1], True)) if len(key) else np.zeros(0, dtype=np.int64)
        return Steps(key[last], level[last], horizon)


@dataclass(frozen=True)
class Steps:
    """A step function of time for every queue.

    Attributes:
        key: (K,) int64, sorted: ``queue * (horizon + 1) + minute`` of each change.
        level: (K,) int64, the level when that minute was over; before a queue's first change it is 0.
        horizon: minutes in the run.
    """

    key: np.ndarray
    level: np.ndarray
    horizon: int

    @property
    def queue(self) -> np.ndarray:
        return self.key // (self.horizon + 1)

    @property
    def minute(self) -> np.ndarray:
        return self.key % (self.horizon + 1)

    def of(self, queue: int) -> tuple[np.ndarray, np.ndarray]:
        """The minutes of change of one queue and the levels after them."""
        first, last = np.searchsorted(self.key, [queue * (self.horizon + 1), (queue + 1) * (self.horizon + 1)])
        return self.key[first:last] - queue * (self.horizon + 1), self.level[first:last]

    def at(self, queue: np.ndarray, minute: np.ndarray) -> np.ndarray:
        """The level of each queue when each minute was over."""
        if not len(self.key):
            return np.zeros(len(queue), dtype=np.int64)
        place = np.searchsorted(self.key, queue * (self.horizon + 1) + minute, side="right") - 1
        same = (place >= 0) & (self.key[place] // (self.horizon + 1) == queue)
        return np.where(same, self.level[place], 0)

    def area(self, n: int, start: int, end: int) -> np.ndarray:
        """Unit-minutes of each of n queues within [start, end): (n,) float64."""
        queue, minute = self.queue, self.minute
        until = np.append(minute[1:], self.horizon) if len(minute) else minute
        until = np.where(np.append(queue[1:] == queue[:-1], False), until, self.horizon) if len(minute) else minute
        inside = np.maximum(np.minimum(until, end) - np.maximum(minute, start), 0)
        return np.bincount(queue, weights=inside * self.level, minlength=n).astype(np.float64)


class History:
    """The intervals of one run.

    Attributes:
        kind_names: the kinds of service and of staff pool, in the network's order.
        kind: (S,) int, each queue's kind.
        unit_name: (S,) the site or locality of each queue, "" for a queue that is not split.
        is_neighbour: (S,) bool, is it capacity outside the place under study?
    """

    def __init__(self, place: Place, network: Network, journeys: Journeys, spells: Spells) -> None:
        self.place, self.network, self.journeys, self.spells = place, network, journeys, spells
        self.horizon = network.horizon
        self.days = self.horizon // 1440
        self.n_queues = len(network.names)
        kinds = [name.split("/", 1)[0] for name in network.names]
        self.kind_names = tuple(dict.fromkeys(kinds))
        self.kind = np.array([self.kind_names.index(k) for k in kinds], dtype=np.int64)
        self.unit_name = tuple(name.partition("/")[2] for name in network.names)
        self.is_neighbour = np.array(
            [u in place.localities and place.localities[u].neighbour for u in self.unit_name], dtype=bool
        )
        self._roles = np.array([self.service_of(kind).role for kind in self.kind_names])

    def service_of(self, kind: str) -> Service:
        """What the place declares of a kind of service or staff pool."""
        return self.place.pools[kind] if kind in self.place.pools else self.place.services[kind]

    def queues_with(self, *roles: str) -> np.ndarray:
        """(S,) bool: which queues have one of these roles."""
        return np.isin(self._roles, roles)[self.kind]

    def rows_with(self, *roles: str) -> np.ndarray:
        """(R,) bool: which rows are in a service of one of these roles."""
        return self.queues_with(*roles)[self.journeys.rows.service]

    # the order of a spell's rows -------------------------------------------------------------------------------------

    @cached_property
    def order(self) -> np.ndarray:
        """The rows that were started, by spell and then by time."""
        started = np.flatnonzero(self.spells.started >= 0)
        key = self.journeys.rows.spell[started] * (self.horizon + 1) + self.spells.started[started]
        return started if (key[1:] >= key[:-1]).all() else started[np.argsort(key, kind="stable")]

    @cached_property
    def following(self) -> np.ndarray:
        """(R,) the row of the same spell that was started next, -1 for none."""
        return self._neighbours(self.order[:-1], self.order[1:])

    @cached_property
    def previous(self) -> np.ndarray:
        """(R,) the row the person was in, or came from, when joining this row's queue; -1 for none or never joined."""
        spell, started, joined = self.journeys.rows.spell, self.spells.started, self.spells.joined
        found = self._neighbours(self.order[1:], self.order[:-1])
        rest = np.flatnonzero((joined >= 0) & (started < 0))  # joined and never came: between two starts
        if len(rest) and len(self.order):
            width = self.horizon + 1
            keys = spell[self.order] * width + started[self.order]
            place = np.searchsorted(keys, spell[rest] * width + joined[rest], side="left") - 1
            before = self.order[place]
            found[rest] = np.where((place >= 0) & (spell[before] == spell[rest]), before, NONE)
        return found

    def _neighbours(self, of: np.ndarray, neighbour: np.ndarray) -> np.ndarray:
        found = np.full(len(self.journeys.rows.spell), NONE, dtype=np.int64)
        same = self.journeys.rows.spell[of] == self.journeys.rows.spell[neighbour]
        found[of[same]] = neighbour[same]
        return found

    @cached_property
    def held_on(self) -> np.ndarray:
        """(R,) bool: the units were held until the row was left for another; not let go when ready, not displaced."""
        return (self.journeys.rows.hold == 1) & (self.spells.ended != DISPLACED)

    @cached_property
    def continues(self) -> np.ndarray:
        """(R,) bool: the row is in the queue the person already held (a resize, or unfit again): nobody new came."""
        before = self.previous
        service = self.journeys.rows.service
        return (before >= 0) & (service[before] == service) & self.held_on[before]

    @cached_property
    def initial(self) -> np.ndarray:
        """(R,) bool: the row in which a spell of the initial caseload began."""
        found = np.zeros(len(self.journeys.rows.spell), dtype=bool)
        found[self.journeys.spells.first_row[self.journeys.spells.initial == 1]] = True
        return found

    # when things ended -----------------------------------------------------------------------------------------------

    @cached_property
    def left(self) -> np.ndarray:
        """(R,) when the person left the row; the horizon where it never came to that."""
        return np.where(self.spells.left >= 0, self.spells.left, self.horizon)

    @cached_property
    def returned(self) -> np.ndarray:
        """(N,) the minute at which the readmission of each spell arrived, -1 for none."""
        found = np.full(len(self.journeys.spells.number), NEVER, dtype=np.int64)
        parents = np.flatnonzero(self.journeys.rows.child >= 0)
        child = self.journeys.rows.child[parents]
        found[self.journeys.rows.spell[parents]] = self.spells.joined[self.journeys.spells.first_row[child]]
        return found

    @cached_property
    def waited_until(self) -> np.ndarray:
        """(R,) when the row's queue was left, accepted or not; the horizon while waiting, -1 where never joined."""
        rows, s = self.journeys.rows, self.spells
        until = s.accepted.copy()
        rest = np.flatnonzero((s.joined >= 0) & (s.accepted < 0))
        ended = s.ended[rest]
        until[rest] = self.horizon
        gave_up, broken = rest[ended == GAVE_UP], rest[np.isin(ended, (UNFIT_AGAIN, DIED))]
        away, back = rest[ended == TURNED_AWAY], rest[ended == READMITTED]
        until[gave_up] = s.joined[gave_up] + rows.patience[gave_up]
        until[away] = s.joined[away]
        until[broken] = self.left[self.previous[broken]]
        until[back] = self.returned[rows.spell[back]]
        return until

    @cached_property
    def arrived(self) -> np.ndarray:
        """(N,) when the spell arrived; `NOT_YET` when it did not."""
        joined = self.spells.joined[self.journeys.spells.first_row]
        return np.where(joined >= 0, joined, NOT_YET)

    @cached_property
    def gone(self) -> np.ndarray:
        """(N,) when the spell ended (left, died or readmitted); `NOT_YET` while it had not."""
        rows, s = self.journeys.rows, self.spells
        gone = np.full(len(self.journeys.spells.number), NOT_YET, dtype=np.int64)
        displaced = (s.ended == DISPLACED) & (rows.displaced_to < 0)
        out = (s.left >= 0) & (np.isin(s.ended, (LEFT, DIED, READMITTED)) | displaced)
        gone[rows.spell[out]] = s.left[out]
        nowhere = np.flatnonzero(np.isin(s.ended, (GAVE_UP, TURNED_AWAY)) & (rows.otherwise < 0))
        before = self.previous[nowhere]
        free = (before < 0) | (self.left[before] <= s.joined[nowhere])
        gone[rows.spell[nowhere[free]]] = self.waited_until[nowhere[free]]
        return np.where(self.returned >= 0, np.minimum(gone, self.returned), gone)

    # tasks -----------------------------------------------------------------------------------------------------------

    @cached_property
    def task_row(self) -> np.ndarray:
        """(T,) the row each task belongs to."""
        rows = self.journeys.rows
        count = rows.n_before + rows.n_after
        return np.repeat(np.arange(len(count)), count)

    @cached_property
    def task_over(self) -> np.ndarray:
        """(T,) when each task that began was done or broken off; the horizon where it still runs."""
        s, row = self.spells, self.task_row
        broken_off = np.where(self.held_on[row], self.left[row], self.returned[self.journeys.rows.spell[row]])
        broken_off = np.where(broken_off >= 0, broken_off, self.horizon)
        return np.where(s.task_ended >= 0, s.task_ended, broken_off)

    # units -----------------------------------------------------------------------------------------------------------

    @cached_property
    def handed_over(self) -> np.ndarray:
        """(R,) units of the row before, in the same service, that counted towards this one when it was accepted."""
        before, units = self.previous, self.spells.units
        counts = self.continues & (self.spells.accepted >= 0) & (self.journeys.rows.keep[before] == NONE)
        return np.where(counts, np.minimum(units[before], units), 0)

    @cached_property
    def need(self) -> np.ndarray:
        """(R,) units each accepted row took beyond what was held or reserved for the person there; 0 where none."""
        need = self.spells.units - self.handed_over
        rows, s = self.journeys.rows, self.spells
        kept = (s.ended == READMITTED) & (s.left >= 0) & (rows.kept_on_readmission > 0)
        reserved = np.flatnonzero(kept & (s.freed >= 0))
        if len(reserved):
            child = np.full(len(self.journeys.spells.number), NONE, dtype=np.int64)
            parents = np.flatnonzero(rows.child >= 0)
            child[rows.spell[parents]] = rows.child[parents]
            key = child[rows.spell[reserved]] * self.n_queues + rows.service[reserved]
            order = np.argsort(key)
            key, reserved = key[order], reserved[order]
            wanted = rows.spell * self.n_queues + rows.service
            place = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
            taken = (key[place] == wanted) & (s.accepted >= 0) & (s.accepted == s.freed[reserved[place]])
            need = need - np.where(taken, s.units[reserved[place]], 0)
        return np.maximum(need, 0)

    @cached_property
    def takers(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows that took something of their queue's free units, by queue; where each queue's begin, (S + 1,)."""
        rows = np.flatnonzero((self.spells.accepted >= 0) & (self.need > 0) & ~self.initial)
        queue = self.journeys.rows.service[rows].astype(np.int16)
        order = np.argsort(queue, kind="stable")
        return rows[order], np.searchsorted(queue[order], np.arange(self.n_queues + 1))

    @cached_property
    def in_use(self) -> Intervals:
        """What was in use of every queue, staff pools included; units passed on within a service count once."""
        rows, s = self.journeys.rows, self.spells
        had = np.flatnonzero(s.accepted >= 0)
        freed = np.where(s.freed[had] >= 0, s.freed[had], self.horizon)
        whole = Intervals(rows.service[had], s.accepted[had], freed, s.units[had])
        twice = np.flatnonzero(self.handed_over > 0)
        end = np.maximum(self.left[self.previous[twice]], s.accepted[twice])
        passed = Intervals(rows.service[twice], s.accepted[twice], end, -self.handed_over[twice])
        at_work = np.flatnonzero((self.journeys.tasks.pool >= 0) & (s.task_granted >= 0))
        pool = self.journeys.tasks.pool[at_work]
        staff = Intervals(pool, s.task_granted[at_work], self.task_over[at_work], np.ones(len(pool), dtype=np.int64))
        return whole + passed + staff

    @cached_property
    def waiting(self) -> Intervals:
        """The people in every queue, staff pools' included; who was accepted in the minute of asking is left out."""
        rows, s = self.journeys.rows, self.spells
        waits = np.flatnonzero(self.waited_until > s.joined)
        tasks = np.flatnonzero((self.journeys.tasks.pool >= 0) & (s.task_began >= 0))
        until = np.where(s.task_granted[tasks] >= 0, s.task_granted[tasks], self.task_over[tasks])
        queue = np.concatenate([rows.service[waits], self.journeys.tasks.pool[tasks]])
        start = np.concatenate([s.joined[waits], s.task_began[tasks]])
        end = np.concatenate([self.waited_until[waits], until])
        return Intervals(queue, start, end, np.ones(len(queue), dtype=np.int64))

    @cached_property
    def use(self) -> Steps:
        """`in_use` as step functions."""
        return self.in_use.steps(self.horizon)

    @cached_property
    def queue_length(self) -> Steps:
        """`waiting` as step functions."""
        return self.waiting.steps(self.horizon)

    @cached_property
    def capacity(self) -> Steps:
        """What was open in every queue, escalation included."""
        s = self.spells
        order = np.lexsort((s.log_minute, s.log_service))
        key = s.log_service[order].astype(np.int64) * (self.horizon + 1) + s.log_minute[order]
        return Steps(key, s.log_capacity[order].astype(np.int64), self.horizon)

    @cached_property
    def planned_capacity(self) -> Steps:
        """What was to be open in every queue, escalation apart."""
        network = self.network
        order = np.lexsort((network.step_minute, network.step_service))
        key = network.step_service[order] * (self.horizon + 1) + network.step_minute[order]
        return Steps(key, network.step_capacity[order], self.horizon)

    @cached_property
    def is_limited(self) -> np.ndarray:
        """(S,) bool: can the queue ever be full?"""
        most = np.zeros(self.n_queues, dtype=np.int64)
        np.maximum.at(most, self.spells.log_service, self.spells.log_capacity)
        return most < UNLIMITED // 2

    def open_minutes(self, queue: int, start: int, end: int) -> int:
        """Minutes in [start, end) in which a queue's calendar is open."""
        calendar = int(self.network.calendar[queue])
        if calendar == ALWAYS_OPEN:
            return end - start
        opened = self.network.calendars.opened[calendar]
        return int(opened[end]) - int(opened[start])


def count_each_day(group: np.ndarray, n: int, start: np.ndarray, end: np.ndarray, days: int,
                   units: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    """How many (or how many units) of each of n groups were there at 23:59 of each day: (n, days) float64."""
    first = np.clip(start // 1440, 0, days)
    last = np.maximum(np.clip(end // 1440, 0, days), first)
    came = np.bincount(group * (days + 1) + first, weights=units, minlength=n * (days + 1))
    went = np.bincount(group * (days + 1) + last, weights=units, minlength=n * (days + 1))
    return np.cumsum((came - went).reshape(n, days + 1), axis=1)[:, :days].astype(np.float64)
