"""Who comes when: lists of days, evenly spaced people, operating lists; and what depends on the hour they come."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import numpy as np
import pytest
from acceptance import DAY, small_place
from test_model import place_of, planned

from flowsim.engine import compiled, reference
from flowsim.model.cohort import Cohort, people_a_day
from flowsim.model.network import build_network
from flowsim.model.plan import plan
from flowsim.model.tables import Journeys
from flowsim.place import Place, PlaceError

RUN = ("start_date=2024-04-15", "days=20", "warm_up_days=10")  # 5 April to 4 May
FIRST = dt.date(2024, 4, 5)


def with_stream(*said: str, run: tuple[str, ...] = RUN, policy: tuple[str, ...] = ()) -> Place:
    """The small hospital with a stream of its own called `more`."""
    return place_of(*(f"+place.streams.more={one}" for one in said), run=run, policy=policy)


def came(place: Place, replication: int = 0) -> np.ndarray:
    """Minutes at which people of the stream `more` come, in order."""
    j = planned(place, replication)
    return np.sort(j.spells.arrival[of_more(j)])


def of_more(j: Journeys) -> np.ndarray:
    return (j.attributes["stream"] == j.levels["stream"].index("more")) & (j.spells.arrival >= 0)


# -- a list of days ----------------------------------------------------------------------------------------------------


def test_a_list_of_days_is_dated() -> None:
    """Nobody but on one day, which is that day whatever the warm-up."""
    for warm_up in (10, 3):
        numbers = [0.0] * 40
        numbers[20] = 50
        run = ("start_date=2024-04-15", "days=20", f"warm_up_days={warm_up}")
        place = with_stream(f"{{title: More, daily: {{from: 2024-04-01, people: {numbers}}}, first: ward}}", run=run)
        days = {place.run.date_of(int(minute)) for minute in came(place)}
        assert days == {dt.date(2024, 4, 21)}
        assert people_a_day(place, "more") == pytest.approx(50 / (20 + warm_up))


def test_a_repeated_list_goes_on_and_back() -> None:
    """Seven numbers from a Monday: 60 people each Monday, warm-up and end included, none on other days."""
    place = with_stream(
        "{title: More, daily: {from: 2024-04-15, people: [60, 0, 0, 0, 0, 0, 0], repeated: true}, first: ward}"
    )
    each = Counter(place.run.date_of(int(minute)) for minute in came(place))
    assert set(each) == {dt.date(2024, 4, day) for day in (8, 15, 22, 29)}
    assert all(30 < n < 90 for n in each.values())


def test_lists_by_locality() -> None:
    place = with_stream(
        "{title: More, at: locality, first: ward, "
        "daily: {from: 2024-04-05, people: {north: [40], south: [0]}, repeated: true}}"
    )
    j = planned(place)
    where = j.attributes["locality"][of_more(j)]
    assert set(where) == {j.levels["locality"].index("north")}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "daily: {from: 2024-04-05, people: [1, 2, 3]}",
            "numbers from 2024-04-05 to 2024-04-07 were given; allowed: a",
        ),
        (
            "daily: {from: 2024-04-06, people: " + str([1] * 29) + "}",
            "the run with its warm-up, 2024-04-05 to 2024-05-04",
        ),
        ("daily: {from: 2024-04-05, people: []}", "an empty list"),
        (
            "daily: {from: 2024-04-05, people: {north: [1]}, repeated: true}",
            "people: a mapping was given; allowed: one",
        ),
        ("at: locality, daily: {from: 2024-04-05, people: [1], repeated: true}", "a list for each locality"),
        (
            "at: locality, daily: {from: 2024-04-05, people: {nroth: [1]}, repeated: true}",
            "did you mean 'north'",
        ),
        ("daily: {from: 2024-04-05, people: [-1], repeated: true}", "at least 0"),
        ("daily: [1, 2, 3]", "numbers from 2024-04-05 to 2024-04-07 were given; allowed: a number for each day of"),
        ("daily: {north: [1]}", "people: a mapping was given; allowed: one"),
        ("daily: {people: [1], repeated: true}", "from: nothing was given; allowed: the day of the first number"),
        (
            "rate: 3, daily: {from: 2024-04-05, people: [1], repeated: true}",
            "rate and daily were given; allowed: one of",
        ),
        (
            "daily: {from: 2024-04-05, people: [1], repeated: true}, weekdays: [1, 1, 1, 1, 1, 1, 1]",
            "daily and weekdays were given",
        ),
        ("at_start: {north: 3}", "at_start: a mapping was given; allowed: one for all"),
        ("set: {}", "nobody comes; allowed: one of rate"),
        ("rate: 1, schedule: {a: {days: monday, times: '08:00', people: 2}}", "rate and schedule were given"),
        ("schedule: {a: {times: '08:00', people: 2}}", "either 'days' or 'dates'"),
        ("schedule: {a: {days: mondays, times: '08:00', people: 2}}", "monday"),
        ("schedule: {a: {days: monday, times: '08:00-10:00', people: 2}}", "is not times of the day"),
        ("schedule: {a: {days: monday, times: '08:00', people: 2, from: 2025-01-01}}", "allowed: dates in the run"),
        ("schedule: {a: {days: monday, times: '08:00', people: 2}}, arrivals: regular", "schedule and arrivals"),
        (
            "schedule: {a: {days: monday, times: '08:00', people: {north: 2}}}",
            "a mapping was given; allowed: one for all",
        ),
        ("rate: 1, arrivals: evenly", "'poisson' or 'regular'"),
    ],
)
def test_what_is_refused(said: str, told: str) -> None:
    with pytest.raises(PlaceError, match=told):
        with_stream("{title: More, " + said + ", first: ward}")


# -- evenly spaced -----------------------------------------------------------------------------------------------------


def test_evenly_spaced_people() -> None:
    """Four a day come every six hours, in every replication; a third of a day apart at three a day."""
    place = with_stream("{title: More, rate: 4, arrivals: regular, first: ward}")
    for k in (0, 1):
        minutes = came(place, k)
        assert len(minutes) == 4 * 30
        assert set(np.diff(minutes)) == {360}
    assert set(np.diff(came(with_stream("{title: More, rate: 2, per: week, arrivals: regular, first: ward}")))) == {
        5040
    }


def test_evenly_spaced_people_follow_the_hours() -> None:
    hours = [0] * 8 + [1, 3] + [0] * 14
    minutes = came(with_stream(f"{{title: More, rate: 4, arrivals: regular, hours: {hours}, first: ward}}")) % DAY
    assert set(minutes) == {8 * 60 + 30, 9 * 60 + 10, 9 * 60 + 30, 9 * 60 + 50}


@pytest.mark.parametrize(
    "how",
    [
        "rate: 20, arrivals: regular",
        "schedule: {a: {days: weekday, times: '08:00, 13:00', people: 10}}",
        "daily: {from: 2024-04-05, people: [5, 30, 20], repeated: true}",
    ],
)
def test_factors_take_the_same_people_away_and_bring_more(how: str) -> None:
    stream = "{title: More, " + how + ", first: ward}"
    numbers = {}
    for factor in (0.5, 0.8, 1, 1.6, 3):
        place = (
            with_stream(stream, policy=(f"+place.streams.more.demand.factor={factor}",), run=RUN)
            if factor != 1
            else with_stream(stream)
        )
        j = planned(place)
        after = of_more(j) & (j.spells.arrival >= place.run.switch)
        numbers[factor] = set(j.spells.number[after].tolist())
    for less, more in ((0.5, 0.8), (0.8, 1), (1, 1.6), (1.6, 3)):
        assert numbers[less] < numbers[more]
    for factor in (0.5, 0.8, 1.6, 3):
        ratio = len(numbers[factor]) / len(numbers[1])
        assert abs(ratio - factor) < 5 * np.sqrt(factor / len(numbers[1]))


# -- operating lists ---------------------------------------------------------------------------------------------------


def test_people_of_operating_lists() -> None:
    """Hips on Mondays, two at eight and two at one; knees on Tuesdays and Thursdays until the 20th; one extra list."""
    lists = (
        "hips: {days: monday, times: '08:00, 13:00', people: 2}, "
        "knees: {days: [tuesday, thursday], times: '09:30', people: 3, to: 2024-04-19}, "
        "extra: {dates: ['2024-04-27'], times: '10:00', people: 5}"
    )
    place = with_stream("{title: More, schedule: {" + lists + "}, first: ward}")
    expected: list[int] = []
    for day in range(30):
        date = FIRST + dt.timedelta(days=day)
        if date.weekday() == 0:
            expected += [day * DAY + 480] * 2 + [day * DAY + 780] * 2
        if date.weekday() in (1, 3) and date < dt.date(2024, 4, 20):
            expected += [day * DAY + 570] * 3
        if date == dt.date(2024, 4, 27):
            expected += [day * DAY + 600] * 5
    for k in (0, 1):
        assert came(place, k).tolist() == expected
    longer = with_stream("{title: More, schedule: {" + lists + "}, first: ward}", run=(*RUN[:1], "days=60", RUN[2]))
    assert came(longer).tolist()[: len(expected)] == expected


def test_no_list_on_a_bank_holiday_unless_it_says_so() -> None:
    """Easter Monday is 1 April 2024."""
    run = ("start_date=2024-03-25", "days=14", "warm_up_days=0")
    plain = "{title: More, schedule: {a: {days: monday, times: '08:00', people: 1}}, first: ward}"
    also = plain.replace("people: 1", "people: 1, on_bank_holidays: true")
    on = {said: [int(m) // DAY for m in came(with_stream(said, run=run))] for said in (plain, also)}
    assert on == {plain: [0], also: [0, 7]}


def test_a_schedule_by_locality() -> None:
    stream = (
        "{title: More, at: locality, schedule: {a: {days: friday, times: '08:00', people: {south: 2}}}, first: ward}"
    )
    j = planned(with_stream(stream))
    assert set(j.attributes["locality"][of_more(j)]) == {j.levels["locality"].index("south")}
    assert of_more(j).sum() == 2 * 5


def test_a_scenario_may_not_change_them() -> None:
    for said in ("arrivals=regular", "daily={from: 2024-01-01, people: [1], repeated: true}"):
        with pytest.raises(PlaceError, match=r"a scenario changed this; allowed: changes of 'rate' and 'demand'"):
            planned(
                with_stream(
                    "{title: More, rate: 4, first: ward}",
                    policy=("place.streams.more.rate=null", f"+place.streams.more.{said}")
                    if said[0] == "d"
                    else (f"+place.streams.more.{said}",),
                )
            )


def test_other_arrivals_move_nobody_elses_numbers() -> None:
    one = planned(with_stream("{title: More, rate: 4, first: ward}"))
    other = planned(with_stream("{title: More, rate: 4, arrivals: regular, first: ward}"))
    a, b = (
        {tuple(x) for x in np.column_stack([j.spells.number, j.spells.arrival])[~of_more(j)].tolist()}
        for j in (one, other)
    )
    assert {x for x in a if x[1] >= 0} == {x for x in b if x[1] >= 0}


# -- the hour and the weekday of arrival -------------------------------------------------------------------------------

HOURS = (
    "+place.periods.arrival_hour={night: {every_day: '00:00-08:00, 20:00-24:00'}, day: {every_day: '08:00-20:00'}}",
    "+place.periods.weekday={working_day: {weekday: '00:00-24:00', bank_holiday: closed}, "
    "free_day: {weekend: '00:00-24:00', bank_holiday: '00:00-24:00'}}",
)


def test_an_attribute_by_the_hour_and_weekday_of_arrival() -> None:
    place = place_of(*HOURS, run=("start_date=2024-03-25", "days=14", "warm_up_days=0"))
    j = planned(place)
    here = np.flatnonzero(j.spells.arrival > 0)
    for spell in here:
        minute = int(j.spells.arrival[spell])
        date = place.run.date_of(minute)
        night = not 480 <= minute % DAY < 1200
        free = date.weekday() >= 5 or date in (dt.date(2024, 3, 29), dt.date(2024, 4, 1))
        assert j.levels["arrival_hour"][j.attributes["arrival_hour"][spell]] == ("night" if night else "day")
        assert j.levels["weekday"][j.attributes["weekday"][spell]] == ("free_day" if free else "working_day")


def test_tables_by_the_hour_of_arrival_and_both_engines() -> None:
    """Who comes at night stays exactly 9 hours in the emergency department, all others 3."""
    place = place_of(
        HOURS[0],
        "place.stages.ed.duration={fixed: {by: arrival_hour, night: 9, other: 3}, lognormal: null, unit: hours}",
    )
    cohort = Cohort(5, 0)
    network = build_network(place, cohort)
    j = plan(place, cohort, network)
    rows = np.flatnonzero(j.rows.stage == j.stages.index("ed"))
    night = j.attributes["arrival_hour"][j.rows.spell[rows]] == j.levels["arrival_hour"].index("night")
    assert night.any()
    assert (j.rows.duration[rows] == np.where(night, 540, 180)).all()
    assert (compiled.run(j, network).left == reference.run(j, network).left).all()


def test_hours_that_overlap_are_refused() -> None:
    with pytest.raises(PlaceError, match=r"05 08:00 is in 'a' and in 'b'; allowed: each day and minute in one"):
        place_of("+place.periods.p={a: {every_day: '00:00-09:00'}, b: {weekday: '08:00-10:00'}}", run=RUN)


def test_the_small_place_has_none_of_this() -> None:
    assert small_place("two_ways_out").streams["emergency"].arrivals == "poisson"
