"""Trust checks: what must hold in every run, whichever engine made it and whatever the place."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowsim.engine.stamps import DISPLACED
from flowsim.measures.causes import Charges
from flowsim.measures.definition import ALL, FLOWSIM, WHOLE, Measure, Value, computes
from flowsim.measures.history import NOT_YET, History
from flowsim.measures.window import Window
from flowsim.place.queues import UNLIMITED


@computes(
    Measure(
        "check_causes", "Check: causes add up", "minutes",
        "Delayed minutes less the minutes charged to causes, added up over people without sign; must be "
        "nought.",
        FLOWSIM, 0,
    ),
    Measure(
        "check_conservation", "Check: nobody is lost", "people",
        "Arrivals less those who left, died, were readmitted or are still in, the largest difference in "
        "any minute of the run; must be nought.",
        FLOWSIM, 0,
    ),
    Measure(
        "check_littles_law", "Check: Little's law", "people",
        "The largest difference, over queues, between the mean number waiting and arrivals times wait, "
        "residuals at both ends of the window counted; must be nought.",
        FLOWSIM, 0,
    ),
    Measure(
        "check_log", "Check: stamps and capacity log agree", "units",
        "The largest difference, over the log, between what it says is in use or queueing and what the "
        "stamps say; must be nought.",
        FLOWSIM, 0,
    ),
    Measure(
        "check_capacity", "Check: nobody above capacity", "times",
        "How often more than the capacity was in use just after an acceptance; must be nought.",
        FLOWSIM, 0,
    ),
    Measure(
        "check_overloaded", "Check: services offered more than they can do", "queues",
        "Queues with an offered load at or above one.",
        FLOWSIM, 0,
    ),
)  # fmt: skip
def checks(window: Window) -> Iterator[Value]:
    """All that must be nought, and the queues that cannot keep up."""
    history, start, end = window.history, window.start, window.end
    left_over = unexplained_delay(history, window.charges, window.delayed, start, end)
    yield "check_causes", ALL, WHOLE, float(left_over)
    yield "check_conservation", ALL, WHOLE, float(lost_people(history))
    yield "check_littles_law", ALL, WHOLE, littles_law_gap(history, start, end)
    yield "check_log", ALL, WHOLE, float(log_gap(history))
    yield "check_capacity", ALL, WHOLE, float(above_capacity(history))
    yield "check_overloaded", ALL, WHOLE, float(len(window.queues.overloaded()))


def unexplained_delay(history: History, charges: Charges, rows: np.ndarray, start: int, end: int) -> int:
    """Delayed minutes of the rows within [start, end) less those charged to causes, added up without sign."""
    delay = np.minimum(history.left.take(rows), end) - np.maximum(history.stamps.recognised.take(rows), start)
    charged = np.zeros(len(history.spell))
    charged[charges.row] = charges.total
    return int(np.abs(charged.take(rows) - np.maximum(delay, 0)).sum())


def lost_people(history: History) -> int:
    """The largest difference, in any minute, between arrivals less those gone and the people found somewhere.

    A person is found queueing for a first place, in a stage, or between two while holding nothing (let go when ready,
    or displaced). Who is found in each stage from its start until it is left, and is gone when the last is left, is
    found all the time: lost are those between leaving a stage and coming to the next, or being gone. The difference
    counts backwards too: found twice, or after being gone.
    """
    rows, s = history.journeys.rows, history.stamps
    # For each row, when its person is next somewhere else: gone, unless a later row says otherwise (below).
    found_next = history.gone.take(history.spell)
    odd = np.flatnonzero((s.started >= 0) & (found_next < s.started))
    odd = np.union1d(odd, history.started_in(np.flatnonzero(history.arrived == NOT_YET)))
    odd = odd[history.previous[odd] < 0]  # in a first stage after being gone, or without having come
    begins, ends = [found_next[odd]], [s.started[odd]]
    earlier, later = history.pairs
    found_next[earlier] = s.started.take(later)
    lost = np.flatnonzero((s.started >= 0) & (found_next != history.left))
    # Between two places while holding nothing is no loss: they were let go when ready, or put out.
    nothing_held = ((rows.hold[lost] == 0) | (s.ended[lost] == DISPLACED)) & (s.left[lost] >= 0)
    lost = lost[~nothing_held]
    begins, ends = [*begins, history.left[lost]], [*ends, found_next[lost]]
    # Each stretch counts one from its beginning to its end, and one that ends before it begins counts one less: who is
    # found twice shows as well as who is found nowhere; only in the same minutes could one hide the other.
    minute, place = np.unique(np.concatenate(begins + ends), return_inverse=True)
    difference = np.cumsum(np.bincount(place, weights=np.repeat((1, -1), len(place) // 2)))
    return int(np.abs(difference[minute < history.horizon]).max(initial=0))


def littles_law_gap(history: History, start: int, end: int) -> float:
    """The largest |L - lambda W| over queues within [start, end), in people.

    L is the area under the number waiting; lambda W adds up the waits of those who joined in the window, plus what
    those already waiting still waited in it, less what was waited after it.
    """
    waiting, n = history.waiting, history.n_queues
    area = history.queue_length.area(start, end)
    joined = (waiting.start >= start) & (waiting.start < end)
    in_window = joined * (waiting.end - waiting.start)
    earlier = (waiting.start < start) & (waiting.end > start)
    carried_in = earlier * (waiting.end - start)
    later = (waiting.start < end) & (waiting.end > end)
    carried_out = later * (waiting.end - end)
    waits = np.bincount(waiting.queue, weights=in_window + carried_in - carried_out, minlength=n)
    return float(np.abs(area - waits).max(initial=0) / max(end - start, 1))


def log_gap(history: History) -> int:
    """The largest difference between what the capacity log says is in use or queueing and what the stamps say."""
    s = history.stamps
    queue, minute = s.log_service.astype(np.int64), s.log_minute.astype(np.int64)
    in_use = np.abs(history.use.at(queue, minute) - s.log_in_use).max(initial=0)
    waiting = np.abs(history.queue_length.at(queue, minute) - s.log_queue).max(initial=0)
    return int(max(in_use, waiting))


def above_capacity(history: History) -> int:
    """How often a queue's use rose to more than its capacity. Starting above it, or its falling, does not count."""
    use, capacity, planned = history.use, history.capacity, history.planned_capacity
    lowest = np.full(history.n_queues, UNLIMITED)
    np.minimum.at(lowest, history.stamps.log_service, history.stamps.log_capacity)
    above_lowest = np.flatnonzero(use.level > np.repeat(lowest, np.diff(use.first)))
    queue = np.searchsorted(use.first, above_lowest, side="right") - 1
    before = np.where(above_lowest > use.first[queue], use.level[above_lowest - 1], 0)
    rose = np.flatnonzero(use.level[above_lowest] > before)
    queue, level = queue[rose], use.level[above_lowest[rose]]
    minute = use.minute(queue, above_lowest[rose])
    was_open = capacity.at(queue, minute - 1)
    stepped = planned.at(queue, minute) - planned.at(queue, minute - 1)
    # within the minute: a step comes before the acceptances, escalation after them
    open_units = np.maximum(np.maximum(capacity.at(queue, minute), was_open), was_open + stepped)
    return int(((level > open_units) & (minute > 0)).sum())
