"""One person's way: the replication is made, with a scenario and without, and read as what happened to them."""

from __future__ import annotations

from flowsim.cells.replicate import Simulated, simulate
from flowsim.measures.way import NUMBERS_A_PERSON, READMISSIONS, Held, Way, longest_held, nearest, way
from flowsim.place import Place, PlaceError


def ways(place: Place, seed: int, replication: int, engine: str, number: int) -> list[tuple[Place, Way | None]]:
    """One spell's way in the place without its scenario, if it has one, and in the place: None where it does not come.

    Raises:
        PlaceError: it comes in neither.
    """
    places = [place] if place.before is None else [place.before, place]
    done = [simulate(one, seed, replication, engine) for one in places]
    each = [way_of(one, number) for one in done]
    if not any(one and one.events for one in each):
        raise PlaceError(
            f"spell: {number} was given; allowed: a spell of replication {replication}, such as "
            f"{nearest(done[-1].journeys, number)} (`flowsim trace` without spell= names some; a number is "
            f"{NUMBERS_A_PERSON} times the person's plus 0 to {READMISSIONS} readmissions)."
        )
    return list(zip(places, each, strict=True))


def way_of(done: Simulated, number: int) -> Way | None:
    """The way of one spell of a replication that is made; None where it does not come."""
    return way(done.network, done.journeys, done.stamps, number)


def held_longest(place: Place, seed: int, replication: int, engine: str, most: int) -> list[Held]:
    """The stages of one replication held longest after they were seen to be ready: so many at most."""
    done = simulate(place, seed, replication, engine)
    return longest_held(done.network, done.journeys, done.stamps, place.run.measured_from, most)
