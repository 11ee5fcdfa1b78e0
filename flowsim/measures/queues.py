"""What each queue did in the window: what of it was open, used and asked for, and how many waited."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from flowsim.engine.stamps import DISPLACED
from flowsim.measures.definition import ALL
from flowsim.measures.history import History
from flowsim.measures.ratios import ratio


class Queues:
    """Every queue, and every kind of service that is split, within [start, end); arrays of queues are (S,).

    A kind's numbers are those of its own queues together; capacity that neighbours declare is not in them.

    Attributes:
        minutes: in the window; n: queues.
        groups: (where, the kind of service) and the queues whose numbers stand there.
        capacity: unit-minutes open; can_do: those of them in which staff are there.
        used: unit-minutes in use; of staff pools, at work in opening hours.
        queued: minutes waited.
        load: unit-minutes asked for; asked: units.
    """

    def __init__(self, history: History, start: int, end: int) -> None:
        self.history, self.start, self.end = history, start, end
        self.minutes = end - start
        self.n = history.n_queues
        counted = ~(history.queues_with("outside"))
        self.groups: list[tuple[tuple[str, str], np.ndarray]] = []
        for k, kind in enumerate(history.kind_names):
            queues = np.flatnonzero((history.kind == k) & counted)
            ours = queues[~history.is_neighbour[queues]]
            if len(ours) and any(history.unit_name[q] for q in queues):
                self.groups.append(((ALL, kind), ours))
            self.groups += [((history.unit_name[q] or ALL, kind), np.array([q])) for q in queues]
        self.load, self.asked = self._offered()
        every = np.full(self.n, start), np.full(self.n, end)
        open_share = history.open_between(history.network.calendar, *every) / max(self.minutes, 1)
        is_pool = np.arange(self.n) < history.network.n_pools
        self.capacity = history.capacity.area(start, end)
        self.can_do = self.capacity * np.where(is_pool, open_share, 1.0)
        self.used = history.use.area(start, end)
        self.used[: history.network.n_pools] = self._staff_at_work()
        self.queued = history.queue_length.area(start, end)

    def overloaded(self) -> list[tuple[str, float]]:
        """Queues with an offered load at or above one, and the load."""
        load = [self.offered_load(np.array([queue])) for queue in range(self.n)]
        counted = self.history.is_limited & ~self.history.queues_with("outside")
        names = self.history.network.names
        return [(names[queue], load[queue]) for queue in np.flatnonzero(counted) if load[queue] >= 1]

    def offered_load(self, queues: np.ndarray) -> float:
        """What was asked of some queues as a share of what they can do; infinite where they are closed and asked."""
        if not total(self.can_do, queues) and (total(self.load, queues) or total(self.queued, queues)):
            return float("inf")
        return self.ratio(self.load, self.can_do, queues)

    @cached_property
    def still_waiting(self) -> np.ndarray:
        """(S,) int64, people in each queue when the window ends."""
        return self.history.queue_length.at(np.arange(self.n), np.full(self.n, self.end - 1))

    def ratio(self, above: np.ndarray, below: np.ndarray, queues: np.ndarray) -> float:
        """What of one comes to what of the other, in some queues together."""
        return ratio(total(above, queues), total(below, queues))

    def grouped(self, of_queue: list[np.ndarray]) -> Iterator[tuple[tuple[str, str], np.ndarray, np.ndarray]]:
        """Each group with its queues and the values of all of them."""
        for name, queues in self.groups:
            one = len(queues) == 1  # as most are
            yield name, queues, of_queue[queues[0]] if one else np.concatenate([of_queue[q] for q in queues])

    def inside(self, minute: np.ndarray) -> np.ndarray:
        """(n,) bool: is each minute in the window?"""
        return (minute >= self.start) & (minute < self.end)

    def _staff_at_work(self) -> np.ndarray:
        """Minutes in which staff were at work while their pool was open, by pool: (n_pools,)."""
        network, work = self.history.network, self.history.staffed
        first, last = np.maximum(work.granted, self.start), np.minimum(work.over, self.end)
        some = np.flatnonzero((work.granted >= 0) & (last > first))
        task, pool, first, last = (column.take(some) for column in (work.task, work.pool, first, last))
        minutes = self.history.open_in_work(task, network.calendar.take(pool), first, last)
        return np.bincount(pool, weights=minutes, minlength=network.n_pools)

    def _offered(self) -> tuple[np.ndarray, np.ndarray]:
        """Unit-minutes, and units, asked for by those who joined each queue in the window: (S,) each.

        Units times the planned stay, plus for each unit the mean by which the time in use of places freed in the window
        differed from the plan: waiting for what comes next, tasks, units kept, stays broken off.
        """
        history, s = self.history, self.history.stamps
        rows, by_queue = history.journeys.rows, history.by_queue
        units, planned = rows.units.copy(), rows.duration.copy()
        other = np.flatnonzero((s.accepted >= 0) & (s.units != rows.units))
        units[other] = s.units[other]
        done = (s.ready >= 0) & (s.ended != DISPLACED)
        other = np.flatnonzero(done & (s.ready - s.started != rows.duration))
        planned[other] = s.ready[other] - s.started[other]
        more = np.flatnonzero(s.units > rows.units)
        declined = more[~done[more] & (s.units[more] == rows.declined_units[more])]
        planned[declined] = rows.declined_duration[declined]

        freed = units * (self.inside(s.freed) & (s.accepted >= 0))
        beyond = by_queue.sum(freed, s.freed - s.accepted - planned)
        per_unit = beyond / np.maximum(by_queue.sum(freed), 1)

        asks = units * (self.inside(s.joined) & ~history.initial)
        asked = by_queue.sum(asks)
        load = by_queue.sum(asks, planned) + asked * per_unit

        staffed, by_pool = history.staffed, history.by_pool
        began = self.inside(staffed.began)
        planned = history.journeys.tasks.minutes.take(staffed.task)
        at_work = np.where(staffed.granted >= 0, staffed.over - staffed.granted, 0)
        load += by_pool.sum(began, np.where(planned > 0, planned, at_work))
        return np.maximum(load, 0), asked + by_pool.sum(began)


def total(values: np.ndarray, queues: np.ndarray) -> float:
    """The sum of the values of some queues; most groups are one."""
    return float(values[queues[0]] if len(queues) == 1 else values[queues].sum())
