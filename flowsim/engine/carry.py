"""The state of a run at a minute, put into the tables of another run that was the same until then.

Compiled, like `kernel.py`, in whose words it speaks of the tables of `layout.py`; only `branch.py` uses it, through
`compiled.load_carry`. *Old* tables are those of the run that was made, with what nobody has touched left out; *new*
ones are the other's.
"""

import numpy as np
from numba import njit
from numpy import int64

from flowsim.engine.kernel import MAIN, PATIENCE_ENDS, READMISSION, WAKE, grant, join, may_give_up, schedule

from flowsim.engine.layout import (  # isort: skip
    AFTER, BASE, BEFORE, CHILD, ENDED, FIRST_TASK, HANDED, HORIZON, KEEPS, KEPT, KEY, LAST_TASK, MARKS, NEED, NEXT_ROW,
    NODES, N_AFTER, N_BEFORE, N_SPELLS, PARENT, PATIENCE, PATIENCE_CALENDAR, PHASE, PRIORITY, QUEUE, QUEUES, RARE,
    RARE_COLUMNS, RESERVED, RESERVES, ROW, ROW_COLUMNS, ROW_JOINED, SERVICE, STAYS, TAKEN, TARGET, TASK, TASK_BEGAN,
    TASK_CALENDAR, TASK_ENDED, TASK_GRANTED, TASK_MINUTES, TASK_POOL, TASK_SKIP, WAITING, WAKE_AT,
)  # fmt: skip

SAME = np.array(
    [ROW_COLUMNS.index(name) for name in ("units", "duration", "patience", "n_before", "n_after", "recognition")]
)
WITHIN = np.array([ROW_COLUMNS.index(name) for name in ("next", "otherwise")])
"""Columns of a row that name another of its spell; so with those below."""
RARE_WITHIN = np.array([RARE_COLUMNS.index(name) for name in ("since", "keep", "unfit_to", "displaced_to")])
NOT_SAME = ("since", "keep", "unfit_to", "displaced_to", "child", "patience_calendar")
RARE_SAME = np.array([c for c, name in enumerate(RARE_COLUMNS) if name not in NOT_SAME])
EVENTS = (1 << (int(MAIN) + 2)) - 1
"""The bits of all events among the marks."""


@njit(cache=True)
def minutes_of_events(spells, who, found):
    """When each event of these spells is to happen: `found`, (n, kinds), -1 where there is none."""
    for at in range(len(who)):
        marks = int64(spells[who[at], MARKS])
        for kind in range(MAIN + 1):
            found[at, kind] = -1
            if marks & (1 << kind):
                found[at, kind] = spells[who[at], NODES + 2 * kind + 1]


@njit(cache=True)
def moved(row, offset):
    """A row that is named, -1 for none, where all rows of the spell stand so much further on."""
    return row + offset if row >= 0 else int64(-1)


@njit(cache=True)
def same_tasks(old_tasks, old_first, tasks, first, n, services, old_class, new_class):
    """Are n tasks of a row the same in both runs, those from `old_first` and those from `first` on?"""
    for k in range(n):
        x, y = old_first + k, first + k
        pool = int64(old_tasks[x, TASK_POOL])
        if (services[pool] if pool >= 0 else -1) != tasks[y, TASK_POOL]:
            return False
        if old_tasks[x, TASK_MINUTES] != tasks[y, TASK_MINUTES] or old_tasks[x, TASK_SKIP] != tasks[y, TASK_SKIP]:
            return False
        if old_class[old_tasks[x, TASK_CALENDAR]] != new_class[tasks[y, TASK_CALENDAR]]:
            return False
    return True


@njit(cache=True)
def same_plans(
    old_rows, old_rare, old_tasks, begin, task_begin, old_first, old_number, active, new_of,
    rows, rare, tasks, first, number, services, old_class, new_class,
):  # fmt: skip
    """Was the same planned for all who came so far?

    The old tables are compact: those of entry `at` are ``begin[at]:begin[at + 1]``, their tasks from `task_begin` of
    the row on; what they name is `old_first` of the entry and what follows it. `services`: the new index of each old
    service; `old_class`, `new_class`: calendars that have been the same so far are in one class, the last is always.
    """
    for at in range(len(new_of)):
        if not active[at]:
            continue
        n = int64(new_of[at])
        offset = first[n] - old_first[at]
        if first[n + 1] - first[n] != begin[at + 1] - begin[at]:
            return False
        for old in range(begin[at], begin[at + 1]):
            new = first[n] + old - begin[at]
            if services[old_rows[old, SERVICE]] != rows[new, SERVICE]:
                return False
            for c in SAME:
                if old_rows[old, c] != rows[new, c]:
                    return False
            for c in WITHIN:
                if moved(int64(old_rows[old, c]), offset) != rows[new, c]:
                    return False
            a, b = int64(old_rows[old, RARE]), int64(rows[new, RARE])
            if (a < 0) != (b < 0):
                return False
            if a >= 0:
                for c in RARE_SAME:
                    if old_rare[a, c] != rare[b, c]:
                        return False
                for c in RARE_WITHIN:
                    if moved(int64(old_rare[a, c]), offset) != rare[b, c]:
                        return False
                if old_class[old_rare[a, PATIENCE_CALENDAR]] != new_class[rare[b, PATIENCE_CALENDAR]]:
                    return False
                if (old_rare[a, CHILD] < 0) != (rare[b, CHILD] < 0):
                    return False
                if old_rare[a, CHILD] >= 0 and old_number[old_rare[a, CHILD]] != number[rare[b, CHILD]]:
                    return False
            n_tasks = int64(old_rows[old, N_BEFORE]) + int64(old_rows[old, N_AFTER])
            if not same_tasks(
                old_tasks, task_begin[old], tasks, int64(rows[new, FIRST_TASK]), n_tasks, services, old_class, new_class
            ):
                return False
    return True


