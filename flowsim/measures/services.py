"""What each service did: how full it was, who waited and how long, what was asked of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowsim.engine.spells import DISPLACED
from flowsim.measures.history import History
from flowsim.measures.stays import Stays

Value = tuple[str, str, float]
"""(measure, where, value)"""


class Services:
    """The measures of every queue, and of every kind of service that is split, within [start, end).

    A kind's numbers are those of its own queues together; capacity that neighbours declare is not in them.
    """

    def __init__(self, history: History, stays: Stays, start: int, end: int) -> None:
        self.history, self.stays, self.start, self.end = history, stays, start, end
        self.minutes = end - start
        self.n = history.n_queues
        counted = ~(history.queues_with("outside"))
        self.groups: list[tuple[str, np.ndarray]] = []
        for k, kind in enumerate(history.kind_names):
            queues = np.flatnonzero((history.kind == k) & counted)
            ours = queues[~history.is_neighbour[queues]]
            if len(ours) and any(history.unit_name[q] for q in queues):
                self.groups.append((kind, ours))
            self.groups += [(history.network.names[q], np.array([q])) for q in queues]
        self.load = self._offered()
        open_share = np.array([history.open_minutes(q, start, end) for q in range(self.n)]) / max(self.minutes, 1)
        is_pool = np.arange(self.n) < history.network.n_pools
        self.capacity = history.capacity.area(start, end)
        self.can_do = self.capacity * np.where(is_pool, open_share, 1.0)
        self.used = history.use.area(start, end)
        self.used[: history.network.n_pools] = self._staff_at_work()
        self.queued = history.queue_length.area(start, end)

    def values(self) -> Iterator[Value]:
        """Every measure of every group, in order."""
        yield from self._use()
        yield from self._waits()
        yield from self._stays()

    def overloaded(self) -> list[tuple[str, float]]:
        """Queues with an offered load at or above one, and the load."""
        found = []
        for name, queues in self.groups:
            if len(queues) == 1 and self.history.network.names[queues[0]] == name:
                load = self._ratio(self.load, self.can_do, queues)
                if load >= 1 and self.history.is_limited[queues].all():
                    found.append((name, load))
        return found

    def _use(self) -> Iterator[Value]:
        for name, queues in self.groups:
            yield "service_queue_mean", name, float(self.queued[queues].sum()) / self.minutes
            if self.history.is_limited[queues].all():
                service = self.history.service_of(name.split("/", 1)[0])
                yield "service_capacity", name, float(self.capacity[queues].sum()) / self.minutes / service.units_each
                yield "service_occupancy", name, 100 * self._ratio(self.used, self.can_do, queues)
                yield "service_offered_load", name, self._ratio(self.load, self.can_do, queues)
                yield "service_effective_stay_days", name, self._ratio(self.effective, self.asked, queues) / 1440

    def _ratio(self, above: np.ndarray, below: np.ndarray, queues: np.ndarray) -> float:
        return ratio(float(above[queues].sum()), float(below[queues].sum()))

    def _waits(self) -> Iterator[Value]:
        history, s = self.history, self.history.spells
        rows, tasks = history.journeys.rows, history.journeys.tasks
        new = ~history.continues & ~history.initial
        accepted = np.flatnonzero(self._inside(s.accepted) & new)
        granted = np.flatnonzero(self._inside(s.task_granted) & (tasks.pool >= 0))
        queue = np.concatenate([rows.service[accepted], tasks.pool[granted]])
        since = np.concatenate([s.joined[accepted], s.task_began[granted]])
        until = np.concatenate([s.accepted[accepted], s.task_granted[granted]])
        refused = self._inside(history.waited_until) & (s.accepted < 0) & (history.waited_until < history.horizon)
        gave_up = np.bincount(rows.service[np.flatnonzero(refused)], minlength=self.n)
        taken = np.bincount(queue, minlength=self.n)
        came = np.bincount(rows.service[np.flatnonzero(self._inside(s.started) & new)], minlength=self.n)
        came[: history.network.n_pools] = taken[: history.network.n_pools]
        for name, queues, waits in self._grouped(queue, (until - since).astype(np.int32)):
            yield "service_wait_days_mean", name, mean(waits) / 1440
            yield "service_wait_days_p90", name, (float(np.percentile(waits, 90)) if len(waits) else np.nan) / 1440
            lost, all_out = float(gave_up[queues].sum()), float((gave_up + taken)[queues].sum())
            yield "service_gave_up_share", name, 100 * ratio(lost, all_out)
            yield "service_starts_a_week", name, float(came[queues].sum()) / self.minutes * 10080

    def _stays(self) -> Iterator[Value]:
        over = self.stays[self.stays.ended & self._inside(self.stays.left)]
        queue = self.history.journeys.rows.service[over.last]
        length = (over.left - over.started).astype(np.int32)
        for name, queues, stay in self._grouped(queue, length):
            if queues[0] >= self.history.network.n_pools:
                yield "service_stay_days_mean", name, mean(stay) / 1440
                yield "service_stay_days_median", name, (float(np.median(stay)) if len(stay) else np.nan) / 1440

    def _inside(self, minute: np.ndarray) -> np.ndarray:
        return (minute >= self.start) & (minute < self.end)

    def _grouped(self, queue: np.ndarray, values: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Each group with its queues and those of the values that belong to them."""
        order = np.argsort(queue.astype(np.int16), kind="stable")
        of_queue = np.split(values[order], np.cumsum(np.bincount(queue, minlength=self.n))[:-1])
        for name, queues in self.groups:
            yield name, queues, np.concatenate([of_queue[q] for q in queues])

    def _staff_at_work(self) -> np.ndarray:
        """Minutes in which staff were at work while their pool was open, by pool: (n_pools,)."""
        network, work = self.history.network, self.history.staff_at_work
        found = np.zeros(network.n_pools)
        first, last = np.maximum(work.start, self.start), np.minimum(work.end, self.end)
        for pool in range(network.n_pools):
            mine = np.flatnonzero((work.queue == pool) & (last > first))
            found[pool] = network.calendars.open_between(int(network.calendar[pool]), first[mine], last[mine]).sum()
        return found

    def _offered(self) -> np.ndarray:
        """Unit-minutes asked for by those who joined each queue in the window: (S,).

        Units times the planned stay, plus for each unit the mean by which the time in use of places freed in the window
        differed from the plan: waiting for what comes next, tasks, units kept, stays broken off.
        """
        history, s = self.history, self.history.spells
        rows, tasks = history.journeys.rows, history.journeys.tasks
        units = np.where(s.accepted >= 0, s.units, rows.units)
        done = (s.ready >= 0) & (s.ended != DISPLACED)
        planned = np.where(done, s.ready - s.started, rows.duration)
        more = np.flatnonzero(s.units > rows.units)
        declined = more[~done[more] & (s.units[more] == rows.declined_units[more])]
        planned[declined] = rows.declined_duration[declined]

        freed = np.flatnonzero(self._inside(s.freed) & (s.accepted >= 0))
        queue = rows.service[freed]
        beyond = self._sum(queue, units[freed], s.freed[freed] - s.accepted[freed] - planned[freed])
        per_unit = beyond / np.maximum(self._sum(queue, units[freed]), 1)

        asks = np.flatnonzero(self._inside(s.joined) & ~history.initial)
        queue = rows.service[asks]
        self.asked = self._sum(queue, units[asks])
        load = self._sum(queue, units[asks], planned[asks]) + self.asked * per_unit

        work = np.flatnonzero(self._inside(s.task_began) & (tasks.pool >= 0))
        actual = np.where(s.task_granted[work] >= 0, history.task_over[work] - s.task_granted[work], 0)
        minutes = np.where(tasks.minutes[work] > 0, tasks.minutes[work], actual)
        load += self._sum(tasks.pool[work], minutes)
        self.asked += np.bincount(tasks.pool[work], minlength=self.n)
        self.effective = np.maximum(load, 0)
        return self.effective

    def _sum(self, queue: np.ndarray, units: np.ndarray, minutes: np.ndarray | int = 1) -> np.ndarray:
        """Units times minutes by queue: (S,) float64."""
        return np.bincount(queue, weights=np.multiply(units, minutes, dtype=np.float64), minlength=self.n)


def ratio(above: float, below: float) -> float:
    """`above / below`; not a number where there is nothing to divide by."""
    return above / below if below else float("nan")


def percent(yes: np.ndarray, among: np.ndarray) -> float:
    """The share of those `among` (n, bool) of whom it is true (n, bool); not a number of nobody."""
    return 100 * ratio(int(np.count_nonzero(yes & among)), int(np.count_nonzero(among)))


def mean(values: np.ndarray) -> float:
    """The mean; not a number of nothing."""
    return float(values.mean()) if len(values) else float("nan")
