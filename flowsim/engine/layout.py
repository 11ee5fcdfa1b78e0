"""The tables of the compiled engine: what stands in which column, said once for all who read or write them.

Most of a run's time is spent waiting for memory, so what is needed together stands together, in lines of 64 bytes that
the processor fetches at once, and what few rows have stands elsewhere. Where one table names an entry of another, -1 is
none; only events and `heads`, which begin as zeros, count from one, and 0 is none.

The order in which the events of one person run in a minute is a rule, not a layout: it is in `kernel.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Tables(NamedTuple):
    """What `kernel.advance` takes, in its order: all of a run, as it stands between two minutes.

    The kernel takes the arrays themselves, ``advance(*tables, begin, end)``: Numba would compile this class into the
    code it keeps on disk, which is then of no use to a process that has another.

    Attributes:
        rows: (R, 16) int32, what was planned for a row and every row needs; what it took and how it ended.
        rare: (K, 16) int32, what was planned for those rows that have more to say.
        tasks: (T, 8) int32, what was planned for a task, and its stamps.
        stamps: (R, 8) int32, the stamps of a row.
        spells: (N + S, 32) int32, where the person is, their place in a queue and their events: first what few need,
            then the line that all need; behind the N persons one entry a service, for its WAKE.
        services: (S, 32) int64, units in use, capacity, and the root of the queue's tree.
        heads: (horizon + 8, 2) int32, where the lists of a minute begin: that of what may cross a person's way and that
            of what all have; behind the minutes the list of each kind in the minute that runs.
        asks: (R,) int32, who began to queue in this pass and will not for ever.
        openings, first: the calendars (model/calendar.py).
        run: (16 + S / 64,) int64, cursors, and one bit a service: must be looked at.
        quota_day, quota_week: (S, days) and (S, weeks) int64, as in `Network`.
        steps, looks, rules, displacements: (n, columns) int64, what happens at fixed minutes.
        order: int64, the rows of each service with displacements in the order in which they are displaced,
            ``order[ORDER_FROM:ORDER_TO]`` of the service.
        log: (S + steps + looks, 6) int64, the capacity log; ``run[N_LOG]`` entries are written.
    """

    rows: np.ndarray
    rare: np.ndarray
    tasks: np.ndarray
    stamps: np.ndarray
    spells: np.ndarray
    services: np.ndarray
    heads: np.ndarray
    asks: np.ndarray
    openings: np.ndarray
    first: np.ndarray
    run: np.ndarray
    quota_day: np.ndarray
    quota_week: np.ndarray
    steps: np.ndarray
    looks: np.ndarray
    rules: np.ndarray
    displacements: np.ndarray
    order: np.ndarray
    log: np.ndarray

    @property
    def happened(self) -> tuple[np.ndarray, ...]:
        """Those tables that say what happened: rows, tasks, stamps, the run's state and the log."""
        return self.rows, self.tasks, self.stamps, self.run, self.log


# rows: the planned columns, in the order in which `compiled.py` packs them, then what happened. The last is the next of
# a list of rows (those a spell keeps, or those to be displaced).
ROW_COLUMNS = (
    "service", "units", "duration", "priority", "next", "patience", "otherwise", "first_task",
    "n_before", "n_after", "recognition", "spell",
)  # fmt: skip
(
    SERVICE, UNITS, DURATION, PRIORITY, NEXT, PATIENCE, OTHERWISE, FIRST_TASK,
    N_BEFORE, N_AFTER, RECOGNITION, SPELL, RARE, TAKEN, ENDED, NEXT_ROW,
) = range(16)  # fmt: skip

# rare
RARE_COLUMNS = (
    "hold", "died", "decline_after", "declined_units", "declined_duration", "since", "keep", "child",
    "readmission_gap", "kept_on_readmission", "death_after", "unfit_after", "unfit_to", "displaced_to",
    "patience_calendar",
)  # fmt: skip
(
    HOLD, DIES, DECLINE_AFTER, DECLINED_UNITS, DECLINED_DURATION, SINCE, KEEP, CHILD,
    READMISSION_GAP, KEPT_ON_READMISSION, DEATH_AFTER, UNFIT_AFTER, UNFIT_TO, DISPLACED_TO,
    PATIENCE_CALENDAR,
) = range(15)  # fmt: skip

