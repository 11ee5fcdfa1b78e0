"""The capacity of a service in all and in each of its parts, where a file or the user says one of them or both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from flowsim.place import PlaceError, apportion, units_each

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
