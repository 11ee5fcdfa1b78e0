"""The national measures, harm and money, against small journeys worked out by hand; and what of them is refused."""

from __future__ import annotations

import copy
import datetime as dt
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from engine_places import HOUR, Builder, task
from presenting import in_words
from test_measures import MONDAY, Case, service

from flowsim.cli import main as cli
from flowsim.declare.composition import load
from flowsim.declare.evidence import read_register
from flowsim.declare.reading import read_place
from flowsim.declare.settings import Settings
from flowsim.declare.yaml_and_csv import folders, read_yaml
from flowsim.folder.result import Result
from flowsim.measures.history import History
from flowsim.measures.national import missing
from flowsim.measures.registry import MEASURES, NATIONAL
from flowsim.measures.who import shares
from flowsim.model.calendar import DAY
from flowsim.place import Place, PlaceError, Table
from flowsim.present import show
from flowsim.present.pages.registry import page_of
from flowsim.questions.compare import CASH, FREED, SPENT, Comparison, compare, money

PLACES = Path(__file__).parent / "places"
PEOPLE = {"population": {"adults": 1000, "aged_65_and_over": 200}}
OLD = {"by": "age", "young": 0, "old": 1}
HERE = {"here": {"title": "Here"}, "there": {"title": "There", "neighbour": True}}
A_YEAR = 365 / 10
"""Of a run of ten days."""


def stay(minutes: int, **more: Any) -> dict[str, Any]:
    return {"service": "ward", "duration": minutes, **more}


def ward_case(*spells: tuple[int, list[dict[str, Any]]], days: int = 10, **more: Any) -> Case:
    """People with rows in a ward of 100 beds, arriving at a minute each."""
    b = Builder(days=days)
    b.service("ward", 100)
    for arrival, rows in spells:
        b.spell(arrival, rows)
    return Case(b, {"ward": service("ward")}, **more)


# ---------------------------------------------------------------------------------------------------------------------
# Delay and long stays


def delayed(**more: Any) -> Case:
    """Two people, ready on day 1 at 06:00, one delayed by three days; and the same two again."""
    slow, quick = stay(30 * HOUR, before=[task(3 * DAY)]), stay(30 * HOUR)
    return ward_case((0, [slow]), (0, [quick]), (0, [slow]), (0, [quick]), **more)


def test_delayed_transfers_of_residents_per_100000() -> None:
    at = {"locality": ["here", "here", "there", "there"]}
    case = delayed(localities=HERE, attributes=at, metrics=PEOPLE)
    values = case.values()  # three nights of one resident in ten days
    assert values["dtoc_beds", "all"] == pytest.approx(3 / 10 / 1000 * 100_000)
    assert values["dtoc_days_a_month", "all"] == pytest.approx(3 / 10 * 365 / 12 * 100)
    assert values["dtoc_days_a_quarter", "all"] == pytest.approx(3 * values["dtoc_days_a_month", "all"])
    assert case.values(2 * DAY, 4 * DAY)["dtoc_beds", "all"] == pytest.approx(1 / 1000 * 100_000)
    twice = case.place.run.model_copy(update={"scale": 2.0})
    case.place = case.place.model_copy(update={"run": twice})  # twice the people live there
    assert case.values()["dtoc_beds", "all"] == pytest.approx(3 / 10 / 2000 * 100_000)


def test_days_from_discharge_ready_date() -> None:
    at = {"locality": ["here", "there", "there", "there"]}
    values = delayed(localities=HERE, attributes=at).values()
    assert values["drd_days_mean", "all"] == pytest.approx(6 / 4)
    assert values["drd_on_day_share", "all"] == 50
    assert values["drd_days_mean", "residents"] == values["delay_days_mean", "residents"] == 3
    assert values["drd_on_day_share", "residents"] == 0
    assert ("drd_days_mean", "residents") not in delayed().values()  # where there are no neighbours all are residents


