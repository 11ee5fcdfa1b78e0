"""Discharges: how many leave acute beds alive, on which day, at what time and on which pathway."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowsim.measures.definition import SITREP, WHOLE, Measure, Value, computes
from flowsim.measures.ratios import percent, ratio
from flowsim.measures.window import Window
from flowsim.place import WEEKDAYS


@computes(
    Measure(
        "discharges_by_weekday", "Discharges by weekday", "index",
        "Live discharges from acute beds on each weekday, a day, with a mean of one over the seven.",
        SITREP, 0, headline=True,
    ),
    needs=("ward",),
)  # fmt: skip
def by_weekday(window: Window) -> Iterator[Value]:
    """Discharges a day by weekday, with a mean of one."""
    first, live = window.history.network.first_weekday, window.live
    days = np.bincount((np.arange(window.days.start, window.days.stop) + first) % 7, minlength=7)
    there = days > 0
    weekday = (live.left // 1440 + first) % 7
    for where, here in window.live_everywhere:
        counts = np.bincount(weekday[here], minlength=7)
        per_day = np.divide(counts, days, out=np.full(7, np.nan), where=there)
        index = per_day / per_day[there].mean() if per_day[there].sum() > 0 else np.full(7, np.nan)
        for name, value in zip(WEEKDAYS, index, strict=True):
            yield "discharges_by_weekday", where, name, float(value)


@computes(
    Measure(
        "discharged_by_17_share", "Discharged by 17:00", "%",
        "Of live discharges from acute beds, those that left at or before 17:00.",
        SITREP, 1,
    ),
    Measure(
        "pathway_share", "Discharges by pathway", "%",
        "Live discharges from acute beds on each pathway, as a share of those that have one.",
        "DHSC hospital discharge and community support guidance", 0,
    ),
    Measure(
        "live_discharges_a_day", "Live discharges a day", "people a day",
        "People leaving acute beds alive.",
        SITREP, 0,
    ),
    needs=("ward",),
)  # fmt: skip
def discharges(window: Window) -> Iterator[Value]:
    """How many, how early and where to."""
    by_17 = window.live.left % 1440 <= 17 * 60
    pathway, n = window.pathway_of(window.live.spell), len(window.pathways)
    for where, here in window.live_everywhere:
        yield "discharged_by_17_share", where, WHOLE, percent(by_17, here)
        yield "live_discharges_a_day", where, WHOLE, np.count_nonzero(here) / window.length
        counts = np.bincount(pathway[here], minlength=n + 1)[:n]
        for name, count in zip(window.pathways, counts, strict=True):
            yield "pathway_share", where, name, 100 * ratio(count, counts.sum())
