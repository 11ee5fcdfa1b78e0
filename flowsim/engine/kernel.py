"""The kernel of the compiled engine: docs/engine-rules.md as loops over integer tables, compiled by Numba.

Only `compiled.py` imports this file. Everything lives in the tables that `advance` takes, which `compiled.py` makes and
of which the main ones are below; the loop allocates nothing, so a run can be stopped between two minutes, its tables
copied, and both copies carried on.

    rows      (R, 32) int32   what was planned for a row: a row's first cache line is what every row needs
    tasks     (T, 8) int32    what was planned for a task, and its stamps
    stamps    (R, 12) int32   the stamps of a row
    spells    (N, 16) int32   where the person is
    places    (N, 8) int32    their place in a queue: a node of that queue's search tree
    services  (S, 32) int64   units in use, capacity, and the root of the queue's tree
    events    (7 N + S, 2) int32   one node a spell and kind of event: its neighbours in the minute's list
    heads     (9, horizon) int32   where the list of a kind and minute begins; the last line: which kinds have one
    opened, minutes, first    the calendars (model/calendar.py)
    run       (64 + S / 32,) int64   cursors, and one bit a service: must be looked at

The functions are named as in the rules and take what they need of those, always in that order. Where one table names
an entry of another, -1 is none; in `events` and `heads`, which begin as zeros, it is the entry plus one, and 0 is none.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy import int64

from flowsim.engine.spells import (
    DIED,
    DISPLACED,
    GAVE_UP,
    LEFT,
    MOVED_ON,
    READMITTED,
    TURNED_AWAY,
    UNFIT_AGAIN,
)
from flowsim.model.calendar import ALWAYS_OPEN, DAY

# rows: the planned columns, in the order `compiled.py` packs them.
ROW_COLUMNS = (
    "service", "units", "duration", "priority", "next", "patience", "otherwise", "first_task",
    "n_before", "n_after", "recognition", "hold", "died", "decline_after", "since", "child",
    "death_after", "unfit_after", "unfit_to", "keep", "declined_units", "declined_duration", "readmission_gap",
    "kept_on_readmission", "displaced_to", "spell",
)  # fmt: skip
(
    SERVICE, UNITS, DURATION, PRIORITY, NEXT, PATIENCE, OTHERWISE, FIRST_TASK,
    N_BEFORE, N_AFTER, RECOGNITION, HOLD, ROW_DIES, DECLINE_AFTER, SINCE, CHILD,
    DEATH_AFTER, UNFIT_AFTER, UNFIT_TO, KEEP, DECLINED_UNITS, DECLINED_DURATION, READMISSION_GAP,
    KEPT_ON_READMISSION, DISPLACED_TO, SPELL,
) = range(len(ROW_COLUMNS))  # fmt: skip

# tasks
TASK_COLUMNS = ("calendar", "minutes", "pool", "skip_if_kept")
TASK_CALENDAR, TASK_MINUTES, TASK_POOL, TASK_SKIP, TASK_BEGAN, TASK_GRANTED, TASK_ENDED = range(7)

# stamps, in the order of `Spells`, and the next of a list of rows (those a spell keeps, or those to be displaced)
(
    ROW_JOINED, ROW_ACCEPTED, ROW_STARTED, ROW_READY, ROW_RECOGNISED, ROW_LEFT, ROW_FREED, ROW_TAKEN, ROW_ENDED,
    NEXT_ROW,
) = range(10)  # fmt: skip

# spells
(
    PHASE,
    ROW,  # the row they are in or come from, -1 for nowhere
    HOLDS,  # 1 while they hold the units of ROW
    TARGET,  # the row they want, queue for or were accepted in, -1 to leave the system
    TASK,  # the next task to do (or at work, or waiting for staff)
    LAST_TASK,  # one behind the last task of this phase
    HANDED,  # units of ROW that TARGET takes over in place
    DECLINED,  # 1 when TARGET needs the declined units and duration
    BASE,  # the minute from which decline counts
    KEPT,  # the latest of the rows whose units are kept though they were left, -1 for none
    RESERVED,  # the row of the spell before whose units are reserved for this one, -1 for none
    PARENT,  # the row whose readmission this spell is
    NEXT_TRY,  # the next of this minute's try-nows, -1 for the last
    INITIAL,
    FIRST_ROW,
) = range(15)

# Phases. In BEFORE and AFTER a spell that stands in a queue waits for staff; else its task is at work.
AWAY, STAYS, BEFORE, WANTS, QUEUES, AFTER, GONE, DEAD = range(8)

# places
QUEUE, KEY, NEED, LEAST, LESS, MORE, ABOVE, RANK = range(8)

# services
(
    IN_USE, CAPACITY, ESCALATION, WAITING, ROOT, HEAD, TAIL, CALENDAR,
    FIRST_FIT, QUOTA, QUOTA_DAY, USED_DAY, QUOTA_WEEK, USED_WEEK, WAKE_AT, CHANGED,
    LOGGED, ORDER_FROM, ORDER_TO,
) = range(19)  # fmt: skip

# Kinds of events, in the order in which those of one person run in a minute; WAKE belongs to a service.
DEATH, READMISSION, UNFIT, PATIENCE_ENDS, DECLINE, RELEASE, MAIN, WAKE = (int64(kind) for kind in range(8))
KINDS = 8
PENDING = 8  # the line of `heads` that says which kinds have a list in the minute

# run
HORIZON, N_SPELLS, WEEKDAY, FIRST_TRY, NEXT_STEP, NEXT_LOOK, NEXT_DISPLACEMENT, NEXT_FIXED, N_LOG, WORDS = range(10)
DIRTY = 16  # from here on: the bits of the services that must be looked at, 32 a word

# columns of the tables of what happens at fixed minutes, and of the log
STEP_MINUTE, STEP_SERVICE, STEP_CAPACITY, STEP_REASON = range(4)
LOOK_MINUTE, LOOK_RULE, LOOK_LAST = range(3)
RULE_WATCH, RULE_SERVICE, RULE_UNITS, RULE_OPEN, RULE_CLOSE, RULE_IS_OPEN = range(6)
DISPLACEMENT_MINUTE, DISPLACEMENT_SERVICE, DISPLACEMENT_UNITS = range(3)
LOG_MINUTE, LOG_SERVICE, LOG_CAPACITY, LOG_IN_USE, LOG_QUEUE, LOG_REASON = range(6)

ESCALATED = 5  # capacity.REASON_CODE["escalation"]
FAR = 2**31 - 1

# The number of the lowest bit of a word below 2**32, looked up by the bit modulo 37 (which is different for each).
BIT = np.zeros(37, dtype=np.int64)
for _b in range(32):
    BIT[(1 << _b) % 37] = _b


# Helpers are called from the kernel only. Without `_nrt=False` each call would count references to its tables, which
# took 40 % of a run. `hot` ones are laid into their callers, which halves what is left; laying in `cold` ones too would
# only make compiling slower.
_INNER: Any = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
cold = njit(**_INNER)
hot = njit(forceinline=True, **_INNER)


# ---------------------------------------------------------------------------------------------------- calendars


@hot
def minute(minutes, first, calendar, k, horizon):
    """Open minute number k of a calendar, or the horizon."""
    place = first[calendar] + k
    if place < first[calendar + 1]:
        return int64(minutes[place])
    return horizon


@hot
def next_open(opened, minutes, first, calendar, t, horizon):
    if calendar == ALWAYS_OPEN:
        return t
    return minute(minutes, first, calendar, opened[calendar, t], horizon)


@hot
def plus_open(opened, minutes, first, calendar, t, n, horizon):
    if calendar == ALWAYS_OPEN:
        return min(t + n, horizon)
    return min(minute(minutes, first, calendar, opened[calendar, t] + n - 1, horizon) + 1, horizon)


# ------------------------------------------------------------------------------------------------------- events


@hot
def schedule(events, heads, run, kind, n, t):
    """The event of this kind of spell n happens at minute t (never, when that is behind the horizon)."""
    if t >= run[HORIZON]:
        return
    node = kind * run[N_SPELLS] + n
    head = heads[kind, t]
    events[node, 0] = head
    events[node, 1] = -t - 1
    if head != 0:
        events[head - 1, 1] = node + 1
    heads[kind, t] = node + 1
    heads[PENDING, t] |= 1 << kind


@hot
def cancel(events, heads, run, kind, n):
    """The event of this kind of spell n, if there is one, does not happen."""
    node = kind * run[N_SPELLS] + n
    before = events[node, 1]
    if before == 0:
        return
    after = events[node, 0]
    if before < 0:
        heads[kind, -before - 1] = after
    else:
        events[before - 1, 0] = after
    if after != 0:
        events[after - 1, 1] = before
    events[node, 1] = 0


# ------------------------------------------------------------------------------------------------------- queues
# A queue is a treap: a search tree by (KEY, spell), a heap by RANK. Each node knows the least need below it, so that
# the first that fits is found on one way down. The two ends are at hand: joining at the end and taking from the head
# cost a constant on average.


@hot
def comes_before(places, a, b):
    """Priority, then minute of joining (both in KEY), then the spell's number (a spell's index is in that order)."""
    if places[a, KEY] != places[b, KEY]:
        return places[a, KEY] < places[b, KEY]
    return a < b


@hot
def least(places, n):
    """Set what n knows of the needs below from what its children know."""
    need = places[n, NEED]
    less = places[n, LESS]
    if less >= 0 and places[less, LEAST] < need:
        need = places[less, LEAST]
    more = places[n, MORE]
    if more >= 0 and places[more, LEAST] < need:
        need = places[more, LEAST]
    places[n, LEAST] = need


@cold
def lift(places, services, s, n):
    """Turn n and the node above it, so that n is above."""
    above = int64(places[n, ABOVE])
    top = int64(places[above, ABOVE])
    if places[above, LESS] == n:
        child = places[n, MORE]
        places[above, LESS] = child
        places[n, MORE] = above
    else:
        child = places[n, LESS]
        places[above, MORE] = child
        places[n, LESS] = above
    if child >= 0:
        places[child, ABOVE] = above
    places[above, ABOVE] = n
    places[n, ABOVE] = top
    if top < 0:
        services[s, ROOT] = n
    elif places[top, LESS] == above:
        places[top, LESS] = n
    else:
        places[top, MORE] = n
    if services[s, FIRST_FIT]:
        least(places, above)
        least(places, n)


@hot
def touch(run, s):
    """Service s must be looked at in the next decision."""
    run[DIRTY + (s >> 5)] |= 1 << (s & 31)


@hot
def join(places, services, run, s, n, key, need):
    """Spell n joins the queue of service s."""
    places[n, QUEUE] = s
    places[n, KEY] = key
    places[n, NEED] = need
    places[n, LEAST] = need
    places[n, LESS] = -1
    places[n, MORE] = -1
    services[s, WAITING] += 1
    tail = int64(services[s, TAIL])
    if tail < 0:
        places[n, ABOVE] = -1
        services[s, ROOT] = n
        services[s, HEAD] = n
        services[s, TAIL] = n
    else:
        if comes_before(places, tail, n):
            at = tail
            places[at, MORE] = n
            services[s, TAIL] = n
        else:
            below = int64(services[s, ROOT])
            at = below
            while below >= 0:
                at = below
                below = int64(places[at, LESS]) if comes_before(places, n, at) else int64(places[at, MORE])
            if comes_before(places, n, at):
                places[at, LESS] = n
                if at == services[s, HEAD]:
                    services[s, HEAD] = n
            else:
                places[at, MORE] = n
        places[n, ABOVE] = at
        if services[s, FIRST_FIT]:
            while at >= 0 and places[at, LEAST] > need:
                places[at, LEAST] = need
                at = int64(places[at, ABOVE])
        while places[n, ABOVE] >= 0 and places[places[n, ABOVE], RANK] < places[n, RANK]:
            lift(places, services, s, n)
    # Whoever cannot be accepted now changes nothing for the others; what lets them in later touches the service.
    if (services[s, HEAD] == n or services[s, FIRST_FIT]) and (
        services[s, IN_USE] + need <= services[s, CAPACITY] + services[s, ESCALATION]
    ):
        touch(run, s)


@hot
def quit_queue(places, services, run, n):
    """Spell n leaves the queue it stands in."""
    s = int64(places[n, QUEUE])
    places[n, QUEUE] = -1
    services[s, WAITING] -= 1
    if services[s, HEAD] == n:
        after = int64(places[n, MORE])
        if after < 0:
            after = int64(places[n, ABOVE])
        else:
            while places[after, LESS] >= 0:
                after = int64(places[after, LESS])
        services[s, HEAD] = after
    if services[s, TAIL] == n:
        before = int64(places[n, LESS])
        if before < 0:
            before = int64(places[n, ABOVE])
        else:
            while places[before, MORE] >= 0:
                before = int64(places[before, MORE])
        services[s, TAIL] = before
    while places[n, LESS] >= 0 and places[n, MORE] >= 0:
        less = int64(places[n, LESS])
        more = int64(places[n, MORE])
        lift(places, services, s, less if places[less, RANK] > places[more, RANK] else more)
    child = places[n, LESS] if places[n, LESS] >= 0 else places[n, MORE]
    above = int64(places[n, ABOVE])
    if child >= 0:
        places[child, ABOVE] = above
    if above < 0:
        services[s, ROOT] = child
    elif places[above, LESS] == n:
        places[above, LESS] = child
    else:
        places[above, MORE] = child
    if services[s, FIRST_FIT]:
        while above >= 0:
            least(places, above)
            above = int64(places[above, ABOVE])
    if services[s, WAITING] > 0:
        touch(run, s)  # the next in the queue may fit


@hot
def first_that_fits(places, services, s, free):
    """The first in the queue of service s who needs at most `free` units, -1 for none."""
    n = int64(services[s, ROOT])
    if n < 0 or places[n, LEAST] > free:
        return -1
    while True:
        less = int64(places[n, LESS])
        if less >= 0 and places[less, LEAST] <= free:
            n = less
        elif places[n, NEED] <= free:
            return n
        else:
            n = int64(places[n, MORE])


# -------------------------------------------------------------------------------------------- a person's way


@hot
def free_units(services, run, s, units):
    """So many units of service s are no longer in use."""
    services[s, IN_USE] -= units
    if units > 0 and services[s, WAITING] > 0:
        touch(run, s)


@hot
def own(rows, stamps, spells, n, s):
    """Units spell n holds that count towards a row of service s."""
    i = int64(spells[n, ROW])
    if spells[n, HOLDS] and rows[i, SERVICE] == s and rows[i, KEEP] < 0:
        return int64(stamps[i, ROW_TAKEN])
    return 0


@hot
def is_reserved(rows, spells, n, s):
    """Are units of service s reserved for spell n?"""
    return spells[n, RESERVED] >= 0 and rows[spells[n, RESERVED], SERVICE] == s


@hot
def next_is_reserved(rows, spells, n, i):
    """Are units of the service that follows row i reserved for spell n?"""
    return rows[i, NEXT] >= 0 and is_reserved(rows, spells, n, int64(rows[rows[i, NEXT], SERVICE]))


@hot
def size(rows, spells, n):
    """Units of the row the spell wants, declined or not."""
    j = spells[n, TARGET]
    if spells[n, DECLINED]:
        return int64(rows[j, DECLINED_UNITS])
    return int64(rows[j, UNITS])


@hot
def needed(rows, stamps, spells, n):
    """What the row the spell wants needs of its service."""
    s = int64(rows[spells[n, TARGET], SERVICE])
    need = size(rows, spells, n) - own(rows, stamps, spells, n, s)
    if is_reserved(rows, spells, n, s):
        need -= int64(stamps[spells[n, RESERVED], ROW_TAKEN])
    return need


@hot
def want(rows, stamps, spells, places, services, events, heads, run, n, t):
    """Spell n wants its target: it is accepted at once (True) or queues."""
    j = int64(spells[n, TARGET])
    stamps[j, ROW_JOINED] = t
    declines = int64(-1)
    spells[n, DECLINED] = 0
    if rows[j, DECLINE_AFTER] >= 0:
        declines = int64(spells[n, BASE]) + int64(rows[j, DECLINE_AFTER]) + 1
        if declines <= t:
            spells[n, DECLINED] = 1
    need = needed(rows, stamps, spells, n)
    if need <= 0:
        return True
    joined = t
    since = rows[j, SINCE]
    if since >= 0 and stamps[since, ROW_JOINED] >= 0:
        joined = int64(stamps[since, ROW_JOINED])
    spells[n, PHASE] = QUEUES
    join(places, services, run, int64(rows[j, SERVICE]), n, int64(rows[j, PRIORITY]) * run[HORIZON] + joined, need)
    patience = int64(rows[j, PATIENCE])
    if patience > 0:
        schedule(events, heads, run, PATIENCE_ENDS, n, t + patience)
    elif patience == 0:
        spells[n, NEXT_TRY] = run[FIRST_TRY]
        run[FIRST_TRY] = n
    if declines > t:
        schedule(events, heads, run, DECLINE, n, declines)
    return False


@hot
def accept(rows, stamps, spells, services, events, heads, run, n, t):
    """Spell n is accepted in its target; it stands in no queue."""
    cancel(events, heads, run, PATIENCE_ENDS, n)
    cancel(events, heads, run, DECLINE, n)
    cancel(events, heads, run, UNFIT, n)
    j = int64(spells[n, TARGET])
    s = int64(rows[j, SERVICE])
    need = size(rows, spells, n)
    stamps[j, ROW_ACCEPTED] = t
    stamps[j, ROW_TAKEN] = need
    if is_reserved(rows, spells, n, s):
        taken_over = min(need, int64(stamps[spells[n, RESERVED], ROW_TAKEN]))
        free_reserved(rows, stamps, spells, services, events, heads, run, n, taken_over, t)
        need -= taken_over
    handed = min(need, own(rows, stamps, spells, n, s))
    services[s, IN_USE] += need - handed
    begin_leaving(rows, spells, n, handed)


@hot
def begin_leaving(rows, spells, n, handed):
    """The tasks after acceptance come next; so many units of the row held pass to the target."""
    spells[n, PHASE] = AFTER
    spells[n, HANDED] = handed
    i = int64(spells[n, ROW])
    if i >= 0:
        spells[n, TASK] = rows[i, FIRST_TASK] + rows[i, N_BEFORE]
        spells[n, LAST_TASK] = spells[n, TASK] + rows[i, N_AFTER]
    else:
        spells[n, TASK] = spells[n, LAST_TASK] = 0


@hot
def go(rows, spells, events, heads, run, n):
    """Spell n is about to leave the system from the row it is in."""
    cancel(events, heads, run, UNFIT, n)
    spells[n, TARGET] = -1
    begin_leaving(rows, spells, n, 0)


@hot
def start(rows, stamps, spells, events, heads, run, n, j, t):
    """Spell n comes to row j."""
    stamps[j, ROW_STARTED] = t
    spells[n, ROW] = j
    spells[n, HOLDS] = 1
    spells[n, PHASE] = STAYS
    duration = rows[j, DECLINED_DURATION] if spells[n, DECLINED] else rows[j, DURATION]
    schedule(events, heads, run, MAIN, n, t + int64(duration))


@cold
def free_kept(rows, stamps, spells, services, run, n, ended, t):
    """The units kept until row `ended` are freed; all of them when that is -1, the end of the spell."""
    before = int64(-1)
    row = int64(spells[n, KEPT])
    while row >= 0:
        also = int64(stamps[row, NEXT_ROW])
        if ended < 0 or rows[row, KEEP] == ended:
            stamps[row, ROW_FREED] = t
            free_units(services, run, int64(rows[row, SERVICE]), int64(stamps[row, ROW_TAKEN]))
            if before < 0:
                spells[n, KEPT] = also
            else:
                stamps[before, NEXT_ROW] = also
        else:
            before = row
        row = also


@hot
def leave(rows, stamps, spells, services, events, heads, run, n, ended, may_keep, t):
    """Spell n leaves the row it holds: moved on, left or displaced."""
    i = int64(spells[n, ROW])
    spells[n, HOLDS] = 0
    stamps[i, ROW_LEFT] = t
    stamps[i, ROW_ENDED] = ended
    if may_keep and rows[i, KEEP] >= 0:
        stamps[i, NEXT_ROW] = spells[n, KEPT]
        spells[n, KEPT] = i
    else:
        stamps[i, ROW_FREED] = t
        free_units(services, run, int64(rows[i, SERVICE]), int64(stamps[i, ROW_TAKEN] - spells[n, HANDED]))
    if spells[n, KEPT] >= 0:
        free_kept(rows, stamps, spells, services, run, n, i, t)
    if rows[i, DEATH_AFTER] >= 0:
        cancel(events, heads, run, DEATH, n)
    child = int64(rows[i, CHILD])
    if child >= 0:
        spells[child, PARENT] = i
        schedule(events, heads, run, READMISSION, child, t + int64(rows[i, READMISSION_GAP]))


@cold
def free_reserved(rows, stamps, spells, services, events, heads, run, n, taken_over, t):
    """The reservation for spell n ends: what is not taken over is freed."""
    i = int64(spells[n, RESERVED])
    spells[n, RESERVED] = -1
    cancel(events, heads, run, RELEASE, n)
    stamps[i, ROW_FREED] = t
    free_units(services, run, int64(rows[i, SERVICE]), int64(stamps[i, ROW_TAKEN]) - taken_over)


@cold
def end_spell(rows, stamps, spells, services, events, heads, run, n, phase, t):
    """Spell n is over, GONE or DEAD: everything still kept or reserved is freed."""
    spells[n, PHASE] = phase
    if spells[n, KEPT] >= 0:
        free_kept(rows, stamps, spells, services, run, n, -1, t)
    if spells[n, RESERVED] >= 0:
        free_reserved(rows, stamps, spells, services, events, heads, run, n, 0, t)


@hot
def ready(rows, stamps, spells, services, events, heads, run, n, t):
    """The work of the row spell n is in is done."""
    i = int64(spells[n, ROW])
    stamps[i, ROW_READY] = t
    if rows[i, ROW_DIES]:
        give_back(rows, stamps, spells, services, run, n, DIED, -1, t)
        end_spell(rows, stamps, spells, services, events, heads, run, n, DEAD, t)
        return
    spells[n, PHASE] = BEFORE
    spells[n, TASK] = rows[i, FIRST_TASK]
    spells[n, LAST_TASK] = rows[i, FIRST_TASK] + rows[i, N_BEFORE]
    spells[n, HANDED] = 0
    if rows[i, RECOGNITION] == 0:
        recognise(stamps, spells, n, t)
    if not rows[i, HOLD]:
        ended = MOVED_ON if rows[i, NEXT] >= 0 else LEFT
        leave(rows, stamps, spells, services, events, heads, run, n, ended, False, t)
        return
    if rows[i, DEATH_AFTER] >= 0:
        schedule(events, heads, run, DEATH, n, t + int64(rows[i, DEATH_AFTER]))
    if rows[i, UNFIT_AFTER] >= 0:
        schedule(events, heads, run, UNFIT, n, t + int64(rows[i, UNFIT_AFTER]))


@hot
def recognise(stamps, spells, n, t):
    stamps[spells[n, ROW], ROW_RECOGNISED] = t
    spells[n, BASE] = t


@hot
def grant(tasks, spells, events, heads, opened, minutes, first, run, n, t):
    """Work on the task of spell n begins."""
    k = spells[n, TASK]
    tasks[k, TASK_GRANTED] = t
    calendar = int64(tasks[k, TASK_CALENDAR])
    work = int64(tasks[k, TASK_MINUTES])
    if work == 0:
        end = next_open(opened, minutes, first, calendar, t, run[HORIZON])
    else:
        end = plus_open(opened, minutes, first, calendar, t, work, run[HORIZON])
    schedule(events, heads, run, MAIN, n, end)


@hot
def task_done(rows, spells, n, stamps, t):
    """The task of spell n has ended or was passed over."""
    i = spells[n, ROW]
    k = spells[n, TASK]
    spells[n, TASK] = k + 1
    if spells[n, PHASE] == BEFORE and k - rows[i, FIRST_TASK] + 1 == rows[i, RECOGNITION]:
        recognise(stamps, spells, n, t)


@hot
def end_task(rows, tasks, stamps, spells, services, run, n, t):
    k = int64(spells[n, TASK])
    tasks[k, TASK_ENDED] = t
    if tasks[k, TASK_POOL] >= 0:
        free_units(services, run, int64(tasks[k, TASK_POOL]), 1)
    task_done(rows, spells, n, stamps, t)


@hot
def proceed(rows, tasks, stamps, spells, places, services, events, heads, opened, minutes, first, run, n, t):
    """Carry spell n on, from task to task and row to row, until there is something to wait for."""
    while True:
        phase = spells[n, PHASE]
        if phase == WANTS:
            if spells[n, TARGET] >= 0:
                if not want(rows, stamps, spells, places, services, events, heads, run, n, t):
                    return
                accept(rows, stamps, spells, services, events, heads, run, n, t)
            elif spells[n, HOLDS]:
                go(rows, spells, events, heads, run, n)
            else:
                end_spell(rows, stamps, spells, services, events, heads, run, n, GONE, t)
                return
        k = int64(spells[n, TASK])
        i = int64(spells[n, ROW])
        if k < spells[n, LAST_TASK]:
            if tasks[k, TASK_SKIP] and next_is_reserved(rows, spells, n, i):
                task_done(rows, spells, n, stamps, t)
                continue
            tasks[k, TASK_BEGAN] = t
            pool = int64(tasks[k, TASK_POOL])
            if pool >= 0:
                join(places, services, run, pool, n, int64(rows[i, PRIORITY]) * run[HORIZON] + t, 1)
            else:
                grant(tasks, spells, events, heads, opened, minutes, first, run, n, t)
            return
        if spells[n, PHASE] == BEFORE:
            if stamps[i, ROW_RECOGNISED] < 0:
                recognise(stamps, spells, n, t)
            if rows[i, NEXT] >= 0:
                spells[n, TARGET] = rows[i, NEXT]
                spells[n, PHASE] = WANTS
            else:
                go(rows, spells, events, heads, run, n)
            continue
        j = int64(spells[n, TARGET])
        if spells[n, HOLDS]:
            leave(rows, stamps, spells, services, events, heads, run, n, MOVED_ON if j >= 0 else LEFT, True, t)
        if j >= 0:
            start(rows, stamps, spells, events, heads, run, n, j, t)
        else:
            end_spell(rows, stamps, spells, services, events, heads, run, n, GONE, t)
        return


@cold
def proceed_rarely(rows, tasks, stamps, spells, places, services, events, heads, opened, minutes, first, run, n, t):
    """`proceed`, for callers that need it too seldom to have it laid in."""
    proceed(rows, tasks, stamps, spells, places, services, events, heads, opened, minutes, first, run, n, t)


@hot
def arrive(rows, stamps, spells, services, events, heads, run, n, t):
    """Spell n comes from nowhere and wants its first row, or is there already."""
    j = int64(spells[n, FIRST_ROW])
    spells[n, TARGET] = j
    spells[n, BASE] = t
    spells[n, PHASE] = WANTS
    if spells[n, INITIAL]:
        stamps[j, ROW_JOINED] = t
        stamps[j, ROW_ACCEPTED] = t
        stamps[j, ROW_TAKEN] = rows[j, UNITS]
        services[rows[j, SERVICE], IN_USE] += rows[j, UNITS]
        start(rows, stamps, spells, events, heads, run, n, j, t)


# ------------------------------------------------------------------------------- what may cross a person's way


@cold
def break_off(tasks, spells, places, services, events, heads, run, n):
    """Spell n leaves the queue it stands in, or its task at work is broken off; its timers end."""
    phase = spells[n, PHASE]
    if places[n, QUEUE] >= 0:
        quit_queue(places, services, run, n)
        cancel(events, heads, run, PATIENCE_ENDS, n)
        cancel(events, heads, run, DECLINE, n)
    elif phase in (BEFORE, AFTER):
        pool = int64(tasks[spells[n, TASK], TASK_POOL])
        if pool >= 0:
            free_units(services, run, pool, 1)
    cancel(events, heads, run, MAIN, n)
    cancel(events, heads, run, UNFIT, n)
    cancel(events, heads, run, DEATH, n)


@cold
def give_back(rows, stamps, spells, services, run, n, ended, heir, t):
    """Spell n ends: the rows it is in or was accepted in are given back, the former to a reservation for `heir`."""
    phase = spells[n, PHASE]
    i = int64(spells[n, ROW])
    j = int64(spells[n, TARGET])
    if phase == QUEUES:
        stamps[j, ROW_ENDED] = ended
    elif phase == AFTER and j >= 0:
        stamps[j, ROW_ENDED] = ended
        stamps[j, ROW_FREED] = t
        free_units(services, run, int64(rows[j, SERVICE]), int64(stamps[j, ROW_TAKEN]) - int64(spells[n, HANDED]))
    if not spells[n, HOLDS]:
        return
    spells[n, HOLDS] = 0
    stamps[i, ROW_LEFT] = t
    stamps[i, ROW_ENDED] = ended
    if heir >= 0 and rows[i, KEPT_ON_READMISSION] > 0:
        spells[heir, RESERVED] = i
    else:
        stamps[i, ROW_FREED] = t
        free_units(services, run, int64(rows[i, SERVICE]), int64(stamps[i, ROW_TAKEN]))


@cold
def die(rows, tasks, stamps, spells, places, services, events, heads, run, n, t):
    """Death while waiting."""
    break_off(tasks, spells, places, services, events, heads, run, n)
    give_back(rows, stamps, spells, services, run, n, DIED, -1, t)
    end_spell(rows, stamps, spells, services, events, heads, run, n, DEAD, t)


@cold
def readmit(rows, tasks, stamps, spells, places, services, events, heads, run, n, t):
    """The readmission that is spell n is due: False when it falls away."""
    i = int64(spells[n, PARENT])
    parent = int64(rows[i, SPELL])
    phase = spells[parent, PHASE]
    if phase == DEAD:
        return False
    if phase != GONE:
        break_off(tasks, spells, places, services, events, heads, run, parent)
        give_back(rows, stamps, spells, services, run, parent, READMITTED, n, t)
        end_spell(rows, stamps, spells, services, events, heads, run, parent, GONE, t)
        if spells[n, RESERVED] >= 0:
            kept = int64(rows[spells[n, RESERVED], KEPT_ON_READMISSION])
            schedule(events, heads, run, RELEASE, n, t + kept)
    return True


@cold
def become_unfit(rows, tasks, stamps, spells, places, services, events, heads, run, n, t):
    """Unfit again: spell n resumes in the same units."""
    i = int64(spells[n, ROW])
    if spells[n, PHASE] == QUEUES:
        stamps[spells[n, TARGET], ROW_ENDED] = UNFIT_AGAIN
    break_off(tasks, spells, places, services, events, heads, run, n)
    j = int64(rows[i, UNFIT_TO])
    units = int64(rows[j, UNITS])
    stamps[i, ROW_LEFT] = t
    stamps[i, ROW_FREED] = t
    stamps[i, ROW_ENDED] = UNFIT_AGAIN
    free_units(services, run, int64(rows[i, SERVICE]), int64(stamps[i, ROW_TAKEN]) - units)
    free_kept(rows, stamps, spells, services, run, n, i, t)
    stamps[j, ROW_JOINED] = t
    stamps[j, ROW_ACCEPTED] = t
    stamps[j, ROW_TAKEN] = units
    spells[n, DECLINED] = 0
    start(rows, stamps, spells, events, heads, run, n, j, t)


@hot
def turn_elsewhere(rows, stamps, spells, n, ended):
    """Spell n has left the queue of its target (gave up or turned away) and wants what it would have otherwise."""
    j = spells[n, TARGET]
    stamps[j, ROW_ENDED] = ended
    spells[n, TARGET] = rows[j, OTHERWISE]
    spells[n, PHASE] = WANTS


@cold
def change_need(rows, stamps, spells, places, services, run, n):
    """Spell n stands in the queue of its target and needs something else: the key stays."""
    s = int64(places[n, QUEUE])
    key = int64(places[n, KEY])
    quit_queue(places, services, run, n)
    join(places, services, run, s, n, key, max(needed(rows, stamps, spells, n), 0))


@cold
def release(rows, stamps, spells, places, services, events, heads, run, n, t):
    """What was reserved for spell n is freed."""
    s = rows[spells[n, RESERVED], SERVICE]
    free_reserved(rows, stamps, spells, services, events, heads, run, n, 0, t)
    if spells[n, PHASE] == QUEUES and places[n, QUEUE] == s:
        change_need(rows, stamps, spells, places, services, run, n)


@cold
def first_to_displace(rows, stamps, spells, services, order, s, units):
    """The list (by NEXT_ROW) of the rows of service s whose people make up so many units; its first, -1 for none."""
    found = last = int64(-1)
    for p in range(services[s, ORDER_FROM], services[s, ORDER_TO]):
        if units <= 0:
            break
        i = int64(order[p])
        n = int64(rows[i, SPELL])
        if spells[n, ROW] == i and spells[n, PHASE] == STAYS:
            units -= stamps[i, ROW_TAKEN]
            if last < 0:
                found = i
            else:
                stamps[last, NEXT_ROW] = i
            stamps[i, NEXT_ROW] = -1
            last = i
    return found


@cold
def displace(rows, stamps, spells, services, events, heads, run, n, t):
    """Spell n is put out of the row it is in and wants the row for the displaced."""
    i = int64(spells[n, ROW])
    cancel(events, heads, run, MAIN, n)
    stamps[i, ROW_READY] = t
    spells[n, HANDED] = 0
    leave(rows, stamps, spells, services, events, heads, run, n, DISPLACED, False, t)
    spells[n, TARGET] = rows[i, DISPLACED_TO]
    spells[n, BASE] = t
    spells[n, PHASE] = WANTS


# ------------------------------------------------------------------------------------------------- the decision


@hot
def next_touched(run, s):
    """The first service from s on that must be looked at, -1 for none."""
    word = s >> 5
    if word >= run[WORDS]:
        return -1
    bits = run[DIRTY + word] & ~((1 << (s & 31)) - 1)
    while bits == 0:
        word += 1
        if word == run[WORDS]:
            return -1
        bits = run[DIRTY + word]
    return (word << 5) + BIT[(bits & -bits) % 37]


@hot
def wake(services, events, heads, run, s, t):
    """Service s must be looked at in minute t, when it opens or its quota is reset."""
    if services[s, WAKE_AT] < 0:
        services[s, WAKE_AT] = t
        schedule(events, heads, run, WAKE, s, t)


@hot
def may_accept(services, events, heads, opened, minutes, first, run, quota_day, quota_week, s, t):
    """Is the calendar open in this minute and quota left? If not, the service is looked at again when they may be."""
    calendar = int64(services[s, CALENDAR])
    if calendar != ALWAYS_OPEN and opened[calendar, t + 1] == opened[calendar, t]:
        wake(services, events, heads, run, s, next_open(opened, minutes, first, calendar, t, run[HORIZON]))
        return False
    if services[s, QUOTA]:
        day = t // DAY
        if day != services[s, QUOTA_DAY]:
            services[s, QUOTA_DAY] = day
            services[s, USED_DAY] = 0
        week = (day + run[WEEKDAY]) // 7
        if week != services[s, QUOTA_WEEK]:
            services[s, QUOTA_WEEK] = week
            services[s, USED_WEEK] = 0
        if (quota_day[s, day] >= 0 and services[s, USED_DAY] >= quota_day[s, day]) or (
            quota_week[s, week] >= 0 and services[s, USED_WEEK] >= quota_week[s, week]
        ):
            wake(services, events, heads, run, s, (day + 1) * DAY)
            return False
        services[s, USED_DAY] += 1
        services[s, USED_WEEK] += 1
    return True


@hot
def rounds(
    rows, tasks, stamps, spells, places, services, events, heads, opened, minutes, first, run, quota_day, quota_week, t
):
    """Staff pools, then services, each accepting all it can, until a round accepts nobody.

    Only services that were touched since they last had nobody to accept can accept anybody.
    """
    s = next_touched(run, 0)
    while s >= 0:
        while services[s, WAITING] > 0:
            free = services[s, CAPACITY] + services[s, ESCALATION] - services[s, IN_USE]
            if free <= 0:
                break
            n = first_that_fits(places, services, s, free) if services[s, FIRST_FIT] else int64(services[s, HEAD])
            if n < 0 or places[n, NEED] > free:
                break
            if not may_accept(services, events, heads, opened, minutes, first, run, quota_day, quota_week, s, t):
                break
            quit_queue(places, services, run, n)
            if spells[n, PHASE] == QUEUES:
                accept(rows, stamps, spells, services, events, heads, run, n, t)
                proceed(rows, tasks, stamps, spells, places, services, events, heads, opened, minutes, first, run, n, t)
            else:
                services[s, IN_USE] += 1
                grant(tasks, spells, events, heads, opened, minutes, first, run, n, t)
        run[DIRTY + (s >> 5)] &= ~(1 << (s & 31))
        after = next_touched(run, s + 1)
        s = after if after >= 0 else next_touched(run, 0)


@cold
def look(services, run, looks, rules, t):
    """Escalation: all rules at one snapshot of the people still queueing."""
    while run[NEXT_LOOK] < looks.shape[0] and looks[run[NEXT_LOOK], LOOK_MINUTE] == t:
        rule = looks[run[NEXT_LOOK], LOOK_RULE]
        last = looks[run[NEXT_LOOK], LOOK_LAST]
        run[NEXT_LOOK] += 1
        queue = services[rules[rule, RULE_WATCH], WAITING]
        opens = rules[rule, RULE_IS_OPEN]
        if last or queue <= rules[rule, RULE_CLOSE]:
            opens = 0
        elif queue >= rules[rule, RULE_OPEN]:
            opens = 1
        if opens != rules[rule, RULE_IS_OPEN]:
            rules[rule, RULE_IS_OPEN] = opens
            s = int64(rules[rule, RULE_SERVICE])
            services[s, ESCALATION] += rules[rule, RULE_UNITS] if opens else -rules[rule, RULE_UNITS]
            services[s, CHANGED] = ESCALATED + 1
            touch(run, s)


@cold
def step(services, run, steps, t):
    """The capacities that change in minute t."""
    while run[NEXT_STEP] < steps.shape[0] and steps[run[NEXT_STEP], STEP_MINUTE] == t:
        k = run[NEXT_STEP]
        run[NEXT_STEP] += 1
        s = int64(steps[k, STEP_SERVICE])
        services[s, CAPACITY] = steps[k, STEP_CAPACITY]
        services[s, CHANGED] = steps[k, STEP_REASON] + 1
        touch(run, s)


@cold
def write_log(services, run, log, t):
    """The services whose capacity changed in the minute that is over."""
    for s in range(services.shape[0]):
        if services[s, CHANGED]:
            capacity = services[s, CAPACITY] + services[s, ESCALATION]
            if capacity != services[s, LOGGED]:
                services[s, LOGGED] = capacity
                k = run[N_LOG]
                run[N_LOG] += 1
                log[k, LOG_MINUTE] = t
                log[k, LOG_SERVICE] = s
                log[k, LOG_CAPACITY] = capacity
                log[k, LOG_IN_USE] = services[s, IN_USE]
                log[k, LOG_QUEUE] = services[s, WAITING]
                log[k, LOG_REASON] = services[s, CHANGED] - 1
            services[s, CHANGED] = 0


@cold
def next_fixed(run, steps, looks, displacements):
    """The next minute in which something happens that belongs to no person."""
    t = FAR
    if run[NEXT_STEP] < steps.shape[0]:
        t = min(t, steps[run[NEXT_STEP], STEP_MINUTE])
    if run[NEXT_LOOK] < looks.shape[0]:
        t = min(t, looks[run[NEXT_LOOK], LOOK_MINUTE])
    if run[NEXT_DISPLACEMENT] < displacements.shape[0]:
        t = min(t, displacements[run[NEXT_DISPLACEMENT], DISPLACEMENT_MINUTE])
    return t


@njit(cache=True)
def advance(
    rows, tasks, stamps, spells, places, services, events, heads, opened, minutes, first, run,
    quota_day, quota_week, steps, looks, rules, displacements, order, log, begin, end,
):  # fmt: skip
    """Run the minutes begin <= t < end (horizon at most). `order`: the rows of each service with displacements in the
    order in which they are displaced, ``order[ORDER_FROM:ORDER_TO]`` of the service."""
    n_spells = int64(run[N_SPELLS])
    for t in range(begin, end):
        fixed = t == run[NEXT_FIXED]
        if heads[PENDING, t] == 0 and not fixed:
            continue
        if fixed:
            step(services, run, steps, t)
        first_pass = True
        while True:
            while heads[PENDING, t] != 0:  # the lowest kind first; an event may bring on others in this minute
                pending = int64(heads[PENDING, t])
                kind = BIT[(pending & -pending) % 37]
                node = int64(heads[kind, t]) - 1
                if node < 0:
                    heads[PENDING, t] = pending & (pending - 1)
                    continue
                n = node - kind * n_spells
                cancel(events, heads, run, kind, n)
                if kind == MAIN:
                    phase = spells[n, PHASE]
                    if phase == STAYS:
                        ready(rows, stamps, spells, services, events, heads, run, n, t)
                    elif phase == AWAY:
                        arrive(rows, stamps, spells, services, events, heads, run, n, t)
                    else:
                        end_task(rows, tasks, stamps, spells, services, run, n, t)
                elif kind == WAKE:
                    services[n, WAKE_AT] = -1
                    touch(run, n)
                    continue
                elif kind == PATIENCE_ENDS:
                    quit_queue(places, services, run, n)
                    cancel(events, heads, run, DECLINE, n)
                    turn_elsewhere(rows, stamps, spells, n, GAVE_UP)
                elif kind == DECLINE:
                    spells[n, DECLINED] = 1
                    change_need(rows, stamps, spells, places, services, run, n)
                elif kind == UNFIT:
                    become_unfit(rows, tasks, stamps, spells, places, services, events, heads, run, n, t)
                elif kind == DEATH:
                    die(rows, tasks, stamps, spells, places, services, events, heads, run, n, t)
                elif kind == RELEASE:
                    release(rows, stamps, spells, places, services, events, heads, run, n, t)
                elif readmit(rows, tasks, stamps, spells, places, services, events, heads, run, n, t):
                    arrive(rows, stamps, spells, services, events, heads, run, n, t)
                if spells[n, PHASE] == WANTS or (kind == MAIN and (BEFORE <= spells[n, PHASE] <= AFTER)):
                    proceed(
                        rows, tasks, stamps, spells, places, services, events, heads, opened, minutes, first, run, n, t
                    )
            if first_pass and fixed:
                while (
                    run[NEXT_DISPLACEMENT] < displacements.shape[0]
                    and displacements[run[NEXT_DISPLACEMENT], DISPLACEMENT_MINUTE] == t
                ):
                    k = run[NEXT_DISPLACEMENT]
                    run[NEXT_DISPLACEMENT] += 1
                    s = int64(displacements[k, DISPLACEMENT_SERVICE])
                    units = displacements[k, DISPLACEMENT_UNITS]
                    i = first_to_displace(rows, stamps, spells, services, order, s, units)
                    while i >= 0:
                        n = int64(rows[i, SPELL])
                        i = int64(stamps[i, NEXT_ROW])
                        displace(rows, stamps, spells, services, events, heads, run, n, t)
                        proceed_rarely(
                            rows, tasks, stamps, spells, places, services, events, heads, opened, minutes, first, run,
                            n, t,
                        )  # fmt: skip
            elif next_touched(run, 0) < 0 and run[FIRST_TRY] < 0:
                break
            while True:
                rounds(
                    rows, tasks, stamps, spells, places, services, events, heads, opened, minutes, first, run,
                    quota_day, quota_week, t,
                )  # fmt: skip
                if not (first_pass and fixed):
                    break
                first_pass = False
                look(services, run, looks, rules, t)  # and rounds again
            first_pass = False
            # Try-nows still queueing leave all together; then all want elsewhere, and another pass follows.
            n = int64(run[FIRST_TRY])
            run[FIRST_TRY] = -1
            turned = n
            while n >= 0:
                # Whoever was accepted, or readmitted in this very minute, is no longer in that queue.
                if spells[n, PHASE] == QUEUES and rows[spells[n, TARGET], PATIENCE] == 0:
                    quit_queue(places, services, run, n)
                    cancel(events, heads, run, DECLINE, n)
                    turn_elsewhere(rows, stamps, spells, n, TURNED_AWAY)
                n = int64(spells[n, NEXT_TRY])
            while turned >= 0:
                n = turned
                turned = int64(spells[n, NEXT_TRY])
                if spells[n, PHASE] == WANTS:
                    proceed_rarely(
                        rows, tasks, stamps, spells, places, services, events, heads, opened, minutes, first, run, n, t
                    )
        if fixed:
            write_log(services, run, log, t)
            run[NEXT_FIXED] = next_fixed(run, steps, looks, displacements)


# ---------------------------------------------------------------------------------------------- tables in and out


@njit(cache=True)
def pack(table, columns, most):
    """Write columns (int64, nothing above `most`) side by side into an int32 table, a block of rows at a time."""
    n = table.shape[0]
    for begin in range(0, n, 512):
        end = min(begin + 512, n)
        for c in range(len(columns)):
            column = columns[c]
            for r in range(begin, end):
                table[r, c] = min(column[r], most)


@njit(cache=True)
def unpack(table, begin, columns):
    """Copy the columns of a table from `begin` on into rows of an int64 array."""
    n = table.shape[0]
    for low in range(0, n, 512):
        high = min(low + 512, n)
        for c in range(columns.shape[0]):
            for r in range(low, high):
                columns[c, r] = table[r, begin + c]


@njit(cache=True)
def prepare(spells, places, events, heads, run, arrival):
    """Every spell away and in no queue; whoever has a minute of arrival comes then."""
    rank = 1
    for n in range(spells.shape[0]):
        for c in range(INITIAL):
            spells[n, c] = -1
        spells[n, PHASE] = AWAY
        spells[n, HOLDS] = 0
        spells[n, DECLINED] = 0
        places[n, QUEUE] = -1
        rank = (rank * 1103515245 + 12345) % 2147483648  # any numbers do: they only keep the trees shallow
        places[n, RANK] = rank
        if arrival[n] >= 0:
            schedule(events, heads, run, MAIN, n, arrival[n])
