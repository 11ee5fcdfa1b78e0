"""Who is delayed longest, and how long: by age, pathway and locality, and by bands of days."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowsim.measures.definition import ALL, FLOWSIM, READY_DATE, Measure, Value, computes
from flowsim.measures.ratios import mean
from flowsim.measures.window import NO_PATHWAY, Window

BANDS = {"0 days": 0, "1 day": 1, "2-3 days": 2, "4-6 days": 4, "7-13 days": 7, "14-20 days": 14, "21+ days": 21}
"""Of the discharge ready date collection, and the days each begins with."""


@computes(
    Measure(
        "delay_days_by_age", "Mean delay of the delayed, by age", "days",
        "The mean delay of the delayed of each age band, the days so far of those still delayed at the end counted.",
        FLOWSIM, -1,
    ),
    Measure(
        "delay_days_by_pathway", "Mean delay of the delayed, by pathway", "days",
        "The same, by discharge pathway.",
        FLOWSIM, -1,
    ),
    Measure(
        "delay_days_by_locality", "Mean delay of the delayed, by locality", "days",
        "The same, by where people live.",
        FLOWSIM, -1,
    ),
    Measure(
        "delayed_bed_days_by_age", "Delayed bed-days by age", "bed-days",
        "Delayed bed-days of the people of each age band.",
        FLOWSIM, -1, adds_up=True,
    ),
    Measure(
        "delayed_bed_days_by_locality", "Delayed bed-days by locality", "bed-days",
        "Delayed bed-days by where people live.",
        FLOWSIM, -1, adds_up=True,
    ),
    needs=("ward",),
)  # fmt: skip
def who_waits_longest(window: Window) -> Iterator[Value]:
    """How long each kind of people is delayed, and what it comes to; `of` is the kind."""
    late, charges = window.late_people, window.charges
    delayed = np.flatnonzero(late.days >= 1)
    days, spell, charged = late.days.take(delayed), late.spell.take(delayed), window.history.spell.take(charges.row)
    for name in ("age", "pathway", "locality"):
        for kind, one in _kinds(window, name):
            yield f"delay_days_by_{name}", ALL, kind, mean(days[one[spell]])
            if name != "pathway":  # whose bed-days are a headline measure
                minutes = float(charges.total[one[charged]].sum())
                yield f"delayed_bed_days_by_{name}", ALL, kind, minutes / 1440


def _kinds(window: Window, name: str) -> Iterator[tuple[str, np.ndarray]]:
    """Each level of an attribute, and whose it is: (N,) bool."""
    journeys = window.history.journeys
    if name in journeys.attributes:
        for code, level in enumerate(journeys.levels[name]):
            yield level, journeys.attributes[name] == code
        if name == "pathway":
            yield NO_PATHWAY, journeys.attributes[name] < 0


@computes(
    Measure(
        "delay_band_people", "Discharges by days of delay", "people",
        "Live discharges after at least one night by the days from the date of recognition to the date of leaving.",
        READY_DATE, 0, adds_up=True,
    ),
    Measure(
        "delay_band_bed_days", "Days of delay by days of delay", "bed-days",
        "The days between recognition and leaving of the people in each band: how much of all is theirs.",
        READY_DATE, 0, adds_up=True,
    ),
    needs=("ward",),
)  # fmt: skip
def bands(window: Window) -> Iterator[Value]:
    """People and their days by band, everywhere and by site; those still delayed are not among them."""
    late, begins = window.late_people, np.array([*BANDS.values()])
    band = np.searchsorted(begins, np.maximum(late.days, 0), side="right") - 1
    for where, here in window.everywhere(late.row):
        left = here & ~late.still
        people = np.bincount(band[left], minlength=len(begins))
        bed_days = np.bincount(band[left], weights=late.days[left], minlength=len(begins))
        for name, n, days in zip(BANDS, people.tolist(), bed_days.tolist(), strict=True):
            yield "delay_band_people", where, name, float(n)
            yield "delay_band_bed_days", where, name, days
