"""A capacity and its parts, where one of them or both are said; and what the user says that scenarios say otherwise."""

import re
import warnings
from pathlib import Path

import pytest

from flowsim.cli import main as cli
from flowsim.declare.composition import compose, load, load_scenarios
from flowsim.declare.totals import what_follows
from flowsim.folder.catalogue import ask
from flowsim.folder.manifest import Described, Manifest
from flowsim.folder.store import Store
from flowsim.place import FlowsimNotice, PlaceError, counted
from flowsim.place.queues import capacities
from flowsim.questions.sweep import compose_sweep

REABLEMENT = "place.services.reablement"
EXPANSION = "reablement_expansion"


@pytest.fixture
def scenario(tmp_path):
    """Writes a scenario that says something of reablement, and gives the folder it stands in."""

    def write(says, name="mine", more=""):
        (tmp_path / "scenario").mkdir(exist_ok=True)
        text = f"title: {name}\nplace: {{services: {{reablement: {{{says}}}}}}}\n{more}"
        (tmp_path / "scenario" / f"{name}.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def there_is(*overrides, folder=None):
    """Capacity, South Sefton's and Southport's: as they are told, and as engines have them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FlowsimNotice)
        service = load(*overrides, scenarios_dir=folder).services["reablement"]
    parts = list(service.by_locality.values())
    assert list(capacities(service, 1.0).values())[:2] == parts
    return service.capacity, *parts


def notices(call, *arguments, **more):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", FlowsimNotice)
        made = call(*arguments, **more)
    return made, undone(str(one.message) for one in told)


def undone(told):
    """Without how totals were split, which has tests of its own."""
    return [one for one in told if " is split as " not in one and " is split in the proportion " not in one]


# -- totals and parts --------------------------------------------------------------------------------------------------

SAID = [
    # what is said of 118 = 64 + 54, and what there is then
    ({"capacity": 140}, (140, 76, 64)),
    ({"south_sefton": 84}, (138, 84, 54)),
    ({"south_sefton": 84, "southport_formby": 50}, (134, 84, 50)),
    ({"capacity": 200, "south_sefton": 84}, (200, 84, 116)),
    ({"capacity": 84, "south_sefton": 84}, (84, 84, 0)),
    ({"capacity": 134, "south_sefton": 84, "southport_formby": 50}, (134, 84, 50)),
]


@pytest.mark.parametrize(("said", "there"), SAID, ids=[str(n) for n in range(len(SAID))])
def test_what_is_said_counts_and_the_rest_follows(scenario, said, there):
    """In a file and on the command line alike."""
    keys = {name: f"by_locality.{name}" if name != "capacity" else name for name in said}
    assert there_is(*(f"{REABLEMENT}.{keys[name]}={amount}" for name, amount in said.items())) == there
    parts = ", ".join(f"{name}: {amount}" for name, amount in said.items() if name != "capacity")
    total = f"capacity: {said['capacity']}, " if "capacity" in said else ""
    folder = scenario(f"{total}{f'by_locality: {{{parts}}}' if parts else ''}")
    assert there_is("scenario=mine", folder=folder) == there


@pytest.mark.parametrize(
    ("total", "parts", "told"),
    [
        (138, {"south_sefton": 84, "southport_formby": 50}, "84 and southport_formby 50, which add up to 134, were"),
        (130, {"south_sefton": 84, "southport_formby": 50}, "parts that add up to 130, or capacity 134"),
        (80, {"south_sefton": 84}, "84 was given beside capacity 80; allowed: .* at most 80, or capacity 84 or more"),
    ],
)
def test_parts_that_contradict_their_total_are_refused(scenario, total, parts, told):
    listed = ", ".join(f"{name}: {amount}" for name, amount in parts.items())
    folder = scenario(f"capacity: {total}, by_locality: {{{listed}}}")
    words = [f"{REABLEMENT}.capacity={total}", *(f"{REABLEMENT}.by_locality.{n}={a}" for n, a in parts.items())]
    for where, overrides, own in (
        (r"\S*scenario/mine\.yaml, line 2", ["scenario=mine"], folder),
        ("your setting", words, None),
    ):
        with pytest.raises(PlaceError, match=told) as refused:
            load(*overrides, scenarios_dir=own)
        assert re.match(rf"{where}: place\.services\.reablement\.by_locality: south_sefton", str(refused.value))
        assert str(refused.value).count(". ") == 0


def test_a_place_whose_parts_do_not_add_up_is_refused(tmp_path):
    (tmp_path / "place").mkdir()
    text = Path("tests/places/place/small.yaml").read_text(encoding="utf-8")
    weights = text.replace("north: 12, south: 8", "north: 3, south: 2")
    (tmp_path / "place" / "small.yaml").write_text(weights, encoding="utf-8")
    told = r"small\.yaml, line \d+: place\.services\.support\.by_locality: north 3 and south 2"
    with pytest.raises(PlaceError, match=told):
        load("place=small", scenarios_dir=tmp_path)


def test_each_file_goes_on_from_what_the_one_before_made(scenario):
    scenario("capacity: 200", "twice")
    folder = scenario("by_locality: {south_sefton: 100}")
    assert there_is("scenario=twice+mine", folder=folder) == (192, 100, 92)  # 200 were 108 and 92
    assert there_is("scenario=twice", f"{REABLEMENT}.by_locality.south_sefton=10", folder=folder) == (102, 10, 92)


def test_nothing_keeps_the_proportion_and_counts_as_nothing(scenario, tmp_path):
    folder = scenario("capacity: 0", "closed")
    closed = load("scenario=closed", scenarios_dir=folder).services["reablement"]
    assert set(list(capacities(closed, 1.0).values())[:2]) == {0}
    assert there_is("scenario=closed", f"{REABLEMENT}.capacity=118", folder=folder) == (118, 64, 54)
    assert there_is("scenario=closed", f"{REABLEMENT}.by_locality.south_sefton=9", folder=folder) == (9, 9, 0)


def test_home_care_is_parted_to_the_minute():
    assert there_is() == (118, 64, 54)
    parts = load("place.services.dom_care.capacity=16123.5").services["dom_care"].by_locality
    assert sum(parts.values()) == pytest.approx(16123.5)
    assert all(abs(amount * 60 - round(amount * 60)) < 1e-6 for amount in parts.values())


def test_a_number_in_quotes_is_a_number(scenario):
    assert there_is("scenario=mine", folder=scenario("capacity: '140'")) == (140, 76, 64)
    assert there_is(f"{REABLEMENT}.capacity='140'") == (140, 76, 64)


def test_nothing_is_told_of_what_is_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("error", FlowsimNotice)
        for scenarios in ([f"scenario={EXPANSION}"], [f"scenarios=[baseline,{EXPANSION}]"]):
            read = load_scenarios if "[" in scenarios[0] else load
            with pytest.raises(PlaceError, match="-3 was given"):
                read(*scenarios, f"{REABLEMENT}.by_locality.south_sefton=-3")


def test_what_is_no_number_is_left_to_the_validation():
    service = {"unit": "slots", "by_locality": {"north": 3, "south": "many"}}
    for total in (5, "unlimited", True, None, -1, float("nan")):
        place = {"services": {"x": {**service, "capacity": total}}}
        assert what_follows(place, place) == {}
    assert what_follows({"services": {"x": {"capacity": 5}}}, {"services": {"x": {"capacity": 5}}, "pools": None}) == {}


def test_the_evidence_has_the_numbers_that_count(scenario):
    folder = scenario("capacity: 140")
    values = compose("scenario=mine", "place.services.community_beds.capacity=160", scenarios_dir=folder).evidence()
    values = values.set_index("key")[["value", "source"]].T.to_dict("list")
    assert values[f"{REABLEMENT}.by_locality.south_sefton"][0] == 76
    assert values["place.services.community_beds.by_locality.south_sefton"] == [92, "set by user"]


def test_settings_in_sql_are_what_is_open(tmp_path, monkeypatch):
    folder = tmp_path / "results"
    (folder / "config").mkdir(parents=True)
    store = Store(folder)
    store.write_manifest(Manifest(configuration=Described(scenarios={"old": "k"})))
    split = "x: {unit: slots, capacity: 140.0, by_locality: {a: 64.0, b: 54.0}}"
    text = f"services: {{{split}, y: {{unit: beds, capacity: 0.0, by_site: {{a: 3.0}}}}}}\n"
    (folder / "config" / "old.yaml").write_text(text, encoding="utf-8")
    found = ask(store, "select key, value from settings").set_index("key")["value"]
    assert found["place.services.x.by_locality.a"] == "76.0"
    assert found["place.services.x.by_locality.b"] == "64.0"
    assert found["place.services.y.by_site.a"] == "0.0"


# -- what the user says that scenarios say otherwise -------------------------------------------------------------------


def test_a_setting_that_undoes_a_scenario_is_told():
    words = f"{REABLEMENT}.capacity=140 counts in every scenario, also in {EXPANSION}, which says 142"
    alone = f"scenario.{EXPANSION}.parts.slots.place.services.reablement.capacity=140"
    place, told = notices(load, f"scenario={EXPANSION}", f"{REABLEMENT}.capacity=140")
    assert told == [f"{words}; {alone} would change it there alone"]
    assert undone(place.scenario.notices) == told
    (base, more), again = notices(load_scenarios, f"scenarios=[baseline,{EXPANSION}]", f"{REABLEMENT}.capacity=140")
    assert again == told
    assert (undone(base.scenario.notices), undone(more.scenario.notices)) == ([], told)
    hint, _ = notices(load_scenarios, f"scenarios=[baseline,{EXPANSION}]", alone)
    assert [one.services["reablement"].capacity for one in hint] == [118, 140]


@pytest.mark.parametrize("setting", ["capacity=142", "by_locality={south_sefton: 81, southport_formby: 61}"])
def test_a_setting_that_says_the_same_is_told_only_where_scenarios_are_compared(setting):
    """The baseline has it too, so that the scenario makes no difference."""
    _, told = notices(load, f"scenario={EXPANSION}", f"{REABLEMENT}.{setting}")
    assert told == []
    _, told = notices(load_scenarios, f"scenarios=[baseline,{EXPANSION}]", f"{REABLEMENT}.{setting}")
    (sentence,) = told
    assert f"{setting} counts in every scenario, also in {EXPANSION}, which says" in sentence
    assert "alone" not in sentence


def test_a_setting_that_no_scenario_speaks_of_is_not_told():
    _, told = notices(load_scenarios, f"scenarios=[baseline,{EXPANSION}]", f"{REABLEMENT}.quota.weekday=3")
    assert told == []


def test_of_a_key_that_is_given_twice_the_last_counts_and_is_told():
    _, told = notices(load, f"scenario={EXPANSION}", f"{REABLEMENT}.capacity=130", f"{REABLEMENT}.capacity=140")
    (sentence,) = told
    assert sentence.startswith(f"{REABLEMENT}.capacity=140 counts")


def test_all_scenarios_that_are_undone_are_told_in_one_notice(scenario):
    folder = scenario("capacity: 150")
    overrides = (f"scenarios=[baseline,{EXPANSION},mine]", f"{REABLEMENT}.capacity=140")
    _, told = notices(load_scenarios, *overrides, scenarios_dir=folder)
    (sentence,) = told
    assert sentence.endswith(f"also in {EXPANSION}, which says 142, and in mine, which says 150")


def test_parts_and_mappings_undo_a_scenario_too(scenario):
    folder = scenario("capacity: 150")  # of which South Sefton has 81
    _, told = notices(load, "scenario=mine", f"{REABLEMENT}.by_locality.south_sefton=70", scenarios_dir=folder)
    assert [one for one in told if "in mine, which says 81" in one]
    _, told = notices(
        load,
        "scenario=mine",
        f"{REABLEMENT}.by_locality={{south_sefton: 70, southport_formby: 9}}",
        scenarios_dir=folder,
    )
    assert [one for one in told if "in mine, which says 81" in one]


def test_what_only_the_scenario_has_is_set_there_without_a_word():
    block = "scenario.more_support.parts.block.active=true"
    words = ("place=small", "scenario=more_support", block, "place.services.support.blocks.winter.add=9")
    _, told = notices(load, *words, scenarios_dir="tests/places")
    assert told == []


def test_a_total_set_in_a_scenario_alone_is_parted_there():
    alone = f"scenario.{EXPANSION}.parts.slots.place.services.reablement.capacity=71"
    assert there_is(f"scenario={EXPANSION}", alone) == (71, 41, 30)  # as 142 were 81 and 61


def test_a_sweep_tells_once_what_it_varies_and_only_where_scenarios_are_compared():
    varied = f"{REABLEMENT}.capacity=100,140"
    _, told = notices(compose_sweep, [varied, f"scenario={EXPANSION}"])
    assert told == []
    (places, _), told = notices(compose_sweep, [varied], scenarios=["baseline", EXPANSION])
    assert told == [
        f"{REABLEMENT}.capacity, which is varied, counts in every scenario, also in {EXPANSION}, which says 142"
    ]
    assert undone(next(iter(places.values())).scenario.notices) == told
    beside = "place.services.community_beds.capacity=70,90"
    _, told = notices(compose_sweep, [beside, f"{REABLEMENT}.capacity=140", f"scenario={EXPANSION}"])
    assert len(told) == 1


def test_one_is_one():
    assert [counted(n, "point") for n in (0, 1, 2)] == ["0 points", "1 point", "2 points"]


def test_the_command_line_says_it_in_a_line(capsys):
    assert cli.main(["show", "services", f"scenario={EXPANSION}", f"{REABLEMENT}.capacity=140"]) == 0
    err = capsys.readouterr().err
    undo, split = err.splitlines()
    assert undo.startswith(f"Notice: {REABLEMENT}.capacity=140 counts in every scenario, also in")
    assert split.startswith(f"Notice: {REABLEMENT}.capacity=140 is split as south_sefton 80, southport_formby 60; ")


# -- how a total was split is told -------------------------------------------------------------------------------------


def told_of(*overrides: str) -> list[str]:
    return load(*overrides).scenario.notices


def test_how_a_total_of_the_users_was_split_is_told_and_can_be_typed() -> None:
    setting = "place.services.reablement.capacity=140"
    (told,) = (text for text in told_of(setting) if "is split as" in text)
    split, typed = "south_sefton 76, southport_formby 64", "{south_sefton: 76, southport_formby: 64}"
    assert told == f"{setting} is split as {split}; place.services.reablement.by_locality={typed} sets it"
    again = told.partition("; ")[2].removesuffix(" sets it")
    services = (load(*words).services["reablement"] for words in ((setting,), (again,)))
    assert len({(service.capacity, str(service.by_locality)) for service in services}) == 1
    assert not [text for text in told_of(again) if "is split as" in text]  # said as parts


def test_so_is_one_of_staff_of_a_block_and_of_a_change_by_a_part() -> None:
    ill = "+place.pools.transfer_hub.blocks.ill={from: 2024-06-03, weeks: 2, add: -4}"
    told = told_of(ill, "place.pools.transfer_hub.capacity=10", "place.services.reablement.capacity=+10%")
    assert f"{ill} is split as aintree -3, southport_ormskirk -1" in " ".join(told)
    assert "place.pools.transfer_hub.blocks.ill.split={aintree: -3, southport_ormskirk: -1} sets it" in " ".join(told)
    assert "capacity=10 is split as aintree 7, southport_ormskirk 3" in " ".join(told)
    assert "place.services.reablement.capacity=+10% is split as south_sefton 71, southport_formby 59" in " ".join(told)


def test_a_comparison_tells_it_once_and_a_sweep_the_proportion(recwarn: pytest.WarningsRecorder) -> None:
    load_scenarios("scenarios=[baseline,seven_day_working]", "place.services.reablement.capacity=140")
    assert len({str(w.message) for w in recwarn if "is split as" in str(w.message)}) == 1
    places, _ = compose_sweep(("place.services.reablement.capacity=100,140",))
    told = [text for place in places.values() for text in place.scenario.notices if "split" in text]
    assert told == [
        "place.services.reablement.capacity, which is varied, is split in the proportion there is, south_sefton 64, "
        "southport_formby 54; place.services.reablement.by_locality sets another"
    ]
