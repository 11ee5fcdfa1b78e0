"""Dates without a year: which year a run makes of them, and that all that comes after sees full dates."""

from __future__ import annotations

import datetime as dt
import re
import warnings
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from flowsim.cells.window import window_span
from flowsim.declare.composition import compose, load, load_scenarios
from flowsim.declare.yaml_and_csv import shipped_folder
from flowsim.folder.configuration import plain
from flowsim.place import FlowsimNotice, Place, PlaceError, Run, with_years
from flowsim.place.dates import BEGINNINGS, OF_A_SERVICE

TODAY = ("start_date=2026-11-23", "days=56", "warm_up_days=0")
DATED = (
    "winter_normal", "winter_severe", "winter_surge_plan", "dom_care_400_hours", "community_beds_new_unit",
    "care_home_pressure", "beds_to_home_shift",
)  # fmt: skip
UNDATED = ("winter_normal", "winter_severe", "winter_surge_plan")
"""They stand on periods that come back every year."""
WINTER = "services.community_beds.blocks.winter"
NEXT = "2026-12-01"
SHOCK = "rate: 1, lasts: {fixed: 9, unit: days}, closes: {add: -1}"
BLOCK = "place.services.dom_care.blocks.block_booking"


def quiet(*words: str) -> Place:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FlowsimNotice)
        return load(*words)


def told_of(*words: str) -> list[str]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", FlowsimNotice)
        load(*words)
    return [str(one.message) for one in told]


def dated(start: str, days: int = 365, **said: Any) -> dict[str, Any]:
    """The dates that a run makes of those of one block."""
    raw = {"services": {"beds": {"blocks": {"b": said}}}}
    made, _ = with_years(raw, Run(start_date=dt.date.fromisoformat(start), days=days))
    assert raw["services"]["beds"]["blocks"]["b"] == said
    blocks = made["services"]["beds"]["blocks"]
    return {key: blocks["b"][key] for key in said if key != "weeks"} if blocks else {}


# -- the rule ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("begins", "weeks"), [("11-01", 60), ("04-01", 104), ("09-01", 520), ("11-01", 52.5)])
def test_what_lasts_longer_than_a_year_has_to_say_which(begins: str, weeks: float) -> None:
    told = rf"from: '{begins} for {weeks:g} weeks' was given; allowed: from with its year, such as 2024-{begins}"
    with pytest.raises(PlaceError, match=told):
        dated("2024-09-01", **{"from": begins, "weeks": weeks})
    year = 2023 if begins > "09-01" else 2024  # 52 weeks are less than a year, and one is always under way or to come
    assert dated("2024-09-01", **{"from": begins, "weeks": 52}) == {"from": f"{year}-{begins}"}


@pytest.mark.parametrize(
    ("start", "year"),
    [("2024-04-01", 2024), ("2024-11-18", 2024), ("2024-12-09", 2024), ("2025-03-31", 2024), ("2025-04-01", 2025)],
)
def test_what_lasts_is_the_first_that_is_not_over(start: str, year: int) -> None:
    assert dated(start, **{"from": "11-18", "to": "03-31"}) == {"from": f"{year}-11-18", "to": f"{year + 1}-03-31"}


@pytest.mark.parametrize(("start", "year"), [("2024-04-01", 2024), ("2025-03-31", 2024), ("2025-04-01", 2025)])
def test_what_lasts_weeks_too(start: str, year: int) -> None:
    assert dated(start, **{"from": "10-01", "weeks": 26}) == {"from": f"{year}-10-01"}
    assert dated(start, weeks_from="10-01", weeks=26) == {"weeks_from": f"{year}-10-01"}


@pytest.mark.parametrize(("key", "said"), [("date", {}), ("from", {}), ("from", {"to": None})])
def test_what_has_no_end_is_the_first_on_or_after(key: str, said: dict[str, Any]) -> None:
    for start, found in (("2026-07-01", "2026-07-01"), ("2026-07-02", "2027-07-01"), ("2026-02-28", "2026-07-01")):
        assert dated(start, **{key: "07-01"}, **said) == {key: found, **said}


