"""From people to journeys: a scenario's tables turn each person's uniforms into stages, stays, tasks and needs.

Exact and vectorised: no randomness is made here and no time passes. People are planned in *batches* (those who come
before the policy starts, those after, the initial caseload, each generation of readmissions); within a batch, stages
are visited in topological order, each adding one row for everybody who may reach it.
"""

from __future__ import annotations

import copy
import datetime as dt
from dataclasses import dataclass, field, fields
from functools import cached_property
from graphlib import TopologicalSorter

import numpy as np

from flowsim.model.calendar import ALWAYS_OPEN, DAY
from flowsim.model.capacity import Network, queue_name, units_of
from flowsim.model.caseload import Caseload, groups_used
from flowsim.model.cohort import GROUPS, LAYERS, Cohort, rate_of
from flowsim.model.journeys import (
    GENERATIONS,
    MOST,
    NONE,
    ROW_DEFAULTS,
    TASK_DEFAULTS,
    TRY_NOW,
    WAY_OUT,
    WIDE,
    Journeys,
    RowTable,
    SpellTable,
    TaskTable,
)
from flowsim.model.people import (
    CODE,
    STATES,
    Column,
    People,
    Roster,
    Sampler,
    asked_for,
    decide,
    gathered,
    levels_of,
    matching,
    names,
    numbers,
    subset,
    together,
    whole_minutes,
)
from flowsim.place import (
    ALWAYS,
    LEAVE,
    NOT_APPLICABLE,
    Place,
    PlaceError,
    Service,
    Stage,
    Task,
    once_a_place,
)
from flowsim.rules import check_scenario, ways_on

ROW_REFERENCES = ("next", "otherwise", "unfit_to", "since", "keep", "displaced_to")
WAYS_OF_LEAVING = ("next", "displaced_to")
"""Those references along which a person comes to another stage who was in this one and left it."""
EARLIER_DAYS = 91
"""Days before a census in which those came who left before it and may come back."""
CAME_EARLIER = 2**52
"""Added to the numbers of their spells."""


def plan(place: Place, cohort: Cohort, network: Network) -> Journeys:
    """The journeys of everybody who comes in this scenario. Raises PlaceError when people have no queue to go to."""
    return _Plan(place, cohort, network).journeys()


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
    place: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int8))
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
            line, so that a code of -1 finds it. As small a type as does.
        count: (n,) how many rows each person has.
        children: who is readmitted.
    """

    people: People
    sheets: list[RowSheet]
    places: np.ndarray
    count: np.ndarray
    children: People

    def row(self, begin: np.ndarray, code: Column, who: np.ndarray) -> np.ndarray:
        """The index of the rows of `who` with these codes, -1 for none, when each one's rows begin at `begin`."""
        of_all = self.places.shape[1]
        place = self.places[code].take(who) if isinstance(code, int) else self.places.take(code * of_all + who)
        return np.where(place >= 0, begin + place, np.int32(NONE))


@dataclass
class Ways:
    """How people go from stage to stage.

    Attributes:
        order: the stages, each after all that lead to it.
        come_back: those from which, or from one that follows, people may be readmitted.
        to: by stage and column of its rows, the stages that this may name.
    """

    order: list[str]
    come_back: set[str]
    to: dict[str, dict[str, list[str]]]


class _Table:
    """A table in the making, of n entries, each of which is written once; a column that always says what is said where
    nothing is takes no memory."""

    def __init__(self, n: int, defaults: dict[str, int]) -> None:
        self.n, self.defaults = n, defaults
        self.columns: dict[str, np.ndarray] = {}

    def write(self, name: str, at: np.ndarray, values: Column) -> None:
        default = self.defaults.get(name, NONE)
        if isinstance(values, int) and values == default:
            return
        if name not in self.columns:
            self.columns[name] = np.full(self.n, default, dtype=_type(name))
        self.columns[name][at] = values

    def column(self, name: str) -> np.ndarray:
        """(n,) of its type; not to be written to."""
        if name in self.columns:
            return self.columns[name]
        return np.broadcast_to(_type(name)(self.defaults.get(name, NONE)), self.n)


