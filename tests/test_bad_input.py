"""Everything of a configuration that is refused: before anything runs, exit code 2, one sentence that helps."""

import copy
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from acceptance import small_place

import flowsim
from flowsim.cli import main as cli
from flowsim.declare.composition import compose, load, load_settings
from flowsim.declare.overrides import sweep
from flowsim.declare.reading import read_place
from flowsim.declare.trees import overlay
from flowsim.declare.yaml_and_csv import read_yaml
from flowsim.place import PlaceError

ROOT = Path(__file__).parents[1]
PLACES = ROOT / "tests" / "places"


@pytest.fixture
def raw():
    return copy.deepcopy(read_yaml(PLACES / "place" / "small.yaml")) | {"name": "small"}


def put(tree, key, value):
    """Set a dotted key; the value None takes it away."""
    *path, last = key.split(".")
    for part in path:
        tree = tree.setdefault(part, {})
    if value is None:
        del tree[last]
    else:
        tree[last] = value


SERVICE = {"title": "Extra", "role": "community", "unit": "beds", "capacity": 5}
STAGE = {"service": "support", "duration": {"fixed": 1, "unit": "days"}, "next": "leave"}

IN_A_PLACE = [
    # key, value, what the sentence says
    ("services.wards.capcity", 3, "unknown key 'capcity'.*did you mean 'capacity'"),
    ("services.wards.capacity", -3, "-3 was given; allowed: at least 0"),
    ("services.wards.capacity", 1e12, r"1000000000000\.0 was given; allowed: .*at most 1e\+07"),
    ("services.wards.capacity", True, "True was given; True is neither a number"),
    ("services.wards.capacity", "many", "'many' was given"),
    ("services.wards.capacity", None, r"services\.wards\.capacity: this key is needed"),
    ("services.wards.by_site", {"generol": 1}, "by_site: 'generol' was given.*did you mean 'general'"),
    ("services.support.by_locality", {"north": 20}, "the locality 'south' has no part"),
    ("services.support.neighbours", {"south": 3}, "in by_locality too"),
    ("services.support.calendar", "offise", r"support\.calendar: 'offise' was given.*did you mean 'office'"),
    ("services.support.role", "comunity", "'comunity' was given.*did you mean 'community'"),
    ("services.social_workers", SERVICE, "this name is taken"),
    ("services.north/south", SERVICE, "without '/'"),
    ("services.support.cost", {"amount": 3, "per": "hour_of_care", "payer": "NHS"}, "for slots: day, start"),
    ("pools.social_workers.cost", {"amount": 3, "per": "hour_of_care", "payer": "NHS"}, "for staff: day, start, hour_"),
    ("localities.south.neighbour", True, r"social_workers\.by_locality\.south.*is a neighbour"),
    ("services.support", {**SERVICE, "by_locality": {"north": 3}, "neighbours": {"south": 3}}, "is no neighbour"),
    ("services.support.initial", {"x": {"stage": "support", "people": -1}}, "-1 was given; allowed: .*at least 0"),
    ("services.support.initial", {"x": {"stage": "ward", "utilisation": 0.5}}, "allowed: a stage in support"),
    ("services.home.initial", {"x": {"stage": "home", "utilisation": 0.5}}, "an unlimited service"),
    ("services.support.blocks", {"b": {"from": "2030-01-01", "weeks": 3, "add": 5}}, "2030-01-21.*dates in the run"),
    ("services.support.blocks", {"b": {"from": "2024-06-01", "add": 5}}, "either 'to' or 'weeks'"),
    ("services.support.blocks", {"b": {"from": "2024-06-01", "weeks": 0.05, "add": 5}}, "0.05 weeks are no whole day"),
    *(
        ("services.support.blocks", {"b": {"from": "2024-06-01", "weeks": 1, "add": 5, "split": split}}, "the split")
        for split in ({"north": -1, "south": 2}, {"north": 0, "south": 0}, {})
    ),
    ("services.support.blocks", {"b": {"from": "2024-06-31", "weeks": 1, "add": 5}}, "a date such as"),
    ("services.support.displacements", {"d": {"date": "2024-06-31", "share": 0.5}}, "a date such as"),
    ("services.support.displacements", {"d": {"date": "2024-06-30", "share": 0.5}}, "'leave'"),
    ("services.support.escalation", {"e": {"add": 5, "open_at": 3, "close_at": 3, "looks": "08:00"}}, "not below 3"),
    *(
        (
            "services.support.escalation",
            {"e": {"add": 5, "open_at": 3, "close_at": 1, "looks": looks}},
            "is not times of the day",
        )
        for looks in ("closed", "08:00-12:00", "08:00, 12:00-13:00")
    ),
    ("run.policy_start", "2020-01-01", "policy_start: '2020-01-01' was given; allowed: a date in the run"),
    ("run.scale", 0, "0 was given; allowed: more than 0"),
    ("calendars.office", {"weekday": "closed"}, "this calendar never opens"),
    ("calendars.office.weekday", 1020, "put it in quotes"),
    ("calendars.office.weekday", "17:00-09:00", "does not run forward"),
    ("calendars.office.weekday", "9 to 5", "is not a time"),
    ("calendars.always", {"every_day": "00:00-24:00"}, "this name is taken"),
    ("bank_holidays", "XX-YY", "a country, or country and part"),
    ("streams", {}, "nobody comes"),
    ("streams.emergencies.rate", {"generall": 5}, "did you mean 'general'"),
    ("streams.emergencies.rate", {"general": -5}, "a rate is negative"),
    ("streams.emergencies.rate", {"general": float("nan")}, "finite number"),
    ("streams.emergencies.at_start", -5, "-5 was given; allowed: .*at least 0"),
    ("streams.emergencies.at_start", {"general": -5}, "-5 was given; allowed: at least 0"),
    ("streams.emergencies.first", "wrad", "first: 'wrad' was given.*did you mean 'ward'"),
    ("streams.emergencies.demand", {"more": 4}, "a factor from 0 to 3"),
    ("streams.emergencies.hours", [1, 2, 3], "24 entries"),
    ("streams.emergencies.set", {"age": "old"}, "'age' was given; allowed: an attribute"),
    ("choices.locality.shares", {"north": 0.6, "south": 0.3}, "add to 0.9, not to 1"),
    ("choices.locality.shares", {"north": 1.2, "south": -0.2}, "a share is negative"),
    ("choices.locality.shares", {"north": 0.5, "sowth": 0.5}, "did you mean 'south'"),
    ("choices.needs_support.chance", 1.5, "a number from 0 to 1"),
    ("choices.needs_support.chance", {"by": "needs_help", "yes": 1}, "'needs_help' was given; allowed: what is known"),
    ("choices.needs_support.chance", {"by": "locality", "north": 1}, "no entry for 'south'"),
    ("choices.needs_support.chance", {"by": "locality", "north": 1, "soth": 1, "other": 0}, "did you mean 'south'"),
    ("choices.needs_support.when", {"localty": "north"}, "did you mean 'locality'"),
    ("choices.needs_support.when", {"locality": "nroth"}, "did you mean 'north'"),
    ("choices.needs_support.shares", {"yes": 1}, "exactly one of 'shares', 'chance' and 'planned'"),
    ("stages.ward.service", "words", "a service: .*did you mean 'wards'"),
    ("stages.ward.service", None, r"ward\.service: this key is needed"),
    ("stages.ward.next", None, r"ward\.next: this key is needed"),
    ("stages.ward.next", "suport", "next: 'suport' was given; allowed: a stage or 'leave'.*did you mean 'support'"),
    ("stages.ward.next", {"by": "needs_support", "yes": "support"}, "no entry for 'no'"),
    ("stages.ward.duration", {"fixed": 3}, r"duration\.unit: this key is needed"),
    ("stages.ward.duration", {"fixed": -3, "unit": "days"}, "-3 is negative"),
    ("stages.ward.duration", {"lognormal": {"mean": 3}, "unit": "days"}, "a lognormal takes"),
    ("stages.ward.duration", {"lognormal": {"mean": 0, "sigma": 1}, "unit": "days"}, "a mean or median above 0"),
    ("stages.ward.duration", {"lognormal": {"mean": 2, "median": 3}, "unit": "days"}, "a median up to the mean"),
    ("stages.ward.duration", {"uniform": {"low": 4, "high": 2}, "unit": "days"}, "low up to high"),
    (
        "stages.ward.duration",
        {"lognormal": {"mean": {"by": "locality", "north": 9, "south": 2}, "median": 3}, "unit": "days"},
        "3 and 2.*a median up to the mean",
    ),
    (
        "stages.ward.duration",
        {
            "lognormal": {
                "mean": {"times": {"base": 4, "more": {"by": "needs_support", "yes": 1, "no": 0.5}}},
                "median": {"by": "locality", "north": 1, "other": 3},
            },
            "unit": "days",
        },
        "3 and 2.*a median up to the mean",
    ),
    (
        "stages.ward.duration",
        {"uniform": {"low": {"by": "locality", "north": 1, "other": 4}, "high": 2}, "unit": "days"},
        "4 and 2.*low up to high",
    ),
    (
        "stages.ward.duration",
        {"exponential": {"mean": {"by": "locality", "north": 1, "other": 0}}, "unit": "days"},
        "a mean or median above 0",
    ),
    ("stages.ward.duration", {"fixed": 1, "exponential": {"mean": 2}, "unit": "days"}, "exactly one of"),
    ("stages.ward.duration.unit", "fortnights", "'fortnights' was given; allowed: 'minutes'"),
    ("stages.ward.dies", "needs_suport", "a choice of yes or no.*did you mean 'needs_support'"),
    ("stages.ward.before.assessment.pool", "social_worker", "did you mean 'social_workers'"),
    ("stages.ward.before.assessment.calendar", "ofice", "did you mean 'office'"),
    ("stages.ward.before.round.calendar", "always", "waits for a clock and needs a calendar"),
    ("stages.ward.unfit", {"after": {"fixed": 3, "unit": "days"}, "to": "home"}, "another stage in wards"),
    ("stages.ward.keep", "ward", "a stage that follows ward"),
    ("stages.ward.since", "home", "a stage that leads to ward"),
    ("stages.ward.like", "wrad", "did you mean 'ward'"),
    ("stages.ward.like", "ward", "no circle of likes"),
    ("stages.ward.like", {"north": 2}, "a stage: .*ward"),
    ("stages.support.patience.recovers.to", "hoome", "did you mean 'home'"),
    ("stages.support.patience.recovers", {"to": "home"}, "either 'after', or a 'clock', or both, or else 'try_now"),
    ("stages.support.patience.recovers", {"to": "home", "try_now": True, "clock": "rounds"}, "or else 'try_now: true'"),
    ("stages.support.patience.recovers", {"to": "home", "clock": "always"}, "a clock, which cannot be open always"),
    ("stages.support.patience.recovers.clock", "runds", "a calendar:.*did you mean 'rounds'"),
    ("stages.support.patience.recovers.clock", {"by": "locality", "north": "rounds"}, "no entry for"),
    ("stages.support.patience.recovers.calendar", "rounds", "unknown key 'calendar'; allowed: after, clock,"),
    ("stages.support.patience.closes", {"to": "home", "clock": "rounds"}, "'recovers' and 'closes' may both be some"),
    ("streams.emergencies.rate", 1e9, "allowed: .*at most 100000"),
    ("services.support.quota", {"saturday": 1e30}, r"allowed: at most 1e\+07"),
    ("stages.support.next", "ward", r"(ward -> support -> ward|support -> ward -> support).*a way that ends"),
    ("stages.home.next", "home", "home -> home.*enters no stage twice"),
    ("nonsense", 1, "unknown key 'nonsense'"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "told"), IN_A_PLACE, ids=[f"{k}-{n}" for n, (k, *_) in enumerate(IN_A_PLACE)])