def test_an_end_alone_is_the_first_on_or_after() -> None:
    assert dated("2026-07-02", to="07-01") == {"to": "2027-07-01"}
    assert dated("2026-07-01", to="07-01") == {"to": "2026-07-01"}


def test_one_day_is_a_day() -> None:
    assert dated("2026-07-02", **{"from": "12-25", "to": "12-25"}) == {"from": "2026-12-25", "to": "2026-12-25"}
    assert dated("2026-12-26", **{"from": "12-25", "to": "12-25"}) == {"from": "2027-12-25", "to": "2027-12-25"}


def test_one_of_two_with_a_year_has_the_other_beside_it() -> None:
    assert dated("2026-06-30", **{"from": "2024-07-01", "to": "11-30"}) == {"from": "2024-07-01", "to": "2024-11-30"}
    assert dated("2026-06-30", **{"from": "07-01", "to": "2028-02-28"}) == {"from": "2027-07-01", "to": "2028-02-28"}
    assert dated("2026-06-30", **{"from": "07-01", "to": "2028-06-30"}) == {"from": "2027-07-01", "to": "2028-06-30"}


def test_full_dates_and_what_is_no_date_stay() -> None:
    for said in (
        {"from": "2024-07-01", "to": "2024-11-30"},
        {"from": 1201, "to": "soon"},
        {"from": dt.date(2024, 7, 1)},
    ):
        assert dated("2026-06-30", **said) == said


@pytest.mark.parametrize("given", ["13-45", "02-30", "02-29", "00-10"])
def test_a_day_that_not_every_year_has_is_refused(given: str) -> None:
    told = f"your setting: {BLOCK}.from: '{given}' was given; allowed: a month and a day that every year has, such as"
    with pytest.raises(PlaceError, match=f"^{re.escape(told)}"):
        load("scenario=dom_care_400_hours", f"{BLOCK}.from={given}")


def test_a_file_with_such_a_day_is_named(tmp_path: Any) -> None:
    (tmp_path / "scenario").mkdir()
    text = "title: Mine\nplace: {services: {reablement: {blocks: {b: {from: 10-01, to: 31-12, add: 5}}}}}\n"
    (tmp_path / "scenario" / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PlaceError, match=r"scenario/mine\.yaml, line 2: place\..*\.blocks\.b\.to: '31-12' was"):
        load("scenario=mine", scenarios_dir=tmp_path)


# -- wherever a place may give a date ----------------------------------------------------------------------------------


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models(inner)


def has_date(annotation: Any) -> bool:
    return annotation is dt.date or any(has_date(inner) for inner in get_args(annotation))


