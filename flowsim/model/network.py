"""From a place to its network: calendars, capacities, quotas, escalation and displacement as an engine's tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np

from flowsim.model.calendar import ALWAYS_OPEN, DAY, Calendars
from flowsim.model.capacity import (
    NO_QUOTA,
    REASON_CODE,
    Network,
    apportion,
    block_amount,
    capacities,
    queue_name,
    split,
    units_of,
)
from flowsim.place import ALWAYS, Escalation, Place, Service, parse_hours


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
        """How many may start in each queue by day (S, days) and by Monday-to-Sunday week (S, weeks).

        A policy's quotas by day hold from the day it starts. A week has one quota: where the policy starts within a
        week, the old one (or its absence) holds until that week ends.
        """
        days = np.arange(self.run.all_days)
        week_of = (days + self.run.first_date.weekday()) // 7
        quota_day = np.full((len(self.names), len(days)), NO_QUOTA, dtype=np.int64)
        quota_week = np.full((len(self.names), int(week_of[-1]) + 1), NO_QUOTA, dtype=np.int64)
        day_name = np.array(["weekday"] * 5 + ["saturday", "sunday"])[self.day_kind]
        switch_day = self.switch // DAY
        old_weeks = np.unique(week_of[days < switch_day])
        new_weeks = np.setdiff1d(week_of, old_weeks)
        for kind, service in self.kinds.items():
            for period, weeks, source in (
                (days < switch_day, old_weeks, self.old.get(kind, service)),
                (days >= switch_day, new_weeks, service),
            ):
                if source.quota is None:
                    continue
                for name in ("weekday", "saturday", "sunday"):
                    for unit, n in self._quota_split(source, getattr(source.quota, name)).items():
                        quota_day[self.index[queue_name(kind, unit)], period & (day_name == name)] = n
                for unit, n in self._quota_split(source, source.quota.week).items():
                    quota_week[self.index[queue_name(kind, unit)], weeks] = n
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
