"""The reference engine against the contract (docs/engine-rules.md): every expected minute is worked out by hand."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import simpy
from engine_places import Builder, random_case, task

from flowsim.engine import compiled, reference
from flowsim.engine.stamps import (
    DIED,
    DISPLACED,
    ENDINGS,
    GAVE_UP,
    LEFT,
    MOVED_ON,
    READMITTED,
    STILL_IN,
    TURNED_AWAY,
    UNFIT_AGAIN,
    Stamps,
    differing,
)
from flowsim.engine.standstill import Standstill
from flowsim.model.calendar import DAY
from flowsim.model.tables import REASON_CODE, Journeys, Network

STAMPS = ("joined", "accepted", "started", "ready", "recognised", "left", "freed")


def row(service: str = "ward", duration: int = 1, **more: Any) -> dict[str, Any]:
    return {"service": service, "duration": duration, **more}


class Told:
    """A finished run, read by spell number and place of the row in the spell."""

    def __init__(self, b: Builder) -> None:
        self.b = b
        self.stamps = reference.run(*b.build())

    def __call__(self, stamp: str, number: int, k: int = 0) -> int:
        return int(getattr(self.stamps, stamp)[self.b.row(number, k)])

    def all(self, number: int, k: int = 0) -> tuple[int, ...]:
        """joined, accepted, started, ready, recognised, left, freed, ended"""
        return tuple(self(stamp, number, k) for stamp in (*STAMPS, "ended"))

    def task(self, number: int, k: int = 0, which: int = 0) -> tuple[int, int, int]:
        """began, granted, ended"""
        t = self.b.task(number, k, which)
        s = self.stamps
        return int(s.task_began[t]), int(s.task_granted[t]), int(s.task_ended[t])

    def log(self, service: str) -> list[tuple[int, ...]]:
        """minute, capacity, in use, queue, reason of the service's entries"""
        s = self.stamps
        columns = (s.log_minute, s.log_capacity, s.log_in_use, s.log_queue, s.log_reason)
        mine = s.log_service == self.b.index(service)
        return list(zip(*(c[mine].tolist() for c in columns), strict=True))


def places(*names: str, days: int = 7, **capacities: int) -> Builder:
    """A builder with services of one unit, or of as many as said."""
    b = Builder(days=days)
    for name in names:
        b.service(name, capacities.get(name, 1))
    return b


def ward_until(b: Builder, minute: int, service: str = "ward", units: int = 1) -> int:
    """Somebody who is in the service from minute 0 until this minute."""
    return b.spell(0, [row(service, minute, units=units)], initial=True)


# -- a person's way -----------------------------------------------------------------------------------------------


def test_a_journey_without_waiting() -> None:
    b = places("ed", "ward")
    ann = b.spell(10, [row("ed", 60), row("ward", 600)])
    told = Told(b)
    assert told.all(ann, 0) == (10, 10, 10, 70, 70, 70, 70, MOVED_ON)
    assert told.all(ann, 1) == (70, 70, 70, 670, 670, 670, 670, LEFT)
    assert told("units", ann, 1) == 1


def test_a_place_is_held_until_the_next_takes_over() -> None:
    b = places("ed", "ward")
    ward_until(b, 100)
    ann = b.spell(0, [row("ed", 30), row("ward", 10)])
    bob = b.spell(31, [row("ed", 5)])
    told = Told(b)
    assert told.all(ann, 0) == (0, 0, 0, 30, 30, 100, 100, MOVED_ON)
    assert told.all(ann, 1)[:3] == (30, 100, 100)
    assert told.all(bob)[:3] == (31, 100, 100)  # the cubicle is free in the same minute


def test_hold_0_lets_go_when_ready() -> None:
    b = places("ed", "ward")
    ward_until(b, 100)
    ann = b.spell(0, [row("ed", 30, hold=0, after=[task(5)]), row("ward", 10)])
    bob = b.spell(20, [row("ed", 5)])
    told = Told(b)
    assert told.all(ann, 0) == (0, 0, 0, 30, 30, 30, 30, MOVED_ON)
    assert told.all(ann, 1)[:3] == (30, 100, 105)  # the task after acceptance runs with nothing held
    assert told("started", bob) == 30


def test_hold_0_without_a_next_row_has_left_when_ready_and_its_tasks_still_run() -> None:
    b = places("ward")
    ann = b.spell(0, [row("ward", 30, hold=0, before=[task(5)], after=[task(7)], recognition=1, keep=-1)])
    told = Told(b)
    assert told.all(ann) == (0, 0, 0, 30, 35, 30, 30, LEFT)
    assert told.task(ann, 0, 1) == (35, 35, 42)


def test_units_kept_for_a_later_row_are_freed_when_that_row_is_left() -> None:
    b = places("care", "ward", "home")
    ann = b.spell(0, [row("care", 10, keep=1), row("ward", 20), row("home", 30)])
    bob = b.spell(5, [row("care", 1)])
    told = Told(b)
    assert (told("left", ann, 0), told("freed", ann, 0)) == (10, 30)
    assert told("started", bob) == 30


def test_units_kept_for_a_row_never_left_are_freed_when_the_spell_ends() -> None:
    b = places("care", "ward", "home", "rest")
    ward_until(b, 9000)
    ann = b.spell(
        0, [row("care", 10, keep=2), row("home", 20, next=2), row("ward", patience=5, otherwise=3), row("rest", 8)]
    )
    assert Told(b)("freed", ann, 0) == 10 + 20 + 5 + 8


def test_an_initial_caseload_may_stand_above_capacity_and_drains_first() -> None:
    b = places("ward")
    first = ward_until(b, 50)
    ward_until(b, 60)
    ann = b.spell(0, [row("ward", 5)])
    told = Told(b)
    assert told.all(first) == (0, 0, 0, 50, 50, 50, 50, LEFT)
    assert told("accepted", ann) == 60
    assert told.log("ward") == [(0, 1, 2, 1, REASON_CODE["start"])]


def test_nothing_happens_at_the_horizon() -> None:
    b = Builder(horizon=100)
    b.service("ward", 3)
    last, out, late = b.spell(0, [row("ward", 99)]), b.spell(0, [row("ward", 100)]), b.spell(100, [row("ward")])
    told = Told(b)
    assert told("left", last) == 99
    assert told.all(out) == (0, 0, 0, -1, -1, -1, -1, STILL_IN)
    assert told("joined", late) == -1


# -- queues -------------------------------------------------------------------------------------------------------


