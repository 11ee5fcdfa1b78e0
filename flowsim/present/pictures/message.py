"""The sentence above a picture: what was found, in the numbers found; nothing that their intervals do not carry."""

from __future__ import annotations

from typing import Any

from flowsim.folder.result import Result
from flowsim.measures.registry import MEASURES
from flowsim.present.pages.answer import AT_THE_DOOR, MOST_NAMED, changed, level, matters
from flowsim.present.pages.answer_compare import hidden_queue
from flowsim.present.pages.cells import judged, mean_cell
from flowsim.present.titles import titled
from flowsim.present.words import NO_CHANGE, NO_MATTER, number, with_unit
from flowsim.questions.compare import Comparison
from flowsim.questions.matters import least

NOT_CLEAR = "not clearly different"


def of_measure(result: Result, measure: str) -> str:
    """A measure in each scenario: ``Delayed patients: As things are 113 people; Home first 96.4 (-16.6 people)``.

    Of one scenario its mean with its interval.
    """
    title = MEASURES[measure].title
    if isinstance(result, Comparison) and result.others:
        return f"{title}: {compared(result, measure)}"
    rows = result.summary()
    row: Any = next(iter(rows[rows["measure"] == measure].to_dict("records")))
    cell = mean_cell(row, measure)
    return f"{title}: {level(measure, float(row['mean']), cell.low, cell.high)}"


def compared(result: Comparison, measure: str) -> str:
    """The first scenario's value and those of the others, each with its difference or that none is clear."""
    table = result.table()
    rows = table[table["measure"] == measure]
    if rows.empty:
        return "nothing to compare"  # every run of the others failed
    unit = MEASURES[measure].unit
    said = [f"{titled(result, result.baseline)} {with_unit(float(rows['baseline'].iloc[0]), unit)}"]
    for row in rows.head(MOST_NAMED).to_dict("records"):
        value = number(float(row["baseline"] + row["difference"]), unit)
        outside = measure not in AT_THE_DOOR and hidden_queue(result, table, str(row["scenario"]))
        hidden = ", but more wait in A&E" if outside else ""
        said.append(f"{titled(result, str(row['scenario']))} {value} ({verdict(row, result)}{hidden})")
    more = len(rows) - MOST_NAMED
    return "; ".join(said) + (f"; {more} more below" if more > 0 else "")


def verdict(row: Any, result: Result) -> str:
    """A paired difference where it is clear and matters, and else that it is not."""
    measure = str(row["measure"])
    if matters(row, result):
        return changed(measure, float(row["difference"]))
    word = judged(str(row["change"]), float(row["difference"]), least(measure, result))
    return word if word in (NO_CHANGE, NO_MATTER) else NOT_CLEAR
