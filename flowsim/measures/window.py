"""What all measures share: a run's history, the minutes that count, and who is who in hospital in them.

What counts is what happened in the window [start, end). Numbers of people and of units are means over time, clipped to
the window; people who left are counted by when they left, people who came by when they came. Sums are those of the
window, whatever its length, and scaled to nothing; rates say of what they are. A ward stay is a person's
consecutive rows in services of role `ward`; it is recognised when its last row is, so that becoming unfit again stops
the clock. What nothing defines (the mean delay of nobody) is NaN.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from flowsim.engine.stamps import MOVED_ON
from flowsim.measures.causes import Charges, charge
from flowsim.measures.definition import ALL, RESIDENTS
from flowsim.measures.every_stay import EveryStay, Stays
from flowsim.measures.history import History
from flowsim.measures.queues import Queues
from flowsim.measures.steps import count_each_day
from flowsim.measures.who import has_level, lives_here

NO_PATHWAY = "no pathway"

Groups = list[tuple[str, np.ndarray]]
"""Where, and a mask of those who are there."""


class LatePeople(NamedTuple):
    """Who left a ward or is delayed there; (n,) each.

    Attributes:
        row, spell: the row in which they were last in a ward, and their spell.
        days: the date of leaving, or the last of the window, less the date of recognition; 0 where that never came.
        still: who is there when the window ends.
    """

    row: np.ndarray
    spell: np.ndarray
    days: np.ndarray
    still: np.ndarray


class Window:
    """The part of a run that counts.

    Attributes:
        history: what happened.
        start, end: the minutes that count.
        length: days in it.
        days: of the run, those in it, as a slice.
        sites: the place's; `pathways`: the levels of that attribute.
        stays: all stays; ward: those in acute beds.
        in_ward, in_ed: (R,) bool, which rows are in one.
        delayed: rows in acute beds that were recognised.
    """

    def __init__(self, history: History, start: int, end: int) -> None:
        self.history, self.start, self.end = history, start, end
        self.length = (end - start) / 1440
        self.days = slice(start // 1440, end // 1440)
        self.sites = list(history.place.sites)
        self.pathways = [*history.journeys.levels.get("pathway", ())]
        self.stays = EveryStay(history)
        self.in_ward, self.in_ed = history.rows_with("ward"), history.rows_with("ed")
        self.ward = self.stays.of(self.in_ward)
        self.delayed = np.flatnonzero(self.in_ward & (history.stamps.recognised >= 0) & (history.stamps.started >= 0))

    def inside(self, minute: np.ndarray) -> np.ndarray:
        """(n,) bool: is each minute in the window?"""
        return (minute >= self.start) & (minute < self.end)

    # who is who ------------------------------------------------------------------------------------------------------

    @cached_property
    def is_emergency(self) -> np.ndarray:
        """(N,) bool: the spells of the stream `emergency`; all where there is no such stream."""
        if "emergency" in self.history.journeys.levels.get("stream", ()):
            return has_level(self.history, "stream", "emergency")
        return np.ones(len(self.history.journeys.spells.number), dtype=bool)

    @cached_property
    def lives_here(self) -> np.ndarray:
        """(N,) bool: the spells of residents of the place under study."""
        return lives_here(self.history)

    @cached_property
    def site(self) -> np.ndarray:
        """(R,) int8, the site of every row in hospital, an index into `sites`, one more for none.

        It is its queue's, or else the person's.
        """
        history, none = self.history, len(self.sites)
        number = {name: i for i, name in enumerate(self.sites)}
        by_queue = np.array([number.get(unit, none) for unit in history.unit_name], dtype=np.int8)
        site = by_queue.take(history.service)
        persons = history.queues_with("ward", "ed", "same_day") & (by_queue == none)
        if "site" in history.journeys.attributes and persons.any():
            words = (*history.journeys.levels["site"], "")  # the last is code -1
            by_level = np.array([number.get(word, none) for word in words], dtype=np.int8)
            rest = np.flatnonzero(persons.take(history.service))
            site[rest] = by_level[history.journeys.attributes["site"][history.spell[rest]]]
        return site

    def pathway_of(self, spell: np.ndarray) -> np.ndarray:
        """Index into `pathways`, one more for those who have none."""
        if not self.pathways:
            return np.zeros(len(spell), dtype=np.int64)
        codes = self.history.journeys.attributes["pathway"][spell].astype(np.int64)
        return np.where(codes >= 0, codes, len(self.pathways))

    def everywhere(self, row: np.ndarray) -> Groups:
        """("all", everybody), then each site with its mask."""
        site = self.site.take(row)
        return [(ALL, np.ones(len(row), dtype=bool)), *((name, site == i) for i, name in enumerate(self.sites))]

    def residents(self, spell: np.ndarray) -> Groups:
        """("residents", their mask), where there are neighbours."""
        if any(locality.neighbour for locality in self.history.place.localities.values()):
            return [(RESIDENTS, self.lives_here[spell])]
        return []

    # acute beds ------------------------------------------------------------------------------------------------------

    @cached_property
    def live(self) -> Stays:
        """Live discharges from wards in the window."""
        return self.ward[self.ward.alive & self.inside(self.ward.left)]

    @cached_property
    def live_everywhere(self) -> Groups:
        """All of these, then each site's."""
        return self.everywhere(self.live.last)

    @cached_property
    def days_late(self) -> np.ndarray:
        """(n,) of these, the date of leaving less the date of recognition; 0 where that never came."""
        recognised = self.history.stamps.recognised[self.live.last]
        return np.where(recognised >= 0, self.live.left // 1440 - recognised // 1440, 0)

    @cached_property
    def late_people(self) -> LatePeople:
        """Live discharges after at least one night, and those who are still delayed when the window ends."""
        history, stamps = self.history, self.history.stamps
        overnight = np.flatnonzero(self.live.nights >= 1)
        recognised, left = stamps.recognised.take(self.delayed), history.left.take(self.delayed)
        waits = self.delayed[np.flatnonzero((recognised < self.end) & (left >= self.end))]
        # Without those still there, whoever closes a service for good would seem to delay nobody.
        so_far = self.end // 1440 - stamps.recognised.take(waits) // 1440
        row = np.concatenate([self.live.last.take(overnight), waits])
        still = np.arange(len(row)) >= len(overnight)
        days = np.concatenate([self.days_late.take(overnight), so_far])
        return LatePeople(row, history.spell.take(row), days, still)

    @cached_property
    def charges(self) -> Charges:
        """The delay in wards, by cause."""
        return charge(self.history, self.delayed, self.start, self.end)

    @cached_property
    def occupied(self) -> np.ndarray:
        """(sites and one more for none, days of the run) people in wards at 23:59."""
        history, n = self.history, len(self.sites) + 1
        row = np.flatnonzero(self.in_ward & (history.stamps.started >= 0))
        started, left = history.stamps.started.take(row), history.left.take(row)
        return count_each_day(self.site.take(row), n, started, left, history.days)

    @cached_property
    def late(self) -> np.ndarray:
        """(sites and one more for none, pathways and one more for none, days of the run) people delayed at 23:59."""
        history, row = self.history, self.delayed
        n, n_pathways = len(self.sites) + 1, len(self.pathways) + 1
        group = self.site.take(row).astype(np.int64) * n_pathways + self.pathway_of(history.spell.take(row))
        recognised = history.stamps.recognised.take(row)
        end = np.maximum(history.left.take(row), recognised)
        return count_each_day(group, n * n_pathways, recognised, end, history.days).reshape(n, n_pathways, -1)

    # emergency departments and services ------------------------------------------------------------------------------

    @cached_property
    def out_of_ed(self) -> Stays:
        """Stays in an emergency department that ended in the window."""
        return self.stays.of(self.in_ed & self.inside(self.history.left))

    @cached_property
    def ed_minutes(self) -> np.ndarray:
        """(n,) how long each of these was, from arriving."""
        return self.out_of_ed.left - self.history.stamps.joined.take(self.out_of_ed.first)

    @cached_property
    def admitted(self) -> np.ndarray:
        """Which of these stays ended in going to a ward: their places among them."""
        stays = self.out_of_ed
        some = np.flatnonzero(stays.after >= 0)
        moved = self.history.stamps.ended.take(stays.last.take(some)) == MOVED_ON
        return some[moved & self.in_ward.take(stays.after.take(some))]

    @cached_property
    def queues(self) -> Queues:
        """What each queue did."""
        return Queues(self.history, self.start, self.end)
