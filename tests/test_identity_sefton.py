"""The two engines on the real thing: whole years of Sefton under every shipped scenario, and four times its size."""

from __future__ import annotations

import pytest

from flowsim.compose import load, options
from flowsim.experiment.verify import verify_engines

pytestmark = pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")


@pytest.mark.parametrize("scenario", sorted(options("scenario")))
def test_a_year_of_sefton(scenario: str) -> None:
    verdict = next(verify_engines(load(f"scenario={scenario}"), seed=2, replications=1))
    assert verdict.rows > 300_000
    assert not verdict.difference


def test_four_times_sefton() -> None:
    place = load("scenario=seven_day_working", "scale=4", "days=60", "warm_up_days=40")
    verdict = next(verify_engines(place, seed=3, replications=1))
    assert verdict.rows > 300_000
    assert not verdict.difference