class _Plan:
    """Plans every batch and joins them into one set of tables."""

    def __init__(self, place: Place, cohort: Cohort, network: Network) -> None:
        check_scenario(place)
        self.place, self.cohort, self.network = place, cohort, network
        self.before = place.before or place
        self.levels = levels_of(place)
        self.stages = tuple(dict.fromkeys([*place.stages, *self.before.stages]))
        self.stage_code = {name: i for i, name in enumerate(self.stages)} | {LEAVE: NONE}
        self.task_names = tuple(
            dict.fromkeys(
                name for p in (place, self.before) for s in p.stages.values() for name in (*s.before, *s.after)
            )
        )
        self.way_out_may_shut = bool((network.way_out != ALWAYS_OPEN).any())
        if self.way_out_may_shut and WAY_OUT not in self.task_names:
            self.task_names += (WAY_OUT,)
        self.queue = {name: i for i, name in enumerate(network.names)}
        self.calendar = {name: i for i, name in enumerate(network.calendars.names)} | {ALWAYS: ALWAYS_OPEN}
        self._rosters: dict[bool, Roster] = {}  # by whether it is that of the place before the scenario
        self._queues_by_code: dict[str, np.ndarray] = {}  # by kind of service
        run = place.run
        self.switch = run.switch if place.before else 0

    def journeys(self) -> Journeys:
        if self.before is self.place:
            return self._join(self._drafts(self.place))
        earlier = self._kept(self.before) if self.place.run.census is None else self._drafts(self.before)
        return self._join([*earlier, *self._drafts(self.place)])

    def _kept(self, before: Place) -> list[Draft]:
        """The drafts of those whom the rules before the scenario hold for.

        They are the same in all scenarios of a replication that name the same stages, queues and levels: the cohort
        keeps them until others are asked for.
        """
        named = (
            before, self.switch, self.levels.words, self.stages, self.task_names, self.queue, self.calendar,
            self.network.way_out.tolist(),
        )  # fmt: skip
        if self.cohort.kept is None or self.cohort.kept[0] != named:
            self.cohort.kept = (named, self._drafts(before))
        drafts: list[Draft] = self.cohort.kept[1]
        return drafts

    def _drafts(self, rules: Place) -> list[Draft]:
        """Everybody for whom these rules hold, and all generations of those of them who are readmitted."""
        drafts: list[Draft] = []
        batches = self._batches(rules)
        for depth in range(GENERATIONS):
            generation = [self._draft(rules, people, depth == GENERATIONS - 1) for people in batches]
            drafts += generation
            children = together([draft.children for draft in generation])
            batches = [children] if len(children) else []
        return drafts

    # people ----------------------------------------------------------------------------------------------------------

    def _batches(self, rules: Place) -> list[People]:
        """Everybody who comes of their own accord, or was there at the start, for whom these rules hold."""
        span = (self.switch, self.place.run.horizon) if rules is self.place else (0, self.switch)
        batches = [self._arriving(rules, *span)]
        if rules is self.before or self.place.run.census is not None:
            batches += [people for place, people in self._there if place is rules]
        return batches

    @cached_property
    def _there(self) -> list[tuple[Place, People]]:
        return self._there_at_the_start()

    def _there_at_the_start(self) -> list[tuple[Place, People]]:
        """Caseloads, under the rules before the scenario; and a census, for whom those hold that hold in minute 0."""
        found = Caseload(self.before, self.levels, self.cohort, self._roster(self.before), self.stage_code)
        from_day_one = self.place.run.census is not None and self.switch <= 0
        rules = self.place if from_day_one else self.before
        batches = [(self.before, found.people()), (rules, found.counted())]
        if self.place.run.census is not None:
            back = self._coming_back()
            for place, here in ((self.before, back.arrival < self.switch), (self.place, back.arrival >= self.switch)):
                batches.append((place, subset(back, np.flatnonzero(here))))
        for place, people in batches:  # picked by the rules before the scenario, which may bring periods of its own
            for name, by_day in self._roster(place).by_day.items():
                people.codes.setdefault(name, by_day[people.arrival // DAY])
        return [(place, people) for place, people in batches if len(people)] or batches[:1]

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
        people = earlier._arriving(earlier.place, 0, months.horizon)
        draft = earlier._draft(earlier.place, people, last=False)
        left, back = _left_and_back(draft, len(self.stages))
        returns = np.flatnonzero((left < months.horizon) & (back >= months.horizon))
        parents = draft.children.number - 1
        children = subset(draft.children, np.flatnonzero(np.isin(parents, people.number[returns])))
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

    def _arriving(self, place: Place, start: int, end: int) -> People:
        """Those who arrive in [start, end) under the place's demand."""
        found: list[People] = []
        units = {"site": list(place.sites), "locality": list(place.localities), "place": [""]}
        # the group of a stream and unit is its position among those of the place before the scenario, then the rest
        keys = dict.fromkeys(
            (name, unit) for p in (self.before, place) for name, s in p.streams.items() for unit in units[s.at]
        )
        caseloads = groups_used(place)
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
        people = together(found)
        return subset(people, np.argsort(people.number, kind="stable"))  # in order: so are their rows, written below

    def _layers(
        self, place: Place, reference: Place, name: str, unit: str, group: int, growth: float, start: int, end: int
    ) -> list[People]:
        stream = place.streams[name]
        found: list[People] = []
        for layer in range(LAYERS):
            who = self.cohort.arrivals(reference, name, unit, group, layer)
            inside = (who.minute >= start) & (who.minute < end)
            roster = self._roster(place)
            people = roster.people(who.person[inside], who.minute[inside], name, stream.at, unit, stream.set)
            mark = who.mark[inside]
            everybody = np.arange(len(people))
            # demand and the first stage may depend on what people are, and most of what is decided about them does not
            # matter for that: it is decided later, for those who come
            needed = asked_for(place, (stream.first, *stream.demand.values()))
            decide(place, people, self.levels, self.cohort, needed)
            demand = np.full(len(people), growth)
            for factor in stream.demand.values():
                demand *= numbers(factor, people, everybody, self.levels)
            if len(people) and demand.max() > LAYERS + 1e-9:
                raise PlaceError(
                    f"place.streams.{name}.demand: demand of {demand.max():g} times the reference rate was given; "
                    f"allowed: at most {LAYERS}."
                )
            comes = mark < demand
            people.first[:] = names(stream.first, people, everybody, self.levels, self.stage_code)
            found.append(people if comes.all() else subset(people, np.flatnonzero(comes)))
            if not len(demand) or demand.max() <= layer + 1:
                break
        return found

    # rows ------------------------------------------------------------------------------------------------------------

    def _draft(self, place: Place, people: People, last: bool) -> Draft:
        """Every row the people may enter, stage by stage; `last`: no more readmissions after this generation."""
        decide(place, people, self.levels, self.cohort)
        sampler = Sampler(people, self.levels, self.cohort)
        back_from = np.full(len(people), NONE, dtype=np.int64)  # the stage from which each person is readmitted
        reached = {name: people.first == self.stage_code[name] for name in place.stages}
        had: dict[str, np.ndarray] = {}  # by stage: the chance of a readmission that people have had before it
        ways = ways_of(place)
        sheets: list[RowSheet] = []
        offset = 0
        while any(here.any() for here in reached.values()):
            again = {name: np.zeros(len(people), dtype=bool) for name in place.stages}  # reached by being unfit again
            had_again: dict[str, np.ndarray] = {}
            for name in ways.order:
                who = np.flatnonzero(reached[name])
                if not len(who):
                    continue
                stage = place.stages[name]
                sheet = RowSheet(self.stage_code[name] + offset, who, self._columns(place, stage, name, sampler, who))
                had_before = had[name][who] if name in had else None
                had_after = had_before
                if stage.readmission is not None and not last:
                    back, had_after = self._readmissions(stage, sampler, sheet, had_before)
                    back_from[who[back]] = self.stage_code[name]
                for reference, targets in ways.to[name].items():
                    chance = had_after if reference in WAYS_OF_LEAVING else had_before
                    to, had_to = (again, had_again) if reference == "unfit_to" else (reached, had)
                    for target in targets:
                        there = _where(sheet.columns[reference], self.stage_code[target])
                        those = who[there]
                        to[target][those] = True
                        if chance is not None and target in ways.come_back:
                            had_there = had_to.setdefault(target, np.zeros(len(people)))
                            had_there[those] = np.maximum(had_there[those], chance[there])
                for reference in ROW_REFERENCES:
                    if reference in sheet.columns:
                        later = offset + len(self.stages) if reference == "unfit_to" else offset
                        sheet.columns[reference] = _plus(sheet.columns[reference], later)
                self._tasks(place, stage, name, sampler, sheet)
                sheets.append(sheet)
            reached, had, offset = again, had_again, offset + len(self.stages)
            sampler.asked_anew = True
        children = self._children(place, people, back_from)
        places, count = self._order(sheets, len(people), offset)
        return Draft(people, sheets, places, count, children)

    def _order(self, sheets: list[RowSheet], n: int, codes: int) -> tuple[np.ndarray, np.ndarray]:
        """A person's rows stand in the order of the sheets' codes: `places` and `count` of a draft."""
        kind = np.min_scalar_type(-len(sheets) - 1)
        places = np.full((max(codes, len(self.stages)) + 1, n), NONE, dtype=kind)
        count = np.zeros(n, dtype=kind)
        for sheet in sorted(sheets, key=lambda sheet: sheet.code):
            sheet.place = count[sheet.who]
            places[sheet.code][sheet.who] = sheet.place
            count[sheet.who] = sheet.place + 1
        return places, count

    def _columns(self, place: Place, stage: Stage, name: str, sampler: Sampler, who: np.ndarray) -> dict[str, Column]:
        """What is to say of one stage's rows, for the people `who`."""
        service = place.services[stage.service or ""]
        people = sampler.people
        assert stage.next is not None
        columns: dict[str, Column] = {
            "stage": self.stage_code[name],
            "service": self._queues(stage.service or "", service, people, who),
            "units": sampler.units(stage, name, service, who),
            "duration": sampler.stay(stage, name, who),
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
            columns["displacement_mark"] = (sampler.uniform(f"{name}/displacement", who) * 2**40).astype(np.int64)
        if stage.unfit is not None:
            may = matching(stage.unfit.when, people, who, self.levels)
            after = np.full(len(who), NONE, dtype=np.int32)
            waited = sampler.waited(name, who[may])
            after[may] = sampler.wait(stage.unfit.after, f"{name}/unfit", who[may], waited)
            columns["unfit_after"] = after
            columns["unfit_to"] = np.where(may, self.stage_code[stage.unfit.to], NONE)
        if stage.death_while_waiting is not None:
            waited = sampler.waited(name, who)
            columns["death_after"] = sampler.wait(stage.death_while_waiting, f"{name}/death", who, waited)
        if stage.kept_on_readmission is not None:
            kept = sampler.draw(stage.kept_on_readmission, f"{name}/kept", who)
            columns["kept_on_readmission"] = _cut(np.rint(kept))
        if stage.decline is not None:
            self._decline(stage, name, sampler, who, columns)
        if stage.dies is not None:
            died = people.codes[stage.dies][who] == self.levels.code(stage.dies, "yes")
            columns["died"] = died.astype(np.int32)
            for column in ("next", "unfit_after", "unfit_to", "death_after"):
                if column in columns:
                    columns[column] = np.where(died, NONE, columns[column])
        return columns

    def _queues(self, kind: str, service: Service, people: People, who: np.ndarray) -> Column:
        """The index of the queue each person goes to."""
        if service.split_by is None:
            return self.queue[kind]
        words = list(self.levels.words[service.split_by])
        if kind not in self._queues_by_code:
            queues = [self.queue.get(queue_name(kind, word), NONE) for word in words]
            self._queues_by_code[kind] = np.array([*queues, NONE], dtype=np.int32)
        codes = people.codes[service.split_by][who]
        queues = self._queues_by_code[kind].take(codes, mode="wrap")
        if (queues == NONE).any():
            code = int(codes[queues == NONE][0])
            word = words[code] if code != NONE else NOT_APPLICABLE
            raise PlaceError(
                f"place.services.{kind}: people whose {service.split_by} is '{word}' are sent here, but it has "
                f"capacity only for {', '.join(str(u) for u in units_of(service))}."
            )
        return queues

    def _patience(self, stage: Stage, name: str, sampler: Sampler, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of all the reasons to give up the queue, the first to run out, and where it leads."""
        patience = np.full(len(who), NONE, dtype=np.int32)
        otherwise = np.full(len(who), NONE, dtype=np.int64)
        for reason, valve in stage.patience.items():
            applies = np.flatnonzero(matching(valve.when, sampler.people, who, self.levels))
            those = who[applies]
            minutes: Column = TRY_NOW
            if valve.after is not None:
                waited = sampler.waited(name, those, queueing=True)
                minutes = sampler.wait(valve.after, f"{name}/patience/{reason}", those, waited)
            to = names(valve.to, sampler.people, those, self.levels, self.stage_code)
            so_far = patience[applies]
            sooner = np.flatnonzero((so_far == NONE) | (minutes < so_far))
            patience[applies[sooner]], otherwise[applies[sooner]] = _part(minutes, sooner), _part(to, sooner)
        return patience, otherwise

    def _decline(self, stage: Stage, name: str, sampler: Sampler, who: np.ndarray, columns: dict[str, Column]) -> None:
        decline = stage.decline
        assert decline is not None
        declines = np.flatnonzero(sampler.uniform(f"{name}/decline", who) < sampler.table(decline.share, who))
        minutes = whole_minutes(sampler.draw(decline.after, f"{name}/decline/after", who[declines]))
        if (before := sampler.delayed_before(name, who[declines])) is not None:
            minutes = np.maximum(minutes - before.astype(np.int64), 0)
        after = np.full(len(who), NONE, dtype=np.int32)
        after[declines] = minutes
        columns["decline_after"] = after
        columns["declined_units"] = _cut(np.ceil(columns["units"] * decline.units_factor))
        columns["declined_duration"] = _cut(np.ceil(columns["duration"] * decline.duration_factor))

    # tasks -----------------------------------------------------------------------------------------------------------

    def _tasks(self, place: Place, stage: Stage, name: str, sampler: Sampler, sheet: RowSheet) -> None:
        """Add the tasks of one stage's rows to its sheet, their counts and where recognition falls."""
        n = len(sheet.who)
        alive = np.ones(n, dtype=bool)
        if "died" in sheet.columns:
            alive &= sheet.columns["died"] == 0
        so_far = np.zeros(n, dtype=np.int16)
        state, recognising = sampler.state_in(name, sheet.who), up_to_recognition(stage)
        for column, tasks in (("n_before", stage.before), ("n_after", stage.after)):
            earlier = so_far.copy()
            if column == "n_after" and self.way_out_may_shut and stage.hold:
                so_far += self._way_out(place, stage, sheet, alive, so_far)
            for task_name, task in sorted(tasks.items(), key=lambda item: item[1].order):
                if task.skip:
                    continue
                has = alive & matching(task.when, sampler.people, sheet.who, self.levels)
                if column == "n_before" and state is not None:
                    has &= state < (STATES.index("ready") if task_name in recognising else STATES.index("waiting"))
                rows = np.flatnonzero(has)
                if len(rows):
                    columns = self._task(place, task, name, task_name, sampler, sheet.who[rows])
                    sheet.tasks.append(TaskSheet(rows, so_far[rows], columns))
                so_far += has
                if task.recognises:
                    recognition = sheet.columns.get("recognition", 0)
                    sheet.columns["recognition"] = np.where(has, so_far, recognition)
            own = so_far - earlier
            if own.any():
                sheet.columns[column] = own

    def _way_out(
        self, place: Place, stage: Stage, sheet: RowSheet, alive: np.ndarray, so_far: np.ndarray
    ) -> np.ndarray:
        """Where shocks may shut the way out, the first task after acceptance waits until it is open: (n,) bool, for
        whom. Nobody waits to go on in the same service, nor who holds nothing."""
        n = len(sheet.who)
        calendar = self.network.way_out[np.broadcast_to(sheet.columns["service"], n)]
        waits = alive & (calendar != ALWAYS_OPEN)
        here = {name for name, other in place.stages.items() if other.service == stage.service}
        stays = np.array([*(name in here for name in self.stages), False])
        after = np.broadcast_to(sheet.columns["next"], n)
        waits &= ~stays[np.where(after == NONE, NONE, after % len(self.stages))]
        rows = np.flatnonzero(waits)
        if len(rows):
            columns: dict[str, Column] = {"kind": self.task_names.index(WAY_OUT), "calendar": calendar[rows]}
            sheet.tasks.append(TaskSheet(rows, so_far[rows], columns))
        return waits

    def _task(
        self, place: Place, task: Task, stage: str, name: str, sampler: Sampler, who: np.ndarray
    ) -> dict[str, Column]:
        minutes: Column = 0
        if task.takes is not None:
            minutes = whole_minutes(sampler.draw(task.takes, f"{stage}/{name}", who))
        return {
            "kind": self.task_names.index(name),
            "calendar": names(task.calendar, sampler.people, who, self.levels, self.calendar),
            "minutes": minutes,
            "pool": NONE if task.pool is None else self._queues(task.pool, place.pools[task.pool], sampler.people, who),
            "skip_if_kept": int(task.skip_if_kept),
        }

    # readmissions ----------------------------------------------------------------------------------------------------

    def _readmissions(
        self, stage: Stage, sampler: Sampler, sheet: RowSheet, had: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Who of a sheet comes back, (n,) bool, and the chance they have had of it after this stage, (n,).

        A spell has one readmission, whichever of its rows it follows. One uniform decides, so that nobody is chosen in
        two rows of which both are left: those not chosen before (`had`) are chosen with this stage's chance.
        """
        back_again, who = stage.readmission, sheet.who
        assert back_again is not None
        u = sampler.uniform("readmission", who)
        had = np.zeros(len(who)) if had is None else had
        after = had + (1 - had) * np.minimum(sampler.table(back_again.chance, who), 1)
        back = (u >= had) & (u < after)
        if "died" in sheet.columns:
            back &= sheet.columns["died"] == 0
        gap, child = np.full(len(who), NONE, dtype=np.int32), np.full(len(who), NONE, dtype=np.int64)
        gap[back] = whole_minutes(sampler.draw(back_again.gap, "readmission/gap", who[back]))
        child[back] = sampler.people.number[who[back]] + 1
        sheet.columns["readmission_gap"], sheet.columns["child"] = gap, child
        return back, after

    def _children(self, place: Place, people: People, back_from: np.ndarray) -> People:
        """The next generation: the same people with what is settled about them, and new uniforms for the rest."""
        who = np.flatnonzero(back_from != NONE)
        first = np.full(len(who), NONE, dtype=np.int64)
        settled: dict[str, np.ndarray] = {}
        persistent = {"site", "locality", *place.periods, *(n for n, c in place.choices.items() if c.of == "person")}
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
        order = np.argsort(number, kind="stable")  # quick, since each batch is in order
        number = number[order]
        count = np.concatenate([draft.count for draft in drafts])
        begin = np.empty(len(number), dtype=np.int32)
        begin[order] = _begins(count[order])

        rows = _Table(int(count.sum()), ROW_DEFAULTS)
        rows.columns["spell"] = np.repeat(np.arange(len(number)), count[order])
        first_row = np.empty(len(number), dtype=np.int64)
        row_of: list[tuple[RowSheet, np.ndarray]] = []
        start = 0
        for draft in drafts:
            batch = slice(start, start := start + len(draft.people))
            first_row[batch] = draft.row(begin[batch], draft.people.first, np.arange(len(draft.people)))
            for sheet in draft.sheets:
                begin_of = begin[batch].take(sheet.who)
                at = (begin_of + sheet.place).astype(np.intp)
                row_of.append((sheet, at))
                for name, column in sheet.columns.items():
                    if name in ROW_REFERENCES:
                        rows.write(name, at, draft.row(begin_of, column, sheet.who))
                    elif name == "child":
                        back = np.flatnonzero(column != NONE)
                        rows.write(name, at[back], np.searchsorted(number, _part(column, back)))
                    else:
                        rows.write(name, at, column)

        n_tasks = rows.column("n_before") + rows.column("n_after")
        first_task = _begins(n_tasks)
        tasks = _Table(int(n_tasks.sum()), TASK_DEFAULTS)
        for sheet, row in row_of:
            for task in sheet.tasks:
                at = first_task.take(row.take(task.rows)) + task.place
                for name, column in task.columns.items():
                    tasks.write(name, at, column)
        rows.columns["first_task"] = first_task.astype(np.int32)
        return Journeys(
            spells=SpellTable(
                number=number,
                arrival=np.concatenate([people.arrival for people in everybody])[order],
                first_row=first_row[order],
                initial=np.concatenate([np.full(len(p), int(p.found is not None)) for p in everybody])[order],
            ),
            rows=RowTable(**{f.name: rows.column(f.name) for f in fields(RowTable)}),
            tasks=TaskTable(**{f.name: tasks.column(f.name) for f in fields(TaskTable)}),
            stages=self.stages,
            task_names=self.task_names,
            attributes={name: gathered(name, everybody, [p.codes for p in everybody]).take(order) for name in known},
            levels={name: tuple(words) for name, words in self.levels.words.items()},
        )


@once_a_place
def ways_of(place: Place) -> Ways:
    to = {name: named_by(stage) for name, stage in place.stages.items()}
    return Ways(stage_order(place), may_come_back(place), to)


def stage_order(place: Place) -> list[str]:
    """The stages so that each comes after all that lead to it. Raises graphlib.CycleError on a circle."""
    leads_to_from: dict[str, set[str]] = {name: set() for name in place.stages}
    for name in place.stages:
        for target in following(place.stages[name]):
            leads_to_from[target].add(name)
    return list(TopologicalSorter(leads_to_from).static_order())


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
        over = np.where(began < never, began + sheet.columns["duration"], never)
        for code in range(stages):
            there = _where(sheet.columns["next"], code)
            comes[code, sheet.who[there]] = np.minimum(comes[code, sheet.who[there]], over[there])
        if "child" in sheet.columns:
            again = np.flatnonzero((sheet.columns["child"] != NONE) & (over < never))
            left[sheet.who[again]] = over[again]
            back[sheet.who[again]] = over[again] + np.broadcast_to(sheet.columns["readmission_gap"], len(over))[again]
    return left, back


def up_to_recognition(stage: Stage) -> set[str]:
    """The tasks before asking that are done when it is recognised that the stage is over."""
    tasks = [(n, task) for n, task in sorted(stage.before.items(), key=lambda item: item[1].order) if not task.skip]
    last = max((at for at, (_, task) in enumerate(tasks) if task.recognises), default=-1)
    return {name for name, _ in tasks[: last + 1]}


def may_come_back(place: Place) -> set[str]:
    """The stages from which, or from one that follows, people may be readmitted."""
    found: set[str] = set()
    for name in reversed(stage_order(place)):
        if place.stages[name].readmission is not None or following(place.stages[name]) & found:
            found.add(name)
    return found


def named_by(stage: Stage) -> dict[str, list[str]]:
    """The stages that a stage's people may go on to, by the column of their rows that says so."""
    columns = {"patience": "otherwise", "unfit": "unfit_to"}
    found: dict[str, list[str]] = {}
    for key, targets in ways_on(stage).items():
        word = key.partition(".")[0]
        found.setdefault(columns.get(word, word), []).extend(targets)
    return {column: [to for to in dict.fromkeys(targets) if to != LEAVE] for column, targets in found.items()}


def following(stage: Stage) -> set[str]:
    """The stages a stage may lead to, by any way."""
    return {target for targets in named_by(stage).values() for target in targets}


def _cut(values: np.ndarray) -> np.ndarray:
    """Whole numbers, none above `MOST`: what a column of rows holds."""
    return np.minimum(values, MOST).astype(np.int32)


def _type(column: str) -> type[np.int32 | np.int64]:
    return np.int64 if column in WIDE else np.int32


def _begins(count: np.ndarray) -> np.ndarray:
    """Where each of several lists of these lengths begins when they stand one behind the other."""
    begin = np.zeros(len(count), dtype=np.int64)
    np.cumsum(count[:-1], out=begin[1:])
    return begin


def _plus(codes: Column, offset: int) -> Column:
    """Codes of a later turn of the same stages; none stays none."""
    if isinstance(codes, int):
        return codes if codes == NONE else codes + offset
    return np.where(codes == NONE, NONE, codes + offset) if offset else codes


def _where(column: Column, code: int) -> np.ndarray | slice:
    """Where a column has a code."""
    if isinstance(column, int):
        return slice(None) if column == code else slice(0)
    return np.flatnonzero(column == code)


def _part(column: Column, who: np.ndarray) -> Column:
    return column if isinstance(column, int) else column[who]