def test_refused_in_a_place(raw, key, value, told):
    put(raw, key, value)
    with pytest.raises(PlaceError) as refused:
        read_place(raw, "small.yaml")
    sentence = str(refused.value)
    assert re.search(told, sentence), sentence
    assert sentence.startswith("small.yaml: ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_reasons_that_nobody_has_both_of_or_with_one_clock(raw):
    patience = raw["stages"]["support"]["patience"]
    after = {"after": {"fixed": 3, "unit": "days"}}
    patience["recovers"]["when"] = {"locality": "north"}
    patience["closes"] = {"to": "home", "clock": "rounds", "when": {"locality": ["south"]}}
    read_place(raw)
    patience["closes"]["when"] = {"needs_support": "yes"}
    with pytest.raises(PlaceError, match=r"patience: 'recovers' and 'closes' may both.*the same 'clock' in both, or a"):
        read_place(raw)
    patience["recovers"]["clock"] = "rounds"
    read_place(raw)
    patience["earlier"] = {"to": "leave", "clock": "office", "when": {"locality": ["north", "south"]}, **after}
    with pytest.raises(PlaceError, match="'recovers' and 'earlier'"):
        read_place(raw)


def test_a_mean_and_a_median_that_fit_level_by_level(raw):
    by_locality = {
        "mean": {"by": "locality", "north": 9, "south": 2},
        "median": {"by": "locality", "north": 6, "south": 1},
    }
    raw["stages"]["ward"]["duration"] = {"lognormal": by_locality, "unit": "days"}
    read_place(raw)
    raw["choices"]["needs_support"]["when"] = {"locality": "north"}
    by_locality["mean"]["north"] = {"by": "needs_support", "yes": 9, "no": 8}
    by_locality["median"] = {"by": "needs_support", "yes": {"by": "locality", "north": 7}, "other": 1}
    read_place(raw)


SCENARIOS = [
    # what a scenario says of the place, what the sentence says
    *(
        (f"streams: {{emergencies: {{{key}: {value}}}}}", rf"emergencies\.{key}: a scenario changed this.*'rate'")
        for key, value in {
            "hours": [0] * 23 + [1], "weekdays": [1, 1, 1, 1, 1, 0, 0], "months": [1] * 11 + [0],
            "arrivals": "regular", "at_start": "{general: 3}",
        }.items()
    ),
    ("streams: {emergencies: {per: week, rate: {general: 35}}}", r"streams\.emergencies\.per: a scenario changed this"),
    ("stages: {ward: {next: home}, support: null}", r"stages\.support: a scenario took this away"),
    ("choices: {needs_support: null}, stages: {ward: {before: {assessment: null}, next: support}}", r"choices\.needs_"),
    ("services: {support: null}, stages: {support: {service: home}}", r"services\.support: a scenario took this away"),
    ("pools: {social_workers: null}, stages: {ward: {before: {assessment: null}}}", r"pools\.social_workers: a scen"),
    ("calendars: {rounds: null}, stages: {ward: {before: {round: null}}}", r"calendars\.rounds: a scenario took"),
    ("services: {support: {by_locality: null}}", r"services\.support: 'by nothing' was given; allowed: by locality"),
]  # fmt: skip


@pytest.mark.parametrize(("says", "told"), SCENARIOS, ids=[str(n) for n in range(len(SCENARIOS))])
def test_refused_in_a_scenario(tmp_path, says, told):
    """People who came before the scenario starts need what it would take away, and are the same whatever it says."""
    for folder in ("place", "scenario"):
        (tmp_path / folder).mkdir()
    small = (PLACES / "place" / "small.yaml").read_text(encoding="utf-8")
    (tmp_path / "place" / "small.yaml").write_text(small, encoding="utf-8")
    (tmp_path / "scenario" / "bad.yaml").write_text(f"title: Bad\nplace: {{{says}}}\n", encoding="utf-8")
    with pytest.raises(PlaceError) as refused:
        load("place=small", "scenario=bad", scenarios_dir=tmp_path)
    assert re.search(told, str(refused.value)), str(refused.value)
    assert "\n" not in str(refused.value)


def test_services_that_hold_for_each_other(raw):
    """Two services whose people want each other's place, and nobody ever gives up."""
    raw["stages"]["support"].pop("patience")
    raw["stages"]["support"]["next"] = "ward_again"
    raw["stages"]["ward_again"] = {"service": "wards", "duration": {"fixed": 1, "unit": "days"}, "next": "leave"}
    with pytest.raises(
        PlaceError, match=r"hold for each other in a circle.*ward -> support.*allowed: a circle with patience"
    ):
        read_place(raw)
    with_hold = copy.deepcopy(raw)
    with_hold["stages"]["support"]["hold"] = False
    read_place(with_hold)
    raw["stages"]["ward_again"]["patience"] = {"gives_up": {"after": {"fixed": 1, "unit": "days"}, "to": "leave"}}
    read_place(raw)
    del raw["stages"]["ward_again"]["patience"]
    raw["services"]["wards"]["role"] = "ed"
    read_place(raw)


OVERRIDES = [
    (("place=smal",), "place: 'smal' was given; .*did you mean 'small'"),
    (("scenario=more_suport",), "scenario: 'more_suport' was given; .*did you mean 'more_support'"),
    (("scenario=baseline+nope",), "scenario: 'nope' was given"),
    (("place.services.suport.capacity=3",), "there is no 'suport'.*did you mean 'support'"),
    (("place.services.support.capcity=3",), "did you mean 'capacity'"),
    (("place.services.support.capacity=-3",), r"^your setting: place\.services\.support\.capacity: -3 was given"),
    (("place.services.support.capacity.x=3",), "there is nothing below it"),
    (("place.services.support.capacity=1,2",), "one value, or `flowsim run -m`"),
    (("+place.services.suport.capacity=3",), "did you mean 'support'"),
    (("scenario=more_support", "scenario.more_support.parts.weekend.active=false"), "did you mean 'weekends'"),
    (("scenario=more_support", "scenario.more_support.parts.weekends.active=maybe"), "allowed: true or false"),
    (("scenario.more_support.parts.weekends.active=false",), "this scenario takes no part here"),
    (
        ("+place.services.support.cost={amount: 3, per: day, payer: NHS, source: ASM-9999}",),
        r"^your setting: place\.services\.support\.cost\.source: 'ASM-9999' was given; allowed: an id of the evidence",
    ),
    (("+place.published={x: [ASM-9999]}",), r"^your setting: place\.published\.x: 'ASM-9999' was given"),
    (("dayz=3",), "did you mean 'days'"),
    (("days=0",), "days: 0 was given; allowed: at least 1"),
    (("days=2.5",), r"days: 2\.5 was given; allowed: a whole number from 1 to 3660\."),
    (("warm_up_days=7", "census=x.csv"), "^census=x.csv and warm_up_days=7 were given; allowed: warm_up_days=0"),
    (("scenario=more_support+more_support",), "'more_support\\+more_support' was given; allowed: each only once"),
    (("scenario=[more_support,more_support]",), "'more_support\\+more_support' was given; allowed: each only once"),
    (("scenario=MORE_SUPPORT",), "'MORE_SUPPORT' was given; .*did you mean 'more_support'"),
    (("start_date=2024-02-30",), "start_date: '2024-02-30' was given; allowed: a date"),
    (("policy_start=2020-01-01",), "^policy_start: '2020-01-01' was given; allowed: a date in the run"),
    (("scale=-1",), "scale: -1 was given; allowed: more than 0"),
    (("engine=fast",), "engine: 'fast' was given; allowed: 'compiled' or 'reference'"),
    (("replications=0",), "replications: 0 was given; allowed: at least 1"),
    (("seed=one",), "seed: 'one' was given; allowed: a whole number"),
    (("hydra.run.dir=x",), "hydra.run.dir"),
    (("place.title=a&b",), "place.title: 'a&b' was given.* the value in single quotes inside: \"place.title='a&b'\""),
    (("place.title=O'N",), r"the value in single quotes inside: \"place\.title='O\\'N'\""),
    (("place.title={a: 3",), r"allowed: \[a, b\] or \{key: value\}, each bracket closed"),
    (("=3",), "^'=3' was given; allowed: key=value"),
    (("a b=3",), "allowed: key=value"),
    (("days",), "allowed: key=value"),
    (("days@x=3",), "key=value"),
]


@pytest.mark.parametrize(("overrides", "told"), OVERRIDES, ids=[" ".join(o) for o, _ in OVERRIDES])
def test_refused_overrides(overrides, told):
    with pytest.raises(PlaceError) as refused:
        load(*(overrides if overrides[0].startswith("place=") else ("place=small", *overrides)), scenarios_dir=PLACES)
    assert re.search(told, str(refused.value)), str(refused.value)
    assert "\n" not in str(refused.value)


FILES = [
    (
        "scenario/bad.yaml",
        "title: Bad\nplase: {}\n",
        r"scenario/bad\.yaml, line 2: scenario\.bad\.plase: unknown key.*did you mean 'place'",
    ),
    (
        "scenario/bad.yaml",
        "titel: Bad\n",
        r"scenario/bad\.yaml, line 1: scenario\.bad\.titel: unknown key 'titel'; .*did you mean 'title'",
    ),
    ("scenario/bad.yaml", "rationale: none\n", r"scenario/bad\.yaml: scenario\.bad\.title: this key is needed"),
    ("scenario/bad.yaml", "title: a\ntitle: b\n", r"bad\.yaml, line 2: .*the key 'title' is given twice"),
    ("scenario/bad.yaml", "title: [a\n", r"bad\.yaml, line \d: this is not YAML"),
    ("scenario/bad.yaml", "just words\n", r"bad\.yaml: a str was given; allowed: a mapping"),
    ("scenario/bad.yaml", "defaults: [nowhere]\ntitle: a\n", "nowhere"),
    (
        "scenario/bad.yaml",
        "title: Bad\nplace: {services: {suport: {capacity: 3}}}\n",
        r"scenario/bad\.yaml, line 2: place\.services\.suport\.title: this key is needed.*did you mean 'support'",
    ),
    (
        "scenario/bad.yaml",
        "title: Bad\nplace: {services: {support: {capacity: -3}}}\n",
        r"scenario/bad\.yaml, line 2: place\.services\.support\.capacity: -3 was given",
    ),
    (
        "scenario/bad.yaml",
        "title: Bad\nplace: {services: {support: {capacity: 3, source: ASM-1}}}\n",
        r"scenario/bad\.yaml, line 2: place\.services\.support\.source: 'ASM-1' was given.*did you mean 'ASM-",
    ),
    (
        "scenario/bad.yaml",
        "title: Bad\nevidence: {NO-99: so it is}\n",
        r"scenario/bad\.yaml, line 2: scenario\.bad\.evidence: 'NO-99'",
    ),
]


@pytest.mark.parametrize(("file", "text", "told"), FILES, ids=[str(n) for n in range(len(FILES))])
def test_refused_files(tmp_path, file, text, told):
    (tmp_path / "place").mkdir()
    (tmp_path / "scenario").mkdir()
    small = (PLACES / "place" / "small.yaml").read_text(encoding="utf-8")
    (tmp_path / "place" / "small.yaml").write_text(small, encoding="utf-8")
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(PlaceError) as refused:
        load("place=small", "scenario=bad", scenarios_dir=tmp_path)
    assert re.search(told, str(refused.value)), str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_source_that_is_not_in_the_evidence(tmp_path, raw):
    (tmp_path / "place").mkdir()
    raw["choices"]["needs_support"]["source"] = "AC-9999"
    (tmp_path / "place" / "mine.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(
        PlaceError, match=r"mine\.yaml, line \d+: place\.choices\.needs_support\.source: 'AC-9999' was given.*mean 'AC-"
    ):
        load("place=mine", scenarios_dir=tmp_path)


def test_published_evidence_that_is_not_there(tmp_path, raw):
    (tmp_path / "place").mkdir()
    raw["published"] = {"discharges_weekday_index": ["AC-18", "AC-9999"]}
    (tmp_path / "place" / "mine.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    told = r"mine\.yaml, line \d+: place\.published\.discharges_weekday_index: 'AC-9999' was given.*mean 'AC-"
    with pytest.raises(PlaceError, match=told):
        load("place=mine", scenarios_dir=tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"title: [a\n", r"broken\.yaml, line \d: this is not YAML"),
        (b"title: Caf\xe9\n", r"broken\.yaml: this is not YAML"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_refused(content, told, tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(PlaceError, match=told):
        flowsim.run(str(path))


COMMANDS = [
    ("nun",),
    ("run", "sedd=1"),
    ("run", "seed=1,2"),
    ("run", "word"),
    ("run", "-x"),
    ("run", "scenario=nope"),
    ("run", "scenarios=[baseline]"),
    ("run", "config=nowhere.yaml"),
    ("run", "place.services.reablement.capacity=-1"),
    ("compare", "scenarios=[baseline]"),
    ("compare", "scenarios=baseline,all_three"),
    ("compare", "scenarios=[baseline,baseline]"),
    ("compare", "scenario=baseline"),
    ("compare", "place.services.reablment.capacity=1"),
    ("show",),
    ("show", "everything"),
    ("show", "evidence", "out=a.txt"),
    ("trace", "spell=-1"),
    ("trace", "spel=1"),
    ("trace", "replications=2"),
    ("new",),
    ("new", "place", "My Place"),
]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("compare", "scenario=all_three"), r"did you mean 'scenarios'"),
        (("run", "scenarios=[baseline]"), r"did you mean 'scenario'"),
        (("trace", "replications=2"), r"did you mean 'replication'"),
        (("sweep", "place.services.reablement.capacity=interval(8,9)", "design=lhs"), "points: it is needed with desi"),
        (
            ("sweep", "table=no, such (1).csv"),
            r"table: 'no, such \(1\)\.csv' was given; allowed: a CSV file that exists",
        ),
    ],
)
def test_what_a_refused_command_says_instead(words, told, capsys):
    assert cli.main(words) == cli.MISTAKE
    assert re.search(told, capsys.readouterr().err)


NAMES = [
    "my_census (1).csv", "O'Neill.csv", "Zoë/census.csv", "a&b.csv", "x, y.csv", "Ünal", r"C:\Users\Zoë (2)\c.csv",
    r"\\server\share\a b", "C:\\here\\", "#1=2.csv", "[a].csv", "{b}.csv", "50%.csv", "a$b.csv", '5" wide', "£5.csv",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_files_are_taken_as_they_stand(name):
    assert load_settings(f"out={name}").out == name
    assert compose(f"census={name}", "start_date=2024-04-01").run.census == name
    quoted = name.replace("'", "\\'")
    assert quoted.endswith("\\") or load_settings(f"out='{quoted}'").out == name


def test_a_name_of_a_file_may_still_be_quoted_or_none():
    assert [load_settings(text).out for text in ("out='a b'", 'out="a b"', "out=null", "out= a b ")] == [
        "a b", "a b", None, "a b",
    ]  # fmt: skip


def test_a_run_of_each_of_several_files():
    assert sweep(["census=a.csv,b.csv", "days=9"]) == [("census=a.csv", "days=9"), ("census=b.csv", "days=9")]
    assert sweep(["census=my census (1).csv"]) == [("census=my census (1).csv",)]


def test_python_takes_names_of_files_as_they_stand(tmp_path):
    with pytest.raises(PlaceError, match=r"census: .*O'Neill \(1\), a&b\.csv"):
        flowsim.compare(["baseline", "home_first"], census=tmp_path / "O'Neill (1), a&b.csv", start_date="2024-04-01")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_refused_commands(words, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == cli.MISTAKE
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("flowsim: ")
    assert told.err.count("\n") == 1
    assert "Traceback" not in told.err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "scenario=seven_day_workin"), "did you mean 'seven_day_working'"),
        (("run", "place.services.reablement.capacity=-5"), "-5 was given; allowed: at least 0"),
        (("compare", "days=none"), "days: 'none' was given; allowed: a whole number from 1 to 3660"),
        (("compare", "scenario=all_three"), "(did you mean 'scenarios'?)"),
    ],
)
def test_refused_from_outside(words, told, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "flowsim.cli", *words], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


