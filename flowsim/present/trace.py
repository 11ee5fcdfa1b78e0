"""One person's way through the system, in words and times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flowsim.engine.stamps import (
    DISPLACED,
    ENDINGS,
    GAVE_UP,
    LEFT,
    MOVED_ON,
    NEVER,
    READMITTED,
    STILL_IN,
    TURNED_AWAY,
    UNFIT_AGAIN,
)
from flowsim.model.tables import GENERATIONS, NONE, NUMBERS_A_PERSON
from flowsim.place import Locality, Place, PlaceError, Run, Service, Site

if TYPE_CHECKING:
    from rich.console import Console

    from flowsim.cells.replicate import Simulated

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LONGEST = 10
FINISHING, QUEUEING, PREPARING, LEAVING, STARTING = range(0, 50_000, 10_000)
"""What comes first in one minute: the end of the work of the stage that is held, queues, tasks after acceptance, ..."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a person: the minute, its rank among what happened to them then, and in words."""

    minute: int
    rank: int
    text: str


@dataclass(frozen=True)
class Story:
    """A person's way: who they are, and what happened, in order. No events: they do not come."""

    title: str
    person: str
    events: tuple[Event, ...]

    def lines(self, run: Run) -> list[str]:
        """One line an event, with its time."""
        return [f"{moment(event.minute, run)}  {event.text}" for event in self.events]


def moment(minute: int, run: Run) -> str:
    """A minute of the run as people write it: ``Tue 3 Sep 2024 14:20``."""
    date = run.date_of(minute)
    clock = f"{minute % 1440 // 60:02d}:{minute % 60:02d}"
    return f"{WEEKDAYS[date.weekday()]} {date.day:>2} {MONTHS[date.month - 1]} {date.year} {clock}"


def span(minutes: int) -> str:
    """A length of time in its two largest units: ``3 days 4 h``, ``2 h 5 min``, ``40 min``."""
    days, rest = divmod(int(minutes), 1440)
    hours, left = divmod(rest, 60)
    if days:
        return f"{days} {'day' if days == 1 else 'days'}{f' {hours} h' if hours else ''}"
    if hours:
        return f"{hours} h{f' {left} min' if left else ''}"
    return f"{left} min"


def story(place: Place, done: Simulated, number: int) -> Story:
    """The way of one spell. A spell that does not come in this scenario has a story without events."""
    title = f"{place.scenario.title} ({place.scenario.name})"
    found = np.flatnonzero(done.journeys.spells.number == number)
    if not len(found):
        return Story(title, "does not come in this scenario", ())
    spell = int(found[0])
    events = _Teller(place, done).events(spell)
    return Story(title, _person(place, done, spell), tuple(sorted(events, key=lambda e: (e.minute, e.rank))))


def _person(place: Place, done: Simulated, spell: int) -> str:
    """Who it is: every attribute that applies to them."""
    journeys = done.journeys
    titles: dict[str, Mapping[str, Any]] = {"stream": place.streams, "site": place.sites, "locality": place.localities}
    told = []
    for name, codes in journeys.attributes.items():
        if codes[spell] == NONE:
            continue
        level = journeys.levels[name][codes[spell]]
        known = titles.get(name, {}).get(level)
        label = place.choices[name].title if name in place.choices else ""
        told.append(f"{_inside(label or name)}: {getattr(known, 'title', level).replace('_', ' ')}")
    return "\n".join(told)


def _inside(title: str) -> str:
    """A title or name as it stands within a sentence."""
    words = title.replace("_", " ")
    return words if words[1:2].isupper() else words[:1].lower() + words[1:]


