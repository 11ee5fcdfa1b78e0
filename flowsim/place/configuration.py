"""The whole of it: when a run takes place, what its scenario says of itself, and the place."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from flowsim.place.dates import Date, as_date
from flowsim.place.demand import Choice, Period, Stream
from flowsim.place.stages import Stage
from flowsim.place.supply import CostLine, Locality, Move, Service, Site
from flowsim.place.tables import AmountTable, Model
from flowsim.place.times import Calendar


class Run(Model):
    """When the run takes place. The clock starts `warm_up_days` before `start_date`; only what comes after counts."""

    start_date: Date = dt.date(2024, 4, 1)
    days: int = Field(default=365, ge=1, le=3660)
    warm_up_days: int = Field(default=126, ge=0, le=3660)
    policy_start: dt.date | Literal["warm_up"] | None = Field(
        default=None,
        description="when the scenario begins; default start_date; warm_up: from the first minute, caseloads included",
    )
    scale: float = Field(default=1, gt=0, le=64, description="times the population and every capacity")
    census: str | None = Field(default=None, description="the file that says who is there on start_date")

    @field_validator("policy_start", mode="before")
    @classmethod
    def _date_or_word(cls, given: Any) -> Any:
        return given if given in (None, "warm_up") else as_date(given, "a date such as 2024-04-01, or warm_up")

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
        if self.policy_start == "warm_up":
            return self.first_date
        return self.policy_start or self.start_date

    @property
    def is_all_scenario(self) -> bool:
        """Does the scenario hold from the first minute, so that nothing of the run is under the rules before it? What a
        census counts is as it was before any scenario."""
        return self.policy_start == "warm_up" and self.census is None

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


WITH_SETTINGS = ", with your settings"
"""Ends the title of a scenario that changes nothing, where the user does."""


class ScenarioInfo(Model):
    """What there is to say of a place and its scenario, for people: no number depends on it."""

    name: str = "baseline"
    title: str = "As things are"
    stacks: dict[str, str] = Field(
        default_factory=dict, description="the files that change it, by name -> a digest of what each says"
    )
    rationale: str = ""
    evidence: dict[str, str] = Field(default_factory=dict, description="source id -> what it says about the size")
    changes: dict[str, Any] = Field(default_factory=dict, description="key -> [before, after]")
    settings: list[str] = Field(default_factory=list, description="what the user set, each with what it is otherwise")
    notices: list[str] = Field(default_factory=list, description="what was told while the place was read")


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


SITE_MARK = " | "
"""Parts a site from what is told of it: in `published`, and in `where` of the tables."""


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
        default_factory=dict,
        description="a measure, or of one site `measure | site` -> ids of the evidence that charts show beside it",
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
    def rules_before(self) -> Place | None:
        """The place whose rules hold until the policy starts; None where none but these ever hold."""
        return None if self.run.is_all_scenario else self.before

    @property
    def kinds(self) -> dict[str, Service]:
        """Every staff pool and service by name, pools first."""
        return {**self.pools, **self.services}
