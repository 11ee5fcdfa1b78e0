"""The services of a place as an engine sees them, and how much of each there is at each site or in each locality."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from flowsim.model.calendar import Calendars
from flowsim.place import Block, Service, apportion

UNLIMITED = 2**30
"""A capacity nobody reaches; used for services that are never full (home, the world outside)."""

NO_QUOTA = -1

# Why a capacity changed (column `reason` of the steps and of the capacity log).
REASONS = ("start", "policy", "block", "closure", "shock", "escalation", "trend", "move")
REASON_CODE = {name: code for code, name in enumerate(REASONS)}


def _empty() -> np.ndarray:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Network:
    """Everything of a run that belongs to no person. All integers; minutes count from the start of the warm-up.

    A *service* here is one queue: a kind of service at one site or in one locality (``reablement/south_sefton``).
    Staff pools are services too and come first: indices 0 to ``n_pools - 1``.

    Attributes:
        names: (S,) the queues' names.
        n_pools: how many of them are staff pools.
        calendars: every calendar of the run, with the horizon.
        calendar: (S,) int, the calendar in which a service accepts, -1 for always.
        way_out: (S,) int, the calendar in which people may leave the service, -1 for always, or empty where that holds
            for all. `plan` makes tasks of it; no engine looks at it.
        first_fit: (S,) bool, may a smaller need pass a larger one that does not fit?
        step_minute, step_service, step_capacity, step_reason: capacity as a step function, sorted by
            (minute, service), at most one step a service and minute, one at minute 0 for every service.
        quota_day: (S, days) int, how many may be accepted on each day of the run, -1 for no limit.
        quota_week: (S, weeks) int, the same for each Monday-to-Sunday week; week of day d is
            ``(d + first_weekday) // 7``.
        first_weekday: weekday of day 0 (Monday is 0).
        rule_watch, rule_service, rule_units, rule_open, rule_close: (E,) escalation rules: when at a look at least
            `rule_open` people queue for `rule_watch`, `rule_service` gets `rule_units` more; when at most
            `rule_close` do, they go again. ``rule_close < rule_open``.
        look_minute, look_rule: the looks, sorted by (minute, rule); look_last: (L,) bool, the rule ends here and
            gives its units back whatever the queue.
        displacement_minute, displacement_service, displacement_units: dated events that put at least so many
            units' worth of people out of a service, sorted by (minute, service).
    """

    names: tuple[str, ...]
    n_pools: int
    calendars: Calendars
    calendar: np.ndarray
    first_fit: np.ndarray
    step_minute: np.ndarray
    step_service: np.ndarray
    step_capacity: np.ndarray
    step_reason: np.ndarray
    quota_day: np.ndarray
    quota_week: np.ndarray
    first_weekday: int = 0
    way_out: np.ndarray = field(default_factory=_empty)
    rule_watch: np.ndarray = field(default_factory=_empty)
    rule_service: np.ndarray = field(default_factory=_empty)
    rule_units: np.ndarray = field(default_factory=_empty)
    rule_open: np.ndarray = field(default_factory=_empty)
    rule_close: np.ndarray = field(default_factory=_empty)
    look_minute: np.ndarray = field(default_factory=_empty)
    look_rule: np.ndarray = field(default_factory=_empty)
    look_last: np.ndarray = field(default_factory=_empty)
    displacement_minute: np.ndarray = field(default_factory=_empty)
    displacement_service: np.ndarray = field(default_factory=_empty)
    displacement_units: np.ndarray = field(default_factory=_empty)

    @property
    def horizon(self) -> int:
        """Minutes in the run: events happen at minutes 0 <= t < horizon."""
        return self.calendars.horizon


# ---------------------------------------------------------------------------------------------------------------------
# How much of a service there is, and where


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
    own = split(service, service.capacity * scale)
    return own | {unit: round(c * scale) * service.units_each for unit, c in service.neighbours.items()}


def block_amount(block: Block) -> float:
    """What a block adds in the unit of its service (hours of care: a week)."""
    if block.per == "week":
        return block.add
    return block.add / ((block.end - block.from_date).days / 7)
