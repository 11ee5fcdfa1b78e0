"""People as columns: what is known of each, and what a place's tables say of them."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flowsim.model.calendar import DAY
from flowsim.model.days import bank_holidays, dates_of
from flowsim.model.tables import NONE, NUMBERS_A_PERSON
from flowsim.place import (
    INITIAL,
    NOT_APPLICABLE,
    OTHER,
    Choice,
    Conditions,
    Period,
    Place,
    PlaceError,
    Table,
    once_a_place,
    period_levels,
    spans_on,
)
from flowsim.place.ways import settings_of

CODE = np.int16
"""The type of attributes: small, since everybody has a dozen."""


# ---------------------------------------------------------------------------------------------------------------------
# What is known of people


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
        rule: what remains of their stay, an index into `RULES`; -1 of all others in their batch.
        state: an index into `STATES`; 0 of all others.
        elapsed: minutes they have been in that state, where this is known; float64.
        next: code of the stage they go to next, int16; -1 for none, or where it does not matter.
        stage_code: of every stage, for looking up.
    """

    rule: np.ndarray
    state: np.ndarray
    elapsed: np.ndarray
    next: np.ndarray
    stage_code: dict[str, int]

    def __getitem__(self, who: np.ndarray) -> Found:
        return Found(self.rule[who], self.state[who], self.elapsed[who], self.next[who], self.stage_code)

    @classmethod
    def nobody(cls, n: int, stage_code: dict[str, int]) -> Found:
        """What is said of n people who come later."""
        code = np.full(n, NONE, dtype=np.int8)
        return cls(code, np.zeros(n, dtype=np.int8), np.zeros(n), np.full(n, NONE, dtype=CODE), stage_code)


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
        dates = dates_of(place) if place.periods else []
        free = bank_holidays(place, dates)
        self._by_minute = {name: self._codes_of(name, period, dates, free) for name, period in place.periods.items()}

    def of_periods(self, minute: np.ndarray) -> dict[str, np.ndarray]:
        """The level of each period for people who come in these minutes: (n,) codes by name."""
        return {name: codes[kind[minute // DAY], minute % DAY] for name, (kind, codes) in self._by_minute.items()}

    def people(
        self, person: np.ndarray, minute: np.ndarray, stream: str, at: str, unit: str, settings: dict[str, str]
    ) -> People:
        """People by their indices in the cohort and minutes of arrival, (n,) each; `settings` are settled for all."""
        n = len(person)
        codes = {name: np.full(n, NONE, dtype=CODE) for name in ("site", "locality")}
        codes |= self.of_periods(minute)
        codes["stream"] = np.full(n, self.levels.code("stream", stream), dtype=CODE)
        if at in ("site", "locality") and unit:
            codes[at] = np.full(n, self.levels.code(at, unit), dtype=CODE)
        settled = {k: np.full(n, self.levels.code(k, v), dtype=CODE) for k, v in settings.items()}
        people = People(person * NUMBERS_A_PERSON, minute, codes | settled, np.zeros(n, dtype=np.int64))
        people.person_codes = {**{k: v for k, v in codes.items() if k != "stream"}, **settled}
        return people

    def _codes_of(
        self, name: str, period: Period, dates: list[dt.date], free: set[dt.date]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Which kind of day each is, (days,), and the code of the level in each minute of every kind, (kinds, DAY)."""
        spans = [tuple(spans_on(period, date, date in free)) for date in dates]
        kinds = {kind: place for place, kind in enumerate(dict.fromkeys(spans))}
        codes = np.full((len(kinds), DAY), NONE, dtype=CODE)
        for kind, place in kinds.items():
            for level, begin, end in kind:
                codes[place, begin:end] = self.levels.code(name, level)
        return np.array([kinds[of_day] for of_day in spans], dtype=np.int64), codes


# ---------------------------------------------------------------------------------------------------------------------
# Some people of a batch


Who = np.ndarray | slice
"""Some people of a batch (or some rows of a sheet): their positions in it, (n,) intp; or, where they stand one behind
the other, a slice with both its ends: their columns are then read where they are, and not copied."""
EVERYBODY = slice(None)
"""All people of a batch; the one slice without ends."""


def size(who: Who) -> int:
    """How many these are; not to be asked of `EVERYBODY`, which depends on the batch."""
    return who.stop - who.start if isinstance(who, slice) else len(who)


def how_many(people: People, who: Who) -> int:
    """How many of the people of a batch `who` stands for."""
    return len(people) if who is EVERYBODY else size(who)


def of(column: np.ndarray, who: Who) -> np.ndarray:
    """What a column of a batch says of `who`, in their order: (number of `who`,); a view where they are a slice."""
    return column[who] if isinstance(who, slice) else column.take(who)


def positions(mask: np.ndarray) -> Who:
    """Where a mask holds, ascending."""
    n = int(np.count_nonzero(mask))
    begin = int(mask.argmax()) if n else 0
    return slice(begin, begin + n) if mask[begin : begin + n].all() else mask.nonzero()[0]


def among(who: Who, some: Who) -> Who:
    """Some of `who`, given by their positions among these."""
    if isinstance(who, slice):
        return moved(some, who.start)
    return of(who, some)


def moved(who: Who, by: int) -> Who:
    """The same, where so many stand before them."""
    return slice(who.start + by, who.stop + by) if isinstance(who, slice) else who + by if by else who


def one_behind_the_other(parts: list[Who]) -> Who:
    """Several of them as one, in this order."""
    parts = [part for part in parts if size(part)] or parts[:1]
    runs = [part for part in parts if isinstance(part, slice)]
    if len(runs) == len(parts) and all(a.stop == b.start for a, b in itertools.pairwise(runs)):
        return slice(runs[0].start, runs[-1].stop)
    return np.concatenate([np.arange(p.start, p.stop) if isinstance(p, slice) else p for p in parts])


# ---------------------------------------------------------------------------------------------------------------------
# Tables and choices laid out


def matching(conditions: Conditions, people: People, who: Who, levels: Levels) -> np.ndarray:
    """Who of `who` meets every condition: (number of `who`,) bool."""
    masks = [_has_one_of(levels, name, wanted, of(people.codes[name], who)) for name, wanted in conditions.items()]
    return functools.reduce(np.logical_and, masks) if masks else np.ones(how_many(people, who), dtype=bool)


def _has_one_of(levels: Levels, name: str, wanted: str | list[str], codes: np.ndarray) -> np.ndarray:
    options = [wanted] if isinstance(wanted, str) else wanted
    return functools.reduce(np.logical_or, (codes == levels.code(name, option) for option in options))


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
        says_something = self._silent.reshape(shape)[tuple(slice(1, None) for _ in shape)]
        self._complete = not self._silent.any()
        self._complete_where_it_applies = (
            all_apart and not says_something.any()
        )  # to people of whom every attribute is known
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
        """Which entry is that of each of `who`: (number of `who`,) intp, or one of a table that asks nothing of them.
        Raises PlaceError where the table says nothing of somebody."""
        index: Any = self._first
        complete = self._complete or self._complete_where_it_applies
        for name, step in self._steps.items():
            codes = of(people.codes[name], who)
            index = index + (codes * step if isinstance(step, int) else step.take(codes))
            complete = complete and (self._complete or codes.min(initial=0) >= 0)
        if self._steps:
            index = index.astype(np.intp, copy=False)  # once, since several things may be taken by it
        if not complete and (missing := self._silent.take(index)).any():
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
    """The same, or one value where the table asks nothing of anybody: (number of `who` or 1,) float64. Of a table of
    anything but numbers, which of its leaves it is."""
    if table.times:
        factors = (numbers_or_one(factor, people, who, levels) for factor in table.times.values())
        return functools.reduce(np.multiply, factors)
    if table.by is None:
        return np.array([table.leaf if isinstance(table.leaf, float) else 0.0])
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


class Split:
    """A choice by shares laid out: the bounds between its options, for every combination of levels told apart.

    Attributes:
        is_certain: whether nothing is left to chance: one option has everybody, whatever they are.
    """

    def __init__(self, name: str, choice: Choice, levels: Levels) -> None:
        assert choice.shares is not None
        self._lookup = levels.lookup(choice.shares)
        shares = [list(_shares(leaf, choice).values()) for leaf in self._lookup.leaves]
        bounds = np.cumsum(shares, axis=1)[:, :-1]
        self._bounds = bounds[self._lookup.leaf].T.copy()
        self._codes = np.array([levels.code(name, option) for option in choice.options], dtype=CODE)
        self._steps = np.diff(self._codes)
        self.is_certain = bool(((bounds <= 0) | (bounds >= 1)).all())  # a uniform is neither 0 nor 1

    def certain(self, people: People, who: Who) -> np.ndarray:
        """The codes of the options of `who` where the split is certain, whatever their uniforms: (number of `who`,)
        `CODE`, or one. Raises PlaceError where the table of shares says nothing of somebody."""
        return self._codes[np.sum(self._bounds <= 0, axis=0)].take(self._lookup.index(people, who))

    def at(self, u: np.ndarray, people: People, who: Who) -> np.ndarray:
        """The codes of the options in which the uniforms `u` of `who` fall: (number of `who`,) float64 in, `CODE` out.
        Raises PlaceError where the table of shares says nothing of somebody."""
        index = self._lookup.index(people, who)
        codes = np.full(len(u), self._codes[0])
        for bound, step in zip(self._bounds, self._steps, strict=True):
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


def subset(people: People, who: np.ndarray) -> People:
    """Some people of a batch as one of their own, in the order of `who`, their positions: (n,) of whole numbers."""
    return People(
        people.number.take(who),
        people.arrival.take(who),
        {k: v.take(who) for k, v in people.codes.items()},
        people.first.take(who),
        {k: v.take(who) for k, v in people.person_codes.items()},
        None if people.found is None else people.found[who],
    )


def together(batches: list[People]) -> People:
    """Several groups of people as one batch; an attribute that one group lacks does not apply to it."""
    batches = [b for b in batches if len(b)] or batches[:1]
    if len(batches) == 1:
        return batches[0]
    if not batches:
        none = np.zeros(0, dtype=np.int64)
        return People(none, none, dict.fromkeys(("stream", "site", "locality"), none.astype(CODE)), none)
    codes, person_codes = [b.codes for b in batches], [b.person_codes for b in batches]
    known = {name: _gathered(name, batches, codes) for name in dict.fromkeys(itertools.chain(*codes))}
    settled = {}
    for name in dict.fromkeys(itertools.chain(*person_codes)):
        same = all(b.person_codes.get(name) is b.codes.get(name) for b in batches)  # nothing is decided of it yet
        settled[name] = known[name] if same else _gathered(name, batches, person_codes)
    return People(
        np.concatenate([b.number for b in batches]),
        np.concatenate([b.arrival for b in batches]),
        known,
        np.concatenate([b.first for b in batches]),
        settled,
        _found_together(batches),
    )


def _gathered(name: str, batches: list[People], of: list[dict[str, np.ndarray]]) -> np.ndarray:
    """One attribute of several batches; where a batch lacks it, it does not apply."""
    return np.concatenate(
        [d[name] if name in d else np.full(len(b), NONE, dtype=CODE) for d, b in zip(of, batches, strict=True)]
    )


def _found_together(batches: list[People]) -> Found | None:
    stage_code = next((b.found.stage_code for b in batches if b.found is not None), None)
    if stage_code is None:
        return None
    each = [Found.nobody(len(b), stage_code) if b.found is None else b.found for b in batches]
    rule, state, elapsed, after = (
        np.concatenate([getattr(f, name) for f in each]) for name in ("rule", "state", "elapsed", "next")
    )
    return Found(rule, state, elapsed, after, stage_code)
