"""Nothing, endless, twice as much: what must come out when a number is pushed, on each engine."""

from __future__ import annotations

import numpy as np
import pytest
from acceptance import DAY, ENGINES, PLACES, Engine, Observed, half_width, replicate, simulate, small_place

from flowsim.engine.stamps import GAVE_UP, MOVED_ON, NEVER, STILL_IN, UNFIT_AGAIN, differing
from flowsim.model.cohort import Cohort
from flowsim.model.network import build_network
from flowsim.model.plan import plan
from flowsim.model.tables import NONE

SHORT = ("days=60", "warm_up_days=20")
NOBODY = ("place.streams.emergency.rate=0", "place.streams.planned.rate=0")
NO_CASELOAD = "place.services.support.initial.caseload.utilisation=0"
ENDLESS = (
    *(f"place.services.{name}.capacity=100000" for name in ("ed", "ward", "support", "home_care")),
    "place.services.support.neighbours={elsewhere: 100000}",
    "place.services.support.calendar=always",
    "place.services.support.quota=null",
    NO_CASELOAD,
)


def hospital(engine: Engine, *overrides: str, replication: int = 0) -> Observed:
    return simulate(small_place("two_ways_out", *SHORT, *overrides), replication, engine)


def mean_wait(o: Observed, stage: str) -> float:
    """Minutes, of all who joined in the window; who still waits counts until the end."""
    rows = o.arrived(stage)
    end = np.where(o.stamps.accepted[rows] == NEVER, o.place.run.horizon, o.stamps.accepted[rows])
    return float((end - o.stamps.joined[rows]).mean())


def delayed(o: Observed) -> float:
    """Mean number of people ready to leave the ward and still there."""
    return float(o.measured(o.waiting_to_leave("ward")).mean())


def test_nobody_comes(engine: Engine) -> None:
    o = hospital(engine, *NOBODY, NO_CASELOAD)
    assert len(o.journeys.spells.number) == len(o.stamps.joined) == 0
    assert (o.stamps.log_in_use == 0).all()
    assert (o.stamps.log_minute == 0).all()  # no capacity ever changes


def test_one_person_comes(engine: Engine) -> None:
    place = small_place("many_servers", "days=30", "warm_up_days=0", "place.streams.people.rate=0",
                        "+place.streams.people.at_start=1")  # fmt: skip
    o = simulate(place, 0, engine)
    stay = int(o.journeys.rows.duration[0])
    assert o.stamps.joined.tolist() == o.stamps.accepted.tolist() == [0]
    assert o.stamps.left.tolist() == o.stamps.freed.tolist() == [stay]


def test_demand_of_nought_sends_everybody_away(engine: Engine) -> None:
    o = hospital(
        engine, "+place.streams.emergency.demand={none: 0}", "+place.streams.planned.demand={none: 0}", NO_CASELOAD
    )
    assert len(o.stamps.joined) == 0


def test_only_the_caseload_and_it_drains(engine: Engine) -> None:
    """Eight tenths of each locality's slots are taken at the start, and nobody follows."""
    o = hospital(engine, *NOBODY)
    for name, slots in (("north", 67), ("south", 34), ("elsewhere", 12)):
        number = o.in_service(f"support/{name}")
        assert number[0] == int(0.8 * slots)
        assert (np.diff(number) <= 0).all()
    assert (o.waits("support") == 0).all()


def test_endless_beds_make_nobody_wait(engine: Engine) -> None:
    o = hospital(engine, *ENDLESS)
    asked = o.stamps.joined != NEVER
    assert asked.sum() > 1000
    assert (o.stamps.accepted == o.stamps.joined)[asked].all()
    assert not np.isin(o.stamps.ended, GAVE_UP).any()


def test_no_place_and_patience_sends_everybody_to_the_fallback(engine: Engine) -> None:
    o = hospital(
        engine, "place.services.support.capacity=0", "place.services.support.neighbours={elsewhere: 0}", NO_CASELOAD
    )
    rows = o.rows("support")
    over = rows[o.stamps.joined[rows] < o.place.run.horizon - 11 * 1440]
    assert len(over) > 100
    assert (o.stamps.accepted[rows] == NEVER).all()
    assert (o.stamps.ended[over] == GAVE_UP).all()
    fallback = o.journeys.rows.otherwise[over]
    assert (o.stamps.joined[fallback] == o.stamps.joined[over] + 10 * 1440).all()


