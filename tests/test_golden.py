"""Golden runs: what the shipped scenarios give, number by number, so that no change to numbers goes unseen.

When one fails and the change is meant: `pytest tests/test_golden.py --refresh-golden`, and CHANGELOG.md says what moved
and why.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from acceptance import SINCE_JULY

from flowsim.cells.replicate import Simulated, simulate
from flowsim.declare.composition import load
from flowsim.declare.settings import DEFAULT_ENGINE
from flowsim.declare.yaml_and_csv import options
from flowsim.engine import usable
from flowsim.engine.stamps import Stamps
from flowsim.measures.flow import measure
from flowsim.place import Place

GOLDEN = Path(__file__).parent / "golden"
STAMPS = GOLDEN / "stamps.csv"
"""A digest of every stamp of each run: what single queues and causes at single sites come to hangs on these."""
RUN = ("days=28", "warm_up_days=21")
START = "2024-09-23"
"""Four weeks in which the block of home-care hours begins (1 October)."""
OTHER_STARTS = dict.fromkeys(("winter_normal", "winter_severe", "winter_surge_plan"), "2024-12-09")
"""Where what a scenario is about does not happen then."""
SEED, REPLICATION = 1, 0
FIGURES = 9
"""Significant figures kept: sums in another order differ beyond them, nothing else does."""
SHOWN = 12
LEFT_OUT = ("delayed_causes_by_age", "delayed_causes_by_locality", "delayed_causes_by_days")
KEPT = ("85+", "south_sefton", "21+ days")
"""Of causes by kind of people one level each, and all by pathway: it is the same pieces that are added up."""


def run(scenario: str) -> tuple[Place, Simulated]:
    start = f"start_date={OTHER_STARTS.get(scenario, START)}"
    place = load(f"scenario={scenario}", start, *RUN, *SINCE_JULY.get(scenario, ()))
    return place, simulate(place, SEED, REPLICATION, usable(DEFAULT_ENGINE))


def measured(place: Place, done: Simulated) -> pd.DataFrame:
    """Everything but the numbers of single queues and of causes at single sites, as text."""
    rows = measure(place, done.network, done.journeys, done.stamps).results
    rows = rows[(rows["where"] == "all") | (rows["of"] == "")]
    rows = rows[~rows["measure"].isin(LEFT_OUT) | rows["of"].str.startswith(KEPT)]
    text = [format(value, f".{FIGURES}g") for value in rows["value"]]
    return rows.assign(value=text)[["measure", "where", "of", "unit", "value"]].reset_index(drop=True)


def digest(stamps: Stamps) -> str:
    """Of every column an engine returns, in the order in which they are declared; not of their names."""
    whole = hashlib.sha256()
    for field in fields(stamps):
        column = np.ascontiguousarray(getattr(stamps, field.name), dtype="<i8")
        whole.update(len(column).to_bytes(8, "little") + column.tobytes())
    return whole.hexdigest()[:16]


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


def digests() -> dict[str, str]:
    return dict(read(STAMPS).itertuples(index=False)) if STAMPS.exists() else {}


def write_digests(of: dict[str, str]) -> None:
    """One line a scenario, by name."""
    pd.DataFrame(sorted(of.items()), columns=["scenario", "digest"]).to_csv(STAMPS, index=False, lineterminator="\n")


def test_every_shipped_scenario_has_a_golden_run_and_no_other_has(refresh_golden):
    shipped = set(options("scenario"))
    runs = {path.stem: path for path in GOLDEN.glob("*.csv") if path != STAMPS}
    if refresh_golden:
        for name in set(runs) - shipped:
            runs[name].unlink()
        write_digests({name: of for name, of in digests().items() if name in shipped})
    else:
        assert set(runs) == set(digests()) == shipped


@pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")
@pytest.mark.parametrize("scenario", sorted(options("scenario")))
def test_the_numbers_are_as_they_were(scenario, refresh_golden):
    place, done = run(scenario)
    found, path = measured(place, done), GOLDEN / f"{scenario}.csv"
    if refresh_golden:
        GOLDEN.mkdir(exist_ok=True)
        found.to_csv(path, index=False, lineterminator="\n")
        write_digests(digests() | {scenario: digest(done.stamps)})
        return
    moved = differences(read(path), found)
    how = "Meant? `pytest tests/test_golden.py --refresh-golden`, and say what moved and why in CHANGELOG.md."
    if moved:
        more = [f"... and {len(moved) - SHOWN} more"] if len(moved) > SHOWN else []
        pytest.fail(
            "\n".join([f"{scenario}: {len(moved)} numbers have changed.", *moved[:SHOWN], *more, how]), pytrace=False
        )
    if digest(done.stamps) != digests()[scenario]:
        pytest.fail(f"{scenario}: stamps have changed, though no number of the whole has. {how}", pytrace=False)


def test_a_changed_number_is_named():
    golden = pd.DataFrame({"measure": ["a", "b"], "where": "all", "of": "", "unit": "days", "value": ["1", "2"]})
    found = golden.assign(value=["1", "3"])
    assert differences(golden, found) == ["b, all (days): 2 before, 3 now"]
    assert differences(golden, found[:1]) == ["b, all (days): 2 before, absent now"]


def test_a_changed_stamp_changes_the_digest():
    columns = [np.arange(3, dtype=np.int32) for _ in fields(Stamps)]
    before = Stamps(*columns)
    assert digest(Stamps(*[column.astype(np.int64) for column in columns])) == digest(before)
    for k, column in enumerate(columns):
        assert digest(Stamps(*columns[:k], column + (column == 2), *columns[k + 1 :])) != digest(before)
