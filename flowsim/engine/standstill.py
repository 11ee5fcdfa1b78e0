"""Runs that could never go on: services full of people who wait, without end, only for each other's places.

Both engines tell, each from its own state, which services are full for good and who might be stuck; what follows from
that is worked out here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flowsim.model.tables import Network


class Standstill(RuntimeError):  # noqa: N818
    """Services are full of people who wait, without end, only for each other's places: the run could never go on."""


def full_for_good(network: Network, in_use: np.ndarray, waiting: np.ndarray, least_need: np.ndarray) -> np.ndarray:
    """Services with no room for anyone who queues there, even at the highest capacity of the run: (S,) bool.

    Args:
        in_use: (S,) units.
        waiting: (S,) people in the queue.
        least_need: (S,) units that the most modest of them asks for; any number where nobody queues.
    """
    highest = np.zeros(len(in_use), dtype=np.int64)
    np.maximum.at(highest, network.step_service, network.step_capacity)
    np.add.at(highest, network.rule_service, np.maximum(network.rule_units, 0))
    return (waiting > 0) & (in_use > 0) & (least_need > highest - in_use)


def refuse(
    names: Sequence[str],
    in_use: np.ndarray,
    full: np.ndarray,
    queue: np.ndarray,
    holder: np.ndarray,
    service: np.ndarray,
    units: np.ndarray,
) -> None:
    """Raise `Standstill` if some of these people hold all of full services and wait for each other's places.

    Begins with everyone who might be stuck and takes away, until nothing changes, whoever or whatever could still move;
    what is left stands still for ever.

    Args:
        names, in_use, full: (S,) of the services.
        queue: (P,) the service each person who might be stuck queues for.
        holder, service, units: (H,) what they hold: whose it is (an index of P), where, and how much.
    """
    stuck = np.ones(len(queue), dtype=bool)
    while stuck.any() and full.any():
        theirs = stuck[holder]
        held = np.zeros(len(in_use), dtype=np.int64)
        np.add.at(held, service[theirs], units[theirs])
        # One unit in the hands of somebody who can still move, and the queue may move with it.
        full_now = full & (held == in_use)
        stuck_now = stuck & full_now[queue]
        if (full_now == full).all() and (stuck_now == stuck).all():
            full_names = ", ".join(sorted(names[int(s)] for s in np.flatnonzero(full)))
            raise Standstill(
                f"{np.count_nonzero(stuck)} people hold all of {full_names} and wait without end for each other's "
                "places; give one of these queues patience, or let go of the place (hold: 0)"
            )
        full, stuck = full_now, stuck_now