def test_the_queue_goes_by_priority_then_minute_then_number() -> None:
    b = places("ward")
    ward_until(b, 100)
    late = b.spell(20, [row("ward", 10, priority=1)])
    low = b.spell(10, [row("ward", 10, priority=1)])
    urgent = b.spell(30, [row("ward", 10, priority=-3)])
    high = b.spell(10, [row("ward", 10, priority=1)])
    told = Told(b)
    assert [told("started", n) for n in (urgent, low, high, late)] == [100, 110, 120, 130]


def test_since_gives_the_place_of_an_earlier_row() -> None:
    b = places("interim", "ward")
    ward_until(b, 100)
    bob = b.spell(10, [row("ward", 10)])
    ann = b.spell(5, [row("interim", 50), row("ward", 10, since=0)])
    told = Told(b)
    assert (told("started", ann, 1), told("started", bob)) == (100, 110)
    assert told("joined", ann, 1) == 55


def test_fifo_waits_for_its_head_and_first_fit_does_not() -> None:
    for first_fit in (False, True):
        b = Builder()
        b.service("care", 4, first_fit=first_fit)
        ward_until(b, 100, "care", units=2)
        large = b.spell(1, [row("care", 10, units=3)])
        small = b.spell(2, [row("care", 10, units=2)])
        told = Told(b)
        assert told("started", large) == 100
        assert told("started", small) == (2 if first_fit else 110)


def test_first_fit_looks_again_from_the_head_after_units_of_its_own_were_freed() -> None:
    b = Builder()
    b.service("care", 4, first_fit=True)
    b.service("flat", 1)
    ward_until(b, 1000, "care")
    large = b.spell(50, [row("care", 10, units=2)])
    # two units of care are kept while in the flat; taking one again frees the two
    back = b.spell(0, [row("care", 10, units=2, keep=1), row("flat", 40), row("care", 10)])
    small = b.spell(50, [row("care", 10)])
    told = Told(b)
    assert told("started", back, 2) == 50
    assert (told("started", large), told("started", small)) == (50, 60)


def test_services_are_gone_through_in_their_order_and_freed_units_show_at_once() -> None:
    for order, first in ((("care", "ward"), "small"), (("ward", "care"), "large")):
        b = Builder()
        for name in order:
            b.service(name, 2 if name == "care" else 1, first_fit=name == "care")
        ward_until(b, 100)
        b.spell(0, [row("care", 50), row("ward", 900)])  # moves to the ward at 100 and frees one unit of care
        large = b.spell(100, [row("care", 10, units=2)])
        small = b.spell(100, [row("care", 10)])
        told = Told(b)
        expected = {"small": (110, 100), "large": (100, 110)}[first]
        assert (told("started", large), told("started", small)) == expected


def test_a_service_below_what_is_in_use_accepts_nobody_until_it_has_drained() -> None:
    b = Builder()
    b.service("ward", 3, steps=[(10, 1, "closure"), (300, 2, "block")])
    for minute in (50, 100, 200):
        ward_until(b, minute)
    ann, bob = b.spell(5, [row("ward", 500)]), b.spell(6, [row("ward", 5)])
    told = Told(b)
    assert (told("started", ann), told("started", bob)) == (200, 300)
    closed = (10, 1, 3, 2, REASON_CODE["closure"])
    assert told.log("ward") == [(0, 3, 3, 0, 0), closed, (300, 2, 2, 0, REASON_CODE["block"])]


def test_a_service_accepts_only_while_its_calendar_is_open() -> None:
    b = Builder(first_weekday=4)  # Friday
    b.service("clinic", 1, calendar=b.calendar("office", hours=(9, 17), weekdays=range(5)))
    early, late, weekend = (b.spell(t, [row("clinic", 5)]) for t in (539, 1019, 1020))
    told = Told(b)
    assert [told("started", n) for n in (early, late, weekend)] == [540, 1019, 3 * DAY + 540]


def test_quotas_by_day_and_by_week_are_reset_at_midnight_and_on_monday() -> None:
    b = Builder(days=9, first_weekday=5)  # Saturday
    b.service("start", 9, quota_day=2, quota_week=3)
    people = [b.spell(60, [row("start", 9000)]) for _ in range(6)]
    told = Told(b)
    assert [told("started", n) for n in people] == [60, 60, DAY, 2 * DAY, 2 * DAY, 3 * DAY]


def test_a_quota_counts_only_acceptances_from_the_queue() -> None:
    b = Builder()
    b.service("care", 9, quota_day=1)
    ann = b.spell(0, [row("care", 10), row("care", 10)])
    bob = b.spell(10, [row("care", 10)])
    told = Told(b)
    assert (told("started", ann, 1), told("started", bob)) == (10, DAY)


# -- more or less of the same service -----------------------------------------------------------------------------


def test_less_in_the_same_service_starts_at_once_though_it_is_closed() -> None:
    b = Builder()
    b.service("care", 3, calendar=b.calendar("once", minutes=[0, 60]))
    ann = b.spell(0, [row("care", 50, units=3, after=[task(4)]), row("care", 50, units=1)])
    bob = b.spell(1, [row("care", 1, units=2)])
    told = Told(b)
    assert told.all(ann, 0) == (0, 0, 0, 50, 50, 54, 54, MOVED_ON)
    assert told.all(ann, 1) == (50, 50, 54, 104, 104, 104, 104, LEFT)
    assert told("started", bob) == 60


def test_more_in_the_same_service_queues_for_the_difference_only() -> None:
    b = places("care", care=5)
    ward_until(b, 100, "care", units=2)
    ann = b.spell(0, [row("care", 50, units=3), row("care", 50, units=5)])
    told = Told(b)
    assert told.all(ann, 1)[:3] == (50, 100, 100)
    assert told("units", ann, 1) == 5


def test_units_kept_or_let_go_do_not_count_towards_the_next_row() -> None:
    for more, started in (({"keep": 1}, 100), ({"hold": 0}, 10)):
        b = places("care", care=2)
        ward_until(b, 100, "care")
        ann = b.spell(0, [row("care", 10, **more), row("care", 10)])
        assert Told(b)("accepted", ann, 1) == started


# -- tasks --------------------------------------------------------------------------------------------------------


