"""Scenarios side by side: because person k is the same person in every scenario, every difference is paired."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import ClassVar, NamedTuple, Self, get_args

import numpy as np
import pandas as pd

from flowsim.cells.runner import run_all
from flowsim.declare.settings import Settings
from flowsim.folder.at_work import at_work
from flowsim.folder.atomic import write_csv
from flowsim.folder.configuration import free_name
from flowsim.folder.result import Result
from flowsim.measures.registry import HEADLINE, MEASURES
from flowsim.place import Payer, Place, PlaceError, refuse
from flowsim.questions.against import against
from flowsim.statistics.intervals import (
    KEYS,
    endless,
    ratio_interval,
    smallest_detectable,
    t_interval,
    whole,
    wide_values,
)

NO_CLEAR_CHANGE = "no clear change"
NO_INTERVAL = "one replication: no interval"
SERVICE_LOAD = "service_offered_load"
SERVICE_WAIT = "service_wait_days_mean"
MONEY_SPENT = "money_spent"
CAPACITY_FREED = "capacity_freed"
DELAYED_BED_DAYS = "delayed_bed_days"
FEWEST_TO_JUDGE = 5
"""Replications below which a ratio of variances says nothing."""
NO_SCENARIO = "baseline"
"""The scenario that changes nothing."""
ROUNDING = 1e-20
"""Of two variances: below this share the smaller is nought but for rounding."""


class Comparison(Result):
    """A result of several scenarios, the first of which is the one compared with.

    It has `differences`, `table()`, `what_breaks_next()`, `released_bed_days()`, `money()`, `parts()`, and `between()`
    for two of its scenarios.
    """

    question: ClassVar[str] = "compare"

    @property
    def baseline(self) -> str:
        """The scenario compared with."""
        return self.scenarios[0]

    @property
    def others(self) -> tuple[str, ...]:
        """The scenarios compared with it."""
        return self.scenarios[1:]

    @classmethod
    def of(cls, result: Result) -> Self:
        """The same result, seen as a comparison. Raises PlaceError when it has one scenario only."""
        if len(result.places) < 2:
            raise PlaceError(f"{result.out}: this folder holds one scenario; a comparison needs two.")
        return super().of(result)

    def between(self, first: str, second: str) -> Comparison:
        """Two of the scenarios side by side, the second compared with the first; nothing is run again.

        The same people came in both, so differences and intervals are of pairs. Raises PlaceError for a name that is
        not there, with the nearest, and for one scenario twice.
        """
        for name in (first, second):
            if name not in self.places:
                raise refuse("pair", name, "two of", self.scenarios)
        if first == second:
            raise PlaceError(f"pair: {first!r} was given twice; allowed: two scenarios that differ.")
        places = {name: self.places[name] for name in (first, second)}
        failures = tuple(one for one in self.failures if one.scenario in places)
        return Comparison(self.out, places, failures, self.notices, self.interrupted, self.made)

    @cached_property
    def differences(self) -> pd.DataFrame:
        """Every paired difference; see `paired_differences`. The same rows as `comparison.csv`."""
        return paired_differences(self.results, self.baseline, self.others)

    def table(self) -> pd.DataFrame:
        """The headline measures of `differences`, in their order, with a title."""
        order = {measure: at for at, measure in enumerate(HEADLINE)}
        rows = self.differences
        rows = whole(rows[rows["measure"].isin(list(order))])
        rows = rows.sort_values("measure", key=lambda column: column.map(order), kind="stable")
        titles = rows["measure"].map({name: measure.title for name, measure in HEADLINE.items()})
        rows.insert(1, "title", titles)
        return rows.reset_index(drop=True)

    def main_table(self) -> pd.DataFrame:
        """The headline measures' differences."""
        return self.table()

    def pairing_gain(self) -> pd.DataFrame:
        """What it gains that the same people come in every scenario; see `pairing_gain`."""
        return pairing_gain(self.results, self.baseline, self.others)

    def against(self, first: str, second: str) -> pd.DataFrame:
        """One measure against another, a row a scenario; see `against.against`."""
        return against(self, first, second)

    def what_breaks_next(self) -> pd.DataFrame:
        """Services ranked by the change in their load and wait; see `what_breaks_next`."""
        return what_breaks_next(self.differences)

    def released_bed_days(self) -> pd.DataFrame:
        """What a released bed-day costs in each scenario; see `cost_of_released_bed_days`."""
        return cost_of_released_bed_days(self.results, self.baseline, self.others)

    def parts(self) -> pd.DataFrame:
        """Scenarios stacked of others, against the sum of their parts; see `against_the_sum`."""
        return against_the_sum(self.results, self.baseline, stacks(self.places))

    def money(self, cashable: float | None = None) -> pd.DataFrame:
        """What each scenario spends more or less, by payer, and apart from it what the beds it frees are worth.

        `cashable`: the share of the worth of beds freed that is saved in money; None for what each scenario's place
        says (`place.metrics.cashable`, nought unless it is set). See `money`.
        """
        if cashable is not None and not 0 <= cashable <= 1:
            raise refuse("cashable", cashable, "a share from 0 to 1")
        return money(self.results, self.places, cashable)


