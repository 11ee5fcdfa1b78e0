"""Every shipped scenario: what it says of itself, that it runs the same in both engines; and the plans' 33 rows."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from acceptance import SINCE_JULY

from flowsim.cells.replicate import Simulated, measured, simulate
from flowsim.cli import main as cli
from flowsim.declare.composition import Composition, compose, load
from flowsim.declare.evidence import read_register
from flowsim.declare.settings import DEFAULT_ENGINE
from flowsim.declare.yaml_and_csv import folders, options, read_yaml
from flowsim.engine import usable
from flowsim.measures.registry import MEASURES
from flowsim.place import Place, PlaceError
from flowsim.questions.verify import verify_engines

pytestmark = pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")
ROOT = Path(__file__).parents[1]
SCENARIOS = sorted(options("scenario"))
USERS = ("system-flow analysts", "intermediate-care groups", "winter planners", "everyone")
SMALL = ("scale=0.1", "start_date=2024-09-23", "days=28", "warm_up_days=14")
"""A tenth of Sefton in the four weeks in which the dated capacities begin."""
WINTER = (*SMALL[:1], "start_date=2024-12-02", *SMALL[2:])
"""For scenarios whose dates all lie in winter."""
STEP_UP = ("crisis_response_two_hour", "virtual_ward", "care_home_in_reach", "extended_gp_and_111")
FROM_THE_ED = ("same_day_emergency_care", "emergency_respite")


@lru_cache
def composed(name: str) -> Composition:
    return compose(f"scenario={name}")


def small(*overrides: str) -> Place:
    """A small place, in autumn or, where a scenario has dates in winter only, in winter."""
    overrides = (*overrides, *SINCE_JULY.get(overrides[0].removeprefix("scenario="), ()))
    try:
        return load(*overrides, *SMALL)
    except ValueError as error:
        if "dates in the run" not in str(error):
            raise
        return load(*overrides, *WINTER)


def run(place: Place) -> Simulated:
    return simulate(place, 1, 0, usable(DEFAULT_ENGINE))


# -- what a scenario says of itself ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_says_why_and_for_whom_and_what_is_known(name: str) -> None:
    file = composed(name).scenarios[name]
    assert file.title
    assert len(file.rationale) > 50
    assert any(user in file.for_whom.lower() for user in USERS)
    assert name in ("baseline", "all_three") or file.evidence
    assert all(part.title for part in file.parts.values())


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_number_of_a_scenario_has_a_source(name: str) -> None:
    table = composed(name).evidence()
    assert list(table[table["grade"] == ""]["key"]) == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_parts_can_be_switched_the_other_way(name: str) -> None:
    small(f"scenario={name}", *(f"{switch}={str(not active).lower()}" for switch, active in switches(name)))


def switches(name: str) -> list[tuple[str, bool]]:
    """Every switch of a scenario, and whether it is on."""
    return [
        (f"scenario.{of}.parts.{part_name}.active", part.active)
        for of, scenario in composed(name).scenarios.items()
        for part_name, part in scenario.parts.items()
    ]


def test_scenarios_are_shown_in_groups_by_user(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "scenarios"]) == 0
    told = capsys.readouterr().out
    assert [line for line in told.splitlines() if line.startswith("-- ")] == [
        f"-- For {user} --" for user in ("everyone", *sorted(USERS[:3]))
    ]
    winter = told.partition("-- For winter planners --")[2]
    assert "care_home_pressure: " in winter
    assert "home_first: " not in winter
    assert "Not for this place" not in told


# -- that it runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_engines_agree_on_a_small_place(name: str) -> None:
    verdict = next(verify_engines(small(f"scenario={name}"), seed=2, replications=1))
    assert verdict.rows > 2_000
    assert not verdict.difference


@pytest.mark.parametrize(
    "stack",
    [
        "+".join((*STEP_UP, *FROM_THE_ED)),
        "home_first+reablement_expansion+right_sized_packages",
        "transfer_of_care_hub+continuing_healthcare+discharge_to_assess",
    ],
)
def test_scenarios_stack(stack: str) -> None:
    verdict = next(verify_engines(small(f"scenario={stack}"), seed=3, replications=1))
    assert not verdict.difference


def started(done: Simulated, stage: str) -> np.ndarray:
    """The minutes at which people started in a stage."""
    here = done.journeys.rows.stage == done.journeys.stages.index(stage)
    minutes = np.asarray(done.stamps.started)[here]
    return np.sort(minutes[minutes >= 0])


AUTUMN = ("scale=0.5", "start_date=2024-09-02", "days=63", "warm_up_days=28")


@lru_cache(maxsize=1)
def things_as_they_are() -> Simulated:
    return run(load("scenario=baseline", *AUTUMN))


def people_who_started(done: Simulated, stage: str) -> np.ndarray:
    """The numbers of the spells in which it was started; a person has the same in every scenario."""
    rows = done.journeys.rows
    here = (rows.stage == done.journeys.stages.index(stage)) & (np.asarray(done.stamps.started) >= 0)
    return np.unique(done.journeys.spells.number[rows.spell[here]])


@pytest.mark.parametrize(
    ("name", "least", "instead_of"),
    [
        ("crisis_response_two_hour", {"crisis_visit": 20, "crisis_care": 15, "reablement_step_up": 1}, "ed"),
        ("virtual_ward", {"virtual_ward": 15, "virtual_ward_early": 20}, "ward"),
        ("care_home_in_reach", {"care_home_visit": 5, "television_link": 4}, "ed"),
        ("extended_gp_and_111", {"extended_gp": 15, "call_111": 30}, "ed"),
        ("same_day_emergency_care", {"same_day_instead": 70}, "ward"),
        ("emergency_respite", {"emergency_placement": 6}, "ward"),
        ("home_first", {"home_first": 15, "home_first_tapering": 10, "home_first_last_weeks": 10}, "reablement"),
        ("bridging", {"bridged": 10, "reablement_in_turn": 10, "home_from_hospital": 6}, "reablement"),
        ("care_home_pressure", {"nursing_offer": 15, "residential_offer": 15, "dementia_offer": 8}, ""),
        ("care_home_pressure", {"care_home_found_again": 10}, ""),
        ("care_home_of_60_closes", {"care_home_found_again": 3}, ""),  # a tenth of 51 people
        ("right_sized_packages", {"home_care_reviewed": 5}, ""),
        ("end_of_life", {"hospice_care": 6}, ""),
        ("home_care_market", {"home_care_found_again": 5}, ""),
    ],
)
def test_people_use_what_a_scenario_opens(name: str, least: dict[str, int], instead_of: str) -> None:
    """About half as many as today or more; and of the first stage's people fewer go where it keeps them from."""
    done = run(load(f"scenario={name}", *AUTUMN))
    for stage, number in least.items():
        assert len(started(done, stage)) >= number, stage
    if instead_of:
        people = people_who_started(done, next(iter(least)))
        before, after = (
            int(np.isin(people, people_who_started(one, instead_of)).sum()) for one in (things_as_they_are(), done)
        )
        assert before > 0.5 * len(people)
        assert after < 0.6 * before


