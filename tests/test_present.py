"""Charts and reports: the same bytes twice, and said so that a planner is not misled."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from presenting import figure_of, in_words, summary_of, without_clip_names
from rich.console import Console

import flowsim
from flowsim.cells import about
from flowsim.cells.progress import Progress
from flowsim.cells.replicate import simulate
from flowsim.declare.composition import load
from flowsim.declare.evidence import read_register
from flowsim.declare.rules import check_names
from flowsim.declare.settings import Settings
from flowsim.declare.yaml_and_csv import folders
from flowsim.engine.stamps import NEVER
from flowsim.measures.registry import HEADLINE
from flowsim.place import FlowsimNotice, Place, PlaceError, ScenarioInfo
from flowsim.present.pages import compare, costs, run, trouble, worth
from flowsim.present.pages.cells import MORE_THAN_FULL, number_or_closed
from flowsim.present.pages.page import Cell
from flowsim.present.pages.registry import page_of
from flowsim.present.pictures import causes, delayed, emergency, registry, style, weekdays
from flowsim.present.titles import USUAL, cause_title, period_words, unit_in
from flowsim.present.trace import story
from flowsim.present.words import entry_words, interval, number, setting, signed, tick, with_unit
from flowsim.present.writers import terminal
from flowsim.present.writers.terminal import fitting_widths, print_table
from flowsim.questions.compare import SERVICE_LOAD
from flowsim.questions.ways import way_of

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


@pytest.mark.parametrize("kind", ["differences", "emergency", "delayed", "causes", "weekdays", "warm_up"])
@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_the_same_numbers_give_the_same_picture(
    comparison: flowsim.Comparison, kind: str, ending: str, tmp_path: Path
) -> None:
    drawn = comparison.chart(tmp_path / f"one{ending}", kind)
    assert without_clip_names(drawn) == without_clip_names(comparison.out / "charts" / f"{kind}{ending}")
    if ending == ".svg":
        assert b"<dc:date>" not in drawn.read_bytes()


@pytest.mark.parametrize("kind", ["differences", "delayed"])
def test_a_picture_is_the_same_whichever_format_is_written_first(
    comparison: flowsim.Comparison, tmp_path: Path, kind: str
) -> None:
    def draw() -> Figure:
        return figure_of(comparison, kind)

    first, second = tmp_path / "first", tmp_path / "second"
    style.write(draw, first / "a.png", first / "a.svg")
    style.write(draw, second / "a.svg", second / "a.png")
    for name in ("a.png", "a.svg"):
        assert without_clip_names(first / name) == without_clip_names(second / name)
    width = int.from_bytes((first / "a.png").read_bytes()[16:20])
    with style.in_style():
        assert width == round(draw().get_figwidth() * style.PNG_DPI)


def test_ticks_are_those_that_matplotlib_would_find(comparison: flowsim.Comparison) -> None:
    for kind in ("differences", "delayed", "causes", "weekdays"):
        with style.in_style():
            figure = figure_of(comparison, kind)
            canvas = style.laid_out(figure)
            fixed = [[text.get_text() for text in axes.get_xticklabels()] for axes in figure.axes]
            again = figure_of(comparison, kind)
            again.set_layout_engine("none")
            for axes, laid_out in zip(again.axes, figure.axes, strict=True):
                axes.set_position(laid_out.get_position())
            FigureCanvasAgg(again).draw()
            canvas.draw()
        assert fixed == [[text.get_text() for text in axes.get_xticklabels()] for axes in again.axes]


def test_a_summary_that_is_changed_spoils_no_other(alone: flowsim.Result) -> None:
    for headline in (True, False):
        shown = alone.summary(headline)
        shown["mean"] = 0.0
        assert alone.summary(headline)["mean"].any()


def test_every_chart_of_one_scenario_but_the_differences(alone: flowsim.Result) -> None:
    names = {path.name for path in (alone.out / "charts").glob("*.png")}
    assert names == {"emergency.png", "delayed.png", "causes.png", "weekdays.png", "warm_up.png"}


def test_the_summary_shows_the_most_important_chart_first(comparison: flowsim.Comparison) -> None:
    told = (comparison.out / "summary.md").read_text(encoding="utf-8")
    order = ["differences", "emergency", "delayed", "causes", "weekdays", "warm_up"]
    assert re.findall(r"!\[(\w+)\]", told) == order


def test_the_emergency_department_of_each_scenario(comparison: flowsim.Comparison) -> None:
    figure = figure_of(with_more(comparison, boarding_hours_mean=2.0), "emergency")
    titles = [axes.get_title().replace("\n", " ") for axes in figure.axes]
    there = [name for name in emergency.EMERGENCY if (comparison.results["measure"] == name).any()]
    assert titles == [HEADLINE[name].title for name in there]
    labels = [label.get_text().replace("\n", " ") for label in figure.axes[0].get_yticklabels()]
    assert labels == ["As things are, with your settings", "More support"]
    without = comparison.results[~comparison.results["measure"].isin(emergency.EMERGENCY)]
    with pytest.raises(PlaceError, match="'emergency' has nothing to show"):
        figure_of(with_results(comparison, without), "emergency")


def test_a_cause_has_one_colour_and_hatch_of_its_own(comparison: flowsim.Comparison) -> None:
    sefton = flowsim.Result(comparison.out, {"one": load()})
    styles = {cause: causes.colour_and_hatch(one) for cause, one in causes.subjects_of(sefton).items()}
    assert len(set(styles.values())) == len(styles) > 30
    fewer = comparison.results[comparison.results["of"] != "capacity: support"]
    drawn = [legend_of(figure_of(one, "causes")) for one in (comparison, with_results(comparison, fewer))]
    common = drawn[0].keys() & drawn[1].keys()
    assert len(common) >= 2
    assert len(drawn[0]) > len(common)
    assert all(drawn[0][cause] == drawn[1][cause] for cause in common)


def legend_of(figure: Figure) -> dict[str, tuple[object, str]]:
    """What the bars of a picture are called: their colour and hatch."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    return {
        label: (bars.patches[0].get_facecolor(), bars.patches[0].get_hatch())
        for bars, label in zip(handles, labels, strict=True)
        if not label.endswith("other causes")
    }


