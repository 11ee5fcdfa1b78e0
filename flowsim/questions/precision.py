"""Replications in rounds until an interval is narrow enough.

The rule: ten replications first; then as many as the spread so far says are needed, ``n = (t s / w)^2`` with *w* the
half-width asked for, but at most twice as many as before, since an early spread is a poor guide; and so on until every
interval is narrow enough, or the time or the replications allowed are used up. Few, growing rounds look at the data
seldom, so that stopping early by luck is rare: on normal numbers about 94 in 100 of the intervals it stops at hold the
truth (tests/test_precision.py). After A. M. Law (2015), Simulation Modeling and Analysis, section 9.4.1, and K. Hoad,
S. Robinson and R. Davies (2010), J. Oper. Res. Soc. 61, whose one-by-one rule sim-tools has.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from flowsim.declare.settings import Settings
from flowsim.folder.at_work import at_work
from flowsim.folder.atomic import write_csv
from flowsim.folder.result import Result
from flowsim.folder.store import Store
from flowsim.measures.registry import HEADLINE
from flowsim.place import Place, PlaceError, counted, refuse
from flowsim.questions.rounds import (
    ANSWERED,
    FIRST_ROUND,
    REPLICATIONS,
    STOPPED,
    TIME,
    Counts,
    as_most,
    as_seconds,
    in_rounds,
    running,
)
from flowsim.statistics.intervals import LEVEL, t_interval, t_quantile, whole

MOST_NEEDED = 100
"""Times the replications that are allowed: how far the number that is needed is looked for."""
ROUNDS_FILE = "precision.csv"


@dataclass(frozen=True)
class Precision:
    """How narrow intervals must be, and what that may take.

    Attributes:
        half_width: of the 95 % interval: a share of the mean where `relative`, else in the measure's own unit.
        relative: see there.
        measures: which; of a comparison, their paired differences to the first scenario.
        seconds: of wall time; no round is begun that would not end within them by the time the last ones took.
        most: replications.
    """

    half_width: float
    relative: bool
    measures: tuple[str, ...]
    seconds: float
    most: int

    @classmethod
    def read(
        cls,
        precision: str | float,
        precision_of: str | Sequence[str] | None = None,
        budget: str | float | None = None,
        most: int | None = None,
    ) -> Precision:
        """From what a user gives: ``5%`` or ``0.5``, names of measures, ``30min``, a number. Raises PlaceError."""
        width, relative = _width(precision)
        measures = (next(iter(HEADLINE)),) if precision_of is None else as_measures(precision_of, "precision_of")
        return cls(width, relative, measures, as_seconds(budget), as_most(most))

    def told(self) -> str:
        """In words: ``within 5 % of its mean``."""
        return f"{100 * self.half_width:g} %" if self.relative else f"{self.half_width:g}"


def as_measures(given: str | Sequence[str], key: str) -> tuple[str, ...]:
    """Names of headline measures of the whole place. Raises PlaceError for one that is none."""
    names = (given,) if isinstance(given, str) else tuple(str(name) for name in given)
    for name in names:
        if name not in HEADLINE:
            raise refuse(key, name, "one of", HEADLINE)
    if not names:
        raise refuse(key, "[]", "one of", HEADLINE)
    return names


def _width(given: str | float) -> tuple[float, bool]:
    text = str(given).strip()
    relative = text.endswith("%")
    try:
        width = float(text.removesuffix("%"))
    except ValueError:
        width = np.nan
    if isinstance(given, bool) or not 0 < width < np.inf:
        raise refuse(
            "precision", given, "a share of the mean such as 5%, or a number in the measure's unit such as 0.5"
        )
    return (width / 100 if relative else width), relative


# ---------------------------------------------------------------------------------------------------------------------
# The rule


def half_widths(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and half-width of the 95 % t interval of each row of ``samples``, shape (rows, replications)."""
    _, mean, _, low, high = t_interval(samples)
    return mean, (high - low) / 2


