"""Trust checks: what must hold in every run, whichever engine made it and whatever the place."""

from __future__ import annotations

import numpy as np

from flowsim.engine.spells import DISPLACED
from flowsim.measures.causes import Charges
from flowsim.measures.history import NOT_YET, History


def unexplained_delay(history: History, charges: Charges, rows: np.ndarray, start: int, end: int) -> int:
    """Delayed minutes of the rows within [start, end) less those charged to causes, added up without sign."""
    delay = np.minimum(history.left[rows], end) - np.maximum(history.spells.recognised[rows], start)
    charged = np.bincount(charges.row, weights=charges.minutes, minlength=len(history.journeys.rows.spell))
    return int(np.abs(charged[rows] - np.maximum(delay, 0)).sum())


def lost_people(history: History) -> int:
    """The largest difference, in any minute, between arrivals less those gone and the people found somewhere.

    A person is found queueing for a first place, in a stage, or between two while holding nothing (let go when ready,
    or displaced); whoever had left one stage without having come to the next would be missing.
    """
    rows, s = history.journeys.rows, history.spells
    arrived, gone = history.arrived, history.gone
    came = np.flatnonzero(arrived < NOT_YET)
    first_start = np.full(len(arrived), NOT_YET, dtype=np.int64)
    order = history.order
    heads = order[history.previous[order] < 0]
    first_start[rows.spell[heads]] = s.started[heads]
    between = order[((rows.hold[order] == 0) | (s.ended[order] == DISPLACED)) & (s.left[order] >= 0)]
    after = history.following[between]
    until = np.where(after >= 0, s.started[after], gone[rows.spell[between]])
    balance = np.zeros(history.horizon + 1, dtype=np.int64)
    for begin, end, sign in (
        (arrived[came], gone[came], 1),
        (arrived[came], np.minimum(first_start[came], gone[came]), -1),
        (s.started[order], history.left[order], -1),
        (s.left[between], until, -1),
    ):
        balance += sign * _changes(begin, history.horizon)
        balance -= sign * _changes(end, history.horizon)
    return int(np.abs(np.cumsum(balance)[: history.horizon]).max(initial=0))


def _changes(minute: np.ndarray, horizon: int) -> np.ndarray:
    return np.bincount(np.minimum(minute, horizon), minlength=horizon + 1)


def littles_law_gap(history: History, start: int, end: int) -> float:
    """The largest |L - lambda W| over queues within [start, end), in people.

    L is the area under the number waiting; lambda W adds up the waits of those who joined in the window, plus what
    those already waiting still waited in it, less what was waited after it.
    """
    waiting, n = history.waiting, history.n_queues
    area = history.queue_length.area(n, start, end)
    joined = (waiting.start >= start) & (waiting.start < end)
    own = np.bincount(waiting.queue, weights=joined * (waiting.end - waiting.start), minlength=n)
    earlier = (waiting.start < start) & (waiting.end > start)
    carried_in = np.bincount(waiting.queue, weights=earlier * (waiting.end - start), minlength=n)
    later = (waiting.start < end) & (waiting.end > end)
    carried_out = np.bincount(waiting.queue, weights=later * (waiting.end - end), minlength=n)
    return float(np.abs(area - (own + carried_in - carried_out)).max(initial=0) / max(end - start, 1))


def log_gap(history: History) -> int:
    """The largest difference between what the capacity log says is in use or queueing and what the stamps say."""
    s = history.spells
    queue, minute = s.log_service.astype(np.int64), s.log_minute.astype(np.int64)
    in_use = np.abs(history.use.at(queue, minute) - s.log_in_use).max(initial=0)
    waiting = np.abs(history.queue_length.at(queue, minute) - s.log_queue).max(initial=0)
    return int(max(in_use, waiting))


def above_capacity(history: History) -> int:
    """How often a queue's use rose to more than its capacity. Starting above it, or its falling, does not count."""
    use = history.use
    if not len(use.key):
        return 0
    queue, minute = use.queue, use.minute
    before = np.append(0, use.level[:-1]) * np.append(False, queue[1:] == queue[:-1])
    earlier = np.maximum(minute - 1, 0)
    was_open = history.capacity.at(queue, earlier)
    stepped = history.planned_capacity.at(queue, minute) - history.planned_capacity.at(queue, earlier)
    # within the minute: a step comes before the acceptances, escalation after them
    open_units = np.maximum(np.maximum(history.capacity.at(queue, minute), was_open), was_open + stepped)
    return int(((use.level > before) & (use.level > open_units) & (minute > 0)).sum())
