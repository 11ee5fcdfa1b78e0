"""Where the waiting is: delayed bed-days by what people wait for, one stacked bar a scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from flowsim.folder.result import Result
from flowsim.measures.causes import TRANSPORT
from flowsim.place import PlaceError
from flowsim.present.pictures.picture import EXPERIMENTS, Data, Picture
from flowsim.present.pictures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    finish,
    label_scenarios,
    legend_below,
)
from flowsim.present.titles import cause_title, period_words, replication_count, settings_words, titled, unit_in

STACK = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, YELLOW)
OTHERS = "#D0D0D0"
HATCHES = {
    "capacity": {"service": ""},
    "task": {"task": "//"},
    "staff": {"pool": ".."},
    "calendar": {"task": "\\\\", "service": "xx", "pool": "++"},
}
"""The hatch of a cause: by its kind, and by what it waits for."""
MOST_CAUSES = 8


class Subject(NamedTuple):
    """What a cause waits for: its kind, whether for a service, a pool or a task, and which of the place's it is."""

    kind: str
    of_what: str = ""
    position: int = 0


@dataclass(frozen=True, kw_only=True)
class Causes(Data):
    """The frame has cause, title, kind, of_what, position (see `Subject`), scenario and bed_days, the largest cause
    first; `axis` is what they are in."""

    axis: str


def data(result: Result) -> Causes:
    """Mean delayed bed-days of each scenario by cause, the smaller causes together. Raises PlaceError."""
    rows = result.results[result.results["measure"] == "delayed_bed_days_by_cause"]
    rows = rows[rows["where"] == "all"]
    if rows.empty:
        raise PlaceError("kind: 'causes' has nothing to show: no delayed bed-days by cause were found.")
    bars = _largest(_means(result, rows))
    subjects = subjects_of(result)
    columns = ["cause", "title", *Subject._fields, "scenario", "bed_days"]
    frame = pd.DataFrame(
        [
            [cause, cause_title(result, cause), *subjects.get(cause, Subject("")), scenario, bars[cause][scenario]]
            for cause in map(str, bars.columns)
            for scenario in bars.index
        ],
        columns=columns,
    )
    return Causes(
        frame=frame,
        title="Where the waiting is: delayed bed-days by cause",
        caption=f"Mean of {replication_count(result)} replications. Each delayed minute is charged to exactly one "
        f"cause; 'full' is capacity and 'closed' calendar in the tables. {period_words(result)}",
        settings=settings_words(result),
        scenarios={str(name): titled(result, str(name)) for name in bars.index},
        axis=unit_in("delayed_bed_days_by_cause", result),
    )


def _means(result: Result, rows: pd.DataFrame) -> pd.DataFrame:
    """A row a scenario and a column a cause."""
    replications = rows.groupby("scenario")["replication"].nunique()
    table = rows.groupby(["scenario", "of"])["value"].sum().unstack("of").fillna(0).div(replications, axis=0)
    return table.loc[[name for name in result.scenarios if name in table.index]]


def _largest(table: pd.DataFrame) -> pd.DataFrame:
    """The largest causes of any scenario, and all others in a last column. Raises PlaceError."""
    largest = table.max().sort_values(ascending=False, kind="stable").index
    largest = largest[(table[largest] > 0).any()]
    if largest.empty:
        raise PlaceError("kind: 'causes' has nothing to show: nobody is delayed.")
    bars = table[list(largest[:MOST_CAUSES])].copy()
    if len(largest) > MOST_CAUSES:
        bars[f"{len(largest) - MOST_CAUSES} other causes"] = table[largest[MOST_CAUSES:]].sum(axis=1)
    return bars


def subjects_of(result: Result) -> dict[str, Subject]:
    """Every cause there can be: by the place's own order, so that each looks the same in each run of a place."""
    subjects = {TRANSPORT: Subject(TRANSPORT)}
    places = list(result.places.values())
    names = {
        "task": [task for place in places for stage in place.stages.values() for task in (*stage.before, *stage.after)],
        "service": [name for place in places for name in place.services],
        "pool": [name for place in places for name in place.pools],
    }
    for kind, hatches in HATCHES.items():
        for of_what in hatches:
            for at, name in enumerate(dict.fromkeys(names[of_what])):
                subjects[f"{kind}: {name}"] = Subject(kind, of_what, at)
    return subjects


def draw(data: Causes) -> Figure:
    """One stacked bar a scenario."""
    titles = list(data.scenarios.values())
    figure = Figure(figsize=(10, 0.55 * len(titles) + 2.8))
    axes = figure.subplots()
    left = np.zeros(len(titles))
    for _, rows in data.frame.groupby("cause", sort=False):
        first = rows.iloc[0]
        colour, hatch = colour_and_hatch(Subject(first["kind"], first["of_what"], int(first["position"])))
        axes.barh(
            range(len(titles)), rows["bed_days"].to_numpy(), left=left, color=colour, hatch=hatch, edgecolor="white",
            height=0.7, label=first["title"],
        )  # fmt: skip
        left += rows["bed_days"].to_numpy()
    for at, total in enumerate(left):
        axes.text(total, at, f" {total:,.0f}", va="center", fontsize=8.5)
    label_scenarios(axes, titles)
    axes.margins(x=0.08)
    axes.set_xlabel(data.axis)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    finish(figure, data, bottom=legend_below(figure, *axes.get_legend_handles_labels()))
    return figure


def colour_and_hatch(subject: Subject) -> tuple[str, str]:
    """How a cause looks, which is its own; causes that are put together, and those of no place, are light grey."""
    kind, of_what, at = subject
    if not of_what:
        return (GREY if kind == TRANSPORT else OTHERS), ""
    return _darker(STACK[at % len(STACK)], at // len(STACK)), HATCHES[kind][of_what]


def _darker(colour: str, steps: int) -> str:
    """A colour nearer to black, half of the way in each step."""
    return to_hex(np.array(to_rgb(colour)) / 2**steps)


PICTURE = Picture("causes", 50, EXPERIMENTS, data, draw)
