"""Golden runs: what the shipped scenarios give, number by number, so that no change to numbers goes unseen.

When one fails and the change is meant: `pytest tests/test_golden.py --refresh-golden`, and CHANGELOG.md says what moved
and why.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from acceptance import SINCE_JULY

from flowsim.cells.replicate import simulate
from flowsim.declare.composition import load
from flowsim.declare.settings import DEFAULT_ENGINE
from flowsim.declare.yaml_and_csv import options
from flowsim.engine import usable
from flowsim.measures.flow import measure

GOLDEN = Path(__file__).parent / "golden"
RUN = ("days=28", "warm_up_days=21")
START = "2024-09-23"
"""Four weeks in which the block of home-care hours begins (1 October)."""
OTHER_STARTS = dict.fromkeys(("winter_normal", "winter_severe", "winter_surge_plan"), "2024-12-09")
"""Where what a scenario is about does not happen then."""
SEED, REPLICATION = 1, 0
FIGURES = 9
"""Significant figures kept: sums in another order differ beyond them, nothing else does."""
SHOWN = 12


def measured(scenario: str) -> pd.DataFrame:
    """Everything but the numbers of single queues and of causes at single sites, as text."""
    start = f"start_date={OTHER_STARTS.get(scenario, START)}"
    place = load(f"scenario={scenario}", start, *RUN, *SINCE_JULY.get(scenario, ()))
    done = simulate(place, SEED, REPLICATION, usable(DEFAULT_ENGINE))
    rows = measure(place, done.network, done.journeys, done.stamps).results
    rows = rows[(rows["where"] == "all") | (rows["of"] == "")]
    text = [format(value, f".{FIGURES}g") for value in rows["value"]]
    return rows.assign(value=text)[["measure", "where", "of", "unit", "value"]].reset_index(drop=True)


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def differences(golden: pd.DataFrame, found: pd.DataFrame) -> list[str]:
    """One line for each number that differs, is new or is gone."""
    key = ["measure", "where", "of", "unit"]
    both = golden.merge(found, on=key, how="outer", suffixes=("_golden", "_found")).fillna("absent")
    moved = both[both["value_golden"] != both["value_found"]]
    return [
        f"{r.measure}, {r.where}{r.of and ', ' + r.of} ({r.unit}): {r.value_golden} before, {r.value_found} now"
        for r in moved.itertuples()
    ]


def test_every_shipped_scenario_has_a_golden_run_and_no_other_has(refresh_golden):
    shipped = set(options("scenario"))
    if refresh_golden:
        for path in GOLDEN.glob("*.csv"):
            if path.stem not in shipped:
                path.unlink()
    else:
        assert {path.stem for path in GOLDEN.glob("*.csv")} == shipped


@pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")
@pytest.mark.parametrize("scenario", sorted(options("scenario")))
def test_the_numbers_are_as_they_were(scenario, refresh_golden):
    found, path = measured(scenario), GOLDEN / f"{scenario}.csv"
    if refresh_golden:
        GOLDEN.mkdir(exist_ok=True)
        found.to_csv(path, index=False, lineterminator="\n")
        return
    moved = differences(read(path), found)
    if moved:
        more = [f"... and {len(moved) - SHOWN} more"] if len(moved) > SHOWN else []
        how = "Meant? `pytest tests/test_golden.py --refresh-golden`, and say what moved and why in CHANGELOG.md."
        pytest.fail(
            "\n".join([f"{scenario}: {len(moved)} numbers have changed.", *moved[:SHOWN], *more, how]), pytrace=False
        )


def test_a_changed_number_is_named():
    golden = pd.DataFrame({"measure": ["a", "b"], "where": "all", "of": "", "unit": "days", "value": ["1", "2"]})
    found = golden.assign(value=["1", "3"])
    assert differences(golden, found) == ["b, all (days): 2 before, 3 now"]
    assert differences(golden, found[:1]) == ["b, all (days): 2 before, absent now"]