def test_open_minutes_and_clocks() -> None:
    b = places("ward", ward=9)
    office = b.calendar("office", hours=(9, 17))
    at_ten = b.calendar("round", minutes=range(600, 7 * DAY, DAY))
    early = b.spell(0, [row("ward", 480, before=[task(90, calendar=office)])])
    on_time = b.spell(0, [row("ward", 600, before=[task(calendar=at_ten)])])
    late = b.spell(0, [row("ward", 601, before=[task(calendar=at_ten)])])
    told = Told(b)
    assert told.task(early) == (480, 480, 630)
    assert told.task(on_time) == (600, 600, 600)
    assert told.task(late) == (601, 601, DAY + 600)


def test_staff_are_granted_in_open_minutes_and_kept_through_closing() -> None:
    b = places("ward", ward=9)
    office = b.calendar("office", hours=(9, 17))
    b.pool("nurse", 1, calendar=office)
    visit = task(30, calendar=office, pool="nurse")
    bob = b.spell(0, [row("ward", 1000, priority=2, before=[visit])])
    ann = b.spell(0, [row("ward", 1000, priority=1, before=[visit])])
    cat = b.spell(0, [row("ward", 1, before=[visit])])
    told = Told(b)
    assert told.task(cat) == (1, 540, 570)
    assert told.task(ann) == (1000, 1000, DAY + 550)  # 20 minutes today, 10 tomorrow; the row's priority counts
    assert told.task(bob) == (1000, DAY + 550, DAY + 580)


def test_tasks_run_in_sequence_and_recognition_is_the_end_of_the_numbered_one() -> None:
    b = places("ward", "home", ward=9, home=9)
    rows = [row("ward", 10, before=[task(5), task(6)], after=[task(7), task(8)]), row("home", 10)]
    seen = {}
    for recognition in range(4):
        rows = [{**rows[0], "recognition": recognition}, rows[1]]
        seen[recognition] = b.spell(0, rows)
    told = Told(b)
    assert told.all(seen[1], 0) == (0, 0, 0, 10, 15, 36, 36, MOVED_ON)
    assert told.all(seen[1], 1)[:3] == (21, 21, 36)
    assert told.task(seen[1], 0, 3) == (28, 28, 36)
    assert [told("recognised", seen[k]) for k in range(4)] == [10, 15, 21, 21]


def test_tasks_are_not_repeated_after_a_refusal() -> None:
    b = places("ward", "first", "second")
    ward_until(b, 5000, "first")
    ann = b.spell(
        0, [row("ward", 10, before=[task(5)]), row("first", 10, patience=20, next=-1, otherwise=2), row("second", 10)]
    )
    told = Told(b)
    assert told("ended", ann, 1) == GAVE_UP
    assert told.all(ann, 2)[:3] == (35, 35, 35)


def test_going_home_runs_the_tasks_after_acceptance() -> None:
    b = places("ward")
    ann = b.spell(0, [row("ward", 10, before=[task(5)], after=[task(20)])])
    assert Told(b).all(ann) == (0, 0, 0, 10, 10, 35, 35, LEFT)


# -- patience, try now, decline -----------------------------------------------------------------------------------


def test_patience_runs_from_joining_and_beats_an_acceptance_of_the_same_minute() -> None:
    b = places("ward", "flat")
    ward_until(b, 100)
    ann = b.spell(40, [row("ward", 10, patience=60, otherwise=1, next=-1), row("flat", 10)])
    bob = b.spell(41, [row("ward", 10, patience=60)])
    told = Told(b)
    assert told.all(ann, 0) == (40, -1, -1, -1, -1, -1, -1, GAVE_UP)
    assert told.all(ann, 1)[:3] == (100, 100, 100)
    assert told("started", bob) == 100


def test_patience_until_a_clock_ends_at_its_next_opening_now_included() -> None:
    b = places("ward", "flat", flat=9)
    ward_until(b, 20000)
    b.calendar("closing", minutes=[100, 300])
    b.calendar("shut", minutes=[50])

    def waits(arrival: int, patience: int, calendar: str) -> int:
        asks = row("ward", 10, patience=patience, patience_calendar=calendar, otherwise=1, next=-1)
        return b.spell(arrival, [asks, row("flat", 10)])

    later, now, next_one, never = (
        waits(40, 20, "closing"), waits(40, 60, "closing"), waits(100, 1, "closing"), waits(50, 1, "shut")
    )  # fmt: skip
    behind = waits(40, 8 * DAY, "closing")  # the end of the run
    told = Told(b)
    assert [told("joined", who, 1) for who in (later, now, next_one)] == [100, 100, 300]
    assert [told("ended", who, 0) for who in (later, never, behind)] == [GAVE_UP, STILL_IN, STILL_IN]
    assert not differing(told.stamps, compiled.run(*b.build()))


def test_giving_up_without_a_fallback_goes_home_from_the_row_held() -> None:
    b = places("ward", "care")
    ward_until(b, 5000, "care")
    ann = b.spell(0, [row("ward", 10, after=[task(3)]), row("care", patience=20)])
    bob = b.spell(0, [row("care", patience=20)])
    told = Told(b)
    assert told.all(ann, 0) == (0, 0, 0, 10, 10, 33, 33, LEFT)
    assert told("ended", ann, 1) == told("ended", bob) == GAVE_UP


def test_a_try_now_is_taken_in_its_minute_or_turns_elsewhere_in_the_same_minute() -> None:
    b = places("sdec", "ward")
    ward_until(b, 50, "sdec")
    tries = [row("sdec", 10, patience=0, otherwise=1, next=-1), row("ward", 10)]
    early, freed, second = b.spell(49, tries), b.spell(50, tries), b.spell(50, tries)
    told = Told(b)
    assert told("ended", early, 0) == TURNED_AWAY
    assert told("started", early, 1) == 49
    assert told("started", freed, 0) == 50
    assert told("ended", second, 0) == TURNED_AWAY
    assert told.all(second, 1)[:3] == (50, 59, 59)


def test_try_nows_turn_away_together_so_none_takes_what_another_lets_go() -> None:
    b = places("ward", "sdec")
    ward_until(b, 500, "sdec")
    # the first would leave the ward and go home in minute 10; the second asked for that bed in the same minute
    b.spell(0, [row("ward", 10), row("sdec", patience=0)])
    ann = b.spell(10, [row("ward", 10, patience=0)])
    assert Told(b)("ended", ann) == TURNED_AWAY


def test_a_try_now_taken_whose_task_waits_for_staff_is_not_turned_away() -> None:
    b = places("ward", "sdec")
    b.pool("porter", 1, calendar=b.calendar("late", minutes=[90]))
    ann = b.spell(0, [row("ward", 10, after=[task(1, pool="porter")]), row("sdec", 10, patience=0)])
    assert Told(b).all(ann, 1)[:3] == (10, 10, 91)


