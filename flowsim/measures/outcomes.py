"""Outcomes: where people live afterwards, who comes back, and who dies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowsim.engine.stamps import DIED, GAVE_UP, TURNED_AWAY
from flowsim.measures.definition import ALL, FLOWSIM, WHOLE, Measure, Value, computes
from flowsim.measures.ratios import percent
from flowsim.measures.who import CARE, counts_as_home, has_level, went_home
from flowsim.measures.window import Window

READMISSION_WINDOW = 30 * 1440


@computes(
    Measure(
        "usual_residence_share", "Discharged to the usual place of residence", "%",
        "Of live discharges from acute beds, those going back to where they lived, with or without "
        "support, care-home residents to their home included.",
        "Better Care Fund metric: discharge to usual place of residence", 1, headline=True,
        theme="Where people live afterwards",
    ),
    needs=("ward",),
)  # fmt: skip
def going_home(window: Window) -> Iterator[Value]:
    """Of live discharges, of those of residents too."""
    home = went_home(window.live)
    for where, here in [*window.live_everywhere, *window.residents(window.live.spell)]:
        yield "usual_residence_share", where, WHOLE, percent(home, here)


@computes(
    Measure(
        "readmission_30_day_share", "Readmitted within 30 days", "%",
        "Of live discharges from acute beds, those followed by an emergency readmission within 30 days; "
        "the window's last 30 days of discharges are left out.",
        "NHS Digital emergency readmissions within 30 days of discharge", -1, headline=True, theme="Coming back",
    ),
    needs=("ward",),
)  # fmt: skip
def coming_back(window: Window) -> Iterator[Value]:
    """By site, by pathway, and of all who had intermediate care."""
    live, pathways = window.live, window.pathways
    back = window.history.returned[live.spell]
    again = (back >= live.left) & (back - live.left <= READMISSION_WINDOW)
    followed = live.left < window.end - READMISSION_WINDOW
    pathway = window.pathway_of(live.spell)
    for where, here in window.live_everywhere:
        yield "readmission_30_day_share", where, WHOLE, percent(again, here & followed)
    for i, name in enumerate(pathways):
        yield "readmission_30_day_share", ALL, name, percent(again, followed & (pathway == i))
    if len(pathways) > 1:
        supported = followed & (pathway > 0) & (pathway < len(pathways))
        yield "readmission_30_day_share", ALL, "after intermediate care", percent(again, supported)


@computes(
    Measure(
        "deaths_in_hospital", "Deaths in hospital", "people",
        "Deaths in acute beds, emergency departments and same-day units.",
        FLOWSIM, -1, adds_up=True, headline=True, theme="Deaths",
        matters=10, at_the_end=True,  # no effect on deaths is built in; who dies just after the end moves it by so many
    ),
    needs=("ward or ed or same_day",),
)  # fmt: skip
def deaths(window: Window) -> Iterator[Value]:
    """Wherever in hospital."""
    history = window.history
    dead = np.flatnonzero((history.stamps.ended == DIED) & window.inside(history.stamps.left))
    dead = dead[history.queues_with("ward", "ed", "same_day")[history.service[dead]]]
    for where, here in window.everywhere(dead):
        yield "deaths_in_hospital", where, WHOLE, float(np.count_nonzero(here))


@computes(
    Measure(
        "hospital_still_people", "Still in hospital or at its door at the end", "people",
        "People who are in an acute bed, an emergency department, its queue or a same-day unit when the period ends: "
        "how their stay or delay goes on, and whether they die, is counted nowhere yet.",
        FLOWSIM, 0, headline=True,
    ),
    needs=("ward or ed or same_day",),
)  # fmt: skip
def unfinished(window: Window) -> Iterator[Value]:
    """Beside stays and deaths: a scenario that keeps people in the queue has fewer of both."""
    history, s, end = window.history, window.history.stamps, window.end
    in_hospital = history.rows_with("ward", "ed", "same_day") & (s.started >= 0) & (s.started < end)
    at_the_door = window.in_ed & (s.joined >= 0) & (s.joined < end) & (history.waited_until >= end)
    row = np.flatnonzero((in_hospital & (history.left >= end)) | at_the_door)
    row = row[np.unique(history.spell.take(row), return_index=True)[1]]
    for where, here in window.everywhere(row):
        yield "hospital_still_people", where, WHOLE, float(np.count_nonzero(here))


@computes(
    Measure(
        "in_hospital_death_share", "Emergency stays that end in death", "%",
        "Of emergency stays in acute beds that ended, those that ended in death.",
        "Mohammed and others, BMC Health Services Research 2012", -1,
    ),
    needs=("ward",),
)  # fmt: skip
def emergency_deaths(window: Window) -> Iterator[Value]:
    """Of emergency stays in acute beds; by age too."""
    history = window.history
    over = window.ward[window.inside(window.ward.left)]
    emergency, died = window.is_emergency.take(over.spell), history.stamps.ended[over.last] == DIED
    for where, here in window.everywhere(over.last):
        yield "in_hospital_death_share", where, WHOLE, percent(died, emergency & here)
    for level in history.journeys.levels.get("age", ()):
        of_that_age = has_level(history, "age", level)[over.spell]
        yield "in_hospital_death_share", ALL, f"age {level}", percent(died, emergency & of_that_age)


@computes(
    Measure(
        "no_long_term_care_share", "Leaving reablement without long-term care", "%",
        "Of people whose stay in a community service with slots ended alive and not by readmission, those "
        "who did not go on to home care or a care home.",
        "ASCOF 2D: outcome of short-term services", 1,
    ),
)  # fmt: skip
def after_reablement(window: Window) -> Iterator[Value]:
    """Of those who left a community service with slots, who needed no long-term care."""
    history = window.history
    over = window.stays.of(history.rows_with("community") & window.inside(history.left))
    over = over[over.alive]
    kind = history.kind[over.service]
    long_term = history.queues_with("home_care", "care_home")
    needs = (over.after >= 0) & long_term[history.service[over.after]]
    for k, name in enumerate(history.kind_names):
        service = history.service_of(name)
        if service.role == "community" and service.unit == "slots":
            yield "no_long_term_care_share", ALL, name, percent(~needs, kind == k)


@computes(
    Measure(
        "unmet_need_people", "Went without the care they waited for", "people",
        "People who gave up waiting for a community service, home care or a care home, or were turned away, and turned "
        "to less: to nothing, or from a bed or place to care at home; counted when they gave up, neighbours' own "
        "services left out of the whole.",
        FLOWSIM, -1, adds_up=True, headline=True,
        matters=10,  # in a year: one a month, less than a service would hear of
        # and a tenth of those there are: a scheme that sends more people to a service, or sooner, has in proportion
        # more who give up there, though nobody's own chance of the care waited for is worse
        matters_share=0.1,
    ),
    needs=("community or home_care or care_home",),
)  # fmt: skip
def unmet_need(window: Window) -> Iterator[Value]:
    """Who turned to less than they had waited for: by service, and by the site or locality whose queue they left."""
    history, home = window.history, counts_as_home(window.history)
    ended, cared_for = history.stamps.ended, history.queues_with(*CARE)
    gave_up = history.rows_with(*CARE) & np.isin(ended, (GAVE_UP, TURNED_AWAY))
    row = np.flatnonzero(gave_up & window.inside(history.waited_until))
    instead = history.journeys.rows.otherwise.take(row)
    queue, then = history.service.take(row), history.service.take(np.maximum(instead, 0))
    is_less = ~cared_for[then] | (home[then] & ~home[queue])
    some = np.flatnonzero((instead < 0) | is_less)
    queue, spell = queue.take(some), history.spell.take(row.take(some))
    yield "unmet_need_people", ALL, WHOLE, float(len(np.unique(spell[~history.is_neighbour[queue]])))
    for (where, kind), queues in window.queues.groups:
        if cared_for[queues[0]]:
            yield "unmet_need_people", where, kind, float(len(np.unique(spell[np.isin(queue, queues)])))
