"""The measures, against values worked out by hand, and the charging of delay against a slow reading of its rules."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from acceptance import by_name
from engine_places import HOUR, Builder, random_case, task
from hypothesis import given, settings
from hypothesis import strategies as st

from flowsim.engine import reference
from flowsim.engine.stamps import GAVE_UP, TURNED_AWAY, UNFIT_AGAIN, Stamps
from flowsim.measures.causes import charge
from flowsim.measures.every_stay import EveryStay
from flowsim.measures.flow import Measured, measure
from flowsim.measures.history import ByQueue, History
from flowsim.measures.ratios import quantile
from flowsim.measures.registry import HEADLINE, MEASURES
from flowsim.measures.steps import Intervals, Steps
from flowsim.model.calendar import ALWAYS_OPEN, DAY
from flowsim.model.tables import NO_QUOTA, Journeys, Network
from flowsim.place import Place

MONDAY = dt.date(2024, 4, 1)
CHECKS = [m for m in MEASURES if m.startswith("check_") and m != "check_overloaded"]


def service(role: str, unit: str = "beds", **more: Any) -> dict[str, Any]:
    return {"title": role, "role": role, "unit": unit, "capacity": 1, **more}


def place_for(network: Network, services: dict[str, dict[str, Any]], **more: Any) -> Place:
    """A place that declares the network's queues: `services` by kind, pools by themselves, sites called a and b."""
    pools = {name: service("staff", "staff") for name in network.names[: network.n_pools]}
    raw = {
        "name": "test",
        "title": "test",
        "pools": pools,
        "services": services,
        "streams": {"people": {"title": "", "rate": 0, "first": "x"}},
        "stages": {"x": {}},
        "run": {"start_date": MONDAY, "days": network.horizon // DAY, "warm_up_days": 0},
    }
    return Place.model_validate(raw | more)


class Case:
    """A small run by hand: build, run with the reference engine, measure."""

    def __init__(
        self,
        b: Builder,
        services: dict[str, dict[str, Any]],
        *,
        tasks: tuple[str, ...] = ("task",),
        kinds: list[int] | None = None,
        attributes: dict[str, list[str]] | None = None,
        **more: Any,
    ) -> None:
        journeys, self.network = b.build()
        if kinds is not None:
            journeys = replace(journeys, tasks=replace(journeys.tasks, kind=np.array(kinds)))
        levels = {name: tuple(dict.fromkeys(words)) for name, words in (attributes or {}).items()}
        codes = {
            name: np.array([levels[name].index(w) for w in words], dtype=np.int16)
            for name, words in (attributes or {}).items()
        }
        self.journeys = replace(journeys, task_names=tasks, attributes=codes, levels=levels)
        self.place = place_for(self.network, services, **more)
        self.stamps = reference.run(self.journeys, self.network)

    def measure(self, *window: int) -> Measured:
        return measure(self.place, self.network, self.journeys, self.stamps, (window[0], window[1]) if window else None)

    def values(self, *window: int) -> dict[tuple[str, ...], Any]:
        return by_name(self.measure(*window).results)

    def causes(self, *window: int) -> dict[str, Any]:
        """Minutes by cause, those with any."""
        found = {
            key[1]: v * DAY
            for key, v in self.values(*window).items()
            if key[0] == "delayed_bed_days_by_cause" and len(key) == 2
        }
        return {w: pytest.approx(v) for w, v in found.items() if v > 0}


WARD = {"ward": service("ward"), "reablement": service("community", "slots")}


# ---------------------------------------------------------------------------------------------------------------------
# What delay is charged to


def test_one_persons_delay_minute_by_minute() -> None:
    b = Builder(days=5)
    hub = b.pool("hub", 1, calendar=b.calendar("hub", hours=(8, 18)))
    b.calendar("round", minutes=range(10 * HOUR, 5 * DAY, DAY))
    b.calendar("office", hours=(9, 17))
    b.calendar("leaving", hours=(8, 22))
    b.service("ward", 1)
    b.service("reablement", 1, calendar=b.calendar("starts", hours=(9, 18)))
    before = [task(calendar="round"), task(120, calendar="hub", pool=hub), task(240, calendar="office")]
    after = [task(60), task(90), task(calendar="leaving")]
    ward = {"service": "ward", "duration": 9 * HOUR, "before": before, "after": after, "recognition": 1}
    b.spell(0, [ward, {"service": "reablement", "duration": DAY}])
    names = ("round", "referral", "assessment", "medicine", "lift", "hours")
    stages = {"x": {}, "ward": {"service": "ward", "after": {"lift": {"takes": {"fixed": 1}, "transport": True}}}}
    case = Case(b, WARD, tasks=names, kinds=[0, 1, 2, 3, 4, 5], stages=stages)
    # ready 09:00, recognised 10:00; referral to 12:00; assessment 12:00-16:00; accepted at once, 16:00;
    # medicine to 17:00, transport to 18:30, and 18:30 is a time at which people leave
    assert case.causes() == {"task: referral": 120, "task: assessment": 240, "task: medicine": 60, "transport": 90}
    values = case.values()
    assert values["delayed_bed_days", "all"] == pytest.approx(510 / DAY)
    assert values["hidden_wait_days_mean", "all"] != values["hidden_wait_days_mean", "all"]  # no night: nobody to count
    assert all(values[name, "all"] == 0 for name in CHECKS)


def test_closed_minutes_of_a_task_are_the_calendars() -> None:
    b = Builder(days=3)
    b.calendar("office", hours=(9, 17))
    b.calendar("leaving", minutes=[2 * DAY + 8 * HOUR])
    b.service("ward", 1)
    ward = {
        "service": "ward",
        "duration": 16 * HOUR,
        "before": [task(120, calendar="office")],
        "after": [task(calendar="leaving")],
    }
    b.spell(0, [ward])
    case = Case(b, WARD, tasks=("assess", "go"), kinds=[0, 1])
    # 16:00-17:00 at work, closed until 09:00, at work to 10:00 on day 1, then waiting for 08:00 on day 2
    assert case.causes() == {"task: assess": 120, "calendar: assess": 16 * HOUR, "calendar: go": 22 * HOUR}
    # only what lies in the window: day 1
    assert case.causes(DAY, 2 * DAY) == {"task: assess": 60, "calendar: assess": 9 * HOUR, "calendar: go": 14 * HOUR}


def opening(free_at: int, quota_day: list[int] | None = None) -> Case:
    """Ann is ready at 20:00; Bob leaves the only reablement slot at `free_at`; starts are from 09:00 to 18:00."""
    b = Builder(days=3)
    b.service("ward", 2)
    b.service("reablement", 1, calendar=b.calendar("starts", hours=(9, 18)), quota_day=quota_day)
    b.spell(0, [{"service": "ward", "duration": 20 * HOUR}, {"service": "reablement", "duration": DAY}])
    b.spell(0, [{"service": "reablement", "duration": free_at}], initial=True)
    return Case(b, WARD)


def test_closed_while_a_place_was_free_is_calendar() -> None:
    assert opening(10 * HOUR).causes() == {"calendar: reablement": 13 * HOUR}


def test_closed_counts_as_calendar_only_from_when_a_place_was_free() -> None:
    case = opening(DAY + 2 * HOUR)  # free at 02:00, accepted at 09:00
    assert case.causes() == {"capacity: reablement": 6 * HOUR, "calendar: reablement": 7 * HOUR}


def test_closed_while_full_is_capacity() -> None:
    assert opening(DAY + 9 * HOUR).causes() == {"capacity: reablement": 13 * HOUR}  # free at the minute it opens
    assert opening(DAY + 12 * HOUR).causes() == {"capacity: reablement": 16 * HOUR}  # taken later than it opens


def test_closed_with_the_quota_used_up_is_capacity() -> None:
    case = opening(10 * HOUR, quota_day=[0, 1, 1])  # no start is left until midnight
    assert case.causes() == {"capacity: reablement": 4 * HOUR, "calendar: reablement": 9 * HOUR}


def test_those_taken_ahead_in_the_same_minute_need_their_places_first() -> None:
    b = Builder(days=3)
    b.service("ward", 2)
    b.service("reablement", 2, calendar=b.calendar("starts", hours=(9, 18)))
    for hour in (20, 21):  # two ask; one slot is free all night, the other from 02:00
        b.spell(0, [{"service": "ward", "duration": hour * HOUR}, {"service": "reablement", "duration": DAY}])
    b.spell(0, [{"service": "reablement", "duration": DAY + 2 * HOUR}], initial=True)
    case = Case(b, WARD)
    assert case.causes() == {"capacity: reablement": 5 * HOUR, "calendar: reablement": (13 + 7) * HOUR}


def test_those_taken_ahead_in_the_same_minute_need_their_starts_first() -> None:
    b = Builder(days=3)
    b.service("ward", 2)
    b.service("reablement", 2, calendar=b.calendar("starts", hours=(9, 18)), quota_day=[1, 2, 2])
    for hour in (20, 21):  # one start is left until midnight, for whoever asked first
        b.spell(0, [{"service": "ward", "duration": hour * HOUR}, {"service": "reablement", "duration": DAY}])
    assert Case(b, WARD).causes() == {"capacity: reablement": 3 * HOUR, "calendar: reablement": (13 + 9) * HOUR}


def test_staff_and_their_calendar() -> None:
    b = Builder(days=3)
    b.pool("hub", 1, calendar=b.calendar("hub", hours=(8, 18)))
    b.service("ward", 2)
    for hour in (16, 16, 20):
        b.spell(0, [{"service": "ward", "duration": hour * HOUR, "before": [task(60, pool="hub")]}], number=None)
    case = Case(b, {"ward": service("ward")}, tasks=("referral",))
    # the ward has two beds, so the third comes at 17:00 and is ready at 13:00 next day: no wait for staff.
    # the first is seen 16:00-17:00, the second waits an hour for staff and is seen 17:00-18:00
    assert case.causes() == {"task: referral": 180, "staff: hub": 60}
    b = Builder(days=3)
    b.pool("hub", 1, calendar=b.calendar("hub", hours=(8, 18)))
    b.service("ward", 2)
    for _ in range(2):
        b.spell(0, [{"service": "ward", "duration": 20 * HOUR, "before": [task(60, pool="hub")]}])
    case = Case(b, {"ward": service("ward")}, tasks=("referral",))
    # both ready at 20:00, closed till 08:00; the first would have been seen, the second goes after her
    assert case.causes() == {"task: referral": 120, "calendar: hub": 12 * HOUR, "staff: hub": 13 * HOUR}


def test_fallback_and_the_wait_for_it() -> None:
    b = Builder(days=6)
    b.service("ward", 1)
    b.service("reablement", 0)
    b.service("beds", 1)
    b.spell(0, [
        {"service": "ward", "duration": DAY},
        {"service": "reablement", "duration": DAY, "patience": 6 * HOUR, "otherwise": 2, "next": -1},
        {"service": "beds", "duration": DAY},
    ])  # fmt: skip
    b.spell(0, [{"service": "beds", "duration": 2 * DAY}], initial=True)
    case = Case(b, {**WARD, "beds": service("community")})
    assert case.causes() == {"capacity: reablement": 6 * HOUR, "capacity: beds": 18 * HOUR}
    assert case.values()["service_gave_up_share", "reablement"] == 100


def test_a_queue_given_up_at_a_clock_lasts_until_then() -> None:
    b = Builder(days=6)
    b.calendar("closing", minutes=range(17 * HOUR, 6 * DAY, DAY))
    b.service("ward", 1)
    b.service("reablement", 0)
    b.spell(0, [
        {"service": "ward", "duration": DAY},
        {"service": "reablement", "patience": 6 * HOUR, "patience_calendar": "closing", "next": -1},
    ])  # fmt: skip
    case = Case(b, WARD)
    assert case.causes() == {"capacity: reablement": 17 * HOUR}
    assert case.values(0, 2 * DAY)["service_gave_up_share", "reablement"] == 100
    assert case.values(0, DAY + 16 * HOUR).get(("service_gave_up_share", "reablement")) != 100


def test_delay_still_running_is_cut_at_the_end() -> None:
    b = Builder(days=3)
    b.service("ward", 1)
    b.service("reablement", 0)
    b.spell(0, [{"service": "ward", "duration": DAY}, {"service": "reablement", "duration": DAY}])
    case = Case(b, WARD)
    assert case.causes() == {"capacity: reablement": 2 * DAY}
    assert case.causes(DAY // 2, 2 * DAY) == {"capacity: reablement": DAY}


def test_the_queue_before_and_after_becoming_unfit_both_count() -> None:
    b = Builder(days=8)
    b.service("ward", 1)
    b.service("reablement", 1)
    b.spell(0, [
        {"service": "ward", "duration": DAY, "next": 2, "unfit_after": DAY, "unfit_to": 1},
        {"service": "ward", "duration": DAY, "next": 3},
        {"service": "reablement", "duration": DAY, "next": -1},
        {"service": "reablement", "duration": DAY},
    ])  # fmt: skip
    b.spell(0, [{"service": "reablement", "duration": 4 * DAY}], initial=True)
    case = Case(b, WARD)
    assert case.stamps.ended[0] == UNFIT_AGAIN
    assert case.causes() == {"capacity: reablement": 2 * DAY}  # day 1 for one row and day 3 for the other
    assert case.values()["service_queue_mean", "reablement"] == pytest.approx(2 / 8)
    assert case.values()["check_causes", "all"] == 0


# a slow reading of the same rules --------------------------------------------------------------------------------


def slowly(history: History, rows: np.ndarray) -> dict[tuple[int, str], int]:
    """Minutes by (row, cause): each minute of each delay looked at by itself."""
    j, s, network = history.journeys, history.stamps, history.network
    horizon = history.horizon
    use = np.zeros((history.n_queues, horizon + 1), dtype=int)
    for intervals in history.in_use:
        for q, start, end, units in zip(*vars(intervals).values(), strict=True):
            use[q, start] += units
            use[q, end] -= units
    free = -np.cumsum(use, axis=1)
    entries = sorted(zip(s.log_minute, s.log_service, s.log_capacity, strict=True))
    for k, (minute, q, capacity) in enumerate(entries):
        following = next((m for m, other, _ in entries[k + 1 :] if other == q), horizon + 1)
        free[q, minute:following] += capacity
    taken: dict[int, list[Any]] = {q: [] for q in range(history.n_queues)}
    n_rows = len(j.rows.spell)
    for r in np.flatnonzero((s.accepted >= 0) & (history.need > 0) & ~history.initial):
        since = j.rows.since[r]
        joined = s.joined[since] if since >= 0 and s.joined[since] >= 0 else s.joined[r]
        key = (j.rows.priority[r], joined, j.spells.number[j.rows.spell[r]], r)
        taken[j.rows.service[r]].append((s.accepted[r], key, r, history.need[r]))
    for t in np.flatnonzero((j.tasks.pool >= 0) & (s.task_granted >= 0)):
        r = int(history.row_of(np.array([t]))[0])
        key = (j.rows.priority[r], s.task_began[t], j.spells.number[j.rows.spell[r]], r)
        taken[j.tasks.pool[t]].append((s.task_granted[t], key, n_rows + t, 1))

    def is_open(calendar: int, minute: int) -> bool:
        return calendar == ALWAYS_OPEN or network.calendars.is_open(calendar, minute)

    def quota_left(q: int, minute: int) -> float:
        day = minute // DAY
        week = (day + network.first_weekday) // 7
        same_day = sum(m // DAY == day and m <= minute for m, *_ in taken[q])
        same_week = sum((m // DAY + network.first_weekday) // 7 == week and m <= minute for m, *_ in taken[q])
        limits = ((network.quota_day[q, day], same_day), (network.quota_week[q, week], same_week))
        return min((limit - used for limit, used in limits if limit != NO_QUOTA), default=np.inf)

    def only_shut(q: Any, joined: int, until: int, who: Any) -> int:
        """From when on only the calendar kept this person."""
        calendar = int(network.calendar[q])
        mine = [entry for entry in taken[q] if entry[2] == who]
        if calendar == ALWAYS_OPEN or not mine or until == 0 or is_open(calendar, until - 1):
            return until
        ahead = [e for e in taken[q] if e[0] == until and e[1:3] <= mine[0][1:3]]
        start = until
        while start > joined and not is_open(calendar, start - 1):
            start -= 1
        for minute in range(start, until):
            if free[q, minute] >= sum(e[3] for e in ahead) and quota_left(q, minute) >= len(ahead):
                return minute
        return until

    found: dict[tuple[int, str], int] = {}
    for row in rows.tolist():
        first, last = s.recognised[row], history.left[row]
        stretches: list[tuple[int, int, str, str, int]] = []
        begin = j.rows.first_task[row]
        for k in range(j.rows.n_before[row] + j.rows.n_after[row]):
            t = begin + k
            if s.task_began[t] < 0:
                continue
            granted = s.task_granted[t] if s.task_granted[t] >= 0 else last
            over = s.task_ended[t] if s.task_ended[t] >= 0 else last
            if j.tasks.pool[t] >= 0:
                name = history.kind_names[history.kind[j.tasks.pool[t]]]
                change = only_shut(j.tasks.pool[t], s.task_began[t], granted, n_rows + t)
                stretches += [
                    (s.task_began[t], change, f"staff: {name}", "", 0),
                    (change, granted, f"calendar: {name}", "", 0),
                ]
            name = j.task_names[j.tasks.kind[t]]
            stretches.append((granted, over, f"task: {name}", f"calendar: {name}", int(j.tasks.calendar[t])))
        wanted: Any = j.rows.next[row]
        while wanted >= 0 and s.joined[wanted] >= first:
            q, until = j.rows.service[wanted], history.waited_until[wanted]
            name = history.kind_names[history.kind[q]]
            change = only_shut(q, s.joined[wanted], until, wanted) if s.accepted[wanted] >= 0 else until
            stretches += [
                (s.joined[wanted], change, f"capacity: {name}", "", 0),
                (change, until, f"calendar: {name}", "", 0),
            ]
            wanted = j.rows.otherwise[wanted] if s.ended[wanted] in (GAVE_UP, TURNED_AWAY) else -1
        for minute in range(first, last):
            here = [x for x in stretches if x[0] <= minute < x[1]]
            assert len(here) == 1, (row, minute, here)
            _, _, cause, closed, calendar = here[0]
            cause = closed if closed and not is_open(calendar, minute) else cause
            found[row, cause] = found.get((row, cause), 0) + 1
    return found


def random_run(seed: int, roles: tuple[str, ...]) -> tuple[Place, Network, Journeys, Stamps]:
    journeys, network = random_case(seed, days=6)
    names = network.names[network.n_pools :]
    services = {name: service(roles[i % len(roles)]) for i, name in enumerate(names)}
    return place_for(network, services), network, journeys, reference.run(journeys, network)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_delayed_minute_is_charged_as_the_slow_reading_charges_it(seed: int) -> None:
    place, network, journeys, stamps = random_run(seed, ("ward",))
    history = History(place, network, journeys, stamps)
    rows = np.flatnonzero((stamps.recognised >= 0) & (history.left > stamps.recognised))
    charges = charge(history, rows, 0, network.horizon)
    fast: dict[tuple[int, str], int] = {}
    for row, cause, minutes in zip(charges.row[charges.case], charges.cause, charges.minutes, strict=True):
        key = (row, charges.names[cause])
        fast[key] = fast.get(key, 0) + int(minutes)
    assert fast == slowly(history, rows)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_trust_checks_hold_on_crowded_random_cases(seed: int) -> None:
    place, network, journeys, stamps = random_run(seed, ("ward", "community", "ed", "home_care", "care_home"))
    for window in ((0, network.horizon), (DAY, 3 * DAY), (100, 4000)):
        results = measure(place, network, journeys, stamps, window).results
        values = by_name(results)
        for name in CHECKS:
            assert values[name, "all"] == pytest.approx(0, abs=1e-9), name
        total = values["delayed_bed_days", "all"]
        everywhere = results[results["where"] == "all"].groupby("measure")["value"].sum()
        assert everywhere["delayed_bed_days_by_cause"] == pytest.approx(total)
        assert everywhere["delayed_bed_days_by_pathway"] == pytest.approx(total)


def test_trust_checks_notice_wrong_stamps() -> None:
    b = Builder(days=6)
    b.service("ward", 1)
    b.service("reablement", 1, steps=[(2 * DAY, 2)])
    for _ in range(3):
        b.spell(0, [{"service": "ward", "duration": DAY}, {"service": "reablement", "duration": 2 * DAY}])
    case = Case(b, WARD)

    def wrong(**stamps: np.ndarray) -> dict[str, float]:
        results = measure(case.place, case.network, case.journeys, replace(case.stamps, **stamps)).results
        return dict(zip(results["measure"], results["value"], strict=True))

    def moved(column: str, row: int, minutes: int) -> dict[str, np.ndarray]:
        stamps = getattr(case.stamps, column).copy()
        stamps[row] += minutes
        return {column: stamps}

    assert wrong(**moved("started", 1, 5))["check_conservation"] == 1  # five minutes nowhere
    assert wrong(**moved("started", 1, -5))["check_conservation"] == 1  # five minutes in two places
    assert wrong(**moved("joined", 0, -1))["check_conservation"] == 1  # in a stage without having come
    assert wrong(**moved("freed", 1, -3 * HOUR - 2 * DAY + 2 * HOUR))["check_log"] > 0
    assert wrong(**moved("accepted", 2, -30))["check_capacity"] == 1  # before the bed was free
    assert wrong(**moved("joined", 1, 30))["check_littles_law"] == 0  # joined later than accepted: no wait
    assert wrong(**moved("recognised", 2, -90))["check_causes"] == 90


# ---------------------------------------------------------------------------------------------------------------------
# What everything is computed from

QUEUES, MINUTES = 3, 2 * DAY
SOME_INTERVALS = st.lists(
    st.tuples(st.integers(0, QUEUES - 1), st.integers(0, 6), st.integers(0, 6), st.integers(-2, 5)), max_size=12
)
"""Queue, first and last in eighths of the run (so that many changes fall together), units."""


@given(SOME_INTERVALS, st.integers(0, MINUTES), st.integers(0, MINUTES))
def test_step_functions_are_the_minutes_counted_one_by_one(given_ones: list[tuple[int, ...]], a: int, b: int) -> None:
    queue, one, other, units = (np.array(column, dtype=np.int64) for column in zip(*given_ones, strict=True)) if (
        given_ones) else (np.zeros(0, dtype=np.int64),) * 4  # fmt: skip
    start, end = np.minimum(one, other) * MINUTES // 6, np.maximum(one, other) * MINUTES // 6
    some, others = (Intervals(queue[k::2], start[k::2], end[k::2], units[k::2]) for k in range(2))
    steps = Steps.of_intervals([some, others], QUEUES, MINUTES)
    level = np.zeros((QUEUES, MINUTES + 1), dtype=np.int64)
    for q, first, last, n in zip(queue, start, end, units, strict=True):
        level[q, first:last] += n
    every = np.arange(QUEUES)
    assert steps.at(every, np.full(QUEUES, a)).tolist() == level[:, a].tolist()
    assert steps.now(every, np.full(QUEUES, a))[0].tolist() == level[:, a].tolist()
    assert steps.each_day().tolist() == level[:, DAY - 1 :: DAY].tolist()
    first, last = sorted((a, b))
    assert steps.area(first, last).tolist() == level[:, first:last].sum(axis=1).tolist()
    for q in range(QUEUES):
        minutes, levels = steps.of(q)
        assert levels.tolist() == level[q, minutes].tolist()
        changes = set(minutes[minutes > a].tolist()) | {MINUTES}
        assert steps.now(every, np.full(QUEUES, a))[1][q] == min(changes)
        assert set(np.flatnonzero(np.diff(level[q])) + 1) <= {0, *minutes.tolist(), MINUTES}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6 * DAY))
def test_open_minutes_of_work_are_those_of_the_calendar(seed: int, cut: int) -> None:
    """In a task's own calendar, of which a whole task takes what was planned, and in others; whole and in two parts."""
    place, network, journeys, stamps = random_run(seed, ("ward",))
    history = History(place, network, journeys, stamps)
    task = np.flatnonzero((stamps.task_granted >= 0) & (history.task_over > stamps.task_granted))
    granted, over = stamps.task_granted[task], history.task_over[task]
    middle = np.clip(cut, granted, over)
    others = range(ALWAYS_OPEN, len(network.calendars.names))
    for calendar in (journeys.tasks.calendar[task], *(np.full(len(task), c, dtype=np.int32) for c in others)):
        for start, end in ((granted, over), (granted, middle), (middle, over)):
            found = history.open_in_work(task, calendar, start, end)
            for c, first, last, minutes in zip(calendar, start, end, found, strict=True):
                mask = np.ones(network.horizon, dtype=bool) if c == ALWAYS_OPEN else network.calendars.mask(int(c))
                assert minutes == mask[first:last].sum()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_stays_are_rows_that_follow_each_other_in_one_kind_of_service(seed: int) -> None:
    place, network, journeys, stamps = random_run(seed, ("ward", "community", "ward", "care_home"))
    history = History(place, network, journeys, stamps)
    group = np.where(history.queues_with("ward"), -1, history.kind)
    expected: list[list[int]] = []
    for spell in range(len(journeys.spells.number)):
        rows = np.flatnonzero((journeys.rows.spell == spell) & (stamps.started >= 0))
        rows = rows[np.argsort(stamps.started[rows], kind="stable")]
        kinds = group[journeys.rows.service[rows]]
        for k, row in enumerate(rows):
            if k and kinds[k] == kinds[k - 1]:
                expected[-1][1] = row
            else:
                expected.append([row, row])
    every = EveryStay(history)
    stays = every.of(np.ones(len(journeys.rows.spell), dtype=bool))
    assert sorted(zip(stays.first, stays.last, strict=True)) == sorted(map(tuple, expected))
    assert every.minutes[stays.last].tolist() == (stays.left - stays.started).tolist()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-9, 2**28), st.booleans()), max_size=20))
