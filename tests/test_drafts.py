"""Some people of a batch, and what is said of them stage by stage until it stands in one set of tables."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from flowsim.model.calendar import ALWAYS_OPEN
from flowsim.model.drafts import Draft, Link, Sheet, TaskSheet, joined, one_sheet
from flowsim.model.people import (
    Found,
    Levels,
    People,
    Who,
    among,
    moved,
    of,
    one_behind_the_other,
    positions,
    size,
    subset,
    together,
)
from flowsim.model.tables import NONE

N = 12
SOME: tuple[Who, ...] = (slice(0, N), slice(3, 8), slice(4, 4), np.array([1, 4, 5, 11]), np.array([], dtype=np.intp))


def told(who: Who) -> list[int]:
    """The positions one by one."""
    return np.arange(N)[who].tolist()


def people(number: list[int], first: list[int], found: Found | None = None) -> People:
    n = np.array(number, dtype=np.int64)
    return People(n, n * 10, {"stream": (n % 7).astype(np.int16)}, np.array(first, dtype=np.int64), {}, found)


# ---------------------------------------------------------------------------------------------------------------------
# Some people of a batch


@pytest.mark.parametrize("who", SOME, ids=str)
def test_people_in_a_run_and_people_told_one_by_one_are_read_alike(who: Who) -> None:
    column = np.random.default_rng(1).permutation(N)
    mask = np.zeros(N, dtype=bool)
    mask[who] = True
    assert told(positions(mask)) == told(who)
    assert of(column, who).tolist() == column[told(who)].tolist()
    assert size(who) == len(told(who))
    n = size(who)
    for some in (slice(0, n), slice(n // 2, n), np.arange(n)[::2]):
        assert told(among(who, some)) == np.array(told(who), dtype=int)[some].tolist()
    if n and told(who)[-1] < N - 1:
        assert told(moved(who, 1)) == [position + 1 for position in told(who)]


def test_people_who_stand_one_behind_the_other_are_a_run_and_copied_nowhere() -> None:
    assert positions(np.arange(N) > 3) == slice(4, N)
    assert one_behind_the_other([slice(2, 5), slice(5, 5), slice(5, 9)]) == slice(2, 9)
    assert one_behind_the_other([slice(4, 4), slice(0, 0)]) == slice(4, 4)


@pytest.mark.parametrize("parts", list(itertools.permutations(SOME, 3)))
def test_parts_stand_in_their_order(parts: tuple[Who, ...]) -> None:
    assert told(one_behind_the_other(list(parts))) == [position for part in parts for position in told(part)]


def test_of_people_found_at_the_start_and_people_who_come_only_the_first_were_found() -> None:
    found = Found(np.array([2, 0]), np.array([1, 0]), np.array([60.0, 30.0]), np.array([5, NONE]), {"ward": 0})
    everybody = together([people([16, 32, 48], [0, 0, 0]), people([64, 80], [0, 0], found)])
    assert everybody.found is not None
    assert everybody.found.rule.tolist() == [NONE] * 3 + [2, 0]
    assert everybody.found.state.tolist() == [0] * 3 + [1, 0]
    assert everybody.found.elapsed.tolist() == [0.0] * 3 + [60.0, 30.0]
    assert everybody.found.next.tolist() == [NONE] * 3 + [5, NONE]
    assert subset(everybody, np.array([3, 0])).found.rule.tolist() == [2, NONE]  # type: ignore[union-attr]


def test_what_is_decided_later_about_people_together_leaves_what_was_settled() -> None:
    settled = {"stream": np.array([1, NONE], dtype=np.int16)}
    one = People(np.array([16, 32]), np.array([0, 0]), dict(settled), np.array([0, 0]), dict(settled))
    both = together([one, people([48], [0])])
    assert both.codes["stream"].tolist() == [1, NONE, 6]
    assert both.person_codes["stream"].tolist() == [1, NONE, NONE]


# ---------------------------------------------------------------------------------------------------------------------
# Joining

ED, WARD, HOME, NEVER = range(4)
STAGES = ("ed", "ward", "home", "never")


def levels() -> Levels:
    made = Levels([])
    made.words = {"site": {"here": 0}, "stream": dict.fromkeys("abcdefg", 0)}
    return made


def sheet_of(code: int, who: Who, service: int) -> Sheet:
    sheet = Sheet(code, who)
    sheet.say("service", service)
    return sheet


def test_rows_stand_by_person_and_stage_and_name_each_other() -> None:
    """Two people come, the second by number first; she alone goes to the ward, and comes back once."""
    ed, ward = sheet_of(ED, slice(0, 2), 7), sheet_of(WARD, np.array([1]), 8)
    ed.links.append(Link("next", np.array([1]), WARD))
    ed.links.append(Link("since", slice(0, 2), NEVER))
    ed.say("priority", np.array([3, 4], dtype=np.int16))
    ward.say("patience", 5, np.array([0]))
    ward.back = slice(0, 1)
    ward.tasks.append(TaskSheet(slice(0, 1), 0, {"kind": 1, "minutes": np.array([30])}))
    ward.tasks.append(TaskSheet(np.array([0]), np.array([1]), {"kind": 0, "calendar": 2}))
    ward.say("n_before", np.array([1], dtype=np.int16))
    ward.say("n_after", 1)
    first = Draft(people([32, 16], [ED, ED]), [ward, ed])
    again = Draft(people([17], [WARD]), [sheet_of(WARD, slice(0, 1), 8)])
    made = joined([first, again], STAGES, ("one", "other"), levels())

    assert made.spells.number.tolist() == [16, 17, 32]
    assert made.spells.arrival.tolist() == [160, 170, 320]
    assert made.spells.first_row.tolist() == [0, 2, 3]
    assert made.spells.initial.tolist() == [0, 0, 0]
    assert made.rows.spell.tolist() == [0, 0, 1, 2]
    assert made.rows.stage.tolist() == [ED, WARD, WARD, ED]
    assert made.rows.service.tolist() == [7, 8, 8, 7]
    assert made.rows.next.tolist() == [1, NONE, NONE, NONE]
    assert made.rows.since.tolist() == [NONE] * 4  # nobody comes there
    assert made.rows.priority.tolist() == [4, 0, 0, 3]
    assert made.rows.patience.tolist() == [NONE, 5, NONE, NONE]
    assert made.rows.child.tolist() == [NONE, 1, NONE, NONE]
    assert made.rows.first_task.tolist() == [0, 0, 2, 2]
    assert made.tasks.kind.tolist() == [1, 0]
    assert made.tasks.minutes.tolist() == [30, 0]
    assert made.tasks.calendar.tolist() == [ALWAYS_OPEN, 2]
    assert list(made.attributes) == ["stream"]
    assert made.attributes["stream"].tolist() == [2, 3, 4]


def test_rows_after_being_unfit_again_stand_behind_all_others_of_their_person() -> None:
    again = len(STAGES)
    sheets = [sheet_of(WARD, slice(0, 1), 1), sheet_of(again + ED, slice(0, 1), 2), sheet_of(HOME, slice(0, 1), 3)]
    sheets[0].links.append(Link("unfit_to", slice(0, 1), again + ED))
    made = joined([Draft(people([16], [WARD]), sheets)], STAGES, (), levels())
    assert made.rows.service.tolist() == [1, 3, 2]
    assert made.rows.stage.tolist() == [WARD, HOME, ED]
    assert made.rows.unfit_to.tolist() == [2, NONE, NONE]


@pytest.mark.parametrize("dies", [None, np.array([False, True])])
def test_sheets_of_several_generations_are_one_and_say_the_same(dies: np.ndarray | None) -> None:
    one, other = Sheet(WARD, slice(1, 3), dies), Sheet(WARD, np.array([0, 2]))
    one.say("units", np.array([5, 6]))
    one.back = np.array([1])
    other.say("units", 9, np.array([1]))
    other.back = slice(0, 1)
    other.links.append(Link("next", slice(0, 2), HOME))
    both = one_sheet([(0, one), (3, other)])
    assert np.arange(10)[both.who].tolist() == [1, 2, 3, 5]
    assert np.arange(10)[both.back].tolist() == [1, 2]
    assert [(np.arange(4)[e.rows].tolist(), np.asarray(e.values).tolist()) for e in both.entries] == [
        ([0, 1], [5, 6]),
        ([3], 9),
    ]
    assert [(np.arange(4)[k.rows].tolist(), k.to) for k in both.links] == [([2, 3], HOME)]
    assert both.dies is None if dies is None else both.dies.tolist() == [False, True, False, False]  # type: ignore[union-attr]
