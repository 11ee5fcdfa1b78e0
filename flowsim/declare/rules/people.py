"""Streams, and choices that only ask for what is known by then."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping

from flowsim.declare.rules.facts import Facts, must_be_one_of
from flowsim.declare.rules.names import NO_LEVEL
from flowsim.declare.rules.tables import (
    check_conditions,
    check_settings,
    check_stage_names,
    check_table,
    check_time,
    has_times,
)
from flowsim.place import (
    LARGEST_DEMAND,
    Choice,
    Conditions,
    PlaceError,
    Run,
    Stream,
    notice,
    period_levels,
    refuse,
)
from flowsim.place.ways import GIVEN, leaves_of


def check_people(facts: Facts) -> None:
    """Who comes is declared in full, and every choice asks for what is given, or was chosen before it."""
    place = facts.place
    for name, stream in place.streams.items():
        _stream(facts, f"place.streams.{name}", name, stream)
    for name, period in place.periods.items():
        for level in period_levels(period):
            if level in NO_LEVEL:
                raise PlaceError(f"place.periods.{name}.{level}: this name is taken; allowed: any other name.")
    known = [*(a for a in GIVEN if a not in place.choices), *place.periods]
    for name, choice in place.choices.items():
        asked = [*known, *(a for a in GIVEN if a not in known and a != name)]
        _choice(facts, f"place.choices.{name}", name, choice, asked)
        known.append(name)


def _choice(facts: Facts, key: str, name: str, choice: Choice, known: list[str]) -> None:
    check_conditions(facts, f"{key}.when", choice.when, known)
    for part in ("shares", "chance"):
        check_table(facts, f"{key}.{part}", getattr(choice, part), known, choice.when)
    for leaf in choice.chance.leaves() if choice.chance is not None and not has_times(choice.chance) else ():
        if leaf > 1:
            raise refuse(f"{key}.chance", leaf, "a number from 0 to 1")
    if choice.planned is not None:
        _planned(facts, key, choice, known)
    if name in GIVEN:
        for option in choice.options:
            must_be_one_of(f"{key}.shares", option, f"a {name}:", facts.levels[name])
    moved: dict[str, float] = {}
    for shift_name, shift in choice.shift.items():
        moved[shift.from_option] = moved.get(shift.from_option, 0) + shift.share
        if moved[shift.from_option] > 1 + 1e-9:
            given = f"{moved[shift.from_option]:g}"
            raise refuse(f"{key}.shift.{shift_name}.share", given, f"shifts from {shift.from_option} of 1 together")


def _planned(facts: Facts, key: str, choice: Choice, known: list[str]) -> None:
    """A planned stay is known once everything its duration depends on has been decided."""
    assert choice.planned is not None
    must_be_one_of(f"{key}.planned.stage", choice.planned.stage, "a stage:", facts.place.stages)
    check_time(facts, f"{key}.planned.below", choice.planned.below, choice.when)
    for table in choice.planned.below.tables():
        check_table(facts, f"{key}.planned.below", table, known, choice.when)
    duration = facts.place.stages[choice.planned.stage].duration
    if duration is None:
        return  # refused where the stage is checked
    tables = list(duration.tables())
    for node in (node for table in tables for node in table.nodes()):
        if node.by is not None and node.by not in known:
            raise PlaceError(
                f"{key}.planned.stage: {choice.planned.stage!r} was given, whose duration depends on '{node.by}'; "
                f"allowed: this choice written after '{node.by}'."
            )
    for table in tables:
        check_table(facts, f"{key}.planned (the duration of {choice.planned.stage})", table, known, choice.when)


def _by_unit(stream: Stream) -> Iterator[tuple[str, Mapping[str, object]]]:
    """What a stream says by site or locality, and under which key."""
    parts: list[tuple[str, object]] = [("rate", stream.rate), ("at_start", stream.at_start)]
    parts += [("daily.people", stream.daily.people)] if stream.daily is not None else []
    parts += [(f"schedule.{name}.people", one.people) for name, one in (stream.schedule or {}).items()]
    yield from ((part, given) for part, given in parts if isinstance(given, Mapping))


def _daily(run: Run, key: str, stream: Stream) -> None:
    """Lists of days are those of the stream's sites or localities, and reach from the first day of the run to the last,
    or are repeated."""
    assert stream.daily is not None
    if stream.at != "place" and not isinstance(stream.daily.people, Mapping):
        raise PlaceError(f"{key}.people: one list was given; allowed: a list for each {stream.at}, by its name.")
    begins = stream.daily.from_date or run.first_date
    undated = stream.daily.from_date is None
    if undated and stream.daily.repeated:
        raise PlaceError(f"{key}.from: nothing was given; allowed: the day of the first number of what is repeated.")
    for unit, numbers in stream.daily.lists.items():
        ends = begins + dt.timedelta(days=len(numbers))
        at = f"{key}.people.{unit}".rstrip(".")
        if not numbers:
            raise PlaceError(f"{at}: an empty list was given; allowed: a number for each day.")
        if undated and run.first_date < run.start_date and ends > run.end_date:
            # it may have been meant to begin with what is measured
            notice(f"{at}: the first number is of {begins}, the warm-up's first day; 'from' would say another")
        if not stream.daily.repeated and (begins > run.first_date or ends < run.end_date):
            last = run.end_date - dt.timedelta(days=1)
            given = f"numbers from {begins} to {ends - dt.timedelta(days=1)} were given"
            raise PlaceError(
                f"{at}: {given}; allowed: a number for each day of the run with its warm-up, {run.first_date} to "
                f"{last}, or 'repeated: true'."
            )


def _stream(facts: Facts, key: str, name: str, stream: Stream) -> None:
    units = {"site": list(facts.place.sites), "locality": list(facts.place.localities), "place": [""]}[stream.at]
    for part, given in _by_unit(stream):
        if stream.at == "place":
            raise PlaceError(
                f"{key}.{part}: a mapping was given; allowed: one for all, or 'at: site' or 'at: locality'."
            )
        for unit in given:
            must_be_one_of(f"{key}.{part}", unit, f"a {stream.at}:", units)
    if stream.daily is not None:
        _daily(facts.place.run, f"{key}.daily", stream)
    these: Conditions = {"stream": [name], **({stream.at: units} if stream.at != "place" else {}), **stream.set}
    for part, table in (("first", stream.first), *((f"demand.{n}", t) for n, t in stream.demand.items())):
        check_table(facts, f"{key}.{part}", table, list(facts.levels), these)
    check_stage_names(facts, f"{key}.first", leaves_of(stream.first))
    for factor, table in stream.demand.items():
        for leaf in table.leaves():
            if not 0 <= leaf <= LARGEST_DEMAND:
                raise refuse(f"{key}.demand.{factor}", leaf, f"a factor from 0 to {LARGEST_DEMAND}")
    check_settings(facts, f"{key}.set", stream.set)