@pytest.mark.parametrize("after", [10 * DAY, 0], ids=["after ten days", "by the clock alone"])
def test_no_place_and_patience_until_a_clock_ends_at_that_time_of_day(engine: Engine, after: int) -> None:
    """Of whoever joins on a Friday afternoon the patience ends on Monday at noon."""
    o = hospital(
        engine, "place.services.support.capacity=0", "place.services.support.neighbours={elsewhere: 0}", NO_CASELOAD,
        "+place.calendars.closing={weekday: '12:00', bank_holiday: '12:00'}",
        "+place.stages.support.patience.recovers.clock=closing",
        *([] if after else ["place.stages.support.patience.recovers.after=null"]),
    )  # fmt: skip
    minute = np.arange(o.place.run.horizon)
    closing = minute[(minute % DAY == 12 * 60) & ((minute // DAY + o.network.first_weekday) % 7 < 5)]
    rows = o.rows("support")
    over = rows[o.stamps.joined[rows] < o.place.run.horizon - 15 * DAY]
    assert len(over) > 100
    ends = closing[np.searchsorted(closing, o.stamps.joined[over] + max(after, 1))]
    assert (ends - o.stamps.joined[over] - after > 2 * DAY).any()  # over a weekend
    assert (o.stamps.ended[over] == GAVE_UP).all()
    assert (o.stamps.joined[o.journeys.rows.otherwise[over]] == ends).all()


def test_each_of_several_reasons_brings_its_own_clock() -> None:
    """North: three days, then to the clock, is before ten days and the same clock. South has none."""
    clock, where = "place.stages.support.patience", "{locality: %s}"
    o = hospital(
        ENGINES["reference"], "+place.calendars.closing={weekday: '12:00'}", f"+{clock}.recovers.clock=closing",
        f"+{clock}.recovers.when={where % 'north'}",
        f"+{clock}.sooner={{after: {{fixed: 3, unit: days}}, clock: closing, to: leave, when: {where % 'north'}}}",
        f"+{clock}.south={{after: {{fixed: 2, unit: days}}, to: leave, when: {where % 'south'}}}",
    )  # fmt: skip
    rows, closing = o.rows("support"), o.network.calendars.names.index("closing")
    spell = o.journeys.rows.spell[rows]
    locality = np.array(o.journeys.levels["locality"])[o.journeys.attributes["locality"][spell]]
    for name, minutes, calendar in (("north", 3 * DAY, closing), ("south", 2 * DAY, NONE), ("elsewhere", NONE, NONE)):
        there = rows[locality == name]
        assert len(there) > 10
        assert set(o.journeys.rows.patience[there]) == {minutes}
        assert set(o.journeys.rows.patience_calendar[there]) == {calendar}


def test_no_place_and_no_patience_keeps_everybody_waiting(engine: Engine) -> None:
    o = hospital(engine, "place.services.ed.capacity=0")
    rows = o.rows("ed")
    assert (o.stamps.accepted[rows] == NEVER).all()
    assert o.in_queue("ed")[-1] == len(rows)


CROWDED = ("place.services.ward.capacity=80", "place.services.support.capacity=60")
ROOM_AFTER = ("place.services.support.capacity=600", "place.services.support.neighbours={elsewhere: 100}",
              "place.services.support.quota=null", NO_CASELOAD)  # fmt: skip
PUSHES = {
    "twice the people": (CROWDED, "+place.streams.emergency.demand={more: 2}", "wait", 1),
    "half the people": (CROWDED, "+place.streams.emergency.demand={less: 0.5}", "wait", -1),
    "more beds": (CROWDED, "place.services.ward.capacity=120", "wait", -1),
    "fewer beds": (CROWDED, "place.services.ward.capacity=60", "wait", 1),
    "longer stays": (CROWDED, "place.stages.ward.duration.lognormal.mean=8", "wait", 1),
    "more support": (CROWDED, "place.services.support.capacity=150", "delayed", -1),
    "hardly any support": (CROWDED, "place.services.support.capacity=10", "delayed", 1),
    "fewer starts": (CROWDED, "place.services.support.quota={weekday: 1, saturday: 0, sunday: 0}", "delayed", 1),
    "assessment at weekends": (ROOM_AFTER, "place.stages.ward.before.assessment.calendar=seven_days", "delayed", -1),
    "slower assessment": (ROOM_AFTER, "place.stages.ward.before.assessment.takes.fixed=6", "delayed", 1),
    "slower transport": (ROOM_AFTER, "place.stages.ward.after.transport.takes.lognormal.mean=10", "delayed", 1),
}
READ = {"wait": lambda o: mean_wait(o, "ward"), "delayed": delayed}


@pytest.mark.parametrize("push", PUSHES)
def test_direction(push: str) -> None:
    """The same people with and without, so that five replications are enough to see which way it goes."""
    around, change, what, direction = PUSHES[push]
    without, given = (
        replicate(small_place("two_ways_out", *SHORT, *around, *more), 5, READ[what]) for more in ((), (change,))
    )
    difference = given - without
    told = f"{without.mean():.4g} became {given.mean():.4g}"
    print(told)
    assert direction * difference.mean() > half_width(difference, level=0.95), told


def test_everybody_is_somewhere(engine: Engine) -> None:
    """Conservation: of each spell that began, one row at most is still open, and where none is, the spell has ended."""
    o = hospital(engine)
    rows, stamps = o.journeys.rows, o.stamps
    entered = stamps.joined != NEVER
    n = len(o.journeys.spells.number)
    still = np.bincount(rows.spell[entered & (stamps.ended == STILL_IN)], minlength=n)
    goes_on = (stamps.ended == MOVED_ON) | ((stamps.ended == GAVE_UP) & (rows.otherwise >= 0))
    over = np.bincount(rows.spell[entered & (stamps.ended != STILL_IN) & ~goes_on], minlength=n)
    began = np.bincount(rows.spell[entered], minlength=n) > 0
    assert (still > 0).any()
    assert (over[began & (still == 0)] >= 1).all()  # given up in a queue while readmitted from the row before: two rows
    assert (still[over == 0] <= 2).all()  # one held, one queued for
    for name in o.network.names:
        assert (o.in_service(name) >= 0).all()


def test_twice_the_scale_is_twice_the_people_and_places() -> None:
    place = small_place("two_ways_out", *SHORT)
    twice = small_place("two_ways_out", *SHORT, "scale=2")
    one, two = build_network(place, Cohort(1, 0)), build_network(twice, Cohort(1, 0))
    assert (abs(two.step_capacity - 2 * one.step_capacity) <= 1).all()  # whole slots: 101 in thirds
    came = [len(plan(p, Cohort(1, 0), n).spells.number) for p, n in ((place, one), (twice, two))]
    assert came[1] == pytest.approx(2 * came[0], rel=0.1)


@pytest.mark.parametrize("days", [1, 2])
def test_shortest_runs(engine: Engine, days: int) -> None:
    o = simulate(small_place("two_ways_out", f"days={days}", "warm_up_days=0"), 0, engine)
    assert (o.stamps.left < days * 1440).all()


@pytest.mark.skipif(len(ENGINES) < 2, reason="there is one engine only")
@pytest.mark.parametrize("name", sorted(path.stem for path in (PLACES / "place").glob("*.yaml")))
def test_engines_agree_to_the_minute_on_every_small_place(name: str) -> None:
    place = small_place(name, "start_date=2024-04-01", "days=100", "warm_up_days=20")
    cohort = Cohort(7, 3)
    network = build_network(place, cohort)
    journeys = plan(place, cohort, network)
    first, *others = (run(journeys, network) for run in ENGINES.values())
    for other in others:
        assert differing(first, other) == []


@pytest.mark.skipif(len(ENGINES) < 2, reason="there is one engine only")
def test_engines_agree_where_people_come_back_from_two_stages() -> None:
    place = small_place(
        "two_ways_out", *SHORT, "place.stages.ward.readmission.chance=0.5",
        "+place.stages.support.readmission={to: ed, chance: 0.6, gap: {fixed: 12, unit: days}}",
    )  # fmt: skip
    one, other = (simulate(place, 0, engine) for engine in ENGINES.values())
    assert differing(one.stamps, other.stamps) == []
    back = np.flatnonzero((one.journeys.rows.child != NONE) & (one.stamps.left != NEVER))
    due = one.stamps.left[back] + one.journeys.rows.readmission_gap[back]
    came = one.stamps.joined[one.journeys.spells.first_row[one.journeys.rows.child[back]]]
    inside = (due < place.run.horizon) & (one.stamps.ended[back] != UNFIT_AGAIN)
    assert inside.sum() > 100
    assert (came == due)[inside].all()
