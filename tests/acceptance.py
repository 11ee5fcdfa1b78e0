"""From a small place to a verdict: run it through the whole program, and judge what comes out by confidence intervals.

A place of `tests/places` is loaded as a user loads it, with overrides; `simulate` takes it through cohort, plan and
engine. Nothing is measured here that `flowsim.measures` measures: these few numbers come straight from the stamps, so
that a mistake there cannot hide one here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from flowsim.declare.composition import load
from flowsim.engine import reference
from flowsim.engine.stamps import GAVE_UP, NEVER, TURNED_AWAY, Stamps
from flowsim.model.cohort import Cohort
from flowsim.model.network import build_network
from flowsim.model.plan import plan
from flowsim.model.tables import Journeys, Network
from flowsim.place import Place

PLACES = Path(__file__).parent / "places"
DAY = 1440
SEED = 20240401
LEVEL = 0.999
"""Of every interval a test is judged by: of a thousand sound tests with other seeds, one would fail."""

SINCE_JULY = {
    "beds_to_home_shift": tuple(
        f"place.moves.{move}.from=2024-07-01"
        for move in ("beds_to_reablement", "beds_to_home_care", "beds_to_pathway_3")
    )
}
"""Of scenarios that begin in July: settings with which that is over by the autumn of 2024, in which they are run."""

Engine = Callable[[Journeys, Network], Stamps]


def by_name(results: pd.DataFrame) -> dict[tuple[str, ...], Any]:
    """Each number by its measure and `where` it is, or what it is `of`, or both where it is a part of a part."""
    rows = results[["measure", "where", "of", "value"]].itertuples(index=False)
    return {
        (name, where) if not of else (name, of) if where == "all" else (name, where, of): value
        for name, where, of, value in rows
    }


def _engines() -> dict[str, Engine]:
    """The engines there are, the fastest first."""
    try:
        from flowsim.engine import compiled
    except ImportError:
        return {"reference": reference.run}
    return {"compiled": compiled.run, "reference": reference.run}


ENGINES = _engines()
FASTEST = next(iter(ENGINES.values()))
"""Statistics are made with this one; that the others say the same to the minute is tested apart."""


def small_place(name: str, *overrides: str) -> Place:
    """A place of `tests/places/place`, with overrides as on the command line."""
    return load(f"place={name}", *overrides, scenarios_dir=PLACES)


@dataclass(frozen=True)
class Observed:
    """One replication, and what can be read straight off its stamps. Stages and services go by name."""

    place: Place
    network: Network
    journeys: Journeys
    stamps: Stamps

    @cached_property
    def window(self) -> tuple[int, int]:
        """The minutes that count."""
        return self.place.run.measured_from, self.place.run.horizon

    def rows(self, stage: str) -> np.ndarray:
        """Indices of the rows of a stage that were joined."""
        code = self.journeys.stages.index(stage)
        return np.flatnonzero((self.journeys.rows.stage == code) & (self.stamps.joined != NEVER))

    def arrived(self, stage: str) -> np.ndarray:
        """Of these, those joined in the window."""
        rows = self.rows(stage)
        joined = self.stamps.joined[rows]
        return rows[(joined >= self.window[0]) & (joined < self.window[1])]

    def waits(self, stage: str) -> np.ndarray:
        """Minutes from joining to acceptance of those who joined in the window and were accepted."""
        rows = self.arrived(stage)
        rows = rows[self.stamps.accepted[rows] != NEVER]
        return self.stamps.accepted[rows] - self.stamps.joined[rows]

    def lost(self, stage: str) -> float:
        """The share of those who joined in the window that was turned away or gave up."""
        return float(np.isin(self.stamps.ended[self.arrived(stage)], (TURNED_AWAY, GAVE_UP)).mean())

    def left(self, stage: str) -> int:
        """How many left a stage in the window."""
        left = self.stamps.left[self.rows(stage)]
        return int(((left >= self.window[0]) & (left < self.window[1])).sum())

    def in_service(self, service: str) -> np.ndarray:
        """People in a service at the end of each minute of the run, (horizon,)."""
        here = (self.journeys.rows.service == self.network.names.index(service)) & (self.stamps.accepted != NEVER)
        return self._levels(self.stamps.accepted[here], self.stamps.freed[here])

    def in_queue(self, service: str) -> np.ndarray:
        """People waiting for a service at the end of each minute of the run, (horizon,)."""
        here = (self.journeys.rows.service == self.network.names.index(service)) & (self.stamps.joined != NEVER)
        given_up = np.isin(self.stamps.ended, (TURNED_AWAY, GAVE_UP))
        if (here & given_up).any():
            raise NotImplementedError("nobody may give up where the queue is counted")
        return self._levels(self.stamps.joined[here], self.stamps.accepted[here])

    def waiting_to_leave(self, stage: str) -> np.ndarray:
        """People who are ready to leave a stage and still there, at the end of each minute of the run, (horizon,)."""
        rows = self.rows(stage)
        ready = rows[self.stamps.ready[rows] != NEVER]
        return self._levels(self.stamps.ready[ready], self.stamps.left[ready])

    def measured(self, levels: np.ndarray) -> np.ndarray:
        """The part of a series by minute that counts."""
        return levels[slice(*self.window)]

    def _levels(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        horizon = self.place.run.horizon
        ends = end[(end != NEVER) & (end < horizon)]
        change = np.bincount(start, minlength=horizon) - np.bincount(ends, minlength=horizon)
        return np.cumsum(change[:horizon])


def simulate(place: Place, replication: int = 0, engine: Engine = FASTEST) -> Observed:
    """One replication of a place."""
    cohort = Cohort(SEED, replication)
    network = build_network(place, cohort)
    journeys = plan(place, cohort, network)
    return Observed(place, network, journeys, engine(journeys, network))


def replicate(
    place: Place, replications: int, read: Callable[[Observed], float | Iterable[float]], engine: Engine = FASTEST
) -> np.ndarray:
    """What `read` reads off each replication: (replications,) or (replications, values) float64."""
    return np.array([read(simulate(place, k, engine)) for k in range(replications)], dtype=float)


def half_width(samples: np.ndarray, level: float = LEVEL) -> float:
    """Half of the two-sided Student-t interval of the mean of independent replications."""
    n = len(samples)
    return float(stats.t.ppf((1 + level) / 2, n - 1) * samples.std(ddof=1) / np.sqrt(n))


def assert_meets(samples: np.ndarray, theory: float, widest: float, but_not: float | None = None) -> None:
    """The theory lies in the replications' interval, and the interval could have failed it.

    Args:
        samples: (replications,) the same quantity in each.
        theory: what it must be.
        widest: half the interval may be at most this share of the theory.
        but_not: what it would be if the mechanism under test did nothing; must lie outside the interval.
    """
    mean, half = float(np.mean(samples)), half_width(np.asarray(samples))
    told = f"simulated {mean:.5g} +- {half:.2g} ({100 * half / theory:.1f} % of the theory), theory {theory:.5g}"
    print(told)
    assert half <= widest * theory, f"the interval is too wide to be a test: {told}"
    assert abs(mean - theory) <= half, told
    if but_not is not None:
        assert abs(mean - but_not) > half, f"{told}, but {but_not:.5g} would pass as well"
