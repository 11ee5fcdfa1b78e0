"""Delay: time between being recognised as ready and leaving the acute bed, by cause and by pathway."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowsim.measures.causes import TRANSPORT
from flowsim.measures.definition import ALL, FLOWSIM, READY_DATE, WHOLE, Measure, Value, computes
from flowsim.measures.ratios import mean, ratio
from flowsim.measures.window import NO_PATHWAY, Window
from flowsim.model.calendar import ALWAYS_OPEN
from flowsim.model.tables import WAY_OUT
from flowsim.place import Place


@computes(
    Measure(
        "delayed_bed_days", "Delayed bed-days", "bed-days",
        "Time between recognition that the criteria to reside are not met and leaving the acute bed, "
        "counted by the minute; more than the delayed patients of each night add up to, since "
        "hours by day count too.",
        FLOWSIM, -1, adds_up=True, headline=True,
    ),
    Measure(
        "delayed_bed_days_by_cause", "Delayed bed-days by cause", "bed-days",
        "Delayed bed-days with every minute charged to exactly one cause: a task, staff, a closed "
        "calendar, the capacity of a service, or transport.",
        FLOWSIM + ", after the five groups of NHS England's delay reasons", -1, adds_up=True, headline=True,
    ),
    Measure(
        "delayed_bed_days_by_pathway", "Delayed bed-days by pathway", "bed-days",
        "Delayed bed-days of the people on each discharge pathway.",
        "DHSC hospital discharge and community support guidance: pathways 0 to 3", -1, adds_up=True, headline=True,
    ),
    needs=("ward",),
)  # fmt: skip
def delayed_bed_days(window: Window) -> Iterator[Value]:
    """All delayed minutes, each charged to one cause."""
    charges = window.charges
    pathways = [*window.pathways, NO_PATHWAY]
    site = window.site.take(charges.row)
    pathway = window.pathway_of(window.history.spell.take(charges.row))
    by_cause = _by_site(window, site.take(charges.case), charges.cause, len(charges.names), charges.minutes)
    by_pathway = _by_site(window, site, pathway, len(pathways), charges.total)
    shown = np.flatnonzero(can_hold_up(window, charges.names) | (by_cause[0] > 0))
    for i, where in enumerate([ALL, *window.sites]):
        yield "delayed_bed_days", where, WHOLE, float(by_cause[i].sum()) / 1440
        for cause in shown:
            yield "delayed_bed_days_by_cause", where, charges.names[cause], float(by_cause[i, cause]) / 1440
        for name, minutes in zip(pathways, by_pathway[i], strict=True):
            yield "delayed_bed_days_by_pathway", where, name, float(minutes) / 1440


def _by_site(window: Window, site: np.ndarray, group: np.ndarray, n: int, minutes: np.ndarray) -> np.ndarray:
    """(1 + sites, n) minutes of everybody and of each site, by group."""
    n_sites = len(window.sites) + 1  # one more for none
    code = site.astype(np.int64) * n + group
    by_site = np.bincount(code, weights=minutes, minlength=n_sites * n).reshape(n_sites, n)
    return np.vstack([by_site.sum(axis=0), by_site[:-1]])


def can_hold_up(window: Window, causes: tuple[str, ...]) -> np.ndarray:
    """(C,) bool: which causes can delay people in wards; the others are shown only where they did."""
    history, place = window.history, window.history.place
    tasks, pools = _tasks_of_wards(place)
    services = {k for k, s in place.services.items() if s.role not in ("ed", "same_day", "ward", "outside")}
    has_calendar = history.kind[history.network.calendar != ALWAYS_OPEN]
    shut = {history.kind_names[k] for k in has_calendar} & (services | pools)
    shut |= {WAY_OUT} if _ways_out_close(place) else set()
    able = {
        *(f"task: {t}" for t in tasks),
        *(f"calendar: {n}" for n in tasks | shut),
        *(f"capacity: {s}" for s in services),
        *(f"staff: {p}" for p in pools),
        TRANSPORT,
    }
    return np.array([name in able for name in causes])


def _tasks_of_wards(place: Place) -> tuple[set[str], set[str | None]]:
    """The tasks of stages in wards, transport apart, and the staff pools that they ask for."""
    stages = {**(place.before.stages if place.before else {}), **place.stages}
    tasks, pools = set(), set()
    for stage in stages.values():
        if stage.service in place.services and place.services[stage.service].role == "ward":
            for name, task in (*stage.before.items(), *stage.after.items()):
                if not task.transport:
                    tasks.add(name)
                    pools.add(task.pool)
    return tasks, pools


def _ways_out_close(place: Place) -> bool:
    """Does some shock of a ward, before the scenario or with it, stop people from leaving?"""
    wards = [s for p in (place, place.before) if p for s in p.services.values() if s.role == "ward"]
    return any(shock.closes_way_out for ward in wards for shock in ward.shocks.values())


@computes(
    Measure(
        "delayed_share", "Discharges delayed a day or more", "%",
        "Of live discharges after at least one night, those that left on a later date than they were "
        "recognised as ready.",
        READY_DATE, -1, headline=True,
    ),
    Measure(
        "hidden_wait_days_mean", "Hidden wait before recognition", "days",
        "Time from being clinically ready to leave until this is recognised, mean over live discharges "
        "after at least one night.",
        FLOWSIM, -1, headline=True,
    ),
    Measure(
        "bed_days_lost_share", "Bed-days lost to delay", "%",
        "Days between the date of recognition and the date of leaving, over live discharges after at "
        "least one night, as a share of occupied bed-days.",
        READY_DATE, -1,
    ),
    needs=("ward",),
)  # fmt: skip
def of_discharges(window: Window) -> Iterator[Value]:
    """The delay of live discharges after at least one night."""
    live, stamps = window.live, window.history.stamps
    recognised, ready = stamps.recognised[live.last], stamps.ready[live.last]
    overnight, occupied = live.nights >= 1, window.occupied[:, window.days]
    for i, (where, here) in enumerate(window.live_everywhere):
        counted = np.flatnonzero(here & overnight)
        late = window.days_late.take(counted)
        yield "delayed_share", where, WHOLE, 100 * mean(late >= 1)
        nights = occupied.sum() if where == ALL else occupied[i - 1].sum()
        yield "bed_days_lost_share", where, WHOLE, 100 * ratio(float(late.sum()), float(nights))
        waits = (recognised - ready).take(counted)[recognised.take(counted) >= 0]
        yield "hidden_wait_days_mean", where, WHOLE, mean(waits) / 1440


@computes(
    Measure(
        "delay_days_mean", "Mean delay of the delayed", "days",
        "Date of leaving less date of recognition, mean over the delayed live discharges after at least one night and "
        "those still delayed at the end, whose days so far count.",
        f"{READY_DATE}, of those who left alone", -1, headline=True, theme="Delay",
    ),
    Measure(
        "delayed_still_people", "Still delayed at the end", "people",
        "People in acute beds who are recognised as ready when the period ends: the mean delay has only their days so "
        "far.",
        FLOWSIM, -1, headline=True,
    ),
    needs=("ward",),
)  # fmt: skip
def of_the_delayed(window: Window) -> Iterator[Value]:
    """Their mean; of the residents too."""
    late = window.late_people
    for where, here in [*window.everywhere(late.row), *window.residents(late.spell)]:
        yield "delay_days_mean", where, WHOLE, mean(late.days[here & (late.days >= 1)])
        yield "delayed_still_people", where, WHOLE, float(np.count_nonzero(here & late.still))
