"""From people to journeys: a scenario's tables turn each person's uniforms into stages, stays, tasks and needs.

Exact and vectorised: no randomness is made here and no time passes. People are planned in *batches* (those who come
before the policy starts, those after, the initial caseload, each generation of readmissions); within a batch, stages
are visited in topological order, each adding one row for everybody who may reach it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from graphlib import TopologicalSorter

import numpy as np
from scipy.special import ndtri

from flowsim.model.calendar import ALWAYS_OPEN
from flowsim.model.capacity import UNLIMITED, Network, apportion, capacities, queue_name, units_of
from flowsim.model.cohort import GROUPS, LAYERS, Cohort, rate_of
from flowsim.model.journeys import (
    GENERATIONS,
    NONE,
    NUMBERS_A_PERSON,
    ROW_DEFAULTS,
    TRY_NOW,
    Journeys,
    RowTable,
    SpellTable,
    TaskTable,
)
from flowsim.place import (
    ALWAYS,
    INITIAL,
    LEAVE,
    NOT_APPLICABLE,
    OTHER,
    UNIT_MINUTES,
    Choice,
    Conditions,
    Distribution,
    Initial,
    Lognormal,
    Place,
    PlaceError,
    Service,
    Stage,
    Table,
    Task,
)
from flowsim.rules import check_scenario, settings_of, ways_on

ROW_REFERENCES = ("next", "otherwise", "unfit_to", "since", "keep", "displaced_to")
WAYS_ON = ("next", "otherwise", "unfit_to", "displaced_to")
"""Those references along which a person may come to another stage."""
WAYS_OF_LEAVING = ("next", "displaced_to")
"""Of these, those of a person who was in the stage and left it."""
CODE = np.int16
"""The type of attributes: small, since everybody has a dozen."""
FEW = 256
"""Candidates looked at first for a caseload of so many units."""


def plan(place: Place, cohort: Cohort, network: Network) -> Journeys:
    """The journeys of everybody who comes in this scenario. Raises PlaceError when people have no queue to go to."""
    return _Plan(place, cohort, network).journeys()


# ---------------------------------------------------------------------------------------------------------------------
# People, tables and distributions


Column = np.ndarray | int
"""A value for each of some people: an int64 array, or one number when it is the same for all."""


@dataclass
class People:
    """A batch: spell numbers, minutes of arrival (-1 for readmissions) and attributes as level codes, all (n,)."""

    number: np.ndarray
    arrival: np.ndarray
    codes: dict[str, np.ndarray]
    first: np.ndarray  # stage codes
    person_codes: dict[str, np.ndarray] = field(default_factory=dict)  # attributes that are settled already
    residual: bool | str = False  # an initial caseload's rule for what remains of the stay

    def __len__(self) -> int:
        return len(self.number)


class Levels:
    """The words of each attribute and their codes; the same for a place and the place before its scenario."""

    def __init__(self, places: list[Place]) -> None:
        self.words: dict[str, dict[str, int]] = {}
        for place in places:
            self._add("stream", [*place.streams, INITIAL])
            self._add("site", place.sites)
            self._add("locality", place.localities)
            for name, choice in place.choices.items():
                self._add(name, choice.options)
            for settings in settings_of(place):
                for name, level in settings.items():
                    self._add(name, [level])

    def _add(self, name: str, words: object) -> None:
        known = self.words.setdefault(name, {})
        for word in words:  # type: ignore[attr-defined]
            known.setdefault(str(word), len(known))

    def code(self, name: str, level: str) -> int:
        """-1 for the level that means: does not apply."""
        return NONE if level == NOT_APPLICABLE else self.words[name][level]


def matching(conditions: Conditions, people: People, who: np.ndarray, levels: Levels) -> np.ndarray:
    """Who of `who` meets every condition: (len(who),) bool."""
    mask = np.ones(len(who), dtype=bool)
    for name, wanted in conditions.items():
        codes = people.codes[name][who]
        meets = np.zeros(len(who), dtype=bool)
        for option in [wanted] if isinstance(wanted, str) else wanted:
            meets |= codes == levels.code(name, option)
        mask &= meets
    return mask


def cells(table: Table, people: People, who: np.ndarray, levels: Levels) -> list[tuple[np.ndarray, Table]]:
    """A table's entries by its attribute, each with the positions in `who` it applies to."""
    assert table.by is not None
    codes = people.codes[table.by][who]
    found = []
    rest = np.ones(len(who), dtype=bool)
    for level, cell in table.cells.items():
        if level != OTHER:
            here = codes == levels.code(table.by, level)
            rest &= ~here
            found.append((np.flatnonzero(here), cell))
    if rest.any():
        if OTHER not in table.cells:
            words = {code: word for word, code in levels.words[table.by].items()}
            missing = words.get(int(codes[rest][0]), NOT_APPLICABLE)
            raise PlaceError(f"a table by '{table.by}' has no entry for '{missing}' and no '{OTHER}'.")
        found.append((np.flatnonzero(rest), table.cells[OTHER]))
    return [(positions, cell) for positions, cell in found if len(positions)]


