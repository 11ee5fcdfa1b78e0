"""People as columns: what is known of each, what is decided about each, and what their uniforms mean in a place.

Exact and vectorised; no randomness is made here (that is the cohort's). A batch of people is planned by one place's
tables: inverse CDFs turn a person's uniform for a purpose into an option, a stay or a number of hours.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import log_ndtr, ndtri, ndtri_exp

from flowsim.model.calendar import DAY
from flowsim.model.cohort import Cohort
from flowsim.model.journeys import MOST, NONE, NUMBERS_A_PERSON
from flowsim.place import (
    INITIAL,
    NOT_APPLICABLE,
    OTHER,
    UNIT_MINUTES,
    Choice,
    Conditions,
    Distribution,
    Lognormal,
    Period,
    Place,
    PlaceError,
    Planned,
    Service,
    Stage,
    Table,
    levels_on,
    once_a_place,
    period_levels,
)
from flowsim.rules import settings_of

CODE = np.int16
"""The type of attributes: small, since everybody has a dozen."""


# ---------------------------------------------------------------------------------------------------------------------
# People, tables and distributions


Column = np.ndarray | int
"""A value for each of some people: an array of whole numbers, or one number when it is the same for all."""


RULES = ("stationary", "uniform_of_stay", "beyond_elapsed", "over")
"""What is left of a stay at the start: of a person found there in the long run (a length-biased stay, cut at a uniform
moment); a uniform moment of a stay of one's own; of a stay known to have lasted so long already; nothing."""
STATES = ("in_stage", "ready", "waiting")
"""How people are found in a stage: it goes on; it is over, recognised as such, and tasks are to be done before the next
is asked for; these are done too, and they queue."""


@dataclass
class Found:
    """How people of a caseload were found at the start, in the stage they were in then; (n,) each.

    Attributes:
        rule: what remains of their stay, an index into `RULES`.
        state: an index into `STATES`.
        elapsed: minutes they have been in that state, where this is known; float64.
        next: code of the stage they go to next; -1 for none, or where it does not matter.
        stage_code: of every stage, for looking up.
    """

    rule: np.ndarray
    state: np.ndarray
    elapsed: np.ndarray
    next: np.ndarray
    stage_code: dict[str, int]

    def __getitem__(self, who: np.ndarray) -> Found:
        return Found(self.rule[who], self.state[who], self.elapsed[who], self.next[who], self.stage_code)


@dataclass
class People:
    """A batch: spell numbers, minutes of arrival (-1 for readmissions) and attributes as level codes, all (n,)."""

    number: np.ndarray
    arrival: np.ndarray
    codes: dict[str, np.ndarray]
    first: np.ndarray  # stage codes
    person_codes: dict[str, np.ndarray] = field(default_factory=dict)  # attributes that are settled already
    found: Found | None = None  # of an initial caseload

    def __len__(self) -> int:
        return len(self.number)


class Levels:
    """The words of each attribute and their codes; the same for a place and the place before its scenario."""

    def __init__(self, places: list[Place]) -> None:
        self.words: dict[str, dict[str, int]] = {}
        self._lookups: dict[int, tuple[Table, Lookup]] = {}  # each with its table, whose id so stays its own
        self._splits: dict[int, tuple[Choice, Split]] = {}  # likewise
        for place in places:
            self._add("stream", [*place.streams, INITIAL])
            self._add("site", place.sites)
            self._add("locality", place.localities)
            for name, period in place.periods.items():
                self._add(name, period_levels(period))
            for name, choice in place.choices.items():
                self._add(name, choice.options)
            for settings in settings_of(place):
                for name, level in settings.items():
                    self._add(name, [level])

    def _add(self, name: str, words: object) -> None:
        known = self.words.setdefault(name, {})
        for word in words:  # type: ignore[attr-defined]
            known.setdefault(str(word), len(known))

    def lookup(self, table: Table) -> Lookup:
        """A table laid out for these codes; once, since it is asked for every batch of people."""
        if id(table) not in self._lookups:
            self._lookups[id(table)] = (table, Lookup(table, self))
        return self._lookups[id(table)][1]

    def split(self, name: str, choice: Choice) -> Split:
        """A choice by shares laid out for these codes, once."""
        if id(choice) not in self._splits:
            self._splits[id(choice)] = (choice, Split(name, choice, self))
        return self._splits[id(choice)][1]

    def code(self, name: str, level: str) -> int:
        """-1 for the level that means: does not apply."""
        return NONE if level == NOT_APPLICABLE else self.words[name][level]


