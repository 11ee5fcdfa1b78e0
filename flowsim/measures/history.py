"""What happened, as intervals: who was where, who waited for what and until when, what was in use, and what was open.

Everything here is worked out from the journeys and the stamps alone, once, and shared by all measures. Intervals are
half-open, ``[start, end)``, in whole minutes; what the end of the run cut off ends at the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flowsim.engine.stamps import DIED, DISPLACED, GAVE_UP, LEFT, NEVER, READMITTED, TURNED_AWAY, UNFIT_AGAIN, Stamps
from flowsim.measures.steps import Intervals, Steps
from flowsim.model.calendar import ALWAYS_OPEN
from flowsim.model.tables import NONE, Journeys, Network
from flowsim.place import Place, Service
from flowsim.place.queues import UNLIMITED

NOT_YET = 2**30
"""Later than any minute of a run; small enough for int32."""


@dataclass(frozen=True)
class ByQueue:
    """Entries of a table in the order of their queues, so that those of one queue lie together.

    Attributes:
        order: (n,) the entries in that order; those of one queue as they came.
        first: (S + 1,) where each queue's entries begin.
    """

    order: np.ndarray
    first: np.ndarray

    @classmethod
    def arrange(cls, queue: np.ndarray, n: int) -> ByQueue:
        """From the queue of each entry, for n queues."""
        narrow = queue.astype(np.int16)  # numbers of two bytes are counted, not compared
        order = np.argsort(narrow, kind="stable")
        return cls(order, np.searchsorted(narrow, np.arange(n + 1, dtype=np.int16), sorter=order))

    def of(self, queues: np.ndarray) -> np.ndarray:
        """The entries of some queues."""
        return self.order[ranges(self.first[queues], self.first[queues + 1])]

    def sum(self, values: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Whole numbers or truth values, one an entry, times another if given, added up by queue: (S,) int64."""
        sums = np.zeros(len(self.first) - 1, dtype=np.int64)
        some = np.flatnonzero(np.diff(self.first))
        products = values if times is None else np.multiply(values, times, dtype=np.int64)
        sums[some] = np.add.reduceat(products.take(self.order), self.first[some], dtype=np.int64)
        return sums

    def split(self, values: np.ndarray, which: np.ndarray | None = None) -> list[np.ndarray]:
        """The values of every queue's entries, or of those of which `which` is true."""
        if which is None:
            return np.split(values.take(self.order), self.first[1:-1])
        some = np.flatnonzero(which.take(self.order))
        return np.split(values.take(self.order.take(some)), np.searchsorted(some, self.first[1:-1]))


@dataclass(frozen=True)
class Staffed:
    """The tasks for which staff were asked, in the order of the task table; (P,) each.

    Attributes:
        task: the task.
        pool: the queue in which it waited for staff.
        began, granted, over: the minutes in which they were asked for, came (-1 where they never did) and were free
            again, or no longer waited for (the horizon where that did not come).
    """

    task: np.ndarray
    pool: np.ndarray
    began: np.ndarray
    granted: np.ndarray
    over: np.ndarray

    @cached_property
    def waited_until(self) -> np.ndarray:
        """(P,) when the staff came or were no longer waited for."""
        return np.where(self.granted >= 0, self.granted, self.over)