# -- names that mean something else, and sizes that are none -----------------------------------------------------------


@pytest.mark.parametrize("level", ["none", "by"])
@pytest.mark.parametrize("kind", ["choices.c.{}", "streams.{}", "sites.{}", "localities.{}"])
def test_a_level_that_tables_have_a_meaning_for(raw, kind, level):
    made = {
        "choices": {"c": {"shares": {level: 0.4, "more": 0.6}}},
        "streams": {level: {"title": "", "rate": 1, "first": "home"}},
        "sites": {level: {"title": ""}},
        "localities": {level: {"title": "", "neighbour": True}},
    }
    section = kind.split(".")[0]
    if (section, level) == ("choices", "by"):
        pytest.skip("a table by an attribute, whose levels are refused")
    raw[section] = {**raw.get(section, {}), **made[section]}
    with pytest.raises(PlaceError, match=rf"place\.{kind.format(level)}: this name is taken"):
        read_place(raw)


@pytest.mark.parametrize(
    ("units", "told"),
    [
        ("{fixed: 0.5}", "0.5 was given; allowed: a whole number, at least 1"),
        ("{fixed: 1.5}", "1.5 was given; allowed: a whole number"),
        ("{fixed: 0}", "0.0 was given; allowed: a whole number, at least 1"),
        ("{fixed: {by: pathway, pathway_1: 2, other: 0.4}}", "0.4 was given"),
        ("{fixed: {times: {a: 2, b: 0.3}}}", "0.6 was given"),
    ],
)
def test_a_part_of_a_bed_is_refused(units, told):
    with pytest.raises(PlaceError, match=rf"stages\.ward\.units\.fixed: {told}"):
        small_place("two_ways_out", f"+place.stages.ward.units={units}")