# -- what it may not do ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*STEP_UP, *FROM_THE_ED, "home_first", "end_of_life", "transfer_of_care_hub"])
def test_a_service_brings_nobody_from_nowhere(name: str) -> None:
    before, after = (run(small(f"scenario={one}")).journeys for one in ("baseline", name))
    first = [j.spells.number[j.spells.number % 16 == 0] for j in (before, after)]
    assert np.array_equal(*first)


@pytest.mark.parametrize("name", STEP_UP)
def test_nobody_who_would_die_in_hospital_is_spared_by_going_elsewhere(name: str) -> None:
    journeys = run(small(f"scenario={name}")).journeys
    levels, attributes = journeys.levels, journeys.attributes
    called = attributes["way_in"] >= 0
    assert called.any()
    assert not (called & (attributes["dies"] == levels["dies"].index("yes"))).any()


def test_a_reviewed_package_is_smaller_than_the_same_persons_was() -> None:
    journeys = run(small("scenario=right_sized_packages")).journeys
    rows, stages = journeys.rows, journeys.stages
    first = np.flatnonzero((rows.stage == stages.index("home_care")) & (rows.next >= 0))
    first = first[rows.stage[rows.next[first]] == stages.index("home_care_reviewed")]
    smaller = rows.units[rows.next[first]] / rows.units[first]
    limits = rows.units[first] > 3.5 * 60 / 0.8  # the least package is not made smaller
    assert set(smaller[limits].round(1)) == {0.8, 1.0}


def test_a_size_is_taken_from_a_stage_that_has_one() -> None:
    with pytest.raises(PlaceError, match=r"home_care\.sized_as: 'reablement' was given; .* home_care_found_again"):
        load("place.stages.home_care.sized_as=reablement")


def test_the_stress_of_an_empty_market_puts_people_out_and_finds_them_care_again() -> None:
    done = run(load("scenario=home_care_market", "start_date=2024-09-02", "days=63", "warm_up_days=28"))
    assert len(started(done, "home_care_found_again")) >= 0.9 * len(done.network.displacement_minute)


# -- a service of one's own --------------------------------------------------------------------------------------------


