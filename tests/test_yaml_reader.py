"""What somebody wrote is counted before it is expanded, and refused with its file, line and key; nothing is reached."""

from __future__ import annotations

import datetime as dt
import re
import time
from pathlib import Path

import pytest
import yaml

import flowsim
from flowsim.cli import main as cli
from flowsim.declare.composition import compose, load
from flowsim.declare.limits import VARIABLE
from flowsim.declare.yaml_and_csv import read_yaml
from flowsim.declare.yaml_reader import read_document
from flowsim.folder.configuration import _Dumper, read_plain
from flowsim.place import PlaceError

PLACES = Path(__file__).parent / "places"
LAUGHS = "title: t\nplace:\n  m0: &a0 {x: 1, y: 2}\n" + "".join(
    f"  m{n}: &a{n} {{{', '.join(f'k{k}: *a{n - 1}' for k in range(9))}}}\n" for n in range(1, 12)
)
NESTED = "title: t\nplace: " + "[" * 100_000
BLOCK = "title: t\nplace: {services: {support: {blocks: {w: {add: 1, weeks: 2, from: FROM}}}}}\n"


@pytest.fixture
def folder(own_scenarios: Path) -> Path:
    (own_scenarios / "scenario" / "fine.yaml").write_text("title: Fine\n", encoding="utf-8")
    return own_scenarios


def refused(folder: Path, text: str | bytes, *words: str) -> str:
    """The sentence that refuses a scenario called `bad`, at once."""
    raw = text if isinstance(text, bytes) else text.encode()
    (folder / "scenario" / "bad.yaml").write_bytes(raw)
    begun = time.monotonic()
    with pytest.raises(PlaceError) as error:
        load("scenario=bad", "place=small", *words, scenarios_dir=folder)
    assert time.monotonic() - begun < 10
    sentence = str(error.value)
    assert "\n" not in sentence
    assert len(sentence) < 600
    assert sentence.endswith(".")
    return sentence


READ = [
    # what is written, what the sentence says: always with the line
    (LAUGHS, r"bad\.yaml, line \d+: place\.m\d\.k\d: more values than can be read.* at most 400,000 \(FLOWSIM_LIMITS="),
    ("title: t\nplace: &p\n  services: *p\n", r"line 3: place\.services: '\*p' stands within '&p' itself"),
    ("title: t\nplace: &p {<<: *p}\n", r"line 2: place\.<<: '\*p' stands within"),
    ("title: *nope\n", r"line 1: title: '\*nope' was given; allowed: a block that is named above"),
    ("title: t\nplace: {<<: 3}\n", r"line 2: place: '<<' takes named blocks"),
    (NESTED, r"line 2: place\.0\.0\..*too deep; allowed: at most 40 "),
    ("title: t\nplace: " + "{a: " * 3000, r"line 2: place\.a\.a\..*too deep"),
    ("title: t\nplace:\n  ? [a, b]\n  : c\n", r"line 3: place: a list was given as a key; allowed: a name"),
    ("title: t\nplace:\n  ? {a: b}\n  : c\n", r"line 3: place: a mapping was given as a key"),
    ("title: t\n'': b\n", r"line 2: '' was given as a key; allowed: a name of 1 to 200 letters"),
    ("title: t\nplace: {a: 1, a: 2}\n", r"line 2: place: the key 'a' is given twice"),
    ("title: !!int abc\n", r"line 1: title: the tag '!!int' was given; allowed: values without tags"),
    ("title: !!timestamp 2024-02-30\n", r"line 1: title: the tag '!!timestamp' was given"),
    ("title: !!python/object/apply:os.system [ls]\n", r"line 1: title: the tag '!!python/object/apply:os"),
    ("title: t\nplace: !mine {a: b}\n", r"line 2: place: the tag '!mine' was given"),
    ("title: t\nplace: {x: " + "9" * 400 + "}\n", r"line 2: place\.x: '9+\.\.\. was given, a number of 400 digits"),
    ("title: t\nplace: {x: " + "9" * 5000 + "}\n", r"line 2: place\.x: .*a number of 5,000 digits"),
    ("title: t\nplace: {x: 1e999}\n", r"line 2: place\.x: '1e999' was given, which is too large for a number"),
    ("title: t\nplace: {x: = 1e308 * 10}\n", r"line 2: place\.x: '= 1e308 \* 10' was given, which is too"),
    ("title: t\nplace: {x: = " + "1+" * 5000 + "1}\n", r"line 2: place\.x: .* allowed after '=': numbers"),
    ("title: t\nplace: {x: = " + "(" * 250 + "1" + ")" * 250 + "}\n", r"line 2: place\.x: .* allowed after '='"),
    ("title: a\n---\ntitle: b\n", r"line 2: a second document begins here"),
    ('title: "a\\0b"\n', r"line 1: title: the letter '\\x00' was given, which cannot be printed"),
    ('title: "\\e[31mred"\n', r"line 1: title: the letter '\\x1b' was given"),
    ('title: "a\\u202eb"\n', r"line 1: title: the letter '\\u202e' was given"),
    ("title: ???\n", r"line 1: title: '\?\?\?' was given; allowed: a value"),
    (b"title: caf\xe9\n", r"bad\.yaml: this is not YAML in UTF-8"),
    ("title: t".encode("utf-16"), r"bad\.yaml: this is not YAML in UTF-8"),
    ("[a, b]", r"bad\.yaml: a list was given; allowed: a mapping"),
]


