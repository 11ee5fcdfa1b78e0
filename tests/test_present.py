"""Charts and reports: the same bytes twice, and said so that a planner is not misled."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import flowsim
from flowsim import api
from flowsim.compose import load
from flowsim.engine.spells import NEVER
from flowsim.evidence import read_register
from flowsim.experiment.replicate import simulate
from flowsim.files import folders
from flowsim.measures.headline import HEADLINE
from flowsim.place import FlowsimNotice, PlaceError, ScenarioInfo
from flowsim.present import report
from flowsim.present.trace import story
from flowsim.present.words import interval, number, period_words, signed, tick, with_unit

PLACES = Path(__file__).parent / "places"
BAD_ROWS = {"XX-01": "about 1", "XX-02": "1/1/1/1/1/1", "XX-03": "1/1/1/1/1/1/nan", "XX-04": ""}


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> flowsim.Comparison:
    """Two scenarios of a small place, three replications."""
    cost = "+place.services.support.cost={amount: 50, per: day, payer: council}"
    base = load("place=small", "days=28", "warm_up_days=14", cost, scenarios_dir=PLACES)
    support = base.services["support"].model_copy(update={"capacity": 40.0})
    evidence = {"EV-01": "A matched study found no effect; a large gain is optimistic."}
    told = ScenarioInfo(name="more", title="More support", evidence=evidence)
    more = base.model_copy(update={"services": base.services | {"support": support}, "scenario": told})
    return flowsim.compare(
        [base, more], replications=3, jobs=1, out=tmp_path_factory.mktemp("compared") / "out", progress=False
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> flowsim.Result:
    """One scenario, one replication."""
    place = load("place=small", "days=28", "warm_up_days=14", scenarios_dir=PLACES)
    return flowsim.run(place, replications=1, jobs=1, out=tmp_path_factory.mktemp("alone") / "out", progress=False)


# -- charts ------------------------------------------------------------------------------------------------------------


def without_clip_names(path: Path) -> bytes:
    """A picture without the names of clip paths, which Matplotlib hashes from positions that differ in the last bit."""
    content = path.read_bytes()
    return re.sub(rb"\bp[0-9a-f]{10}\b", b"", content) if path.suffix == ".svg" else content


@pytest.mark.parametrize("kind", ["differences", "census", "causes", "weekdays", "warm_up"])
@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_the_same_numbers_give_the_same_picture(
    comparison: flowsim.Comparison, kind: str, ending: str, tmp_path: Path
) -> None:
    drawn = comparison.chart(tmp_path / f"one{ending}", kind)
    assert without_clip_names(drawn) == without_clip_names(comparison.out / "charts" / f"{kind}{ending}")
    if ending == ".svg":
        assert b"<dc:date>" not in drawn.read_bytes()


def test_every_chart_of_one_scenario_but_the_differences(alone: flowsim.Result) -> None:
    names = {path.name for path in (alone.out / "charts").glob("*.png")}
    assert names == {"census.png", "causes.png", "weekdays.png", "warm_up.png"}


def test_charts_that_cannot_be(comparison: flowsim.Comparison, alone: flowsim.Result, tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="did you mean 'weekdays'"):
        comparison.chart(tmp_path / "x.png", "weekday")
    with pytest.raises(PlaceError, match=r"ending in \.png or \.svg"):
        comparison.chart(tmp_path / "x.jpg")
    with pytest.raises(PlaceError, match="needs a comparison"):
        alone.chart(tmp_path / "x.png")


def test_published_weekdays_are_those_of_the_evidence(comparison: flowsim.Comparison) -> None:
    (values,) = comparison.published_weekdays.values()
    assert values == [0.872, 1.099, 1.155, 1.167, 1.241, 0.858, 0.609]


def test_published_weekdays_of_a_place_are_those_it_names(
    comparison: flowsim.Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load().published == {"discharges_by_weekday": ["AC-33", "AC-31"]}
    register = read_register(folders())
    broken = {name: replace(register["AC-31"], id=name, value=value) for name, value in BAD_ROWS.items()}
    monkeypatch.setattr(api, "read_register", lambda _: register | broken)

    def of(*names: str) -> list[list[float]]:
        place = load("place=small", scenarios_dir=PLACES).model_copy(
            update={"published": {"discharges_by_weekday": list(names)}}
        )
        return list(flowsim.Result(comparison.out, {"one": place}).published_weekdays.values())

    assert of("AC-33", "AC-31", "nowhere")[0] == [0.913, 1.154, 1.149, 1.244, 1.377, 0.68, 0.482]
    assert of() == []
    for name in BAD_ROWS:
        with pytest.warns(FlowsimNotice, match=f"{name} of the evidence"):
            assert len(of(name, "AC-31")) == 1


def test_a_place_without_evidence_has_no_published_weekdays(
    comparison: flowsim.Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "read_register", lambda _: {})
    assert flowsim.Result(comparison.out, comparison.places).published_weekdays == {}


# -- the report --------------------------------------------------------------------------------------------------------


def test_the_summary_says_what_it_must(comparison: flowsim.Comparison) -> None:
    text = (comparison.out / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("# A small place: 2 scenarios compared. Measured from 1 April 2024 to 28 April 2024. 3 repl")
    for heading in ("What changes", "What breaks next", "What it costs", "smallest difference", "What is measured"):
        assert f"{heading}" in text
    assert "More support: A matched study found no effect; a large gain is optimistic. (EV-01)" in text
    assert HEADLINE["hidden_wait_days_mean"].title in text
    assert "no clear change" in text
    assert "![differences](charts/differences.png)" in text
    shown = set(comparison.results["measure"])
    for name, measure in HEADLINE.items():
        if name in shown:
            assert measure.definition in text


def test_the_terminal_is_brief_but_keeps_the_warnings(comparison: flowsim.Comparison) -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    report.show(comparison, console=console)
    text = console.export_text()
    assert "What changes, compared with As things are" in text
    assert "Hidden wait" in text
    assert "EV-01" in text
    assert "would show" not in text
    assert str(comparison.out) in text.replace("\n", "")


@pytest.mark.parametrize(
    ("ratio", "low", "high", "text"),
    [
        (-30.0, -50.0, 10.0, "saves £30\n-£10 to £50"),
        (30.0, -10.0, 50.0, "costs £30\n-£10 to £50"),
        (-30.0, -50.0, -20.0, "saves £30\n£20 to £50"),
    ],
)
def test_a_saving_turns_its_interval_too(ratio: float, low: float, high: float, text: str) -> None:
    row = {"released_clear": True, "ratio": ratio, "low": low, "high": high}
    assert report.released_text(pd.DataFrame([row], index=["more"]), "more") == text


def test_one_replication_says_that_it_has_no_interval(tmp_path: Path, comparison: flowsim.Comparison) -> None:
    single = flowsim.compare(comparison.places, 1, jobs=1, out=tmp_path / "out", progress=False)
    text = report.markdown(single)
    assert "One replication: no interval" in text
    assert "nan" not in text.replace("finance", "")
    single.chart(tmp_path / "differences.png")


def test_a_failed_check_is_loud_and_an_overload_is_not(comparison: flowsim.Comparison) -> None:
    assert list(report.failed_checks(comparison)) == []
    lost = comparison.results.copy()
    lost.loc[lost["measure"] == "check_conservation", "value"] = 2.0
    lost.loc[lost["measure"] == "check_overloaded", "value"] = 3.0
    broken = flowsim.Comparison(comparison.out, comparison.places)
    broken.__dict__["results"] = lost
    sentences = list(report.failed_checks(broken))
    assert len(sentences) == 2
    assert "Check: nobody is lost (baseline): 2 people" in sentences[0]
    assert report.sections(broken)[0].loud


def test_failures_and_notices_come_first(comparison: flowsim.Comparison) -> None:
    from flowsim.experiment.jobs import Outcome

    failures = (Outcome("more", 7, 1, 0.0, "RuntimeError: no"),)
    told = flowsim.Comparison(comparison.out, comparison.places, failures, ("Mind the gap.",))
    first, second, *_ = report.sections(told)
    assert first.sentences[0] == "more, replication 7 (seed 1): RuntimeError: no"
    assert first.sentences[-1] == f"The same command with out={comparison.out} tries them again."
    assert second.sentences == ("Mind the gap.",)


def test_the_report_of_one_scenario(alone: flowsim.Result) -> None:
    text = report.markdown(alone)
    assert "## Headline measures" in text
    assert "## Services, the most heavily loaded first" in text


def test_assumptions_are_counted() -> None:
    place = load("place=small", scenarios_dir=PLACES)
    assert report.assumptions_words(place, []) == ""
    words = report.assumptions_words(place, ["A", "C (assumption)", "B", "C"])
    assert words.startswith("2 of 4 default numbers of A small place are assumptions")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "", "0"), (1234.5, "people", "1,234"), (12.345, "days", "12.3"), (0.01234, "days", "0.0123"),
        (-3.0, "days", "-3.00"), (float("nan"), "days", "-"), (2.5e6, "£ a year", "£2.50m"), (-45678, "£", "-£46k"),
        (999.6, "", "1,000"),
    ],
)  # fmt: skip
def test_numbers_are_written_for_people(value: float, unit: str, text: str) -> None:
    assert number(value, unit) == text


def test_signs_units_and_intervals(comparison: flowsim.Comparison) -> None:
    assert signed(2.0) == "+2.00"
    assert signed(-2.0) == "-2.00"
    assert signed(3e6, "£ a year") == "+£3.00m"
    assert interval(1.0, 2.0, sign=True) == "+1.00 to +2.00"
    assert interval(float("nan"), 2.0) == ""
    assert with_unit(3.0, "days") == "3.00 days"
    assert with_unit(3e6, "£ a year") == "£3.00m a year"
    assert tick(-2e7, "£ a year") == "-£20m"
    assert period_words(comparison) == "Measured from 1 April 2024 to 28 April 2024."


# -- one person's way --------------------------------------------------------------------------------------------------


def test_a_way_tells_the_units_taken_and_the_planned_ones_only_while_nothing_is_taken() -> None:
    place = load("place=small", "days=28", "warm_up_days=14", scenarios_dir=PLACES)
    done = simulate(place, 1, 0)
    taken = done.spells.accepted != NEVER
    row = int(np.flatnonzero(taken)[0])
    number_of = int(done.journeys.spells.number[done.journeys.rows.spell[row]])
    larger = replace(done, spells=replace(done.spells, units=np.where(taken, 7, 0)))
    told = " ".join(event.text for event in story(place, larger, number_of).events)
    assert re.search(r", (7 \w+|0\.1 hours a week)", told), told


def test_a_task_that_the_scenario_takes_away_keeps_its_title() -> None:
    before = load("place=small", "days=28", "warm_up_days=14", scenarios_dir=PLACES)
    (stage, task), *_ = [(s, t) for s, one in before.stages.items() for t in {**one.before, **one.after}]
    done = simulate(before, 1, 0)
    for field in ("before", "after"):
        tasks = getattr(before.stages[stage], field)
        if task in tasks:
            titled_task = tasks[task].model_copy(update={"title": "The Old Way"})
            with_title = before.stages[stage].model_copy(update={field: tasks | {task: titled_task}})
            without = before.stages[stage].model_copy(update={field: {n: v for n, v in tasks.items() if n != task}})
    earlier = before.model_copy(update={"stages": before.stages | {stage: with_title}})
    after = before.model_copy(update={"stages": before.stages | {stage: without}, "before": earlier})
    told = [event.text for number in done.journeys.spells.number[:200] for event in story(after, done, number).events]
    assert any("the Old Way" in text for text in told)


# -- Python ------------------------------------------------------------------------------------------------------------


def test_three_lines_make_a_comparison_and_its_chart(tmp_path: Path) -> None:
    lines = """import flowsim