def test_long_stays() -> None:
    case = ward_case((0, [stay(13 * DAY)]), (0, [stay(14 * DAY)]), (0, [stay(25 * DAY)]), (0, [stay(HOUR)]), days=40)
    values = case.values()
    assert values["los_14_plus_share", "all"] == pytest.approx(100 * 11 / (13 + 14 + 25))  # nights 14 to 24 of the 25
    assert values["los_14_plus_discharges", "all"] == pytest.approx(100 * 2 / 3)
    assert values["los_21_plus_discharges", "all"] == pytest.approx(100 / 3)


# ---------------------------------------------------------------------------------------------------------------------
# Admissions


def admissions(**metrics: Any) -> dict[tuple[str, str], float]:
    b = Builder(days=10)
    b.service("same_day", 10)
    b.service("ward", 10)
    day, night = {"service": "same_day", "duration": HOUR, "next": -1}, stay(DAY)
    b.spell(0, [night])
    b.spell(0, [day])
    b.spell(0, [{**day, "next": 1}, night])  # from same-day care to a bed: one admission
    b.spell(0, [night])
    b.spell(0, [night])
    b.spell(0, [night], initial=True)
    attributes = {
        "age": ["old", "young", "old", "old", "middle", "old"],
        "stream": ["emergency", "emergency", "emergency", "elective", "emergency", "emergency"],
        "falls": ["yes", "yes", "no", "yes", "no", "yes"],
    }
    kinds = {"same_day": service("same_day", "places"), "ward": service("ward")}
    return Case(b, kinds, attributes=attributes, metrics={**PEOPLE, **metrics}).values()


def test_emergency_admissions_by_who_counts() -> None:
    band = {"by": "age", "old": 1, "middle": 0.5, "young": 0}
    falls = {"by": "falls", "yes": 1, "no": 0}
    values = admissions(aged_65_and_over=band, falls=falls, avoidable={"times": {"all": 0.5, "falls": falls}})
    assert values["emergency_admissions_65", "all"] == pytest.approx(2.5 * A_YEAR / 200 * 100_000)
    assert values["falls_admissions_65", "all"] == pytest.approx(1 * A_YEAR / 200 * 100_000)
    assert values["avoidable_admissions", "all"] == pytest.approx(0.5 * 2 * A_YEAR / 1000 * 100_000)


def test_what_is_not_declared_is_left_out_and_said() -> None:
    values = admissions(falls={"by": "falls", "yes": 1, "other": 0})
    asked = {name for names in NATIONAL.values() for name in names}
    absent = {name for name in asked if (name, "all") not in values}
    assert absent == {
        "avoidable_admissions", "emergency_admissions_65", "falls_admissions_65", "residential_admissions_65",
        "home_at_91_days_share",
    }  # fmt: skip
    raw = small() | {"metrics": {"falls": 0.1}}
    assert missing(read_place(raw))["falls_admissions_65"] == ("population.aged_65_and_over", "aged_65_and_over")
    assert missing(load()) == {}


def test_long_term_admissions_to_care_homes() -> None:
    b = Builder(days=60)
    for name in ("ward", "homes"):
        b.service(name, 100)
    home = {"service": "homes", "duration": 50 * DAY}
    ill = {"readmission_gap": 5 * DAY, "child": [stay(DAY), home]}
    b.spell(0, [stay(DAY), home])  # new
    b.spell(0, [home])  # new, not from hospital
    b.spell(0, [stay(DAY), home])  # lives in one already
    b.spell(0, [stay(DAY, **ill), {**home, "kept_on_readmission": DAY}])  # new, goes to hospital, comes back
    b.spell(0, [home], initial=True)
    b.spell(0, [stay(DAY), home])  # elsewhere
    b.spell(0, [stay(DAY), home])  # young
    attributes = {
        "age": ["old"] * 7 + ["young"],
        "care_home_resident": ["no", "no", "yes", *["no"] * 5],
        "locality": [*["here"] * 6, "there", "here"],
    }
    kinds = {"ward": service("ward"), "homes": service("care_home")}
    case = Case(b, kinds, attributes=attributes, localities=HERE, metrics={**PEOPLE, "aged_65_and_over": OLD})
    assert case.stamps.started[case.journeys.spells.first_row[4]] >= 0  # the one who comes back was in hospital
    assert case.values()["residential_admissions_65", "all"] == pytest.approx(3 * 365 / 60 / 200 * 100_000)


