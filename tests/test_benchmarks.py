"""The contenders of the benchmarks simulate one model: the engines and the loop in C exactly, the others on average.

Nothing about speed is asserted here or anywhere else in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from acceptance import ENGINES, LEVEL
from engine_places import random_case
from scipy import stats

from benchmarks import __main__ as table
from benchmarks import c_loop, kernel_in_c, sections, stock_simpy, timing
from benchmarks.small_model import DAY, VILLAGE, Visits, tables, visits_of
from flowsim.declare.composition import load
from flowsim.engine import reference

REPLICATIONS = 40
WINDOW = (50 * DAY, 110 * DAY)
"""Minutes that count: after a start from empty, and ending early enough for all in it to have left (Ciw records only
those)."""


def of_engine(name: str) -> Callable[[int], Visits]:
    def run(replication: int) -> Visits:
        journeys, network = tables(VILLAGE, replication)
        return visits_of(journeys, ENGINES[name](journeys, network))

    return run


def of_simpy(replication: int) -> Visits:
    return stock_simpy.run(VILLAGE, replication)


def of_ciw(replication: int) -> Visits:
    pytest.importorskip("ciw")
    from benchmarks import in_ciw

    return in_ciw.run(VILLAGE, replication)


CONTENDERS = {"plain SimPy": of_simpy, "Ciw": of_ciw, **{name: of_engine(name) for name in ENGINES}}


@cache
def measured(name: str) -> dict[str, np.ndarray]:
    """Each measure of the replications of one contender."""
    found = [CONTENDERS[name](replication).measures(*WINDOW) for replication in range(REPLICATIONS)]
    return {measure: np.array([one[measure] for one in found]) for measure in found[0]}


@pytest.mark.long
@pytest.mark.parametrize("name", list(ENGINES))
@pytest.mark.parametrize("other", ["plain SimPy", "Ciw"])
def test_others_agree_on_average(name: str, other: str) -> None:
    """Means of people in each service and of the waits, within their combined intervals (Welch)."""
    theirs = measured(other)
    for measure, ours in measured(name).items():
        p = stats.ttest_ind(ours, theirs[measure], equal_var=False).pvalue
        assert p > 1 - LEVEL, f"{measure}: {ours.mean():.2f} in flowsim, {theirs[measure].mean():.2f} in {other}"


def test_the_services_are_crowded() -> None:
    """What the contenders agree on is worth something only where people wait."""
    means = {measure: values.mean() for measure, values in measured(next(iter(ENGINES))).items()}
    assert means["minutes held in ed"] > 5
    assert means["minutes held in ward"] > 30
    assert means["minutes at the door"] > 5


@pytest.mark.parametrize("name", list(ENGINES))
@pytest.mark.skipif(c_loop.compiler() is None, reason="no C compiler")
def test_the_loop_in_c_gives_the_same_stamps(name: str) -> None:
    for replication in range(3):
        journeys, network = tables(VILLAGE, replication)
        table, _ = c_loop.run(journeys, network)
        assert c_loop.agrees(table, ENGINES[name](journeys, network))


def test_a_wrong_stamp_would_be_seen() -> None:
    journeys, network = tables(VILLAGE, 0)
    stamps = reference.run(journeys, network)
    table = np.column_stack([getattr(stamps, name) for name in c_loop.STAMPS])
    assert c_loop.agrees(table, stamps)
    table[-1, 0] += 1
    assert not c_loop.agrees(table, stamps)


@pytest.mark.skipif(c_loop.compiler() is None, reason="no C compiler")
def test_the_kernel_translated_into_c_fills_the_same_tables() -> None:
    """Every table, in every cell; with crowded places that use every rule."""
    for seed in range(6):
        kernel_in_c.measured(*random_case(seed), repeats=1)
    kernel_in_c.measured(*tables(VILLAGE, 0), repeats=1)


@pytest.mark.skipif(c_loop.compiler() is None, reason="no C compiler")
def test_a_wrong_translation_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    rightly = kernel_in_c.translated

    def wrongly(*given: Any) -> str:
        text = rightly(*given)
        assert text.count("return (a < b);") == 1
        return text.replace("return (a < b);", "return (a > b);")

    monkeypatch.setattr(kernel_in_c, "translated", wrongly)
    with pytest.raises(AssertionError, match="differ in tables"):
        kernel_in_c.measured(*random_case(0), repeats=1)


# -- the table ---------------------------------------------------------------------------------------------------------


def test_a_part_of_which_nothing_is_measured_is_an_empty_table() -> None:
    rows = list(sections.comparison(sections.QUICK))
    assert rows == []
    assert table.as_text("head", rows) == "head"
    assert table.as_markdown("head", rows).startswith("head")


@pytest.mark.parametrize("effort", [sections.FULL, sections.QUICK])
def test_the_heading_tells_the_days_of_the_place(effort: sections.Effort) -> None:
    assert f"{load(*effort.year).run.all_days} days with the warm-up" in table.heading("some", effort)


@pytest.mark.parametrize("part", [sections.end_to_end, sections.comparison])
def test_commands_are_measured_when_all_is_compiled(
    part: Callable[[sections.Effort], Iterator[timing.Row]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class MeasuredEnoughError(Exception):
        """The first command was run."""

    def command(*words: str) -> timing.Finished:
        asked.append(words[0])
        raise MeasuredEnoughError

    monkeypatch.setattr(sections, "process", lambda *words: asked.append(words[-1]))
    monkeypatch.setattr(sections, "flowsim", command)
    sections.compile_before.cache_clear()
    with pytest.raises(MeasuredEnoughError):
        list(part(sections.FULL))
    sections.compile_before.cache_clear()
    assert len(asked) == 2
    assert "compiled.prepare()" in asked[0]


def test_a_row_tells_that_most_replications_of_the_reference_engine_are_reckoned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell = {"seconds": dict.fromkeys(sections.STEPS, (1.0,)), "memory": (100.0,)}
    monkeypatch.setattr(sections, "compile_before", lambda: None)
    monkeypatch.setattr(sections, "flowsim", lambda *words: timing.Finished("", 60.0, 60.0, 100.0))
    monkeypatch.setattr(sections, "sefton", lambda effort, engine: cell)
    rows = {row.what: row.median for row in sections.end_to_end(sections.FULL)}
    (told,) = (what for what in rows if what.startswith("reference / compiled"))
    assert told.endswith("(the reference: 2 run, the other 48 reckoned at the time of one in a worker)")
    assert rows[told] == pytest.approx((60 + 48 * len(sections.STEPS)) / 60)
