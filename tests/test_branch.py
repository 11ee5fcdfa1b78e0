"""Runs that share their beginning are equal, column by column, to runs of their own."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from acceptance import SINCE_JULY
from engine_places import Builder, calendars_of, random_case, task
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowsim.cells import jobs
from flowsim.cells.replicate import Prepared, prepare
from flowsim.declare.composition import load
from flowsim.declare.settings import Settings
from flowsim.declare.yaml_and_csv import options
from flowsim.engine import branch, compiled
from flowsim.engine.stamps import differing, first_difference
from flowsim.model.calendar import DAY
from flowsim.model.cohort import Cohort
from flowsim.model.tables import NO_QUOTA, NONE, Journeys, Network, RowTable, SpellTable
from flowsim.questions.compare import compare

PLACES = Path(__file__).parent / "places"
SMALL = ("scale=0.1", "days=28", "warm_up_days=28")
REFERENCES = ("next", "otherwise", "unfit_to", "since", "keep", "displaced_to")


def assert_shares(trunk: Prepared, other: Prepared, minute: int, shares: bool = True) -> None:
    """One run as the trunk of another: both as when run alone, and shared or not as expected."""
    alone, kept = branch.run_to_share(trunk.journeys, trunk.network, minute)
    assert not differing(alone, compiled.run(trunk.journeys, trunk.network))
    found, shared = branch.run_from(kept, other.journeys, other.network)
    expected = compiled.run(other.journeys, other.network)
    assert not differing(expected, found), first_difference(expected, found, other.journeys)
    assert shared == shares


# ------------------------------------------------------------------------------------------------- random places


def later_otherwise(journeys: Journeys, network: Network, minute: int, seed: int) -> Prepared:
    """The same until a minute; from then on other people, calendars, capacities, quotas, looks and displacements, and
    one service more, so that every index is another."""
    random = np.random.default_rng(seed)
    return Prepared(_other_network(network, minute, random), _other_people(journeys, minute, random))


def _other_people(journeys: Journeys, minute: int, random: np.random.Generator) -> Journeys:
    """Some of those who come later stay away, with all their readmissions; others stay longer or ask more urgently."""
    spells, rows = journeys.spells, journeys.rows
    here = (spells.arrival < minute) & (spells.arrival >= 0) | (spells.initial != 0)
    children = np.flatnonzero(rows.child != NONE)
    is_child = np.zeros(len(here), dtype=bool)
    is_child[rows.child[children]] = True
    comes = here | is_child | (random.random(len(here)) < 0.6)
    early = here.copy()
    for _ in range(9):  # generations
        early[rows.child[children]] |= early[rows.spell[children]]
        comes[rows.child[children]] &= comes[rows.spell[children]]
    stays = comes[rows.spell]
    to_row = np.where(stays, np.cumsum(stays) - 1, NONE)
    to_spell = np.where(comes, np.cumsum(comes) - 1, NONE)
    columns = {f.name: getattr(rows, f.name)[stays] for f in fields(RowTable)}
    late = ~early[columns["spell"]]
    columns["spell"] = to_spell[columns["spell"]]
    columns["service"] = columns["service"] + 1
    for name in REFERENCES:
        columns[name] = np.where(columns[name] == NONE, NONE, to_row[columns[name]])
    columns["child"] = np.where(columns["child"] == NONE, NONE, to_spell[columns["child"]])
    columns["duration"] = columns["duration"] + late * random.integers(0, 600, len(late))
    columns["priority"] = columns["priority"] - late * random.integers(0, 3, len(late))
    kept = {f.name: getattr(spells, f.name)[comes] for f in fields(SpellTable)}
    kept["first_row"] = to_row[kept["first_row"]]
    pool = journeys.tasks.pool
    tasks = replace(journeys.tasks, pool=np.where(pool == NONE, NONE, pool + 1))
    return replace(journeys, spells=SpellTable(**kept), rows=RowTable(**columns), tasks=tasks)


def _other_network(network: Network, minute: int, random: np.random.Generator) -> Network:
    horizon = network.horizon
    masks = {}
    for c, name in enumerate(network.calendars.names):
        mask = network.calendars.mask(c)
        mask[minute:] = random.random(horizon)[minute:] < random.choice([0, 0.001, 0.5, 1])
        masks[name] = mask
    day = (minute - 1) // DAY + 1
    week = (day - 1 + network.first_weekday) // 7 + 1
    quota_day = np.vstack([np.full_like(network.quota_day[:1], NO_QUOTA), network.quota_day])
    quota_week = np.vstack([np.full_like(network.quota_week[:1], NO_QUOTA), network.quota_week])
    quota_day[:, day:] = random.choice([NO_QUOTA, 0, 1, 2], quota_day[:, day:].shape)
    quota_week[:, week:] = random.choice([NO_QUOTA, 1, 5], quota_week[:, week:].shape)

    n = len(network.names)
    before = network.step_minute < minute
    s = np.arange(n) + 1
    new = {
        "minute": [0, 1, minute, *network.step_minute[before], *np.full(n, minute)],
        "service": [0, 0, 0, *(network.step_service[before] + 1), *s],
        "capacity": [3, 5, 2, *network.step_capacity[before], *random.integers(0, 6, n)],
        "reason": [0, 1, 1, *network.step_reason[before], *np.ones(n, dtype=int)],
    }
    steps = {f"step_{name}": np.array(column, dtype=np.int64) for name, column in new.items()}
    order = np.lexsort((steps["step_service"], steps["step_minute"]))
    looks = (network.look_minute < minute) | (random.random(len(network.look_minute)) < 0.5)
    out = network.displacement_minute < minute
    return replace(
        network,
        names=("another", *network.names),
        calendars=calendars_of(masks, horizon),
        calendar=np.concatenate([[-1], network.calendar]),
        first_fit=np.concatenate([[False], network.first_fit]),
        quota_day=quota_day,
        quota_week=quota_week,
        **{name: column[order] for name, column in steps.items()},
        rule_watch=network.rule_watch + 1,
        rule_service=network.rule_service + 1,
        look_minute=network.look_minute[looks],
        look_rule=network.look_rule[looks],
        look_last=network.look_last[looks],
        displacement_minute=network.displacement_minute[out],
        displacement_service=network.displacement_service[out] + 1,
        displacement_units=network.displacement_units[out],
    )


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    spells=st.integers(1, 150),
    services=st.integers(2, 6),
    pools=st.integers(0, 3),
    days=st.integers(1, 9),
    odd=st.sampled_from([0.0, 0.1, 1.0]),
    share=st.floats(0, 1),
)
def test_random_places_branch_at_any_minute(
    seed: int, spells: int, services: int, pools: int, days: int, odd: float, share: float
) -> None:
    one = Prepared(*reversed(random_case(seed, spells=spells, services=services, pools=pools, days=days, odd=odd)))
    minute = min(max(round(share * one.network.horizon), 1), one.network.horizon - 1)
    assert_shares(one, one, minute)
    assert_shares(one, later_otherwise(one.journeys, one.network, minute, seed), minute)


def test_work_and_waits_across_the_minute_end_by_the_calendars_of_each_run() -> None:
    """Nurses work on, and the ward opens, when each run's own calendar says."""

    def build(hours: tuple[int, int]) -> Prepared:
        b = Builder(days=4)
        minutes = [t for t in range(4 * DAY) if t < DAY or hours[0] * 60 <= t % DAY < hours[1] * 60]
        early = [t for t in minutes if t >= DAY or t < 900]
        b.calendar("office", minutes=early)
        b.pool("nurse", 1)
        b.service("ward", 5)
        b.service("flat", 1, calendar="office", first_fit=True)
        visit = task(300, calendar="office", pool="nurse")
        for arrival in (0, 10, 800):
            b.spell(arrival, [{"service": "ward", "duration": 60, "before": [visit]}, {"service": "flat"}])
        journeys, network = b.build()
        return Prepared(network, journeys)

    assert_shares(build((9, 12)), build((14, 20)), DAY)
    assert_shares(build((9, 12)), build((14, 20)), DAY - 1)


