"""Changes of capacity that are known beforehand: the policy's own, dated blocks, trends and moves."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple

from flowsim.place import Move, Place, Service, Trend
from flowsim.place.queues import block_amount, capacities, own_units, split


class Change(NamedTuple):
    """So many engine units more (or fewer) in one queue of the service `kind` from a minute on; it may be before 0."""

    kind: str
    unit: str | None
    minute: int
    units: int
    reason: str


def planned_changes(place: Place) -> Iterator[Change]:
    """Every change after the capacities with which the run begins, in the order in which their reasons count."""
    before = place.rules_before or place
    for kind, service in place.kinds.items():
        base, old = capacities(service, place.run.scale), _old_capacities(place, kind)
        for unit in base:
            yield Change(kind, unit, place.run.switch, base[unit] - old.get(unit, 0), "policy")
    for kind, service in place.kinds.items():
        yield from _blocks(place, kind, service)
    for kind, service in place.kinds.items():
        earlier = before.kinds[kind].trend if kind in before.kinds else {}
        for name in {**earlier, **service.trend}:
            yield from _trend(place, kind, name)
    yield from _moves(place)


def _old_capacities(place: Place, kind: str) -> dict[str | None, int]:
    """A service's capacities before the policy; a service that only the scenario has begins with none."""
    kinds = (place.rules_before or place).kinds
    return capacities(kinds[kind], place.run.scale) if kind in kinds else {}


def _blocks(place: Place, kind: str, service: Service) -> Iterator[Change]:
    run = place.run
    for block in service.blocks.values():
        reason = "closure" if block.add < 0 else "block"
        for unit, units in split(service, block_amount(block) * run.scale, block.split).items():
            yield Change(kind, unit, run.minute_of(block.from_date), units, reason)
            yield Change(kind, unit, run.minute_of(block.end), -units, reason)


# ---------------------------------------------------------------------------------------------------------------------
# Trends


def _trend(place: Place, kind: str, name: str) -> Iterator[Change]:
    """A trend's monthly steps: those before the policy starts are those of the place before."""
    run = place.run
    steps: list[tuple[int, Service, float]] = []
    for source, first, last in _in_turn(place):
        service = source.kinds.get(kind)
        trend = service.trend.get(name) if service is not None else None
        if service is not None and trend is not None:
            a_step = trend.share / (12 if trend.per == "year" else 1)
            steps += [(m, service, a_step) for m in _step_minutes(place, trend) if first <= m < last]
    for unit in own_units(place.kinds[kind]):
        exact, whole = 0.0, 0
        for minute, service, share in steps:
            exact += share * capacities(service, run.scale).get(unit, 0)
            yield Change(kind, unit, minute, round(exact) - whole, "trend")
            whole = round(exact)


def _in_turn(place: Place) -> list[tuple[Place, int, int]]:
    """The place before its scenario and the place, each with the minutes in which it holds."""
    run = place.run
    if place.rules_before is None:
        return [(place, 0, run.horizon)]
    return [(place.rules_before, 0, run.switch), (place, run.switch, run.horizon)]


def _step_minutes(place: Place, trend: Trend) -> list[int]:
    """The same day of each month after the trend begins; the month's last where it has no such day."""
    run = place.run
    begins = trend.from_date or run.start_date
    ends = min(trend.to_date or run.end_date, run.end_date)
    minutes = []
    for k in range(1, (ends.year - begins.year) * 12 + ends.month - begins.month + 1):
        date = months_later(begins, k)
        if date <= ends:
            minutes.append(run.minute_of(date))
    return minutes


def months_later(date: dt.date, months: int) -> dt.date:
    """The same day so many months later; the month's last day where it has no such day."""
    year, month = divmod(date.year * 12 + date.month - 1 + months, 12)
    return dt.date(year, month + 1, min(date.day, calendar.monthrange(year, month + 1)[1]))


# ---------------------------------------------------------------------------------------------------------------------
# Moves


class Transfer(NamedTuple):
    """A move with everything settled: engine units by queue, from a minute up to another."""

    take: tuple[tuple[str, str | None, int], ...]
    give: tuple[tuple[str, str | None, int], ...]
    start: int
    end: int
    lag: int


def _moves(place: Place) -> Iterator[Change]:
    for transfer in transfers(place):
        arrives, returns = transfer.start + transfer.lag, transfer.end + transfer.lag
        for kind, unit, units in transfer.take:
            yield Change(kind, unit, transfer.start, -units, "move")
            yield Change(kind, unit, returns, units, "move")
        for kind, unit, units in transfer.give if arrives < transfer.end else ():
            yield Change(kind, unit, arrives, units, "move")
            yield Change(kind, unit, transfer.end, -units, "move")


def transfers(place: Place) -> Iterator[Transfer]:
    """A move that the scenario changes ends when the policy starts, and the changed one is not made earlier."""
    switch = place.run.switch
    if place.rules_before is None:
        yield from (_settled(place, move) for move in place.moves.values())
        return
    old = {name: _settled(place.rules_before, move) for name, move in place.rules_before.moves.items()}
    new = {name: _settled(place, move) for name, move in place.moves.items()}
    for name in {**old, **new}:
        earlier, later = old.get(name), new.get(name)
        if earlier is not None and earlier == later:
            yield earlier
            continue
        if earlier is not None and earlier.start < switch:
            yield earlier._replace(end=min(earlier.end, switch))
        if later is not None and later.end > switch:
            yield later._replace(start=max(later.start, switch))


def _settled(place: Place, move: Move) -> Transfer:
    run = place.run
    taken, given = place.kinds[move.take.service], place.kinds[move.give.service]
    parts = []
    for kind, service, amount, weights in (
        (move.take.service, taken, move.take.amount, move.take.split),
        (move.give.service, given, given_for(move, taken, given), move.give.split),
    ):
        by_queue = split(service, amount * run.scale, weights)
        parts.append(tuple((kind, unit, units) for unit, units in by_queue.items()))
    begins = move.from_date or run.switch_date
    # one that is not to be undone is undone in no run, whatever its lag
    end = run.horizon if move.end is None else min(run.minute_of(move.end), run.horizon)
    return Transfer(parts[0], parts[1], run.minute_of(begins), end, move.lag_days * 1440)


def given_for(move: Move, taken: Service, given: Service) -> float:
    """How many units a move gives: those stated, or as many as cost the same as what is taken."""
    if move.give.amount is not None:
        return move.give.amount
    of_taken, of_given = (0.0 if service.cost is None else service.cost.a_week or 0.0 for service in (taken, given))
    return move.take.amount * of_taken / of_given
