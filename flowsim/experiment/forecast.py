"""The weeks ahead of a census: bands over replications of who is delayed, which beds are in use, who waits for what."""

from __future__ import annotations

import numpy as np
import pandas as pd

from flowsim.experiment.result import Result
from flowsim.place import Place

BANDS = {"low_10": 0.1, "low_25": 0.25, "median": 0.5, "high_75": 0.75, "high_90": 0.9}
"""Columns of the bands and which part of the replications lies below each."""
DELAYED = "Delayed patients"
QUEUED_FOR = ("community", "home_care", "care_home")
"""Roles of services whose queues are shown."""
WEEK = 7


def is_forecast(result: Result) -> bool:
    """Did the run start from a census?"""
    return any(place.run.census is not None for place in result.places.values())


def followed(place: Place) -> dict[str, list[tuple[str, str]]]:
    """What a forecast follows, by its title: the entries (where, state) of the nightly census that add up to it.

    Neighbours' own queues are left out.
    """
    found = {DELAYED: [("all", "delayed")]}
    if len(place.sites) < 2:
        found["Beds occupied"] = [("all", "occupied")]
    else:
        found |= {f"Beds occupied, {site.title}": [(name, "occupied")] for name, site in place.sites.items()}
    for name, service in place.services.items():
        if service.role in QUEUED_FOR and service.capacity != "unlimited":
            queues = [f"{name}/{unit}" for unit in service.by_site or service.by_locality or {}] or [name]
            found[f"Waiting for: {service.title}"] = [(queue, "waiting") for queue in queues]
    return found


def weekly(result: Result) -> pd.DataFrame:
    """Each week's mean night, as bands over replications.

    Returns columns scenario, series (see `followed`), week (its first date), n (replications) and those of `BANDS`, in
    people; weeks run from the first day, and the last may be short.
    """
    census = result.census.astype({"scenario": str, "where": str, "state": str})
    found = []
    for scenario, place in result.places.items():
        nights = census[census["scenario"] == scenario].set_index(["where", "state"]).sort_index()
        first = np.datetime64(place.run.first_date, "D")
        for title, entries in followed(place).items():
            rows = pd.concat([nights.loc[[entry]] for entry in entries if entry in nights.index])
            day = (rows["date"].to_numpy().astype("datetime64[D]") - first).astype(int)
            by_night = rows["count"].groupby([rows["replication"].to_numpy(), day]).sum()
            nightly = by_night.unstack()  # replications by days
            for begin in range(0, nightly.shape[1], WEEK):
                values = nightly.iloc[:, begin : begin + WEEK].mean(axis=1)
                bands = dict(zip(BANDS, np.quantile(values, list(BANDS.values())), strict=True))
                start = first + begin
                found.append({"scenario": scenario, "series": title, "week": start, "n": len(values), **bands})
    return pd.DataFrame(found, columns=["scenario", "series", "week", "n", *BANDS])