def test_entries_in_the_order_of_their_queues_are_those_of_each_queue(entries: list[tuple[int, int, bool]]) -> None:
    types = (np.int64, np.int32, bool)
    queue, values, which = (np.array([e[k] for e in entries], dtype=types[k]) for k in range(3))
    by_queue = ByQueue.arrange(queue, 5)
    mine = [[(v, w) for q, v, w in entries if q == k] for k in range(5)]
    assert by_queue.sum(values).tolist() == [sum(v for v, _ in each) for each in mine]
    assert by_queue.sum(values, values).tolist() == [sum(v * v for v, _ in each) for each in mine]
    assert by_queue.sum(which).tolist() == [sum(w for _, w in each) for each in mine]
    assert [part.tolist() for part in by_queue.split(values)] == [[v for v, _ in each] for each in mine]
    assert [part.tolist() for part in by_queue.split(values, which)] == [[v for v, w in each if w] for each in mine]
    assert values[by_queue.of(np.array([1, 3]))].tolist() == [v for k in (1, 3) for v, _ in mine[k]]


@given(st.lists(st.integers(-2, 12) | st.integers(0, 700_000), min_size=1, max_size=40), st.sampled_from((0.5, 0.9)))
def test_quantiles_are_numpys_to_the_last_bit(values: list[int], share: float) -> None:
    assert quantile(np.array(values, dtype=np.int32), share) == np.quantile(values, share)
    assert np.isnan(quantile(np.zeros(0, dtype=np.int32), share))


