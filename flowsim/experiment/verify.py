"""Do both engines give one answer for a place? Every column of every row of spells, tasks and capacity log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flowsim.place import Place


@dataclass(frozen=True)
class Verdict:
    """One replication: how many rows were compared, and where the engines part ("" when they do not)."""

    replication: int
    rows: int
    difference: str


def verify_engines(place: Place, seed: int, replications: int) -> Iterator[Verdict]:
    """Run each replication with both engines on the same journeys and compare all they return."""
    from flowsim.engine import compiled, reference
    from flowsim.engine.spells import first_difference
    from flowsim.model.cohort import Cohort
    from flowsim.model.network import build_network
    from flowsim.model.plan import plan

    network = build_network(place)
    for replication in range(replications):
        journeys = plan(place, Cohort(seed, replication), network)
        one, other = reference.run(journeys, network), compiled.run(journeys, network)
        yield Verdict(replication, len(journeys.rows.spell), first_difference(one, other, journeys))
