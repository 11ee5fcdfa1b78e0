"""The reference engine: patient flow told as a story, in SimPy events.

Read it next to ``docs/engine-rules.md``. A `Patient` walks the rows of a journey: *arrive*, *want* a row, wait in the
queue of a `Service`, be *accepted*, do what is left to do, *leave*, *start*, be *ready*, want the next row. Events only
change the state of the patient they belong to. Who is taken is decided by `Hospital.decide`, once everything due in the
minute has happened; whoever changed something a queue may have waited for *marks* the service, and only marked services
are looked at.

SimPy's event list does the rest: the integer priorities below put the events of a minute in the order of the contract,
with the decision behind them all. Within one priority the order does not matter, and a test shuffles it.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import numpy as np
from simpy import Environment, Event
from simpy.events import EventPriority

from flowsim.engine import standstill
from flowsim.engine.stamps import (
    DIED,
    DISPLACED,
    GAVE_UP,
    LEFT,
    MOVED_ON,
    NEVER,
    READMITTED,
    STILL_IN,
    TURNED_AWAY,
    UNFIT_AGAIN,
    Stamps,
)
from flowsim.model.calendar import ALWAYS_OPEN, DAY
from flowsim.model.tables import NO_QUOTA, NONE, REASON_CODE, TRY_NOW, Journeys, Network, columns

# What comes first within a minute. SimPy's own end of the run comes before all of the horizon's minute.
CLOCK = EventPriority(0)  # capacities, opening times, new quotas: they belong to nobody
DEATH = EventPriority(1)
READMISSION = EventPriority(2)
UNFIT = EventPriority(3)
PATIENCE = EventPriority(4)
DECLINE = EventPriority(5)
RELEASE = EventPriority(6)
MAIN = EventPriority(7)
DECISION = EventPriority(8)
MINUTE_OVER = EventPriority(9)

# Where a patient is on the way.
OUTSIDE = 0  # not yet arrived, or ended
AT_WORK = 1  # started in `row`, not ready
BEFORE_ASKING = 2  # ready; tasks before asking
ASKING = 3  # in the queue of `wanted`
AFTER_ACCEPTANCE = 4  # accepted in `wanted`, or going home: tasks after acceptance

NO_TICKET = -1
BEHIND_ALL = 2**60


class Due(Event):
    """Something that will happen to a patient (or to a service) unless it is cancelled."""

    def __init__(self, environment: Environment, action: Callable[[Any], None]) -> None:
        self.env = environment
        self.callbacks = [action]
        self._ok = True
        self._value = None

    def cancel(self) -> None:
        """Nothing will happen; the empty event stays in SimPy's list until its minute."""
        self.callbacks = []


