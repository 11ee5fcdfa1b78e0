"""Asking a results folder: SQL over its views, answers as files, and a catalogue made from the cells alone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from flowsim.cells import replicate
from flowsim.cli import main as cli
from flowsim.cli.results import two_of
from flowsim.declare.composition import load
from flowsim.declare.settings import Settings
from flowsim.folder.catalogue import ask, catalogue, rebuild
from flowsim.folder.result import Result
from flowsim.folder.store import Store
from flowsim.place import Place, PlaceError
from flowsim.questions.compare import Comparison, compare

PLACES = Path(__file__).parent / "places"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenarios, three replications, one of which failed."""
    out = tmp_path_factory.mktemp("kept") / "out"
    places = {
        "base": load("place=small", "days=14", "warm_up_days=7", scenarios_dir=PLACES),
        "more": load("place=small", "scenario=more_support", "days=14", "warm_up_days=7", scenarios_dir=PLACES),
    }
    simulate = replicate.simulate

    def fails_once(place: Place, seed: int, replication: int, *rest: object) -> object:
        if replication == 2 and place == places["more"]:
            raise RuntimeError("the ceiling came down")
        return simulate(place, seed, replication, *rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replicate, "simulate", fails_once)
        compare(places, Settings(replications=3, seed=4, jobs=1, out=out, progress=False))
    return out


@pytest.fixture
def out(kept: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copytree(kept, tmp_path / "out"))


def test_results_are_asked_in_sql(kept: Path) -> None:
    answer = ask(
        Store(kept),
        "select scenario, avg(value) as mean from results where measure = 'delayed_patients' and \"where\" = 'all' "
        "and of = '' group by scenario order by scenario",
    ).set_index("scenario")["mean"]
    own = Result.read(kept).results.query("measure == 'delayed_patients' and where == 'all' and of == ''")
    pd.testing.assert_series_equal(answer, own.groupby("scenario")["value"].mean(), check_names=False)


def test_totals_are_the_results_of_the_whole_place(out: Path) -> None:
    answer = ask(Store(out), 'select distinct "where", "of" from totals')
    assert answer.to_numpy().tolist() == [["all", ""]]
    both = ask(Store(out), "select (select count(*) from totals) as t, (select count(*) from results) as r")
    assert 0 < both["t"][0] < both["r"][0]


def test_the_nights_are_there_whether_they_were_assembled_or_not(out: Path) -> None:
    sql = "select scenario, state, sum(count) as total from nights group by all order by all"
    before = ask(Store(out), sql)
    assert len(before) > 3
    (out / "nights.parquet").unlink()
    pd.testing.assert_frame_equal(ask(Store(out), sql), before)


def test_cells_scenarios_and_settings_are_views(kept: Path) -> None:
    failed = ask(Store(kept), "select * from cells where state = 'failed'")
    assert failed[["scenario", "replication", "seed"]].values.tolist() == [["more", 2, 4]]
    assert failed["error"][0].startswith("RuntimeError: the ceiling came down")
    assert ask(Store(kept), "select count(*) as n from cells where state = 'finished'")["n"].tolist() == [5]
    scenarios = ask(Store(kept), "select * from scenarios").set_index("scenario")
    assert scenarios["replications"].to_dict() == {"base": 3, "more": 2}
    assert "place.services.support.capacity: 20 -> 30" in scenarios.loc["more", "changes"]
    capacity = ask(Store(kept), "select scenario, value from settings where key = 'place.services.support.capacity'")
    assert capacity.values.tolist() == [["base", "20.0"], ["more", "30.0"]]


@pytest.mark.parametrize("sql", ["select count(*) from cells", "selec"])
def test_the_command_ends_without_a_word_too_many(kept: Path, sql: str) -> None:
    code = "import sys; from flowsim.cli.main import main; sys.exit(main())"  # as installed: in a process of its own
    done = subprocess.run([sys.executable, "-c", code, "results", str(kept), sql], capture_output=True, text=True)
    assert len(done.stderr.splitlines()) == (sql == "selec")


