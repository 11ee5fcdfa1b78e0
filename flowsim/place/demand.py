"""Who comes and what is decided about them: streams, periods, choices."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from flowsim.place.dates import LONGEST_WEEKS, Date, as_date
from flowsim.place.tables import Amount, AmountTable, Conditions, Count, Model, NameTable, NumberTable, ShareTable
from flowsim.place.times import WEEKDAYS, Calendar, Distribution, Looks, check_forward, day_after

LARGEST_RATE = 100_000
"""People a day, or a week: all emergency departments of England see some 65,000 a day."""
LARGEST_DEMAND = 3
"""Demand can reach this many times the reference rate."""
DAY_MINUTES = 1440


_MONTH_DAY = re.compile(r"^(\d\d)-(\d\d)$")


def _check_day(given: Any) -> str:
    """A date as text: ``2024-12-01``, or ``12-01`` for that day of each year."""
    match = _MONTH_DAY.match(given) if isinstance(given, str) else None
    try:
        if match is None:
            return as_date(given, "a date such as 2024-12-01, or 12-01 for each year").isoformat()
        dt.date(2024, int(match[1]), int(match[2]))  # a leap year, so that 29 February is a day
    except ValueError as error:
        raise error if match is None else ValueError("allowed: a day that there is, such as 12-01") from None
    return str(given)


Day = Annotated[str, BeforeValidator(_check_day)]


class Daily(Model):
    """Expected people on each day: a list of numbers from a date, which is repeated or holds a number for each day.

    Where nothing but the list is said (`daily: [3, 2, ...]`, or one for each site or locality) its first number is of
    the first day of the run.
    """

    from_date: Date | None = Field(default=None, alias="from", description="the day of the first number")
    people: list[Amount] | dict[str, list[Amount]] = Field(description="by site or locality, a list of each")
    repeated: bool = Field(default=False, description="over and over, before that day too")

    @model_validator(mode="before")
    @classmethod
    def _lists_alone(cls, said: Any) -> Any:
        if isinstance(said, Mapping) and not {"from", "from_date", "people", "repeated"} & set(map(str, said)):
            return {"people": said[""] if list(said) == [""] else said}
        return {"people": said} if isinstance(said, (list, tuple)) else said

    @property
    def lists(self) -> dict[str, list[float]]:
        """By site or locality; by nothing ("") of a stream that is one for all."""
        return self.people if isinstance(self.people, dict) else {"": self.people}


WEEKDAY_NAMES = Literal[
    "every_day", "weekday", "weekend", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
]


class OperatingList(Model):
    """People who are to come at certain times of certain days, so many each time."""

    title: str = ""
    days: WEEKDAY_NAMES | list[WEEKDAY_NAMES] | None = None
    dates: list[Day] | None = Field(default=None, min_length=1, description="instead of `days`")
    times: Looks
    people: Count | dict[str, Count] = Field(description="each time; of a stream by site or locality, at each named")
    from_date: Date | None = Field(default=None, alias="from")
    to_date: Date | None = Field(default=None, alias="to", description="its last day")
    on_bank_holidays: bool = Field(default=False, description="of `days`, also those that are bank holidays")

    @property
    def end(self) -> dt.date | None:
        """First day without it; None where it has no end."""
        return day_after(self.to_date)

    def is_on(self, date: dt.date, is_bank_holiday: bool) -> bool:
        """Is it held on a date?"""
        if (self.from_date or date) > date or (self.to_date or date) < date:
            return False
        if self.dates is not None:
            return date.isoformat() in self.dates or f"{date:%m-%d}" in self.dates
        weekday = date.weekday()
        names = {"every_day", WEEKDAYS[weekday], "weekday" if weekday < 5 else "weekend"}
        said = {self.days} if isinstance(self.days, str) else set(self.days or ())
        return bool(names & said) and (self.on_bank_holidays or not is_bank_holiday)

    def number(self, unit: str) -> int:
        """How many are to come each time at a site or locality."""
        return self.people.get(unit, 0) if isinstance(self.people, dict) else self.people

    @model_validator(mode="after")
    def _one(self) -> OperatingList:
        if (self.days is None) == (self.dates is None):
            raise ValueError("a list of a schedule needs either 'days' or 'dates'")
        check_forward(self.from_date, self.to_date)
        return self


Rate = Annotated[float, Field(le=LARGEST_RATE)]


class Stream(Model):
    """People who arrive: a random number each day at a rate, evenly spaced, or as a schedule says; with profiles by
    hour, weekday and month."""

    title: str
    at: Literal["site", "locality", "place"] = "place"
    rate: dict[str, Rate] | Rate | None = Field(default=None, description="per unit of `per`, by site or locality")
    per: Literal["day", "week"] = "day"
    daily: Daily | None = Field(default=None, description="instead of a rate")
    schedule: dict[str, OperatingList] | None = Field(default=None, min_length=1, description="instead of a rate")
    arrivals: Literal["poisson", "regular"] = Field(default="poisson", description="regular: evenly spaced")
    at_start: dict[str, Count] | Count | None = Field(
        default=None, description="people who all come in the first minute"
    )
    hours: list[float] | None = Field(default=None, min_length=24, max_length=24)
    weekdays: list[float] | None = Field(default=None, min_length=7, max_length=7)
    months: list[float] | None = Field(default=None, min_length=12, max_length=12)
    demand: dict[str, NumberTable] = Field(default_factory=dict, description="factors, 0 to 3 in all")
    set: dict[str, str] = Field(default_factory=dict, description="attributes that all of them have")
    first: NameTable

    @property
    def has_rate(self) -> bool:
        """Do people come at a rate, rather than as lists of days or a schedule say?"""
        return self.daily is None and self.schedule is None

    @model_validator(mode="after")
    def _profiles(self) -> Stream:
        for name in ("hours", "weekdays", "months"):
            profile = getattr(self, name)
            if profile is not None and (min(profile) < 0 or sum(profile) <= 0):
                raise ValueError(f"{name} must not be negative and must not be all nought")
        rates = self.rate.values() if isinstance(self.rate, dict) else [self.rate or 0]
        if min(rates, default=0) < 0:
            raise ValueError("a rate is negative")
        return self

    @model_validator(mode="after")
    def _one_way(self) -> Stream:
        ways = [name for name in ("rate", "daily", "schedule") if getattr(self, name) is not None]
        if len(ways) > 1:
            raise ValueError(f"{' and '.join(ways)} were given; allowed: one of rate, daily and schedule")
        if not ways and self.at_start is None:
            raise ValueError("nobody comes; allowed: one of rate (0 where only a scenario has some), daily, schedule")
        said = {"daily": ("weekdays", "months"), "schedule": ("hours", "weekdays", "months")}
        for name in said.get(ways[0], ()) if ways else ():
            if getattr(self, name) is not None:
                raise ValueError(f"{ways[0]} and {name} were given; allowed: one of them, for both say who comes when")
        if self.schedule is not None and self.arrivals != "poisson":
            raise ValueError("schedule and arrivals were given; allowed: one of them")
        return self


class Dates(Model):
    """The days of one level of a period: from a day to another, both included; the same each year where no year is
    given."""

    from_day: Day = Field(alias="from")
    to_day: Day = Field(alias="to", description="its last day")

    @property
    def each_year(self) -> bool:
        return _MONTH_DAY.match(self.from_day) is not None

    def has(self, date: dt.date) -> bool:
        """Does the date lie within? Where no year is given, from 12-24 to 01-15 runs over the turn of the year."""
        if not self.each_year:
            return self.from_day <= date.isoformat() <= self.to_day
        day = f"{date:%m-%d}"
        if self.from_day <= self.to_day:
            return self.from_day <= day <= self.to_day
        return day >= self.from_day or day <= self.to_day

    @model_validator(mode="after")
    def _forward(self) -> Dates:
        if self.each_year != (_MONTH_DAY.match(self.to_day) is not None):
            raise ValueError(
                f"{self.from_day} and {self.to_day} were given; allowed: both with a year, or both without"
            )
        if not self.each_year and self.to_day < self.from_day:
            raise ValueError(f"its last day is {self.to_day}, before it begins on {self.from_day}")
        return self


class Weeks(Model):
    """A period whose levels are `week_1`, `week_2` and so on, seven days each from a date."""

    weeks_from: Date
    weeks: int = Field(ge=1, le=LONGEST_WEEKS)


def _kind_of_period(raw: Any) -> str:
    """By the keys of it or of its first level; dates, where these say nothing."""
    if isinstance(raw, Weeks) or (isinstance(raw, Mapping) and {"weeks_from", "weeks"} & set(raw)):
        return "tagged-weeks"
    first = next(iter(raw.values()), None) if isinstance(raw, Mapping) else None
    has_hours = isinstance(first, Mapping) and set(Calendar.model_fields) & set(first)
    return "tagged-hours" if has_hours or isinstance(first, Calendar) else "tagged-dates"


Period = Annotated[
    Annotated[Weeks, Tag("tagged-weeks")]
    | Annotated[dict[str, Calendar], Tag("tagged-hours")]
    | Annotated[dict[str, Dates], Tag("tagged-dates")],
    Discriminator(_kind_of_period),
]
"""An attribute of a person by when they arrive: dated levels, weeks counted from a date, or hours of days."""


def period_levels(period: Period) -> list[str]:
    """The levels of a period, in order; outside them people have the level `none`."""
    return [f"week_{k + 1}" for k in range(period.weeks)] if isinstance(period, Weeks) else list(period)


def spans_on(period: Period, date: dt.date, is_bank_holiday: bool = False) -> list[tuple[str, int, int]]:
    """When the levels of a period hold on a date: level, from which minute of the day and up to which. No minute is in
    two levels, where the declaration is right."""
    if isinstance(period, Weeks):
        week = (date - period.weeks_from).days // 7
        return [(f"week_{week + 1}", 0, DAY_MINUTES)] if 0 <= week < period.weeks else []
    spans = []
    for level, when in period.items():
        if isinstance(when, Calendar):
            spans += [(level, begin, end) for begin, end in when.hours(date.weekday(), is_bank_holiday)]
        elif when.has(date):
            spans.append((level, 0, DAY_MINUTES))
    return spans


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
