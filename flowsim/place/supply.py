"""What there is: sites, localities, services and staff pools, what changes their capacity, and what they cost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from flowsim.place.dates import LONGEST_WEEKS, Date, weeks_later
from flowsim.place.tables import ALWAYS, Amount, Conditions, Count, Model, share_leaf
from flowsim.place.times import Distribution, Looks, check_forward, day_after

LARGEST_CAPACITY = 10_000_000
MOST_SHOCKS_A_DAY = 1.0
"""Shocks of one kind in one queue cannot come more often than this."""
LONGEST_SHOCK_DAYS = 366
"""No shock lasts longer; what began before the run is drawn so far back."""


class Site(Model):
    title: str


class Locality(Model):
    title: str
    council: str = ""
    neighbour: bool = Field(default=False, description="outside the place under study; shown apart")


Payer = Literal["NHS", "council", "person"]


def _check_payers(payer: str | dict[str, float]) -> str | dict[str, float]:
    if isinstance(payer, dict):
        share_leaf(payer)
    return payer


Payers = Annotated[Payer | dict[Payer, float], AfterValidator(_check_payers)]
"""Who pays: one, or the share of each, such as ``{council: 0.6, person: 0.4}``."""


def _payer_shares(payer: str | Mapping[Any, float]) -> dict[str, float]:
    return {payer: 1.0} if isinstance(payer, str) else dict(payer)


MOST_POUNDS_EACH, MOST_POUNDS = 1e7, 1e12
"""What a unit may cost, and what a scheme."""


class Cost(Model):
    """What a service costs: `amount` pounds, paid by `payer`, for each day or hour of a unit in use, or each start; or
    for each day or week of a unit that is there, used or not; for staff, each day or opening hour of being there, or
    each task."""

    amount: float = Field(ge=0, le=MOST_POUNDS_EACH)
    per: Literal["day", "hour_of_care", "hour_of_staff", "start", "unit_a_day", "unit_a_week"]
    payer: Payers

    @property
    def payers(self) -> dict[str, float]:
        """The share that each payer pays."""
        return _payer_shares(self.payer)

    @property
    def a_week(self) -> float | None:
        """Pounds for a unit that is in use all week; None where the cost does not go by time, or by opening hours."""
        by_day, by_week = 7 * self.amount, self.amount
        return {"day": by_day, "unit_a_day": by_day, "hour_of_care": by_week, "unit_a_week": by_week}.get(self.per)


class CostLine(Model):
    """Money that a scheme costs whatever is used of it: each year or week between two dates, or in all over them."""

    title: str = ""
    amount: float = Field(ge=0, le=MOST_POUNDS)
    per: Literal["year", "week", "total"]
    payer: Payers
    from_date: Date | None = Field(default=None, alias="from", description="default: the whole run")
    to_date: Date | None = Field(default=None, alias="to", description="its last day; default: to the end")

    @property
    def payers(self) -> dict[str, float]:
        """The share that each payer pays."""
        return _payer_shares(self.payer)

    @property
    def end(self) -> dt.date | None:
        """First day without it; None where it has no end."""
        return day_after(self.to_date)

    @model_validator(mode="after")
    def _dates(self) -> CostLine:
        if self.per == "total" and (self.from_date is None or self.to_date is None):
            raise ValueError("an amount in total needs 'from' and 'to', over which it is spent evenly")
        check_forward(self.from_date, self.to_date)
        return self


def _check_split(split: Mapping[str, float] | None) -> None:
    if split is not None and (min(split.values(), default=0) < 0 or not sum(split.values())):
        raise ValueError(f"the split {split} has a negative share or no share at all")


class Block(Model):
    """A dated change of capacity: `add` units between two dates (negative closes)."""

    title: str = ""
    from_date: Date = Field(alias="from")
    to_date: Date | None = Field(default=None, alias="to", description="its last day")
    weeks: float | None = Field(default=None, gt=0, le=LONGEST_WEEKS)
    add: float
    per: Literal["week", "total"] = Field(default="week", description="hours: each week, or in all over the block")
    at_end: Literal["drain", "hand_back"] = "drain"
    split: dict[str, float] | None = Field(default=None, description="by site or locality; default as the capacity")
    paid_whether_used: bool = False

    @model_validator(mode="after")
    def _dates(self) -> Block:
        if (self.to_date is None) == (self.weeks is None):
            raise ValueError("a block needs either 'to' or 'weeks'")
        _check_split(self.split)
        check_forward(self.from_date, self.to_date)
        if self.end <= self.from_date:
            raise ValueError(f"{self.weeks:g} weeks are no whole day; allowed: at least one day (0.15)")
        return self

    @property
    def last_day(self) -> dt.date:
        return self.end - dt.timedelta(days=1)

    @property
    def end(self) -> dt.date:
        """First day without the block."""
        return day_after(self.to_date) or weeks_later(self.from_date, self.weeks or 0)


class Escalation(Model):
    """Open more capacity at fixed looks when people queue, give it back when they no longer do; in each queue apart."""

    title: str = ""
    watch: str | None = Field(default=None, description="the service or pool whose queue is looked at; default its own")
    share: float | None = Field(default=None, ge=0, le=1, description="of the queue's capacity")
    add: float | None = Field(default=None, ge=0)
    open_at: int = Field(ge=1, description="people queueing")
    close_at: int = Field(ge=0, description="people queueing")
    looks: Looks
    from_date: Date | None = Field(default=None, alias="from")
    to_date: Date | None = Field(default=None, alias="to", description="its last day")

    @property
    def end(self) -> dt.date | None:
        """First day without it; None where it has no end."""
        return day_after(self.to_date)

    @model_validator(mode="after")
    def _sane(self) -> Escalation:
        if (self.share is None) == (self.add is None):
            raise ValueError("an escalation needs either 'share' or 'add'")
        check_forward(self.from_date, self.to_date)
        if self.close_at >= self.open_at:
            raise ValueError(f"it closes at {self.close_at}, which is not below {self.open_at}, where it opens")
        return self


class Displacement(Model):
    """A dated event that puts people out of the service: those who use `share` of each queue's capacity."""

    title: str = ""
    date: Date
    share: float = Field(gt=0, le=1)
    where: list[str] | None = Field(default=None, min_length=1, description="only in these sites or localities")


