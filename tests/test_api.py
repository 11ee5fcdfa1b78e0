"""Python: what `import flowsim` offers, and that it says the same as the command line, every time."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import flowsim
from flowsim.cli import main as cli

ROOT = Path(__file__).parents[1]
PLACES = ROOT / "tests" / "places"
SHORT = ("place=small", "days=14", "warm_up_days=7")
QUIET = {"replications": 2, "jobs": 1, "progress": False}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has the small places as its own."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copytree(PLACES, folder / "scenarios")
    return folder


@pytest.fixture(autouse=True)
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(home)
    return home


@pytest.fixture(scope="module")
def told(home: Path) -> Path:
    """The results folder of a comparison made from the command line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        return command("told")


def command(out: str) -> Path:
    words = ("compare", *SHORT, "scenarios=[baseline,more_support]", "replications=2", "jobs=1", f"out={out}")
    assert cli.main(words) == 0
    return Path(out).resolve()


def every_file(folder: Path) -> dict[str, bytes]:
    """All files of a results folder but the account of how long it took.

    Names of clip paths in SVG are left out: Matplotlib hashes them from positions whose last bit its layout solver does
    not always repeat.
    """
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: re.sub(rb"\bp[0-9a-f]{10}\b", b"", path.read_bytes()) if path.suffix == ".svg" else path.read_bytes()
        for name, path in files.items()
        if name != "manifest.json"
    }


def test_all_that_is_offered_is_there() -> None:
    assert sorted(flowsim.__all__) == dir(flowsim)
    for name in flowsim.__all__:
        assert getattr(flowsim, name) is not None


def test_the_same_command_twice_gives_the_same_bytes_charts_and_summary_too(told: Path) -> None:
    one, two = every_file(told), every_file(command("again"))
    charts = {"charts/differences.svg", "charts/delayed.png"}
    assert {"comparison.csv", "nights.parquet", "summary.md", *charts} <= set(one)
    assert [name for name in one if one[name] != two.get(name)] == []
    assert set(one) == set(two)


def test_python_and_the_command_line_say_the_same(told: Path) -> None:
    places = [flowsim.load(*SHORT), flowsim.load(*SHORT, "scenario=more_support")]
    given, read = flowsim.compare(places, out="given", **QUIET), flowsim.read(told)
    pd.testing.assert_frame_equal(read.table(), given.table())
    pd.testing.assert_frame_equal(read.results, given.results)


def test_a_run_is_the_baseline_of_a_comparison(told: Path) -> None:
    """The same people come, whatever is compared with what."""
    alone, both = flowsim.run(flowsim.load(*SHORT), out="alone", **QUIET), flowsim.read(told).results
    assert isinstance(alone, flowsim.Result)
    pd.testing.assert_frame_equal(alone.results, both[both["scenario"] == "baseline"].reset_index(drop=True))
    for frame in (alone.results, alone.nights, alone.summary()):
        assert not frame.empty


def test_a_place_cannot_be_changed_behind_its_back() -> None:
    place = flowsim.load(*SHORT)
    with pytest.raises(ValueError, match="frozen"):
        place.title = "Elsewhere"


def test_a_mistake_is_one_sentence() -> None:
    with pytest.raises(flowsim.PlaceError, match=r"did you mean 'support'") as told:
        flowsim.load(*SHORT, "place.services.suport.capacity=12")
    assert "\n" not in str(told.value)


def test_an_answer_is_one_class_of_questions_and_shows_itself(told: Path) -> None:
    """Nothing is put on top of it in `api`; whoever makes one without `api` is told what is missing."""
    answer = flowsim.read(told)
    assert type(answer).__module__ == "flowsim.questions.compare"
    assert answer.chart(told / "again.svg").is_file()
    (told / "again.svg").unlink()
    code = "from flowsim.folder.result import Result; import sys; Result.read(sys.argv[1]).show()"
    done = subprocess.run([sys.executable, "-c", code, told], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "import flowsim.api first" in done.stderr


def test_a_configuration_may_be_given_as_a_path(told: Path) -> None:
    again = flowsim.run(told / "config" / "more_support.yaml", out="from_a_path", **QUIET)
    before = flowsim.read(told).results
    before = before[before["scenario"] == "more_support"].reset_index(drop=True)
    pd.testing.assert_frame_equal(again.results, before)
