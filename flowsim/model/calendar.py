"""When things are open, minute by minute.

A calendar answers two questions, and both are plain array look-ups so that both engines share them:
*the next open minute from t*, and *t plus n open minutes*.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DAY = 1440
WEEK = 7 * DAY

ALWAYS_OPEN = -1
"""The calendar index that means: never closed."""


@dataclass(frozen=True)
class Calendars:
    """All calendars of a run as look-up tables.

    Attributes:
        names: the calendars' names, in index order.
        horizon: minutes in the run; a question whose answer lies at or after it is answered with `horizon`
            (no event runs there, so "never" and "after the end" are the same).
        opened: shape (calendars, horizon + 1), int32; ``opened[c, t]`` is the number of open minutes of calendar
            c before minute t.
        minutes: shape (open minutes of all calendars,), int32; the open minutes of each calendar in order,
            one calendar behind the other.
        first: shape (calendars + 1,), int64; calendar c owns ``minutes[first[c]:first[c + 1]]``.
    """

    names: tuple[str, ...]
    horizon: int
    opened: np.ndarray
    minutes: np.ndarray
    first: np.ndarray

    @classmethod
    def from_masks(cls, masks: dict[str, np.ndarray], horizon: int) -> Calendars:
        """Build the tables from one boolean array of shape (horizon,) a calendar: is minute t open?"""
        opened = np.zeros((len(masks), horizon + 1), dtype=np.int32)
        minutes = []
        for c, mask in enumerate(masks.values()):
            if mask.shape != (horizon,):
                raise ValueError(f"calendar mask {c} has shape {mask.shape}, expected ({horizon},)")
            np.cumsum(mask, out=opened[c, 1:])
            minutes.append(np.flatnonzero(mask).astype(np.int32))
        first = np.zeros(len(masks) + 1, dtype=np.int64)
        np.cumsum([len(m) for m in minutes], out=first[1:])
        together = np.concatenate(minutes) if minutes else np.zeros(0, dtype=np.int32)
        return cls(tuple(masks), horizon, opened, together, first)

    def and_masks(self, masks: dict[str, np.ndarray]) -> Calendars:
        """These calendars and more behind them, by their masks (see `from_masks`)."""
        if not masks:
            return self
        more = Calendars.from_masks(masks, self.horizon)
        return Calendars(
            (*self.names, *more.names),
            self.horizon,
            np.concatenate([self.opened, more.opened]),
            np.concatenate([self.minutes, more.minutes]),
            np.concatenate([self.first, more.first[1:] + self.first[-1]]),
        )

    def mask(self, calendar: int) -> np.ndarray:
        """Is minute t open? (horizon,) bool."""
        opened = self.opened[calendar]
        return opened[1:] > opened[:-1]

    def is_open(self, calendar: int, t: int) -> bool:
        """Is the calendar open in minute t (0 <= t < horizon)?"""
        if calendar == ALWAYS_OPEN:
            return True
        row = self.opened[calendar]
        return bool(row[t + 1] > row[t])

    def next_open(self, calendar: int, t: int) -> int:
        """The first open minute at or after t (now counts), or `horizon` when there is none."""
        if calendar == ALWAYS_OPEN:
            return t
        return self._minute(calendar, int(self.opened[calendar, min(t, self.horizon)]))

    def plus_open(self, calendar: int, t: int, n: int) -> int:
        """One minute after the n-th open minute counted from t (n >= 1), or `horizon` when the run ends first."""
        if calendar == ALWAYS_OPEN:
            return min(t + n, self.horizon)
        last = self._minute(calendar, int(self.opened[calendar, min(t, self.horizon)]) + n - 1)
        return min(last + 1, self.horizon)

    def open_between(self, calendar: int, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """How many open minutes lie in [start, end), for whole arrays at once."""
        if calendar == ALWAYS_OPEN:
            return np.asarray(end) - np.asarray(start)
        row = self.opened[calendar]
        return row[end].astype(np.int64) - row[start]

    def _minute(self, calendar: int, k: int) -> int:
        place = self.first[calendar] + k
        return int(self.minutes[place]) if place < self.first[calendar + 1] else self.horizon