def test_a_mistake_in_sql_is_one_sentence(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["results", str(kept), "select * from totlas"]) == cli.MISTAKE
    assert capsys.readouterr().err == (
        "flowsim: results: 'totlas' was given; allowed: a table: results, totals, nights, cells, scenarios, settings "
        "(did you mean 'totals'?).\n"
    )
    for sql in ("selct 1", "select nothing from results", "select 'a"):
        assert cli.main(["results", str(kept), sql]) == cli.MISTAKE
        told = capsys.readouterr().err
        assert told.startswith(f"flowsim: results: {sql!r} was given, which DuckDB does not take (")
        assert told.count("\n") == 1
    assert cli.main(["results", str(kept / "nowhere")]) == cli.MISTAKE
    assert "nowhere' was given, where no folder is; allowed: one that run, compare" in capsys.readouterr().err
    assert cli.main(["results", str(kept), "select 1", "to=answer.txt"]) == cli.MISTAKE
    assert "a file ending in .csv, .parquet" in capsys.readouterr().err
    assert cli.main(["results"]) == cli.MISTAKE


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (
            "measure = 'delayed_patient'",
            "Nothing matches: no measure is called 'delayed_patient' (did you mean 'delayed_patients'?)",
        ),
        (
            "\"measure\" in ('acute_occupancy', 'acute_occupanc')",
            "Note: no measure is called 'acute_occupanc' (did you mean 'acute_occupancy'?)",
        ),
        ("scenario='mor'", "no scenario is called 'mor' (did you mean 'more'?)"),
        ("value < -7e99", "Nothing matched."),
    ],
)
def test_a_question_that_finds_nothing_is_told_why(
    kept: Path, capsys: pytest.CaptureFixture[str], where: str, said: str
) -> None:
    for what in ("avg(value)", "*"):
        assert cli.main(["results", str(kept), f"select {what} from totals where {where}"]) == 0
        assert said in capsys.readouterr().err