def test_a_declined_need_counts_from_one_minute_after_the_time_has_passed() -> None:
    for freed, units, length in ((70, 1, 10), (71, 2, 30)):
        b = places("ward", "care", care=3)
        ward_until(b, freed, "care", units=3)
        declining = {"decline_after": 20, "declined_units": 2, "declined_duration": 30}
        ann = b.spell(0, [row("ward", 45, before=[task(5), task(9)], recognition=1), row("care", 10, **declining)])
        told = Told(b)
        assert told("started", ann, 1) == freed
        assert told("units", ann, 1) == units
        assert told("ready", ann, 1) == freed + length


def test_a_declined_need_keeps_its_place_and_may_no_longer_fit() -> None:
    for first_fit in (False, True):
        b = Builder()
        b.service("care", 2, first_fit=first_fit)
        ward_until(b, 100, "care")
        ward_until(b, 200, "care")
        ann = b.spell(10, [row("care", 10, decline_after=50, declined_units=2)])
        bob = b.spell(11, [row("care", 500)])
        told = Told(b)
        if first_fit:
            assert (told("started", bob), told("started", ann)) == (100, 600)
        else:
            assert (told("started", ann), told("started", bob)) == (200, 201)


def test_decline_counts_across_a_fallback_and_from_arrival_in_a_first_row() -> None:
    b = places("ward", "care", care=5)
    ward_until(b, 5000)
    declining = {"decline_after": 20, "declined_units": 2}
    ann = b.spell(10, [row("ward", patience=21, otherwise=1, next=-1), row("care", 10, **declining)])
    bob = b.spell(10, [row("ward", patience=20, otherwise=1, next=-1), row("care", 10, **declining)])
    told = Told(b)
    assert (told("units", ann, 1), told("units", bob, 1)) == (2, 1)


# -- unfit again, death -------------------------------------------------------------------------------------------


def test_unfit_again_resumes_in_the_same_bed_and_frees_staff() -> None:
    b = places("ward", "care")
    b.pool("nurse", 1)
    b.spell(0, [row("care", 12, before=[task(1, pool="nurse")])])
    ann = b.spell(
        0,
        [
            row("ward", 10, before=[task(50, pool="nurse")], unfit_after=20, unfit_to=1),
            row("ward", 40, next=2),
            row("care", 5),
        ],
    )
    bob = b.spell(1, [row("ward", 5)])
    told = Told(b)
    assert told.all(ann, 0) == (0, 0, 0, 10, 10, 30, 30, UNFIT_AGAIN)
    assert told.task(ann) == (10, 10, -1)
    assert told.all(ann, 1) == (30, 30, 30, 70, 70, 70, 70, MOVED_ON)
    assert told("started", bob) == 70
    assert told.task(0) == (12, 30, 31)  # the nurse was free again


def test_unfit_again_ends_with_acceptance() -> None:
    b = places("ward", "care")
    ann = b.spell(
        0, [row("ward", 10, after=[task(50)], unfit_after=20, unfit_to=2), row("care", 5, next=-1), row("ward")]
    )
    told = Told(b)
    assert told("ended", ann, 0) == MOVED_ON
    assert told("started", ann, 1) == 60


def test_death_while_waiting_gives_everything_back() -> None:
    b = places("ward", "care", "flat")
    for service, minute in (("ward", 30), ("care", 31), ("flat", 32)):
        b.spell(minute, [row(service, 7)])
    ann = b.spell(0, [row("flat", 3, keep=2), row("ward", 7, death_after=40, after=[task(99)]), row("care", 5)])
    told = Told(b)
    assert told.all(ann, 0) == (0, 0, 0, 3, 3, 3, 50, MOVED_ON)
    assert told.all(ann, 1) == (3, 3, 3, 10, 10, 50, 50, DIED)
    assert told.all(ann, 2) == (10, 10, -1, -1, -1, -1, 50, DIED)
    assert [told("started", n) for n in (0, 16, 32)] == [50, 50, 50]


def test_a_stage_may_end_in_death_without_recognition() -> None:
    b = places("ward", "care")
    ann = b.spell(0, [row("ward", 10, died=1, before=[task(5)]), row("care")])
    told = Told(b)
    assert told.all(ann) == (0, 0, 0, 10, -1, 10, 10, DIED)
    assert told("joined", ann, 1) == -1


def test_one_person_one_minute_the_first_event_wins() -> None:
    """Death before unfit before patience before the end of a task, all at minute 40."""
    for given, ending in (
        ({"death_after": 30, "unfit_after": 30}, DIED),
        ({"unfit_after": 30}, UNFIT_AGAIN),
        ({}, LEFT),
    ):
        b = places("ward", "care")
        ward_until(b, 40, "care")
        ann = b.spell(0, [row("ward", 10, unfit_to=2, **given), row("care", patience=30), row("ward")])
        told = Told(b)
        assert told("ended", ann, 0) == ending
        assert told("left", ann, 0) == 40
        assert told("accepted", ann, 1) == -1


def test_death_beats_the_task_that_would_have_ended_in_the_same_minute() -> None:
    b = places("ward")
    ann = b.spell(0, [row("ward", 10, death_after=5, after=[task(5)])])
    told = Told(b)
    assert told.all(ann)[-1] == DIED
    assert told.task(ann) == (10, 10, -1)


# -- readmission --------------------------------------------------------------------------------------------------


def test_a_readmission_counts_from_leaving_and_ends_what_the_person_is_in() -> None:
    b = places("ward", "home", "rest", ward=9)
    ward_until(b, 9000, "rest")
    ann = b.spell(0, [row("ward", 10, readmission_gap=40, child=[row("ward", 5)]), row("home", 20), row("rest", 5)])
    bob = b.spell(11, [row("home", 5)])
    told = Told(b)
    assert told.all(ann, 1) == (10, 10, 10, 30, 30, 50, 50, READMITTED)
    assert told.all(ann, 2) == (30, -1, -1, -1, -1, -1, -1, READMITTED)
    assert told.all(ann + 1) == (50, 50, 50, 55, 55, 55, 55, LEFT)
    assert told("started", bob) == 50


def test_a_readmission_comes_from_home_but_not_after_death_and_a_gap_may_be_nothing() -> None:
    b = places("ward", ward=9)
    for more, joined in (
        ({"readmission_gap": 0}, 10),
        ({"readmission_gap": 7}, 17),
        ({"readmission_gap": 7, "died": 1}, -1),
    ):
        ann = b.spell(0, [row("ward", 10, child=[row("ward", 5)], **more)])
        assert Told(b)("joined", ann + 1) == joined


