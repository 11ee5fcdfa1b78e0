"""The kernel of the compiled engine: docs/engine-rules.md as loops over integer tables, compiled by Numba.

Only `compiled.py` imports this file. Everything lives in the tables that `advance` takes, which `layout.py` describes
and `compiled.py` makes; the loop allocates nothing, so a run can be stopped between two minutes, its tables copied, and
both copies carried on.

The functions are named as in the rules and take what they need of the tables, always in that order. Where a rule hangs
on one line, `# rule:` says which; tests/test_identity.py turns those lines round, one after the other.
"""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import extending, njit, types
from numba.core import cgutils
from numpy import int64

from flowsim.engine.stamps import DIED, DISPLACED, GAVE_UP, LEFT, MOVED_ON, READMITTED, TURNED_AWAY, UNFIT_AGAIN
from flowsim.model.calendar import ALWAYS_OPEN, DAY, FROM, TO

from flowsim.engine.layout import (  # isort: skip
    ABOVE, AFTER, ASKS, AWAY, BASE, BEFORE, CALENDAR, CAPACITY, CHANGED, CHILD, DEAD, DEATH_AFTER, DECLINED,
    DECLINED_DURATION, DECLINED_UNITS, DECLINE_AFTER, DIES, DIRTY, DISPLACED_TO, DISPLACEMENT_MINUTE,
    DISPLACEMENT_SERVICE, DISPLACEMENT_UNITS, DURATION, ENDED, ESCALATION, FIRST_FIT, FIRST_TASK, GONE, HANDED, HEAD,
    HOLD, HOLDS, HORIZON, INITIAL, IN_USE, KEEP, KEEPS, KEPT, KEPT_ON_READMISSION, KEY, LAST_TASK, LEAST, LESS, LOGGED,
    LOG_CAPACITY, LOG_IN_USE, LOG_MINUTE, LOG_QUEUE, LOG_REASON, LOG_SERVICE, LOOK_LAST, LOOK_MINUTE, LOOK_RULE, MARKS,
    MORE, NEED, NEXT, NEXT_DISPLACEMENT, NEXT_FIXED, NEXT_LOOK, NEXT_ROW, NEXT_STEP, NODES, N_AFTER, N_BEFORE, N_LOG,
    N_SPELLS, ORDER_FROM, ORDER_TO, OTHERWISE, PARENT, PATIENCE, PATIENCE_CALENDAR, PENDING, PHASE, PRIORITY, QUEUE,
    QUEUES, QUOTA, QUOTA_DAY, QUOTA_WEEK, RARE, READMISSION_GAP, RECOGNITION, RESERVED, RESERVES, ROOT, ROW,
    ROW_ACCEPTED, ROW_FREED, ROW_JOINED, ROW_LEFT, ROW_READY, ROW_RECOGNISED, ROW_STARTED, RULE_CLOSE, RULE_IS_OPEN,
    RULE_OPEN, RULE_SERVICE, RULE_UNITS, RULE_WATCH, SERVICE, SINCE, SPELL, STAYS, STEP_CAPACITY, STEP_MINUTE,
    STEP_REASON, STEP_SERVICE, TAIL, TAKEN, TARGET, TASK, TASK_BEGAN, TASK_CALENDAR, TASK_ENDED, TASK_GRANTED,
    TASK_MINUTES, TASK_POOL, TASK_SKIP, UNFIT_AFTER, UNFIT_TO, UNITS, USED_DAY, USED_WEEK, WAITING, WAKE_AT, WANTS,
    WEEKDAY, WORDS,
)  # fmt: skip

# Kinds of events, in the order in which those of one person run in a minute; WAKE belongs to a service.
# rule: a minute, order
DEATH, READMISSION, UNFIT, PATIENCE_ENDS, DECLINE, RELEASE, MAIN, WAKE = (int64(kind) for kind in range(8))
KINDS = 8
CROSSES, HAPPENS = range(2)  # the lists of a minute: the kinds before MAIN, which run first; MAIN and WAKE
KIND_BITS = 3  # an event is the index of the spell and these bits of the kind, plus one
ANY = MAIN + 1  # in place of no event, where looking ahead to a wrong one costs less than to ask

ESCALATED = 5  # capacity.REASON_CODE["escalation"]
FAR = 2**31 - 1

# Helpers are called from the kernel only. Without `_nrt=False` each call would count references to its tables, which
# took 40 % of a run. `hot` ones are laid into their callers, which halves what is left; laying in `cold` ones too would
# only make compiling slower.
_INNER: Any = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
cold = njit(**_INNER)
hot = njit(forceinline=True, **_INNER)
machine_code: Any = extending.intrinsic


