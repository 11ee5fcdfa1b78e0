"""The capacity of a service in all and in each of its parts, where a file or the user says one of them or both; and how
what the user says of the whole was split, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from flowsim.place import Place, PlaceError, Service, apportion, notice, units_each
from flowsim.place.queues import block_amount, own_units, split

SPLITS = ("by_site", "by_locality")
SECTIONS = ("pools", "services")
SMALL = 1e-6
"""Parts that miss their total by no more than this share of it add up to it."""


def shared_out(total: float, parts: Mapping[str, float], unit: str) -> dict[str, float]:
    """A total by the parts' proportion (all alike where they are nought), in whole units as engines have them.

    `unit` is that of the service; hours a week are parted to the minute.
    """
    each = units_each(unit)
    weights = dict(parts) if any(parts.values()) else dict.fromkeys(parts, 1.0)
    return {name: n / each if n % each else n // each for name, n in apportion(total * each, weights).items()}


def what_follows(place: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """What a file (or the user) says without saying it: totals of the parts it names, and parts of its totals.

    A total alone is parted in the proportion there was; parts alone change the total; with a total and some of the
    parts the others have the rest, in their proportion.

    Args:
        place: a place's mapping, with what is said laid over it.
        said: what is said, as such a mapping.

    Returns such a mapping of what is to be laid over the place, too. Raises PlaceError, in one sentence, for parts that
    do not add up to the total that is said beside them.
    """
    also: dict[str, Any] = {}
    for section in SECTIONS:
        for name, given in _mapping(said.get(section)).items():
            service = _mapping(place.get(section)).get(name)
            if isinstance(service, Mapping) and isinstance(given, Mapping):
                follows = _of_service(f"place.{section}.{name}", service, given)
                if follows:
                    also.setdefault(section, {})[name] = follows
    return also


def tell_splits(place: Place, said: Mapping[str, str], varied: bool = False) -> list[str]:
    """Tell how each amount that the user says of a whole service, pool or block is split by site or locality, and what
    would set that; returns these sentences.

    Args:
        said: the user's words by dotted key (``place.pools.transfer_hub.capacity``).
        varied: they vary in a sweep, whose points are split in this place's proportion.
    """
    sentences = [sentence for key in said for sentence in _split_in_words(place, key, said, varied)]
    for sentence in sentences:
        notice(sentence)
    return sentences


def _split_in_words(place: Place, key: str, said: Mapping[str, str], varied: bool) -> Iterator[str]:
    steps = key.split(".")
    if len(steps) < 4 or steps[1] not in SECTIONS or steps[2] not in getattr(place, steps[1]):
        return
    service: Service = getattr(place, steps[1])[steps[2]]
    if len(own_units(service)) < 2 or isinstance(service.capacity, str):
        return
    whole = ".".join(steps[:3])
    if steps[3:] == ["capacity"]:
        sets, amount = f"{whole}.by_{service.split_by}", service.capacity
    elif steps[3] == "blocks" and len(steps) > 4 and (block := service.blocks.get(steps[4])) and block.split is None:
        sets, amount = f"{whole}.blocks.{steps[4]}.split", block_amount(block)
    else:
        return
    if not amount or any(one == sets or one.startswith(f"{sets}.") for one in said):
        return
    parts = {unit: n / service.units_each for unit, n in split(service, amount).items() if unit in own_units(service)}
    listed, typed = (mark.join(f"{unit}{between}{n:.10g}" for unit, n in parts.items()) for mark, between in _MARKS)
    if varied:
        yield f"{key}, which is varied, is split in the proportion there is, {listed}; {sets} sets another"
    else:
        yield f"{said[key]} is split as {listed}; {sets}={{{typed}}} sets it"


_MARKS = ((", ", " "), (", ", ": "))
"""Between parts, and between a part's name and its amount: for reading, and for typing."""


def _of_service(key: str, service: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    split = next((name for name in SPLITS if isinstance(service.get(name), Mapping)), "")
    parts = _amounts(service.get(split))
    total, unit = _amount(service.get("capacity")), str(service.get("unit"))
    named = [name for name in _mapping(given.get(split)) if name != "source"]
    if not parts or not (named or "capacity" in given):
        return {}
    others = {name: amount for name, amount in parts.items() if name not in named}
    if given.get("capacity") is None:
        closed = dict.fromkeys(others, 0.0) if total == 0 else {}  # their proportion is kept, but they have nothing
        return {"capacity": sum({**parts, **closed}.values()), **({split: closed} if closed else {})} if named else {}
    if total is None:
        return {}
    if named:
        return {split: _rest(f"{key}.{split}", total, {n: parts[n] for n in named if n in parts}, others, unit)}
    return {split: shared_out(total, parts, unit)} if total else {}  # of nothing the proportion is kept


def _rest(key: str, total: float, named: Mapping[str, float], others: dict[str, float], unit: str) -> dict[str, float]:
    """What the other parts have beside those that are named. Raises PlaceError."""
    used = sum(named.values())
    rest = total - used
    if rest < -SMALL * total or (not others and rest > SMALL * total):
        given = " and ".join(f"{name} {amount:.10g}" for name, amount in named.items())
        were = f", which add up to {used:.10g}, were" if len(named) > 1 else " was"
        most = "at most " if others else ""
        raise PlaceError(
            f"{key}: {given}{were} given beside capacity {total:.10g}; allowed: parts that add up to {most}"
            f"{total:.10g}, or capacity {used:.10g}{' or more' if others else ''}."
        )
    if len(others) == 1:
        return dict.fromkeys(others, max(rest, 0))
    return shared_out(max(rest, 0), others, unit) if others else {}


def _amounts(split: Any) -> dict[str, float]:
    """The parts as numbers; none where one of them is no amount, which is refused when the place is read."""
    given = {name: value for name, value in _mapping(split).items() if name != "source" and value is not None}
    amounts = {name: amount for name, value in given.items() if (amount := _amount(value)) is not None}
    return amounts if len(amounts) == len(given) else {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _amount(value: Any) -> float | None:
    """A number, or a number in quotes, that can be a capacity; else nothing."""
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        return None
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    return number if is_number and math.isfinite(number) and number >= 0 else None
