"""One person's way through the system, in words and times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowsim.measures.way import Event, Happened, Way
from flowsim.place import Locality, Place, Run, Service, Site

if TYPE_CHECKING:
    from rich.console import Console

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LONGEST = 10


@dataclass(frozen=True)
class Told:
    """An event in words, and its minute."""

    minute: int
    text: str


@dataclass(frozen=True)
class Story:
    """A person's way: who they are, and what happened, in order. No events: they do not come."""

    title: str
    person: str
    events: tuple[Told, ...]

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


def story(place: Place, way: Way | None) -> Story:
    """The way of one spell, in words. A spell that does not come in this scenario has a story without events."""
    title = f"{place.scenario.title} ({place.scenario.name})"
    if way is None:
        return Story(title, "does not come in this scenario", ())
    words = _Words(place)
    events = tuple(Told(event.minute, words.of(event)) for event in way.events)
    return Story(title, _person(place, way.attributes), events)


def _person(place: Place, attributes: Mapping[str, str]) -> str:
    """Who it is: every attribute that applies to them."""
    titles: dict[str, Mapping[str, Any]] = {"stream": place.streams, "site": place.sites, "locality": place.localities}
    lines = []
    for name, level in attributes.items():
        declared = titles.get(name, {}).get(level)
        label = place.choices[name].title if name in place.choices else ""
        lines.append(f"{_inside(label or name)}: {getattr(declared, 'title', level).replace('_', ' ')}")
    return "\n".join(lines)


def _inside(title: str) -> str:
    """A title or name as it stands within a sentence."""
    words = title.replace("_", " ")
    return words if words[1:2].isupper() else words[:1].lower() + words[1:]


class _Words:
    """Events in the words of a place."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.places = [p for p in (place, place.before) if p]  # a scenario may have taken a stage or a task away

    def of(self, event: Event) -> str:
        if not event.stage:
            return _ABOUT_A_SPELL[event.what].format(before=event.spell)
        if event.what == Happened.LEFT:
            return self._left(event)
        waited = f" (waited {span(event.staff)} for staff)" if event.staff else ""
        return _ABOUT_A_STAGE[event.what].format(
            queue=self.queue(event.queue), stage=self._stage(event), task=self._task(event), time=span(event.minutes),
            waited=waited,
        )  # fmt: skip

    def _left(self, event: Event) -> str:
        queue = self.queue(event.queue)
        words = _LEFT.get(event.ending, "left {queue}: {ending}")
        since = "being ready" if event.at_once else "being seen to be ready"
        delay = f", {span(event.minutes)} after {since}" if event.minutes else ""
        return words.format(queue=queue, ending=event.ending, after=event.spell) + delay

    def queue(self, name: str) -> str:
        """A queue as people call it: its service and, where that is split, which part."""
        unit = name.partition("/")[2]
        units: dict[str, Site | Locality] = {**self.place.sites, **self.place.localities}
        part = units.get(unit)
        return f"{self._service(name).title}{f' ({part.title})' if part else ''}"

    def _service(self, queue: str) -> Service:
        return {**self.place.pools, **self.place.services}[queue.partition("/")[0]]

    def _stage(self, event: Event) -> str:
        stage = next(p.stages[event.stage] for p in self.places if event.stage in p.stages)
        unit, size = self._service(event.queue).unit, ""
        if unit == "hours_a_week":
            size = f", {event.units / 60:.1f} hours a week"
        elif event.units > 1:
            size = f", {event.units} {unit}"
        return f"{_inside(stage.title or event.stage)}{size}"

    def _task(self, event: Event) -> str:
        stages = [p.stages[event.stage] for p in self.places if event.stage in p.stages]
        titles = [tasks[event.task].title for s in stages for tasks in (s.after, s.before) if event.task in tasks]
        return _inside(next(iter(titles), "") or event.task)


_ABOUT_A_SPELL = {
    Happened.WAS_THERE: "was there already when the run began",
    Happened.CAME_BACK: "came back (the spell before is {before})",
}
_ABOUT_A_STAGE = {
    Happened.CAME_STRAIGHT: "came straight to {queue}: {stage}",
    Happened.PLACE_AT_ONCE: "was given a place in {queue} at once: {stage}",
    Happened.JOINED: "joined the queue for {queue}: {stage}",
    Happened.PLACE: "was given a place in {queue}, waited {time}",
    Happened.CAME: "came to {queue}",
    Happened.TURNED_AWAY: "no place in {queue} at that moment",
    Happened.GAVE_UP: "gave up the queue for {queue} after {time}",
    Happened.READY: "ready to leave {queue} after {time}",
    Happened.SEEN_READY: "seen to be ready, {time} later",
    Happened.TASK_BEGUN: "{task}: begun, not finished{waited}",
    Happened.TASK_DONE: "{task}: done after {time}{waited}",
    Happened.STILL_IN: "still in {queue} when the run ended",
}
_LEFT = {
    "moved on": "left {queue}",
    "left": "left {queue}",
    "unfit again": "became unfit again in {queue}",
    "displaced": "was put out of {queue}",
    "readmitted": "left {queue}: readmitted, and goes on as spell {after}",
}
"""By how a stage ended; of other endings the word itself is told."""


def show_trace(
    place: Place, seed: int, replication: int, engine: str, number: int, console: Console | None = None
) -> None:
    """Print one spell's way, beside the same person's in the place without its scenario. Raises PlaceError."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from flowsim.questions.ways import ways

    console = console or Console()
    stories = [story(one, way) for one, way in ways(place, seed, replication, engine, number)]
    console.print(f"[bold]Spell {number}, replication {replication}, seed {seed}: {escape(place.title)}[/bold]")
    table = Table(*(escape(each.title) for each in stories), padding=(0, 1))
    table.add_row(*(escape(each.person) for each in stories), end_section=True)
    table.add_row(*(escape("\n".join(each.lines(place.run))) for each in stories))
    console.print(table)
    if len(stories) > 1 and stories[0].events == stories[1].events:
        console.print(why_the_same(stories[1], place.run))


def why_the_same(story: Story, run: Run) -> str:
    """Why a person's way is the same with a scenario and without."""
    begins = moment(run.switch, run).rsplit(" ", 1)[0]
    last = story.events[-1].minute
    if last < run.switch:
        return f"The same in both: they left before the scenario began, on {begins}."
    return f"The same in both: the scenario, from {begins}, changes nothing for this person."


def show_longest(place: Place, seed: int, replication: int, engine: str, console: Console | None = None) -> None:
    """Print the spells that were held longest after they were seen to be ready: somebody to trace."""
    from rich.console import Console
    from rich.table import Table

    from flowsim.questions.ways import held_longest

    console = console or Console()
    words = _Words(place)
    table = Table("spell", "where", "ready", "held for", title="Held longest after they were ready")
    for held in held_longest(place, seed, replication, engine, LONGEST):
        ready = moment(held.since, place.run)
        table.add_row(str(held.number), words.queue(held.queue), ready, span(held.minutes))
    console.print(table)
