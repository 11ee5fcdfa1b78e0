"""What moves take is there, and what they give has a price where it goes by pounds."""

from __future__ import annotations

import datetime as dt

from flowsim.declare.rules.facts import Facts, must_be_one_of
from flowsim.place import Given, Move, PlaceError, Run, Taken, refuse


def check_moves(facts: Facts) -> None:
    """What moves take is there, and what they give has a price where it goes by pounds."""
    for name, move in facts.place.moves.items():
        key = f"place.moves.{name}"
        for side, part in (("take", move.take), ("give", move.give)):
            _moved(facts, f"{key}.{side}", part)
        if move.take.service == move.give.service and (move.take.split is None or move.give.split is None):
            raise PlaceError(
                f"{key}.give.service: {move.give.service!r} was given, from which it is taken; allowed: another, "
                "or the same with a 'split' of both what is taken and what is given."
            )
        for part in (move.take, move.give) if move.give.exchange is not None else ():
            cost = facts.place.kinds[part.service].cost
            if cost is None or not cost.a_week:
                priced = "no cost" if cost is None else f"a cost of {cost.amount:g} per {cost.per}"
                raise PlaceError(
                    f"{key}.give.exchange: '{part.service}' has {priced}; allowed: pounds between services with a "
                    "cost above 0 per day, hour_of_care, unit_a_day or unit_a_week, else 'amount'."
                )
        begins, ends = moved_between(facts.place.run, move)
        if move.to_date is not None and move.lag_days >= (ends - begins).days:
            raise refuse(f"{key}.lag_days", move.lag_days, f"fewer days than there are from {begins} to {ends}")
        _enough(facts, f"{key}.take.amount", move)


def _moved(facts: Facts, key: str, part: Taken | Given) -> None:
    must_be_one_of(f"{key}.service", part.service, "a service or pool:", facts.place.kinds)
    service = facts.place.kinds[part.service]
    if service.capacity == "unlimited":
        raise PlaceError(f"{key}.service: '{part.service}' is unlimited; allowed: a service with a capacity.")
    for unit in part.split or {}:
        must_be_one_of(f"{key}.split", unit, "one of", service.by_site or service.by_locality or {})


def moved_between(run: Run, move: Move) -> tuple[dt.date, dt.date]:
    """The first date of a move, and the first after it."""
    return move.from_date or run.switch_date, move.end or run.end_date


def _enough(facts: Facts, key: str, move: Move) -> None:
    """On the day of a move, nothing is taken that other moves have taken already, or that never was there."""
    name, day = move.take.service, moved_between(facts.place.run, move)[0]
    service = facts.place.kinds[name]
    assert service.capacity != "unlimited"
    parts = service.by_site or service.by_locality or {"": 1.0}
    left = {unit: service.capacity * weight / sum(parts.values()) for unit, weight in parts.items()}
    taken = dict.fromkeys(parts, 0.0)
    for other in facts.place.moves.values():
        begins, ends = moved_between(facts.place.run, other)
        weights = (other.take.split if service.split_by else None) or parts
        if other.take.service == name and begins <= day < ends:
            for unit, weight in weights.items():
                taken[unit] += other.take.amount * weight / sum(weights.values())
    for unit, amount in taken.items():
        if amount > left[unit] * (1 + 1e-9):
            where = f" in '{unit}'" if unit else ""
            had = f"at most the {left[unit]:g} that '{name}' has{where}, less what other moves take"
            raise refuse(key, move.take.amount, had)
