"""Where the waiting is: delayed bed-days by what people wait for, one stacked bar a scenario."""

from __future__ import annotations

from collections.abc import Sequence
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
    DARK,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    distance,
    finish,
    label_scenarios,
    legend_below,
    number_beside,
)
from flowsim.present.titles import cause_title, period_words, replication_count, settings_words, titled, unit_in
from flowsim.statistics.intervals import t_interval

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
ROOM_FOR_A_NUMBER = 0.05
"""Of the longest bar: shorter pieces have no number in them."""
TOLD_APART = 15.0
"""Between two colours, as `distance` has it: nearer ones are taken for each other where they lie side by side."""
LIGHT = 0.62
"""Mean of a colour's red, green and blue above which a white hatch is not seen on it."""


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
        title=_message(result, rows),
        caption=f"Mean of {replication_count(result)} replications. Each delayed minute is charged to exactly one "
        f"cause; 'full' is capacity and 'closed' calendar in the tables. {period_words(result)}",
        settings=settings_words(result),
        scenarios={str(name): titled(result, str(name)) for name in bars.index},
        axis=unit_in("delayed_bed_days_by_cause", result),
    )


def _message(result: Result, rows: pd.DataFrame) -> str:
    """What most people wait for as things are; two causes where the largest is not clearly ahead of the next."""
    first = result.scenarios[0]
    each = rows[rows["scenario"] == first].pivot_table(
        index="of", columns="replication", values="value", aggfunc="sum", fill_value=0.0, observed=True
    )
    order = each.mean(axis=1).sort_values(ascending=False, kind="stable")
    total = float(order.sum())
    if not total:
        return "Nobody is delayed in " + titled(result, first)
    named = [f"{_for_what(result, str(name))} {100 * value / total:.0f} %" for name, value in order.head(2).items()]
    ahead = True
    if len(order) > 1:
        gap = each.loc[order.index[0]] - each.loc[order.index[1]]
        _, _, _, low, _ = (float(part[0]) for part in t_interval(gap.to_numpy(dtype=float)[None, :]))
        ahead = low > 0
    of_all = f"of {total:,.0f} delayed bed-days"
    where = f" in {titled(result, first)}" if len(result.scenarios) > 1 else ""
    if ahead:
        return f"Most delay{where}: {named[0]} {of_all}"
    return f"Most delay{where}: {' and '.join(named)} {of_all}, neither clearly ahead of the other"


def _for_what(result: Result, cause: str) -> str:
    """A cause with a capital: ``Full: Reablement (pathway 1)``."""
    title = cause_title(result, cause)
    return title[:1].upper() + title[1:]


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
    """One stacked bar a scenario, with the numbers that find room in it."""
    titles = list(data.scenarios.values())
    figure = Figure(figsize=(10, 0.55 * len(titles) + 2.8))
    axes = figure.subplots()
    left = np.zeros(len(titles))
    causes = list(data.frame.groupby("cause", sort=False))
    subjects = [Subject(row["kind"], row["of_what"], int(row["position"])) for row in (c.iloc[0] for _, c in causes)]
    looks = colours_and_hatches(subjects)
    widest = data.frame.groupby("scenario", sort=False)["bed_days"].sum().max()
    for subject, (_, rows) in zip(subjects, causes, strict=True):
        colour, hatch = looks[subject]
        days = rows["bed_days"].to_numpy()
        axes.barh(
            range(len(titles)), days, left=left, color=colour, hatch=hatch, edgecolor=_edge(colour), linewidth=0.8,
            height=0.7, label=rows["title"].iloc[0],
        )  # fmt: skip
        for row, size in enumerate(days):
            if size >= ROOM_FOR_A_NUMBER * widest:
                middle = (float(left[row] + size / 2), float(row))
                number_beside(axes, f"{size:,.0f}", middle, (0, 0), ha="center", va="center")
        left += days
    for at, total in enumerate(left):
        axes.text(total, at, f" {total:,.0f}", va="center", fontsize=8.5)
    label_scenarios(axes, titles)
    axes.margins(x=0.08)
    axes.set_xlabel(data.axis)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    finish(figure, data, bottom=legend_below(figure, *axes.get_legend_handles_labels()))
    return figure


def colour_and_hatch(subject: Subject) -> tuple[str, str]:
    """How a cause looks, which is its own; causes that are put together, and those of no place, are light grey.

    A task has one hue however it is waited for: at work it is dark, closed it is light.
    """
    kind, of_what, at = subject
    if not of_what:
        return (DARK if kind == TRANSPORT else OTHERS), ""
    hue = STACK[at % len(STACK)]
    shade = _darker(hue, 1) if kind == "task" else _lighter(hue) if kind == "calendar" else hue
    return _darker(shade, at // len(STACK)), HATCHES[kind][of_what]


def colours_and_hatches(subjects: Sequence[Subject]) -> dict[Subject, tuple[str, str]]:
    """How causes that are drawn together look: each as it always does, but for colours that could be taken for another.

    These become lighter or darker, or another hue, until nobody takes them for each other, whatever their colour
    vision. It goes by the place's order, not by size: the same causes look the same however large they are.
    """
    looks: dict[Subject, tuple[str, str]] = {}
    kinds = list(HATCHES)
    fixed = [one for one in subjects if not one.of_what]
    others = [one for one in subjects if one.of_what]
    for subject in fixed + sorted(others, key=lambda one: (kinds.index(one.kind), one.of_what, one.position)):
        own, hatch = colour_and_hatch(subject)
        taken = [colour for colour, _ in looks.values()]
        at = subject.position % len(STACK)
        hues = (*STACK[at:], *STACK[:at])
        shades = [own, *(shade for hue in hues for shade in (hue, _lighter(hue), _darker(hue, 1), _darker(hue, 2)))]
        shades = shades if subject.of_what else [own]
        found = next((shade for shade in shades if _nearest(shade, taken) >= TOLD_APART), own)
        looks[subject] = found, hatch
    return looks


def _nearest(colour: str, others: Sequence[str]) -> float:
    return min((distance(colour, other) for other in others), default=np.inf)


def _edge(colour: str) -> str:
    """Of a bar and its hatch: white, unless that would not be seen."""
    return DARK if np.mean(to_rgb(colour)) > LIGHT else "white"


def _lighter(colour: str) -> str:
    """A colour six tenths of the way to white."""
    return to_hex((1 - 0.4 * (1 - np.array(to_rgb(colour)))).tolist())


def _darker(colour: str, steps: int) -> str:
    """A colour nearer to black, half of the way in each step."""
    return to_hex(np.array(to_rgb(colour)) / 2**steps)


PICTURE = Picture("causes", 50, EXPERIMENTS, data, draw)
