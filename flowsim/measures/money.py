"""Money spent, and apart from it the worth of acute beds that are no longer in use.

What is paid is capacity, whether used or not: every unit that is there, at its service's price; a unit priced by use is
priced as if it were used all the time. Three things are no money. A hospital or care home that closes units still pays
for them (`STANDING`): staff and building stay. A shock that closes some does not send its staff home without pay. And a
open bed that nobody lies in is freed, which is worth something, but buys nothing until a bed is taken away by a move.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowsim.measures.cost import HOUR, WEEK, Spent, by_name, by_payer, lines, tasks_of
from flowsim.measures.definition import ALL, FLOWSIM, WHOLE, Measure, Value, computes
from flowsim.measures.history import History
from flowsim.measures.window import Window
from flowsim.model.changes import planned_changes, transfers
from flowsim.place import Escalation, Place, Service
from flowsim.place.queues import capacities, own_units, split

STANDING = ("ed", "same_day", "ward", "care_home")
"""Roles whose closed units are paid for all the same, and where a start more or less costs nobody anything."""
MATTERS = 50_000.0
"""Pounds a year: about one nurse with what comes on top; what a board's paper does not round away."""

Levels = tuple[np.ndarray, np.ndarray]
"""Minutes, ascending from 0, and how much there is from each on."""


@computes(
    Measure(
        "money_spent", "Money spent", "£",
        "Capacity that is there times its price, whether used or not, with staff and the lines of `costs`; hospital "
        "beds and care-home places that are closed are paid for all the same. Neighbours' own services are left out.",
        FLOWSIM + "; unit costs as each place's sources say", -1, adds_up=True, headline=True, matters=MATTERS,
    ),
    Measure(
        "capacity_freed", "Acute beds not in use, what they are worth", "£",
        "Open acute beds, at most as many as there are as things are, less those in use, times the price of a bed-day: "
        "no money, and never taken from the money spent; a bed that is closed or moved elsewhere is not freed, and "
        "beds that were added are not among them.",
        FLOWSIM, 1, adds_up=True, headline=True, matters=MATTERS,
    ),
    Measure(
        "money_by_service", "Money spent by service", "£",
        "The part of the money spent that goes to each kind of service, staff pool and line of `costs`.",
        FLOWSIM, -1, adds_up=True, matters=MATTERS,
    ),
)  # fmt: skip
def money(window: Window) -> Iterator[Value]:
    """What was paid, by who pays and for what, and what beds not in use are worth."""
    spent = paid(window.history, window.start, window.end)
    for payer, pounds in by_payer(spent).items():
        yield "money_spent", ALL, WHOLE if payer == ALL else payer, pounds
    if any(_has_priced_beds(service) for service in window.history.place.services.values()):
        yield "capacity_freed", ALL, WHOLE, freed(window.history, window.start, window.end)
    for name, pounds in by_name(spent).items():
        yield "money_by_service", ALL, name, pounds


def paid(history: History, start: int, end: int) -> list[Spent]:
    """What was paid within [start, end): services and pools in the network's order, then schemes."""
    spent = []
    for k, kind in enumerate(history.kind_names):
        service = history.service_of(kind)
        if service.cost is not None:
            queues = np.flatnonzero((history.kind == k) & ~history.is_neighbour)
            pounds = _pounds(history, kind, service, queues, start, end)
            spent.append(Spent(kind, pounds, service.cost.payers))
    return [*spent, *lines(history.place, start, end)]


def freed(history: History, start: int, end: int) -> float:
    """Pounds that open acute beds not in use within [start, end) are worth; below nought where more are in use than
    there are as things are, or than are still open.

    Beds closed are fewer in use, since nobody can lie in them: counted from what there was, closing would free them.
    """
    use, pounds = history.use.area(start, end), 0.0
    for k, kind in enumerate(history.kind_names):
        service = history.service_of(kind)
        if not _has_priced_beds(service):
            continue
        assert service.cost is not None
        price = service.cost.a_week or 0.0
        queues = np.flatnonzero((history.kind == k) & ~history.is_neighbour)
        there = least_of(standing_levels(history.place, kind), open_levels(history, queues))
        unused = area(there, start, end) - float(use[queues].sum())
        pounds += price * unused / WEEK / service.units_each
    return pounds


def open_levels(history: History, queues: np.ndarray) -> Levels:
    """How much is open in all of these queues, without what is closed by plan or by a shock; escalation apart."""
    every = [history.planned_capacity.of(queue) for queue in queues]
    minute = np.unique(np.concatenate([np.zeros(1, dtype=np.int64), *(one[0] for one in every)]))
    return minute, sum((history.planned_capacity.at(np.full(len(minute), q), minute) for q in queues), np.zeros(1))


def least_of(first: Levels, second: Levels) -> Levels:
    """The lower of two levels at each minute."""
    minute = np.union1d(first[0], second[0])
    levels = (level[np.searchsorted(at, minute, side="right") - 1] for at, level in (first, second))
    return minute, np.minimum(*levels)


def _has_priced_beds(service: Service) -> bool:
    """Is it an acute ward whose beds have a price for the time they are in use or there?"""
    priced = service.cost is not None and service.cost.a_week is not None
    return service.role == "ward" and priced and service.capacity != "unlimited"


