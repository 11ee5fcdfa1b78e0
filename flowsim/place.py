"""What may be declared of a place, and what is refused.

A place is the frozen, validated configuration of one run: who comes (`streams`), what is decided about them
(`choices`), what there is (`services`, `pools`, `calendars`) and the way through it (`stages`). Nothing here knows
about time passing, random numbers or engines. Every mistake becomes a `PlaceError`: one sentence that names the key,
what was given and what is allowed.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

LEAVE = "leave"
"""The stage name that means: leaves the system."""
ALWAYS = "always"
"""The calendar name that means: never closed."""
NOT_APPLICABLE = "none"
"""The level of an attribute that does not apply to a person."""
OTHER = "other"
"""In a table by attribute: every level that has no entry of its own."""
INITIAL = "initial"
"""The level of the attribute `stream` of people who are there at the start."""
LARGEST_DEMAND = 3
"""Demand can reach this many times the reference rate."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LARGEST_CAPACITY = 10_000_000
MOST_SHOCKS_A_DAY = 1.0
"""Shocks of one kind in one queue cannot come more often than this."""
LONGEST_SHOCK_DAYS = 366
"""No shock lasts longer; what began before the run is drawn so far back."""
UNIT_MINUTES = {"minutes": 1, "hours": 60, "days": 1440, "weeks": 10080, "working_days": 480}
"""Minutes in each unit of duration; a working day is eight open hours of the task's calendar."""


KINDS = ("fixed", "lognormal", "exponential", "uniform")
"""The kinds of distribution."""


class PlaceError(ValueError):
    """A user's mistake in a configuration, told in one sentence."""


class FlowsimNotice(UserWarning):
    """Something a user should know that stops nothing, such as a date that was clipped. Told with `warnings.warn`."""


