"""Numbers set by what they are now: +3%, -10%, *1.03."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowsim import load, sweep
from flowsim.declare.composition import compose, load_scenarios
from flowsim.declare.relative import factor_of
from flowsim.place import PlaceError

pytestmark = pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")
RATE = "place.streams.emergency.rate"


@pytest.mark.parametrize(
    ("said", "times"),
    [("+3%", 1.03), ("-10%", 0.9), ("*1.03", 1.03), ("* 2", 2.0), ("+ 2.5 %", 1.025),
     ("3", None), (3, None), ("x%", None)],
)  # fmt: skip
def test_what_it_multiplies_by(said: object, times: float | None) -> None:
    assert factor_of(said) == (times if times is None else pytest.approx(times))


@pytest.mark.parametrize("said", ["+3%", "*1.03"])
def test_each_number_of_a_mapping_is_changed(said: str) -> None:
    now, then = compose().place["streams"]["emergency"], compose(f"{RATE}={said}").place["streams"]["emergency"]
    assert then["rate"] == {site: pytest.approx(1.03 * rate) for site, rate in now["rate"].items()}
    assert {k: v for k, v in then.items() if k != "rate"} == {k: v for k, v in now.items() if k != "rate"}


def test_one_number_of_it_and_a_table_with_its_source() -> None:
    assert compose(f"{RATE}.aintree=-10%").place["streams"]["emergency"]["rate"]["aintree"] == pytest.approx(216.9)
    key = "choices.care_home_resident.chance"
    now, then = (compose(*said).place["choices"]["care_home_resident"]["chance"] for said in ((), (f"place.{key}=*2",)))
    assert then == {"by": "age", "source": "ASM-38", **{k: 2 * now[k] for k in ("55-74", "75-84", "85+", "other")}}


def test_capacities_stay_whole_and_their_parts_add_up() -> None:
    place = load("place.services.reablement.capacity=+10%")
    assert place.services["reablement"].capacity == 130  # of 118
    assert sum((place.services["reablement"].by_locality or {}).values()) == 130
    assert load("place.services.acute_beds.by_site.aintree=-3%").services["acute_beds"].capacity == 1051


def test_it_changes_what_the_scenario_says_and_overrules_nothing() -> None:
    key = "place.services.discharge_to_assess_places.quota.week"
    plain = load_scenarios("scenarios=[baseline,care_home_recovery]")
    more = load_scenarios("scenarios=[baseline,care_home_recovery]", f"{key}=*2")
    assert [p.services["discharge_to_assess_places"].quota.week for p in more] == [
        2 * p.services["discharge_to_assess_places"].quota.week for p in plain
    ]
    assert not [told for place in more for told in place.scenario.notices if "counts in every scenario" in told]
    of_scenario = compose(
        "scenario=winter_severe", "scenario.winter_severe.parts.demand.place.streams.emergency.demand.bad_weeks=*1.1"
    ).place["streams"]["emergency"]["demand"]["bad_weeks"]
    assert of_scenario["week_5"] == pytest.approx(1.21)
    assert of_scenario["by"] == "bad_week"


def test_the_words_of_it_stand_above_the_report() -> None:
    said = load("place.services.reablement.capacity=+10%", f"{RATE}=+3%").scenario.settings
    assert "place.services.reablement.capacity=+10% (of 118 in the place)" in said
    assert f"{RATE}=+3%" in said


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("place.services.reablement.capacity=+10", "two ways; allowed: 10 to set it, +10% or -10% to change"),
        ("place.services.reablement.capacity=10%", "two ways; allowed: 0.1 to set it, +10% or -10% to change"),
        ("place.stages.ward.duration=+3%", "nor a mapping of numbers.*place.stages.ward.duration.lognormal"),
        ("place.stages.ward.duration.lognormal=+3%", "place.stages.ward.duration.lognormal.mean"),
        ("place.streams.emergency.hours=+3%", "no number, nor a mapping of numbers"),
        ("place.streams.emergency.title=+3%", "no number, nor a mapping of numbers"),
        ("place.services.acute_beds.cost.amount=-110%", "less than nothing"),
        ("+place.services.reablement.quota.week=+3%", "nothing yet to be changed by a part"),
        ("days=+3%", "days"),
    ],
)  # fmt: skip
def test_what_could_be_read_two_ways_or_is_no_number_is_refused(said: str, why: str) -> None:
    with pytest.raises(PlaceError, match=why.replace("+", r"\+")):
        load(said)


def test_a_sweep_takes_them_too(tmp_path: Path) -> None:
    few = ("days=14", "warm_up_days=7", "scale=0.2", "start_date=2024-09-23")
    made = sweep(f"{RATE}=+0%,+5%,*0.9", *few, replications=1, charts=False, jobs=1, out=tmp_path / "sweep")
    assert {"+0%", "+5%", "*0.9"} <= set(made.points[RATE])