def test_a_need_that_can_never_fit_is_refused_where_it_is_fixed():
    few = "place.services.home_care.capacity=20"
    thirty = "place.stages.home_care.units={fixed: 30, lognormal: null}"
    told = r"home_care\.units\.fixed: 30\.0 was given; allowed: at most 20, the most that place\.services\.home_"
    with pytest.raises(PlaceError, match=told):
        small_place("two_ways_out", few, thirty)
    small_place("two_ways_out", "place.services.home_care.capacity=30", thirty)


def test_whole_beds_and_parts_of_an_hour_a_week_are_taken():
    place = small_place("two_ways_out", "+place.stages.ward.units={fixed: {times: {a: 0.1, b: 30}}}")
    assert place.stages["ward"].units is not None
    small_place("two_ways_out", "place.stages.home_care.units={fixed: 0.5, lognormal: null}")
    with pytest.raises(PlaceError, match=r"at least 0\.017 hours a week"):
        small_place("two_ways_out", "place.stages.home_care.units={fixed: 0.001, lognormal: null}")


def test_an_attribute_may_be_called_source(raw):
    """Evidence is text; under `set`, `when` and `who` text is a level."""
    raw["choices"] = {"source": {"shares": {"gp": 0.4, "walk_in": 0.6}}, **raw["choices"]}
    raw["streams"]["emergencies"]["set"] = {"source": "gp"}
    raw["streams"]["emergencies"]["source"] = "ASM-1"
    raw["choices"]["needs_support"] |= {"when": {"source": ["gp", "walk_in"]}, "source": {"chance": "ASM-2"}}
    place = read_place(raw)
    assert place.choices["source"].options == ("gp", "walk_in")
    assert place.streams["emergencies"].set == {"source": "gp"}
    assert place.choices["needs_support"].when == {"source": ["gp", "walk_in"]}
    with pytest.raises(PlaceError, match=r"set\.source: 'gpp' was given; .*did you mean 'gp'"):
        read_place(overlay(raw, {"streams": {"emergencies": {"set": {"source": "gpp"}}}}))
