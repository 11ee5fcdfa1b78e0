"""Each measure year by year along a path, with bands, beside today; in several scenarios a line each."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from flowsim.measures.registry import HEADLINE
from flowsim.place import PlaceError
from flowsim.present.pages.answer_sweep import message_of_path
from flowsim.present.pages.sweep import base_title, scenario_title
from flowsim.present.pictures import lines
from flowsim.present.pictures.lines import Lines, rows_over
from flowsim.present.pictures.picture import Picture
from flowsim.present.pictures.sweeps import FILE, asked, caption, fitting
from flowsim.present.titles import replication_count, settings_words
from flowsim.present.words import interval_words
from flowsim.questions.design import SCENARIO
from flowsim.questions.sweep import YEAR, Sweep


def data(result: Sweep, measures: Sequence[str] = ()) -> Lines:
    """Each measure in each year. Raises PlaceError."""
    shown = asked(result, measures)
    if not result.is_path:
        raise PlaceError("kind: 'path' needs a path, such as KEY=path(+3%,5); this sweep has none.")
    n = replication_count(result)
    of_what = " of the paired difference from today" if n > 1 else ""
    bands = f"bands: {interval_words(n)}{of_what}. Dotted: {base_title(result)}."
    return Lines(
        frame=pd.concat([_years(result, measure) for measure in shown], ignore_index=True),
        title=message_of_path(result, shown[0], HEADLINE[shown[0]].title),
        caption=caption(result, f"Points: means, each year a run of its own; {bands}"),
        settings=settings_words(result),
        label="years from now",
    )


def _years(result: Sweep, measure: str) -> pd.DataFrame:
    rows = rows_over(result, measure, YEAR)
    titles = {str(point): scenario_title(result, str(point)) for point in rows["point"]}
    rows["scenario"] = rows["point"].astype(str).map(titles) if SCENARIO in result.settings else ""
    now = rows[rows["base"]]
    today = now.assign(base=False, low=now["mean"], high=now["mean"])  # where the line of what is compared with begins
    return pd.concat([today, rows], ignore_index=True)


def draw(data: Lines) -> Figure:
    """A panel a measure."""
    return lines.draw(data)


PICTURE = Picture("path", 7, ("sweep",), data, draw, fits=lambda result: fitting(result) == "path", file=FILE)
