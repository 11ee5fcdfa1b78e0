"""Who is delayed longest, how long and by what: by age, pathway, locality, cause and bands of days."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowsim.measures.definition import ALL, FLOWSIM, READY_DATE, Measure, Value, computes
from flowsim.measures.delay import can_hold_up
from flowsim.measures.ratios import mean, ratio
from flowsim.measures.window import NO_PATHWAY, Window

BANDS = {"0 days": 0, "1 day": 1, "2-3 days": 2, "4-6 days": 4, "7-13 days": 7, "14-20 days": 14, "21+ days": 21}
"""Of the discharge ready date collection, and the days each begins with."""


OF_PEOPLE = ("age", "pathway", "locality")
"""Attributes by which the delayed are told apart."""
OF_DELAY = "days"
"""The kind of delay by its days, in `BANDS`."""
KINDS = {"age": "age", "pathway": "pathway", "locality": "locality", OF_DELAY: "days of delay"}
"""The kinds of delayed people there are measures of, in words."""
AND = " | "
"""Between a kind of people and a cause in `of`: ``85+ | capacity: reablement``."""


def _of_each(name: str, title: str, unit: str, definition: str, adds_up: bool = True) -> Iterator[Measure]:
    """A measure of each of `KINDS`: ``name_by_age`` and so on."""
    for kind, words in KINDS.items():
        told = definition.replace("{}", words)
        yield Measure(f"{name}_by_{kind}", f"{title} by {words}", unit, told, FLOWSIM, -1, adds_up=adds_up)


@computes(
    *_of_each(
        "delay_days", "Mean delay of the delayed,", "days",
        "The mean delay of the delayed by {}, the days so far of those still delayed at the end counted.",
        adds_up=False,
    ),
    *_of_each(
        "delayed_people", "People delayed,", "people",
        "People who left acute beds on a later date than they were recognised, or are still delayed at the end, by {}.",
    ),
    *_of_each(
        "delayed_still", "Still delayed at the end,", "people",
        "Those of them who are still in the bed when the period ends, by {}.",
    ),
    *(
        one for one in _of_each("delayed_bed_days", "Delayed bed-days", "bed-days", "Delayed bed-days by {}.")
        if one.id != "delayed_bed_days_by_pathway"  # a headline measure, of `delay`
    ),
    *_of_each(
        "delayed_causes", "Delayed bed-days by cause and", "bed-days",
        "Delayed bed-days by {} and cause: which cause is whose.",
    ),
    needs=("ward",),
)  # fmt: skip
def who_waits_longest(window: Window) -> Iterator[Value]:
    """How many of each kind of people are delayed, how long, by what, and what it comes to; `of` is the kind.

    Which cause is whose is told where there is any: of all that could be there are hundreds of rows.
    """
    late, charges = window.late_people, window.charges
    delayed = late.days >= 1
    for name, kind, people, held in _kinds_of_delayed(window):
        here = delayed & people
        yield f"delay_days_by_{name}", ALL, kind, mean(late.days[here])
        yield f"delayed_people_by_{name}", ALL, kind, float(np.count_nonzero(here))
        yield f"delayed_still_by_{name}", ALL, kind, float(np.count_nonzero(here & late.still))
        if name != "pathway":
            yield f"delayed_bed_days_by_{name}", ALL, kind, float(charges.total[held].sum()) / 1440
        piece = np.flatnonzero(held[charges.case])
        minutes = np.bincount(charges.cause[piece], weights=charges.minutes[piece], minlength=len(charges.names))
        for cause in np.flatnonzero(minutes):
            yield f"delayed_causes_by_{name}", ALL, f"{kind}{AND}{charges.names[cause]}", float(minutes[cause]) / 1440


def _kinds_of_delayed(window: Window) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Each kind and level of it: whose among the late people it is, and which rows with charges; (n,) and (D,) bool."""
    late, charges, history = window.late_people, window.charges, window.history
    charged = history.spell.take(charges.row)
    for name in OF_PEOPLE:
        for kind, one in _kinds(window, name):
            yield name, kind, one[late.spell], one[charged]
    until = np.minimum(history.left.take(charges.row), window.end)
    days = until // 1440 - history.stamps.recognised.take(charges.row) // 1440
    band_of_people, band_of_rows = _band(late.days), _band(days)
    for number, kind in enumerate(BANDS):
        yield OF_DELAY, kind, band_of_people == number, band_of_rows == number


def _band(days: np.ndarray) -> np.ndarray:
    """(n,) which of `BANDS` each number of days is in."""
    return np.searchsorted(np.array([*BANDS.values()]), np.maximum(days, 0), side="right") - 1


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
        "delayed_people_by_cause", "People delayed, by cause", "people",
        "People in acute beds of whose delay some minute is charged to the cause; one person may have several.",
        FLOWSIM, -1, adds_up=True,
    ),
    Measure(
        "delay_days_by_cause", "Mean delay by cause", "days",
        "Delayed bed-days charged to the cause, over the people of whose delay some is.",
        FLOWSIM, -1,
    ),
    needs=("ward",),
)  # fmt: skip
def what_they_wait_for(window: Window) -> Iterator[Value]:
    """How many wait for what, and how long."""
    charges = window.charges
    some = np.flatnonzero(charges.minutes > 0)
    spell = window.history.spell.take(charges.row).take(charges.case.take(some))
    cause = charges.cause.take(some)
    each = np.unique(np.stack([cause, spell]), axis=1)
    people = np.bincount(each[0], minlength=len(charges.names))
    days = np.bincount(cause, weights=charges.minutes.take(some), minlength=len(charges.names)) / 1440
    for number in np.flatnonzero(can_hold_up(window, charges.names) | (people > 0)):
        yield "delayed_people_by_cause", ALL, charges.names[number], float(people[number])
        yield "delay_days_by_cause", ALL, charges.names[number], ratio(float(days[number]), float(people[number]))


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
    late = window.late_people
    band = _band(late.days)
    for where, here in window.everywhere(late.row):
        left = here & ~late.still
        people = np.bincount(band[left], minlength=len(BANDS))
        bed_days = np.bincount(band[left], weights=late.days[left], minlength=len(BANDS))
        for name, n, days in zip(BANDS, people.tolist(), bed_days.tolist(), strict=True):
            yield "delay_band_people", where, name, float(n)
            yield "delay_band_bed_days", where, name, days
