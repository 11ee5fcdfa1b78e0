"""Calendars, networks, cohorts and plans: what is exact is checked exactly, what is random by tests that can fail."""

from __future__ import annotations

import datetime as dt
from graphlib import TopologicalSorter
from itertools import pairwise

import numpy as np
import pytest
from acceptance import assert_meets, small_place
from engine_places import calendars_of
from scipy import stats

from flowsim.declare.composition import load
from flowsim.model.calendar import ALWAYS_OPEN, DAY, Calendars
from flowsim.model.cohort import Cohort
from flowsim.model.network import build_network
from flowsim.model.plan import plan
from flowsim.model.tables import (
    GENERATIONS,
    MOST,
    NO_QUOTA,
    NONE,
    NUMBERS_A_PERSON,
    REASONS,
    WIDE,
    Journeys,
    Network,
    columns,
)
from flowsim.place import Place, PlaceError, apportion
from flowsim.place.queues import UNLIMITED

SPRING = ("start_date=2024-04-15", "days=40", "warm_up_days=20")  # from 26 March; Easter Monday is 1 April
TINY = 1e-6
"""A test of a distribution fails a sound generator once in a million."""


def place_of(*overrides: str, policy: tuple[str, ...] = (), run: tuple[str, ...] = SPRING) -> Place:
    """The small hospital, and where a policy is given, with that place's `before` being it without the policy."""
    before = small_place("two_ways_out", *run, *overrides)
    if not policy:
        return before
    return small_place("two_ways_out", *run, *overrides, *policy).model_copy(update={"before": before})


def planned(place: Place, replication: int = 0, seed: int = 11) -> Journeys:
    cohort = Cohort(seed, replication)
    return plan(place, cohort, build_network(place, cohort))


def level(journeys: Journeys, name: str, word: str) -> np.ndarray:
    """Whose attribute has this level: (N,) bool."""
    return journeys.attributes[name] == journeys.levels[name].index(word)


def rows_of(journeys: Journeys, stage: str) -> np.ndarray:
    return np.flatnonzero(journeys.rows.stage == journeys.stages.index(stage))


# --------------------------------------------------------------------------------------------------------------------
# Calendars


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_calendars_answer_as_counting_does(share: float) -> None:
    horizon = 400
    rng = np.random.default_rng(int(100 * share))
    mask = rng.random(horizon) < share
    calendars = calendars_of({"other": rng.random(horizon) < 0.5, "this": mask}, horizon)
    assert calendars.mask(1).tolist() == mask.tolist()
    for t in range(horizon + 1):
        later = np.flatnonzero(mask[t:]) + t
        assert calendars.next_open(1, t) == (later[0] if len(later) else horizon)
        for n in (1, 2, 7, 150, 1000):
            assert calendars.plus_open(1, t, n) == (later[n - 1] + 1 if n <= len(later) else horizon)
    assert [calendars.is_open(1, t) for t in range(horizon)] == mask.tolist()
    start = rng.integers(0, horizon, 500)
    end = np.minimum(start + rng.integers(0, 300, 500), horizon)
    counted = [mask[a:b].sum() for a, b in zip(start, end, strict=True)]
    assert calendars.open_between(1, start, end).tolist() == counted
    assert calendars.open_between(np.ones(500, dtype=np.int64), start, end).tolist() == counted

    minutes = np.arange(1, horizon)
    opens = mask[1:] & ~mask[:-1]
    assert calendars.opens(np.ones_like(minutes), minutes).tolist() == opens.tolist()
    after_hours = minutes[~mask[:-1]]
    last_open = [max(np.flatnonzero(mask[:t]), default=-1) for t in after_hours]
    assert calendars.closed_since(np.ones_like(after_hours), after_hours).tolist() == [t + 1 for t in last_open]
    for t in (0, 1, 200, horizon):
        spans = calendars.before(1, t).tolist()
        assert [m for begin, end in spans for m in range(begin, end)] == np.flatnonzero(mask[:t]).tolist()
        assert all(end < begin for (_, end), (begin, _) in pairwise(spans))


def test_calendar_that_never_closes_and_questions_after_the_end() -> None:
    calendars = calendars_of({"never": np.zeros(50, dtype=bool)}, 50)
    assert calendars.next_open(ALWAYS_OPEN, 49) == 49
    assert calendars.plus_open(ALWAYS_OPEN, 40, 5) == 45
    assert calendars.plus_open(ALWAYS_OPEN, 49, 5) == 50
    assert calendars.is_open(ALWAYS_OPEN, 3)
    assert calendars.next_open(0, 70) == calendars.plus_open(0, 70, 1) == 50
    assert calendars.open_between(ALWAYS_OPEN, np.array([3]), np.array([8])).tolist() == [5]


def test_openings_in_any_order_that_touch_or_overlap_are_one() -> None:
    given = np.array([[30, 40], [0, 10], [10, 12], [35, 38], [39, 60], [20, 20], [-5, 2], [2900, 5000]])
    calendars = Calendars.from_openings({"odd": given, "none": given[:0]}, 3000)
    assert calendars.before(0, 3000).tolist() == [[0, 12], [30, 60], [2900, 3000]]
    assert calendars.before(0, 30).tolist() == [[0, 12]]
    assert calendars.before(1, 3000).tolist() == []
    assert calendars.before(ALWAYS_OPEN, 7).tolist() == [[0, 7]]
    assert [calendars.next_open(0, t) for t in (11, 12, 60, 2999, 3000)] == [11, 30, 2900, 2999, 3000]
    assert calendars.plus_open(0, 5, 7 + 30 + 1) == 2901


def open_minutes(network: Network, name: str, day: int) -> list[int]:
    """The minutes of a day at which a calendar of the network changes, opening first."""
    c = network.calendars.names.index(name)
    mask = network.calendars.mask(c)[day * DAY : (day + 1) * DAY]
    return np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int))).tolist()


