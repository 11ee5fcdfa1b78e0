"""The services of a place as an engine sees them: numbered queues with calendars, capacities and quotas."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from flowsim.model.calendar import ALWAYS_OPEN, DAY, Calendars
from flowsim.place import ALWAYS, Block, Escalation, Place, Service, parse_hours

UNLIMITED = 2**30
"""A capacity nobody reaches; used for services that are never full (home, the world outside)."""

NO_QUOTA = -1

# Why a capacity changed (column `reason` of the steps and of the capacity log).
REASONS = ("start", "policy", "block", "closure", "shock", "escalation")
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
# From a place to its network


def apportion(total: float, weights: dict[str, float]) -> dict[str, int]:
    """Split a total into whole units in proportion to weights, by largest remainder; the parts add to the total."""
    whole = round(abs(total))
    sign = -1 if total < 0 else 1
    share = sum(weights.values())
    exact = {k: whole * w / share for k, w in weights.items()}
    parts = {k: int(v) for k, v in exact.items()}
    order = sorted(exact, key=lambda k: (parts[k] - exact[k], list(weights).index(k)))
    for k in order[: whole - sum(parts.values())]:
        parts[k] += 1
    return {k: sign * v for k, v in parts.items()}


def queue_name(service: str, unit: str | None) -> str:
    """The name of one queue of a service: ``service`` or ``service/site-or-locality``."""
    return service if unit is None else f"{service}/{unit}"


def units_of(service: Service) -> list[str | None]:
    """The sites or localities a service has a queue in; ``[None]`` when it is one queue for all."""
    if service.split_by is None:
        return [None]
    return [*(service.by_site or service.by_locality or {}), *service.neighbours]


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


def build_network(place: Place) -> Network:
    """The network of a place: its queues in the place's order, pools first, with the old rules until `policy_start`."""
    return _Builder(place).build()


