"""Cases nobody here made: published, or computed by others, and met within intervals.

A: bed-based pathway 2 of three councils (IPACS, NHS BNSSG), from a stated start, 181 days, not stationary.
B: acute and community stroke beds (Monks and others, BMC Health Services Research, 2016).
C: hospital beds and care packages (a published system-dynamics exercise with a closed form).
"""

from __future__ import annotations

import numpy as np
import pytest
from acceptance import DAY, Observed, assert_meets, half_width, replicate, small_place
from scipy import stats
from test_queueing_theory import erlang_b

from flowsim.model.cohort import Cohort
from flowsim.model.network import build_network
from flowsim.model.plan import plan

# --------------------------------------------------------------------------------------------------------------------
# A. IPACS

COUNCILS = ("bristol", "north_somerset", "south_gloucestershire")
IPACS = ("start_date=2023-01-01", "days=181", "warm_up_days=0")
ENDLESS = (
    "place.services.beds.capacity=6000",
    "place.services.beds.by_locality={bristol: 2000, north_somerset: 2000, south_gloucestershire: 2000}",
)
# Time averages over the 181 days, and their 95 % intervals over 300 runs, from an independent re-implementation in
# which the first queue is admitted once (IPACS's own program admits it twice): people in, queue, queue at the end (the
# last week).
STATED_BEDS = {
    "bristol": ((101.992, 0.007), (64.582, 1.825), (122.691, 3.093)),
    "north_somerset": ((28.000, 0.000), (153.735, 1.571), (295.366, 2.520)),
    "south_gloucestershire": ((61.073, 0.017), (39.264, 1.282), (70.809, 2.234)),
}
ENDLESS_BEDS = {
    "bristol": ((126.291, 0.657), (0, 0), (0, 0)),
    "north_somerset": ((82.719, 0.488), (0, 0), (0, 0)),
    "south_gloucestershire": ((72.789, 0.408), (0, 0), (0, 0)),
}


def beds_and_queues(o: Observed) -> list[float]:
    """Of each council: mean number in, mean queue, mean queue in the last week."""
    found = []
    for council in COUNCILS:
        queue = o.in_queue(f"beds/{council}")
        found += [o.in_service(f"beds/{council}").mean(), queue.mean(), queue[-7 * DAY :].mean()]
    return found


@pytest.mark.parametrize(
    ("overrides", "expected"), [((), STATED_BEDS), (ENDLESS, ENDLESS_BEDS)], ids=["stated", "endless"]
)
def test_ipacs(overrides: tuple[str, ...], expected: dict[str, tuple[tuple[float, float], ...]]) -> None:
    """Within the two programs' combined 99 % intervals, and the printed numbers' last digit."""
    seen = replicate(small_place("ipacs", *IPACS, *overrides), 200, beds_and_queues)
    to_99 = stats.norm.ppf(0.995) / stats.norm.ppf(0.975)
    theirs = [value for council in COUNCILS for value in expected[council]]
    for ours, (value, width) in zip(seen.T, theirs, strict=True):
        combined = np.hypot(half_width(ours, level=0.99), width * to_99) + 0.0005
        told = f"{ours.mean():.3f} against {value:.3f}, combined 99 % interval +- {combined:.3f}"
        print(told)
        assert abs(ours.mean() - value) <= combined, told
        assert combined <= 0.08 * max(value, 1), told


def test_ipacs_first_queue_is_in_the_queue_once() -> None:
    """On the first day 97 + 31 people want Bristol's 102 beds, and 68 + 12 South Gloucestershire's 61."""
    seen = replicate(
        small_place("ipacs", *IPACS),
        4,
        lambda o: [x(f"beds/{c}")[0] for c in COUNCILS for x in (o.in_service, o.in_queue)],
    )
    assert (seen[:, 0] == 102).all()
    assert (seen[:, 1] >= 26).all()
    assert (seen[:, 1] <= 27).all()  # or one more who came in the first minute
    assert (seen[:, 4] == 68).all()  # starts above capacity; nobody is thrown out
    assert (seen[:, 5] >= 12).all()


# --------------------------------------------------------------------------------------------------------------------
# B. Stroke beds

ACUTE = {9: 5, 10: 7, 11: 11, 12: 16, 13: 28, 14: 50}
REHABILITATION = {10: 5, 12: 9, 13: 13, 14: 20, 15: 35, 16: 57}
ACUTE_LOAD = 8.355
ARRIVALS = {"stroke": 1 / 1.2, "tia": 1 / 9.3, "neuro": 1 / 3.6, "other": 1 / 3.2}
DIRECT = {"stroke": 1 / 21.8, "tia": 0.0, "neuro": 1 / 31.7, "other": 1 / 28.6}
TO_REHABILITATION = {"stroke": 0.24, "tia": 0.01, "neuro": 0.11, "other": 0.05}
REHABILITATION_STAY = {"stroke": 0.4 * 30.3 + 0.6 * 28.4, "tia": 18.7, "neuro": 27.6, "other": 16.1}
REHABILITATION_LOAD = sum(
    (ARRIVALS[who] * TO_REHABILITATION[who] + DIRECT[who]) * REHABILITATION_STAY[who] for who in ARRIVALS
)
PAPER_STRAYS = 0.12
"""The published figures are simulated and rounded to whole patients; those of the acute unit stray up to 12 % from the
closed form of their own inputs (50 against 44.8). No simulation of those inputs can be held to less."""


