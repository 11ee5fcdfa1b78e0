"""From people to journeys: a scenario's tables turn each person's uniforms into stages, stays, tasks and needs.

Exact and vectorised: no randomness is made here and no time passes. People are planned in *batches* (those who come
before the policy starts, those after, the initial caseload, each generation of readmissions); within a batch, stages are
visited in topological order, each adding one row for everybody who may reach it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from graphlib import TopologicalSorter

import numpy as np
from scipy.special import ndtri

from flowsim.model.calendar import ALWAYS_OPEN
from flowsim.model.capacity import UNLIMITED, Network, capacities, queue_name, units_of
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

INITIAL = "initial"
"""The level of the attribute `stream` that marks the caseload at the start."""
ROW_COLUMNS = tuple(f.name for f in fields(RowTable))


def plan(place: Place, cohort: Cohort, network: Network) -> Journeys:
    """The journeys of everybody who comes in this scenario. Raises PlaceError when people have no queue to go to."""
    return _Plan(place, cohort, network).journeys()


# ---------------------------------------------------------------------------------------------------------------------
# People, tables and distributions


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
            for settings in self._settings(place):
                for name, level in settings.items():
                    self._add(name, [level])

    @staticmethod
    def _settings(place: Place) -> list[dict[str, str]]:
        found = [stream.set for stream in place.streams.values()]
        found += [i.set for s in place.services.values() for i in s.initial.values()]
        found += [s.readmission.set for s in place.stages.values() if s.readmission]
        return found

    def _add(self, name: str, words: object) -> None:
        known = self.words.setdefault(name, {})
        for word in words:  # type: ignore[attr-defined]
            known.setdefault(str(word), len(known))

    def code(self, name: str, level: str) -> int:
        """-1 for the level that means: does not apply."""
        return NONE if level == NOT_APPLICABLE else self.words[name][level]


def matching(conditions: Conditions, people: People, levels: Levels) -> np.ndarray:
    """Who meets every condition: (n,) bool."""
    mask = np.ones(len(people), dtype=bool)
    for name, wanted in conditions.items():
        options = [wanted] if isinstance(wanted, str) else wanted
        mask &= np.isin(people.codes[name], [levels.code(name, o) for o in options])
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


def names(table: Table, people: People, who: np.ndarray, levels: Levels, codes: dict[str, int]) -> np.ndarray:
    """A table of names for each of `who`, as the codes given: (len(who),) int64."""
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
        return values * (UNIT_MINUTES[what.unit] if what.unit else 1)

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
            assert mean is not None and what.median is not None
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
        codes = np.full(len(people), NONE, dtype=np.int64) if codes is None else codes.copy()
        who = np.flatnonzero((codes == NONE) & matching(choice.when, people, levels))
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
        thresholds = np.cumsum(list(shares.values()))[:-1]
        codes = np.array([sampler.levels.code(name, option) for option in shares])
        chosen[positions] = codes[np.searchsorted(thresholds, u[positions], side="right")]
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
class Draft:
    """The rows and tasks of one batch; references to rows are stage codes until the tables are joined."""

    rows: dict[str, np.ndarray]
    tasks: dict[str, np.ndarray]
    children: list[People]


ROW_REFERENCES = ("next", "otherwise", "unfit_to", "since", "keep", "displaced_to")


class _Plan:
    """Plans every batch and joins them into one set of tables."""

    def __init__(self, place: Place, cohort: Cohort, network: Network) -> None:
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
        everybody: list[People] = []
        rows: list[dict[str, np.ndarray]] = []
        tasks: list[dict[str, np.ndarray]] = []
        for place, batch in self._batches():
            generation = [batch]
            for depth in range(GENERATIONS):
                following: list[People] = []
                for people in generation:
                    draft = self._draft(place, people, last=depth == GENERATIONS - 1)
                    offset = sum(len(p) for p in everybody)
                    everybody.append(people)
                    draft.rows["spell"] += offset
                    draft.tasks["spell"] += offset
                    rows.append(draft.rows)
                    tasks.append(draft.tasks)
                    following += draft.children
                generation = [p for p in following if len(p)]
        return self._join(everybody, rows, tasks)

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
        for group, (name, unit) in enumerate(keys):
            if name not in place.streams:
                continue
            if (group + 1) * LAYERS > GROUPS:
                raise PlaceError(f"place.streams: {len(keys)} arrival groups; allowed: at most {GROUPS // LAYERS}.")
            reference = self.before if name in self.before.streams else place
            here = rate_of(place.streams[name], unit)
            base = rate_of(reference.streams[name], unit)
            growth = here / base if base else 1.0
            if place.streams[name].at == "place" or not isinstance(place.streams[name].rate, dict) or here:
                found += self._layers(place, reference, name, unit, group, growth, start, end)
            elif place.streams[name].daily or place.streams[name].at_start:
                found += self._layers(place, reference, name, unit, group, 1.0, start, end)
        return _together(found, self.levels)

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
            people.first = names(stream.first, people, everybody, self.levels, self.stage_code)
            found.append(_subset(people, comes))
            if not len(demand) or demand.max() <= layer + 1:
                break
        return found

    def _with_attributes(
        self, person: np.ndarray, minute: np.ndarray, stream: str, at: str, unit: str, settings: dict[str, str]
    ) -> People:
        n = len(person)
        codes = {name: np.full(n, NONE, dtype=np.int64) for name in ("site", "locality")}
        codes["stream"] = np.full(n, self.levels.code("stream", stream))
        if at in ("site", "locality") and unit:
            codes[at] = np.full(n, self.levels.code(at, unit))
        settled = {k: np.full(n, self.levels.code(k, v)) for k, v in settings.items()}
        people = People(person * NUMBERS_A_PERSON, minute, codes | settled, np.zeros(n, dtype=np.int64))
        people.person_codes = {**settled, **{k: v for k, v in codes.items() if k != "stream"}}
        return people

    def _initial(self, place: Place) -> People:
        """The caseload at the start: people in long-stay services with what remains of their stay."""
        found: list[People] = []
        group = GROUPS // LAYERS
        for kind, service in place.services.items():
            for initial in service.initial.values():
                for unit in units_of(service):
                    group -= 1
                    found.append(self._caseload(place, kind, service, initial, unit, group))
        return _together(found, self.levels)

    def _caseload(
        self, place: Place, kind: str, service: Service, initial: Initial, unit: str | None, group: int
    ) -> People:
        capacity = capacities(service, place.run.scale)[unit]
        if initial.people is not None:
            given = initial.people.get(unit or "", 0) if isinstance(initial.people, dict) else initial.people
            wanted, candidates = None, round(given * place.run.scale)
        else:
            if capacity >= UNLIMITED:
                raise PlaceError(f"place.services.{kind}.initial: an unlimited service has no utilisation.")
            wanted = capacity * (initial.utilisation or 0)
            candidates = int(wanted) + 1
        stage = place.stages[initial.stage]
        at = service.split_by or "place"
        people = self._with_attributes(
            np.arange(candidates) * GROUPS + group * LAYERS, np.zeros(candidates, dtype=np.int64), INITIAL, at,
            unit or "", initial.set,
        )  # fmt: skip
        people.first = np.full(candidates, self.stage_code[initial.stage])
        people.residual = initial.remaining
        if wanted is not None:
            decide(place, people, self.levels, self.cohort)
            sizes = self._units(stage, initial.stage, service, Sampler(people, self.levels, self.cohort),
                                np.arange(candidates))  # fmt: skip
            people = _subset(people, np.flatnonzero(np.cumsum(sizes) <= wanted))
        return people

    # rows ------------------------------------------------------------------------------------------------------------

    def _draft(self, place: Place, people: People, last: bool) -> Draft:
        """Every row the people may enter, stage by stage; `last`: no more readmissions after this generation."""
        decide(place, people, self.levels, self.cohort)
        sampler = Sampler(people, self.levels, self.cohort)
        reached = {name: np.zeros(len(people), dtype=bool) for name in place.stages}
        for name in place.stages:
            reached[name] |= people.first == self.stage_code[name]
        rows: list[dict[str, np.ndarray]] = []
        tasks: list[dict[str, np.ndarray]] = []
        readmitted = np.zeros(len(people), dtype=bool)
        targets: list[tuple[str, np.ndarray]] = []
        for name in stage_order(place):
            who = np.flatnonzero(reached[name])
            if not len(who):
                continue
            stage = place.stages[name]
            columns = self._rows(place, stage, name, sampler, who)
            if stage.readmission is not None and not last:
                back = self._readmissions(stage, sampler, who, columns)
                readmitted[who[back]] = True
                targets.append((stage.readmission.to, who[back]))
            for reference in ("next", "otherwise", "unfit_to", "displaced_to"):
                for code in np.unique(columns[reference]):
                    if code != NONE:
                        reached[self.stages[code]][who[columns[reference] == code]] = True
            rows.append(columns)
            tasks += self._tasks(place, stage, name, sampler, who, columns)
        children = self._children(place, people, readmitted, targets)
        empty = {c: np.zeros(0, dtype=np.int64) for c in (*ROW_COLUMNS, "order")}
        none = {c: np.zeros(0, dtype=np.int64) for c in TASK_COLUMNS}
        return Draft(_stack(rows) if rows else empty, _stack(tasks) if tasks else none, children)

    def _rows(self, place: Place, stage: Stage, name: str, sampler: Sampler, who: np.ndarray) -> dict[str, np.ndarray]:
        """All columns of one stage's rows, for the people `who`."""
        n = len(who)
        service = place.services[stage.service or ""]
        columns = {c: np.full(n, ROW_DEFAULTS.get(c, 0), dtype=np.int64) for c in ROW_COLUMNS}
        columns["order"] = np.full(n, self.stage_code[name], dtype=np.int64)
        columns["spell"] = who.astype(np.int64)
        columns["stage"] = np.full(n, self.stage_code[name])
        columns["service"] = self._queues(stage.service or "", service, sampler.people, who)
        columns["units"] = self._units(stage, name, service, sampler, who)
        columns["duration"] = self._durations(stage, name, sampler, who)
        if stage.priority is not None:
            columns["priority"] = np.rint(sampler.table(stage.priority, who)).astype(np.int64)
        assert stage.next is not None
        columns["next"] = names(stage.next, sampler.people, who, self.levels, self.stage_code)
        if stage.patience:
            columns["patience"], columns["otherwise"] = self._patience(stage, name, sampler, who)
        columns["hold"][:] = stage.hold
        for reference in ("since", "keep", "displaced_to"):
            columns[reference][:] = self.stage_code[getattr(stage, reference) or LEAVE]
        if stage.displaced_to is not None:
            columns["displacement_mark"] = (sampler.uniform("displacement", who) * 2**40).astype(np.int64)
        if stage.dies is not None:
            columns["died"] = (sampler.people.codes[stage.dies][who] == self.levels.code(stage.dies, "yes")).astype(int)
        waiting = columns["died"] == 0
        if stage.unfit is not None:
            columns["unfit_after"] = np.where(
                waiting, _minutes(sampler.draw(stage.unfit.after, f"{name}/unfit", who)), NONE
            )
            columns["unfit_to"] = np.where(waiting, self.stage_code[stage.unfit.to], NONE)
        if stage.death_while_waiting is not None:
            drawn = _minutes(sampler.draw(stage.death_while_waiting, f"{name}/death", who))
            columns["death_after"] = np.where(waiting, drawn, NONE)
        if stage.kept_on_readmission is not None:
            kept = sampler.draw(stage.kept_on_readmission, f"{name}/kept", who)
            columns["kept_on_readmission"] = np.rint(kept).astype(np.int64)
        if stage.decline is not None:
            self._decline(stage, name, sampler, who, columns)
        columns["next"][~waiting] = NONE
        return columns

    def _queues(self, kind: str, service: Service, people: People, who: np.ndarray) -> np.ndarray:
        """The index of the queue each person goes to."""
        if service.split_by is None:
            return np.full(len(who), self.queue[kind])
        words = list(self.levels.words[service.split_by])
        by_code = np.array([self.queue.get(queue_name(kind, word), NONE) for word in words] + [NONE])
        codes = people.codes[service.split_by][who]
        queues = by_code[codes]
        if (queues == NONE).any():
            code = int(codes[queues == NONE][0])
            word = words[code] if code != NONE else NOT_APPLICABLE
            raise PlaceError(
                f"place.services.{kind}: people whose {service.split_by} is '{word}' are sent here, but it has capacity "
                f"only for {', '.join(str(u) for u in units_of(service))}."
            )
        return queues

    def _units(self, stage: Stage, name: str, service: Service, sampler: Sampler, who: np.ndarray) -> np.ndarray:
        if stage.units is None:
            return np.ones(len(who), dtype=np.int64)
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
            applies = matching(valve.when, sampler.people, self.levels)[who]
            if valve.after is None:
                minutes = np.full(len(who), TRY_NOW, dtype=np.int64)
            else:
                minutes = _minutes(sampler.draw(valve.after, f"{name}/patience/{reason}", who))
            to = names(valve.to, sampler.people, who, self.levels, self.stage_code)
            sooner = applies & ((patience == NONE) | (minutes < patience))
            patience[sooner], otherwise[sooner] = minutes[sooner], to[sooner]
        return patience, otherwise

    def _decline(
        self, stage: Stage, name: str, sampler: Sampler, who: np.ndarray, columns: dict[str, np.ndarray]
    ) -> None:
        decline = stage.decline
        assert decline is not None
        declines = sampler.uniform(f"{name}/decline", who) < sampler.table(decline.share, who)
        after = _minutes(sampler.draw(decline.after, f"{name}/decline/after", who))
        columns["decline_after"] = np.where(declines, after, NONE)
        columns["declined_units"] = np.ceil(columns["units"] * decline.units_factor).astype(np.int64)
        columns["declined_duration"] = np.ceil(columns["duration"] * decline.duration_factor).astype(np.int64)

    # tasks -----------------------------------------------------------------------------------------------------------

    def _tasks(
        self, place: Place, stage: Stage, name: str, sampler: Sampler, who: np.ndarray, columns: dict[str, np.ndarray]
    ) -> list[dict[str, np.ndarray]]:
        """The tasks of one stage's rows; fills in the rows' counts and where recognition falls."""
        found = []
        alive = columns["died"] == 0
        for phase, tasks in enumerate((stage.before, stage.after)):
            ordered = sorted(enumerate(tasks.items()), key=lambda item: (item[1][1].order, item[0]))
            for position, (_, (task_name, task)) in enumerate(ordered):
                if task.skip:
                    continue
                has = alive & matching(task.when, sampler.people, self.levels)[who]
                columns["n_after" if phase else "n_before"] += has
                if task.recognises:
                    columns["recognition"] = np.where(has, columns["n_before"], columns["recognition"])
                if has.any():
                    found.append(self._task(place, task, name, task_name, phase, position, sampler, who[has]))
        return found

    def _task(
        self, place: Place, task: Task, stage: str, name: str, phase: int, position: int, sampler: Sampler,
        who: np.ndarray,
    ) -> dict[str, np.ndarray]:  # fmt: skip
        n = len(who)
        pool = np.full(n, NONE, dtype=np.int64)
        if task.pool is not None:
            pool = self._queues(task.pool, place.pools[task.pool], sampler.people, who)
        minutes = np.zeros(n, dtype=np.int64)
        if task.takes is not None:
            minutes = _minutes(sampler.draw(task.takes, f"{stage}/{name}", who))
        return {
            "spell": who.astype(np.int64),
            "stage": np.full(n, self.stage_code[stage]),
            "phase": np.full(n, phase),
            "position": np.full(n, position),
            "kind": np.full(n, self.task_names.index(name)),
            "calendar": names(task.calendar, sampler.people, who, self.levels, self.calendar),
            "minutes": minutes,
            "pool": pool,
            "skip_if_kept": np.full(n, int(task.skip_if_kept)),
        }

    # readmissions ----------------------------------------------------------------------------------------------------

    def _readmissions(
        self, stage: Stage, sampler: Sampler, who: np.ndarray, columns: dict[str, np.ndarray]
    ) -> np.ndarray:
        """Positions in `who` of those who come back. A spell has one readmission, whichever of its rows it follows."""
        back_again = stage.readmission
        assert back_again is not None
        back = sampler.uniform("readmission", who) < sampler.table(back_again.chance, who)
        back &= columns["died"] == 0
        gap = _minutes(sampler.draw(back_again.gap, "readmission/gap", who))
        columns["readmission_gap"] = np.where(back, gap, NONE)
        columns["child"] = np.where(back, sampler.people.number[who] + 1, NONE)  # the child's number, until joined
        return np.flatnonzero(back)

    def _children(
        self, place: Place, people: People, readmitted: np.ndarray, targets: list[tuple[str, np.ndarray]]
    ) -> list[People]:
        """The next generation: the same people with what is settled about them, and new uniforms for the rest."""
        who = np.flatnonzero(readmitted)
        first = np.zeros(len(people), dtype=np.int64)
        settled: dict[str, np.ndarray] = {}
        persistent = {"site", "locality", *(n for n, c in place.choices.items() if c.of == "person")}
        for name in persistent & set(people.codes):
            settled[name] = people.codes[name][who]
        stream = people.codes["stream"][who].copy()
        for stage in place.stages.values():
            for name, level in stage.readmission.set.items() if stage.readmission else ():
                code = np.full(len(who), self.levels.code(name, level))
                if name == "stream":
                    stream = code
                else:
                    settled[name] = code
        for target, back in targets:
            first[back] = self.stage_code[target]
        child = People(people.number[who] + 1, np.full(len(who), NONE), {"stream": stream, **settled}, first[who])
        child.person_codes = settled
        return [child]

    # joining ---------------------------------------------------------------------------------------------------------

    def _join(
        self, everybody: list[People], rows: list[dict[str, np.ndarray]], tasks: list[dict[str, np.ndarray]]
    ) -> Journeys:
        """Sort everything by spell number and turn stage codes and child numbers into indices."""
        number = np.concatenate([p.number for p in everybody])
        order = np.argsort(number, kind="stable")
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        row, task = _stack(rows), _stack(tasks)
        row["spell"], task["spell"] = rank[row["spell"]], rank[task["spell"]]

        row_order = np.lexsort((row["order"], row["spell"]))
        row = {name: column[row_order] for name, column in row.items()}
        at = np.full((len(number), len(self.stages) + 1), NONE, dtype=np.int64)  # the last column stands for NONE
        at[row["spell"], row["stage"]] = np.arange(len(row["spell"]))
        for reference in ROW_REFERENCES:
            row[reference] = at[row["spell"], row[reference]]
        has_child = row["child"] != NONE
        row["child"][has_child] = np.searchsorted(number[order], row["child"][has_child])

        task_row = at[task["spell"], task["stage"]]
        task_order = np.lexsort((task["position"], task["phase"], task_row))
        task = {name: column[task_order] for name, column in task.items()}
        row["first_task"] = np.searchsorted(task_row[task_order], np.arange(len(row["spell"])))

        first = np.concatenate([p.first for p in everybody])[order]
        attributes = {
            name: np.concatenate([p.codes[name] for p in everybody])[order].astype(np.int16)
            for name in everybody[0].codes
        }
        return Journeys(
            spells=SpellTable(
                number=number[order],
                arrival=np.concatenate([p.arrival for p in everybody])[order],
                first_row=at[np.arange(len(number)), first],
                initial=np.concatenate([np.full(len(p), int(bool(p.residual))) for p in everybody])[order],
            ),
            rows=RowTable(**{name: row[name] for name in ROW_COLUMNS}),
            tasks=TaskTable(**{f.name: task[f.name] for f in fields(TaskTable)}),
            stages=self.stages,
            task_names=self.task_names,
            attributes=attributes,
            levels={name: tuple(words) for name, words in self.levels.words.items()},
        )