class _Builder:
    """Collects the tables of a network; `before` holds until the minute `switch`, `place` from then on."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.before = place.before or place
        self.run = place.run
        self.switch = self.run.minute_of(self.run.policy_start or self.run.start_date) if place.before else 0
        self.kinds = {**place.pools, **place.services}
        self.old = {**self.before.pools, **self.before.services}
        self.names = [queue_name(k, u) for k, s in self.kinds.items() for u in units_of(s)]
        self.index = {name: i for i, name in enumerate(self.names)}
        self.masks: dict[str, np.ndarray] = {}
        self.steps: dict[tuple[int, int], tuple[int, int]] = {}
        dates = [self.run.date_of(d * DAY) for d in range(self.run.all_days)]
        free = bank_holidays(place, dates)
        self.day_kind = np.array([6 if d in free else d.weekday() for d in dates])
        self.is_holiday = np.array([d in free for d in dates])

    def build(self) -> Network:
        for name in (*self.place.calendars, *self.before.calendars):
            self._calendar(name, name)
        for kind, service in self.kinds.items():
            self._capacity_steps(kind, service)
        steps = sorted((m, s, c, r) for (m, s), (c, r) in self.steps.items())
        calendar = [
            self._calendar(self.old.get(k, s).calendar, s.calendar) for k, s in self.kinds.items() for _ in units_of(s)
        ]
        quota_day, quota_week = self._quotas()
        rules, looks = self._escalations()
        put_out = self._displacements()
        return Network(
            names=tuple(self.names),
            n_pools=sum(len(units_of(s)) for s in self.place.pools.values()),
            calendars=Calendars.from_masks(self.masks, self.run.horizon),
            calendar=np.array(calendar, dtype=np.int64),
            first_fit=np.array([s.queue == "first_fit" for s in self.kinds.values() for _ in units_of(s)]),
            **_table(steps, "step_minute", "step_service", "step_capacity", "step_reason"),
            quota_day=quota_day,
            quota_week=quota_week,
            first_weekday=self.run.first_date.weekday(),
            **_table(rules, "rule_watch", "rule_service", "rule_units", "rule_open", "rule_close"),
            **_table(sorted(looks), "look_minute", "look_rule", "look_last"),
            **_table(sorted(put_out), "displacement_minute", "displacement_service", "displacement_units"),
        )

    # calendars -------------------------------------------------------------------------------------------------------

    def _calendar(self, old: str, new: str) -> int:
        """The index of the calendar that is `old` before the switch and `new` after it."""
        if old == new == ALWAYS:
            return ALWAYS_OPEN
        name = new if old == new else f"{old} then {new}"
        if name not in self.masks:
            mask = self._mask(self.before, old if old in (ALWAYS, *self.before.calendars) else new)
            mask[self.switch :] = self._mask(self.place, new if new in (ALWAYS, *self.place.calendars) else old)[
                self.switch :
            ]
            self.masks[name] = mask
        return list(self.masks).index(name)

    def _mask(self, place: Place, name: str) -> np.ndarray:
        """Is minute t open? (horizon,) bool."""
        if name == ALWAYS or name not in place.calendars:
            return np.full(self.run.horizon, name == ALWAYS)
        mask = np.zeros((self.run.all_days, DAY), dtype=bool)
        for holiday in (False, True):
            for weekday in range(7):
                days = (self.is_holiday == holiday) & ((self.day_kind == weekday) | holiday)
                for start, end in place.calendars[name].hours(weekday, holiday):
                    mask[days, start:end] = True
        return mask.reshape(-1)

    # capacity --------------------------------------------------------------------------------------------------------

    def _capacity_steps(self, kind: str, service: Service) -> None:
        """Base capacity, its change at the switch, and every block, as one step a queue and minute."""
        horizon, scale = self.run.horizon, self.run.scale
        base = capacities(service, scale)
        old = capacities(self.old[kind], scale) if kind in self.old else dict.fromkeys(base, 0)
        changes: dict[tuple[int, str | None], tuple[int, int]] = {}

        def change(minute: int, unit: str | None, units: int, reason: str) -> None:
            if units and minute < horizon:
                before = changes.get((max(minute, 0), unit), (0, 0))[0]
                changes[max(minute, 0), unit] = (before + units, REASON_CODE[reason])

        for unit in base:
            change(self.switch, unit, base[unit] - old.get(unit, 0), "policy")
        for block in service.blocks.values():
            reason = "closure" if block.add < 0 else "block"
            for unit, units in split(service, block_amount(block) * scale, block.split).items():
                change(self.run.minute_of(block.from_date), unit, units, reason)
                if self.run.minute_of(block.end) > 0:
                    change(self.run.minute_of(block.end), unit, -units, reason)
        for unit in base:
            level = old.get(unit, 0)
            self.steps[0, self.index[queue_name(kind, unit)]] = (level, REASON_CODE["start"])
            for minute, _ in sorted(key for key in changes if key[1] == unit):
                units, code = changes[minute, unit]
                level += units
                reason_at_start = REASON_CODE["start"] if minute == 0 else code
                self.steps[minute, self.index[queue_name(kind, unit)]] = (max(level, 0), reason_at_start)

    def _quotas(self) -> tuple[np.ndarray, np.ndarray]:
        """How many may start in each queue by day (S, days) and by Monday-to-Sunday week (S, weeks)."""
        days = np.arange(self.run.all_days)
        week_of = (days + self.run.first_date.weekday()) // 7
        quota_day = np.full((len(self.names), len(days)), NO_QUOTA, dtype=np.int64)
        quota_week = np.full((len(self.names), int(week_of[-1]) + 1), NO_QUOTA, dtype=np.int64)
        day_name = np.array(["weekday"] * 5 + ["saturday", "sunday"])[self.day_kind]
        switch_day = self.switch // DAY
        for kind, service in self.kinds.items():
            for period, source in ((days < switch_day, self.old.get(kind, service)), (days >= switch_day, service)):
                if source.quota is None:
                    continue
                for name in ("weekday", "saturday", "sunday"):
                    for unit, n in self._quota_split(source, getattr(source.quota, name)).items():
                        quota_day[self.index[queue_name(kind, unit)], period & (day_name == name)] = n
                for unit, n in self._quota_split(source, source.quota.week).items():
                    quota_week[self.index[queue_name(kind, unit)], np.unique(week_of[period])] = n
        return quota_day, quota_week

    def _quota_split(self, service: Service, amount: float | None) -> dict[str | None, int]:
        if amount is None:
            return {}
        if service.split_by is None:
            return {None: round(amount * self.run.scale)}
        weights = dict(service.by_site or service.by_locality or {})
        return dict(apportion(amount * self.run.scale, weights).items())

    # escalation and displacement -------------------------------------------------------------------------------------

    def _escalations(self) -> tuple[list[tuple[int, ...]], list[tuple[int, int, int]]]:
        """Rules (watch, service, units, open, close) and looks (minute, rule, last)."""
        rules: list[tuple[int, ...]] = []
        looks: list[tuple[int, int, int]] = []
        for kind, service in self.kinds.items():
            earlier = self.old[kind].escalation if kind in self.old else {}
            for name in {**earlier, **service.escalation}:
                old, new = earlier.get(name), service.escalation.get(name)
                before = self.old.get(kind, service)
                same = old == new and capacities(before, 1) == capacities(service, 1)
                periods = [(0, self.run.horizon, service, new)] if same else [
                    (0, self.switch, before, old), (self.switch, self.run.horizon, service, new)]  # fmt: skip
                for start, end, then, rule in periods:
                    if rule is not None and start < end:
                        self._rule(kind, then, rule, start, end, rules, looks)
        return rules, looks

    def _rule(
        self,
        kind: str,
        service: Service,
        rule: Escalation,
        start: int,
        end: int,
        rules: list[tuple[int, ...]],
        looks: list[tuple[int, int, int]],
    ) -> None:
        if rule.from_date is not None:
            start = max(start, self.run.minute_of(rule.from_date))
        if rule.to_date is not None:
            end = min(end, self.run.minute_of(rule.to_date))
        times = [minute for minute, _ in parse_hours(rule.looks)]
        minutes = [d * DAY + t for d in range(self.run.all_days) for t in times if start <= d * DAY + t < end]
        scale = self.run.scale
        own = capacities(service, scale)
        by_unit = (
            split(service, rule.add * scale)
            if rule.add is not None
            else {u: round((rule.share or 0) * c) for u, c in own.items() if u not in service.neighbours}
        )
        for unit, units in by_unit.items():
            queue = self.index[queue_name(kind, unit)]
            number = len(rules)
            opens = max(round(rule.open_at * scale), 1)
            rules.append((queue, queue, units, opens, min(round(rule.close_at * scale), opens - 1)))
            looks.extend((m, number, 0) for m in minutes)
            if end < self.run.horizon:
                looks.append((end, number, 1))

    def _displacements(self) -> list[tuple[int, int, int]]:
        """Dated events (minute, queue, units): homes that close, and packages handed back when a block ends."""
        events: dict[tuple[int, int], int] = {}
        for kind, service in self.kinds.items():
            base = capacities(service, self.run.scale)
            wanted = [
                (d.date, {u: round(d.share * c) for u, c in base.items() if u not in service.neighbours})
                for d in service.displacements.values()
            ]
            wanted += [
                (b.end, split(service, block_amount(b) * self.run.scale, b.split))
                for b in service.blocks.values()
                if b.at_end == "hand_back" and b.add > 0
            ]
            for date, by_unit in wanted:
                minute = self.run.minute_of(date)
                for unit, units in by_unit.items():
                    if units > 0 and 0 <= minute < self.run.horizon:
                        key = (minute, self.index[queue_name(kind, unit)])
                        events[key] = events.get(key, 0) + units
        return [(minute, queue, units) for (minute, queue), units in events.items()]


def block_amount(block: Block) -> float:
    """What a block adds in the unit of its service (hours of care: a week)."""
    if block.per == "week":
        return block.add
    return block.add / ((block.end - block.from_date).days / 7)


def bank_holidays(place: Place, dates: list[dt.date]) -> set[dt.date]:
    """The bank holidays of the place on the days of the run."""
    if not place.bank_holidays:
        return set()
    import holidays

    country, _, part = place.bank_holidays.partition("-")
    years = range(dates[0].year, dates[-1].year + 1)
    return set(holidays.country_holidays(country, subdiv=part or None, years=years)) & set(dates)


def _table(rows: Sequence[tuple[int, ...]], *names: str) -> dict[str, np.ndarray]:
    columns = np.array(rows, dtype=np.int64).reshape(len(rows), len(names))
    return {name: columns[:, i].copy() for i, name in enumerate(names)}
