"""From files and overrides to a place: stacking, switches, the user's last word, where numbers come from."""

import re
import warnings

import pytest

from flowsim.declare import hydra
from flowsim.declare.composition import compose, load, load_scenarios, load_settings
from flowsim.declare.overrides import sweep
from flowsim.declare.yaml_and_csv import shipped_folder
from flowsim.place import FlowsimNotice, PlaceError

PLACES = "tests/places"
BLOCK_OF_2026 = "+place.services.reablement.blocks.late={from: 2026-06-01, to: 2026-07-31, add: 5}"


def small(*overrides):
    return load("place=small", *overrides, scenarios_dir=PLACES)


def test_baseline_has_no_before():
    place = small()
    assert place.before is None
    assert place.scenario.name == "baseline"
    assert place.scenario.changes == {}


@pytest.mark.parametrize("scenario", ["baseline", "all_three", "weekend_hospital_only"])
def test_files_that_hydra_knows_only_by_name_come_out_as_if_it_had_seen_all_of_them(scenario, monkeypatch):
    by_name = compose(f"scenario={scenario}")
    hydra._composed_by_hydra.cache_clear()
    monkeypatch.setattr(hydra, "_is_plain", lambda path: False)
    seen = compose(f"scenario={scenario}")
    hydra._composed_by_hydra.cache_clear()
    assert by_name == seen
    assert list(by_name.place) == list(seen.place)


def test_hydra_is_asked_once_whatever_the_settings_and_plain_scenarios():
    hydra._composed_by_hydra.cache_clear()
    for words in (
        ("seed=1",),
        ("seed=2", "days=30"),
        ("scenario=home_first",),
        ("scenario=seven_day_working+end_of_life",),
    ):
        compose(*words)
    assert hydra._composed_by_hydra.cache_info().misses == 1
    compose("scenario=all_three")  # a stack by its list of defaults
    assert hydra._composed_by_hydra.cache_info().misses == 2
    assert compose("seed=2").settings.seed == 2
    assert compose().settings.seed == 1


def own_folder(tmp_path, config="", **files):
    """A folder of files with the `config.yaml` that is shipped and more lines of it."""
    for name, text in files.items():
        group, _, stem = name.partition("__")
        (tmp_path / group).mkdir(exist_ok=True)
        (tmp_path / group / f"{stem}.yaml").write_text(text, encoding="utf-8")
    shipped = (shipped_folder() / "config.yaml").read_text(encoding="utf-8")
    (tmp_path / "config.yaml").write_text(shipped + config, encoding="utf-8")
    return tmp_path


def test_what_config_yaml_says_of_a_scenario_counts(tmp_path):
    mine = "title: Mine\nparts: {more: {active: false, place: {services: {reablement: {capacity: 77}}}}}\n"
    said = "scenario: {mine: {parts: {more: {active: true}}}}\n"
    before = load("scenario=mine", scenarios_dir=own_folder(tmp_path, scenario__mine=mine))
    after = load("scenario=mine", scenarios_dir=own_folder(tmp_path, said, scenario__mine=mine))
    assert before.services["reablement"] == load().services["reablement"]
    assert after.services["reablement"].capacity == 77


def test_files_may_speak_of_settings_that_the_user_sets(tmp_path):
    mine = "title: Mine\nplace: {services: {reablement: {capacity: '${days}'}}}\n"
    folder = own_folder(tmp_path, scenario__mine=mine)
    for days in (99, 88):
        place = load("scenario=mine", f"days={days}", scenarios_dir=folder)
        assert place.services["reablement"].capacity == days


def test_a_scenario_is_laid_over_the_place():
    place = small("scenario=more_support")
    assert place.services["support"].capacity == 30
    assert place.services["support"].calendar == "always"
    assert place.before.services["support"].capacity == 20
    assert place.before.services["support"].calendar == "office"
    assert place.scenario.title == "More support"
    assert place.scenario.changes["services.support.capacity"] == [20, 30]


def test_parts_are_switches():
    place = small("scenario=more_support", "scenario.more_support.parts.weekends.active=false")
    assert place.services["support"].calendar == "office"
    assert place.services["support"].capacity == 30
    assert small("scenario=more_support", "scenario.more_support.parts.block.active=true").services["support"].blocks