def test_tables_of_narrow_numbers_give_the_same() -> None:
    """Thousands of units for a year and more: unit-minutes beyond 2**31."""
    b = Builder(days=400)
    b.service("ward", 2)
    b.service("home_care", 9000, steps=[(300 * DAY, 8000)])
    for day in range(4):
        care = {"service": "home_care", "duration": 390 * DAY, "units": 4000, "patience": 380 * DAY}
        b.spell(day * DAY, [{"service": "ward", "duration": DAY}, care])
    case = Case(b, {"ward": service("ward"), "home_care": service("home_care")})
    wide = case.measure()
    case.journeys = replace(case.journeys, rows=narrow(case.journeys.rows), tasks=narrow(case.journeys.tasks))
    case.stamps = narrow(case.stamps)
    found = case.measure()
    pd.testing.assert_frame_equal(found.results, wide.results, check_exact=True)
    pd.testing.assert_frame_equal(found.nights, wide.nights, check_exact=True)
    assert case.values()["service_offered_load", "home_care"] > 1


def narrow(table: Any) -> Any:
    """The same table in int32."""
    return replace(table, **{name: column.astype(np.int32) for name, column in vars(table).items()})


# ---------------------------------------------------------------------------------------------------------------------
# Patients, stays, discharges


def site_case(**more: Any) -> Case:
    """Two people at site a, one at site b; a week from Monday."""
    b = Builder(days=7)
    b.calendar("round", minutes=range(10 * HOUR, 7 * DAY, DAY))
    b.service("acute/a", 2)
    b.service("acute/b", 2)
    b.service("reablement", 1)
    seen = {"before": [task(calendar="round")], "recognition": 1}
    # ready Tuesday 06:00, recognised 10:00, waits for reablement until Thursday 12:00
    b.spell(6 * HOUR, [{"service": "acute/a", "duration": DAY, **seen}, {"service": "reablement", "duration": DAY}])
    # ready Monday 20:00, recognised Tuesday 10:00, home at once
    b.spell(8 * HOUR, [{"service": "acute/a", "duration": 12 * HOUR, **seen}])
    # ready Wednesday 18:00, recognised Thursday 10:00; leaves at 18:00
    b.spell(18 * HOUR, [{"service": "acute/b", "duration": 2 * DAY, **seen, "after": [task(8 * HOUR)]}])
    b.spell(0, [{"service": "reablement", "duration": 3 * DAY + 12 * HOUR}], initial=True)
    services = {"acute": service("ward", by_site={"a": 1, "b": 1}), "reablement": service("community", "slots")}
    attributes = {"pathway": ["pathway_1", "pathway_0", "pathway_0", "pathway_0"], "site": ["a", "a", "b", "a"],
                  "age": ["85+", "18-34", "85+", "18-34"]}  # fmt: skip
    sites = {"a": {"title": "A"}, "b": {"title": "B"}}
    return Case(
        b, services, tasks=("round", "medicine"), kinds=[0, 0, 0, 1], attributes=attributes, sites=sites, **more
    )