def nearest(word: str, allowed: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` when a near name exists, else nothing."""
    close = difflib.get_close_matches(str(word), [str(a) for a in allowed], n=1, cutoff=0.55)
    return f" (did you mean '{close[0]}'?)" if close else ""


def refuse(key: str, given: object, allowed: str, names: Iterable[str] = ()) -> PlaceError:
    """The one sentence for a value that cannot be: which key, what was given, what is allowed, the nearest name."""
    names = list(names)
    if names:
        allowed = f"{allowed} {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}"
    return PlaceError(f"{key}: {given!r} was given; allowed: {allowed}{nearest(str(given), names)}.")


# ---------------------------------------------------------------------------------------------------------------------
# Tables: a value, or a value for each level of an attribute


class Table:
    """A value that may depend on what a person is: a leaf, or ``{by: attribute, level: table, ..., other: table}``.

    Numbers may also be products: ``{times: {name: table, ...}}``.
    """

    __slots__ = ("by", "cells", "leaf", "times")

    def __init__(self, raw: Any, parse_leaf: Any) -> None:
        self.by: str | None = None
        self.cells: dict[str, Table] = {}
        self.times: dict[str, Table] = {}
        self.leaf: Any = None
        if isinstance(raw, Mapping) and "by" in raw:
            self.by = str(raw["by"])
            self.cells = {str(k): Table(v, parse_leaf) for k, v in raw.items() if k != "by"}
            if not self.cells:
                raise ValueError("a table needs at least one level after 'by'")
        elif isinstance(raw, Mapping) and "times" in raw:
            if not isinstance(raw["times"], Mapping) or set(raw) != {"times"}:
                raise ValueError("'times' takes a mapping of named factors and stands alone")
            self.times = {str(k): Table(v, parse_leaf) for k, v in raw["times"].items()}
        else:
            self.leaf = parse_leaf(raw)

    def leaves(self) -> Iterator[Any]:
        """Every leaf, in order."""
        if self.by is None and not self.times:
            yield self.leaf
        for cell in (*self.cells.values(), *self.times.values()):
            yield from cell.leaves()

    def nodes(self) -> Iterator[Table]:
        """This table and every table inside it."""
        yield self
        for cell in (*self.cells.values(), *self.times.values()):
            yield from cell.nodes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and (self.by, self.cells, self.times, self.leaf) == (
            other.by,
            other.cells,
            other.times,
            other.leaf,
        )

    def __hash__(self) -> int:
        return hash((self.by, str(self.leaf), tuple(self.cells), tuple(self.times)))


def _number_leaf(raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise ValueError(f"{raw!r} is not a number")
    if raw != raw or raw in (float("inf"), float("-inf")):
        raise ValueError(f"{raw!r} is not a finite number")
    return float(raw)


def _name_leaf(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError(f"{raw!r} is not a name (quote it if it is)")
    return raw


def _share_leaf(raw: Any) -> dict[str, float]:
    if not isinstance(raw, Mapping):
        raise ValueError(f"{raw!r} is not a mapping of options to shares")
    shares = {str(k): _number_leaf(v) for k, v in raw.items()}
    if any(v < 0 for v in shares.values()):
        raise ValueError(f"a share is negative in {shares}")
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise ValueError(f"the shares {shares} add to {sum(shares.values()):.6g}, not to 1")
    return shares


def _table(parse_leaf: Any) -> Any:
    return BeforeValidator(lambda raw: raw if isinstance(raw, Table) else Table(raw, parse_leaf))


def _not_negative(table: Table) -> Table:
    for leaf in table.leaves():
        if leaf < 0:
            raise ValueError(f"{leaf:g} is negative")
    return table


NumberTable = Annotated[Table, _table(_number_leaf)]
AmountTable = Annotated[Table, _table(_number_leaf), AfterValidator(_not_negative)]
NameTable = Annotated[Table, _table(_name_leaf)]
ShareTable = Annotated[Table, _table(_share_leaf)]
Conditions = dict[str, str | list[str]]


class Model(BaseModel):
    """Frozen; unknown keys are refused. Files may add `source` to any mapping (evidence.py reads it)."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Pydantic would read `capacity: true` as 1."""
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError(f"{value} is neither a number nor a name here (in quotes it is text)")
        return value


# ---------------------------------------------------------------------------------------------------------------------
# Time


_RANGE = re.compile(r"^([01]\d|2[0-4]):([0-5]\d)(?:-([01]\d|2[0-4]):([0-5]\d))?$")


def parse_hours(text: str) -> list[tuple[int, int]]:
    """Minutes of the day ``[(start, end), ...]`` of "08:00-18:00", "09:00-12:00, 13:00-17:00", "11:00" or "closed"."""
    if text == "closed":
        return []
    spans = []
    for part in text.split(","):
        match = _RANGE.match(part.strip())
        if match is None:
            raise ValueError(
                f'{text!r} is not a time: write "08:00-18:00", "11:00" (one minute) or "closed", in quotes'
            )
        start = int(match[1]) * 60 + int(match[2])
        end = start + 1 if match[3] is None else int(match[3]) * 60 + int(match[4])
        if not 0 <= start < end <= 1440:
            raise ValueError(f"{text!r} does not run forward within one day")
        spans.append((start, end))
    return spans


def _check_hours(text: Any) -> str:
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is not a time: put it in quotes (YAML reads 17:00 as 1020)")
    parse_hours(text)
    return text


def _check_looks(text: str) -> str:
    if text == "closed" or "-" in text:
        raise ValueError(f'{text!r} is not times of the day: write "08:00" or "08:00, 12:00", in quotes')
    return text


Hours = Annotated[str, BeforeValidator(_check_hours)]
Looks = Annotated[Hours, AfterValidator(_check_looks)]


class Calendar(Model):
    """When something is open: hours by day; the more specific day wins; "11:00" alone is a clock that shows 11:00."""

    title: str = ""
    every_day: Hours | None = None
    weekday: Hours | None = None
    weekend: Hours | None = None
    monday: Hours | None = None
    tuesday: Hours | None = None
    wednesday: Hours | None = None
    thursday: Hours | None = None
    friday: Hours | None = None
    saturday: Hours | None = None
    sunday: Hours | None = None
    bank_holiday: Hours | None = Field(default=None, description="default: as on a Sunday")

    def hours(self, weekday: int, bank_holiday: bool = False) -> list[tuple[int, int]]:
        """Open spans in minutes of the day; weekday 0 is Monday."""
        if bank_holiday:
            if self.bank_holiday is not None:
                return parse_hours(self.bank_holiday)
            weekday = 6
        general = self.weekday if weekday < 5 else self.weekend
        for text in (getattr(self, WEEKDAYS[weekday]), general, self.every_day):
            if text is not None:
                return parse_hours(text)
        return []

    @model_validator(mode="after")
    def _opens(self) -> Calendar:
        if not any(self.hours(d) for d in range(7)):
            raise ValueError("this calendar never opens")
        return self


class Lognormal(Model):
    """Give mean and sigma (of the logarithm), mean and sd, median and sigma, or mean and median."""

    mean: AmountTable | None = None
    median: AmountTable | None = None
    sigma: AmountTable | None = None
    sd: AmountTable | None = None

    @model_validator(mode="after")
    def _two(self) -> Lognormal:
        given = {k for k in ("mean", "median", "sigma", "sd") if getattr(self, k) is not None}
        if given not in ({"mean", "sigma"}, {"mean", "sd"}, {"median", "sigma"}, {"mean", "median"}):
            raise ValueError(f"a lognormal takes mean+sigma, mean+sd, median+sigma or mean+median, not {sorted(given)}")
        return self


class Exponential(Model):
    mean: AmountTable


class Uniform(Model):
    low: AmountTable
    high: AmountTable


class Distribution(Model):
    """How long something takes or how much it is: exactly one of fixed, lognormal, exponential, uniform."""

    fixed: AmountTable | None = None
    lognormal: Lognormal | None = None
    exponential: Exponential | None = None
    uniform: Uniform | None = None
    unit: Literal["minutes", "hours", "days", "weeks", "working_days"] | None = None
    least: float | None = Field(default=None, ge=0)
    most: float | None = Field(default=None, gt=0)
    add: AmountTable | None = Field(default=None, description="added to what was drawn, in the same unit")

    @property
    def kind(self) -> str:
        return next(k for k in KINDS if getattr(self, k) is not None)

    def tables(self) -> Iterator[Table]:
        """Every table this distribution is made of."""
        part = getattr(self, self.kind)
        if isinstance(part, Table):
            yield part
        else:
            yield from (v for v in (getattr(part, f) for f in type(part).model_fields) if isinstance(v, Table))
        if self.add is not None:
            yield self.add

    @model_validator(mode="after")
    def _one(self) -> Distribution:
        given = [k for k in KINDS if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of fixed, lognormal, exponential, uniform is needed, not {given or 'none'}")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"least {self.least:g} is above most {self.most:g}")
        return self


# ---------------------------------------------------------------------------------------------------------------------
# What there is


class Site(Model):
    title: str


class Locality(Model):
    title: str
    council: str = ""
    neighbour: bool = Field(default=False, description="outside the place under study; shown apart")


Payer = Literal["NHS", "council", "person"]


def _check_payers(payer: str | dict[str, float]) -> str | dict[str, float]:
    if isinstance(payer, dict):
        _share_leaf(payer)
    return payer


Payers = Annotated[Payer | dict[Payer, float], AfterValidator(_check_payers)]
"""Who pays: one, or the share of each, such as ``{council: 0.6, person: 0.4}``."""


def _payer_shares(payer: str | Mapping[Any, float]) -> dict[str, float]:
    return {payer: 1.0} if isinstance(payer, str) else dict(payer)


class Cost(Model):
    """What a service costs: `amount` pounds, paid by `payer`, for each day or hour of a unit in use, or each start; for
    staff, each day or opening hour of being there, or each task."""

    amount: float = Field(ge=0)
    per: Literal["day", "hour_of_care", "hour_of_staff", "start"]
    payer: Payers

    @property
    def payers(self) -> dict[str, float]:
        """The share that each payer pays."""
        return _payer_shares(self.payer)

    @property
    def a_week(self) -> float | None:
        """Pounds for a unit that is in use for a week; None where the cost does not go by how long it is in use."""
        return {"day": 7 * self.amount, "hour_of_care": self.amount}.get(self.per)


class CostLine(Model):
    """Money that a scheme costs whatever is used of it: each year or week between two dates, or in all over them."""

    title: str = ""
    amount: float = Field(ge=0)
    per: Literal["year", "week", "total"]
    payer: Payers
    from_date: dt.date | None = Field(default=None, alias="from", description="default: the whole run")
    to_date: dt.date | None = Field(default=None, alias="to", description="first day without it; default: to the end")

    @property
    def payers(self) -> dict[str, float]:
        """The share that each payer pays."""
        return _payer_shares(self.payer)

    @model_validator(mode="after")
    def _dates(self) -> CostLine:
        if self.per == "total" and (self.from_date is None or self.to_date is None):
            raise ValueError("an amount in total needs 'from' and 'to', over which it is spent evenly")
        if self.from_date is not None and self.to_date is not None and self.to_date <= self.from_date:
            raise ValueError(f"it ends on {self.to_date}, not after it begins on {self.from_date}")
        return self


def _check_split(split: Mapping[str, float] | None) -> None:
    if split is not None and (min(split.values(), default=0) < 0 or not sum(split.values())):
        raise ValueError(f"the split {split} has a negative share or no share at all")


def _check_forward(begins: dt.date | None, ends: dt.date | None) -> None:
    if begins is not None and ends is not None and ends <= begins:
        raise ValueError(f"it ends on {ends}, not after it begins on {begins}")


class Block(Model):
    """A dated change of capacity: `add` units between two dates (negative closes)."""

    title: str = ""
    from_date: dt.date = Field(alias="from")
    to_date: dt.date | None = Field(default=None, alias="to", description="first day without it")
    weeks: float | None = Field(default=None, gt=0)
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
        _check_forward(self.from_date, self.to_date)
        if self.end <= self.from_date:
            raise ValueError(f"{self.weeks:g} weeks are no whole day; allowed: at least one day (0.15)")
        return self

    @property
    def end(self) -> dt.date:
        """First day without the block."""
        if self.to_date is not None:
            return self.to_date
        return self.from_date + dt.timedelta(days=round((self.weeks or 0) * 7))


class Escalation(Model):
    """Open more capacity at fixed looks when people queue, give it back when they no longer do; in each queue apart."""

    title: str = ""
    watch: str | None = Field(default=None, description="the service or pool whose queue is looked at; default its own")
    share: float | None = Field(default=None, ge=0, le=1, description="of the queue's capacity")
    add: float | None = Field(default=None, ge=0)
    open_at: int = Field(ge=1, description="people queueing")
    close_at: int = Field(ge=0, description="people queueing")
    looks: Looks
    from_date: dt.date | None = Field(default=None, alias="from")
    to_date: dt.date | None = Field(default=None, alias="to")

    @model_validator(mode="after")
    def _sane(self) -> Escalation:
        if (self.share is None) == (self.add is None):
            raise ValueError("an escalation needs either 'share' or 'add'")
        if self.close_at >= self.open_at:
            raise ValueError(f"it closes at {self.close_at}, which is not below {self.open_at}, where it opens")
        return self


class Displacement(Model):
    """A dated event that puts people out of the service: those who use `share` of each queue's capacity."""

    title: str = ""
    date: dt.date
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
    from_date: dt.date | None = Field(default=None, alias="from")
    to_date: dt.date | None = Field(default=None, alias="to", description="first day on which none begins")
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

    @model_validator(mode="after")
    def _sane(self) -> Shock:
        if self.months is not None and (min(self.months) < 0 or sum(self.months) <= 0):
            raise ValueError("months must not be negative and must not be all nought")
        _check_forward(self.from_date, self.to_date)
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
    from_date: dt.date | None = Field(default=None, alias="from", description="default start_date")
    to_date: dt.date | None = Field(default=None, alias="to", description="no step after it; what was reached stays")

    @model_validator(mode="after")
    def _dates(self) -> Trend:
        _check_forward(self.from_date, self.to_date)
        return self


Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]


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
        default=None, description="time so far in that state: fixed, or uniform: spread evenly"
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
        told = self.state != "in_stage" or self.mix != "arriving" or self.waiting_for is not None
        return (
            told or bool(self.who) or self.streams is not None or (self.elapsed is not None and self.people is not None)
        )

    @property
    def elapsed_minutes(self) -> float | None:
        """The time so far where it is the same for all."""
        if self.elapsed is None or self.elapsed.fixed is None:
            return None
        return float(self.elapsed.fixed.leaf * UNIT_MINUTES[self.elapsed.unit or "days"])

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
            kind = ("fixed",) if self.people is None else ("fixed", "uniform")
            if self.elapsed.kind not in kind or self.elapsed.unit is None or not plain:
                raise ValueError(
                    f"'elapsed' takes {' or '.join(kind)} numbers and a unit, such as {{fixed: 3, unit: days}}"
                )
        return self


class Quota(Model):
    """How many may start: by kind of day and a week; nothing is carried over. Totals, split like the capacity."""

    weekday: float | None = Field(default=None, ge=0)
    saturday: float | None = Field(default=None, ge=0)
    sunday: float | None = Field(default=None, ge=0)
    week: float | None = Field(default=None, ge=0)


Capacity = Annotated[float, Field(ge=0, le=LARGEST_CAPACITY)]


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

    @property
    def split_by(self) -> Literal["site", "locality"] | None:
        return "site" if self.by_site is not None else "locality" if self.by_locality is not None else None

    @property
    def units_each(self) -> int:
        """Engine units in one unit of this file: home care is counted in minutes a week."""
        return 60 if self.unit == "hours_a_week" else 1

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
    from_date: dt.date | None = Field(
        default=None, alias="from", description="default policy_start, or start_date where that is not given"
    )
    to_date: dt.date | None = Field(default=None, alias="to", description="first day it is back; default never")
    lag_days: int = Field(default=0, ge=0, description="between taking and giving, and again on the way back")

    @model_validator(mode="after")
    def _dates(self) -> Move:
        _check_forward(self.from_date, self.to_date)
        return self


# ---------------------------------------------------------------------------------------------------------------------
# Who comes and what is decided about them


class Stream(Model):
    """People who arrive: a Poisson process with a profile by hour, weekday and month."""

    title: str
    at: Literal["site", "locality", "place"] = "place"
    rate: dict[str, float] | float = Field(default=0, description="per unit of `per`, by site or locality")
    per: Literal["day", "week"] = "day"
    daily: dict[str, list[float]] | None = Field(default=None, description="expected arrivals on each day of the run")
    at_start: dict[str, Count] | Count | None = Field(
        default=None, description="people who all come in the first minute"
    )
    hours: list[float] | None = Field(default=None, min_length=24, max_length=24)
    weekdays: list[float] | None = Field(default=None, min_length=7, max_length=7)
    months: list[float] | None = Field(default=None, min_length=12, max_length=12)
    demand: dict[str, NumberTable] = Field(default_factory=dict, description="factors, 0 to 3 in all")
    set: dict[str, str] = Field(default_factory=dict, description="attributes that all of them have")
    first: NameTable

    @model_validator(mode="after")
    def _profiles(self) -> Stream:
        for name in ("hours", "weekdays", "months"):
            profile = getattr(self, name)
            if profile is not None and (min(profile) < 0 or sum(profile) <= 0):
                raise ValueError(f"{name} must not be negative and must not be all nought")
        rates = self.rate.values() if isinstance(self.rate, dict) else [self.rate]
        if min(rates, default=0) < 0:
            raise ValueError("a rate is negative")
        for unit, expected in (self.daily or {}).items():
            if min(expected, default=0) < 0:
                raise ValueError(f"daily has a negative number for {unit!r}")
        return self


_MONTH_DAY = re.compile(r"^(\d\d)-(\d\d)$")


def _check_day(given: Any) -> str:
    """A date as text: ``2024-12-01``, or ``12-01`` for that day of each year."""
    text = given.isoformat() if type(given) is dt.date else given
    match = _MONTH_DAY.match(text) if isinstance(text, str) else None
    try:
        if match is not None:
            dt.date(2024, int(match[1]), int(match[2]))  # a leap year, so that 29 February is a day
        else:
            dt.date.fromisoformat(text)
    except (TypeError, ValueError):
        raise ValueError(f"{given!r} is not a date such as 2024-12-01, or 12-01 for each year") from None
    return str(text)


Day = Annotated[str, BeforeValidator(_check_day)]


class Dates(Model):
    """The days of one level of a period: from a day up to, and without, another; the same each year where no year is
    given."""

    from_day: Day = Field(alias="from")
    to_day: Day = Field(alias="to", description="first day without it")

    @property
    def each_year(self) -> bool:
        return _MONTH_DAY.match(self.from_day) is not None

    def has(self, date: dt.date) -> bool:
        """Does the date lie within? Where no year is given, from 12-24 to 01-15 runs over the turn of the year."""
        if not self.each_year:
            return self.from_day <= date.isoformat() < self.to_day
        day = f"{date:%m-%d}"
        if self.from_day < self.to_day:
            return self.from_day <= day < self.to_day
        return day >= self.from_day or day < self.to_day

    @model_validator(mode="after")
    def _forward(self) -> Dates:
        if self.each_year != (_MONTH_DAY.match(self.to_day) is not None):
            raise ValueError(
                f"{self.from_day} and {self.to_day} were given; allowed: both with a year, or both without"
            )
        if self.to_day == self.from_day or (not self.each_year and self.to_day < self.from_day):
            raise ValueError(f"it ends on {self.to_day}, not after it begins on {self.from_day}")
        return self


class Weeks(Model):
    """A period whose levels are `week_1`, `week_2` and so on, seven days each from a date."""

    weeks_from: dt.date
    weeks: int = Field(ge=1, le=520)


def _kind_of_period(raw: Any) -> str:
    is_weeks = isinstance(raw, Weeks) or (isinstance(raw, Mapping) and {"weeks_from", "weeks"} & set(raw))
    return "tagged-weeks" if is_weeks else "tagged-dates"


Period = Annotated[
    Annotated[Weeks, Tag("tagged-weeks")] | Annotated[dict[str, Dates], Tag("tagged-dates")],
    Discriminator(_kind_of_period),
]
"""An attribute of a person by the date on which they arrive: dated levels, or weeks counted from a date."""


def period_levels(period: Weeks | dict[str, Dates]) -> list[str]:
    """The levels of a period, in order; outside them people have the level `none`."""
    return [f"week_{k + 1}" for k in range(period.weeks)] if isinstance(period, Weeks) else list(period)


def levels_on(period: Weeks | dict[str, Dates], date: dt.date) -> list[str]:
    """The levels of a period that hold on a date: none or one, or more where the declaration is wrong."""
    if isinstance(period, Weeks):
        week = (date - period.weeks_from).days // 7
        return [f"week_{week + 1}"] if 0 <= week < period.weeks else []
    return [level for level, dates in period.items() if dates.has(date)]


class Shift(Model):
    """A share of those who would get one option get another; between neighbouring options the fewest people move."""

    from_option: str = Field(alias="from")
    to_option: str = Field(alias="to")
    share: float = Field(ge=0, le=1)


class Planned(Model):
    """What a person's own stay in a stage is compared with: yes where it is planned to be shorter than `below`."""

    stage: str
    below: Distribution

    @model_validator(mode="after")
    def _fixed(self) -> Planned:
        if self.below.fixed is None or self.below.unit is None:
            raise ValueError("'below' takes a fixed time and its unit, such as {fixed: 2, unit: days}")
        return self


class Choice(Model):
    """Something decided about a person: by one uniform number an option by its share, or yes by its chance; or yes
    where the person's own stay in a stage, as it is planned, is short enough."""

    title: str = ""
    of: Literal["person", "spell"] = Field(default="spell", description="person: the same again when readmitted")
    when: Conditions = Field(default_factory=dict)
    shares: ShareTable | None = None
    chance: AmountTable | None = None
    planned: Planned | None = None
    shift: dict[str, Shift] = Field(default_factory=dict)

    @property
    def options(self) -> tuple[str, ...]:
        """The options in the order of the first table that names each."""
        if self.shares is None:
            return ("yes", "no")
        names: dict[str, None] = {}
        for leaf in self.shares.leaves():
            names.update(dict.fromkeys(leaf))
        return tuple(names)

    @model_validator(mode="after")
    def _one(self) -> Choice:
        if sum(way is not None for way in (self.shares, self.chance, self.planned)) != 1:
            raise ValueError("a choice needs exactly one of 'shares', 'chance' and 'planned'")
        if self.planned is not None and self.shift:
            raise ValueError(
                "a choice with 'planned' has no 'shift': what is planned follows from the stage's duration"
            )
        for name, shift in self.shift.items():
            for option in (shift.from_option, shift.to_option):
                if option not in self.options:
                    raise ValueError(f"shift {name} names {option!r}; options are {', '.join(self.options)}")
        return self


class Task(Model):
    """Something to be done between two stages: `takes` open time of a calendar, or, without it, the next time a clock
    calendar is open."""

    title: str = ""
    takes: Distribution | None = None
    calendar: NameTable = Field(default_factory=lambda: Table(ALWAYS, _name_leaf))
    pool: str | None = None
    when: Conditions = Field(default_factory=dict)
    skip: bool = Field(default=False, description="declared, but not done")
    recognises: bool = Field(default=False, description="no criteria to reside is seen when this task ends")
    skip_if_kept: bool = Field(default=False, description="falls away when the next service was kept for the person")
    transport: bool = Field(default=False, description="its delay is charged to transport")
    order: float = Field(default=0, description="tasks run by order, then as they are written")

    @model_validator(mode="after")
    def _clock(self) -> Task:
        if self.takes is None and any(c == ALWAYS for c in self.calendar.leaves()):
            raise ValueError("a task without 'takes' waits for a clock and needs a calendar")
        return self


class Patience(Model):
    """When a queue is given up: after so long, or at once when there is no place (`try_now`); and where to then."""

    after: Distribution | None = None
    try_now: bool = False
    when: Conditions = Field(default_factory=dict)
    to: NameTable

    @model_validator(mode="after")
    def _one(self) -> Patience:
        if self.try_now == (self.after is not None):
            raise ValueError("patience needs either 'after' or 'try_now: true'")
        return self


class Unfit(Model):
    """Who waits so long after being ready needs the bed again, in stage `to`; `when` says for whom that can be."""

    after: Distribution
    when: Conditions = Field(default_factory=dict)
    to: str


class Decline(Model):
    """After so long a delay, this share of people need more."""

    after: Distribution
    share: AmountTable
    units_factor: float = Field(default=1, ge=1)
    duration_factor: float = Field(default=1, ge=1)


class Readmission(Model):
    """A person who comes back: with which chance, how long after leaving this stage, and where to."""

    chance: AmountTable
    gap: Distribution
    to: str
    set: dict[str, str] = Field(default_factory=dict, description="attributes the readmitted spell has from the start")


class Stage(Model):
    """One stage of a journey. `like` takes everything not said here from another stage."""

    title: str = ""
    like: str | None = None
    service: str | None = None
    duration: Distribution | None = None
    units: Distribution | None = None
    sized_as: str | None = Field(default=None, description="a stage with whose random number `units` are drawn")
    priority: NumberTable | None = None
    next: NameTable | None = None
    before: dict[str, Task] = Field(default_factory=dict)
    after: dict[str, Task] = Field(default_factory=dict)
    patience: dict[str, Patience] = Field(default_factory=dict, description="the first to run out counts")
    unfit: Unfit | None = None
    death_while_waiting: Distribution | None = Field(default=None, description="time from ready to death")
    dies: str | None = Field(default=None, description="the yes/no choice that says the stage ends in death")
    since: str | None = None
    hold: bool = True
    keep: str | None = None
    decline: Decline | None = None
    readmission: Readmission | None = None
    kept_on_readmission: Distribution | None = None
    displaced_to: str | None = None
    usual_residence: NameTable | None = Field(default=None, description="yes where leaving to here is going home")


class Run(Model):
    """When the run takes place. The clock starts `warm_up_days` before `start_date`; only what comes after counts."""

    start_date: dt.date = dt.date(2024, 4, 1)
    days: int = Field(default=365, ge=1, le=3660)
    warm_up_days: int = Field(default=126, ge=0, le=3660)
    policy_start: dt.date | None = Field(default=None, description="when the scenario begins; default start_date")
    scale: float = Field(default=1, gt=0, le=64, description="times the population and every capacity")
    census: str | None = Field(default=None, description="the file that says who is there on start_date")

    @model_validator(mode="after")
    def _no_warm_up(self) -> Run:
        if self.census is not None and self.warm_up_days:
            raise ValueError(
                f"census={self.census} and warm_up_days={self.warm_up_days} were given; allowed: warm_up_days=0 with a "
                "census, which is taken on start_date"
            )
        return self

    @property
    def first_date(self) -> dt.date:
        """The date of minute 0."""
        return self.start_date - dt.timedelta(days=self.warm_up_days)

    @property
    def end_date(self) -> dt.date:
        """The first date after the run."""
        return self.start_date + dt.timedelta(days=self.days)

    @property
    def switch_date(self) -> dt.date:
        """The date on which the scenario begins."""
        return self.policy_start or self.start_date

    @property
    def all_days(self) -> int:
        return self.warm_up_days + self.days

    @property
    def horizon(self) -> int:
        """Minutes in the run, warm-up included."""
        return self.all_days * 1440

    @property
    def switch(self) -> int:
        """The minute at which a scenario begins."""
        return self.minute_of(self.switch_date)

    @property
    def measured_from(self) -> int:
        """The first minute that counts."""
        return self.warm_up_days * 1440

    def minute_of(self, date: dt.date) -> int:
        """The minute at which a date begins; negative or beyond the horizon when it lies outside the run."""
        return (date - self.first_date).days * 1440

    def date_of(self, minute: int) -> dt.date:
        """The date a minute belongs to."""
        return self.first_date + dt.timedelta(days=minute // 1440)


class ScenarioInfo(Model):
    """What a scenario says of itself, for people; its changes are already in the place."""

    name: str = "baseline"
    title: str = "As things are"
    rationale: str = ""
    evidence: dict[str, str] = Field(default_factory=dict, description="source id -> what it says about the size")
    changes: dict[str, Any] = Field(default_factory=dict, description="key -> [before, after]")


Inhabitants = Annotated[float, Field(gt=0)]


class Population(Model):
    """How many people live in the place under study: what rates are per 100,000 of."""

    adults: Inhabitants | None = None
    aged_65_and_over: Inhabitants | None = None


class Metrics(Model):
    """What the national measures need to know of a place; a measure that needs what is not said here is left out.

    The tables give the share, from 0 to 1, of people like these who count: a yes or no where an attribute says it, a
    share where a band holds some who count and some who do not. A person without the attribute does not count.
    """

    population: Population = Population()
    aged_65_and_over: AmountTable | None = None
    avoidable: AmountTable | None = Field(default=None, description="admissions that need not have been")
    falls: AmountTable | None = Field(default=None, description="admissions because of a fall")
    cashable: float = Field(default=0, ge=0, le=1, description="share of a released bed-day's cost that is saved")


class Place(Model):
    """The configuration of one run. Build it with `validate.read_place`, which resolves `like` and checks every name.

    `before` is the same place without its scenario: what holds until `run.policy_start`.
    """

    name: str
    title: str
    description: str = ""
    sites: dict[str, Site] = Field(default_factory=dict)
    localities: dict[str, Locality] = Field(default_factory=dict)
    bank_holidays: str | None = Field(default=None, description='country and part for `holidays`, e.g. "GB-ENG"')
    published: dict[str, list[str]] = Field(
        default_factory=dict, description="a measure -> ids of the evidence that charts show beside it"
    )
    metrics: Metrics = Metrics()
    costs: dict[str, CostLine] = Field(default_factory=dict, description="what schemes cost, used or not")
    calendars: dict[str, Calendar] = Field(default_factory=dict)
    pools: dict[str, Service] = Field(default_factory=dict)
    services: dict[str, Service]
    moves: dict[str, Move] = Field(default_factory=dict)
    streams: dict[str, Stream]
    periods: dict[str, Period] = Field(default_factory=dict, description="attributes by the date of arrival")
    choices: dict[str, Choice] = Field(default_factory=dict)
    stages: dict[str, Stage]
    run: Run = Field(default_factory=Run)
    scenario: ScenarioInfo = Field(default_factory=ScenarioInfo)
    before: Place | None = None

    @property
    def kinds(self) -> dict[str, Service]:
        """Every staff pool and service by name, pools first."""
        return {**self.pools, **self.services}
