"""The page of a selection: the ranking it ended with, then what a comparison tells."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from flowsim.present.pages import compare, forecast, trouble, worth
from flowsim.present.pages.cells import mean_cell
from flowsim.present.pages.page import Cell, Section
from flowsim.present.titles import title_and_unit, titled
from flowsim.questions.guards import in_words
from flowsim.questions.select import GUARDED, LEFT, Selection


def sections(result: Selection, brief: bool) -> Iterator[Section]:
    """Everything that is told of a selection; `brief` has the ranking alone."""
    yield from trouble.sections(result)
    if result.results.empty:
        return
    yield from forecast.sections(result)
    yield ranking(result)
    if brief:
        yield from worth.sections(result)
    else:
        yield from compare.what_changes(result, brief)


def ranking(result: Selection) -> Section:
    """The scenarios, the best first, and how they were told apart."""
    measure = result.asked["measure"]
    rows = tuple(
        (
            "-" if row["ended"] == GUARDED else Cell(int(row["rank"])),
            titled(result, row["scenario"]),
            mean_cell(row, measure),
            Cell(int(row["replications"])),
            _ended(row),
        )
        for row in result.ranking.to_dict("records")
    )
    heading = f"Which is best: {title_and_unit(measure, result)}"
    columns = ("rank", "scenario", "mean (95 % interval)", "replications", "")
    return Section(heading, columns, rows, tuple(result.explanation()), in_a_line=True)


def _ended(row: Mapping[Hashable, Any]) -> str:
    """How it ended for a scenario, by a row of the ranking."""
    if row["ended"] == GUARDED:
        return f"not selected, worse: {in_words(row['worse'].split())}"
    return f"left after {row['after']}" if row["ended"] == LEFT else str(row["ended"])
