"""What each service did: how full it was, who waited and how long, what was asked of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowsim.engine.stamps import DISPLACED
from flowsim.measures.history import History
from flowsim.measures.stays import EveryStay

ALL = "all"
"""`where` of what holds of the whole place."""
WHOLE = ""
"""`of` of what counts everything that is there."""
Value = tuple[str, str, str, float]
"""(measure, where, of, value)"""


class Services:
    """The measures of every queue, and of every kind of service that is split, within [start, end).

    A kind's numbers are those of its own queues together; capacity that neighbours declare is not in them.
    """

    def __init__(self, history: History, stays: EveryStay, start: int, end: int) -> None:
        self.history, self.stays, self.start, self.end = history, stays, start, end
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
        self.load = self._offered()
        every = np.full(self.n, start), np.full(self.n, end)
        open_share = history.open_between(history.network.calendar, *every) / max(self.minutes, 1)
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
        load = [self._ratio(self.load, self.can_do, np.array([queue])) for queue in range(self.n)]
        counted = self.history.is_limited & ~self.history.queues_with("outside")
        names = self.history.network.names
        return [(names[queue], load[queue]) for queue in np.flatnonzero(counted) if load[queue] >= 1]

    def _use(self) -> Iterator[Value]:
        for (where, kind), queues in self.groups:
            yield "service_queue_mean", where, kind, _total(self.queued, queues) / self.minutes
            if self.history.is_limited[queues].all():
                service = self.history.service_of(kind)
                yield "service_capacity", where, kind, _total(self.capacity, queues) / self.minutes / service.units_each
                yield "service_occupancy", where, kind, 100 * self._ratio(self.used, self.can_do, queues)
                yield "service_offered_load", where, kind, self._ratio(self.load, self.can_do, queues)
                yield "service_effective_stay_days", where, kind, self._ratio(self.effective, self.asked, queues) / 1440

    def _ratio(self, above: np.ndarray, below: np.ndarray, queues: np.ndarray) -> float:
        return ratio(_total(above, queues), _total(below, queues))

    def _waits(self) -> Iterator[Value]:
        history, s, staffed = self.history, self.history.stamps, self.history.staffed
        of_rows = history.by_queue.split(s.accepted - s.joined, self._inside(s.accepted) & history.new)
        of_tasks = history.by_pool.split(staffed.granted - staffed.began, self._inside(staffed.granted))
        pools = history.network.n_pools
        of_queue = [*of_tasks[:pools], *of_rows[pools:]]
        taken = np.array([len(waits) for waits in of_queue])
        lost = np.flatnonzero(self._inside(history.waited_until) & (s.accepted < 0))
        gave_up = np.bincount(history.service.take(lost), minlength=self.n)
        came = history.starts(self.start, self.end)
        came[:pools] = taken[:pools]
        for (where, kind), queues, waits in self._grouped(of_queue):
            yield "service_wait_days_mean", where, kind, mean(waits) / 1440
            yield "service_wait_days_p90", where, kind, quantile(waits, 0.9) / 1440
            yield "service_gave_up_share", where, kind, 100 * self._ratio(gave_up, gave_up + taken, queues)
            yield "service_starts_a_week", where, kind, _total(came, queues) / self.minutes * 10080

    def _stays(self) -> Iterator[Value]:
        history = self.history
        of_queue = history.by_queue.split(self.stays.minutes, self.stays.ends & self._inside(history.left))
        for (where, kind), queues, stay in self._grouped(of_queue):
            if queues[0] >= history.network.n_pools:
                yield "service_stay_days_mean", where, kind, mean(stay) / 1440
                yield "service_stay_days_median", where, kind, quantile(stay, 0.5) / 1440

    def _inside(self, minute: np.ndarray) -> np.ndarray:
        return (minute >= self.start) & (minute < self.end)

    def _grouped(self, of_queue: list[np.ndarray]) -> Iterator[tuple[tuple[str, str], np.ndarray, np.ndarray]]:
        """Each group with its queues and the values of all of them."""
        for name, queues in self.groups:
            one = len(queues) == 1  # as most are
            yield name, queues, of_queue[queues[0]] if one else np.concatenate([of_queue[q] for q in queues])

    def _staff_at_work(self) -> np.ndarray:
        """Minutes in which staff were at work while their pool was open, by pool: (n_pools,)."""
        network, work = self.history.network, self.history.staffed
        first, last = np.maximum(work.granted, self.start), np.minimum(work.over, self.end)
        some = np.flatnonzero((work.granted >= 0) & (last > first))
        task, pool, first, last = (column.take(some) for column in (work.task, work.pool, first, last))
        minutes = self.history.open_in_work(task, network.calendar.take(pool), first, last)
        return np.bincount(pool, weights=minutes, minlength=network.n_pools)

    def _offered(self) -> np.ndarray:
        """Unit-minutes asked for by those who joined each queue in the window: (S,).

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

        freed = units * (self._inside(s.freed) & (s.accepted >= 0))
        beyond = by_queue.sum(freed, s.freed - s.accepted - planned)
        per_unit = beyond / np.maximum(by_queue.sum(freed), 1)

        asks = units * (self._inside(s.joined) & ~history.initial)
        self.asked = by_queue.sum(asks)
        load = by_queue.sum(asks, planned) + self.asked * per_unit

        staffed, by_pool = history.staffed, history.by_pool
        asked = self._inside(staffed.began)
        planned = history.journeys.tasks.minutes.take(staffed.task)
        at_work = np.where(staffed.granted >= 0, staffed.over - staffed.granted, 0)
        load += by_pool.sum(asked, np.where(planned > 0, planned, at_work))
        self.asked += by_pool.sum(asked)
        self.effective = np.maximum(load, 0)
        return self.effective


def _total(values: np.ndarray, queues: np.ndarray) -> float:
    """The sum of the values of some queues; most groups are one."""
    return float(values[queues[0]] if len(queues) == 1 else values[queues].sum())


def ratio(above: float, below: float) -> float:
    """`above / below`; not a number where there is nothing to divide by."""
    return above / below if below else float("nan")


def percent(yes: np.ndarray, among: np.ndarray) -> float:
    """The share of those `among` (n, bool) of whom it is true (n, bool); not a number of nobody."""
    return 100 * ratio(int(np.count_nonzero(yes & among)), int(np.count_nonzero(among)))


def mean(values: np.ndarray) -> float:
    """The mean of whole numbers or truth values; not a number of nothing."""
    return ratio(float(values.sum()), len(values))


def quantile(values: np.ndarray, share: float) -> float:
    """What so large a share of these whole numbers is not above, between two of them in proportion; nan of nothing.

    The same as `numpy.quantile`. Numbers with many equals are counted, which takes half the time of ordering them.
    """
    if not len(values):
        return float("nan")
    place, part = divmod((len(values) - 1) * share, 1)
    ranks = int(place), min(int(place) + 1, len(values) - 1)
    if values.min() >= 0 and values.max() < len(values):
        low, high = np.searchsorted(np.cumsum(np.bincount(values)), ranks, side="right").tolist()
    else:
        low, high = np.partition(values, ranks)[[*ranks]].tolist()
    return float(low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part))