def test_a_table_of_who_counts() -> None:
    case = ward_case(*[(0, [stay(DAY)])] * 3, attributes={"age": ["old", "young", "old"], "sex": ["m", "m", "f"]})
    journeys = replace(case.journeys, attributes=case.journeys.attributes | {"sex": np.array([0, -1, 1])})
    history = History(case.place, case.network, journeys, case.stamps)
    everybody = np.arange(3)

    def told(raw: Any) -> list[float]:
        return shares(history, Table(raw, float), everybody).tolist()

    assert told(0.3) == [0.3, 0.3, 0.3]
    assert told({"by": "sex", "m": 1, "f": 0.5}) == [1, 0, 0.5]  # who has no sex said does not count
    assert told({"by": "sex", "f": 0.5, "other": 0.2}) == [0.2, 0.2, 0.5]
    assert told({"by": "age", "old": {"by": "sex", "m": 0.4, "f": 0.6}, "young": 0.1}) == [0.4, 0.1, 0.6]
    assert told({"times": {"one": {"by": "age", "old": 1, "young": 0}, "two": 0.5}}) == [0.5, 0, 0.5]
    assert told({"by": "height", "tall": 1}) == [0, 0, 0]  # nobody has it


# ---------------------------------------------------------------------------------------------------------------------
# Afterwards


def test_at_home_91_days_after_discharge_into_reablement() -> None:
    b = Builder(days=200)
    for name in ("ward", "reablement", "beds", "dom_care", "homes"):
        b.service(name, 100)
    there = {"service": "reablement", "duration": 20 * DAY}
    long = 150 * DAY

    def person(*rows: dict[str, Any], at: int = 0, **ward: Any) -> None:
        b.spell(at, [stay(DAY, **ward), *rows])

    person(there)  # home
    person({**there, "duration": long})  # still in reablement: home
    person(there, {"service": "dom_care", "duration": long})  # with home care: home
    person({**there, "died": 1})  # dead
    person(there, {"service": "homes", "duration": long})  # in a care home
    person(there, {"service": "homes", "duration": 10 * DAY})  # left a care home: not home either
    person(there, readmission_gap=85 * DAY, child=[stay(30 * DAY)])  # in hospital again on day 91
    person(there, readmission_gap=50 * DAY, child=[stay(10 * DAY)])  # in hospital and home again
    person({**there, "duration": 89 * DAY}, {"service": "beds", "duration": long})  # in a community bed
    person({"service": "beds", "duration": DAY})  # not into reablement
    person(there, at=107 * DAY)  # the last that is followed
    person(there, at=108 * DAY)  # too late: not 91 days before the end
    kinds = {
        "ward": service("ward"), "reablement": service("community", "slots"), "beds": service("community"),
        "dom_care": service("home_care", "hours_a_week"), "homes": service("care_home"),
    }  # fmt: skip
    ages = {"age": ["old"] * 14}
    values = Case(b, kinds, attributes=ages, metrics={"aged_65_and_over": OLD}).values()
    assert values["home_at_91_days_share", "all"] == pytest.approx(100 * 5 / 10)
    third = {"age": [*["old"] * 3, *["middle"] * 11]}  # the first three count whole, the others by a half
    weight = {"by": "age", "old": 1, "middle": 0.5}
    values = Case(b, kinds, attributes=third, metrics={"aged_65_and_over": weight}).values()
    assert values["home_at_91_days_share", "all"] == pytest.approx(100 * (3 + 2 * 0.5) / (3 + 7 * 0.5))