def test_a_reservation_is_taken_over_and_its_surplus_freed() -> None:
    b = places("ward", "care", ward=9, care=3)
    ann = b.spell(
        0,
        [
            row(
                "ward",
                10,
                readmission_gap=40,
                child=[row("ward", 20, before=[task(9, skip_if_kept=1)]), row("care", 5, units=2)],
            ),
            row("care", 9000, units=3, kept_on_readmission=100),
        ],
    )
    bob, cat = b.spell(11, [row("care", 500)]), b.spell(12, [row("care", 500)])
    told = Told(b)
    assert told.all(ann, 1) == (10, 10, 10, -1, -1, 50, 70, READMITTED)
    assert told.task(ann + 1) == (-1, -1, -1)  # skipped: the package is still there
    assert told.all(ann + 1, 1)[:3] == (70, 70, 70)
    assert (told("started", bob), told("started", cat)) == (70, 75)


def test_a_reservation_not_taken_over_is_freed_when_its_time_is_up_and_the_need_grows() -> None:
    b = places("ward", "care", ward=9, care=3)
    b.spell(11, [row("care", 200)])
    ann = b.spell(
        0,
        [
            row("ward", 10, readmission_gap=40, child=[row("ward", 20), row("care", 5, units=4 - 1)]),
            row("care", 9000, units=2, kept_on_readmission=30),
        ],
    )
    bob = b.spell(75, [row("care", 5, priority=-1)])
    told = Told(b)
    assert told("freed", ann, 1) == 80  # kept for 30 minutes from the readmission at 50
    assert told("started", bob) == 80
    assert told.all(ann + 1, 1)[:3] == (70, 211, 211)  # asked for one more, then for all three


def test_a_reservation_ends_with_the_spell_it_waits_for() -> None:
    b = places("ward", "care", ward=9)
    ann = b.spell(
        0,
        [
            row("ward", 10, readmission_gap=40, child=[row("ward", 20, died=1)]),
            row("care", 9000, kept_on_readmission=500),
        ],
    )
    assert Told(b)("freed", ann, 1) == 70


# -- displacement and escalation ----------------------------------------------------------------------------------


def test_displacement_puts_people_out_by_mark_until_the_units_are_reached() -> None:
    b = places("care", "flat", care=9, flat=9)
    b.displace(100, "care", 3)
    first = b.spell(0, [row("care", 500, units=2, displacement_mark=1, displaced_to=1), row("flat", 10)])
    stays = b.spell(0, [row("care", 500, units=2, displacement_mark=3)])
    second = b.spell(0, [row("care", 500, units=2, displacement_mark=2)])
    ready = b.spell(0, [row("care", 100, displacement_mark=0)])
    told = Told(b)
    assert told.all(first, 0) == (0, 0, 0, 100, -1, 100, 100, DISPLACED)
    assert told.all(first, 1)[:3] == (100, 100, 100)
    assert told.all(second) == (0, 0, 0, 100, -1, 100, 100, DISPLACED)
    assert (told("left", stays), told("ended", ready)) == (500, LEFT)


def test_the_displaced_are_looked_at_in_the_same_decision_and_decline_from_then_on() -> None:
    b = places("care", "flat")
    b.displace(100, "care", 1)
    ward_until(b, 121, "flat")
    ann = b.spell(0, [row("care", 500, displaced_to=1), row("flat", 10, decline_after=20, declined_duration=77)])
    bob = b.spell(5, [row("care", 10)])
    told = Told(b)
    assert told("started", bob) == 100
    assert (told("started", ann, 1), told("ready", ann, 1)) == (121, 198)


def test_looks_come_after_the_rounds_and_all_rules_see_the_same_queues() -> None:
    b = places("ward", "other")
    b.rule("ward", "ward", 2, opens=2, closes=0, looks=[100, 200, 300])
    b.rule("ward", "other", 1, opens=2, closes=1, looks=[200], last=300)
    ward_until(b, 100)
    people = [b.spell(t, [row("ward", 250)]) for t in (10, 20, 150)]
    told = Told(b)
    # at 100 the first is accepted before the look: one waits, nothing opens; at 200 two wait
    assert [told("started", n) for n in people] == [100, 200, 200]
    e = REASON_CODE["escalation"]
    assert told.log("ward") == [(0, 1, 1, 0, 0), (200, 3, 3, 0, e), (300, 1, 3, 0, e)]
    assert told.log("other") == [(0, 1, 0, 0, 0), (200, 2, 0, 0, e), (300, 1, 0, 0, e)]


def test_the_last_look_closes_whatever_the_queue() -> None:
    b = places("ward")
    b.rule("ward", "ward", 1, opens=1, closes=0, looks=[10], last=20)
    ward_until(b, 500)
    b.spell(1, [row("ward", 500)])
    b.spell(2, [row("ward", 500)])
    told = Told(b)
    assert [entry[:4] for entry in told.log("ward")] == [(0, 1, 1, 0), (10, 2, 2, 1), (20, 1, 2, 1)]


def test_the_log_has_one_entry_where_a_step_and_a_rule_meet_and_none_where_they_cancel() -> None:
    for step, entries in ((0, 1), (5, 2)):
        b = Builder()
        b.service("ward", 1, steps=[(10, step, "shock")])
        b.rule("ward", "ward", 1, opens=1, closes=0, looks=[10])
        ward_until(b, 500)
        for _ in range(9):
            b.spell(1, [row("ward", 500)])
        told = Told(b)
        assert len(told.log("ward")) == entries
        assert told.log("ward")[1:] == [(10, 6, 6, 4, REASON_CODE["escalation"])][: entries - 1]


# -- one rule against another -------------------------------------------------------------------------------------


def test_death_beats_a_readmission_of_the_same_minute_and_cancels_a_later_one() -> None:
    for gap, joined in ((40, -1), (50, -1), (39, 49)):
        b = places("ward", "care", "flat")
        ward_until(b, 5000, "flat")
        ward = row("ward", 10, readmission_gap=gap, child=[row("ward", 5)])
        ann = b.spell(0, [ward, row("care", 10, death_after=30), row("flat", 10)])
        told = Told(b)
        assert told("joined", ann + 1) == joined
        assert told("ended", ann, 1) == (DIED if joined < 0 else READMITTED)


