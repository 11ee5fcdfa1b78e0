"""Which of several alternatives is best, one observation after the other: the procedure KN.

After S.-H. Kim and B. L. Nelson (2001), "A fully sequential procedure for indifference-zone selection in simulation",
ACM Trans. Model. Comput. Simul. 11: after each observation of those still in, whoever's mean falls behind another's by
more than chance allows is out. It works with common random numbers, since it looks at the variance of paired
differences. Observations may come in batches: they are looked at one by one all the same, so its guarantee holds as
published. For normal numbers, if the best is better than each other by at least the indifference, it is chosen with at
least the stated probability.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

SMALLEST_ROUND = 4
"""Observations that are asked for at least, so that few batches do."""


@dataclass(frozen=True)
class Standing:
    """Where the procedure stands.

    Attributes:
        left: alternative -> after how many observations it was out.
        still_in: those that are not.
        looked_at: observations of those still in that have been looked at.
        wanted: how many they should have next, in all; 0 when it is decided.
    """

    left: dict[str, int]
    still_in: tuple[str, ...]
    looked_at: int
    wanted: int


def screen(samples: Mapping[str, np.ndarray], indifference: float, probability: float, first: int) -> Standing:
    """Look at the observations one by one; a larger mean is better.

    Args:
        samples: the observations of each alternative, in order, each at least `first` long; those of alternatives that
            were out may be shorter.
        indifference: the smallest difference worth finding, above 0, in the unit of the samples.
        probability: of choosing the best, between 0 and 1.
        first: observations from which variances are estimated, before anything is decided.
    """
    names = list(samples)
    longest = max(len(values) for values in samples.values())
    values = np.full((len(names), longest), np.nan)
    for at, name in enumerate(names):
        values[at, : len(samples[name])] = samples[name]
    reach = _reach(values[:, :first], indifference, probability)
    sums = np.cumsum(values, axis=1)
    alive = np.ones(len(names), dtype=bool)
    left: dict[str, int] = {}
    number = first
    while True:
        means = sums[:, number - 1] / number
        # how far one may be behind, pair by pair: it shrinks with every observation, and at nought all is decided
        slack = np.maximum(0.0, (reach - number * indifference) / (2 * number))
        behind = means[:, None] < means[None, :] - slack
        out = alive & (behind & alive[None, :]).any(axis=1)
        left |= {names[at]: number for at in np.flatnonzero(out)}
        alive &= ~out
        if alive.sum() > 1 and not (slack[np.ix_(alive, alive)] > 0).any():  # equal means: the first that was named
            last = np.flatnonzero(alive)[1:]
            left |= {names[at]: number for at in last}
            alive[last] = False
        still = tuple(names[at] for at in np.flatnonzero(alive))
        if len(still) == 1:
            return Standing(left, still, number, 0)
        if number >= longest or np.isnan(sums[alive, number]).any():
            return Standing(left, still, number, _wanted(means, alive, reach, number, indifference))
        number += 1


def _reach(first: np.ndarray, indifference: float, probability: float) -> np.ndarray:
    """``h^2 S^2 / delta`` of every pair, from the first observations, shape (alternatives, observations)."""
    k, n = first.shape
    eta = 0.5 * ((2 * (1 - probability) / (k - 1)) ** (-2 / (n - 1)) - 1)
    variances = np.var(first[:, None, :] - first[None, :, :], axis=2, ddof=1)
    return 2 * eta * (n - 1) * variances / indifference


def _wanted(means: np.ndarray, alive: np.ndarray, reach: np.ndarray, number: int, indifference: float) -> int:
    """How many observations to have next: as many as the one nearest to leaving needs if the means stay as they are."""
    best = int(np.argmax(np.where(alive, means, -np.inf)))
    others = np.flatnonzero(alive)
    others = others[others != best]
    leaves = reach[best, others] / (2 * (means[best] - means[others]) + indifference)
    soonest = int(np.ceil(leaves.min()))
    return int(np.clip(soonest, number + max(SMALLEST_ROUND, number // 5), 2 * number))
