"""All measures, in the order that tables have them in. Each is defined where it is worked out, and found there."""

from __future__ import annotations

from collections.abc import Iterable

from flowsim.measures import (
    beds,
    checks,
    cost,
    credible,
    delay,
    discharge,
    emergency,
    money,
    national,
    outcomes,
    services,
    stays,
    who_waits,
)
from flowsim.measures.definition import Computation, Measure

_MODULES = (
    delay, who_waits, discharge, stays, beds, emergency, outcomes, services, money, cost, credible, checks, national,
)  # fmt: skip
"""Whose measures come one behind the other; headline measures come before them all."""
_HEADLINE = (
    "delayed_patients", "nctr_share", "delayed_bed_days", "delayed_bed_days_by_cause", "delayed_bed_days_by_pathway",
    "delayed_share", "delay_days_mean", "delayed_still_people", "hidden_wait_days_mean", "los_days_mean",
    "los_days_median", "los_21_plus_share", "acute_occupancy", "discharges_by_weekday", "ed_queue_mean",
    "ed_left_unseen_share", "ed_four_hour_share", "boarding_hours_mean", "trolley_12_hour_count", "ed_12_hour_share",
    "usual_residence_share", "readmission_30_day_share", "deaths_in_hospital",
    "expected_extra_deaths_of_waiting", "hospital_still_people",
    "care_queue_mean", "care_wait_days_mean", "unmet_need_people", "money_spent", "capacity_freed",
    "out_of_range_queues",
)  # fmt: skip
"""The order of the headline measures; one that is not named here comes after them."""
OF_WARDS = "delayed_patients"
"""The measure that a place has where some service has the role ward, and only there."""
WITHOUT_WARDS = (
    "care_queue_mean", "care_wait_days_mean", "unmet_need_people", "ed_queue_mean", "ed_left_unseen_share",
    "ed_four_hour_share", "ed_12_hour_share", "money_spent",
)  # fmt: skip
"""The headline measures asked for first, in reading order, of a place that has no wards: who waits, how long, who goes
without."""
_NATIONAL: dict[str, tuple[str, ...]] = {
    "Delay": (
        "drd_days_mean", "delay_days_mean", "drd_on_day_share", "dtoc_days_a_month", "dtoc_days_a_quarter", "dtoc_beds",
    ),
    "Long stays": ("los_14_plus_share", "los_21_plus_share", "los_14_plus_discharges", "los_21_plus_discharges"),
    "Admissions": ("emergency_admissions_65", "avoidable_admissions", "falls_admissions_65"),
    "Where people live afterwards": ("usual_residence_share", "residential_admissions_65", "home_at_91_days_share"),
    "Coming back": ("readmission_30_day_share", "readmission_6_month_share"),
    "Deaths": ("deaths_in_hospital", "deaths_share_of_discharges", "expected_extra_deaths_of_waiting"),
}  # fmt: skip
"""The themes of the national measures, and what comes first in each."""


def _in_order(first: Iterable[str], those: Iterable[str]) -> tuple[str, ...]:
    """Those names, some of them first.

    Raises:
        ValueError: one to come first is not among them.
    """
    first, those = tuple(first), tuple(those)
    if unknown := set(first) - set(those):
        raise ValueError(f"{', '.join(sorted(unknown))}: has a place in an order, and is not defined to have one")
    return (*first, *(name for name in those if name not in first))


def _defined(computations: Iterable[Computation]) -> dict[str, Measure]:
    """Every measure by its id.

    Raises:
        ValueError: two have one id, or a theme is not known.
    """
    measures: dict[str, Measure] = {}
    for measure in (measure for one in computations for measure in one.measures):
        if measure.id in measures:
            raise ValueError(f"{measure.id} is defined twice")
        if measure.theme and measure.theme not in _NATIONAL:
            raise ValueError(f"{measure.id} has the theme {measure.theme!r}; there are {', '.join(_NATIONAL)}")
        measures[measure.id] = measure
    return measures


COMPUTATIONS: tuple[Computation, ...] = tuple(
    one for module in _MODULES for one in vars(module).values() if isinstance(one, Computation)
)
"""All that works out measures, file by file as each stands there."""
_ALL = _defined(COMPUTATIONS)
HEADLINE: dict[str, Measure] = {
    name: _ALL[name] for name in _in_order(_HEADLINE, (one.id for one in _ALL.values() if one.headline))
}
"""The measures every comparison shows, by id, in order."""
MEASURES: dict[str, Measure] = HEADLINE | _ALL
"""Every measure there is, by id, in order."""
NATIONAL: dict[str, tuple[str, ...]] = {
    theme: _in_order(first, (one.id for one in _ALL.values() if one.theme == theme))
    for theme, first in _NATIONAL.items()
}
"""The national set, past and present, by theme: ids of measures, some of them headline measures."""