def leaves(table: Table, people: People, who: np.ndarray, levels: Levels) -> list[tuple[np.ndarray, object]]:
    """A table's leaves, each with the positions in `who` it applies to."""
    if table.by is None:
        return [(np.arange(len(who)), table.leaf)]
    return [
        (positions[inner], leaf)
        for positions, cell in cells(table, people, who, levels)
        for inner, leaf in leaves(cell, people, who[positions], levels)
    ]


def numbers(table: Table, people: People, who: np.ndarray, levels: Levels) -> np.ndarray:
    """A table's value for each of `who`: (len(who),) float64."""
    if table.times:
        return np.prod([numbers(factor, people, who, levels) for factor in table.times.values()], axis=0)
    if table.by is None:
        return np.full(len(who), float(table.leaf))
    values = np.empty(len(who))
    for positions, cell in cells(table, people, who, levels):
        values[positions] = numbers(cell, people, who[positions], levels)
    return values


def names(table: Table, people: People, who: np.ndarray, levels: Levels, codes: dict[str, int]) -> Column:
    """A table of names for each of `who` as the codes given: (len(who),) int64, or one code when it is all the same."""
    if table.by is None:
        return codes[str(table.leaf)]
    values = np.empty(len(who), dtype=np.int64)
    for positions, leaf in leaves(table, people, who, levels):
        values[positions] = codes[str(leaf)]
    return values


