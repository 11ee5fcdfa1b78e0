"""The page of a selection: the ranking it ended with, then what a comparison tells."""

from __future__ import annotations

from collections.abc import Iterator

from flowsim.present.pages import compare, forecast, trouble, worth
from flowsim.present.pages.cells import mean_cell
from flowsim.present.pages.page import Cell, Section
from flowsim.present.titles import title_and_unit, titled
from flowsim.questions.select import LEFT, Selection


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
            Cell(int(row["rank"])),
            titled(result, row["scenario"]),
            mean_cell(row, measure),
            Cell(int(row["replications"])),
            f"left after {row['after']}" if row["ended"] == LEFT else str(row["ended"]),
        )
        for row in result.ranking.to_dict("records")
    )
    heading = f"Which is best: {title_and_unit(measure, result)}"
    columns = ("rank", "scenario", "mean (95 % interval)", "replications", "")
    return Section(heading, columns, rows, tuple(result.explanation()), in_a_line=True)
