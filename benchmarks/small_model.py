"""A small model that every contender can run: an emergency department, a ward, a community service.

Poisson arrivals, lognormal stays, first come first served, no calendars; whoever is ready to leave holds the place
until the next service takes them. It is written here as a flowsim place, and elsewhere as a user of each other library
would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flowsim.declare.reading import read_place
from flowsim.engine.stamps import Stamps
from flowsim.model.cohort import Cohort
from flowsim.model.network import build_network
from flowsim.model.plan import plan
from flowsim.model.tables import Journeys, Network
from flowsim.place import Place

DAY = 1440
SERVICES = ("ed", "ward", "community")
NOT_YET = np.inf
"""The minute of what had not happened when the run ended."""


@dataclass(frozen=True)
class Model:
    """Sizes of the model; stays as (mean, standard deviation) in minutes, by service.

    Attributes:
        days: how long it runs.
        arrivals_a_day: people who come to the emergency department.
        places: cubicles, beds, slots.
        stays: of the work itself, without waiting.
        goes_on: the share of those in one service who need the next.
    """

    days: int
    arrivals_a_day: float
    places: tuple[int, int, int]
    stays: tuple[tuple[float, float], ...]
    goes_on: tuple[float, float]

    @property
    def horizon(self) -> int:
        """Minutes in the run."""
        return self.days * DAY

    def log_stay(self, service: int) -> tuple[float, float]:
        """Mean and standard deviation of the logarithm of a stay."""
        mean, sd = self.stays[service]
        variance = float(np.log1p((sd / mean) ** 2))
        return float(np.log(mean)) - variance / 2, variance**0.5


TOWN = Model(
    days=400,
    arrivals_a_day=220,
    places=(40, 420, 390),
    stays=((200, 120), (6 * DAY, 5 * DAY), (14 * DAY, 10 * DAY)),
    goes_on=(0.3, 0.4),
)
"""The model that is timed."""

VILLAGE = Model(
    days=150,
    arrivals_a_day=24,
    places=(7, 36, 28),
    stays=((200, 120), (4 * DAY, 3 * DAY), (8 * DAY, 5 * DAY)),
    goes_on=(0.3, 0.4),
)
"""A smaller one, on which the contenders are seen to agree."""


@dataclass(frozen=True)
class Visits:
    """Who was in which service: arrays of one length, minutes; `NOT_YET` where it had not come to that.

    Attributes:
        service: index into `SERVICES`.
        joined: asked for a place; started: got it; ready: the work was done; left: was gone.
    """

    service: np.ndarray
    joined: np.ndarray
    started: np.ndarray
    ready: np.ndarray
    left: np.ndarray

    def measures(self, start: float, end: float) -> dict[str, float]:
        """Mean people in each service within [start, end), and the mean waits in minutes of those who moved then."""
        found = {}
        for s, name in enumerate(SERVICES):
            here = self.service == s
            inside = np.minimum(self.left[here], end) - np.maximum(self.started[here], start)
            found[f"people in {name}"] = float(np.maximum(inside, 0).sum()) / (end - start)
            moved = here & (self.left >= start) & (self.left < end)
            if s + 1 < len(SERVICES):
                found[f"minutes held in {name}"] = float((self.left[moved] - self.ready[moved]).mean())
        came = (self.service == 0) & (self.started >= start) & (self.started < end)
        found["minutes at the door"] = float((self.started[came] - self.joined[came]).mean())
        return found


def place_of(model: Model) -> Place:
    """The model as a flowsim place."""

    def stay(service: int) -> dict[str, object]:
        mean, sd = model.stays[service]
        return {"lognormal": {"mean": mean, "sd": sd}, "unit": "minutes"}

    def service(title: str, role: str, unit: str, capacity: int) -> dict[str, object]:
        return {"title": title, "role": role, "unit": unit, "capacity": capacity}

    ed, ward, community = model.places
    return read_place(
        {
            "name": "benchmark",
            "title": "Benchmark: a department, a ward and a community service",
            "run": {"start_date": "2024-04-01", "days": model.days, "warm_up_days": 0},
            "streams": {"people": {"title": "People", "rate": model.arrivals_a_day, "first": "ed"}},
            "choices": {
                "admitted": {"title": "Admitted", "chance": model.goes_on[0]},
                "supported": {"title": "Supported", "when": {"admitted": "yes"}, "chance": model.goes_on[1]},
            },
            "services": {
                "ed": service("Emergency department", "ed", "places", ed),
                "ward": service("Ward", "ward", "beds", ward),
                "community": service("Community", "community", "slots", community),
            },
            "stages": {
                "ed": {
                    "service": "ed",
                    "duration": stay(0),
                    "next": {"by": "admitted", "yes": "ward", "no": "leave"},
                },
                "ward": {
                    "service": "ward",
                    "duration": stay(1),
                    "next": {"by": "supported", "yes": "community", "no": "leave"},
                },
                "community": {"service": "community", "duration": stay(2), "next": "leave"},
            },
        },
        "the benchmark's model",
    )


def tables(model: Model, replication: int) -> tuple[Journeys, Network]:
    """The model's people and services as flowsim's tables."""
    place = place_of(model)
    cohort = Cohort(1, replication)
    network = build_network(place, cohort)
    return plan(place, cohort, network), network


def visits_of(journeys: Journeys, stamps: Stamps) -> Visits:
    """What an engine of flowsim found."""
    came = np.flatnonzero(stamps.joined >= 0)

    def minute(stamp: np.ndarray) -> np.ndarray:
        return np.where(stamp[came] >= 0, stamp[came], NOT_YET)

    started = minute(stamps.started)
    return Visits(
        journeys.rows.service[came], minute(stamps.joined), started, minute(stamps.ready), minute(stamps.left)
    )
