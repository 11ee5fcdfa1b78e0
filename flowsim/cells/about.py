"""What is known of the places of an experiment, written beside its cells: so that the folder alone makes the report."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from flowsim.declare.evidence import Entry, read_register
from flowsim.declare.yaml_and_csv import folders
from flowsim.folder.store import ABOUT_COLUMNS, CAPACITIES, EVIDENCE, PUBLISHED, Store
from flowsim.place import SITE_MARK, Place, PlaceError
from flowsim.place.once import once_a_place
from flowsim.place.queues import UNLIMITED, queue_name, units_of

if TYPE_CHECKING:
    from flowsim.model.tables import Network

WEEKDAY_INDEX = "discharges_by_weekday"
ENGLAND_WEEKDAYS = ("AC-31",)
"""England's discharges by weekday in the evidence: for places whose `published` names none of their own."""


def write_about(store: Store, places: Mapping[str, Place], capacities: bool = True) -> None:
    """Write `about/` of a results folder: evidence, published figures and, unless told not to, capacities.

    Where a place's files are not to be found from here (its configuration is run again on another machine), what an
    earlier experiment in this folder wrote of it stays. Raises StoreError.
    """
    of_each = {place.name: place for place in places.values()}
    for table, rows_of in ((EVIDENCE, _default_evidence), (PUBLISHED, _published)):
        rows = {name: rows_of(place) for name, place in of_each.items()}
        for name in (name for name in of_each if rows[name].empty):
            with contextlib.suppress(PlaceError):  # what is damaged is written anew, with what is known
                before = store.about(table)
                rows[name] = before[before["place"] == name]
        store.write_about(table, pd.concat(rows.values()))
    if capacities:
        store.write_about(CAPACITIES, pd.concat([open_capacities(name, place) for name, place in places.items()]))


@once_a_place
def _default_evidence(place: Place) -> pd.DataFrame:
    """Every number that a place's files give it, before scenarios and the user's settings; none without files here."""
    from flowsim.declare.composition import compose

    with contextlib.suppress(PlaceError):
        return compose(f"place={place.name}").evidence().assign(place=place.name)
    return pd.DataFrame(columns=ABOUT_COLUMNS[EVIDENCE])


def _published(place: Place) -> pd.DataFrame:
    """The figures that a place's `published` names, and England's weekdays where it names none of its own."""
    register: Mapping[str, Entry] = read_register(folders())
    rows = []
    for told, ids in ({WEEKDAY_INDEX: list(ENGLAND_WEEKDAYS)} | place.published).items():
        measure, _, site = told.partition(SITE_MARK)
        for one in (register[name] for name in ids if name in register):
            of_entry = (one.id, one.quantity, one.value, one.low, one.high, one.unit, one.grade, one.why)
            rows.append((place.name, measure, site or "all", *of_entry))
    return pd.DataFrame(rows, columns=ABOUT_COLUMNS[PUBLISHED])


def open_capacities(scenario: str, place: Place) -> pd.DataFrame:
    """What is meant to be open in each queue of a scenario; see `Result.capacities`."""
    return _open_capacities(place).assign(scenario=scenario)


@once_a_place
def _open_capacities(place: Place) -> pd.DataFrame:
    """What is meant to be open at 23:59 in each queue, from each date on which that changes.

    Blocks, trends and what the scenario changes are in it; surge capacity and shocks, which depend on chance, are not.
    Columns as in `Result.capacities`: `of` is the service or pool, `where` its site or locality ("all" where it is one
    queue), `open` in `unit` (hours of care: a week), NaN where there is no limit.
    """
    from flowsim.measures.steps import Steps
    from flowsim.model.cohort import Cohort
    from flowsim.model.network import build_network

    run = place.run
    network: Network = build_network(_undisturbed(place), Cohort(seed=1, replication=0))
    steps = (network.step_service, network.step_minute, network.step_capacity)
    levels = Steps.from_log(*steps, len(network.names), run.horizon)
    last_minutes = np.arange(run.all_days) * 1440 + 1439
    rows: list[dict[str, Any]] = []
    for name, kind in place.kinds.items():
        for unit in units_of(kind):
            queue = network.names.index(queue_name(name, unit))
            nightly = levels.at(np.full(run.all_days, queue), last_minutes)
            for day in np.flatnonzero(np.diff(nightly, prepend=-1)):
                level = nightly[day] / kind.units_each if nightly[day] < UNLIMITED // 2 else np.nan
                at = {"where": unit or "all", "of": name, "date": pd.Timestamp(run.date_of(int(day) * 1440))}
                rows.append({**at, "open": level, "unit": kind.unit})
    return pd.DataFrame(rows)


def _undisturbed(place: Place) -> Place:
    """The place without shocks: what they close is no part of what is meant to be open."""
    calm = {
        section: {name: one.model_copy(update={"shocks": {}}) for name, one in getattr(place, section).items()}
        for section in ("pools", "services")
    }
    return place.model_copy(update={**calm, "before": place.before and _undisturbed(place.before)})