@pytest.mark.parametrize("words", ["more_support+less_support", "[more_support,less_support]"])
def test_later_scenarios_are_on_top_and_conflicts_are_told(words):
    with pytest.warns(FlowsimNotice, match=r"place\.services\.support\.capacity is 30 .* and 10"):
        place = small(f"scenario={words}")
    assert place.services["support"].capacity == 10
    assert place.services["support"].calendar == "always"
    assert place.scenario.name == "more_support+less_support"
    with pytest.warns(FlowsimNotice):
        assert small("scenario=less_support+more_support").services["support"].capacity == 30


def test_a_stack_file_is_just_such_a_stack():
    with pytest.warns(FlowsimNotice):
        stack, by_hand = small("scenario=both"), small("scenario=more_support+less_support")
    assert stack.services == by_hand.services
    assert stack.scenario.title == "Both at once"


def test_all_three_is_its_three_scenarios():
    by_hand = load("scenario=seven_day_working+dom_care_400_hours+discharge_to_assess")
    assert load("scenario=all_three").model_copy(update={"scenario": by_hand.scenario}) == by_hand


def test_the_user_has_the_last_word_everywhere():
    with pytest.warns(FlowsimNotice, match="counts in every scenario, also in more_support, which says 30"):
        place = small("scenario=more_support", "place.services.support.capacity=7")
    assert place.services["support"].capacity == place.before.services["support"].capacity == 7


def test_the_user_may_name_what_only_the_scenario_has():
    block = "scenario.more_support.parts.block.active=true"
    place = small("scenario=more_support", block, "place.services.support.blocks.winter.add=9")
    assert place.services["support"].blocks["winter"].add == 9
    assert place.before.services["support"].blocks == {}


@pytest.mark.parametrize("place", ["{services: {reablement: {capacity: 150}}}", "{}"])
def test_the_user_may_say_all_of_what_a_scenario_does_at_once(place):
    loaded = load("scenario=weekend_hospital_only", f"scenario.weekend_hospital_only.place={place}")
    assert loaded.services["reablement"].capacity == (150 if "150" in place else load().services["reablement"].capacity)


def test_what_is_wrong_with_something_new_offers_no_name_for_a_key_that_is_known():
    closed = "+place.services.wards.shocks.outbreak={rate: 1, closes_to_new: true}"
    with pytest.raises(PlaceError, match=r"shocks\.outbreak\.lasts: this key is needed and was not given\.$"):
        small(closed)


def test_an_optional_key_needs_no_plus_and_a_new_name_does():
    assert small("place.services.support.quota.week=4").services["support"].quota.week == 4
    with pytest.raises(PlaceError, match="adds a new one"):
        small("place.calendars.nights={every_day: '20:00-22:00'}")
    assert "nights" in small("+place.calendars.nights={every_day: '20:00-22:00'}").calendars


def test_taking_away_and_lists():
    assert small("~place.services.support.calendar").services["support"].calendar == "always"
    hours = load("place.streams.emergency.hours.0=5").streams["emergency"].hours
    assert hours[0] == 5
    assert len(hours) == 24


def test_run_settings():
    place = small("start_date=2025-01-06", "days=28", "warm_up_days=7", "scale=2", "policy_start=2025-01-13")
    assert str(place.run.first_date) == "2024-12-30"
    assert place.run.horizon == 35 * 1440
    assert str(place.run.policy_start) == "2025-01-13"
    settings = load_settings("seed=7", "keep_spells=true", "engine=compiled", "place.services.x.y=1")
    assert (settings.seed, settings.keep_spells, settings.engine) == (7, True, "compiled")
    assert settings.scenarios[0] == "baseline"


def test_comparing_lets_an_override_count_where_it_can():
    overrides = ("scenarios=[baseline,more_support]", "scenario.more_support.parts.block.active=true",
                 "place.services.support.blocks.winter.add=9", "place=small")  # fmt: skip
    base, more = load_scenarios(*overrides, scenarios_dir=PLACES)
    assert base.services["support"].blocks == {}
    assert more.services["support"].blocks["winter"].add == 9
    with pytest.raises(PlaceError, match="did you mean 'winter'"):
        load_scenarios(*overrides, "place.services.support.blocks.wintr.add=9", scenarios_dir=PLACES)


def test_sweeps_as_hydra_users_expect():
    assert sweep(["scenario=a,b", "seed=1,2", "days=30"]) == [
        ("scenario=a", "seed=1", "days=30"),
        ("scenario=a", "seed=2", "days=30"),
        ("scenario=b", "seed=1", "days=30"),
        ("scenario=b", "seed=2", "days=30"),
    ]
    assert [s for (s,) in sweep(["seed=range(1,4)"])] == ["seed=1", "seed=2", "seed=3"]
    assert sweep(["scenarios=[a,b]"]) == [("scenarios=[a,b]",)]


