"""The way through: stages with their tasks, patience, decline and readmission."""

from __future__ import annotations

from pydantic import Field, model_validator

from flowsim.place.tables import ALWAYS, AmountTable, Conditions, Model, NameTable, NumberTable, Table, name_leaf
from flowsim.place.times import Distribution


class Task(Model):
    """Something to be done between two stages: `takes` open time of a calendar, or, without it, the next time a clock
    calendar is open."""

    title: str = ""
    takes: Distribution | None = None
    calendar: NameTable = Field(default_factory=lambda: Table(ALWAYS, name_leaf))
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
    """When a queue is given up: after so long, then at the next opening of a `clock`, or at once when there is no place
    (`try_now`); and where to then."""

    after: Distribution | None = None
    clock: NameTable | None = Field(default=None, description="a calendar: given up only while it is open")
    try_now: bool = False
    when: Conditions = Field(default_factory=dict)
    to: NameTable

    @model_validator(mode="after")
    def _one(self) -> Patience:
        if self.try_now == (self.after is not None or self.clock is not None):
            raise ValueError("patience needs either 'after', or a 'clock', or both, or else 'try_now: true'")
        if self.clock is not None and self.after is None and ALWAYS in self.clock.leaves():
            raise ValueError("patience without 'after' ends at a clock, which cannot be open always")
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
