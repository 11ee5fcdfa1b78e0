"""What the numbers rest on: assumptions, services offered more than they can do, definitions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from flowsim.folder.result import Result
from flowsim.measures.registry import HEADLINE, MEASURES, NATIONAL
from flowsim.place import Place
from flowsim.present.pages.cells import CLOSED
from flowsim.present.pages.page import Section
from flowsim.present.titles import service_title
from flowsim.present.words import number
from flowsim.questions.compare import SERVICE_LOAD

MOST_OVERLOADED = 8


def sections(result: Result) -> Iterator[Section]:
    """Assumptions, and services offered more than they can do; nothing where there are neither."""
    place = next(iter(result.places.values()))
    sentences = list(assumptions(place, [str(grade) for grade in result.evidence["grade"] if grade]))
    theirs = {name for name, locality in place.localities.items() if locality.neighbour}
    overloaded = _overloaded(result)
    ours = [(where, of) for where, of in overloaded.index if where not in theirs]
    if ours:
        named = "; ".join(
            f"{service_title(result, of, where)} ({_load(overloaded[where, of])})"
            for where, of in ours[:MOST_OVERLOADED]
        )
        more = len(overloaded) - len(ours[:MOST_OVERLOADED])
        rest = f"; and {more} more, neighbours' own included" if more else ""
        sentences.append(f"Offered more than they can do (load at or above 1 in at least one scenario): {named}{rest}.")
    if sentences:
        yield Section("What the numbers are worth", sentences=tuple(sentences))


def _load(load: float) -> str:
    return CLOSED if math.isinf(load) else number(load)


def _overloaded(result: Result) -> pd.Series:
    """Queues with an offered load at or above one in some scenario (its mean over replications), highest first."""
    load = result.results[result.results["measure"] == SERVICE_LOAD]
    highest = load.groupby(["scenario", "where", "of"])["value"].mean().groupby(["where", "of"]).max()
    split = {of for where, of in highest.index if where != "all"}
    highest = highest[[where != "all" or of not in split for where, of in highest.index]]
    return highest[highest >= 1].sort_values(ascending=False, kind="stable")


def definitions(result: Result) -> Section:
    """Every measure shown, with its definition and source."""
    shown = set(result.results["measure"].unique())
    names = dict.fromkeys([*HEADLINE, *(name for names in NATIONAL.values() for name in names)])
    rows = tuple((m.title, m.unit, m.definition, m.source) for m in map(MEASURES.__getitem__, names) if m.id in shown)
    return Section("What is measured", ("measure", "unit", "definition", "after"), rows)


def assumptions(place: Place, grades: Sequence[str]) -> Iterator[str]:
    """How many of a place's default numbers are assumptions, from their grades; nothing when there are none."""
    if grades:
        assumed = sum(grade.startswith("C") for grade in grades)
        yield (
            f"{assumed} of {len(grades)} default numbers of {place.title} are assumptions (grade C), not published; "
            "'flowsim show evidence' lists them with their ranges and reasons."
        )
