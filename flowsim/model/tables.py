"""What an engine runs on, as tables: the journeys of people, and the network of services they go through.

`Journeys` says who comes when, the stages of their way and the tasks between them; `Network` says what there is of each
service in every minute. The network is made first (network.py), for journeys name its queues (plan.py).

Whole numbers only: what a scenario means for a person has been decided when these tables are written; an engine
adds nothing but time. A *row* is one stage of one spell. Columns that name a row (`next`, `otherwise`, ...) hold its
index in the row table. Rows of one spell stand together and their references have no circle, so each row is
entered at most once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Annotated

import numpy as np

from flowsim.model.calendar import ALWAYS_OPEN, Calendars
from flowsim.model.compared import ByOpenings, ByService, InOrder, InWhole, NotAtAll, Until

NONE = -1
TRY_NOW = 0
"""`patience` of a row that is taken only if it can be accepted in the very minute it is asked for."""
GENERATIONS = 8
"""A chain of readmissions stops here."""
NUMBERS_A_PERSON = 16
"""A spell's number is its person's index in the cohort times this, plus the generation."""
WAY_OUT = "way_out"
"""The task in which people wait until the way out of their service is open again."""
MOST = 2**30
"""No number in an int32 column is above it: no run has so many minutes, and no service so many units."""
WIDE = ("spell", "service", "priority", "displacement_mark")
"""Columns of rows that are int64: two indices by which much is looked up, quicker so, and two that may hold larger
numbers. All others are int32, so that a year takes little more than half the memory."""


@dataclass(frozen=True)
class SpellTable:
    """One entry a spell, sorted by `number`; int64 arrays of shape (N,).

    Attributes:
        number: the spell's number (person x 16 + generation); breaks ties in queues.
        arrival: the minute of arrival; -1 for a readmission, which arrives when its parent row says.
        first_row: index of the row the spell begins with.
        initial: 1 when the spell is already in its first row at minute 0 (a stationary caseload): it starts there
            without asking, above capacity if need be.
    """

    number: np.ndarray
    arrival: np.ndarray
    first_row: np.ndarray
    initial: np.ndarray


@dataclass(frozen=True)
class RowTable:
    """One entry a stage of a spell; int32 arrays of shape (R,) except for those in `WIDE`, minutes and whole units.

    Attributes:
        spell: index into the spell table.
        stage: index of the stage's name in `Journeys.stages`.
        service: index into `Network.names`.
        units: what is taken of the service.
        duration: minutes of the stage's own work, at least 1.
        priority: place in the queue, lower first.
        next: the row that follows, -1 to leave the system.
        patience: minutes until the person gives up the queue of this row; -1 never, 0 try now.
        patience_calendar: they then stay until it is open; -1 for always, which is at once.
        otherwise: the row they turn to then, -1 to leave the system with less.
        unfit_after: minutes from ready until unfit again, if still waiting; -1 never.
        unfit_to: the row (same service, no more units) they resume in.
        death_after: minutes from ready until death, if still there; -1 never.
        since: a row whose minute of joining gives the place in this row's queue; -1 for its own.
        hold: 1 to hold the units until the next row takes over, 0 to let go of them when ready.
        keep: a later row at whose end this row's units are freed; -1 to free them when this row is left.
        decline_after: minutes of delay after which the need for this row is the declined one; -1 never.
        declined_units, declined_duration: that larger need.
        died: 1 when the stage ends in death.
        readmission_gap: minutes from leaving this row to the readmission; -1 for none.
        child: index of the spell that is readmitted then; -1 for none.
        kept_on_readmission: minutes for which the units stay reserved when the person is readmitted from this row.
        displaced_to: the row a displaced person queues for, -1 to leave the system.
        displacement_mark: who is displaced first (lowest).
        recognition: how many of the tasks before asking end in recognition; 0: recognised when ready.
        first_task: index of the row's first task; its tasks are ``first_task : first_task + n_before + n_after``.
        n_before: tasks before asking for the next row.
        n_after: tasks after acceptance, before leaving.
    """

    spell: np.ndarray
    stage: np.ndarray
    service: np.ndarray
    units: np.ndarray
    duration: np.ndarray
    priority: np.ndarray
    next: np.ndarray
    patience: np.ndarray
    patience_calendar: np.ndarray
    otherwise: np.ndarray
    unfit_after: np.ndarray
    unfit_to: np.ndarray
    death_after: np.ndarray
    since: np.ndarray
    hold: np.ndarray
    keep: np.ndarray
    decline_after: np.ndarray
    declined_units: np.ndarray
    declined_duration: np.ndarray
    died: np.ndarray
    readmission_gap: np.ndarray
    child: np.ndarray
    kept_on_readmission: np.ndarray
    displaced_to: np.ndarray
    displacement_mark: np.ndarray
    recognition: np.ndarray
    first_task: np.ndarray
    n_before: np.ndarray
    n_after: np.ndarray


ROW_DEFAULTS: dict[str, int] = {
    "units": 1, "duration": 1, "priority": 0, "next": NONE, "patience": NONE, "patience_calendar": ALWAYS_OPEN,
    "otherwise": NONE, "unfit_after": NONE, "unfit_to": NONE, "death_after": NONE, "since": NONE, "hold": 1,
    "keep": NONE, "decline_after": NONE, "declined_units": 0, "declined_duration": 1, "died": 0,
    "readmission_gap": NONE, "child": NONE, "kept_on_readmission": 0, "displaced_to": NONE, "displacement_mark": 0,
    "recognition": 0, "first_task": 0, "n_before": 0, "n_after": 0,
}  # fmt: skip
"""What a row column holds where nothing is said; `spell`, `stage` and `service` must always be given."""
TASK_DEFAULTS: dict[str, int] = {"calendar": ALWAYS_OPEN, "minutes": 0, "pool": NONE, "skip_if_kept": 0}
"""The same of tasks; `kind` must always be given."""


@dataclass(frozen=True)
class TaskTable:
    """One entry a task of a row; int32 arrays of shape (T,).

    Attributes:
        kind: index of the task's name in `Journeys.tasks`.
        calendar: in which its minutes count, -1 for always.
        minutes: how many open minutes it takes; 0: it ends at the next open minute of the calendar (a clock).
        pool: the staff pool it needs one of, -1 for none.
        skip_if_kept: 1 when it falls away if the next service is still reserved for the person.
    """

    kind: np.ndarray
    calendar: np.ndarray
    minutes: np.ndarray
    pool: np.ndarray
    skip_if_kept: np.ndarray


@dataclass(frozen=True)
class Journeys:
    """All journeys of one replication of one scenario.

    Attributes:
        spells, rows, tasks: the three tables.
        stages: names of the stages.
        task_names: names of the tasks.
        attributes: for measuring only: name -> (N,) int16 codes of the spell's person (-1 where it does not apply).
        levels: name -> the words those codes stand for.
    """

    spells: SpellTable
    rows: RowTable
    tasks: TaskTable
    stages: tuple[str, ...]
    task_names: tuple[str, ...]
    attributes: dict[str, np.ndarray] = field(default_factory=dict)
    levels: dict[str, tuple[str, ...]] = field(default_factory=dict)


def columns(table: SpellTable | RowTable | TaskTable) -> dict[str, np.ndarray]:
    """A table's columns by name, in order."""
    return {f.name: getattr(table, f.name) for f in fields(table)}


