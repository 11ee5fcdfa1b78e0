"""Which differences are worth telling: clear, and at least the smallest that matters."""

from __future__ import annotations

import pandas as pd

from flowsim.folder.result import Result
from flowsim.measures.registry import MEASURES
from flowsim.statistics.intervals import whole


def least(measure: str, result: Result) -> float:
    """The smallest difference of a measure that matters in the time measured, beside what the first scenario has."""
    one = MEASURES[measure]
    if not one.matters_share:
        return one.matters_in(result.days)
    rows = whole(result.results)
    rows = rows[(rows["measure"] == measure) & (rows["scenario"] == result.scenarios[0])]
    return one.matters_in(result.days, float(rows["value"].mean()) if len(rows) else 0.0)


def telling(differences: pd.DataFrame, smallest: float) -> pd.Series:
    """Which rows of `compare.paired_differences` are clear and at least so large."""
    return differences["change"].isin(["more", "less"]) & (differences["difference"].abs() >= smallest)
