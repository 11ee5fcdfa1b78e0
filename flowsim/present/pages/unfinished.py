"""Who is still there or still waiting when the period ends: told beside each mean that they could turn.

A mean of those who left says nothing of those who did not. Where a scenario keeps many, its mean may fall because the
longest are not in it yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from flowsim.folder.result import Result
from flowsim.place import Place
from flowsim.present.words import number

NOT_A_TRIFLE = 0.05
"""Of all whom a measure is of: where fewer are still there, whatever becomes of them does not turn it."""
BANDS_OF_THE_DELAYED = ("1 day", "2-3 days", "4-6 days", "7-13 days", "14-20 days", "21+ days")


class Open(NamedTuple):
    """What a measure leaves open at the end.

    Attributes:
        words: what those are who are still there.
        still: the measure that counts them, of services with these roles; of the whole place where none are named.
        done: the measure that counts who is in the mean, by the same services or with these `bands`; of so many days.
    """

    words: str
    still: str
    done: str
    days: float = 0
    roles: tuple[str, ...] = ()
    bands: tuple[str, ...] = ("",)


DELAYED = Open("still delayed at the end", "delayed_still_people", "delay_band_people", bands=BANDS_OF_THE_DELAYED)
IN_HOSPITAL = Open("still in hospital at the end", "hospital_still_people", "admissions_a_day", 1)
FOR_A_BED = Open("still waiting at the end", "service_still_waiting", "service_starts_a_week", 7, ("ward",))
CARE = ("community", "home_care", "care_home")
FOR_CARE = Open("still waiting at the end", "service_still_waiting", "service_starts_a_week", 7, CARE)
OPEN: dict[str, Open] = {
    "delay_days_mean": DELAYED,
    "delayed_share": DELAYED,
    "hidden_wait_days_mean": IN_HOSPITAL,
    "los_days_mean": IN_HOSPITAL,
    "los_days_median": IN_HOSPITAL,
    "deaths_in_hospital": IN_HOSPITAL,
    "boarding_hours_mean": FOR_A_BED,
    "care_wait_days_mean": FOR_CARE,
}
"""Headline measures that those who are not done yet could turn."""


def still_there(result: Result) -> dict[tuple[str, str], str]:
    """By scenario and measure, words such as ``41.2 still delayed at the end``; none where they are a trifle.

    Where they are more in one scenario it is told of all of them, since it is the difference that misleads.
    """
    means = result.summary(headline=False)
    told: dict[tuple[str, str], str] = {}
    by_scenario = {
        str(name): rows.set_index(["measure", "where", "of"])["mean"] for name, rows in means.groupby("scenario")
    }
    for measure, left in OPEN.items():
        counts = {name: _still(its, left, result.places[name]) for name, its in by_scenario.items()}
        shares = [
            still / (still + _done(by_scenario[name], left, result.places[name], result.days))
            for name, still in counts.items()
            if still > 0
        ]
        if max(shares, default=0) >= NOT_A_TRIFLE:
            told |= {(name, measure): f"{number(still)} {left.words}" for name, still in counts.items()}
    return told


def still_waiting(result: Result) -> Mapping[tuple[str, str, str], str]:
    """The same of the mean wait for each service: by scenario, where and service."""
    means = result.summary(headline=False)
    wide = means[means["measure"].isin([FOR_CARE.still, FOR_CARE.done])]
    keys = ["scenario", "where", "of"]
    wide = wide.pivot(index=keys, columns="measure", values="mean").reindex(columns=[FOR_CARE.still, FOR_CARE.done])
    still, done = wide[FOR_CARE.still], wide[FOR_CARE.done] * result.days / FOR_CARE.days
    many = wide[(still > 0) & (still >= NOT_A_TRIFLE * (still + done))].reset_index()
    return {
        (str(row["scenario"]), str(row["where"]), str(row["of"])): f"{number(row[FOR_CARE.still])} {FOR_CARE.words}"
        for row in many.to_dict("records")
    }


def _still(means: pd.Series, left: Open, place: Place) -> float:
    return sum(float(means.get((left.still, "all", of), 0.0)) for of in _services(left, place))


def _done(means: pd.Series, left: Open, place: Place, days: float) -> float:
    kinds = _services(left, place) if left.roles else left.bands
    n = sum(float(means.get((left.done, "all", of), 0.0)) for of in kinds)
    return n * days / left.days if left.days else n


def _services(left: Open, place: Place) -> list[str]:
    """Names of the services of its roles; the whole where it has none."""
    return [name for name, one in place.services.items() if one.role in left.roles] if left.roles else [""]
