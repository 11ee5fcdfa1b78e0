"""Attributes by the date of arrival, and choices by the stay that is planned."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from acceptance import DAY, small_place

from flowsim.declare.reading import read_place
from flowsim.engine import compiled, reference
from flowsim.engine.stamps import differing
from flowsim.model.cohort import Cohort
from flowsim.model.network import build_network
from flowsim.model.plan import plan
from flowsim.model.tables import NONE, NUMBERS_A_PERSON, Journeys
from flowsim.place import FlowsimNotice, Place, PlaceError, spans_on

WINTER = ("start_date=2024-12-01", "days=70", "warm_up_days=10")  # from 21 November to 8 February
YEARLY = "+place.periods.winter={before: {from: 12-01, to: 12-23}, peak: {from: 12-24, to: 01-14}}"
WEEKS = "+place.periods.cold={weeks_from: 2024-12-09, weeks: 3}"
SHORT = "+place.choices.short={planned: {stage: ward, below: {fixed: 3, unit: days}}}"


def place_of(*overrides: str, before: tuple[str, ...] | None = None) -> Place:
    place = small_place("two_ways_out", *WINTER, *overrides)
    return (
        place if before is None else place.model_copy(update={"before": small_place("two_ways_out", *WINTER, *before)})
    )


def planned(place: Place) -> Journeys:
    cohort = Cohort(5, 0)
    return plan(place, cohort, build_network(place, cohort))


def level(journeys: Journeys, name: str) -> np.ndarray:
    """The level of an attribute of each spell, as words: (N,)."""
    return np.array([*journeys.levels[name], "none"])[journeys.attributes[name]]


def adults(journeys: Journeys) -> np.ndarray:
    """Spells that came of their own accord: (N,) bool."""
    return (journeys.spells.arrival >= 0) & (journeys.spells.initial == 0)


# --------------------------------------------------------------------------------------------------------------------
# Periods


def test_everybody_has_the_level_of_the_day_on_which_they_arrive() -> None:
    place = place_of(YEARLY, WEEKS)
    j = planned(place)
    came = adults(j)
    dates = [place.run.date_of(int(minute)) for minute in j.spells.arrival[came]]
    winter = ["before" if d < dt.date(2024, 12, 24) else "peak" for d in dates]
    winter = [
        w if dt.date(2024, 12, 1) <= d < dt.date(2025, 1, 15) else "none" for d, w in zip(dates, winter, strict=True)
    ]
    assert level(j, "winter")[came].tolist() == winter
    weeks = [(d - dt.date(2024, 12, 9)).days // 7 + 1 for d in dates]
    assert level(j, "cold")[came].tolist() == [f"week_{w}" if 1 <= w <= 3 else "none" for w in weeks]
    assert {"before", "peak", "none"} == set(winter)


def test_who_is_there_at_the_start_has_the_level_of_the_first_day() -> None:
    initial = planned(place_of(YEARLY)), planned(place_of("+place.periods.winter={autumn: {from: 11-01, to: 11-30}}"))
    for j, expected in zip(initial, ("none", "autumn"), strict=True):
        assert set(level(j, "winter")[j.spells.initial == 1]) == {expected}


def test_a_readmission_keeps_the_period_of_the_spell_before() -> None:
    j = planned(place_of(YEARLY))
    children = np.flatnonzero(j.spells.number % NUMBERS_A_PERSON == 1)
    parents = np.searchsorted(j.spells.number, j.spells.number[children] - 1)
    assert len(children) > 20
    assert (level(j, "winter")[children] == level(j, "winter")[parents]).all()


def test_a_period_alone_changes_nobodys_way() -> None:
    plain, with_periods = planned(place_of()), planned(place_of(YEARLY, WEEKS))
    assert np.array_equal(plain.spells.number, with_periods.spells.number)
    for name in vars(plain.rows):
        assert np.array_equal(getattr(plain.rows, name), getattr(with_periods.rows, name)), name


def test_demand_chances_and_stays_by_period() -> None:
    """A factor takes and leaves the same people; a scenario may bring the period along."""
    changes = (
        YEARLY,
        "place.streams.emergency.demand={winter: {by: winter, before: 1.5, peak: 0.5, other: 1}}",
        "place.choices.dies={chance: {by: winter, peak: 0, other: 0.03}}",
        "place.stages.ward.duration.lognormal.mean={by: winter, peak: 12, other: 6}",
    )
    plain, changed = planned(place_of()), planned(place_of(*changes, before=()))
    came, now = adults(plain), adults(changed)
    emergency = level(plain, "stream") == "emergency"
    dates = np.array([place_of().run.date_of(int(m)) for m in plain.spells.arrival])
    peak = (dates >= dt.date(2024, 12, 24)) & (dates < dt.date(2025, 1, 15))
    before = (dates >= dt.date(2024, 12, 1)) & (dates < dt.date(2024, 12, 24))
    stayed = np.isin(plain.spells.number, changed.spells.number)
    assert stayed[came & ~(peak & emergency)].all()
    share = stayed[came & peak & emergency].mean()
    assert 0.4 < share < 0.6
    extra = now & ~np.isin(changed.spells.number, plain.spells.number)
    assert set(level(changed, "winter")[extra]) == {"before"}
    assert 0.35 < extra.sum() / (came & before & emergency).sum() < 0.65
    in_peak = level(changed, "winter") == "peak"
    assert not (level(changed, "dies")[in_peak & now] == "yes").any()
    both = np.intersect1d(plain.spells.number[came], changed.spells.number[now & in_peak])
    stage = changed.stages.index("ward")
    for k in both[:40]:
        old, new = (ward_minutes(j, k, stage) for j in (plain, changed))
        assert old is None or abs(new - 2 * old) <= 1


def ward_minutes(journeys: Journeys, number: int, stage: int) -> int | None:
    spell = int(np.searchsorted(journeys.spells.number, number))
    rows = np.flatnonzero((journeys.rows.spell == spell) & (journeys.rows.stage == stage))
    return int(journeys.rows.duration[rows[0]]) if len(rows) else None


def test_a_day_of_each_year_and_one_of_one_year() -> None:
    leap, once = "leap: {from: 02-29, to: 02-29}", "once: {from: 2024-05-01, to: 2024-05-01}"
    place = place_of("+place.periods.p={turn: {from: 12-24, to: 01-01}, " + leap + ", " + once + "}")
    period = place.periods["p"]

    def on(date: str) -> list[str]:
        return [level for level, *_ in spans_on(period, dt.date.fromisoformat(date))]

    assert on("2023-12-24") == on("2025-01-01") == ["turn"]
    assert on("2025-01-02") == on("2024-12-23") == []
    assert on("2024-02-29") == ["leap"]
    assert on("2025-02-28") == on("2025-03-01") == []
    assert on("2024-05-01") == ["once"]
    assert on("2025-05-01") == on("2024-05-02") == []


@pytest.mark.parametrize(
    ("override", "told"),
    [
        (
            "winter={a: {from: 12-01, to: 12-23}, b: {from: 12-20, to: 01-04}}",
            "winter.b: 2024-12-20 is in 'a' and in 'b'",
        ),
        ("winter={a: {from: 12-01}}", r"winter\.a\.to: this key is needed"),
        ("winter={a: {from: 12-01, to: 2024-12-24}}", "both with a year, or both without"),
        ("winter={a: {from: 2024-12-24, to: 2024-11-30}}", "before it begins"),
        ("winter={a: {from: 13-01, to: 12-01}}", "'13-01' was given; allowed: a day that there is, such as 12-01"),
        ("winter={weeks_from: 2024-12-01, weeks: 0}", r"winter\.weeks: 0 was given; allowed: at least 1"),
        ("winter={weeks_from: 2024-12-01, week: 3}", "unknown key 'week'|weeks: this key is needed"),
        ("winter={none: {from: 12-01, to: 12-23}}", r"winter\.none: this name is taken"),
        ("pathway={a: {from: 12-01, to: 12-23}}", "this name is taken"),
        ("site={a: {from: 12-01, to: 12-23}}", "this name is taken"),
    ],
)
def test_what_is_refused_of_a_period(override: str, told: str) -> None:
    with pytest.raises(PlaceError, match=told):
        place_of(f"+place.periods.{override}")


@pytest.mark.parametrize("table", ["{by: winter, before: 1, peak: 1}", "{by: winter, july: 1, other: 1}"])
def test_a_table_by_a_period_has_an_entry_for_everybody(table: str) -> None:
    with pytest.raises(PlaceError, match=r"no entry for 'none'|a level of winter: before, peak, none"):
        place_of(YEARLY, f"+place.streams.emergency.demand.winter={table}")


def test_a_period_outside_the_run_is_told() -> None:
    with pytest.warns(FlowsimNotice, match="periods.summer: no day of the run"):
        place_of("+place.periods.summer={all: {from: 06-01, to: 06-30}}")


def test_a_place_with_periods_is_written_and_read_again() -> None:
    from flowsim.folder.configuration import plain

    place = place_of(YEARLY, WEEKS, SHORT)
    again = read_place(plain(place))
    assert (again.periods, again.choices) == (place.periods, place.choices)


# --------------------------------------------------------------------------------------------------------------------
# Planned stays


def test_a_planned_stay_is_the_stay() -> None:
    """Exactly the people whose ward row is shorter, readmissions too; and the choice moves nobody."""
    plain, j = planned(place_of()), planned(place_of(SHORT))
    assert np.array_equal(plain.rows.duration, j.rows.duration)
    ward = j.rows.stage == j.stages.index("ward")
    said = level(j, "short")[j.rows.spell[ward]] == "yes"
    assert 0.2 < said.mean() < 0.6
    assert np.array_equal(said, j.rows.duration[ward] < 3 * DAY)


def test_of_people_found_in_the_stage_the_whole_stay_counts() -> None:
    """Nobody found in a stay of exactly 20 days is short of stay, though some leave within three days."""
    caseload = "+place.services.ward.initial={now: {stage: ward, people: 60, set: {dies: 'no', pathway: pathway_1}}}"
    j = planned(place_of(caseload, SHORT, "place.stages.ward.duration={fixed: 20, lognormal: null, unit: days}"))
    here = (j.spells.initial == 1) & (j.rows.stage[j.spells.first_row] == j.stages.index("ward"))
    assert (j.rows.duration[j.spells.first_row[here]] < 3 * DAY).any()
    assert set(level(j, "short")[here]) == {"no"}


def test_demand_by_it_takes_short_stays_away_and_nobody_else() -> None:
    less = "place.streams.emergency.demand={avoided: {by: short, yes: 0.4, other: 1}}"
    all_of_them, fewer = planned(place_of(SHORT)), planned(place_of(SHORT, less))
    gone = adults(all_of_them) & ~np.isin(all_of_them.spells.number, fewer.spells.number)
    short = (level(all_of_them, "short") == "yes") & (level(all_of_them, "stream") == "emergency")
    assert set(level(all_of_them, "short")[gone]) == {"yes"}
    assert 0.5 < gone.sum() / (short & adults(all_of_them)).sum() < 0.7
    assert np.isin(fewer.spells.number[adults(fewer)], all_of_them.spells.number).all()


def test_both_engines_take_periods_and_planned_stays() -> None:
    avoided, more = "avoided: {by: short, yes: 0.4, other: 1}", "winter: {by: winter, peak: 1.4, other: 1}"
    less = "place.streams.emergency.demand={" + avoided + ", " + more + "}"
    place = place_of(YEARLY, SHORT, less)
    cohort = Cohort(5, 0)
    network = build_network(place, cohort)
    journeys = plan(place, cohort, network)
    assert not differing(reference.run(journeys, network), compiled.run(journeys, network))


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("{planned: {stage: wards, below: {fixed: 3, unit: days}}}", "planned.stage: 'wards'.*did you mean 'ward'"),
        ("{planned: {stage: ward, below: {fixed: 3}}}", "'below' takes a fixed time and its unit"),
        ("{planned: {stage: ward, below: {uniform: {low: 1, high: 2}, unit: days}}}", "'below' takes a fixed time"),
        ("{planned: {stage: ward, below: {fixed: 3, unit: days}}, chance: 0.5}", "exactly one of 'shares'"),
        ("{planned: {stage: ward, below: {fixed: {by: short, other: 3}, unit: days}}}", "what is known of a person"),
    ],
)
def test_what_is_refused_of_a_planned_stay(override: str, told: str) -> None:
    with pytest.raises(PlaceError, match=told):
        place_of(f"+place.choices.short={override}")


def test_a_planned_stay_is_asked_for_after_what_it_depends_on() -> None:
    by_later = "place.stages.ward.duration.lognormal.mean={by: frail, yes: 9, other: 5}"
    with pytest.raises(PlaceError, match=r"choices\.short\.planned\.stage: 'ward' was given.*after 'frail'"):
        place_of(SHORT, "+place.choices.frail={chance: 0.3}", by_later)
    assert place_of("+place.choices.frail={chance: 0.3}", SHORT, by_later)


def test_first_stages_may_follow_from_a_choice_without_any_demand_factor() -> None:
    j = planned(place_of("place.streams.emergency.first={by: pathway, pathway_1: ward, other: ed}"))
    came = adults(j) & (level(j, "stream") == "emergency")
    straight = j.rows.stage[j.spells.first_row[came]] == j.stages.index("ward")
    assert np.array_equal(straight, level(j, "pathway")[came] == "pathway_1")
    assert NONE not in j.spells.first_row
