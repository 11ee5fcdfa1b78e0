"""Small places for testing engines: `Builder` for cases made by hand, `random_case` for crowded random ones.

A case by hand::

    b = Builder(days=3)
    b.pool("nurse", 1, calendar=b.calendar("office", hours=(9, 17)))
    b.service("ed", 1)
    b.service("ward", 1)
    ward = dict(service="ward", duration=600, after=[task(30, pool="nurse")])
    ann = b.spell(0, [dict(service="ed", duration=60), ward])
    journeys, network = b.build()
    result = reference.run(journeys, network)
    result.left[b.row(ann, 0)]  # when Ann left her first row
    result.task_ended[b.task(ann, 1, 0)]  # when the first task of her second row was done

Rows refer to each other by their place in the spell's own list (0 is the first), services, pools and calendars by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from flowsim.model.calendar import ALWAYS_OPEN, DAY, Calendars
from flowsim.model.tables import (
    NO_QUOTA,
    NONE,
    NUMBERS_A_PERSON,
    REASON_CODE,
    ROW_DEFAULTS,
    Journeys,
    Network,
    RowTable,
    SpellTable,
    TaskTable,
)

HOUR = 60
REFERENCES = ("next", "otherwise", "unfit_to", "since", "keep", "displaced_to")
"""Row columns that name another row of the same spell."""


def task(
    minutes: int = 0, *, calendar: str | None = None, pool: str | None = None, skip_if_kept: int = 0
) -> dict[str, Any]:
    """A task for `before` or `after` of a row: so many open minutes of the calendar, or (0) its next open minute."""
    return {"minutes": minutes, "calendar": calendar, "pool": pool, "skip_if_kept": skip_if_kept}


def calendars_of(masks: dict[str, np.ndarray], horizon: int) -> Calendars:
    """Calendars by one boolean array of shape (horizon,) each: is minute t open?"""
    changes = {name: np.flatnonzero(np.diff(mask, prepend=False, append=False)) for name, mask in masks.items()}
    return Calendars.from_openings({name: minutes.reshape(-1, 2) for name, minutes in changes.items()}, horizon)


class Builder:
    """Collects a small place and its people, and numbers everything in the end.

    Args:
        days: length of the run in days.
        first_weekday: weekday of day 0, Monday is 0 (for weekly quotas and calendars).
        horizon: minutes in the run, if it is not whole days.
    """

    def __init__(self, days: int = 7, first_weekday: int = 0, horizon: int | None = None) -> None:
        self.horizon = days * DAY if horizon is None else horizon
        self.first_weekday = first_weekday
        self._masks: dict[str, np.ndarray] = {}
        self._services: dict[str, dict[str, Any]] = {}
        self._rules: list[tuple[str, str, int, int, int]] = []
        self._looks: list[tuple[int, int, bool]] = []
        self._displacements: list[tuple[int, str, int]] = []
        self._spells: dict[int, dict[str, Any]] = {}

    def calendar(
        self,
        name: str,
        *,
        hours: tuple[int, int] = (0, 24),
        weekdays: Iterable[int] = range(7),
        minutes: Iterable[int] | None = None,
    ) -> str:
        """Open from the first to the second hour on these weekdays, or in exactly these minutes; gives the name."""
        mask = np.zeros(self.horizon, dtype=bool)
        if minutes is not None:
            mask[[m for m in minutes if 0 <= m < self.horizon]] = True
        else:
            t = np.arange(self.horizon)
            hour = t % DAY // HOUR
            weekday = (t // DAY + self.first_weekday) % 7
            mask = (hour >= hours[0]) & (hour < hours[1]) & np.isin(weekday, list(weekdays))
        self._masks[name] = mask
        return name

    def service(
        self,
        name: str,
        capacity: int = 1,
        *,
        steps: Sequence[tuple[int, int] | tuple[int, int, str]] = (),
        calendar: str | None = None,
        first_fit: bool = False,
        quota_day: int | Sequence[int] | None = None,
        quota_week: int | Sequence[int] | None = None,
        pool: bool = False,
    ) -> str:
        """A service; services are numbered in the order they are named here, behind all pools. Gives the name.

        Args:
            name: what rows call it.
            capacity: units from minute 0.
            steps: later capacities as (minute, capacity) or (minute, capacity, reason).
            calendar: the name of the calendar in which it accepts; always, if none.
            first_fit: may a smaller need pass a larger one?
            quota_day: acceptances a day, one number for all days or one for each; -1 for no limit.
            quota_week: the same for weeks from Monday to Sunday.
            pool: is it a staff pool? (`pool` says it shorter.)
        """
        self._services[name] = {
            "steps": [(0, capacity, "start"), *((*s, "policy") if len(s) == 2 else s for s in steps)],
            "calendar": calendar,
            "first_fit": first_fit,
            "quota_day": quota_day,
            "quota_week": quota_week,
            "pool": pool,
        }
        return name

    def pool(self, name: str, capacity: int = 1, **more: Any) -> str:
        """A staff pool: a service that tasks ask for one of. Takes what `service` takes."""
        return self.service(name, capacity, pool=True, **more)

    def rule(
        self,
        watch: str,
        service: str,
        units: int,
        *,
        opens: int,
        closes: int,
        looks: Iterable[int],
        last: int | None = None,
    ) -> None:
        """Escalation: `opens` waiting for `watch` at a look (a minute) open `units` in `service`; it ends at `last`."""
        rule = len(self._rules)
        self._rules.append((watch, service, units, opens, closes))
        self._looks += [(minute, rule, False) for minute in looks if minute != last]
        if last is not None:
            self._looks.append((last, rule, True))

    def displace(self, minute: int, service: str, units: int) -> None:
        """At that minute people holding at least so many units are put out of the service."""
        self._displacements.append((minute, service, units))

    def spell(
        self, arrival: int, rows: Sequence[dict[str, Any]], *, initial: bool = False, number: int | None = None
    ) -> int:
        """A person and the stages of their way. Gives the spell's number.

        A row is a dict of `RowTable` columns, with these comforts: `service` and `patience_calendar` are names; `next`
        is the row behind it in the list unless said otherwise (-1 for none, as it is for the last); `before` and
        `after` are lists of `task`; `child` is the list of rows of the readmission (its spell has the next number).

        Args:
            arrival: minute of arrival (of no meaning for initial spells).
            rows: the stages.
            initial: already in the first row at minute 0?
            number: the spell's number; the next person's first if not said.
        """
        if number is None:
            number = (max(self._spells, default=-NUMBERS_A_PERSON) // NUMBERS_A_PERSON + 1) * NUMBERS_A_PERSON
        if number in self._spells:
            raise ValueError(f"there is a spell {number} already")
        self._spells[number] = {"arrival": arrival, "rows": list(rows), "initial": int(initial)}
        for row in rows:
            if "child" in row:
                self.spell(NONE, row["child"], number=number + 1)
        return number

    def row(self, number: int, k: int = 0) -> int:
        """Index in the row table of the spell's k-th row (after `build`)."""
        return int(self._first_row[number] + k)

    def task(self, number: int, k: int, which: int) -> int:
        """Index in the task table of the which-th task (before asking first, then after acceptance) of the k-th row."""
        return int(self._journeys.rows.first_task[self.row(number, k)] + which)

    def index(self, service: str) -> int:
        """Index of a service or pool (after `build`)."""
        return self._index[service]

    def build(self) -> tuple[Journeys, Network]:
        """Number everything."""
        names = sorted(self._services, key=lambda name: not self._services[name]["pool"])  # stable: pools first
        self._index = {name: s for s, name in enumerate(names)}
        self._journeys = self._build_journeys()
        return self._journeys, self._build_network(names)

    def _calendar_index(self, name: str | None) -> int:
        return ALWAYS_OPEN if name is None else list(self._masks).index(name)

    def _build_journeys(self) -> Journeys:
        numbers = sorted(self._spells)
        self._first_row: dict[int, int] = {}
        rows: dict[str, list[int]] = {"spell": [], "stage": [], "service": [], **{name: [] for name in ROW_DEFAULTS}}
        tasks: list[tuple[int, int, int, int, int]] = []
        n_rows = 0
        for number in numbers:
            self._first_row[number] = n_rows
            n_rows += len(self._spells[number]["rows"])
        for spell, number in enumerate(numbers):
            first = self._first_row[number]
            own = self._spells[number]["rows"]
            for k, given in enumerate(own):
                row = dict(given)
                before, after = row.pop("before", []), row.pop("after", [])
                values = {**ROW_DEFAULTS, "spell": spell, "stage": 0, "first_task": len(tasks)}
                values.update(n_before=len(before), n_after=len(after))
                if "child" in row:
                    row["child"] = numbers.index(number + 1)
                row.setdefault("next", k + 1 if k + 1 < len(own) else NONE)
                row["service"] = self._index[row["service"]]
                row["patience_calendar"] = self._calendar_index(row.get("patience_calendar"))
                for name in REFERENCES:
                    if row.get(name, NONE) != NONE:
                        row[name] += first
                unknown = row.keys() - rows.keys()
                if unknown:
                    raise ValueError(f"row {k} of spell {number} has unknown columns {sorted(unknown)}")
                values.update(row)
                values["stage"] = values["service"]
                for name, value in values.items():
                    rows[name].append(int(value))
                for t in (*before, *after):
                    pool = NONE if t["pool"] is None else self._index[t["pool"]]
                    tasks.append((0, self._calendar_index(t["calendar"]), t["minutes"], pool, t["skip_if_kept"]))
        spells = [self._spells[number] for number in numbers]
        task_columns = np.array(tasks, dtype=np.int64).reshape(-1, 5).T
        return Journeys(
            SpellTable(
                number=_whole(numbers),
                arrival=_whole(s["arrival"] for s in spells),
                first_row=_whole(self._first_row[number] for number in numbers),
                initial=_whole(s["initial"] for s in spells),
            ),
            RowTable(**{name: _whole(column) for name, column in rows.items()}),
            TaskTable(*(np.ascontiguousarray(c) for c in task_columns)),
            stages=tuple(self._index),
            task_names=("task",),
        )

    def _build_network(self, names: list[str]) -> Network:
        services = [self._services[name] for name in names]
        days = -(-self.horizon // DAY)
        weeks = (days - 1 + self.first_weekday) // 7 + 1
        steps: dict[tuple[int, int], tuple[int, int]] = {}
        for s, service in enumerate(services):
            for minute, capacity, reason in service["steps"]:
                steps[minute, s] = (capacity, REASON_CODE[reason])
        step = np.array([(*at, *steps[at]) for at in sorted(steps)], dtype=np.int64).reshape(-1, 4).T
        rule = np.array(
            [(self._index[w], self._index[s], u, o, c) for w, s, u, o, c in self._rules], dtype=np.int64
        ).reshape(-1, 5).T  # fmt: skip
        look = np.array(sorted(self._looks), dtype=np.int64).reshape(-1, 3).T
        out = sorted((minute, self._index[name], units) for minute, name, units in self._displacements)
        displacement = np.array(out, dtype=np.int64).reshape(-1, 3).T
        return Network(
            names=tuple(names),
            n_pools=sum(s["pool"] for s in services),
            calendars=calendars_of(self._masks, self.horizon),
            calendar=_whole(self._calendar_index(s["calendar"]) for s in services),
            first_fit=np.array([s["first_fit"] for s in services], dtype=bool),
            step_minute=step[0].copy(),
            step_service=step[1].copy(),
            step_capacity=step[2].copy(),
            step_reason=step[3].copy(),
            quota_day=np.array([_quota(s["quota_day"], days) for s in services], dtype=np.int64).reshape(-1, days),
            quota_week=np.array([_quota(s["quota_week"], weeks) for s in services], dtype=np.int64).reshape(-1, weeks),
            first_weekday=self.first_weekday,
            rule_watch=rule[0].copy(),
            rule_service=rule[1].copy(),
            rule_units=rule[2].copy(),
            rule_open=rule[3].copy(),
            rule_close=rule[4].copy(),
            look_minute=look[0].copy(),
            look_rule=look[1].copy(),
            look_last=look[2].astype(bool),
            displacement_minute=displacement[0].copy(),
            displacement_service=displacement[1].copy(),
            displacement_units=displacement[2].copy(),
        )


def _whole(values: Iterable[int]) -> np.ndarray:
    return np.array(list(values), dtype=np.int64)


def _quota(given: int | Sequence[int] | None, n: int) -> list[int]:
    if given is None:
        return [NO_QUOTA] * n
    if isinstance(given, int):
        return [given] * n
    return (list(given) + [NO_QUOTA] * n)[:n]


def random_case(
    seed: int | np.random.Generator,
    *,
    spells: int | None = None,
    services: int | None = None,
    pools: int | None = None,
    days: int | None = None,
    odd: float | None = None,
) -> tuple[Journeys, Network]:
    """A small crowded case in which everything the contract knows happens, and much of it in the same minute.

    Args:
        seed: of the random numbers, or their generator.
        spells: people who come by themselves (5 to 60); readmissions are added.
        services: 2 to 5.
        pools: staff pools, 0 to 2.
        days: length of the run, 2 to 14.
        odd: share of times that are not whole hours but single minutes; mostly small.

    Whoever may wait without end holds only services that come earlier than the one wanted, so no circle of services
    can wait for each other (rule 19; a place with such a circle is refused).
    """
    rng = np.random.default_rng(seed)
    maker = _RandomCase(
        rng,
        spells=int(rng.integers(5, 61)) if spells is None else spells,
        services=int(rng.integers(2, 6)) if services is None else services,
        pools=int(rng.integers(0, 3)) if pools is None else pools,
        days=int(rng.integers(2, 15)) if days is None else days,
        odd=float(rng.choice([0.0, 0.05, 0.3, 0.9])) if odd is None else odd,
    )
    return maker.build()


class _RandomCase:
    """Draws one random case; one method a part of it."""

    def __init__(
        self, rng: np.random.Generator, *, spells: int, services: int, pools: int, days: int, odd: float
    ) -> None:
        self.rng = rng
        [self.of_clocks] = rng.spawn(1)  # apart, so that the other numbers of a case stay as they are
        self.clocks = 0.5 * (self.of_clocks.random() < 0.5)  # in half of the cases: they make queues longer
        self.odd = odd
        self.days = days
        self.b = Builder(days=days, first_weekday=int(rng.integers(7)))
        self.n_spells = spells
        self.services = [f"s{k}" for k in range(services)]
        self.pools = [f"p{k}" for k in range(pools)]
        self.first_fit: set[str] = set()

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def one_of(self, things: Sequence[Any]) -> Any:
        return things[int(self.rng.integers(len(things)))]

    def span(self, low: int, high: int) -> int:
        """A length of time: whole hours from low to high, or now and then some single minutes."""
        if self.chance(self.odd):
            return self.between(1, 7) if self.chance(0.5) else self.between(max(low * HOUR, 1), high * HOUR + 1)
        return self.between(max(low, 1), high) * HOUR if low > 0 or self.chance(0.7) else 0

    def moment(self) -> int:
        """A minute of the run, mostly a whole hour."""
        minute = self.between(0, self.days * 24 - 1) * HOUR
        return minute + self.between(0, 59) if self.chance(self.odd) else minute

    def build(self) -> tuple[Journeys, Network]:
        self.make_calendars()
        self.make_services()
        self.make_rules()
        for person in range(self.n_spells):
            initial = self.chance(0.12)
            arrival = self.between(0, max(self.days * 14, 1)) * HOUR
            if self.chance(self.odd):
                arrival += self.between(0, 59)
            rows = self.make_rows(generation=0)
            self.b.spell(arrival, rows, initial=initial, number=person * NUMBERS_A_PERSON)
        return self.b.build()

    def make_calendars(self) -> None:
        b = self.b
        b.calendar("day", hours=(8, 18))
        b.calendar("office", hours=(9, 17), weekdays=range(5))
        b.calendar("round", minutes=range(10 * HOUR, b.horizon, DAY))
        hours = self.rng.random(self.days * 24) < self.rng.uniform(0.2, 0.9)
        if self.days % 2 == 0:  # shut for days on end, perhaps to the end of the run, as in an outbreak
            hours = np.repeat(hours[::24], 24)
        b.calendar("whim", minutes=[h * HOUR + m for h in np.flatnonzero(hours).tolist() for m in range(HOUR)])
        b.calendar("odd", minutes=np.flatnonzero(self.rng.random(b.horizon) < 0.03).tolist())
        self.calendars = ["day", "office", "round", "whim", "odd"]

    def make_services(self) -> None:
        for name in self.pools + self.services:
            pool = name in self.pools
            capacity = self.between(1, 3) if pool else self.between(1, 5)
            if not pool and self.chance(0.4):
                self.first_fit.add(name)
                capacity += 2
            steps = []
            if self.chance(0.5):
                for _ in range(self.between(1, 4)):
                    pairs = [("policy", "move"), ("block", "trend"), ("closure", "shock"), ("shock", "move")]
                    reasons = self.one_of(pairs)
                    minute = max(self.moment(), 1)
                    steps.append((minute, self.between(0, capacity + 2), reasons[minute // HOUR % 2]))
                steps.append((self.days * DAY * 2 // 3, capacity, "policy"))
            days = self.days + 1
            self.b.service(
                name,
                capacity,
                steps=steps,
                calendar=self.one_of(["day", "office", "whim", "odd"]) if self.chance(0.4) else None,
                first_fit=name in self.first_fit,
                quota_day=[self.between(-1, 4) for _ in range(days)] if self.chance(0.2) else None,
                quota_week=[self.between(-1, 9) for _ in range(4)] if self.chance(0.15) else None,
                pool=pool,
            )

    def make_rules(self) -> None:
        everything = self.pools + self.services
        for _ in range(self.between(0, 2)):
            closes = self.between(0, 2)
            every = self.one_of([4, 6, 12])
            looks = list(range(self.between(0, 11) * HOUR, self.b.horizon, every * HOUR))
            last = self.one_of(looks) if self.chance(0.5) else None
            if last is not None and self.chance(0.7):
                looks = [minute for minute in looks if minute < last]
            self.b.rule(
                self.one_of(everything),
                self.one_of(everything),
                self.between(1, 3),
                opens=closes + self.between(1, 3),
                closes=closes,
                looks=looks,
                last=last,
            )
        for _ in range(self.between(0, 3)):
            self.b.displace(self.moment(), self.one_of(self.services), self.between(1, 4))

    def make_tasks(self, most: int) -> list[dict[str, Any]]:
        tasks = []
        for _ in range(self.between(0, most)):
            calendar = self.one_of(self.calendars) if self.chance(0.6) else None
            minutes = 0 if self.chance(0.3) else max(self.span(0, 3), 1)
            if calendar in ("round", "odd"):
                minutes = min(minutes, 2)
            pool = self.one_of(self.pools) if self.pools and self.chance(0.5) else None
            tasks.append(task(minutes, calendar=calendar, pool=pool, skip_if_kept=int(self.chance(0.3))))
        return tasks

    def make_rows(self, generation: int, home: str | None = None) -> list[dict[str, Any]]:
        """The rows of one spell; every reference but `since` points to a later row, so no row is entered twice."""
        n = self.between(1, 6)
        picks = sorted(self.between(0, len(self.services) - 1) for _ in range(n))
        if self.chance(0.5):  # some moves go back, or stay
            a, c = self.between(0, n - 1), self.between(0, n - 1)
            picks[a], picks[c] = picks[c], picks[a]
        if home is not None and self.chance(0.7):
            picks[self.between(0, n - 1)] = self.services.index(home)
        rows: list[dict[str, Any]] = []
        for pick in picks:
            most = 4 if self.services[pick] in self.first_fit else 2
            units = self.between(1, most) if self.chance(0.5) else 1
            rows.append({"service": self.services[pick], "units": 0 if self.chance(0.02) else units})
        parent = self.between(0, n - 1) if generation < 3 and self.chance(0.45) else NONE
        for k, row in enumerate(rows):
            later = list(range(k + 1, n))
            row["duration"] = max(self.span(1, 20), 1)
            row["priority"] = self.between(0, 2) if self.chance(0.4) else 1
            row["next"] = self.one_of(later[:2]) if later and self.chance(0.85) else NONE
            row["hold"] = int(self.chance(0.85))
            row["otherwise"] = self.one_of(later) if later and self.chance(0.7) else NONE
            held = [r for r in picks[:k] if k]
            safe = not held or picks[k] > max(held)
            if safe and self.chance(0.55):
                row["patience"] = NONE
            else:
                row["patience"] = 0 if self.chance(0.3) else max(self.span(1, 30), 1)
            if self.chance(0.25):
                row["since"] = self.between(0, k - 1) if k else NONE
            if later and self.chance(0.12):
                row["keep"] = self.one_of(later)
            if self.chance(0.25):
                row["decline_after"] = self.span(0, 20)
                row["declined_units"] = row["units"] + self.between(0, 2)
                row["declined_duration"] = row["duration"] + self.span(0, 10)
            if self.chance(0.12):
                row["death_after"] = self.span(0, 30)
            if self.chance(0.04):
                row["died"] = 1
            if self.chance(0.8):
                row["kept_on_readmission"] = self.span(1, 30)
            row["displaced_to"] = self.one_of(later) if later and self.chance(0.8) else NONE
            row["displacement_mark"] = self.between(0, 3)
            row["before"] = self.make_tasks(3)
            row["after"] = self.make_tasks(2)
            row["recognition"] = self.between(0, len(row["before"]) + 1) if self.chance(0.6) else 0
            if k == parent:
                row["readmission_gap"] = self.span(0, 16)
                row["child"] = self.make_rows(generation + 1, home=row["service"])
        for row in [r for r in rows if self.chance(0.3)]:
            self.add_unfit(rows, row)
        for row in rows:
            if row.get("patience", NONE) > 0 and self.of_clocks.random() < self.clocks:
                row["patience_calendar"] = self.calendars[int(self.of_clocks.integers(len(self.calendars)))]
        return rows

    def add_unfit(self, rows: list[dict[str, Any]], row: dict[str, Any]) -> None:
        """Rows of its own to resume in when unfit again: whatever was asked for before must not be entered again."""
        resumed = {
            "service": row["service"],
            "units": self.between(min(1, row["units"]), row["units"]),
            "duration": max(self.span(1, 12), 1),
            "next": len(rows) + 1 if self.chance(0.6) else NONE,
            "hold": int(self.chance(0.85)),
            "before": self.make_tasks(2),
            "after": self.make_tasks(2),
        }
        row["unfit_to"] = len(rows)
        row["unfit_after"] = self.span(0, 20)
        if row.get("keep", NONE) == NONE and self.chance(0.2):
            row["keep"] = len(rows)
        rows.append(resumed)
        if resumed["next"] != NONE:
            rows.append(
                {
                    "service": self.one_of(self.services),
                    "duration": max(self.span(1, 12), 1),
                    "next": NONE,
                    "patience": 0 if self.chance(0.2) else max(self.span(1, 30), 1),
                    "since": self.between(0, len(rows) - 1) if self.chance(0.3) else NONE,
                }
            )
