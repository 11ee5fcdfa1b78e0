"""Shocks, trends, moves and escalations that watch: steps by hand, chance that scenarios share, exact delays."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from acceptance import ENGINES, small_place

from flowsim.declare.reading import read_place
from flowsim.declare.trees import overlay
from flowsim.measures.flow import measure
from flowsim.model.changes import months_later
from flowsim.model.cohort import Cohort
from flowsim.model.network import build_network
from flowsim.model.plan import plan
from flowsim.model.shocks import Happening, happenings
from flowsim.model.tables import REASONS, Network
from flowsim.place import FlowsimNotice, Place, PlaceError
from flowsim.place.before import check_scenario
from flowsim.questions.verify import verify_engines

DAY = 1440
RAW: dict[str, Any] = {
    "name": "tiny",
    "title": "Tiny",
    "sites": {"general": {"title": "General"}, "other": {"title": "Other"}},
    "localities": {"north": {"title": "North"}, "south": {"title": "South"}},
    "pools": {"nurses": {"title": "Nurses", "role": "staff", "unit": "staff", "capacity": 4}},
    "services": {
        "ward": {
            "title": "Ward",
            "role": "ward",
            "unit": "beds",
            "capacity": 30,
            "by_site": {"general": 2, "other": 1},
            "cost": {"amount": 400, "per": "day", "payer": "NHS"},
        },
        "homes": {
            "title": "Homes",
            "role": "care_home",
            "unit": "places",
            "capacity": 10,
            "cost": {"amount": 100, "per": "start", "payer": "NHS"},
        },
        "care": {
            "title": "Care",
            "role": "home_care",
            "unit": "hours_a_week",
            "capacity": 90,
            "by_locality": {"north": 60, "south": 30},
            "cost": {"amount": 20, "per": "hour_of_care", "payer": "council"},
        },
        "home": {"title": "Home", "role": "outside", "unit": "people", "capacity": "unlimited"},
    },
    "streams": {"people": {"title": "People", "at": "site", "at_start": {"general": 1}, "first": "ward"}},
    "stages": {
        "ward": {"service": "ward", "duration": {"fixed": 11, "unit": "days"}, "next": "homes"},
        "homes": {"service": "homes", "duration": {"fixed": 10, "unit": "days"}, "next": "leave"},
        "care": {
            "service": "care",
            "duration": {"fixed": 5, "unit": "days"},
            "next": "leave",
            "displaced_to": "care_again",
        },
        "care_again": {"like": "care", "displaced_to": "leave"},
    },
    "run": {"start_date": "2024-04-01", "days": 60, "warm_up_days": 0},
}
OUTBREAK = {"rate": 365.25, "lasts": {"fixed": 5, "unit": "days"}, "closes": {"share": 0.25}}
"""One at each moment there could be one: the cohort of the test says when."""


def tiny(changes: dict[str, Any] | None = None, policy: dict[str, Any] | None = None, **run: Any) -> Place:
    """The tiny place, with changes by dotted key; `policy`: the same, for the scenario laid over it."""

    def read(*layers: dict[str, Any] | None) -> Place:
        raw = copy.deepcopy(RAW)
        raw["run"] |= run
        for key, value in ((k, v) for layer in layers for k, v in (layer or {}).items()):
            for part in reversed(key.split(".")):
                value = {part: value}
            raw = overlay(raw, value)
        return read_place(raw)

    before = read(changes)
    return before if policy is None else read(changes, policy).model_copy(update={"before": before})


class Appointed(Cohort):
    """A cohort whose shocks may come on days that the test appoints: `{purpose: days}`."""

    def __init__(self, days: dict[str, list[float]]) -> None:
        super().__init__(1, 0)
        self.days = days

    def moments(self, purpose: str, back: int, days: int, a_day: float) -> tuple[np.ndarray, np.ndarray]:
        minute = np.array([round(day * DAY) for day in self.days.get(purpose, [])], dtype=np.int64)
        return minute, np.arange(len(minute))


def steps(network: Network, name: str) -> list[tuple[float, int, str]]:
    """(day, capacity, reason) of one queue."""
    here = network.step_service == network.names.index(name)
    columns = zip(network.step_minute[here], network.step_capacity[here], network.step_reason[here], strict=True)
    return [(int(m) / DAY, int(c), REASONS[r]) for m, c, r in columns]


# -- shocks: steps and calendars ---------------------------------------------------------------------------------------


def test_shocks_close_a_share_of_what_there_is_and_add_up() -> None:
    place = tiny(
        {
            "services.homes.shocks.outbreak": OUTBREAK,
            "services.homes.shocks.flood": {**OUTBREAK, "closes": {"add": -7}, "lasts": {"fixed": 20, "unit": "days"}},
            "services.homes.blocks.more": {"from": "2024-04-13", "to": "2024-05-10", "add": 8},
        }
    )
    days = {"shock/homes/outbreak/": [3.5, 13, 20, 58], "shock/homes/flood/": [16]}
    assert steps(build_network(place, Appointed(days)), "homes") == [
        (0, 10, "start"),
        (3.5, 8, "shock"),  # a quarter of 10, to whole places (2)
        (8.5, 10, "shock"),
        (12, 18, "block"),
        (13, 14, "shock"),  # a quarter of 18, to whole places (4)
        (16, 7, "shock"),
        (18, 11, "shock"),
        (20, 7, "shock"),  # a quarter of 18, whatever another shock has closed
        (25, 11, "shock"),
        (36, 18, "shock"),
        (40, 10, "block"),
        (58, 8, "shock"),  # it does not end within the run
    ]


def test_capacity_is_the_sum_of_all_and_never_below_nought() -> None:
    place = tiny(
        {
            "services.homes.shocks.outbreak": {**OUTBREAK, "closes": {"share": 1}},
            "services.homes.blocks.closure": {"from": "2024-04-11", "to": "2024-04-15", "add": -4},
            "moves.away": {"take": {"service": "homes", "amount": 2}, "give": {"service": "nurses", "amount": 1},
                           "from": "2024-04-13"},
        }
    )  # fmt: skip
    network = build_network(place, Appointed({"shock/homes/outbreak/": [9, 11]}))
    assert steps(network, "homes") == [
        (0, 10, "start"),
        (9, 0, "shock"),
        (10, 0, "closure"),
        (11, 0, "shock"),
        (12, 0, "move"),
        (14, 0, "shock"),  # 10 - 4 - 2, of which the second closes 6
        (15, 2, "closure"),
        (16, 8, "shock"),
    ]
    assert steps(network, "nurses") == [(0, 4, "start"), (12, 5, "move")]


def test_a_shock_takes_nothing_of_what_is_less_than_nothing() -> None:
    place = tiny({"services.homes.shocks.outbreak": OUTBREAK,
                  "services.homes.blocks.closure": {"from": "2024-04-11", "to": "2024-04-15", "add": -18},
                  "services.homes.blocks.more": {"from": "2024-04-14", "to": "2024-05-15", "add": 8}})  # fmt: skip
    found = steps(build_network(place, Appointed({"shock/homes/outbreak/": [11]})), "homes")
    assert found == [
        (0, 10, "start"),
        (10, 0, "closure"),  # ten less eighteen, of which a quarter is nothing
        (13, 0, "block"),
        (15, 18, "closure"),
        (45, 10, "block"),
    ]


def test_shocks_that_began_before_the_run_are_there_from_minute_0() -> None:
    place = tiny({"services.homes.shocks.outbreak": {**OUTBREAK, "closes_to_new": True},
                  "services.care.shocks.fails": {**OUTBREAK, "puts_out": 0.5}})  # fmt: skip
    days = {"shock/homes/outbreak/": [-20, -3], "shock/care/fails/north": [-1, 2], "shock/care/fails/south": [2]}
    network = build_network(place, Appointed(days))
    assert steps(network, "homes") == [(0, 8, "start"), (2, 10, "shock")]
    calendar = network.calendar[network.names.index("homes")]
    assert [network.calendars.is_open(int(calendar), t) for t in (0, 2 * DAY - 1, 2 * DAY)] == [False, False, True]
    north, south = (network.names.index(f"care/{unit}") for unit in ("north", "south"))
    assert network.displacement_minute.tolist() == [2 * DAY, 2 * DAY]  # who left before the run, left before the run
    assert network.displacement_service.tolist() == [north, south]
    assert network.displacement_units.tolist() == [30 * 60, 15 * 60]
    assert steps(network, "care/north")[0] == (0, 45 * 60, "start")


def test_calendars_exist_by_declaration_and_close_for_the_shock() -> None:
    quiet = tiny({"calendars": {"office": {"weekday": "09:00-17:00"}}, "services.homes.calendar": "office",
                  "services.homes.shocks.outbreak": {**OUTBREAK, "closes_to_new": True, "closes_way_out": True},
                  "services.ward.shocks.outbreak": {**OUTBREAK, "closes_way_out": True}})  # fmt: skip
    network = build_network(quiet, Appointed({"shock/ward/outbreak/other": [1.25]}))
    assert network.calendars.names == (
        "office", "homes: open to new people", "ward/general: way out", "ward/other: way out", "homes: way out",
    )  # fmt: skip
    assert network.names[:4] == ("nurses", "ward/general", "ward/other", "homes")
    assert network.way_out.tolist() == [-1, 2, 3, 4, -1, -1, -1]
    assert network.calendar.tolist() == [-1, -1, -1, 1, -1, -1, -1]
    office, homes, way_out = (network.calendars.before(c, network.horizon) for c in range(3))
    assert np.array_equal(office, homes)  # no outbreak here
    assert way_out.tolist() == [[0, network.horizon]]
    assert network.calendars.next_open(3, 2 * DAY) == round(6.25 * DAY)


def test_neighbours_have_none() -> None:
    place = tiny({"localities.far": {"title": "Far", "neighbour": True}, "services.care.neighbours": {"far": 10},
                  "services.care.shocks.fails": {**OUTBREAK, "closes_to_new": True},
                  "services.care.trend.up": {"share": 1, "per": "month"}})  # fmt: skip
    network = build_network(place, Appointed({f"shock/care/fails/{u}": [3] for u in ("north", "far")}))
    assert steps(network, "care/far") == [(0, 600, "start")]
    assert network.calendar[network.names.index("care/far")] == -1


def test_twice_the_scale_closes_twice_as_much() -> None:
    changes = {"services.homes.shocks.outbreak": {**OUTBREAK, "closes": {"add": -3}}}
    network = build_network(tiny(changes, scale=2), Appointed({"shock/homes/outbreak/": [3]}))
    assert steps(network, "homes") == [(0, 20, "start"), (3, 14, "shock"), (8, 20, "shock")]


# -- shocks: chance ----------------------------------------------------------------------------------------------------

FLU = {
    "rate": 8,
    "per": "year",
    "months": [3, 2, 1, 1, 0, 0, 0, 0, 0, 1, 2, 2],
    "lasts": {"lognormal": {"mean": 9, "sigma": 0.5}, "unit": "days"},
    "closes": {"share": 0.2},
}


def when(found: list[Happening]) -> set[tuple[str, str | None, str, int, int]]:
    return {(h.kind, h.unit, h.name, h.start, h.end) for h in found}


def of(place: Place, replication: int = 0) -> set[tuple[str, str | None, str, int, int]]:
    return when(happenings(place, Cohort(5, replication)))


def test_a_higher_rate_another_shock_a_longer_run_and_a_scenario_move_nobody_and_no_shock() -> None:
    base = tiny({"services.ward.shocks.flu": FLU}, days=700)
    some = of(base)
    assert len(some) > 20
    assert of(base, 1) != some
    more = of(tiny({"services.ward.shocks.flu": {**FLU, "rate": 16}}, days=700))
    assert some < more
    assert len(more) > 1.5 * len(some)
    beside = {"services.homes.shocks.flu": FLU, "services.ward.shocks.also": FLU, "pools.nurses.shocks.flu": FLU}
    others = of(tiny({"services.ward.shocks.flu": FLU, **beside}, days=700))
    assert {h for h in others if (h[0], h[2]) == ("ward", "flu")} == some
    streams = [{h[3:] for h in others if h[:3] == one} for one in {h[:3] for h in others}]
    assert len(streams) == 6  # two wards twice, homes and nurses
    assert sum(map(len, streams)) == len(set().union(*streams))  # each has its own
    longer = of(tiny({"services.ward.shocks.flu": FLU}, days=900))
    assert {h for h in longer if h[3] < 700 * DAY} == some
    scenario = tiny({"services.ward.shocks.flu": FLU}, {"services.homes.capacity": 12}, days=700)
    assert of(scenario) == some
    plans = [plan(p, Cohort(5, 0), build_network(p, Cohort(5, 0))) for p in (tiny(days=700), base)]
    assert np.array_equal(plans[0].spells.number, plans[1].spells.number)
    assert np.array_equal(plans[0].rows.duration, plans[1].rows.duration)


def test_a_scenario_with_more_outbreaks_has_those_of_the_place_too() -> None:
    """And they begin with the policy: what had begun before runs its course under the old rules."""
    place = tiny({"services.ward.shocks.flu": FLU}, {"services.ward.shocks.flu.rate": 20,
                 "services.ward.shocks.flu.closes.share": 0.5, "services.homes.shocks.new": FLU},
                 days=700, policy_start="2025-01-10")  # fmt: skip
    assert place.before is not None
    switch = place.run.switch
    old, new = of(place.before), of(place)
    assert {h for h in new if h[3] < switch} == {h for h in old if h[3] < switch}
    assert {h for h in old if h[3] >= switch} < {h for h in new if h[3] >= switch and h[0] == "ward"}
    assert min(h[3] for h in new if h[0] == "homes") >= switch
    found = happenings(place, Cohort(5, 0))
    assert any(h.start < switch < h.end for h in found)
    assert all(h.shock.closes is not None and (h.shock.closes.share == 0.5) == (h.start >= switch)
               for h in found if h.kind == "ward")  # fmt: skip
    gone = tiny({"services.ward.shocks.flu": FLU}, {"services.ward.shocks.flu.rate": 0}, days=700)
    assert all(h[3] < gone.run.switch for h in of(gone))


def test_moments_come_evenly_on_both_sides_of_minute_0_however_long_the_run() -> None:
    day: list[int] = []
    for replication in range(300):
        cohort = Cohort(5, replication)
        minute, number = cohort.moments("x", 10, 20, 1.0)
        assert (np.diff(minute) >= 0).all()
        assert len(set(number.tolist())) == len(number)
        longer = dict(zip(*(part.tolist() for part in reversed(cohort.moments("x", 10, 50, 1.0))), strict=True))
        assert all(longer[n] == m for m, n in zip(minute.tolist(), number.tolist(), strict=True))
        day += (minute // DAY).tolist()
    seen = np.bincount(np.array(day) + 10, minlength=30)
    assert len(seen) == 30
    assert (abs(seen - 300) < 4.5 * np.sqrt(300)).all(), seen


def test_as_many_shocks_come_as_are_expected_and_when() -> None:
    place = tiny({"services.homes.shocks.flu": FLU}, start_date="2024-01-01", days=1461)
    starts = np.array([h[3] for k in range(60) for h in of(place, k) if h[3] >= 0])
    expected = 60 * 4 * 8
    assert abs(len(starts) - expected) < 4 * np.sqrt(expected)
    months = [place.run.date_of(int(minute)).month for minute in starts]
    january = expected * 3 / 12
    assert abs(months.count(1) - january) < 4 * np.sqrt(january)
    assert months.count(6) == 0
    within = tiny({"services.homes.shocks.flu": {**FLU, "from": "2024-11-01", "to": "2024-11-30"}}, days=300)
    assert {within.run.date_of(h[3]).month for k in range(30) for h in of(within, k)} == {11}


def test_the_first_days_have_as_many_shocks_as_any_other() -> None:
    long = {**FLU, "months": None, "lasts": {"fixed": 100, "unit": "days"}}
    place = tiny({"services.homes.shocks.flu": long}, days=60)
    at = {t: np.mean([sum(h[3] <= t < h[4] for h in of(place, k)) for k in range(400)]) for t in (0, 50 * DAY)}
    mean = 8 * 100 / 365.25
    assert all(abs(seen - mean) < 4 * np.sqrt(mean / 400) for seen in at.values()), at


# -- trends and moves --------------------------------------------------------------------------------------------------


def test_a_trend_steps_each_month_in_whole_units_that_add_up() -> None:
    place = tiny({"services.homes.trend.up": {"share": 0.72, "per": "year", "to": "2024-08-15"},
                  "services.homes.trend.down": {"share": -0.1, "per": "month", "from": "2024-05-31"}},
                 days=200)  # fmt: skip
    day = {m: (dt.date(2024, m, 1) - dt.date(2024, 4, 1)).days for m in range(5, 11)}
    assert steps(build_network(place, Cohort(1, 0)), "homes") == [
        (0, 10, "start"),
        (day[5], 11, "trend"),  # 0.6 of a place more, then 1.2, 1.8 and 2.4
        (day[7] - 1, 10, "trend"),
        (day[7], 11, "trend"),
        (day[8] - 1, 10, "trend"),
        (day[9] - 1, 9, "trend"),
        (day[10] - 1, 8, "trend"),
    ]


def test_months_later() -> None:
    assert [months_later(dt.date(2024, 1, 31), k).isoformat() for k in (1, 3, 11, 12, 13)] == [
        "2024-02-29", "2024-04-30", "2024-12-31", "2025-01-31", "2025-02-28",
    ]  # fmt: skip


def test_a_scenario_changes_a_trend_from_its_start_on() -> None:
    place = tiny({"services.homes.trend.down": {"share": -0.1, "per": "month"}},
                 {"services.homes.trend.down.share": 0.2, "services.homes.trend.new": {"share": 0.1, "per": "month"}},
                 days=120, policy_start="2024-06-15")  # fmt: skip
    assert [(c, r) for _, c, r in steps(build_network(place, Cohort(1, 0)), "homes")] == [
        (10, "start"), (9, "trend"), (8, "trend"), (11, "trend"),
    ]  # fmt: skip


def test_pounds_move_from_beds_to_hours_and_back() -> None:
    """Three beds at 400 a day are 3 x 7 x 400 / 20 = 420 hours a week."""
    move = {"take": {"service": "ward", "amount": 3}, "give": {"service": "care", "exchange": "pounds"},
            "from": "2024-04-11", "to": "2024-04-30", "lag_days": 7}  # fmt: skip
    network = build_network(tiny({"moves.home": move}), Cohort(1, 0))
    assert steps(network, "ward/general") == [(0, 20, "start"), (10, 18, "move"), (37, 20, "move")]
    assert steps(network, "ward/other") == [(0, 10, "start"), (10, 9, "move"), (37, 10, "move")]
    assert steps(network, "care/north") == [(0, 3600, "start"), (17, 3600 + 280 * 60, "move"), (30, 3600, "move")]
    assert steps(network, "care/south") == [(0, 1800, "start"), (17, 1800 + 140 * 60, "move"), (30, 1800, "move")]


def test_a_move_of_a_scenario_begins_with_it_and_one_it_changes_ends_there() -> None:
    old = {"take": {"service": "ward", "amount": 6, "split": {"general": 1}}, "give": {"service": "homes", "amount": 4}}
    policy = {"moves.m.give.amount": 5, "moves.n": {**old, "from": "2024-04-03"}}
    run = {"policy_start": "2024-04-21"}
    network = build_network(tiny({"moves.m": {**old, "from": "2024-04-11"}}, policy, **run), Cohort(1, 0))
    assert steps(network, "homes") == [(0, 10, "start"), (10, 14, "move"), (20, 19, "move")]  # 10 + 5 + 4
    assert steps(network, "ward/general") == [(0, 20, "start"), (10, 14, "move"), (20, 8, "move")]
    early = {"moves.m": {**old, "from": "2024-04-11"}}
    same = build_network(tiny(early, {"services.care.capacity": 99}, **run), Cohort(1, 0))
    assert steps(same, "homes") == [(0, 10, "start"), (10, 14, "move")]
    undone = build_network(tiny(early, {"moves": {"m": None}}, **run), Cohort(1, 0))
    assert steps(undone, "homes") == [(0, 10, "start"), (10, 14, "move"), (20, 10, "move")]
    by_default = build_network(tiny(None, {"moves.m": old}, **run), Cohort(1, 0))
    assert steps(by_default, "homes") == [(0, 10, "start"), (20, 14, "move")]


# -- escalation --------------------------------------------------------------------------------------------------------


def test_an_escalation_watches_its_own_site_or_the_one_queue() -> None:
    rule = {"add": 3, "open_at": 5, "close_at": 1, "looks": "08:00"}
    place = tiny({"services.queue": {**RAW["services"]["ward"], "role": "ed"},
                  "services.ward.escalation.own": rule,
                  "services.ward.escalation.site": {**rule, "watch": "queue"},
                  "services.ward.escalation.all": {**rule, "watch": "nurses"},
                  "services.homes.escalation.all": {**rule, "watch": "nurses"}})  # fmt: skip
    network = build_network(place, Cohort(1, 0))
    names = network.names
    seen = [(names[w], names[s]) for w, s in zip(network.rule_watch, network.rule_service, strict=True)]
    assert seen == [
        ("ward/general", "ward/general"), ("ward/other", "ward/other"),
        ("queue/general", "ward/general"), ("queue/other", "ward/other"),
        ("nurses", "ward/general"), ("nurses", "ward/other"), ("nurses", "homes"),
    ]  # fmt: skip


# -- delays ------------------------------------------------------------------------------------------------------------


def delayed(place: Place, days: dict[str, list[float]], run: Callable[..., Any]) -> dict[str, float]:
    """Delayed days by cause, where there are any."""
    cohort = Appointed(days)
    network = build_network(place, cohort)
    journeys = plan(place, cohort, network)
    results = measure(place, network, journeys, run(journeys, network)).results
    chosen = results[(results["measure"] == "delayed_bed_days_by_cause") & (results["value"] != 0)]
    chosen = chosen[chosen["where"] == "all"]  # of all sites together
    assert (results[results["measure"] == "check_causes"]["value"] == 0).all()
    found = zip(chosen["of"], chosen["value"], strict=True)
    return {cause: round(float(value), 9) for cause, value in found}


FULL = {
    "services.homes.capacity": 2,
    "services.homes.initial.there": {"stage": "settled", "people": 1},
    "stages.settled": {"service": "homes", "duration": {"fixed": 500, "unit": "days"}, "next": "leave"},
}


@pytest.mark.parametrize("run", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize(
    ("changes", "days", "cause"),
    [
        ({"services.homes.shocks.outbreak": {**OUTBREAK, "closes": None, "closes_to_new": True}},
         {"shock/homes/outbreak/": [10]}, {"calendar: homes": 4}),
        ({"services.homes.shocks.outbreak": {**OUTBREAK, "closes": {"share": 0.5}}, **FULL},
         {"shock/homes/outbreak/": [10]}, {"capacity: homes": 4}),
        # closed and, for the first two days of the four, full as well: another shock closes half of it
        ({"services.homes.shocks.outbreak": {**OUTBREAK, "closes": None, "closes_to_new": True},
          "services.homes.shocks.flood": {**OUTBREAK, "closes": {"share": 0.5}}, **FULL},
         {"shock/homes/outbreak/": [10], "shock/homes/flood/": [8]}, {"capacity: homes": 2, "calendar: homes": 2}),
        ({"services.ward.shocks.outbreak": {**OUTBREAK, "closes_way_out": True}},
         {"shock/ward/outbreak/general": [10]}, {"calendar: way_out": 4}),
        ({"services.ward.shocks.outbreak": {**OUTBREAK, "closes_way_out": True}},
         {"shock/ward/outbreak/other": [10]}, {}),
        # the way out opens again, and then the person is taken home by transport
        ({"services.ward.shocks.outbreak": {**OUTBREAK, "closes_way_out": True},
          "stages.ward.after": {"lift": {"takes": {"fixed": 1, "unit": "days"}, "transport": True}}},
         {"shock/ward/outbreak/general": [10, 12]}, {"calendar: way_out": 6, "transport": 1}),
        ({"services.ward.shocks.outbreak": {**OUTBREAK, "closes_way_out": True}, "stages.ward.next": "leave"},
         {"shock/ward/outbreak/general": [10]}, {"calendar: way_out": 4}),
    ],
    ids=["calendar", "capacity", "both", "way out", "another site", "then transport", "to nowhere"],
)  # fmt: skip
def test_an_outbreak_delays_to_the_minute_and_says_why(
    changes: dict[str, Any], days: dict[str, list[float]], cause: dict[str, float], run: Callable[..., Any]
) -> None:
    """One person is ready on day 11; the shock of five days begins on day 10."""
    assert delayed(tiny(changes), days, run) == cause


def test_nobody_waits_for_the_way_out_to_go_on_in_the_same_service() -> None:
    changes = {"services.ward.shocks.outbreak": {**OUTBREAK, "closes_way_out": True}, "stages.ward.next": "rehab",
               "stages.rehab": {"service": "ward", "duration": {"fixed": 1, "unit": "days"}, "next": "homes"},
               "stages.ward.dies": "dies", "choices.dies": {"chance": 0}}  # fmt: skip
    place = tiny(changes)
    cohort = Appointed({"shock/ward/outbreak/general": [10]})
    network = build_network(place, cohort)
    journeys = plan(place, cohort, network)
    tasks = dict(zip((journeys.stages[s] for s in journeys.rows.stage), journeys.rows.n_after, strict=True))
    assert tasks == {"ward": 0, "rehab": 1, "homes": 0}
    stamps = next(iter(ENGINES.values()))(journeys, network)
    left = dict(zip((journeys.stages[s] for s in journeys.rows.stage), (stamps.left / DAY).tolist(), strict=True))
    assert left == {"ward": 11, "rehab": 15, "homes": 25}  # rehab is ready on day 12
    dying = tiny({"services.ward.shocks.outbreak": {**OUTBREAK, "closes_way_out": True}, "stages.ward.dies": "dies",
                  "choices.dies": {"chance": 1}})  # fmt: skip
    journeys = plan(dying, cohort, build_network(dying, cohort))
    assert journeys.rows.n_after.sum() == 0  # the dead are not kept


@pytest.mark.parametrize("run", ENGINES.values(), ids=ENGINES)
def test_a_way_out_that_is_shut_until_the_run_ends_is_no_standstill(run: Callable[..., Any]) -> None:
    """Two services that send to each other, both full and nobody able to leave: it opens again after the run."""
    place = tiny({"services.homes.shocks.outbreak": {**OUTBREAK, "lasts": {"fixed": 90, "unit": "days"},
                                                     "closes": None, "closes_way_out": True},
                  "services.homes.capacity": 1, "services.ward.capacity": 2, "services.ward.by_site.general": 1,
                  "stages.homes.next": "back", "streams.people.at_start.general": 3,
                  "stages.back": {"service": "ward", "duration": {"fixed": 1, "unit": "days"}, "next": "leave",
                                  "patience": {"tired": {"after": {"fixed": 400, "unit": "days"}, "to": "leave"}}}},
                 )  # fmt: skip
    cohort = Appointed({"shock/homes/outbreak/": [15]})
    network = build_network(place, cohort)
    journeys = plan(place, cohort, network)
    stamps = run(journeys, network)
    homes = journeys.rows.stage == journeys.stages.index("homes")
    assert (stamps.ready[homes] >= 0).sum() == 1
    assert (stamps.left[homes] >= 0).sum() == 0


def test_packages_handed_back_queue_again() -> None:
    there = {"stage": "care", "people": {"north": 60}, "remaining": "uniform_of_stay"}
    place = tiny({"services.care.shocks.fails": {**OUTBREAK, "closes": None, "puts_out": 0.5},
                  "services.care.initial.there": there,
                  "stages.care": {"units": {"fixed": 0.75}, "duration": {"fixed": 20000, "unit": "days"}}})  # fmt: skip
    cohort = Appointed({"shock/care/fails/north": [4]})
    network = build_network(place, cohort)
    journeys = plan(place, cohort, network)
    stamps = next(iter(ENGINES.values()))(journeys, network)
    again = journeys.rows.stage == journeys.stages.index("care_again")
    assert (stamps.joined[again] == 4 * DAY).sum() == 40  # half of 60 hours in packages of 45 minutes


@pytest.mark.skipif(len(ENGINES) < 2, reason="there is one engine only")
def test_engines_agree_where_everything_changes_capacity() -> None:
    """Both before a scenario and after it; `test_extremes` has the same place without one."""
    run = ("start_date=2024-04-01", "days=90", "warm_up_days=20")
    before = small_place("shocks", *run)
    policy = (
        "place.services.homes.shocks.outbreak.rate=2",
        "place.moves.beds_to_home.lag_days=9",
        "place.services.home_care.trend.attrition.share=0.5",
    )
    place = small_place("shocks", *run, *policy).model_copy(update={"before": before})
    for verdict in verify_engines(place, 11, 2):
        assert verdict.difference == ""
        assert verdict.rows > 4000


# -- what is refused ---------------------------------------------------------------------------------------------------

MOVE = {"take": {"service": "ward", "amount": 3}, "give": {"service": "homes", "amount": 2}}


def shock(key: str = "services.homes", **more: Any) -> dict[str, Any]:
    return {f"{key}.shocks.x": {**OUTBREAK, **more}}


def taking(amount: float, name: str = "x", **more: Any) -> dict[str, Any]:
    return {f"moves.{name}": {**MOVE, "take": {"service": "ward", "amount": amount, **more}}}


def giving(service: str, **more: Any) -> dict[str, Any]:
    return {"moves.x": {**MOVE, "give": {"service": service, **more}}}


def moving(**more: Any) -> dict[str, Any]:
    return {"moves.x": {**MOVE, **more}}


def watching(service: str, watch: str) -> dict[str, Any]:
    rule = {"watch": watch, "add": 3, "open_at": 5, "close_at": 1, "looks": "08:00"}
    return {f"services.{service}.escalation.x": rule}


def displaced(date: str, **more: Any) -> dict[str, Any]:
    return {"services.homes.displacements.x": {"date": date, "share": 0.1, **more}}


def handed_back(service: str) -> dict[str, Any]:
    block = {"from": "2024-04-09", "weeks": 2, "add": 3, "at_end": "hand_back"}
    return {f"services.{service}.blocks.x": block}


def days(n: float) -> dict[str, Any]:
    return {"fixed": n, "unit": "days"}


BY_SITE = {"fixed": {"by": "site", "other": 3}, "unit": "days"}
ELSEWHERE = {"services.queue": {**RAW["services"]["ward"], "by_site": {"other": 1}}}
REFUSED: list[tuple[dict[str, Any], str]] = [
    (shock(rate=400), "1.1 shocks a day in the busiest month.*at most 1 in each queue"),
    (shock(rate=-1), r"shocks\.x\.rate: -1 was given; allowed: at least 0"),
    (shock(closes=None), "at least one of closes, closes_to_new"),
    (shock(months=[1, 2]), r"shocks\.x\.months.*12 entries"),
    (shock(months=[0] * 12), "must not be all nought"),
    (shock(closes={"share": 0.1, "add": -1}), "either 'share' or 'add'"),
    (shock(closes={"add": 3}), r"closes\.add: 3 was given; allowed: less than 0"),
    (shock(closes_to_now=True), "did you mean 'closes_to_new'"),
    (shock("services.care", closes_way_out=True, puts_out=0.1), "closes_way_out or puts_out, not both"),
    (
        shock(puts_out=0.1),
        r"stages\.homes\.displaced_to: this key is needed .*services\.homes\.shocks\.x puts people out",
    ),
    (shock("services.home"), "an unlimited service was given"),
    (shock("services.home", closes=None, closes_way_out=True), "nobody in 'home' could be kept in"),
    ({**shock(closes_way_out=True), "stages.homes.hold": False}, "nobody in 'homes' could be kept in"),
    (shock("pools.nurses", closes_way_out=True), "nobody in 'nurses' could be kept in"),
    (
        shock("pools.nurses", puts_out=0.3),
        "puts people out of 'nurses'; allowed: in a service with a capacity and people",
    ),
    (
        {**shock("services.home", closes=None, puts_out=0.3), "stages.homes.service": "home"},
        "puts people out of 'home'",
    ),
    (
        {**shock("services.care", puts_out=0.1), "stages.care_again.displaced_to": None},
        "stages.care_again.displaced_to",
    ),
    ({**handed_back("homes"), "stages.ward.displaced_to": "leave"}, "blocks.x puts people out of 'homes'.*or 'leave'"),
    (displaced("2024-04-09", where=["nroth"]), r"displacements\.x\.where: 'nroth' was given"),
    (displaced("2024-04-09"), "displacements.x puts people out"),
    ({**displaced("2020-01-01"), "stages.homes.displaced_to": "leave"}, "x.date: '2020-01-01' was.*dates in the run"),
    (shock(lasts={"fixed": 5}), r"lasts\.unit: this key is needed"),
    (shock(lasts=days(400)), "'400 days' was given; allowed: at most 366 days"),
    (shock(lasts={"fixed": 5, "unit": "working_days"}), "allowed: minutes, hours, days or weeks"),
    (shock(lasts=BY_SITE), "belongs to no person"),
    (shock(**{"from": "2025-04-01"}), "'2025-04-01' was given.*dates in the run"),
    (shock(**{"from": "2024-05-01", "to": "2024-04-30"}), "before it begins"),
    ({"services.home.trend.x": {"share": 0.1}}, r"trend\.x: an unlimited service was given"),
    ({"services.homes.trend.x": {"share": -2}}, r"trend\.x\.share: -2 was given; allowed: at least -1"),
    ({"services.homes.trend.x": {"share": 0.1, "per": "week"}}, "allowed: 'month' or 'year'"),
    ({"services.homes.trend.x": {"share": 0.1, "to": "2023-05-01"}}, "2023-05-01.*dates in the run"),
    (taking(3, service="wards"), r"moves\.x\.take\.service: 'wards'.*did you mean 'ward'"),
    (taking(31), "31.0 was given; allowed: at most the 20 that 'ward' has in 'general', less what other moves take"),
    (taking(11, split={"other": 1}), "the 10 that 'ward' has in 'other'"),
    ({**taking(20), **taking(20, "y")}, r"moves\.[xy]\.take\.amount: 20\.0"),
    (taking(2, split={"north": 1}), r"take\.split: 'north'"),
    (taking(2, split={"other": 0}), "no share at all"),
    (taking(0), "0 was given; allowed: more than 0"),
    (giving("home", amount=3), "'home' is unlimited"),
    (giving("homes", exchange="pounds"), "'homes' has a cost of 100 per start; allowed: pounds between services with"),
    (giving("nurses", exchange="pounds"), "'nurses' has no cost"),
    (giving("homes", exchange="euros"), "allowed: 'pounds'"),
    (giving("homes"), "either 'amount' or 'exchange: pounds'"),
    (giving("ward", amount=3), "from which it is taken"),
    (moving(lag_days=20, **{"from": "2024-04-10", "to": "2024-04-29"}), "lag_days: 20 was given; allowed: fewer"),
    (moving(**{"from": "2024-07-10"}), "'2024-07-10' was given.*dates in the run"),
    (watching("ward", "erd"), r"escalation\.x\.watch: 'erd' was given"),
    (watching("ward", "care"), "'care' was given; allowed: one that is split by site, or not split:"),
    (watching("homes", "ward"), "'ward' was given; allowed: one that is not split:"),
    ({**ELSEWHERE, **watching("ward", "queue")}, "'queue' was given, which has no queue in 'general'"),
]


@pytest.mark.parametrize(("changes", "told"), REFUSED, ids=[str(n) for n in range(len(REFUSED))])
def test_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(PlaceError, match=told) as refused:
        tiny(changes)
    assert "\n" not in str(refused.value)


def test_a_scenario_puts_nobody_out_whom_the_place_gives_no_way() -> None:
    scenario = {**shock(puts_out=0.1), "stages.homes.displaced_to": "leave"}
    with pytest.raises(PlaceError, match=r"stages\.homes\.displaced_to: the place says nothing.*before the scenario"):
        check_scenario(tiny(policy=scenario))
    check_scenario(tiny({"stages.homes.displaced_to": "leave"}, policy=scenario))
    check_scenario(
        tiny({**shock(puts_out=0.1), "stages.homes.displaced_to": "leave"}, policy={"stages.ward.hold": False})
    )


def test_a_closure_is_where_it_is() -> None:
    closure = {"date": "2024-04-09", "share": 0.1}
    leave = {"stages.care_again.displaced_to": "leave"}
    everywhere = build_network(tiny({**leave, "services.care.displacements.x": closure}), Appointed({}))
    north = {**leave, "services.care.displacements.x": {**closure, "where": ["north"]}}
    here = build_network(tiny(north), Appointed({}))
    assert [everywhere.names[i] for i in everywhere.displacement_service] == ["care/north", "care/south"]
    assert [here.names[i] for i in here.displacement_service] == ["care/north"]
    assert here.displacement_units[0] == everywhere.displacement_units[0]


def test_who_is_put_out_once_is_no_likelier_to_be_put_out_again() -> None:
    """The mark is of the stage: those found care again would otherwise all be the first to lose it again."""
    there = {"stage": "care", "people": {"north": 60}, "remaining": "uniform_of_stay"}
    stays = {"units": {"fixed": 0.75}, "duration": {"fixed": 20000, "unit": "days"}}
    place = tiny({"services.care.shocks.fails": {**OUTBREAK, "closes": None, "puts_out": 0.5},
                  "services.care.initial.there": there, "stages.care": stays})  # fmt: skip
    cohort = Appointed({})
    journeys = plan(place, cohort, build_network(place, cohort))
    rows = journeys.rows
    first, again = (
        rows.displacement_mark[rows.stage == journeys.stages.index(name)] for name in ("care", "care_again")
    )
    assert len(first) == len(again) == 60
    assert (again > 0).all()
    assert abs(np.corrcoef(first, again)[0, 1]) < 0.4


TOLD: list[tuple[dict[str, Any], str]] = [
    (
        shock(**{"from": "2024-05-01", "to": "2025-04-30"}),
        r"shocks\.x: .* is partly outside the run: only",
    ),
    (
        {"services.homes.trend.x": {"share": 0.1, "from": "2024-01-01"}},
        r"trend\.x: .* is partly outside the run: only",
    ),
    (moving(to="2025-01-01"), r"moves\.x: .* is partly outside the run: only"),
    (moving(lag_days=50, **{"from": "2024-04-21"}), "what it gives comes 50 days after .* after the run"),
]


@pytest.mark.parametrize(("changes", "told"), TOLD)
def test_told(changes: dict[str, Any], told: str) -> None:
    with pytest.warns(FlowsimNotice, match=told):
        tiny(changes)
