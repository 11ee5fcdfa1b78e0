"""What is laid out for whole batches, or kept from one replication to the next, says what it says one by one."""

from __future__ import annotations

import gc
import itertools
import weakref

import numpy as np
import pytest

from flowsim.declare.composition import load
from flowsim.model import people as model_people
from flowsim.model.cohort import Cohort, _minute_of_day
from flowsim.model.network import build_network
from flowsim.model.people import EVERYBODY, Levels, People, levels_of, names, numbers
from flowsim.model.plan import plan
from flowsim.model.sampler import Sampler
from flowsim.model.tables import Journeys, columns
from flowsim.place import NOT_APPLICABLE, OTHER, Choice, Distribution, Place, PlaceError, Stream, Table

WORDS = {"age": {"young": 0, "middle": 1, "old": 2}, "path": {"home": 0, "bed": 1}, "week": {"one": 0, "two": 1}}
NESTED = {
    "by": "age",
    "young": {"by": "path", "home": 2.5, NOT_APPLICABLE: 3.5, OTHER: 4.5},
    "old": {
        "times": {"a": {"by": "week", "one": 1.1, OTHER: 0.7}, "b": {"by": "age", "old": 3.0, OTHER: 9.0}, "c": 7.0}
    },
    OTHER: {"by": "path", "bed": {"by": "week", "two": 5.5, OTHER: 6.5}, OTHER: 8.5},
}


def levels() -> Levels:
    made = Levels([])
    made.words = WORDS
    return made


def everybody() -> People:
    """One person for each combination of codes, those to whom an attribute does not apply included."""
    codes = np.array(list(itertools.product(*(range(-1, len(words)) for words in WORDS.values()))), dtype=np.int16)
    n = np.arange(len(codes))
    return People(n, n, {name: codes[:, i] for i, name in enumerate(WORDS)}, n)


def read(table: Table, codes: dict[str, int]) -> float:
    """The value for one person, from cell to cell."""
    if table.times:
        return float(np.prod([read(factor, codes) for factor in table.times.values()]))
    if table.by is None:
        return float(table.leaf)
    for level, cell in table.cells.items():
        if level != OTHER and codes[table.by] == levels().code(table.by, level):
            return read(cell, codes)
    return read(table.cells[OTHER], codes)


@pytest.mark.parametrize("few", [0, 10_000], ids=["only the levels told apart", "every level"])
def test_a_table_laid_out_says_what_it_says_cell_by_cell(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_people, "FEW_COMBINATIONS", few)
    table, people = Table(NESTED, float), everybody()
    found = numbers(table, people, people.number, levels())
    one_by_one = [read(table, {name: int(c[i]) for name, c in people.codes.items()}) for i in range(len(people))]
    assert found.tolist() == one_by_one
    assert len(set(one_by_one)) == 8
    some = np.array([5, 3, 30])
    assert numbers(table, people, some, levels()).tolist() == found[some].tolist()
    assert numbers(table, people, EVERYBODY, levels()).tolist() == found.tolist()


def test_what_asks_nothing_of_people_has_a_value_for_each_of_them():
    people, product = everybody(), Table({"times": {"a": 2.0, "b": {"times": {"c": 1.5}}}}, float)
    for some in (np.arange(4), np.array([7]), np.zeros(0, dtype=np.int64)):
        assert numbers(product, people, some, levels()).tolist() == [3.0] * len(some)
        fixed = Sampler(people, levels(), Cohort(1, 0)).draw(Distribution(fixed=2, unit="hours"), "anything", some)
        assert fixed.tolist() == [120.0] * len(some)


def test_names_are_the_codes_they_are_asked_for():
    table, people = Table({"by": "age", "young": "here", "old": "here", OTHER: "there"}, str), everybody()
    known = levels()
    for codes in ({"here": 3, "there": -1}, {"here": 7, "there": 9}):
        expected = [codes["there" if age in (-1, 1) else "here"] for age in people.codes["age"]]
        assert np.asarray(names(table, people, people.number, known, codes)).tolist() == expected


def test_a_choice_by_shares_is_read_option_by_option():
    shares = {"by": "path", "home": {"a": 0.2, "b": 0.5, "c": 0.3}, OTHER: {"c": 0.25, "a": 0.75}}
    choice = Choice.model_validate({"shares": shares, "shift": {"some": {"from": "a", "to": "c", "share": 0.1}}})
    people, known = everybody(), levels()
    known.words = {**WORDS, "letter": {"c": 0, "a": 1, "b": 2}}
    u = np.random.default_rng(1).random(len(people))
    found = known.split("letter", choice).at(u, people, EVERYBODY)
    for code, path, uniform in zip(found.tolist(), people.codes["path"], u, strict=True):
        bounds = {"a": 0.18, "b": 0.68, "c": 1.0} if path == 0 else {"a": 0.675, "b": 0.675, "c": 1.0}
        assert code == known.words["letter"][next(option for option, bound in bounds.items() if uniform < bound)]


