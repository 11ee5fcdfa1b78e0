"""Measures are defined where they are worked out: found from there, in order, and none without the other."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_measures import site_case

from flowsim.measures import registry
from flowsim.measures.definition import ALL, WHOLE, Measure, computes
from flowsim.measures.history import History
from flowsim.measures.registry import COMPUTATIONS, HEADLINE, MEASURES, NATIONAL
from flowsim.measures.window import Window

ROOT = Path(__file__).parents[1]

TOY = """

@computes(
    Measure("toy_count", "Spells in the toy", "spells", "Spells there are in the run.", "a test", 0, headline=True),
)
def toy(window: Window) -> Iterator[Value]:
    yield "toy_count", ALL, WHOLE, float(len(window.history.journeys.spells.number))
"""


def measure(name: str, **more: Any) -> Measure:
    return Measure(name, "Title", "people", "Sentence.", "a test", 0, **more)


def test_all_that_is_defined_is_worked_out_and_the_other_way_round() -> None:
    golden = {row["measure"] for row in pd.read_csv(ROOT / "tests" / "golden" / "baseline.csv").to_dict("records")}
    assert golden == set(MEASURES)  # and the golden runs hold what is worked out
    assert sum(len(one.measures) for one in COMPUTATIONS) == len(MEASURES)
    modules = {Path(f"{one.function.__module__}.py").stem.rpartition(".")[2] for one in COMPUTATIONS}
    files = {path.stem for path in (ROOT / "flowsim" / "measures").glob("*.py") if "\n@computes" in path.read_text()}
    assert modules == files


def test_what_is_not_declared_above_a_function_is_refused() -> None:
    case = site_case()
    window = Window(History(case.place, case.network, case.journeys, case.stamps), 0, case.network.horizon)
    one = computes(measure("declared"))(lambda _: iter([("declared", ALL, WHOLE, 1.0), ("another", ALL, WHOLE, 1.0)]))
    with pytest.raises(ValueError, match="gives another, which is not declared above it"):
        list(one.values(window))


def test_the_registry_refuses_what_it_cannot_put_in_order() -> None:
    def nothing(*measures: Measure) -> list[Any]:
        return [computes(*measures)(lambda _: iter(()))]

    with pytest.raises(ValueError, match="one is defined twice"):
        registry._defined(nothing(measure("one"), measure("one")))
    with pytest.raises(ValueError, match="one has the theme 'Weather'; there are Delay, "):
        registry._defined(nothing(measure("one", theme="Weather")))
    with pytest.raises(ValueError, match="two: has a place in an order"):
        registry._in_order(["two"], ["one"])
    assert registry._in_order(["b"], "abc") == ("b", "a", "c")
    assert all(MEASURES[name].theme == theme for theme, names in NATIONAL.items() for name in names)
    assert all(one.headline for one in HEADLINE.values())


def test_a_measure_is_added_in_one_file(tmp_path: Path) -> None:
    """A toy at the end of one file of a copy of the package is in the results, in what is shown, and in the summary."""
    shutil.copytree(ROOT / "flowsim", tmp_path / "flowsim", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "scenarios", tmp_path / "flowsim" / "scenarios")
    shutil.copytree(ROOT / "tests" / "places", tmp_path / "scenarios")
    with (tmp_path / "flowsim" / "measures" / "outcomes.py").open("a", encoding="utf-8") as file:
        file.write(TOY)

    def flowsim(*words: str) -> str:
        command = [sys.executable, "-m", "flowsim.cli", *words]
        done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "toy_count: Spells in the toy (spells; neither way is better)" in flowsim("show", "measures")
    short = ("days=7", "warm_up_days=7", "replications=1", "jobs=1", "engine=reference")
    flowsim("run", "place=small", "scenario=more_support", *short, "out=out")
    results = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert results.loc[results["measure"] == "toy_count", "value"].gt(0).tolist() == [True]
    assert "Spells in the toy" in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