def test_calendars_of_a_place_know_weekdays_weekends_and_bank_holidays() -> None:
    place = place_of()
    network = build_network(place, Cohort(1, 0))

    def on(date: str, name: str) -> list[int]:
        return open_minutes(network, name, place.run.minute_of(dt.date.fromisoformat(date)) // DAY)

    assert on("2024-04-02", "christmas_opening") == [480, 720, 780, 1080]  # Tuesday
    assert on("2024-04-06", "christmas_opening") == [600, 720]  # Saturday
    assert on("2024-04-07", "christmas_opening") == []  # Sunday
    assert on("2024-04-01", "christmas_opening") == [660, 661]  # Easter Monday: hours of its own
    assert on("2024-04-01", "office") == []  # as on a Sunday
    assert on("2024-04-08", "office") == [540, 1020]  # the next Monday
    assert on("2024-04-01", "seven_days") == [540, 1020]
    without = build_network(place_of("place.bank_holidays=null"), Cohort(1, 0))
    day = place.run.minute_of(dt.date(2024, 4, 1)) // DAY
    assert open_minutes(without, "office", day) == [540, 1020]


def test_calendars_of_a_policy_hold_from_its_start() -> None:
    """Other hours under the same name, and another calendar for the same service; the old ones until the policy."""
    place = place_of(
        policy=("place.calendars.office.weekend='10:00-12:00'", "place.services.support.calendar=seven_days"),
        run=(*SPRING, "policy_start=2024-05-01"),
    )
    network = build_network(place, Cohort(1, 0))
    before, after = (place.run.minute_of(dt.date(2024, *day)) // DAY for day in ((4, 27), (5, 4)))  # Saturdays
    assert open_minutes(network, "office", before) == []
    assert open_minutes(network, "office", after) == [600, 720]
    service = network.names.index("support/north")
    name = network.calendars.names[network.calendar[service]]
    assert open_minutes(network, name, before) == []
    assert open_minutes(network, name, after) == [540, 1020]
    assert network.calendar[network.names.index("ward")] == ALWAYS_OPEN


# --------------------------------------------------------------------------------------------------------------------
# Networks


def test_apportion_gives_whole_parts_that_add_up() -> None:
    assert apportion(10, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}  # ties: as written
    assert apportion(-7, {"a": 2, "b": 1}) == {"a": -5, "b": -2}
    assert apportion(0, {"a": 1, "b": 3}) == {"a": 0, "b": 0}
    rng = np.random.default_rng(5)
    for _ in range(300):
        total = int(rng.integers(0, 1000))
        weights = dict(zip("abcde", rng.random(5), strict=True))
        parts = apportion(total, weights)
        assert sum(parts.values()) == total
        exact = {k: total * w / sum(weights.values()) for k, w in weights.items()}
        assert all(abs(parts[k] - exact[k]) < 1 for k in parts)


def steps(network: Network, name: str) -> list[tuple[int, int, str]]:
    """(day, capacity, reason) of one queue."""
    here = network.step_service == network.names.index(name)
    columns = zip(network.step_minute[here], network.step_capacity[here], network.step_reason[here], strict=True)
    return [(int(m) // DAY, int(c), REASONS[r]) for m, c, r in columns]


def test_network_capacities_and_quotas() -> None:
    place = place_of("+place.services.home={title: Home, role: outside, unit: people, capacity: unlimited}")
    network = build_network(place, Cohort(1, 0))
    assert network.names == ("ed", "ward", "support/north", "support/south", "support/elsewhere", "home_care", "home")
    assert network.n_pools == 0
    assert steps(network, "support/north") == [(0, 67, "start")]
    assert steps(network, "support/south") == [(0, 34, "start")]
    assert steps(network, "support/elsewhere") == [(0, 12, "start")]
    assert steps(network, "home_care") == [(0, 300 * 60, "start")]
    assert steps(network, "home") == [(0, UNLIMITED, "start")]
    assert network.first_fit.tolist() == [False] * 5 + [True, False]
    assert network.first_weekday == 1  # Tuesday 26 March 2024
    north, south, elsewhere = (network.names.index(f"support/{x}") for x in ("north", "south", "elsewhere"))
    week = [(5, 2)] * 3 + [(0, 0), (1, 1), (0, 0)]  # Tuesday on, with Good Friday; 7 in thirds, 2 in thirds, none
    assert list(zip(network.quota_day[north, :6], network.quota_day[south, :6], strict=True)) == week
    assert network.quota_day[[north, south], 6].tolist() == [0, 0]  # Easter Monday, too, counts as a Sunday
    assert (network.quota_day[elsewhere] == NO_QUOTA).all()
    assert (network.quota_week[north] == 20).all()
    assert (network.quota_week[south] == 10).all()
    assert network.quota_week.shape[1] == 9  # 26 March to 24 May touches nine weeks


@pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")
def test_blocks_are_clipped_split_and_merged() -> None:
    blocks = {
        "early": "{from: '2024-03-01', to: '2024-04-09', add: 30}",  # day 15 is 10 April
        "late": "{from: '2024-05-20', weeks: 26, add: 6, split: {north: 0, south: 1}}",  # day 55
        "closure": "{from: '2024-04-10', to: '2024-04-11', add: -90}",
        "same_day": "{from: '2024-05-20', weeks: 1, add: 3}",
    }
    place = place_of(*(f"+place.services.support.blocks.{name}={block}" for name, block in blocks.items()))
    network = build_network(place, Cohort(1, 0))
    assert steps(network, "support/north") == [
        (0, 87, "start"), (15, 7, "closure"), (17, 67, "closure"), (55, 69, "block"),
    ]  # fmt: skip
    assert steps(network, "support/south") == [
        (0, 44, "start"), (15, 4, "closure"), (17, 34, "closure"), (55, 41, "block"),
    ]  # fmt: skip
    keys = list(zip(network.step_minute, network.step_service, strict=True))
    assert keys == sorted(set(keys))


def test_block_of_hours_in_all_is_spread_over_its_weeks_and_handed_back() -> None:
    block = "{from: '2024-04-20', weeks: 4, add: 400, per: total, at_end: hand_back}"
    leave = "+place.stages.home_care.displaced_to=leave"
    network = build_network(place_of(f"+place.services.home_care.blocks.more={block}", leave), Cohort(1, 0))
    assert steps(network, "home_care") == [(0, 18000, "start"), (25, 24000, "block"), (53, 18000, "block")]
    assert network.displacement_minute.tolist() == [53 * DAY]
    assert network.displacement_units.tolist() == [6000]


def test_policy_changes_capacity_and_quota_at_its_start() -> None:
    place = place_of(
        policy=("place.services.ward.capacity=120", "place.services.support.quota={saturday: 30, week: null}"),
        run=(*SPRING, "policy_start=2024-05-01"),
    )
    network = build_network(place, Cohort(1, 0))
    switch = place.run.minute_of(dt.date(2024, 5, 1)) // DAY
    assert steps(network, "ward") == [(0, 90, "start"), (switch, 120, "policy")]
    north = network.quota_day[network.names.index("support/north")]
    saturdays = np.arange(place.run.all_days) % 7 == 4  # day 0 is a Tuesday
    assert set(north[saturdays][: switch // 7]) == {1}
    assert set(north[saturdays & (np.arange(place.run.all_days) >= switch)]) == {20}


@pytest.mark.parametrize(("start", "first_new"), [("2024-04-29", 5), ("2024-05-01", 6), ("2024-05-05", 6)])
@pytest.mark.parametrize(("old", "new"), [(30, 60), (30, None), (None, 60)])
def test_weekly_quota_of_a_policy_begins_with_a_whole_week(
    start: str, first_new: int, old: int | None, new: int | None
) -> None:
    """Week 0 is that of 25 March; a policy that starts within the week of 29 April leaves that week as it was."""
    words = [f"place.services.support.quota.week={'null' if n is None else n}" for n in (old, new)]
    place = place_of(words[0], policy=(words[1],), run=(*SPRING, f"policy_start={start}"))
    weeks = build_network(place, Cohort(1, 0)).quota_week[2].tolist()  # support/north, two thirds
    told = [NO_QUOTA if n is None else n * 2 // 3 for n in (old, new)]
    assert weeks == [told[0]] * first_new + [told[1]] * (9 - first_new)


def looks_of(network: Network, rule: int) -> list[tuple[int, int, bool]]:
    """(day, minute of the day, last) of one rule."""
    here = network.look_rule == rule
    return [
        (int(m) // DAY, int(m) % DAY, bool(last))
        for m, last in zip(network.look_minute[here], network.look_last[here], strict=True)
    ]


def test_escalation_looks_at_its_times_in_its_dates() -> None:
    rule = "{share: 0.1, open_at: 12, close_at: 3, looks: '08:00, 16:00', from: '2024-04-01', to: '2024-04-02'}"
    network = build_network(place_of(f"+place.services.ward.escalation.surge={rule}"), Cohort(1, 0))
    assert network.rule_units.tolist() == [9]
    assert network.rule_service.tolist() == network.rule_watch.tolist() == [network.names.index("ward")]
    assert (network.rule_open.tolist(), network.rule_close.tolist()) == ([12], [3])
    assert looks_of(network, 0) == [(6, 480, False), (6, 960, False), (7, 480, False), (7, 960, False), (8, 0, True)]
    order = list(zip(network.look_minute, network.look_rule, strict=True))
    assert order == sorted(order)


def test_escalation_of_a_policy_follows_the_old_one() -> None:
    """The old rule ends, and gives back, where the policy starts; each is of the capacity of its time."""
    rule = "{share: 0.1, open_at: 12, close_at: 3, looks: '08:00'}"
    place = place_of(
        f"+place.services.ward.escalation.surge={rule}",
        policy=("place.services.ward.escalation.surge.open_at=6", "place.services.ward.capacity=200"),
        run=(*SPRING, "policy_start=2024-05-01"),
    )
    network = build_network(place, Cohort(1, 0))
    switch = place.run.minute_of(dt.date(2024, 5, 1)) // DAY
    assert network.rule_open.tolist() == [12, 6]
    assert network.rule_units.tolist() == [9, 20]
    assert looks_of(network, 0)[-2:] == [(switch - 1, 480, False), (switch, 0, True)]
    assert looks_of(network, 1)[0] == (switch, 480, False)
    assert not network.look_last[network.look_rule == 1].any()


@pytest.mark.parametrize("scale", [0.1, 0.25, 1, 8])
def test_escalation_closes_below_where_it_opens_at_any_scale(scale: float) -> None:
    rule = "{add: 4, open_at: 2, close_at: 1, looks: '08:00'}"
    network = build_network(place_of(f"+place.services.ward.escalation.surge={rule}", f"scale={scale}"), Cohort(1, 0))
    assert (network.rule_close < network.rule_open).all()
    assert (network.rule_open >= 1).all()


# --------------------------------------------------------------------------------------------------------------------
# Cohorts


@pytest.mark.parametrize("purpose", ["ward/duration", "choice/pathway", "readmission"])
@pytest.mark.parametrize("step", [1, NUMBERS_A_PERSON * 256])
def test_uniforms_are_uniform_and_unrelated_to_their_neighbours(purpose: str, step: int) -> None:
    """Also at the spacing that spell numbers have: people of one stream are 4096 apart."""
    u = Cohort(1, 0).uniform(purpose, np.arange(200_000) * step)
    assert ((u > 0) & (u < 1)).all()
    assert stats.kstest(u, "uniform").pvalue > TINY
    assert pairs_look_independent(u[:-1], u[1:])


def pairs_look_independent(a: np.ndarray, b: np.ndarray) -> bool:
    counts = np.histogram2d(a, b, bins=16, range=[[0, 1], [0, 1]])[0]
    return bool(stats.chisquare(counts.ravel()).pvalue > TINY)


def test_uniforms_of_two_purposes_seeds_replications_and_generations_are_independent() -> None:
    number = np.arange(200_000) * NUMBERS_A_PERSON
    u = Cohort(1, 0).uniform("choice/pathway", number)
    others = {
        "purpose": Cohort(1, 0).uniform("ward/duration", number),
        "replication": Cohort(1, 1).uniform("choice/pathway", number),
        "seed": Cohort(2, 0).uniform("choice/pathway", number),
        "generation": Cohort(1, 0).uniform("choice/pathway", number + 1),
    }
    for name, other in others.items():
        assert pairs_look_independent(u, other), name
    assert not pairs_look_independent(u, 0.9 * u + 0.1 * others["purpose"])  # the test can fail


def test_uniforms_are_the_middles_of_steps_and_neither_nought_nor_one() -> None:
    u = Cohort(1, 0).uniform("anything", np.arange(100_000))
    steps = u * 2.0**52 - 0.5
    assert (steps == np.floor(steps)).all()
    assert steps.min() >= 0
    assert steps.max() < 2**52
    assert Cohort(1, 0).uniform("anything", np.array([5], dtype=np.int32))[0] == u[5]


def test_where_nobody_comes_it_is_still_known_what_could_have_been_known_of_them() -> None:
    nobody = ("place.streams.emergency.rate=0", "place.streams.planned.rate=0", "~place.services.support.initial")
    known = [planned(place_of(*overrides)) for overrides in ((), nobody)]
    assert len(known[0].spells.number) > len(known[1].spells.number) == 0
    assert list(known[0].attributes) == list(known[1].attributes)
    assert {"locality", "pathway", "dies"} <= set(known[1].attributes)


def test_uniform_belongs_to_the_person_not_to_the_position() -> None:
    number = np.arange(1000) * NUMBERS_A_PERSON
    cohort = Cohort(1, 0)
    whole = cohort.uniform("ward/duration", number)
    mixed = np.random.default_rng(1).permutation(number)[:300]
    assert (cohort.uniform("ward/duration", mixed) == whole[mixed // NUMBERS_A_PERSON]).all()
    assert (Cohort(1, 0).uniform("ward/duration", number) == whole).all()


def test_arrivals_follow_their_profiles() -> None:
    """Poisson counts by day with the profile by weekday and month, hours of the day by theirs; marks uniform."""
    place = place_of(run=("start_date=2024-01-01", "days=2922", "warm_up_days=0"))
    who = Cohort(3, 0).arrivals(place, "planned", "", 1, 0)
    days = who.minute // DAY
    dates = [place.run.date_of(d * DAY) for d in range(2922)]
    weekday, month = np.array([d.weekday() for d in dates]), np.array([d.month - 1 for d in dates])
    by_weekday = np.array([2, 1, 1, 1, 1, 0, 0]) / (6 / 7)
    by_month = np.array([2, *[1] * 11]) / (13 / 12)
    expected = 2 * by_weekday[weekday] * by_month[month]
    counts = np.bincount(days, minlength=2922)
    assert (counts[expected == 0] == 0).all()
    open_days = expected > 0
    spread = ((counts - expected)[open_days] ** 2 / expected[open_days]).sum()
    assert stats.chi2.sf(spread, open_days.sum()) > TINY  # as spread as Poisson,
    assert stats.chi2.cdf(spread, open_days.sum()) > TINY  # and not less
    for groups in (weekday, month):
        observed, wanted = np.bincount(groups, weights=counts), np.bincount(groups, weights=expected)
        some = wanted > 0
        assert stats.chi2.sf(((observed - wanted)[some] ** 2 / wanted[some]).sum(), some.sum()) > TINY
    hours = np.bincount(who.minute % DAY // 60, minlength=24)
    assert hours.sum() == hours[7] + hours[8]
    assert stats.binomtest(int(hours[7]), int(hours.sum()), 0.75).pvalue > TINY
    assert stats.kstest(who.mark, "uniform").pvalue > TINY
    assert (np.diff(days) >= 0).all()


def people(journeys: Journeys) -> dict[int, int]:
    """First-generation arrivals: spell number -> minute."""
    first = (journeys.spells.arrival >= 0) & (journeys.spells.initial == 0)
    return dict(zip(journeys.spells.number[first].tolist(), journeys.spells.arrival[first].tolist(), strict=True))


def shared_rows(a: Journeys, b: Journeys) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The rows of spells that two journeys share, as columns without the references (which are positions)."""
    numbers = np.intersect1d(a.spells.number, b.spells.number)
    found = []
    for j in (a, b):
        here = np.isin(j.spells.number[j.rows.spell], numbers)
        plain = {n: c[here] for n, c in columns(j.rows).items() if n not in REFERENCES}
        plain["spell"] = j.spells.number[j.rows.spell][here]
        plain["stage"] = np.array(j.stages)[j.rows.stage[here]]
        order = np.lexsort((plain["stage"], plain["spell"]))
        found.append({n: c[order] for n, c in plain.items()})
    return found[0], found[1]


REFERENCES = (
    "spell", "stage", "service", "next", "otherwise", "unfit_to", "since", "keep", "displaced_to", "child",
    "first_task",
)  # fmt: skip


def assert_same_rows(a: Journeys, b: Journeys) -> None:
    ours, theirs = shared_rows(a, b)
    for name in ours:
        assert np.array_equal(ours[name], theirs[name]), name


def test_longer_run_has_the_same_people_and_later_ones() -> None:
    short, long = planned(place_of()), planned(place_of("days=90"))
    few, many = people(short), people(long)
    assert few.items() <= many.items()
    horizon = 60 * DAY
    assert all(minute >= horizon for number, minute in many.items() if number not in few)
    assert_same_rows(short, long)


def test_another_choice_stream_or_task_moves_nobody_elses_numbers() -> None:
    plain = planned(place_of())
    for more in (
        "+place.choices.left_handed={chance: 0.1}",
        "+place.streams.walk_in={title: Walk-in, rate: 3, first: ed}",
    ):
        other = planned(place_of(more))
        assert people(plain).items() <= people(other).items()
        assert_same_rows(plain, other)
    task = planned(place_of("+place.stages.ward.before.brokerage={takes: {exponential: {mean: 3}, unit: hours}}"))
    ours, theirs = shared_rows(plain, task)
    assert np.array_equal(ours["duration"], theirs["duration"])
    old = task.tasks.kind != task.task_names.index("brokerage")
    assert np.array_equal(plain.tasks.minutes, task.tasks.minutes[old])


def test_less_demand_removes_people_and_leaves_the_rest() -> None:
    plain = planned(place_of())
    fewer = planned(place_of("+place.streams.emergency.demand={less: 0.85}"))
    assert people(fewer).items() <= people(plain).items()
    emergencies = level(plain, "stream", "emergency") & (plain.spells.arrival >= 0)
    left = level(fewer, "stream", "emergency") & (fewer.spells.arrival >= 0)
    assert stats.binomtest(int(left.sum()), int(emergencies.sum()), 0.85).pvalue > TINY
    assert level(fewer, "stream", "planned").sum() == level(plain, "stream", "planned").sum()
    assert_same_rows(plain, fewer)


@pytest.mark.parametrize("factor", [1.2, 2.5, 3])
def test_more_demand_adds_people_and_leaves_all_others(factor: float) -> None:
    plain = planned(place_of())
    more = planned(place_of("+place.streams.emergency.demand={more: " + str(factor) + "}"))
    assert people(plain).items() <= people(more).items()
    new = len(people(more)) - len(people(plain))
    expected = 60 * 12 * (factor - 1)
    assert abs(new - expected) < 5 * np.sqrt(expected)
    assert_same_rows(plain, more)


def test_demand_by_what_people_are_only_moves_those() -> None:
    plain = planned(place_of())
    fewer = planned(place_of("+place.streams.emergency.demand={less: {by: pathway, pathway_0: 0.5, other: 1}}"))
    for pathway in ("pathway_1", "pathway_2", "pathway_3"):
        assert level(plain, "pathway", pathway).sum() == level(fewer, "pathway", pathway).sum()
    assert level(fewer, "pathway", "pathway_0").sum() < 0.7 * level(plain, "pathway", "pathway_0").sum()


def test_scenarios_planned_with_one_cohort_are_as_each_with_its_own() -> None:
    """What the cohort keeps of the people before the policy is taken only by scenarios that mean the same by it."""
    run = (*SPRING, "policy_start=2024-04-15")
    rows = {
        name: place_of(policy=(change,), run=run)
        for name, change in {
            "more": "place.streams.emergency.rate=15",
            "beds": "place.services.ward.capacity=20",
            "a level more": "+place.choices.new={title: New, chance: 0.5}",
            "longer": "place.stages.ward.duration.lognormal.mean=9",
        }.items()
    }
    rows["later"] = place_of(policy=("place.services.ward.capacity=20",), run=(*SPRING, "policy_start=2024-04-20"))
    rows["nobody before"] = place_of(run=run)
    shared = Cohort(1, 0)
    for name in (*rows, *reversed(rows)):
        together, alone = (
            plan(rows[name], cohort, build_network(rows[name], cohort)) for cohort in (shared, Cohort(1, 0))
        )
        for table in ("spells", "rows", "tasks"):
            one, other = columns(getattr(together, table)), columns(getattr(alone, table))
            assert all((one[column] == other[column]).all() for column in one), (name, table)


def test_rate_of_a_scenario_is_demand_of_the_same_people() -> None:
    """A scenario that raises a rate adds people to those who came before; it does not bring others."""
    place = place_of(policy=("place.streams.emergency.rate=15",), run=(*SPRING, "policy_start=2024-04-15"))
    before, after = people(planned(place_of())), people(planned(place))
    assert before.items() <= after.items()
    assert min(minute for number, minute in after.items() if number not in before) >= 20 * DAY


@pytest.mark.parametrize("rate", ["5", "7"])
def test_a_scenario_brings_people_where_nobody_came(rate: str) -> None:
    stream = "+place.streams.walk_in={title: Walk-in, rate: 0, first: ed}"
    place = place_of(stream, policy=(f"place.streams.walk_in.rate={rate}",), run=(*SPRING, "policy_start=2024-04-15"))
    before, after = people(planned(place_of(stream))), people(planned(place))
    assert before.items() <= after.items()
    expected = 40 * int(rate)
    assert abs(len(after) - len(before) - expected) < 5 * np.sqrt(expected)


def test_a_scenario_ends_a_stream_at_one_site() -> None:
    stream = "+place.streams.visits={title: Visits, at: locality, rate: {north: 5}, at_start: {north: 2}, first: ed}"
    place = place_of(stream, policy=("place.streams.visits.rate.north=0",), run=(*SPRING, "policy_start=2024-04-15"))
    j = planned(place)
    visits = level(j, "stream", "visits") & (j.spells.arrival >= 0)
    assert visits.any()
    assert j.spells.arrival[visits].max() < 20 * DAY


def test_a_profile_that_a_scenario_changes_is_refused_however_it_came_about() -> None:
    place = place_of(policy=("place.streams.planned.weekdays=null",))
    with pytest.raises(PlaceError, match=r"streams\.planned\.weekdays: a scenario changed this"):
        planned(place)


def test_a_place_made_in_python_that_lacks_what_was_before_is_refused() -> None:
    """No file was read, so no reader refused it: the plan does."""
    place = place_of(run=(*SPRING, "policy_start=2024-04-15"))
    fewer = {name: choice for name, choice in place.choices.items() if name != "pathway"}
    with pytest.raises(PlaceError, match=r"choices\.pathway: a scenario took this away"):
        planned(place.model_copy(update={"choices": fewer, "before": place}))


def test_attributes_are_those_of_both_places() -> None:
    """A choice that only the scenario makes does not apply to those who came before it."""
    place = place_of(policy=("+place.choices.left_handed={chance: 1}",), run=(*SPRING, "policy_start=2024-04-15"))
    j = planned(place)
    first = (j.spells.arrival >= 0) & (j.spells.initial == 0)
    late = j.spells.arrival[first] >= 20 * DAY
    assert (j.attributes["left_handed"][first][~late] == NONE).all()
    assert level(j, "left_handed", "yes")[first][late].all()
    assert {len(codes) for codes in j.attributes.values()} == {len(j.spells.number)}


def test_durations_that_are_no_numbers_are_refused() -> None:
    place = place_of("place.stages.ed.duration={exponential: {mean: 1e308}, unit: hours}")
    with pytest.raises(PlaceError, match=r"'ed/duration' comes to .* for somebody; allowed: tables"):
        planned(place)


# --------------------------------------------------------------------------------------------------------------------
# Plans


def assert_consistent(place: Place, network: Network, j: Journeys) -> None:
    """Everything the engines rely on in the three tables."""
    spells, rows, tasks = j.spells, j.rows, j.tasks
    n_spells, n_rows, n_tasks = len(spells.number), len(rows.spell), len(tasks.kind)
    assert (np.diff(spells.number) > 0).all()
    assert (np.diff(rows.spell) >= 0).all()
    assert (rows.spell[spells.first_row] == np.arange(n_spells)).all()
    for name in ("next", "otherwise", "unfit_to", "since", "keep", "displaced_to"):
        column = getattr(rows, name)
        to = np.flatnonzero(column != NONE)
        assert ((column >= NONE) & (column < n_rows)).all()
        assert (rows.spell[column[to]] == rows.spell[to]).all(), name
    resumed = np.flatnonzero(rows.unfit_to != NONE)
    assert (rows.service[rows.unfit_to[resumed]] == rows.service[resumed]).all()
    asked, asked_again = rows.next[resumed], rows.next[rows.unfit_to[resumed]]
    assert ((asked != asked_again) | (asked == NONE)).all()  # a queue asked for twice is two rows
    assert (rows.first_task[:1] == 0).all()
    assert (rows.first_task[1:] == np.cumsum(rows.n_before + rows.n_after)[:-1]).all()
    assert (rows.n_before + rows.n_after).sum() == n_tasks
    assert (rows.recognition <= rows.n_before).all()
    assert (rows.duration >= 1).all()
    assert (rows.units >= 1).all()
    assert ((tasks.minutes > 0) | (tasks.calendar != ALWAYS_OPEN)).all()
    assert ((tasks.pool >= NONE) & (tasks.pool < network.n_pools)).all()
    for name, column in (columns(rows) | columns(tasks)).items():
        assert column.dtype == (np.int64 if name in WIDE else np.int32), name
        assert name in WIDE or column.max(initial=0) <= MOST, name
    kinds = [name.split("/")[0] for name in network.names]
    for code in np.unique(rows.stage):
        stage = place.stages.get(j.stages[code]) or (place.before or place).stages[j.stages[code]]
        assert {kinds[s] for s in np.unique(rows.service[rows.stage == code])} == {stage.service}
    assert_no_circle(j)
    assert_children(j)
    for name, codes in j.attributes.items():
        assert codes.shape == (n_spells,)
        assert codes.max(initial=-1) < len(j.levels[name])


def assert_no_circle(j: Journeys) -> None:
    """The rows of a spell, by any way on, have an order: each is entered at most once."""
    rows = j.rows
    leads: dict[int, set[int]] = {}
    for name in ("next", "otherwise", "unfit_to", "displaced_to"):
        to = getattr(rows, name)
        there = to != NONE
        for a, b in np.unique(np.stack([rows.stage[there], rows.stage[to[there]]]), axis=1).T:
            leads.setdefault(int(b), set()).add(int(a))
    list(TopologicalSorter(leads).static_order())  # raises CycleError


def assert_children(j: Journeys) -> None:
    """Readmissions: numbered after their parent, no arrival of their own, at most eight in a chain.

    Several rows of a spell may bring the same child, but never two of which both are left: who leaves a row with a
    child finds none in any row that follows it.
    """
    spells, rows = j.spells, j.rows
    parents = np.flatnonzero(rows.child != NONE)
    child = rows.child[parents]
    left = np.zeros(len(rows.spell), dtype=bool)  # rows that follow one that was left and has a child
    for _ in j.stages:
        for name in ("next", "otherwise", "unfit_to", "displaced_to"):
            leaving = name in ("next", "displaced_to")
            to = getattr(rows, name)
            come = (to != NONE) & (left | ((rows.child != NONE) & leaving))
            left[to[come]] = True
    assert not (left & (rows.child != NONE)).any()
    assert (spells.number[child] == spells.number[rows.spell[parents]] + 1).all()
    assert (spells.arrival[child] == NONE).all()
    assert (rows.readmission_gap[parents] >= 1).all()
    assert (rows.readmission_gap[rows.child == NONE] == NONE).all()
    generation = spells.number % NUMBERS_A_PERSON
    assert generation.max(initial=0) < GENERATIONS
    assert set(np.flatnonzero(generation > 0)) == set(child)
    same_spell = np.unique(np.stack([rows.spell[parents], child]), axis=1)
    assert len(np.unique(same_spell[0])) == same_spell.shape[1]  # a spell has one readmission at most


@pytest.mark.parametrize("readmission", [0.2, 1.0])
def test_tables_are_consistent(readmission: float) -> None:
    place = place_of(f"place.stages.ward.readmission.chance={readmission}")
    j = planned(place)
    assert_consistent(place, build_network(place, Cohort(1, 0)), j)
    deepest = int((j.spells.number % NUMBERS_A_PERSON).max())
    assert deepest == (GENERATIONS - 1 if readmission == 1 else deepest)


@pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")
@pytest.mark.parametrize("scenario", ["baseline", "all_three"])
def test_tables_of_sefton_are_consistent(scenario: str) -> None:
    place = load(f"scenario={scenario}", "days=200", "warm_up_days=3", "scale=0.1")
    network = build_network(place, Cohort(1, 0))
    assert_consistent(place, network, plan(place, Cohort(1, 0), network))


def test_numbers_beyond_every_run_are_cut_and_do_not_come_round() -> None:
    j = planned(
        place_of(
            "place.stages.ward.units={fixed: null, uniform: {low: 3e9, high: 4e9}}",
            "place.stages.ward.duration={fixed: 1e9, unit: days}",
            "place.stages.ward.decline={after: {fixed: 1e12, unit: days}, share: 1, units_factor: 9}",
            "place.stages.ward.kept_on_readmission={fixed: 1e12, unit: days}",
        )
    )
    ward = rows_of(j, "ward")
    for name in ("units", "duration", "declined_units", "decline_after", "kept_on_readmission"):
        assert (getattr(j.rows, name)[ward] == MOST).all(), name


def test_a_person_may_have_more_rows_than_a_byte_counts() -> None:
    chain = [f"+place.stages.ward_{k}={{like: ward, next: ward_{k + 1}}}" for k in range(140)]
    chain += ["+place.stages.ward_140={like: ward, next: leave}"]
    place = place_of(*chain, "place.stages.ward.next=ward_0", run=("days=2", "warm_up_days=0"))
    j = planned(place)
    assert_consistent(place, build_network(place, Cohort(11, 0)), j)
    code = {name: k for k, name in enumerate(j.stages)}
    for k in range(140):
        row = rows_of(j, f"ward_{k}")
        alive = j.rows.died[row] == 0
        assert (j.rows.stage[j.rows.next[row[alive]]] == code[f"ward_{k + 1}"]).all()
    assert len(rows_of(j, "ward_140")) > 10


def test_children_are_the_same_person_with_new_fortunes() -> None:
    j = planned(place_of("place.stages.ward.readmission.chance=0.9"))
    parents = np.flatnonzero(j.rows.child != NONE)
    parent, child = j.rows.spell[parents], j.rows.child[parents]
    assert (j.attributes["locality"][child] == j.attributes["locality"][parent]).all()
    assert level(j, "pathway", "pathway_1")[child].all()  # what the readmission sets
    assert (j.attributes["dies"][child] != j.attributes["dies"][parent]).any()
    ward = rows_of(j, "ward")
    stay = dict(zip(j.rows.spell[ward].tolist(), j.rows.duration[ward].tolist(), strict=True))
    pairs = zip(parent.tolist(), child.tolist(), strict=True)
    both = [(stay[a], stay[b]) for a, b in pairs if a in stay and b in stay]
    assert len(both) > 300
    assert abs(stats.spearmanr(*zip(*both, strict=True)).statistic) < 5 / np.sqrt(len(both))


def test_two_stages_to_come_back_from() -> None:
    """Nobody comes back twice from one spell, each stage's chance holds, and each sets what it says."""
    place = place_of(
        "place.stages.ward.readmission.chance=0.5",
        "+place.stages.support.readmission={to: ward, chance: 0.4, gap: {fixed: 2, unit: days}, "
        "set: {pathway: pathway_3}}",
        "place.services.support.initial=null",
        run=("start_date=2024-04-15", "days=400", "warm_up_days=0"),
    )
    j = planned(place)
    assert_consistent(place, build_network(place, Cohort(1, 0)), j)
    first = j.spells.number % NUMBERS_A_PERSON == 0
    ward, support = rows_of(j, "ward"), rows_of(j, "support")
    alive = ward[first[j.rows.spell[ward]] & (j.rows.died[ward] == 0)]
    from_ward = j.rows.child[alive] != NONE
    assert stats.binomtest(int(from_ward.sum()), len(alive), 0.5).pvalue > TINY
    on = np.isin(j.rows.spell[support], j.rows.spell[alive[~from_ward]])
    from_support = j.rows.child[support[on]] != NONE
    assert stats.binomtest(int(from_support.sum()), int(on.sum()), 0.4).pvalue > TINY
    back = ((alive[from_ward], "pathway_1", "ed"), (support[on][from_support], "pathway_3", "ward"))
    for rows, pathway, stage in back:
        children = j.rows.child[rows]
        assert level(j, "pathway", pathway)[children].all()
        assert (j.rows.stage[j.spells.first_row[children]] == j.stages.index(stage)).all()


SHIFT = (
    "+place.choices.pathway.shift={three: {from: pathway_3, to: pathway_2, share: 0.4}, "
    "two: {from: pathway_2, to: pathway_1, share: 0.2}, one: {from: pathway_1, to: pathway_0, share: 0.1}}"
)


def test_shift_of_pathways_moves_the_fewest_people_and_each_by_one() -> None:
    run = ("start_date=2024-04-15", "days=700", "warm_up_days=0")
    plain, moved = planned(place_of(run=run)), planned(place_of(SHIFT, run=run))
    came = np.isin(plain.spells.number, list(people(plain)))
    assert (plain.spells.number[came] == moved.spells.number[np.isin(moved.spells.number, list(people(moved)))]).all()
    old = plain.attributes["pathway"][came].astype(int)
    new = moved.attributes["pathway"][np.isin(moved.spells.number, list(people(moved)))].astype(int)
    assert plain.levels["pathway"] == tuple(f"pathway_{k}" for k in range(4))
    assert set(new - old) == {-1, 0}
    for pathway, share in ((3, 0.4), (2, 0.2), (1, 0.1), (0, 0.0)):
        of = old == pathway
        assert stats.binomtest(int((new[of] != old[of]).sum()), int(of.sum()), share).pvalue > TINY


def test_shares_of_a_choice_come_out() -> None:
    j = planned(place_of(run=("start_date=2024-04-15", "days=700", "warm_up_days=0")))
    first = j.spells.arrival >= 0
    counts = [int((level(j, "pathway", f"pathway_{k}") & first).sum()) for k in range(4)]
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    assert stats.chisquare(counts, shares * sum(counts)).pvalue > TINY


def test_old_rules_hold_until_the_policy_starts() -> None:
    place = place_of(
        policy=("place.stages.ward.duration={fixed: 3, unit: days, lognormal: null}",),
        run=(*SPRING, "policy_start=2024-05-01"),
    )
    plain, changed = planned(place_of()), planned(place)
    assert people(plain) == people(changed)  # the same people in every scenario
    assert np.array_equal(plain.spells.number, changed.spells.number)
    ward = rows_of(changed, "ward")
    assert np.array_equal(ward, rows_of(plain, "ward"))
    of = changed.rows.spell[ward]
    arrived = changed.spells.arrival[of]
    new = arrived >= place.run.minute_of(dt.date(2024, 5, 1))
    old = (arrived >= 0) & ~new
    assert new.any()
    assert old.any()
    assert (changed.rows.duration[ward][new] == 3 * DAY).all()
    assert np.array_equal(changed.rows.duration[ward][old], plain.rows.duration[ward][old])
    elsewhere = changed.rows.stage != changed.stages.index("ward")
    assert np.array_equal(changed.rows.duration[elsewhere], plain.rows.duration[elsewhere])


@pytest.mark.parametrize(
    ("stay", "mean"),
    [
        ("lognormal: {mean: 20, sd: 20}", (400 + 400) / 20 / 2),  # E[S^2] / 2 E[S]
        ("lognormal: {mean: 20, median: 12}", 20 * (20 / 12) ** 2 / 2),
        ("uniform: {low: 10, high: 30}", (400 + 400 / 12) / 20 / 2),
        ("fixed: 20", 10),
        ("exponential: {mean: 20}", 20),
    ],
    ids=["lognormal-sd", "lognormal-median", "uniform", "fixed", "exponential"],
)
def test_what_remains_of_a_stay_found_in_the_long_run(stay: str, mean: float) -> None:
    """The mean residual of renewal theory, in the caseload at the start; those who come later stay their whole time."""
    place = place_of(
        "place.stages.support.duration={" + stay + ", unit: days}",
        "place.services.support.initial.caseload={stage: support, people: {north: 3000}, set: {pathway: pathway_1}}",
    )
    samples = []
    for k in range(8):
        j = planned(place, k)
        rows = rows_of(j, "support")
        initial = j.spells.initial[j.rows.spell[rows]] == 1
        assert initial.sum() == 3000
        samples.append(j.rows.duration[rows][initial].mean() / DAY)
    assert_meets(np.array(samples), mean, widest=0.12, but_not=20 if mean != 20 else None)


def test_uniform_moment_of_a_stay_of_ones_own() -> None:
    caseload = "{stage: support, people: {north: 4000}, remaining: uniform_of_stay}"
    place = place_of(f"place.services.support.initial.caseload={caseload}")
    samples = []
    for k in range(8):
        j = planned(place, k)
        rows = rows_of(j, "support")
        stay = j.rows.duration[rows][j.spells.initial[j.rows.spell[rows]] == 1]
        samples.append(stay.mean() / DAY)
    assert_meets(np.array(samples), (1 + 21) / 2, widest=0.05)


def test_caseload_fills_its_share_and_no_more() -> None:
    """In hours of care: as many packages as fit into the utilisation, none of them twice."""
    place = place_of(
        "+place.services.home_care.initial={clients: {stage: home_care, utilisation: 0.9, set: {pathway: pathway_2}}}"
    )
    j = planned(place)
    rows = rows_of(j, "home_care")
    of = j.rows.spell[rows]
    units = j.rows.units[rows][(j.spells.initial[of] == 1) & (j.spells.first_row[of] == rows)]
    assert 0.9 * 18000 - 40 * 60 < units.sum() <= 0.9 * 18000
    assert units.min() >= 3.5 * 60
    assert units.max() <= 40 * 60


def test_a_number_of_people_in_all_is_shared_out_like_the_capacity() -> None:
    j = planned(place_of("place.services.support.initial.caseload={stage: support, people: 100}", "scale=2"))
    initial = j.spells.initial == 1
    shares = [int((initial & level(j, "locality", name)).sum()) for name in ("north", "south", "elsewhere")]
    assert shares == [133, 67, 0]