def test_a_reservation_is_gone_for_who_comes_in_the_minute_it_is_released() -> None:
    for kept, accepted in ((21, 70), (20, 500)):
        b = Builder()
        b.service("ward", 9)
        b.service("care", 1, calendar=b.calendar("twice", minutes=[10, 500]))
        ward = row("ward", 10, readmission_gap=40, child=[row("ward", 20), row("care", 5)])
        ann = b.spell(0, [ward, row("care", 9000, kept_on_readmission=kept)])
        told = Told(b)
        assert told("accepted", ann + 1, 1) == accepted
        assert told("freed", ann, 1) == 70


def test_a_row_let_go_leaves_nothing_to_reserve() -> None:
    b = places("ward", "care", "flat", ward=9)
    ward_until(b, 5000, "flat")
    ward = row("ward", 10, readmission_gap=40, child=[row("ward", 20, hold=1), row("care", 5)])
    ann = b.spell(0, [ward, row("care", 20, hold=0, kept_on_readmission=500), row("flat")])
    bob = b.spell(60, [row("care", 100)])
    told = Told(b)
    assert (told("freed", ann, 1), told("started", bob), told("started", ann + 1, 1)) == (30, 60, 160)


def test_the_head_of_a_queue_gives_up_and_who_stood_behind_is_taken() -> None:
    b = places("care", care=3)
    ward_until(b, 1000, "care", units=2)
    b.spell(1, [row("care", 10, units=2, patience=50)])
    bob = b.spell(2, [row("care", 10)])
    assert Told(b)("started", bob) == 51


def test_first_fit_still_goes_in_key_order_among_those_who_fit() -> None:
    for units in ((1, 2, 1), (2, 1, 1), (1, 1, 2)):
        b = Builder()
        b.service("care", 2, first_fit=True)
        ward_until(b, 100, "care", units=2)
        people = [b.spell(50 + k, [row("care", 10, units=u, priority=-k)]) for k, u in enumerate(units)]
        told = Told(b)
        starts = {(1, 2, 1): [100, 110, 100], (2, 1, 1): [110, 100, 100], (1, 1, 2): [110, 110, 100]}[units]
        assert [told("started", n) for n in people] == starts


def test_units_freed_in_a_round_show_to_a_later_service_in_the_same_round() -> None:
    b = Builder()
    b.service("flat", 1)
    b.service("care", 2, first_fit=True)
    b.service("home", 1)
    ward_until(b, 100, "flat")
    ward_until(b, 100, "home")
    b.spell(0, [row("care", 50), row("flat", 900)])
    b.spell(0, [row("care", 50), row("home", 900)])
    large, small = b.spell(60, [row("care", 10, units=2)]), b.spell(70, [row("care", 10)])
    told = Told(b)
    # the flat frees one unit, care is looked at before the home frees the other
    assert (told("started", small), told("started", large)) == (100, 110)


def test_units_let_go_do_not_help_their_former_holder() -> None:
    b = places("care", care=2)
    ann = b.spell(0, [row("care", 10, units=2, hold=0), row("care", 10, units=2)])
    bob = b.spell(5, [row("care", 10)])
    told = Told(b)
    assert (told("started", bob), told("started", ann, 1)) == (10, 20)


def test_a_skipped_task_that_ends_in_recognition_recognises_when_passed_over() -> None:
    b = places("ward", "care", ward=9)
    back = row("ward", 20, before=[task(3), task(9, skip_if_kept=1), task(4)], recognition=2)
    ward = row("ward", 10, readmission_gap=40, child=[back, row("care", 5)])
    ann = b.spell(0, [ward, row("care", 9000, kept_on_readmission=500)])
    told = Told(b)
    assert (told("recognised", ann + 1), told("started", ann + 1, 1)) == (73, 77)
    assert [told.task(ann + 1, 0, k)[2] for k in range(3)] == [73, -1, 77]


def test_unfit_again_ends_the_death_timer_frees_what_was_kept_and_forgets_the_decline() -> None:
    b = places("care", "ward", "home", ward=2)
    ward_until(b, 5000, "home")
    ward_until(b, 21, units=2)
    declined = {"units": 1, "decline_after": 5, "declined_units": 2, "declined_duration": 30}
    ann = b.spell(
        0,
        [
            row("care", 10, keep=1),
            row("ward", 9, before=[task(100)], unfit_after=20, unfit_to=3, death_after=40, **declined),
            row("home", next=-1),
            row("ward", 50, units=1, declined_duration=99, declined_units=2),
        ],
    )
    bob = b.spell(11, [row("care", 5)])
    cat = b.spell(50, [row("ward", 5)])
    told = Told(b)
    assert told.all(ann, 1) == (10, 21, 21, 51, 51, 71, 71, UNFIT_AGAIN)
    assert told.all(ann, 3) == (71, 71, 71, 121, 121, 121, 121, LEFT)
    assert (told("freed", ann, 0), told("started", bob)) == (71, 71)
    assert told("started", cat) == 71  # the surplus of the declined size


def test_unfit_again_and_death_may_be_due_when_ready_and_unfit_ends_with_going_home() -> None:
    for more, ending, left in (
        ({"unfit_after": 0}, UNFIT_AGAIN, 10),
        ({"death_after": 0}, DIED, 10),
        ({"unfit_after": 20}, LEFT, 45),
        ({"death_after": 20}, DIED, 30),
    ):
        b = places("ward")
        ann = b.spell(
            0, [row("ward", 10, before=[task(5)], after=[task(30)], next=-1, unfit_to=1, **more), row("ward")]
        )
        told = Told(b)
        assert (told("ended", ann), told("left", ann)) == (ending, left)


def test_dying_after_acceptance_in_the_same_service_frees_the_difference_once() -> None:
    b = places("care", care=5)
    ann = b.spell(0, [row("care", 10, units=2, death_after=20, after=[task(99)]), row("care", 10, units=4)])
    others = [b.spell(20, [row("care", 500)]) for _ in range(7)]
    told = Told(b)
    assert told("freed", ann, 1) == 30
    assert [told("started", n) for n in others] == [20, 30, 30, 30, 30, 520, 530]


def test_a_try_now_is_still_there_when_a_look_opens_beds() -> None:
    b = places("ward")
    b.rule("ward", "ward", 1, opens=1, closes=0, looks=[100])
    ward_until(b, 500)
    ann = b.spell(100, [row("ward", 10, patience=0)])
    assert Told(b)("started", ann) == 100