def test_patience_across_the_minute_ends_by_the_calendars_of_each_run() -> None:
    """Also where the calendar of the first run opens no more, and so has no event to carry."""

    def build(*closing: int, early: int = 300) -> Prepared:
        b = Builder(days=4)
        b.calendar("closing", minutes=[early, *closing])
        b.service("ward", 0)
        b.service("flat", 5)
        asks = {"service": "ward", "patience": 60, "patience_calendar": "closing", "otherwise": 1, "next": NONE}
        for arrival in (0, 500, 1300):
            b.spell(arrival, [asks, {"service": "flat", "duration": 10}])
        journeys, network = b.build()
        return Prepared(network, journeys)

    tuesday, wednesday, never = build(DAY + 600), build(2 * DAY + 720), build()
    for one, other in permutations((tuesday, wednesday, never), 2):
        assert_shares(one, other, DAY)
    assert_shares(tuesday, build(DAY + 600, early=301), DAY, shares=False)
    plainly = tuesday.journeys.rows.patience_calendar * 0 - 1
    rows = replace(tuesday.journeys.rows, patience_calendar=plainly)
    assert_shares(tuesday, Prepared(tuesday.network, replace(tuesday.journeys, rows=rows)), DAY, shares=False)


def test_what_differs_before_the_minute_makes_a_whole_run() -> None:
    one = Prepared(*reversed(random_case(11, spells=80, services=4, pools=2, days=4)))
    network, journeys = one.network, one.journeys
    minute = network.horizon // 2
    rows, spells = journeys.rows, journeys.spells
    first = int(np.flatnonzero((spells.arrival >= 0) & (spells.arrival < minute))[0])
    longer, urgent = rows.duration.copy(), rows.priority.copy()
    longer[spells.first_row[first]] += 1
    urgent[spells.first_row[first]] -= 1
    arrival = spells.arrival.copy()
    arrival[first] += 1
    quota = network.quota_day.copy()
    quota[:, 0] = 7
    others = [
        replace(journeys, rows=replace(rows, duration=longer)),
        replace(journeys, rows=replace(rows, priority=urgent)),
        replace(journeys, spells=replace(spells, arrival=arrival)),
        replace(network, step_capacity=network.step_capacity + 1),
        replace(network, first_fit=~network.first_fit),
        replace(network, quota_day=quota),
        replace(network, names=("new", *network.names[1:])),
        replace(network, names=tuple(reversed(network.names))),
    ]
    for other in others:
        changed = Prepared(other, journeys) if isinstance(other, Network) else Prepared(network, other)
        assert_shares(one, changed, minute, shares=False)


