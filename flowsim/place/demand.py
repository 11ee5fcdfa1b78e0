"""Who comes and what is decided about them: streams, periods, choices."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from flowsim.place.dates import LONGEST_WEEKS
from flowsim.place.tables import AmountTable, Conditions, Count, Model, NameTable, NumberTable, ShareTable
from flowsim.place.times import Distribution

LARGEST_DEMAND = 3
"""Demand can reach this many times the reference rate."""


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
    weeks: int = Field(ge=1, le=LONGEST_WEEKS)


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
