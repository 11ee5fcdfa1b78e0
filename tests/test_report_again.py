"""A results folder is the source of its own report: without the scenarios, at another place, from anywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import flowsim
from flowsim.present.pictures.weekdays import published_patterns

ROOT = Path(__file__).resolve().parents[1]
PLACES = ROOT / "tests" / "places"
AGAIN = "import sys, flowsim; flowsim.read(sys.argv[1]).finish()"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder with the package and no scenarios."""
    folder = tmp_path / "elsewhere"
    ignored = shutil.ignore_patterns("__pycache__", "scenarios")
    shutil.copytree(ROOT / "flowsim", folder / "package" / "flowsim", ignore=ignored)
    return folder


def made_again(out: Path, elsewhere: Path) -> str:
    """The summary that the folder makes at another place, of whose summary nothing is left there."""
    moved = Path(shutil.move(out, elsewhere / "moved"))
    (moved / "summary.md").unlink()
    shutil.rmtree(moved / "charts")
    environment = os.environ | {"PYTHONPATH": str(elsewhere / "package")}
    words = [sys.executable, "-W", "error::flowsim.place.FlowsimNotice", "-c", AGAIN, str(moved)]
    subprocess.run(words, check=True, cwd=elsewhere, env=environment)
    return (moved / "summary.md").read_text(encoding="utf-8")


def test_a_comparison_reports_itself_without_the_scenarios(tmp_path: Path, elsewhere: Path) -> None:
    overrides = ["days=14", "warm_up_days=7"]
    result = flowsim.compare(
        ["baseline", "seven_day_working"], 2, overrides=overrides, jobs=1, out=tmp_path / "out", progress=False
    )
    before = (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    assert "default numbers of" in before
    assert published_patterns(result)["all"]
    assert made_again(tmp_path / "out", elsewhere) == before
    assert published_patterns(flowsim.read(elsewhere / "moved")) == published_patterns(result)


def test_a_forecast_reports_itself_without_the_scenarios(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(PLACES, tmp_path / "scenarios")
    (tmp_path / "small.csv").write_text("service,where,state,people\nwards,general,in stage,40\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    place = flowsim.load("place=small", "census=small.csv", "days=14", "warm_up_days=0")
    flowsim.run(place, 2, jobs=1, out="out", progress=False)
    before = Path("out/summary.md").read_text(encoding="utf-8")
    assert "The weeks ahead" in before
    assert made_again(Path("out").resolve(), elsewhere) == before


def test_what_is_known_of_a_place_stays_where_its_files_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(PLACES, tmp_path / "scenarios")
    monkeypatch.chdir(tmp_path)
    flowsim.run(flowsim.load("place=small", "days=7", "warm_up_days=7"), 1, jobs=1, out="out", progress=False)
    first = flowsim.read("out")
    assert {"key", "value", "source", "grade"} <= set(first.evidence)
    assert "place.services.support.capacity" in set(first.evidence["key"])
    shutil.rmtree("scenarios")
    flowsim.run("out/config/baseline.yaml", 2, jobs=1, out="out", progress=False)
    pd.testing.assert_frame_equal(flowsim.read("out").evidence, first.evidence)


def test_capacities_are_told_from_each_date_on_which_they_change(tmp_path: Path) -> None:
    block = "+place.services.support.blocks.winter={from: 2024-04-08, weeks: 1, add: 5}"
    place = flowsim.load("place=small", "days=21", "warm_up_days=14", block, scenarios_dir=PLACES)
    result = flowsim.run(place, 1, jobs=1, out=tmp_path / "out", progress=False)
    support = result.capacities[result.capacities["of"] == "support"]
    by_date = support.groupby(["where", "date"])["open"].sum().unstack("where").sort_index().ffill().sum(axis=1)
    first = place.services["support"].capacity
    told = {pd.Timestamp(place.run.first_date): first, pd.Timestamp(2024, 4, 8): first + 5}
    assert by_date.to_dict() == told | {pd.Timestamp(2024, 4, 15): first}
    outside = result.capacities.groupby("of")["open"].apply(lambda amounts: amounts.isna().all())
    unlimited = {name for name, service in place.services.items() if service.capacity == "unlimited"}
    assert set(outside[outside].index) == unlimited
    assert [str(date) for change in result.dates_of_changes for date in change] == ["2024-04-08", "2024-04-15"]