@machine_code
def fetch(typing, table, line, column):
    """Ask for a cell of a table ahead of its use, so that it is there by then. Any number will do as a line."""

    def generate(context, builder, signature, arguments):
        array = context.make_array(table)(context, builder, arguments[0])
        width, size = cgutils.unpack_tuple(builder, array.shape)[1], cgutils.unpack_tuple(builder, array.strides)[1]
        at = builder.mul(builder.add(builder.mul(arguments[1], width), arguments[2]), size)
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        address = builder.gep(builder.bitcast(array.data, byte), [at])
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(prefetch, [address, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(table, types.int64, types.int64), generate


@machine_code
def lowest_bit(typing, word):
    """The number of the lowest bit that is set in a word; one is."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(types.int64), generate


@machine_code
def index(typing, number):
    """A number that is never negative. Told so, the compiler leaves out the question whether it counts from the end,
    which took a tenth of a run; were it negative all the same, anything might be read."""

    def generate(context, builder, signature, arguments):
        whole = context.cast(builder, arguments[0], signature.args[0], types.int64)
        builder.assume(builder.icmp_signed(">=", whole, ir.IntType(64)(0)))
        return whole

    return types.int64(number), generate


# ---------------------------------------------------------------------------------------------------- calendars


@hot
def on_or_next(openings, first, calendar, t):
    """Which opening of a calendar is on in minute t, or is the next."""
    at = index(first[calendar, t // DAY])
    while openings[at, TO] <= t:
        at += 1
    return at


@hot
def next_open(openings, first, calendar, t):
    if calendar == ALWAYS_OPEN:
        return t
    return max(t, int64(openings[on_or_next(openings, first, calendar, t), FROM]))


@cold
def plus_open(openings, first, calendar, t, n):
    if calendar == ALWAYS_OPEN:
        return t + n
    at = on_or_next(openings, first, calendar, t)
    begin = max(t, int64(openings[at, FROM]))
    while openings[at, TO] - begin < n:
        n -= openings[at, TO] - begin
        at += 1
        begin = int64(openings[at, FROM])
    return begin + n  # rule: task, open minutes


# ------------------------------------------------------------------------------------------------------- events


@hot
def schedule(spells, heads, run, kind, n, t):
    """The event of this kind of spell n happens at minute t (never, when that is behind the horizon)."""
    # What would happen behind the horizon is not even marked: `heads` has no list for it, and no stamp would show it.
    if t < run[HORIZON]:
        spells[n, MARKS] |= 1 << kind
        enlist(spells, heads, kind, n, t)


@hot
def enlist(spells, heads, kind, n, t):
    """The event of this kind of spell n is the first in its list of minute t."""
    column = NODES + 2 * kind
    spells[n, column] = heads[index(t), list_of(kind)]
    spells[n, column + 1] = t
    heads[t, list_of(kind)] = ((n << KIND_BITS) | kind) + 1


@hot
def list_of(kind):
    return int64(kind >= MAIN)


@hot
def behind(spells, event):
    """The event behind this one in its list."""
    return int64(spells[(event - 1) >> KIND_BITS, NODES + 2 * ((event - 1) & WAKE)])


@hot
def take(spells, heads, t, which):
    """The first event of a list of minute t is in it no more; 0 if there is none."""
    event = int64(heads[t, which])
    if event != 0:
        heads[t, which] = behind(spells, event)
        spells[(event - 1) >> KIND_BITS, MARKS] &= ~(1 << ((event - 1) & WAKE))
    return event


@hot
def cancel(spells, heads, kind, n):
    """The event of this kind of spell n, if there is one, does not happen."""
    if spells[n, MARKS] & (1 << kind):
        strike_out(spells, heads, kind, n)


@cold
def strike_out(spells, heads, kind, n):
    """Take the event of this kind of spell n out of its list, which is short."""
    column = NODES + 2 * kind
    after = int64(spells[n, column])
    t = int64(spells[n, column + 1])
    spells[n, MARKS] &= ~(1 << kind)
    event = ((n << KIND_BITS) | kind) + 1
    before = int64(heads[t, list_of(kind)])
    if before == event:
        heads[t, list_of(kind)] = after
        return
    # Lists have one direction, to be two numbers an event; few events are ever struck out, and a minute has few.
    while behind(spells, before) != event:
        before = behind(spells, before)
    spells[(before - 1) >> KIND_BITS, NODES + 2 * ((before - 1) & WAKE)] = after


@hot
def next_event(spells, heads, run, t):
    """Take the next event of minute t, 0 when none is due. The order matters among those of one person only."""
    if heads[t, CROSSES] != 0 or run[PENDING] != 0:
        event = next_crossing(spells, heads, run, t)
        if event != 0:
            return event
    return take(spells, heads, t, HAPPENS)


@cold
def next_crossing(spells, heads, run, t):
    """Take the next of what may cross a person's way in minute t, the lowest kind first; 0 when none is due."""
    # A minute's list is in no order. It is dealt out by kind, so that a death runs before the readmission, and both
    # before the patience, of the same person; what one of these brings on in this minute is dealt out when it is asked
    # for next.
    event = int64(heads[t, CROSSES])
    heads[t, CROSSES] = 0
    while event != 0:
        n = index((event - 1) >> KIND_BITS)
        kind = (event - 1) & WAKE
        event = behind(spells, event)
        enlist(spells, heads, kind, n, run[HORIZON] + kind)
        run[PENDING] |= 1 << kind
    while run[PENDING] != 0:
        event = take(spells, heads, run[HORIZON] + lowest_bit(run[PENDING]), CROSSES)
        if event != 0:
            return event
        # This list is used up: its bit, the lowest, goes, and with it the only cost of the kinds that do not happen.
        run[PENDING] &= run[PENDING] - 1
    return int64(0)


# ------------------------------------------------------------------------------------------------------- queues
# A queue is a treap: a search tree by (KEY, spell), a heap by rank. Where the first that fits is accepted, each node
# knows the least need below it, so that it is found on one way down. The two ends are at hand: joining at the end and
# taking from the head cost a constant on average.


@hot
def comes_before(spells, a, b):
    """Priority, then minute of joining (both in KEY), then the spell's number (a spell's index is in that order)."""
    if spells[a, KEY] != spells[b, KEY]:
        return spells[a, KEY] < spells[b, KEY]
    return a < b  # rule: want, ties


@hot
def least(spells, n):
    """Set what n knows of the needs below from what its children know."""
    need = spells[n, NEED]
    less = spells[n, LESS]
    if less >= 0 and spells[less, LEAST] < need:
        need = spells[less, LEAST]
    more = spells[n, MORE]
    if more >= 0 and spells[more, LEAST] < need:
        need = spells[more, LEAST]
    spells[n, LEAST] = need


@hot
def rank(n):
    """Any numbers do, as long as they are in no order: they only keep the trees shallow."""
    return (n * 2654435761) & 0xFFFFFFFF


@cold
def lift(spells, services, s, n):
    """Turn n and the node above it, so that n is above."""
    above = int64(spells[n, ABOVE])
    top = int64(spells[above, ABOVE])
    if spells[above, LESS] == n:
        child = spells[n, MORE]
        spells[above, LESS] = child
        spells[n, MORE] = above
    else:
        child = spells[n, LESS]
        spells[above, MORE] = child
        spells[n, LESS] = above
    if child >= 0:
        spells[child, ABOVE] = above
    spells[above, ABOVE] = n
    spells[n, ABOVE] = top
    if top < 0:
        services[s, ROOT] = n
    elif spells[top, LESS] == above:
        spells[top, LESS] = n
    else:
        spells[top, MORE] = n
    if services[s, FIRST_FIT]:
        least(spells, above)
        least(spells, n)


@hot
def touch(run, s):
    """Service s must be looked at in the next decision."""
    run[DIRTY + (s >> 6)] |= 1 << (s & 63)


@hot
def join(spells, services, run, s, n, key, need):
    """Spell n joins the queue of service s."""
    spells[n, QUEUE] = s
    spells[n, KEY] = key
    spells[n, NEED] = need
    spells[n, LESS] = -1
    spells[n, MORE] = -1
    services[s, WAITING] += 1
    if services[s, FIRST_FIT]:
        spells[n, LEAST] = need
    tail = int64(services[s, TAIL])
    if tail < 0:
        spells[n, ABOVE] = -1
        services[s, ROOT] = n
        services[s, HEAD] = n
        services[s, TAIL] = n
    else:
        # Most who join are behind all others; only urgent ones, and those whose minute counts from an earlier queue,
        # are not.
        if comes_before(spells, tail, n):
            at = tail
            spells[at, MORE] = n
            services[s, TAIL] = n
        else:
            below = int64(services[s, ROOT])
            at = below
            while below >= 0:
                at = below
                below = int64(spells[at, LESS]) if comes_before(spells, n, at) else int64(spells[at, MORE])
            if comes_before(spells, n, at):
                spells[at, LESS] = n
                if at == services[s, HEAD]:
                    services[s, HEAD] = n
            else:
                spells[at, MORE] = n
        spells[n, ABOVE] = at
        if services[s, FIRST_FIT]:
            while at >= 0 and spells[at, LEAST] > need:
                spells[at, LEAST] = need
                at = int64(spells[at, ABOVE])
        # Ranks are in no order, so lifting by rank keeps the tree as shallow as a shuffled one, in whatever order
        # people join.
        while spells[n, ABOVE] >= 0 and rank(int64(spells[n, ABOVE])) < rank(n):
            lift(spells, services, s, n)
    # Whoever cannot be accepted now changes nothing for the others; what lets them in later touches the service.
    if (services[s, HEAD] == n or services[s, FIRST_FIT]) and (
        services[s, IN_USE] + need <= services[s, CAPACITY] + services[s, ESCALATION]
    ):
        touch(run, s)


@hot
def quit_queue(spells, services, run, n):
    """Spell n leaves the queue it stands in."""
    s = index(spells[n, QUEUE])
    spells[n, QUEUE] = -1
    services[s, WAITING] -= 1
    if services[s, WAITING] == 0:
        services[s, ROOT] = -1
        services[s, HEAD] = -1
        services[s, TAIL] = -1
        return
    if services[s, HEAD] == n:
        after = int64(spells[n, MORE])
        if after < 0:
            after = int64(spells[n, ABOVE])
        else:
            while spells[after, LESS] >= 0:
                after = int64(spells[after, LESS])
        services[s, HEAD] = after
    if services[s, TAIL] == n:
        before = int64(spells[n, LESS])
        if before < 0:
            before = int64(spells[n, ABOVE])
        else:
            while spells[before, MORE] >= 0:
                before = int64(spells[before, MORE])
        services[s, TAIL] = before
    # A node with two below cannot be cut out: it is turned down, the higher rank above it, until at most one is below.
    while spells[n, LESS] >= 0 and spells[n, MORE] >= 0:
        less = int64(spells[n, LESS])
        more = int64(spells[n, MORE])
        lift(spells, services, s, less if rank(less) > rank(more) else more)
    child = spells[n, LESS] if spells[n, LESS] >= 0 else spells[n, MORE]
    above = int64(spells[n, ABOVE])
    if child >= 0:
        spells[child, ABOVE] = above
    if above < 0:
        services[s, ROOT] = child
    elif spells[above, LESS] == n:
        spells[above, LESS] = child
    else:
        spells[above, MORE] = child
    if services[s, FIRST_FIT]:
        while above >= 0:
            least(spells, above)
            above = int64(spells[above, ABOVE])
    touch(run, s)  # the next in the queue may fit


@hot
def first_that_fits(spells, services, s, free):
    """The first in the queue of service s who needs at most `free` units, -1 for none."""
    n = int64(services[s, ROOT])
    if n < 0 or spells[n, LEAST] > free:
        return -1
    while True:
        less = int64(spells[n, LESS])
        if less >= 0 and spells[less, LEAST] <= free:
            n = less
        elif spells[n, NEED] <= free:
            return n
        else:
            n = int64(spells[n, MORE])


# -------------------------------------------------------------------------------------------- a person's way


@hot
def free_units(services, run, s, units):
    """So many units of service s are no longer in use."""
    # Where nobody waits nobody can be let in: whoever joins later touches the service then, if there is room.
    services[s, IN_USE] -= units
    if units > 0 and services[s, WAITING] > 0:  # rule: decision is due, freed
        touch(run, s)


@hot
def own(rows, rare, spells, n, s):
    """Units spell n holds that count towards a row of service s."""
    if spells[n, MARKS] & HOLDS:  # rule: want, less the units held
        i = index(spells[n, ROW])
        # Units kept for a later row are not at hand for the next one, which needs its own beside them.
        if rows[i, SERVICE] == s and keeps_for(rows, rare, i) < 0:  # rule: want, not those kept
            return int64(rows[i, TAKEN])
    return 0


@hot
def keeps_for(rows, rare, i):
    """The row at whose end the units of row i are freed, -1 when they are freed at its own."""
    more = int64(rows[i, RARE])
    if more < 0:
        return -1
    return int64(rare[more, KEEP])


@hot
def is_reserved(rows, spells, n, s):
    """Are units of service s reserved for spell n?"""
    return spells[n, MARKS] & RESERVES != 0 and rows[spells[n, RESERVED], SERVICE] == s


@hot
def next_is_reserved(rows, spells, n, i):
    """Are units of the service that follows row i reserved for spell n?"""
    return rows[i, NEXT] >= 0 and is_reserved(rows, spells, n, int64(rows[rows[i, NEXT], SERVICE]))


@hot
def size(rows, rare, spells, n):
    """Units of the row the spell wants, declined or not."""
    j = index(spells[n, TARGET])
    if spells[n, MARKS] & DECLINED:
        return int64(rare[rows[j, RARE], DECLINED_UNITS])
    return int64(rows[j, UNITS])


@hot
def needed(rows, rare, spells, n):
    """What the row the spell wants needs of its service."""
    s = index(rows[index(spells[n, TARGET]), SERVICE])
    need = size(rows, rare, spells, n) - own(rows, rare, spells, n, s)
    if is_reserved(rows, spells, n, s):
        need -= int64(rows[spells[n, RESERVED], TAKEN])  # rule: want, less what is reserved
    return need


@hot
def want(rows, rare, stamps, spells, services, heads, asks, run, n, t):
    """Spell n wants its target: it is accepted at once (True) or queues."""
    j = index(spells[n, TARGET])
    more = int64(rows[j, RARE])
    stamps[j, ROW_JOINED] = t
    spells[n, MARKS] &= ~DECLINED
    declines = int64(-1)
    joined = t  # rule: want, minute of joining
    if more >= 0:
        if rare[more, DECLINE_AFTER] >= 0:
            declines = int64(spells[n, BASE]) + int64(rare[more, DECLINE_AFTER]) + 1  # rule: want, declined
            # Declined before asking: the need is the larger one at once, and no event comes. Behind it, `declines > t`
            # makes one.
            if declines <= t:
                spells[n, MARKS] |= DECLINED
        # The place in the queue may be that of a row joined earlier (a fallback, a second try): its minute makes the
        # key.
        since = int64(rare[more, SINCE])
        if since >= 0 and stamps[since, ROW_JOINED] >= 0:  # rule: want, since
            joined = int64(stamps[since, ROW_JOINED])
    # What is held or reserved in the same service covers it: nobody is asked, so neither calendar nor quota counts.
    need = needed(rows, rare, spells, n)
    if need <= 0:  # rule: want, nothing needed
        return True
    spells[n, PHASE] = QUEUES
    key = int64(rows[j, PRIORITY]) * run[HORIZON] + joined  # rule: want, key
    join(spells, services, run, index(rows[j, SERVICE]), n, key, need)
    # Patience begins only if this pass does not accept them: until then it is one entry in a list, not an event.
    if rows[j, PATIENCE] >= 0:
        asks[run[ASKS]] = n
        run[ASKS] += 1
    if declines > t:
        schedule(spells, heads, run, DECLINE, n, declines)
    return False


@hot
def accept(rows, rare, stamps, spells, services, heads, run, n, t):
    """Spell n is accepted in its target; it stands in no queue."""
    # Death is not cancelled: who was accepted is still in the old row, and may die there before they move.
    cancel(spells, heads, PATIENCE_ENDS, n)
    cancel(spells, heads, DECLINE, n)
    cancel(spells, heads, UNFIT, n)  # rule: accepted, timers end
    j = index(spells[n, TARGET])
    s = index(rows[j, SERVICE])
    need = size(rows, rare, spells, n)
    stamps[j, ROW_ACCEPTED] = t
    rows[j, TAKEN] = need
    if is_reserved(rows, spells, n, s):
        taken_over = min(need, int64(rows[spells[n, RESERVED], TAKEN]))
        free_reserved(rows, stamps, spells, services, heads, run, n, taken_over, t)
        need -= taken_over
    handed = min(need, own(rows, rare, spells, n, s))
    # In use from now on, though the person comes later: a bed that is promised is no longer to be had.
    services[s, IN_USE] += need - handed  # rule: accepted, in use
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
def go(rows, spells, heads, run, n):
    """Spell n is about to leave the system from the row it is in."""
    cancel(spells, heads, UNFIT, n)
    spells[n, TARGET] = -1
    begin_leaving(rows, spells, n, 0)


@hot
def start(rows, rare, stamps, spells, heads, run, n, j, t):
    """Spell n comes to row j."""
    stamps[j, ROW_STARTED] = t  # rule: start, started
    spells[n, ROW] = j
    spells[n, PHASE] = STAYS
    spells[n, TASK] = rows[j, FIRST_TASK]  # to be fetched in time
    marks = int64(spells[n, MARKS])
    spells[n, MARKS] = marks | HOLDS
    duration = int64(rows[j, DURATION])
    if marks & DECLINED:  # rule: start, declined
        duration = int64(rare[rows[j, RARE], DECLINED_DURATION])
    schedule(spells, heads, run, MAIN, n, t + duration)


@cold
def free_kept(rows, rare, stamps, spells, services, run, n, ended, t):
    """The units kept until row `ended` are freed; all of them when that is -1, the end of the spell."""
    before = int64(-1)
    row = int64(spells[n, KEPT])
    while row >= 0:
        also = int64(rows[row, NEXT_ROW])
        if ended < 0 or keeps_for(rows, rare, row) == ended:  # rule: leave, kept until
            stamps[row, ROW_FREED] = t
            free_units(services, run, int64(rows[row, SERVICE]), int64(rows[row, TAKEN]))
            if before < 0:
                spells[n, KEPT] = also
            else:
                rows[before, NEXT_ROW] = also
        else:
            before = row
        row = also
    if spells[n, KEPT] < 0:
        spells[n, MARKS] &= ~KEEPS


@hot
def leave(rows, rare, stamps, spells, services, heads, run, n, ended, may_keep, t):
    """Spell n leaves the row it holds: moved on, left or displaced."""
    i = index(spells[n, ROW])
    marks = int64(spells[n, MARKS]) & ~HOLDS
    stamps[i, ROW_LEFT] = t
    rows[i, ENDED] = ended
    # Kept rows are a list through the rows themselves (NEXT_ROW), for any number of them may be kept at once.
    if may_keep and keeps_for(rows, rare, i) >= 0:  # rule: leave, kept
        rows[i, NEXT_ROW] = spells[n, KEPT] if marks & KEEPS else -1
        spells[n, KEPT] = i
        marks |= KEEPS
    else:
        stamps[i, ROW_FREED] = t
        free_units(services, run, index(rows[i, SERVICE]), int64(rows[i, TAKEN]) - int64(spells[n, HANDED]))
    spells[n, MARKS] = marks
    if marks & KEEPS:
        free_kept(rows, rare, stamps, spells, services, run, n, i, t)
    cancel(spells, heads, DEATH, n)
    more = int64(rows[i, RARE])
    # The readmission is an event of the child, which knows by PARENT whose way it ends, wherever they are by then.
    if more >= 0 and rare[more, CHILD] >= 0:
        child = int64(rare[more, CHILD])
        spells[child, PARENT] = n
        # rule: leave, readmission
        schedule(spells, heads, run, READMISSION, child, t + int64(rare[more, READMISSION_GAP]))


@cold
def free_reserved(rows, stamps, spells, services, heads, run, n, taken_over, t):
    """The reservation for spell n ends: what is not taken over is freed."""
    i = int64(spells[n, RESERVED])
    spells[n, MARKS] &= ~RESERVES
    cancel(spells, heads, RELEASE, n)
    stamps[i, ROW_FREED] = t
    free_units(services, run, index(rows[i, SERVICE]), int64(rows[i, TAKEN]) - taken_over)


@cold
def end_spell(rows, rare, stamps, spells, services, heads, run, n, phase, t):
    """Spell n is over, GONE or DEAD: everything still kept or reserved is freed."""
    spells[n, PHASE] = phase
    if spells[n, MARKS] & KEEPS:
        free_kept(rows, rare, stamps, spells, services, run, n, -1, t)
    if spells[n, MARKS] & RESERVES:  # rule: readmission, not taken over
        free_reserved(rows, stamps, spells, services, heads, run, n, 0, t)


@hot
def ready(rows, rare, stamps, spells, services, heads, run, n, t):
    """The work of the row spell n is in is done."""
    i = index(spells[n, ROW])
    more = int64(rows[i, RARE])
    stamps[i, ROW_READY] = t
    if more >= 0 and rare[more, DIES]:
        give_back(rows, rare, stamps, spells, services, run, n, DIED, -1, t)
        end_spell(rows, rare, stamps, spells, services, heads, run, n, DEAD, t)
        return
    spells[n, PHASE] = BEFORE
    spells[n, TASK] = rows[i, FIRST_TASK]
    spells[n, LAST_TASK] = rows[i, FIRST_TASK] + rows[i, N_BEFORE]
    spells[n, HANDED] = 0
    if rows[i, RECOGNITION] == 0:
        recognise(stamps, spells, n, t)
    if more >= 0:
        # Who holds nothing can neither die nor be unfit here: the timers are of the bed, not of the person.
        if not rare[more, HOLD]:  # rule: leave, hold
            ended = MOVED_ON if rows[i, NEXT] >= 0 else LEFT
            leave(rows, rare, stamps, spells, services, heads, run, n, ended, False, t)
            return
        if rare[more, DEATH_AFTER] >= 0:
            schedule(spells, heads, run, DEATH, n, t + int64(rare[more, DEATH_AFTER]))
        if rare[more, UNFIT_AFTER] >= 0:
            schedule(spells, heads, run, UNFIT, n, t + int64(rare[more, UNFIT_AFTER]))


@hot
def recognise(stamps, spells, n, t):
    stamps[index(spells[n, ROW]), ROW_RECOGNISED] = t
    spells[n, BASE] = t


@hot
def grant(tasks, spells, heads, openings, first, run, n, t):
    """Work on the task of spell n begins."""
    k = index(spells[n, TASK])
    tasks[k, TASK_GRANTED] = t
    calendar = int64(tasks[k, TASK_CALENDAR])
    work = int64(tasks[k, TASK_MINUTES])
    # rule: task, end
    end = plus_open(openings, first, calendar, t, work) if work > 0 else next_open(openings, first, calendar, t)
    schedule(spells, heads, run, MAIN, n, end)


@hot
def task_done(rows, spells, n, stamps, t):
    """The task of spell n has ended or was passed over."""
    i = index(spells[n, ROW])
    k = spells[n, TASK]
    spells[n, TASK] = k + 1
    if spells[n, PHASE] == BEFORE and k - rows[i, FIRST_TASK] + 1 == rows[i, RECOGNITION]:  # rule: ready, recognition
        recognise(stamps, spells, n, t)


@hot
def end_task(rows, tasks, stamps, spells, services, run, n, t):
    k = index(spells[n, TASK])
    tasks[k, TASK_ENDED] = t
    if tasks[k, TASK_POOL] >= 0:  # rule: task, unit free again
        free_units(services, run, int64(tasks[k, TASK_POOL]), 1)
    task_done(rows, spells, n, stamps, t)


@hot
def proceed(rows, rare, tasks, stamps, spells, services, heads, asks, openings, first, run, n, t):
    """Carry spell n on, from task to task and row to row, until there is something to wait for."""
    while True:
        phase = spells[n, PHASE]
        if phase == WANTS:
            if spells[n, TARGET] >= 0:
                if not want(rows, rare, stamps, spells, services, heads, asks, run, n, t):
                    return
                accept(rows, rare, stamps, spells, services, heads, run, n, t)
            elif spells[n, MARKS] & HOLDS:
                go(rows, spells, heads, run, n)
            else:
                end_spell(rows, rare, stamps, spells, services, heads, run, n, GONE, t)
                return
        k = index(spells[n, TASK])
        i = int64(spells[n, ROW])
        if k < spells[n, LAST_TASK]:
            # Asked when the task would begin, not before: the reservation may be lost while earlier tasks are done.
            if tasks[k, TASK_SKIP] and next_is_reserved(rows, spells, n, i):  # rule: task, skip if kept
                task_done(rows, spells, n, stamps, t)
                continue
            tasks[k, TASK_BEGAN] = t
            pool = int64(tasks[k, TASK_POOL])
            if pool >= 0:
                key = int64(rows[index(i), PRIORITY]) * run[HORIZON] + t  # rule: task, key
                join(spells, services, run, pool, n, key, 1)
            else:
                grant(tasks, spells, heads, openings, first, run, n, t)
            return
        if spells[n, PHASE] == BEFORE:
            i = index(i)
            if stamps[i, ROW_RECOGNISED] < 0:
                recognise(stamps, spells, n, t)
            if rows[i, NEXT] >= 0:
                spells[n, TARGET] = rows[i, NEXT]
                spells[n, PHASE] = WANTS
            else:
                go(rows, spells, heads, run, n)
            continue
        j = int64(spells[n, TARGET])
        if spells[n, MARKS] & HOLDS:
            leave(rows, rare, stamps, spells, services, heads, run, n, MOVED_ON if j >= 0 else LEFT, True, t)
        if j >= 0:
            start(rows, rare, stamps, spells, heads, run, n, j, t)
        else:
            end_spell(rows, rare, stamps, spells, services, heads, run, n, GONE, t)
        return


@cold
def proceed_rarely(rows, rare, tasks, stamps, spells, services, heads, asks, openings, first, run, n, t):
    """`proceed`, for callers that need it too seldom to have it laid in."""
    proceed(rows, rare, tasks, stamps, spells, services, heads, asks, openings, first, run, n, t)


@hot
def arrive(rows, rare, stamps, spells, services, heads, run, n, t):
    """Spell n comes from nowhere and wants its first row, or is there already."""
    spells[n, BASE] = t
    spells[n, PHASE] = WANTS
    if spells[n, MARKS] & INITIAL:
        j = index(spells[n, TARGET])
        stamps[j, ROW_JOINED] = t
        stamps[j, ROW_ACCEPTED] = t
        rows[j, TAKEN] = rows[j, UNITS]
        services[rows[j, SERVICE], IN_USE] += rows[j, UNITS]
        start(rows, rare, stamps, spells, heads, run, n, j, t)


# ------------------------------------------------------------------------------- what may cross a person's way


@cold
def break_off(tasks, spells, services, heads, run, n):
    """Spell n leaves the queue it stands in, or its task at work is broken off; its timers end."""
    phase = spells[n, PHASE]
    if spells[n, QUEUE] >= 0:
        quit_queue(spells, services, run, n)
        cancel(spells, heads, PATIENCE_ENDS, n)
        cancel(spells, heads, DECLINE, n)
    elif phase in (BEFORE, AFTER):
        pool = int64(tasks[spells[n, TASK], TASK_POOL])
        if pool >= 0:
            free_units(services, run, pool, 1)
    cancel(spells, heads, MAIN, n)
    cancel(spells, heads, UNFIT, n)
    cancel(spells, heads, DEATH, n)


@cold
def give_back(rows, rare, stamps, spells, services, run, n, ended, heir, t):
    """Spell n ends: the rows it is in or was accepted in are given back, the former to a reservation for `heir`."""
    phase = spells[n, PHASE]
    j = int64(spells[n, TARGET])
    if phase == QUEUES:
        rows[j, ENDED] = ended
    elif phase == AFTER and j >= 0:
        rows[j, ENDED] = ended
        stamps[j, ROW_FREED] = t
        free_units(services, run, int64(rows[j, SERVICE]), int64(rows[j, TAKEN]) - int64(spells[n, HANDED]))
    if not spells[n, MARKS] & HOLDS:
        return
    i = int64(spells[n, ROW])
    spells[n, MARKS] &= ~HOLDS
    stamps[i, ROW_LEFT] = t
    rows[i, ENDED] = ended
    if heir >= 0 and kept_on_readmission(rows, rare, i) > 0:  # rule: readmission, reserved
        spells[heir, RESERVED] = i
        spells[heir, MARKS] |= RESERVES
    else:
        stamps[i, ROW_FREED] = t
        free_units(services, run, index(rows[i, SERVICE]), int64(rows[i, TAKEN]))


@hot
def kept_on_readmission(rows, rare, i):
    """For so many minutes the units of row i stay reserved for whoever is readmitted from it."""
    more = int64(rows[i, RARE])
    if more < 0:
        return 0
    return int64(rare[more, KEPT_ON_READMISSION])


@cold
def die(rows, rare, tasks, stamps, spells, services, heads, run, n, t):
    """Death while waiting."""
    break_off(tasks, spells, services, heads, run, n)
    give_back(rows, rare, stamps, spells, services, run, n, DIED, -1, t)
    end_spell(rows, rare, stamps, spells, services, heads, run, n, DEAD, t)


@cold
def readmit(rows, rare, tasks, stamps, spells, services, heads, run, n, t):
    """The readmission that is spell n is due: False when it falls away."""
    parent = int64(spells[n, PARENT])
    phase = spells[parent, PHASE]
    # The dead do not come back. Who went home does, and so does who is still waiting, whose way it breaks off.
    if phase == DEAD:  # rule: readmission, of the dead
        return False
    # The way that is broken off ends before the new spell arrives, so that what it frees is free in this minute's
    # decision, and its last row may be reserved for the child, which is what `kept_on_readmission` says.
    if phase != GONE:
        break_off(tasks, spells, services, heads, run, parent)
        give_back(rows, rare, stamps, spells, services, run, parent, READMITTED, n, t)
        end_spell(rows, rare, stamps, spells, services, heads, run, parent, GONE, t)
        if spells[n, MARKS] & RESERVES:
            kept = kept_on_readmission(rows, rare, int64(spells[n, RESERVED]))
            schedule(spells, heads, run, RELEASE, n, t + kept)  # rule: readmission, release
    return True


@cold
def become_unfit(rows, rare, tasks, stamps, spells, services, heads, run, n, t):
    """Unfit again: spell n resumes in the same units."""
    i = int64(spells[n, ROW])
    if spells[n, PHASE] == QUEUES:
        rows[spells[n, TARGET], ENDED] = UNFIT_AGAIN
    break_off(tasks, spells, services, heads, run, n)
    j = int64(rare[rows[i, RARE], UNFIT_TO])
    units = int64(rows[j, UNITS])
    stamps[i, ROW_LEFT] = t
    stamps[i, ROW_FREED] = t
    rows[i, ENDED] = UNFIT_AGAIN
    free_units(services, run, index(rows[i, SERVICE]), int64(rows[i, TAKEN]) - units)  # rule: unfit again, surplus
    if spells[n, MARKS] & KEEPS:
        free_kept(rows, rare, stamps, spells, services, run, n, i, t)
    stamps[j, ROW_JOINED] = t
    stamps[j, ROW_ACCEPTED] = t
    rows[j, TAKEN] = units
    spells[n, MARKS] &= ~DECLINED
    start(rows, rare, stamps, spells, heads, run, n, j, t)


@cold
def turn_elsewhere(rows, spells, services, heads, run, n, ended):
    """Spell n leaves the queue of its target (gave up or turned away) and wants what it would have otherwise."""
    quit_queue(spells, services, run, n)
    cancel(spells, heads, DECLINE, n)
    j = int64(spells[n, TARGET])
    # Lost to this queue, not to the run: they want what is planned otherwise; -1 there, they go with less, or are gone.
    rows[j, ENDED] = ended  # rule: patience ends, in the queue
    spells[n, TARGET] = rows[j, OTHERWISE]
    spells[n, PHASE] = WANTS  # rule: patience ends, want otherwise


@cold
def may_give_up(rows, rare, openings, first, run, j, t):
    """The first minute from t on in which the queue of row j may be given up; the horizon or later for never."""
    more = int64(rows[j, RARE])
    if more >= 0 and t < run[HORIZON]:  # calendars know no later day
        t = next_open(openings, first, int64(rare[more, PATIENCE_CALENDAR]), t)  # rule: want, patience until a clock
    return t


@cold
def wait_or_leave(rows, rare, spells, services, heads, openings, first, run, n, t):
    """Spell n asked in this pass and will not queue for ever: unless it was accepted, patience begins or it leaves.

    Whoever was readmitted in this very minute is no longer in that queue.
    """
    if spells[n, PHASE] != QUEUES or spells[n, MARKS] & (1 << PATIENCE_ENDS):
        return
    j = index(spells[n, TARGET])
    patience = int64(rows[j, PATIENCE])  # rule: try now
    if patience > 0:
        ends = may_give_up(rows, rare, openings, first, run, j, t + patience)  # rule: want, patience
        schedule(spells, heads, run, PATIENCE_ENDS, n, ends)
    elif patience == 0:
        turn_elsewhere(rows, spells, services, heads, run, n, TURNED_AWAY)


@cold
def change_need(rows, rare, spells, services, run, n):
    """Spell n stands in the queue of its target and needs something else: the key stays."""
    s = int64(spells[n, QUEUE])
    # Taken out and put back by the same key: trees with first fit know the least need below each node, which changes.
    key = int64(spells[n, KEY])  # rule: want, the key stays
    quit_queue(spells, services, run, n)
    join(spells, services, run, s, n, key, max(needed(rows, rare, spells, n), 0))


@cold
def release(rows, rare, stamps, spells, services, heads, run, n, t):
    """What was reserved for spell n is freed."""
    s = rows[spells[n, RESERVED], SERVICE]
    free_reserved(rows, stamps, spells, services, heads, run, n, 0, t)
    if spells[n, PHASE] == QUEUES and spells[n, QUEUE] == s:  # rule: readmission, released
        change_need(rows, rare, spells, services, run, n)


@cold
def first_to_displace(rows, spells, services, order, s, units):
    """The list (by NEXT_ROW) of the rows of service s whose people make up so many units; its first, -1 for none."""
    foremost = last = int64(-1)
    for p in range(services[s, ORDER_FROM], services[s, ORDER_TO]):  # rule: displacement, order
        if units <= 0:
            break
        i = int64(order[p])
        n = int64(rows[i, SPELL])
        if spells[n, ROW] == i and spells[n, PHASE] == STAYS:
            units -= int64(rows[i, TAKEN])
            if last < 0:
                foremost = i
            else:
                rows[last, NEXT_ROW] = i
            rows[i, NEXT_ROW] = -1
            last = i
    return foremost


@cold
def displace(rows, rare, stamps, spells, services, heads, run, n, t):
    """Spell n is put out of the row it is in and wants the row for the displaced."""
    i = int64(spells[n, ROW])
    cancel(spells, heads, MAIN, n)
    stamps[i, ROW_READY] = t
    spells[n, HANDED] = 0
    leave(rows, rare, stamps, spells, services, heads, run, n, DISPLACED, False, t)
    more = int64(rows[i, RARE])
    spells[n, TARGET] = rare[more, DISPLACED_TO] if more >= 0 else -1
    spells[n, BASE] = t  # rule: displacement, base
    spells[n, PHASE] = WANTS


# ------------------------------------------------------------------------------------------------- the decision


@hot
def next_touched(run, s):
    """The first service from s on that must be looked at, -1 for none."""
    word = s >> 6
    if word >= run[WORDS]:
        return -1
    bits = run[DIRTY + word] & -(1 << (s & 63))
    while bits == 0:
        word += 1
        if word == run[WORDS]:
            return -1
        bits = run[DIRTY + word]
    return (word << 6) + lowest_bit(bits)


@hot
def wake(spells, services, heads, run, s, t):
    """Service s must be looked at in minute t, when it opens or its quota is reset."""
    # One wake a service is enough: it is shut until then, and the first look after it finds all who have joined.
    if services[s, WAKE_AT] < 0:
        services[s, WAKE_AT] = t
        schedule(spells, heads, run, WAKE, run[N_SPELLS] + s, t)


@hot
def may_accept(spells, services, heads, openings, first, run, quota_day, quota_week, s, t):
    """Is the calendar open in this minute and quota left? If not, the service is looked at again when they may be."""
    opens = next_open(openings, first, int64(services[s, CALENDAR]), t)  # rule: decision 2, calendar
    if opens > t:
        wake(spells, services, heads, run, s, opens)  # rule: decision is due, opened
        return False
    if services[s, QUOTA]:
        day = t // DAY
        if day != services[s, QUOTA_DAY]:
            services[s, QUOTA_DAY] = day
            services[s, USED_DAY] = 0  # rule: decision 2, quota of the day
        week = (day + run[WEEKDAY]) // 7  # rule: decision 2, week
        if week != services[s, QUOTA_WEEK]:
            services[s, QUOTA_WEEK] = week
            services[s, USED_WEEK] = 0
        if (quota_day[s, day] >= 0 and services[s, USED_DAY] >= quota_day[s, day]) or (
            quota_week[s, week] >= 0 and services[s, USED_WEEK] >= quota_week[s, week]
        ):
            wake(spells, services, heads, run, s, (day + 1) * DAY)  # rule: decision is due, quota
            return False
        # Counted as one is let through, for all that ask this are accepted at once. A staff grant counts as well.
        services[s, USED_DAY] += 1
        services[s, USED_WEEK] += 1
    return True


@hot
def rounds(rows, rare, tasks, stamps, spells, services, heads, asks, openings, first, run, quota_day, quota_week, t):
    """Staff pools, then services, each accepting all it can, until a round accepts nobody.

    Only services that were touched since they last had nobody to accept can accept anybody.
    """
    s = next_touched(run, 0)  # rule: decision 2, index order
    while s >= 0:
        while services[s, WAITING] > 0:  # rule: decision 2, all it can
            free = services[s, CAPACITY] + services[s, ESCALATION] - services[s, IN_USE]
            if free <= 0:
                break
            # rule: decision 2, first fit
            n = first_that_fits(spells, services, s, free) if services[s, FIRST_FIT] else index(services[s, HEAD])
            if n < 0 or spells[n, NEED] > free:
                break
            # rule: decision 2, may accept
            if not may_accept(spells, services, heads, openings, first, run, quota_day, quota_week, s, t):
                break
            quit_queue(spells, services, run, n)  # rule: decision 2, accepted
            if spells[n, PHASE] == QUEUES:
                accept(rows, rare, stamps, spells, services, heads, run, n, t)
                proceed(rows, rare, tasks, stamps, spells, services, heads, asks, openings, first, run, n, t)
            else:
                services[s, IN_USE] += 1
                grant(tasks, spells, heads, openings, first, run, n, t)
        run[DIRTY + (s >> 6)] &= ~(1 << (s & 63))
        # Rounds go upwards through the services: what a later one frees for an earlier one is for the next round.
        after = next_touched(run, s + 1)  # rule: decision 2, the next service
        s = after if after >= 0 else next_touched(run, 0)  # rule: decision 2, the next round


@cold
def look(services, run, looks, rules, t):
    """Escalation: all rules at one snapshot of the people still queueing."""
    while run[NEXT_LOOK] < looks.shape[0] and looks[run[NEXT_LOOK], LOOK_MINUTE] == t:
        rule = looks[run[NEXT_LOOK], LOOK_RULE]
        last = looks[run[NEXT_LOOK], LOOK_LAST]
        run[NEXT_LOOK] += 1
        queue = services[rules[rule, RULE_WATCH], WAITING]
        opens = rules[rule, RULE_IS_OPEN]
        # Between the two bounds a rule stays as it is, so that it does not open and close from look to look.
        if last or queue <= rules[rule, RULE_CLOSE]:  # rule: decision 3, closes
            opens = 0
        elif queue >= rules[rule, RULE_OPEN]:  # rule: decision 3, opens
            opens = 1
        if opens != rules[rule, RULE_IS_OPEN]:
            rules[rule, RULE_IS_OPEN] = opens
            s = int64(rules[rule, RULE_SERVICE])
            services[s, ESCALATION] += rules[rule, RULE_UNITS] if opens else -rules[rule, RULE_UNITS]
            services[s, CHANGED] = ESCALATED + 1  # rule: capacity log, reason
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
            if capacity != services[s, LOGGED]:  # rule: capacity log, changed
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


@hot
def look_ahead(rows, tasks, stamps, spells, heads, t):
    """Ask for the lines that the first two events of the minutes to come will need, each in good time."""
    # A line from memory takes as long as some minutes of a run. So the first spell is asked for seven minutes ahead;
    # when it has come, four ahead, the rows and tasks it names; and two ahead those of the second spell. Behind the
    # horizon `heads` has eight lists more, so that t + 7 is always one of its lines.
    fetch(spells, (heads[t + 7, HAPPENS] - 1) >> KIND_BITS, PHASE)
    fetch_for(rows, tasks, stamps, spells, int64(heads[t + 4, HAPPENS]))
    fetch_for(rows, tasks, stamps, spells, behind(spells, max(int64(heads[t + 2, HAPPENS]), ANY)))


@hot
def fetch_for(rows, tasks, stamps, spells, event):
    """Ask for the rows that an event's spell is in and comes to, for its tasks, and for the spell of the next event."""
    event = max(event, ANY)
    n = index((event - 1) >> KIND_BITS)
    j = int64(spells[n, TARGET])
    fetch(rows, j, 0)
    fetch(rows, j + 1, 0)
    fetch(stamps, j, 0)
    fetch(stamps, j + 1, 0)
    fetch(tasks, int64(spells[n, TASK]), 0)
    fetch(tasks, int64(spells[n, TASK]) + 2, 0)
    fetch(spells, (behind(spells, event) - 1) >> KIND_BITS, PHASE)


@njit(cache=True)
def advance(
    rows, rare, tasks, stamps, spells, services, heads, asks, openings, first, run,
    quota_day, quota_week, steps, looks, rules, displacements, order, log, begin, end,
):  # fmt: skip
    """Run the minutes begin <= t < end (horizon at most). `order`: the rows of each service with displacements in the
    order in which they are displaced, ``order[ORDER_FROM:ORDER_TO]`` of the service."""
    # One function, though long: a part of it that is called would cost each minute and event a call with all tables,
    # and laid in it would be the same code. It reads as the contract does, from displacements to those turned away.
    for t in range(begin, end):
        fixed = t == run[NEXT_FIXED]
        # Also in a minute without events: those to come need their lines all the same.
        look_ahead(rows, tasks, stamps, spells, heads, index(t))
        if heads[t, HAPPENS] == 0 and heads[t, CROSSES] == 0 and not fixed:
            continue
        if fixed:
            step(services, run, steps, t)
        first_pass = True
        while True:
            while True:  # an event may bring on others in this minute
                event = next_event(spells, heads, run, t)
                if event == 0:
                    break
                # While this event runs, what the one after the next needs is on its way.
                fetch_for(rows, tasks, stamps, spells, behind(spells, max(int64(heads[t, HAPPENS]), ANY)))
                n = index((event - 1) >> KIND_BITS)
                kind = (event - 1) & WAKE
                if kind == MAIN:
                    phase = spells[n, PHASE]
                    if phase == STAYS:
                        ready(rows, rare, stamps, spells, services, heads, run, n, t)
                    elif phase == AWAY:
                        arrive(rows, rare, stamps, spells, services, heads, run, n, t)
                    else:
                        end_task(rows, tasks, stamps, spells, services, run, n, t)
                elif kind == WAKE:
                    s = n - run[N_SPELLS]
                    services[s, WAKE_AT] = -1
                    touch(run, s)
                    continue
                elif kind == PATIENCE_ENDS:
                    turn_elsewhere(rows, spells, services, heads, run, n, GAVE_UP)  # rule: patience ends
                elif kind == DECLINE:
                    spells[n, MARKS] |= DECLINED
                    change_need(rows, rare, spells, services, run, n)
                elif kind == UNFIT:
                    become_unfit(rows, rare, tasks, stamps, spells, services, heads, run, n, t)
                elif kind == DEATH:
                    die(rows, rare, tasks, stamps, spells, services, heads, run, n, t)
                elif kind == RELEASE:
                    release(rows, rare, stamps, spells, services, heads, run, n, t)
                elif readmit(rows, rare, tasks, stamps, spells, services, heads, run, n, t):
                    arrive(rows, rare, stamps, spells, services, heads, run, n, t)
                # Who waits, stays or is gone needs nothing more. Of those at a task only MAIN says that it is over:
                # after any other event it is still at work.
                # rule: a minute, on
                if spells[n, PHASE] == WANTS or (kind == MAIN and (BEFORE <= spells[n, PHASE] <= AFTER)):
                    proceed(rows, rare, tasks, stamps, spells, services, heads, asks, openings, first, run, n, t)
            if first_pass and fixed:  # rule: decision 1
                while (
                    run[NEXT_DISPLACEMENT] < displacements.shape[0]
                    and displacements[run[NEXT_DISPLACEMENT], DISPLACEMENT_MINUTE] == t
                ):
                    k = run[NEXT_DISPLACEMENT]
                    run[NEXT_DISPLACEMENT] += 1
                    s = int64(displacements[k, DISPLACEMENT_SERVICE])
                    units = displacements[k, DISPLACEMENT_UNITS]
                    i = first_to_displace(rows, spells, services, order, s, units)
                    while i >= 0:
                        n = int64(rows[i, SPELL])
                        i = int64(rows[i, NEXT_ROW])
                        displace(rows, rare, stamps, spells, services, heads, run, n, t)
                        proceed_rarely(
                            rows, rare, tasks, stamps, spells, services, heads, asks, openings, first, run,
                            n, t,
                        )  # fmt: skip
            # No decision without a cause. The first pass of a fixed minute always has one: a look or a displacement may
            # be due.
            elif next_touched(run, 0) < 0 and run[ASKS] == 0:  # rule: decision is due
                break
            while True:  # rule: decision 2, then 3
                rounds(
                    rows, rare, tasks, stamps, spells, services, heads, asks, openings, first, run,
                    quota_day, quota_week, t,
                )  # fmt: skip
                if not (first_pass and fixed):
                    break
                first_pass = False
                look(services, run, looks, rules, t)  # rule: decision 3, then rounds again
            first_pass = False
            # Of those still queueing try-nows leave, all together; then all want elsewhere, and another pass follows.
            last = int64(run[ASKS])  # rule: decision 4, all together
            run[ASKS] = 0
            for k in range(last):
                wait_or_leave(rows, rare, spells, services, heads, openings, first, run, int64(asks[k]), t)
            for k in range(last):  # who asks again now is noted before this place
                n = int64(asks[k])
                if spells[n, PHASE] == WANTS:  # rule: decision 4, want elsewhere
                    proceed_rarely(rows, rare, tasks, stamps, spells, services, heads, asks, openings, first, run, n, t)
        if fixed:
            write_log(services, run, log, t)
            run[NEXT_FIXED] = next_fixed(run, steps, looks, displacements)


# ------------------------------------------------------------------------------------------------ before minute 0


@njit(cache=True)
def prepare(spells, heads, run, arrival, first_row, initial):
    """Every spell away and in no queue; whoever has a minute of arrival comes then. What few need is not written before
    it is needed."""
    for n in range(spells.shape[0]):
        for c in range(NODES + 2 * MAIN, spells.shape[1]):
            spells[n, c] = 0
        if n >= len(arrival):
            continue
        spells[n, ROW] = -1
        spells[n, QUEUE] = -1
        spells[n, TARGET] = first_row[n]
        if initial[n]:
            spells[n, MARKS] = INITIAL
            schedule(spells, heads, run, MAIN, n, 0)
        elif arrival[n] >= 0:
            schedule(spells, heads, run, MAIN, n, arrival[n])