@at_work()
def compare(
    places: Mapping[str, Place] | list[Place], settings: Settings, run: Callable[..., Result] = run_all
) -> Comparison:
    """Run every place with the same people and compare each with the first. Raises PlaceError.

    A list is named by the places' scenarios (a name that comes again is numbered); a mapping gives its own names. All
    places must have the same run: start, length, warm-up and scale. `run` does the replications: `runner.run_all`, or
    something that stops when it knows enough (`precision.run_until`).
    """
    named = dict(places) if isinstance(places, Mapping) else name_places(places)
    check_same_run(named)
    result = run(named, settings, verb="compare")
    comparison = Comparison.of(result)
    write_csv(result.out / "comparison.csv", comparison.differences)
    return comparison


def check_same_run(places: Mapping[str, Place]) -> None:
    """Raises PlaceError unless there are two places or more, all with the same start, length, warm-up and scale."""
    if len(places) < 2:
        raise PlaceError(f"scenarios: {', '.join(places) or 'none'} was given; allowed: at least two to compare.")
    first_name, first = next(iter(places.items()))
    for name, place in places.items():
        spans = [(p.run.first_date, p.run.start_date, p.run.end_date, p.run.scale) for p in (first, place)]
        if spans[0] != spans[1]:
            raise PlaceError(f"scenarios: {name} and {first_name} have different start, days, warm_up_days or scale.")


def name_places(places: list[Place]) -> dict[str, Place]:
    """Places by their scenarios' names; the second of a name is ``name_2``."""
    named: dict[str, Place] = {}
    for place in places:
        named[free_name(place.scenario.name, named)] = place
    return named


# ---------------------------------------------------------------------------------------------------------------------
# Paired differences


def paired_differences(results: pd.DataFrame, baseline: str, others: tuple[str, ...]) -> pd.DataFrame:
    """Every number of every scenario less the baseline's, replication by replication.

    Takes the tidy results; returns one row a (scenario, measure, where, of) with: unit, n (replications both have),
    baseline and value (means), difference (its mean), low, high (95 % t interval), sd (of the paired differences),
    smallest_detectable (80 % power) and change: "more", "less", "no change" (every replication equal), "no clear
    change" (the interval includes none) or, with one replication, that there is no interval.
    """
    before = wide_values(results, baseline)
    frames = [_differences_of(before, wide_values(results, name), name) for name in others]
    return pd.concat(frames, ignore_index=True)