def test_readmission_within_six_months() -> None:
    back = {"child": [stay(DAY)]}
    case = ward_case(
        (0, [stay(DAY, readmission_gap=182 * DAY, **back)]),
        (0, [stay(DAY, readmission_gap=182 * DAY + 1, **back)]),
        (0, [stay(DAY, readmission_gap=10 * DAY, **back)]),
        (0, [stay(DAY)]),
        days=365,
    )  # and the child of the third, on day 11, who does not come back; the other two come too late to be followed
    assert case.values()["readmission_6_month_share", "all"] == pytest.approx(100 * 2 / 5)
    assert np.isnan(case.values(0, 100 * DAY)["readmission_6_month_share", "all"])


def test_deaths_as_a_share_of_discharges() -> None:
    values = ward_case((0, [stay(DAY, died=1)]), *[(0, [stay(DAY)])] * 3, (0, [stay(9 * DAY + HOUR)]), days=9).values()
    assert values["deaths_share_of_discharges", "all"] == 25  # who has not left yet does not count


def test_deaths_expected_of_long_waits() -> None:
    b = Builder(days=10)
    b.service("ed", 100)
    b.service("ward", 100)
    for minutes in (360, 361, 480, 481, 13 * HOUR):
        b.spell(0, [{"service": "ed", "duration": minutes}, stay(HOUR)])
    b.spell(0, [{"service": "ed", "duration": 7 * HOUR}])  # goes home
    values = Case(b, {"ed": service("ed", "cubicles"), "ward": service("ward")}).values()
    expected = 2 / 82 + 2 / 72
    name = "expected_extra_deaths_of_waiting"
    assert values[name, "all"] == pytest.approx(expected)
    assert values[name, "low end of the evidence"] == pytest.approx(expected * 0.12 / 0.16)
    assert values[name, "high end of the evidence"] == pytest.approx(expected * 0.21 / 0.16)
    assert values["deaths_in_hospital", "all"] == 0  # a measure: nobody dies of it


# ---------------------------------------------------------------------------------------------------------------------
# Money


def test_a_cost_shared_between_payers() -> None:
    cost = {"amount": 100, "per": "day", "payer": {"council": 0.6, "person": 0.4}}
    b = Builder(days=10)
    b.service("homes", 1)
    b.spell(0, [{"service": "homes", "duration": 5 * DAY}])
    values = Case(b, {"homes": service("care_home", cost=cost)}).values()
    assert values["cost_total", "council"] == pytest.approx(300)
    assert values["cost_total", "person"] == pytest.approx(200)
    assert values["cost_total", "NHS"] == 0
    assert values["cost_total", "all"] == values["cost_by_service", "homes"] == pytest.approx(500)


@pytest.mark.parametrize(("per", "pounds"), [("hour_of_staff", 10 * 8 * 3), ("day", 10 * 3), ("start", 2)])
def test_staff_by_the_opening_hour_the_day_and_the_task(per: str, pounds: float) -> None:
    b = Builder(days=10)
    b.pool("hub", 3, calendar=b.calendar("office", hours=(9, 17)))
    b.service("ward", 5)
    for _ in range(2):
        b.spell(0, [stay(10 * HOUR, before=[task(30, pool="hub")])])
    hub = service("staff", "staff", capacity=3, cost={"amount": 30, "per": per, "payer": "NHS"})
    values = Case(b, {"ward": service("ward")}, pools={"hub": hub}).values()
    assert values["cost_by_service", "hub"] == pytest.approx(30 * pounds)


def line(amount: float, per: str, payer: Any = "NHS", **dates: dt.date) -> dict[str, Any]:
    return {"amount": amount, "per": per, "payer": payer, **dates}


def day(n: int) -> dt.date:
    return MONDAY + dt.timedelta(days=n)


