"""The national set, past and present: what the Better Care Fund and the social care outcomes framework ask for.

Rates are per 100,000 of the population that the place declares (`metrics`), and count the place's own residents only:
people whose locality is no neighbour's. Where a place does not say how many live there, or who counts, there is no row;
`missing` tells which and why. Shares and means are of everybody in the place's hospitals, by site, and of the residents
where there are neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from flowsim.engine.stamps import DIED
from flowsim.measures.history import History
from flowsim.measures.services import WHOLE, Value, percent, ratio
from flowsim.measures.stays import EveryStay, Stays, counts_as_home, has_level, in_slots
from flowsim.model.calendar import DAY
from flowsim.model.tables import NUMBERS_A_PERSON
from flowsim.place import NOT_APPLICABLE, OTHER, Place, Table

ALL = "all"
RESIDENTS = "residents"
"""People who live in the place under study, where there are neighbours."""
PER = 100_000
MONTHS_A_YEAR, QUARTERS_A_YEAR, YEAR_DAYS = 12, 4, 365
AFTER_REABLEMENT = 91 * DAY
SIX_MONTHS = 182 * DAY
LONG_STAYS = (14, 21)
"""Days from which a stay is long; the share of beds held for 21 days or more is a headline measure."""

Everywhere = Callable[[np.ndarray], list[tuple[str, np.ndarray]]]
"""Rows -> ("all", everybody), then each site with its mask."""

NEEDED: dict[str, tuple[str, ...]] = {
    "dtoc_days_a_month": ("population.adults",),
    "dtoc_days_a_quarter": ("population.adults",),
    "dtoc_beds": ("population.adults",),
    "avoidable_admissions": ("population.adults", "avoidable"),
    "emergency_admissions_65": ("population.aged_65_and_over", "aged_65_and_over"),
    "falls_admissions_65": ("population.aged_65_and_over", "aged_65_and_over", "falls"),
    "residential_admissions_65": ("population.aged_65_and_over", "aged_65_and_over"),
    "home_at_91_days_share": ("aged_65_and_over",),
}
"""What of `metrics` a place has to declare for a measure to be made."""


def missing(place: Place) -> dict[str, tuple[str, ...]]:
    """The national measures that this place does not declare enough for, and what of `metrics` it would have to."""
    found = {name: tuple(key for key in keys if _declared(place, key) is None) for name, keys in NEEDED.items()}
    return {name: keys for name, keys in found.items() if keys}


def _declared(place: Place, key: str) -> float | Table | None:
    of, _, name = key.rpartition(".")
    found: float | Table | None = getattr(place.metrics.population if of else place.metrics, name)
    return found


class National:
    """The national measures within [start, end); each method gives (measure, where, of, value) in a fixed order.

    Args:
        history: what happened.
        stays: all stays; ward: those in acute beds.
        delayed: rows in acute beds that were recognised.
        home: which of the live discharges from acute beds within the minutes that count went back to where they lived.
        emergency: (N,) bool, which spells began with an emergency.
        everywhere: the groups of rows that measures of hospitals are given for.
        start, end: the minutes that count.
    """

    def __init__(
        self,
        history: History,
        stays: EveryStay,
        ward: Stays,
        delayed: np.ndarray,
        home: np.ndarray,
        emergency: np.ndarray,
        everywhere: Everywhere,
        start: int,
        end: int,
    ) -> None:
        self.history, self.stays, self.ward = history, stays, ward
        self.delayed, self.home, self.emergency, self.start, self.end = delayed, home, emergency, start, end
        self.days = (end - start) / DAY
        self.missing = missing(history.place)
        self.lives_here = _lives_here(history)
        self.groups = everywhere(ward.last)
        if any(locality.neighbour for locality in history.place.localities.values()):
            self.groups.append((RESIDENTS, self.lives_here[ward.spell]))
        inside = self._inside(ward.left)
        self.nights = ward.nights
        self.over = np.flatnonzero(inside)
        self.live = np.flatnonzero(ward.alive & inside)
        self.overnight = self.live[np.flatnonzero(self.nights[self.live] >= 1)]

    def values(self) -> Iterator[Value]:
        """Every measure of the place, in order."""
        yield from self._delayed_transfers()
        yield from self._discharge_ready_date()
        yield from self._long_stays()
        yield from self._admissions()
        yield from self._residential_admissions()
        yield from self._home_after_reablement()
        yield from self._outcomes()

    # who counts ------------------------------------------------------------------------------------------------------

    def _inside(self, minute: np.ndarray) -> np.ndarray:
        return (minute >= self.start) & (minute < self.end)

    def _groups(self, stays: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """Everybody, each site and, where there are neighbours, the residents: names and masks of some ward stays."""
        return [(where, here[stays]) for where, here in self.groups]

    def _rate(self, name: str, weight: float, of: str, times_a_year: float = 1) -> Iterator[Value]:
        """So many in the window as a rate per 100,000 and year (or month), where the place declares what it needs."""
        population = _declared(self.history.place, f"population.{of}")
        if name not in self.missing and isinstance(population, (int, float)):
            people = population * self.history.place.run.scale
            yield name, ALL, WHOLE, weight / self.days * YEAR_DAYS / times_a_year / people * PER

    def _counted(self, measure: str, spell: np.ndarray) -> np.ndarray:
        """The share of each of these people that counts by a table of `metrics`, nothing where there is none: (n,)."""
        table = _declared(self.history.place, measure)
        return shares(self.history, table, spell) if isinstance(table, Table) else np.zeros(len(spell))

    # delay and long stays --------------------------------------------------------------------------------------------

    def _nights(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Nights of the window (23:59) between two minutes."""
        days = self.start // DAY, self.end // DAY
        return np.maximum(np.clip(last // DAY, *days) - np.clip(first // DAY, *days), 0)

    def _delayed_transfers(self) -> Iterator[Value]:
        rows = self.delayed[np.flatnonzero(self.lives_here[self.history.spell[self.delayed]])]
        nights = float(self._nights(self.history.stamps.recognised[rows], self.history.left[rows]).sum())
        yield from self._rate("dtoc_days_a_month", nights, "adults", MONTHS_A_YEAR)
        yield from self._rate("dtoc_days_a_quarter", nights, "adults", QUARTERS_A_YEAR)
        yield from self._rate("dtoc_beds", nights, "adults", YEAR_DAYS)

    def _discharge_ready_date(self) -> Iterator[Value]:
        recognised = self.history.stamps.recognised[self.ward.last[self.overnight]]
        late = np.where(recognised >= 0, self.ward.left[self.overnight] // DAY - recognised // DAY, 0)
        for where, here in self._groups(self.overnight):
            lost = float(late @ here)
            yield "drd_days_mean", where, WHOLE, ratio(lost, float(here.sum()))
            yield "drd_on_day_share", where, WHOLE, percent(late == 0, here)
            if where == RESIDENTS:
                yield "delay_days_mean", where, WHOLE, ratio(lost, float((here & (late >= 1)).sum()))

    def _long_stays(self) -> Iterator[Value]:
        started, left = self.ward.started, self.ward.left
        nights = self._nights(started, left)
        long = self._nights((started // DAY + LONG_STAYS[0]) * DAY, left)
        for where, here in self.groups:
            yield "los_14_plus_share", where, WHOLE, 100 * ratio(float(long @ here), float(nights @ here))
        stay = self.nights[self.overnight]
        for where, here in self._groups(self.overnight):
            for days in LONG_STAYS:
                yield f"los_{days}_plus_discharges", where, WHOLE, percent(stay >= days, here)

    # admissions ------------------------------------------------------------------------------------------------------

    def _admissions(self) -> Iterator[Value]:
        came = self.stays.of(self.history.rows_with("ward", "same_day"))
        first, spell = self.history.by_time(came.first)
        one = _first_of_each(spell)  # a day in same-day care that ends in a bed is one admission
        first, spell = first.take(one), spell.take(one)
        counts = self._inside(self.history.stamps.started.take(first)) & ~self.history.initial.take(first)
        spell = spell[np.flatnonzero(counts & self.emergency.take(spell) & self.lives_here.take(spell))]
        older = self._counted("aged_65_and_over", spell)
        avoidable, falls = self._counted("avoidable", spell), self._counted("falls", spell)
        yield from self._rate("avoidable_admissions", float(avoidable.sum()), "adults")
        yield from self._rate("emergency_admissions_65", float(older.sum()), "aged_65_and_over")
        yield from self._rate("falls_admissions_65", float((older * falls).sum()), "aged_65_and_over")

    def _residential_admissions(self) -> Iterator[Value]:
        """Nobody is admitted twice: who comes back from hospital to a care home comes home."""
        homes = self.stays.of(self.history.rows_with("care_home"))
        first, spell = self.history.by_time(homes.first)
        one = _first_of_each(self.history.journeys.spells.number[spell] // NUMBERS_A_PERSON)
        first, spell = first[one], spell[one]
        counts = self._inside(self.history.stamps.started[first]) & ~self.history.initial[first]
        counts &= self.lives_here[spell] & ~has_level(self.history, "care_home_resident", "yes")[spell]
        spell = spell[np.flatnonzero(counts)]
        older = float(self._counted("aged_65_and_over", spell).sum())
        yield from self._rate("residential_admissions_65", older, "aged_65_and_over")

    # afterwards ------------------------------------------------------------------------------------------------------

    def _home_after_reablement(self) -> Iterator[Value]:
        if "home_at_91_days_share" in self.missing:
            return
        after, left = self.ward.after[self.live], self.ward.left[self.live]
        to_reablement = (after >= 0) & in_slots(self.history)[self.history.service[after]]
        which = self.live[np.flatnonzero(to_reablement & (left < self.end - AFTER_REABLEMENT))]
        cases = self.ward[which]
        home = at_home(self.history, cases.spell, cases.left + AFTER_REABLEMENT)
        weight = self._counted("aged_65_and_over", cases.spell)
        for where, here in self._groups(which):
            yield (
                "home_at_91_days_share",
                where,
                WHOLE,
                100 * ratio(float(weight @ (here & home)), float(weight @ here)),
            )

    def _outcomes(self) -> Iterator[Value]:
        left = self.ward.left[self.live]
        back = self.history.returned[self.ward.spell[self.live]]
        again = (back >= left) & (back - left <= SIX_MONTHS)
        followed = left < self.end - SIX_MONTHS
        for where, here in self._groups(self.live):
            yield "readmission_6_month_share", where, WHOLE, percent(again, here & followed)
            if where == RESIDENTS:
                yield "usual_residence_share", where, WHOLE, percent(self.home, here)
        died = self.history.stamps.ended[self.ward.last[self.over]] == DIED
        for where, here in self._groups(self.over):
            yield "deaths_share_of_discharges", where, WHOLE, percent(died, here)


# ---------------------------------------------------------------------------------------------------------------------
# People


def _lives_here(history: History) -> np.ndarray:
    """(N,) bool: whose spell is of somebody who lives in the place under study; everybody where nothing says."""
    words = history.journeys.levels.get("locality", ())
    localities = history.place.localities
    elsewhere = [i for i, word in enumerate(words) if word in localities and localities[word].neighbour]
    if not elsewhere or "locality" not in history.journeys.attributes:
        return np.ones(len(history.journeys.spells.number), dtype=bool)
    lives_in = history.journeys.attributes["locality"]
    return np.isin(lives_in, np.array(elsewhere, dtype=lives_in.dtype), invert=True, kind="sort")


def shares(history: History, table: Table, spell: np.ndarray) -> np.ndarray:
    """What a table of `metrics` says of each spell's person: (n,) float64; 0 where it says nothing."""
    if table.times:
        return np.prod([shares(history, factor, spell) for factor in table.times.values()], axis=0)
    if table.by is None:
        return np.full(len(spell), float(table.leaf))
    if table.by not in history.journeys.attributes:
        return np.zeros(len(spell))
    words = (*history.journeys.levels[table.by], NOT_APPLICABLE)  # the last is code -1
    codes = history.journeys.attributes[table.by][spell]
    cells = [table.cells.get(word, table.cells.get(OTHER)) for word in words]
    if all(cell is None or (cell.by is None and not cell.times) for cell in cells):
        return np.array([0.0 if cell is None else float(cell.leaf) for cell in cells])[codes]
    found = np.zeros(len(spell))
    for code, cell in enumerate(cells):
        here = np.flatnonzero(codes == (code if code < len(words) - 1 else -1))
        if cell is not None and len(here):
            found[here] = shares(history, cell, spell[here])
    return found


def _first_of_each(group: np.ndarray) -> np.ndarray:
    """Positions of the first entry of each run of equal numbers."""
    return np.flatnonzero(np.append(True, group[1:] != group[:-1])[: len(group)])


def at_home(history: History, spell: np.ndarray, minute: np.ndarray) -> np.ndarray:
    """(n,) bool: was each spell's person at home at that minute, with or without care, readmissions looked through?

    Not at home are those in an acute bed, a community bed or a care home, who left a care home, and the dead. The
    spells must have started a row by then.
    """
    stamps, number = history.stamps, history.journeys.spells.number
    last_spell = np.searchsorted(number, (number[spell] // NUMBERS_A_PERSON + 1) * NUMBERS_A_PERSON) - 1
    now = history.row_at(spell, last_spell, minute)
    service = history.service[now]
    gone = (stamps.left[now] >= 0) & (stamps.left[now] <= minute)
    home = counts_as_home(history)
    left_for_home = (stamps.ended[now] != DIED) & ~history.queues_with("care_home")[service]
    return np.where(gone, left_for_home, home[service])