def test_looks_and_displacements_belong_to_the_first_decision_of_a_minute() -> None:
    b = places("ward", "sdec", "care", care=9)
    b.rule("ward", "ward", 1, opens=2, closes=0, looks=[100])
    b.displace(100, "care", 1)
    ward_until(b, 500)
    ward_until(b, 500, "sdec")
    out, stays = ward_until(b, 600, "care"), ward_until(b, 600, "care")
    b.spell(50, [row("ward", 10)])
    b.spell(100, [row("sdec", patience=0, otherwise=1, next=-1), row("ward", 10)])  # makes a second pass
    told = Told(b)
    assert len(told.log("ward")) == 1
    assert (told("ended", out), told("ended", stays)) == (DISPLACED, LEFT)


def test_the_last_look_opens_nothing() -> None:
    b = places("ward")
    b.rule("ward", "ward", 1, opens=1, closes=0, looks=[], last=20)
    ward_until(b, 500)
    b.spell(1, [row("ward", 500)])
    assert len(Told(b).log("ward")) == 1


def test_all_try_nows_of_a_minute_turn_elsewhere() -> None:
    b = places("sdec", "ward", ward=9)
    ward_until(b, 500, "sdec")
    tries = [row("sdec", 10, patience=0, otherwise=1, next=-1), row("ward", 10)]
    people = [b.spell(50, tries) for _ in range(3)]
    told = Told(b)
    assert [told("started", n, 1) for n in people] == [50, 50, 50]


def test_staff_are_asked_for_in_the_order_of_the_minutes() -> None:
    b = places("ward", ward=9)
    b.pool("nurse", 1)
    late, busy, early = (b.spell(0, [row("ward", d, before=[task(30, pool="nurse")])]) for d in (20, 5, 10))
    told = Told(b)
    assert [told.task(n)[1] for n in (busy, early, late)] == [5, 35, 65]


def test_the_decline_of_a_queue_given_up_does_not_reach_the_next() -> None:
    b = places("flat", "care", flat=1, care=2)
    ward_until(b, 5000, "flat")
    ward_until(b, 100, "care", units=2)
    first = row("flat", patience=20, otherwise=1, next=-1, decline_after=50, declined_units=2)
    ann = b.spell(0, [first, row("care", 10, declined_units=2, declined_duration=99)])
    told = Told(b)
    assert (told("units", ann, 1), told("ready", ann, 1)) == (1, 110)


def test_who_let_go_or_was_displaced_has_left_for_readmission_and_for_units_kept() -> None:
    for more, left in (({"hold": 0}, 30), ({}, 20)):
        b = places("care", "ward", "flat", ward=9)
        ward_until(b, 5000, "flat")
        if not more:
            b.displace(20, "ward", 1)
        ward = row("ward", 20, displaced_to=2, readmission_gap=40, child=[row("ward", 5)], **more)
        ann = b.spell(0, [row("care", 10, keep=1), ward, row("flat")])
        told = Told(b)
        assert (told("left", ann, 1), told("freed", ann, 1), told("freed", ann, 0)) == (left, left, left)
        assert told("joined", ann + 1) == left + 40


def test_a_displaced_person_still_has_the_tasks_after_acceptance() -> None:
    b = places("care", "flat")
    b.displace(20, "care", 1)
    ann = b.spell(0, [row("care", 500, displaced_to=1, after=[task(15)]), row("flat", 10)])
    told = Told(b)
    assert told.all(ann, 0) == (0, 0, 0, 20, -1, 20, 20, DISPLACED)
    assert told.all(ann, 1)[:3] == (20, 20, 35)


def test_a_clock_that_ends_in_the_minute_of_a_decision_makes_another_pass() -> None:
    b = places("ward", "care")
    ward_until(b, 100, "care")
    now = b.calendar("always")
    ann = b.spell(0, [row("ward", 10, after=[task(calendar=now)]), row("care", 10)])
    bob = b.spell(5, [row("ward", 10)])
    told = Told(b)
    assert told.task(ann) == (100, 100, 100)
    assert (told("started", ann, 1), told("started", bob)) == (100, 100)


# -- the end of a run ---------------------------------------------------------------------------------------------


def test_a_circle_of_services_that_hold_for_each_other_is_refused() -> None:
    b = places("ward", "flat")
    b.spell(0, [row("ward", 10), row("flat", 10)])
    b.spell(0, [row("flat", 10), row("ward", 10)])
    with pytest.raises(Standstill, match="flat, ward"):
        reference.run(*b.build())


def test_no_standstill_where_somebody_may_still_give_up_or_a_place_is_free() -> None:
    for more, capacity in (({"patience": 99999}, 1), ({}, 2), ({"death_after": 99999}, 1)):
        b = places("ward", "flat", ward=capacity)
        b.spell(0, [row("ward", 10), row("flat", 10)])
        b.spell(0, [row("flat", 10, **{k: v for k, v in more.items() if k == "death_after"}), row("ward", 10, **more)])
        reference.run(*b.build())


def test_progress_is_told_once_a_day() -> None:
    b = places("ward", days=3)
    told: list[int] = []
    reference.run(*b.build(), on_progress=told.append)
    assert told == [0, DAY, 2 * DAY]


# -- random places ------------------------------------------------------------------------------------------------


