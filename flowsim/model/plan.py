"""From people to journeys: a scenario's tables turn each person's uniforms into stages, stays, tasks and needs.

Exact and vectorised: no randomness is made here and no time passes. People come in *generations* (those who come of
their own accord or are there at the start, those of them who are readmitted, those of these ...): which stages a
generation comes to, in topological order, settles who is in the next. When all are known, what they need is written for
all generations at once, stage by stage (needs.py), and put into one set of tables (drafts.py).
"""

from __future__ import annotations

import copy
import datetime as dt
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from flowsim.model.caseload import Caseload, group_of
from flowsim.model.cohort import GROUPS, LAYERS, Cohort, rate_of
from flowsim.model.drafts import Draft, Link, Sheet, joined, one_sheet
from flowsim.model.needs import Needs
from flowsim.model.people import (
    CODE,
    EVERYBODY,
    Column,
    People,
    Roster,
    Who,
    among,
    levels_of,
    matching,
    names,
    numbers,
    of,
    positions,
    size,
    subset,
    together,
)
from flowsim.model.sampler import Sampler, asked_for, decide
from flowsim.model.tables import GENERATIONS, NONE, Journeys, Network
from flowsim.model.ways import turns_elsewhere, ways_of
from flowsim.place import INITIAL, Place, PlaceError, Stage
from flowsim.place.before import check_scenario

WAYS_OF_LEAVING = ("next", "displaced_to")
"""Those references along which a person comes to another stage who was in this one and left it."""
EARLIER_DAYS = 91
"""Days before a census in which those came who left before it and may come back."""
CAME_EARLIER = 2**52
"""Added to the numbers of their spells."""


def plan(place: Place, cohort: Cohort, network: Network) -> Journeys:
    """The journeys of everybody who comes in this scenario. Raises PlaceError when people have no queue to go to."""
    return _Plan(place, cohort, network).journeys()


@dataclass
class Generation:
    """Some people, the stages they come to, and those of them who are readmitted.

    Attributes:
        people: n people, about whom everything is decided.
        sheets: one a stage, each after all that lead to it: who comes, and where they go from there.
        children: the next generation.
    """

    people: People
    sheets: list[Sheet]
    children: People


@dataclass
class _Turn:
    """Who comes to which stage, up to being unfit again or between two such turns for the worse.

    Attributes:
        reached: by stage, (n,) bool, who comes there.
        offset: added to the codes of stages in this turn.
        had: by stage, (n,) float64, the chance of a readmission that people have had before it; where it matters.
    """

    reached: dict[str, np.ndarray]
    offset: int
    had: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def has_anybody(self) -> bool:
        return any(here.any() for here in self.reached.values())

    def send(self, stage: str, those: Who, had: np.ndarray | None) -> None:
        """Have some people, given by their positions, come to a stage with the chance they `had` until then."""
        self.reached[stage][those] = True
        if had is not None:
            so_far = self.had.setdefault(stage, np.zeros(len(self.reached[stage])))
            so_far[those] = np.maximum(so_far[those], had)


