"""The ways of people through a place: from stage to stage, and what is known of those who take them."""

from __future__ import annotations

from flowsim.place.configuration import Place
from flowsim.place.demand import period_levels
from flowsim.place.stages import Stage
from flowsim.place.tables import INITIAL, LEAVE, NOT_APPLICABLE, Table

GIVEN = ("stream", "site", "locality")
"""Attributes that nobody has to choose."""


def ways_on(stage: Stage) -> dict[str, list[str]]:
    """The stages a stage leads to, `leave` included, by the key that names them."""
    ways = {"next": leaves_of(stage.next)}
    ways |= {f"patience.{reason}.to": leaves_of(valve.to) for reason, valve in stage.patience.items()}
    if stage.unfit is not None:
        ways["unfit.to"] = [stage.unfit.to]
    if stage.displaced_to is not None:
        ways["displaced_to"] = [stage.displaced_to]
    return ways


def leaves_of(table: Table | None) -> list[str]:
    """The names that stand in a table of names, each once."""
    return [] if table is None else list(dict.fromkeys(str(leaf) for leaf in table.leaves()))


def attribute_levels(place: Place) -> dict[str, list[str]]:
    """Every attribute that people of the place have, with its levels."""
    levels: dict[str, list[str]] = {
        "stream": [*place.streams, *([INITIAL] if any(s.initial for s in place.services.values()) else [])],
        "site": list(place.sites),
        "locality": list(place.localities),
    }
    levels |= {name: [*period_levels(period), NOT_APPLICABLE] for name, period in place.periods.items()}
    return levels | {name: list(choice.options) for name, choice in place.choices.items() if name not in GIVEN}


def plain_way(place: Place, stream: str) -> set[str]:
    """The stages to which people of a stream come from stage to stage, without giving up or turning elsewhere."""
    on_the_way: set[str] = set()
    todo = leaves_of(place.streams[stream].first)
    while todo:
        name = todo.pop()
        if name != LEAVE and name not in on_the_way:
            on_the_way.add(name)
            todo += leaves_of(place.stages[name].next)
    return on_the_way


def settings_of(place: Place) -> list[dict[str, str]]:
    """What is settled about people by where they come from."""
    settings = [stream.set for stream in place.streams.values()]
    settings += [initial.set for service in place.services.values() for initial in service.initial.values()]
    return settings + [stage.readmission.set for stage in place.stages.values() if stage.readmission is not None]


def streams_at(place: Place) -> dict[str, list[str]]:
    """The streams whose people may come to each stage, readmissions included."""
    streams_of: dict[str, set[str]] = {name: set() for name in place.stages}
    arrived = [(stage, name) for name, stream in place.streams.items() for stage in leaves_of(stream.first)]
    arrived += [(i.stage, INITIAL) for service in place.services.values() for i in service.initial.values()]
    while arrived:
        name, stream = arrived.pop()
        if name not in streams_of or stream in streams_of[name]:
            continue
        streams_of[name].add(stream)
        stage = place.stages[name]
        arrived += [(target, stream) for targets in ways_on(stage).values() for target in targets]
        if stage.readmission is not None:
            arrived.append((stage.readmission.to, stage.readmission.set.get("stream", stream)))
    return {name: sorted(streams) for name, streams in streams_of.items()}
