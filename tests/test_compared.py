"""Each field of a network declares how it is compared when runs share their beginning, and is compared so."""

from __future__ import annotations

from dataclasses import field, make_dataclass, replace
from typing import Any

import numpy as np
import pytest
from engine_places import Builder, calendars_of, task

from flowsim.engine import branch, compiled
from flowsim.engine.stamps import differing
from flowsim.model.calendar import DAY
from flowsim.model.compared import ByService, InOrder, InWhole, NotAtAll, ways_of_comparing
from flowsim.model.tables import Journeys, Network

WAYS = ways_of_comparing(Network)
NURSE, WARD, FLAT = range(3)


def crowded() -> tuple[Journeys, Network]:
    """Three days from a Sunday on, with all that a network can say on the first day and on the second."""
    b = Builder(days=3, first_weekday=6)
    b.calendar("office", minutes=range(0, 3 * DAY, 2))
    b.pool("nurse", 2)
    b.service("ward", 2, calendar="office", steps=[(600, 3), (DAY + 600, 4)], quota_day=9, quota_week=30)
    b.service("flat", 1, steps=[(700, 2), (DAY + 700, 1)], quota_day=9, quota_week=30)
    b.rule("ward", "flat", 1, opens=2, closes=0, looks=[500, 900])
    b.rule("flat", "ward", 1, opens=2, closes=0, looks=[DAY + 500, DAY + 900])
    b.displace(800, "ward", 1)
    b.displace(DAY + 800, "ward", 1)
    for arrival in range(0, 2 * DAY, 200):
        visit = task(30, pool="nurse")
        rows = [{"service": "ward", "duration": 300, "before": [visit]}, {"service": "flat", "duration": 400}]
        b.spell(arrival, rows)
    return b.build()


JOURNEYS, NETWORK = crowded()
KEPT = branch.run_to_share(JOURNEYS, NETWORK, DAY)[1]
"""A run shared up to its first midnight, Sunday to Monday."""


def now(name: str, at: Any, value: Any) -> dict[str, Any]:
    """A field with one entry another."""
    column = getattr(NETWORK, name).copy()
    column[at] = value
    return {name: column}


def open_until(minute: int) -> dict[str, Any]:
    """The office is shut from this minute on."""
    mask = NETWORK.calendars.mask(0)
    mask[minute:] = False
    return {"calendars": calendars_of({"office": mask}, NETWORK.horizon)}


def longer(days: int) -> dict[str, Any]:
    masks = {"office": np.arange(days * DAY) % 2 == 0}
    quota = np.full((3, days), 9)
    return {"calendars": calendars_of(masks, days * DAY), "quota_day": quota}


STEPS = {minute: int(np.flatnonzero(NETWORK.step_minute == minute)[0]) for minute in (600, DAY + 600)}
CHANGES: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]] = {
    "names": ({"names": ("nurse", "flat", "ward")}, None),
    "n_pools": (None, {"n_pools": 0}),
    "calendars": (longer(4), None),
    "calendar": (open_until(DAY - 10), open_until(DAY)),
    "first_fit": (now("first_fit", FLAT, True), None),
    "step_minute": (now("step_minute", STEPS[600], 601), now("step_minute", STEPS[DAY + 600], DAY + 601)),
    "step_service": (now("step_service", STEPS[600], FLAT), now("step_service", STEPS[DAY + 600], FLAT)),
    "step_capacity": (now("step_capacity", STEPS[600], 5), now("step_capacity", STEPS[DAY + 600], 5)),
    "step_reason": (now("step_reason", STEPS[600], 2), now("step_reason", STEPS[DAY + 600], 2)),
    "quota_day": (now("quota_day", (WARD, 0), 8), now("quota_day", (WARD, 1), 1)),
    "quota_week": (now("quota_week", (WARD, 0), 20), now("quota_week", (WARD, 1), 1)),
    "first_weekday": ({"first_weekday": 5}, None),
    "way_out": (None, {"way_out": np.array([-1, 0, -1])}),
    "rule_watch": (now("rule_watch", 0, NURSE), now("rule_watch", 1, NURSE)),
    "rule_service": (now("rule_service", 0, NURSE), now("rule_service", 1, NURSE)),
    "rule_units": (now("rule_units", 0, 2), now("rule_units", 1, 2)),
    "rule_open": (now("rule_open", 0, 3), now("rule_open", 1, 3)),
    "rule_close": (now("rule_close", 0, 1), now("rule_close", 1, 1)),
    "look_minute": (now("look_minute", 0, 501), now("look_minute", 2, DAY + 501)),
    "look_rule": (now("look_rule", 0, 1), now("look_rule", 2, 0)),
    "look_last": (now("look_last", 1, True), now("look_last", 3, True)),
    "displacement_minute": (now("displacement_minute", 0, 801), now("displacement_minute", 1, DAY + 801)),
    "displacement_service": (now("displacement_service", 0, FLAT), now("displacement_service", 1, FLAT)),
    "displacement_units": (now("displacement_units", 0, 2), now("displacement_units", 1, 2)),
}
"""Of each field a change that a run has read by the first midnight, and one that it has not; None where none is so."""


def shares(change: dict[str, Any]) -> bool:
    """Is the beginning shared with a run of this other network? Shared or not, it is that run to the minute."""
    network = replace(NETWORK, **change)
    stamps, shared = branch.run_from(KEPT, JOURNEYS, network)
    assert not differing(stamps, compiled.run(JOURNEYS, network))
    return shared


def test_the_same_network_shares() -> None:
    assert shares({})


@pytest.mark.parametrize("name", WAYS)
def test_what_a_run_has_read_by_then_stops_sharing_and_what_comes_later_does_not(name: str) -> None:
    before, after = CHANGES[name]
    assert before is None or not shares(before)
    assert after is None or shares(after)
    no_later = isinstance(WAYS[name], InOrder | InWhole) or WAYS[name] == ByService()
    assert (before is None, after is None) == (isinstance(WAYS[name], NotAtAll) and name != "look_rule", no_later)


def test_rules_may_have_other_numbers() -> None:
    turned: dict[str, Any] = {"look_rule": 1 - NETWORK.look_rule}
    for name in WAYS:
        if name.startswith("rule_"):
            turned[name] = getattr(NETWORK, name)[::-1].copy()
    assert shares(turned)


def test_a_field_that_does_not_say_how_it_is_compared_is_an_error() -> None:
    more = make_dataclass("More", [("colour", int, field(default=0))], bases=(Network,), frozen=True)
    with pytest.raises(TypeError, match=r"More\.colour: 0 ways were given"):
        ways_of_comparing(more)
