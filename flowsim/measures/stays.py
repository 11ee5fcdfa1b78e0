"""Stays: a person's consecutive stages in one kind of service, and what followed them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flowsim.engine.stamps import DISPLACED, ENDINGS, LEFT, MOVED_ON
from flowsim.measures.history import History
from flowsim.place import OTHER, Place, Table

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
        found = left - started
        found[self.longer] = left.take(self.longer) - started.take(self.first.take(self.longer))
        return found


def went_home(stays: Stays) -> np.ndarray:
    """(n,) bool: did these people, leaving a ward alive, go back to where they lived?

    What the place says (`usual_residence` of the stage they went to or, for leaving the system, of the stage they left)
    holds. Where it says nothing: leaving the system, home care, slots in the community and the world outside are home;
    places and beds in the community are not; a care home is for those who came from one (`care_home_resident` is yes).
    """
    history, after = stays.history, stays.after
    journeys = history.journeys
    goes_on = after >= 0
    queue = history.service.take(after)
    home = ~goes_on | counts_as_home(history)[queue]
    back = goes_on & history.queues_with("care_home")[queue]
    home[back] = has_level(history, "care_home_resident", "yes")[stays.spell[back]]
    deciding = journeys.rows.stage[np.where(goes_on, after, stays.last)]
    for code, stage in enumerate(journeys.stages):
        table = _usual_residence(history.place, stage)
        if table is not None:
            here = np.flatnonzero(deciding == code)
            home[here] = _says_yes(table, history, stays.spell[here], home[here])
    return home


def in_slots(history: History) -> np.ndarray:
    """(S,) bool: which queues are of short-term services that come to people's homes."""
    slots = np.array([history.service_of(kind).unit == "slots" for kind in history.kind_names])
    return history.queues_with("community") & slots[history.kind]


def counts_as_home(history: History) -> np.ndarray:
    """(S,) bool: in which queues people are at home, or on the way back there from a few hours in hospital."""
    return history.queues_with("home_care", "outside", "ed", "same_day") | in_slots(history)


def has_level(history: History, attribute: str, level: str) -> np.ndarray:
    """(N,) bool: which spells have this level of an attribute; none where there is no such level."""
    words = history.journeys.levels.get(attribute, ())
    if attribute not in history.journeys.attributes or level not in words:
        return np.zeros(len(history.journeys.spells.number), dtype=bool)
    return history.journeys.attributes[attribute] == words.index(level)


def _usual_residence(place: Place, stage: str) -> Table | None:
    for p in (place, place.before):
        if p is not None and stage in p.stages:
            return p.stages[stage].usual_residence
    return None


def _says_yes(table: Table, history: History, spell: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """What a table of yes and no says of each spell; `otherwise` where it has no entry."""
    if table.by is None:
        return np.full(len(spell), table.leaf == "yes")
    found, rest = otherwise.copy(), np.ones(len(spell), dtype=bool)
    for level, cell in table.cells.items():
        if level != OTHER:
            here = has_level(history, table.by, level)[spell]
            found[here] = _says_yes(cell, history, spell[here], otherwise[here])
            rest &= ~here
    if OTHER in table.cells:
        found[rest] = _says_yes(table.cells[OTHER], history, spell[rest], otherwise[rest])
    return found