def test_what_schemes_cost() -> None:
    lines = {
        "team": line(36500, "year"),
        "car": line(70, "week", {"NHS": 0.5, "person": 0.5}, **{"from": day(4)}),
        "booking": line(8000, "total", "council", **{"from": day(6), "to": day(13)}),
    }
    case = ward_case((0, [stay(DAY)]), costs=lines)
    values = case.values()
    assert values["cost_by_service", "team"] == pytest.approx(1000)
    assert values["cost_by_service", "car"] == pytest.approx(10 * 6)
    assert values["cost_by_service", "booking"] == pytest.approx(1000 * 4)  # four of its eight days
    assert values["cost_total", "NHS"] == pytest.approx(1000 + 5 * 6)
    assert values["cost_total", "person"] == pytest.approx(5 * 6)
    early = case.values(0, 2 * DAY)
    assert (early["cost_by_service", "car"], early["cost_by_service", "booking"]) == (0, 0)
    twice = case.place.run.model_copy(update={"scale": 2.0})
    case.place = case.place.model_copy(update={"run": twice})
    assert case.values()["cost_by_service", "team"] == pytest.approx(2 * 1000)


def test_the_lines_of_a_scenario_begin_when_it_does() -> None:
    case = ward_case((0, [stay(DAY)]), costs={"old": line(36500, "year"), "both": line(365, "year")})
    before = case.place
    run = before.run.model_copy(update={"policy_start": day(8)})
    new = ward_case((0, [stay(DAY)]), costs={"new": line(36500, "year"), "both": line(730, "year")}).place
    case.place = new.model_copy(update={"run": run, "before": before})
    values = case.values()
    assert values["cost_by_service", "old"] == pytest.approx(100 * 8)
    assert values["cost_by_service", "new"] == pytest.approx(100 * 2)
    assert values["cost_by_service", "both"] == pytest.approx(8 + 2 * 2)


def results_of(**pounds: list[dict[str, float]]) -> pd.DataFrame:
    """Tidy results: for each scenario what the council spends and what beds freed are worth in each replication."""
    rows = []
    for scenario, replications in pounds.items():
        for k, of in enumerate(replications):
            spent = {"": of["spent"], "NHS": 0.0, "council": of["spent"], "person": 0.0}
            rows += [(scenario, k, "money_spent", "all", payer, value) for payer, value in spent.items()]
            rows.append((scenario, k, "capacity_freed", "all", "", of["freed"]))
    return pd.DataFrame(rows, columns=["scenario", "replication", "measure", "where", "of", "value"])


def place_with_beds(**metrics: float) -> Place:
    b = Builder(days=1)
    b.service("beds", 1)
    return Case(b, {"beds": service("ward")}, metrics=metrics).place


def test_what_is_spent_and_what_is_freed_are_never_added_up() -> None:
    results = results_of(
        base=[{"spent": 1000, "freed": 50}, {"spent": 1200, "freed": 60}],
        more=[{"spent": 1030, "freed": 150}, {"spent": 1210, "freed": 180}],
    )
    told = money(results, {"base": place_with_beds(), "more": place_with_beds()}).set_index(["what", "payer"])
    assert list(told.loc[SPENT].index) == ["all", "NHS", "council", "person"]
    assert told.loc[(SPENT, "all"), "difference"] == told.loc[(SPENT, "council"), "difference"] == pytest.approx(20)
    assert told.loc[(SPENT, "NHS"), "change"] == "no change"
    assert told.loc[(FREED, "all"), "difference"] == pytest.approx(110)
    assert told.loc[(CASH, "all"), "difference"] == 0  # cashable 0
    half = 12.706 * np.std([30, 10], ddof=1) / np.sqrt(2)  # a t interval of two paired differences
    assert told.loc[(SPENT, "all"), "high"] == pytest.approx(20 + half, rel=1e-3)


def test_a_part_of_what_is_freed_may_be_money() -> None:
    results = results_of(base=[{"spent": 1000, "freed": 0}], more=[{"spent": 1030, "freed": 100}])
    places = {"base": place_with_beds(), "more": place_with_beds(cashable=0.25)}

    def cash(cashable: float | None) -> float:
        return float(money(results, places, cashable).set_index(["what", "payer"]).loc[(CASH, "all"), "difference"])

    assert (cash(None), cash(0.5), cash(1.0)) == (25, 50, 100)  # None: as the scenario's place says


