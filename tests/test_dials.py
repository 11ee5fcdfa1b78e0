"""Dials: every assumption that is a number can be varied by its key within its range, and every such range composes."""

from __future__ import annotations

import csv
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path

import pytest

from flowsim.declare.composition import Composition, compose, load, options
from flowsim.declare.dials import COLUMNS, Dial, Fixed, beside, dials, read_dials, settings
from flowsim.declare.evidence import ids_of, numbers_in, read_register
from flowsim.declare.yaml_and_csv import shipped_folder
from flowsim.place import PlaceError

SHIPPED = (shipped_folder(),)
DIALS, FIXED = read_dials(SHIPPED)
REGISTER = read_register(SHIPPED)


def scenario_of(row: Dial | Fixed) -> tuple[str, ...]:
    """The override that brings in the scenario whose keys a dial moves."""
    first, name = row.keys[0].split(".")[:2]
    return (f"scenario={name}",) if first == "scenario" else ()


@lru_cache(maxsize=64)
def composed(*overrides: str) -> Composition:
    return compose(*overrides)


@lru_cache(maxsize=64)
def dials_with(*overrides: str) -> tuple[Dial, ...]:
    return dials(composed(*overrides))


def applied(row: Dial) -> Dial:
    """A row of the file as it is in the place."""
    (one,) = (dial for dial in dials_with(*scenario_of(row)) if as_in_file(dial, row))
    return one


def as_in_file(dial: Dial, row: Dial) -> bool:
    same = (dial.low, dial.high, dial.step, dial.source, dial.moves) == (
        row.low, row.high, row.step, row.source, row.moves,
    )  # fmt: skip
    return same and any(stands_for(key, dial.keys[0]) for key in row.keys)


def stands_for(written: str, key: str) -> bool:
    """A key of the file stands for a key of the place; ``*`` for any one step."""
    pairs = list(zip_longest(written.split("."), key.split(".")))
    return all(step in ("*", other) and other is not None for step, other in pairs)


def test_every_assumption_has_a_dial_or_says_why_it_has_none():
    with_a_dial = {source for dial in DIALS for source in ids_of(dial.source)}
    assumptions = [entry for entry in REGISTER.values() if entry.id.startswith("ASM")]
    assert [entry.id for entry in assumptions if (entry.id in with_a_dial) == bool(entry.no_dial)] == []
    assert [entry.id for entry in assumptions if entry.low or entry.high] == []  # ranges stand in dials.csv alone
    assert {source for row in (*DIALS, *FIXED) for source in ids_of(row.source)} <= set(REGISTER)


@pytest.mark.parametrize("scenario", ["", *options("scenario")])
def test_every_key_of_a_dial_is_there(scenario: str) -> None:
    """Each key as written, also of those that stand for several, is a number that rests on the dial's source."""
    words = (f"scenario={scenario}",) if scenario else ()
    rows = [row for row in (*DIALS, *FIXED) if scenario_of(row) == words]
    made = composed(*words)
    trees = {"place": made.before}
    for name, file in made.scenarios.items():
        trees[f"scenario.{name}.place"] = file.place
        trees |= {f"scenario.{name}.parts.{part}.place": told.place for part, told in file.parts.items()}
    numbers = [".".join((root, *path)) for root, tree in trees.items() for path, _, _ in numbers_in(tree)]
    assert [key for row in rows for key in row.keys if not any(stands_for(key, number) for number in numbers)] == []
    ranges = [row for row in rows if isinstance(row, Dial)]
    assert [row.name for row in ranges if applied(row).moves == "value" and applied(row).value != row.value] == []


def test_every_number_of_grade_c_has_a_dial_or_says_why_it_has_none():
    table = composed().evidence()
    assumed = table[table["grade"].str.startswith("C")]
    no_number = assumed["key"].str.startswith("place.calendars.") | assumed["value"].astype(str).str.contains(" ")
    without = (assumed["dial"] == "") & (assumed["no_range"] == "")
    assert list(assumed[without & ~no_number]["key"]) == []
    ranged = assumed[assumed["dial"] != ""]
    inside = ranged["low"].astype(float).le(ranged["value"].astype(float)) & ranged["high"].astype(float).ge(
        ranged["value"].astype(float)
    )
    assert list(ranged[~inside]["key"]) == []


