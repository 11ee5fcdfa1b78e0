"""What a measure is, and how it is tied to the function that works it out: one stands above the other in one file."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        id: its name in every table, kept for ever.
        title: its name on screen.
        unit: of its values.
        definition: one sentence.
        source: where the definition comes from.
        better: 1 when more is better, -1 when less is, 0 when neither can be said.
        adds_up: it is a sum, so where a scenario has no row (a cause, a payer) there was none of it. A mean, a share or
            an index without a row is not known.
        headline: every comparison shows it.
        theme: of the national measures, under which a report lists it; none where it is no national measure.
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


@dataclass(frozen=True)
class Computation:
    """A function that works out the values of some measures, each in a fixed order, and what they are."""

    measures: tuple[Measure, ...]
    function: Callable[[Window], Iterator[Value]]

    def values(self, window: Window) -> Iterator[Value]:
        """What the function gives.

        Raises:
            ValueError: it gives a measure that is not declared above it.
        """
        declared = {measure.id for measure in self.measures}
        for value in self.function(window):
            if value[0] not in declared:
                raise ValueError(f"{self.function.__qualname__} gives {value[0]}, which is not declared above it")
            yield value


def computes(*measures: Measure) -> Callable[[Callable[[Window], Iterator[Value]]], Computation]:
    """Written above a function of a window, says which measures it gives the values of."""
    return lambda function: Computation(measures, function)