class Service:
    """One queue and the units it queues for; a staff pool is one too.

    The queue is a heap of (key, patient). Nobody is ever removed from the middle: who leaves early hands in the
    `ticket`, and an entry whose key is not the ticket of its patient is dropped when it comes up. A `first_fit` service
    has one such heap for each size of need: the first who fits is the least of few heads, however long the queue.
    """

    __slots__ = (  # noqa: RUF023 (in the order of the story)
        "hospital", "index", "capacity", "escalation", "in_use", "waiting", "queue", "by_need", "calendar", "open_mask",
        "quota_day", "quota_week", "day", "week", "taken_today", "taken_this_week", "wakes_at", "logged", "reason",
    )  # fmt: skip

    def __init__(self, hospital: Hospital, index: int, network: Network) -> None:
        self.hospital = hospital
        self.index = index
        self.capacity = 0
        self.escalation = 0
        self.in_use = 0
        self.waiting = 0
        self.queue: list[tuple[int, Patient]] = []
        self.by_need: dict[int, list[tuple[int, Patient]]] | None = {} if network.first_fit[index] else None
        self.calendar = int(network.calendar[index])
        self.open_mask: bytes | None = None
        if self.calendar != ALWAYS_OPEN:
            self.open_mask = network.calendars.mask(self.calendar).tobytes()
        days, weeks = network.quota_day[index], network.quota_week[index]
        self.quota_day: list[int] | None = days.tolist() if (days != NO_QUOTA).any() else None
        self.quota_week: list[int] | None = weeks.tolist() if (weeks != NO_QUOTA).any() else None
        self.day = self.week = -1
        self.taken_today = self.taken_this_week = 0
        self.wakes_at = -1
        self.logged = -1
        self.reason = 0

    def join(self, patient: Patient, key: int) -> None:
        """The patient takes a ticket and queues for `patient.need` units."""
        patient.ticket = key
        patient.queued_in = self
        self.waiting += 1
        self._push(patient, key)
        # Marked even if there is no room: only the round asks who is next and whether they fit.
        self.hospital.mark(self)

    def quit(self, patient: Patient) -> None:
        """The patient hands in the ticket. Whoever stood behind may now be at the head."""
        patient.ticket = NO_TICKET
        patient.queued_in = None
        self.waiting -= 1
        if self.waiting:
            self.hospital.mark(self)

    def change_need(self, patient: Patient, need: int) -> None:
        """The patient, who queues here, needs another number of units; the place in the queue stays."""
        patient.need = need
        if self.by_need is not None:
            self._push(patient, patient.ticket)
        self.hospital.mark(self)

    def release(self, units: int) -> None:
        """So many units are no longer in use."""
        if units:
            self.in_use -= units
            if self.waiting:
                self.hospital.mark(self)

    def accept_all(self) -> None:
        """Accept, one after the other, all who may be taken in this minute; what that frees here counts at once."""
        while self.waiting and self._is_open() and self._quota_left():
            patient = self._next()
            if patient is None:
                return
            # Out of the queue before being called: what follows in this instant may join another queue, or this one
            # again.
            patient.ticket = NO_TICKET
            patient.queued_in = None
            self.waiting -= 1
            self.taken_today += 1
            self.taken_this_week += 1
            self.in_use += patient.need
            patient.called()

    def people(self) -> list[Patient]:
        """Everyone in the queue, in no order (linear; only for the end of a run)."""
        heaps = [self.queue] if self.by_need is None else list(self.by_need.values())
        return list({p.spell: p for heap in heaps for key, p in heap if p.ticket == key}.values())

    def _push(self, patient: Patient, key: int) -> None:
        if self.by_need is None:
            heappush(self.queue, (key, patient))
        else:
            heappush(self.by_need.setdefault(patient.need, []), (key, patient))

    def _next(self) -> Patient | None:
        """Take out of the queue who is to be accepted now: the head if it fits, or the first who fits."""
        free = self.capacity + self.escalation - self.in_use
        if self.by_need is None:
            queue = self.queue
            while queue[0][1].ticket != queue[0][0]:  # left early; somebody is waiting, so the heap cannot run out
                heappop(queue)
            return heappop(queue)[1] if queue[0][1].need <= free else None
        best: list[tuple[int, Patient]] | None = None
        deserted = []
        for need, queue in self.by_need.items():
            if need > free:
                continue
            # Tickets of people who left, or whose need is another by now, which is in another heap.
            while queue and (queue[0][1].ticket != queue[0][0] or queue[0][1].need != need):
                heappop(queue)
            if not queue:
                deserted.append(need)
            elif best is None or queue[0][0] < best[0][0]:
                best = queue
        for need in deserted:
            del self.by_need[need]
        return heappop(best)[1] if best is not None else None

    def _is_open(self) -> bool:
        """Does the calendar let the service accept in this minute? If not, it is looked at again when it opens."""
        if self.open_mask is None:
            return True
        now = self.hospital.now
        if self.open_mask[now]:
            return True
        if self.wakes_at <= now:
            self._wake(self.hospital.calendars.next_open(self.calendar, now))
        return False

    def _quota_left(self) -> bool:
        """May one more be accepted today and this week? If not, the service is looked at again at midnight."""
        if self.quota_day is None and self.quota_week is None:
            return True
        now = self.hospital.now
        day = now // DAY
        week = (day + self.hospital.first_weekday) // 7
        if day != self.day:
            self.day, self.taken_today = day, 0
        if week != self.week:
            self.week, self.taken_this_week = week, 0
        today = self.quota_day[day] if self.quota_day is not None else NO_QUOTA
        this_week = self.quota_week[week] if self.quota_week is not None else NO_QUOTA
        if (today == NO_QUOTA or self.taken_today < today) and (
            this_week == NO_QUOTA or self.taken_this_week < this_week
        ):
            return True
        if self.wakes_at <= now:
            self._wake((day + 1) * DAY)
        return False

    def _wake(self, minute: int) -> None:
        """Look at the queue again in that minute."""
        self.wakes_at = minute
        self.hospital.at(minute, CLOCK, self._woken)

    def _woken(self, _event: Event) -> None:
        if self.waiting:
            self.hospital.mark(self)


class Reservation:
    """Units of the row a person was readmitted from, waiting for the readmitted person (the child spell)."""

    __slots__ = ("release", "row", "service", "units")

    def __init__(self, row: int, service: Service, units: int) -> None:
        self.row = row
        self.service = service
        self.units = units
        self.release: Due | None = None