class Shuffled(simpy.Environment):
    """Events of the same minute and priority come in random order: the heap's tie-break is drawn."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = random.Random(seed)
        # the counter keeps the numbers different, so that events themselves are never compared
        self._eid = (draw.getrandbits(40) << 40 | n for n in itertools.count())  # type: ignore[assignment]


@pytest.mark.parametrize("part", range(8))
def test_the_order_of_events_within_a_minute_does_not_matter(part: int) -> None:
    for seed in range(part * 25, part * 25 + 25):
        case = random_case(seed)
        straight = reference.run(*case)
        for shuffle in (1, 2):
            assert differing(straight, reference.run(*case, environment=Shuffled(seed + shuffle))) == [], f"seed {seed}"


def test_two_runs_of_the_same_case_are_equal() -> None:
    for seed in range(20):
        assert differing(reference.run(*random_case(seed)), reference.run(*random_case(seed))) == []


def test_random_cases_reach_everything() -> None:
    ended = np.zeros(len(ENDINGS), dtype=int)
    reasons = np.zeros(len(REASON_CODE), dtype=int)
    seen = dict.fromkeys(("declined", "kept", "reserved", "staffed", "above", "broken off", "resized"), 0)
    for seed in range(60):
        journeys, network = random_case(seed)
        s = reference.run(journeys, network)
        rows = journeys.rows
        ended += np.bincount(s.ended, minlength=len(ended))
        reasons += np.bincount(s.log_reason, minlength=len(reasons))
        seen["declined"] += int((s.units > rows.units).sum())
        seen["kept"] += int(((s.freed > s.left) & (rows.keep >= 0) & (rows.hold == 1)).sum())
        seen["reserved"] += int(((s.ended == READMITTED) & (s.freed > s.left) & (s.left >= 0)).sum())
        seen["staffed"] += int(((journeys.tasks.pool >= 0) & (s.task_granted > s.task_began)).sum())
        seen["above"] += int((s.log_in_use > s.log_capacity).sum())
        seen["broken off"] += int(((s.task_granted >= 0) & (s.task_ended < 0)).sum())
        seen["resized"] += len(_handed_over(journeys, s, network.horizon))
    assert ended.min() >= 20, dict(zip(ENDINGS, ended, strict=True))
    assert reasons.min() >= 20
    assert min(seen.values()) >= 20, seen


def _handed_over(journeys: Journeys, s: Stamps, horizon: int) -> list[tuple[int, int, int, int]]:
    """Units that passed to the next row in the same service, for a while counted in both: service, from, to, units."""
    rows = journeys.rows
    found = []
    for spell in range(len(journeys.spells.number)):
        own = np.flatnonzero((rows.spell == spell) & (s.accepted >= 0))
        for i, j in itertools.permutations(own.tolist(), 2):
            same = rows.service[i] == rows.service[j] and rows.keep[i] < 0 and rows.hold[i] == 1
            if same and 0 <= s.ready[i] <= s.accepted[j] and s.ended[j] >= 0:
                freed = s.freed[i] if s.freed[i] >= 0 else horizon
                if s.accepted[j] < freed:
                    found.append(
                        (int(rows.service[i]), int(s.accepted[j]), int(freed), int(min(s.units[i], s.units[j])))
                    )
    return found


def _in_use(journeys: Journeys, network: Network, s: Stamps) -> np.ndarray:
    """Units in use as each minute ended, (services, horizon), from the stamps alone."""
    horizon = network.horizon
    change = np.zeros((len(network.names), horizon + 1), dtype=np.int64)
    until = lambda stamp: np.where(stamp >= 0, stamp, horizon)  # noqa: E731
    taken = s.accepted >= 0
    np.add.at(change, (journeys.rows.service[taken], s.accepted[taken]), s.units[taken])
    np.add.at(change, (journeys.rows.service[taken], until(s.freed)[taken]), -s.units[taken])
    for service, start, end, units in _handed_over(journeys, s, horizon):
        change[service, start] -= units
        change[service, end] += units
    return change.cumsum(axis=1)[:, :horizon]


@pytest.mark.parametrize("part", range(4))
def test_capacity_is_conserved_and_everybody_is_accounted_for(part: int) -> None:
    for seed in range(1000 + part * 25, 1025 + part * 25):
        journeys, network = random_case(seed)
        hospital = reference.Hospital(journeys, network, simpy.Environment(), None)
        s = hospital.run()
        rows = journeys.rows

        # stamps in order
        for a, c in itertools.combinations(STAMPS, 2):
            first, then = getattr(s, a), getattr(s, c)
            both = (first >= 0) & (then >= 0)
            if (a, c) in {("recognised", "left"), ("recognised", "freed")}:
                both &= rows.hold == 1  # who let go has left before being recognised
            assert (first[both] <= then[both]).all(), (seed, a, c)
        assert ((s.task_began <= s.task_granted) | (s.task_granted < 0)).all()
        assert ((s.task_granted <= s.task_ended) | (s.task_ended < 0)).all()
        assert ((s.units == 0) | (s.accepted >= 0)).all()

        # what the engine counts is what the stamps say; the log agrees
        in_use = _in_use(journeys, network, s)
        care = np.arange(len(network.names)) >= network.n_pools
        assert in_use[care, -1].tolist() == [x.in_use for x in hospital.services[network.n_pools :]], seed
        logged = care[s.log_service]
        assert (in_use[s.log_service, s.log_minute] == s.log_in_use)[logged].all(), seed

        # nobody was accepted above capacity
        for service in range(network.n_pools, len(network.names)):
            steps = network.step_service == service
            step = network.step_capacity[steps][
                np.searchsorted(network.step_minute[steps], np.arange(network.horizon), side="right") - 1
            ]
            mine = s.log_service == service
            total = s.log_capacity[mine][
                np.searchsorted(s.log_minute[mine], np.arange(network.horizon), side="right") - 1
            ]
            extra = total - step
            allowed = step + np.maximum(extra, np.concatenate(([0], extra[:-1])))
            initial = np.isin(np.arange(len(rows.spell)), journeys.spells.first_row[journeys.spells.initial == 1])
            before = np.concatenate(([s.units[initial & (rows.service == service)].sum()], in_use[service, :-1]))
            assert (in_use[service] <= np.maximum(allowed, before)).all(), (seed, service)

        # everybody came, and is either still there or ended
        come = (journeys.spells.arrival >= 0) & (journeys.spells.arrival < network.horizon)
        assert (s.joined[journeys.spells.first_row[come | (journeys.spells.initial == 1)]] >= 0).all()
        open_rows = np.bincount(rows.spell[(s.joined >= 0) & (s.ended == STILL_IN)], minlength=len(come))
        inside = np.zeros(len(come), dtype=bool)
        inside[list(hospital.inside)] = True
        assert (open_rows[~inside] == 0).all()
        for spell in hospital.inside:
            patient = hospital.inside[spell]
            assert open_rows[spell] == patient.holding + (patient.wanted >= 0), seed
        assert sum(x.waiting for x in hospital.services) == sum(
            p.queued_in is not None for p in hospital.inside.values()
        )


def test_more_beds_than_people_means_no_waiting_for_beds() -> None:
    journeys, network = random_case(5, odd=0.0)
    n = len(network.names)
    endless = replace(
        network,
        calendar=np.full(n, -1),
        step_minute=np.zeros(n, dtype=np.int64),
        step_service=np.arange(n),
        step_capacity=np.full(n, 10**6),
        step_reason=np.zeros(n, dtype=np.int64),
        quota_day=np.full_like(network.quota_day, -1),
        quota_week=np.full_like(network.quota_week, -1),
    )
    s = reference.run(journeys, endless)
    accepted = s.accepted >= 0
    assert accepted.sum() > 30
    assert (s.joined == s.accepted)[accepted].all()
    assert not np.isin(s.ended, (GAVE_UP, TURNED_AWAY)).any()
