"""The weeks ahead of a census: bands over replications of who is delayed, which beds are in use, who waits for what;
and how many beds are meant to be open."""

from __future__ import annotations

import numpy as np
import pandas as pd

from flowsim.folder.result import Result
from flowsim.place import Place, Service
from flowsim.place.queues import own_units

BANDS = {"low_10": 0.1, "low_25": 0.25, "median": 0.5, "high_75": 0.75, "high_90": 0.9}
"""Columns of the bands and which part of the replications lies below each."""
DELAYED = "Delayed patients"
BEDS = "Beds occupied"
BOARDING = "Waiting in the emergency department for a bed"
TO_BE_SEEN = "Waiting to be seen in the emergency department"
QUEUED_FOR = ("community", "home_care", "care_home")
"""Roles of services whose queues are shown."""
WEEK = 7
ENOUGH = 10
"""Replications below which a band over them is hardly one: of three the middle 80 % lies between the three."""


def is_forecast(result: Result) -> bool:
    """Did the run start from a census?"""
    return any(place.run.census is not None for place in result.places.values())


def followed(place: Place) -> dict[str, list[tuple[str, str, str]]]:
    """What a forecast follows, by its title: the entries (where, of, state) of the nights that add up to it.

    Neighbours' own queues are left out.
    """
    entries = {DELAYED: [("all", "", "delayed")]}
    entries |= {title: [(where, "", "occupied")] for where, title in _beds(place).items()}
    departments = {name: service for name, service in place.services.items() if service.role == "ed"}
    boarding = [entry for name, service in departments.items() for entry in _each(name, service, "boarding")]
    entries |= {BOARDING: boarding} if boarding else {}
    unseen = [entry for name, service in departments.items() for entry in _each(name, service, "waiting")]
    entries |= {TO_BE_SEEN: unseen} if unseen else {}
    for name, service in place.services.items():
        if service.role in QUEUED_FOR and service.capacity != "unlimited":
            entries[f"Waiting for: {service.title}"] = _each(name, service, "waiting")
    return entries


def _beds(place: Place) -> dict[str, str]:
    """Where beds are followed, and the title of that: each site, or all of a place that has one."""
    if len(place.sites) < 2:
        return {"all": BEDS}
    return {name: f"{BEDS}, {site.title}" for name, site in place.sites.items()}


def _each(name: str, service: Service, state: str) -> list[tuple[str, str, str]]:
    return [(unit or "all", name, state) for unit in own_units(service)]


def open_beds(place: Place, capacities: pd.DataFrame) -> dict[str, np.ndarray]:
    """Beds that are meant to be open at 23:59 of each day of the run, by the titles of `followed`: (days,) float64.

    `capacities`: those of this place (`Result.capacities`). NaN where beds are without limit.
    """
    wards = {name: service for name, service in place.services.items() if service.role == "ward"}
    queues = [(unit or "all", name) for name, ward in wards.items() for unit in own_units(ward)]
    days = pd.date_range(place.run.first_date, periods=place.run.all_days)
    nightly = {
        queue: rows.set_index("date")["open"].reindex(days, method="ffill").to_numpy(dtype=float)
        for queue, rows in capacities.groupby(["where", "of"])
    }
    beds = {}
    for where, title in _beds(place).items():
        each = [nightly[queue] for queue in queues if where in ("all", queue[0])]
        beds[title] = np.sum(each, axis=0) if each else np.full(len(days), np.nan)
    return beds


def extra_beds(result: Result, scenario: str) -> pd.DataFrame:
    """Beds that opened on wards because people queued, within the time measured, whenever that was in any replication.

    Columns where (a site, or "all"), of (the service), replication, nights (on which some were open), first (date; NaT
    where there was no such night) and most (beds). No rows of wards that never open more.
    """
    run = result.places[scenario].run
    start, end = (pd.Timestamp(run.date_of(minute)) for minute in result.span)
    nights = result.nights_of(states=["extra beds"], scenarios=[scenario])
    nights = nights[(nights["date"] >= start) & (nights["date"] < end)]
    rows = []
    for (where, of), queue in nights.astype({"where": str, "of": str}).groupby(["where", "of"]):
        if not queue["count"].any():
            continue
        for replication, its in queue.groupby("replication"):
            some = its[its["count"] > 0]
            rows.append((where, of, replication, len(some), some["date"].min(), its["count"].max()))
    return pd.DataFrame(rows, columns=["where", "of", "replication", "nights", "first", "most"])


def weekly(result: Result) -> pd.DataFrame:
    """Each week's mean night, as bands over replications.

    Returns columns scenario, series (see `followed`), week (its first date), n (replications), those of `BANDS`, in
    people, and open (beds that are meant to be open, `open_beds`; NaN of what is no beds); weeks run from the first
    day, and the last may be short.
    """
    every = result.nights.astype(dict.fromkeys(("scenario", "where", "of", "state"), str))
    weeks = []
    for scenario, place in result.places.items():
        nights = every[every["scenario"] == scenario].set_index(["where", "of", "state"]).sort_index()
        first = np.datetime64(place.run.first_date, "D")
        beds = open_beds(place, result.capacities[result.capacities["scenario"] == scenario])
        for title, entries in followed(place).items():
            rows = pd.concat([nights.loc[[entry]] for entry in entries if entry in nights.index])
            day = (rows["date"].to_numpy().astype("datetime64[D]") - first).astype(int)
            by_night = rows["count"].groupby([rows["replication"].to_numpy(), day]).sum()
            nightly = by_night.unstack()  # replications by days
            for begin in range(0, nightly.shape[1], WEEK):
                values = nightly.iloc[:, begin : begin + WEEK].mean(axis=1)
                bands = dict(zip(BANDS, np.quantile(values, list(BANDS.values())), strict=True))
                bands["open"] = beds[title][begin : begin + WEEK].mean() if title in beds else np.nan
                start = first + begin
                weeks.append({"scenario": scenario, "series": title, "week": start, "n": len(values), **bands})
    return pd.DataFrame(weeks, columns=["scenario", "series", "week", "n", *BANDS, "open"])


def openings(result: Result) -> pd.DataFrame:
    """When extra beds first open in each queue that ever has them (`extra_beds`), in every scenario.

    Returns columns scenario, series (the title in `followed` that it belongs to), title (of the site or the service),
    n (replications), runs (those in which they open) and date (the night by which half of all replications have
    opened them; NaT where fewer than half ever do).
    """
    rows = []
    for scenario, place in result.places.items():
        for key, queue in extra_beds(result, scenario).groupby(["where", "of"], sort=False):
            where, service = map(str, key)
            first, half = queue["first"].dropna().sort_values(), -(-len(queue) // 2)
            date = first.iloc[half - 1] if len(first) >= half else pd.NaT
            title = place.sites[where].title if where in place.sites else place.services[service].title
            rows.append((scenario, _beds(place).get(where, BEDS), title, len(queue), len(first), date))
    table = pd.DataFrame(rows, columns=["scenario", "series", "title", "n", "runs", "date"])
    return table.assign(date=pd.to_datetime(table["date"]))
