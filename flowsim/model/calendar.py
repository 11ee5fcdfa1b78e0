"""When things are open.

A calendar answers three questions, so that both engines and the measures share them: *the next open minute from t*,
*t plus n open minutes* and *how many open minutes between two*.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

DAY = 1440
WEEK = 7 * DAY

ALWAYS_OPEN = -1
"""The calendar index that means: never closed."""
FROM, TO = range(2)
"""The columns of openings."""
NEVER_CLOSES = 2**31 - 1


@dataclass(frozen=True)
class Calendars:
    """All calendars of a run as lists of openings, found by the day.

    Attributes:
        names: (C,) the calendars' names, in index order.
        horizon: minutes in the run; a question whose answer lies at or after it is answered with `horizon`
            (no event runs there, so "never" and "after the end" are the same).
        openings: (n, 2) int32; from which minute, and up to but without which, a calendar is open. Each is as long as
            it can be. One calendar's follow the other's, in order; behind each calendar's own comes one from the
            horizon on, so that who looks for the next finds one.
        first: (C, days + 1) int32; the first of a calendar's openings that ends after the beginning of each day.
        opened: (n,) int64; how many open minutes the calendar had before each opening.
    """

    names: tuple[str, ...]
    horizon: int
    openings: np.ndarray
    first: np.ndarray
    opened: np.ndarray

    @classmethod
    def from_openings(cls, openings: Mapping[str, np.ndarray], horizon: int) -> Calendars:
        """Calendars by their openings: (k, 2) minutes from and to each, in any order, which may touch or overlap."""
        days = np.arange(horizon // DAY + 1) * DAY
        parts, first, opened, behind = [np.zeros((0, 2), dtype=np.int64)], [], [np.zeros(0, dtype=np.int64)], 0
        for one in openings.values():
            openings_of_it = np.append(joined(np.clip(one, 0, horizon)), [[horizon, NEVER_CLOSES]], axis=0)
            length = openings_of_it[:, TO] - openings_of_it[:, FROM]
            parts.append(openings_of_it)
            first.append(behind + np.searchsorted(openings_of_it[:, TO], days, side="right"))
            opened.append(np.cumsum(length) - length)
            behind += len(openings_of_it)
        return cls(
            tuple(openings),
            horizon,
            np.concatenate(parts).astype(np.int32),
            np.array(first, dtype=np.int32).reshape(len(openings), len(days)),
            np.concatenate(opened),
        )

    def before(self, calendar: int, minute: int) -> np.ndarray:
        """The openings of a calendar before a minute, which ends the last of them: (k, 2) minutes from and to."""
        if calendar == ALWAYS_OPEN:
            return np.array([[0, minute]])
        begun = self.openings[self.first[calendar, 0] : self._at(calendar, minute) + 1]
        return np.minimum(begun[begun[:, FROM] < minute], minute)

    def mask(self, calendar: int) -> np.ndarray:
        """Is minute t open? (horizon,) bool."""
        mask = np.zeros(self.horizon, dtype=bool)
        for begin, end in self.before(calendar, self.horizon).tolist():
            mask[begin:end] = True
        return mask

    def is_open(self, calendar: int, t: int) -> bool:
        """Is the calendar open in minute t (0 <= t < horizon)?"""
        return self.next_open(calendar, t) == t

    def next_open(self, calendar: int, t: int) -> int:
        """The first open minute at or after t (now counts), or `horizon` when there is none."""
        if calendar == ALWAYS_OPEN:
            return t
        t = min(t, self.horizon)
        begins, ends = self._bounds[calendar]
        return max(begins[bisect_right(ends, t)], t)

    def plus_open(self, calendar: int, t: int, n: int) -> int:
        """One minute after the n-th open minute counted from t (n >= 1), or `horizon` when the run ends first."""
        if calendar == ALWAYS_OPEN:
            return min(t + n, self.horizon)
        t = min(t, self.horizon)
        begins, ends = self._bounds[calendar]
        at = bisect_right(ends, t)
        begin = max(begins[at], t)
        while ends[at] - begin < n:
            n -= ends[at] - begin
            at += 1
            begin = begins[at]
        return min(begin + n, self.horizon)

    def open_between(self, calendar: int | np.ndarray, start: int | np.ndarray, end: int | np.ndarray) -> np.ndarray:
        """How many open minutes lie in [start, end), 0 <= start <= end <= horizon.

        Args:
            calendar: one for all, or one each, of which none is `ALWAYS_OPEN`.
            start, end: minutes, shapes that go together.
        """
        if isinstance(calendar, int) and calendar == ALWAYS_OPEN:
            return np.asarray(end) - np.asarray(start)
        return self._opened(calendar, end) - self._opened(calendar, start)

    def next_opens(self, calendar: np.ndarray, minute: np.ndarray) -> np.ndarray:
        """(n,) the first open minute of each calendar at or after a minute (0 <= minute <= horizon); `horizon` or later
        when there is none."""
        found = np.array(minute, dtype=np.int64)
        closes = np.flatnonzero(calendar != ALWAYS_OPEN)
        at = self._at(calendar[closes], found[closes])
        found[closes] = np.maximum(found[closes], self.openings[:, FROM].take(at))
        return found

    def opens(self, calendar: np.ndarray, minute: np.ndarray) -> np.ndarray:
        """(n,) bool: is each calendar open in a minute (0 < minute < horizon) and was closed in the one before?"""
        return self.openings[self._at(calendar, minute), FROM] == minute

    def closed_since(self, calendar: np.ndarray, minute: np.ndarray) -> np.ndarray:
        """(n,) from which minute each calendar, closed in the minute before this one, had been closed."""
        at = self._at(calendar, minute)
        return np.where(self.opened[at] > 0, self.openings[at - 1, TO], 0)

    @cached_property
    def _bounds(self) -> list[tuple[list[int], list[int]]]:
        """Each calendar's openings as plain numbers, quicker to look up one at a time: minutes from, minutes to."""
        by_calendar = np.split(self.openings, self.first[1:, 0])
        return [(one[:, FROM].tolist(), one[:, TO].tolist()) for one in by_calendar]

    def _opened(self, calendar: int | np.ndarray, minute: int | np.ndarray) -> np.ndarray:
        """Open minutes before these."""
        at = self._at(calendar, minute)
        return self.opened.take(at) + np.maximum(minute - self.openings[:, FROM].take(at), 0)

    def _at(self, calendar: int | np.ndarray, minute: int | np.ndarray) -> np.ndarray:
        """Which opening is on in these minutes, or is the next."""
        at = self.first.take(calendar * self.first.shape[1] + minute // DAY)
        while (over := self.openings[:, TO].take(at) <= minute).any():
            at = at + over
        return at


def joined(openings: np.ndarray) -> np.ndarray:
    """The same open minutes in order, each opening as long as it can be: (k, 2) minutes from and to."""
    openings = openings[openings[:, FROM] < openings[:, TO]]
    openings = openings[np.argsort(openings[:, FROM], kind="stable")]
    reached = np.maximum.accumulate(openings[:, TO])
    begins = np.ones(len(openings), dtype=bool)
    begins[1:] = openings[1:, FROM] > reached[:-1]
    return np.column_stack([openings[begins, FROM], reached[np.roll(begins, -1)]])
