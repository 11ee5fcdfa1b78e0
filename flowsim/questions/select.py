"""Which of several scenarios is best, with a stated probability of being right and no more replications than it takes.

Replications are run in rounds, and after each whoever is clearly behind is out; `statistics.screening` says how that is
known, and what it promises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from flowsim.declare.settings import Settings
from flowsim.folder.at_work import at_work
from flowsim.folder.atomic import write_csv
from flowsim.folder.manifest import Selected
from flowsim.folder.result import Result
from flowsim.folder.store import Store
from flowsim.measures.registry import HEADLINE
from flowsim.place import Place, PlaceError, counted, refuse
from flowsim.questions.compare import Comparison, check_same_run
from flowsim.questions.guards import in_words, told, worse_than
from flowsim.questions.precision import as_measures
from flowsim.questions.rounds import (
    ANSWERED,
    FIRST_ROUND,
    MOST,
    REPLICATIONS,
    STOPPED,
    TIME,
    Counts,
    as_most,
    as_seconds,
    in_rounds,
    running,
)
from flowsim.statistics.intervals import t_interval, whole
from flowsim.statistics.screening import Standing, screen

SELECTED, LEFT, STILL_IN, GUARDED = "selected", "left", "still in", "guarded"
DECIDED = "decided"
"""How a selection ended that named the best."""


@dataclass(frozen=True)
class Question:
    """What is asked. Raises PlaceError for what cannot be.

    Attributes:
        measure: a headline measure of the whole place that has a better side.
        indifference: the smallest difference worth finding, in the measure's unit.
        probability: of choosing the best, when it is better than each other by at least the indifference.
        most: replications of one scenario.
        seconds: of wall time; no round is begun after them.
        guards: measures of which none may be clearly worse in what is selected; None for the default.
    """

    measure: str
    indifference: float
    probability: float = 0.95
    most: int = MOST
    seconds: float = np.inf
    guards: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        as_measures(self.measure, "measure")
        if not HEADLINE[self.measure].better:
            sided = [name for name, one in HEADLINE.items() if one.better]
            raise refuse("measure", self.measure, "one that has a better side:", sided)
        for key, high in (("indifference", np.inf), ("probability", 1.0)):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < high:
                allowed = "a number above 0, in the unit of the measure" if key == "indifference" else "between 0 and 1"
                raise refuse(key, value, allowed)

    @classmethod
    def of(
        cls,
        measure: str,
        indifference: float | None,
        probability: float = 0.95,
        budget: str | float | None = None,
        most: int | None = None,
        guards: tuple[str, ...] | None = None,
    ) -> Question:
        """From what a user gives; `indifference` has no default, since only the user knows what is worth finding."""
        as_measures(measure, "measure")
        if indifference is None:
            raise PlaceError(
                f"indifference: it is needed and was not given; allowed: the smallest difference in {measure} that is "
                f"worth finding, in {unit_of_difference(measure)}."
            )
        return cls(measure, indifference, probability, as_most(most), as_seconds(budget), guards)

    def standing(self, samples: Mapping[str, np.ndarray], first: int = FIRST_ROUND) -> Standing:
        """Where KN stands after these replications of each scenario; see `screening.screen`."""
        sign = HEADLINE[self.measure].better
        if len(samples) == 1:
            (only,) = samples
            return Standing({}, (only,), len(samples[only]), 0)
        values = {name: sign * np.asarray(numbers, dtype=float) for name, numbers in samples.items()}
        return screen(values, self.indifference, self.probability, first)


# ---------------------------------------------------------------------------------------------------------------------
# The rounds


@dataclass(frozen=True)
class Chosen:
    """How it ended: where each scenario stands, its replications, how many rounds, and why it ended."""

    standing: Standing
    counts: Counts
    rounds: int
    ended: str
    worse: Mapping[str, tuple[str, ...]]


class Screening:
    """Asks for replications of those still in until one is left: a procedure for `rounds.in_rounds`."""

    def __init__(
        self, names: Sequence[str], question: Question, worse: Callable[[], Mapping[str, tuple[str, ...]]] = dict
    ) -> None:
        self._question = question
        self._names, self._find_worse = tuple(names), worse
        self.worse: Mapping[str, tuple[str, ...]] = {}
        self._first = min(FIRST_ROUND, question.most)
        self.standing = Standing({}, tuple(names), 0, self._first)
        self.counts = dict.fromkeys(names, 0)
        self.rounds = 0

    def ask(self) -> Counts:
        """More of those still in; the others keep what they have."""
        if not self.standing.wanted:
            return {}
        # the first is what guards are held against, so it has as many as whoever may yet be selected
        more = (*self.standing.still_in, *(self._names[:1] if self._find_worse is not dict else ()))
        return self.counts | {name: max(self.counts[name], self.standing.wanted) for name in more}

    def tell(self, counts: Counts, samples: Mapping[str, np.ndarray]) -> None:
        """`samples`: the measure in each scenario, by replication."""
        self.counts = counts
        self.rounds += 1
        # looked at anew each time: whoever was left behind by a place that fails a guard now is in again
        self.worse = {name: failed for name, failed in self._find_worse().items() if failed}
        allowed = {name: values for name, values in samples.items() if name not in self.worse}
        self.standing = self._question.standing(allowed, self._first)


def choose(
    names: Sequence[str],
    question: Question,
    run: Callable[[Counts], Mapping[str, np.ndarray] | None],
    elapsed: Callable[[], float] = lambda: 0.0,
    worse: Callable[[], Mapping[str, tuple[str, ...]]] = dict,
) -> Chosen:
    """The rounds themselves: `run(counts)` has so many of each in all and returns `samples_of` them; see `rounds`.

    `worse()`: of each scenario but the first, the guards that are clearly worse after the last round.
    """
    screening = Screening(names, question, worse)
    ended = in_rounds(screening, run, most=question.most, seconds=question.seconds, elapsed=elapsed)
    ended = DECIDED if ended == ANSWERED else ended
    return Chosen(screening.standing, screening.counts, screening.rounds, ended, screening.worse)


# ---------------------------------------------------------------------------------------------------------------------
# The experiment


class Selection(Comparison):
    """A comparison that stopped when the best was known; `ranking` is the table, `explanation` the answer in words."""

    question: ClassVar[str] = "select"

    @property
    def asked(self) -> dict[str, Any]:
        """measure, indifference, probability, ended, rounds, best (None where it is not decided), left.

        Raises PlaceError where the manifest says what cannot be.
        """
        selected = self.manifest.selection
        if selected is None:
            return {}
        if selected.measure not in HEADLINE:
            raise refuse("selection.measure", selected.measure, "a headline measure:", HEADLINE)
        if selected.best not in (*self.scenarios, None):
            raise refuse("selection.best", selected.best, "one of", self.scenarios)
        ways = (DECIDED,) if selected.best is not None else (REPLICATIONS, TIME, STOPPED)
        if selected.ended not in ways:
            raise refuse("selection.ended", selected.ended, "one of", ways)
        return selected.model_dump()

    @cached_property
    def ranking(self) -> pd.DataFrame:
        """One row a scenario, the best first, as `selection.csv`.

        Columns rank, scenario, title, replications, mean, low, high (95 % t interval), ended (selected, left, still in,
        guarded: it fails a guard), after (replications after which it was out) and worse (the guards that are clearly
        worse, with spaces between). What fails a guard comes last.
        """
        asked = self.asked
        rows = []
        for name, values in samples_of(self, asked["measure"]).items():
            _, mean, _, low, high = (float(part[0]) for part in t_interval(values[None, :]))
            after = asked["left"].get(name)
            worse = asked["worse"].get(name, ())
            ended = SELECTED if name == asked["best"] else GUARDED if worse else STILL_IN if after is None else LEFT
            title = self.places[name].scenario.title
            rows.append([name, title, len(values), mean, low, high, ended, after, " ".join(worse)])
        columns = ["scenario", "title", "replications", "mean", "low", "high", "ended", "after", "worse"]
        table = pd.DataFrame(rows, columns=columns)
        table["after"] = table["after"].astype("Int64")
        late = table["after"].fillna(np.iinfo(np.int64).max).astype("int64")
        by = pd.DataFrame({"late": -late, "mean": -HEADLINE[asked["measure"]].better * table["mean"]})
        by.insert(0, "guarded", table["ended"] == GUARDED)
        by.insert(0, "best", table["ended"] != SELECTED)
        table = table.loc[by.sort_values(["best", "guarded", "late", "mean"], kind="stable").index].reset_index(
            drop=True
        )
        table.insert(0, "rank", range(1, len(table) + 1))
        return table

    def main_table(self) -> pd.DataFrame:
        """The scenarios, the best first."""
        return self.ranking

    def explanation(self) -> list[str]:
        """The answer, what it is worth and what it took, a sentence each."""
        promise = [] if self.promise is None else [self.promise]
        return [self.outcome, *self.of_guards, *promise, self.took]

    @property
    def outcome(self) -> str:
        """Which was selected; or why none was, and which are still in."""
        asked, table = self.asked, self.ranking
        if asked["best"] is not None:
            measure = HEADLINE[asked["measure"]]
            side = "most" if measure.better > 0 else "least"
            return f"Selected: {asked['best']} ({measure.title}, {side} is better)."
        why = {
            REPLICATIONS: "the replications allowed (most=) were used up",
            TIME: "the time allowed (budget=) was used up",
            STOPPED: "it was stopped, or cells failed",
        }[asked["ended"]]
        still = ", ".join(table.loc[table["ended"] == STILL_IN, "scenario"])
        return f"Not decided: {why}. Still in: {still}; nothing is promised of their order."

    @property
    def promise(self) -> str | None:
        """What naming the best is worth; None where none was named."""
        asked = self.asked
        if asked["best"] is None:
            return None
        unit = unit_of_difference(asked["measure"], asked["indifference"])
        by = f"£{asked['indifference']:,g}" if unit == "£" else f"{asked['indifference']:g} {unit}"
        return (
            f"Where the best of these is better than each other by {by} or more, "
            f"this names it at least {100 * asked['probability']:g} times in 100; closer ones count as equally good."
        )

    @property
    def took(self) -> str:
        """The replications and rounds, and what they saved where one was named."""
        table = self.ranking
        spent, equal = int(table["replications"].sum()), len(table) * int(table["replications"].max())
        fewer = self.asked["best"] is not None and equal > spent
        saved = f"; as many of each as of the longest would have been {equal}" if fewer else ""
        return f"It took {counted(spent, 'replication')} in {counted(self.asked['rounds'], 'round')}{saved}."

    @property
    def of_guards(self) -> list[str]:
        """Which guards there are, and who fails one."""
        failing = self.asked["worse"]
        base = self.baseline
        sentences = [told(self, base)]
        sentences += [f"Not selected: {name}, where worse: {in_words(worse)}." for name, worse in failing.items()]
        if failing and self.promise is not None:
            sentences.append("Guards are no part of the promise: they go by plain 95 % intervals, each round anew.")
        if failing and len(failing) == len(self.scenarios) - 1:
            sentences.append(f"Every other fails a guard: {base}, with which they are compared, is what is left.")
        return sentences


@at_work()
def select(places: Mapping[str, Place], settings: Settings, question: Question) -> Selection:
    """Run replications where they matter until it is known which place is best. Raises PlaceError.

    The same `out` goes on where it stopped, and uses the cells of another question.
    """
    check_same_run(places)
    if settings.replications is not None:
        given = f"{settings.replications} was given"
        raise PlaceError(f"replications: {given}; allowed: most=N, since select itself finds how many each needs.")
    asked = {
        "measures": [question.measure],
        "indifference": question.indifference,
        "probability": question.probability,
        "guards": None if question.guards is None else list(question.guards),
    }
    with running(places, settings, "select", asked) as run:

        def sampled(counts: Counts) -> dict[str, np.ndarray] | None:
            result = run(counts)
            return None if result is None else _complete(samples_of(result, question.measure), question.measure)

        first = next(iter(places))
        chosen = choose(tuple(places), question, sampled, run.elapsed, lambda: worse_than(run.last, first))
    standing = chosen.standing
    selected = Selected(
        measure=question.measure,
        indifference=question.indifference,
        probability=question.probability,
        ended=chosen.ended,
        rounds=chosen.rounds,
        best=standing.still_in[0] if chosen.ended == DECIDED else None,
        left=standing.left,
        worse=dict(chosen.worse),
    )
    store = Store(run.last.out)
    store.write_manifest(store.manifest.but(selection=selected))
    answer = Selection.of(run.last)
    if not answer.results.empty:
        write_csv(answer.out / "selection.csv", answer.ranking)
    return answer


def samples_of(result: Result, measure: str) -> dict[str, np.ndarray]:
    """The values of a measure of the whole place in each scenario, by replication; none of a scenario not begun."""
    rows = result.results
    rows = whole(rows[rows["measure"] == measure]).sort_values("replication", kind="stable")
    samples = {str(name): those["value"].to_numpy(dtype=float) for name, those in rows.groupby("scenario")}
    return {name: samples.get(name, np.empty(0)) for name in result.scenarios}


def unit_of_difference(measure: str, amount: float = np.inf) -> str:
    """The unit of a difference in a headline measure: 96 % less 95 % is no per cent."""
    unit = HEADLINE[measure].unit
    return unit if unit != "%" else "percentage point" if amount == 1 else "percentage points"


def _complete(samples: dict[str, np.ndarray], measure: str) -> dict[str, np.ndarray]:
    for name, values in samples.items():
        if not len(values) or np.isnan(values).any():
            given = f"{measure!r} was given, of which {name} has no number in some replication"
            raise PlaceError(f"measure: {given}; allowed: a measure that this place always has.")
    return samples
