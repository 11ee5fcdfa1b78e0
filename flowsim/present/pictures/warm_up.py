"""Delayed people from the first day of the warm-up, and what MSER-5 would leave out: is the warm-up long enough?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from flowsim.folder.result import Result
from flowsim.place import PlaceError
from flowsim.present.pictures.picture import EXPERIMENTS, Data, Picture
from flowsim.present.pictures.style import BLACK, BLUE, GREY, GRID, SKY, VERMILION, finish
from flowsim.present.titles import replication_count, settings_words, titled
from flowsim.statistics.warm_up import BATCH, batch_means, delayed_series, judged, mser5_statistic

NIGHTS, BATCHES, STATISTIC = "each night", f"mean of {BATCH} nights", "MSER-5"


@dataclass(frozen=True, kw_only=True)
class WarmUp(Data):
    """The frame has series (each night, the mean of five, MSER-5), day (of the run, its middle) and value.

    Attributes:
        nights: how many there are; warm_up_days: how many do not count; leave_out: how many MSER-5 would leave out.
        level: people delayed, mean of the days that count.
    """

    nights: int
    warm_up_days: int
    leave_out: int
    level: float


def data(result: Result) -> WarmUp:
    """The delayed people of the first scenario, each night and in fives, and MSER-5 of them. Raises PlaceError."""
    name, place = next(iter(result.places.items()))
    if place.scenario.changes or place.run.census is not None:
        raise PlaceError("kind: 'warm_up' needs a place without a scenario, which is meant to change who is delayed.")
    rows = result.delayed_nights[result.delayed_nights["scenario"] == name]
    series = delayed_series(rows)
    verdict = judged(rows, place.run.warm_up_days)
    if verdict is None:
        raise PlaceError("kind: 'warm_up' has nothing to show: there are too few days, or nobody is delayed.")
    leave_out = verdict.leave_out
    batches, statistic = batch_means(series), mser5_statistic(series)
    frames = [
        pd.DataFrame({"series": NIGHTS, "day": np.arange(len(series)) + 0.5, "value": series}),
        pd.DataFrame({"series": BATCHES, "day": BATCH * np.arange(len(batches)) + BATCH / 2, "value": batches}),
        pd.DataFrame({"series": STATISTIC, "day": BATCH * np.arange(len(statistic)), "value": statistic}),
    ]
    warm_up_days = place.run.warm_up_days
    long_enough = warm_up_days > 0 and leave_out <= warm_up_days and not verdict.rises
    enough = "long enough" if long_enough else "too short"
    return WarmUp(
        frame=pd.concat(frames, ignore_index=True),
        title=f"The warm-up of {warm_up_days} days looks {enough}: {titled(result, name)}",
        caption=f"Mean of {replication_count(result)} replications; grey: the warm-up of {warm_up_days} days, which "
        f"looks {enough}. MSER-5 (White 1997) leaves out so many days that the mean of the rest is known best: where "
        "its curve is lowest, in the first half.",
        settings=settings_words(result),
        nights=len(series),
        warm_up_days=warm_up_days,
        leave_out=leave_out,
        level=float(series[warm_up_days:].mean()),
    )


def draw(data: WarmUp) -> Figure:
    """People above, the statistic below."""
    figure = Figure(figsize=(9, 5.6))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    lines = {name: (rows["day"].to_numpy(), rows["value"].to_numpy()) for name, rows in data.frame.groupby("series")}
    upper.plot(*lines[NIGHTS], color=SKY, linewidth=0.9, label=NIGHTS)
    upper.plot(*lines[BATCHES], color=BLUE, linewidth=1.6, label=BATCHES)
    upper.axhline(data.level, color=GREY, linewidth=1, linestyle=":", label="mean of the days that count")
    upper.set_ylabel("people delayed at 23:59")
    upper.set_ylim(bottom=0)
    days, statistic = lines[STATISTIC]
    lower.plot(days, statistic, color=BLACK, linewidth=1.4)
    lower.plot(data.leave_out, statistic[days == data.leave_out][0], "o", color=VERMILION, markersize=7)
    lower.set_ylabel(STATISTIC)
    lower.set_xlabel("days left out, from the first day of the warm-up")
    left_out = f"MSER-5: leave out {data.leave_out} days"
    for axes in (upper, lower):
        axes.axvspan(0, data.warm_up_days, color="#EEEEEE", zorder=0)
        axes.axvline(data.leave_out, color=VERMILION, linestyle="--", linewidth=1.2, label=left_out)
        axes.grid(axis="y", color=GRID)
        axes.set_xlim(0, data.nights)
    upper.legend(frameon=False, fontsize=8, ncols=2)
    finish(figure, data)
    return figure


PICTURE = Picture("warm_up", 70, EXPERIMENTS, data, draw)
