"""From a place to its network: calendars, capacities, quotas, escalation and displacement as an engine's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from flowsim.model.calendar import ALWAYS_OPEN, DAY, Calendars
from flowsim.model.changes import Change, planned_changes
from flowsim.model.cohort import Cohort
from flowsim.model.days import bank_holidays, dates_of
from flowsim.model.shocks import Happening, happenings
from flowsim.model.tables import NO_QUOTA, REASON_CODE, Network
from flowsim.place import ALWAYS, Calendar, Escalation, Place, Service, apportion, once_a_place, parse_hours
from flowsim.place.queues import block_amount, capacities, own_units, queue_name, split, units_of


def build_network(place: Place, cohort: Cohort) -> Network:
    """The network of a place: its queues in the place's order, pools first, with the old rules until `policy_start`.

    The cohort says which shocks there are: they are chance, and the same in every scenario.
    """
    return _Builder(place, cohort).build()


class _Builder:
    """Collects the tables of a network; `before` holds until the minute `switch`, `place` from then on."""

    def __init__(self, place: Place, cohort: Cohort) -> None:
        self.place = place
        self.before = place.rules_before or place
        self.run = place.run
        self.switch = self.run.switch if place.rules_before else 0
        self.kinds = place.kinds
        self.old = self.before.kinds
        self.names = [queue_name(k, u) for k, s in self.kinds.items() for u in units_of(s)]
        self.index = {name: i for i, name in enumerate(self.names)}
        self.pairs: dict[str, tuple[str, str]] = {}  # calendars that no shock shuts: before the switch, and after it
        self.openings: dict[str, np.ndarray] = {}  # of all calendars, those that shocks shut behind the others
        self.shocks = happenings(place, cohort)
        self.day_kind, self.midnights = _days(place)

    def build(self) -> Network:
        for name in (*self.place.calendars, *self.before.calendars):
            self._calendar(name, name)
        hours = {k: self._calendar(self.old.get(k, s).calendar, s.calendar) for k, s in self.kinds.items()}
        self.openings = {name: self._hours(old, new) for name, (old, new) in self.pairs.items()}
        steps, planned = self._capacity_steps()
        calendar = [self._accepting(k, u, hours[k]) for k, s in self.kinds.items() for u in units_of(s)]
        way_out = [self._way_out(k, u) for k, s in self.kinds.items() for u in units_of(s)]
        quota_day, quota_week = self._quotas()
        rules, looks = self._escalations()
        put_out = self._displacements(planned)
        return Network(
            names=tuple(self.names),
            n_pools=sum(len(units_of(s)) for s in self.place.pools.values()),
            calendars=Calendars.from_openings(self.openings, self.run.horizon),
            calendar=np.array(calendar, dtype=np.int64),
            first_fit=np.array([s.queue == "first_fit" for s in self.kinds.values() for _ in units_of(s)]),
            **_table(steps, "step_minute", "step_service", "step_capacity", "step_reason"),
            quota_day=quota_day,
            quota_week=quota_week,
            first_weekday=self.run.first_date.weekday(),
            way_out=np.array(way_out, dtype=np.int64),
            **_table(rules, "rule_watch", "rule_service", "rule_units", "rule_open", "rule_close"),
            **_table(looks, "look_minute", "look_rule", "look_last"),
            **_table(sorted(put_out), "displacement_minute", "displacement_service", "displacement_units"),
        )

    # calendars -------------------------------------------------------------------------------------------------------

    def _calendar(self, old: str, new: str) -> int:
        """The index of the calendar that is `old` before the switch and `new` after it."""
        if old == new == ALWAYS:
            return ALWAYS_OPEN
        name = new if old == new else f"{old} then {new}"
        self.pairs[name] = (old, new)
        return list(self.pairs).index(name)

    def _hours(self, old: str, new: str) -> np.ndarray:
        """The openings, (k, 2), of the calendar that is `old` before the switch and `new` after it. A calendar that one
        of the two places has not is as in the other."""
        earlier: dict[str, Calendar | bool] = {ALWAYS: True, **self.before.calendars}
        later: dict[str, Calendar | bool] = {ALWAYS: True, **self.place.calendars}
        before = earlier[old] if old in earlier else earlier.get(new, False)
        after = later[new] if new in later else later.get(old, False)
        if before == after:
            return self._of(after)
        return np.concatenate([np.minimum(self._of(before), self.switch), np.maximum(self._of(after), self.switch)])

    def _of(self, hours: Calendar | bool) -> np.ndarray:
        """When hours are open: (k, 2) minutes from and to."""
        if isinstance(hours, bool):
            return self._all_the_time()[: int(hours)]
        spans = [np.zeros((0, 2), dtype=np.int64)]
        for (weekday, holiday), midnights in self.midnights.items():
            spans += [np.add.outer(midnights, span) for span in hours.hours(weekday, holiday)]
        return np.concatenate(spans)

    def _accepting(self, kind: str, unit: str | None, calendar: int) -> int:
        """The calendar in which a queue takes people: that of its service, without the shocks that close it."""
        if not self._may_shut(kind, unit, "closes_to_new"):
            return calendar
        name = f"{queue_name(kind, unit)}: open to new people"
        openings = self._all_the_time() if calendar == ALWAYS_OPEN else list(self.openings.values())[calendar]
        return self._shut(name, openings, [h for h in self._at(kind, unit) if h.shock.closes_to_new])

    def _way_out(self, kind: str, unit: str | None) -> int:
        """The calendar in which people may leave a queue's service."""
        if not self._may_shut(kind, unit, "closes_way_out"):
            return ALWAYS_OPEN
        name = f"{queue_name(kind, unit)}: way out"
        return self._shut(name, self._all_the_time(), [h for h in self._at(kind, unit) if h.shock.closes_way_out])

    def _may_shut(self, kind: str, unit: str | None, what: str) -> bool:
        """Has a queue's service shocks that shut this? By declaration: which calendars there are is no chance."""
        declared = [shock for kinds in (self.kinds, self.old) if kind in kinds for shock in kinds[kind].shocks.values()]
        return unit in own_units(self.kinds[kind]) and any(getattr(shock, what) for shock in declared)

    def _at(self, kind: str, unit: str | None) -> Iterator[Happening]:
        return (h for h in self.shocks if h.kind == kind and h.unit == unit)

    def _all_the_time(self) -> np.ndarray:
        return np.array([[0, self.run.horizon]])

    def _shut(self, name: str, openings: np.ndarray, during: list[Happening]) -> int:
        for shock in during:
            openings = np.concatenate([np.minimum(openings, shock.start), np.maximum(openings, shock.end)])
        self.openings[name] = openings
        return len(self.openings) - 1

    # capacity --------------------------------------------------------------------------------------------------------

    def _capacity_steps(self) -> tuple[list[tuple[int, ...]], _Levels]:
        """Capacity as one step a queue and minute, and what it would be without shocks."""
        scale = self.run.scale
        start = {
            queue_name(kind, unit): (capacities(self.old[kind], scale) if kind in self.old else {}).get(unit, 0)
            for kind, service in self.kinds.items()
            for unit in units_of(service)
        }
        planned = _Levels(start)
        for change in planned_changes(self.place):
            planned.add(change, self.run.horizon)
        shocked = planned.copy()
        for shock in self.shocks:
            for change in self._closed_by(shock, planned):
                shocked.add(change, self.run.horizon)
        steps = []
        for queue, name in enumerate(self.names):
            for minute, (level, reason) in shocked.of(name).items():
                steps.append((minute, queue, level, REASON_CODE["start" if minute == 0 else reason]))
        return sorted(steps), planned

    def _closed_by(self, shock: Happening, planned: _Levels) -> Iterator[Change]:
        """A shock takes what it takes of the capacity there is when it begins, and gives it back when it ends."""
        closes = shock.shock.closes
        if closes is None:
            return
        if closes.share is not None:
            units = round(closes.share * planned.at(queue_name(shock.kind, shock.unit), shock.start))
        else:
            units = round(-(closes.add or 0) * self.run.scale) * self.kinds[shock.kind].units_each
        yield Change(shock.kind, shock.unit, shock.start, -units, "shock")
        yield Change(shock.kind, shock.unit, shock.end, units, "shock")

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

    def _escalations(self) -> tuple[list[tuple[int, ...]], np.ndarray]:
        """Rules (watch, service, units, open, close) and looks (minute, rule, last), sorted."""
        rules: list[tuple[int, ...]] = []
        looks: list[np.ndarray] = [np.zeros((0, 3), dtype=np.int64)]
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
        every = np.concatenate(looks)
        return rules, every[np.lexsort(every.T[::-1])]

    def _rule(
        self,
        kind: str,
        service: Service,
        rule: Escalation,
        start: int,
        end: int,
        rules: list[tuple[int, ...]],
        looks: list[np.ndarray],
    ) -> None:
        if rule.from_date is not None:
            start = max(start, self.run.minute_of(rule.from_date))
        if rule.end is not None:
            end = min(end, self.run.minute_of(rule.end))
        times = [minute for minute, _ in parse_hours(rule.looks)]
        minutes = np.add.outer(np.arange(self.run.all_days) * DAY, times).reshape(-1)
        minutes = minutes[(start <= minutes) & (minutes < end)]
        scale = self.run.scale
        base = capacities(service, scale)
        added = None if rule.add is None else split(service, rule.add * scale)
        watched = self.kinds[rule.watch or kind]
        for unit in own_units(service):
            units = round((rule.share or 0) * base[unit]) if added is None else added[unit]
            queue = self.index[queue_name(kind, unit)]
            watch = self.index[queue_name(rule.watch or kind, None if watched.split_by is None else unit)]
            number = len(rules)
            opens = max(round(rule.open_at * scale), 1)
            rules.append((watch, queue, units, opens, min(round(rule.close_at * scale), opens - 1)))
            looks.append(np.column_stack([minutes, np.full_like(minutes, number), np.zeros_like(minutes)]))
            if end < self.run.horizon:
                looks.append(np.array([[end, number, 1]]))

    def _displacements(self, planned: _Levels) -> list[tuple[int, int, int]]:
        """Events (minute, queue, units): homes that close, packages handed back when a block ends, and shocks."""
        events: dict[tuple[int, int], int] = {}
        dated: list[tuple[int, str, int]] = []
        for kind, service in self.kinds.items():
            base = capacities(service, self.run.scale)
            inside = base.keys() - service.neighbours.keys()
            wanted = [
                (d.date, {u: round(d.share * c) for u, c in base.items() if u in (d.where or inside)})
                for d in service.displacements.values()
            ]
            wanted += [
                (b.end, split(service, block_amount(b) * self.run.scale, b.split))
                for b in service.blocks.values()
                if b.at_end == "hand_back" and b.add > 0
            ]
            dated += [
                (self.run.minute_of(date), queue_name(kind, unit), units)
                for date, by_unit in wanted
                for unit, units in by_unit.items()
            ]
        for shock in self.shocks:
            queue = queue_name(shock.kind, shock.unit)
            dated.append((shock.start, queue, round((shock.shock.puts_out or 0) * planned.at(queue, shock.start))))
        for minute, queue, units in dated:
            if units > 0 and 0 <= minute < self.run.horizon:
                key = (minute, self.index[queue])
                events[key] = events.get(key, 0) + units
        return [(minute, queue, units) for (minute, queue), units in events.items()]


