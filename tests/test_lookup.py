"""Tables laid out for whole batches, and calendars that are kept: both give what reading them one by one gives."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from flowsim.compose import load
from flowsim.model.calendar import Calendars
from flowsim.model.cohort import Cohort
from flowsim.model.network import build_network
from flowsim.model.people import Levels, People, numbers
from flowsim.place import NOT_APPLICABLE, OTHER, PlaceError, Table

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


def test_a_table_laid_out_says_what_it_says_cell_by_cell():
    table, people = Table(NESTED, float), everybody()
    found = numbers(table, people, people.number, levels())
    one_by_one = [read(table, {name: int(c[i]) for name, c in people.codes.items()}) for i in range(len(people))]
    assert found.tolist() == one_by_one
    assert len(set(one_by_one)) == 8
    some = np.array([5, 3, 30])
    assert numbers(table, people, some, levels()).tolist() == found[some].tolist()


def test_what_a_table_does_not_say_is_refused_only_for_those_it_is_asked_for():
    people = everybody()
    table = Table({"by": "age", "young": 1.0, "old": {"by": "path", "home": 2.0, OTHER: 3.0}}, float)
    said = np.flatnonzero(np.isin(people.codes["age"], (0, 2)))
    assert set(numbers(table, people, said, levels())) == {1.0, 2.0, 3.0}
    with pytest.raises(PlaceError, match="no entry for 'middle"):
        numbers(table, people, np.flatnonzero(people.codes["age"] == 1), levels())


def test_calendars_with_more_behind_them_are_those_of_all_masks_at_once():
    masks = {name: np.random.default_rng(i).random(500) < 0.3 for i, name in enumerate("abcd")}
    first, more = ({name: masks[name] for name in names} for names in ("ab", "cd"))
    apart, at_once = Calendars.from_masks(first, 500).and_masks(more), Calendars.from_masks(masks, 500)
    for name in ("opened", "minutes", "first"):
        assert np.array_equal(getattr(apart, name), getattr(at_once, name))
        assert getattr(apart, name).dtype == getattr(at_once, name).dtype
    assert apart.names == at_once.names
    assert all(np.array_equal(apart.mask(c), mask) for c, mask in enumerate(masks.values()))


def test_calendars_are_shared_by_places_that_open_alike_and_by_no_others():
    short = ("days=14", "warm_up_days=7")
    calendars = build_network(load(*short), Cohort(1, 0)).calendars
    assert build_network(load(*short), Cohort(1, 1)).calendars is calendars
    later = build_network(load(*short, "start_date=2024-12-20"), Cohort(1, 0)).calendars
    assert not np.array_equal(later.opened, calendars.opened)
    other = build_network(load(*short, "place.calendars.pharmacy.weekday=08:00-09:00"), Cohort(1, 0)).calendars
    pharmacy = other.names.index("pharmacy")
    assert not np.array_equal(other.opened[pharmacy], calendars.opened[pharmacy])