def test_a_question_that_finds_something_is_answered_without_a_word(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = "select * from totals where measure = 'delayed_patients' and scenario in ('base', 'more')"
    assert cli.main(["results", str(kept), sql]) == 0
    assert capsys.readouterr().err == ""


def test_without_sql_the_headline_measures_are_told(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["results", str(kept)]) == 0
    told = capsys.readouterr().out
    assert "Delayed patients (people)" in told
    assert "base" in told
    assert "more" in told


def test_answers_are_written_to_files(kept: Path, tmp_path: Path) -> None:
    sql = "select scenario, replication, value from results where measure = 'delayed_bed_days' order by all"
    for ending, read in ((".csv", pd.read_csv), (".parquet", pd.read_parquet)):
        path = tmp_path / f"answer{ending}"
        assert cli.main(["results", str(kept), sql, f"to={path}"]) == 0
        assert list(read(path)["scenario"].unique()) == ["base", "more"]


def test_without_duckdb_it_is_said_what_to_install(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(PlaceError, match="SQL needs DuckDB"):
        ask(Store(kept), "select 1")


def test_the_catalogue_is_made_from_the_files_alone(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = {name: (out / name).read_bytes() for name in ("results.parquet", "nights.parquet")}
    for name in ("manifest.json", *tables):
        (out / name).unlink()
    assert set(catalogue(Store(out))["scenario"]) == {"base", "more"}
    assert cli.main(["results", str(out), "rebuild"]) == 0
    assert capsys.readouterr().out == "base: 3 cells\nmore: 2 cells\n"
    assert {name: (out / name).read_bytes() for name in tables} == tables
    assert Result.read(out).places["more"].services["support"].capacity == 30
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["seed"], manifest["status"]) == (4, "rebuilt")


def test_rebuilding_sets_damaged_cells_aside(out: Path) -> None:
    first = sorted(out.glob("cells/*/*.parquet"))[0]
    first.write_bytes(first.read_bytes()[:100])
    done, notices = rebuild(Store(out))
    assert sum(done.values()) == 4
    assert len(notices) == 1
    assert "its checksum is wrong" in notices[0]
    assert [path.name for path in (out / "cells" / "set_aside").iterdir()] == [f"{first.parent.name}-{first.name}"]
    with pytest.raises(PlaceError, match="holds no cells"):
        rebuild(Store(out / "config"))


def test_an_older_configuration_stays_in_the_catalogue(out: Path) -> None:
    other = load("place=small", "days=14", "warm_up_days=7", "place.services.support.capacity=25", scenarios_dir=PLACES)
    base = load("place=small", "days=14", "warm_up_days=7", scenarios_dir=PLACES)
    found = compare({"base": base, "more": other}, Settings(replications=1, seed=4, jobs=1, out=out, progress=False))
    assert "capacity is 30.0 there and 25.0 here" in " ".join(found.notices)
    cells = catalogue(Store(out))
    assert cells.groupby("key").size().tolist().count(1) == 1
    assert len(cells) == 6
    done, _ = rebuild(Store(out))
    assert sorted(done) == ["base", "more", "more_2"]


# -- two of them -------------------------------------------------------------------------------------------------------


def test_two_scenarios_are_asked_for(kept: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The second is compared with the first, as after a comparison of these two; nothing is run or written."""
    before = {path: path.stat().st_mtime_ns for path in kept.rglob("*")}
    assert cli.main(["results", str(kept), "pair=more,base"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.startswith("A small place: As things are against More support. Measured from ")
    assert "in More support" in printed
    assert "What changes: " in printed
    assert "summary.md" not in printed  # which tells of more than these
    assert cli.main(["results", str(kept), "pair=more,base", "detail=all"]) == 0
    assert "What changes, compared with More support" in capsys.readouterr().out
    path = tmp_path / "pair.csv"
    assert cli.main(["results", str(kept), "pair=more,base", f"to={path}"]) == 0
    written, whole = pd.read_csv(path), Comparison.read(kept).table()
    assert written["difference"].to_numpy() == pytest.approx(-whole["difference"].to_numpy(), nan_ok=True)
    assert before == {path: path.stat().st_mtime_ns for path in kept.rglob("*")}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("pair=base,mor",), "pair: 'mor' was given; allowed: two of base, more .did you mean 'more'"),
        (("pair=more",), "pair: 'more' was given; allowed: A,B, two of base, more"),
        (("pair=more,more",), "pair: 'more' was given twice"),
        (("pair=a,b", "pair=base,more"), "pair: 'base,more' was given a second time"),
        (("pair=base,more", "detail=some"), "detail: 'some' was given"),
        (("detail=all",), "detail: 'all' was given; allowed: beside pair=A,B"),
        (("pair=base,more", "select 1"), "allowed: OUT, SQL in quotes or pair=A,B"),
    ],
)
def test_two_that_cannot_be(
    kept: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    assert cli.main(["results", str(kept), *words]) == cli.MISTAKE
    assert re.search(sentence, capsys.readouterr().err)


def test_names_may_have_commas_of_their_own() -> None:
    names = ["baseline", "support=10,wards=30", "support=20,wards=30"]
    assert two_of(",".join(names[1:]), names) == tuple(names[1:])
    assert two_of(",".join(names[:2]), names) == tuple(names[:2])


# -- nothing but the folder --------------------------------------------------------------------------------------------


def test_sql_reads_and_writes_no_other_file(kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret, written = tmp_path / "secret.csv", tmp_path / "written.csv"
    secret.write_text("word\nhush\n", encoding="utf-8")
    for sql in (
        f"select * from read_csv('{secret}')",
        f"select * from '{secret}'",
        f"copy (select 1) to '{written}'",
        f"attach '{tmp_path / 'other.db'}'",
        f"set enable_external_access = true; select * from read_csv('{secret}')",
        "select * from connection",  # nor what Python has
    ):
        assert cli.main(["results", str(kept), sql]) == cli.MISTAKE, sql
        shown = capsys.readouterr()
        assert "hush" not in shown.out + shown.err
        assert "Traceback" not in shown.err
    assert {path.name for path in tmp_path.iterdir()} == {"secret.csv"}
    assert cli.main(["results", str(kept), f"select * from read_csv('{secret}')"]) == cli.MISTAKE
    assert "unsafe=true, with which SQL may read and write any file of yours" in capsys.readouterr().err
    assert cli.main(["results", str(kept), f"select * from read_csv('{secret}')", "unsafe=true"]) == 0
    assert "hush" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["unsafe=maybe", "select 1"], ["unsafe=true"], ["unsafe=true", "rebuild"]])
def test_unsafe_is_true_or_false_beside_sql(kept: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["results", str(kept), *words]) == cli.MISTAKE
    assert "allowed: true or false, beside SQL" in capsys.readouterr().err
