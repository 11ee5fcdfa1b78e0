"""Has a difference settled? The last quarter of a series against the quarter before it."""

from __future__ import annotations

import numpy as np

SHORTEST = 56
"""Days below which there is nothing to judge."""
FEWEST = 5
"""Replications below which chance cannot be told from change."""
CLEAR = 4
"""Standard errors: several series are looked at of each scenario, and none should be named for nothing."""
SHARE = 0.1
"""Of what is reached in the last quarter: a smaller change is no way to somewhere else."""
LEAST = 0.5


def still_moving(daily: np.ndarray) -> tuple[float, float] | None:
    """The means of a paired daily difference, (replications, days), in the third and in the last quarter of its days,
    where they clearly differ; None where it has settled, or too little is there to say."""
    replications, days = daily.shape
    if replications < FEWEST or days < SHORTEST:
        return None
    quarter = days // 4
    third = daily[:, days - 2 * quarter : days - quarter].mean(axis=1)
    last = daily[:, days - quarter :].mean(axis=1)
    change = last - third
    error = change.std(ddof=1) / np.sqrt(replications)
    moved = abs(change.mean())
    if moved <= max(CLEAR * error, SHARE * abs(last.mean()), LEAST):
        return None
    return float(third.mean()), float(last.mean())
