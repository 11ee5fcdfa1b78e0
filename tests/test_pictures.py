"""The pictures: each keeps the contract, another one is one file, and a setting says which are drawn."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from presenting import PictureContract, figure_of, in_words, named

import flowsim
from flowsim.declare.composition import load, load_scenarios
from flowsim.declare.settings import Settings
from flowsim.folder.result import Result
from flowsim.measures.registry import HEADLINE
from flowsim.place import FlowsimNotice, PlaceError
from flowsim.present import pictures
from flowsim.present.pages.answer import changed, matters
from flowsim.present.pages.compare import differences
from flowsim.present.pages.page import Cell
from flowsim.present.pages.registry import PAGES
from flowsim.present.pictures import causes, delayed, emergency, forecast, registry, style, weekdays
from flowsim.present.pictures import differences as picture_of_differences
from flowsim.present.titles import titled
from flowsim.present.words import day_words, number, signed
from flowsim.questions.forecast import openings, weekly

PLACES = Path(__file__).parent / "places"
SMALL = ("place=small", "days=28", "warm_up_days=14")
TWO = "scenarios=[baseline,more_support]"
QUICK = {"jobs": 1, "progress": False}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> flowsim.Comparison:
    places = load_scenarios(TWO, *SMALL, scenarios_dir=PLACES)
    return flowsim.compare(places, 3, out=tmp_path_factory.mktemp("two") / "out", charts=False, **QUICK)


@pytest.fixture(scope="module")
def nobody(tmp_path_factory: pytest.TempPathFactory) -> flowsim.Comparison:
    """A place to which nobody comes, twice."""
    empty = load("place=small", "days=7", "warm_up_days=7", "scale=0.001", scenarios_dir=PLACES)
    out = tmp_path_factory.mktemp("nobody") / "out"
    return flowsim.compare({"a": empty, "b": empty}, 2, out=out, charts=False, **QUICK)


class OfAComparison(PictureContract):
    @pytest.fixture
    def result(self, compared: flowsim.Comparison) -> Result:
        return compared

    @pytest.fixture
    def nothing(self, nobody: flowsim.Comparison) -> Result:
        return nobody


class TestDifferences(OfAComparison):
    name = "differences"

    @pytest.fixture
    def nothing(self, compared: flowsim.Comparison) -> Result:
        other = flowsim.Comparison(compared.out, compared.places)
        headline = compared.results["measure"].isin(list(HEADLINE))
        other.__dict__["results"] = compared.results[~headline]
        return other

    def test_its_numbers_are_those_of_the_page(self, result: flowsim.Comparison) -> None:
        frame = picture_of_differences.data(result).frame
        page = [row[-1] for row in differences(result, brief=True).rows]
        cells = [cell for cell in page if isinstance(cell, Cell)]
        assert [(cell.value, cell.low, cell.high, cell.change) for cell in cells] == list(
            frame[["difference", "low", "high", "change"]].itertuples(index=False, name=None)
        )

    def test_its_title_has_the_numbers_and_claims_nothing_that_is_not_clear(self, result: flowsim.Comparison) -> None:
        """It said what kind of picture it is, not what was found."""
        shown = picture_of_differences.data(result)
        first = shown.frame["measure"].iloc[0]
        (row,) = result.table().query("measure == @first").to_dict("records")
        base = titled(result, result.baseline)
        now, then = number(row["baseline"]), number(row["baseline"] + row["difference"])
        assert shown.title.startswith(f"{HEADLINE[first].title}: {base} {now} people; More support {then} (")
        assert matters(row, result)
        assert f"({changed(first, row['difference'])})" in shown.title
        other = flowsim.Comparison(result.out, result.places)
        other.__dict__["differences"] = result.differences.assign(change="no clear change")
        unclear = picture_of_differences.data(other).title
        assert unclear.endswith(f"More support {then} (not clearly different)")

    def test_each_difference_can_be_read(self, result: flowsim.Comparison) -> None:
        frame = picture_of_differences.data(result).frame
        panels = [axes for axes in figure_of(result, self.name).axes if axes.get_visible()]
        for axes, (_, rows) in zip(panels, frame.groupby("measure", sort=False), strict=True):
            numbers = [signed(row["difference"], row["unit"]) for row in rows.to_dict("records")]
            assert [text.get_text() for text in axes.texts] == numbers


def test_a_place_without_wards_is_compared_by_who_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first measures were those of wards, which it has not, and delay was to be read together with none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenarios").symlink_to(PLACES)
    run, beds = ("place=ipacs", "days=28", "warm_up_days=0"), "place.services.beds.capacity"
    places = {name: flowsim.load(*run, f"{beds}={n}") for name, n in (("now", 191), ("more", 199))}
    result = flowsim.compare(places, replications=2, out=tmp_path / "out", charts=False, **QUICK)
    table = differences(result, brief=True)
    assert [row[0].partition(" (")[0] for row in table.rows] == [
        HEADLINE[name].title for name in ("care_queue_mean", "care_wait_days_mean", "unmet_need_people", "money_spent")
    ]
    assert not any("Read delay" in sentence for sentence in table.sentences)
    assert set(picture_of_differences.data(result).frame["measure"]) >= {"care_queue_mean", "care_wait_days_mean"}


def with_an_emergency_department(compared: flowsim.Comparison) -> flowsim.Comparison:
    """As if somebody was in an emergency department, which the small place has not: each measure is about 1."""
    other = flowsim.Comparison(compared.out, compared.places)
    usual = compared.results[compared.results["measure"] == "delayed_patients"]
    values = np.where(usual["scenario"] == "baseline", 1.0, 1.02)
    added = [usual.assign(measure=name, value=values) for name in emergency.EMERGENCY]
    rest = compared.results[~compared.results["measure"].isin(emergency.EMERGENCY)]
    other.__dict__["results"] = pd.concat([rest, *added], ignore_index=True)
    return other


class TestEmergency(OfAComparison):
    name = "emergency"

    @pytest.fixture
    def result(self, compared: flowsim.Comparison) -> Result:
        return with_an_emergency_department(compared)

    @pytest.fixture
    def nothing(self, compared: flowsim.Comparison) -> Result:
        other = flowsim.Comparison(compared.out, compared.places)
        other.__dict__["results"] = compared.results[~compared.results["measure"].isin(emergency.EMERGENCY)]
        return other

    def test_it_begins_with_who_waits_at_the_door(self, result: Result) -> None:
        """It had those who wait for a bed alone: hundreds outside were not seen."""
        panels = [axes.get_title().replace("\n", " ") for axes in figure_of(result, self.name).axes]
        assert panels[:2] == ["Waiting to be seen in the emergency department", "Left the emergency department unseen"]
        shown = emergency.data(result)
        base = titled(result, result.scenarios[0])
        assert shown.title.startswith(f"Waiting to be seen in the emergency department: {base} 1.00 people; ")


class TestDelayed(OfAComparison):
    name = "delayed"

    def test_the_highest_night_is_named_and_ringed(self, result: Result) -> None:
        shown = delayed.data(result)
        first, last = (result.places[result.scenarios[0]].run.date_of(minute) for minute in result.span)
        rows = shown.frame[(shown.frame["scenario"] == result.scenarios[0]) & (shown.frame["pathway"] == "")]
        rows = rows[(rows["date"] >= np.datetime64(first)) & (rows["date"] < np.datetime64(last))]
        most = rows.loc[rows["mean"].idxmax()]
        words = f"most {number(float(most['mean']), 'people')} about {day_words(most['date'])}"
        mean = number(float(rows["mean"].mean()), "people")
        assert f"{titled(result, result.scenarios[0])} {mean}, {words}" in shown.title
        axes = figure_of(result, self.name).axes[0]
        assert words in axes.get_title()
        (ring,) = (line for line in axes.lines if line.get_marker() == "o")
        assert ring.get_ydata()[0] == most["mean"]


class TestCauses(OfAComparison):
    name = "causes"

    def test_its_title_has_the_largest_and_what_it_is_of(self, result: Result) -> None:
        frame = causes.data(result).frame
        first = frame[frame["scenario"] == result.scenarios[0]]
        largest = first.loc[first["bed_days"].idxmax()]
        total = first["bed_days"].sum()
        title = causes.data(result).title
        share = f"{largest['title'][1:]} {100 * largest['bed_days'] / total:.0f} %"
        assert share in title
        assert f"of {total:,.0f} delayed bed-days" in title

    def test_two_that_are_not_clearly_apart_are_both_named(self, result: Result) -> None:
        other = flowsim.Comparison(result.out, result.places)
        rows = result.results[result.results["measure"] == "delayed_bed_days_by_cause"]
        names = ["task: referral", "capacity: support"]
        rows = rows.drop_duplicates(["scenario", "replication"])
        level = [rows.assign(of=name, where="all", value=100.0 + at * (rows["replication"] % 2 - 0.4))
                 for at, name in enumerate(names)]  # fmt: skip
        other.__dict__["results"] = pd.concat(level, ignore_index=True)
        assert causes.data(other).title.endswith("neither clearly ahead of the other")
        other.__dict__["results"] = pd.concat([level[0].assign(value=900.0), level[1]], ignore_index=True)
        assert "neither" not in causes.data(other).title


def test_causes_drawn_together_are_told_apart() -> None:
    """Closed and at work, an assessment was in one blue, with other hatches: as good as the same beside each other."""
    known = causes.subjects_of(flowsim.Result(Path(), {"one": load()}))
    pair = [known["calendar: assessment"], known["task: assessment"]]
    assert style.distance(*(causes.colour_and_hatch(one)[0] for one in pair)) >= causes.TOLD_APART
    names, draws = sorted(known), np.random.default_rng(1)
    sets = [[known[name] for name in draws.choice(names, causes.MOST_CAUSES, replace=False)] for _ in range(40)]
    for subjects in [pair, *sets]:
        looks = causes.colours_and_hatches([*subjects, causes.Subject("")])
        assert len(set(looks.values())) == len(looks)
        colours = [colour for colour, _ in looks.values()]
        assert min(style.distance(*two) for two in itertools.combinations(colours, 2)) >= causes.TOLD_APART
    assert style.distance(style.GREEN, style.GREY) < causes.TOLD_APART < style.distance(style.BLUE, style.ORANGE)


@pytest.mark.parametrize("name", ["differences", "emergency"])
def test_no_line_runs_through_a_number(name: str, compared: flowsim.Comparison) -> None:
    """The dotted line of things as they are ran through the numbers of the scenarios."""
    with style.in_style():
        canvas = style.laid_out(figure_of(with_an_emergency_department(compared), name))
        canvas.draw()
    crossed = 0
    for axes in canvas.figure.axes:
        for text in axes.texts:
            box = text.get_window_extent()
            for line in axes.lines:
                if line.get_transform().transform_path(line.get_path()).intersects_bbox(box, filled=False):
                    crossed += 1
                    assert text.get_bbox_patch().get_facecolor() == (1, 1, 1, 1)
                    assert text.zorder > line.zorder
    assert crossed


class TestWeekdays(OfAComparison):
    name = "weekdays"

    def test_its_title_names_the_days_with_most_and_fewest(self, result: Result) -> None:
        shown = weekdays.data(result)
        rows = shown.frame[(shown.frame["where"] == "all") & (shown.frame["series"] == result.scenarios[0])]
        days = rows.set_index("weekday")["mean"]
        assert f"most on {days.idxmax().title()} ({number(days.max())})" in shown.title
        assert f"fewest on {days.idxmin().title()} ({number(days.min())})" in shown.title


class TestWarmUp(OfAComparison):
    name = "warm_up"
    measured = ("value",)


class TestForecast(PictureContract):
    name = "forecast"

    @pytest.fixture(scope="class")
    @classmethod
    def result(cls, tmp_path_factory: pytest.TempPathFactory) -> Result:
        folder = tmp_path_factory.mktemp("census")
        (folder / "small.csv").write_text("service,where,state,people\nwards,general,in stage,40\n", encoding="utf-8")
        place = load("place=small", f"census={folder / 'small.csv'}", "days=14", scenarios_dir=PLACES)
        return flowsim.run(place, 3, out=folder / "out", charts=False, **QUICK)

    @pytest.fixture
    def nothing(self, compared: flowsim.Comparison) -> Result:
        return compared

    def test_the_highest_week_stands_above_its_panel_and_in_the_title(self, result: Result) -> None:
        """Its peak was not named."""
        bands = weekly(result)
        for axes, (series, rows) in zip(
            [axes for axes in figure_of(result, self.name).axes if axes.get_visible()],
            named("forecast").data(result).frame.groupby("series", sort=False), strict=True,
        ):  # fmt: skip
            own = bands[bands["series"] == series]
            top = own.sort_values(["median", "high_90"], ascending=False, kind="stable").iloc[0]
            told = f"highest: {number(top['median'])} ({number(top['low_10'])} to {number(top['high_90'])}) in the week"
            assert axes.texts[-1].get_text().startswith(told), series
            assert f"{top['week'].day} {top['week']:%B}" in axes.texts[-1].get_text()
            numbers = [text.get_text() for text in axes.texts]
            assert {number(value) for value in rows["median"]} <= set(numbers)
        delayed = bands[bands["series"] == "Delayed patients"]["median"].max()
        assert f"delayed {number(delayed)} (" in named("forecast").data(result).title

    def test_who_waits_outside_stands_beside_who_waits_for_a_bed(self, result: Result) -> None:
        """A calm queue for a bed stood alone, or far from hundreds who waited to be seen, on an axis of its own."""
        shown = named("forecast").data(result)
        first = shown.frame[shown.frame["series"] == "Delayed patients"]
        level = {"median": 400.0, "low_10": 300.0, "low_25": 350.0, "high_75": 450.0, "high_90": 500.0, "open": np.nan}
        added = [first.assign(series=forecast.BOARDING, **{key: v / 8 for key, v in level.items()}),
                 first.assign(series=forecast.TO_BE_SEEN, **level)]  # fmt: skip
        frame = pd.concat([*added, shown.frame], ignore_index=True)
        figure = forecast.draw(dataclasses.replace(shown, frame=frame))
        left, right = figure.axes[:2]
        assert left.get_title() == "Waiting in the emergency department for a bed"
        assert right.get_title() == "Waiting to be seen in the emergency department"
        assert left.get_ylim() == right.get_ylim()

    def test_bands_of_several_scenarios_are_edges(self, result: Result) -> None:
        """Their filled colours lay over each other and mixed to mud."""
        shown = named("forecast").data(result)
        (one,) = shown.scenarios
        frame = pd.concat([shown.frame, shown.frame.assign(scenario="other")], ignore_index=True)
        two = dataclasses.replace(shown, frame=frame, scenarios={one: "One", "other": "Other"})
        assert all(axes.collections for axes in forecast.draw(shown).axes if axes.get_visible())
        assert not any(axes.collections for axes in forecast.draw(two).axes)

    def test_extra_beds_are_marked_where_half_of_the_runs_have_opened_them(self, tmp_path: Path) -> None:
        (tmp_path / "small.csv").write_text("service,where,state,people\nwards,general,in stage,40\n", encoding="utf-8")
        rule = "+place.services.wards.escalation={more: {add: 4, open_at: 1, close_at: 0, looks: '08:00, 16:00'}}"
        place = load("place=small", rule, f"census={tmp_path / 'small.csv'}", "days=14", scenarios_dir=PLACES)
        result = flowsim.run(place, 3, out=tmp_path / "out", charts=False, **QUICK)
        extra = result.nights.query("state == 'extra beds' and count > 0")
        opened = openings(result)
        assert len(opened)
        for row in opened.to_dict("records"):
            first = extra[extra["of"] == "wards"].groupby("replication")["date"].min().sort_values()
            assert row["runs"] == len(first)
            assert row["date"] == first.iloc[1]
        words = [text.get_text() for axes in figure_of(result, self.name).axes for text in axes.texts]
        assert f"extra beds by {row['date'].day} {row['date']:%B}, {row['runs']} of 3 runs" in words


class OfASweep(PictureContract):
    words: tuple[str, ...]
    """What is varied."""

    @pytest.fixture(scope="class")
    @classmethod
    def result(cls, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Result]:
        out = tmp_path_factory.mktemp("swept") / "out"
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(out.parent)
            (out.parent / "scenarios").symlink_to(PLACES)
            yield flowsim.sweep(*SMALL, *request.cls.words, replications=2, out=out, charts=False, **QUICK)

    @pytest.fixture
    def nothing(self, result: flowsim.Sweep) -> Result:
        other = flowsim.Sweep(result.out, result.places)
        other.__dict__["points"] = result.points.iloc[:, :1].assign(a=1, b=2, c=3)
        return other


SUPPORT, WARDS = "place.services.support.capacity", "place.services.wards.capacity"


class TestLines(OfASweep):
    name = "lines"
    words = (f"{SUPPORT}=10,20,30",)


class OfRankedPoints(OfASweep):
    """Of which nothing is left where no point has a number."""

    @pytest.fixture
    def nothing(self, result: flowsim.Sweep) -> Result:
        other = flowsim.Sweep(result.out, result.places)
        other.__dict__["_table"] = result.table()[:0]
        return other


class TestOptions(OfRankedPoints):
    name = "options"
    words = (f"{SUPPORT}=10,20,30",)


class TestPath(OfASweep):
    name = "path"
    words = (f"{SUPPORT}=path(-20%,3)",)


class TestHeat(OfASweep):
    name = "heat"
    words = (f"{SUPPORT}=10,20", f"{WARDS}=30,40")


class TestParallel(OfRankedPoints):
    name = "parallel"
    words = (f"{SUPPORT}=10,20", f"{WARDS}=30,40", "policy_start=2024-04-01,2024-04-11")


class TestAgainst(OfASweep):
    name = "against"
    words = (f"{WARDS}=30,40,50",)

    @pytest.fixture
    def nothing(self, result: flowsim.Sweep) -> Result:
        other = flowsim.Sweep(result.out, result.places)
        other.__dict__["results"] = result.results[:0]
        return other


def test_every_picture_is_tested_by_the_contract() -> None:
    kinds = [PictureContract]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert {one.name for one in registry.every_picture()} == {kind.name for kind in kinds if hasattr(kind, "name")}


# -- another picture ---------------------------------------------------------------------------------------------------

TOY = '''
"""How many rows of results each scenario has."""

from matplotlib.figure import Figure

from flowsim.present.pictures.picture import EXPERIMENTS, Data, Picture
from flowsim.present.pictures.style import finish


def data(result):
    frame = result.results.groupby("scenario").size().rename("rows").astype(float).reset_index()
    return Data(frame=frame, title="Rows of results", caption="Counted.")


def draw(data):
    figure = Figure(figsize=(6, 3))
    figure.subplots().barh(data.frame["scenario"], data.frame["rows"])
    finish(figure, data)
    return figure


PICTURE = Picture("toy", 5, EXPERIMENTS, data, draw)
'''


@pytest.fixture
def with_a_toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The one file that another picture takes, in the folder of pictures."""
    (tmp_path / "toy_picture.py").write_text(textwrap.dedent(TOY), encoding="utf-8")
    monkeypatch.setattr(pictures, "__path__", [*pictures.__path__, str(tmp_path)])
    registry.every_picture.cache_clear()
    yield
    registry.every_picture.cache_clear()
    sys.modules.pop("flowsim.present.pictures.toy_picture", None)