def test_delay_of_patients() -> None:
    values = site_case().values()
    # at 23:59: Tuesday and Wednesday one person at a
    assert values["delayed_patients", "all"] == pytest.approx(2 / 7)
    assert values["delayed_patients", "b"] == 0
    # in beds at 23:59: a: Mon 2, Tue 1, Wed 1; b: Mon, Tue, Wed 1
    assert values["nctr_share", "a"] == pytest.approx(100 * 2 / 4)
    assert values["nctr_share", "all"] == pytest.approx(100 * 2 / 7)
    assert values["acute_occupancy", "all"] == pytest.approx(100 * 7 / 28)
    assert values["acute_occupancy", "b"] == pytest.approx(100 * 3 / 14)
    waits = {"a": 50 * HOUR, "b": 8 * HOUR}
    for where, minutes in {**waits, "all": 58 * HOUR}.items():
        assert values["delayed_bed_days", where] == pytest.approx(minutes / DAY)
    assert values["delayed_bed_days_by_pathway", "pathway_1"] == pytest.approx(50 / 24)
    assert values["delayed_bed_days_by_pathway", "b", "pathway_0"] == pytest.approx(8 / 24)
    assert values["delayed_bed_days_by_cause", "a", "capacity: reablement"] == pytest.approx(50 / 24)
    assert values["delayed_bed_days_by_cause", "task: medicine"] == pytest.approx(8 / 24)
    # by dates: Tuesday to Thursday is two days, the others left on the day they were recognised
    assert values["delayed_share", "all"] == pytest.approx(100 / 3)
    assert values["delay_days_mean", "all"] == 2
    assert values["bed_days_lost_share", "all"] == pytest.approx(100 * 2 / 7)
    assert values["hidden_wait_days_mean", "all"] == pytest.approx((4 + 14 + 16) / 3 / 24)


