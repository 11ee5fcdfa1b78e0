"""The measures of one run, from the journeys and the stamps alone: the results, the nights, and warnings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from flowsim.engine.stamps import Stamps
from flowsim.measures.credible import beyond_range, most_there, never_fits
from flowsim.measures.definition import Value
from flowsim.measures.history import History
from flowsim.measures.nights import nights
from flowsim.measures.registry import COMPUTATIONS, MEASURES
from flowsim.measures.window import Window
from flowsim.model.tables import Journeys, Network
from flowsim.place import Place

_RANK = {name: rank for rank, name in enumerate(MEASURES)}


@dataclass(frozen=True)
class Measured:
    """What was measured in one run.

    Attributes:
        results: columns measure, where, of, unit, value; the order depends on the place alone. `where` is the whole
            place ("all"), a site, a locality or "residents"; `of` is what is counted there, in one language a measure
            (a service, a cause, a pathway, a weekday, an age band, a payer), and empty where it is everything.
        nights: columns date, where, of and state (categories) and count; at 23:59 of every day of the run, warm-up
            included. Of a site or of all: occupied and delayed, in all (`of` is empty) and by pathway; of each queue of
            a service: in use (in the service's own unit), waiting (people) and, for emergency departments, boarding.
        warnings: sentences about what should not be trusted.
    """

    results: pd.DataFrame
    nights: pd.DataFrame
    warnings: tuple[str, ...] = ()


def measure(
    place: Place, network: Network, journeys: Journeys, stamps: Stamps, span: tuple[int, int] | None = None
) -> Measured:
    """Measure one run.

    Args:
        place, network, journeys: what was run.
        stamps: what an engine returned for them.
        span: minutes [start, end) that count; default from `run.measured_from` to the end.

    Raises:
        ValueError: the window is empty or not within the run.
    """
    start, end = (place.run.measured_from, network.horizon) if span is None else span
    if not 0 <= start < end <= network.horizon:
        raise ValueError(f"window {start} to {end}; allowed: within 0 to {network.horizon}, not empty")
    window = Window(History(place, network, journeys, stamps), start, end)
    values = sorted(
        (value for one in COMPUTATIONS for value in one.values(window)), key=lambda value: _RANK[value[0]]
    )  # fmt: skip
    return Measured(_results(window, values), nights(window), tuple(_warnings(window, values)))


def _results(window: Window, values: list[Value]) -> pd.DataFrame:
    names, where, of, numbers = zip(*values, strict=True)
    units = [_unit(window, measure, service) for measure, service in zip(names, of, strict=True)]
    return pd.DataFrame(
        {"measure": names, "where": where, "of": of, "unit": units, "value": np.array(numbers, dtype=np.float64)}
    )


def _unit(window: Window, name: str, of: str) -> str:
    """A measure's unit; a capacity has its service's."""
    if name != "service_capacity":
        return MEASURES[name].unit
    return window.history.service_of(of).unit.replace("_", " ")


def _held_up(window: Window, overloaded: set[str]) -> Iterator[str]:
    """Queues that hold people up though they are not offered more than they can take."""
    history, done, needs, most = window.history, window.queues, never_fits(window), most_there(window)
    for queue in np.flatnonzero(needs > 0):
        service = history.service_of(history.kind_names[history.kind[queue]])
        need, there = needs[queue] / service.units_each, most[queue] / service.units_each
        yield (
            f"{history.network.names[queue]}: somebody waits for {need:g} {service.unit.replace('_', ' ')} and there "
            f"are never more than {there:g}: they, and whoever is behind them in turn, are never taken"
        )
    for queue in np.flatnonzero(beyond_range(window) & (needs == 0) & ~history.queues_with("outside")):
        name = history.network.names[queue]
        load = done.offered_load(np.array([queue]))
        if name not in overloaded and not history.queues_with("ed")[queue]:
            yield (
                f"{name}: the queue grows all the way to {done.still_waiting[queue]} people, though it is offered only "
                f"{load:.2f} times what it can take: something else holds people up (a quota, hours, one large need)"
            )


def _warnings(window: Window, values: list[Value]) -> Iterator[str]:
    overloaded = dict(window.queues.overloaded())
    for name, load in overloaded.items():
        if math.isinf(load):
            waiting = window.queues.still_waiting[window.history.network.names.index(name)]
            yield f"{name} is closed all the time, and people ask for it: {waiting} wait at the end"
        else:
            yield f"{name} is offered {load:.2f} times what it can take (effective stay): queues grow or people give up"
    yield from _held_up(window, set(overloaded))
    for name, _, _, value in values:
        if name.startswith("check_") and name != "check_overloaded" and abs(value) > 1e-6:
            what = MEASURES[name].title.removeprefix("Check: ")
            yield f"a trust check failed: {what} ({value:g} {MEASURES[name].unit})"
