"""The queues of a service, one a site or locality, and how much of it there is in each."""

from __future__ import annotations

from flowsim.place.supply import Block, Service, apportion

UNLIMITED = 2**30
"""A capacity nobody reaches; used for services that are never full (home, the world outside)."""


def queue_name(service: str, unit: str | None) -> str:
    """The name of one queue of a service: ``service`` or ``service/site-or-locality``."""
    return service if unit is None else f"{service}/{unit}"


def units_of(service: Service) -> list[str | None]:
    """The sites or localities a service has a queue in; ``[None]`` when it is one queue for all."""
    if service.split_by is None:
        return [None]
    return [*(service.by_site or service.by_locality or {}), *service.neighbours]


def own_units(service: Service) -> list[str | None]:
    """Of these, those that share the service's capacity: all but the neighbours."""
    return [unit for unit in units_of(service) if unit not in service.neighbours]


def split(service: Service, amount: float, weights: dict[str, float] | None = None) -> dict[str | None, int]:
    """An amount of a service's capacity by queue, in engine units; neighbours get none of it."""
    scaled = amount * service.units_each
    if service.split_by is None:
        return {None: round(scaled)}
    parts = apportion(scaled, weights or dict(service.by_site or service.by_locality or {}))
    return {unit: parts.get(unit, 0) if unit is not None else 0 for unit in units_of(service)}


def capacities(service: Service, scale: float) -> dict[str | None, int]:
    """A service's capacity by queue before any block, in engine units, neighbours' own included."""
    if service.capacity == "unlimited":
        return dict.fromkeys(units_of(service), UNLIMITED)
    by_unit = split(service, service.capacity * scale)
    return by_unit | {unit: round(c * scale) * service.units_each for unit, c in service.neighbours.items()}


def block_amount(block: Block) -> float:
    """What a block adds in the unit of its service (hours of care: a week)."""
    if block.per == "week":
        return block.add
    return block.add / ((block.end - block.from_date).days / 7)
