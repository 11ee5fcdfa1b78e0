"""Step functions of time: how many units were in use, waiting or open in every queue, from intervals or from a log."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from flowsim.model.calendar import DAY

if TYPE_CHECKING:
    from scipy.sparse import coo_array


@dataclass(frozen=True)
class Intervals:
    """So many units in a queue from `start` until `end`; integer arrays of one length."""

    queue: np.ndarray
    start: np.ndarray
    end: np.ndarray
    units: np.ndarray


def _changes(parts: list[Intervals], n: int, days: int) -> coo_array:
    """What is added and taken away, by minute of the day and by queue and day."""
    minute = np.concatenate([p.start for p in parts] + [p.end for p in parts], dtype=np.int32)
    day_of_queue = np.concatenate([p.queue for p in parts] * 2, dtype=np.int32)
    change = np.concatenate([p.units for p in parts] + [-p.units for p in parts], dtype=np.int32)
    day = minute // DAY
    minute -= day * DAY
    day_of_queue *= days
    day_of_queue += day
    from scipy.sparse import coo_array  # here, so that a list of measures need not load it

    table = coo_array((change, (minute, day_of_queue)), shape=(DAY, n * days))
    table.has_canonical_format = True  # or else changes of one minute would be sorted and added up at once
    return table


@dataclass(frozen=True)
class Steps:
    """A step function of time for every queue.

    Attributes:
        key: (K,) int64, sorted: the queue and the minute of each change, as `key_of` makes one number of them.
        level: (K,) int64, the level when that minute was over; before a queue's first change it is 0.
        first_of_day: (S x (days + 1) + 1,) where the changes of each day of each queue begin.
        horizon: minutes in the run.
    """

    key: np.ndarray
    level: np.ndarray
    first_of_day: np.ndarray
    horizon: int

    @classmethod
    def from_log(cls, queue: np.ndarray, minute: np.ndarray, level: np.ndarray, n: int, horizon: int) -> Steps:
        """From one entry a change, in any order, for n queues."""
        days = horizon // DAY + 1
        key = queue.astype(np.int64) * days * DAY + minute
        order = np.argsort(key, kind="stable")
        count = np.bincount(key // DAY, minlength=n * days)
        return cls(key[order], level[order].astype(np.int64), np.append(0, np.cumsum(count)), horizon)

    @classmethod
    def of_intervals(cls, parts: list[Intervals], n: int, horizon: int) -> Steps:
        """What all of these intervals come to in each of n queues, none later than the horizon.

        The changes are put in order as those of a sparse table, minutes of the day by days of queues, which is turned
        from minutes to days: that takes two passes over them, where sorting would take twenty.
        """
        days = horizon // DAY + 1  # what ends with the run ends on the day after it
        by_day = _changes(parts, n, days).tocsr().tocsc()  # whose own memory is free again before the next is made
        by_day.sum_duplicates()
        key = np.repeat(np.arange(n * days) * DAY, np.diff(by_day.indptr))
        key += by_day.indices
        return cls(key, np.cumsum(by_day.data, dtype=np.int64), by_day.indptr, horizon)

    @property
    def days(self) -> int:
        """Days in the run, and one more for what ends with it."""
        return self.horizon // DAY + 1

    @cached_property
    def first(self) -> np.ndarray:
        """(S + 1,) where each queue's changes begin: queue q has ``first[q] : first[q + 1]``."""
        return self.first_of_day[:: self.days]

    def key_of(self, queue: np.ndarray, minute: np.ndarray | int) -> np.ndarray:
        """Queues and minutes as one number each, by queue and then by minute."""
        return queue * np.int64(self.days * DAY) + minute

    def minute(self, queue: np.ndarray, change: np.ndarray | slice) -> np.ndarray:
        """The minutes of some changes of these queues."""
        return self.key[change] - self.key_of(queue, 0)

    def of(self, queue: int) -> tuple[np.ndarray, np.ndarray]:
        """The minutes of change of one queue and the levels after them."""
        changes = slice(self.first[queue], self.first[queue + 1])
        return self.minute(np.array(queue), changes), self.level[changes]

    def at(self, queue: np.ndarray, minute: np.ndarray) -> np.ndarray:
        """The level of each queue when each minute was over: (n,) int64, of queues and minutes (n,)."""
        return self._level(queue, self._until(queue, minute))

    def now(self, queue: np.ndarray, minute: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same, and the minute of each queue's first change after that: (n,) int64 each.

        It is the horizon where no change comes after that.
        """
        following = self._until(queue, minute)
        there = following < self.first[queue + 1]
        change = np.full(len(queue), self.horizon)
        change[there] = self.minute(queue[there], following[there])
        return self._level(queue, following), change

    def _level(self, queue: np.ndarray, following: np.ndarray) -> np.ndarray:
        """The level of each queue before each change, given by its place; 0 before its first."""
        level = np.zeros(len(queue), dtype=np.int64)
        changed = following > self.first[queue]
        level[changed] = self.level[following[changed] - 1]
        return level

    def each_day(self) -> np.ndarray:
        """The level of every queue at 23:59 of each day: (S, days) float64."""
        n, days = len(self.first) - 1, self.days - 1
        following = self.first_of_day[1:].reshape(n, days + 1)[:, :days]
        return self._level(np.repeat(np.arange(n), days), following.ravel()).reshape(n, days).astype(np.float64)

    def _until(self, queue: np.ndarray, minute: np.ndarray) -> np.ndarray:
        """How many changes of this and of earlier queues there were up to the end of each minute."""
        return np.searchsorted(self.key, self.key_of(queue, minute), side="right")

    def area(self, start: int, end: int) -> np.ndarray:
        """Unit-minutes of each queue within [start, end): (S,) float64."""
        return (self._area_before(end) - self._area_before(start)).astype(np.float64)

    def _area_before(self, minute: int) -> np.ndarray:
        """Unit-minutes of each queue before a minute: (S,) int64."""
        area = np.zeros(len(self.first) - 1, dtype=np.int64)
        last = self._until(np.arange(len(area)), np.full(len(area), minute)) - 1
        some = np.flatnonzero(last >= self.first[:-1])
        first, last = self.first[some], last[some]
        since = minute - self.minute(some, last)
        area[some] = self._passed[last] - self._passed[first] + self.level[last] * since
        return area

    @cached_property
    def _passed(self) -> np.ndarray:
        """(K,) int64, unit-minutes up to each change, of its queue and of all before it: only differences mean much."""
        before = np.zeros_like(self.level)
        passed = np.diff(self.key)
        passed *= self.level[:-1]
        np.cumsum(passed, out=before[1:])
        return before


def count_each_day(group: np.ndarray, n: int, start: np.ndarray, end: np.ndarray, days: int) -> np.ndarray:
    """How many of each of n groups were there at 23:59 of each day: (n, days) float64.

    Args:
        group: (k,) integers below n, whose group each was in.
        start, end: (k,) minutes from which and until which; what lies outside the days is cut off.
    """
    first = np.clip(start // 1440, 0, days)
    last = np.maximum(np.clip(end // 1440, 0, days), first)
    group = group.astype(np.int64) * (days + 1)
    came = np.bincount(group + first, minlength=n * (days + 1))
    went = np.bincount(group + last, minlength=n * (days + 1))
    return np.cumsum((came - went).reshape(n, days + 1), axis=1)[:, :days].astype(np.float64)