@pytest.mark.parametrize(
    ("home", "certain"), [({"a": 0, "b": 1, "c": 0}, True), ({"c": 1}, True), ({"a": 1e-9, "b": 1 - 1e-9}, False)]
)
def test_a_choice_that_leaves_nothing_to_chance_asks_for_no_uniforms(home: dict[str, float], certain: bool) -> None:
    choice = Choice.model_validate({"shares": {"by": "path", "home": home, OTHER: {"c": 0, "a": 1}}})
    people, known = everybody(), levels()
    known.words = {**WORDS, "letter": {"c": 0, "a": 1, "b": 2}}
    split = known.split("letter", choice)
    assert split.is_certain == certain
    for u in (2.0**-53, 0.5, 1 - 2.0**-53) if certain else ():
        by_chance = split.at(np.full(len(people), u), people, EVERYBODY)
        assert split.certain(people, EVERYBODY).tolist() == by_chance.tolist()


def test_a_table_of_all_levels_is_refused_only_for_those_to_whom_they_do_not_apply() -> None:
    people = everybody()
    table = Table({"by": "age", "young": 1.0, "middle": 2.0, "old": {"by": "week", "one": 3.0, OTHER: 4.0}}, float)
    told = np.flatnonzero(people.codes["age"] >= 0)
    assert set(numbers(table, people, told, levels())) == {1.0, 2.0, 3.0, 4.0}
    applies = told[people.codes["week"][told] >= 0]
    assert set(numbers(table, people, applies, levels())) == {1.0, 2.0, 3.0, 4.0}
    with pytest.raises(PlaceError, match=f"no entry for '{NOT_APPLICABLE}"):
        numbers(table, people, EVERYBODY, levels())


def test_what_a_table_does_not_say_is_refused_only_for_those_it_is_asked_for():
    people = everybody()
    table = Table({"by": "age", "young": 1.0, "old": {"by": "path", "home": 2.0, OTHER: 3.0}}, float)
    said = np.flatnonzero(np.isin(people.codes["age"], (0, 2)))
    assert set(numbers(table, people, said, levels())) == {1.0, 2.0, 3.0}
    with pytest.raises(PlaceError, match="no entry for 'middle"):
        numbers(table, people, np.flatnonzero(people.codes["age"] == 1), levels())


def test_calendars_are_those_of_the_dates_and_of_the_hours():
    short = ("days=14", "warm_up_days=7")
    calendars = build_network(load(*short), Cohort(1, 0)).calendars
    pharmacy = calendars.names.index("pharmacy")
    again, later, other = (
        build_network(load(*short, *more), Cohort(1, 1)).calendars
        for more in ((), ("start_date=2024-12-20",), ("place.calendars.pharmacy.weekday=08:00-09:00",))
    )
    assert np.array_equal(again.openings, calendars.openings)
    assert not np.array_equal(later.mask(pharmacy), calendars.mask(pharmacy))
    assert not np.array_equal(other.mask(pharmacy), calendars.mask(pharmacy))
    assert np.array_equal(other.mask(pharmacy - 1), calendars.mask(pharmacy - 1))


# ---------------------------------------------------------------------------------------------------------------------
# From one replication to the next


def assert_equal(one: Journeys, other: Journeys) -> None:
    for table in ("spells", "rows", "tasks"):
        found = columns(getattr(other, table))
        for name, column in columns(getattr(one, table)).items():
            assert np.array_equal(column, found[name]), (table, name)
    assert one.levels == other.levels
    assert all(np.array_equal(codes, other.attributes[name]) for name, codes in one.attributes.items())


def planned(place: Place, replication: int) -> Journeys:
    cohort = Cohort(1, replication)
    return plan(place, cohort, build_network(place, cohort))


def test_a_plan_is_the_same_whatever_was_planned_for_the_place_before() -> None:
    run = ("scenario=discharge_to_assess", "start_date=2024-09-23", "days=7", "warm_up_days=7")
    place = load(*run)
    planned(place, 0)
    assert_equal(planned(place, 1), planned(load(*run), 1))


def test_levels_are_kept_for_as_long_as_their_place_is() -> None:
    place = load("days=7", "warm_up_days=7")
    kept = weakref.ref(levels_of(place))
    assert levels_of(place) is kept()
    assert levels_of(load("days=7", "warm_up_days=7")) is not kept()
    del place
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("hours", [None, [0, 0, *[1.0] * 10, 0, 0, 0.3, *[7.0] * 8, 0], [0] * 23 + [1]])
def test_the_minute_of_the_day_is_the_inverse_of_the_profile(hours: list[float] | None) -> None:
    """As numpy's interpolation has it, to the minute."""
    stream = Stream(title="Some", rate=1, first=Table("ward", str), hours=hours)
    profile = np.array(hours or [1.0] * 24)
    edges = np.concatenate([[0.0], np.cumsum(profile) / profile.sum()])
    inside = np.nextafter(edges[edges < 1], 1)
    uniform = np.concatenate([np.random.default_rng(1).random(5000), inside, np.nextafter([1.0], 0)])
    expected = np.minimum(np.interp(uniform, edges, np.arange(25) * 60.0).astype(int), 1439)
    assert _minute_of_day(stream, uniform).tolist() == expected.tolist()


def test_nobody_comes_in_an_hour_without_arrivals_though_shares_add_up_to_less_than_one() -> None:
    profiles = np.random.default_rng(1).random((300, 24))
    profiles[:, -1] = 0
    last = np.nextafter([1.0], 0)
    streams = [Stream(title="Some", rate=1, first=Table("ward", str), hours=list(p)) for p in profiles]
    minutes = [_minute_of_day(stream, last)[0] for stream in streams]
    assert {1379, 1380} >= set(minutes)