@pytest.mark.parametrize(("text", "told"), READ, ids=[str(n) for n in range(len(READ))])
def test_what_cannot_be_read_is_refused_where_it_stands(folder: Path, text: str | bytes, told: str) -> None:
    sentence = refused(folder, text)
    assert re.search(told, sentence), sentence


REFERENCES = [
    *(
        (f'title: "{given}"\n', r"line 1: title: '.*' was given; allowed in \$\{\.\.\.\}: a key of these files")
        for given in ("${oc.env:NAME_OF_A_SECRET}", "x ${oc.env:HOME} y", "${oc.decode:1}", "${hydra:runtime.cwd}",
                      "${now:%Y}", "${a.${b}}", "${", "${}")
    ),
    ('title: "${scenario.bad.title}"\n', r"line 1: scenario\.bad\.title: .* which refers to itself"),
    ('title: "${.rationale}"\nrationale: "x${.title}"\n', r"scenario\.bad\.title: .* which refers to itself"),
    ('title: t\nplace: {a: "${scenario}"}\n', r"line 2: scenario\.bad\.place\.a: .* in which it stands itself"),
    ('title: "${dayz}"\n', r"line 1: scenario\.bad\.title: .* there is no 'dayz'; .*did you mean 'days'"),
    ('title: "x ${place} y"\n', r"line 1: scenario\.bad\.title: .* a key that is a single value"),
    (
        "title: " + "x" * 50 + "\nevidence:\n  a0: ${scenario.bad.title}\n"
        + "".join(f"  a{n}: '{f'${{scenario.bad.evidence.a{n - 1}}}' * 10}'\n" for n in range(1, 12)),
        r"line \d+: scenario\.bad\.evidence\.a\d+: .* references come to more values than can be read",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), REFERENCES, ids=[str(n) for n in range(len(REFERENCES))])