c = flowsim.compare(["baseline", "more_support"], replications=2, overrides=["place=small", "days=14", "warm_up_days=7"], progress=False, jobs=1)
c.chart("differences.png")"""  # noqa: E501
    shutil.copytree(PLACES, tmp_path / "scenarios")
    subprocess.run([sys.executable, "-W", "ignore", "-c", lines], check=True, cwd=tmp_path)
    assert (tmp_path / "differences.png").stat().st_size > 10_000
    (out,) = (tmp_path / "outputs").iterdir()
    assert {
        "manifest.json",
        "config",
        "results.parquet",
        "census.parquet",
        "comparison.csv",
        "summary.md",
        "charts",
    } <= {path.name for path in out.iterdir()}
    again = flowsim.read(out)
    assert isinstance(again, flowsim.Comparison)
    assert isinstance(again.table(), pd.DataFrame)
    assert "<table" in again._repr_html_()


def test_importing_flowsim_imports_nothing_heavy() -> None:
    words = (
        "import sys, flowsim; print(sorted({'pandas', 'numpy', 'matplotlib', 'hydra', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_names_that_are_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'simulate'"):
        flowsim.simulate  # noqa: B018
    with pytest.raises(PlaceError, match="a list of at least two"):
        flowsim.compare("baseline")
    with pytest.raises(PlaceError, match="there is no such file"):
        flowsim.run("nowhere.yaml")