class Closes(Model):
    """How much of a queue's capacity a shock closes: a share of it, or so many units (negative, as in a block)."""

    share: float | None = Field(default=None, gt=0, le=1)
    add: float | None = Field(default=None, lt=0, description="in each queue it comes to")

    @model_validator(mode="after")
    def _one(self) -> Closes:
        if (self.share is None) == (self.add is None):
            raise ValueError("'closes' needs either 'share' or 'add'")
        return self


class Shock(Model):
    """Something that comes to each queue of a service by chance: an outbreak, staff off sick, packages handed back.

    It belongs to no person; so many come to each queue on average in each week, month or year.
    """

    title: str = ""
    rate: float = Field(ge=0, description="in each queue")
    per: Literal["week", "month", "year"] = "year"
    months: list[float] | None = Field(default=None, min_length=12, max_length=12)
    from_date: Date | None = Field(default=None, alias="from")
    to_date: Date | None = Field(default=None, alias="to", description="the last day on which one begins")
    lasts: Distribution
    closes: Closes | None = None
    closes_to_new: bool = Field(default=False, description="nobody is accepted while it lasts")
    closes_way_out: bool = Field(default=False, description="nobody leaves while it lasts")
    puts_out: float | None = Field(default=None, gt=0, le=1, description="share of the capacity, when it begins")

    @property
    def expected_a_day(self) -> list[float]:
        """Shocks a day that begin in each queue, for the days of each month from January: 12 numbers."""
        base = self.rate / {"week": 7.0, "month": 365.25 / 12, "year": 365.25}[self.per]
        months = self.months or [1.0] * 12
        return [base * month / (sum(months) / 12) for month in months]

    @property
    def end(self) -> dt.date | None:
        """First day without it; None where it has no end."""
        return day_after(self.to_date)

    @model_validator(mode="after")
    def _sane(self) -> Shock:
        if self.months is not None and (min(self.months) < 0 or sum(self.months) <= 0):
            raise ValueError("months must not be negative and must not be all nought")
        check_forward(self.from_date, self.to_date)
        if max(self.expected_a_day) > MOST_SHOCKS_A_DAY + 1e-9:
            raise ValueError(
                f"{max(self.expected_a_day):.3g} shocks a day in the busiest month were given; "
                f"allowed: at most {MOST_SHOCKS_A_DAY:g} in each queue"
            )
        if self.closes is None and not self.closes_to_new and not self.closes_way_out and self.puts_out is None:
            raise ValueError("a shock needs at least one of closes, closes_to_new, closes_way_out, puts_out")
        if self.closes_way_out and self.puts_out is not None:
            raise ValueError("a shock that closes the way out puts nobody out: closes_way_out or puts_out, not both")
        return self


