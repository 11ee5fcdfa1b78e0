"""Do both engines give one answer for a place? Every column of every row of spells, tasks and capacity log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flowsim.cells.replicate import prepare
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
    from flowsim.engine.stamps import first_difference

    for replication in range(replications):
        made = prepare(place, seed, replication)
        one, other = (engine.run(made.journeys, made.network) for engine in (reference, compiled))
        yield Verdict(replication, len(made.journeys.rows.spell), first_difference(one, other, made.journeys))
