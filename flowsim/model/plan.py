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
    NONE,
    ROW_DEFAULTS,
    TRY_NOW,
    WAY_OUT,
    Journeys,
    RowTable,
    SpellTable,
    TaskTable,
)
from flowsim.model.people import (
    CODE,
    STATES,
    Column,
    Levels,
    People,
    Roster,
    Sampler,
    asked_for,
    decide,
    gathered,
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
)
from flowsim.rules import check_scenario, ways_on

ROW_REFERENCES = ("next", "otherwise", "unfit_to", "since", "keep", "displaced_to")
WAYS_ON = ("next", "otherwise", "unfit_to", "displaced_to")
"""Those references along which a person may come to another stage."""
WAYS_OF_LEAVING = ("next", "displaced_to")
"""Of these, those of a person who was in the stage and left it."""


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

    def row(self, begin: np.ndarray, code: Column, who: np.ndarray) -> np.ndarray:
        """The index of the rows of `who` with these codes, -1 for none, when each one's rows begin at `begin`."""
        place = self.places[code, who]
        return np.where(place >= 0, begin + place, NONE)


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
        if (network.way_out != ALWAYS_OPEN).any() and WAY_OUT not in self.task_names:
            self.task_names += (WAY_OUT,)
        self.queue = {name: i for i, name in enumerate(network.names)}
        self.calendar = {name: i for i, name in enumerate(network.calendars.names)} | {ALWAYS: ALWAYS_OPEN}
        self._rosters: dict[bool, Roster] = {}  # by whether it is that of the place before the scenario
        self._ways: dict[bool, tuple[list[str], set[str]]] = {}  # likewise
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
        earlier.cohort, earlier._rosters, earlier._ways = self.cohort.branch("earlier"), {}, {}
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

    def _way(self, place: Place) -> tuple[list[str], set[str]]:
        """The stages in the order in which people come to them, and those from which they may come back."""
        key = place is self.before
        if key not in self._ways:
            self._ways[key] = (stage_order(place), may_come_back(place))
        return self._ways[key]

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
            comes = np.flatnonzero(mark < demand)
            people.first[:] = names(stream.first, people, everybody, self.levels, self.stage_code)
            found.append(subset(people, comes))
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
        order, come_back = self._way(place)
        sheets: list[RowSheet] = []
        offset = 0
        while any(here.any() for here in reached.values()):
            again = {name: np.zeros(len(people), dtype=bool) for name in place.stages}  # reached by being unfit again
            had_again: dict[str, np.ndarray] = {}
            for name in order:
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
            sampler.asked_anew = True
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
            after = np.full(len(who), NONE, dtype=np.int64)
            waited = sampler.waited(name, who[may])
            after[may] = sampler.wait(stage.unfit.after, f"{name}/unfit", who[may], waited)
            columns["unfit_after"] = after
            columns["unfit_to"] = np.where(may, self.stage_code[stage.unfit.to], NONE)
        if stage.death_while_waiting is not None:
            waited = sampler.waited(name, who)
            columns["death_after"] = sampler.wait(stage.death_while_waiting, f"{name}/death", who, waited)
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

    def _patience(self, stage: Stage, name: str, sampler: Sampler, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of all the reasons to give up the queue, the first to run out, and where it leads."""
        patience = np.full(len(who), NONE, dtype=np.int64)
        otherwise = np.full(len(who), NONE, dtype=np.int64)
        for reason, valve in stage.patience.items():
            applies = np.flatnonzero(matching(valve.when, sampler.people, who, self.levels))
            minutes = np.full(len(applies), TRY_NOW, dtype=np.int64)
            if valve.after is not None:
                waited = sampler.waited(name, who[applies], queueing=True)
                minutes = sampler.wait(valve.after, f"{name}/patience/{reason}", who[applies], waited)
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
        after = whole_minutes(sampler.draw(decline.after, f"{name}/decline/after", who))
        if (before := sampler.delayed_before(name, who)) is not None:
            after = np.maximum(after - before.astype(np.int64), 0)
        columns["decline_after"] = np.where(declines, after, NONE)
        columns["declined_units"] = _ceil(columns["units"] * decline.units_factor)
        columns["declined_duration"] = _ceil(columns["duration"] * decline.duration_factor)

    # tasks -----------------------------------------------------------------------------------------------------------

    def _tasks(self, place: Place, stage: Stage, name: str, sampler: Sampler, sheet: RowSheet) -> None:
        """Add the tasks of one stage's rows to its sheet, their counts and where recognition falls."""
        alive = np.equal(sheet.columns.get("died", 0), np.zeros(len(sheet.who), dtype=np.int64))
        so_far = np.zeros(len(sheet.who), dtype=np.int64)
        state, recognising = sampler.state_in(name, sheet.who), up_to_recognition(stage)
        for column, tasks in (("n_before", stage.before), ("n_after", stage.after)):
            earlier = so_far.copy()
            if column == "n_after":
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
            if (so_far > earlier).any():
                sheet.columns[column] = so_far - earlier

    def _way_out(
        self, place: Place, stage: Stage, sheet: RowSheet, alive: np.ndarray, so_far: np.ndarray
    ) -> np.ndarray:
        """Where shocks may shut the way out, the first task after acceptance waits until it is open: (n,) bool, for
        whom. Nobody waits to go on in the same service, nor who holds nothing."""
        n = len(sheet.who)
        if not len(self.network.way_out) or not stage.hold:
            return np.zeros(n, dtype=bool)
        calendar = self.network.way_out[np.broadcast_to(sheet.columns["service"], n)]
        here = {name for name, other in place.stages.items() if other.service == stage.service}
        stays = np.array([*(name in here for name in self.stages), False])
        after = np.broadcast_to(sheet.columns["next"], n)
        waits = alive & (calendar != ALWAYS_OPEN) & ~stays[np.where(after == NONE, NONE, after % len(self.stages))]
        rows = np.flatnonzero(waits)
        if len(rows):
            columns: dict[str, Column] = {
                "kind": self.task_names.index(WAY_OUT),
                "calendar": calendar[rows],
                "minutes": 0,
                "pool": NONE,
                "skip_if_kept": 0,
            }
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
        gap = whole_minutes(sampler.draw(back_again.gap, "readmission/gap", who))
        sheet.columns["readmission_gap"] = np.where(back, gap, NONE)
        sheet.columns["child"] = np.where(back, sampler.people.number[who] + 1, NONE)
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
            first_row[batch] = draft.row(begin[batch], draft.people.first, np.arange(len(draft.people)))
            for sheet in draft.sheets:
                begin_of = begin[batch][sheet.who]
                at = begin_of + sheet.place
                row_of.append((sheet, at))
                rows["spell"][at] = rank[batch][sheet.who]
                for name, column in sheet.columns.items():
                    if name in ROW_REFERENCES:
                        rows[name][at] = draft.row(begin_of, column, sheet.who)
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
                initial=np.concatenate([np.full(len(p), int(p.found is not None)) for p in everybody])[order],
            ),
            rows=RowTable(**rows),
            tasks=TaskTable(**tasks),
            stages=self.stages,
            task_names=self.task_names,
            attributes={name: gathered(name, everybody, [p.codes for p in everybody])[order] for name in known},
            levels={name: tuple(words) for name, words in self.levels.words.items()},
        )


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
        for code, there in _by_code(sheet.columns.get("next", NONE), stages):
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


def following(stage: Stage) -> set[str]:
    """The stages a stage may lead to, by any way."""
    return {target for targets in ways_on(stage).values() for target in targets} - {LEAVE}


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
