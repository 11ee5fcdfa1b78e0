"""Stays in acute beds: how long they are, and how many begin."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowsim.measures.definition import ALL, FLOWSIM, WHOLE, Measure, Value, computes
from flowsim.measures.ratios import mean, quantile
from flowsim.measures.who import has_level
from flowsim.measures.window import Window

HES = "NHS Digital hospital episode statistics: nights in hospital"


@computes(
    Measure(
        "los_days_mean", "Mean length of stay", "days",
        "Mean nights in acute beds of emergency stays of at least one night that ended, deaths included.",
        HES, -1, headline=True,
    ),
    Measure(
        "los_days_median", "Median length of stay", "days",
        "Median nights in acute beds of emergency stays of at least one night that ended, deaths "
        "included.",
        HES, -1, headline=True,
    ),
    needs=("ward",),
)  # fmt: skip
def length_of_stay(window: Window) -> Iterator[Value]:
    """Nights of emergency stays that ended; by age too."""
    over = window.ward[window.inside(window.ward.left)]
    counted = np.flatnonzero(window.is_emergency.take(over.spell) & (over.nights >= 1))
    nights, history = over.nights.take(counted), window.history
    groups = [(where, WHOLE, here) for where, here in window.everywhere(over.last)]
    for level in history.journeys.levels.get("age", ()):
        groups.append((ALL, f"age {level}", has_level(history, "age", level)[over.spell]))
    for where, of, here in groups:
        stay = nights[here.take(counted)]
        yield "los_days_mean", where, of, mean(stay)
        yield "los_days_median", where, of, quantile(stay, 0.5)


@computes(
    Measure(
        "admissions_a_day", "Admissions to acute beds a day", "people a day",
        "Stays in acute beds that began.",
        FLOWSIM, 0,
    ),
    needs=("ward",),
)  # fmt: skip
def admissions(window: Window) -> Iterator[Value]:
    """Stays that began."""
    came = window.ward[window.inside(window.ward.started)]
    came = came[~window.history.initial[came.first]]
    for where, here in window.everywhere(came.first):
        yield "admissions_a_day", where, WHOLE, np.count_nonzero(here) / window.length
