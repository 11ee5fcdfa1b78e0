"""Guards: no place is called best that makes something else clearly worse than things are.

A place that closes beds has fewer delayed patients, since there are fewer beds to be delayed in. So whoever ranks by
one measure looks at a few others too: where one of them is clearly worse, the place is shown, and never best.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from flowsim.folder.result import Result
from flowsim.measures.registry import HEADLINE
from flowsim.place import refuse
from flowsim.questions.compare import paired_differences
from flowsim.statistics.intervals import whole

DEFAULT_GUARDS = (
    "ed_queue_mean",
    "boarding_hours_mean",
    "ed_left_unseen_share",
    "unmet_need_people",
    "deaths_in_hospital",
    "readmission_30_day_share",
)
"""What must not become clearly worse where nobody says."""
ENOUGH = 5
"""Replications from which guards see more than gross harm: with four, a 95 % interval reaches 1.6 sd of a difference to
either side, with two nine."""


def as_guards(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Headline measures with a better side; None for the default, an empty list for none. Raises PlaceError."""
    if given is None:
        return None
    names = (given,) if isinstance(given, str) else tuple(str(name) for name in given)
    sided = [name for name, one in HEADLINE.items() if one.better]
    for name in names:
        if name not in sided:
            raise refuse("guards", name, "[] or measures that have a better side:", sided)
    return names


def guards_of(result: Result) -> tuple[str, ...]:
    """The guards an experiment has, of those measures that it has numbers of."""
    asked = result.manifest.guards
    there = set(whole(result.results)["measure"]) if len(result.results) else set()
    return tuple(name for name in (DEFAULT_GUARDS if asked is None else asked) if name in there)


def worse_than(result: Result, base: str) -> dict[str, tuple[str, ...]]:
    """Of each scenario but the base, the guards that are clearly worse in it: ids of measures.

    Clearly: the 95 % interval of the paired difference excludes nought, and the difference is one that matters.
    """
    others = tuple(name for name in result.scenarios if name != base)
    rows = whole(result.results)
    rows = rows[rows["measure"].isin(guards_of(result))]
    if rows.empty or not others:
        return dict.fromkeys(others, ())
    paired = paired_differences(rows, base, others)
    failed = clearly_worse(paired, result.days)
    return {name: tuple(paired[failed & (paired["scenario"] == name)]["measure"]) for name in others}


def clearly_worse(differences: pd.DataFrame, days: float) -> pd.Series:
    """Which rows of `compare.paired_differences` are clearly worse; `days`: how many the period has."""
    better = differences["measure"].map({name: one.better for name, one in HEADLINE.items()})
    there = zip(differences["measure"], differences["baseline"], strict=True)
    matters = [HEADLINE[str(name)].matters_in(days, float(mean)) for name, mean in there]
    # an interval of one replication is none, and says nothing is clear; an exact change has limits alike
    nearest = differences["low"].where(better < 0, -differences["high"])
    return (nearest > 0) & (differences["difference"].abs() >= matters)


def blind(result: Result) -> str:
    """What too few replications keep the guards from seeing, in a clause; empty where they see."""
    n = int(result.results.groupby("scenario")["replication"].nunique().min()) if len(result.results) else 0
    if n < 2:
        return "from one run no guard can fail, so nothing was guarded"
    return f"from {n} runs a guard fails only where the harm is gross" if n < ENOUGH else ""


def in_words(names: Sequence[str]) -> str:
    """Titles of measures, one after the other."""
    return ", ".join(HEADLINE[name].title.lower() for name in names)


def told(result: Result, base: str) -> str:
    """Which guards there are, in one sentence."""
    names = guards_of(result)
    if not names:
        return "No guards (guards=[]): what else becomes worse does not keep a point from being called best."
    unseen = blind(result)
    return (
        f"Guards: no point is called best where one of these is clearly worse than in {base}: {in_words(names)} "
        f"(guards=[...] sets them){f'; BUT {unseen}' if unseen else ''}."
    )