class Sampler:
    """Inverse CDFs for a batch: what a person's uniform means under this place's tables."""

    def __init__(self, people: People, levels: Levels, cohort: Cohort) -> None:
        self.people, self.levels, self.cohort = people, levels, cohort

    def uniform(self, purpose: str, who: np.ndarray) -> np.ndarray:
        return self.cohort.uniform(purpose, self.people.number[who])

    def table(self, table: Table, who: np.ndarray) -> np.ndarray:
        return numbers(table, self.people, who, self.levels)

    @np.errstate(over="ignore", invalid="ignore")  # what is no finite number is refused at the end
    def draw(self, what: Distribution, purpose: str, who: np.ndarray, residual: bool | str = False) -> np.ndarray:
        """A quantity in minutes (or, without a unit, as it is) for each of `who`: float64.

        `residual` turns a stay into what is left of it: "stationary" for a person found there in the long run (a
        length-biased stay, cut at a uniform moment), "uniform_of_stay" for a uniform moment of a stay of one's own.
        """
        u = self.uniform(purpose, who)
        values = self._length_biased(what, u, who) if residual == "stationary" else self._quantile(what, u, who)
        if what.add is not None:
            values = values + self.table(what.add, who)
        if what.least is not None or what.most is not None:
            values = np.clip(values, what.least, what.most)
        if residual == "stationary" and what.exponential is None:
            values = values * self.uniform(f"{purpose}/moment", who)
        elif residual == "uniform_of_stay":
            one = 1.0 if what.unit is None else 1440.0 / UNIT_MINUTES[what.unit]
            values = one + (values - one) * self.uniform(f"{purpose}/moment", who)
        values = values * (UNIT_MINUTES[what.unit] if what.unit else 1)
        if not np.isfinite(values).all():
            raise PlaceError(
                f"place.stages: {purpose!r} comes to {values[~np.isfinite(values)][0]} for somebody; allowed: tables "
                "that give everybody a finite number."
            )
        return values

    def _quantile(self, what: Distribution, u: np.ndarray, who: np.ndarray) -> np.ndarray:
        if what.fixed is not None:
            return self.table(what.fixed, who)
        if what.exponential is not None:
            return -self.table(what.exponential.mean, who) * np.log1p(-u)
        if what.uniform is not None:
            low, high = self.table(what.uniform.low, who), self.table(what.uniform.high, who)
            return low + (high - low) * u
        assert what.lognormal is not None
        mu, sigma = self._lognormal(what.lognormal, who)
        return np.exp(mu + sigma * ndtri(u))

    def _length_biased(self, what: Distribution, u: np.ndarray, who: np.ndarray) -> np.ndarray:
        """The stay of somebody found in it: density proportional to length. An exponential is its own residual."""
        if what.lognormal is not None:
            mu, sigma = self._lognormal(what.lognormal, who)
            return np.exp(mu + sigma**2 + sigma * ndtri(u))
        if what.uniform is not None:
            low, high = self.table(what.uniform.low, who), self.table(what.uniform.high, who)
            return np.sqrt(low**2 + (high**2 - low**2) * u)
        return self._quantile(what, u, who)

    def _lognormal(self, what: Lognormal, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """mu and sigma of the logarithm."""
        mean = None if what.mean is None else self.table(what.mean, who)
        if what.sigma is not None:
            sigma = self.table(what.sigma, who)
        elif what.sd is not None:
            assert mean is not None
            sigma = np.sqrt(np.log1p((self.table(what.sd, who) / mean) ** 2))
        else:
            assert mean is not None
            assert what.median is not None
            sigma = np.sqrt(2 * np.log(mean / self.table(what.median, who)))
        if what.median is not None:
            return np.log(self.table(what.median, who)), sigma
        assert mean is not None
        return np.log(mean) - sigma**2 / 2, sigma


# ---------------------------------------------------------------------------------------------------------------------
# Choices


def decide(place: Place, people: People, levels: Levels, cohort: Cohort) -> None:
    """Make every choice about everybody, in the place's order; adds to `people.codes`."""
    sampler = Sampler(people, levels, cohort)
    for name, choice in place.choices.items():
        codes = people.person_codes.get(name)
        codes = np.full(len(people), NONE, dtype=CODE) if codes is None else codes.copy()
        who = np.flatnonzero(codes == NONE)
        who = who[matching(choice.when, people, who, levels)]
        if len(who):
            codes[who] = _options(name, choice, sampler, who)
        people.codes[name] = codes


def _options(name: str, choice: Choice, sampler: Sampler, who: np.ndarray) -> np.ndarray:
    u = sampler.uniform(f"choice/{name}", who)
    if choice.chance is not None:
        yes, no = (sampler.levels.code(name, option) for option in ("yes", "no"))
        return np.where(u < sampler.table(choice.chance, who), yes, no)
    assert choice.shares is not None
    chosen = np.empty(len(who), dtype=np.int64)
    for positions, leaf in leaves(choice.shares, sampler.people, who, sampler.levels):
        shares = shifted(dict.fromkeys(choice.options, 0.0) | leaf, choice)  # type: ignore[operator]
        codes = np.array([sampler.levels.code(name, option) for option in shares])
        mine = u[positions]
        which = np.zeros(len(mine), dtype=np.int64)
        for threshold in np.cumsum(list(shares.values()))[:-1]:
            which += mine >= threshold
        chosen[positions] = codes[which]
    return chosen


def shifted(shares: dict[str, float], choice: Choice) -> dict[str, float]:
    """Shares after the choice's shifts, all taken from the shares before any; order (and so monotonicity) is kept."""
    after = dict(shares)
    for shift in choice.shift.values():
        moved = shares[shift.from_option] * shift.share
        after[shift.from_option] -= moved
        after[shift.to_option] += moved
    return after


# ---------------------------------------------------------------------------------------------------------------------
# Stages


@dataclass
class RowSheet:
    """One stage's rows for those of a batch who may reach it.

    Attributes:
        code: the stage's code, and the number of stages more for each time the person may have been unfit again: what
            follows then is asked for anew, and each row is entered once.
        who: (n,) their positions in the batch, ascending.
        columns: those of the row table that say more than the default; references to rows are such codes and
            `child` is the child's number until everything is joined.
        place: (n,) which of their person's rows these are; set when all of the batch's sheets are there.
        tasks: the tasks of these rows, in order.
    """

    code: int
    who: np.ndarray
    columns: dict[str, Column]
    place: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    tasks: list[TaskSheet] = field(default_factory=list)


@dataclass
class TaskSheet:
    """One task of a stage: `rows`, positions in the sheet of rows; `place`, which of their tasks it is; its columns."""

    rows: np.ndarray
    place: np.ndarray
    columns: dict[str, Column]


@dataclass
class Draft:
    """The rows and tasks of one batch.

    Attributes:
        people: the batch, n people.
        sheets: one a stage.
        places: (codes + 1, n) which of a person's rows is the one with a sheet's code; -1 for none, as in the last
            line, so that a code of -1 finds it.
        count: (n,) how many rows each person has.
        children: who is readmitted.
    """

    people: People
    sheets: list[RowSheet]
    places: np.ndarray
    count: np.ndarray
    children: People

    def row(self, begin: np.ndarray, code: Column, who: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The index of the rows with these codes, -1 for none, when each person's rows begin at `begin`."""
        one_for_all = isinstance(code, int)
        place = self.places[code][who] if one_for_all else self.places[code, np.arange(len(begin))[who]]
        return np.where(place >= 0, begin[who] + place, NONE)


class _Plan:
    """Plans every batch and joins them into one set of tables."""

    def __init__(self, place: Place, cohort: Cohort, network: Network) -> None:
        check_scenario(place)
        self.place, self.cohort, self.network = place, cohort, network
        self.before = place.before or place
        self.levels = Levels([place, self.before])
        self.stages = tuple(dict.fromkeys([*place.stages, *self.before.stages]))
        self.stage_code = {name: i for i, name in enumerate(self.stages)} | {LEAVE: NONE}
        self.task_names = tuple(
            dict.fromkeys(
                name for p in (place, self.before) for s in p.stages.values() for name in (*s.before, *s.after)
            )
        )
        self.queue = {name: i for i, name in enumerate(network.names)}
        self.calendar = {name: i for i, name in enumerate(network.calendars.names)} | {ALWAYS: ALWAYS_OPEN}
        run = place.run
        self.switch = run.minute_of(run.policy_start or run.start_date) if place.before else 0

    def journeys(self) -> Journeys:
        drafts: list[Draft] = []
        batches = self._batches()
        for depth in range(GENERATIONS):
            generation = [(place, self._draft(place, people, depth == GENERATIONS - 1)) for place, people in batches]
            drafts += [draft for _, draft in generation]
            batches = []
            for place in (self.before, self.place)[self.before is self.place :]:
                children = _together([draft.children for p, draft in generation if p is place])
                if len(children):
                    batches.append((place, children))
        return self._join(drafts)

    # people ----------------------------------------------------------------------------------------------------------

    def _batches(self) -> list[tuple[Place, People]]:
        """Everybody who comes of their own accord, with the place whose rules hold for them."""
        batches = [(self.before, self._initial(self.before))]
        if self.place.before is None:
            return [(self.place, self._arriving(self.place, 0, self.place.run.horizon)), *batches]
        return [
            (self.before, self._arriving(self.before, 0, self.switch)),
            (self.place, self._arriving(self.place, self.switch, self.place.run.horizon)),
            *batches,
        ]

    def _arriving(self, place: Place, start: int, end: int) -> People:
        """Those who arrive in [start, end) under the place's demand."""
        found: list[People] = []
        units = {"site": list(place.sites), "locality": list(place.localities), "place": [""]}
        # the group of a stream and unit is its position among those of the place before the scenario, then the rest
        keys = dict.fromkeys(
            (name, unit) for p in (self.before, place) for name, s in p.streams.items() for unit in units[s.at]
        )
        caseloads = sum(len(s.initial) * len(units_of(s)) for s in place.services.values())
        if (len(keys) + caseloads) * LAYERS > GROUPS:
            raise PlaceError(
                f"place.streams: {len(keys)} streams by site or locality beside {caseloads} initial caseloads were "
                f"given; allowed: {GROUPS // LAYERS} in all."
            )
        for group, (name, unit) in enumerate(keys):
            if name not in place.streams:
                continue
            reference = self.before if name in self.before.streams else place
            here = rate_of(place.streams[name], unit)
            base = rate_of(reference.streams[name], unit)
            if here and not base:  # nobody came before the scenario, so there is nobody to keep in common
                reference, base = place, here
            growth = here / base if base else 1.0
            if place.streams[name].at == "place" or not isinstance(place.streams[name].rate, dict) or here:
                found += self._layers(place, reference, name, unit, group, growth, start, end)
            elif place.streams[name].daily or (place.streams[name].at_start and not base):
                found += self._layers(place, reference, name, unit, group, 1.0, start, end)
        return _together(found)

    def _layers(
        self, place: Place, reference: Place, name: str, unit: str, group: int, growth: float, start: int, end: int
    ) -> list[People]:
        stream = place.streams[name]
        found: list[People] = []
        for layer in range(LAYERS):
            who = self.cohort.arrivals(reference, name, unit, group, layer)
            inside = (who.minute >= start) & (who.minute < end)
            people = self._with_attributes(who.person[inside], who.minute[inside], name, stream.at, unit, stream.set)
            mark = who.mark[inside]
            everybody = np.arange(len(people))
            if stream.demand:
                decide(place, people, self.levels, self.cohort)  # demand may depend on what people are
            demand = np.full(len(people), growth)
            for factor in stream.demand.values():
                demand *= numbers(factor, people, everybody, self.levels)
            if len(people) and demand.max() > LAYERS + 1e-9:
                raise PlaceError(
                    f"place.streams.{name}.demand: demand of {demand.max():g} times the reference rate was given; "
                    f"allowed: at most {LAYERS}."
                )
            comes = np.flatnonzero(mark < demand)
            people.first[:] = names(stream.first, people, everybody, self.levels, self.stage_code)
            found.append(_subset(people, comes))
            if not len(demand) or demand.max() <= layer + 1:
                break
        return found

    def _with_attributes(
        self, person: np.ndarray, minute: np.ndarray, stream: str, at: str, unit: str, settings: dict[str, str]
    ) -> People:
        n = len(person)
        codes = {name: np.full(n, NONE, dtype=CODE) for name in ("site", "locality")}
        codes["stream"] = np.full(n, self.levels.code("stream", stream), dtype=CODE)
        if at in ("site", "locality") and unit:
            codes[at] = np.full(n, self.levels.code(at, unit), dtype=CODE)
        settled = {k: np.full(n, self.levels.code(k, v), dtype=CODE) for k, v in settings.items()}
        people = People(person * NUMBERS_A_PERSON, minute, codes | settled, np.zeros(n, dtype=np.int64))
        people.person_codes = {**settled, **{k: v for k, v in codes.items() if k != "stream"}}
        return people

    def _initial(self, place: Place) -> People:
        """The caseload at the start: people in long-stay services with what remains of their stay."""
        found: list[People] = []
        group = GROUPS // LAYERS  # counts down; the groups of those who arrive count up, and may not meet these
        for kind, service in place.services.items():
            for initial in service.initial.values():
                people = self._people(place, service, initial)
                for unit in units_of(service):
                    group -= 1
                    if people is None:
                        found.append(self._caseload(place, kind, service, initial, unit, group))
                    else:
                        found.append(self._candidates(place, service, initial, unit, group, people.get(unit, 0)))
        return _together(found)

    @staticmethod
    def _people(place: Place, service: Service, initial: Initial) -> dict[str | None, int] | None:
        """How many people a caseload has in each queue; None where that depends on how much they need."""
        scale = place.run.scale
        if isinstance(initial.people, dict):
            return {unit: round(given * scale) for unit, given in initial.people.items()}
        if initial.people is None:
            return None
        if service.split_by is None:
            return {None: round(initial.people * scale)}
        return dict(apportion(initial.people * scale, service.by_site or service.by_locality or {}).items())

    def _caseload(
        self, place: Place, kind: str, service: Service, initial: Initial, unit: str | None, group: int
    ) -> People:
        """Of those who may belong to it, as many as fill the wanted part of one queue's capacity."""
        capacity = capacities(service, place.run.scale)[unit]
        if capacity >= UNLIMITED:
            raise PlaceError(f"place.services.{kind}.initial: an unlimited service has no utilisation.")
        wanted = capacity * (initial.utilisation or 0)
        n, most = FEW, int(wanted) + 1
        while True:  # nobody needs less than one unit; most need far more, so few candidates may do
            n = min(n, most)
            people = self._candidates(place, service, initial, unit, group, n)
            decide(place, people, self.levels, self.cohort)
            sampler = Sampler(people, self.levels, self.cohort)
            sizes = self._units(place.stages[initial.stage], initial.stage, service, sampler, np.arange(n))
            together = np.cumsum(np.broadcast_to(sizes, n))
            if n == most or together[-1] > wanted:
                return _subset(people, np.flatnonzero(together <= wanted))
            n *= 4

    def _candidates(
        self, place: Place, service: Service, initial: Initial, unit: str | None, group: int, n: int
    ) -> People:
        """The first n people who may belong to a caseload; the k-th is the same whatever n is."""
        people = self._with_attributes(
            np.arange(n) * GROUPS + group * LAYERS, np.zeros(n, dtype=np.int64), INITIAL, service.split_by or "place",
            unit or "", initial.set,
        )  # fmt: skip
        people.first = np.full(n, self.stage_code[initial.stage])
        people.residual = initial.remaining
        return people

    # rows ------------------------------------------------------------------------------------------------------------

    def _draft(self, place: Place, people: People, last: bool) -> Draft:
        """Every row the people may enter, stage by stage; `last`: no more readmissions after this generation."""
        decide(place, people, self.levels, self.cohort)
        sampler = Sampler(people, self.levels, self.cohort)
        back_from = np.full(len(people), NONE, dtype=np.int64)  # the stage from which each person is readmitted
        reached = {name: people.first == self.stage_code[name] for name in place.stages}
        had: dict[str, np.ndarray] = {}  # by stage: the chance of a readmission that people have had before it
        come_back = may_come_back(place)
        sheets: list[RowSheet] = []
        offset = 0
        while any(here.any() for here in reached.values()):
            again = {name: np.zeros(len(people), dtype=bool) for name in place.stages}  # reached by being unfit again
            had_again: dict[str, np.ndarray] = {}
            for name in stage_order(place):
                who = np.flatnonzero(reached[name])
                if not len(who):
                    continue
                stage = place.stages[name]
                sheet = RowSheet(self.stage_code[name] + offset, who, self._columns(place, stage, name, sampler, who))
                had_before = had[name][who] if name in had else np.zeros(len(who))
                had_after = had_before
                if stage.readmission is not None and not last:
                    back, had_after = self._readmissions(stage, sampler, sheet, had_before)
                    back_from[who[back]] = self.stage_code[name]
                for reference in WAYS_ON:
                    chance = had_after if reference in WAYS_OF_LEAVING else had_before
                    to, had_to = (again, had_again) if reference == "unfit_to" else (reached, had)
                    for code, there in _by_code(sheet.columns.get(reference, NONE), len(self.stages)):
                        target = self.stages[code]
                        to[target][who[there]] = True
                        if target in come_back:
                            had_there = had_to.setdefault(target, np.zeros(len(people)))
                            had_there[who[there]] = np.maximum(had_there[who[there]], chance[there])
                for reference in ROW_REFERENCES:
                    if reference in sheet.columns:
                        later = offset + len(self.stages) if reference == "unfit_to" else offset
                        sheet.columns[reference] = _plus(sheet.columns[reference], later)
                self._tasks(place, stage, name, sampler, sheet)
                sheets.append(sheet)
            reached, had, offset = again, had_again, offset + len(self.stages)
        children = self._children(place, people, back_from)
        places, count = self._order(sheets, len(people), offset)
        return Draft(people, sheets, places, count, children)

    def _order(self, sheets: list[RowSheet], n: int, codes: int) -> tuple[np.ndarray, np.ndarray]:
        """A person's rows stand in the order of the sheets' codes: `places` and `count` of a draft."""
        places = np.full((max(codes, len(self.stages)) + 1, n), NONE, dtype=np.int16)
        count = np.zeros(n, dtype=np.int64)
        for sheet in sorted(sheets, key=lambda sheet: sheet.code):
            sheet.place = count[sheet.who]
            places[sheet.code, sheet.who] = sheet.place
            count[sheet.who] += 1
        return places, count

    def _columns(self, place: Place, stage: Stage, name: str, sampler: Sampler, who: np.ndarray) -> dict[str, Column]:
        """What is to say of one stage's rows, for the people `who`."""
        service = place.services[stage.service or ""]
        people = sampler.people
        assert stage.next is not None
        columns: dict[str, Column] = {
            "stage": self.stage_code[name],
            "service": self._queues(stage.service or "", service, people, who),
            "units": self._units(stage, name, service, sampler, who),
            "duration": self._durations(stage, name, sampler, who),
            "next": names(stage.next, people, who, self.levels, self.stage_code),
            "hold": int(stage.hold),
        }
        if stage.priority is not None:
            columns["priority"] = np.rint(sampler.table(stage.priority, who)).astype(np.int64)
        if stage.patience:
            columns["patience"], columns["otherwise"] = self._patience(stage, name, sampler, who)
        for reference in ("since", "keep", "displaced_to"):
            if (to := getattr(stage, reference)) is not None:
                columns[reference] = self.stage_code[to]
        if stage.displaced_to is not None:
            columns["displacement_mark"] = (sampler.uniform("displacement", who) * 2**40).astype(np.int64)
        if stage.unfit is not None:
            may = matching(stage.unfit.when, people, who, self.levels)
            after = np.full(len(who), NONE, dtype=np.int64)
            after[may] = _minutes(sampler.draw(stage.unfit.after, f"{name}/unfit", who[may]))
            columns["unfit_after"] = after
            columns["unfit_to"] = np.where(may, self.stage_code[stage.unfit.to], NONE)
        if stage.death_while_waiting is not None:
            columns["death_after"] = _minutes(sampler.draw(stage.death_while_waiting, f"{name}/death", who))
        if stage.kept_on_readmission is not None:
            kept = sampler.draw(stage.kept_on_readmission, f"{name}/kept", who)
            columns["kept_on_readmission"] = np.rint(kept).astype(np.int64)
        if stage.decline is not None:
            self._decline(stage, name, sampler, who, columns)
        if stage.dies is not None:
            died = people.codes[stage.dies][who] == self.levels.code(stage.dies, "yes")
            columns["died"] = died.astype(np.int64)
            for column in ("next", "unfit_after", "unfit_to", "death_after"):
                if column in columns:
                    columns[column] = np.where(died, NONE, columns[column])
        return columns

    def _queues(self, kind: str, service: Service, people: People, who: np.ndarray) -> Column:
        """The index of the queue each person goes to."""
        if service.split_by is None:
            return self.queue[kind]
        words = list(self.levels.words[service.split_by])
        by_code = np.array([self.queue.get(queue_name(kind, word), NONE) for word in words] + [NONE])
        codes = people.codes[service.split_by][who]
        queues = by_code[codes]
        if (queues == NONE).any():
            code = int(codes[queues == NONE][0])
            word = words[code] if code != NONE else NOT_APPLICABLE
            raise PlaceError(
                f"place.services.{kind}: people whose {service.split_by} is '{word}' are sent here, but it has "
                f"capacity only for {', '.join(str(u) for u in units_of(service))}."
            )
        return queues

    def _units(self, stage: Stage, name: str, service: Service, sampler: Sampler, who: np.ndarray) -> Column:
        if stage.units is None:
            return 1
        drawn = sampler.draw(stage.units, f"{name}/units", who) * service.units_each
        return np.maximum(np.rint(drawn), 1).astype(np.int64)

    def _durations(self, stage: Stage, name: str, sampler: Sampler, who: np.ndarray) -> np.ndarray:
        assert stage.duration is not None
        minutes = _minutes(sampler.draw(stage.duration, f"{name}/duration", who))
        residual = sampler.people.residual
        if residual:
            already = np.flatnonzero(sampler.people.first[who] == self.stage_code[name])
            minutes[already] = _minutes(sampler.draw(stage.duration, f"{name}/duration", who[already], residual))
        return minutes

    def _patience(self, stage: Stage, name: str, sampler: Sampler, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of all the reasons to give up the queue, the first to run out, and where it leads."""
        patience = np.full(len(who), NONE, dtype=np.int64)
        otherwise = np.full(len(who), NONE, dtype=np.int64)
        for reason, valve in stage.patience.items():
            applies = np.flatnonzero(matching(valve.when, sampler.people, who, self.levels))
            minutes = np.full(len(applies), TRY_NOW, dtype=np.int64)
            if valve.after is not None:
                minutes = _minutes(sampler.draw(valve.after, f"{name}/patience/{reason}", who[applies]))
            to = np.broadcast_to(
                names(valve.to, sampler.people, who[applies], self.levels, self.stage_code), len(applies)
            )
            sooner = (patience[applies] == NONE) | (minutes < patience[applies])
            patience[applies[sooner]], otherwise[applies[sooner]] = minutes[sooner], to[sooner]
        return patience, otherwise

    def _decline(self, stage: Stage, name: str, sampler: Sampler, who: np.ndarray, columns: dict[str, Column]) -> None:
        decline = stage.decline
        assert decline is not None
        declines = sampler.uniform(f"{name}/decline", who) < sampler.table(decline.share, who)
        after = _minutes(sampler.draw(decline.after, f"{name}/decline/after", who))
        columns["decline_after"] = np.where(declines, after, NONE)
        columns["declined_units"] = _ceil(columns["units"] * decline.units_factor)
        columns["declined_duration"] = _ceil(columns["duration"] * decline.duration_factor)

    # tasks -----------------------------------------------------------------------------------------------------------

    def _tasks(self, place: Place, stage: Stage, name: str, sampler: Sampler, sheet: RowSheet) -> None:
        """Add the tasks of one stage's rows to its sheet, their counts and where recognition falls."""
        alive = sheet.columns.get("died", 0) == np.zeros(len(sheet.who), dtype=np.int64)
        so_far = np.zeros(len(sheet.who), dtype=np.int64)
        for column, tasks in (("n_before", stage.before), ("n_after", stage.after)):
            earlier = so_far.copy()
            for task_name, task in sorted(tasks.items(), key=lambda item: item[1].order):
                if task.skip:
                    continue
                has = alive & matching(task.when, sampler.people, sheet.who, self.levels)
                rows = np.flatnonzero(has)
                if len(rows):
                    columns = self._task(place, task, name, task_name, sampler, sheet.who[rows])
                    sheet.tasks.append(TaskSheet(rows, so_far[rows], columns))
                so_far += has
                if task.recognises:
                    recognition = sheet.columns.get("recognition", 0)
                    sheet.columns["recognition"] = np.where(has, so_far, recognition)
            if tasks:
                sheet.columns[column] = so_far - earlier

    def _task(
        self, place: Place, task: Task, stage: str, name: str, sampler: Sampler, who: np.ndarray
    ) -> dict[str, Column]:
        minutes: Column = 0
        if task.takes is not None:
            minutes = _minutes(sampler.draw(task.takes, f"{stage}/{name}", who))
        return {
            "kind": self.task_names.index(name),
            "calendar": names(task.calendar, sampler.people, who, self.levels, self.calendar),
            "minutes": minutes,
            "pool": NONE if task.pool is None else self._queues(task.pool, place.pools[task.pool], sampler.people, who),
            "skip_if_kept": int(task.skip_if_kept),
        }

    # readmissions ----------------------------------------------------------------------------------------------------

    def _readmissions(
        self, stage: Stage, sampler: Sampler, sheet: RowSheet, had: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Who of a sheet comes back, (n,) bool, and the chance they have had of it after this stage, (n,).

        A spell has one readmission, whichever of its rows it follows. One uniform decides, so that nobody is chosen in
        two rows of which both are left: those not chosen before (`had`) are chosen with this stage's chance.
        """
        back_again, who = stage.readmission, sheet.who
        assert back_again is not None
        u = sampler.uniform("readmission", who)
        after = had + (1 - had) * np.minimum(sampler.table(back_again.chance, who), 1)
        back = (u >= had) & (u < after)
        back &= sheet.columns.get("died", 0) == np.zeros(len(who), dtype=np.int64)
        gap = _minutes(sampler.draw(back_again.gap, "readmission/gap", who))
        sheet.columns["readmission_gap"] = np.where(back, gap, NONE)
        sheet.columns["child"] = np.where(back, sampler.people.number[who] + 1, NONE)
        return back, after

    def _children(self, place: Place, people: People, back_from: np.ndarray) -> People:
        """The next generation: the same people with what is settled about them, and new uniforms for the rest."""
        who = np.flatnonzero(back_from != NONE)
        first = np.full(len(who), NONE, dtype=np.int64)
        settled: dict[str, np.ndarray] = {}
        persistent = {"site", "locality", *(n for n, c in place.choices.items() if c.of == "person")}
        for name in persistent & set(people.codes):
            settled[name] = people.codes[name][who]
        stream = people.codes["stream"][who].copy()
        for stage_name, stage in place.stages.items():
            here = back_from[who] == self.stage_code[stage_name]
            if stage.readmission is None or not here.any():
                continue
            first[here] = self.stage_code[stage.readmission.to]
            for name, level in stage.readmission.set.items():
                of = stream if name == "stream" else settled.setdefault(name, np.full(len(who), NONE, dtype=CODE))
                of[here] = self.levels.code(name, level)
        child = People(people.number[who] + 1, np.full(len(who), NONE), {"stream": stream, **settled}, first)
        child.person_codes = settled
        return child

    # joining ---------------------------------------------------------------------------------------------------------

    def _join(self, drafts: list[Draft]) -> Journeys:
        """Everything in the order of the spells' numbers; stage codes and child numbers become indices.

        Where each row and task will stand is counted, not sorted, and each column is written there once.
        """
        everybody = [draft.people for draft in drafts]
        known = dict.fromkeys(name for people in everybody for name in people.codes)
        number = np.concatenate([people.number for people in everybody])
        order = np.argsort(number)
        number = number[order]
        count = np.concatenate([draft.count for draft in drafts])
        n_rows = int(count.sum())
        begin = np.empty(len(number), dtype=np.int64)
        begin[order] = _begins(count[order])
        rank = np.empty(len(number), dtype=np.int64)
        rank[order] = np.arange(len(number))

        said = {"spell", "child"}.union(*(sheet.columns for draft in drafts for sheet in draft.sheets))
        rows = {f.name: _filled(n_rows, ROW_DEFAULTS.get(f.name, 0), f.name in said) for f in fields(RowTable)}
        first_row = np.empty(len(number), dtype=np.int64)
        row_of: list[tuple[RowSheet, np.ndarray]] = []
        start = 0
        for draft in drafts:
            batch = slice(start, start := start + len(draft.people))
            first_row[batch] = draft.row(begin[batch], draft.people.first)
            for sheet in draft.sheets:
                at = begin[batch][sheet.who] + sheet.place
                row_of.append((sheet, at))
                rows["spell"][at] = rank[batch][sheet.who]
                for name, column in sheet.columns.items():
                    if name in ROW_REFERENCES:
                        rows[name][at] = draft.row(begin[batch], column, sheet.who)
                    else:
                        rows[name][at] = column
        has_child = np.flatnonzero(rows["child"] != NONE)
        rows["child"][has_child] = np.searchsorted(number, rows["child"][has_child])

        n_tasks = rows["n_before"] + rows["n_after"]
        rows["first_task"] = _begins(n_tasks)
        tasks = {f.name: np.empty(int(n_tasks.sum()), dtype=np.int64) for f in fields(TaskTable)}
        for sheet, row in row_of:
            for task in sheet.tasks:
                at = rows["first_task"][row[task.rows]] + task.place
                for name, column in task.columns.items():
                    tasks[name][at] = column
        return Journeys(
            spells=SpellTable(
                number=number,
                arrival=np.concatenate([people.arrival for people in everybody])[order],
                first_row=first_row[order],
                initial=np.concatenate([np.full(len(p), int(bool(p.residual))) for p in everybody])[order],
            ),
            rows=RowTable(**rows),
            tasks=TaskTable(**tasks),
            stages=self.stages,
            task_names=self.task_names,
            attributes={name: _gathered(name, everybody, [p.codes for p in everybody])[order] for name in known},
            levels={name: tuple(words) for name, words in self.levels.words.items()},
        )


def stage_order(place: Place) -> list[str]:
    """The stages so that each comes after all that lead to it. Raises graphlib.CycleError on a circle."""
    leads_to_from: dict[str, set[str]] = {name: set() for name in place.stages}
    for name in place.stages:
        for target in following(place.stages[name]):
            leads_to_from[target].add(name)
    return list(TopologicalSorter(leads_to_from).static_order())


def may_come_back(place: Place) -> set[str]:
    """The stages from which, or from one that follows, people may be readmitted."""
    found: set[str] = set()
    for name in reversed(stage_order(place)):
        if place.stages[name].readmission is not None or following(place.stages[name]) & found:
            found.add(name)
    return found


def following(stage: Stage) -> set[str]:
    """The stages a stage may lead to, by any way."""
    return {target for targets in ways_on(stage).values() for target in targets} - {LEAVE}


def _minutes(values: np.ndarray) -> np.ndarray:
    """Whole minutes, at least one, and small enough to add up."""
    return np.clip(np.rint(values), 1, 2**30).astype(np.int64)


def _ceil(values: np.ndarray | float) -> np.ndarray:
    return np.ceil(values).astype(np.int64)


def _filled(n: int, value: int, writable: bool) -> np.ndarray:
    """n times the same number: (n,) int64; unless it is to be written to, it takes no memory."""
    return np.full(n, value, dtype=np.int64) if writable else np.broadcast_to(np.int64(value), n)


def _begins(count: np.ndarray) -> np.ndarray:
    """Where each of several lists of these lengths begins when they stand one behind the other."""
    begin = np.zeros(len(count), dtype=np.int64)
    np.cumsum(count[:-1], out=begin[1:])
    return begin


def _plus(codes: Column, offset: int) -> Column:
    """Codes of a later turn of the same stages; none stays none."""
    if isinstance(codes, int):
        return codes if codes == NONE else codes + offset
    return np.where(codes == NONE, NONE, codes + offset)


def _by_code(column: Column, n: int) -> list[tuple[int, np.ndarray | slice]]:
    """The codes (below n, none below 0) that a column has, each with where it has them."""
    if isinstance(column, int):
        return [(column, slice(None))] if column != NONE else []
    present = np.flatnonzero(np.bincount(column + 1, minlength=n + 1)[1:])
    return [(int(code), column == code) for code in present]


def _subset(people: People, who: np.ndarray) -> People:
    return People(
        people.number[who],
        people.arrival[who],
        {k: v[who] for k, v in people.codes.items()},
        people.first[who],
        {k: v[who] for k, v in people.person_codes.items()},
        people.residual,
    )


def _gathered(name: str, batches: list[People], of: list[dict[str, np.ndarray]]) -> np.ndarray:
    """One attribute of several batches; where a batch lacks it, it does not apply."""
    return np.concatenate([d.get(name, np.full(len(b), NONE, dtype=CODE)) for d, b in zip(of, batches, strict=True)])


def _together(batches: list[People]) -> People:
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
        {name: _gathered(name, batches, [b.codes for b in batches]) for name in known},
        np.concatenate([b.first for b in batches]),
        {name: _gathered(name, batches, [b.person_codes for b in batches]) for name in settled},
        batches[0].residual,
    )
