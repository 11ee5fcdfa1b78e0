"""What both engines return: every stamp of every stage and task, and the log of capacities."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

NEVER = -1
"""A stamp that was never reached."""

# How a row ended (column `ended`).
ENDINGS = (
    "still in",  # at the end of the run, or never entered
    "moved on",  # to the next row
    "left",  # the system
    "died",
    "readmitted",
    "unfit again",
    "gave up",  # patience ran out in this row's queue
    "turned away",  # a try-now that was not accepted
    "displaced",
)
STILL_IN, MOVED_ON, LEFT, DIED, READMITTED, UNFIT_AGAIN, GAVE_UP, TURNED_AWAY, DISPLACED = range(len(ENDINGS))


@dataclass(frozen=True)
class Spells:
    """The stamps of one run, aligned with the journeys' row and task tables; whole minutes, -1 if never reached.

    Attributes:
        joined: (R,) joined the queue of the row.
        accepted: (R,) units were reserved.
        started: (R,) the person came.
        ready: (R,) the work of the stage was done.
        recognised: (R,) it was seen to be done (for a ward: no criteria to reside, at a round).
        left: (R,) the person was gone.
        freed: (R,) the units were free again.
        units: (R,) what was taken, 0 if never accepted.
        ended: (R,) how it ended, an index into `ENDINGS`.
        task_began: (T,) asked for (and, where it needs staff, joined their queue).
        task_granted: (T,) work on it began.
        task_ended: (T,) done.
        log_minute, log_service, log_capacity, log_in_use, log_queue, log_reason: the capacity log: one entry
            whenever a capacity changed, as things stood when that minute was over; capacity includes escalation;
            queue counts people; reason is an index into `capacity.REASONS`.
    """

    joined: np.ndarray
    accepted: np.ndarray
    started: np.ndarray
    ready: np.ndarray
    recognised: np.ndarray
    left: np.ndarray
    freed: np.ndarray
    units: np.ndarray
    ended: np.ndarray
    task_began: np.ndarray
    task_granted: np.ndarray
    task_ended: np.ndarray
    log_minute: np.ndarray
    log_service: np.ndarray
    log_capacity: np.ndarray
    log_in_use: np.ndarray
    log_queue: np.ndarray
    log_reason: np.ndarray


def differing(a: Spells, b: Spells) -> list[str]:
    """The columns in which two runs differ; empty when they are equal in every row."""
    return [f.name for f in fields(Spells) if not np.array_equal(getattr(a, f.name), getattr(b, f.name))]