def test_causes_have_titles(comparison: flowsim.Comparison) -> None:
    sefton = flowsim.Result(comparison.out, {"one": load()})
    for cause, told in {
        "capacity: reablement": "full: Reablement (pathway 1)",
        "calendar: assessment": "closed: assessment in hospital",
        "staff: transfer_hub": "staff busy: Transfer-of-care hub staff",
        "transport": "transport",
    }.items():
        assert cause_title(sefton, cause) == told


def test_many_scenarios_have_lines_without_bands(
    comparison: flowsim.Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bands() -> int:
        return sum(len(axes.collections) for axes in figure_of(comparison, "delayed").axes)

    assert bands() > 0
    monkeypatch.setattr(delayed, "MOST_BANDS", 1)
    assert bands() == 0


def test_a_run_of_nobody_has_a_summary_and_the_pictures_there_can_be(tmp_path: Path) -> None:
    empty = load("place=small", "days=7", "warm_up_days=7", "scale=0.001", scenarios_dir=PLACES)
    for name, made in (
        ("run", lambda out: flowsim.run(empty, 1, jobs=1, out=out, progress=False)),
        ("compare", lambda out: flowsim.compare({"a": empty, "b": empty}, 2, jobs=1, out=out, progress=False)),
    ):
        result = made(tmp_path / name)
        assert not result.failures
        assert (result.out / "summary.md").is_file()
        with pytest.raises(PlaceError, match="'causes' has nothing to show: nobody is delayed"):
            figure_of(result, "causes")
        for kind in (one.name for one in registry.pictures_of("compare")):
            with contextlib.suppress(PlaceError):
                result.chart(tmp_path / f"{name}-{kind}.png", kind)


def test_a_picture_that_fails_costs_no_summary(
    alone: flowsim.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> Figure:
        raise ValueError("range() arg 3 must not be zero")

    every = [replace(one, draw=failing) if one.name == "emergency" else one for one in registry.every_picture()]
    monkeypatch.setattr(registry, "every_picture", lambda: every)
    with pytest.warns(FlowsimNotice, match="picture 'emergency' could not be drawn .ValueError: range"):
        drawn = registry.save_all(alone, tmp_path)
    assert {path.stem for path in drawn} == {"delayed", "causes", "weekdays", "warm_up"}


def test_what_is_not_measured_is_grey_on_both_sides(comparison: flowsim.Comparison) -> None:
    run = comparison.places["baseline"].run
    start, end = comparison.span
    part = flowsim.Comparison(comparison.out, comparison.places)
    minutes = {"window_minutes": (start + 5 * 1440, end - 9 * 1440)}
    described = comparison.manifest.configuration.model_copy(update=minutes)
    part.__dict__["manifest"] = comparison.manifest.but(configuration=described)
    whole, inner = (figure_of(one, "delayed").axes[0].patches for one in (comparison, part))
    assert len(whole) == 1  # the warm-up
    edges = [date2num(np.datetime64(run.date_of(minute))) for minute in (0, start + 5 * 1440, end - 9 * 1440, end)]
    assert [edge for span in inner for edge in (span.get_x(), span.get_x() + span.get_width())] == edges


def test_the_first_scenario_is_called_by_its_name_and_not_now(comparison: flowsim.Comparison) -> None:
    """It is `now` only where the first scenario is, and that is what it is called then."""
    turned = flowsim.Comparison(comparison.out, dict(reversed(comparison.places.items())))
    turned.__dict__["results"] = comparison.results
    for one, name in ((comparison, "As things are, with your settings"), (turned, "More support")):
        titles = [axes.get_title() for axes in figure_of(one, "differences").axes if axes.get_visible()]
        assert all(f"({name}: " in title.replace("\n", " ") for title in titles)


def test_charts_that_cannot_be(comparison: flowsim.Comparison, alone: flowsim.Result, tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="did you mean 'weekdays'"):
        comparison.chart(tmp_path / "x.png", "weekday")
    with pytest.raises(PlaceError, match=r"ending in \.png or \.svg"):
        comparison.chart(tmp_path / "x.jpg")
    with pytest.raises(PlaceError, match="needs a comparison"):
        alone.chart(tmp_path / "x.png")


def test_published_weekdays_are_those_of_the_evidence(comparison: flowsim.Comparison) -> None:
    (values,) = weekdays.published_patterns(comparison)["all"].values()
    assert values == [0.872, 1.099, 1.155, 1.167, 1.241, 0.858, 0.609]


def with_published(comparison: flowsim.Comparison, place: Place, *scenarios: str) -> flowsim.Result:
    """A result of another place, with the published figures that its folder would hold."""
    shown = flowsim.Result(comparison.out, dict.fromkeys(scenarios or ("one",), place))
    shown.__dict__["published"] = about._published(place)
    return shown


def test_published_weekdays_of_a_place_are_those_it_names(
    comparison: flowsim.Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    southport = "discharges_by_weekday | southport_ormskirk"
    assert load().published == {"discharges_by_weekday": ["AC-31"], southport: ["AC-33"]}
    register = read_register(folders())
    broken = {name: replace(register["AC-31"], id=name, value=value) for name, value in BAD_ROWS.items()}
    monkeypatch.setattr(about, "read_register", lambda _: register | broken)

    def of(*names: str) -> list[list[float]]:
        place = load("place=small", scenarios_dir=PLACES).model_copy(
            update={"published": {"discharges_by_weekday": list(names)}}
        )
        patterns = weekdays.published_patterns(with_published(comparison, place))
        return list(patterns.get("all", {}).values())

    assert of("AC-33", "AC-31", "nowhere")[0] == [0.913, 1.154, 1.149, 1.244, 1.377, 0.68, 0.482]
    assert of() == []
    for name in BAD_ROWS:
        with pytest.warns(FlowsimNotice, match=f"{name} of the evidence"):
            assert len(of(name, "AC-31")) == 1


def test_a_hospitals_published_weekdays_stand_beside_its_own_line(comparison: flowsim.Comparison) -> None:
    """Southport & Ormskirk's Saturday looked met beside the line of both hospitals."""
    sefton = load()
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    rows = [
        (scenario, replication, "discharges_by_weekday", where, day, "index", value)
        for scenario in ("one", "two", "three", "four")
        for replication in range(3)
        for where, value in (("all", 0.71), ("southport_ormskirk", 0.77), ("aintree", 0.6))
        for day in days
    ]
    numbers = pd.DataFrame(rows, columns=comparison.results.columns)
    shown = with_published(comparison, sefton, "one", "two", "three", "four")
    shown.__dict__["results"] = numbers
    patterns = weekdays.published_patterns(shown)
    assert {where: len(each) for where, each in patterns.items()} == {"all": 1, "southport_ormskirk": 1}
    both, southport = (figure := figure_of(shown, "weekdays")).axes
    assert southport.get_title() == "Southport & Ormskirk"
    for axes, level, name in ((both, 0.71, "England"), (southport, 0.77, "S&O")):
        assert axes.lines[0].get_ydata() == pytest.approx([level] * 7)
        (published,) = (line for line in axes.lines if str(line.get_label()).startswith("published"))
        assert name in str(published.get_label())
        assert axes.get_legend() is None  # it stood on Monday's points
        assert not axes.collections  # bands of four scenarios would hide their lines
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 4 + 2


def test_a_site_that_is_published_but_not_there() -> None:
    place = load().model_copy(update={"published": {"discharges_by_weekday | southprot_ormskirk": ["AC-33"]}})
    with pytest.raises(PlaceError, match=r"published\.discharges_by_weekday .*did you mean 'southport_ormskirk'"):
        check_names(place)


def test_a_place_without_evidence_has_no_published_weekdays(
    comparison: flowsim.Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(about, "read_register", lambda _: {})
    assert weekdays.published_patterns(with_published(comparison, comparison.places["baseline"])) == {}


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


def with_results(comparison: flowsim.Comparison, results: pd.DataFrame) -> flowsim.Comparison:
    """The same comparison with other numbers."""
    other = flowsim.Comparison(comparison.out, comparison.places)
    other.__dict__["results"] = results
    return other


def with_more(comparison: flowsim.Comparison, **added: float) -> flowsim.Comparison:
    """The baseline's numbers in both scenarios, with so much of some measures more in the other; what is NaN is one."""
    columns = list(comparison.results.columns)
    base = comparison.results[comparison.results["scenario"] == "baseline"].fillna({"value": 1.0})
    other = base.assign(scenario="more")
    for measure, more in added.items():
        rows = (other["measure"] == measure) & (other["where"] == "all")
        assert rows.any()
        other.loc[rows, "value"] += more * (1 + 0.01 * other.loc[rows, "replication"])
    return with_results(comparison, pd.concat([base, other], ignore_index=True)[columns])


def test_an_occupancy_above_100_keeps_its_interval_and_is_explained(comparison: flowsim.Comparison) -> None:
    def changed(measure: str, values: tuple[float, float, float]) -> flowsim.Comparison:
        numbers = comparison.results.copy()
        for replication, value in enumerate(values):
            rows = (numbers["measure"] == measure) & (numbers["where"] == "all")
            numbers.loc[rows & (numbers["replication"] == replication), "value"] = value
        return with_results(comparison, numbers)

    def first_cell(result: flowsim.Comparison, title: str) -> str:
        return next(row[1] for row in in_words(compare.differences(result, brief=True)) if row[0].startswith(title))

    full = changed("acute_occupancy", (100.37, 100.93, 100.61))
    assert first_cell(full, "Acute bed occupancy") == "100.6\n99.9 to 101.3"
    assert MORE_THAN_FULL in compare.differences(full, brief=True).sentences
    one = flowsim.Result(comparison.out, {"baseline": comparison.places["baseline"]})
    one.__dict__["results"] = full.results
    assert MORE_THAN_FULL in run.measures(one).sentences
    roomy = changed("acute_occupancy", (90.0, 91.0, 92.0))
    assert MORE_THAN_FULL not in compare.differences(roomy, brief=True).sentences
    shares = changed("usual_residence_share", (99.0, 99.5, 98.5))
    assert first_cell(shares, "Discharged to the usual place") == "99.0\n97.8 to 100"


@pytest.mark.parametrize(
    ("added", "told"),
    [
        ({"delayed_patients": -3.0, "boarding_hours_mean": 5.0}, "a bed +5.05 hours)"),
        (
            {"boarding_hours_mean": 5.0, "trolley_12_hour_count": 100.0},
            "for a bed over 12 hours +101 people in 28 days",
        ),
        ({"delayed_patients": 3.0, "boarding_hours_mean": 5.0}, ""),
        ({"delayed_patients": -3.0, "boarding_hours_mean": -0.1}, ""),
        ({"delayed_patients": -3.0}, ""),
    ],
)
@pytest.mark.parametrize("brief", [True, False])
def test_waiting_that_moves_to_the_emergency_department_is_told_beside_the_result(
    comparison: flowsim.Comparison, added: dict[str, float], told: str, brief: bool
) -> None:
    section = compare.differences(with_more(comparison, **added), brief)
    hidden = [sentence for sentence in section.sentences if "delayed patients hide part of the waiting" in sentence]
    assert len(hidden) == bool(told)
    assert all(sentence.startswith("More support: ") and told in sentence for sentence in hidden)


def test_deaths_that_move_are_explained_and_others_are_no_clear_change(comparison: flowsim.Comparison) -> None:
    def said(changed: flowsim.Comparison) -> tuple[str, bool]:
        section = compare.differences(changed, brief=False)
        (row,) = (row for row in in_words(section) if row[0].startswith("Deaths in hospital"))
        return row[2], compare.DEATHS_MOVE in section.sentences

    words, explained = said(with_more(comparison, deaths_in_hospital=14.0))
    assert words.startswith("+14.")
    assert explained
    assert said(with_more(comparison, deaths_in_hospital=4.0))[0].startswith("no difference that matters")
    noise = with_more(comparison, deaths_in_hospital=4.0)
    rows = (noise.results["measure"] == "deaths_in_hospital") & (noise.results["scenario"] == "more")
    noise.results.loc[rows & (noise.results["replication"] == 0), "value"] -= 9
    cell, explained = said(noise)
    assert cell.startswith("no clear change\n")
    assert not explained


def test_a_sum_says_over_how_many_days_and_a_year_only_of_one(comparison: flowsim.Comparison) -> None:
    told = (comparison.out / "summary.md").read_text(encoding="utf-8")
    assert "| Delayed bed-days (bed-days in 28 days) |" in told
    assert "## What it costs (£ in 28 days, difference)" in told
    for axes in (figure_of(comparison, "causes").axes[0], figure_of(comparison, "differences").axes[1]):
        assert axes.get_xlabel().endswith("bed-days in 28 days")
    for days, measure, words in (
        (365, "cost_total", "£ a year"),
        (366, "deaths_in_hospital", "people a year"),
        (151, "deaths_in_hospital", "people in 151 days"),
        (1, "deaths_in_hospital", "people in 1 day"),
        (151, "delayed_patients", "people"),  # a mean
    ):
        assert unit_in(measure, SimpleNamespace(days=days)) == words  # type: ignore[arg-type]


def test_a_closed_service_is_told_as_closed(comparison: flowsim.Comparison) -> None:
    numbers = comparison.results.copy()
    rows = (numbers["measure"] == SERVICE_LOAD) & (numbers["scenario"] == "more") & (numbers["of"] == "support")
    assert rows.any()
    numbers.loc[rows, "value"] = np.inf
    closed = with_results(comparison, numbers)
    (section,) = compare.breaks_next(closed)
    assert in_words(section)[0][2] == "closed"
    (doubts,) = (s for s in compare.sections(closed, brief=True) if s.heading == "What the numbers are worth")
    assert any("(closed)" in sentence for sentence in doubts.sentences)
    assert (number_or_closed(np.inf), number_or_closed(0.5)) == ("closed", Cell(0.5))


def test_titles_are_not_cut_short(comparison: flowsim.Comparison) -> None:
    title = "Fifteen per cent fewer emergency admissions, short and long alike"
    place = comparison.places["more"]
    long = place.model_copy(update={"scenario": place.scenario.model_copy(update={"title": title})})
    other = flowsim.Comparison(comparison.out, {"baseline": comparison.places["baseline"], "more": long})
    assert title in compare.differences(other, brief=True).columns
    labels = [label.get_text() for label in figure_of(other, "emergency").axes[0].get_yticklabels()]
    assert [label.replace("\n", " ") for label in labels] == ["As things are, with your settings", title]
    assert max(len(line) for label in labels for line in label.split("\n")) <= style.LONGEST_LINE


def test_tables_fit_without_cutting_a_word() -> None:
    lines = [["measure", "a column of words"], ["Readmitted within 30 days", "-8,436\n-14,431 to -2,441"]]
    assert fitting_widths(lines, 200) == [25, 17]
    assert fitting_widths(lines, 40) == [16, 17]
    assert fitting_widths(lines, 10) == [14, 7]
    console = Console(width=24, file=io.StringIO())
    print_table(lines[0], lines[1:], console, 24)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(word in printed for line in lines for text in line for word in text.split())


@pytest.mark.parametrize(
    ("value", "text"),
    [(16000.0, "16,000"), (80, "80"), (0.25, "0.250"), (1e7, "10,000,000"), ("a_name", "a name"), (True, "True")],
)
def test_settings_are_written_for_people(value: object, text: str) -> None:
    assert setting(value) == text


def test_progress_ends_with_the_time_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(4, 0) as shown:
        shown.advance(3)
        shown.advance(1, failed=1)
    start, first, last = capsys.readouterr().err.splitlines()
    assert start == "4 cells (replications x scenarios) to do."
    assert first == "3 of 4 cells done, about 1 s left."
    assert last == "4 of 4 cells done, 1 failed, in 0 s."


def test_progress_that_is_stopped_tells_how_far_it_came(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with pytest.raises(KeyboardInterrupt), Progress(4, 1):
        raise KeyboardInterrupt
    assert capsys.readouterr().err.splitlines()[-1].endswith("1 of 4 cells done, in 0 s.")


def test_the_terminal_is_brief_but_keeps_the_warnings(comparison: flowsim.Comparison) -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    terminal.show(page_of(comparison, brief=True), console)
    text = console.export_text()
    assert "What changes, compared with As things are, with your settings" in text
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
    assert entry_words(costs.released_cell(pd.DataFrame([row], index=["more"]), "more")) == text


def test_one_replication_says_that_it_has_no_interval(tmp_path: Path, comparison: flowsim.Comparison) -> None:
    single = flowsim.compare(comparison.places, 1, jobs=1, out=tmp_path / "out", progress=False)
    text = summary_of(single)
    assert "One replication: no interval" in text
    assert "nan" not in text.replace("finance", "")
    single.chart(tmp_path / "differences.png")


def test_a_failed_check_is_loud_and_an_overload_is_not(comparison: flowsim.Comparison) -> None:
    assert list(trouble.failed_checks(comparison)) == []
    lost = comparison.results.copy()
    lost.loc[lost["measure"] == "check_conservation", "value"] = 2.0
    lost.loc[lost["measure"] == "check_overloaded", "value"] = 3.0
    broken = flowsim.Comparison(comparison.out, comparison.places)
    broken.__dict__["results"] = lost
    sentences = list(trouble.failed_checks(broken))
    assert len(sentences) == 2
    assert "Check: nobody is lost (baseline): 2 people" in sentences[0]
    assert page_of(broken).sections[0].loud


def test_failures_and_notices_come_first(comparison: flowsim.Comparison) -> None:
    from flowsim.cells.jobs import Outcome

    failures = (Outcome("more", 7, 1, 0.0, "RuntimeError: no"),)
    told = flowsim.Comparison(comparison.out, comparison.places, failures, ("Mind the gap.",))
    first, second, *_ = page_of(told).sections
    assert first.sentences[0] == "more, replication 7 (seed 1): RuntimeError: no"
    assert first.sentences[-1] == f"The same command with out={comparison.out} tries them again."
    assert second.sentences == ("Mind the gap.",)


def test_usual_settings_are_those_of_an_experiment() -> None:
    assert {key: Settings.model_fields[key].default for key in USUAL} == USUAL


def test_the_report_of_one_scenario(alone: flowsim.Result) -> None:
    text = summary_of(alone)
    assert "## Headline measures" in text
    assert "## Services, the most heavily loaded first" in text


def test_assumptions_are_counted() -> None:
    place = load("place=small", scenarios_dir=PLACES)
    assert list(worth.assumptions(place, [])) == []
    (words,) = worth.assumptions(place, ["A", "C (assumption)", "B", "C"])
    assert words.startswith("2 of 4 default numbers of A small place are assumptions")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "", "0"), (1234.5, "people", "1,234"), (12.345, "days", "12.3"), (0.01234, "days", "0.0123"),
        (-3.0, "days", "-3.00"), (float("nan"), "days", "-"), (2.5e6, "£ a year", "£2.50m"), (-45678, "£", "-£46k"),
        (999.6, "", "1,000"), (100.37, "%", "100.4"), (100.0, "%", "100"), (99.64, "%", "99.6"), (100.37, "", "100"),
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
    taken = done.stamps.accepted != NEVER
    row = int(np.flatnonzero(taken)[0])
    number_of = int(done.journeys.spells.number[done.journeys.rows.spell[row]])
    larger = replace(done, stamps=replace(done.stamps, units=np.where(taken, 7, 0)))
    told = " ".join(event.text for event in story(place, way_of(larger, number_of)).events)
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
    ways = [way_of(done, number) for number in done.journeys.spells.number[:200]]
    told = [event.text for one in ways for event in story(after, one).events]
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
        "nights.parquet",
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
