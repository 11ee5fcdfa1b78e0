"""Every way ends, references look the right way, and no services hold for each other in a circle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from flowsim.declare.rules.facts import Facts
from flowsim.place import LEAVE, Place, PlaceError, Stage, refuse
from flowsim.place.ways import leaves_of, ways_on


def check_ways(facts: Facts) -> None:
    """Every way ends, references look the right way, and no services hold for each other in a circle."""
    leads = {n: {t for ts in ways_on(s).values() for t in ts if t != LEAVE} for n, s in facts.place.stages.items()}
    circle = _circle(leads)
    if circle:
        raise PlaceError(
            f"place.stages.{circle[0]}: {' -> '.join(circle)} was given; allowed: a way that ends in 'leave' and "
            "enters no stage twice."
        )
    later = _reachable(leads)
    for name, stage in facts.place.stages.items():
        if stage.keep is not None and stage.keep not in later[name]:
            raise refuse(f"place.stages.{name}.keep", stage.keep, f"a stage that follows {name}:", sorted(later[name]))
        if stage.since is not None and name not in later.get(stage.since, ()):
            earlier = [n for n in facts.place.stages if name in later[n]]
            raise refuse(f"place.stages.{name}.since", stage.since, f"a stage that leads to {name}:", earlier)
    _circle_of_services(facts)


def _circle_of_services(facts: Facts) -> None:
    waits: dict[str, dict[str, str]] = {name: {} for name in facts.place.services}
    for name, stage in facts.place.stages.items():
        if stage.hold:
            for target in _waited_for(facts.place, stage):
                waits[str(stage.service)].setdefault(str(facts.place.stages[target].service), f"{name} -> {target}")
    circle = _circle({name: set(targets) for name, targets in waits.items()})
    if circle:
        stages = ", ".join(waits[a][b] for a, b in pairwise(circle))
        raise PlaceError(
            f"place.stages: the services {' -> '.join(circle)} hold for each other in a circle (stages {stages}), "
            "and when all are full nobody ever moves; allowed: a circle with patience, hold: false or an ED in it."
        )


def _waited_for(place: Place, holder: Stage) -> Iterator[str]:
    """The stages for which somebody may wait without end while holding a place."""
    seen: set[str] = set()
    todo = leaves_of(holder.next)
    while todo:
        name = todo.pop()
        if name == LEAVE or name in seen:
            continue
        seen.add(name)
        target = place.stages[name]
        todo += [to for valve in target.patience.values() for to in leaves_of(valve.to)]
        service = place.services[str(target.service)]
        endless = not target.patience and service.role != "ed" and service.capacity != "unlimited"
        if endless and target.service != holder.service:
            yield name


def _circle(leads: Mapping[str, set[str]]) -> list[str]:
    """One circle of a graph, its first name again at the end; empty when there is none."""
    try:
        TopologicalSorter({name: sorted(targets) for name, targets in leads.items()}).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def _reachable(leads: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Everything that follows each name in a graph without circles."""
    later: dict[str, set[str]] = {}
    for name in TopologicalSorter(leads).static_order():
        later[name] = set().union(*({t} | later[t] for t in leads.get(name, ())))
    return later