class Trend(Model):
    """Growth (or, negative, attrition) of a service: a share of its declared capacity, in equal steps each month."""

    title: str = ""
    share: float = Field(ge=-1, le=10)
    per: Literal["month", "year"] = "year"
    from_date: Date | None = Field(default=None, alias="from", description="default start_date")
    to_date: Date | None = Field(default=None, alias="to", description="no step after it; what was reached stays")

    @property
    def end(self) -> dt.date | None:
        """First day without it; None where it has no end."""
        return day_after(self.to_date)

    @model_validator(mode="after")
    def _dates(self) -> Trend:
        check_forward(self.from_date, self.to_date)
        return self


class Initial(Model):
    """A caseload at the start, in stage `stage`: what fills `utilisation` of each queue's capacity, `people`, or as
    many as use `units`.

    `people` are so many in each site or locality that is named, or one number in all: shared out like the capacity,
    so that neighbours get none of it. What a census counts says more: the `state` and the time `elapsed` in it, what
    those who are ready wait for, and what the people are (`who`: of those who might come, such people are picked).
    """

    stage: str
    utilisation: float | None = Field(default=None, ge=0, le=2)
    people: dict[str, Count] | Count | None = None
    units: dict[str, Amount] | Amount | None = Field(default=None, description="hours of home care: each week")
    remaining: Literal["stationary", "uniform_of_stay"] = "stationary"
    state: Literal["in_stage", "ready", "waiting"] = Field(
        default="in_stage", description="ready: tasks are still to be done; waiting: they queue for the next stage"
    )
    elapsed: Distribution | None = Field(
        default=None, description="time so far in that state; of a number of people spread evenly over it"
    )
    waiting_for: str | None = Field(default=None, description="of those ready or waiting: the next stage, or leave")
    who: Conditions = Field(default_factory=dict, description="what they are")
    mix: Literal["arriving", "present"] = Field(
        default="arriving", description="as those who come; or as those found there, where long stays are more"
    )
    where: list[str] | None = Field(default=None, description="only in these sites or localities")
    streams: list[str] | None = Field(
        default=None, min_length=1, description="people as these bring them, in proportion to their rates"
    )
    set: dict[str, str] = Field(default_factory=dict, description="attributes of these people")

    @property
    def counted(self) -> bool:
        """Does it say of people more than how many they are?"""
        shaped = self.state != "in_stage" or self.mix != "arriving" or self.waiting_for is not None
        return (
            shaped
            or bool(self.who)
            or self.streams is not None
            or (self.elapsed is not None and self.people is not None)
        )

    @model_validator(mode="after")
    def _one(self) -> Initial:
        if sum(amount is not None for amount in (self.utilisation, self.people, self.units)) != 1:
            raise ValueError("an initial caseload needs exactly one of 'utilisation', 'people' and 'units'")
        if self.counted and self.people is None:
            raise ValueError("'state', 'waiting_for', 'who', 'streams' and 'mix' go with 'people'")
        if self.waiting_for is not None and self.state == "in_stage":
            raise ValueError("'waiting_for' goes with 'state: ready' or 'state: waiting'")
        if self.elapsed is not None:
            plain = all(table.by is None and not table.times for table in self.elapsed.tables())
            if self.elapsed.unit is None or not plain:
                raise ValueError("'elapsed' takes plain numbers and a unit, such as {fixed: 3, unit: days}")
        return self


Capacity = Annotated[float, Field(ge=0, le=LARGEST_CAPACITY)]