class Patient:
    """One spell on its way. The methods stand in the order of the story; each says what happens next.

    Attributes:
        row: the row the person is in or comes from, -1 before the first.
        holding: are that row's units still held?
        wanted: the row queued for or accepted in, -1 for none.
        taken_over: units of `row` that will pass to `wanted` in the same service.
        need: units asked for in the queue the person stands in, beyond what is taken over or reserved.
        base: the minute from which delay counts for a declined need.
        kept: rows that were left but whose units are kept for a later row.
        staff: the pool one of whose staff is at work for this person.
    """

    __slots__ = (  # noqa: RUF023 (in the order of the story)
        "hospital", "spell", "phase", "row", "holding", "wanted", "declined", "taken_over", "need", "ticket",
        "queued_in", "base", "task", "last_task", "staff", "kept", "reservation",
        "main", "patience", "decline", "unfit", "death", "readmission",
    )  # fmt: skip

    def __init__(self, hospital: Hospital, spell: int) -> None:
        self.hospital = hospital
        self.spell = spell
        self.phase = OUTSIDE
        self.row = NONE
        self.holding = False
        self.wanted = NONE
        self.declined = False
        self.taken_over = 0
        self.need = 0
        self.ticket = NO_TICKET
        self.queued_in: Service | None = None
        self.base = 0
        self.task = 0
        self.last_task = 0
        self.staff: Service | None = None
        self.kept: list[int] | None = None
        self.reservation: Reservation | None = None
        self.main: Due | None = None
        self.patience: Due | None = None
        self.decline: Due | None = None
        self.unfit: Due | None = None
        self.death: Due | None = None
        self.readmission: Due | None = None

    # -- coming in ----------------------------------------------------------------------------------------------------

    def arrive(self) -> None:
        """Come from outside, holding nothing, and want the first row."""
        hospital = self.hospital
        hospital.inside[self.spell] = self
        self.base = hospital.now
        self.want(hospital.first_row[self.spell])

    def be_there(self) -> None:
        """Be in the first row when the run begins, above capacity if need be."""
        hospital = self.hospital
        hospital.inside[self.spell] = self
        row = hospital.first_row[self.spell]
        hospital.joined[row] = hospital.accepted[row] = 0
        hospital.taken[row] = hospital.units[row]
        hospital.services[hospital.service[row]].in_use += hospital.units[row]
        self.start(row)

    # -- asking for a place -------------------------------------------------------------------------------------------

    def want(self, row: int) -> None:
        """Ask for the row: accepted in this instant if nothing more is needed for it, else queue."""
        hospital = self.hospital
        now = hospital.now
        hospital.joined[row] = now
        self.phase = ASKING
        self.wanted = row
        limit = hospital.decline_after[row]
        declines = self.base + limit + 1
        # A minute later than the delay itself: a need declines when the delay is longer than `decline_after`.
        self.declined = limit >= 0 and declines <= now
        self.need = self._need()
        if self.need <= 0:
            self.need = 0
            self.be_accepted()
            return
        # A place kept from an earlier queue: it was joined then, and nobody who came since is before them.
        since = hospital.since[row]
        minute = hospital.joined[since] if since >= 0 and hospital.joined[since] >= 0 else now
        hospital.services[hospital.service[row]].join(self, hospital.key[row] + minute * hospital.key_step)
        patience = hospital.patience[row]
        if patience == TRY_NOW:
            hospital.try_nows.append((self, row))
        elif patience > 0:
            self.patience = hospital.at(hospital.may_give_up(row, now + patience), PATIENCE, self.lose_patience)
        if limit >= 0 and not self.declined:
            self.decline = hospital.at(declines, DECLINE, self.need_more)

    def _size(self) -> int:
        """Units of the whole of the wanted row."""
        hospital = self.hospital
        return (hospital.declined_units if self.declined else hospital.units)[self.wanted]

    def _own(self) -> int:
        """Units held now that count towards the wanted row, because it is in the same service."""
        hospital, row = self.hospital, self.row
        if self.holding and hospital.service[row] == hospital.service[self.wanted] and hospital.keep[row] == NONE:
            return hospital.taken[row]
        return 0

    def _need(self) -> int:
        """Units the wanted row takes beyond what is held or reserved in its service; may be negative."""
        need = self._size() - self._own()
        reservation = self.reservation
        if reservation is not None and reservation.service.index == self.hospital.service[self.wanted]:
            need -= reservation.units
        return need

    def need_more(self, _event: Event) -> None:
        """The person has declined while waiting: the larger need is asked for, in the same place of the queue."""
        self.decline = None
        self.declined = True
        self._ask_anew()

    def _ask_anew(self) -> None:
        # In no queue when the wanted row has been accepted already: what is in use stays as it was.
        if self.queued_in is not None:
            self.queued_in.change_need(self, max(self._need(), 0))

    def lose_patience(self, _event: Event) -> None:
        """Waited long enough: leave the queue and turn elsewhere."""
        self.patience = None
        self.quit_asking(GAVE_UP)
        self.turn_elsewhere()

    def quit_asking(self, ending: int) -> None:
        """Leave the queue of the wanted row, which ends so; `turn_elsewhere` or the end of the row held comes next."""
        self._leave_queue()
        self.patience = _cancelled(self.patience)
        self.decline = _cancelled(self.decline)
        self.hospital.ended[self.wanted] = ending

    def turn_elsewhere(self) -> None:
        """Want the row to fall back on; without one, go, or simply be gone where nothing is held."""
        otherwise = self.hospital.otherwise[self.wanted]
        self.wanted = NONE
        if otherwise != NONE:
            self.want(otherwise)
        elif self.holding:
            self.go()
        else:
            self.be_gone()

    def called(self) -> None:
        """A decision took this person out of a queue: a place in the wanted row, or one of a staff pool for a task."""
        if self.phase == ASKING:
            self.be_accepted()
        else:
            self.staff = self.hospital.services[self.hospital.task_pool[self.task]]
            self.be_granted()

    def be_accepted(self) -> None:
        """The units are in use from now on. What remains to be done in the present row is done; then move."""
        hospital = self.hospital
        now = hospital.now
        row = self.wanted
        size = self._size()
        hospital.accepted[row] = now
        hospital.taken[row] = size
        self.patience = _cancelled(self.patience)
        self.decline = _cancelled(self.decline)
        # A place is found, so the wait that made people unfit is over; who may die still may, until they leave.
        self.unfit = _cancelled(self.unfit)
        handed = min(self._own(), size)
        reservation = self.reservation
        if reservation is not None and reservation.service.index == hospital.service[row]:
            # what neither the queue's acceptance nor the own units cover comes out of the reservation
            used = size - handed - self.need
            self._end_reservation(reservation.units - used)
        self.taken_over = handed
        if self.row == NONE:
            self.start(row)
            return
        self.phase = AFTER_ACCEPTANCE
        self._begin_tasks()

    # -- moving -------------------------------------------------------------------------------------------------------

    def move(self) -> None:
        """Leave the present row and start the wanted one, in one instant."""
        self.leave(MOVED_ON)
        self.start(self.wanted)

    def leave(self, ending: int) -> None:
        """Be gone from the present row. Its units are freed unless kept for a later row or passed to the next."""
        if not self.holding:  # let go of when ready, or displaced: it was left then
            return
        hospital, row = self.hospital, self.row
        now = hospital.now
        hospital.left[row] = now
        hospital.ended[row] = ending
        self.holding = False
        # The timer is of the row: it ends with it, whatever comes next.
        self.death = _cancelled(self.death)
        if hospital.keep[row] == NONE:
            hospital.freed[row] = now
            hospital.services[hospital.service[row]].release(hospital.taken[row] - self.taken_over)
        elif self.kept is None:
            self.kept = [row]
        else:
            self.kept.append(row)
        self._free_kept(row)
        self._expect_readmission(row)

    def _free_kept(self, row: int) -> None:
        """Free what earlier rows kept for this one."""
        if self.kept is not None:
            for earlier in [r for r in self.kept if self.hospital.keep[r] == row]:
                self._free(earlier)
                self.kept.remove(earlier)

    def _free(self, row: int) -> None:
        hospital = self.hospital
        hospital.freed[row] = hospital.now
        hospital.services[hospital.service[row]].release(hospital.taken[row])

    def _expect_readmission(self, row: int) -> None:
        hospital = self.hospital
        if hospital.child[row] != NONE:
            self.readmission = hospital.at(
                hospital.now + hospital.readmission_gap[row],
                READMISSION,
                lambda _event: self.be_readmitted(row),
            )

    def start(self, row: int) -> None:
        """Come to the row; its work takes its duration, then the person is ready."""
        hospital = self.hospital
        now = hospital.now
        self.row = row
        self.holding = True
        self.wanted = NONE
        self.taken_over = 0
        self.phase = AT_WORK
        hospital.started[row] = now
        duration = (hospital.declined_duration if self.declined else hospital.duration)[row]
        self.main = hospital.at(now + duration, MAIN, self.be_ready)

    def be_ready(self, _event: Event) -> None:
        """The work of the stage is done. From now on every minute is delay; the tasks before asking come first."""
        hospital, row = self.hospital, self.row
        now = hospital.now
        self.main = None
        hospital.ready[row] = now
        if hospital.died[row]:
            self.die(None)
            return
        self.phase = BEFORE_ASKING
        if hospital.hold[row]:
            if hospital.death_after[row] >= 0:
                self.death = hospital.at(now + hospital.death_after[row], DEATH, self.die)
            if hospital.unfit_after[row] >= 0:
                self.unfit = hospital.at(now + hospital.unfit_after[row], UNFIT, self.be_unfit)
        else:
            # Left though not gone: the place is free for the next, the person waits without one.
            self._let_go(MOVED_ON if hospital.next[row] != NONE else LEFT)
        if hospital.recognition[row] == 0:
            hospital.recognised[row] = now
        self._begin_tasks()

    def _let_go(self, ending: int) -> None:
        """Leave the row without a place to go to: nothing is held from now on."""
        hospital, row = self.hospital, self.row
        hospital.left[row] = hospital.now
        hospital.ended[row] = ending
        self.holding = False
        self._free(row)
        self._free_kept(row)
        self._expect_readmission(row)

    # -- tasks --------------------------------------------------------------------------------------------------------

    def _begin_tasks(self) -> None:
        """Begin with the present row's tasks, those before asking or those after acceptance."""
        hospital, row = self.hospital, self.row
        first = hospital.first_task[row]
        after = first + hospital.n_before[row]
        if self.phase == BEFORE_ASKING:
            self.task, self.last_task = first, after
        else:
            self.task, self.last_task = after, after + hospital.n_after[row]
        self.go_on()

    def go_on(self) -> None:
        """The next task, or what comes when all are done: asking for the next row, or moving."""
        hospital, row = self.hospital, self.row
        now = hospital.now
        while self.task < self.last_task:
            # A kept package needs no new assessment; asked now, for it may have been lost while an earlier task was
            # done.
            if not (hospital.skip_if_kept[self.task] and self._is_reserved(hospital.next[row])):
                self.begin_task()
                return
            self._recognise()
            self.task += 1
        if self.phase == BEFORE_ASKING:
            if hospital.recognised[row] == NEVER:  # by a task that does not exist
                hospital.recognised[row] = now
            self.base = hospital.recognised[row]
            following = hospital.next[row]
            if following != NONE:
                self.want(following)
            else:
                self.go()
        elif self.wanted != NONE:
            self.move()
        else:
            self.leave(LEFT)
            self.be_gone()

    def _is_reserved(self, row: int) -> bool:
        reservation = self.reservation
        return reservation is not None and row != NONE and reservation.service.index == self.hospital.service[row]

    def _recognise(self) -> None:
        """If the task now over (or skipped) is the one that ends in recognition, the person is recognised."""
        hospital, row = self.hospital, self.row
        if self.phase == BEFORE_ASKING and self.task - hospital.first_task[row] + 1 == hospital.recognition[row]:
            hospital.recognised[row] = hospital.now

    def begin_task(self) -> None:
        """Ask for the task: it is granted at once, or by a decision when it needs one of a staff pool."""
        hospital, row, task = self.hospital, self.row, self.task
        now = hospital.now
        hospital.task_began[task] = now
        pool = hospital.task_pool[task]
        if pool == NONE:
            self.be_granted()
        else:
            self.need = 1
            hospital.services[pool].join(self, hospital.key[row] + now * hospital.key_step)

    def be_granted(self) -> None:
        """Work on the task begins; it ends after its open minutes, or at the next open minute when it is a clock."""
        hospital, task = self.hospital, self.task
        now = hospital.now
        hospital.task_granted[task] = now
        calendar, minutes = hospital.task_calendar[task], hospital.task_minutes[task]
        if minutes:
            end = hospital.calendars.plus_open(calendar, now, minutes)
        else:
            end = hospital.calendars.next_open(calendar, now)
        self.main = hospital.at(end, MAIN, self.end_task)

    def end_task(self, _event: Event) -> None:
        """The task is done and its staff free; go on."""
        self.main = None
        self.hospital.task_ended[self.task] = self.hospital.now
        self._free_staff()
        self._recognise()
        self.task += 1
        self.go_on()

    def _free_staff(self) -> None:
        if self.staff is not None:
            self.staff.release(1)
            self.staff = None

    # -- endings ------------------------------------------------------------------------------------------------------

    def go(self) -> None:
        """Leave the system when the tasks after acceptance (medicine, transport) are done."""
        self.unfit = _cancelled(self.unfit)
        self.phase = AFTER_ACCEPTANCE
        self._begin_tasks()

    def be_unfit(self, _event: Event) -> None:
        """Ill again before a place was found: resume in the same bed, in another row. The wait is over for now."""
        hospital, row = self.hospital, self.row
        now = hospital.now
        self.unfit = None
        self._break_off()
        if self.wanted != NONE:
            self.quit_asking(UNFIT_AGAIN)
        self.death = _cancelled(self.death)
        resumed = hospital.unfit_to[row]
        hospital.left[row] = hospital.freed[row] = now
        hospital.ended[row] = UNFIT_AGAIN
        hospital.joined[resumed] = hospital.accepted[resumed] = now
        hospital.taken[resumed] = hospital.units[resumed]
        hospital.services[hospital.service[row]].release(hospital.taken[row] - hospital.units[resumed])
        self._free_kept(row)
        self.declined = False
        self.start(resumed)

    def be_displaced(self) -> None:
        """Put out of the service: nothing is held, and delay counts from now; queue for another row, or be gone."""
        hospital, row = self.hospital, self.row
        now = hospital.now
        self.main = _cancelled(self.main)
        hospital.ready[row] = now
        self._let_go(DISPLACED)
        self.base = now
        following = hospital.displaced_to[row]
        if following != NONE:
            self.want(following)
        else:
            self.be_gone()

    def die(self, _event: Event | None) -> None:
        """Everything is given back, and a readmission still due falls away."""
        self.death = None
        self.readmission = _cancelled(self.readmission)
        self._stop(DIED)

    def be_readmitted(self, parent_row: int) -> None:
        """Back again: whatever the person is in ends, and the child spell arrives, perhaps to a package kept open."""
        hospital = self.hospital
        now = hospital.now
        self.readmission = None
        # Made only now: many readmissions that are planned never come about, for the run ends or death is first.
        child = Patient(hospital, hospital.child[parent_row])
        if self.phase != OUTSIDE:
            kept_for = hospital.kept_on_readmission[self.row] if self.holding else 0
            if kept_for > 0:
                row = self.row
                reservation = Reservation(row, hospital.services[hospital.service[row]], hospital.taken[row])
                reservation.release = hospital.at(now + kept_for, RELEASE, child.lose_reservation)
                child.reservation = reservation
            self._stop(READMITTED, reserve=kept_for > 0)
        child.arrive()

    def lose_reservation(self, _event: Event) -> None:
        """Nobody came for the units in time: they are freed, and whoever still queues for them needs them all."""
        reservation = self.reservation
        if reservation is not None:
            self._end_reservation(reservation.units)
            if self.phase == ASKING and reservation.service is self.queued_in:
                self._ask_anew()

    def _end_reservation(self, unused: int) -> None:
        reservation = self.reservation
        if reservation is not None:
            self.reservation = None
            reservation.release = _cancelled(reservation.release)
            self.hospital.freed[reservation.row] = self.hospital.now
            reservation.service.release(unused)

    def _stop(self, ending: int, reserve: bool = False) -> None:
        """Break off whatever the person is in (row held and row wanted), and be gone."""
        hospital, row, wanted = self.hospital, self.row, self.wanted
        now = hospital.now
        self._break_off()
        if wanted != NONE:
            hospital.ended[wanted] = ending
            # Units of the new place that were not the old place's are given back here; those in both go with the old
            # one below.
            if self.phase == AFTER_ACCEPTANCE:  # accepted, not started
                hospital.freed[wanted] = now
                hospital.services[hospital.service[wanted]].release(hospital.taken[wanted] - self.taken_over)
        if self.holding:
            self.holding = False
            hospital.left[row] = now
            hospital.ended[row] = ending
            if not reserve:
                self._free(row)
        self.be_gone()

    def _break_off(self) -> None:
        """Leave any queue; a task at work ends unfinished and its staff are free."""
        self._leave_queue()
        self.main = _cancelled(self.main)
        self._free_staff()

    def _leave_queue(self) -> None:
        if self.queued_in is not None:
            self.queued_in.quit(self)

    def be_gone(self) -> None:
        """The spell is over: what was still kept or reserved is freed. Only a readmission may still come."""
        self.phase = OUTSIDE
        self.wanted = NONE
        self.patience = _cancelled(self.patience)
        self.decline = _cancelled(self.decline)
        self.unfit = _cancelled(self.unfit)
        self.death = _cancelled(self.death)
        if self.kept is not None:
            for row in self.kept:
                self._free(row)
            self.kept = None
        if self.reservation is not None:
            self._end_reservation(self.reservation.units)
        # Its readmission, if one is due, still holds this patient and finds it OUTSIDE.
        del self.hospital.inside[self.spell]