def test_stays_and_discharges() -> None:
    values = site_case().values()
    # nights: Monday to Thursday 3, Monday to Tuesday 1, Monday to Thursday 3
    assert values["los_days_mean", "all"] == pytest.approx(7 / 3)
    assert values["los_days_median", "all"] == 3
    assert values["los_days_mean", "age 85+"] == 3
    assert values["los_days_mean", "age 18-34"] == 1
    assert values["admissions_a_day", "a"] == pytest.approx(2 / 7)
    assert values["live_discharges_a_day", "all"] == pytest.approx(3 / 7)
    assert values["discharged_by_17_share", "all"] == pytest.approx(100 * 2 / 3)  # 12:00, 10:00, 18:00
    assert values["discharges_by_weekday", "tuesday"] == pytest.approx(7 / 3)
    assert values["discharges_by_weekday", "thursday"] == pytest.approx(14 / 3)
    assert values["discharges_by_weekday", "monday"] == 0
    assert values["pathway_share", "pathway_1"] == pytest.approx(100 / 3)
    assert values["pathway_share", "b", "pathway_0"] == 100
    assert values["los_21_plus_share", "all"] == 0


def test_the_window_cuts_time_and_picks_who_left_in_it() -> None:
    values = site_case().values(2 * DAY, 4 * DAY)  # Wednesday and Thursday
    assert values["delayed_patients", "all"] == pytest.approx(1 / 2)
    assert values["delayed_bed_days", "all"] == pytest.approx((36 + 8) / 24)
    assert values["los_days_mean", "all"] == 3
    assert values["admissions_a_day", "all"] == 0
    with pytest.raises(ValueError, match="window"):
        site_case().measure(DAY, DAY)


def test_nights() -> None:
    nights = site_case().measure().nights
    assert list(nights.columns) == ["date", "where", "of", "state", "count"]
    series = {k: g["count"].tolist() for k, g in nights.groupby(["where", "of", "state"], observed=True)}
    assert series["all", "", "occupied"] == [3, 2, 2, 0, 0, 0, 0]
    assert series["a", "", "occupied"] == [2, 1, 1, 0, 0, 0, 0]
    assert series["a", "", "delayed"] == series["a", "pathway_1", "delayed"] == [0, 1, 1, 0, 0, 0, 0]
    assert series["b", "", "delayed"] == [0] * 7
    assert series["all", "reablement", "in use"] == [1, 1, 1, 1, 0, 0, 0]
    assert series["all", "reablement", "waiting"] == [0, 1, 1, 0, 0, 0, 0]
    assert nights["date"].iloc[:2].dt.strftime("%Y-%m-%d").tolist() == ["2024-04-01", "2024-04-02"]


def test_unfit_again_is_one_stay_and_stops_the_clock() -> None:
    b = Builder(days=10)
    b.service("ward", 1)
    b.service("reablement", 0)
    b.spell(0, [
        {"service": "ward", "duration": DAY, "next": 2, "unfit_after": DAY, "unfit_to": 1},
        {"service": "ward", "duration": 2 * DAY, "next": -1, "after": [task(DAY)]},
        {"service": "reablement", "duration": DAY},
    ])  # fmt: skip
    values = Case(b, WARD).values()
    # ready day 1, unfit day 2, ready again day 4, home day 5
    assert values["los_days_mean", "all"] == 5
    assert values["admissions_a_day", "all"] == pytest.approx(1 / 10)
    assert values["delay_days_mean", "all"] == 1  # from the last recognition
    assert values["delayed_bed_days", "all"] == pytest.approx(2)  # both waits
    assert values["service_starts_a_week", "ward"] == pytest.approx(7 / 10)


def test_deaths_and_long_stays() -> None:
    b = Builder(days=40)
    b.service("ward", 2)
    b.spell(0, [{"service": "ward", "duration": 30 * DAY, "died": 1}])
    b.spell(0, [{"service": "ward", "duration": 10 * DAY}])
    b.spell(0, [{"service": "ward", "duration": 2 * HOUR}])
    values = Case(b, WARD).values()
    assert values["deaths_in_hospital", "all"] == 1
    assert values["in_hospital_death_share", "all"] == pytest.approx(100 / 3)
    assert values["los_days_mean", "all"] == 20  # the stay without a night is left out
    assert values["los_21_plus_share", "all"] == pytest.approx(100 * 9 / 40)  # the nights of days 21 to 29 of 30 + 10


def test_only_emergencies_count_where_streams_are_told_apart() -> None:
    b = Builder(days=10)
    b.service("ward", 2)
    b.spell(0, [{"service": "ward", "duration": 2 * DAY}])
    b.spell(0, [{"service": "ward", "duration": 6 * DAY}])
    assert Case(b, WARD, attributes={"stream": ["emergency", "elective"]}).values()["los_days_mean", "all"] == 2
    assert Case(b, WARD, attributes={"stream": ["a", "b"]}).values()["los_days_mean", "all"] == 4


# ---------------------------------------------------------------------------------------------------------------------
# Emergency department


def test_emergency_department() -> None:
    b = Builder(days=4)
    b.service("ed", 3)
    b.service("ward", 1)
    b.spell(0, [{"service": "ed", "duration": 240}])
    b.spell(0, [{"service": "ed", "duration": 241}])
    b.spell(0, [{"service": "ed", "duration": 120}, {"service": "ward", "duration": 20 * HOUR}])
    b.spell(0, [{"service": "ed", "duration": 120}, {"service": "ward", "duration": DAY}])
    case = Case(b, {"ed": service("ed", "cubicles"), "ward": service("ward")})
    values = case.values()
    assert values["ed_attendances_a_day", "all"] == 1
    assert values["ed_admissions_a_day", "all"] == pytest.approx(2 / 4)
    assert values["ed_four_hour_share", "all"] == 50  # 240 and 120 minutes; not 241, nor who left at 22:00
    assert values["ed_12_hour_share", "all"] == 25
    assert values["boarding_hours_mean", "all"] == pytest.approx((0 + 18) / 2)
    assert values["trolley_12_hour_count", "all"] == 1
    boarding = case.measure().nights.query("state == 'boarding'")["count"].tolist()
    assert boarding == [0, 0, 0, 0]  # nobody boards at midnight
    assert values["ed_attendances_a_day", "all"] == 1


def test_who_waits_at_the_door_and_who_leaves_it_unseen() -> None:
    b = Builder(days=2)
    b.service("ed", 1)
    b.service("ward", 5)
    b.spell(0, [{"service": "ed", "duration": 6 * HOUR}])
    b.spell(0, [{"service": "ed", "duration": HOUR, "patience": 4 * HOUR}])  # unseen from 04:00
    b.spell(HOUR, [{"service": "ed", "duration": HOUR, "patience": 10 * HOUR}])  # taken in at 06:00
    case = Case(b, {"ed": service("ed", "cubicles"), "ward": service("ward")})
    values = case.values()
    assert values["ed_queue_mean", "all"] == pytest.approx((4 + 5) / 48)
    assert values["ed_left_unseen_share", "all"] == pytest.approx(100 / 3)
    assert case.values(5 * HOUR, DAY)["ed_queue_mean", "all"] == pytest.approx(1 / 19)
    assert case.values(5 * HOUR, DAY)["ed_left_unseen_share", "all"] == 0
    b = Builder(days=2)
    b.service("ward", 5)
    b.spell(0, [{"service": "ward", "duration": HOUR}])
    none = Case(b, {"ward": service("ward")}).values()
    assert ("ed_queue_mean", "all") not in none  # a place without emergency departments has no such queue