# ---------------------------------------------------------------------------------------------------------------------
# The services as an engine sees them


NO_QUOTA = -1

# Why a capacity changed (column `reason` of the steps and of the capacity log).
REASONS = ("start", "policy", "block", "closure", "shock", "escalation", "trend", "move")
REASON_CODE = {name: code for code, name in enumerate(REASONS)}


def _empty() -> np.ndarray:
    return np.zeros(0, dtype=np.int64)


_Step = Annotated[np.ndarray, Until("step_minute", only="step_service")]
_Rule = Annotated[np.ndarray, Until("look_minute", through="look_rule")]
_ServiceOfRule = Annotated[np.ndarray, Until("look_minute", through="look_rule", names_service=True)]
_Look = Annotated[np.ndarray, Until("look_minute")]
_Displacement = Annotated[np.ndarray, Until("displacement_minute")]


@dataclass(frozen=True)
class Network:
    """Everything of a run that belongs to no person. All integers; minutes count from the start of the warm-up.

    A *service* here is one queue: a kind of service at one site or in one locality (``reablement/south_sefton``).
    Staff pools are services too and come first: indices 0 to ``n_pools - 1``. Each field declares how it is compared
    when two runs may share their beginning.

    Attributes:
        names: (S,) the queues' names.
        n_pools: how many of them are staff pools.
        calendars: every calendar of the run, with the horizon.
        calendar: (S,) int, the calendar in which a service accepts, -1 for always.
        way_out: (S,) int, the calendar in which people may leave the service, -1 for always, or empty where that holds
            for all. `plan` makes tasks of it; no engine looks at it.
        first_fit: (S,) bool, may a smaller need pass a larger one that does not fit?
        step_minute, step_service, step_capacity, step_reason: capacity as a step function, sorted by
            (minute, service), at most one step a service and minute, one at minute 0 for every service.
        quota_day: (S, days) int, how many may be accepted on each day of the run, -1 for no limit.
        quota_week: (S, weeks) int, the same for each Monday-to-Sunday week; week of day d is
            ``(d + first_weekday) // 7``.
        first_weekday: weekday of day 0 (Monday is 0).
        rule_watch, rule_service, rule_units, rule_open, rule_close: (E,) escalation rules: when at a look at least
            `rule_open` people queue for `rule_watch`, `rule_service` gets `rule_units` more; when at most
            `rule_close` do, they go again. ``rule_close < rule_open``.
        look_minute, look_rule: the looks, sorted by (minute, rule); look_last: (L,) bool, the rule ends here and
            gives its units back whatever the queue.
        displacement_minute, displacement_service, displacement_units: dated events that put at least so many
            units' worth of people out of a service, sorted by (minute, service).
    """

    names: Annotated[tuple[str, ...], InOrder()]
    n_pools: Annotated[int, NotAtAll("no engine asks whether a queue is a pool's: whoever queues there says so")]
    calendars: Annotated[Calendars, InWhole("horizon")]
    """Openings are compared where a calendar is used: by `calendar` below, and by the tasks of those who came."""
    calendar: Annotated[np.ndarray, ByOpenings()]
    first_fit: Annotated[np.ndarray, ByService()]
    step_minute: _Step
    step_service: Annotated[np.ndarray, Until("step_minute", names_service=True, only="step_service")]
    step_capacity: _Step
    step_reason: _Step
    quota_day: Annotated[np.ndarray, ByService(each="day")]
    quota_week: Annotated[np.ndarray, ByService(each="week")]
    first_weekday: Annotated[int, InWhole()] = 0
    way_out: Annotated[np.ndarray, NotAtAll("`plan` has made tasks of it, which are compared")] = field(
        default_factory=_empty
    )
    rule_watch: _ServiceOfRule = field(default_factory=_empty)
    rule_service: _ServiceOfRule = field(default_factory=_empty)
    rule_units: _Rule = field(default_factory=_empty)
    rule_open: _Rule = field(default_factory=_empty)
    rule_close: _Rule = field(default_factory=_empty)
    look_minute: _Look = field(default_factory=_empty)
    look_rule: Annotated[np.ndarray, NotAtAll("each run numbers its rules; what they say is compared")] = field(
        default_factory=_empty
    )
    look_last: _Look = field(default_factory=_empty)
    displacement_minute: _Displacement = field(default_factory=_empty)
    displacement_service: Annotated[np.ndarray, Until("displacement_minute", names_service=True)] = field(
        default_factory=_empty
    )
    displacement_units: _Displacement = field(default_factory=_empty)

    @property
    def horizon(self) -> int:
        """Minutes in the run: events happen at minutes 0 <= t < horizon."""
        return self.calendars.horizon
