"""Which of several scenarios is best, with a stated probability of being right and no more replications than it takes.

The procedure KN of S.-H. Kim and B. L. Nelson (2001), "A fully sequential procedure for indifference-zone selection in
simulation", ACM Trans. Model. Comput. Simul. 11: after each replication of those still in, whoever's mean falls behind
another's by more than chance allows is out. It works with common random numbers, since it looks at the variance of
paired differences. Replications are run in rounds and looked at one by one all the same, so its guarantee holds as
published: for normal numbers, if the best is better than each other by at least the indifference, it is chosen with at
least the stated probability.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from flowsim.cells.runner import for_rounds, run_all
from flowsim.declare.settings import Settings
from flowsim.folder.atomic import write_csv
from flowsim.folder.result import Result
from flowsim.folder.store import Store
from flowsim.measures.registry import HEADLINE
from flowsim.place import Place, PlaceError, refuse
from flowsim.questions.compare import Comparison, check_same_run
from flowsim.questions.precision import FIRST_ROUND, MOST, as_measures, as_most, as_seconds
from flowsim.statistics.intervals import t_interval, whole

SELECTED, LEFT, STILL_IN = "selected", "left", "still in"
SMALLEST_ROUND = 4


@dataclass(frozen=True)
class Question:
    """What is asked. Raises PlaceError for what cannot be.

    Attributes:
        measure: a headline measure of the whole place that has a better side.
        indifference: the smallest difference worth finding, in the measure's unit.
        probability: of choosing the best, when it is better than each other by at least the indifference.
        most: replications of one scenario.
        seconds: of wall time; no round is begun after them.
    """

    measure: str
    indifference: float
    probability: float = 0.95
    most: int = MOST
    seconds: float = np.inf

    def __post_init__(self) -> None:
        as_measures(self.measure, "measure")
        if not HEADLINE[self.measure].better:
            sided = [name for name, one in HEADLINE.items() if one.better]
            raise refuse("measure", self.measure, "one that has a better side:", sided)
        for key, high in (("indifference", np.inf), ("probability", 1.0)):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < high:
                told = "a number above 0, in the unit of the measure" if key == "indifference" else "between 0 and 1"
                raise refuse(key, value, told)

    @classmethod
    def of(
        cls,
        measure: str,
        indifference: float | None,
        probability: float = 0.95,
        budget: str | float | None = None,
        most: int | None = None,
    ) -> Question:
        """From what a user gives; `indifference` has no default, since only the user knows what is worth finding."""
        as_measures(measure, "measure")
        if indifference is None:
            raise PlaceError(
                f"indifference: it is needed and was not given; allowed: the smallest difference in {measure} that is "
                f"worth finding, in {unit_of_difference(measure)}."
            )
        return cls(measure, indifference, probability, as_most(most), as_seconds(budget))


# ---------------------------------------------------------------------------------------------------------------------
# The procedure


@dataclass(frozen=True)
class Standing:
    """Where the procedure stands.

    Attributes:
        left: scenario -> after how many replications it was out.
        still_in: those that are not.
        looked_at: replications of those still in that have been looked at.
        wanted: how many they should have next, in all; 0 when it is decided.
    """

    left: dict[str, int]
    still_in: tuple[str, ...]
    looked_at: int
    wanted: int


def screen(samples: Mapping[str, np.ndarray], question: Question, first: int = FIRST_ROUND) -> Standing:
    """Look at the replications one by one, as KN does.

    `samples`: the replications of each scenario, in order, each at least `first` long; those of scenarios that were out
    may be shorter. Fewer is better, or more, as the measure has it.
    """
    names = list(samples)
    sign = HEADLINE[question.measure].better
    longest = max(len(values) for values in samples.values())
    values = np.full((len(names), longest), np.nan)
    for at, name in enumerate(names):
        values[at, : len(samples[name])] = sign * np.asarray(samples[name], dtype=float)
    reach = _reach(values[:, :first], question)
    sums = np.cumsum(values, axis=1)
    alive = np.ones(len(names), dtype=bool)
    left: dict[str, int] = {}
    number = first
    while True:
        means = sums[:, number - 1] / number
        slack = np.maximum(0.0, (reach - number * question.indifference) / (2 * number))
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
            return Standing(left, still, number, _wanted(means, alive, reach, number, question))
        number += 1


def _reach(first: np.ndarray, question: Question) -> np.ndarray:
    """``h^2 S^2 / delta`` of every pair, from the first replications, shape (scenarios, replications)."""
    k, n = first.shape
    eta = 0.5 * ((2 * (1 - question.probability) / (k - 1)) ** (-2 / (n - 1)) - 1)
    variances = np.var(first[:, None, :] - first[None, :, :], axis=2, ddof=1)
    return 2 * eta * (n - 1) * variances / question.indifference


def _wanted(means: np.ndarray, alive: np.ndarray, reach: np.ndarray, number: int, question: Question) -> int:
    """How many replications to have next: as many as the one nearest to leaving needs if the means stay as they are."""
    best = int(np.argmax(np.where(alive, means, -np.inf)))
    others = np.flatnonzero(alive)
    others = others[others != best]
    leaves = reach[best, others] / (2 * (means[best] - means[others]) + question.indifference)
    soonest = int(np.ceil(leaves.min()))
    return int(np.clip(soonest, number + max(SMALLEST_ROUND, number // 5), 2 * number))


@dataclass(frozen=True)
class Chosen:
    """How it ended: `rounds`, replications of each scenario, and whether it is decided or why not."""

    standing: Standing
    counts: dict[str, int]
    rounds: int
    ended: str


def in_rounds(
    run: Callable[[dict[str, int]], Mapping[str, np.ndarray] | None],
    names: tuple[str, ...],
    question: Question,
    elapsed: Callable[[], float] = lambda: 0.0,
) -> Chosen:
    """`run(counts)` has so many replications of each in all and returns them; None when it was stopped."""
    first = min(FIRST_ROUND, question.most)
    counts = dict.fromkeys(names, first)
    standing = Standing({}, names, 0, first)
    rounds = 0
    while True:
        samples = run(counts)
        if samples is None:
            return Chosen(standing, counts, rounds, "stopped")
        rounds += 1
        standing = screen(samples, question, first)
        if not standing.wanted:
            return Chosen(standing, counts, rounds, "decided")
        if standing.looked_at >= question.most:
            return Chosen(standing, counts, rounds, "replications")
        if elapsed() >= question.seconds:
            return Chosen(standing, counts, rounds, "time")
        counts = counts | dict.fromkeys(standing.still_in, min(standing.wanted, question.most))


# ---------------------------------------------------------------------------------------------------------------------
# The experiment


class Selection(Comparison):
    """A comparison that stopped when the best was known; `ranking` is the table, `explanation` the answer in words."""

    @property
    def asked(self) -> dict[str, Any]:
        """measure, indifference, probability, ended, rounds, best (None where it is not decided), left."""
        return dict(self.manifest["selection"])

    @cached_property
    def ranking(self) -> pd.DataFrame:
        """One row a scenario, the best first, as `selection.csv`.

        Columns rank, scenario, title, replications, mean, low, high (95 % t interval), ended (selected, left, still in)
        and after (replications after which it was out).
        """
        asked = self.asked
        rows = []
        for name, values in samples_of(self, asked["measure"]).items():
            _, mean, _, low, high = (float(part[0]) for part in t_interval(values[None, :]))
            after = asked["left"].get(name)
            ended = SELECTED if name == asked["best"] else STILL_IN if after is None else LEFT
            title = self.places[name].scenario.title
            rows.append([name, title, len(values), mean, low, high, ended, after])
        columns = ["scenario", "title", "replications", "mean", "low", "high", "ended", "after"]
        table = pd.DataFrame(rows, columns=columns)
        table["after"] = table["after"].astype("Int64")
        late = table["after"].fillna(np.iinfo(np.int64).max).astype("int64")
        by = pd.DataFrame({"late": -late, "mean": -HEADLINE[asked["measure"]].better * table["mean"]})
        by.insert(0, "best", table["ended"] != SELECTED)
        table = table.loc[by.sort_values(["best", "late", "mean"], kind="stable").index].reset_index(drop=True)
        table.insert(0, "rank", range(1, len(table) + 1))
        return table

    def explanation(self) -> list[str]:
        """The answer, what it is worth and what it took, a sentence each."""
        asked, table = self.asked, self.ranking
        measure = HEADLINE[asked["measure"]]
        unit = unit_of_difference(measure.id, asked["indifference"])
        side = "most" if measure.better > 0 else "least"
        spent, equal = int(table["replications"].sum()), len(table) * int(table["replications"].max())
        took = f"It took {spent} replications in {asked['rounds']} round{'s' if asked['rounds'] != 1 else ''}"
        if asked["best"] is None:
            why = {
                "replications": "the replications allowed (most=) were used up",
                "time": "the time allowed (budget=) was used up",
                "stopped": "it was stopped, or cells failed",
            }[asked["ended"]]
            still = ", ".join(table.loc[table["ended"] == STILL_IN, "scenario"])
            return [f"Not decided: {why}. Still in: {still}; nothing is promised of their order.", f"{took}."]
        worth = (
            f"Where the best of these is better than each other by {asked['indifference']:g} {unit} or more, "
            f"this names it at least {100 * asked['probability']:g} times in 100; closer ones count as equally good."
        )
        saved = f"; as many of each as of the longest would have been {equal}" if equal > spent else ""
        return [f"Selected: {asked['best']} ({measure.title}, {side} is better).", worth, f"{took}{saved}."]


def select(places: Mapping[str, Place], settings: Settings, question: Question) -> Selection:
    """Run replications where they matter until it is known which place is best. Raises PlaceError.

    The same `out` goes on where it stopped, and uses the cells of another question.
    """
    check_same_run(places)
    if settings.replications is not None:
        told = f"{settings.replications} was given"
        raise PlaceError(f"replications: {told}; allowed: most=N, since select itself finds how many each needs.")
    began = time.perf_counter()
    last: list[Result] = []
    with for_rounds(settings, "select") as same:

        def run(counts: dict[str, int]) -> dict[str, np.ndarray] | None:
            last[:] = [run_all(places, same, verb="select", replications=counts)]
            if last[0].interrupted or last[0].failures:
                return None
            return _complete(samples_of(last[0], question.measure), question.measure)

        chosen = in_rounds(run, tuple(places), question, lambda: time.perf_counter() - began)
    store = Store(last[0].out)
    standing = chosen.standing
    asked = {
        "measure": question.measure,
        "indifference": question.indifference,
        "probability": question.probability,
        "ended": chosen.ended,
        "rounds": chosen.rounds,
        "best": standing.still_in[0] if chosen.ended == "decided" else None,
        "left": standing.left,
    }
    store.write_manifest({**store.manifest, "selection": asked})
    found = last[0]
    selection = Selection(found.out, found.places, found.failures, found.notices, found.interrupted)
    if not selection.results.empty:
        write_csv(found.out / "selection.csv", selection.ranking)
    return selection


def samples_of(result: Result, measure: str) -> dict[str, np.ndarray]:
    """The values of a measure of the whole place in each scenario, by replication; none of a scenario not begun."""
    found = result.results
    found = whole(found[found["measure"] == measure]).sort_values("replication", kind="stable")
    samples = {str(name): rows["value"].to_numpy(dtype=float) for name, rows in found.groupby("scenario")}
    return {name: samples.get(name, np.empty(0)) for name in result.scenarios}


def unit_of_difference(measure: str, amount: float = np.inf) -> str:
    """The unit of a difference in a headline measure: 96 % less 95 % is no per cent."""
    unit = HEADLINE[measure].unit
    return unit if unit != "%" else "percentage point" if amount == 1 else "percentage points"


def _complete(samples: dict[str, np.ndarray], measure: str) -> dict[str, np.ndarray]:
    for name, values in samples.items():
        if not len(values) or np.isnan(values).any():
            told = f"{measure!r} was given, of which {name} has no number in some replication"
            raise PlaceError(f"measure: {told}; allowed: a measure that this place always has.")
    return samples
