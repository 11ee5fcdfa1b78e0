"""What both engines return: every stamp of every stage and task, and the log of capacities."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from flowsim.model.tables import Journeys

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
class Stamps:
    """The stamps of one run, aligned with the journeys' row and task tables; whole minutes, -1 if never reached.

    Stamps and units are int32, to be half as large: sums are int64, but a product has to be made one first. The log is
    int64.

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


def differing(a: Stamps, b: Stamps) -> list[str]:
    """The columns in which two runs differ; empty when they are equal in every row."""
    return [f.name for f in fields(Stamps) if not np.array_equal(getattr(a, f.name), getattr(b, f.name))]


def first_difference(a: Stamps, b: Stamps, journeys: Journeys) -> str:
    """Where two runs of the same journeys part: the first minute, row or task, and stamp; "" when they do not."""
    differences: list[tuple[int, int, str]] = []
    for rank, name in enumerate(f.name for f in fields(Stamps)):
        x, y = getattr(a, name), getattr(b, name)
        if name.startswith("log_"):
            continue
        for k in np.flatnonzero(x != y).tolist():
            minute = _when(a, b, name, k)
            what = f"task {k}" if name.startswith("task_") else f"row {k}"
            differences.append((minute, rank, f"{name} of {what} ({_whose(journeys, what, k)}): {x[k]} against {y[k]}"))
    if differences:
        minute, _, what = min(differences)
        return f"first at minute {minute} (day {minute // 1440}, {minute // 60 % 24:02}:{minute % 60:02}): {what}"
    logs = [
        list(zip(s.log_minute, s.log_service, s.log_capacity, s.log_in_use, s.log_queue, s.log_reason, strict=True))
        for s in (a, b)
    ]
    for k in range(max(map(len, logs))):
        x, y = (tuple(int(v) for v in log[k]) if k < len(log) else None for log in logs)
        if x != y:
            return f"first in entry {k} of the capacity log (minute, service, capacity, in use, queue): {x} against {y}"
    return ""


def _when(a: Stamps, b: Stamps, name: str, k: int) -> int:
    """The minute of a stamp in which two runs differ: the earlier of the two."""
    names = {"units": ("accepted",), "ended": ("left", "joined")}.get(name, (name,))
    minutes = [int(getattr(s, n)[k]) for n in names for s in (a, b)]
    return min((m for m in minutes if m >= 0), default=-1)


def _whose(journeys: Journeys, what: str, k: int) -> str:
    rows = journeys.rows
    if what.startswith("task"):
        of_row = (rows.first_task <= k) & (k < rows.first_task + rows.n_before + rows.n_after)
        k = int(np.flatnonzero(of_row)[0])
    return f"stage {journeys.stages[rows.stage[k]]!r} of spell {journeys.spells.number[rows.spell[k]]}"
