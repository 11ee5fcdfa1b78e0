"""One person's way, worked out by hand from what an engine stamped."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from engine_places import HOUR, Builder, random_case, task

from flowsim.engine import reference
from flowsim.engine.stamps import NEVER, STILL_IN
from flowsim.measures.way import Happened, Held, longest_held, nearest, way
from flowsim.model.calendar import DAY
from flowsim.model.tables import NUMBERS_A_PERSON, Journeys


def two_people() -> Builder:
    """Ann is in the only slot until 20:00 of the first day; Bob is ready on the ward at 10:00 and waits for it."""
    b = Builder(days=3)
    b.pool("hub", 1)
    b.service("ward", 1)
    b.service("reablement/north", 1)
    b.spell(0, [{"service": "reablement/north", "duration": 20 * HOUR}], number=0, initial=True)
    tasks = {"before": [task(60, pool="hub")], "after": [task(90)], "recognition": 1}
    ward = {"service": "ward", "duration": 9 * HOUR, **tasks}
    b.spell(0, [ward, {"service": "reablement/north", "duration": 3 * DAY}], number=NUMBERS_A_PERSON)
    return b


def test_a_way_minute_by_minute() -> None:
    journeys, network = two_people().build()
    journeys = dataclasses.replace(
        journeys, task_names=("task",), attributes={"age": np.array([0, -1], dtype=np.int16)}, levels={"age": ("old",)}
    )
    stamps = reference.run(journeys, network)
    ann, bob = (way(network, journeys, stamps, number) for number in (0, NUMBERS_A_PERSON))
    assert ann is not None
    assert bob is not None
    assert (ann.attributes, bob.attributes) == ({"age": "old"}, {})
    assert ann.events[0].what == Happened.WAS_THERE
    told = [(event.minute, event.what, event.queue, event.minutes) for event in bob.events]
    assert told == [
        (0, Happened.CAME_STRAIGHT, "ward", 0),
        (9 * HOUR, Happened.READY, "ward", 9 * HOUR),
        (10 * HOUR, Happened.TASK_DONE, "ward", HOUR),
        (10 * HOUR, Happened.SEEN_READY, "ward", HOUR),
        (10 * HOUR, Happened.JOINED, "reablement/north", 0),
        (20 * HOUR, Happened.PLACE, "reablement/north", 10 * HOUR),
        (21 * HOUR + 30, Happened.TASK_DONE, "ward", 90),
        (21 * HOUR + 30, Happened.LEFT, "ward", 11 * HOUR + 30),
        (21 * HOUR + 30, Happened.CAME, "reablement/north", 0),
        (3 * DAY - 1, Happened.STILL_IN, "reablement/north", 0),
    ]
    assert way(network, journeys, stamps, 1) is None
    assert nearest(journeys, 15) == NUMBERS_A_PERSON
    assert longest_held(network, journeys, stamps, 0, 5) == [Held(16, "ward", 10 * HOUR, 11 * HOUR + 30)]
    assert longest_held(network, journeys, stamps, 11 * HOUR, 5) == []


def test_a_queue_given_up_at_a_clock() -> None:
    b = Builder(days=2)
    b.calendar("closing", minutes=[17 * HOUR])
    b.service("clinic", 0)
    b.spell(9 * HOUR, [{"service": "clinic", "patience": 30, "patience_calendar": "closing"}])
    journeys, network = b.build()
    one = way(network, journeys, reference.run(journeys, network), 0)
    assert one is not None
    assert [(event.minute, event.what, event.minutes) for event in one.events] == [
        (9 * HOUR, Happened.JOINED, 0), (17 * HOUR, Happened.GAVE_UP, 8 * HOUR)
    ]  # fmt: skip


def numbers(journeys: Journeys) -> list[int]:
    return journeys.spells.number.tolist()


@pytest.mark.parametrize("seed", range(4))
def test_what_every_way_holds(seed: int) -> None:
    """Of crowded random places: in order, no event without its stamp, one end for every stage left."""
    journeys, network = random_case(seed)
    journeys = dataclasses.replace(journeys, task_names=("task",))
    stamps = reference.run(journeys, network)
    minutes = {column: set(getattr(stamps, column).tolist()) for column in ("joined", "ready", "left", "task_ended")}
    of = {Happened.JOINED: "joined", Happened.READY: "ready", Happened.LEFT: "left", Happened.TASK_DONE: "task_ended"}
    happened = set()
    for spell, number in enumerate(numbers(journeys)):
        one = way(network, journeys, stamps, number)
        assert one is not None
        events = one.events
        assert [e.minute for e in events] == sorted(e.minute for e in events)
        assert all(e.minute in minutes[of[e.what]] for e in events if e.what in of)
        assert all(e.minute != NEVER for e in events)
        rows = np.flatnonzero(journeys.rows.spell == spell)
        assert sum(e.what == Happened.LEFT for e in events) == int((stamps.left[rows] != NEVER).sum())
        ended = stamps.ended[rows]
        still = (stamps.started[rows] != NEVER) & (ended == STILL_IN) & (stamps.left[rows] == NEVER)
        assert sum(e.what == Happened.STILL_IN for e in events) == int(still.sum())
        happened |= {e.what for e in events}
    assert {Happened.CAME, Happened.JOINED, Happened.LEFT, Happened.READY} <= happened
