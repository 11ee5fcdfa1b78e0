"""What the rules ask of a place again and again, and the refusal they share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flowsim.place import ALWAYS, LEAVE, Place, Service, refuse
from flowsim.place.ways import attribute_levels, settings_of, streams_at


@dataclass(frozen=True)
class Facts:
    """A place, and what follows from it.

    Attributes:
        place: the place.
        levels: every attribute of people, with its levels.
        settled: attributes that are settled for some by where they come from, so that nobody need choose them.
        streams_at: the streams whose people may come to each stage.
    """

    place: Place
    levels: Mapping[str, list[str]]
    settled: frozenset[str]
    streams_at: Mapping[str, list[str]]

    @property
    def calendars(self) -> list[str]:
        """The names of calendars, the one of every place included."""
        return [ALWAYS, *self.place.calendars]

    @property
    def destinations(self) -> list[str]:
        """Where people may go."""
        return [*self.place.stages, LEAVE]

    def services(self) -> Iterator[tuple[str, str, Service]]:
        """Key (``place.services.reablement``), name and declaration of every pool, then of every service."""
        for kind, services in (("pools", self.place.pools), ("services", self.place.services)):
            for name, service in services.items():
                yield f"place.{kind}.{name}", name, service


def facts_of(place: Place) -> Facts:
    """The facts of a place whose keys are valid each by itself."""
    settled = frozenset(name for settings in settings_of(place) for name in settings)
    return Facts(place, attribute_levels(place), settled, streams_at(place))


def must_be_one_of(key: str, given: object, what: str, names: Iterable[str]) -> None:
    """Raises PlaceError where what is given is none of the names; `what` says what they are."""
    names = list(names)
    if given not in names:
        raise refuse(key, given, what, names)