def _pounds(history: History, kind: str, service: Service, queues: np.ndarray, start: int, end: int) -> float:
    cost, pool = service.cost, kind in history.place.pools
    assert cost is not None
    if cost.per == "start":
        if service.role in STANDING:
            return 0.0
        starts = tasks_of(history, queues, start, end) if pool else int(history.starts(start, end)[queues].sum())
        return cost.amount * starts
    if service.capacity == "unlimited":  # what is used is what is bought
        unit_minutes = float(history.use.area(start, end)[queues].sum())
    else:
        levels = bought_levels(history.place, kind)
        if cost.per == "hour_of_staff":
            opened = _opened(history, queues, levels[0], start, end)
            return cost.amount * float((levels[1] * opened).sum()) / HOUR
        unit_minutes = area(levels, start, end) + _opened_by_scenario(history, kind, queues, start, end)
    assert cost.a_week is not None
    return cost.a_week * unit_minutes / WEEK / service.units_each


def _opened(history: History, queues: np.ndarray, minute: np.ndarray, start: int, end: int) -> np.ndarray:
    """Opening minutes of a pool's calendar from each minute to the next, within [start, end)."""
    first = np.clip(minute, start, end)
    last = np.append(first[1:], end)
    return history.network.calendars.open_between(int(history.network.calendar[queues[0]]), first, last)


def _opened_by_scenario(history: History, kind: str, queues: np.ndarray, start: int, end: int) -> float:
    """Unit-minutes that the escalations a scenario adds had open within [start, end).

    The log does not say which of several escalations opened: a scenario's own are taken to open first. Those that there
    are as things are belong to what is paid anyway.
    """
    place = history.place
    service, before = place.kinds[kind], (place.before or place).kinds.get(kind)
    known = {} if before is None else before.escalation
    added = [rule for name, rule in service.escalation.items() if known.get(name) != rule]
    if not added:
        return 0.0
    unit_minutes = 0.0
    for queue in queues:
        minute = np.concatenate([[start, end], history.capacity.of(queue)[0], history.planned_capacity.of(queue)[0]])
        minute = np.unique(np.clip(minute, start, end))
        here = np.full(len(minute), queue)
        opened = history.capacity.at(here, minute) - history.planned_capacity.at(here, minute)
        most = sum(_most(place, service, rule, history.unit_name[queue], minute) for rule in added)
        unit_minutes += float((np.clip(opened, 0, most)[:-1] * np.diff(minute)).sum())
    return unit_minutes


def _most(place: Place, service: Service, rule: Escalation, unit: str, minute: np.ndarray) -> np.ndarray:
    """The most an escalation can have open in one queue, at each minute."""
    run, scale = place.run, place.run.scale
    first = run.switch if rule.from_date is None else max(run.minute_of(rule.from_date), run.switch)
    last = run.horizon if rule.end is None else run.minute_of(rule.end)
    if rule.add is None:
        most = round((rule.share or 0) * capacities(service, scale)[unit or None])
    else:
        most = split(service, rule.add * scale)[unit or None]
    return np.where((minute >= first) & (minute < last), most, 0)


def bought_levels(place: Place, kind: str) -> Levels:
    """How much of a kind of service is paid for, escalation apart, in engine units.

    The money of a move goes over in the minute in which units are taken, and back when they are back: what is given
    instead is paid for while it is being built up, too.
    """
    service, changes = place.kinds[kind], []
    own, standing = set(own_units(service)), service.role in STANDING
    declared = _declared(place, kind)
    for change in planned_changes(place):
        if change.kind != kind or change.unit not in own or change.reason in ("policy", "move"):
            continue
        closing = change.reason == "closure" or (change.reason == "trend" and change.units < 0)
        if not (standing and closing):
            changes.append((change.minute, change.units))
    for sign, one_way in ((-1, "take"), (1, "give")):
        changes += _moved(place, kind, one_way, sign)
    return _levels(declared, changes)


def standing_levels(place: Place, kind: str) -> Levels:
    """How much of a kind of service there is as things are: before its scenario, without what moves take away."""
    as_things_are = _as_things_are(place, kind)
    return _levels([(0, as_things_are)], _moved(place, kind, "take", -1))


def _declared(place: Place, kind: str) -> list[tuple[int, int]]:
    """What is paid of the declared capacity before the scenario and, as changes, from then on."""
    before, after = _capacity(place.before or place, kind), _capacity(place, kind)
    if place.kinds[kind].role in STANDING:
        least = _as_things_are(place, kind)
        before, after = max(before, least), max(after, least)
    return [(0, before), (place.run.switch, after - before)]


def _as_things_are(place: Place, kind: str) -> int:
    funded = place.kinds[kind].funded
    if funded is None:
        return _capacity(place.before or place, kind)
    return round(funded * place.run.scale * place.kinds[kind].units_each)


def _capacity(place: Place, kind: str) -> int:
    """Without neighbours; a service that only the scenario has begins with none."""
    if kind not in place.kinds:
        return 0
    service = place.kinds[kind]
    by_unit = capacities(service, place.run.scale)
    return sum(by_unit[unit] for unit in own_units(service))


def _moved(place: Place, kind: str, one_way: str, sign: int) -> list[tuple[int, int]]:
    changes = []
    for transfer in transfers(place):
        units = sum(n for name, _, n in getattr(transfer, one_way) if name == kind)
        changes += [(transfer.start, sign * units), (transfer.end + transfer.lag, -sign * units)]
    return changes


def _levels(*parts: list[tuple[int, int]]) -> Levels:
    """The sum of all changes; never below nought, as no queue's capacity is."""
    changes = np.array([change for part in parts for change in part], dtype=np.int64)
    minute = np.maximum(changes[:, 0], 0)
    order = np.argsort(minute, kind="stable")
    return minute[order], np.maximum(np.cumsum(changes[order, 1]), 0)


def area(levels: Levels, start: int, end: int) -> float:
    """Unit-minutes within [start, end)."""
    minute, level = levels
    first = np.clip(minute, start, end)
    return float((level * np.diff(np.append(first, end))).sum())