def _differences_of(before: pd.DataFrame, after: pd.DataFrame, scenario: str) -> pd.DataFrame:
    """The rows of one scenario; both frames have one row a (measure, where, of, unit) and one column a replication."""
    rows = before.index.union(after.index)
    replications = before.columns.intersection(after.columns)
    counts = _adding_up(rows)
    old, new = (_values(wide, rows, replications, counts) for wide in (before, after))
    both = np.isfinite(old) & np.isfinite(new)
    with np.errstate(invalid="ignore"):  # a service closed in both
        n, difference, sd, low, high = t_interval(np.where(both, new - old, np.nan))
    differences = rows.to_frame(index=False)
    differences.insert(0, "scenario", scenario)
    differences = differences.assign(
        n=n,
        baseline=t_interval(np.where(both, old, np.nan))[1],
        value=t_interval(np.where(both, new, np.nan))[1],
        difference=difference,
        low=low,
        high=high,
        sd=sd,
        smallest_detectable=smallest_detectable(n, sd),
    )
    differences["change"] = _change(differences)
    _with_the_closed(differences, old, new)
    return differences[(differences["n"] > 0) | differences["difference"].notna()]


def _adding_up(rows: pd.Index) -> np.ndarray:
    """(rows,) bool: those of measures that are sums."""
    return rows.get_level_values("measure").isin([name for name, measure in MEASURES.items() if measure.adds_up])


def _with_the_closed(differences: pd.DataFrame, old: np.ndarray, new: np.ndarray) -> None:
    """Writes into the rows what a service that closes, or opens, comes to: its load is infinite in all replications."""
    closes, opens = endless(new) & ~np.isnan(old).all(axis=1), endless(old) & ~np.isnan(new).all(axis=1)
    both = closes & opens
    for rows, difference, change in ((closes, np.inf, "more"), (opens, -np.inf, "less"), (both, 0.0, "no change")):
        differences.loc[rows, "difference"] = difference
        differences.loc[rows, "change"] = change
    differences.loc[closes, "value"], differences.loc[opens, "baseline"] = np.inf, np.inf
    differences.loc[closes & ~both, "baseline"] = t_interval(old)[1][closes & ~both]
    differences.loc[opens & ~both, "value"] = t_interval(new)[1][opens & ~both]


def _values(wide: pd.DataFrame, rows: pd.Index, replications: pd.Index, counts: np.ndarray) -> np.ndarray:
    """Shape (rows, replications): what is absent is nought where the measure adds up (`Measure.adds_up`), else NaN."""
    values = wide.reindex(index=rows, columns=replications).to_numpy(dtype=float)
    return np.where(np.isnan(values) & counts[:, None], 0.0, values)


def _change(differences: pd.DataFrame) -> np.ndarray:
    same = (differences["difference"] == 0) & ((differences["sd"] == 0) | (differences["n"] == 1))
    return np.select(
        [same, differences["n"] == 1, differences["low"] > 0, differences["high"] < 0],
        ["no change", NO_INTERVAL, "more", "less"],
        NO_CLEAR_CHANGE,
    )


# ---------------------------------------------------------------------------------------------------------------------
# The whole and the sum of its parts


class Stack(NamedTuple):
    """A scenario that stacks others on what the first has.

    Attributes:
        names: what it stacks, each as `scenarios=` would name it beside the first.
        parts: the scenarios compared that have each of them alone; None of one that is not among them.
    """

    names: tuple[str, ...]
    parts: tuple[str | None, ...]


def stacks(places: Mapping[str, Place]) -> dict[str, Stack]:
    """The scenarios that stack two others or more on what the first has, by name.

    What the first stacks itself is in all of them and no part: beside ``winter``, ``winter+a+b`` is made of ``a`` and
    ``b``, which ``winter+a`` and ``winter+b`` have alone. A scenario that changes the place itself, besides what it
    stacks, is none: what it adds cannot be had alone.
    """
    first, *_ = places.values()
    under, base = first.scenario.stacks.items(), first.scenario.name.split("+")
    said = {
        name: dict(place.scenario.stacks.items() - under)
        for name, place in places.items()
        if under <= place.scenario.stacks.items()
    }
    typed = {name: [one for one in places[name].scenario.name.split("+") if one not in base] for name in said}
    alone = {"+".join(names): name for name, names in reversed(typed.items())}
    found = {}
    for name, files in said.items():
        own = typed[name]
        wanted = own if len(own) > 1 else [one for one in places[name].scenario.stacks if one in files]
        if len(wanted) < 2 or (len(own) == 1 and own[0] in files):
            continue
        parts = [alone.get(one) for one in wanted]
        held = [one for part in parts if part is not None for one in said[part].items()]
        if len(set(held)) == len(held) and (set(held) == set(files.items()) if None not in parts else True):
            before = [] if base == [NO_SCENARIO] else base
            found[name] = Stack(tuple("+".join([*before, one]) for one in wanted), tuple(parts))
    return found