def dates_in(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Keys on the way to each date that a model may have."""
    for name, info in model.model_fields.items():
        key = (*path, info.alias or name)
        if has_date(info.annotation) and not list(models(info.annotation)):
            yield key
        for inner in models(info.annotation):
            if inner not in (Place, Run):
                yield from dates_in(inner, key)


def test_every_date_of_the_language_may_do_without_its_year() -> None:
    """A new kind of thing with dates has to be known to `flowsim.place.dates`."""
    sections = {("services", section) for section in OF_A_SERVICE} | {("pools", section) for section in OF_A_SERVICE}
    found = set(dates_in(Place))
    sections |= {("streams", "schedule"), ("streams", "daily")}
    assert {path[:-1] for path in found} == sections | {("moves",), ("costs",), ("periods",)}
    assert {path[-1] for path in found} == {*BEGINNINGS, "to"}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("place.services.dom_care.trend.t={share: 0.1, from: 07-01, to: 12-01}", "2026-07-01"),
        ("place.services.care_homes.displacements.d={date: 12-01, share: 0.1}", NEXT),
        ("place.services.acute_beds.escalation.e={add: 1, open_at: 2, close_at: 1, looks: '08:00', from: 12-01}", NEXT),
        (f"place.pools.ward_teams.shocks.s={{from: 12-01, {SHOCK}}}", NEXT),
        ("place.costs.c={amount: 1, per: total, payer: NHS, from: 10-01, to: 03-31}", "2026-10-01"),
        ("place.periods.p={weeks_from: 10-01, weeks: 30}", "2026-10-01"),
    ],
)  # fmt: skip
def test_anything_with_a_date(said: str, found: str) -> None:
    path = said.partition("=")[0].split(".")[1:]
    node = plain(quiet(*TODAY, f"+{said}"))
    for key in path:
        node = node[key]
    assert found in {str(node.get(key)) for key in BEGINNINGS}


def test_the_levels_of_a_period_hold_each_year() -> None:
    (level,) = quiet(*TODAY, "scenario=winter_normal").periods["season"].values()
    assert (level.from_day, level.to_day) == ("11-01", "03-31")


# -- what comes after sees full dates ----------------------------------------------------------------------------------


def test_the_shipped_scenarios_name_no_year() -> None:
    for path in (shipped_folder() / "scenario").glob("*.yaml"):
        assert not re.search(r"(from|to|date): \"?\d{4}-", path.read_text(encoding="utf-8")), path.name


@pytest.mark.parametrize("name", DATED)
def test_by_default_they_are_those_of_2024(name: str) -> None:
    changes = compose(f"scenario={name}").scenario.changes
    days = {str(change[1]) for key, change in changes.items() if key.split(".")[-1] in (*BEGINNINGS, "to")}
    full = {day for day in days if day[:2] == "20"}
    assert full
    assert all(re.fullmatch(r"2024-(0[4-9]|1\d)-\d\d|2025-0[1-4]-\d\d", day) for day in full)
    assert not [day for day in days - full if re.fullmatch(r"\d\d-\d\d", day)] or name in UNDATED


@pytest.mark.parametrize("name", [name for name in DATED if name != "beds_to_home_shift"])
def test_a_forecast_from_today_takes_every_dated_scenario(name: str) -> None:
    place = quiet(*TODAY, f"scenario={name}")
    last = {str(block.end) for service in place.kinds.values() for block in service.blocks.values()}
    assert last <= {"2027-03-31", "2027-04-01"}


def test_a_shift_with_an_end_is_under_way_and_one_without_is_to_come() -> None:
    back = "scenario.beds_to_home_shift.parts.back_in_winter.active=true"
    found = [
        (move.from_date, move.end)
        for words in ((), (back,), (back, "place.moves.beds_to_reablement.to=2027-11-30"))
        for move in [quiet("scenario=beds_to_home_shift", "start_date=2026-11-23", *words).moves["beds_to_reablement"]]
    ]
    july, december = ([dt.date(year, month, 1) for year in (2026, 2027)] for month in (7, 12))
    assert found == [(july[1], None), (july[0], december[0]), (july[1], december[1])]


def test_the_place_before_a_scenario_has_the_same_dates(tmp_path: Any) -> None:
    own = "+place.services.reablement.blocks.mine={from: 10-01, to: 01-31, add: 5}"
    place = quiet(*TODAY, own, "scenario=winter_normal")
    assert place.before is not None
    for one in (place, place.before):
        assert str(one.services["reablement"].blocks["mine"].end) == "2027-02-01"
    assert f"{WINTER}.from" not in compose(*TODAY, own, "scenario=winter_normal").scenario.changes


@pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")
def test_windows_and_comparisons_have_them_too() -> None:
    places = {
        place.scenario.name: place
        for place in load_scenarios("scenarios=[winter_severe,winter_surge_plan]", "start_date=2026-11-01", "days=200")
    }
    start = next(iter(places.values())).run.measured_from
    assert window_span("during", places) == (start + 17 * 1440, start + 150 * 1440)


# -- what is over, and what comes again --------------------------------------------------------------------------------


def test_what_is_over_while_the_rest_still_lasts_is_this_winters() -> None:
    words = ("scenario=winter_surge_plan", "start_date=2026-03-20", "days=56")
    for warm_up, has_ward in (("warm_up_days=0", False), ("warm_up_days=5", False), ("warm_up_days=6", True)):
        place = quiet(*words, warm_up)
        beds = place.services["acute_beds"]
        assert {name: str(rule.to_date) for name, rule in beds.escalation.items() if rule.to_date} == (
            {"winter_beds": "2026-03-31"} | ({"winter_ward": "2026-03-14"} if has_ward else {})
        )
        assert not beds.shocks
        assert str(place.services["reablement"].blocks["winter"].end) == "2026-03-31"
        assert place.periods["bad_week"].weeks_from == dt.date(2025, 12, 2)
        (over,) = (text for text in told_of(*words, warm_up) if " over on " in text)
        assert "escalation.winter_ward: 2025-12-01 to 2026-03-14" in over
        assert over.endswith("are over on 2026-03-20, the first day that counts")


def test_a_long_run_has_the_next_winter_and_says_what_comes_only_once() -> None:
    words = ("scenario=winter_surge_plan", "start_date=2026-03-20")
    assert str(quiet(*words).services["acute_beds"].escalation["winter_ward"].from_date) == "2026-12-01"
    (once,) = (text for text in told_of(*words) if "only once" in text)
    assert "place.services.reablement.blocks.winter: 2025-11-18 to 2026-03-30, " in once
    assert "winter_ward" not in once
    assert not [text for text in told_of("scenario=winter_surge_plan") if "only once" in text or " over on " in text]


def test_a_home_that_closed_before_the_run_puts_nobody_out_again() -> None:
    homes = quiet(*TODAY, "scenario=care_home_pressure").services["care_homes"]
    assert not homes.displacements
    assert str(homes.blocks["a_home_closes"].from_date) == "2026-10-01"


def test_what_has_nothing_to_do_with_what_is_under_way_is_refused() -> None:
    own = "+place.services.reablement.blocks.summer={from: 06-01, to: 07-31, add: 5}"
    with pytest.raises(PlaceError, match=r"blocks\.summer: '2027-06-01 to 2027-07-31' was given; allowed: dates"):
        quiet(*TODAY, own, "scenario=winter_surge_plan")


@pytest.mark.parametrize("start", ["2025-02-20", "2025-03-14", "2025-03-20", "2025-03-31", "2025-07-01", "2026-11-23"])
@pytest.mark.parametrize("name", [*DATED, "winter_surge_plan+beds_to_home_shift", "winter_severe+dom_care_400_hours"])
def test_a_run_that_is_offered_is_taken(name: str, start: str) -> None:
    """What takes another date in the run that is offered may take another offer, and no more."""
    words: tuple[str, ...] = (f"start_date={start}", "days=28")
    for _ in range(2):
        try:
            quiet(f"scenario={name}", *words, "warm_up_days=0")
            return
        except PlaceError as refused:
            words = tuple(re.findall(r"(start_date=\S+) (days=\d+) would hold them; or move", str(refused))[0])
    quiet(f"scenario={name}", *words, "warm_up_days=0")


# -- days of the run ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("start_date=1066-10-14",), r"^start_date: .*1066.* was given; allowed: a date from 1900 to 2100"),
        (("start_date=9999-12-31",), "allowed: a date from 1900 to 2100"),
        (("start_date=2100-12-01", "days=60"), "from 1872 to 2100, of which the bank holidays of GB-ENG are known"),
        (("start_date=1990-06-01", "place.bank_holidays=DE"), "from 1991 to 2100, of which the bank holidays of DE"),
    ],
)
def test_a_run_has_bank_holidays_that_are_known(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(PlaceError, match=told):
        load(*words)


def test_without_bank_holidays_any_of_those_years_will_do() -> None:
    assert load("start_date=2100-12-01", "place.bank_holidays=null").run.start_date.year == 2100