def allowed_half_widths(mean: np.ndarray, precision: Precision) -> np.ndarray:
    """The half-width asked for, in the measure's unit."""
    return precision.half_width * np.abs(mean) if precision.relative else np.full(len(mean), precision.half_width)


def replications_needed(samples: np.ndarray, precision: Precision) -> np.ndarray:
    """How many replications each row would need by its spread: the least n with ``t(n - 1) s / sqrt(n) <= w``.

    Infinite where that is more than `MOST_NEEDED` times `most` (such as a relative precision of a mean of nought).
    """
    _, mean, sd, _, _ = t_interval(samples)
    allowed = allowed_half_widths(mean, precision)
    return np.array([_needed(s, w, MOST_NEEDED * precision.most) for s, w in zip(sd, allowed, strict=True)])


def _needed(sd: float, width: float, most: int) -> float:
    if not np.isfinite(sd):
        return np.nan
    if sd == 0:
        return 2
    if width <= 0 or (1.96 * sd / width) ** 2 > most:
        return np.inf
    n = max(2, int(np.ceil((1.96 * sd / width) ** 2)))
    while t_quantile((1 + LEVEL) / 2, n - 1) * sd / np.sqrt(n) > width:
        n += 1
    return n


def next_number(samples: np.ndarray, precision: Precision) -> int | None:
    """How many replications to have next, in all; None when every row is narrow enough or no more are allowed."""
    n = samples.shape[1]
    mean, half = half_widths(samples)
    narrow = half <= allowed_half_widths(mean, precision)  # False of what has no interval
    if narrow.all() or n >= precision.most:
        return None
    needed = np.nanmax(np.append(replications_needed(samples, precision)[~narrow], n + 1))
    return int(min(max(needed, n + 1), 2 * n, precision.most))


# ---------------------------------------------------------------------------------------------------------------------
# The rounds


@dataclass(frozen=True)
class Rounds:
    """What the rounds came to.

    Attributes:
        table: one row a (round, scenario, measure): round, replications, scenario, measure, unit, mean (or mean paired
            difference), half_width, allowed, narrow, needed.
        ended: why, as `rounds.in_rounds` has it.
    """

    table: pd.DataFrame
    ended: str

    @property
    def last(self) -> pd.DataFrame:
        """The rows of the last round."""
        return self.table[self.table["round"] == self.table["round"].max()]


class Narrowing:
    """Asks for replications until every interval is narrow enough: a procedure for `rounds.in_rounds`."""

    def __init__(self, names: Sequence[str], precision: Precision) -> None:
        self._names, self._precision = names, precision
        self._rounds: list[pd.DataFrame] = []
        self._next = FIRST_ROUND

    def ask(self) -> Counts:
        """As many of each scenario."""
        return dict.fromkeys(self._names, self._next) if self._next else {}

    def tell(self, counts: Counts, samples: pd.DataFrame) -> None:
        """`samples` as `samples_of` has them."""
        n = samples.shape[1]
        table = _round(len(self._rounds) + 1, n, samples, self._precision)
        self._rounds.append(table)
        following = next_number(samples.to_numpy(dtype=float), self._precision)
        self._next = 0 if table["narrow"].all() else following or n

    def rounds(self, ended: str) -> Rounds:
        """What they came to, and why they ended."""
        tables = self._rounds
        return Rounds(pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["round"]), ended)


def narrow(
    names: Sequence[str],
    precision: Precision,
    run: Callable[[Counts], pd.DataFrame | None],
    elapsed: Callable[[], float] = lambda: 0.0,
) -> Rounds:
    """The rounds themselves: `run(counts)` has so many of each in all and returns `samples_of` them; see `rounds`."""
    narrowing = Narrowing(names, precision)
    ended = in_rounds(narrowing, run, most=precision.most, seconds=precision.seconds, elapsed=elapsed)
    return narrowing.rounds(ended)


