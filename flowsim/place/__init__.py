"""What may be declared of a place, and what is refused.

A place is the frozen, validated configuration of one run: who comes (`streams`), what is decided about them
(`choices`), what there is (`services`, `pools`, `calendars`) and the way through it (`stages`). Nothing here knows
about time passing, random numbers or engines. Every mistake becomes a `PlaceError`: one sentence that names the key,
what was given and what is allowed.
"""

from flowsim.place.configuration import SITE_MARK, WITH_SETTINGS, Place, Run, ScenarioInfo
from flowsim.place.dates import with_years
from flowsim.place.demand import LARGEST_DEMAND, Choice, OperatingList, Period, Planned, Stream, period_levels, spans_on
from flowsim.place.once import once_a_place
from flowsim.place.refusals import FlowsimNotice, PlaceError, counted, kept_notices, nearest, notice, refuse
from flowsim.place.stages import Stage, Task
from flowsim.place.supply import (
    LONGEST_SHOCK_DAYS,
    MOST_SHOCKS_A_DAY,
    Block,
    CostLine,
    Escalation,
    Given,
    Initial,
    Locality,
    Move,
    Payer,
    Service,
    Shock,
    Site,
    Taken,
    Trend,
    apportion,
    units_each,
)
from flowsim.place.tables import ALWAYS, INITIAL, LEAVE, NOT_APPLICABLE, OTHER, Conditions, Table
from flowsim.place.times import KINDS, UNIT_MINUTES, WEEKDAYS, Calendar, Distribution, Empirical, parse_hours

__all__ = [
    "ALWAYS",
    "INITIAL",
    "KINDS",
    "LARGEST_DEMAND",
    "LEAVE",
    "LONGEST_SHOCK_DAYS",
    "MOST_SHOCKS_A_DAY",
    "NOT_APPLICABLE",
    "OTHER",
    "SITE_MARK",
    "UNIT_MINUTES",
    "WEEKDAYS",
    "WITH_SETTINGS",
    "Block",
    "Calendar",
    "Choice",
    "Conditions",
    "CostLine",
    "Distribution",
    "Empirical",
    "Escalation",
    "FlowsimNotice",
    "Given",
    "Initial",
    "Locality",
    "Move",
    "OperatingList",
    "Payer",
    "Period",
    "Place",
    "PlaceError",
    "Planned",
    "Run",
    "ScenarioInfo",
    "Service",
    "Shock",
    "Site",
    "Stage",
    "Stream",
    "Table",
    "Taken",
    "Task",
    "Trend",
    "apportion",
    "counted",
    "kept_notices",
    "nearest",
    "notice",
    "once_a_place",
    "parse_hours",
    "period_levels",
    "refuse",
    "spans_on",
    "units_each",
    "with_years",
]
