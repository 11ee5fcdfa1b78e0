"""Acute beds at 23:59: how full they are, and who is in them who need not be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowsim.measures.definition import ALL, SITREP, WHOLE, Measure, Value, computes
from flowsim.measures.ratios import ratio
from flowsim.measures.steps import count_each_day
from flowsim.measures.window import Window

NO_CRITERIA = f"{SITREP}: no criteria to reside, remaining in hospital"


@computes(
    Measure(
        "delayed_patients", "Delayed patients", "people",
        "Mean number of people in acute beds at 23:59 who are recognised as not meeting the criteria to "
        "reside.",
        NO_CRITERIA, -1, headline=True,
    ),
    Measure(
        "nctr_share", "Beds held by people with no criteria to reside", "%",
        "Delayed patients at 23:59 as a share of the people in acute beds then.",
        NO_CRITERIA, -1, headline=True,
    ),
    Measure(
        "los_21_plus_share", "Beds held for 21 days or more", "%",
        "People in acute beds at 23:59 who came 21 or more days before, as a share of all in acute beds "
        "then.",
        "NHS England long length of stay reporting", -1, headline=True, theme="Long stays",
    ),
    Measure(
        "acute_occupancy", "Acute bed occupancy", "%",
        "People in acute beds at 23:59 as a share of the beds open then, surge beds included. It passes 100 on nights "
        "when people still lie in beds that are closed: surge beds shut again, or a ward closed for infection.",
        "NHS England urgent and emergency care daily situation report", -1, headline=True,
    ),
    needs=("ward",),
)  # fmt: skip
def beds(window: Window) -> Iterator[Value]:
    """Who is in the beds on each night of the window."""
    history, ward, days = window.history, window.ward, window.days
    n = len(window.sites) + 1
    occupied, delayed = window.occupied[:, days], window.late.sum(axis=1)[:, days]
    from_day_21 = (ward.started // 1440 + 21) * 1440
    until = np.maximum(ward.left, from_day_21)
    long = count_each_day(window.site[ward.last], n, from_day_21, until, history.days)[:, days]
    queues = np.flatnonzero(history.queues_with("ward"))
    midnight = np.arange(days.start, days.stop) * 1440 + 1439
    open_beds = {q: history.capacity.at(np.full(len(midnight), q), midnight).sum() for q in queues}
    for i, where in enumerate([ALL, *window.sites]):
        pick = slice(None) if where == ALL else slice(i - 1, i)
        here = [q for q in queues if where == ALL or history.unit_name[q] == where]
        full, late = float(occupied[pick].sum()), float(delayed[pick].sum())
        beds_here = float(sum(open_beds[q] for q in here)) if history.is_limited[here].all() else float("nan")
        yield "delayed_patients", where, WHOLE, late / max(len(midnight), 1)
        yield "nctr_share", where, WHOLE, 100 * ratio(late, full)
        yield "los_21_plus_share", where, WHOLE, 100 * ratio(float(long[pick].sum()), full)
        yield "acute_occupancy", where, WHOLE, 100 * ratio(full, beds_here)