@once_a_place
def levels_of(place: Place) -> Levels:
    """The levels of a place and of the place before its scenario, with the tables of both laid out for them."""
    return Levels([place, place.before or place])


class Roster:
    """Makes people with what is known of them when they come to a place: stream, site, locality, periods."""

    def __init__(self, place: Place, levels: Levels) -> None:
        self.levels = levels
        days = [place.run.date_of(day * DAY) for day in range(place.run.all_days)] if place.periods else []
        self.by_day = {name: self._codes_on(name, period, days) for name, period in place.periods.items()}

    def people(
        self, person: np.ndarray, minute: np.ndarray, stream: str, at: str, unit: str, settings: dict[str, str]
    ) -> People:
        """People by their indices in the cohort and minutes of arrival, (n,) each; `settings` are settled for all."""
        n = len(person)
        codes = {name: np.full(n, NONE, dtype=CODE) for name in ("site", "locality")}
        codes |= {name: by_day[minute // DAY] for name, by_day in self.by_day.items()}
        codes["stream"] = np.full(n, self.levels.code("stream", stream), dtype=CODE)
        if at in ("site", "locality") and unit:
            codes[at] = np.full(n, self.levels.code(at, unit), dtype=CODE)
        settled = {k: np.full(n, self.levels.code(k, v), dtype=CODE) for k, v in settings.items()}
        people = People(person * NUMBERS_A_PERSON, minute, codes | settled, np.zeros(n, dtype=np.int64))
        people.person_codes = {**{k: v for k, v in codes.items() if k != "stream"}, **settled}
        return people

    def _codes_on(self, name: str, period: Period, days: list[dt.date]) -> np.ndarray:
        """The level of a period on each day: (days,) codes."""
        held = (levels_on(period, day) for day in days)
        return np.array([self.levels.code(name, levels[0]) if levels else NONE for levels in held], dtype=CODE)


Who = np.ndarray | slice
"""Some people of a batch: their positions in it, or `EVERYBODY`."""
EVERYBODY = slice(None)
"""Stands for the positions of all people of a batch: their columns are then read where they are, and not copied."""


def how_many(people: People, who: Who) -> int:
    return len(people) if isinstance(who, slice) else len(who)


def of(column: np.ndarray, who: Who) -> np.ndarray:
    """What a column of a batch says of `who`, in their order."""
    return column[who] if isinstance(who, slice) else column.take(who)


def matching(conditions: Conditions, people: People, who: Who, levels: Levels) -> np.ndarray:
    """Who of `who` meets every condition: (number of `who`,) bool."""
    mask = np.ones(how_many(people, who), dtype=bool)
    for name, wanted in conditions.items():
        codes = of(people.codes[name], who)
        options = [wanted] if isinstance(wanted, str) else wanted
        mask &= functools.reduce(np.logical_or, (codes == levels.code(name, option) for option in options))
    return mask


FEW_COMBINATIONS = 4096
"""A table laid out for every code of its attributes has no more entries: they are then found by arithmetic alone,
which codes of two bytes can hold."""


class Lookup:
    """A table laid out flat: an entry for every combination of the levels that it tells apart.

    Attributes:
        leaves: the table's leaves.
        entries: (combinations,) float64: the number, or, of a table of anything else, which of the leaves it is; NaN
            where the table says nothing.
    """

    def __init__(self, table: Table, levels: Levels) -> None:
        self._levels = levels
        self.leaves = list(table.leaves())
        self._place_of = {id(leaf): float(place) for place, leaf in enumerate(self.leaves)}
        self._codes: dict[str, list[int | None]] = {}  # those told apart by attribute; None, the first, for all others
        for node in table.nodes():
            if node.by is not None:
                earlier = self._codes.get(node.by, [])
                self._codes[node.by] = [*dict.fromkeys((None, *earlier, *self._cells(node)))]
        every: dict[str, list[int | None]] = {name: [NONE, *range(len(levels.words[name]))] for name in self._codes}
        all_apart = math.prod(len(codes) for codes in every.values()) <= FEW_COMBINATIONS
        if all_apart:
            self._codes = every
        shape = [len(codes) for codes in self._codes.values()]
        self.entries = np.broadcast_to(self._laid_out(table, {}), shape).reshape(-1)
        self._silent = np.isnan(self.entries)
        self._complete = not self._silent.any()
        self._first = 0  # the index of an entry is this and what each code adds: itself times so much, or as is told
        self._steps: dict[str, int | np.ndarray] = {}
        size = len(self.entries)
        for name, codes in self._codes.items():
            size //= len(codes)
            if all_apart:
                self._first += size  # the code of those to whom the attribute does not apply is -1
                self._steps[name] = size
            else:
                steps = self._steps[name] = np.zeros(len(levels.words[name]) + 1, dtype=np.int64)
                for place, code in enumerate(codes):
                    if code is not None:
                        steps[code] = place * size

    def at(self, people: People, who: Who, entries: np.ndarray | None = None) -> np.ndarray:
        """The entry for each of `who`, of these or of others laid out alike. Raises PlaceError where there is none."""
        return (self.entries if entries is None else entries).take(self.index(people, who))

    def index(self, people: People, who: Who) -> np.ndarray | int:
        """Which entry is that of each of `who`. Raises PlaceError where the table says nothing."""
        index: Any = self._first
        for name, step in self._steps.items():
            codes = of(people.codes[name], who)
            index = index + (codes * step if isinstance(step, int) else step.take(codes))
        if not self._complete and (missing := self._silent.take(index)).any():
            raise self._missing({name: of(people.codes[name], who)[missing][0] for name in self._steps})
        return index

    @functools.cached_property
    def leaf(self) -> np.ndarray:
        """(combinations,) which of the leaves holds, of a table of anything but numbers; 0 where nothing is said."""
        return np.where(self._silent, 0, self.entries).astype(np.intp)

    def _cells(self, table: Table) -> dict[int, Table]:
        """The cells of a table by the codes of their levels."""
        assert table.by is not None
        return {self._levels.code(table.by, level): cell for level, cell in table.cells.items() if level != OTHER}

    def _laid_out(self, table: Table, given: dict[str, int | None]) -> np.ndarray:
        """A table with an axis for each attribute, of length 1 where it depends on it no longer: it is `given`."""
        if table.times:
            return functools.reduce(np.multiply, (self._laid_out(factor, given) for factor in table.times.values()))
        if table.by is None:
            number = table.leaf if isinstance(table.leaf, float) else self._place_of[id(table.leaf)]
            return np.full([1] * len(self._codes), number)
        cells, other, parts = self._cells(table), table.cells.get(OTHER), []
        for code in [given[table.by]] if table.by in given else self._codes[table.by]:
            cell = other if code is None else cells.get(code, other)
            nothing = np.full([1] * len(self._codes), np.nan)
            parts.append(nothing if cell is None else self._laid_out(cell, {**given, table.by: code}))
        widest = np.broadcast_shapes(*(part.shape for part in parts))
        axis = list(self._codes).index(table.by)
        return np.concatenate([np.broadcast_to(part, widest) for part in parts], axis=axis)

    def _missing(self, codes: dict[str, int]) -> PlaceError:
        """What to say of somebody with these codes, for whom there is no entry."""
        been = {}
        for name, code in codes.items():
            words = {code: word for word, code in self._levels.words[name].items()}
            been[name] = words.get(int(code), NOT_APPLICABLE)
        by, missing = " and ".join(been), "' and '".join(been.values())
        return PlaceError(f"a table by '{by}' has no entry for '{missing}' and no '{OTHER}'.")


def numbers(table: Table, people: People, who: Who, levels: Levels) -> np.ndarray:
    """A table's value for each of `who`: (number of `who`,) float64."""
    return for_each(numbers_or_one(table, people, who, levels), how_many(people, who))


def numbers_or_one(table: Table, people: People, who: Who, levels: Levels) -> np.ndarray:
    """The same, or one value where the table asks nothing of anybody: (number of `who` or 1,) float64."""
    if table.times:
        factors = (numbers_or_one(factor, people, who, levels) for factor in table.times.values())
        return functools.reduce(np.multiply, factors)
    if table.by is None:
        return np.array([float(table.leaf)])
    return levels.lookup(table).at(people, who)


def for_each(values: np.ndarray, n: int) -> np.ndarray:
    """A value for each of n people, where there may be one for all of them: (n,)."""
    return values if len(values) == n else np.full(n, values[0])


def names(table: Table, people: People, who: Who, levels: Levels, codes: dict[str, int]) -> Column:
    """A table of names for each of `who` as the codes given: (number of `who`,) int64, or one where it is the same."""
    if table.by is None:
        return codes[str(table.leaf)]
    lookup = levels.lookup(table)
    return lookup.at(people, who, np.array([codes[str(leaf)] for leaf in lookup.leaves])[lookup.leaf])


class Sampler:
    """Inverse CDFs for a batch: what a person's uniform means under this place's tables."""

    def __init__(self, people: People, levels: Levels, cohort: Cohort) -> None:
        self.people, self.levels, self.cohort = people, levels, cohort
        self.asked_anew = False  # of people unfit again: what they waited for before the start is behind them

    def uniform(self, purpose: str, who: Who) -> np.ndarray:
        return self.cohort.uniform(purpose, of(self.people.number, who))

    def table(self, table: Table, who: Who) -> np.ndarray:
        return numbers(table, self.people, who, self.levels)

    def _given(self, table: Table, who: np.ndarray) -> np.ndarray:
        return numbers_or_one(table, self.people, who, self.levels)

    def draw(self, what: Distribution, purpose: str, who: np.ndarray) -> np.ndarray:
        """A quantity in minutes (or, without a unit, as it is) for each of `who`: float64."""
        drawn = self._finish(what, purpose, lambda: self._limited(what, self._quantile(what, purpose, who), who))
        return for_each(drawn, len(who))

    def stay(self, stage: Stage, name: str, who: np.ndarray, whole: bool = False) -> np.ndarray:
        """Minutes of a stage's work, at least one, for each of `who`: (len(who),) int32.

        For people of a caseload who are in the stage at the start, what remains of it, or (`whole`) all of it.
        """
        assert stage.duration is not None
        minutes = whole_minutes(self.draw(stage.duration, f"{name}/duration", who))
        found = self.people.found
        if found is not None:
            here = self.people.first[who] == found.stage_code[name]
            for code, rule in enumerate(RULES):
                those = np.flatnonzero(here & (found.rule[who] == code))
                if not len(those):
                    continue
                if rule != "over":
                    left = self._found(stage.duration, f"{name}/duration", who[those], rule, whole)
                    minutes[those] = whole_minutes(left)
                elif not whole:
                    minutes[those] = 1
        return minutes

    def wait(self, what: Distribution, purpose: str, who: np.ndarray, waited: np.ndarray | None) -> np.ndarray:
        """Minutes until something happens to those who wait: (len(who),) int32, at least one.

        `waited`: minutes for which they have waited already without its happening, (len(who),); None for nobody.
        """
        minutes = whole_minutes(self.draw(what, purpose, who))
        so_far = np.flatnonzero(waited) if waited is not None else ()
        if waited is not None and len(so_far):
            left = self._finish(
                what, purpose, lambda: self._beyond(what, purpose, who[so_far], waited[so_far], whole=False)
            )
            minutes[so_far] = whole_minutes(left)
        return minutes

    def waited(self, name: str, who: np.ndarray, queueing: bool = False) -> np.ndarray | None:
        """Minutes since those found ready or waiting in a stage were ready (or began `queueing` for it, where it is the
        stage they go to next): (len(who),) float64; None where nobody was found so, or what follows is asked anew."""
        found = self.people.found
        if found is None or self.asked_anew:
            return None
        code = found.stage_code[name]
        here = (found.next if queueing else self.people.first)[who] == code
        here &= (found.state[who] == STATES.index("waiting")) if queueing else (found.state[who] > 0)
        return np.where(here, found.elapsed[who], 0.0) if here.any() else None

    def state_in(self, name: str, who: np.ndarray) -> np.ndarray | None:
        """How those found in a stage at the start were found, an index into `STATES`, 0 for all others; None where
        nobody was found otherwise."""
        found = self.people.found
        if found is None or self.asked_anew or not found.state.any():
            return None
        return np.where(self.people.first[who] == found.stage_code[name], found.state[who], 0)

    def delayed_before(self, name: str, who: np.ndarray) -> np.ndarray | None:
        """Minutes of delay before the start of those found ready or waiting for this stage: (len(who),) or None."""
        found = self.people.found
        if found is None or self.asked_anew:
            return None
        here = (found.next[who] == found.stage_code[name]) & (found.state[who] > 0)
        return np.where(here, found.elapsed[who], 0.0) if here.any() else None

    def units(self, stage: Stage, name: str, service: Service, who: np.ndarray) -> Column:
        """What each of `who` takes of the service in this stage, in engine units."""
        if stage.units is None:
            return 1
        drawn = self.draw(stage.units, f"{stage.sized_as or name}/units", who) * service.units_each
        return np.clip(np.rint(drawn), 1, MOST).astype(np.int32)

    def _found(self, what: Distribution, purpose: str, who: np.ndarray, rule: str, whole: bool) -> np.ndarray:
        """The stay of people found in it at the start, by the same uniform as a whole one."""

        def values() -> np.ndarray:
            if rule == "beyond_elapsed":
                assert self.people.found is not None
                return self._beyond(what, purpose, who, self.people.found.elapsed[who], whole)
            if rule == "uniform_of_stay":
                stay = self._limited(what, self._quantile(what, purpose, who), who)
                one = 1.0 if what.unit is None else 1440.0 / UNIT_MINUTES[what.unit]
                return stay if whole else one + (stay - one) * self.uniform(f"{purpose}/moment", who)
            stay = self._limited(what, self._length_biased(what, purpose, who), who)
            if what.exponential is None:
                return stay if whole else stay * self.uniform(f"{purpose}/moment", who)
            # an exponential is its own residual: what went before is another such
            return stay + self._quantile(what, f"{purpose}/moment", who) if whole else stay

        return self._finish(what, purpose, values)

    def _beyond(
        self, what: Distribution, purpose: str, who: np.ndarray, minutes: np.ndarray, whole: bool
    ) -> np.ndarray:
        """A time known to last longer than `minutes`: the conditional quantile, less these minutes unless `whole`."""
        elapsed = minutes / (UNIT_MINUTES[what.unit] if what.unit else 1)
        stay = np.maximum(
            self._limited(what, self._quantile_beyond(what, purpose, who, self._drawn(what, elapsed, who)), who),
            elapsed,
        )
        return stay if whole else stay - elapsed

    def _drawn(self, what: Distribution, value: np.ndarray, who: np.ndarray) -> np.ndarray:
        """What has to be drawn for a value: less what is added, and nothing (0) where `least` alone gives it."""
        drawn = value if what.add is None else value - self._given(what.add, who)
        return np.where(value < (what.least or 0.0), 0.0, np.maximum(drawn, 0.0))

    def survival(self, what: Distribution, minutes: np.ndarray, who: np.ndarray) -> np.ndarray:
        """The chance of a time longer than `minutes`, for each of `who`: float64."""
        elapsed = minutes / (UNIT_MINUTES[what.unit] if what.unit else 1)
        x = self._drawn(what, elapsed, who)
        with np.errstate(divide="ignore", invalid="ignore"):
            if what.fixed is not None:
                chance = (self._given(what.fixed, who) > x).astype(np.float64)
            elif what.exponential is not None:
                chance = np.exp(-x / self._given(what.exponential.mean, who))
            elif what.uniform is not None:
                low, high = self._given(what.uniform.low, who), self._given(what.uniform.high, who)
                chance = np.where(high > low, np.clip((high - x) / (high - low), 0, 1), high > x)
            else:
                assert what.lognormal is not None
                mu, sigma = self._lognormal(what.lognormal, who)
                chance = np.exp(log_ndtr(-(np.log(x) - mu) / sigma))
        return np.where(elapsed >= (what.most or np.inf), 0.0, chance)

    def mean(self, what: Distribution, who: np.ndarray) -> np.ndarray:
        """The mean of a distribution without its limits, for each of `who`, in its own unit: float64."""
        if what.fixed is not None:
            mean = self._given(what.fixed, who)
        elif what.exponential is not None:
            mean = self._given(what.exponential.mean, who)
        elif what.uniform is not None:
            mean = (self._given(what.uniform.low, who) + self._given(what.uniform.high, who)) / 2
        else:
            assert what.lognormal is not None
            mu, sigma = self._lognormal(what.lognormal, who)
            mean = np.exp(mu + sigma**2 / 2)
        return for_each(mean if what.add is None else mean + self._given(what.add, who), len(who))

    def _limited(self, what: Distribution, values: np.ndarray, who: np.ndarray) -> np.ndarray:
        if what.add is not None:
            values = values + self._given(what.add, who)
        return values if what.least is None and what.most is None else np.clip(values, what.least, what.most)

    @staticmethod
    def _finish(what: Distribution, purpose: str, values: Callable[[], np.ndarray]) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what is no finite number is refused here
            minutes = values() * (UNIT_MINUTES[what.unit] if what.unit else 1)
        if not np.isfinite(minutes).all():
            raise PlaceError(
                f"place.stages: {purpose!r} comes to {minutes[~np.isfinite(minutes)][0]} for somebody; allowed: tables "
                "that give everybody a finite number."
            )
        return minutes

    def _quantile(self, what: Distribution, purpose: str, who: np.ndarray) -> np.ndarray:
        if what.fixed is not None:
            return self._given(what.fixed, who)
        u = self.uniform(purpose, who)
        if what.exponential is not None:
            return -self._given(what.exponential.mean, who) * np.log1p(-u)
        if what.uniform is not None:
            low, high = self._given(what.uniform.low, who), self._given(what.uniform.high, who)
            return low + (high - low) * u
        assert what.lognormal is not None
        mu, sigma = self._lognormal(what.lognormal, who)
        return np.exp(mu + sigma * ndtri(u))

    def _length_biased(self, what: Distribution, purpose: str, who: np.ndarray) -> np.ndarray:
        """The stay of somebody found in it: density proportional to length. An exponential is its own residual."""
        if what.lognormal is not None:
            mu, sigma = self._lognormal(what.lognormal, who)
            return np.exp(mu + sigma**2 + sigma * ndtri(self.uniform(purpose, who)))
        if what.uniform is not None:
            low, high = self._given(what.uniform.low, who), self._given(what.uniform.high, who)
            return np.sqrt(low**2 + (high**2 - low**2) * self.uniform(purpose, who))
        return self._quantile(what, purpose, who)

    def _quantile_beyond(self, what: Distribution, purpose: str, who: np.ndarray, beyond: np.ndarray) -> np.ndarray:
        """The u-quantile of what is drawn given that it is more than `beyond` (at least that, where it cannot be)."""
        if what.fixed is not None:
            return np.maximum(self._given(what.fixed, who), beyond)
        if what.exponential is not None:
            return beyond + self._quantile(what, purpose, who)
        u = self.uniform(purpose, who)
        if what.uniform is not None:
            low = np.maximum(self._given(what.uniform.low, who), beyond)
            return low + np.maximum(self._given(what.uniform.high, who) - low, 0) * u
        assert what.lognormal is not None
        mu, sigma = self._lognormal(what.lognormal, who)
        surely = (np.log(beyond) - mu) / sigma
        # by the logarithm of the survival function, which is exact however far out in the tail
        z = -ndtri_exp(np.log1p(-u) + log_ndtr(-surely))
        return np.maximum(np.exp(mu + sigma * z), beyond)

    def _lognormal(self, what: Lognormal, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """mu and sigma of the logarithm."""
        mean = None if what.mean is None else self._given(what.mean, who)
        if what.sigma is not None:
            sigma = self._given(what.sigma, who)
        elif what.sd is not None:
            assert mean is not None
            sigma = np.sqrt(np.log1p((self._given(what.sd, who) / mean) ** 2))
        else:
            assert mean is not None
            assert what.median is not None
            sigma = np.sqrt(2 * np.log(mean / self._given(what.median, who)))
        if what.median is not None:
            return np.log(self._given(what.median, who)), sigma
        assert mean is not None
        return np.log(mean) - sigma**2 / 2, sigma


# ---------------------------------------------------------------------------------------------------------------------
# Choices


def decide(place: Place, people: People, levels: Levels, cohort: Cohort, only: set[str] | None = None) -> None:
    """Make every choice (or `only` some) about everybody, in the place's order; adds to `people.codes`."""
    sampler = Sampler(people, levels, cohort)
    for name, choice in place.choices.items():
        if only is not None and name not in only:
            continue
        settled = people.person_codes.get(name)
        codes = np.full(len(people), NONE, dtype=CODE) if settled is None else settled.copy()
        asked = matching(choice.when, people, EVERYBODY, levels)
        if settled is not None:
            asked &= settled == NONE
        if choice.planned is not None:
            who = np.flatnonzero(asked)
            codes[who] = _as_planned(name, choice.planned, place, sampler, who)
        elif asked.any():
            some: Who = EVERYBODY if asked.all() else np.flatnonzero(asked)
            codes[some] = _options(name, choice, sampler, some)
        people.codes[name] = codes


def asked_for(place: Place, tables: Iterable[Table], choices: Iterable[str] = ()) -> set[str]:
    """The choices that have to be made before these tables can be read, with these choices themselves."""
    found: set[str] = set()
    asked = {node.by for table in tables for node in table.nodes() if node.by is not None} | set(choices)
    while asked:
        name = asked.pop()
        choice = place.choices.get(name)
        if choice is None or name in found:
            continue
        found.add(name)
        of_choice = [table for table in (choice.shares, choice.chance) if table is not None]
        if choice.planned is not None:
            duration = place.stages[choice.planned.stage].duration
            of_choice += [*choice.planned.below.tables(), *(duration.tables() if duration is not None else ())]
        asked |= {node.by for table in of_choice for node in table.nodes() if node.by is not None} | set(choice.when)
    return found


def _as_planned(name: str, planned: Planned, place: Place, sampler: Sampler, who: np.ndarray) -> np.ndarray:
    """Whose own stay in a stage is planned to be shorter than a time: yes or no, by the stay's own uniform."""
    stage = place.stages[planned.stage]
    yes, no = (sampler.levels.code(name, option) for option in ("yes", "no"))
    try:
        stay = sampler.stay(stage, planned.stage, who, whole=True)
        below = sampler.draw(planned.below, f"choice/{name}", who)
    except PlaceError as mistake:
        raise PlaceError(f"place.choices.{name}.planned: {mistake}") from None
    return np.where(stay < whole_minutes(below), yes, no)


def _options(name: str, choice: Choice, sampler: Sampler, who: Who) -> np.ndarray:
    """The codes of what is chosen for each of `who`: (number of `who`,) `CODE`."""
    u = sampler.uniform(f"choice/{name}", who)
    if choice.chance is None:
        return sampler.levels.split(name, choice).at(u, sampler.people, who)
    yes, no = (CODE(sampler.levels.code(name, option)) for option in ("yes", "no"))
    return no + (yes - no) * (u < sampler.table(choice.chance, who))


class Split:
    """A choice by shares laid out: the bounds between its options, for every combination of levels told apart."""

    def __init__(self, name: str, choice: Choice, levels: Levels) -> None:
        assert choice.shares is not None
        self._lookup = levels.lookup(choice.shares)
        shares = [list(_shares(leaf, choice).values()) for leaf in self._lookup.leaves]
        self._bounds = np.cumsum(shares, axis=1)[self._lookup.leaf, :-1].T.copy()
        self._codes = np.array([levels.code(name, option) for option in choice.options], dtype=CODE)

    def at(self, u: np.ndarray, people: People, who: Who) -> np.ndarray:
        """The codes of the options in which the uniforms of `who` fall."""
        index = self._lookup.index(people, who)
        codes = np.full(len(u), self._codes[0])
        for bound, step in zip(self._bounds, np.diff(self._codes), strict=True):
            codes += step * (u >= bound.take(index))
        return codes


def _shares(leaf: dict[str, float], choice: Choice) -> dict[str, float]:
    """The share of every option of a choice, in their order."""
    return shifted(dict.fromkeys(choice.options, 0.0) | leaf, choice)


def shifted(shares: dict[str, float], choice: Choice) -> dict[str, float]:
    """Shares after the choice's shifts, all taken from the shares before any; order (and so monotonicity) is kept."""
    after = dict(shares)
    for shift in choice.shift.values():
        moved = shares[shift.from_option] * shift.share
        after[shift.from_option] -= moved
        after[shift.to_option] += moved
    return after


# ---------------------------------------------------------------------------------------------------------------------
# Batches


def whole_minutes(values: np.ndarray) -> np.ndarray:
    """Whole minutes, at least one, and small enough to add up."""
    whole = np.rint(values)
    np.maximum(whole, 1, out=whole)
    np.minimum(whole, MOST, out=whole)
    return whole.astype(np.int32)


def subset(people: People, who: np.ndarray) -> People:
    return People(
        people.number.take(who),
        people.arrival.take(who),
        {k: v.take(who) for k, v in people.codes.items()},
        people.first.take(who),
        {k: v.take(who) for k, v in people.person_codes.items()},
        None if people.found is None else people.found[who],
    )


def gathered(name: str, batches: list[People], of: list[dict[str, np.ndarray]]) -> np.ndarray:
    """One attribute of several batches; where a batch lacks it, it does not apply."""
    return np.concatenate(
        [d[name] if name in d else np.full(len(b), NONE, dtype=CODE) for d, b in zip(of, batches, strict=True)]
    )


def together(batches: list[People]) -> People:
    """Several groups of people as one batch; an attribute that one group lacks does not apply to it."""
    batches = [b for b in batches if len(b)]
    if not batches:
        none = np.zeros(0, dtype=np.int64)
        return People(none, none, dict.fromkeys(("stream", "site", "locality"), none.astype(CODE)), none)
    known = list(dict.fromkeys(name for b in batches for name in b.codes))
    settled = list(dict.fromkeys(name for b in batches for name in b.person_codes))

    return People(
        np.concatenate([b.number for b in batches]),
        np.concatenate([b.arrival for b in batches]),
        {name: gathered(name, batches, [b.codes for b in batches]) for name in known},
        np.concatenate([b.first for b in batches]),
        {name: gathered(name, batches, [b.person_codes for b in batches]) for name in settled},
        _found_together(batches),
    )


def _found_together(batches: list[People]) -> Found | None:
    found = [b.found for b in batches if b.found is not None]
    if not found:
        return None
    rule, state, elapsed, after = (
        np.concatenate([getattr(f, name) for f in found]) for name in ("rule", "state", "elapsed", "next")
    )
    return Found(rule, state, elapsed, after, found[0].stage_code)
