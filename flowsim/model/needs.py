"""What people need in each stage: queue, size, time and tasks, by one place's tables and each person's uniforms."""

from __future__ import annotations

import numpy as np

from flowsim.model.calendar import ALWAYS_OPEN
from flowsim.model.drafts import Sheet, TaskSheet
from flowsim.model.people import STATES, Column, Levels, People, Who, among, matching, names, of, positions, size
from flowsim.model.sampler import Sampler
from flowsim.model.tables import MOST, NONE, TRY_NOW, WAY_OUT, Network
from flowsim.model.ways import turns_elsewhere, up_to_recognition
from flowsim.place import ALWAYS, LEAVE, NOT_APPLICABLE, Place, PlaceError, Service, Stage, Task
from flowsim.place.queues import queue_name, units_of


class Needs:
    """Writes what people need into the sheets of their stages.

    Args:
        places: all whose stages there are: the place and the place before its scenario.
        network: whose queues and calendars are meant; levels: the words of people's attributes.

    Attributes:
        stages, task_names: the names that the codes of stages and the kinds of tasks stand for.
        stage_code: by name; -1 for leaving.
    """

    def __init__(self, places: list[Place], network: Network, levels: Levels) -> None:
        self.network, self.levels = network, levels
        self.stages = tuple(dict.fromkeys(name for place in places for name in place.stages))
        self.stage_code = {name: i for i, name in enumerate(self.stages)} | {LEAVE: NONE}
        stages = [stage for place in places for stage in place.stages.values()]
        self.task_names = tuple(dict.fromkeys(name for stage in stages for name in (*stage.before, *stage.after)))
        self.way_out_may_shut = bool((network.way_out != ALWAYS_OPEN).any())
        if self.way_out_may_shut and WAY_OUT not in self.task_names:
            self.task_names += (WAY_OUT,)
        self.queue = {name: i for i, name in enumerate(network.names)}
        self.calendar = {name: i for i, name in enumerate(network.calendars.names)} | {ALWAYS: ALWAYS_OPEN}
        self._queues_by_code: dict[str, np.ndarray] = {}  # by kind of service

    def write(self, place: Place, name: str, sampler: Sampler, sheet: Sheet) -> None:
        """Say what is needed in the stage `name`, and the tasks after it: all on which nobody's way depends. Raises
        PlaceError for somebody who has no queue to go to, or of whom a table says nothing or no finite number."""
        stage, who = place.stages[name], sheet.who
        service = place.services[stage.service or ""]
        sheet.say("service", self._queues(stage.service or "", service, sampler.people, who))
        units, duration = sampler.units(stage, name, service, who), sampler.stay(stage, name, who)
        sheet.say("units", units)
        sheet.say("duration", duration)
        sheet.say("hold", int(stage.hold))
        if stage.priority is not None:
            sheet.say("priority", np.rint(sampler.table(stage.priority, who)).astype(np.int64))
        if stage.patience and not turns_elsewhere(place, name):
            self.patience(stage, name, sampler, sheet)
        if stage.displaced_to is not None:
            mark = sampler.uniform(f"{name}/displacement", who) * 2**40
            sheet.say("displacement_mark", mark.astype(np.int64))
        if stage.death_while_waiting is not None:
            alive = positions(_alive(sheet))
            those = among(who, alive)
            waited = sampler.waited(name, those)
            sheet.say("death_after", sampler.wait(stage.death_while_waiting, f"{name}/death", those, waited), alive)
        if stage.kept_on_readmission is not None:
            kept = sampler.draw(stage.kept_on_readmission, f"{name}/kept", who)
            sheet.say("kept_on_readmission", _cut(np.rint(kept)))
        if stage.readmission is not None and size(sheet.back):
            gap = sampler.minutes(stage.readmission.gap, "readmission/gap", among(who, sheet.back))
            sheet.say("readmission_gap", gap, sheet.back)
        if stage.decline is not None:
            self._decline(stage, name, sampler, sheet)
            sheet.say("declined_units", _cut(np.ceil(np.broadcast_to(units, len(sheet)) * stage.decline.units_factor)))
            sheet.say("declined_duration", _cut(np.ceil(duration * stage.decline.duration_factor)))
        self._tasks(place, stage, name, sampler, sheet)

    def patience(self, stage: Stage, name: str, sampler: Sampler, sheet: Sheet) -> tuple[Who, Column]:
        """Of all the reasons to give up the queue, the first to run out. Returns whom they make give up, positions in
        the sheet, and the codes of the stages to which these turn.

        Of a person's reasons all have one clock or none (declare/rules/stages.py), so the first to run out is known
        before the minute of joining is.
        """
        reasons = [self._reason(stage, name, reason, sampler, sheet) for reason in stage.patience]
        if len(reasons) == 1:
            [(rows, minutes, to)] = reasons
            sheet.say("patience", minutes, rows)
            return rows, to
        n = len(sheet)
        soonest, turn_to = np.full(n, NONE, dtype=np.int32), np.full(n, NONE, dtype=np.int64)
        for rows, minutes, to in reasons:
            earliest = of(soonest, rows)
            sooner = np.logical_or(earliest == NONE, minutes < earliest)
            soonest[rows], turn_to[rows] = np.where(sooner, minutes, earliest), np.where(sooner, to, of(turn_to, rows))
        sheet.say("patience", soonest)
        return slice(0, n), turn_to

    def _reason(
        self, stage: Stage, name: str, reason: str, sampler: Sampler, sheet: Sheet
    ) -> tuple[Who, Column, Column]:
        """One reason to give up: in which rows of the sheet, after how many minutes, to which stages (codes)."""
        valve = stage.patience[reason]
        rows = positions(matching(valve.when, sampler.people, sheet.who, self.levels))
        those = among(sheet.who, rows)
        minutes: Column = TRY_NOW
        if valve.after is not None:
            waited = sampler.waited(name, those, queueing=True)
            minutes = sampler.wait(valve.after, f"{name}/patience/{reason}", those, waited)
        if valve.clock is not None:
            if valve.after is None:
                minutes = 1  # who comes in the very minute of the clock has the next one to wait for
            sheet.say("patience_calendar", names(valve.clock, sampler.people, those, self.levels, self.calendar), rows)
        return rows, minutes, names(valve.to, sampler.people, those, self.levels, self.stage_code)

    def _queues(self, kind: str, service: Service, people: People, who: Who) -> Column:
        """The index of the queue each person goes to."""
        if service.split_by is None:
            return self.queue[kind]
        words = list(self.levels.words[service.split_by])
        if kind not in self._queues_by_code:
            known = [self.queue.get(queue_name(kind, word), NONE) for word in words]
            self._queues_by_code[kind] = np.array([*known, NONE])
        codes = of(people.codes[service.split_by], who)
        queues = self._queues_by_code[kind].take(codes, mode="wrap")
        if (queues == NONE).any():
            code = int(codes[queues == NONE][0])
            word = words[code] if code != NONE else NOT_APPLICABLE
            raise PlaceError(
                f"place.services.{kind}: people whose {service.split_by} is '{word}' are sent here, but it has "
                f"capacity only for {', '.join(str(u) for u in units_of(service))}."
            )
        return queues

    def _decline(self, stage: Stage, name: str, sampler: Sampler, sheet: Sheet) -> None:
        decline, who = stage.decline, sheet.who
        assert decline is not None
        declines = positions(sampler.uniform(f"{name}/decline", who) < sampler.table(decline.share, who))
        those = among(who, declines)
        minutes = sampler.minutes(decline.after, f"{name}/decline/after", those)
        if (before := sampler.delayed_before(name, those)) is not None:
            minutes = np.maximum(minutes - before.astype(np.int64), 0)
        sheet.say("decline_after", minutes, declines)

    # tasks -----------------------------------------------------------------------------------------------------------

    def _tasks(self, place: Place, stage: Stage, name: str, sampler: Sampler, sheet: Sheet) -> None:
        """Add the tasks of one stage's rows to its sheet, their counts and where recognition falls."""
        alive = _alive(sheet)
        so_far: Column = 0
        state, recognising = sampler.state_in(name, sheet.who), up_to_recognition(stage)
        for column, tasks in (("n_before", stage.before), ("n_after", stage.after)):
            earlier = so_far
            if column == "n_after" and self.way_out_may_shut and stage.hold:
                so_far = self._way_out(place, stage, sheet, alive, so_far)
            for task_name, task in sorted(tasks.items(), key=lambda item: item[1].order):
                if task.skip:
                    continue
                has = alive & matching(task.when, sampler.people, sheet.who, self.levels)
                if column == "n_before" and state is not None:
                    has &= state < (STATES.index("ready") if task_name in recognising else STATES.index("waiting"))
                rows = positions(has)
                if size(rows):
                    columns = self._task(place, task, name, task_name, sampler, among(sheet.who, rows))
                    so_far = _one_more(sheet, rows, so_far, has, columns)
                    if task.recognises:
                        sheet.say("recognition", _part(so_far, rows), rows)
            sheet.say(column, so_far - earlier)

    def _way_out(self, place: Place, stage: Stage, sheet: Sheet, alive: np.ndarray, so_far: Column) -> Column:
        """Where shocks may shut the way out, the first task after acceptance waits until it is open. Nobody waits to go
        on in the same service, nor who holds nothing. Returns how many tasks there are then, (n,) or one for all."""
        n = len(sheet)
        calendar = self.network.way_out[np.broadcast_to(sheet.said("service"), n)]
        waits = alive & (calendar != ALWAYS_OPEN)
        here = {self.stage_code[name] for name, other in place.stages.items() if other.service == stage.service}
        for link in sheet.links:
            if link.column == "next" and link.to % len(self.stages) in here:
                waits[link.rows] = False
        rows = positions(waits)
        if not size(rows):
            return so_far
        columns: dict[str, Column] = {"kind": self.task_names.index(WAY_OUT), "calendar": of(calendar, rows)}
        return _one_more(sheet, rows, so_far, waits, columns)

    def _task(self, place: Place, task: Task, stage: str, name: str, sampler: Sampler, who: Who) -> dict[str, Column]:
        return {
            "kind": self.task_names.index(name),
            "calendar": names(task.calendar, sampler.people, who, self.levels, self.calendar),
            "minutes": 0 if task.takes is None else sampler.minutes(task.takes, f"{stage}/{name}", who),
            "pool": NONE if task.pool is None else self._queues(task.pool, place.pools[task.pool], sampler.people, who),
            "skip_if_kept": int(task.skip_if_kept),
        }


def _alive(sheet: Sheet) -> np.ndarray:
    """Which rows are not those of somebody who dies there: (n,) bool."""
    return np.ones(len(sheet), dtype=bool) if sheet.dies is None else ~sheet.dies


def _one_more(sheet: Sheet, rows: Who, so_far: Column, has: np.ndarray, columns: dict[str, Column]) -> Column:
    """Add a task to some rows of a sheet, those that it `has`, and return how many there are then."""
    sheet.tasks.append(TaskSheet(rows, _part(so_far, rows), columns))
    return so_far + 1 if size(rows) == len(sheet) else np.add(so_far, has, dtype=np.int16)


def _part(column: Column, who: Who) -> Column:
    return column if isinstance(column, int) else of(column, who)


def _cut(values: np.ndarray) -> np.ndarray:
    """Whole numbers, none above `MOST`: what a column of rows holds."""
    return np.minimum(values, MOST).astype(np.int32)