def flat_block() -> str:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    told = text.partition("### A service of your own: the step-down flat")[2]
    found = re.search(r"```yaml\n(.*?)```", told, re.S)
    assert found is not None
    return found[1]


def test_a_step_down_flat_takes_one_block_and_no_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new", "place", "my_county"]) == 0
    block = yaml.safe_load(flat_block())
    (tmp_path / "scenarios" / "scenario").mkdir(exist_ok=True)
    scenario = {"title": "Step-down flats", "place": block}
    (tmp_path / "scenarios" / "scenario" / "flats.yaml").write_text(yaml.safe_dump(scenario), encoding="utf-8")
    chosen = ("place=my_county", "scenario=flats", "start_date=2024-04-01", "days=90", "warm_up_days=60")
    full = "place.services.reablement.capacity=40"  # so that people wait
    place = load(*chosen, full, scenarios_dir=tmp_path / "scenarios")

    verdict = next(verify_engines(place, seed=1, replications=1))
    assert not verdict.difference
    done = run(place)
    rows, stages, stamps = done.journeys.rows, done.journeys.stages, done.stamps
    asked = started(done, "step_down_flat")
    assert len(asked) > 10
    flat = np.flatnonzero((rows.stage == stages.index("step_down_flat")) & (stamps.accepted >= 0))
    days = [place.run.date_of(int(minute)).weekday() for minute in stamps.accepted[flat]]
    assert max(days) < 5

    in_turn = np.flatnonzero((rows.stage == stages.index("reablement_in_turn")) & (stamps.accepted >= 0))
    assert len(in_turn) > 10
    first_asked = stamps.joined[rows.since[in_turn]]
    assert (stamps.joined[in_turn] - first_asked >= 3 * 1440).all()
    assert (stamps.accepted[in_turn] >= stamps.joined[in_turn]).all()


# -- the plans' 33 rows ------------------------------------------------------------------------------------------------


def table_rows() -> list[list[str]]:
    lines = (ROOT / "docs" / "services.md").read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if re.match(r"\| \d+ \|", line)]


def test_the_setting_for_who_pays_for_care_homes_holds_before_and_after_a_scenario() -> None:
    told = re.findall(r"`'(place\.[^`]*)'`", (ROOT / "docs" / "services.md").read_text(encoding="utf-8"))
    assert len(told) == 1
    place = load("scenario=all_three", *told)
    for one in (place, place.before):
        assert one is not None
        assert one.services["care_homes"].cost.payers["person"] == 0.37  # CH-09


def test_all_rows_of_the_plans_are_there() -> None:
    assert [int(row[0]) for row in table_rows()] == list(range(1, 34))


@pytest.mark.parametrize("row", table_rows(), ids=lambda row: row[1])
def test_what_a_row_names_exists(row: list[str]) -> None:
    _, plan, mechanism, where, evidence, grade = row
    assert plan
    assert mechanism
    names = re.findall(r"`([^`]+)`", where)
    assert names
    for name in names:
        first, *rest = name.split(".")
        if first == "place":
            node = read_yaml(ROOT / "scenarios" / "place" / "sefton.yaml")
            for key in rest:
                node = node[key]
        elif first == "measure":
            assert rest[0] in MEASURES
        else:
            assert not rest or rest[0] in read_yaml(options("scenario")[first])["parts"]
    register = read_register(folders(None))
    grades = [register[one].grade for one in evidence.split(", ")]
    assert grade == max(grades)


# -- winters -----------------------------------------------------------------------------------------------------------


def of_a_winter(scenario: str) -> dict[str, float]:
    """A measure's value in all, in twelve winter weeks of one replication."""
    place = load(f"scenario={scenario}", "start_date=2026-12-01", "days=84", "warm_up_days=63")
    rows = measured(place, run(place)).results
    rows = rows[(rows["where"] == "all") & (rows["of"] == "")]
    return dict(zip(rows["measure"], rows["value"], strict=True))


def test_a_severe_winter_stands_on_an_ordinary_one_and_is_worse() -> None:
    ordinary, severe = (load(f"scenario={name}", *WINTER) for name in ("winter_normal", "winter_severe"))
    beds = ordinary.services["acute_beds"].escalation
    assert beds
    assert beds.items() <= severe.services["acute_beds"].escalation.items()
    planned = load("scenario=winter_surge_plan", *WINTER).services["acute_beds"].escalation
    assert beds.items() <= planned.items()
    assert len(planned) > len(beds)
    now, then = of_a_winter("winter_normal"), of_a_winter("winter_severe")
    assert then["boarding_hours_mean"] > now["boarding_hours_mean"] + 1
    assert then["ed_four_hour_share"] < now["ed_four_hour_share"] - 5
    assert then["acute_occupancy"] > now["acute_occupancy"]
