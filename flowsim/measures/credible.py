"""Whether a run stays where it can be believed: no queue that grows all the way, no emergency department overrun.

A model in which hundreds wait at a door says how much is missing, not what would happen: long before, somebody would
open beds, divert ambulances or change the rules, none of which is in it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowsim.measures.definition import ALL, FLOWSIM, WHOLE, Measure, Value, computes
from flowsim.measures.window import Window

PARTS = 4
"""Of the window: a queue that is longer in each than in the one before grows all the way."""
FEWEST = 10
"""People by which it grows from the first part to the last, or it is chance ..."""
TIMES = 2
"""... and times; and by at least the people that the service takes in on a day."""
ED_LOAD = 0.9
"""Of what an emergency department can do, what it is offered, day and night: above this the queue at its door is not
one that any hospital lets stand."""


@computes(
    Measure(
        "out_of_range_queues", "Queues beyond the credible range", "queues",
        "Queues that are longer in each fourth of the period than in the one before (at the end twice as long as at "
        "the beginning, by ten people or more and by more than come in on a day), in which people wait while nothing "
        "is open all the time, or for more than there ever is; and emergency departments offered over 0.9 of what "
        "they can do: a run that has any leaves its credible range.",
        FLOWSIM, -1, headline=True,
    ),
)  # fmt: skip
def out_of_range(window: Window) -> Iterator[Value]:
    """How many there are, and 1 or 0 of each queue: `of` is its service, `where` its site or locality."""
    history, beyond = window.history, beyond_range(window)
    counted = np.flatnonzero(~history.queues_with("outside"))
    yield "out_of_range_queues", ALL, WHOLE, float(np.count_nonzero(beyond[counted]))
    for queue in counted:
        where, kind = history.unit_name[queue] or ALL, history.kind_names[history.kind[queue]]
        yield "out_of_range_queues", where, kind, float(beyond[queue])


def beyond_range(window: Window) -> np.ndarray:
    """(S,) bool: which queues leave the range in which a run can be believed."""
    history, done = window.history, window.queues
    edges = np.linspace(window.start, window.end, PARTS + 1).astype(np.int64)
    parts = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    length = np.array([history.queue_length.area(first, last) / max(last - first, 1) for first, last in parts])
    a_day = history.starts(window.start, window.end) / window.length
    rise = length[-1] - length[0]
    grows = (np.diff(length, axis=0) > 0).all(axis=0) & (rise >= np.maximum(FEWEST, a_day))
    grows &= length[-1] >= TIMES * length[0]
    shut = history.is_limited & (done.capacity == 0) & (done.queued > 0)
    overrun = history.queues_with("ed") & history.is_limited & (done.load > ED_LOAD * done.can_do)
    return grows | shut | overrun | (never_fits(window) > 0)


def most_there(window: Window) -> np.ndarray:
    """(S,) the most units each queue ever has open in the run, what is planned counted too."""
    history, network = window.history, window.history.network
    most = np.zeros(history.n_queues, dtype=np.int64)
    np.maximum.at(most, history.stamps.log_service, history.stamps.log_capacity)
    np.maximum.at(most, network.step_service, network.step_capacity)
    return most


def never_fits(window: Window) -> np.ndarray:
    """(S,) units: the largest need of anybody who waits, at the end of the window, for more than there ever is.

    0 where there is nobody. Who asks for 30 hours where there are 20 waits for ever, and holds up all behind them
    where a queue is taken in order, at any load.
    """
    history, stamps = window.history, window.history.stamps
    waits = (stamps.joined >= 0) & (stamps.joined < window.end) & (history.waited_until >= window.end)
    row = np.flatnonzero(waits)
    queue, need = history.service.take(row), history.journeys.rows.units.take(row)
    most = most_there(window)
    some = np.flatnonzero((need > most[queue]) & (most[queue] > 0))
    largest = np.zeros(history.n_queues, dtype=np.int64)
    np.maximum.at(largest, queue[some], need[some])
    return largest