@at_work()
def run_until(places: Mapping[str, Place], settings: Settings, *, verb: str, precision: Precision) -> Result:
    """Run replications in rounds until the measures are known precisely enough, or time or replications are used up.

    With one place its means are meant, with several the paired differences of the others to the first. Raises
    PlaceError. The same `out` goes on where it stopped. `precision.csv` in it tells every round, `notices` the end.
    """
    if settings.replications is not None:
        given = f"{settings.replications} was given beside precision"
        raise PlaceError(f"replications: {given}; allowed: most=N, the most that precision may take.")
    asked = {"precision": precision.told(), "precision_of": list(precision.measures)}
    with running(places, settings, verb, asked) as run:

        def sampled(counts: Counts) -> pd.DataFrame | None:
            result = run(counts)
            return None if result is None else samples_of(result, precision.measures)

        rounds = narrow(tuple(places), precision, sampled, run.elapsed)
    write_csv(run.last.out / ROUNDS_FILE, rounds.table)
    notices = (*run.last.notices, *sentences(rounds, precision))
    store = Store(run.last.out)
    store.write_manifest(store.manifest.but(notices=notices))
    return replace(run.last, notices=notices)


def samples_of(result: Result, measures: Sequence[str]) -> pd.DataFrame:
    """Index (scenario, measure, unit), a column a replication: values, or, of several scenarios, paired differences."""
    rows = result.results
    rows = whole(rows[rows["measure"].isin(list(measures))])
    wide = rows.set_index(["scenario", "measure", "unit", "replication"])["value"].unstack("replication")
    first, *others = result.scenarios
    if others:
        base = wide.loc[first]
        wide = pd.concat({name: wide.loc[name] - base for name in others}, names=["scenario"])
    missing = set(measures) - set(wide.dropna(how="all").index.get_level_values("measure"))
    if missing:
        given = f"{min(missing)!r} was given, of which this place has no number"
        raise PlaceError(f"precision_of: {given}; allowed: a measure that this place has.")
    return wide


def _round(number: int, n: int, samples: pd.DataFrame, precision: Precision) -> pd.DataFrame:
    values = samples.to_numpy(dtype=float)
    mean, half = half_widths(values)
    allowed = allowed_half_widths(mean, precision)
    table = samples.index.to_frame(index=False)
    table.insert(0, "round", number)
    table.insert(1, "replications", n)
    needed = replications_needed(values, precision)
    return table.assign(mean=mean, half_width=half, allowed=allowed, narrow=half <= allowed, needed=needed)


def sentences(rounds: Rounds, precision: Precision) -> list[str]:
    """What the rounds came to, in words."""
    if rounds.table.empty:
        return []
    last = rounds.last
    n, number = int(last["replications"].iloc[0]), int(last["round"].iloc[0])
    took = f"{counted(n, 'replication')} in {counted(number, 'round')}"
    if rounds.ended == ANSWERED:
        return [f"Precision: every interval asked for is within {precision.told()} after {took}."]
    why = {
        REPLICATIONS: f"the most allowed (most={precision.most})",
        TIME: f"the time allowed (budget={precision.seconds / 60:g}min)",
        STOPPED: "a stop or cells that failed",
    }[rounds.ended]
    wide = last[~last["narrow"]]
    said = [f"Precision: not reached after {took}, because of {why}: {len(wide)} of {len(last)} intervals are wider."]
    worst = wide.assign(ratio=wide["half_width"] / wide["allowed"]).sort_values("ratio", ascending=False).head(3)
    for row in worst.to_dict("records"):
        reached = f"+/- {row['half_width']:.3g} {row['unit']}, asked for {row['allowed']:.3g}"
        need = _needed_in_words(row, precision)
        said.append(f"{HEADLINE[row['measure']].title}, {row['scenario']}: {reached}; it needs {need}.")
    return said


def _needed_in_words(row: Mapping[Hashable, Any], precision: Precision) -> str:
    """How many replications an interval that is too wide needs, by a row of `Rounds.table`."""
    if np.isfinite(row["needed"]):
        return f"about {row['needed']:,.0f} replications"
    more = f"more than {MOST_NEEDED * precision.most:,} replications"
    if precision.relative and abs(row["mean"]) <= row["half_width"]:
        return f"{more} (it may be nought, of which no percentage can be had: ask for a precision in its own unit)"
    return more
