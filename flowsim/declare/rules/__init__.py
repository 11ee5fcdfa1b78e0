"""The rules across a place's keys: every name exists, every way ends, nothing waits in a circle. A file a subject."""

from __future__ import annotations

from flowsim.declare.rules.dates import check_dates
from flowsim.declare.rules.facts import facts_of
from flowsim.declare.rules.moves import check_moves
from flowsim.declare.rules.names import check_measured, check_taken_names
from flowsim.declare.rules.people import check_people
from flowsim.declare.rules.services import check_services
from flowsim.declare.rules.shocks import check_shocks
from flowsim.declare.rules.stages import check_stages
from flowsim.declare.rules.ways import check_ways
from flowsim.place import Place

__all__ = ["check_names"]


def check_names(place: Place) -> None:
    """Raises PlaceError for the first rule that is broken; warns with FlowsimNotice of dates that are clipped."""
    facts = facts_of(place)
    check_taken_names(facts)
    check_services(facts)
    check_measured(facts)
    check_people(facts)
    check_stages(facts)
    check_shocks(facts)
    check_moves(facts)
    check_ways(facts)
    check_dates(facts)
