"""Small places with known answers: the whole way from YAML to stamps, judged by 99.9 % intervals over replications.

Time is in whole minutes, so stays are hundreds of minutes long; what rounding adds is far below any interval here.
Every interval is asserted to be narrow, and where a mechanism could have done nothing, to exclude that answer.
"""

from __future__ import annotations

from itertools import pairwise
from math import factorial

import numpy as np
import pytest
from acceptance import DAY, Observed, assert_meets, replicate, small_place

LONG = ("days=3600", "warm_up_days=60")


def erlang_b(servers: int, load: float) -> float:
    """The share turned away of Poisson arrivals that bring `load` mean stays' worth of work a mean stay."""
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """The share who wait in M/M/c."""
    blocked = erlang_b(servers, load)
    return blocked / (1 - load / servers * (1 - blocked))


def cobham(rates: list[float], means: list[float], squares: list[float]) -> list[float]:
    """Mean waits of M/G/1 without interruption, the first class first (A. Cobham, Operations Research 2, 1954)."""
    residual = sum(r * s for r, s in zip(rates, squares, strict=True)) / 2
    busy = np.concatenate([[0.0], np.cumsum(np.multiply(rates, means))])
    return [residual / ((1 - before) * (1 - after)) for before, after in pairwise(busy)]


def giving_up(servers: int, arrival: float, service: float, patience: float) -> float:
    """The share who give up in M/M/c+M with these rates, from the balance of births and deaths."""
    n = np.arange(1, 400)
    out = np.minimum(n, servers) * service + np.maximum(n - servers, 0) * patience
    weight = np.concatenate([[1.0], np.cumprod(arrival / out)])
    share = weight / weight.sum()
    waiting = np.maximum(np.arange(400) - servers, 0)
    return float(patience * (waiting * share).sum() / arrival)


def test_formulas_on_known_values() -> None:
    """The theory itself: textbook values and sums written out."""
    terms = [8**k / factorial(k) for k in range(11)]
    assert erlang_b(10, 8) == pytest.approx(terms[-1] / sum(terms))
    assert erlang_c(1, 0.7) == pytest.approx(0.7)  # M/M/1: who finds the server busy waits
    assert cobham([0.5], [1], [2])[0] == pytest.approx(1.0)  # M/M/1 at half load: rho / (mu - lambda)
    # who is served and who waits go equally fast: the number there is Poisson with mean 2
    assert giving_up(3, 2.0, 1.0, 1.0) == pytest.approx((9 * np.exp(-2) - 1) / 2)


@pytest.mark.parametrize("servers", [4, 5])
def test_waits_of_several_servers_follow_erlang_c(servers: int) -> None:
    place = small_place("many_servers", *LONG, f"place.services.beds.capacity={servers}")
    seen = replicate(place, 32, lambda o: (o.waits("stay").mean(), (o.waits("stay") > 0).mean()))
    load = 3.0
    waiting = erlang_c(servers, load)
    assert_meets(seen[:, 0], waiting * 300 / (servers - load), widest=0.04)
    assert_meets(seen[:, 1], waiting, widest=0.02, but_not=erlang_b(servers, load))


@pytest.mark.parametrize(
    "stay",
    ["lognormal: {mean: 1000, sigma: 1}", "fixed: 1000", "exponential: {mean: 1000}"],
    ids=["lognormal", "fixed", "exponential"],
)
def test_turned_away_follows_erlang_b_whatever_the_stay(stay: str) -> None:
    place = small_place("loss", *LONG, "place.stages.stay.duration={" + stay + ", unit: minutes}")
    lost = replicate(place, 12, lambda o: o.lost("stay"))
    assert_meets(lost, erlang_b(10, 8), widest=0.03)


def test_endless_beds_hold_a_poisson_number() -> None:
    """Mean and variance of the number in are the same, 20; read every fourth hour of ten years."""
    place = small_place("endless_beds", *LONG)

    def read(o: Observed) -> tuple[float, float]:
        number = o.measured(o.in_service("beds"))[:: DAY // 6]
        return number.mean(), ((number - 20.0) ** 2).mean()

    seen = replicate(place, 16, read)
    assert_meets(seen[:, 0], 20, widest=0.01)
    assert_meets(seen[:, 1], 20, widest=0.05)


def test_two_priorities_follow_cobham() -> None:
    place = small_place("two_priorities", *LONG)

    def read(o: Observed) -> tuple[float, float]:
        rows = o.arrived("stay")
        spell = o.journeys.rows.spell[rows]
        wait = o.stamps.accepted[rows] - o.stamps.joined[rows]
        stream = o.journeys.attributes["stream"][spell]
        urgent, routine = (o.journeys.levels["stream"].index(name) for name in ("urgent", "routine"))
        done = o.stamps.accepted[rows] >= 0
        return wait[done & (stream == urgent)].mean(), wait[done & (stream == routine)].mean()

    seen = replicate(place, 60, read)
    rates, means = [1.8 / DAY, 1.44 / DAY], [200.0, 400.0]
    squares = [2 * m * m for m in means]
    urgent, routine = cobham(rates, means, squares)
    first_come = sum(r * s for r, s in zip(rates, squares, strict=True)) / 2 / (1 - np.dot(rates, means))
    assert_meets(seen[:, 0], urgent, widest=0.04, but_not=first_come)
    assert_meets(seen[:, 1], routine, widest=0.05, but_not=first_come)


@pytest.mark.parametrize(("stations", "share"), [(2, 2 / 3), (3, 22 / 39)])
def test_tandem_without_room_between(stations: int, share: float) -> None:
    """Saturated, two exponential servers that block each other do 2/3 of what one does, three 22/39 (Hunt, 1956)."""
    end = ["place.stages.second.next=leave"] if stations == 2 else []
    place = small_place("tandem", *LONG, *end)
    last = ("second", "third")[stations - 2]
    done = replicate(place, 16, lambda o: o.left(last) / 3600)
    assert_meets(done, share * DAY / 300, widest=0.01, but_not=DAY / 300)


def test_giving_up_follows_erlang_a() -> None:
    place = small_place("impatient", *LONG)
    lost = replicate(place, 12, lambda o: o.lost("stay"))
    theory = giving_up(2, 1 / 100, 1 / 300, 1 / 400)
    assert_meets(lost, theory, widest=0.02, but_not=erlang_b(2, 3.0))