@njit(cache=True)
def carry_rows(old_rows, old_tasks, old_stamps, begin, end, task_begin, rows, tasks, stamps, first, offset):
    """What happened in the rows of one spell, ``begin:end`` of the old ones, which are from `first` on in the new."""
    for old in range(begin, end):
        new = first + old - begin
        rows[new, TAKEN] = old_rows[old, TAKEN]
        rows[new, ENDED] = old_rows[old, ENDED]
        rows[new, NEXT_ROW] = moved(int64(old_rows[old, NEXT_ROW]), offset)
        stamps[new] = old_stamps[old]
        for k in range(old_rows[old, N_BEFORE] + old_rows[old, N_AFTER]):
            tasks[rows[new, FIRST_TASK] + k, TASK_BEGAN : TASK_ENDED + 1] = old_tasks[
                task_begin[old] + k, TASK_BEGAN : TASK_ENDED + 1
            ]


@njit(cache=True)
def carry(
    old_rows, old_tasks, old_stamps, old_spells, events, begin, task_begin, old_first, at_of, active, new_of, first,
    renamed, rows, rare, tasks, stamps, spells, services, heads, openings, first_opening, run, minute,
):  # fmt: skip
    """Put the state of all who came so far into the new tables, as it is between the minute before and this one.

    `at_of`: the entry of each old spell; `renamed`: the new index of each old service. Capacities and units in use
    are not touched. What is at work ends by the new calendars; every service with a queue is looked at again.
    """
    horizon = int64(run[HORIZON])
    for at in range(len(new_of)):
        n = int64(new_of[at])
        offset = first[n] - old_first[at]
        if events[at, READMISSION] >= 0:
            spells[n, PARENT] = new_of[at_of[old_spells[at, PARENT]]]
        # Who only waits to be readmitted has no state but that event.
        if not active[at]:
            schedule(spells, heads, run, READMISSION, n, events[at, READMISSION])
            continue
        carry_rows(
            old_rows, old_tasks, old_stamps, begin[at], begin[at + 1], task_begin, rows, tasks, stamps, first[n], offset
        )

        phase, marks = int64(old_spells[at, PHASE]), int64(old_spells[at, MARKS])
        row, target = int64(old_spells[at, ROW]), int64(old_spells[at, TARGET])
        spells[n, MARKS] = marks & ~EVENTS
        spells[n, PHASE] = phase
        spells[n, ROW], spells[n, TARGET] = moved(row, offset), moved(target, offset)
        spells[n, HANDED], spells[n, BASE] = old_spells[at, HANDED], old_spells[at, BASE]
        if marks & KEEPS:
            spells[n, KEPT] = moved(int64(old_spells[at, KEPT]), offset)
        if marks & RESERVES:  # a row of the spell before
            entry = at_of[old_spells[at, PARENT]]
            spells[n, RESERVED] = old_spells[at, RESERVED] - old_first[entry] + first[new_of[entry]]
        spells[n, TASK] = spells[n, LAST_TASK] = 0
        if row >= 0:
            of_old = int64(old_rows[begin[at] + row - old_first[at], FIRST_TASK])
            of_new = int64(rows[row + offset, FIRST_TASK])
            spells[n, TASK] = old_spells[at, TASK] - of_old + of_new
            spells[n, LAST_TASK] = old_spells[at, LAST_TASK] - of_old + of_new

        for kind in range(MAIN):
            if kind != PATIENCE_ENDS and events[at, kind] >= 0:
                schedule(spells, heads, run, kind, n, events[at, kind])
        # Patience ends by the new calendars; and an old one that opened no more before the end has no event to carry.
        if phase == QUEUES and rows[target + offset, PATIENCE] > 0:
            j = target + offset
            over = int64(stamps[j, ROW_JOINED]) + int64(rows[j, PATIENCE])
            ends = may_give_up(rows, rare, openings, first_opening, run, j, over)
            schedule(spells, heads, run, PATIENCE_ENDS, n, ends)
        queue = int64(old_spells[at, QUEUE])
        if queue >= 0:
            asks = target if phase == QUEUES else row
            # Priorities are numbered anew in each run; the minute in the key is the one of joining, or of `since`.
            key = int64(rows[asks + offset, PRIORITY]) * horizon + old_spells[at, KEY] % horizon
            join(spells, services, run, renamed[queue], n, key, int64(old_spells[at, NEED]))
        elif phase in (BEFORE, AFTER):  # by the new calendars, from the minute in which it began
            k = spells[n, TASK]
            grant(tasks, spells, heads, openings, first_opening, run, n, int64(tasks[k, TASK_GRANTED]))
        elif phase == STAYS and events[at, MAIN] >= 0:
            schedule(spells, heads, run, MAIN, n, events[at, MAIN])

    for s in range(services.shape[0]):
        if services[s, WAITING] > 0:
            services[s, WAKE_AT] = minute
            schedule(spells, heads, run, WAKE, run[N_SPELLS] + s, minute)
