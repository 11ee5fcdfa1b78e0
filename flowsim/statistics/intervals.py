"""Intervals over replications: means, paired differences, and ratios of paired differences.

All intervals are two-sided 95 % Student-t intervals over independent replications; with one replication there is none
(NaN). Source of the ratio: E. C. Fieller (1954), "Some problems in interval estimation", J. R. Stat. Soc. B 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

LEVEL = 0.95
POWER = 0.80
KEYS = ["measure", "where", "of", "unit"]
"""Columns that say what a number is of: `where` a place, `of` what is counted there."""


def whole(rows: pd.DataFrame) -> pd.DataFrame:
    """Those of the rows that are of everything in the whole place."""
    return rows[(rows["where"] == "all") & (rows["of"] == "")]


def t_quantile(probability: float, freedom: Any) -> Any:
    """Quantiles of Student's t for these degrees of freedom (a number or an array); NaN where there are none."""
    from scipy.special import stdtrit  # what scipy.stats asks, whose import takes far longer than all else here

    return stdtrit(freedom, probability)


def t_interval(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """n, mean, sd, low and high of each row of ``samples``, which has shape (rows, replications); NaN is absent."""
    n = np.isfinite(samples).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(n > 0, np.nansum(samples, axis=1) / n, np.nan)
        squares = np.nansum((samples - mean[:, None]) ** 2, axis=1)
        sd = np.where(n > 1, np.sqrt(squares / (n - 1)), np.nan)
        half = t_quantile((1 + LEVEL) / 2, n - 1) * sd / np.sqrt(n)
    return n, mean, sd, mean - half, mean + half


def endless(samples: np.ndarray) -> np.ndarray:
    """(rows,) bool: which rows have infinite numbers and no finite one, as the load of a closed service has."""
    return np.isinf(samples).any(axis=1) & ~np.isfinite(samples).any(axis=1)


def smallest_detectable(n: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """The smallest true difference that n replications would have shown as clear four times out of five.

    ``(t(0.975; n - 1) + t(0.80; n - 1)) * sd / sqrt(n)``: a test at the 5 % level with 80 % power, sd that of the
    paired differences. NaN with one replication.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = t_quantile((1 + LEVEL) / 2, n - 1) + t_quantile(POWER, n - 1)
        return factor * sd / np.sqrt(n)


def replications_to_tell(difference: float, sd: float) -> float:
    """How many replications would show a true difference of this size as clear four times out of five.

    The least n whose `smallest_detectable` is no more than the difference; sd that of the paired differences. Infinite
    for a difference of nought, NaN where either is not known.
    """
    size = abs(difference)
    if not np.isfinite(size) or not np.isfinite(sd):
        return np.nan
    if size == 0:
        return np.inf
    low, high = 1, 2  # more than `low` are needed; Student's t is wider than the normal, so no formula is exact
    while smallest_detectable(np.array(high), np.array(sd)) > size:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if smallest_detectable(np.array(middle), np.array(sd)) > size else (low, middle)
    return float(high)


def mean_interval(results: pd.DataFrame, scenarios: Sequence[str]) -> pd.DataFrame:
    """Mean over replications of every number, with its interval.

    Takes scenario, replication, measure, where, of, unit, value; returns scenario, measure, where, of, unit, n,
    mean, low, high. What is infinite in every replication that has it has an infinite mean, of none (n is 0).
    """
    frames = []
    for scenario in scenarios:
        wide = wide_values(results, scenario)
        samples = wide.to_numpy(dtype=float)
        n, mean, _, low, high = t_interval(samples)
        mean = np.where(endless(samples), np.inf, mean)
        found = wide.index.to_frame(index=False)
        found.insert(0, "scenario", scenario)
        frames.append(found.assign(n=n, mean=mean, low=low, high=high))
    return pd.concat(frames, ignore_index=True)


def wide_values(results: pd.DataFrame, scenario: str) -> pd.DataFrame:
    """One row a (measure, where, of, unit), one column a replication."""
    own = results[results["scenario"] == scenario]
    return own.set_index([*KEYS, "replication"])["value"].unstack("replication")


def ratio_interval(above: np.ndarray, below: np.ndarray) -> tuple[float, float, float]:
    """mean(above) / mean(below) of paired samples with Fieller's 95 % interval.

    Shapes (replications,). NaN limits when the interval of the denominator includes nought (the ratio is then
    unbounded) or with one replication.
    """
    n = len(above)
    top, bottom = float(np.mean(above)), float(np.mean(below))
    ratio = top / bottom if bottom else np.nan
    if n < 2:
        return ratio, np.nan, np.nan
    covariance = np.cov(above, below, ddof=1) / n
    t2 = float(t_quantile((1 + LEVEL) / 2, n - 1)) ** 2
    a = bottom**2 - t2 * covariance[1, 1]
    b = top * bottom - t2 * covariance[0, 1]
    c = top**2 - t2 * covariance[0, 0]
    if a <= 0:
        return ratio, np.nan, np.nan
    root = np.sqrt(max(b * b - a * c, 0.0))
    return ratio, float((b - root) / a), float((b + root) / a)