class History:
    """The intervals of one run.

    Attributes:
        kind_names: the kinds of service and of staff pool, in the network's order.
        kind: (S,) int, each queue's kind.
        unit_name: (S,) the site or locality of each queue, "" for a queue that is not split.
        is_neighbour: (S,) bool, is it capacity outside the place under study?
        roles: the roles there are.
        role: (S,) int8, each queue's role, an index into `roles`.
        spell, service: (R,) intp, each row's spell and queue: the size of number by which NumPy looks up quickest.
    """

    def __init__(self, place: Place, network: Network, journeys: Journeys, stamps: Stamps) -> None:
        self.place, self.network, self.journeys, self.stamps = place, network, journeys, stamps
        self.spell = journeys.rows.spell.astype(np.intp, copy=False)
        self.service = journeys.rows.service.astype(np.intp, copy=False)
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
        roles = [self.service_of(kind).role for kind in self.kind_names]
        self.roles = tuple(dict.fromkeys(roles))
        self.role = np.array([self.roles.index(role) for role in roles], dtype=np.int8)[self.kind]

    def service_of(self, kind: str) -> Service:
        """What the place declares of a kind of service or staff pool."""
        return self.place.pools[kind] if kind in self.place.pools else self.place.services[kind]

    def queues_with(self, *roles: str) -> np.ndarray:
        """(S,) bool: which queues have one of these roles."""
        return np.array([role in roles for role in self.roles])[self.role]

    def rows_with(self, *roles: str) -> np.ndarray:
        """(R,) bool: which rows are in a service of one of these roles."""
        codes = np.array([code for code, role in enumerate(self.roles) if role in roles], dtype=np.int8)
        return np.isin(self._role_of_row, codes, kind="sort")  # so few are looked for one by one, which is quickest

    @cached_property
    def _role_of_row(self) -> np.ndarray:
        """(R,) int8, the role of each row's service."""
        return self.role.take(self.service)

    @cached_property
    def by_queue(self) -> ByQueue:
        """The rows in the order of their queues."""
        return ByQueue.arrange(self.service, self.n_queues)

    @cached_property
    def staffed(self) -> Staffed:
        """The tasks for which staff were asked."""
        s, pool = self.stamps, self.journeys.tasks.pool
        task = np.flatnonzero((pool >= 0) & (s.task_began >= 0))
        return Staffed(task, *(column.take(task) for column in (pool, s.task_began, s.task_granted, self.task_over)))

    @cached_property
    def by_pool(self) -> ByQueue:
        """These tasks, in the order of their pools."""
        return ByQueue.arrange(self.staffed.pool, self.n_queues)

    # the order of a spell's rows -------------------------------------------------------------------------------------

    def by_time(self, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """These rows, which were started, by spell and then by time; and their spells: (n,) each."""
        spell = self.spell.take(row)
        key = spell * (self.horizon + 1) + self.stamps.started.take(row)
        if not (key[1:] >= key[:-1]).all():
            by_key = np.argsort(key, kind="stable")
            row, spell = row[by_key], spell[by_key]
        return row, spell

    @cached_property
    def _started(self) -> tuple[np.ndarray, np.ndarray]:
        """All rows that were started, in this order, and their spells."""
        return self.by_time(np.flatnonzero(self.stamps.started >= 0))

    @property
    def order(self) -> np.ndarray:
        """The rows that were started, by spell and then by time."""
        return self._started[0]

    @cached_property
    def again(self) -> np.ndarray:
        """Where in this order a row is followed by one of the same spell."""
        spell = self._started[1]
        return np.flatnonzero(spell[1:] == spell[:-1])

    @cached_property
    def _first_of_spell(self) -> np.ndarray:
        """(N + 1,) where in this order the rows of each spell begin."""
        count = np.bincount(self._started[1], minlength=len(self.journeys.spells.number))
        return np.append(0, np.cumsum(count))

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of one spell that were started one after the other: (the earlier ones, the later ones)."""
        return self.order.take(self.again), self.order.take(self.again + 1)

    def started_in(self, spell: np.ndarray) -> np.ndarray:
        """The rows of these spells that were started, in order of time."""
        return self.order[ranges(self._first_of_spell[spell], self._first_of_spell[spell + 1])]

    def row_at(self, spell: np.ndarray, last_spell: np.ndarray, minute: np.ndarray) -> np.ndarray:
        """The row that was started last up to each minute, of the spells from `spell` to `last_spell`; -1 for none."""
        first, last = self._first_of_spell.take(spell), self._first_of_spell.take(last_spell + 1)
        case = np.repeat(np.arange(len(spell)), last - first)
        begun = self.stamps.started[self.order[ranges(first, last)]] <= minute[case]
        latest = np.full(len(spell), NONE, dtype=np.int64)
        begun_by = np.bincount(case[begun], minlength=len(spell))
        some = np.flatnonzero(begun_by)
        latest[some] = self.order[first[some] + begun_by[some] - 1]
        return latest

    @cached_property
    def following(self) -> np.ndarray:
        """(R,) the row of the same spell that was started next, -1 for none."""
        earlier, later = self.pairs
        following = np.full(len(self.spell), NONE, dtype=np.int64)
        following[earlier] = later
        return following

    @cached_property
    def _moves(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows a person was in, or came from, when joining the queue of another, and that other: (moves,) each."""
        spell, joined = self.spell, self.stamps.joined
        earlier, later = self.pairs
        # Who joined a queue and never came there is in no pair of starts: they came from where they were until then.
        rest = np.flatnonzero((joined >= 0) & (self.stamps.started < 0))
        of = spell.take(rest)
        before = self.row_at(of, of, joined.take(rest) - 1)
        some = np.flatnonzero(before >= 0)
        return np.concatenate([earlier, before.take(some)]), np.concatenate([later, rest.take(some)])

    @cached_property
    def previous(self) -> np.ndarray:
        """(R,) the row the person was in, or came from, when joining this row's queue; -1 for none or never joined."""
        before, row = self._moves
        previous = np.full(len(self.spell), NONE, dtype=np.int64)
        previous[row] = before
        return previous

    def held_on(self, row: np.ndarray) -> np.ndarray:
        """(n,) bool: did these rows hold their units until left for another; not let go when ready, not displaced?"""
        return (self.journeys.rows.hold.take(row) == 1) & (self.stamps.ended.take(row) != DISPLACED)

    @cached_property
    def continues(self) -> np.ndarray:
        """(R,) bool: the row is in the queue the person already held (a resize, or unfit again): nobody new came."""
        before, row = self._moves
        same = np.flatnonzero(self.service.take(before) == self.service.take(row))
        goes_on = np.zeros(len(self.spell), dtype=bool)
        goes_on[row.take(same)] = self.held_on(before.take(same))
        return goes_on

    @cached_property
    def new(self) -> np.ndarray:
        """(R,) bool: whoever is in the row came to its queue in the run; no resize, not there from the beginning."""
        return ~(self.continues | self.initial)

    def starts(self, start: int, end: int) -> np.ndarray:
        """How many people came to each queue within [start, end), staff pools apart: (S,) int64."""
        started = self.stamps.started
        return self.by_queue.sum((started >= start) & (started < end) & self.new)

    @cached_property
    def initial(self) -> np.ndarray:
        """(R,) bool: the row in which a spell of the initial caseload began."""
        began_there = np.zeros(len(self.spell), dtype=bool)
        began_there[self.journeys.spells.first_row[self.journeys.spells.initial == 1]] = True
        return began_there

    # when things ended -----------------------------------------------------------------------------------------------

    @cached_property
    def left(self) -> np.ndarray:
        """(R,) when the person left the row; the horizon where it never came to that."""
        left = self.stamps.left.copy()
        left[np.flatnonzero(left < 0)] = self.horizon
        return left

    @cached_property
    def child(self) -> np.ndarray:
        """(N,) the spell that is each one's readmission, -1 for none."""
        rows = self.journeys.rows
        parents = np.flatnonzero(rows.child >= 0)
        child = np.full(len(self.journeys.spells.number), NONE, dtype=np.int64)
        child[self.spell[parents]] = rows.child[parents]
        return child

    @cached_property
    def returned(self) -> np.ndarray:
        """(N,) the minute at which the readmission of each spell arrived, -1 for none."""
        parents = np.flatnonzero(self.child >= 0)
        minute = np.full(len(self.child), NEVER, dtype=np.int64)
        minute[parents] = self.stamps.joined[self.journeys.spells.first_row[self.child[parents]]]
        return minute

    @cached_property
    def waited_until(self) -> np.ndarray:
        """(R,) when the row's queue was left, accepted or not; the horizon while waiting, -1 where never joined."""
        s = self.stamps
        until = s.accepted.copy()
        rest = np.flatnonzero((s.joined >= 0) & (s.accepted < 0))
        ended = s.ended[rest]
        until[rest] = self.horizon
        gave_up, broken = rest[ended == GAVE_UP], rest[np.isin(ended, (UNFIT_AGAIN, DIED))]
        away, back = rest[ended == TURNED_AWAY], rest[ended == READMITTED]
        until[gave_up] = given_up(self.network, self.journeys, s, gave_up)
        until[away] = s.joined[away]
        until[broken] = self.left[self.previous[broken]]
        until[back] = self.returned[self.spell[back]]
        return until

    @cached_property
    def arrived(self) -> np.ndarray:
        """(N,) when the spell arrived; `NOT_YET` when it did not."""
        joined = self.stamps.joined.take(self.journeys.spells.first_row)
        joined[np.flatnonzero(joined < 0)] = NOT_YET
        return joined

    @cached_property
    def gone(self) -> np.ndarray:
        """(N,) when the spell ended (left, died or readmitted); `NOT_YET` while it had not."""
        rows, s = self.journeys.rows, self.stamps
        gone = np.full(len(self.journeys.spells.number), NOT_YET, dtype=np.int32)
        ends = (s.ended == LEFT) | (s.ended == DIED) | (s.ended == READMITTED)
        out = np.flatnonzero((s.left >= 0) & (ends | ((s.ended == DISPLACED) & (rows.displaced_to < 0))))
        gone[self.spell.take(out)] = s.left.take(out)
        nowhere = np.flatnonzero(((s.ended == GAVE_UP) | (s.ended == TURNED_AWAY)) & (rows.otherwise < 0))
        before = self.previous[nowhere]
        # A queue given up with nothing to turn to ends a spell only for who holds no other place: the rest stay there.
        free = (before < 0) | (self.left[before] <= s.joined[nowhere])
        gone[self.spell[nowhere[free]]] = self.waited_until[nowhere[free]]
        back = np.flatnonzero(self.returned >= 0)
        gone[back] = np.minimum(gone[back], self.returned[back])
        return gone

    # tasks -----------------------------------------------------------------------------------------------------------

    def row_of(self, task: np.ndarray) -> np.ndarray:
        """The row each of these tasks belongs to."""
        row, first = self._rows_with_tasks
        return row.take(np.searchsorted(first, task, side="right") - 1)

    @cached_property
    def _rows_with_tasks(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows that have tasks, and the first task of each."""
        rows = self.journeys.rows
        row = np.flatnonzero(rows.n_before + rows.n_after > 0)
        return row, rows.first_task.take(row)

    @cached_property
    def task_over(self) -> np.ndarray:
        """(T,) when each task that began was done or broken off; the horizon where it still runs; -1 if none began."""
        s = self.stamps
        unfinished = np.flatnonzero((s.task_began >= 0) & (s.task_ended < 0))
        row = self.row_of(unfinished)
        broken_off = np.where(self.held_on(row), self.left[row], self.returned[self.spell[row]])
        over = s.task_ended.copy()
        over[unfinished] = np.where(broken_off >= 0, broken_off, self.horizon)
        return over

    # units -----------------------------------------------------------------------------------------------------------

    @cached_property
    def handed_over(self) -> np.ndarray:
        """(R,) units of the row before, in the same service, that counted towards this one when it was accepted."""
        units, passed_on = self.stamps.units, np.zeros_like(self.stamps.units)
        later = np.flatnonzero(self.continues & (self.stamps.accepted >= 0))
        later = later[self.journeys.rows.keep[self.previous[later]] == NONE]
        passed_on[later] = np.minimum(units[self.previous[later]], units[later])
        return passed_on

    @cached_property
    def need(self) -> np.ndarray:
        """(R,) units each accepted row took beyond what was held or reserved for the person there; 0 where none."""
        # Whoever changes size takes only the difference, and whoever comes back finds what was kept for them: charging
        # either again would make a service look full to those behind, and delay would be put down to capacity.
        need = self.stamps.units - self.handed_over
        rows, s = self.journeys.rows, self.stamps
        kept = (s.ended == READMITTED) & (s.left >= 0) & (rows.kept_on_readmission > 0)
        reserved = np.flatnonzero(kept & (s.freed >= 0))
        if len(reserved):
            child = self.child[self.spell[reserved]]
            service = self.service[reserved]
            key = child * self.n_queues + service  # one number for the spell that came back and the service that kept
            order = np.argsort(key)
            key, reserved = key[order], reserved[order]
            came_back = np.zeros(len(self.child), dtype=bool)
            came_back[child] = True
            row = self.by_queue.of(np.unique(service))
            row = row[came_back[self.spell[row]] & (s.accepted[row] >= 0)]
            wanted = self.spell[row] * self.n_queues + self.service[row]
            place = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
            # A reservation is freed in the minute its own person takes it; freed in another, it had run out.
            taken = (key[place] == wanted) & (s.accepted[row] == s.freed[reserved[place]])
            need[row[taken]] -= s.units[reserved[place[taken]]]
        return np.maximum(need, 0)

    @cached_property
    def staff_at_work(self) -> Intervals:
        """The staff of every pool, one a task, while they were at work; tasks of no length are left out."""
        pool, granted, over = self.staffed.pool, self.staffed.granted, self.staffed.over
        at_work = np.flatnonzero((granted >= 0) & (over > granted))
        one = np.ones(len(at_work), dtype=np.int32)
        return Intervals(pool.take(at_work), granted.take(at_work), over.take(at_work), one)

    @property
    def in_use(self) -> list[Intervals]:
        """What was in use of every queue, staff pools included; units passed on within a service are taken off."""
        service, s = self.service, self.stamps
        had = np.flatnonzero(s.accepted >= 0)
        freed = s.freed.take(had)
        freed[np.flatnonzero(freed < 0)] = self.horizon
        whole = Intervals(service.take(had), s.accepted.take(had), freed, s.units.take(had))
        twice = np.flatnonzero(self.handed_over > 0)
        end = np.maximum(self.left[self.previous[twice]], s.accepted[twice])
        passed = Intervals(service[twice], s.accepted[twice], end, -self.handed_over[twice])
        return [whole, passed, self.staff_at_work]

    @cached_property
    def waiting(self) -> Intervals:
        """The people in every queue, staff pools' included; who was accepted in the minute of asking is left out."""
        s, tasks = self.stamps, self.staffed
        rows = np.flatnonzero((s.joined >= 0) & (self.waited_until > s.joined))
        waits = np.flatnonzero(tasks.waited_until > tasks.began)
        queue = np.concatenate([self.service.take(rows), tasks.pool.take(waits)])
        start = np.concatenate([s.joined.take(rows), tasks.began.take(waits)])
        end = np.concatenate([self.waited_until.take(rows), tasks.waited_until.take(waits)])
        return Intervals(queue, start, end, np.ones(len(queue), dtype=np.int32))

    @cached_property
    def use(self) -> Steps:
        """`in_use` as step functions."""
        return Steps.of_intervals(self.in_use, self.n_queues, self.horizon)

    @cached_property
    def queue_length(self) -> Steps:
        """`waiting` as step functions."""
        return Steps.of_intervals([self.waiting], self.n_queues, self.horizon)

    @cached_property
    def capacity(self) -> Steps:
        """What was open in every queue, escalation included."""
        s = self.stamps
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
        np.maximum.at(most, self.stamps.log_service, self.stamps.log_capacity)
        return most < UNLIMITED // 2

    def open_in_work(self, task: np.ndarray, calendar: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """How many minutes of [start, end), within the work on each task, each calendar is open: (n,) int32.

        In a task's own calendar the whole of it takes the minutes that were planned; only the rest is looked up.
        """
        table, s = self.journeys.tasks, self.stamps
        whole = (start == s.task_granted.take(task)) & (end == s.task_ended.take(task))
        whole &= table.calendar.take(task) == calendar
        minutes = table.minutes.take(task)
        rest = np.flatnonzero(~whole)
        minutes[rest] = self.open_between(calendar.take(rest), start.take(rest), end.take(rest))
        return minutes

    def open_between(self, calendar: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """How many minutes of each [start, end) each calendar is open; all where it is `ALWAYS_OPEN`: (n,) integers."""
        minutes = end - start
        closes = np.flatnonzero(calendar != ALWAYS_OPEN)
        minutes[closes] = self.network.calendars.open_between(calendar[closes], start[closes], end[closes])
        return minutes


def given_up(network: Network, journeys: Journeys, stamps: Stamps, rows: np.ndarray) -> np.ndarray:
    """The minutes in which the queues of these rows were given up, which no engine stamps: (n,) int64."""
    planned = journeys.rows
    over = stamps.joined.take(rows) + planned.patience.take(rows)
    return network.calendars.next_opens(planned.patience_calendar.take(rows), over)


def ranges(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The numbers from each of `first` up to but without that of `last`, one range after the other.

    Args:
        first, last: (n,) integers, none of `last` below that of `first`.

    Returns:
        (the sum of their differences,) int64.
    """
    count = last - first
    return np.arange(int(count.sum())) + np.repeat(last - np.cumsum(count), count)