def against_the_sum(results: pd.DataFrame, baseline: str, whole_ones: Mapping[str, Stack]) -> pd.DataFrame:
    """What stacks of scenarios change, less the sum of what their parts change alone, replication by replication.

    One row a (scenario, headline measure) of the whole place, of stacks whose parts are all there. Columns scenario,
    measure, unit, n, together (what the stack changes, mean), parts (the sum of what its parts change, mean),
    parts_low, parts_high, difference (together less parts: nought where they do not meddle with each other), low, high
    (95 % t intervals), sd, smallest_detectable and change, all of the difference as in `paired_differences`.
    """
    headline = whole(results[results["measure"].isin(list(HEADLINE))])
    frames = []
    for scenario, stack in whole_ones.items():
        parts = [name for name in stack.parts if name is not None]
        if len(parts) < len(stack.names):
            continue
        each = {name: wide_values(headline, name) for name in (baseline, scenario, *parts)}
        rows = each[baseline].index
        for wide in each.values():
            rows = rows.union(wide.index)
        filled = {name: _filled(wide, rows) for name, wide in each.items()}
        before = filled[baseline]
        alone = sum(filled[name] - before for name in parts)
        of_parts = _differences_of(before, before + alone, scenario).set_index(KEYS)
        together = _differences_of(before, filled[scenario], scenario).set_index(KEYS)["difference"]
        beyond = _differences_of(before + alone, filled[scenario], scenario).set_index(KEYS)
        added = of_parts[["difference", "low", "high"]].set_axis(["parts", "parts_low", "parts_high"], axis=1)
        beyond = beyond.drop(columns=["baseline", "value"]).join(added).assign(together=together)
        frames.append(beyond.reset_index().drop(columns=["where", "of"]))
    columns = ["scenario", "measure", "unit", "n", "together", "parts", "parts_low", "parts_high", "difference"]
    columns += ["low", "high", "sd", "smallest_detectable", "change"]
    if not frames:
        return pd.DataFrame(columns=columns)
    order = {measure: at for at, measure in enumerate(HEADLINE)}
    found = pd.concat([frame.sort_values("measure", key=lambda c: c.map(order)) for frame in frames])
    return found[columns].reset_index(drop=True)


def _filled(wide: pd.DataFrame, rows: pd.Index) -> pd.DataFrame:
    """With all of the rows; what adds up and is absent is nought."""
    return pd.DataFrame(_values(wide, rows, wide.columns, _adding_up(rows)), rows, wide.columns)


# ---------------------------------------------------------------------------------------------------------------------
# What pairing gains


def pairing_gain(results: pd.DataFrame, baseline: str, others: tuple[str, ...]) -> pd.DataFrame:
    """How many times more replications would be needed if other people came in each scenario, by headline measure.

    That is the variance of the difference of independent runs, ``var(scenario) + var(baseline)``, over that of the
    paired differences. Columns scenario, measure, title, unit, n, correlation (between scenario and baseline over
    replications), sd_unpaired and sd_paired (of one replication's difference), ratio (infinite where every paired
    difference is the same). Measures of the whole place; none with fewer than two replications, or that never vary.
    """
    headline = whole(results[results["measure"].isin(list(HEADLINE))])
    before = wide_values(headline, baseline)
    rows = []
    for scenario in others:
        after = wide_values(headline, scenario).reindex(index=before.index, columns=before.columns)
        for key, old, new in zip(before.index, before.to_numpy(dtype=float), after.to_numpy(dtype=float), strict=True):
            both = np.isfinite(old) & np.isfinite(new)
            n = int(both.sum())
            if n < 2:
                continue
            covariance = np.cov(old[both], new[both], ddof=1)
            apart = covariance[0, 0] + covariance[1, 1]
            if apart <= 0:
                continue
            paired = float(np.var(new[both] - old[both], ddof=1))
            spread = float(np.sqrt(covariance[0, 0] * covariance[1, 1]))
            correlation = covariance[0, 1] / spread if spread else np.nan
            ratio = apart / paired if paired > ROUNDING * apart else np.inf
            measure = HEADLINE[str(key[0])]
            sds = (float(np.sqrt(apart)), float(np.sqrt(paired)))
            rows.append([scenario, measure.id, measure.title, measure.unit, n, correlation, *sds, ratio])
    columns = ["scenario", "measure", "title", "unit", "n", "correlation", "sd_unpaired", "sd_paired", "ratio"]
    gain = pd.DataFrame(rows, columns=columns)
    order = {measure: at for at, measure in enumerate(HEADLINE)}
    place = {name: at for at, name in enumerate(others)}
    by = pd.DataFrame({"measure": gain["measure"].map(order), "scenario": gain["scenario"].map(place)})
    return gain.loc[by.sort_values(["measure", "scenario"], kind="stable").index].reset_index(drop=True)


