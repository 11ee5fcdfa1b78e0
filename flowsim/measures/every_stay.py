"""Stays: a person's consecutive stages in one kind of service, and what followed them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flowsim.engine.stamps import DISPLACED, ENDINGS, LEFT, MOVED_ON
from flowsim.measures.history import History

TOGETHER = ("ward", "ed", "same_day")
"""Roles whose kinds of service make one stay between them; elsewhere each kind is its own."""


_LIVE = np.isin(np.arange(len(ENDINGS)), (MOVED_ON, LEFT, DISPLACED))
"""By how a stay's last row ended: did the person live, and was not readmitted?"""


@dataclass(frozen=True)
class Stays:
    """Stays that began, in the order of their last rows; (n,) each. `take` looks up a third quicker than an index.

    Attributes:
        first, last: the first and the last row of the stay.
        started, left: minutes; left is the horizon where the stay goes on.
        ended: did it end within the run?
        alive: did it end otherwise than by death or readmission?
        after: the row started next, in another kind of service; -1 for none.
    """

    history: History
    first: np.ndarray
    last: np.ndarray

    @cached_property
    def spell(self) -> np.ndarray:
        return self.history.spell.take(self.first)

    @cached_property
    def service(self) -> np.ndarray:
        """The queue the stay began in."""
        return self.history.service.take(self.first)

    @cached_property
    def started(self) -> np.ndarray:
        return self.history.stamps.started.take(self.first)

    @cached_property
    def left(self) -> np.ndarray:
        return self.history.left.take(self.last)

    @cached_property
    def ended(self) -> np.ndarray:
        return self.history.stamps.left.take(self.last) >= 0

    @cached_property
    def alive(self) -> np.ndarray:
        return self.ended & _LIVE.take(self.history.stamps.ended.take(self.last))

    @cached_property
    def after(self) -> np.ndarray:
        return self.history.following.take(self.last)

    @cached_property
    def nights(self) -> np.ndarray:
        """Midnights between coming and leaving."""
        return self.left // 1440 - self.started // 1440

    def __getitem__(self, which: np.ndarray) -> Stays:
        """Some of them, by a mask or by their places."""
        which = np.flatnonzero(which) if which.dtype == bool else which
        return Stays(self.history, self.first.take(which), self.last.take(which))


class EveryStay:
    """Every stay: rows of one spell that follow each other in one kind of service (wards, and EDs, count as one).

    Attributes:
        ends: (R,) bool, was the row started, and the last of its stay so far?
        first: (R,) int64, the row with which the stay began that ended with this one.
        longer: the rows that ended a stay of several rows.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        group = history.kind.copy()
        for code, role in enumerate(TOGETHER, start=1):
            group[history.queues_with(role)] = -code
        earlier, later = history.pairs
        same = np.flatnonzero(group.take(history.service.take(earlier)) == group.take(history.service.take(later)))
        earlier, later = earlier.take(same), later.take(same)
        begins, self.ends = history.stamps.started >= 0, history.stamps.started >= 0
        begins[later], self.ends[earlier] = False, False
        self.longer = later[self.ends[later]]
        self.first = np.arange(len(begins))
        self.first[self.longer] = earlier[begins[earlier]]

    def of(self, which: np.ndarray) -> Stays:
        """Those that ended with one of these rows: (R,) bool."""
        last = np.flatnonzero(self.ends & which)
        return Stays(self.history, self.first.take(last), last)

    @cached_property
    def minutes(self) -> np.ndarray:
        """(R,) int32, for rows that ended a stay: how long it was; to the horizon where it goes on."""
        left, started = self.history.left, self.history.stamps.started
        minutes = left - started
        minutes[self.longer] = left.take(self.longer) - started.take(self.first.take(self.longer))
        return minutes