def test_who_gave_up_and_went_home_with_less() -> None:
    b = Builder(days=20)
    b.service("ward", 9)
    for kind in ("beds", "dom_care", "reablement"):
        b.service(kind, 0)
    b.service("care_homes", 9)
    ward = {"service": "ward", "duration": DAY}

    def waits(kind: str, otherwise: str = "") -> None:
        then = [{"service": otherwise, "duration": DAY}] if otherwise else []
        gives_up = {"service": kind, "duration": DAY, "patience": DAY, "otherwise": 2 if then else -1, "next": -1}
        b.spell(0, [ward, gives_up, *then])

    waits("reablement")  # nothing instead
    waits("dom_care")
    waits("beds", "reablement")  # care at home instead of a bed
    waits("beds", "care_homes")  # a bed instead of a bed: no less
    services = {**KINDS, "reablement": service("community", "slots")}
    values = Case(b, services).values()
    assert values["unmet_need_people", "all"] == 3
    assert values["unmet_need_people", "reablement"] == 1
    assert values["unmet_need_people", "dom_care"] == 1
    assert values["unmet_need_people", "beds"] == 1
    assert values["unmet_need_people", "care_homes"] == 0


def waiting_lines(capacity: int, every: int, n: int, days: int = 40) -> Case:
    """So many people, one every so many minutes, each a day in community beds."""
    b = Builder(days=days)
    b.service("beds", capacity)
    for i in range(n):
        b.spell(i * every, [{"service": "beds", "duration": DAY}])
    return Case(b, {"beds": service("community")})


