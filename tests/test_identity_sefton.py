"""The two engines on the real thing: every shipped scenario of Sefton, whole years, and four times its size."""

from __future__ import annotations

import pytest

from flowsim.compose import load, options
from flowsim.experiment.verify import verify_engines

pytestmark = pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")
SCENARIOS = sorted(options("scenario"))


def assert_one_answer(*overrides: str, rows: int) -> None:
    verdict = next(verify_engines(load(*overrides), seed=2, replications=1))
    assert verdict.rows > rows
    assert not verdict.difference


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_an_autumn_of_sefton(scenario: str) -> None:
    assert_one_answer(f"scenario={scenario}", "start_date=2024-09-20", "days=30", "warm_up_days=20", rows=30_000)


@pytest.mark.long
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_year_of_sefton(scenario: str) -> None:
    assert_one_answer(f"scenario={scenario}", rows=300_000)


@pytest.mark.long
def test_four_times_sefton() -> None:
    assert_one_answer("scenario=seven_day_working", "scale=4", "days=60", "warm_up_days=40", rows=250_000)
