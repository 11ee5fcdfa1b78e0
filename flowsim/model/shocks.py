"""Shocks: what comes to a queue by chance and belongs to no person, such as outbreaks and staff off sick.

For each queue and kind of shock there is a stream of moments at which one could begin, at a rate that no place can
reach, each with a mark and a length of its own. A shock begins at those whose mark is below the place's rate on that
day: so scenarios share their shocks, and a higher rate adds some and moves none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flowsim.model.calendar import DAY
from flowsim.model.cohort import Cohort
from flowsim.model.people import Levels, People
from flowsim.model.sampler import Sampler, whole_minutes
from flowsim.place import LONGEST_SHOCK_DAYS, MOST_SHOCKS_A_DAY, Place, Run, Service, Shock
from flowsim.place.queues import own_units


@dataclass(frozen=True)
class Happening:
    """One shock in one queue of the service `kind`: from minute `start`, which may be before the run, up to `end`."""

    kind: str
    unit: str | None
    name: str
    shock: Shock
    start: int
    end: int


def happenings(place: Place, cohort: Cohort) -> list[Happening]:
    """Every shock that is felt in the run: of the place before its scenario until the policy starts, then of the place.

    A shock runs its course under the rules under which it began.
    """
    run = place.run
    earliest, switch = -LONGEST_SHOCK_DAYS * DAY, run.switch
    old = {} if place.rules_before is None else place.rules_before.kinds
    inside = []
    for kind, service in place.kinds.items():
        periods = [(service, earliest if place.rules_before is None else switch, run.horizon)]
        if kind in old:
            periods.insert(0, (old[kind], earliest, switch))
        for declared, first, last in periods:
            inside += [h for h in _drawn(kind, declared, run, cohort) if first <= h.start < last and h.end > 0]
    return inside


def _drawn(kind: str, service: Service, run: Run, cohort: Cohort) -> list[Happening]:
    """The shocks of a service as it is declared, whenever they are."""
    drawn = []
    for name, shock in service.shocks.items():
        for unit in own_units(service):
            purpose = f"shock/{kind}/{name}/{unit or ''}"
            minute, number = cohort.moments(purpose, LONGEST_SHOCK_DAYS, run.all_days, MOST_SHOCKS_A_DAY)
            mark = cohort.uniform(f"{purpose}/mark", number) * MOST_SHOCKS_A_DAY
            begins = mark < _expected(shock, run, minute // DAY)
            minute, number = minute[begins], number[begins]
            lengths = _lengths(shock, purpose, number, cohort)
            drawn += [
                Happening(kind, unit, name, shock, int(m), int(m + n)) for m, n in zip(minute, lengths, strict=True)
            ]
    return drawn


def _expected(shock: Shock, run: Run, day: np.ndarray) -> np.ndarray:
    """How many shocks are expected to begin on these days of the run, (n,) float64."""
    date = np.datetime64(run.first_date) + day
    month = date.astype("datetime64[M]").astype(int) % 12
    expected = np.array(shock.expected_a_day)[month]
    if shock.from_date is not None:
        expected[date < np.datetime64(shock.from_date)] = 0
    if shock.end is not None:
        expected[date >= np.datetime64(shock.end)] = 0
    return expected


def _lengths(shock: Shock, purpose: str, number: np.ndarray, cohort: Cohort) -> np.ndarray:
    """How long each shock lasts: (n,) int32 minutes."""
    nobody = People(number, np.zeros_like(number), {}, np.zeros_like(number))
    minutes = Sampler(nobody, Levels([]), cohort).draw(shock.lasts, f"{purpose}/lasts", np.arange(len(number)))
    return np.minimum(whole_minutes(minutes), LONGEST_SHOCK_DAYS * DAY)
