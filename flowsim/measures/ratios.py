"""Shares, means and quantiles that are not a number where there is nothing to make them of."""

from __future__ import annotations

import numpy as np


def ratio(above: float, below: float) -> float:
    """`above / below`; not a number where there is nothing to divide by."""
    return above / below if below else float("nan")


def percent(yes: np.ndarray, among: np.ndarray) -> float:
    """The share of those `among` (n, bool) of whom it is true (n, bool); not a number of nobody."""
    return 100 * ratio(int(np.count_nonzero(yes & among)), int(np.count_nonzero(among)))


def mean(values: np.ndarray) -> float:
    """The mean of whole numbers or truth values; not a number of nothing."""
    return ratio(float(values.sum()), len(values))


def quantile(values: np.ndarray, share: float) -> float:
    """What so large a share of these whole numbers is not above, between two of them in proportion; nan of nothing.

    The same as `numpy.quantile`. Numbers with many equals are counted, which takes half the time of ordering them.
    """
    if not len(values):
        return float("nan")
    place, part = divmod((len(values) - 1) * share, 1)
    ranks = int(place), min(int(place) + 1, len(values) - 1)
    if values.min() >= 0 and values.max() < len(values):
        low, high = np.searchsorted(np.cumsum(np.bincount(values)), ranks, side="right").tolist()
    else:
        low, high = np.partition(values, ranks)[[*ranks]].tolist()
    return float(low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part))