def _cancelled(due: Due | None) -> Due | None:
    """Cancel what was due, if anything was; for ``self.timer = _cancelled(self.timer)``."""
    if due is not None:
        due.cancel()
    return None


class Hospital:
    """The whole run: the journeys' columns as lists, the services, the stamps, and the one decision of a minute."""

    def __init__(
        self, journeys: Journeys, network: Network, environment: Environment, on_progress: Callable[[int], None] | None
    ) -> None:
        self.environment = environment
        self.calendars = network.calendars
        self.horizon = network.horizon
        self.first_weekday = int(network.first_weekday)
        self.network = network
        self.on_progress = on_progress

        self._read(journeys)
        self._begin_stamps()
        self._begin_deciding(network)
        self._schedule_arrivals(journeys)
        self._schedule_steps(network)
        self._schedule_looks(network)
        self._schedule_displacements(network)
        if on_progress is not None:
            self.at(0, MINUTE_OVER, self._tell)

    def _read(self, journeys: Journeys) -> None:
        """The journeys' columns as lists, which Python reads quicker than arrays, and the keys of places in queues."""
        rows = {name: column.tolist() for name, column in columns(journeys.rows).items()}
        self.service: list[int] = rows["service"]
        self.units: list[int] = rows["units"]
        self.duration: list[int] = rows["duration"]
        self.next: list[int] = rows["next"]
        self.patience: list[int] = rows["patience"]
        self.patience_calendar: list[int] = rows["patience_calendar"]
        self.otherwise: list[int] = rows["otherwise"]
        self.unfit_after: list[int] = rows["unfit_after"]
        self.unfit_to: list[int] = rows["unfit_to"]
        self.death_after: list[int] = rows["death_after"]
        self.since: list[int] = rows["since"]
        self.hold: list[int] = rows["hold"]
        # a row that lets go of its units has none to keep
        self.keep: list[int] = [k if h else NONE for k, h in zip(rows["keep"], rows["hold"], strict=True)]
        self.decline_after: list[int] = rows["decline_after"]
        self.declined_units: list[int] = rows["declined_units"]
        self.declined_duration: list[int] = rows["declined_duration"]
        self.died: list[int] = rows["died"]
        self.readmission_gap: list[int] = rows["readmission_gap"]
        self.child: list[int] = rows["child"]
        self.kept_on_readmission: list[int] = rows["kept_on_readmission"]
        self.displaced_to: list[int] = rows["displaced_to"]
        self.displacement_mark: list[int] = rows["displacement_mark"]
        self.recognition: list[int] = rows["recognition"]
        self.first_task: list[int] = rows["first_task"]
        self.n_before: list[int] = rows["n_before"]
        self.n_after: list[int] = rows["n_after"]
        self.first_row: list[int] = journeys.spells.first_row.tolist()
        self.number: list[int] = journeys.spells.number.tolist()
        self.task_calendar: list[int] = journeys.tasks.calendar.tolist()
        self.task_minutes: list[int] = journeys.tasks.minutes.tolist()
        self.task_pool: list[int] = journeys.tasks.pool.tolist()
        self.skip_if_kept: list[int] = journeys.tasks.skip_if_kept.tolist()

        # A place in a queue is one whole number: priority, then minute, then the rank of (spell number, row).
        n_rows = len(self.service)
        in_order = np.lexsort((np.arange(n_rows), journeys.spells.number[journeys.rows.spell]))
        rank = np.empty(n_rows, dtype=np.int64)
        rank[in_order] = np.arange(n_rows)
        self.key_step = max(n_rows, 1)
        a_priority = self.key_step * (self.horizon + 1)
        lowest = min(rows["priority"], default=0)  # keys are never negative, so that NO_TICKET is none of them
        ranked = zip(rows["priority"], rank.tolist(), strict=True)
        self.key: list[int] = [(priority - lowest) * a_priority + place for priority, place in ranked]

    def _begin_stamps(self) -> None:
        # The stamps (`taken` is `Stamps.units`; `units` above is what the journey asks for).
        n_rows = len(self.service)
        never = [NEVER] * n_rows
        self.joined, self.accepted, self.started = never.copy(), never.copy(), never.copy()
        self.ready, self.recognised, self.left, self.freed = never.copy(), never.copy(), never.copy(), never.copy()
        self.taken = [0] * n_rows
        self.ended = [STILL_IN] * n_rows
        n_tasks = len(self.task_pool)
        self.task_began, self.task_granted, self.task_ended = ([NEVER] * n_tasks for _ in range(3))
        self.log: list[tuple[int, int, int, int, int, int]] = []

    def _begin_deciding(self, network: Network) -> None:
        """The services, nobody inside, and nothing to decide."""
        self.services = [Service(self, s, network) for s in range(len(network.names))]
        self.inside: dict[int, Patient] = {}
        self.try_nows: list[tuple[Patient, int]] = []
        self.decision_asked = False
        self.decided_at = -1
        self.marked = [False] * len(self.services)
        self.this_round: list[int] = []
        self.next_round: list[int] = []
        self.position = BEHIND_ALL
        self.changed: set[int] = set()

    @property
    def now(self) -> int:
        """The minute now running."""
        return self.environment._now  # type: ignore[return-value]  # whole numbers in, whole numbers out

    # -- the agenda ---------------------------------------------------------------------------------------------------

    def at(self, minute: int, priority: EventPriority, action: Callable[[Any], None]) -> Due:
        """Let the action happen in that minute, or never if the run is over by then."""
        due = Due(self.environment, action)
        if minute < self.horizon:
            self.environment.schedule(due, priority, minute - self.now)
        return due

    def may_give_up(self, row: int, minute: int) -> int:
        """The first minute from this one on in which the queue of the row may be given up."""
        return self.calendars.next_open(self.patience_calendar[row], minute)

    def _schedule_arrivals(self, journeys: Journeys) -> None:
        """Arrivals by minute; only the next minute with one is ever in SimPy's list."""
        spells = journeys.spells
        self.initial: list[int] = np.flatnonzero(spells.initial).tolist()
        coming = np.flatnonzero((spells.initial == 0) & (spells.arrival >= 0) & (spells.arrival < self.horizon))
        coming = coming[np.argsort(spells.arrival[coming], kind="stable")]
        self.arrivals = list(zip(spells.arrival[coming].tolist(), coming.tolist(), strict=True))[::-1]  # next one last
        if self.arrivals:
            self.at(self.arrivals[-1][0], MAIN, self._admit)

    def _admit(self, _event: Event) -> None:
        now = self.now
        arrivals = self.arrivals
        while arrivals and arrivals[-1][0] == now:
            Patient(self, arrivals.pop()[1]).arrive()
        if arrivals:
            self.at(arrivals[-1][0], MAIN, self._admit)

    def _schedule_steps(self, network: Network) -> None:
        for minute, s, capacity, reason in zip(
            network.step_minute.tolist(),
            network.step_service.tolist(),
            network.step_capacity.tolist(),
            network.step_reason.tolist(),
            strict=True,
        ):
            self.at(minute, CLOCK, lambda _e, s=s, c=capacity, r=reason: self._step(self.services[s], c, r))  # type: ignore[misc]

    def _step(self, service: Service, capacity: int, reason: int) -> None:
        service.capacity = capacity
        self._note_change(service, reason)
        if service.waiting:
            self.mark(service)

    def _schedule_looks(self, network: Network) -> None:
        self.rules = list(
            zip(
                network.rule_watch.tolist(),
                network.rule_service.tolist(),
                network.rule_units.tolist(),
                network.rule_open.tolist(),
                network.rule_close.tolist(),
                strict=True,
            )
        )
        self.rule_is_open = [False] * len(self.rules)
        self.looks: dict[int, list[tuple[int, bool]]] = {}
        for minute, rule, last in zip(
            network.look_minute.tolist(), network.look_rule.tolist(), network.look_last.tolist(), strict=True
        ):
            if minute not in self.looks:
                self.looks[minute] = []
                self.at(minute, CLOCK, self.ask_for_decision)
            self.looks[minute].append((rule, bool(last)))

    def _schedule_displacements(self, network: Network) -> None:
        self.displacements: dict[int, list[tuple[int, int]]] = {}
        for minute, s, units in zip(
            network.displacement_minute.tolist(),
            network.displacement_service.tolist(),
            network.displacement_units.tolist(),
            strict=True,
        ):
            if minute not in self.displacements:
                self.displacements[minute] = []
                self.at(minute, CLOCK, self.ask_for_decision)
            self.displacements[minute].append((s, units))

    def _tell(self, _event: Event) -> None:
        now = self.now
        if self.on_progress is not None:
            self.on_progress(now)
        self.at(now + DAY, MINUTE_OVER, self._tell)

    # -- the decision -------------------------------------------------------------------------------------------------

    def mark(self, service: Service) -> None:
        """Something changed that this service's queue may have waited for: it is looked at in its turn."""
        s = service.index
        if not self.marked[s]:
            self.marked[s] = True
            # Services ahead in this round are reached in it; those behind, and the one at work, wait for the next
            # round.
            if s > self.position:
                heappush(self.this_round, s)
            else:
                self.next_round.append(s)
            if not self.decision_asked:
                self.ask_for_decision()

    def ask_for_decision(self, _event: Event | None = None) -> None:
        """Decide when everything else due in this minute has happened."""
        if not self.decision_asked:
            self.decision_asked = True
            self.at(self.now, DECISION, self.decide)

    def decide(self, _event: Event) -> None:
        """Who is taken? Displacements, rounds, looks at the queues and rounds again; then try-nows turn away."""
        now = self.now
        first = now != self.decided_at
        self.decided_at = now
        if first and now in self.displacements:
            for s, units in self.displacements[now]:
                self.displace(s, units)
        self.rounds()
        if first and now in self.looks:
            self.look(self.looks[now])
            self.rounds()
        if self.try_nows:
            self.turn_away()
        self.decision_asked = False
        # Try-nows that were turned away want elsewhere in this very minute, and may be taken there.
        if self.next_round:  # a change of this decision: another pass in this minute
            self.ask_for_decision()

    def rounds(self) -> None:
        """Round after round through the marked services, in their order, until nothing is left to look at."""
        services = self.services
        while self.next_round:
            self.this_round, self.next_round = sorted(self.next_round), self.this_round  # the old round is empty by now
            while self.this_round:
                s = self.position = heappop(self.this_round)
                services[s].accept_all()
                self.marked[s] = False
            self.position = BEHIND_ALL

    def look(self, looks: list[tuple[int, bool]]) -> None:
        """Escalation: every rule sees the same queues; what opens or closes does so together."""
        # Before any rule acts, so that the order of the rules does not matter.
        waiting = [service.waiting for service in self.services]
        for rule, last in looks:
            watch, s, units, opens, closes = self.rules[rule]
            is_open = self.rule_is_open[rule]
            if is_open and (last or waiting[watch] <= closes):
                self._escalate(rule, s, -units)
            elif not is_open and not last and waiting[watch] >= opens:
                self._escalate(rule, s, units)

    def _escalate(self, rule: int, s: int, units: int) -> None:
        service = self.services[s]
        self.rule_is_open[rule] = not self.rule_is_open[rule]
        service.escalation += units
        self._note_change(service, REASON_CODE["escalation"])
        if service.waiting:
            self.mark(service)

    def displace(self, s: int, units: int) -> None:
        """Put people out of the service, lowest mark first, until they make up so many units."""
        there = [p for p in self.inside.values() if p.phase == AT_WORK and self.service[p.row] == s]
        there.sort(key=lambda p: (self.displacement_mark[p.row], self.number[p.spell]))
        for patient in there:
            if units <= 0:
                return
            units -= self.taken[patient.row]
            patient.be_displaced()

    def turn_away(self) -> None:
        """Try-nows that were not accepted leave, all together; then all want elsewhere."""
        # Some were accepted meanwhile, or broke off and want another row; the note of their asking is then of no
        # meaning.
        turned_away = [p for p, row in self.try_nows if p.wanted == row and p.phase == ASKING]
        self.try_nows = []
        for patient in turned_away:
            patient.quit_asking(TURNED_AWAY)
        for patient in turned_away:
            patient.turn_elsewhere()

    # -- the capacity log ---------------------------------------------------------------------------------------------

    def _note_change(self, service: Service, reason: int) -> None:
        service.reason = reason
        if not self.changed:
            self.at(self.now, MINUTE_OVER, self._log_changes)
        self.changed.add(service.index)

    def _log_changes(self, _event: Event) -> None:
        """The minute is over: write down every capacity that is not what it was."""
        now = self.now
        for s in sorted(self.changed):
            service = self.services[s]
            capacity = service.capacity + service.escalation
            if now == 0 or capacity != service.logged:
                service.logged = capacity
                self.log.append((now, s, capacity, service.in_use, service.waiting, service.reason))
        self.changed.clear()

    # -- the end ------------------------------------------------------------------------------------------------------

    def run(self) -> Stamps:
        """Everything from minute 0 to the horizon."""
        for spell in self.initial:
            Patient(self, spell).be_there()
        self.environment.run(until=self.horizon)
        self.refuse_standstill()
        log = np.array(self.log, dtype=np.int64).reshape(-1, 6)
        stamps = (
            self.joined, self.accepted, self.started, self.ready, self.recognised, self.left, self.freed, self.taken,
            self.ended, self.task_began, self.task_granted, self.task_ended,
        )  # fmt: skip
        return Stamps(*(np.array(s, dtype=np.int32) for s in stamps), *(log[:, c].copy() for c in range(6)))

    def refuse_standstill(self) -> None:
        """Raise `Standstill` if full services are held only by people who wait without end for each other's places."""
        queues = [service.people() for service in self.services]
        in_use = np.array([service.in_use for service in self.services], dtype=np.int64)
        waiting = np.array([len(queue) for queue in queues])
        least_need = np.array([min((p.need for p in queue), default=0) for queue in queues])
        full = standstill.full_for_good(self.network, in_use, waiting, least_need)
        stuck = [
            p
            for p in self.inside.values()
            if p.phase == ASKING
            and p.queued_in is not None
            and self.patience[p.wanted] < 0
            and (p.unfit or p.death or p.readmission or p.reservation) is None
            and (p.holding or p.kept)
        ]
        held = [(at, row) for at, p in enumerate(stuck) for row in ([p.row] if p.holding else []) + (p.kept or [])]
        standstill.refuse(
            self.network.names,
            in_use,
            full,
            queue=np.array([p.queued_in.index for p in stuck if p.queued_in is not None], dtype=np.int64),
            holder=np.array([at for at, _ in held], dtype=np.int64),
            service=np.array([self.service[row] for _, row in held], dtype=np.int64),
            units=np.array([self.taken[row] for _, row in held], dtype=np.int64),
        )


def run(
    journeys: Journeys,
    network: Network,
    environment: Environment | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Stamps:
    """Move the journeys through the network, event by event, and return every stamp.

    Args:
        journeys: spells (N), rows (R) and tasks (T), minutes and whole units.
        network: services, calendars, capacities; its horizon is the length of the run in minutes.
        environment: a SimPy environment at time 0 with nothing in its list; a subclass may shuffle the order of events
            of the same minute and priority, which must change nothing.
        on_progress: called with the simulated minute once a simulated day.

    Returns:
        The stamps, aligned with the journeys' row (R) and task (T) tables, and the capacity log.

    Raises:
        Standstill: at the end of the run some services were held only by people waiting for each other's places.
    """
    return Hospital(journeys, network, environment or Environment(), on_progress).run()