class _Teller:
    """Turns the stamps of one spell's rows into events."""

    def __init__(self, place: Place, done: Simulated) -> None:
        self.place, self.done = place, done
        self.rows, self.tasks, self.stamps = done.journeys.rows, done.journeys.tasks, done.stamps
        self.found: list[Event] = []

    def events(self, spell: int) -> list[Event]:
        spells = self.done.journeys.spells
        if spells.initial[spell]:
            self._add(0, 0, "was there already when the run began")
        elif int(spells.number[spell]) % NUMBERS_A_PERSON:
            joined = self.stamps.joined[spells.first_row[spell]]
            self._add(joined, 0, f"came back (the spell before is {int(spells.number[spell]) - 1})")
        for order, row in enumerate(np.flatnonzero(self.rows.spell == spell)):
            self._row(int(row), 10 * order)
        return self.found

    def _add(self, minute: int, rank: int, text: str) -> None:
        if minute != NEVER:
            self.found.append(Event(int(minute), rank, text))

    def _row(self, row: int, order: int) -> None:
        joined, accepted, started = (int(getattr(self.stamps, n)[row]) for n in ("joined", "accepted", "started"))
        if joined == NEVER:
            return
        stage, queue = self._stage(row), self._queue(row)
        if started == joined:
            self._add(started, STARTING + order, f"came straight to {queue}: {stage}")
        elif accepted == joined:
            self._add(accepted, QUEUEING + order + 2, f"was given a place in {queue} at once: {stage}")
            self._add(started, STARTING + order, f"came to {queue}")
        else:
            self._add(joined, QUEUEING + order, f"joined the queue for {queue}: {stage}")
            self._add(accepted, QUEUEING + order + 2, f"was given a place in {queue}, waited {span(accepted - joined)}")
            self._add(started, STARTING + order, f"came to {queue}")
        self._not_taken(row, order, joined)
        ready, recognised = int(self.stamps.ready[row]), int(self.stamps.recognised[row])
        if started != NEVER:
            self._add(ready, FINISHING, f"ready to leave {queue} after {span(ready - started)}")
        self._tasks(row)
        if recognised > ready != NEVER:
            self._add(recognised, FINISHING + 2, f"seen to be ready, {span(recognised - ready)} later")
        self._gone(row, order)

    def _not_taken(self, row: int, order: int, joined: int) -> None:
        """A queue that was given up; the engine stamps no minute for it, but patience says when."""
        ended = int(self.stamps.ended[row])
        if int(self.stamps.accepted[row]) != NEVER or ended not in (GAVE_UP, TURNED_AWAY):
            return
        patience = int(self.rows.patience[row])
        if ended == TURNED_AWAY:
            self._add(joined, QUEUEING + order + 1, f"no place in {self._queue(row)} at that moment")
        else:
            told = f"gave up the queue for {self._queue(row)} after {span(patience)}"
            self._add(joined + patience, QUEUEING + order + 1, told)

    def _tasks(self, row: int) -> None:
        first, before = int(self.rows.first_task[row]), int(self.rows.n_before[row])
        for task in range(first, first + before + int(self.rows.n_after[row])):
            began, granted, ended = (
                int(getattr(self.stamps, f"task_{n}")[task]) for n in ("began", "granted", "ended")
            )
            if began == NEVER:
                continue
            rank = FINISHING + 1 if task < first + before else PREPARING + task - first
            title = self._task_title(row, task)
            waited = f" (waited {span(granted - began)} for staff)" if granted > began else ""
            if ended == NEVER:
                self._add(began, rank, f"{title}: begun, not finished{waited}")
            elif ended > began:
                self._add(ended, rank, f"{title}: done after {span(ended - began)}{waited}")

    def _gone(self, row: int, order: int) -> None:
        ended, left = int(self.stamps.ended[row]), int(self.stamps.left[row])
        queue = self._queue(row)
        words = {
            MOVED_ON: f"left {queue}",
            LEFT: f"left {queue}",
            UNFIT_AGAIN: f"became unfit again in {queue}",
            DISPLACED: f"was put out of {queue}",
            READMITTED: f"left {queue}: readmitted, and goes on as spell {self._number(row) + 1}",
        }
        if left == NEVER:
            if ended == STILL_IN and int(self.stamps.started[row]) != NEVER:
                self._add(self.done.network.horizon - 1, STARTING + order, f"still in {queue} when the run ended")
            return
        ready, recognised = int(self.stamps.ready[row]), int(self.stamps.recognised[row])
        since = "being ready" if recognised == ready else "being seen to be ready"
        delay = f", {span(left - recognised)} after {since}" if left > recognised != NEVER else ""
        self._add(left, LEAVING + order, f"{words.get(ended, f'left {queue}: {ENDINGS[ended]}')}{delay}")

    def _number(self, row: int) -> int:
        return int(self.done.journeys.spells.number[self.rows.spell[row]])

    def _stage(self, row: int) -> str:
        name = self.done.journeys.stages[self.rows.stage[row]]
        stage = self.place.stages.get(name) or (self.place.before or self.place).stages[name]
        taken = int(self.stamps.accepted[row]) != NEVER
        units = int((self.stamps if taken else self.rows).units[row])
        service = self._service(row)
        size = (
            f", {units / 60:.1f} hours a week"
            if service.unit == "hours_a_week"
            else f", {units} {service.unit}"
            if units > 1
            else ""
        )
        return f"{_inside(stage.title or name)}{size}"

    def _service(self, row: int) -> Service:
        kind = self.done.network.names[self.rows.service[row]].partition("/")[0]
        return {**self.place.pools, **self.place.services}[kind]

    def _queue(self, row: int) -> str:
        unit = self.done.network.names[self.rows.service[row]].partition("/")[2]
        units: dict[str, Site | Locality] = {**self.place.sites, **self.place.localities}
        where = units.get(unit)
        return f"{self._service(row).title}{f' ({where.title})' if where else ''}"

    def _task_title(self, row: int, task: int) -> str:
        name = self.done.journeys.task_names[self.tasks.kind[task]]
        stage = self.done.journeys.stages[self.rows.stage[row]]
        for place in (self.place, self.place.before):  # a scenario may have taken the stage or the task away
            found = place.stages.get(stage) if place else None
            known = {**found.before, **found.after}.get(name) if found else None
            if known:
                return _inside(known.title or name)
        return _inside(name.replace("_", " "))