# -------------------------------------------------------------------------------------------------------- Sefton

EARLIER = {
    "all_three", "care_home_of_60_closes", "care_home_pressure",
    "community_beds_new_unit", "dom_care_400_hours", "savings_fail", "winter_surge_plan", "outbreak",
}  # fmt: skip
"""Dated blocks of theirs may begin before the policy does; an outbreak may shut a way out, which makes more tasks."""
WINTER = dict.fromkeys(("winter_normal", "winter_severe", "winter_surge_plan"), "2024-12-09")


@pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")
@pytest.mark.parametrize("later", [0, 14], ids=["at the start", "in the middle"])
def test_every_shipped_scenario_branches_off_the_baseline(later: int) -> None:
    cohort = Cohort(3, 0)
    trunks: dict[str, branch.Trunk] = {}
    whole = set()
    for name in options("scenario"):
        start = WINTER.get(name, "2024-09-30")
        run = (*SMALL, f"start_date={start}", f"policy_start={dt.date.fromisoformat(start) + dt.timedelta(later)}")
        if start not in trunks:
            base = load(*run)
            trunk = prepare(base, 3, 0, cohort)
            trunks[start] = branch.run_to_share(trunk.journeys, trunk.network, base.run.switch)[1]
        place = load(f"scenario={name}", *run, *SINCE_JULY.get(name, ()))
        made = prepare(place, 3, 0, cohort)
        found, shared = branch.run_from(trunks[start], made.journeys, made.network)
        expected = compiled.run(made.journeys, made.network)
        assert not differing(expected, found), f"{name}: {first_difference(expected, found, made.journeys)}"
        if not shared:
            whole.add(name)
    assert whole <= EARLIER


@pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")
def test_a_scenario_is_a_trunk_for_another() -> None:
    late = (*SMALL, "start_date=2024-09-30", "policy_start=2024-10-14")
    cohort = Cohort(4, 0)
    one, other = (load(f"scenario={name}", *late) for name in ("seven_day_working", "virtual_ward"))
    made = [prepare(place, 4, 0, cohort) for place in (one, other)]
    assert_shares(made[0], made[1], one.run.switch)
    assert_shares(made[1], made[0], one.run.switch)


# ------------------------------------------------------------------------------------------------ whole experiments


def files_of(tmp_path: Path, name: str, policy_start: str) -> dict[str, bytes]:
    run = ("place=small", "days=21", "warm_up_days=14", f"policy_start={policy_start}")
    places = {
        "base": load(*run, scenarios_dir=PLACES),
        "more": load(*run, "scenario=more_support", scenarios_dir=PLACES),
        "less": load(*run, "scenario=less_support", scenarios_dir=PLACES),
    }
    chosen = Settings(replications=11, jobs=1, out=tmp_path / name, progress=False)
    compare(places, chosen)
    return {file: (tmp_path / name / file).read_bytes() for file in ("results.parquet", "nights.parquet")}


def test_a_comparison_shares_its_beginning_where_that_pays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    took_over: list[bool] = []
    run_from = branch.run_from

    def seen(*given: Any) -> Any:
        found = run_from(*given)
        took_over.append(found[1])
        return found

    monkeypatch.setattr(branch, "run_from", seen)
    shared = files_of(tmp_path, "shared", "2024-04-11")
    assert took_over == [True] * 22  # a job has one replication of each of three
    monkeypatch.setattr(jobs, "_beginning", lambda _: "")
    assert files_of(tmp_path, "whole", "2024-04-11") == shared
    assert len(took_over) == 22