class _Plan:
    """Plans everybody and joins them into one set of tables."""

    def __init__(self, place: Place, cohort: Cohort, network: Network) -> None:
        check_scenario(place)
        self.place, self.cohort, self.network = place, cohort, network
        self.before = place.before or place
        self.levels = levels_of(place)
        self.needs = Needs([place, self.before], network, self.levels)
        self.stage_code = self.needs.stage_code
        self._rosters: dict[bool, Roster] = {}  # by whether it is that of the place before the scenario
        self.switch = place.run.switch if place.before else 0
        self.first_rules = place if place.run.is_all_scenario else self.before  # those of the first minute's caseloads

    def journeys(self) -> Journeys:
        drafts = [self._draft(self.place)]
        if self.place.rules_before is not None:
            drafts.insert(0, self._kept(self.before) if self.place.run.census is None else self._draft(self.before))
        return joined(drafts, self.needs.stages, self.needs.task_names, self.levels)

    def _kept(self, before: Place) -> Draft:
        """The draft of those whom the rules before the scenario hold for.

        It is the same in all scenarios of a replication that name the same stages, queues and levels: the cohort keeps
        it until another is asked for.
        """
        needs = self.needs
        named = (
            before, self.switch, self.levels.words, needs.stages, needs.task_names, needs.queue, needs.calendar,
            self.network.way_out.tolist(),
        )  # fmt: skip
        if self.cohort.kept is None or self.cohort.kept[0] != named:
            self.cohort.kept = (named, self._draft(before))
        draft: Draft = self.cohort.kept[1]
        return draft

    def _draft(self, rules: Place) -> Draft:
        """Everybody for whom these rules hold, and all generations of those of them who are readmitted."""
        generations = [self._generation(rules, self._people(rules), last=False)]
        while len(generations[-1].children):
            last = len(generations) == GENERATIONS - 1
            generations.append(self._generation(rules, generations[-1].children, last))
        return self._written(rules, generations)

    def _written(self, rules: Place, generations: list[Generation]) -> Draft:
        """All that is to say of these generations."""
        people = together([replace(g.people, person_codes={}) for g in generations])
        before = 0
        by_code: dict[int, list[tuple[int, Sheet]]] = {}
        for generation in generations:
            for sheet in generation.sheets:
                by_code.setdefault(sheet.code, []).append((before, sheet))
            before += len(generation.people)
        first, anew = (Sampler(people, self.levels, self.cohort, asked_anew) for asked_anew in (False, True))
        sheets = [one_sheet(parts) for parts in by_code.values()]
        for sheet in sheets:
            again, code = divmod(sheet.code, len(self.needs.stages))
            self.needs.write(rules, self.needs.stages[code], anew if again else first, sheet)
        return Draft(people, sheets)

    # people ----------------------------------------------------------------------------------------------------------

    def _people(self, rules: Place) -> People:
        """Everybody who comes of their own accord, or was there at the start, for whom these rules hold."""
        span = (self.switch, self.place.run.horizon) if rules is self.place else (0, self.switch)
        batches = self._arriving(rules, *span)
        if rules is self.first_rules or self.place.run.census is not None:
            batches += [people for place, people in self._there if place is rules]
        return together(_largest_stream_last(batches, no_stream=self.levels.code("stream", INITIAL)))

    @cached_property
    def _there(self) -> list[tuple[Place, People]]:
        return self._there_at_the_start()

    def _there_at_the_start(self) -> list[tuple[Place, People]]:
        """Caseloads, under the rules before the scenario; and a census, for whom those hold that hold in minute 0."""
        first = self.first_rules
        caseload = Caseload(first, self.before, self.levels, self.cohort, self._roster(first), self.stage_code)
        from_day_one = self.place.run.census is not None and self.switch <= 0
        rules = self.place if from_day_one else self.before
        batches = [*((first, people) for people in caseload.people()), (rules, caseload.counted())]
        if self.place.run.census is not None:
            back = self._coming_back()
            for place, here in ((self.before, back.arrival < self.switch), (self.place, back.arrival >= self.switch)):
                batches.append((place, subset(back, np.flatnonzero(here))))
        for place, people in batches:  # picked by the rules before the scenario, which may bring periods of its own
            for name, codes in self._roster(place).of_periods(people.arrival).items():
                people.codes.setdefault(name, codes)
        return batches

    def _coming_back(self) -> People:
        """Readmissions of people who left before a census was taken, which cannot count them.

        Those of a cohort of its own who came in the months before, went through their stages without waiting, left
        before the first day and come back on it or after it.
        """
        run = self.before.run
        begin = run.first_date - dt.timedelta(days=EARLIER_DAYS)
        months = run.model_copy(update={"start_date": begin, "days": EARLIER_DAYS, "census": None})
        earlier = copy.copy(self)
        earlier.place = earlier.before = self.before.model_copy(update={"run": months})
        earlier.cohort, earlier._rosters = self.cohort.branch("earlier"), {}
        people = together(earlier._arriving(earlier.place, 0, months.horizon))
        generation = earlier._generation(earlier.place, people, last=False)
        left, back = _left_and_back(earlier._written(earlier.place, [generation]), len(self.needs.stages))
        returns = np.flatnonzero((left < months.horizon) & (back >= months.horizon))
        parents = generation.children.number - 1
        children = subset(generation.children, np.flatnonzero(np.isin(parents, people.number[returns])))
        order = np.argsort(people.number)
        of = order[np.searchsorted(people.number[order], children.number - 1)]
        children.arrival = back[of] - months.horizon
        children.number = children.number + CAME_EARLIER
        return subset(children, np.flatnonzero(children.arrival < run.horizon))

    def _roster(self, place: Place) -> Roster:
        key = place is self.before
        if key not in self._rosters:
            self._rosters[key] = Roster(place, self.levels)
        return self._rosters[key]

    def _arriving(self, place: Place, start: int, end: int) -> list[People]:
        """Those who arrive in [start, end) under the place's demand."""
        batches: list[People] = []
        units = {"site": list(place.sites), "locality": list(place.localities), "place": [""]}
        # the group of a stream and unit is its position among those of the place before the scenario, then the rest
        keys = dict.fromkeys(
            (name, unit) for p in (self.before, place) for name, s in p.streams.items() for unit in units[s.at]
        )
        caseloads = len(group_of(self.before, place))
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
            stream = place.streams[name]
            if stream.has_rate and (stream.at == "place" or not isinstance(stream.rate, dict) or here):
                batches += self._layers(place, reference, name, unit, group, growth, start, end)
            elif not stream.has_rate or (stream.at_start and not base):
                batches += self._layers(place, reference, name, unit, group, 1.0, start, end)
        return batches

    def _layers(
        self, place: Place, reference: Place, name: str, unit: str, group: int, growth: float, start: int, end: int
    ) -> list[People]:
        stream = place.streams[name]
        layers: list[People] = []
        for layer in range(LAYERS):
            who = self.cohort.arrivals(reference, name, unit, group, layer)
            inside = positions((who.minute >= start) & (who.minute < end))
            roster = self._roster(place)
            people = roster.people(of(who.person, inside), of(who.minute, inside), name, stream.at, unit, stream.set)
            mark = of(who.mark, inside)
            # demand and the first stage may depend on what people are, and most of what is decided about them does not
            # matter for that: it is decided later, for those who come
            needed = asked_for(place, (stream.first, *stream.demand.values()))
            decide(place, people, self.levels, self.cohort, needed)
            demand = np.full(len(people), growth)
            for factor in stream.demand.values():
                demand *= numbers(factor, people, EVERYBODY, self.levels)
            if len(people) and demand.max() > LAYERS + 1e-9:
                raise PlaceError(
                    f"place.streams.{name}.demand: demand of {demand.max():g} times the reference rate was given; "
                    f"allowed: at most {LAYERS}."
                )
            comes = mark < demand
            people.first[:] = names(stream.first, people, EVERYBODY, self.levels, self.stage_code)
            layers.append(people if comes.all() else subset(people, np.flatnonzero(comes)))
            if not len(demand) or demand.max() <= layer + 1:
                break
        return layers

    # generations -----------------------------------------------------------------------------------------------------

    def _generation(self, place: Place, people: People, last: bool) -> Generation:
        """Where people go, stage by stage; `last`: nobody is readmitted after this generation."""
        decide(place, people, self.levels, self.cohort)
        sampler = Sampler(people, self.levels, self.cohort)
        turn = _Turn({name: people.first == self.stage_code[name] for name in place.stages}, 0)
        sheets: list[Sheet] = []
        while turn.has_anybody:
            again = _Turn(
                {name: np.zeros(len(people), dtype=bool) for name in place.stages}, turn.offset + len(self.needs.stages)
            )
            for name in ways_of(place).order:
                who = positions(turn.reached[name])
                if size(who):
                    dies = self._dies(place.stages[name], people, who)
                    sheets.append(Sheet(self.stage_code[name] + turn.offset, who, dies))
                    self._follow(place, name, sampler, sheets[-1], turn, again, last)
            turn = again
            sampler.asked_anew = True
        return Generation(people, sheets, self._children(place, people, sheets))

    def _follow(
        self, place: Place, name: str, sampler: Sampler, sheet: Sheet, turn: _Turn, again: _Turn, last: bool
    ) -> None:
        """Send the people of a stage's sheet to all stages that they may go on to, in this turn or, when they are unfit
        again, the next, and say so in the sheet; and after which rows they are readmitted."""
        stage, ways = place.stages[name], ways_of(place)
        had_after = had_before = of(turn.had[name], sheet.who) if name in turn.had else None
        if stage.readmission is not None and not last:
            sheet.back, had_after = self._readmissions(stage, sampler, sheet, had_before)
        for reference, (rows, to) in self._ways_on(place, name, sampler, sheet).items():
            then = again if reference == "unfit_to" else turn
            had = had_after if reference in WAYS_OF_LEAVING else had_before
            for target in ways.to[name][reference]:
                there = among(rows, _where(to, self.stage_code[target], size(rows)))
                sheet.links.append(Link(reference, there, self.stage_code[target] + then.offset))
                had_there = None if had is None or target not in ways.come_back else of(had, there)
                then.send(target, among(sheet.who, there), had_there)
        for reference in ("since", "keep"):
            if (named := getattr(stage, reference)) is not None:
                sheet.links.append(Link(reference, slice(0, len(sheet)), self.stage_code[named] + turn.offset))

    def _dies(self, stage: Stage, people: People, who: Who) -> np.ndarray | None:
        if stage.dies is None:
            return None
        return of(people.codes[stage.dies], who) == self.levels.code(stage.dies, "yes")

    def _ways_on(self, place: Place, name: str, sampler: Sampler, sheet: Sheet) -> dict[str, tuple[Who, Column]]:
        """By the column that names it, where people may go from a stage: of which rows of its sheet something is said,
        and the codes of the stages. Says in the sheet who dies in the stage and when people turn elsewhere or are unfit
        again.
        """
        n, who, people, stage = len(sheet), sheet.who, sampler.people, place.stages[name]
        assert stage.next is not None
        after = names(stage.next, people, who, self.levels, self.stage_code)
        if sheet.dies is not None:
            sheet.say("died", 1, positions(sheet.dies))
            after = np.where(sheet.dies, NONE, after)
        ways: dict[str, tuple[Who, Column]] = {"next": (slice(0, n), after)}
        if turns_elsewhere(place, name):
            ways["otherwise"] = self.needs.patience(stage, name, sampler, sheet)
        if stage.displaced_to is not None:
            ways["displaced_to"] = (slice(0, n), self.stage_code[stage.displaced_to])
        if stage.unfit is not None:
            may = matching(stage.unfit.when, people, who, self.levels)
            rows = positions(may if sheet.dies is None else may & ~sheet.dies)
            those = among(who, rows)
            waited = sampler.waited(name, those)
            sheet.say("unfit_after", sampler.wait(stage.unfit.after, f"{name}/unfit", those, waited), rows)
            ways["unfit_to"] = (rows, self.stage_code[stage.unfit.to])
        return ways

    def _readmissions(
        self, stage: Stage, sampler: Sampler, sheet: Sheet, had: np.ndarray | None
    ) -> tuple[Who, np.ndarray]:
        """After which rows of a sheet people come back, and the chance they have had of it after this stage, (n,).

        A spell has one readmission, whichever of its rows it follows. One uniform decides, so that nobody is chosen in
        two rows of which both are left: those not chosen before (`had`) are chosen with this stage's chance.
        """
        assert stage.readmission is not None
        u = sampler.uniform("readmission", sheet.who)
        chance = np.minimum(sampler.table(stage.readmission.chance, sheet.who), 1)
        after = chance if had is None else had + (1 - had) * chance
        back = u < after
        if had is not None:
            back &= u >= had
        if sheet.dies is not None:
            back &= ~sheet.dies
        return positions(back), after

    def _children(self, place: Place, people: People, sheets: list[Sheet]) -> People:
        """The next generation: the same people with what is settled about them, and new uniforms for the rest."""
        back_from = np.full(len(people), NONE, dtype=CODE)  # the stage from which each person is readmitted
        for sheet in sheets:
            back_from[among(sheet.who, sheet.back)] = sheet.code % len(self.needs.stages)
        who = np.flatnonzero(back_from != NONE)
        back_from = back_from[who]
        first = np.full(len(who), NONE, dtype=np.int64)
        settled: dict[str, np.ndarray] = {}
        persistent = {"site", "locality", *place.periods, *(n for n, c in place.choices.items() if c.of == "person")}
        for name in persistent & set(people.codes):
            settled[name] = people.codes[name].take(who)
        stream = people.codes["stream"].take(who)
        for stage_name, stage in place.stages.items():
            here = back_from == self.stage_code[stage_name]
            if stage.readmission is None or not here.any():
                continue
            first[here] = self.stage_code[stage.readmission.to]
            for name, level in stage.readmission.set.items():
                codes = stream if name == "stream" else settled.setdefault(name, np.full(len(who), NONE, dtype=CODE))
                codes[here] = self.levels.code(name, level)
        child = People(people.number[who] + 1, np.full(len(who), NONE), {"stream": stream, **settled}, first)
        child.person_codes = settled
        return child