# tasks
TASK_COLUMNS = ("calendar", "minutes", "pool", "skip_if_kept")
TASK_CALENDAR, TASK_MINUTES, TASK_POOL, TASK_SKIP, TASK_BEGAN, TASK_GRANTED, TASK_ENDED = range(7)

# stamps, in the order of `Stamps`
ROW_JOINED, ROW_ACCEPTED, ROW_STARTED, ROW_READY, ROW_RECOGNISED, ROW_LEFT, ROW_FREED = range(7)

# spells: what few need, ...
(
    KEPT,  # with KEEPS: the latest of the rows whose units are kept though they were left
    RESERVED,  # with RESERVES: the row of the spell before whose units are reserved for this one
    PARENT,  # the spell whose readmission this one is
    LEAST,  # in the queue of a service with first fit: the least need of this node and those below it
) = range(4)
NODES = 4  # from here on two columns a kind: the next in the list of events, and the minute
# ... and what all need, behind the event of kind MAIN
(
    PHASE,
    ROW,  # the row they are in or come from, -1 for nowhere
    TARGET,  # the row they want, queue for or were accepted in, -1 to leave the system
    TASK,  # the next task to do (or at work, or waiting for staff)
    LAST_TASK,  # one behind the last task of this phase
    HANDED,  # units of ROW that TARGET takes over in place
    BASE,  # the minute from which decline counts
    MARKS,  # one bit for each kind of event that is to come, and the marks below
    QUEUE,  # the service whose queue they stand in, -1 for none
    KEY,  # their place there: priority, then minute of joining
    NEED,
    LESS,  # the nodes below and above in the queue's tree
    MORE,
    ABOVE,
) = range(18, 32)

HOLDS = 1 << 8  # they hold the units of ROW
DECLINED = 1 << 9  # TARGET needs the declined units and duration
INITIAL = 1 << 10  # they are in their first row when the run begins
KEEPS = 1 << 11
RESERVES = 1 << 12

# Phases. In BEFORE and AFTER a spell that stands in a queue waits for staff; else its task is at work.
AWAY, STAYS, BEFORE, WANTS, QUEUES, AFTER, GONE, DEAD = range(8)

# services
(
    IN_USE, CAPACITY, ESCALATION, WAITING, ROOT, HEAD, TAIL, CALENDAR,
    FIRST_FIT, QUOTA, QUOTA_DAY, USED_DAY, QUOTA_WEEK, USED_WEEK, WAKE_AT, CHANGED,
    LOGGED, ORDER_FROM, ORDER_TO,
) = range(19)  # fmt: skip

# run
(
    HORIZON, N_SPELLS, WEEKDAY, ASKS, NEXT_STEP, NEXT_LOOK, NEXT_DISPLACEMENT, NEXT_FIXED, N_LOG, WORDS, PENDING,
) = range(11)  # fmt: skip
DIRTY = 16  # from here on: the bits of the services that must be looked at, 64 a word

# columns of the tables of what happens at fixed minutes, and of the log
STEP_MINUTE, STEP_SERVICE, STEP_CAPACITY, STEP_REASON = range(4)
LOOK_MINUTE, LOOK_RULE, LOOK_LAST = range(3)
RULE_WATCH, RULE_SERVICE, RULE_UNITS, RULE_OPEN, RULE_CLOSE, RULE_IS_OPEN = range(6)
DISPLACEMENT_MINUTE, DISPLACEMENT_SERVICE, DISPLACEMENT_UNITS = range(3)
LOG_MINUTE, LOG_SERVICE, LOG_CAPACITY, LOG_IN_USE, LOG_QUEUE, LOG_REASON = range(6)
