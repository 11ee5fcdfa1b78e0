"""What each service did: how full it was, who waited and how long, what was asked of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowsim.measures.definition import ALL, FLOWSIM, WHOLE, Measure, Value, computes
from flowsim.measures.queues import total
from flowsim.measures.ratios import mean, quantile
from flowsim.measures.who import CARE
from flowsim.measures.window import Window


@computes(
    Measure(
        "service_capacity", "Capacity", "units",
        "Mean capacity open, in the service's own unit.",
        FLOWSIM, 0,
    ),
    Measure(
        "service_occupancy", "Occupancy", "%",
        "What was in use, from acceptance until freed, as a share of capacity; staff pools: time at work "
        "in opening hours.",
        FLOWSIM, 0,
    ),
    Measure(
        "service_queue_mean", "People waiting", "people",
        "Mean number of people in the queue.",
        FLOWSIM, -1,
    ),
)  # fmt: skip
def use(window: Window) -> Iterator[Value]:
    """What was open and in use, and who waited."""
    history, done = window.history, window.queues
    for (where, kind), queues in done.groups:
        yield "service_queue_mean", where, kind, total(done.queued, queues) / done.minutes
        if history.is_limited[queues].all():
            units_each = history.service_of(kind).units_each
            yield "service_capacity", where, kind, total(done.capacity, queues) / done.minutes / units_each
            yield "service_occupancy", where, kind, 100 * done.ratio(done.used, done.can_do, queues)


@computes(
    Measure(
        "service_wait_days_mean", "Mean wait", "days",
        "Time from joining the queue to acceptance, mean over those accepted and those still waiting at the end, whose "
        "time so far counts.",
        FLOWSIM, -1,
    ),
    Measure(
        "service_wait_days_p90", "Wait of nine in ten at most", "days",
        "The 90th percentile of the time from joining the queue to acceptance, of those accepted and those still "
        "waiting at the end, whose time so far counts.",
        FLOWSIM, -1,
    ),
    Measure(
        "service_still_waiting", "Still waiting at the end", "people",
        "People in the queue when the period ends: mean waits have only their time so far.",
        FLOWSIM, -1,
    ),
    Measure(
        "service_gave_up_share", "Left the queue without a place", "%",
        "Of people leaving the queue, those who gave up, were turned away, fell ill, died or were "
        "readmitted.",
        FLOWSIM, -1,
    ),
    Measure(
        "service_starts_a_week", "Starts a week", "people a week",
        "People who came to the service; a change of size within it does not count.",
        FLOWSIM, 0,
    ),
)  # fmt: skip
def waits(window: Window) -> Iterator[Value]:
    """Those who were accepted, and those who were not."""
    history, stamps, staffed, done = window.history, window.history.stamps, window.history.staffed, window.queues
    pools, of_queue = history.network.n_pools, _waits(window)
    taken = history.by_queue.sum(window.inside(stamps.accepted) & history.new)
    taken[:pools] = history.by_pool.sum(window.inside(staffed.granted))[:pools]
    lost = np.flatnonzero(window.inside(history.waited_until) & (stamps.accepted < 0))
    gave_up = np.bincount(history.service.take(lost), minlength=done.n)
    came = history.starts(window.start, window.end)
    came[:pools] = taken[:pools]
    for (where, kind), queues, waited in done.grouped(of_queue):
        yield "service_wait_days_mean", where, kind, mean(waited) / 1440
        yield "service_wait_days_p90", where, kind, quantile(waited, 0.9) / 1440
        yield "service_still_waiting", where, kind, total(done.still_waiting, queues)
        yield "service_gave_up_share", where, kind, 100 * done.ratio(gave_up, gave_up + taken, queues)
        yield "service_starts_a_week", where, kind, total(came, queues) / done.minutes * 10080


def _waits(window: Window) -> list[np.ndarray]:
    """By queue, the minutes waited by those accepted in the window and, so far, by those waiting when it ends."""
    history, stamps, staffed, end = window.history, window.history.stamps, window.history.staffed, window.end
    still = (stamps.joined >= 0) & (stamps.joined < end) & (history.waited_until >= end)
    waited = np.where(still, end, stamps.accepted) - stamps.joined
    of_rows = history.by_queue.split(waited, (still | window.inside(stamps.accepted)) & history.new)
    still = (staffed.began < end) & (staffed.waited_until >= end)
    waited = np.where(still, end, staffed.granted) - staffed.began
    of_tasks = history.by_pool.split(waited, still | window.inside(staffed.granted))
    pools = history.network.n_pools
    return [*of_tasks[:pools], *of_rows[pools:]]


@computes(
    Measure(
        "care_queue_mean", "Waiting for care outside acute beds", "people",
        "Mean number of people in the queues of community services, home care and care homes (of same-day units in a "
        "place without any), wherever they wait; neighbours' own services are left out of the whole.",
        FLOWSIM, -1, headline=True,
    ),
    Measure(
        "care_wait_days_mean", "Mean wait for care outside acute beds", "days",
        "Time from joining these queues to acceptance, mean over those accepted and those still waiting at the end, "
        "whose time so far counts.",
        FLOWSIM, -1, headline=True,
    ),
    needs=("community or home_care or care_home or same_day",),
)  # fmt: skip
def waits_for_care(window: Window) -> Iterator[Value]:
    """Of all these services together, and by site or locality."""
    history, done, of_queue = window.history, window.queues, _waits(window)
    care = np.flatnonzero(history.queues_with(*CARE))
    care = care if len(care) else np.flatnonzero(history.queues_with("same_day"))
    names = np.array(history.unit_name)
    groups = [(ALL, care[~history.is_neighbour[care]])]
    groups += [(name, care[names[care] == name]) for name in dict.fromkeys(names[care].tolist()) if name]
    for where, queues in groups:
        yield "care_queue_mean", where, WHOLE, total(done.queued, queues) / done.minutes
        waited = np.concatenate([of_queue[q] for q in queues]) if len(queues) else np.zeros(0)
        yield "care_wait_days_mean", where, WHOLE, mean(waited) / 1440


@computes(
    Measure(
        "service_stay_days_mean", "Mean stay", "days",
        "Time from coming to leaving, waiting for what follows included, mean over stays that ended.",
        FLOWSIM, 0,
    ),
    Measure(
        "service_stay_days_median", "Median stay", "days",
        "Median time from coming to leaving, waiting for what follows included, of stays that ended.",
        FLOWSIM, 0,
    ),
)  # fmt: skip
def lengths(window: Window) -> Iterator[Value]:
    """Stays that ended; staff pools have none."""
    history, stays = window.history, window.stays
    of_queue = history.by_queue.split(stays.minutes, stays.ends & window.inside(history.left))
    for (where, kind), queues, stay in window.queues.grouped(of_queue):
        if queues[0] >= history.network.n_pools:
            yield "service_stay_days_mean", where, kind, mean(stay) / 1440
            yield "service_stay_days_median", where, kind, quantile(stay, 0.5) / 1440


@computes(
    Measure(
        "service_effective_stay_days", "Effective stay", "days",
        "Time a place is in use for one person, from acceptance until freed: the planned stay of those "
        "who asked, with the mean of what holding and breaking off add to or take from the stays that "
        "ended.",
        FLOWSIM, 0,
    ),
    Measure(
        "service_offered_load", "Offered load", "ratio",
        "What was asked for in units times effective stay, as a share of capacity: at or above one the "
        "queue grows or people give up; infinite where nothing is open and people ask or wait.",
        FLOWSIM, -1,
    ),
)  # fmt: skip
def asked_for(window: Window) -> Iterator[Value]:
    """What was asked of the services that can be full."""
    done = window.queues
    for (where, kind), queues in done.groups:
        if window.history.is_limited[queues].all():
            yield "service_offered_load", where, kind, done.offered_load(queues)
            yield "service_effective_stay_days", where, kind, done.ratio(done.load, done.asked, queues) / 1440