def test_a_queue_that_grows_all_the_way_is_out_of_range() -> None:
    growing = waiting_lines(1, DAY // 2, 80).values()
    assert growing["out_of_range_queues", "all"] == growing["out_of_range_queues", "beds"] == 1
    passing = waiting_lines(1, DAY // 8, 40).values()  # full at first, and over before the end
    assert passing["out_of_range_queues", "all"] == passing["out_of_range_queues", "beds"] == 0
    assert waiting_lines(1, 2 * DAY, 20).values()["out_of_range_queues", "all"] == 0
    closed = waiting_lines(0, 30 * DAY, 1).values()
    assert closed["out_of_range_queues", "beds"] == 1  # nothing is open, and one person waits
    assert waiting_lines(0, DAY, 0).values()["out_of_range_queues", "beds"] == 0


def test_an_emergency_department_offered_too_much_is_out_of_range() -> None:
    def department(hours: float) -> Any:
        b = Builder(days=2)
        b.service("ed", 1)
        b.spell(0, [{"service": "ed", "duration": int(hours * HOUR)}])
        return Case(b, {"ed": service("ed", "cubicles")}).values()

    assert department(0.95 * 48)["out_of_range_queues", "ed"] == 1
    assert department(0.85 * 48)["out_of_range_queues", "ed"] == 0


def test_a_closed_service_is_offered_more_than_anything_and_stays_in_the_results() -> None:
    b = Builder(days=10)
    b.service("ward", 5)
    b.service("reablement", 0)
    for hour in range(3):
        b.spell(hour, [{"service": "ward", "duration": DAY}, {"service": "reablement", "duration": DAY}])
    case = Case(b, WARD)
    values = case.values()
    assert values["service_offered_load", "reablement"] == np.inf
    assert values["service_still_waiting", "reablement"] == 3
    assert values["service_wait_days_mean", "reablement"] == pytest.approx(9 - 1 / DAY)  # so far, since day 1
    assert values["care_wait_days_mean", "all"] == pytest.approx(9 - 1 / DAY)
    assert values["care_queue_mean", "all"] == pytest.approx(3 * (9 - 1 / DAY) / 10)
    assert values["check_overloaded", "all"] == 1
    assert case.measure().warnings == ("reablement is closed all the time, and people ask for it: 3 wait at the end",)
    nobody = waiting_lines(0, DAY, 0).values()["service_offered_load", "beds"]
    assert nobody != nobody  # nothing is open, and nobody asks


def test_who_is_still_delayed_counts_with_the_days_so_far() -> None:
    b = Builder(days=20)
    b.service("ward", 5)
    b.service("reablement", 1)
    waits = [{"service": "ward", "duration": DAY}, {"service": "reablement", "duration": 4 * DAY}]
    for _ in range(3):
        b.spell(0, waits)
    b.spell(0, [{"service": "reablement", "duration": 3 * DAY}], initial=True)
    attributes = {"age": ["85+", "18-34", "18-34", "18-34"], "pathway": ["pathway_1"] * 4,
                  "locality": ["north", "north", "south", "north"]}  # fmt: skip
    case = Case(b, WARD, attributes=attributes)
    # ready on day 1; taken on days 3 and 7; on day 10 the third has waited 9 days, and leaves on day 11
    values = case.values(0, 10 * DAY)
    assert values["delayed_still_people", "all"] == 1
    assert values["delay_days_mean", "all"] == pytest.approx((2 + 6 + 9) / 3)
    assert case.values()["delay_days_mean", "all"] == pytest.approx((2 + 6 + 10) / 3)
    assert case.values()["delayed_still_people", "all"] == case.values()["hospital_still_people", "all"] == 0
    assert values["hospital_still_people", "all"] == 1
    assert values["drd_days_mean", "all"] == 4  # the national measure has those who left alone
    assert (values["delay_days_by_age", "85+"], values["delay_days_by_age", "18-34"]) == (2, pytest.approx(15 / 2))
    assert values["delay_days_by_pathway", "pathway_1"] == pytest.approx(17 / 3)
    assert (values["delay_days_by_locality", "north"], values["delay_days_by_locality", "south"]) == (4, 9)
    assert values["delayed_bed_days_by_age", "85+"] == pytest.approx(2)
    assert values["delayed_bed_days_by_locality", "south"] == pytest.approx(9)
    people = {key[1]: v for key, v in values.items() if key[0] == "delay_band_people" and v}
    assert people == {"2-3 days": 1, "4-6 days": 1}  # who is still there is in no band yet
    days = {key[1]: v for key, v in case.values().items() if key[0] == "delay_band_bed_days" and v}
    assert days == {"2-3 days": 2, "4-6 days": 6, "7-13 days": 10}


def test_a_place_without_wards_has_waits_and_queues_and_no_delayed_patients() -> None:
    b = Builder(days=10)
    b.service("beds", 1)
    for _ in range(2):
        b.spell(0, [{"service": "beds", "duration": 4 * DAY}])
    values = Case(b, {"beds": service("community")}).values()
    shown = {name for name, *_ in values if name in HEADLINE}
    assert shown == {
        "care_queue_mean",
        "care_wait_days_mean",
        "unmet_need_people",
        "money_spent",
        "out_of_range_queues",
    }
    assert values["care_queue_mean", "all"] == pytest.approx(4 / 10)
    assert values["care_wait_days_mean", "all"] == 2


def test_what_can_never_fit_and_what_a_quota_holds_up_is_said() -> None:
    b = Builder(days=40)
    b.service("care", 20)
    b.spell(0, [{"service": "care", "units": 30, "duration": DAY}])
    for day in range(1, 5):
        b.spell(day * DAY, [{"service": "care", "units": 5, "duration": DAY}])
    case = Case(b, {"care": service("home_care", "places", capacity=20)})
    values, (warning,) = case.values(), case.measure().warnings
    assert values["service_offered_load", "care"] < 1
    assert values["out_of_range_queues", "care"] == 1
    assert warning.startswith("care: somebody waits for 30 places and there are never more than 20: they, and whoever")
    b = Builder(days=40)
    b.service("beds", 5, quota_day=[1] * 40)
    for i in range(80):  # two a day, of whom one is taken
        b.spell(i * DAY // 2, [{"service": "beds", "duration": HOUR}])
    case = Case(b, {"beds": service("community")})
    values, (warning,) = case.values(), case.measure().warnings
    assert values["service_offered_load", "beds"] < 0.1
    assert values["out_of_range_queues", "beds"] == 1
    assert warning.startswith("beds: the queue grows all the way to 40 people, though it is offered only 0.02 times")


def test_each_measure_says_what_difference_matters() -> None:
    assert {m.unit for m in MEASURES.values() if not m.matters} <= {"minutes", "units", "times", "£"}
    for name in ("ed_queue_mean", "delayed_patients", "deaths_in_hospital", "unmet_need_people", "boarding_hours_mean"):
        assert MEASURES[name].matters > 0
    deaths, delayed = MEASURES["deaths_in_hospital"], MEASURES["delayed_patients"]
    trolleys = MEASURES["trolley_12_hour_count"]
    assert trolleys.matters_in(73) == pytest.approx(trolleys.matters / 5)  # of a sum in proportion
    assert deaths.matters_in(73) == deaths.matters  # what moves it happens at the end
    assert delayed.matters_in(73) == delayed.matters


def test_twelve_hours_exactly_is_not_over_twelve() -> None:
    b = Builder(days=2)
    b.service("ed", 1)
    b.service("ward", 1)
    b.spell(0, [{"service": "ward", "duration": 13 * HOUR}], initial=True)
    b.spell(0, [{"service": "ed", "duration": HOUR}, {"service": "ward", "duration": HOUR}])
    values = Case(b, {"ed": service("ed", "cubicles"), "ward": service("ward")}).values()
    assert values["boarding_hours_mean", "all"] == 12
    assert values["trolley_12_hour_count", "all"] == 0
    assert values["ed_12_hour_share", "all"] == 100


# ---------------------------------------------------------------------------------------------------------------------
# Where people go and whether they come back

KINDS = {
    "ward": service("ward"), "reablement": service("community", "slots"), "beds": service("community"),
    "dom_care": service("home_care", "hours_a_week"), "care_homes": service("care_home"),
}  # fmt: skip


def destinations(**more: Any) -> Case:
    b = Builder(days=10)
    for name in KINDS:
        b.service(name, 100)
    for after in ([], ["reablement"], ["beds"], ["dom_care"], ["care_homes"], ["care_homes"]):
        b.spell(0, [{"service": s, "duration": DAY} for s in ("ward", *after)])
    attributes = {"care_home_resident": ["no", "no", "no", "no", "no", "yes"]}
    return Case(b, KINDS, attributes=attributes, **more)


def test_usual_residence_by_default() -> None:
    # home, reablement, home care and the resident's own home; not the community bed nor the new care home
    assert destinations().values()["usual_residence_share", "all"] == pytest.approx(100 * 4 / 6)


def test_usual_residence_as_the_place_says() -> None:
    stages = {
        "x": {},
        "reablement": {"usual_residence": "no"},
        "care_homes": {"usual_residence": {"by": "care_home_resident", "no": "yes", "other": "no"}},
    }
    # home, home care and the new resident's home
    assert destinations(stages=stages).values()["usual_residence_share", "all"] == 50


def test_no_long_term_care_after_reablement() -> None:
    b = Builder(days=10)
    for name in KINDS:
        b.service(name, 100)
    for after in ([], [], [], ["dom_care"], ["care_homes"], ["beds"]):
        b.spell(0, [{"service": "reablement", "duration": DAY}, *({"service": s, "duration": DAY} for s in after)])
    b.spell(0, [{"service": "reablement", "duration": DAY, "died": 1}])
    assert Case(b, KINDS).values()["no_long_term_care_share", "reablement"] == pytest.approx(100 * 4 / 6)


def test_readmission_within_thirty_days() -> None:
    b = Builder(days=80)
    b.service("ward", 100)
    back = {"child": [{"service": "ward", "duration": DAY}]}
    b.spell(0, [{"service": "ward", "duration": DAY, "readmission_gap": 30 * DAY, **back}])  # counts
    b.spell(0, [{"service": "ward", "duration": DAY, "readmission_gap": 30 * DAY + 1, **back}])  # a minute late
    b.spell(0, [{"service": "ward", "duration": DAY}])
    b.spell(60 * DAY, [{"service": "ward", "duration": DAY, "readmission_gap": DAY, **back}])  # among the last 30 days
    values = Case(b, WARD).values()
    assert values["readmission_30_day_share", "all"] == pytest.approx(100 / 5)
    short = Case(b, WARD).values(0, 20 * DAY)
    assert np.isnan(short["readmission_30_day_share", "all"])


# ---------------------------------------------------------------------------------------------------------------------
# Services and costs


def test_service_measures() -> None:
    b = Builder(days=10)
    b.service("beds", 2)
    b.spell(0, [{"service": "beds", "duration": 4 * DAY}])
    b.spell(0, [{"service": "beds", "duration": 6 * DAY}])
    b.spell(DAY, [{"service": "beds", "duration": 4 * DAY}])  # waits from day 1 to 4, leaves on day 8
    b.spell(2 * DAY, [{"service": "beds", "duration": DAY, "patience": DAY}])  # gives up on day 3
    values = Case(b, {"beds": service("community")}).values()
    assert values["service_capacity", "beds"] == 2
    assert values["service_occupancy", "beds"] == pytest.approx(100 * (4 + 6 + 4) / 20)
    assert values["service_queue_mean", "beds"] == pytest.approx((3 + 1) / 10)
    assert values["service_wait_days_mean", "beds"] == 1
    assert values["service_wait_days_p90", "beds"] == pytest.approx(2.4)
    assert values["service_gave_up_share", "beds"] == 25
    assert values["service_starts_a_week", "beds"] == pytest.approx(2.1)
    assert values["service_stay_days_mean", "beds"] == pytest.approx(14 / 3)
    assert values["service_stay_days_median", "beds"] == 4
    assert values["service_offered_load", "beds"] == pytest.approx((4 + 6 + 4 + 1) / 20)
    assert values["service_effective_stay_days", "beds"] == pytest.approx(15 / 4)
    assert values["check_overloaded", "all"] == 0


def test_offered_load_counts_what_blocking_adds() -> None:
    b = Builder(days=10)
    b.service("ward", 1)
    b.service("beds", 1)
    b.spell(0, [{"service": "ward", "duration": DAY}, {"service": "beds", "duration": DAY}])
    b.spell(0, [{"service": "beds", "duration": 9 * DAY}], initial=True)
    case = Case(b, {"ward": service("ward"), "beds": service("community")})
    assert case.values()["service_offered_load", "ward"] == pytest.approx(9 / 10)  # one day's work, eight held
    assert case.measure().warnings == ()


def test_a_change_of_size_is_no_new_start_and_counts_once() -> None:
    b = Builder(days=10)
    b.service("dom_care", 1000)
    b.spell(0, [{"service": "dom_care", "units": 600, "duration": 2 * DAY, "after": [task(DAY)]},
                {"service": "dom_care", "units": 300, "duration": 2 * DAY}])  # fmt: skip
    care = service("home_care", "hours_a_week", cost={"amount": 20, "per": "hour_of_care", "payer": "council"})
    case = Case(b, {"dom_care": care})
    values = case.values()
    unit_days = 600 * 3 + 300 * 2
    assert values["service_occupancy", "dom_care"] == pytest.approx(100 * unit_days / 10000)
    assert values["service_starts_a_week", "dom_care"] == pytest.approx(0.7)
    assert values["service_stay_days_mean", "dom_care"] == 5
    hours = unit_days / 60 / 7  # minutes a week for days
    assert values["cost_total", "council"] == pytest.approx(20 * hours)
    assert case.measure().nights.query("state == 'in use'")["count"].iloc[0] == 10  # hours a week
    assert case.measure().results.query("measure == 'service_capacity'")["unit"].tolist() == ["hours a week"]


def test_costs_by_payer() -> None:
    b = Builder(days=10)
    b.pool("hub", 3, calendar=b.calendar("office", hours=(9, 17)))
    b.service("ed", 1)
    b.service("ward", 2)
    b.spell(0, [{"service": "ed", "duration": HOUR}, {"service": "ward", "duration": 4 * DAY - HOUR}])
    services = {
        "ed": service("ed", "cubicles", cost={"amount": 138, "per": "start", "payer": "NHS"}),
        "ward": service("ward", cost={"amount": 400, "per": "day", "payer": "NHS"}),
    }
    hub = service("staff", "staff", cost={"amount": 240, "per": "day", "payer": "council"})
    case = Case(b, services, pools={"hub": hub})
    values = case.values()
    assert values["cost_by_service", "ed"] == pytest.approx(138)
    assert values["cost_by_service", "ward"] == pytest.approx(400 * (4 - 1 / 24))
    assert values["cost_total", "council"] == pytest.approx(240 * 3 * 10)  # paid for being there
    payers = [values["cost_total", payer] for payer in ("NHS", "council", "person")]
    assert values["cost_total", "all"] == pytest.approx(sum(payers))


def test_a_block_paid_whether_used_or_not() -> None:
    b = Builder(days=10)
    b.service("dom_care", 600, steps=[(2 * DAY, 1200), (6 * DAY, 600)])
    b.spell(0, [{"service": "dom_care", "units": 900 - 300, "duration": 10 * DAY}])
    b.spell(3 * DAY, [{"service": "dom_care", "units": 300, "duration": DAY}])
    block = {"from": MONDAY + dt.timedelta(2), "to": MONDAY + dt.timedelta(5), "add": 10, "paid_whether_used": True}
    care = service("home_care", "hours_a_week", capacity=10, blocks={"more": block},
                   cost={"amount": 20, "per": "hour_of_care", "payer": "council"})  # fmt: skip
    values = Case(b, {"dom_care": care}).values()
    unit_days = 600 * 10 + 600 * 4  # the block's 600 minutes a week for four days, used (300, one day) or not
    assert values["cost_total", "all"] == pytest.approx(20 * unit_days / 60 / 7)


def test_capacity_is_paid_for_whether_used_or_not() -> None:
    """Twenty slots bought are 20 x price x days, with nobody in them; the cost of what is used has none of it."""

    def paid(**more: Any) -> dict[tuple[str, ...], Any]:
        b = Builder(days=10)
        b.service("slots", 30)
        cost = {"amount": 125, "per": "day", "payer": "council"} | more.pop("cost", {})
        return Case(b, {"slots": service("community", "slots", cost=cost, **more)}).values()

    assert paid(capacity=30)["money_spent", "all"] == paid(capacity=10)["money_spent", "all"] + 20 * 125 * 10
    block = {"from": MONDAY + dt.timedelta(2), "to": MONDAY + dt.timedelta(5), "add": 20}
    added = paid(capacity=10, blocks={"winter": block})
    assert added["money_spent", "council"] == added["money_by_service", "slots"] == 125 * (10 * 10 + 20 * 4)
    assert added["cost_total", "all"] == 0
    week = paid(capacity=30, cost={"amount": 700, "per": "unit_a_week"})
    assert week["money_spent", "all"] == pytest.approx(30 * 700 * 10 / 7)
    assert week["cost_total", "all"] == pytest.approx(30 * 700 * 10 / 7)


def test_a_closed_bed_saves_no_money_and_a_bed_not_in_use_is_shown_apart() -> None:
    def values(stay: int, open_: int = 40, **more: Any) -> dict[tuple[str, ...], Any]:
        b = Builder(days=10)
        b.service("ward", open_)
        b.spell(0, [{"service": "ward", "duration": stay * DAY}])
        beds = service("ward", cost={"amount": 400, "per": "day", "payer": "NHS"}, **more)
        return Case(b, {"ward": beds}).values()

    block = {"from": MONDAY, "to": MONDAY + dt.timedelta(9), "add": -20}
    as_it_is, closed = values(6, capacity=40), values(6, open_=20, capacity=40, blocks={"shut": block})
    assert closed["money_spent", "all"] == as_it_is["money_spent", "all"] == 40 * 400 * 10
    for shut in (closed, values(6, open_=20, capacity=20, funded=40)):  # closed, and so not freed
        assert shut["capacity_freed", "all"] == as_it_is["capacity_freed", "all"] - 20 * 400 * 10
    assert values(6, capacity=20, funded=40)["money_spent", "all"] == 40 * 400 * 10
    assert values(6, capacity=50, funded=40)["money_spent", "all"] == 50 * 400 * 10
    sooner = values(4, capacity=40)
    assert sooner["money_spent", "all"] == as_it_is["money_spent", "all"]
    assert sooner["capacity_freed", "all"] - as_it_is["capacity_freed", "all"] == pytest.approx(2 * 400)
    assert values(4, open_=50, capacity=50, funded=40)["capacity_freed", "all"] == sooner["capacity_freed", "all"]


def test_a_move_pound_for_pound_spends_nothing() -> None:
    move = {"title": "", "take": {"service": "ward", "amount": 10}, "give": {"service": "slots", "exchange": "pounds"},
            "from": MONDAY + dt.timedelta(2), "to": MONDAY + dt.timedelta(7), "lag_days": 2}  # fmt: skip

    def values(**moves: Any) -> dict[tuple[str, ...], Any]:
        b = Builder(days=10)
        b.service("ward", 40)
        b.service("slots", 30)
        services = {
            "ward": service("ward", capacity=40, cost={"amount": 400, "per": "day", "payer": "NHS"}),
            "slots": service("community", "slots", capacity=30, cost={"amount": 125, "per": "day", "payer": "council"}),
        }
        return Case(b, services, moves=moves).values()

    before, after = values(), values(beds=move)
    assert after["money_spent", "all"] == before["money_spent", "all"]
    assert after["money_spent", "council"] - before["money_spent", "council"] == 10 * 400 * 8  # what is built up, too
    assert after["capacity_freed", "all"] == before["capacity_freed", "all"] - 10 * 400 * 8


# ---------------------------------------------------------------------------------------------------------------------
# The tables


def test_registry_and_table_agree() -> None:
    assert list(HEADLINE) == list(MEASURES)[: len(HEADLINE)]
    for name, m in MEASURES.items():
        assert m.id == name
        assert m.title
        assert m.unit
        assert m.definition.endswith(".")
        assert m.source
    assert {m.better for m in MEASURES.values()} == {-1, 0, 1}
    case = site_case()
    results = case.measure().results
    assert list(results.columns) == ["measure", "where", "of", "unit", "value"]
    assert not results.duplicated(["measure", "where", "of"]).any()
    ranks = results["measure"].map({name: i for i, name in enumerate(MEASURES)})
    assert ranks.is_monotonic_increasing
    assert results.equals(case.measure().results)


def test_the_rows_depend_on_the_place_alone() -> None:
    full, b = site_case(), Builder(days=7)
    for name, n in (("acute/a", 2), ("acute/b", 2), ("reablement", 1)):
        b.service(name, n)
    b.calendar("round", minutes=[0])
    network = replace(b.build()[1], calendar=full.network.calendar)
    nobody = random_case(0, spells=0)[0]
    none = {name: codes[:0] for name, codes in full.journeys.attributes.items()}
    nobody = replace(nobody, task_names=full.journeys.task_names, attributes=none, levels=full.journeys.levels)
    empty = measure(full.place, network, nobody, reference.run(nobody, network))
    seen, unseen = full.measure().results, empty.results
    same = ["measure", "where", "of", "unit"]
    shown = seen[~seen["of"].str.contains("task: ")]  # the place declares no tasks; they are shown where they occur
    shown = shown[~shown["measure"].str.startswith("delayed_causes_by_")]  # so are these
    assert unseen[same].merge(shown[same], how="right", indicator=True)["_merge"].eq("both").all()
    assert empty.warnings == ()
