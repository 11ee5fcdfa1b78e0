"""Who is there at the start: caseloads in the long run, and people as a census counted them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flowsim.model.cohort import GROUPS, LAYERS, Cohort, people_a_day
from flowsim.model.people import CODE, RULES, STATES, Found, Levels, People, Roster, matching, names, subset, together
from flowsim.model.sampler import Sampler, asked_for, decide, minutes_at
from flowsim.model.tables import NONE, NUMBERS_A_PERSON
from flowsim.place import INITIAL, Initial, Place, PlaceError, Service, apportion, refuse
from flowsim.place.queues import UNLIMITED, capacities, units_of
from flowsim.place.ways import plain_way

FEW = 256
"""Candidates looked at first for a caseload of so many units."""
TRIES = 4096
"""People looked at, at most, for each place of a census."""
FIRST_TRIES = 16
COUNTED = GROUPS // LAYERS * LAYERS
"""Where the people of a census stand among the cohort's indices: beyond the last group."""


def group_of(before: Place, place: Place) -> dict[tuple[str, str, str | None], int]:
    """The group of the cohort's people from which each caseload of a queue takes its own, by service, name and site or
    locality: those of the place before its scenario first, so that nobody's group moves. A census takes none."""
    keys = dict.fromkeys(
        (kind, name, unit)
        for one in (before, place)
        for kind, service in one.services.items()
        for name, initial in service.initial.items()
        if not initial.counted
        for unit in units_of(service)
    )
    last = GROUPS // LAYERS - 1  # counts down; the groups of those who arrive count up, and may not meet these
    return {key: last - at for at, key in enumerate(keys)}