def test_partly_outside_is_clipped_with_a_notice():
    block = ("scenario=more_support", "scenario.more_support.parts.block.active=true")
    with pytest.warns(FlowsimNotice, match="partly outside the run: only the days from"):
        small(*block, "days=200")
    with warnings.catch_warnings():
        warnings.simplefilter("error", FlowsimNotice)
        small(*block)


def test_all_that_is_clipped_is_one_notice():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", FlowsimNotice)
        load("scenario=winter_surge_plan", "start_date=2024-12-02", "days=84")
    (clipped,) = {str(one.message) for one in told if "partly outside" in str(one.message)}
    assert "place.services.reablement.blocks.winter: 2024-11-18 to 2025-03-30, place.services.dom_care" in clipped
    assert clipped.endswith("are partly outside the run: only the days from 2024-07-29 to 2025-02-23 count")


@pytest.mark.parametrize("scenario", ["winter_surge_plan", "dom_care_400_hours", "beds_to_home_shift", "winter_normal"])
@pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")
def test_the_run_that_is_offered_instead_holds_the_dates(scenario):
    words = (f"scenario={scenario}", "days=28", "warm_up_days=28")
    with pytest.raises(PlaceError, match="dates in the run, 2024-03-04 to 2024-04-28") as refused:
        load(*words)
    offered = re.search(r"\((start_date=\S+) (days=\d+) would hold them; or move", str(refused.value))
    assert load(*words, *offered.groups()).run.start_date.isoformat() == offered[1].partition("=")[2]


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        (("scenario=winter_surge_plan+dom_care_400_hours", "days=28"), 1),
        (("scenario=beds_to_home_shift", "policy_start=2024-04-01", "days=28"), 1),
        (("scenario=winter_severe", BLOCK_OF_2026), 1),
        (("scenario=winter_severe", BLOCK_OF_2026, "days=28"), 2),
    ],
)
@pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")
def test_the_run_that_is_offered_holds_all_that_has_dates(words, offers):
    """The place is read without its scenario first: what both say of dates may take two offers, never more."""
    for _ in range(offers):
        with pytest.raises(PlaceError, match="would hold them") as refused:
            load(*words)
        offered = re.search(r"\((start_date=\S+) (days=\d+) would hold them; or move", str(refused.value))
        words = (*(word for word in words if word.split("=")[0] not in ("start_date", "days")), *offered.groups())
    load(*words)


def test_a_split_that_is_taken_away_is_refused_in_a_sentence():
    with pytest.raises(PlaceError, match="reablement"):
        load("~place.services.reablement.by_locality")


def test_where_numbers_come_from():
    overrides = ("place=small", "scenario=more_support", "place.services.wards.capacity=12")
    table = compose(*overrides, scenarios_dir=PLACES).evidence().set_index("key")
    assert table.loc["place.services.wards.capacity", "source"] == "set by user"
    assert table.loc["place.services.support.capacity", ["value", "source"]].tolist() == [30, "ASM-01"]
    assert table.loc["place.choices.needs_support.chance", "grade"] == "C (assumption)"
    assert table.loc["place.stages.ward.duration.lognormal.mean", "source"] == "AC-18"
    assert table.loc["place.streams.emergencies.rate.general", "source"] == ""
    assert table.loc["place.calendars.office.weekday", "value"] == "09:00-17:00"


def test_an_own_folder_comes_before_the_shipped_one(tmp_path, monkeypatch):
    (tmp_path / "scenarios" / "scenario").mkdir(parents=True)
    mine = "title: Mine\nplace: {services: {reablement: {capacity: 77}}}\n"
    (tmp_path / "scenarios" / "scenario" / "mine.yaml").write_text(mine, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load("scenario=mine").services["reablement"].capacity == 77
    assert load("scenario=all_three").name == "sefton"


def test_a_part_of_a_capacity_set_alone_changes_the_total():
    alone = load("place.services.acute_beds.by_site.aintree=800")
    assert alone.services["acute_beds"].capacity == 1160
    both = load("place.services.acute_beds.by_site.aintree=800", "place.services.acute_beds.capacity=1200")
    assert both.services["acute_beds"].capacity == 1200


def test_a_scenario_for_another_place_says_what_this_place_has_not():
    with pytest.raises(PlaceError, match=r"place\.services\.\w+ is changed, but the place small has none"):
        load("place=small", "scenario=dom_care_400_hours", scenarios_dir=PLACES)
