"""Names are names, keys of age bands can be typed, words of a sweep mean what they say, dates are as people write."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

import flowsim
from flowsim.cli import main as cli
from flowsim.declare.composition import compose, load, load_scenarios
from flowsim.declare.overrides import dimensions, sweep
from flowsim.place import PlaceError
from flowsim.questions.design import read_table

PLACES = Path(__file__).parent / "places"
NAMES = ("2026_27", "1e3", "true", "null", "inf", "nan", "007", "a.b", "5%", "False", "0x1")


@pytest.fixture
def folder(own_scenarios: Path) -> Path:
    small = (own_scenarios / "place" / "small.yaml").read_text(encoding="utf-8")
    for name in NAMES:
        (own_scenarios / "scenario" / f"{name}.yaml").write_text(f"title: named {name}\n", encoding="utf-8")
        (own_scenarios / "place" / f"{name}.yaml").write_text(small, encoding="utf-8")
    stack = f"defaults: [{', '.join(name for name in NAMES if '.' not in name)}]\ntitle: all\n"
    (own_scenarios / "scenario" / "stack.yaml").write_text(stack, encoding="utf-8")
    return own_scenarios


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_name(folder: Path, name: str) -> None:
    for said in (name, f"'{name}'", f'"{name}"', f"[{name}]", f"['{name}']", f" {name} "):
        place = load("place=small", f"scenario={said}", scenarios_dir=folder)
        assert place.scenario.name == name
        assert place.scenario.title == f"named {name}"
        assert load(f"place={said}", "scenario=baseline", scenarios_dir=folder).name == name
    (one, other) = load_scenarios("place=small", f"scenarios=[{name},stack]", scenarios_dir=folder)
    assert (one.scenario.title, other.scenario.title) == (f"named {name}", "all")
    (one,) = load_scenarios("place=small", f"scenarios={name}", scenarios_dir=folder)
    assert one.scenario.title == f"named {name}"


def test_names_are_stacked_and_swept_as_they_are_written(folder: Path) -> None:
    stacked = load("place=small", "scenario=2026_27+1e3+true", scenarios_dir=folder)
    assert stacked.scenario.title == "named 2026_27 + named 1e3 + named true"
    ((one,), rest) = dimensions(["scenario=2026_27,1e3,null", "place=1e3"], folder)
    assert (one.values, rest) == (("2026_27", "1e3", "null"), ("place=1e3",))
    assert dimensions(["scenario=choice(1e3,true)"], folder)[0][0].values == ("1e3", "true")
    assert set(dimensions(["scenario=glob(*e*,exclude=s*)"], folder)[0][0].values) >= {"1e3", "true", "False"}
    assert sweep(["scenario=007,1e3"]) == [("scenario=007",), ("scenario=1e3",)]


def test_names_in_a_table_and_in_python(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_text("name,scenario\na,2026_27\nb,1e3\nc,true\n", encoding="utf-8")
    points = read_table(tmp_path / "t.csv").settings
    assert [one["scenario"] for one in points.values()] == ["2026_27", "1e3", "true"]
    for point in points.values():
        assert load("place=small", f"scenario={point['scenario']}", scenarios_dir=folder).scenario.name in NAMES
    monkeypatch.chdir(folder.parent)
    result = flowsim.compare(
        ["2026_27", "1e3"], overrides=("place=small",), replications=2, days=2, warm_up_days=1, charts=False, jobs=1,
        out=folder.parent / "out", progress=False,
    )  # fmt: skip
    assert tuple(result.scenarios) == ("2026_27", "1e3")


def test_a_name_that_is_nowhere_is_told_as_it_was_written(folder: Path) -> None:
    with pytest.raises(PlaceError, match=r"scenario: '2026_28' was given; allowed: a file.*did you mean '2026_27'"):
        load("place=small", "scenario=2026_28", scenarios_dir=folder)
    with pytest.raises(PlaceError, match=r"place: '1e4' was given; allowed: a file"):
        load("place=1e4", scenarios_dir=folder)


# -- keys --------------------------------------------------------------------------------------------------------------

BANDS = "+place.choices.age={of: person, shares: {under_75: 0.5, 75_and_over: 0.3, 85+: 0.2}}"


def test_bands_of_age_can_be_set_one_by_one_and_in_a_mapping() -> None:
    said = ("place.choices.age.shares.75_and_over=0.25", "place.choices.age.shares.'85+'=0.25")
    place = load("place=small", BANDS, *said, scenarios_dir=PLACES)
    assert place.choices["age"].options == ("under_75", "75_and_over", "85+")
    assert compose("place=small", BANDS, *said, scenarios_dir=PLACES).place["choices"]["age"]["shares"] == {
        "under_75": 0.5, "75_and_over": 0.25, "85+": 0.25,
    }  # fmt: skip
    named = "+place.choices.x={shares: {1e3: 0.5, 2026_27: 0.25, true: 0.25}}"
    place = load("place=small", named, scenarios_dir=PLACES)
    assert place.choices["x"].options == ("1e3", "2026_27", "true")


def test_bands_of_age_can_be_swept_and_changed_by_a_part() -> None:
    ((one,), _) = dimensions(["place.choices.care_home_resident.chance.85+=0.1,0.2"])
    assert (one.key, one.values) == ("place.choices.care_home_resident.chance.85+", ("0.1", "0.2"))
    usual, more = (
        compose(*words).place["choices"]["care_home_resident"]["chance"]["85+"]
        for words in ((), ("place.choices.care_home_resident.chance.85+=+10%",))
    )
    assert more == pytest.approx(1.1 * usual)


def test_a_band_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(PlaceError, match=r"there is no '95\+'; allowed: .*85\+"):
        load("place.choices.care_home_resident.chance.95+=0.1")


def test_a_table_may_have_a_column_of_a_band(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("place.choices.care_home_resident.chance.85+\n0.1\n0.2\n", encoding="utf-8")
    assert [list(one.values()) for one in read_table(tmp_path / "t.csv").settings.values()] == [["0.1"], ["0.2"]]


# -- words of a sweep --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ("range(75,90,5)", ("75", "80", "85")),
        ("range(90,60,-15)", ("90", "75")),
        ("range(0.1,0.4,0.1)", ("0.1", "0.2", "0.3")),
        ("range(0,1,0.25)", ("0", "0.25", "0.5", "0.75")),
        ("range(1,0.7,-0.1)", ("1", "0.9", "0.8")),
        ("range(3)", ("0", "1", "2")),
        ("range(start=1,stop=4,step=2)", ("1", "3")),
        ("sort(range(60,100,15))", ("60", "75", "90")),
        ("sort(range(60,100,15),reverse=true)", ("90", "75", "60")),
        ("sort(range(90,59,-15))", ("60", "75", "90")),
        ("sort(3,1,2)", ("1", "2", "3")),
        ("choice(5,4)", ("5", "4")),
        ("int(range(1.5,4.5))", ("1", "2", "3")),
    ],
)
def test_a_word_of_a_sweep_means_what_it_says(said: str, values: tuple[str, ...]) -> None:
    ((one,), _) = dimensions([f"place.services.reablement.capacity={said}"])
    assert one.values == values


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("range(50,60,0)", "a STEP that is not 0"),
        ("range(1,100000000)", "has 99,999,999 values; allowed: at most 100,000"),
        ("sort(range(1,100000000))", "has 99,999,999 values; allowed: at most 100,000"),
        ("range(0,1,1e-9)", "has 1,000,000,000 values"),
        ("range(1,1e400)", r"range\(START,STOP,STEP\) with numbers"),
        ("range(nan,3)", r"range\(START,STOP,STEP\) with numbers"),
        ("range(5,1)", "which has no values"),
        ("range(a,b)", r"cannot be read; allowed: values with commas, choice\(a,b\), range\(START,STOP,STEP\)"),
        ("shuffle(1,2)", "allowed: the values, in an order of your own"),
        ("shuffle(range(1,5))", "allowed: the values, in an order of your own"),
        ("sort(interval(1,2))", r"cannot be read; allowed: values with commas"),
        ("interval(1,inf)", r"allowed: interval\(LOW, HIGH\)"),
        ("extend_list(1)", "allowed: the whole list"),
        ("range(1,3),range(5,6)", r"allowed: one of range\(\), glob\(\) and the like, or values"),
    ],
)
def test_a_word_that_means_nothing_good_is_refused(said: str, told: str) -> None:
    with pytest.raises(PlaceError, match=told):
        dimensions([f"place.services.reablement.capacity={said}"])


def test_runs_are_counted_before_they_are_listed() -> None:
    with pytest.raises(PlaceError, match=r"1,000,000 runs were asked for; allowed: at most 100,000"):
        sweep(["seed=range(0,1000)", "days=range(0,1000)"])


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("seed=" + "9" * 5000, "a number of too many digits"),
        ("seed=" + "[" * 3000, "too deep"),
        ("place.title=" + "x" * 200_000, "a setting of 200,012 letters"),
        ("place.title=a\0b", "cannot be printed"),
        ("out=a\0b", "cannot be printed"),
        ("place/services=5", "cannot be read"),
        ("place.services=[a]", r"^your setting: place\.services: \['a'\] was given; allowed: a mapping"),
        ("place.run.days=5", r"^your setting: place\.run: this key was given; allowed: days="),
        ("place.services.reablement.capacity=60.5", r"60\.5 was given; allowed: a whole number of slots, such as 60"),
        ("~days", "allowed: days=VALUE"),
        ("place.services.reablement={capacity: 80}", r"^your setting: place\.services\.reablement\.title: this key is"),
        ("place.streams.emergency.hours.0=true", "True is neither a number"),
    ],
    ids=lambda text: text[:30],
)
def test_a_word_that_cannot_be_is_refused_in_a_sentence(word: str, told: str) -> None:
    with pytest.raises(PlaceError, match=told):
        load(word)


# -- dates -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["2026-11-30", "30/11/2026", "30.11.2026", "30-11-2026"])
def test_a_date_as_people_write_it(said: str) -> None:
    assert load(f"start_date={said}").run.start_date == dt.date(2026, 11, 30)
    assert load(f"policy_start={said}", "start_date=2026-11-01").run.policy_start == dt.date(2026, 11, 30)


@pytest.mark.parametrize("key", ["start_date", "policy_start"])
@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("0", "0 was given; allowed: a date such as 2024-04-01"),
        ("46174", "46174 was given; .*a spreadsheet counts days and means 2026-06-01 by 46174"),
        ("03/04/2026", "allowed: 2026-04-03 or 2026-03-04, for it could be read two ways"),
        ("11/30/2026", "allowed: 2026-11-30"),
        ("2026-1-5", "here 2026-01-05"),
        ("2026-02-30", "a day that there is"),
        ("20261130", "a date such as"),
        ("9999-12-31", "a date from 1900 to 2100"),
        ("[1]", "a date such as"),
    ],
)
def test_what_is_no_date_or_two_is_refused(key: str, said: str, told: str) -> None:
    with pytest.raises(PlaceError, match=f"^{key}: .*{told}"):
        load(f"{key}={said}")


def test_the_last_day_is_a_day_of_it() -> None:
    block = "+place.services.reablement.blocks.w={from: 12-01, to: 01-31, add: 5}"
    made = load(block).services["reablement"].blocks["w"]
    assert (made.from_date, made.end) == (dt.date(2024, 12, 1), dt.date(2025, 2, 1))
    one_day = "+place.services.reablement.blocks.w={from: 2024-12-01, to: 2024-12-01, add: 5}"
    assert load(one_day).services["reablement"].blocks["w"].end == dt.date(2024, 12, 2)
    with pytest.raises(PlaceError, match="its last day is 2024-11-30, before it begins on 2024-12-01"):
        load("+place.services.reablement.blocks.w={from: 2024-12-01, to: 2024-11-30, add: 5}")


def test_more_than_a_year_has_to_say_which() -> None:
    block = "+place.services.reablement.blocks.w={from: 11-01, weeks: 60, add: 5}"
    told = "'11-01 for 60 weeks' was given; allowed: from with its year, such as 2024-11-01"
    with pytest.raises(PlaceError, match=told):
        load(block)
    made = load(block.replace("11-01", "2024-11-01")).services["reablement"].blocks["w"]
    assert made.from_date == dt.date(2024, 11, 1)


def test_the_command_line_ends_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ("sweep", "place.services.reablement.capacity=range(1,100000000)"),
        ("select", "scenarios=[baseline,1e3]"),
        ("compare", "scenarios=[baseline,true]"),
        ("show", "services", "place=inf"),
        ("run", "start_date=46174"),
    ):
        assert cli.main(words) == cli.MISTAKE
        told = capsys.readouterr()
        assert told.err.startswith("flowsim: ")
        assert told.err.count("\n") == 1
