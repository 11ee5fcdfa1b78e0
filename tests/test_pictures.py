"""The pictures: each keeps the contract, another one is one file, and a setting says which are drawn."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from presenting import PictureContract, figure_of, in_words

import flowsim
from flowsim.declare.composition import load, load_scenarios
from flowsim.declare.settings import Settings
from flowsim.folder.result import Result
from flowsim.measures.registry import HEADLINE
from flowsim.place import FlowsimNotice, PlaceError
from flowsim.present import pictures
from flowsim.present.pages.compare import differences
from flowsim.present.pages.page import Cell
from flowsim.present.pages.registry import PAGES
from flowsim.present.pictures import differences as picture_of_differences
from flowsim.present.pictures import emergency, registry, style

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


class TestEmergency(OfAComparison):
    name = "emergency"

    @pytest.fixture
    def result(self, compared: flowsim.Comparison) -> Result:
        """Where somebody was in an emergency department, which the small place has none of."""
        other = flowsim.Comparison(compared.out, compared.places)
        other.__dict__["results"] = compared.results.fillna({"value": 1.0})
        return other

    @pytest.fixture
    def nothing(self, compared: flowsim.Comparison) -> Result:
        other = flowsim.Comparison(compared.out, compared.places)
        other.__dict__["results"] = compared.results[~compared.results["measure"].isin(emergency.EMERGENCY)]
        return other


class TestDelayed(OfAComparison):
    name = "delayed"


class TestCauses(OfAComparison):
    name = "causes"


class TestWeekdays(OfAComparison):
    name = "weekdays"


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


class TestOptions(OfASweep):
    name = "options"
    words = (f"{SUPPORT}=10,20,30",)

    @pytest.fixture
    def nothing(self, result: flowsim.Sweep) -> Result:
        other = flowsim.Sweep(result.out, result.places)
        other.__dict__["_table"] = result.table()[:0]
        return other


class TestPath(OfASweep):
    name = "path"
    words = (f"{SUPPORT}=path(-20%,3)",)


class TestHeat(OfASweep):
    name = "heat"
    words = (f"{SUPPORT}=10,20", f"{WARDS}=30,40")


class TestParallel(OfASweep):
    name = "parallel"
    words = (f"{SUPPORT}=10,20", f"{WARDS}=30,40", "policy_start=2024-04-01,2024-04-11")

    @pytest.fixture
    def nothing(self, result: flowsim.Sweep) -> Result:
        other = flowsim.Sweep(result.out, result.places)
        other.__dict__["_table"] = result.table()[:0]
        return other


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
