"""The answer, first of all on every page: at most five plain sentences made of the numbers, and one small table.

Each sentence is a `Said`: what it is about, and its words. Pages of the questions are beside this one; what all of
them say the same way stands here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from flowsim.folder.result import Result
from flowsim.measures.registry import HEADLINE, MEASURES, OF_WARDS, WITHOUT_WARDS
from flowsim.place import counted
from flowsim.present.pages.page import Section
from flowsim.present.pages.trouble import failed_checks
from flowsim.present.titles import replication_count, service_title, titled, unit_in
from flowsim.present.words import number, signed, with_unit
from flowsim.questions.compare import not_costed
from flowsim.questions.matters import least
from flowsim.statistics.intervals import replications_to_tell

MOST_SENTENCES = 5
MOST_NAMED = 3
"""Of scenarios, queues and the like in one sentence."""
MONEY = ("money_spent", "cost_total")
"""What is paid; the second where a run has none of the first."""
AT_THE_DOOR = ("ed_queue_mean", "boarding_hours_mean", "ed_left_unseen_share", "trolley_12_hour_count")
"""Measures of people who wait in the emergency department and so are not counted as delayed on a ward."""
SHOWN = ("delayed_patients", "ed_queue_mean", "ed_left_unseen_share", "boarding_hours_mean")
"""What the first table shows besides money, in order."""
PLAIN = {
    "delayed_patients": "ready to leave, still in hospital",
    "delayed_bed_days": "days in bed after being ready to leave",
    "ed_queue_mean": "waiting to be seen in A&E",
    "ed_left_unseen_share": "left A&E unseen",
    "boarding_hours_mean": "wait in A&E for a bed",
    "trolley_12_hour_count": "waits of 12 hours or more for a bed",
    "unmet_need_people": "went without care they waited for",
    "deaths_in_hospital": "deaths in hospital",
    "expected_extra_deaths_of_waiting": "deaths expected of long waits for a bed",
    "readmission_30_day_share": "back within 30 days",
    "acute_occupancy": "hospital beds full",
    "los_days_mean": "days in hospital",
    "money_spent": "money spent",
    "capacity_freed": "worth of beds freed",
    "cost_total": "cost",
}
"""Measures in words that need no explanation; others have their titles."""
HEADS = {
    "delayed_patients": "delayed in hospital",
    "ed_queue_mean": "waiting to be seen",
    "ed_left_unseen_share": "left A&E unseen",
    "boarding_hours_mean": "wait for a bed",
    "capacity_freed": "beds freed",
}
"""What stands above a column of the first table, where there is less room than in a sentence."""
OUT_OF_RANGE = "out_of_range_queues"
HALF = 0.5
"""Of the runs: in so many a queue leaves the credible range, or it is told more quietly."""


class Said(NamedTuple):
    """A sentence of the answer.

    Attributes:
        about: what it is about, such as "What changes".
        words: the sentence after that, without its full stop.
    """

    about: str
    words: str

    def sentence(self) -> str:
        """``What changes: ...``"""
        return f"{self.about}: {self.words.rstrip('.')}."


def section(said: Iterable[Said], columns: Sequence[str] = (), rows: Iterable[Any] = (), half: bool = False) -> Section:
    """The answer as it stands on a page; no more than `MOST_SENTENCES`."""
    sentences = tuple(one.sentence() for one in said)[:MOST_SENTENCES]
    return Section("The answer", tuple(columns), tuple(rows), sentences, half=half)


def plain(measure: str) -> str:
    """What a measure is called where nobody has been told of measures yet."""
    return PLAIN.get(measure, MEASURES[measure].title[:1].lower() + MEASURES[measure].title[1:])


def plain_and_unit(measure: str, result: Result) -> str:
    """The same with its unit, for the head of a column."""
    return f"{HEADS.get(measure, plain(measure))}, {unit_in(measure, result)}"


def shown_measures(result: Result) -> tuple[str, ...]:
    """What the first table shows, of what this result has: of money too."""
    there = set(result.results["measure"].unique())
    money = [name for name in MONEY if name in there and name in HEADLINE][:1]
    names = [name for name in (*SHOWN, *money) if name in there]
    if OF_WARDS not in there:
        first = [name for name in (*WITHOUT_WARDS, *names, "los_days_mean") if name in there]
        names = list(dict.fromkeys(first))
    return tuple(names)


def in_words(values: Sequence[str]) -> str:
    """``a, b and 4 more``"""
    named = list(values[:MOST_NAMED])
    if more := len(values) - len(named):
        return f"{', '.join(named)} and {more} more"
    return " and ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else "".join(named)


def changed(measure: str, difference: float) -> str:
    """A difference with its unit: ``-35 people``, ``+3.1 points``."""
    unit = MEASURES[measure].unit
    if unit == "%":
        return f"{signed(difference, unit)} points"
    return f"{signed(difference, unit)} {unit.removeprefix('£')}".strip()


def level(measure: str, mean: float, low: float = math.nan, high: float = math.nan) -> str:
    """A mean with its range: ``132 people (128 to 136)``."""
    unit = MEASURES[measure].unit
    text = with_unit(mean, unit)
    return f"{text} ({number(low, unit)} to {number(high, unit)})" if math.isfinite(low) else text


# ---------------------------------------------------------------------------------------------------------------------
# What is said the same way of every question


def range_broken(result: Result, scenarios: Sequence[str] = ()) -> Iterator[Said]:
    """One loud sentence where some scenario leaves the range in which a run can be believed, with its queues."""
    counts = result.results[result.results["measure"] == OUT_OF_RANGE]
    counts = counts[counts["scenario"].isin(list(scenarios or result.scenarios))]
    beyond = counts.assign(beyond=counts["value"] > 0).groupby(["scenario", "where", "of"], observed=True, sort=False)
    runs = beyond["beyond"].agg(["sum", "size"]).reset_index()
    runs["share"] = runs["sum"] / runs["size"]
    whole = runs[(runs["where"] == "all") & (runs["of"] == "") & (runs["sum"] > 0)]
    if whole.empty:
        return
    worst: Any = whole.sort_values("share", kind="stable").iloc[-1]
    often = bool(worst["share"] >= HALF)
    queues = runs[(runs["of"] != "") & (runs["share"] >= HALF)].sort_values("share", ascending=False, kind="stable")
    named = dict.fromkeys(service_title(result, str(row["of"]), str(row["where"])) for row in queues.to_dict("records"))
    whose = [titled(result, str(name)) for name in dict.fromkeys(whole["scenario"])]
    everybody = len(whose) == len(scenarios or result.scenarios)
    where = "" if everybody else f" in {in_words(whose)}"
    what = f" ({in_words(list(named))})" if named else ""
    yield Said(
        "NOT TO BE BELIEVED AS IT STANDS" if often else f"TAKE CARE, IN {worst['sum']} OF {worst['size']} RUNS",
        f"queues grow without end or A&E is offered more than it can do{where}{what}; long before that somebody would "
        "act, and no such act is in these numbers",
    )


def doubts(result: Result, scenarios: Sequence[str] = ()) -> Said:
    """What to doubt: checks that failed, what evidence says of such sizes, and how many numbers are assumed."""
    parts = []
    if list(failed_checks(result)):
        parts.append("checks of the sums failed, so do not use these results")
    weak = [titled(result, name) for name in scenarios or result.scenarios if _is_weak(result, name)]
    parts += [f"evidence for gains of this size is weak ({in_words(weak)})"] if weak else []
    grades = [str(grade) for grade in result.evidence["grade"] if grade]
    if grades:
        assumed = sum(grade.startswith("C") for grade in grades)
        parts.append(f"{assumed} of the {len(grades)} numbers the place rests on are assumptions")
    return Said(
        "What to doubt", "; ".join(parts) or "the ranges are of chance alone, as if every number set were right"
    )


def _is_weak(result: Result, scenario: str) -> bool:
    """Does a scenario's own evidence warn against large gains?"""
    every = result.places[scenario].scenario.evidence.values()
    return any("optimistic" in text or "no significant" in text for text in every)