# ---------------------------------------------------------------------------------------------------------------------
# What is told


def test_every_definition_names_evidence_that_is_there() -> None:
    register = read_register(folders())
    national = {name for names in NATIONAL.values() for name in names}
    assert national <= set(MEASURES)
    named = {name: re.findall(r"\b[A-Z]{2,3}-\d+\b", MEASURES[name].source) for name in MEASURES}
    assert all(one in register for ids in named.values() for one in ids)
    without = {name for name in national if not named[name]}
    assert without == {  # asked for by a framework, with no figure of ours to name
        "emergency_admissions_65", "los_21_plus_share", "usual_residence_share", "delay_days_mean",
        "readmission_30_day_share", "deaths_in_hospital",
    }  # fmt: skip


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """A small place whose wards cost something, and the same with fewer people and a team; two replications."""
    cost = "+place.services.wards.cost={amount: 400, per: day, payer: NHS}"
    known = "+place.metrics={population: {adults: 10000, aged_65_and_over: 2000}, aged_65_and_over: 0.6}"
    base = load("place=small", "days=28", "warm_up_days=14", cost, known, scenarios_dir=PLACES)
    fewer = "+place.streams.emergencies.demand={avoided: 0.4}"
    team = "+place.costs.team={amount: 100000, per: year, payer: NHS}"
    less = load("place=small", "days=28", "warm_up_days=14", cost, known, fewer, team, scenarios_dir=PLACES)
    out = tmp_path_factory.mktemp("compared") / "out"
    return compare({"base": base, "less": less}, Settings(replications=2, jobs=1, out=out, progress=False))


def test_the_summary_has_the_national_set_and_says_what_is_not_measured(compared: Comparison) -> None:
    sections = {section.heading: section for section in page_of(compared).sections}
    national = sections["National measures, past and present"]
    assert [row[0] for row in national.rows if row[0]] == list(NATIONAL)
    assert any("Deaths expected of long waits for a bed: low end" in row[1] for row in national.rows)
    asked = {sentence.split(";")[0] for sentence in national.sentences}
    assert f"Not measured: {MEASURES['falls_admissions_65'].title}" in asked
    assert any("metrics.avoidable." in sentence for sentence in national.sentences)
    told = {row[0] for row in sections["What is measured"].rows}
    assert MEASURES["dtoc_beds"].title in told
    assert not any(section.heading.startswith("National") for section in page_of(compared, brief=True).sections)
    alone = Result(compared.out, {"base": compared.places["base"]})
    (section,) = (s for s in page_of(alone).sections if s.heading.startswith("National"))
    assert len(section.columns) == len(section.rows[0]) == 3


def test_a_comparison_shows_money_spent_and_what_is_freed_apart(compared: Comparison) -> None:
    (section,) = (s for s in page_of(compared).sections if s.heading.startswith("What it costs"))
    assert section.columns == ("scenario", SPENT, "NHS", "council", "person", FREED, "a released bed-day", "costed")
    [row] = in_words(section)
    assert row[1] == row[2]
    assert row[1].startswith("+£7,671")  # the team, every time the same; nothing of it comes back for beds
    assert row[5].startswith("+£")
    told = compared.money().set_index(["what", "payer"])
    assert told.loc[(SPENT, "NHS"), "difference"] == pytest.approx(100_000 * 28 / 365)
    assert told.loc[(FREED, "all"), "difference"] > 0
    with pytest.raises(PlaceError, match="cashable: 2 was given; allowed: a share from 0 to 1"):
        compared.money(2)
    (brief,) = (s for s in page_of(compared, brief=True).sections if s.heading.startswith("What it costs"))
    assert brief.columns[1:4] == (SPENT, "NHS", FREED)  # payers for whom something changes