def where_pairing_does_not_help(gain: pd.DataFrame) -> pd.DataFrame:
    """The rows of `pairing_gain` whose ratio is at most one, where there are enough replications to say so.

    What never varies in one of the two has no correlation, and nothing to gain.
    """
    told = (gain["ratio"] <= 1) & (gain["n"] >= FEWEST_TO_JUDGE) & gain["correlation"].notna()
    return gain[told].reset_index(drop=True)


# ---------------------------------------------------------------------------------------------------------------------
# What breaks next


def what_breaks_next(differences: pd.DataFrame) -> pd.DataFrame:
    """Services of each scenario, the one whose load and wait rise most first.

    The rank is the mean of two ranks: by the change in offered load and by the change in the mean wait. A service is a
    kind of service, all its queues together. Columns scenario, service, load (a ratio, now), load_difference,
    load_change, wait (now), wait_unit, wait_difference, wait_change.
    """
    keys = ["scenario", "of"]
    differences = differences[differences["where"] == "all"]
    load = differences[differences["measure"] == SERVICE_LOAD].set_index(keys)
    wait = differences[differences["measure"] == SERVICE_WAIT].set_index(keys)
    services = pd.DataFrame(
        {
            "load": load["value"],
            "load_difference": load["difference"],
            "load_change": load["change"],
            "wait": wait["value"],
            "wait_unit": wait["unit"],
            "wait_difference": wait["difference"],
            "wait_change": wait["change"],
        }
    )
    by_scenario = services.groupby(level="scenario")
    ranks = [by_scenario[c].rank(ascending=False, na_option="bottom") for c in ("load_difference", "wait_difference")]
    services["rank"] = (ranks[0] + ranks[1]) / 2
    order = {name: at for at, name in enumerate(differences["scenario"].unique())}
    services = services.reset_index().rename(columns={"of": "service"})
    services["order"] = services["scenario"].map(order)
    services = services.sort_values(["order", "rank", "service"], kind="stable")
    return services.drop(columns=["order", "rank"]).reset_index(drop=True)


# ---------------------------------------------------------------------------------------------------------------------
# Money spent, and capacity freed


def cost_of_released_bed_days(results: pd.DataFrame, baseline: str, others: tuple[str, ...]) -> pd.DataFrame:
    """The change in the money spent, over the delayed bed-days that are no longer.

    Columns scenario, released (bed-days in the period), released_clear (its interval excludes nought), cost (change,
    pounds in the period), ratio, low, high (pounds a released bed-day, Fieller's 95 % interval over replications). The
    ratio is NaN unless delayed bed-days clearly fall: a price of something that may not exist is no number.
    """
    everywhere = whole(results)
    rows = []
    for scenario in others:
        cost = _paired(everywhere, baseline, scenario, MONEY_SPENT)
        released = -_paired(everywhere, baseline, scenario, DELAYED_BED_DAYS)
        common = cost.index.intersection(released.index)
        if common.empty:
            continue
        above, below = cost[common].to_numpy(), released[common].to_numpy()
        clear = bool(t_interval(below[None, :])[3][0] > 0)
        ratio, low, high = ratio_interval(above, below) if clear else (np.nan, np.nan, np.nan)
        rows.append([scenario, below.mean(), clear, above.mean(), ratio, low, high])
    return pd.DataFrame(rows, columns=["scenario", "released", "released_clear", "cost", "ratio", "low", "high"])


