"""One person's way: everything that happened in a spell, in order, as data. Words and pictures are made elsewhere.

An engine stamps minutes, not events. What was stamped in one minute is put into the order in which a person would tell
it: the work of the stage they are in ends, queues are joined and places given, tasks before the move, leaving, coming.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from flowsim.engine.stamps import ENDINGS, GAVE_UP, NEVER, READMITTED, STILL_IN, TURNED_AWAY, Stamps
from flowsim.measures.history import given_up
from flowsim.model.tables import GENERATIONS, NONE, NUMBERS_A_PERSON, Journeys, Network

READMISSIONS = GENERATIONS - 1
"""As many spells of one person at most come after the first."""
FINISHING, QUEUEING, PREPARING, LEAVING, STARTING = range(0, 50_000, 10_000)
"""What comes first in one minute; ten ranks a stage lie between two of them, for the stages of a spell in order."""


class Happened(Enum):
    """What an event is."""

    WAS_THERE = auto()  # when the run began
    CAME_BACK = auto()  # a readmission
    CAME_STRAIGHT = auto()  # with no queue
    PLACE_AT_ONCE = auto()
    JOINED = auto()  # a queue
    PLACE = auto()  # after a wait
    CAME = auto()
    TURNED_AWAY = auto()
    GAVE_UP = auto()
    READY = auto()
    SEEN_READY = auto()
    TASK_BEGUN = auto()  # and not finished
    TASK_DONE = auto()
    LEFT = auto()
    STILL_IN = auto()  # when the run ended


@dataclass(frozen=True)
class Event:
    """Something that happened to a person in a stage; what an event of its kind has no use for is left at nothing.

    Attributes:
        minute: of the run.
        rank: its place among what happened to them in that minute.
        what: which kind of event it is.
        queue: the queue of the stage, as the network names it: ``reablement/south``.
        stage: the stage's id.
        units: what was taken in the service, or asked for where nothing was.
        task: the task's id.
        minutes: how long it took: the wait of a place given or a queue given up, the work of a stage that is ready, the
            wait to be seen to be ready, the work on a task, the delay (from being seen to be ready) of who left.
        staff: minutes that a task waited for staff.
        ending: of who left: one of `engine.stamps.ENDINGS`.
        at_once: of who left: were they seen to be ready in the minute they were?
        spell: the number of the spell before (of who came back) or after (of who left and will).
    """

    minute: int
    rank: int
    what: Happened
    queue: str = ""
    stage: str = ""
    units: int = 0
    task: str = ""
    minutes: int = 0
    staff: int = 0
    ending: str = ""
    at_once: bool = True
    spell: int = 0


@dataclass(frozen=True)
class Way:
    """A spell of a person.

    Attributes:
        number: the spell's.
        attributes: attribute -> level, of those that apply to them.
        events: what happened, in order.
    """

    number: int
    attributes: Mapping[str, str]
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Held:
    """A stage that was held after it was seen to be ready: the spell, the queue, since when and how long (minutes)."""

    number: int
    queue: str
    since: int
    minutes: int


def way(network: Network, journeys: Journeys, stamps: Stamps, number: int) -> Way | None:
    """The way of the spell with this number; None where it does not come."""
    spell = int(np.searchsorted(journeys.spells.number, number))
    if spell == len(journeys.spells.number) or journeys.spells.number[spell] != number:
        return None
    events = _Reader(network, journeys, stamps).events(spell)
    coded = {name: int(codes[spell]) for name, codes in journeys.attributes.items()}
    attributes = {name: journeys.levels[name][code] for name, code in coded.items() if code != NONE}
    return Way(number, attributes, tuple(sorted(events, key=lambda event: (event.minute, event.rank))))


def nearest(journeys: Journeys, number: int) -> int:
    """The number of the spell that comes and is nearest to one that does not."""
    known = journeys.spells.number
    return int(known[np.argmin(np.abs(known - number))])


def longest_held(network: Network, journeys: Journeys, stamps: Stamps, since: int, most: int) -> list[Held]:
    """The stages held longest after being seen to be ready, which was at `since` or later; `most` of them at most."""
    seen = stamps.recognised
    counted = (seen != NEVER) & (stamps.left > seen) & (seen >= since)
    delay = np.where(counted, stamps.left - seen, 0)
    longest = np.argsort(-delay, kind="stable")[:most]
    spell, service = journeys.rows.spell, journeys.rows.service
    return [
        Held(int(journeys.spells.number[spell[row]]), network.names[service[row]], int(seen[row]), int(delay[row]))
        for row in longest[delay[longest] > 0]
    ]


class _Reader:
    """Reads the stamps of one spell's rows as events."""

    def __init__(self, network: Network, journeys: Journeys, stamps: Stamps) -> None:
        self.network, self.journeys, self.stamps = network, journeys, stamps
        self.rows = journeys.rows

    def events(self, spell: int) -> Iterator[Event]:
        """In no order."""
        spells = self.journeys.spells
        number, first = int(spells.number[spell]), spells.first_row[spell]
        if spells.initial[spell]:
            yield Event(0, 0, Happened.WAS_THERE)
        elif number % NUMBERS_A_PERSON and self.stamps.joined[first] != NEVER:
            yield Event(int(self.stamps.joined[first]), 0, Happened.CAME_BACK, spell=number - 1)
        for order, row in enumerate(np.flatnonzero(self.rows.spell == spell).tolist()):
            if self.stamps.joined[row] != NEVER:
                yield from self._came(row, 10 * order)
                yield from self._not_taken(row, 10 * order)
                yield from self._ready(row)
                yield from self._tasks(row)
                yield from self._gone(row, 10 * order)

    def _of(self, row: int, minute: int, rank: int, what: Happened, minutes: int = 0) -> Event:
        queue, stage = self.network.names[self.rows.service[row]], self.journeys.stages[self.rows.stage[row]]
        taken = self.stamps.accepted[row] != NEVER
        units = int((self.stamps if taken else self.rows).units[row])
        return Event(minute, rank, what, queue, stage, units, minutes=minutes)

    def _came(self, row: int, order: int) -> Iterator[Event]:
        joined, accepted, started = (int(getattr(self.stamps, n)[row]) for n in ("joined", "accepted", "started"))
        if started == joined:
            yield self._of(row, started, STARTING + order, Happened.CAME_STRAIGHT)
            return
        if accepted == joined:
            yield self._of(row, accepted, QUEUEING + order + 2, Happened.PLACE_AT_ONCE)
        else:
            yield self._of(row, joined, QUEUEING + order, Happened.JOINED)
            if accepted != NEVER:
                yield self._of(row, accepted, QUEUEING + order + 2, Happened.PLACE, accepted - joined)
        if started != NEVER:
            yield self._of(row, started, STARTING + order, Happened.CAME)

    def _not_taken(self, row: int, order: int) -> Iterator[Event]:
        """A queue that was given up: no engine stamps a minute for it, but patience and its clock say when that was."""
        ended, joined = int(self.stamps.ended[row]), int(self.stamps.joined[row])
        if self.stamps.accepted[row] != NEVER:
            return
        if ended == TURNED_AWAY:
            yield self._of(row, joined, QUEUEING + order + 1, Happened.TURNED_AWAY)
        elif ended == GAVE_UP:
            minute = int(given_up(self.network, self.journeys, self.stamps, np.array([row]))[0])
            yield self._of(row, minute, QUEUEING + order + 1, Happened.GAVE_UP, minute - joined)

    def _ready(self, row: int) -> Iterator[Event]:
        started, ready, seen = (int(getattr(self.stamps, n)[row]) for n in ("started", "ready", "recognised"))
        if started != NEVER and ready != NEVER:
            yield self._of(row, ready, FINISHING, Happened.READY, ready - started)
        if seen > ready != NEVER:
            yield self._of(row, seen, FINISHING + 2, Happened.SEEN_READY, seen - ready)

    def _tasks(self, row: int) -> Iterator[Event]:
        first, n_before = int(self.rows.first_task[row]), int(self.rows.n_before[row])
        queue, stage = self.network.names[self.rows.service[row]], self.journeys.stages[self.rows.stage[row]]
        for task in range(first, first + n_before + int(self.rows.n_after[row])):
            began, granted, ended = (
                int(getattr(self.stamps, f"task_{n}")[task]) for n in ("began", "granted", "ended")
            )
            if began == NEVER:
                continue
            rank = FINISHING + 1 if task < first + n_before else PREPARING + task - first
            name, staff = self.journeys.task_names[self.journeys.tasks.kind[task]], max(granted - began, 0)
            if ended == NEVER:
                yield Event(began, rank, Happened.TASK_BEGUN, queue, stage, task=name, staff=staff)
            elif ended > began:
                minutes = ended - began
                yield Event(ended, rank, Happened.TASK_DONE, queue, stage, task=name, minutes=minutes, staff=staff)

    def _gone(self, row: int, order: int) -> Iterator[Event]:
        ended, left = int(self.stamps.ended[row]), int(self.stamps.left[row])
        if left == NEVER:
            if ended == STILL_IN and self.stamps.started[row] != NEVER:
                yield self._of(row, self.network.horizon - 1, STARTING + order, Happened.STILL_IN)
            return
        ready, seen = int(self.stamps.ready[row]), int(self.stamps.recognised[row])
        queue, stage = self.network.names[self.rows.service[row]], self.journeys.stages[self.rows.stage[row]]
        after = int(self.journeys.spells.number[self.rows.spell[row]]) + 1 if ended == READMITTED else 0
        yield Event(
            left, LEAVING + order, Happened.LEFT, queue, stage, ending=ENDINGS[ended], spell=after,
            minutes=left - seen if seen != NEVER else 0, at_once=seen == ready,
        )  # fmt: skip