def test_keys_that_one_dial_sets_are_equal_and_belong_to_no_other():
    scenarios = {scenario_of(row) for row in DIALS}
    moved = [
        key for words in scenarios for dial in dials_with(*words) for key in dial.keys if scenario_of(dial) == words
    ]
    twice = sorted({key for key in moved if moved.count(key) > 1})
    assert [key for key in twice if ".support_needed.shares." not in key] == []  # a base and what makes it more


def set_to(dial: Dial, value: float) -> None:
    """Composes with a dial at a value, and finds it there."""
    words = scenario_of(dial)
    overrides = settings(dial, value, composed(*words))
    load(*words, *overrides)
    if dial.moves == "value":
        again = next(one for one in dials(compose(*words, *overrides)) if one.keys == dial.keys)
        assert again.value == pytest.approx(value, abs=1e-12)


@pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")
@pytest.mark.parametrize("row", DIALS[::12], ids=lambda row: row.name)
def test_a_dial_composes_at_both_ends(row: Dial) -> None:
    dial = applied(row)
    set_to(dial, dial.low)
    set_to(dial, dial.high)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")
def test_every_dial_composes_at_both_ends() -> None:
    for row in DIALS:
        dial = applied(row)
        set_to(dial, dial.low)
        set_to(dial, dial.high)


def dial_of(key: str) -> Dial:
    (one,) = (dial for dial in dials_with() if key in dial.keys)
    return one


def test_a_share_leaves_the_rest_to_another():
    dial = dial_of("place.choices.after_community_bed.shares.pathway_2.care_home")
    assert beside(dial) == ("place.choices.after_community_bed.shares.pathway_2.home",)
    place = load(*settings(dial, 0.29, composed()))
    shares = place.choices["after_community_bed"].shares.cells["pathway_2"].leaf
    assert shares == pytest.approx({"home": 0.49, "home_with_package": 0.17, "care_home": 0.29, "died": 0.05})


def test_a_factor_moves_all_its_keys_and_whole_places_stay_whole():
    dial = dial_of("place.services.reablement.neighbours.liverpool")
    place = load(*settings(dial, 1.06, composed()))
    assert list(place.services["reablement"].neighbours.values()) == [32, 66, 25, 8]
    assert place.services["dom_care"].neighbours["liverpool"] == 3869


def test_one_value_is_set_wherever_it_stands():
    dial = dial_of("place.stages.care_home_request.before.choice_of_home.takes.fixed")
    place = load(*settings(dial, 9, composed()))
    for stage in ("ward", "elective_ward", "community_bed", "discharge_to_assess", "care_home_request"):
        assert place.stages[stage].before["choice_of_home"].takes.fixed.leaf == 9


def test_what_is_outside_the_range_is_refused():
    dial = dial_of("place.stages.ed.after.transfer.takes.fixed")
    with pytest.raises(PlaceError, match=r"transfer\.takes\.fixed: 61 was given; allowed: 15 to 60 minutes\."):
        settings(dial, 61, composed())


def test_a_dial_counts_only_where_the_number_has_its_source(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    text = (shipped_folder() / "place" / "sefton.yaml").read_text(encoding="utf-8")
    assert "source: ASM-45" in text
    (tmp_path / "place" / "sefton.yaml").write_text(text.replace("source: ASM-45", "source: ASM-48"), encoding="utf-8")
    keys = [key for dial in dials(compose(scenarios_dir=tmp_path)) for key in dial.keys]
    assert "place.stages.ed.after.transfer.takes.fixed" not in keys
    assert "place.stages.ed.patience.leaves_unseen.after.fixed" in keys


ROW = dict(zip(COLUMNS, ("place.a", "2", "1", "3", "1", "beds", "value", "", "ASM-01", ""), strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": "2.5"}, "line 2: 2 from 2.5 to 3 by 1; allowed: low <= value <= high, low < high"),
        ({"step": "0"}, "by 0; allowed"),
        ({"high": "many"}, "could not convert string to float: 'many'; allowed: numbers"),
        ({"keys": ""}, "a dial has at least one key and a source"),
        ({"source": ""}, "a dial has at least one key and a source"),
        ({"moves": "all"}, "moves 'all'; allowed: value, factor, nothing"),
        ({"moves": "nothing"}, "what moves nothing has no range, and says why"),
    ],
)
def test_a_row_that_is_no_dial(tmp_path: Path, change: dict[str, str], message: str) -> None:
    (tmp_path / "evidence").mkdir()
    with (tmp_path / "evidence" / "dials.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow(ROW | change)
    with pytest.raises(PlaceError, match=message):
        read_dials([tmp_path])