def test_a_reference_names_a_key_of_the_files_and_nothing_else(
    folder: Path, text: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAME_OF_A_SECRET", "hunter2")
    sentence = refused(folder, text)
    assert re.search(told, sentence), sentence
    assert "hunter2" not in sentence


def test_keys_of_the_files_are_referred_to_whole_and_within_text(folder: Path) -> None:
    mine = 'title: "for ${days} days"\nrationale: "${.title}!"\nplace: {services: {support: {capacity: "${seed}"}}}\n'
    (folder / "scenario" / "mine.yaml").write_text(mine, encoding="utf-8")
    place = load("scenario=mine", "place=small", "days=99", "seed=21", scenarios_dir=folder)
    assert (place.scenario.title, place.scenario.rationale) == ("for 99 days", "for 99 days!")
    assert place.services["support"].capacity == 21


@pytest.mark.parametrize("key", ["place.title", "seed", "scenario", "scenario.fine.title", "start_date"])
def test_nothing_is_resolved_on_the_command_line(folder: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME_OF_A_SECRET", "fine")
    with pytest.raises(PlaceError, match=r"\$\{oc\.env:NAME_OF_A_SECRET\}' was given; .*stands in files only"):
        compose("place=small", "scenario=fine", f"{key}=${{oc.env:NAME_OF_A_SECRET}}", scenarios_dir=folder)


def test_a_name_of_a_file_is_never_resolved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME_OF_A_SECRET", "fine")
    given = "out=${oc.env:NAME_OF_A_SECRET}"
    assert compose("place=small", given, scenarios_dir=folder).settings.out == "${oc.env:NAME_OF_A_SECRET}"
    with pytest.raises(PlaceError, match=r"census: .*\$\{oc\.env:NAME_OF_A_SECRET\}"):
        load("place=small", "census=${oc.env:NAME_OF_A_SECRET}", "start_date=2024-04-01", scenarios_dir=folder)


BESIDE = [
    *(
        (f"# @package {package}\n{text}", rf"bad\.yaml, line 1: the heading '# @package {package}' was given; all")
        for package, text in (
            ("hydra.run", "dir: somewhere\n"), ("_global_", "days: 5\n"), ("_global_", "title: t\nplace: {}\n"),
            ("_global_", "defaults: [fine]\nscenario: {other: {title: x}}\n"), ("place", "title: t\n"),
            ("scenario.fine", "title: t\n"),
        )
    ),
    ("# @package\ntitle: t\n", r"line 1: the heading '# @package' was given"),
    ("defaults: [bad]\ntitle: t\n", r"line 1: defaults: bad -> bad builds on itself"),
    ("title: t\ndefaults: [_self_, bad]\n", r"line 2: defaults: bad -> bad builds on itself"),
    ("defaults: {a: b}\ntitle: t\n", r"line 1: defaults: .* allowed: a list of files in scenarios/scenario/"),
    ("defaults: fine\ntitle: t\n", r"line 1: defaults: 'fine' was given; allowed: a list"),
    ("defaults: [{place: small}]\ntitle: t\n", r"line 1: defaults: .* allowed: a list of files"),
    ("defaults: [override /place: small]\ntitle: t\n", r"line 1: defaults: .* allowed: a list of files"),
    ("defaults: [fine, fine]\ntitle: t\n", r"line 1: defaults: .* each only once"),
    ("defaults: [fime]\ntitle: t\n", r"line 1: defaults: 'fime' was given; .*did you mean 'fine'"),
    *(
        (f"title: t\nplace: {{{key}: {{days: 5}}}}\n", rf"bad\.yaml, line 2: place\.{key}: this key was given; all")
        for key in ("run", "scenario", "before")
    ),
    ("title: t\nparts:\n  a: {place: {run: {days: 5}}}\n", r"bad\.yaml, line 3: place\.run: this key was given"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), BESIDE, ids=[str(n) for n in range(len(BESIDE))])
def test_what_would_be_ignored_or_go_round_is_refused(folder: Path, text: str, told: str) -> None:
    sentence = refused(folder, text)
    assert re.search(told, sentence), sentence


def test_two_files_that_build_on_each_other_are_refused(folder: Path) -> None:
    (folder / "scenario" / "other.yaml").write_text("defaults: [bad]\ntitle: o\n", encoding="utf-8")
    assert "bad -> other -> bad builds on itself" in refused(folder, "defaults: [other]\ntitle: t\n")


SHAPES = [
    ("title: t\nplace: {services: [a]}\n", r"bad\.yaml, line 2: place\.services: \['a'\] was given; allowed: a map"),
    ("title: t\nplace:\n  stages: [a]\n", r"line 3: place\.stages: \['a'\] was given; allowed: a mapping"),
    ("title: t\nplace:\n  stages:\n    ward: 5\n", r"line 4: place\.stages\.ward: 5 was given; allowed: a mapping"),
    ("title: t\nplace:\n  pools: none\n", r"line 3: place\.pools: 'none' was given; allowed: a mapping"),
    ("title: t\nplace: {services: {wards: {blocks: [a]}}}\n", r"line 2: place\.services\.wards\.blocks: \['a'\] was"),
    ("title: t\nplace: [a]\n", r"bad\.yaml, line 2: scenario\.bad\.place: \['a'\] was given; allowed: a mapping"),
    ("title: t\nplace: {stages: {x: {like: [ward], service: wards}}}\n", r"line 2: place\.stages\.x\.like: \['w"),
    ("title: t\nplace: {stages: {x: {like: y}, y: {like: x}}}\n", r"line 2: place\.stages\.x\.like: .*no circle"),
    ("title: t\nplace: {bank_holidays: __class__}\n", r"line 2: place\.bank_holidays: '__class__' was given"),
    ("title: t\nplace: {streams: {emergencies: {hours: [" + ", ".join(["true"] * 24) + "]}}}\n", "True is neither a"),
    ("title: t\nplace: {streams: {emergencies: {rate: {general: true}}}}\n", "True is neither a number nor a name"),
    ("title: t\nplace: {services: {wards: {cost: {amount: 1e308, per: day, payer: NHS}}}}\n", r"amount: 1e\+308"),
    ("title: t\nplace: {services: {support: {capacity: 20.5}}}\n", r"line 2: .*20\.5 was given; allowed: a whole"),
    (BLOCK.replace("FROM", "9999-12-31"), r"line 2: .*w\.from: '9999-12-31' was given; allowed: a date from 1900 to"),
    (BLOCK.replace("FROM", "2024-02-30"), r"line 2: .*w\.from: '2024-02-30' was given; allowed: .* a day that there"),
    (BLOCK.replace("FROM", "03/04/2024"), r"w\.from: '03/04/2024' was given; allowed: 2024-04-03 or 2024-03-04"),
    (BLOCK.replace("FROM", "45444"), r"w\.from: 45444 was given; .*a spreadsheet counts days and means 2024-06-01"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), SHAPES, ids=[str(n) for n in range(len(SHAPES))])
def test_what_a_place_cannot_be_is_refused_with_its_line(folder: Path, text: str, told: str) -> None:
    sentence = refused(folder, text)
    assert re.search(told, sentence), sentence


@pytest.mark.parametrize("text", [LAUGHS, NESTED, "title: !!int abc\n", "defaults: [bad]\ntitle: t\n", "a: *b\n"])
def test_the_list_of_scenarios_survives_a_bad_file(
    folder: Path, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "scenario" / "bad.yaml").write_text(text, encoding="utf-8")
    (folder / "scenario" / "nowhere.yaml").symlink_to(folder / "is" / "nothing")
    monkeypatch.chdir(folder.parent)
    assert cli.main(["show", "scenarios", "place=small"]) == 0
    told = capsys.readouterr().out
    assert "fine: Fine" in told
    assert re.search(r"^bad: .*bad\.yaml, line \d", told, re.MULTILINE)
    assert cli.main(["run", "scenario=bad", "place=small"]) == cli.MISTAKE


def test_what_a_configuration_says_is_read_by_the_same_rules(tmp_path: Path) -> None:
    for text, told in (
        ("title: x\nrun: {start_date: 2024-02-30}\n", r"line 2: run\.start_date: '2024-02-30' was given, a day"),
        ("&a {title: x, services: *a}\n", r"line 1: services: '\*a' stands within '&a' itself"),
        (LAUGHS, "more values than can be read"),
    ):
        (tmp_path / "one.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(PlaceError, match=told):
            flowsim.run(tmp_path / "one.yaml")


def test_a_configuration_comes_back_as_it_was(tmp_path: Path) -> None:
    data = {
        "text": ["1e3", "08", "2026_27", "true", "null", "2024-01-01", "= 1 + 1", "${days}", "???", "+5", "17:00"],
        "numbers": [1000.0, 8, 1e-7, 1e20, -2.5, True, None, dt.date(2024, 1, 1)],
        "1e3": "a key",
        "85+": {"08": 1},
    }
    (tmp_path / "one.yaml").write_text(yaml.dump(data, Dumper=_Dumper, sort_keys=False), encoding="utf-8")
    assert read_plain(tmp_path / "one.yaml") == data


def test_a_file_of_windows_is_read(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_bytes(b"\xef\xbb\xbftitle: t\r\nplace: {}\r\n")
    assert read_yaml(tmp_path / "one.yaml") == {"title": "t", "place": {}}


def test_limits_are_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "title: t\nevidence: {}\nplace: {services: {support: {capacity: 21}}}\n"
    (folder / "scenario" / "bad.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv(VARIABLE, "nesting=3")
    assert "at most 3 (FLOWSIM_LIMITS=nesting=N sets another limit)" in refused(folder, text)
    monkeypatch.setenv(VARIABLE, "nesting=40,bytes=50")
    with pytest.raises(PlaceError, match=r"too long to be read; allowed: at most 50 "):
        load("scenario=bad", "place=small", scenarios_dir=folder)
    monkeypatch.setenv(VARIABLE, "nestling=3")
    with pytest.raises(PlaceError, match=r"FLOWSIM_LIMITS: 'nestling=3' was given; .*did you mean 'nesting'"):
        load("place=small", scenarios_dir=folder)
    monkeypatch.setenv(VARIABLE, "nesting=lots")
    with pytest.raises(PlaceError, match=r"FLOWSIM_LIMITS: 'nesting=lots' was given; allowed: nesting=N"):
        load("place=small", scenarios_dir=folder)


def test_lines_are_those_of_the_keys() -> None:
    document = read_document(b"a:\n  b: 1\n  c: [1,\n    2]\nd: {e: 3}\n", "x")
    assert document.where(("a", "b")) == ", line 2"
    assert document.where(("a", "c", "1")) == ", line 4"
    assert document.where(("d", "e", "nothing")) == ", line 5"
    assert document.where(("z",)) == ""