class _Levels:
    """The capacity of every queue as a sum of changes, never below nought."""

    def __init__(self, start: Mapping[str, int]) -> None:
        self._start = start
        self._changes: dict[str, dict[int, tuple[int, str]]] = {queue: {} for queue in start}

    def copy(self) -> _Levels:
        """The same levels, to which more can be added."""
        other = _Levels(self._start)
        other._changes = {queue: dict(changes) for queue, changes in self._changes.items()}
        return other

    def add(self, change: Change, horizon: int) -> None:
        """One more change; one from before the run counts from minute 0, and of one minute's reasons the last."""
        if change.units and change.minute < horizon:
            minute, changes = max(change.minute, 0), self._changes[queue_name(change.kind, change.unit)]
            changes[minute] = (changes.get(minute, (0, ""))[0] + change.units, change.reason)

    def of(self, queue: str) -> dict[int, tuple[int, str]]:
        """The capacity of a queue from each minute on in which it changes, and why."""
        level, levels = self._start[queue], {0: (max(self._start[queue], 0), "start")}
        for minute, (units, reason) in sorted(self._changes[queue].items()):
            level += units
            levels[minute] = (max(level, 0), reason)
        return levels

    def at(self, queue: str, minute: int) -> int:
        """The capacity of a queue in a minute; before the run, as at minute 0."""
        level = self._start[queue] + sum(u for m, (u, _) in self._changes[queue].items() if m <= max(minute, 0))
        return max(level, 0)


@once_a_place
def _days(place: Place) -> tuple[np.ndarray, dict[tuple[int, bool], np.ndarray]]:
    """Of each day of the run the weekday whose hours hold, 6 on a bank holiday, (days,); and the first minutes of all
    days that are alike, by that weekday and whether they are bank holidays."""
    dates = dates_of(place)
    free = bank_holidays(place, dates)
    kinds = [(6 if d in free else d.weekday(), d in free) for d in dates]
    midnights = {kind: np.array([day * DAY for day, k in enumerate(kinds) if k == kind]) for kind in sorted(set(kinds))}
    return np.array([weekday for weekday, _ in kinds]), midnights


def _table(rows: Sequence[tuple[int, ...]] | np.ndarray, *names: str) -> dict[str, np.ndarray]:
    columns = np.array(rows, dtype=np.int64).reshape(len(rows), len(names))
    return {name: columns[:, i].copy() for i, name in enumerate(names)}