def delay_shares(o: Observed, service: str, beds: dict[int, int]) -> list[float]:
    """The share who would be delayed with n beds: time with n in, of the time with at most n in."""
    number = o.measured(o.in_service(service))
    minutes = np.bincount(number, minlength=max(beds) + 1)
    return [minutes[n] / minutes[: n + 1].sum() for n in beds]


@pytest.fixture(scope="module")
def wards() -> dict[str, np.ndarray]:
    """What each of a hundred decades says of the two wards: shares delayed (replications, beds), and people in."""
    place = small_place("stroke", "days=3500", "warm_up_days=160")
    n = len(ACUTE)
    seen = replicate(
        place,
        100,
        lambda o: [
            *delay_shares(o, "acute_unit", ACUTE),
            *delay_shares(o, "rehabilitation_ward", REHABILITATION),
            o.measured(o.in_service("acute_unit")).mean(),
        ],
    )
    return {"acute": seen[:, :n], "rehabilitation": seen[:, n:-1], "in_acute": seen[:, -1]}


@pytest.mark.parametrize(
    ("ward", "published", "load", "widest"),
    [("acute", ACUTE, ACUTE_LOAD, 0.06), ("rehabilitation", REHABILITATION, REHABILITATION_LOAD, 0.15)],
)
def test_stroke_beds(
    wards: dict[str, np.ndarray], ward: str, published: dict[int, int], load: float, widest: float
) -> None:
    """The closed form lies in our 99.9 % intervals; the published figures within rounding and what they stray."""
    for (beds, one_in), shares in zip(published.items(), wards[ward].T, strict=True):
        ours = 1 / shares.mean()
        print(f"{beds} beds: one in {ours:.1f}; published {one_in}; closed form {1 / erlang_b(beds, load):.1f}")
        assert_meets(shares, erlang_b(beds, load), widest=widest)
        assert (one_in - 0.5) * (1 - PAPER_STRAYS) <= ours <= (one_in + 0.5) * (1 + PAPER_STRAYS)


def test_stroke_load_is_the_published_one(wards: dict[str, np.ndarray]) -> None:
    """Rate times mean stay in YAML comes to the paper's offered load: 8.355 beds."""
    assert_meets(wards["in_acute"], ACUTE_LOAD, widest=0.01)


# --------------------------------------------------------------------------------------------------------------------
# C. Beds and packages


@pytest.mark.parametrize("packages", [0, 365, 500])
def test_delayed_census_grows_by_one_a_day_less_the_turnover(packages: int) -> None:
    """One a day needs a package that lasts 730 days: the delayed grow by 1 - packages / 730 a day, to whatever size."""
    place = small_place("care_packages", "days=600", "warm_up_days=60", f"place.services.packages.capacity={packages}")

    def growth(o: Observed) -> float:
        delayed = o.waiting_to_leave("hospital")
        return float(delayed[o.window[1] - 1] - delayed[o.window[0]]) / 600

    seen = replicate(place, 60, growth)
    assert_meets(seen, 1 - packages / 730, widest=0.07, but_not=1.0 if packages else 0.5)


def test_enough_packages_delay_nobody() -> None:
    """The hospital then holds 100 people and the packages 730, as the closed form says."""
    place = small_place("care_packages", "days=600", "warm_up_days=60", "place.services.packages.capacity=1000",
                        "place.services.packages.initial.caseload.utilisation=0.73")  # fmt: skip
    seen = replicate(
        place,
        30,
        lambda o: [
            o.measured(o.in_service("hospital")).mean(),
            o.measured(o.in_service("packages")).mean(),
            o.waits("package").max(),
        ],
    )
    assert (seen[:, 2] == 0).all()
    assert_meets(seen[:, 0], 100, widest=0.01)
    assert_meets(seen[:, 1], 730, widest=0.02)


def test_one_referral_in_twenty_needs_a_package() -> None:
    place = small_place("care_packages", "days=600", "warm_up_days=60")

    def share(k: int) -> float:
        journeys = plan(place, Cohort(1, k), build_network(place, Cohort(1, k)))
        code = journeys.levels["needs_package"].index("yes")
        came = journeys.spells.initial == 0
        return float((journeys.attributes["needs_package"][came] == code).mean())

    assert_meets(np.array([share(k) for k in range(10)]), 0.05, widest=0.05)
