"""Stays: a person's consecutive stages in one kind of service, and what followed them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flowsim.engine.spells import DISPLACED, ENDINGS, LEFT, MOVED_ON
from flowsim.measures.history import History
from flowsim.place import OTHER, Place, Table

TOGETHER = ("ward", "ed", "same_day")
"""Roles whose kinds of service make one stay between them; elsewhere each kind is its own."""


_LIVE = np.isin(np.arange(len(ENDINGS)), (MOVED_ON, LEFT, DISPLACED))
"""By how a stay's last row ended: did the person live, and was not readmitted?"""


@dataclass(frozen=True)
class Stays:
    """Stays that began, in order of spell and time; (n,) each. What is long is looked up by `take`: a third quicker.

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
        return self.history.spells.started.take(self.first)

    @cached_property
    def left(self) -> np.ndarray:
        return self.history.left.take(self.last)

    @cached_property
    def ended(self) -> np.ndarray:
        return self.history.spells.left[self.last] >= 0

    @cached_property
    def alive(self) -> np.ndarray:
        return self.ended & _LIVE[self.history.spells.ended[self.last]]

    @cached_property
    def after(self) -> np.ndarray:
        return self.history.following.take(self.last)

    @property
    def nights(self) -> np.ndarray:
        """Midnights between coming and leaving."""
        return self.left // 1440 - self.started // 1440

    def __getitem__(self, which: np.ndarray) -> Stays:
        """Some of them, by a mask or by their places."""
        which = np.flatnonzero(which) if which.dtype == bool else which
        return Stays(self.history, self.first.take(which), self.last.take(which))


def all_stays(history: History) -> Stays:
    """Every stay: rows of one spell that follow each other in one kind of service (wards, and EDs, count as one)."""
    group = history.kind.copy()
    for code, role in enumerate(TOGETHER, start=1):
        group[history.queues_with(role)] = -code
    order, service = history.order, history.service
    earlier, later = history.pairs
    kind = group.take(service)
    goes_on = history.again[kind.take(earlier) == kind.take(later)]
    first, last = np.ones(len(order), dtype=bool), np.ones(len(order), dtype=bool)
    first[goes_on + 1] = last[goes_on] = False
    return Stays(history, order.take(np.flatnonzero(first)), order.take(np.flatnonzero(last)))


def went_home(stays: Stays) -> np.ndarray:
    """(n,) bool: did these people, leaving a ward alive, go back to where they lived?

    What the place says (`usual_residence` of the stage they went to or, for leaving the system, of the stage they left)
    holds. Where it says nothing: leaving the system, home care, slots in the community and the world outside are home;
    places and beds in the community are not; a care home is for those who came from one (`care_home_resident` is yes).
    """
    history, after = stays.history, stays.after
    journeys = history.journeys
    goes_on = after >= 0
    home = ~goes_on
    in_slots = np.array([history.service_of(k).unit == "slots" for k in history.kind_names])[history.kind]
    at_home = history.queues_with("home_care", "outside", "ed", "same_day") | (
        history.queues_with("community") & in_slots
    )
    care_home = history.queues_with("care_home")
    queue = history.service[after]
    home[goes_on] = at_home[queue[goes_on]]
    back = goes_on & care_home[queue]
    home[back] = has_level(history, "care_home_resident", "yes")[stays.spell[back]]
    deciding = journeys.rows.stage[np.where(goes_on, after, stays.last)]
    for code, stage in enumerate(journeys.stages):
        table = _usual_residence(history.place, stage)
        if table is not None:
            here = np.flatnonzero(deciding == code)
            home[here] = _says_yes(table, history, stays.spell[here], home[here])
    return home


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