@pytest.mark.usefixtures("with_a_toy")
def test_another_picture_is_one_file(compared: flowsim.Comparison, tmp_path: Path) -> None:
    """It is found, stands in its order, is drawn by what asks its questions and refused by others."""
    assert [one.name for one in registry.pictures_of("compare")][:2] == ["toy", "differences"]
    assert "toy" not in [one.name for one in registry.pictures_of("sweep")]
    assert registry.save_all(compared, tmp_path / "charts", (".png",))[0].name == "toy.png"
    assert compared.chart(tmp_path / "toy.svg", "toy").is_file()
    compared.finish("png")
    told = (compared.out / "summary.md").read_text(encoding="utf-8")
    assert told.index("charts/toy.png") < told.index("charts/differences.png")
    assert figure_of(compared, "toy").get_suptitle() == "Rows of results"


# -- charts= -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("charts", "endings"), [(True, {".png", ".svg"}), ("png", {".png"}), (False, set())], ids=["true", "png", "false"]
)
def test_the_setting_says_which_pictures_are_drawn(charts: bool | str, endings: set[str], tmp_path: Path) -> None:
    """The summary refers only to pictures that are there."""
    place = load(*SMALL, scenarios_dir=PLACES)
    done = flowsim.run(place, 1, out=tmp_path / "out", charts=charts, **QUICK)
    assert {path.suffix for path in (done.out / "charts").glob("*")} == endings
    told = (done.out / "summary.md").read_text(encoding="utf-8")
    assert ("![" in told) == bool(charts)
    assert "## Headline measures" in told