TASK_COLUMNS = ("spell", "stage", "phase", "position", *(f.name for f in fields(TaskTable)))


def stage_order(place: Place) -> list[str]:
    """The stages so that each comes after all that lead to it. Raises graphlib.CycleError on a circle."""
    leads_to_from: dict[str, set[str]] = {name: set() for name in place.stages}
    for name in place.stages:
        for target in following(place.stages[name]):
            leads_to_from[target].add(name)
    return list(TopologicalSorter(leads_to_from).static_order())


def following(stage: Stage) -> set[str]:
    """The stages a stage may lead to, by any way."""
    ways = [stage.next, *(valve.to for valve in stage.patience.values())]
    found = {str(leaf) for table in ways if table is not None for leaf in table.leaves()}
    found |= {name for name in (stage.unfit.to if stage.unfit else None, stage.displaced_to) if name}
    return found - {LEAVE}


def _minutes(values: np.ndarray) -> np.ndarray:
    """Whole minutes, at least one, and small enough to add up."""
    return np.clip(np.rint(values), 1, 2**30).astype(np.int64)


def _stack(tables: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}


def _subset(people: People, who: np.ndarray) -> People:
    return People(
        people.number[who],
        people.arrival[who],
        {k: v[who] for k, v in people.codes.items()},
        people.first[who],
        {k: v[who] for k, v in people.person_codes.items()},
        people.residual,
    )


def _together(batches: list[People], levels: Levels) -> People:
    """Several groups of people as one batch; an attribute that one group lacks does not apply to it."""
    batches = [b for b in batches if len(b)]
    if not batches:
        none = np.zeros(0, dtype=np.int64)
        return People(none, none, {name: none for name in ("stream", "site", "locality")}, none)
    known = list(dict.fromkeys(name for b in batches for name in b.codes))
    settled = list(dict.fromkeys(name for b in batches for name in b.person_codes))

    def gather(name: str, of: list[dict[str, np.ndarray]]) -> np.ndarray:
        return np.concatenate([d.get(name, np.full(len(b), NONE)) for d, b in zip(of, batches, strict=True)])

    return People(
        np.concatenate([b.number for b in batches]),
        np.concatenate([b.arrival for b in batches]),
        {name: gather(name, [b.codes for b in batches]) for name in known},
        np.concatenate([b.first for b in batches]),
        {name: gather(name, [b.person_codes for b in batches]) for name in settled},
        batches[0].residual,
    )
