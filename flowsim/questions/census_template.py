"""A place's own first morning, simulated, as a census: the template that a user fills in with what they count."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import pairwise

import pandas as pd

from flowsim.cells.first_morning import first_morning
from flowsim.declare.census import (
    COLUMNS,
    DAYS,
    HOURS,
    IN_STAGE,
    PEOPLE,
    SERVICE,
    STAGE,
    STATE,
    WAITING_FOR,
    WHERE,
)
from flowsim.place import Place
from flowsim.place.ways import leaves_of, plain_way

BANDS = (0, 2, 7, 14, 21, 42)
"""Days in an acute bed so far, as hospitals report them; the last band is open."""
EXTRA = ("pathway", "locality")
"""Attributes that the template shows, where the place has them; any other may be a column too."""


def census_template(place: Place, seed: int = 1) -> str:
    """CSV of who is there on `start_date` in one simulated run of the place, in the form that `census=` reads.

    Typical numbers of the model, to be written over; neighbours' own services are left out, for they keep their own
    caseload.
    """
    rows = list(usual_lines(place, seed, 1))
    extra = [name for name in EXTRA if any(row.get(name) for row in rows)]
    text = io.StringIO()
    # an attribute that nobody has that morning is an empty entry of its lines, and no column
    writer = csv.DictWriter(text, [*COLUMNS, *extra], restval="", lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def usual_lines(place: Place, seed: int, mornings: int) -> Iterator[dict[str, object]]:
    """Lines of the mean of so many mornings, each simulated with a seed of its own, in whole people; none of nobody."""
    people = pd.concat([first_morning(place, seed + each, EXTRA) for each in range(mornings)], ignore_index=True)
    for line in _lines(place, people):
        if mornings > 1:
            line |= {name: round(float(str(line[name])) / mornings) for name in (PEOPLE, HOURS) if name in line}
        if mornings == 1 or line.get(PEOPLE) or line.get(HOURS):
            yield line


def _lines(place: Place, people: pd.DataFrame) -> Iterator[dict[str, object]]:
    """The template's lines: each service, site and state, and what those who wait are waiting for."""
    on_the_way = set().union(*(plain_way(place, stream) for stream in place.streams))
    for name, service in place.services.items():
        here = people[people[SERVICE] == name]
        if service.capacity == "unlimited":
            here = here[here[STATE] != IN_STAGE]  # the world outside: only who waits there for something
        stages = [stage for stage in dict.fromkeys(here[STAGE]) if stage in on_the_way]
        main = max(stages, key=lambda stage: int((here[STAGE] == stage).sum()), default=None)
        units = service.by_site or service.by_locality or {"": 0}
        for unit in units:
            those = here[here[WHERE] == unit]
            if main is not None:  # a stage that follows on giving up counts with the one that people come to
                those = those.assign(**{STAGE: those[STAGE].where(those[STAGE].isin(stages), main)})
            yield from _in_stage(place, name, unit, those[those[STATE] == IN_STAGE])
            yield from _waiting(place, name, unit, those[those[STATE] != IN_STAGE])


def _in_stage(place: Place, service: str, unit: str, people: pd.DataFrame) -> Iterator[dict[str, object]]:
    declared = place.services[service]
    for stage, those in people.groupby(STAGE, sort=True):
        line: dict[str, object] = {SERVICE: service, WHERE: unit, STATE: IN_STAGE, STAGE: stage}
        if declared.unit == "hours_a_week":
            yield line | {HOURS: round(float(those[HOURS].sum()))}
        elif declared.role == "ward":
            edges = [*BANDS, max(float(those[DAYS].max()), BANDS[-1]) + 1]
            for low, high in pairwise(edges):
                n = int(((those[DAYS] >= low) & (those[DAYS] < high)).sum())
                if n:
                    yield line | {DAYS: f"{low} to {round(high)}", PEOPLE: n}
        else:
            yield line | {PEOPLE: len(those)}


def _waiting(place: Place, service: str, unit: str, people: pd.DataFrame) -> Iterator[dict[str, object]]:
    not_neighbours = {name for name, locality in place.localities.items() if not locality.neighbour}
    declared = place.services[service]
    outside = declared.split_by is None and declared.role == "outside"
    if declared.role != "ward":  # there alone people are delayed by pathway
        people = people.assign(pathway="")
    for (state, stage, target, pathway, locality), those in people.groupby(
        [STATE, STAGE, WAITING_FOR, "pathway", "locality" if outside else WHERE], sort=True
    ):
        if outside and not_neighbours and locality and locality not in not_neighbours:
            continue
        targets = leaves_of(place.stages[str(stage)].next)
        longest = max(2 * float(those[DAYS].mean()), 0.1)
        line = {SERVICE: service, WHERE: unit, STATE: state, STAGE: stage, "pathway": pathway, PEOPLE: len(those)}
        line[WAITING_FOR] = target if target in targets else ""
        line[DAYS] = f"0 to {longest:.1f}"
        yield line | ({"locality": locality} if outside else {})
