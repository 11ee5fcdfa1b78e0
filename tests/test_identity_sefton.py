"""The two engines on the real thing: Sefton at full size, under the scenarios that use most mechanisms.

Every shipped scenario is compared on a small Sefton in `test_scenarios.py`.
"""

from __future__ import annotations

import pytest

from flowsim.declare.composition import load
from flowsim.questions.verify import verify_engines

pytestmark = pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")
SCENARIOS = ("baseline", "all_three", "winter_surge_plan", "workforce_shortage+outbreak", "crisis_response_two_hour")


def assert_one_answer(*overrides: str, rows: int) -> None:
    verdict = next(verify_engines(load(*overrides), seed=2, replications=1))
    assert verdict.rows > rows
    assert not verdict.difference


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_month_of_sefton(scenario: str) -> None:
    assert_one_answer(f"scenario={scenario}", "start_date=2024-12-01", "days=30", "warm_up_days=20", rows=30_000)


@pytest.mark.long
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_year_of_sefton(scenario: str) -> None:
    assert_one_answer(f"scenario={scenario}", rows=300_000)


@pytest.mark.long
def test_four_times_sefton() -> None:
    assert_one_answer("scenario=seven_day_working", "scale=4", "days=60", "warm_up_days=40", rows=250_000)