def show_trace(
    place: Place, seed: int, replication: int, engine: str, number: int, console: Console | None = None
) -> None:
    """Print one spell's way, beside the same person's in the place without its scenario. Raises PlaceError."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from flowsim.cells.replicate import simulate

    console = console or Console()
    places = [place] if place.before is None else [place.before, place]
    done = [simulate(one, seed, replication, engine) for one in places]
    stories = [story(one, simulated, number) for one, simulated in zip(places, done, strict=True)]
    if not any(told.events for told in stories):
        known = done[-1].journeys.spells.number
        nearest = known[np.argmin(np.abs(known - number))]
        raise PlaceError(
            f"spell: {number} was given; allowed: a spell of replication {replication}, such as {nearest} "
            f"(`flowsim trace` without spell= names some; a number is {NUMBERS_A_PERSON} times the person's plus 0 to "
            f"{GENERATIONS - 1} readmissions)."
        )
    console.print(f"[bold]Spell {number}, replication {replication}, seed {seed}: {escape(place.title)}[/bold]")
    table = Table(*(escape(told.title) for told in stories), padding=(0, 1))
    table.add_row(*(escape(told.person) for told in stories), end_section=True)
    table.add_row(*(escape("\n".join(told.lines(place.run))) for told in stories))
    console.print(table)
    if len(stories) > 1 and stories[0].events == stories[1].events:
        console.print(why_the_same(stories[1], place.run))


def why_the_same(told: Story, run: Run) -> str:
    """Why a person's way is the same with a scenario and without."""
    begins = moment(run.switch, run).rsplit(" ", 1)[0]
    last = told.events[-1].minute
    if last < run.switch:
        return f"The same in both: they left before the scenario began, on {begins}."
    return f"The same in both: the scenario, from {begins}, changes nothing for this person."


def show_longest(place: Place, seed: int, replication: int, engine: str, console: Console | None = None) -> None:
    """Print the spells that were held longest after they were seen to be ready: somebody to trace."""
    from rich.console import Console
    from rich.table import Table

    from flowsim.cells.replicate import simulate

    console = console or Console()
    done = simulate(place, seed, replication, engine)
    stamps, rows = done.stamps, done.journeys.rows
    counted = (
        (stamps.recognised != NEVER)
        & (stamps.left > stamps.recognised)
        & (stamps.recognised >= place.run.measured_from)
    )
    delay = np.where(counted, stamps.left - stamps.recognised, 0)
    table = Table("spell", "where", "ready", "held for", title="Held longest after they were ready")
    for row in np.argsort(-delay, kind="stable")[:LONGEST]:
        if delay[row]:
            number = str(done.journeys.spells.number[rows.spell[row]])
            where = _Teller(place, done)._queue(int(row))
            table.add_row(number, where, moment(int(stamps.recognised[row]), place.run), span(int(delay[row])))
    console.print(table)