def how_sure(result: Result, unclear: str = "") -> Said:
    """What the ranges are; `unclear`: what is not clear, and what would tell."""
    n = replication_count(result)
    if n < 2:
        return Said("How sure", "one run only, so nothing here can be told from chance")
    ranges = f"ranges hold the true mean 95 times in 100, over {counted(n, 'run')}"
    return Said("How sure", f"{ranges}{unclear}")


def runs_to_tell(row: Any, result: Result) -> int:
    """Replications after which a difference of the size seen, or of the smallest that matters, would be clear."""
    size = max(abs(float(row["difference"])), least(str(row["measure"]), result))
    needed = replications_to_tell(size, float(row["sd"]))
    return int(needed) if math.isfinite(needed) else 0


def matters(row: Any, result: Result) -> bool:
    """Is a paired difference clear, and at least the smallest that matters?"""
    clear = row["change"] in ("more", "less")
    return bool(clear and abs(row["difference"]) >= least(str(row["measure"]), result))


def money_words(result: Result, rows: pd.DataFrame) -> str:
    """What each scenario spends more or less, and apart from it what the beds it frees are worth; of differences."""
    measure = next((name for name in MONEY if (rows["measure"] == name).any()), "")
    if not measure:
        return ""
    said = []
    for scenario in dict.fromkeys(rows["scenario"]):
        its = rows[rows["scenario"] == scenario].set_index("measure")
        if measure not in its.index:
            continue
        words = f"{titled(result, str(scenario))} {_money(its.loc[measure])}"
        beside = ["not all of it costed"] if not_costed(result.places[str(scenario)]) else []
        if "capacity_freed" in its.index and its.loc["capacity_freed", "change"] in ("more", "less"):
            worth = float(its.loc["capacity_freed", "difference"])
            freed = "freed, no cash" if worth > 0 else "no longer free"
            beside.append(f"beds worth {with_unit(abs(worth), '£')} {freed}")
        said.append(words + (f" ({', '.join(beside)})" if beside else ""))
    what = "" if measure == "money_spent" else "cost, every bed in use counted: "
    return f"{what}{in_words(said)}, {unit_in(measure, result).removeprefix('£').strip() or 'in all'}"


def _money(row: Any) -> str:
    if row["change"] in ("more", "less"):
        return signed(float(row["difference"]), "£")
    return "no more" if row["change"] == "no change" else "not clearly more or less"