SPENT, FREED, CASH = "money spent", "beds freed, worth", "of that, money"


def money(results: pd.DataFrame, places: Mapping[str, Place], cashable: float | None = None) -> pd.DataFrame:
    """What every scenario spends more than the first of `places`, by payer; apart from it, what beds it frees
    are worth.

    The two are never added up. Of what is freed only the share `cashable` is money (None: what the scenario's own
    place declares). Columns scenario, what (`SPENT`, `FREED`, `CASH`), cashable, payer ("all", and of what is
    spent then each), n, difference, low, high, sd, smallest_detectable and change as in `paired_differences`;
    pounds in the period.
    """
    first, *others = places
    payers = ["", *get_args(Payer)]
    spent = {name: _by_what(results, name, MONEY_SPENT).reindex(payers).rename({"": "all"}) for name in places}
    freed = {name: _by_what(results, name, CAPACITY_FREED).reindex([""]).rename({"": "all"}) for name in places}
    frames = []
    for name in others:
        share = places[name].metrics.cashable if cashable is None else cashable
        more_freed = freed[name] - freed[first]
        parts = {SPENT: spent[name] - spent[first], FREED: more_freed, CASH: share * more_freed}
        for what, change in parts.items():
            n, difference, sd, low, high = t_interval(change.to_numpy(dtype=float))
            least = smallest_detectable(n, sd)
            rows = pd.DataFrame({"scenario": name, "what": what, "cashable": share, "payer": change.index})
            rows = rows.assign(n=n, difference=difference, low=low, high=high, sd=sd, smallest_detectable=least)
            frames.append(rows.assign(change=_change(rows))[n > 0])
    return pd.concat(frames, ignore_index=True)


def not_costed(place: Place) -> list[str]:
    """What a scenario needs and nothing prices, in words: longer hours, staff and services without a cost, all else.

    Empty where it has a line of `costs` of its own, or where it changes only who comes, what happens by chance, money,
    or the capacity of what has a price.
    """
    changed = place.scenario.changes
    if any(key.startswith("costs.") for key in changed):
        return []
    words: dict[str, None] = {}
    for key in changed:
        part, _, rest = key.partition(".")
        name, _, of = rest.partition(".")
        if part == "calendars":
            words["staff for other hours"] = None
        elif part in ("pools", "services") and name in place.kinds:
            kind = place.kinds[name]
            if of.startswith(UNPRICED_OF_A_SERVICE):
                words["staff for other hours"] = None
            elif kind.cost is None and not of.startswith(BY_CHANCE):
                words[kind.title] = None
        elif part in ("stages", "choices"):
            words["other ways of working"] = None
    return list(words)


BY_CHANCE = ("shocks", "displacements", "initial", "trend", "cost", "title")
"""Keys of a service that no scheme buys."""
UNPRICED_OF_A_SERVICE = ("calendar", "quota")
"""Keys of a service that need staff, and no capacity whose price would tell."""


def _by_what(results: pd.DataFrame, scenario: str, measure: str) -> pd.DataFrame:
    """A measure of one scenario: one row an `of`, one column a replication."""
    rows = results[(results["scenario"] == scenario) & (results["measure"] == measure)]
    return rows.pivot(index="of", columns="replication", values="value")


def _paired(results: pd.DataFrame, baseline: str, scenario: str, measure: str) -> pd.Series:
    """Scenario less baseline in each replication, summed over what is left of `of`."""
    sums = results[results["measure"] == measure].groupby(["scenario", "replication"])["value"].sum()
    if not {baseline, scenario} <= set(sums.index.get_level_values("scenario")):
        return pd.Series(dtype=float)
    return (sums[scenario] - sums[baseline]).dropna()