class Caseload:
    """The people who are there at the start of a run, under one place's rules.

    Args:
        place: whose caseloads; before: the place before its scenario (or the same).
        roster: the people of `place` are made by this; stage_code: of every stage.
    """

    def __init__(
        self, place: Place, before: Place, levels: Levels, cohort: Cohort, roster: Roster, stage_code: dict[str, int]
    ) -> None:
        self.group_of = group_of(before, place)
        self.place, self.levels, self.cohort, self.roster, self.stage_code = place, levels, cohort, roster, stage_code

    # in the long run -------------------------------------------------------------------------------------------------

    def people(self) -> list[People]:
        """Caseloads by their size alone, with what remains of their stays: one batch for each queue that has some."""
        batches: list[People] = []
        for kind, service in self.place.services.items():
            for name, initial in service.initial.items():
                if initial.counted:
                    continue
                people = self._people(service, initial)
                for unit in units_of(service):
                    group = self.group_of[kind, name, unit]
                    if initial.where is not None and unit not in initial.where:
                        continue
                    if people is None:
                        batches.append(self._filling(kind, service, initial, unit, group))
                    else:
                        batches.append(self._candidates(service, initial, unit, group, people.get(unit, 0)))
        return batches

    def _people(self, service: Service, initial: Initial) -> dict[str | None, int] | None:
        """How many people a caseload has in each queue; None where that depends on how much they need."""
        scale = self.place.run.scale
        if isinstance(initial.people, dict):
            return {unit: round(given * scale) for unit, given in initial.people.items()}
        if initial.people is None:
            return None
        if service.split_by is None:
            return {None: round(initial.people * scale)}
        return dict(apportion(initial.people * scale, service.by_site or service.by_locality or {}).items())

    def _wanted(self, kind: str, service: Service, initial: Initial, unit: str | None) -> float:
        """Units that a caseload is to have in one queue."""
        if initial.units is not None:
            given = initial.units.get(str(unit), 0.0) if isinstance(initial.units, dict) else initial.units
            return given * service.units_each * self.place.run.scale
        capacity = capacities(service, self.place.run.scale)[unit]
        if capacity >= UNLIMITED:
            raise PlaceError(f"place.services.{kind}.initial: an unlimited service has no utilisation.")
        return capacity * (initial.utilisation or 0)

    def _filling(self, kind: str, service: Service, initial: Initial, unit: str | None, group: int) -> People:
        """Of those who may belong to it, as many as fill the wanted part of one queue's capacity."""
        wanted, stage = self._wanted(kind, service, initial, unit), self.place.stages[initial.stage]
        most = int(wanted) + 1
        if stage.units is None:
            return self._candidates(service, initial, unit, group, most - 1)  # one unit each
        n, needed = FEW, asked_for(self.place, stage.units.tables())
        while True:  # nobody needs less than one unit; most need far more, so few candidates may do
            n = min(n, most)
            people = self._candidates(service, initial, unit, group, n)
            decide(self.place, people, self.levels, self.cohort, needed)
            sizes = Sampler(people, self.levels, self.cohort).units(stage, initial.stage, service, np.arange(n))
            used = np.cumsum(np.broadcast_to(sizes, n))
            if n == most or used[-1] > wanted:
                return subset(people, np.flatnonzero(used <= wanted))
            n *= 4

    def _candidates(self, service: Service, initial: Initial, unit: str | None, group: int, n: int) -> People:
        """The first n people who may belong to a caseload; the k-th is the same whatever n is."""
        people = self.roster.people(
            np.arange(n) * GROUPS + group * LAYERS, np.zeros(n, dtype=np.int64), INITIAL, service.split_by or "place",
            unit or "", initial.set,
        )  # fmt: skip
        people.first = np.full(n, self.stage_code[initial.stage])
        elapsed = np.zeros(n)
        if initial.elapsed is not None:
            u = self.cohort.uniform("caseload/elapsed", people.number)
            elapsed = np.array(np.broadcast_to(minutes_at(initial.elapsed, u), n))
        people.found = self._found(initial, elapsed)
        return people

    def _found(self, initial: Initial, elapsed: np.ndarray) -> Found:
        n = len(elapsed)
        state = STATES.index(initial.state)
        rule = "over" if state else "beyond_elapsed" if initial.elapsed is not None else initial.remaining
        return Found(
            np.full(n, RULES.index(rule), dtype=np.int8), np.full(n, state, dtype=np.int8), elapsed,
            np.full(n, NONE, dtype=CODE), self.stage_code,
        )  # fmt: skip

    # as a census counted them ----------------------------------------------------------------------------------------

    def counted(self) -> People:
        """The people of a census: for each place in it, the first candidate who fits what was counted.

        Whoever has waited longest has the lowest number, by which queues are ordered among those who join together.
        """
        lines = self._lines()
        if not lines:
            return together([])
        line = np.repeat(np.arange(len(lines)), [len(one.elapsed) for one in lines])
        elapsed = np.concatenate([one.elapsed for one in lines])
        waits = np.array([one.initial.state != "in_stage" for one in lines])[line]
        order = np.lexsort((np.arange(len(line)), -elapsed, ~waits))
        rank = np.empty(len(line), dtype=np.int64)
        rank[order] = np.arange(len(line))
        return together([self._picked(one, rank[line == at]) for at, one in enumerate(lines)])

    def _lines(self) -> list[_Line]:
        lines = []
        for kind, service in self.place.services.items():
            for name, initial in service.initial.items():
                if initial.counted:
                    key = f"place.services.{kind}.initial.{name}"
                    for unit, n in (self._people(service, initial) or {}).items():
                        if n and (initial.where is None or unit in initial.where):
                            lines.append(_Line(key, service, initial, unit, _spread(initial, n)))
        return lines

    def _picked(self, line: _Line, rank: np.ndarray) -> People:
        """One person for each place of a line, by the ranks of these: those who fit, facts settled."""
        initial = line.initial
        needed = self._needed(initial)
        chosen = np.full(len(rank), NONE, dtype=np.int64)  # which of their candidates
        fallback = np.full(len(rank), NONE, dtype=np.int64)
        tried, chunk, heaviest = 0, FIRST_TRIES, 0.0
        while (chosen == NONE).any() and tried < TRIES:
            todo = np.flatnonzero(chosen == NONE)
            tries = tried + np.arange(chunk)
            place_of = np.repeat(todo, chunk)
            people = self._tried(line, (rank[todo, None] * TRIES + tries).reshape(-1), line.elapsed[place_of])
            decide(self.place, people, self.levels, self.cohort, needed)
            fits = self._fits(line, people)
            weight = self._weight(line, people) if initial.mix == "present" and fits.any() else fits.astype(np.float64)
            heaviest = heaviest or float(weight[fits].max(initial=0.0))
            u = self.cohort.uniform("caseload/found", people.number)
            kept = fits & (u * heaviest <= weight)
            for mask, into in ((kept, chosen), (fits, fallback)):
                table = mask.reshape(len(todo), chunk)
                first = np.where(table.any(axis=1), tries[table.argmax(axis=1)], NONE)
                into[todo] = np.where(into[todo] == NONE, first, into[todo])
            tried += chunk
            chunk = min(4 * chunk, TRIES - tried)
        chosen = np.where(chosen == NONE, fallback, chosen)
        if (chosen == NONE).any():
            raise self._nobody(line)
        people = self._tried(line, rank * TRIES + chosen, line.elapsed)
        decide(self.place, people, self.levels, self.cohort, needed)
        return self._settled(line, people)

    def _needed(self, initial: Initial) -> set[str]:
        """The choices that tell whether somebody fits."""
        stages = self.place.stages
        tables = [s.next for s in stages.values() if s.next is not None]
        tables += [stream.first for stream in self.place.streams.values()]
        duration = stages[initial.stage].duration
        tables += duration.tables() if duration is not None else ()
        dies = [stage.dies for stage in stages.values() if stage.dies is not None]
        return asked_for(self.place, tables, [*initial.who, "locality", *dies])

    def _tried(self, line: _Line, person: np.ndarray, elapsed: np.ndarray) -> People:
        """Candidates as they would come, by the streams that bring them; or as people of no stream."""
        streams = line.initial.streams or [line.initial.set.get("stream", INITIAL)]
        if len(streams) == 1:
            return self._of_stream(line, streams[0], person, elapsed)
        rates = np.array([people_a_day(self.place, name) for name in streams])
        edges = np.cumsum(rates if rates.any() else np.ones(len(rates)))
        number = (person * GROUPS + COUNTED) * NUMBERS_A_PERSON
        which = np.searchsorted(edges[:-1], self.cohort.uniform("caseload/stream", number) * edges[-1], side="right")
        by_stream = [np.flatnonzero(which == i) for i in range(len(streams))]
        parts = [self._of_stream(line, s, person[w], elapsed[w]) for s, w in zip(streams, by_stream, strict=True)]
        return subset(together(parts), np.argsort(np.concatenate(by_stream)))

    def _of_stream(self, line: _Line, name: str, person: np.ndarray, elapsed: np.ndarray) -> People:
        initial, service = line.initial, line.service
        stream = self.place.streams.get(name)
        at, unit = service.split_by or "place", line.unit or ""
        settings = {**(stream.set if stream is not None else {}), **initial.set}
        if stream is not None and at == "locality" and "locality" in self.place.choices:
            at, unit = "place", ""  # where they live is chosen as for all who come, and looked at afterwards
        people = self.roster.people(
            person * GROUPS + COUNTED, np.zeros(len(person), dtype=np.int64), name, at, unit, settings
        )
        if stream is not None and stream.at not in ("place", service.split_by) and stream.at not in settings:
            self._come_from(people, name, stream.at)
        people.first = np.full(len(person), self.stage_code[initial.stage])
        people.found = self._found(initial, elapsed)
        return people

    def _come_from(self, people: People, stream: str, at: str) -> None:
        """Sites or localities in proportion to how many come there."""
        units = list(self.place.sites if at == "site" else self.place.localities)
        rates = np.array([people_a_day(self.place, stream, unit) for unit in units])
        edges = np.cumsum(rates) / rates.sum() if rates.sum() else np.arange(1, len(units) + 1) / len(units)
        which = np.searchsorted(edges[:-1], self.cohort.uniform(f"caseload/{at}", people.number), side="right")
        codes = np.array([self.levels.code(at, unit) for unit in units])[which].astype(people.codes[at].dtype)
        people.codes[at] = people.person_codes[at] = codes

    def _fits(self, line: _Line, people: People) -> np.ndarray:
        """Who is as was counted: (n,) bool."""
        initial, everybody = line.initial, np.arange(len(people))
        stage = self.place.stages[initial.stage]
        fits = matching(initial.who, people, everybody, self.levels)
        if line.service.split_by is not None and line.unit is not None:
            at = line.service.split_by
            fits &= people.codes[at] == self.levels.code(at, line.unit)
        if initial.state != "in_stage" and stage.dies is not None:
            fits &= people.codes[stage.dies] != self.levels.code(stage.dies, "yes")
        if initial.waiting_for is not None:
            fits &= self._next(initial.stage, people, everybody) == self.stage_code[initial.waiting_for]
        return fits & self._came_this_way(initial, people)

    def _next(self, stage: str, people: People, who: np.ndarray) -> np.ndarray:
        """Codes of the stages that follow a stage for each of `who`."""
        table = self.place.stages[stage].next
        assert table is not None
        return np.broadcast_to(names(table, people, who, self.levels, self.stage_code), len(who))

    def _came_this_way(self, initial: Initial, people: People) -> np.ndarray:
        """Who, coming by their stream, would come to the stage by the plain way from stage to stage: (n,) bool.

        Everybody, where there is no such way (a stage that follows on giving up), or for people of no stream.
        """
        came = np.ones(len(people), dtype=bool)
        for stream in initial.streams or [initial.set.get("stream", INITIAL)]:
            if stream in self.place.streams and initial.stage in plain_way(self.place, stream):
                of_it = np.flatnonzero(people.codes["stream"] == self.levels.code("stream", stream))
                came[of_it] = self._comes_to(initial.stage, stream, subset(people, of_it))
        return came

    def _comes_to(self, stage: str, stream: str, people: People) -> np.ndarray:
        """Who of a stream's people comes to a stage, from stage to stage: (n,) bool."""
        first = self.place.streams[stream].first
        now = np.array(
            np.broadcast_to(names(first, people, np.arange(len(people)), self.levels, self.stage_code), len(people))
        )
        came = np.zeros(len(people), dtype=bool)
        for _ in self.place.stages:  # at most so many steps: ways have no circle
            came |= now == self.stage_code[stage]
            before = now.copy()
            for name in self.place.stages:
                who = np.flatnonzero((before == self.stage_code[name]) & ~came)
                if len(who):
                    now[who] = self._next(name, people, who)
                    dies = self.place.stages[name].dies
                    if dies is not None:
                        died = people.codes[dies][who] == self.levels.code(dies, "yes")
                        now[who[died]] = NONE
            if (came | (now == NONE)).all():
                break
        return came

    def _weight(self, line: _Line, people: People) -> np.ndarray:
        """How likely such a person is to be found in the stage, given that they come: (n,) float64 in any unit."""
        stage = self.place.stages[line.initial.stage]
        assert stage.duration is not None
        assert people.found is not None
        sampler, everybody = Sampler(people, self.levels, self.cohort), np.arange(len(people))
        if line.initial.elapsed is None:
            return sampler.mean(stage.duration, everybody)
        return sampler.survival(stage.duration, people.found.elapsed, everybody)

    def _settled(self, line: _Line, people: People) -> People:
        """What was counted is a fact, whatever the rules from now on; and it is known where those who wait go next."""
        initial, everybody = line.initial, np.arange(len(people))
        assert people.found is not None
        facts = {name for name in (*initial.who, "site", "locality") if name in people.codes}
        if initial.state != "in_stage":
            stage = self.place.stages[initial.stage]
            facts |= asked_for(self.place, [stage.next] if stage.next is not None else [])
            people.found.next = self._next(initial.stage, people, everybody).astype(CODE)
            facts |= {stage.dies} if stage.dies is not None else set()
        people.person_codes |= {name: people.codes[name] for name in facts}
        return people

    def _nobody(self, line: _Line) -> PlaceError:
        initial = line.initial
        wanted = ", ".join(f"{name} {level}" for name, level in initial.who.items())
        then = f", who goes on to '{initial.waiting_for}'" if initial.waiting_for is not None else ""
        wanted_there = f"{initial.stage}{f' with {wanted}' if wanted else ''}{then}"
        return refuse(
            line.key, wanted_there, f"what at least one in {TRIES} people who come to '{initial.stage}' is and does"
        )


@dataclass(frozen=True)
class _Line:
    """One line of a census in one queue; `elapsed` minutes, one for each of its people, longest first."""

    key: str
    service: Service
    initial: Initial
    unit: str | None
    elapsed: np.ndarray


def _spread(initial: Initial, n: int) -> np.ndarray:
    """Minutes so far of n people: all the same, or evenly over a range; (n,) float64, longest first."""
    if initial.elapsed is None:
        return np.zeros(n)
    return np.array(np.broadcast_to(minutes_at(initial.elapsed, 1 - (np.arange(n) + 0.5) / n), n))
