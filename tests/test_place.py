"""What may be declared of a place, and that the shipped places hold to it."""

import copy

import pytest

from flowsim.declare.composition import compose, load
from flowsim.declare.reading import read_place
from flowsim.declare.trees import overlay, resolve_likes
from flowsim.declare.yaml_and_csv import options, read_yaml, shipped_folder
from flowsim.place import Place, PlaceError, parse_hours
from flowsim.place.ways import ways_on

PLACES = "tests/places"


@pytest.fixture(scope="module")
def raw() -> dict:
    return read_yaml(options("place", PLACES)["small"]) | {"name": "small"}


def test_small_place_reads(raw):
    place = read_place(raw)
    assert isinstance(place, Place)
    assert place.services["wards"].capacity == 40
    assert place.services["wards"].split_by == "site"
    assert place.choices["needs_support"].options == ("yes", "no")


def test_yaml_words_stay_words(raw):
    """`yes:` and `weekend: closed` are words, not booleans; hours need no quotes."""
    assert raw["stages"]["ward"]["next"] == {"by": "needs_support", "yes": "support", "no": "home"}
    assert raw["calendars"]["rounds"]["weekday"] == "11:00"


def test_reading_changes_nothing(raw):
    before = copy.deepcopy(raw)
    read_place(raw)
    assert raw == before


def test_sefton_and_every_shipped_scenario_read():
    for scenario in options("scenario"):
        place = load(f"scenario={scenario}") if (shipped_folder() / "scenario" / f"{scenario}.yaml").is_file() else None
        assert place is None or place.name == "sefton"


def test_every_number_of_sefton_has_a_source():
    for scenario in ("baseline", "all_three"):
        table = compose(f"scenario={scenario}").evidence()
        unsourced = table[(table["source"] == "") | table["source"].str.contains("none given")]
        assert list(unsourced["key"]) == []
        assert set(table["grade"]) <= {"A", "B", "C", "C (assumption)"}


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("08:00-18:00", [(480, 1080)]),
        ("09:00-12:00, 13:00-24:00", [(540, 720), (780, 1440)]),
        ("11:00", [(660, 661)]),
        ("closed", []),
    ],
)
def test_hours(text, spans):
    assert parse_hours(text) == spans


def test_like_takes_what_is_not_said():
    stages = {
        "a": {
            "service": "s",
            "duration": {"lognormal": {"mean": 1, "sigma": 1}, "unit": "days"},
            "patience": {"p": {"to": "x"}},
        },
        "b": {"like": "a", "duration": {"fixed": 4}, "patience": None},
    }
    assert resolve_likes(stages)["b"] == {"service": "s", "duration": {"fixed": 4, "unit": "days"}, "patience": None}


@pytest.mark.parametrize(
    ("below", "above", "result"),
    [
        ({"a": 1, "b": {"c": 2}}, {"b": {"d": 3}}, {"a": 1, "b": {"c": 2, "d": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"by": "age", "x": 1}, {"by": "site", "y": 2}, {"by": "site", "y": 2}),
        ({"by": "age", "x": 1, "y": 2}, {"y": 3}, {"by": "age", "x": 1, "y": 3}),
        ({"by": "age", "x": 1}, 5, 5),
        ({"fixed": 1, "unit": "days"}, {"exponential": {"mean": 2}}, {"exponential": {"mean": 2}, "unit": "days"}),
    ],
)
def test_overlay(below, above, result):
    kept = copy.deepcopy(below)
    assert overlay(below, above) == result
    assert below == kept


def test_ways_on(raw):
    place = read_place(raw)
    assert ways_on(place.stages["support"]) == {"next": ["home"], "patience.recovers.to": ["home"]}


def test_a_table_need_not_speak_of_those_who_cannot_come(raw):
    """Where a choice is asked only of some people, tables about it need entries only for them."""
    changed = copy.deepcopy(raw)
    changed["streams"]["walk_in"] = {"title": "Walk in", "rate": 1, "first": "home"}
    changed["choices"]["frail"] = {"when": {"stream": "emergencies"}, "chance": {"by": "stream", "emergencies": 0.2}}
    assert read_place(changed).choices["frail"].options == ("yes", "no")
    changed["choices"]["frail"].pop("when")
    with pytest.raises(PlaceError, match="no entry for 'walk_in'"):
        read_place(changed)


def test_two_other_parameters_of_a_lognormal_replace_the_old_two():
    below = {"lognormal": {"mean": 5, "sigma": 1}, "unit": "days"}
    assert overlay(below, {"lognormal": {"mean": 6, "median": 4}}) == {
        "lognormal": {"mean": 6, "median": 4},
        "unit": "days",
    }
    assert overlay(below, {"lognormal": {"mean": 6}})["lognormal"] == {"mean": 6, "sigma": 1}
