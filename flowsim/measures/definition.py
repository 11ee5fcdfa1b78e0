"""What a measure is, and how it is tied to the function that works it out: one stands above the other in one file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowsim.measures.window import Window

ALL = "all"
"""`where` of what holds of the whole place."""
RESIDENTS = "residents"
"""`where` of people who live in the place under study, where there are neighbours."""
WHOLE = ""
"""`of` of what counts everything that is there."""
Value = tuple[str, str, str, float]
"""(measure, where, of, value)"""

SITREP = "NHS England acute discharge situation report"
READY_DATE = "NHS England discharge ready date collection"
A_AND_E = "NHS England A&E attendances and emergency admissions monthly statistics"
FLOWSIM = "flowsim"
BCF = "Better Care Fund"

MATTERS = {
    "%": 0.5,  # points: published shares are told to whole points, so less than half of one is not seen
    "people": 1.0,  # one person on a mean night, or in a year
    "days": 0.1,  # two hours: what a ward round more or less makes
    "hours": 0.1,  # six minutes: clocks in emergency departments are read no closer
    "people a day": 0.5,
    "people a week": 0.5,
    "bed-days": 365.0,  # in a year: one bed, as one person on a mean night is
    "index": 0.02,
    "ratio": 0.02,  # of capacity; below it no queue changes that anybody would notice
    "queues": 1.0,
    "per 100,000 adults a year": 10.0,  # about one percent of the avoidable admissions of a place
    "per 100,000 aged 65+ a year": 100.0,  # about half a percent of their emergency admissions
    "days per 100,000 adults": 10.0,
    "beds per 100,000 adults": 0.3,
}
"""The smallest difference that matters, by unit, where a measure does not say its own; of sums, in a year."""
NO_LEAST = 0.0
"""Of units that are not named there: every difference matters (checks, capacities in units of their own)."""
YEAR_DAYS = 365


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        id: its name in every table, kept for ever.
        title: its name on screen.
        unit: of its values; a sum is of the whole window, "a year" only where the window is one.
        definition: one sentence.
        source: where the definition comes from.
        better: 1 when more is better, -1 when less is, 0 when neither can be said.
        adds_up: it is a sum over the window, so where a scenario has no row (a cause, a payer) there was none of it. A
            mean, a share or an index without a row is not known.
        headline: every comparison shows it.
        theme: of the national measures, under which a report lists it; none where it is no national measure.
        matters: the smallest difference that matters, in its unit; below it a difference is no difference that matters.
            Of a sum, in a year: see `matters_in`. What is not said is `MATTERS` of its unit.
        matters_share: the smallest part that matters of what there was, from 0 to 1: a difference has to reach both.
        at_the_end: what moves it by chance or by counting happens at the end of the days measured, so that the smallest
            difference that matters is the same in few days as in many.
    """

    id: str
    title: str
    unit: str
    definition: str
    source: str
    better: int
    adds_up: bool = False
    headline: bool = False
    theme: str = ""
    matters: float = math.nan
    matters_share: float = 0.0
    at_the_end: bool = False

    def __post_init__(self) -> None:
        if math.isnan(self.matters):
            object.__setattr__(self, "matters", MATTERS.get(self.unit, NO_LEAST))

    def matters_in(self, days: float, there: float = 0.0) -> float:
        """The smallest difference that matters in so many days: of a sum in proportion, of all else as it is.

        `there`: how much of it there is in what is compared with, for measures with a `matters_share`.
        """
        least = self.matters * days / YEAR_DAYS if self.adds_up and not self.at_the_end else self.matters
        part = self.matters_share * abs(there)
        return max(least, part) if part > 0 else least


@dataclass(frozen=True)
class Computation:
    """A function that works out the values of some measures, each in a fixed order, and what they are.

    Attributes:
        needs: roles that services of the place must have, each one or, after "or", another: without wards nobody is
            delayed in one, which is not to be told as nought.
    """

    measures: tuple[Measure, ...]
    function: Callable[[Window], Iterator[Value]]
    needs: tuple[str, ...] = ()

    def values(self, window: Window) -> Iterator[Value]:
        """What the function gives; nothing where the place has no service of a role that it needs.

        Raises:
            ValueError: it gives a measure that is not declared above it.
        """
        if not all(set(roles.split(" or ")) & set(window.history.roles) for roles in self.needs):
            return
        declared = {measure.id for measure in self.measures}
        for value in self.function(window):
            if value[0] not in declared:
                raise ValueError(f"{self.function.__qualname__} gives {value[0]}, which is not declared above it")
            yield value


def computes(
    *measures: Measure, needs: tuple[str, ...] = ()
) -> Callable[[Callable[[Window], Iterator[Value]]], Computation]:
    """Written above a function of a window, says which measures it gives the values of, and in which places."""
    return lambda function: Computation(measures, function, needs)
