"""What happened, as intervals: who was where, who waited for what and until when, what was in use, and what was open.

Everything here is worked out from the journeys and the stamps alone, once, and shared by all measures. Intervals are
half-open, ``[start, end)``, in whole minutes; what the end of the run cut off ends at the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array

from flowsim.engine.spells import (
    DIED,
    DISPLACED,
    ENDINGS,
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

NOT_YET = 2**30
"""Later than any minute of a run; small enough for int32."""

_ENDS_SPELL = np.isin(np.arange(len(ENDINGS)), (LEFT, DIED, READMITTED))
"""By how a row ended: did that end the spell?"""


@dataclass(frozen=True)
class Intervals:
    """So many units in a queue from `start` until `end`; integer arrays of one length."""

    queue: np.ndarray
    start: np.ndarray
    end: np.ndarray
    units: np.ndarray

    @classmethod
    def together(cls, *parts: Intervals) -> Intervals:
        """All of these as one."""
        return cls(*(np.concatenate([getattr(p, f) for p in parts]) for f in ("queue", "start", "end", "units")))

    def steps(self, n: int, horizon: int) -> Steps:
        """The same as step functions of time for n queues.

        The changes are put in order as those of a sparse table of minutes by queues, which is turned from minutes to
        queues: that takes two passes over them, where sorting would take twenty.
        """
        minute = np.concatenate([self.start, self.end], dtype=np.int32)
        queue = np.concatenate([self.queue, self.queue], dtype=np.int32)
        change = np.concatenate([self.units, -self.units], dtype=np.int32)
        changes = coo_array((change, (minute, queue)), shape=(horizon + 1, n))
        changes.has_canonical_format = True  # or else those of one minute would be sorted and added up at once
        by_queue = changes.tocsr().tocsc()
        by_queue.sum_duplicates()
        return Steps(by_queue.indptr, by_queue.indices, np.cumsum(by_queue.data, dtype=np.int64), horizon)


@dataclass(frozen=True)
class Steps:
    """A step function of time for every queue.

    Attributes:
        first: (S + 1,) where each queue's changes begin: queue q has ``first[q] : first[q + 1]``.
        minute: (K,) the minutes of change, in order within a queue.
        level: (K,) int64, the level when that minute was over; before a queue's first change it is 0.
        horizon: minutes in the run.
    """

    first: np.ndarray
    minute: np.ndarray
    level: np.ndarray
    horizon: int

    @classmethod
    def from_log(cls, queue: np.ndarray, minute: np.ndarray, level: np.ndarray, n: int, horizon: int) -> Steps:
        """From one entry a change, in any order, for n queues."""
        order = np.lexsort((minute, queue))
        first = np.append(0, np.cumsum(np.bincount(queue, minlength=n)))
        return cls(first, minute[order], level[order].astype(np.int64), horizon)

    @cached_property
    def key(self) -> np.ndarray:
        """(K,) int64, sorted: ``queue * (horizon + 1) + minute`` of each change."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first)) * (self.horizon + 1) + self.minute

    def of(self, queue: int) -> tuple[np.ndarray, np.ndarray]:
        """The minutes of change of one queue and the levels after them."""
        own = slice(self.first[queue], self.first[queue + 1])
        return self.minute[own], self.level[own]

    def at(self, queue: np.ndarray, minute: np.ndarray) -> np.ndarray:
        """The level of each queue when each minute was over."""
        if not len(self.minute):
            return np.zeros(len(queue), dtype=np.int64)
        last = self._until(queue, minute) - 1
        return np.where(last >= self.first[queue], self.level[last], 0)

    def each_day(self) -> np.ndarray:
        """The level of every queue at 23:59 of each day: (S, days) float64."""
        n, midnight = len(self.first) - 1, np.arange(1, self.horizon // 1440 + 1) * 1440 - 1
        level = self.at(np.repeat(np.arange(n), len(midnight)), np.tile(midnight, n))
        return level.reshape(n, -1).astype(np.float64)

    def next_change(self, queue: np.ndarray, minute: np.ndarray) -> np.ndarray:
        """The minute of each queue's first change after each minute; the horizon where there is none."""
        if not len(self.minute):
            return np.full(len(queue), self.horizon)
        following = self._until(queue, minute)
        there = following < self.first[queue + 1]
        return np.where(there, self.minute[np.minimum(following, len(self.minute) - 1)], self.horizon)

    def _until(self, queue: np.ndarray, minute: np.ndarray) -> np.ndarray:
        """How many changes of this and of earlier queues there were up to the end of each minute."""
        return np.searchsorted(self.key, queue.astype(np.int64) * (self.horizon + 1) + minute, side="right")

    def area(self, start: int, end: int) -> np.ndarray:
        """Unit-minutes of each queue within [start, end): (S,) float64."""
        return (self._area_before(end) - self._area_before(start)).astype(np.float64)

    def _area_before(self, minute: int) -> np.ndarray:
        """Unit-minutes of each queue before a minute: (S,) int64."""
        found = np.zeros(len(self.first) - 1, dtype=np.int64)
        last = self._until(np.arange(len(found)), np.full(len(found), minute)) - 1
        some = np.flatnonzero(last >= self.first[:-1])
        first, last = self.first[some], last[some]
        found[some] = self._passed[last] - self._passed[first] + self.level[last] * (minute - self.minute[last])
        return found

    @cached_property
    def _passed(self) -> np.ndarray:
        """(K,) int64, unit-minutes up to each change, of its queue and of all before it: only differences mean much."""
        return np.append(0, np.cumsum(self.level[:-1] * np.diff(self.minute)))


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
        spell, minute = self.journeys.rows.spell[started], self.spells.started[started]
        later = (spell[1:] > spell[:-1]) | ((spell[1:] == spell[:-1]) & (minute[1:] >= minute[:-1]))
        return started if later.all() else started[np.lexsort((minute, spell))]

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of one spell that were started one after the other: (the earlier ones, the later ones)."""
        spell = self.journeys.rows.spell[self.order]
        same = np.flatnonzero(spell[1:] == spell[:-1])
        return self.order[same], self.order[same + 1]

    @cached_property
    def following(self) -> np.ndarray:
        """(R,) the row of the same spell that was started next, -1 for none."""
        earlier, later = self.pairs
        found = np.full(len(self.journeys.rows.spell), NONE, dtype=np.int64)
        found[earlier] = later
        return found

    @cached_property
    def previous(self) -> np.ndarray:
        """(R,) the row the person was in, or came from, when joining this row's queue; -1 for none or never joined."""
        spell, started, joined = self.journeys.rows.spell, self.spells.started, self.spells.joined
        earlier, later = self.pairs
        found = np.full(len(spell), NONE, dtype=np.int64)
        found[later] = earlier
        rest = np.flatnonzero((joined >= 0) & (started < 0))  # joined and never came: between two starts
        if len(rest) and len(self.order):
            width = np.int64(self.horizon + 1)
            keys = spell[self.order] * width + started[self.order]
            place = np.searchsorted(keys, spell[rest] * width + joined[rest], side="left") - 1
            before = self.order[place]
            found[rest] = np.where((place >= 0) & (spell[before] == spell[rest]), before, NONE)
        return found

    @cached_property
    def held_on(self) -> np.ndarray:
        """(R,) bool: the units were held until the row was left for another; not let go when ready, not displaced."""
        return (self.journeys.rows.hold == 1) & (self.spells.ended != DISPLACED)

    @cached_property
    def continues(self) -> np.ndarray:
        """(R,) bool: the row is in the queue the person already held (a resize, or unfit again): nobody new came."""
        service = self.journeys.rows.service
        later = np.flatnonzero(self.previous >= 0)
        before = self.previous[later]
        found = np.zeros(len(service), dtype=bool)
        found[later] = (service[before] == service[later]) & self.held_on[before]
        return found

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
    def child(self) -> np.ndarray:
        """(N,) the spell that is each one's readmission, -1 for none."""
        rows = self.journeys.rows
        parents = np.flatnonzero(rows.child >= 0)
        found = np.full(len(self.journeys.spells.number), NONE, dtype=np.int64)
        found[rows.spell[parents]] = rows.child[parents]
        return found

    @cached_property
    def returned(self) -> np.ndarray:
        """(N,) the minute at which the readmission of each spell arrived, -1 for none."""
        parents = np.flatnonzero(self.child >= 0)
        found = np.full(len(self.child), NEVER, dtype=np.int64)
        found[parents] = self.spells.joined[self.journeys.spells.first_row[self.child[parents]]]
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
        out = np.flatnonzero((s.left >= 0) & (_ENDS_SPELL[s.ended] | displaced))
        gone[rows.spell[out]] = s.left[out]
        nowhere = np.flatnonzero(((s.ended == GAVE_UP) | (s.ended == TURNED_AWAY)) & (rows.otherwise < 0))
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
        return np.repeat(np.arange(len(count), dtype=np.int32), count)

    @cached_property
    def task_over(self) -> np.ndarray:
        """(T,) when each task that began was done or broken off; the horizon where it still runs; -1 if none began."""
        s = self.spells
        unfinished = np.flatnonzero((s.task_began >= 0) & (s.task_ended < 0))
        row = self.task_row[unfinished]
        broken_off = np.where(self.held_on[row], self.left[row], self.returned[self.journeys.rows.spell[row]])
        over = s.task_ended.copy()
        over[unfinished] = np.where(broken_off >= 0, broken_off, self.horizon)
        return over

    # units -----------------------------------------------------------------------------------------------------------

    @cached_property
    def handed_over(self) -> np.ndarray:
        """(R,) units of the row before, in the same service, that counted towards this one when it was accepted."""
        units, found = self.spells.units, np.zeros_like(self.spells.units)
        later = np.flatnonzero(self.continues & (self.spells.accepted >= 0))
        later = later[self.journeys.rows.keep[self.previous[later]] == NONE]
        found[later] = np.minimum(units[self.previous[later]], units[later])
        return found

    @cached_property
    def need(self) -> np.ndarray:
        """(R,) units each accepted row took beyond what was held or reserved for the person there; 0 where none."""
        need = self.spells.units - self.handed_over
        rows, s = self.journeys.rows, self.spells
        kept = (s.ended == READMITTED) & (s.left >= 0) & (rows.kept_on_readmission > 0)
        reserved = np.flatnonzero(kept & (s.freed >= 0))
        if len(reserved):
            child = self.child[rows.spell[reserved]]
            key = child * self.n_queues + rows.service[reserved]
            order = np.argsort(key)
            key, reserved = key[order], reserved[order]
            came_back = np.zeros(len(self.child), dtype=bool)
            came_back[child] = True
            row = np.flatnonzero(came_back[rows.spell] & (s.accepted >= 0))
            wanted = rows.spell[row].astype(np.int64) * self.n_queues + rows.service[row]
            place = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
            taken = (key[place] == wanted) & (s.accepted[row] == s.freed[reserved[place]])
            need[row[taken]] -= s.units[reserved[place[taken]]]
        return np.maximum(need, 0)

    @cached_property
    def staff_at_work(self) -> Intervals:
        """The staff of every pool, one a task, while they were at work; tasks of no length are left out."""
        tasks, granted = self.journeys.tasks, self.spells.task_granted
        at_work = np.flatnonzero((tasks.pool >= 0) & (granted >= 0) & (self.task_over > granted))
        ones = np.ones(len(at_work), dtype=np.int64)
        return Intervals(tasks.pool[at_work], granted[at_work], self.task_over[at_work], ones)

    @cached_property
    def in_use(self) -> Intervals:
        """What was in use of every queue, staff pools included; units passed on within a service count once."""
        service, s = self.journeys.rows.service, self.spells
        had = np.flatnonzero(s.accepted >= 0)
        freed = np.where(s.freed[had] >= 0, s.freed[had], self.horizon)
        whole = Intervals(service[had], s.accepted[had], freed, s.units[had])
        twice = np.flatnonzero(self.handed_over > 0)
        end = np.maximum(self.left[self.previous[twice]], s.accepted[twice])
        passed = Intervals(service[twice], s.accepted[twice], end, -self.handed_over[twice])
        return Intervals.together(whole, passed, self.staff_at_work)

    @cached_property
    def waiting(self) -> Intervals:
        """The people in every queue, staff pools' included; who was accepted in the minute of asking is left out."""
        rows, s = self.journeys.rows, self.spells
        waits = np.flatnonzero((s.joined >= 0) & (self.waited_until > s.joined))
        tasks = np.flatnonzero((self.journeys.tasks.pool >= 0) & (s.task_began >= 0))
        until = np.where(s.task_granted[tasks] >= 0, s.task_granted[tasks], self.task_over[tasks])
        queue = np.concatenate([rows.service[waits], self.journeys.tasks.pool[tasks]])
        start = np.concatenate([s.joined[waits], s.task_began[tasks]])
        end = np.concatenate([self.waited_until[waits], until])
        return Intervals(queue, start, end, np.ones(len(queue), dtype=np.int64))

    @cached_property
    def use(self) -> Steps:
        """`in_use` as step functions."""
        return self.in_use.steps(self.n_queues, self.horizon)

    @cached_property
    def queue_length(self) -> Steps:
        """`waiting` as step functions."""
        return self.waiting.steps(self.n_queues, self.horizon)

    @cached_property
    def capacity(self) -> Steps:
        """What was open in every queue, escalation included."""
        s = self.spells
        return Steps.from_log(s.log_service, s.log_minute, s.log_capacity, self.n_queues, self.horizon)

    @cached_property
    def planned_capacity(self) -> Steps:
        """What was to be open in every queue, escalation apart."""
        n = self.network
        return Steps.from_log(n.step_service, n.step_minute, n.step_capacity, self.n_queues, self.horizon)

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


def count_each_day(group: np.ndarray, n: int, start: np.ndarray, end: np.ndarray, days: int) -> np.ndarray:
    """How many of each of n groups were there at 23:59 of each day: (n, days) float64."""
    first = np.clip(start // 1440, 0, days)
    last = np.maximum(np.clip(end // 1440, 0, days), first)
    group = group.astype(np.int64) * (days + 1)
    came = np.bincount(group + first, minlength=n * (days + 1))
    went = np.bincount(group + last, minlength=n * (days + 1))
    return np.cumsum((came - went).reshape(n, days + 1), axis=1)[:, :days].astype(np.float64)
