"""The ways of a place: from which stage people may go on to which, read from the place alone."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import TopologicalSorter

from flowsim.place import LEAVE, Place, Stage, once_a_place
from flowsim.place.ways import ways_on


@dataclass
class Ways:
    """How people go from stage to stage.

    Attributes:
        order: the stages, each after all that lead to it.
        come_back: those from which, or from one that follows, people may be readmitted.
        to: by stage and column of its rows, the stages that this may name.
    """

    order: list[str]
    come_back: set[str]
    to: dict[str, dict[str, list[str]]]


@once_a_place
def ways_of(place: Place) -> Ways:
    """The ways of a place, found once. Raises graphlib.CycleError when its stages go round in a circle."""
    to = {name: named_by(stage) for name, stage in place.stages.items()}
    return Ways(stage_order(place), may_come_back(place), to)


def turns_elsewhere(place: Place, name: str) -> bool:
    """Whether people who give up the queue of a stage may go on to another, rather than leave."""
    return bool(ways_of(place).to[name].get("otherwise"))


def stage_order(place: Place) -> list[str]:
    """The stages so that each comes after all that lead to it. Raises graphlib.CycleError on a circle."""
    leads_to_from: dict[str, set[str]] = {name: set() for name in place.stages}
    for name in place.stages:
        for target in following(place.stages[name]):
            leads_to_from[target].add(name)
    return list(TopologicalSorter(leads_to_from).static_order())


def may_come_back(place: Place) -> set[str]:
    """The stages from which, or from one that follows, people may be readmitted."""
    returning: set[str] = set()
    for name in reversed(stage_order(place)):
        if place.stages[name].readmission is not None or following(place.stages[name]) & returning:
            returning.add(name)
    return returning


def named_by(stage: Stage) -> dict[str, list[str]]:
    """The stages that a stage's people may go on to, by the column of their rows that says so."""
    columns = {"patience": "otherwise", "unfit": "unfit_to"}
    targets_of: dict[str, list[str]] = {}
    for key, targets in ways_on(stage).items():
        word = key.partition(".")[0]
        targets_of.setdefault(columns.get(word, word), []).extend(targets)
    return {column: [to for to in dict.fromkeys(targets) if to != LEAVE] for column, targets in targets_of.items()}


def following(stage: Stage) -> set[str]:
    """The stages a stage may lead to, by any way."""
    return {target for targets in named_by(stage).values() for target in targets}


def up_to_recognition(stage: Stage) -> set[str]:
    """The tasks before asking that are done when it is recognised that the stage is over."""
    tasks = [(n, task) for n, task in sorted(stage.before.items(), key=lambda item: item[1].order) if not task.skip]
    last = max((at for at, (_, task) in enumerate(tasks) if task.recognises), default=-1)
    return {name for name, _ in tasks[: last + 1]}
