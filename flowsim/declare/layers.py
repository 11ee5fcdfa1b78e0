"""What each file, and the user, says of a place, and how they are laid over one another.

A place is a pile of layers: its own file lowest, then whatever else always holds, then the scenarios in the order they
are named, each with its parts that are switched on. The user lays the last one (`user.py`). A new kind of layer is one
more `Layer` in the list that `composition.py` makes, above the place's own and, where it always holds, below all
scenarios.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from flowsim.declare.reading import fields_at
from flowsim.declare.shapes import refuse_wrong_shapes
from flowsim.declare.totals import what_follows
from flowsim.declare.trees import depth_of, is_within, leaves, overlay, tree_of
from flowsim.declare.yaml_and_csv import read_file
from flowsim.place import Place, PlaceError, nearest, notice

USER = "your setting"
"""The name of the user's own layer."""
NEEDED = {
    "services": ("title", "role", "unit", "capacity"),
    "pools": ("title", "role", "unit", "capacity"),
    "moves": ("take", "give"),
    "streams": ("title", "first"),
    "stages": ("service", "like"),
    "choices": ("shares", "chance", "planned"),
}
"""Keys of which something new has at least one; what has none of them can only be a change."""


@dataclass(frozen=True)
class Layer:
    """What one file (or the user) says of a place.

    Attributes:
        name: of the file, as it is told to people.
        raw: what it says, as the place's mapping has it.
        key: that under which the user would say it: ``scenario.NAME.place`` for a scenario alone.
        scenario: the scenario that says it, so that it holds from `policy_start`; empty for what always holds.
        file: where it is; None where there is none.
    """

    name: str
    raw: Mapping[str, Any]
    key: str = "place"
    scenario: str = ""
    file: Path | None = None

    def where(self, path: Sequence[str]) -> str:
        """The file and, where it is known, the line in which it says something of a key, by its path in a place."""
        if self.file is None:
            return self.name
        document = read_file(self.file)
        inside = tuple(self.key.split(".")[2:]) if self.scenario else ()
        for at in (inside, ("scenario", self.scenario, *inside)):
            if self.scenario == "" or at in document.lines:
                return f"{self.name}{document.where((*at, *path))}"
        return self.name


class Laid(NamedTuple):
    """Layers laid over one another: all of them, those that hold before the scenarios, and each with the totals and
    parts of capacities that follow from it."""

    place: dict[str, Any]
    before: dict[str, Any]
    layers: tuple[Layer, ...]


def lay(layers: Sequence[Layer], place_name: str) -> Laid:
    """Lay them over one another, later ones on top; those of scenarios come last. Raises PlaceError."""
    place: dict[str, Any] = {}
    before: dict[str, Any] = {}
    complete: list[Layer] = []
    for layer in layers:
        if complete:
            _refuse_changes_of_nothing(layer, place, place_name)
        place, whole = with_totals(overlay(place, layer.raw), layer)
        complete.append(whole)
        if not layer.scenario:
            before = place
    return Laid(place, before, tuple(complete))


def with_totals(place: dict[str, Any], layer: Layer) -> tuple[dict[str, Any], Layer]:
    """A place over which a layer was laid, and the layer, with what follows for capacities. Raises PlaceError."""
    try:
        follows = what_follows(place, layer.raw)
    except PlaceError as error:
        path = str(error).split(": ", 1)[0].split(".")[1:]
        raise PlaceError(f"{layer.where(path)}: {error}") from None
    return overlay(place, follows), replace(layer, raw=overlay(layer.raw, follows))


def _refuse_changes_of_nothing(layer: Layer, place: Mapping[str, Any], place_name: str) -> None:
    """A scenario made for another place changes what this one has not: said so, not as a key that is missing."""
    for section, needed in NEEDED.items():
        there = place.get(section) or {}
        for name, changes in (layer.raw.get(section) or {}).items():
            if name not in there and isinstance(changes, Mapping) and not set(needed) & set(changes):
                changed = f"place.{section}.{name} is changed, but the place {place_name} has none"
                allowed = "scenarios that fit it, chosen with scenario= or scenarios=[...]"
                shown = f"`flowsim show scenarios place={place_name}` tells which do"
                told = f"{changed}; allowed: {allowed}{nearest(name, there)}; {shown}"
                raise PlaceError(f"{layer.where((section, name))}: {told}.")


def tell_conflicts(layers: Sequence[Layer]) -> None:
    """Tell of each key that two files set, each to something else."""
    seen: dict[tuple[str, ...], tuple[str, Any]] = {}
    for layer in layers:
        for path, value in leaves(layer.raw):
            earlier = seen.get(path)
            if earlier is not None and earlier[0] != layer.name and earlier[1] != value:
                key = ".".join(("place", *path))
                notice(f"{key} is {earlier[1]!r} in {earlier[0]} and {value!r} in {layer.name}; the latter counts")
            seen[path] = (layer.name, value)


def user_layer(place: Mapping[str, Any], user_keys: Sequence[str]) -> Layer:
    """What the user says of a place in which it stands already."""
    return Layer(USER, tree_of({path: value for path, value in leaves(place) if is_within(path, user_keys)}))


def with_who_says_it(
    message: str, layers: Sequence[Layer], place: Mapping[str, Any], user_keys: Sequence[str]
) -> PlaceError:
    """A message with the name of who set the key that it is about: the user, a scenario or the place's file."""
    key = message.split(": ", 1)[0]
    if not key.startswith("place."):
        return PlaceError(message)
    path = tuple(key.split(".")[1:])
    taken_away = any(key == user for user in user_keys)
    users = taken_away or is_within(path, user_keys)  # who sets a mapping sets all of it
    every = [*layers, user_layer(place, user_keys)]
    depths = [depth_of(path, layer.raw) for layer in every]
    whole = [at for at, depth in enumerate(depths) if depth == len(path)]
    at = len(every) - 1 if users else whole[-1] if whole else depths.index(max(depths))
    near = "" if at == 0 or taken_away else _near_name(path, every[0].raw)
    return PlaceError(f"{every[at].where(path[: depths[at]])}: {message.removesuffix('.')}{near}.")


@contextlib.contextmanager
def told_who_says_it(layers: Sequence[Layer], place: Mapping[str, Any], user_keys: Sequence[str]) -> Iterator[None]:
    """What is refused of a place meanwhile says who said it: see `with_who_says_it`."""
    try:
        yield
    except PlaceError as error:
        raise with_who_says_it(str(error).removeprefix(": "), layers, place, user_keys) from None


def refuse_shapes(layer: Layer) -> None:
    """Raises PlaceError, naming file and line, where a layer has something else in place of a mapping."""
    try:
        refuse_wrong_shapes(layer.raw)
    except PlaceError as error:
        path = str(error).split(": ", 1)[0].split(".")[1:]
        raise PlaceError(f"{layer.where(path)}: {error}") from None


def _near_name(path: tuple[str, ...], base: Any) -> str:
    """A near name, where a scenario brings something new that may only be misspelt."""
    node = base
    for depth, part in enumerate(path):
        if not isinstance(node, Mapping):
            return ""
        if part not in node:
            declared = place_fields(path[:depth])  # what the language has is no slip of the pen
            return "" if part in declared else nearest(part, [name for name in node if name != "source"])
        node = node[part]
    return ""


def place_fields(loc: tuple[str, ...]) -> list[str]:
    """The keys allowed at a location of a place."""
    return fields_at(Place, loc)
