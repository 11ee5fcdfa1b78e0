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
        self.capacity = history.capacity.area(self.n, start, end)
        self.can_do = self.capacity * np.where(is_pool, open_share, 1.0)
        self.used = history.in_use.area(self.n, start, end)
        self.used[: history.network.n_pools] = self._staff_at_work()
        self.queued = history.waiting.area(self.n, start, end)

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
        inside = self._inside(s.accepted) & new
        granted = self._inside(s.task_granted) & (tasks.pool >= 0)
        queue = np.concatenate([rows.service[inside], tasks.pool[granted]])
        wait = np.concatenate([(s.accepted - s.joined)[inside], (s.task_granted - s.task_began)[granted]])
        refused = self._inside(history.waited_until) & (s.accepted < 0) & (history.waited_until < history.horizon)
        gave_up = np.bincount(rows.service[refused], minlength=self.n)
        taken = np.bincount(queue, minlength=self.n)
        came = np.bincount(rows.service[self._inside(s.started) & new], minlength=self.n)
        came[: history.network.n_pools] = taken[: history.network.n_pools]
        for name, queues, which in self._grouped(queue):
            waits = wait[which]
            yield "service_wait_days_mean", name, mean(waits) / 1440
            yield "service_wait_days_p90", name, (float(np.percentile(waits, 90)) if len(waits) else np.nan) / 1440
            lost, all_out = float(gave_up[queues].sum()), float((gave_up + taken)[queues].sum())
            yield "service_gave_up_share", name, 100 * ratio(lost, all_out)
            yield "service_starts_a_week", name, float(came[queues].sum()) / self.minutes * 10080

    def _stays(self) -> Iterator[Value]:
        over = self.stays[self.stays.ended & self._inside(self.stays.left)]
        queue = self.history.journeys.rows.service[over.last]
        length = over.left - over.started
        for name, queues, which in self._grouped(queue):
            if queues[0] >= self.history.network.n_pools:
                stay = length[which]
                yield "service_stay_days_mean", name, mean(stay) / 1440
                yield "service_stay_days_median", name, (float(np.median(stay)) if len(stay) else np.nan) / 1440

    def _inside(self, minute: np.ndarray) -> np.ndarray:
        return (minute >= self.start) & (minute < self.end)

    def _grouped(self, queue: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Each group with the positions in `queue` that belong to it."""
        order = np.argsort(queue.astype(np.int16), kind="stable")
        bounds = np.searchsorted(queue[order], np.arange(self.n + 1))
        for name, queues in self.groups:
            yield name, queues, np.concatenate([order[bounds[q] : bounds[q + 1]] for q in queues])

    def _staff_at_work(self) -> np.ndarray:
        """Minutes in which staff were at work while their pool was open, by pool: (n_pools,)."""
        history, use = self.history, self.history.in_use
        found = np.zeros(history.network.n_pools)
        first, last = np.maximum(use.start, self.start), np.minimum(use.end, self.end)
        for pool in range(history.network.n_pools):
            mine = (use.queue == pool) & (last > first)
            calendar = int(history.network.calendar[pool])
            found[pool] = history.network.calendars.open_between(calendar, first[mine], last[mine]).sum()
        return found

    def _offered(self) -> np.ndarray:
        """Unit-minutes asked for by those who joined each queue in the window: (S,).

        Units times the planned stay, plus for each unit the mean by which the time in use of places freed in the window
        differed from the plan: waiting for what comes next, tasks, units kept, stays broken off.
        """
        history, s = self.history, self.history.spells
        rows, tasks = history.journeys.rows, history.journeys.tasks
        declined = (s.units > rows.units) & (s.units == rows.declined_units)
        planned = np.where(declined, rows.declined_duration, rows.duration)
        planned = np.where((s.ready >= 0) & (s.started >= 0) & (s.ended != DISPLACED), s.ready - s.started, planned)
        units = np.where(s.accepted >= 0, s.units, rows.units)
        freed = np.flatnonzero(self._inside(s.freed) & (s.accepted >= 0))
        beyond = self._sum(rows.service[freed], units[freed] * (s.freed - s.accepted - planned)[freed])
        per_unit = beyond / np.maximum(self._sum(rows.service[freed], units[freed]), 1)
        asks = np.flatnonzero(self._inside(s.joined) & ~history.initial)
        queue = rows.service[asks]
        self.asked = self._sum(queue, units[asks])
        load = self._sum(queue, units[asks] * planned[asks]) + self.asked * per_unit
        work = np.flatnonzero(self._inside(s.task_began) & (tasks.pool >= 0))
        actual = np.where(s.task_granted[work] >= 0, history.task_over[work] - s.task_granted[work], 0)
        minutes = np.where(tasks.minutes[work] > 0, tasks.minutes[work], actual)
        load += self._sum(tasks.pool[work], minutes)
        self.asked += self._sum(tasks.pool[work], np.ones(len(work)))
        self.effective = np.maximum(load, 0)
        return self.effective

    def _sum(self, queue: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.bincount(queue, weights=values, minlength=self.n).astype(np.float64)


def ratio(above: float, below: float) -> float:
    """`above / below`; not a number where there is nothing to divide by."""
    return above / below if below else float("nan")


def mean(values: np.ndarray) -> float:
    """The mean; not a number of nothing."""
    return float(values.mean()) if len(values) else float("nan")
