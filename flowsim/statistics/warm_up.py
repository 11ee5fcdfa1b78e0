"""Is the warm-up long enough? MSER-5 on the people delayed each night.

K. P. White (1997), "An effective truncation heuristic for bias reduction in simulation output", Simulation 69; with
batches of five (MSER-5) as in White, Cobb and Spratt (2000).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from flowsim.statistics.intervals import t_interval, whole

BATCH = 5
"""Days a batch."""
SHORTEST = 20
"""Days below which there is nothing to judge."""
NOTICEABLE = 0.1
"""A rise within the days that count, as a share of what it rises to, below which the season may well be all of it:
Sefton's own year, begun from three years of warm-up, has quarters that differ by up to 0.06."""
NEVER_SETTLED = 0.45
"""MSER-5 searches the first half of a series: an answer so near the half, where what follows goes on changing, says
that there is no level to settle at; it would be at the half of a longer one, too."""


def mser5(series: np.ndarray) -> int:
    """Days to leave out at the start of a daily series so that the mean of the rest is known best.

    Batches of five days; the truncation that makes `mser5_statistic` smallest. Only the first half is searched, so an
    answer at the half means that the series never settled.
    """
    return BATCH * int(np.argmin(mser5_statistic(series)))


def mser5_statistic(series: np.ndarray) -> np.ndarray:
    """``variance of what is left / number of batches left`` for 0, 1, 2, ... batches left out, up to half of them."""
    means = batch_means(series)
    left = [means[cut:] for cut in range(len(means) // 2 + 1)]
    return np.array([np.mean((part - part.mean()) ** 2) / len(part) for part in left])


def batch_means(series: np.ndarray) -> np.ndarray:
    """Means of five days each; days at the end that fill no batch are left out."""
    batches = len(series) // BATCH
    return np.asarray(series[: batches * BATCH], dtype=float).reshape(batches, BATCH).mean(axis=1)


def delayed_series(nights: pd.DataFrame) -> np.ndarray:
    """Delayed people each night, all sites together, mean over replications; shape (days,)."""
    delayed = whole(nights[nights["state"] == "delayed"])
    return delayed.groupby("date")["count"].mean().sort_index().to_numpy(dtype=float)


def truncation_days(nights: pd.DataFrame) -> int | None:
    """MSER-5's truncation of the people delayed each night in one scenario, in days; None when too little."""
    series = delayed_series(nights)
    return mser5(series) if len(series) >= SHORTEST and series.any() else None


@dataclass(frozen=True)
class Verdict:
    """What the people delayed each night say of a warm-up.

    Attributes:
        leave_out: the days that MSER-5 would leave out.
        settles: False where its answer is at the half of the series and the rest goes on changing.
        first, last: mean of the people delayed in the first and last quarter of the days that count.
        rises: is the last clearly more than the first, in pairs over replications, and by enough to notice?
    """

    leave_out: int
    settles: bool
    first: float
    last: float
    rises: bool


def judged(nights: pd.DataFrame, warm_up_days: int) -> Verdict | None:
    """What to make of a warm-up of so many days; None when there is too little to judge.

    `nights` are those of one scenario; the season of a place and its growth may make it rise as well.
    """
    leave_out = truncation_days(nights)
    if leave_out is None:
        return None
    delayed = whole(nights[nights["state"] == "delayed"])
    table = delayed.pivot_table(index="replication", columns="date", values="count", observed=True).sort_index(axis=1)
    counts = table.to_numpy(dtype=float)[:, warm_up_days:]
    quarter = max(counts.shape[1] // 4, 1)
    first, last = counts[:, :quarter].mean(axis=1), counts[:, -quarter:].mean(axis=1)
    _, _, _, low, _ = t_interval((last - first)[None, :])
    rises = bool(low[0] > 0) and bool((last - first).mean() > NOTICEABLE * last.mean())
    _, _, third, fourth = (part.mean() for part in np.array_split(delayed_series(nights), 4))
    settles = leave_out < NEVER_SETTLED * table.shape[1] or abs(fourth - third) <= NOTICEABLE / 2 * fourth
    return Verdict(leave_out, settles, float(first.mean()), float(last.mean()), rises)
