"""What a scenario may not change: what must be as it is in the place before it (`Place.before`).

Held where a place is, not where files are read: a place may be made in Python too, and whoever came before the scenario
starts goes on under the rules of before, through the queues and stages that the scenario has.
"""

from __future__ import annotations

from flowsim.place.configuration import Place
from flowsim.place.refusals import PlaceError, refuse
from flowsim.place.tables import LEAVE

KEPT = ("sites", "localities", "calendars", "pools", "services", "choices", "stages")
"""Parts of a place from which a scenario takes nothing away: who came before it starts still needs them."""
PROFILES = ("at", "per", "daily", "schedule", "arrivals", "at_start", "hours", "weekdays", "months")
"""Keys of a stream that belong to the place: the same people come whatever the scenario."""


def check_scenario(place: Place) -> None:
    """Raises PlaceError where a scenario changes what has to be as in the place before it (`place.before`)."""
    if place.before is None:
        return
    _check_kept(place, place.before)
    _check_splits(place, place.before)
    _check_put_out(place, place.before)
    _check_profiles(place, place.before)


def _check_kept(place: Place, before: Place) -> None:
    for part in KEPT:
        for name in getattr(before, part):
            if name not in getattr(place, part):
                raise PlaceError(
                    f"place.{part}.{name}: a scenario took this away; allowed: to keep it, for those who came before "
                    "the scenario starts."
                )


def _check_splits(place: Place, before: Place) -> None:
    for part in ("pools", "services"):
        for name, service in getattr(before, part).items():
            split_by = getattr(place, part)[name].split_by
            if split_by != service.split_by:
                allowed = f"by {service.split_by or 'nothing'}, as before the scenario"
                raise refuse(f"place.{part}.{name}", f"by {split_by or 'nothing'}", allowed)


def _check_put_out(place: Place, before: Place) -> None:
    """Those who came before the scenario go their old ways, on which they must be able to leave, too."""
    for service, way in services_emptied(place).items():
        for name, stage in before.stages.items():
            if stage.service == service and stage.displaced_to is None:
                raise PlaceError(
                    f"place.stages.{name}.displaced_to: the place says nothing, and {way} puts people out of "
                    f"'{service}' who came before the scenario; allowed: a later stage or '{LEAVE}' in the place's own "
                    f"file, or '+place.stages.{name}.displaced_to={LEAVE}' as a setting."
                )


def _check_profiles(place: Place, before: Place) -> None:
    for name, stream in before.streams.items():
        for key in PROFILES if name in place.streams else ():
            if getattr(place.streams[name], key) != getattr(stream, key):
                raise PlaceError(
                    f"place.streams.{name}.{key}: a scenario changed this; allowed: changes of 'rate' and 'demand', "
                    "for a stream's profile belongs to the place."
                )


def services_emptied(place: Place) -> dict[str, str]:
    """The services and pools that people may be put out of, each with the first key that does it."""
    first_key: dict[str, str] = {}
    for kind, services in (("pools", place.pools), ("services", place.services)):
        for name, service in services.items():
            events = [f"displacements.{event}" for event in service.displacements]
            events += [f"shocks.{n}" for n, shock in service.shocks.items() if shock.puts_out is not None]
            handed_back = (n for n, block in service.blocks.items() if block.at_end == "hand_back" and block.add > 0)
            events += [f"blocks.{block}" for block in handed_back]
            if events:
                first_key[name] = f"place.{kind}.{name}.{events[0]}"
    return first_key