def test_show_measures_and_what_schemes_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "measures"]) == 0
    told = capsys.readouterr().out
    assert all(f"{name}: {measure.title}" in told for name, measure in MEASURES.items())
    assert cli.main(["show", "measures", "days=3"]) == 2
    capsys.readouterr()
    team = "+place.costs.team={title: The team, amount: 450000, per: year, payer: {NHS: 0.6, council: 0.4}}"
    show.show_services(load(team, "+place.pools.transfer_hub.cost={amount: 30, per: hour_of_staff, payer: NHS}"))
    told = capsys.readouterr().out
    assert "team: The team, costs: £450,000 a year, paid by: NHS (60%), council (40%)" in told
    assert "costs: £30 an opening hour of each of the staff, paid by: NHS" in told


def small() -> dict[str, Any]:
    return copy.deepcopy(read_yaml(PLACES / "place" / "small.yaml")) | {"name": "small"}


REFUSED = [
    ("costs", {"a": line(5, "month")}, "costs.a.per: 'month' was given; allowed: 'year', 'week' or 'total'"),
    ("costs", {"a": line(-5, "year")}, "costs.a.amount: -5 was given; allowed: at least 0"),
    ("costs", {"a": line(5, "total")}, "costs.a: an amount in total needs 'from' and 'to'"),
    ("costs", {"a": line(5, "year", "state")}, "'state' was given; allowed: 'NHS', 'council' or 'person' or a mapping"),
    ("costs", {"a": line(5, "year", {"NHS": 0.5, "person": 0.6})}, "add to 1.1, not to 1"),
    ("costs", {"a": line(5, "year", {"NHS": -0.5, "person": 1.5})}, "a share is negative"),
    (
        "costs",
        {"wards": line(5, "year")},
        "costs.wards: 'wards' was given; allowed: a name without '/' that no service",
    ),
    ("costs", {"a/b": line(5, "year")}, "a name without '/'"),
    ("costs", {"a": line(5, "year", **{"from": "2020-01-01", "to": "2020-01-31"})}, "allowed: dates in the run"),
    ("costs", {"a": line(5, "year", **{"from": "2024-08-01", "to": "2024-06-30"})}, "last day is 2024-06-30, before"),
    ("metrics", {"population": {"adult": 5}}, "unknown key 'adult'.*did you mean 'adults'"),
    ("metrics", {"population": {"adults": 0}}, "adults: 0 was given; allowed: more than 0"),
    ("metrics", {"falls": {"by": "needs_suport", "yes": 1, "other": 0}}, "falls.by.*did you mean 'needs_support'"),
    ("metrics", {"falls": {"by": "needs_support", "yes": 1}}, "metrics.falls: this table .* no entry for 'no'"),
    ("metrics", {"falls": 1.5}, "metrics.falls: 1.5 was given; allowed: a share from 0 to 1"),
    ("metrics", {"cashable": 2}, "metrics.cashable: 2 was given; allowed: at most 1"),
    ("metrics", {"avoidble": 0.1}, "unknown key 'avoidble'.*did you mean 'avoidable'"),
]


@pytest.mark.parametrize(("key", "value", "sentence"), REFUSED)
def test_what_is_refused(key: str, value: Any, sentence: str) -> None:
    with pytest.raises(PlaceError, match=sentence):
        read_place(small() | {key: value})


@pytest.mark.parametrize(
    ("kind", "name", "per", "allowed"),
    [("services", "support", "hour_of_staff", "for slots: day, start"),
     ("pools", "social_workers", "hour_of_care", "for staff: day, start, hour_of_staff")],
)  # fmt: skip
def test_hours_of_staff_are_of_staff(kind: str, name: str, per: str, allowed: str) -> None:
    raw = small()
    raw[kind][name]["cost"] = {"amount": 3, "per": per, "payer": "NHS"}
    with pytest.raises(PlaceError, match=f"cost.per: '{per}' was given; allowed: {allowed}"):
        read_place(raw)
