"""Emergency departments: how many come, how long they stay, and how long they wait there for a bed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowsim.engine.stamps import GAVE_UP, TURNED_AWAY
from flowsim.measures.definition import A_AND_E, FLOWSIM, WHOLE, Measure, Value, computes
from flowsim.measures.ratios import mean, percent
from flowsim.measures.window import Window


@computes(
    Measure(
        "ed_four_hour_share", "Within four hours in the emergency department", "%",
        "Of people leaving the emergency department (type 1), those who do within 240 minutes of "
        "arriving.",
        A_AND_E, 1, headline=True,
    ),
    Measure(
        "ed_12_hour_share", "Over 12 hours in the emergency department", "%",
        "Of people leaving the emergency department, those who do more than 12 hours after arriving.",
        A_AND_E, -1, headline=True,
    ),
    needs=("ward or ed",),
)  # fmt: skip
def time_in_department(window: Window) -> Iterator[Value]:
    """From arriving until leaving."""
    for where, here in window.everywhere(window.out_of_ed.last):
        yield "ed_four_hour_share", where, WHOLE, percent(window.ed_minutes <= 240, here)
        yield "ed_12_hour_share", where, WHOLE, percent(window.ed_minutes > 720, here)


@computes(
    Measure(
        "ed_attendances_a_day", "Attendances a day", "people a day",
        "Arrivals at the emergency department, readmissions included.",
        A_AND_E, 0,
    ),
    needs=("ward or ed",),
)  # fmt: skip
def attendances(window: Window) -> Iterator[Value]:
    """Who came, moves between departments and people there from the beginning left out."""
    history = window.history
    came = window.in_ed & window.inside(history.stamps.joined) & ~history.initial & (history.previous < 0)
    for where, here in window.everywhere(np.flatnonzero(came)):
        yield "ed_attendances_a_day", where, WHOLE, np.count_nonzero(here) / window.length


@computes(
    Measure(
        "ed_queue_mean", "Waiting to be seen in the emergency department", "people",
        "Mean number of people at the door of an emergency department, from coming until they are taken in or leave "
        "unseen.",
        FLOWSIM, -1, headline=True,
    ),
    Measure(
        "ed_left_unseen_share", "Left the emergency department unseen", "%",
        "Of people who stopped waiting at the door of an emergency department, those who were not taken in: they gave "
        "up or were turned away, and not to another department.",
        FLOWSIM + ", after the share of attendances that leave before treatment (NHS England)", -1, headline=True,
    ),
    needs=("ed",),
)  # fmt: skip
def at_the_door(window: Window) -> Iterator[Value]:
    """Everybody who waits to be taken in, wherever they came from."""
    history, stamps = window.history, window.history.stamps
    row = np.flatnonzero(window.in_ed & (stamps.joined >= 0) & ~history.continues & ~history.initial)
    until = history.waited_until.take(row)
    waited = np.minimum(until, window.end) - np.maximum(stamps.joined.take(row), window.start)
    waited = np.maximum(waited, 0)
    over, unseen = window.inside(until), np.isin(stamps.ended.take(row), (GAVE_UP, TURNED_AWAY))
    elsewhere = history.journeys.rows.otherwise.take(row)
    unseen &= ~((elsewhere >= 0) & window.in_ed.take(elsewhere))
    taken = stamps.accepted.take(row) >= 0
    for where, here in window.everywhere(row):
        yield "ed_queue_mean", where, WHOLE, float(waited[here].sum()) / (window.end - window.start)
        yield "ed_left_unseen_share", where, WHOLE, percent(unseen, here & over & (unseen | taken))


@computes(
    Measure(
        "boarding_hours_mean", "Wait in the emergency department for a bed", "hours",
        "Time from the decision to admit until leaving the emergency department, mean over all admitted "
        "from there.",
        FLOWSIM, -1, headline=True,
    ),
    Measure(
        "trolley_12_hour_count", "Waits for a bed over 12 hours", "people",
        "People admitted more than 12 hours after the decision to admit.",
        A_AND_E, -1, adds_up=True, headline=True,
        matters=52,  # in a year: one a week
    ),
    Measure(
        "ed_admissions_a_day", "Admissions from the emergency department a day", "people a day",
        "People who left the emergency department for an acute bed; same-day admissions are not in it.",
        A_AND_E, 0,
    ),
    needs=("ward or ed",),
)  # fmt: skip
def waits_for_a_bed(window: Window) -> Iterator[Value]:
    """Those who were admitted, from the decision until they left for the bed."""
    admitted = window.out_of_ed[window.admitted]
    boarding = admitted.left - window.history.stamps.ready.take(admitted.last)
    for where, here in window.everywhere(admitted.last):
        waits = boarding[here]
        yield "boarding_hours_mean", where, WHOLE, mean(waits) / 60
        yield "trolley_12_hour_count", where, WHOLE, float((waits > 720).sum())
        yield "ed_admissions_a_day", where, WHOLE, len(waits) / window.length
