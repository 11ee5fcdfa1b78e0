"""The national measures, those collected now and those that were collected, by theme."""

from __future__ import annotations

from typing import Any

import pandas as pd

from flowsim.folder.result import Result
from flowsim.measures.national import EVIDENCE, missing
from flowsim.measures.registry import MEASURES, NATIONAL
from flowsim.present.pages.cells import difference_cell, mean_cell
from flowsim.present.pages.page import Entry, Section
from flowsim.present.titles import title_and_unit, titled
from flowsim.questions.matters import least

COMING_BACK = (
    "Readmitted within six months can be below within 30 days: they are shares of different discharges, those of the "
    "last 182 days being left out of the one and those of the last 30 days of the other, and later readmissions are "
    "made only where a place declares them."
)


def section(result: Result, differences: pd.DataFrame | None = None) -> Section:
    """The means of the first scenario, and beside them the paired differences of the others where there are some."""
    first = result.scenarios[0]
    others = () if differences is None else result.scenarios[1:]
    summary = result.summary(headline=False)
    means: Any = summary[summary["scenario"] == first].set_index(["measure", "where", "of"])
    changes: Any = means if differences is None else differences.set_index(["scenario", "measure", "where", "of"])
    rows: list[tuple[Entry, ...]] = []
    for theme, names in NATIONAL.items():
        shown = [(name, of) for name in names for of in ("", *EVIDENCE) if (name, "all", of) in means.index]
        for at, (name, of) in enumerate(shown):
            unit = MEASURES[name].unit
            title = title_and_unit(name, result) if not of else f"{MEASURES[name].title}: {of}"
            keys = [(scenario, name, "all", of) for scenario in others]
            matters = least(name, result)
            cells = [
                difference_cell(changes.loc[key], unit, least=matters) if key in changes.index else "-" for key in keys
            ]
            rows.append(("" if at else theme, title, mean_cell(means.loc[(name, "all", of)], name), *cells))
    sentences = [
        f"Not measured: {MEASURES[name].title}; the place would have to declare "
        f"{' and '.join(f'metrics.{key}' for key in keys)}."
        for name, keys in missing(result.places[first]).items()
    ]
    if set(NATIONAL["Coming back"]) <= set(means.index.get_level_values("measure")):
        sentences.append(COMING_BACK)
    columns = ("", "", *(titled(result, scenario) for scenario in (first, *others)))
    return Section("National measures, past and present", columns, tuple(rows), tuple(sentences))
