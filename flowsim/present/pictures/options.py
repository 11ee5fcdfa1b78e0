"""What each option changes, the best first: a dot and an interval for each that somebody named, a panel a measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from flowsim.measures.registry import HEADLINE
from flowsim.place import PlaceError
from flowsim.present.pages.answer_sweep import title_of
from flowsim.present.pages.cells import judged
from flowsim.present.pages.sweep import base_title, point_title
from flowsim.present.pictures import differences
from flowsim.present.pictures.differences import Differences
from flowsim.present.pictures.picture import Picture
from flowsim.present.pictures.sweeps import FILE, MOST_OPTIONS, asked, caption, fitting
from flowsim.present.titles import replication_count, settings_words, unit_in
from flowsim.present.words import interval_words
from flowsim.questions.matters import least
from flowsim.questions.sweep import POINT, Sweep


def data(result: Sweep, measures: Sequence[str] = ()) -> Differences:
    """The paired difference of each option to the place as it is, best first by the first measure. Raises PlaceError.

    The best `MOST_OPTIONS` of more.
    """
    shown = asked(result, measures)
    ranked = [str(point) for point in result.best(shown[0])[POINT]]
    points = ranked[:MOST_OPTIONS]
    frame = pd.concat([_rows(result, measure, points) for measure in shown], ignore_index=True)
    if frame.empty:
        raise PlaceError("kind: 'options' has nothing to show: no option has results.")
    titles = {
        point: point_title(result, point) + (" (not ranked)" if result.worse.get(point) else "") for point in points
    }
    first = HEADLINE[shown[0]].title
    beside = f"The best {len(points)} of" if len(points) < len(ranked) else "All"
    what = (
        f"Points: mean paired difference to {base_title(result)}; bars: "
        f"{interval_words(replication_count(result), 'paired ')}. Best first by {first.lower()}"
    )
    marked = "; not ranked: makes worse what is guarded" if any(result.worse.get(point) for point in points) else ""
    return Differences(
        frame=frame,
        title=title_of(result, shown[0], f"{first}: what each option changes"),
        caption=caption(result, f"{what}{marked}. {beside}"),
        settings=settings_words(result),
        scenarios=titles,
        baseline=base_title(result),
    )


def _rows(result: Sweep, measure: str, points: Sequence[str]) -> pd.DataFrame:
    table: Any = result.table(measure).set_index(POINT)
    base = float(table.loc[result.base, "mean"]) if result.base in table.index else float("nan")
    rows = table.reindex([point for point in points if point in table.index])
    rows = rows[rows["difference"].notna()]
    unit, smallest = HEADLINE[measure].unit, least(measure, result)
    pairs = zip(rows["change"], rows["difference"], strict=True)
    return pd.DataFrame(
        {
            "measure": measure,
            "title": HEADLINE[measure].title,
            "unit": unit,
            "axis": "percentage points" if unit == "%" else unit_in(measure, result),
            "better": HEADLINE[measure].better,
            "scenario": rows.index.astype(str),
            "baseline": base,
            "difference": rows["difference"].to_numpy(float),
            "low": rows["difference_low"].to_numpy(float),
            "high": rows["difference_high"].to_numpy(float),
            "change": [judged(str(change), float(difference), smallest) for change, difference in pairs],
        }
    )


def draw(data: Differences) -> Figure:
    """As the differences of scenarios are drawn, a panel a measure."""
    return differences.draw(data)


PICTURE = Picture("options", 5, ("sweep",), data, draw, fits=lambda result: fitting(result) == "options", file=FILE)