def test_without_pictures_nothing_of_matplotlib_is_imported(tmp_path: Path) -> None:
    lines = f"""
        import sys, flowsim
        from flowsim.cli.main import main
        quick = ["place=small", "days=14", "warm_up_days=7", "replications=1", "jobs=1", "charts=false"]
        assert main(["run", *quick, "out=one"]) == 0
        assert main(["compare", "{TWO}", *quick, "out=two"]) == 0
        assert main(["sweep", "{SUPPORT}=10,20", *quick, "out=three"]) == 0
        print(sorted(name for name in sys.modules if name.startswith("matplotlib")))
    """
    (tmp_path / "scenarios").symlink_to(PLACES)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(lines)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert not list(tmp_path.glob("*/charts"))


def test_a_setting_that_is_none_of_them_is_refused() -> None:
    with pytest.raises(PlaceError, match="charts: 'svg' was given; allowed: true or false or 'png'"):
        Settings(charts="svg")  # type: ignore[arg-type]


# -- questions ---------------------------------------------------------------------------------------------------------


def test_every_question_has_a_page_and_pictures() -> None:
    for question in PAGES:
        assert registry.pictures_of(question), question


def test_a_table_in_words_has_as_many_cells_as_columns(compared: flowsim.Comparison) -> None:
    for brief in (True, False):
        for section in PAGES["compare"].sections(compared, brief):
            assert all(len(row) == len(section.columns) for row in in_words(section)), section.heading


def test_a_picture_in_another_format_is_refused(compared: flowsim.Comparison, tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match=r"x\.jpg' was given; allowed: a name ending in \.png or \.svg"):
        style.write(lambda: figure_of(compared, "delayed"), tmp_path / "x.jpg")


pytestmark = pytest.mark.filterwarnings(f"ignore::{FlowsimNotice.__module__}.{FlowsimNotice.__name__}")