class Quota(Model):
    """How many may start: by kind of day and a week; nothing is carried over. Totals, split like the capacity."""

    weekday: Capacity | None = None
    saturday: Capacity | None = None
    sunday: Capacity | None = None
    week: Capacity | None = None


class Service(Model):
    """A kind of service: one queue in all, at each site, or in each locality."""

    title: str
    role: Literal["ed", "same_day", "ward", "community", "home_care", "care_home", "staff", "outside"]
    unit: Literal["cubicles", "beds", "places", "slots", "hours_a_week", "people", "staff"]
    capacity: Capacity | Literal["unlimited"]
    by_site: dict[str, Capacity] | None = None
    by_locality: dict[str, Capacity] | None = None
    neighbours: dict[str, Capacity] = Field(default_factory=dict, description="their own capacity, not in the total")
    calendar: str = ALWAYS
    queue: Literal["fifo", "first_fit"] = "fifo"
    quota: Quota | None = None
    blocks: dict[str, Block] = Field(default_factory=dict)
    escalation: dict[str, Escalation] = Field(default_factory=dict)
    displacements: dict[str, Displacement] = Field(default_factory=dict)
    shocks: dict[str, Shock] = Field(default_factory=dict)
    trend: dict[str, Trend] = Field(default_factory=dict)
    initial: dict[str, Initial] = Field(default_factory=dict)
    cost: Cost | None = None
    funded: float | None = Field(
        default=None, ge=0, description="units paid for even where there are fewer; default: the capacity as things are"
    )

    @property
    def split_by(self) -> Literal["site", "locality"] | None:
        return "site" if self.by_site is not None else "locality" if self.by_locality is not None else None

    @property
    def units_each(self) -> int:
        """Engine units in one unit of this file."""
        return units_each(self.unit)

    @model_validator(mode="after")
    def _split(self) -> Service:
        if self.by_site is not None and self.by_locality is not None:
            raise ValueError("a service is split by_site or by_locality, not both")
        if self.neighbours and self.by_locality is None:
            raise ValueError("neighbours need by_locality beside them")
        if self.capacity != "unlimited" and self.split_by and not sum(self._weights().values()):
            raise ValueError(f"by_{self.split_by} gives no weights to split the capacity by")
        return self

    def _weights(self) -> dict[str, float]:
        return dict(self.by_site or self.by_locality or {})


def units_each(unit: str) -> int:
    """Engine units in one unit of a file: home care is counted in minutes a week."""
    return 60 if unit == "hours_a_week" else 1


def apportion(total: float, weights: Mapping[str, float]) -> dict[str, int]:
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


class Taken(Model):
    """What a move takes away: so many units of a service or pool."""

    service: str
    amount: float = Field(gt=0)
    split: dict[str, float] | None = Field(default=None, description="by site or locality; default as the capacity")

    @model_validator(mode="after")
    def _shares(self) -> Taken:
        _check_split(self.split)
        return self


class Given(Model):
    """What a move gives instead: so many units, or as many as cost the same (`exchange: pounds`)."""

    service: str
    amount: float | None = Field(default=None, gt=0)
    exchange: Literal["pounds"] | None = None
    split: dict[str, float] | None = Field(default=None, description="by site or locality; default as the capacity")

    @model_validator(mode="after")
    def _one(self) -> Given:
        if (self.amount is None) == (self.exchange is None):
            raise ValueError("what is given needs either 'amount' or 'exchange: pounds'")
        _check_split(self.split)
        return self


class Move(Model):
    """Money or staff that go from one service to another on a date, and back on another where there is one."""

    title: str = ""
    take: Taken
    give: Given
    from_date: Date | None = Field(
        default=None, alias="from", description="default policy_start, or start_date where that is not given"
    )
    to_date: Date | None = Field(default=None, alias="to", description="its last day; default: it is never back")
    lag_days: int = Field(default=0, ge=0, description="between taking and giving, and again on the way back")

    @property
    def end(self) -> dt.date | None:
        """First day without it; None where it has no end."""
        return day_after(self.to_date)

    @model_validator(mode="after")
    def _dates(self) -> Move:
        check_forward(self.from_date, self.to_date)
        return self
