"""Hours, calendars and how long things take."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from flowsim.place.tables import Amount, AmountTable, Model, Table, table_of

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
UNIT_MINUTES = {"minutes": 1, "hours": 60, "days": 1440, "weeks": 10080, "working_days": 480}
"""Minutes in each unit of duration; a working day is eight open hours of the task's calendar."""
KINDS = (
    "fixed", "lognormal", "exponential", "uniform", "gamma", "weibull", "normal", "triangular", "poisson", "empirical",
)  # fmt: skip
"""The kinds of distribution."""
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


class Gamma(Model):
    """Give mean and shape, or mean and sd."""

    mean: AmountTable
    shape: AmountTable | None = None
    sd: AmountTable | None = None

    @model_validator(mode="after")
    def _two(self) -> Gamma:
        if (self.shape is None) == (self.sd is None):
            raise ValueError("a gamma takes mean+shape or mean+sd")
        return self


class Weibull(Model):
    """Give mean and shape, or scale and shape."""

    shape: AmountTable
    mean: AmountTable | None = None
    scale: AmountTable | None = None

    @model_validator(mode="after")
    def _two(self) -> Weibull:
        if (self.mean is None) == (self.scale is None):
            raise ValueError("a weibull takes mean+shape or scale+shape")
        return self


class Normal(Model):
    """Cut off at the distribution's `least`, or at nought: the rest counts in proportion."""

    mean: AmountTable
    sd: AmountTable


class Triangular(Model):
    low: AmountTable
    mode: AmountTable
    high: AmountTable


class Poisson(Model):
    """Whole numbers."""

    mean: AmountTable


class Empirical(Model):
    """Values as they were counted, each as likely as its weight; all alike where no weights are given."""

    values: list[Amount] = Field(min_length=1)
    weights: list[Amount] | None = None

    @model_validator(mode="after")
    def _alike(self) -> Empirical:
        if self.weights is not None and len(self.weights) != len(self.values):
            raise ValueError(f"{len(self.values)} values have {len(self.weights)} weights; allowed: one for each")
        if self.weights is not None and not sum(self.weights):
            raise ValueError("the weights are all nought; allowed: one above 0")
        return self


def _empirical_leaf(raw: Any) -> Empirical:
    if isinstance(raw, Empirical):
        return raw
    if not isinstance(raw, Mapping):
        raise ValueError(f"{raw!r} is not a mapping with 'values', and 'weights' where they differ")
    unknown = [key for key in raw if key not in Empirical.model_fields]
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; allowed: values, weights, or a 'file' with these columns")
    try:
        return Empirical.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        plain = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{where}: {plain}" if where else plain) from None


def _no_products(table: Table) -> Table:
    if any(node.times for node in table.nodes()):
        raise ValueError("'times' multiplies numbers; allowed: values, or a table of values by attribute")
    return table


EmpiricalTable = Annotated[Table, table_of(_empirical_leaf), AfterValidator(_no_products)]


class Distribution(Model):
    """How long something takes or how much it is: exactly one of `KINDS`, drawn from a person's own uniform."""

    fixed: AmountTable | None = None
    lognormal: Lognormal | None = None
    exponential: Exponential | None = None
    uniform: Uniform | None = None
    gamma: Gamma | None = None
    weibull: Weibull | None = None
    normal: Normal | None = None
    triangular: Triangular | None = None
    poisson: Poisson | None = None
    empirical: EmpiricalTable | None = None
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
            raise ValueError(f"exactly one of {', '.join(KINDS)} is needed, not {given or 'none'}")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"least {self.least:g} is above most {self.most:g}")
        return self


def check_forward(begins: dt.date | None, last: dt.date | None) -> None:
    if begins is not None and last is not None and last < begins:
        raise ValueError(f"its last day is {last}, before it begins on {begins}")


def day_after(date: dt.date | None) -> dt.date | None:
    """The first day without something that lasts to a date, that day included."""
    return None if date is None else date + dt.timedelta(days=1)