def _largest_stream_last(batches: list[People], no_stream: int) -> list[People]:
    """Batches in an order in which people of one stream stand one behind the other, those of `no_stream` first.

    Most is decided by stream, and most people come by one, also when they come back: where they stand behind all others
    and are followed by the next generation, their columns are read where they are, and not copied.
    """
    many: dict[int, int] = {}
    stream = [int(people.codes["stream"][0]) if len(people) else NONE for people in batches]
    for code, people in zip(stream, batches, strict=True):
        many[code] = many.get(code, 0) + len(people)
    order = sorted(range(len(batches)), key=lambda i: (stream[i] != no_stream, many[stream[i]], stream[i]))
    return [batches[i] for i in order]


def _left_and_back(draft: Draft, stages: int) -> tuple[np.ndarray, np.ndarray]:
    """When each of a draft's people leaves the stage that a readmission follows, and when they come back, (n,) minutes,
    if nobody waits and no task takes time; where they do not, the end of time."""
    n = len(draft.people)
    never = np.iinfo(np.int64).max // 2
    comes = np.full((stages, n), never, dtype=np.int64)
    comes[draft.people.first, np.arange(n)] = draft.people.arrival
    left, back = np.full(n, never, dtype=np.int64), np.full(n, never, dtype=np.int64)
    for sheet in draft.sheets:  # in an order in which nobody goes back
        if sheet.code >= stages:
            continue  # after being unfit again
        began = comes[sheet.code, sheet.who]
        over = np.where(began < never, began + sheet.said("duration"), never)
        for link in sheet.links:
            if link.column == "next":
                there = among(sheet.who, link.rows)
                comes[link.to, there] = np.minimum(comes[link.to, there], of(over, link.rows))
        if size(sheet.back):
            left_here = of(over, sheet.back)
            leave = left_here < never
            again = of(np.arange(n), among(sheet.who, sheet.back))[leave]
            left[again] = left_here[leave]
            back[again] = (left_here + sheet.said("readmission_gap"))[leave]
    return left, back


def _where(column: Column, code: int, n: int) -> Who:
    """Where a column of n rows has a code."""
    if isinstance(column, int):
        return slice(0, n if column == code else 0)
    return positions(column == code)
