"""Is the warm-up long enough? MSER-5 on the people delayed each night.

K. P. White (1997), "An effective truncation heuristic for bias reduction in simulation output", Simulation 69; with
batches of five (MSER-5) as in White, Cobb and Spratt (2000).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from flowsim.statistics.intervals import whole

BATCH = 5
"""Days a batch."""
SHORTEST = 20
"""Days below which there is nothing to judge."""


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
