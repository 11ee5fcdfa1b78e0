"""Running, storing, resuming: a results folder is the same however it came about and holds what it says."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import flowsim
from flowsim.cells import replicate, runner
from flowsim.cells.runner import default_replications, warm_up_notice
from flowsim.cells.window import window_span
from flowsim.cli import main as cli
from flowsim.declare.composition import load
from flowsim.declare.settings import ENGINES, Settings
from flowsim.folder import cell_file as cells
from flowsim.folder import configuration, machine
from flowsim.folder.configuration import read_config
from flowsim.folder.result import Result
from flowsim.folder.store import Store
from flowsim.place import FlowsimNotice, Place, PlaceError
from flowsim.present.pictures import emergency
from flowsim.questions import compare as comparing
from flowsim.statistics.warm_up import judged, mser5

PLACES = Path(__file__).parent / "places"
DATA = ("results.parquet", "nights.parquet")


def run(place: Place, **settings: Any) -> Result:
    return runner.run(place, Settings(**settings))


def compare(places: dict[str, Place], **settings: Any) -> comparing.Comparison:
    return comparing.compare(places, Settings(**settings))


def small(*overrides: str) -> Place:
    return load("place=small", "days=21", "warm_up_days=14", *overrides, scenarios_dir=PLACES)


BASE = small()
MORE = small("place.services.support.capacity=30")


def same(a: Path, b: Path, *names: str) -> None:
    for name in names:
        assert (a / name).read_bytes() == (b / name).read_bytes(), name


# -- the same, however it came about -----------------------------------------------------------------------------------


def test_serial_equals_parallel_and_twice_is_the_same(tmp_path: Path) -> None:
    for name, jobs in (("serial", 1), ("parallel", 2), ("again", 1)):
        compare({"base": BASE, "more": MORE}, replications=3, jobs=jobs, out=tmp_path / name, progress=False)
    for other in ("parallel", "again"):
        same(tmp_path / "serial", tmp_path / other, *DATA, "comparison.csv", "config/base.yaml")


def test_the_compiled_engine_fills_the_same_folder(tmp_path: Path) -> None:
    places = {"base": BASE, "more": MORE}
    for engine in ENGINES:
        compare(places, replications=2, jobs=1, engine=engine, out=tmp_path / engine, progress=False)
    same(tmp_path / "reference", tmp_path / "compiled", *DATA, "comparison.csv")


def test_rows_are_tidy_and_complete(tmp_path: Path) -> None:
    result = run(BASE, replications=2, jobs=1, out=tmp_path / "out", progress=False)
    assert list(result.results) == ["scenario", "replication", "measure", "where", "of", "unit", "value"]
    assert list(result.nights) == ["scenario", "replication", "date", "where", "of", "state", "count"]
    assert not result.results.duplicated(["scenario", "replication", "measure", "where", "of"]).any()
    assert result.nights["date"].nunique() == 35
    assert result.nights["date"].min() == pd.Timestamp(BASE.run.first_date)
    summary = result.summary().set_index("measure")
    assert summary.loc["delayed_patients", "n"] == 2
    assert summary.loc["delayed_patients", "low"] <= summary.loc["delayed_patients", "mean"]


def test_the_written_configuration_runs_again(tmp_path: Path) -> None:
    scenario = small("scenario=more_support")
    run(scenario, replications=1, jobs=1, out=tmp_path / "first", progress=False)
    again = read_config(tmp_path / "first" / "config" / "more_support.yaml")
    assert again == scenario
    run(again, replications=1, jobs=1, out=tmp_path / "second", progress=False)
    same(tmp_path / "first", tmp_path / "second", *DATA)


def test_the_manifest_says_how_it_was_made(tmp_path: Path) -> None:
    run(BASE, replications=1, seed=7, jobs=1, out=tmp_path / "out", progress=False, command="flowsim run seed=7")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["command"] == "flowsim run seed=7"
    assert (manifest["seed"], manifest["engine"], manifest["status"]) == (7, "compiled", "complete")
    assert set(manifest["cpu_seconds_of_cells"]) == {"simulating", "measuring", "writing"}
    assert {"python", "numpy", "pandas", "scipy", "holidays", "PyYAML"} <= set(manifest["versions"])
    assert set(manifest["configuration"]["libraries"]) == {"numpy", "scipy", "holidays"}
    assert manifest["machine"]["cores"] >= 1
    assert manifest["wall_seconds"] > 0


def test_without_out_a_dated_folder_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = run(BASE, replications=1, jobs=1, progress=False)
    second = run(BASE, replications=1, jobs=1, progress=False)
    assert first.out.parent == Path("outputs")
    assert first.out.name.split("-", 4)[4].startswith("run")
    assert first.out != second.out


# -- resuming ----------------------------------------------------------------------------------------------------------


def test_more_replications_go_on_where_the_folder_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(BASE, replications=2, jobs=1, out=tmp_path / "grown", progress=False)
    done = []
    simulate = replicate.simulate
    monkeypatch.setattr(replicate, "simulate", lambda *a, **k: done.append(a[2]) or simulate(*a, **k))
    run(BASE, replications=3, jobs=1, out=tmp_path / "grown", progress=False)
    assert done == [2]
    run(BASE, replications=3, jobs=1, out=tmp_path / "whole", progress=False)
    same(tmp_path / "grown", tmp_path / "whole", *DATA)
    fewer = run(BASE, replications=1, jobs=1, out=tmp_path / "grown", progress=False)
    assert set(fewer.results["replication"]) == {0}


def test_another_configuration_has_cells_of_its_own_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    first = run(BASE, replications=1, jobs=1, out=out, progress=False).results
    cells = {path: path.read_bytes() for path in out.glob("cells/*/*.parquet")}

    def told(place: Place, **settings: Any) -> str:
        return " ".join(run(place, replications=1, jobs=1, out=out, progress=False, **settings).notices)

    assert "in baseline, place.services.support.capacity is 20.0 there and 30.0 here; the cells that are" in told(MORE)
    assert (out / "config" / "earlier").is_dir()
    assert "capacity is 30.0 there and 20.0 here" in told(BASE)
    assert "seed is 1 there and 2 here" in told(BASE, seed=2)
    assert "engine is compiled there and reference here" in told(BASE, seed=2, engine="reference")
    told(BASE)
    real = machine.metadata.version
    with monkeypatch.context() as patch:
        patch.setattr(machine.metadata, "version", lambda name: "0.1" if name == "holidays" else real(name))
        assert f"versions.holidays is {real('holidays')} there and 0.1 here" in told(BASE)
    told(BASE)
    with monkeypatch.context() as patch:
        patch.setattr(machine.metadata, "version", lambda name: "0.1" if name == "matplotlib" else real(name))
        assert told(BASE) == ""  # what only draws does not count
    monkeypatch.setattr(configuration, "code_digest", lambda: "another")
    assert "flowsim itself has changed" in told(BASE)
    assert {path: path.read_bytes() for path in cells} == cells
    monkeypatch.undo()
    monkeypatch.setattr(replicate, "simulate", None)  # nothing is simulated again
    pd.testing.assert_frame_equal(run(BASE, replications=1, jobs=1, out=out, progress=False).results, first)


def test_other_scenarios_and_other_names_use_the_cells_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    compare({"base": BASE, "more": MORE}, replications=2, jobs=1, out=out, progress=False)
    done = []
    simulate = replicate.simulate
    monkeypatch.setattr(replicate, "simulate", lambda *a, **k: done.append(a[2]) or simulate(*a, **k))
    less = small("place.services.support.capacity=18")
    again = compare({"as it is": BASE, "less": less, "more": MORE}, replications=2, jobs=1, out=out, progress=False)
    assert done == [0, 1]
    assert list(again.results["scenario"].unique()) == ["as it is", "less", "more"]
    compare({"as it is": BASE, "less": less, "more": MORE}, replications=2, jobs=1, out=tmp_path / "o", progress=False)
    same(out, tmp_path / "o", *DATA, "comparison.csv")


def test_each_scenario_can_have_a_number_of_its_own(tmp_path: Path) -> None:
    settings = Settings(jobs=1, out=tmp_path / "out", progress=False)
    found = runner.run_all({"a": BASE, "b": MORE}, settings, verb="run", replications={"a": 3, "b": 1}, nights=False)
    assert found.results.groupby("scenario")["replication"].nunique().to_dict() == {"a": 3, "b": 1}
    assert not (tmp_path / "out" / "nights.parquet").exists()
    whole = runner.run_all({"a": BASE, "b": MORE}, settings, verb="run", replications={"a": 3, "b": 1})
    from_table = Store(whole.out).nights(["delayed"], ["all"], [""], ["a"], 2)
    (whole.out / "nights.parquet").unlink()
    from_cells = Store(whole.out).nights(["delayed"], ["all"], [""], ["a"], 2)
    assert len(from_cells) == 2 * 35
    pd.testing.assert_frame_equal(
        from_cells.astype({"where": str, "of": str}),
        from_table.astype({"where": str, "of": str}),
        check_categorical=False,
    )


@pytest.mark.parametrize(
    "chosen",
    [
        {"where": ["all"]},
        {"where": ["all"], "of": [""]},
        {"states": ["delayed"], "scenarios": ["b"]},
        {"replications": 1},
        {"where": ["none"]},
    ],
)
def test_the_nights_that_are_chosen_are_part_of_the_whole(tmp_path: Path, chosen: dict[str, Any]) -> None:
    settings = Settings(jobs=1, out=tmp_path / "out", progress=False, replications=2)
    found = runner.run_all({"b": BASE, "a": MORE}, settings, verb="run")
    words = ["scenario", "where", "of", "state"]
    whole = found.nights.astype(dict.fromkeys(words, str))
    rows = whole["replication"] < chosen.get("replications", 2)
    for column, name in zip(words, ("scenarios", "where", "of", "states"), strict=True):
        rows &= whole[column].isin(chosen[name]) if name in chosen else True
    part = found.nights_of(**chosen).astype(dict.fromkeys(words, str))
    pd.testing.assert_frame_equal(part, whole[rows].reset_index(drop=True), check_index_type=False)


def test_nothing_is_read_again_when_all_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    run(BASE, replications=2, jobs=1, out=out, progress=False)
    before = {name: (out / name).stat().st_mtime_ns for name in DATA}
    with monkeypatch.context() as patch:
        patch.setattr(cells.CellFile, "read", None)
        run(BASE, replications=2, jobs=1, out=out, progress=False)
    assert {name: (out / name).stat().st_mtime_ns for name in DATA} == before
    whole = (out / "results.parquet").read_bytes()
    (out / "results.parquet").write_bytes(whole[:-100])
    run(BASE, replications=2, jobs=1, out=out, progress=False)
    assert (out / "results.parquet").read_bytes() == whole


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(PlaceError, match="holds other files"):
        run(BASE, replications=1, jobs=1, out=tmp_path, progress=False)
    with pytest.raises(PlaceError, match="a file of this name"):
        run(BASE, replications=1, jobs=1, out=tmp_path / "thesis.txt", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_spells_are_kept_when_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(BASE, replications=1, jobs=1, out=out, progress=False)
    assert not (out / "spells").exists()
    run(BASE, replications=1, jobs=1, out=out, keep_spells=True, progress=False)
    stages, tasks, log = (
        pd.read_parquet(next(out.glob(f"spells/baseline-*/00000-{what}.parquet")))
        for what in ("stages", "tasks", "capacity")
    )
    assert {"wards/general", "support/north"} <= set(stages["service"])
    assert set(tasks["task"]) == {"round", "assessment"}
    on_ward = stages.set_index("row").loc[tasks["row"], "stage"]
    assert set(on_ward) == {"ward"}  # every task belongs to the row that has it
    assert set(log["reason"]) == {"start"}
    people = pd.read_parquet(next(out.glob("spells/baseline-*/00000-people.parquet")))
    assert people["spell"].is_unique
    assert set(stages["spell"]) == set(people["spell"])
    assert {"person", "came", "came_at", "there_at_start", "stream"} <= set(people)  # and every attribute in words
    assert people["stream"].astype(str).isin({"emergencies"}).any()


def test_planned_stages_that_never_happened_say_so(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(BASE, replications=1, jobs=1, out=out, keep_spells=True, progress=False)
    stages = pd.read_parquet(next(out.glob("spells/baseline-*/00000-stages.parquet")))
    not_come, waits = stages["joined"] < 0, (stages["joined"] >= 0) & (stages["accepted"] < 0)
    assert set(stages.loc[not_come, "ended"]) <= {"not reached", "never came"}
    assert "not reached" in set(stages["ended"])
    assert "still in" not in set(stages.loc[waits, "ended"])
    still = stages[stages["ended"] == "still in"]
    assert (still["started"] >= 0).all()
    assert (still["left"] < 0).all()
    midnight = pd.Timestamp(BASE.run.first_date)
    there = stages[stages["joined"] >= 0]
    assert (there["joined_at"] == midnight + pd.to_timedelta(there["joined"], "min")).all()
    assert stages.loc[not_come, "joined_at"].isna().all()


# -- trouble -----------------------------------------------------------------------------------------------------------


def test_a_failing_cell_is_told_with_its_seed_and_loses_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate = replicate.simulate

    def fails_once(place: Place, seed: int, replication: int, *rest: object) -> object:
        if replication == 1 and place == MORE:
            raise RuntimeError("the ceiling came down")
        return simulate(place, seed, replication, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(replicate, "simulate", fails_once)
    out = tmp_path / "out"
    comparison = compare({"base": BASE, "more": MORE}, replications=3, seed=5, jobs=1, out=out, progress=False)
    (failure,) = comparison.failures
    assert (failure.scenario, failure.replication, failure.seed) == ("more", 1, 5)
    assert failure.error.startswith("RuntimeError: the ceiling came down (test_experiment.py:")
    assert comparison.manifest.status == "failures"
    assert comparison.manifest.failures[0].seed == 5
    assert comparison.manifest.cells == {"base": 3, "more": 2}
    # only replications that both have are compared; a mean of a group in which nobody was is in fewer still
    assert comparison.differences["n"].max() == 2
    assert set(comparison.table()["n"]) == {2}
    fewer = comparison.differences[comparison.differences["n"] < 2]
    assert set(fewer["measure"]) <= {"delay_days_by_days"}
    monkeypatch.setattr(replicate, "simulate", simulate)
    again = compare({"base": BASE, "more": MORE}, replications=3, seed=5, jobs=1, out=out, progress=False)
    assert not again.failures
    assert again.manifest.cells == {"base": 3, "more": 3}


def test_ctrl_c_leaves_what_is_finished_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate = replicate.simulate

    def stopped(place: Place, seed: int, replication: int, *rest: object) -> object:
        if replication == 2:
            raise KeyboardInterrupt
        return simulate(place, seed, replication, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(replicate, "simulate", stopped)
    out = tmp_path / "out"
    result = run(BASE, replications=4, jobs=1, out=out, progress=False)
    assert result.interrupted
    assert result.manifest.status == "interrupted"
    assert set(result.results["replication"]) == {0, 1}
    assert f"Stopped with 2 of 4 cells done; the same command with out={out} goes on." in result.notices
    monkeypatch.setattr(replicate, "simulate", simulate)
    assert not run(BASE, replications=4, jobs=1, out=out, progress=False).interrupted
    run(BASE, replications=4, jobs=1, out=tmp_path / "whole", progress=False)
    same(out, tmp_path / "whole", *DATA)


SLOW_RUN = """
import sys
import flowsim
from flowsim.declare.composition import load
from flowsim.cells.runner import run
from flowsim.declare.settings import Settings
if __name__ == "__main__":
    place = load("place=small", "days=365", scenarios_dir=sys.argv[1])
    print(*run(place, Settings(replications=20_000, jobs=2, out=sys.argv[2], progress=False)).notices, sep="\\n")
"""


@pytest.mark.skipif(os.name == "nt", reason="signals to a group of processes are sent otherwise there")
def test_ctrl_c_to_all_processes_leaves_no_mess(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW_RUN)
    words = [sys.executable, str(tmp_path / "slow.py"), str(PLACES), str(tmp_path / "out")]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        there = tmp_path / "out" / "cells"
        for _ in range(600):
            if len(list(there.glob("*/*.parquet"))) >= 3:
                break
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does: to the process and to all its workers
        said, complained = process.communicate(timeout=60)
    assert "Stopped with " in said
    assert "Traceback" not in complained
    assert Result.read(tmp_path / "out").interrupted


def test_a_folder_is_read_again(tmp_path: Path) -> None:
    made = run(BASE, replications=1, jobs=1, out=tmp_path / "out", progress=False)
    found = Result.read(tmp_path / "out")
    assert found.places == made.places
    pd.testing.assert_frame_equal(found.results, made.results)
    with pytest.raises(PlaceError, match="no results"):
        Result.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"counts": {"baseline": "three"}}, "counts.baseline: 'three' was given; allowed: a whole number"),
        ({"configuration": {"window_minutes": 3}}, "configuration.window_minutes: 3 was given; allowed: a list"),
        ({"configuration": ["baseline"]}, "configuration: ['baseline'] was given"),
        ({"failures": [{"scenario": "baseline"}]}, "this key is needed and was not given"),
        ([1, 2], "[1, 2] was given"),
    ],
)
def test_a_manifest_that_cannot_be_is_one_sentence(
    content: object, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run(BASE, replications=1, jobs=1, out=tmp_path / "out", progress=False).out
    (out / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    assert cli.main(["results", str(out)]) == cli.MISTAKE
    said = capsys.readouterr().err
    assert "manifest.json: " in said
    assert told in said
    assert len(said.splitlines()) == 1
    with pytest.raises(PlaceError, match=r"manifest\.json"):
        run(BASE, replications=1, jobs=1, out=out, progress=False)


def test_what_another_version_said_in_a_manifest_is_kept(tmp_path: Path) -> None:
    run(BASE, replications=1, jobs=1, out=tmp_path / "out", progress=False)
    store = Store(tmp_path / "out")
    store.write_manifest(store.manifest.but(weather="rain"))
    assert json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))["weather"] == "rain"
    assert Store(tmp_path / "out").manifest.status == "complete"


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"engine": "refrence"}, r"engine: 'refrence' .*did you mean 'reference'"),
        ({"replications": 0}, "replications: 0 was given; allowed: at least 1"),
        ({"replications": "5"}, "replications: '5' was given; allowed: a whole number"),
        ({"replications": True}, "replications: True was given; allowed: a whole number"),
        ({"seed": 1.0}, "seed: 1.0 was given; allowed: a whole number"),
        ({"jobs": -1}, "jobs: -1"),
        ({"seed": -3}, "seed: -3"),
        ({"window": "before"}, "window: 'before'"),
        ({"executor": "dusk"}, "executor: 'dusk' was given; allowed: 'loky' or 'dask' .did you mean 'dask'"),
        ({"keep_spells": "yes"}, "keep_spells: 'yes' was given; allowed: true or false"),
        ({"address": "tcp://a:1"}, "address: 'tcp://a:1' was given; allowed: only with executor=dask"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match=words):
        run(BASE, out=tmp_path / "out", progress=False, **settings)
    assert not (tmp_path / "out").exists()


def test_a_setting_that_is_none_is_told_with_the_nearest() -> None:
    with pytest.raises(PlaceError, match=r"setting: 'sed' was given; .*did you mean 'seed'"):
        Settings.of(sed=3)
    with pytest.raises(PlaceError, match="did you mean 'replications'"):
        flowsim.run(BASE, replication=3)
    assert Settings.of(seed=3) == Settings(seed=3)


def test_the_default_number_of_replications_is_a_rule_and_is_announced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    year = load("place=small", "days=365", "warm_up_days=65", scenarios_dir=PLACES)
    five = {str(n): year for n in range(5)}
    assert default_replications(five, "compiled") == 20
    assert default_replications(five, "reference") == 12
    assert default_replications({"one": year}, "reference") == 20
    decade = load("place=small", "days=3650", scenarios_dir=PLACES)
    assert default_replications({str(n): decade for n in range(5)}, "reference") == runner.FEWEST_REPLICATIONS
    monkeypatch.setattr(runner, "REFERENCE_DAYS", 4 * 35)
    result = run(BASE, engine="reference", jobs=1, out=tmp_path / "out")
    assert result.manifest.replications == 4
    told = capsys.readouterr().err
    assert "lowered from 20 to 4 replications" in told
    assert "4 of 4 cells done" in told
    run(BASE, engine="reference", jobs=1, replications=4, out=tmp_path / "given")
    assert "lowered" not in capsys.readouterr().err


# -- windows -----------------------------------------------------------------------------------------------------------


def with_block(begin: str, weeks: float) -> Place:
    block = f"+place.services.support.blocks.winter={{from: '{begin}', weeks: {weeks}, add: 5}}"
    return small(block)


def test_windows_follow_the_blocks_and_keep_to_the_measured_days() -> None:
    places = {"base": BASE, "block": with_block("2024-04-08", 1)}
    day = 1440
    assert window_span("all", places) == (14 * day, 35 * day)
    assert window_span("during", places) == (21 * day, 28 * day)
    assert window_span("after", places) == (28 * day, 35 * day)
    early = {"base": BASE, "block": with_block("2024-03-25", 2)}
    assert window_span("during", early) == (14 * day, 21 * day)
    shared = with_block("2024-04-08", 1)
    later = shared.model_copy(update={"services": shared.services | with_block("2024-04-15", 1).services})
    assert window_span("during", {"base": BASE, "one": shared, "two": later}) == (21 * day, 35 * day)
    assert window_span("during", {"base": shared, "same": shared}) == (21 * day, 28 * day)


def test_windows_without_a_block_or_without_days_are_refused() -> None:
    with pytest.raises(PlaceError, match="base has no dated block or move"):
        window_span("during", {"base": BASE})
    with pytest.raises(PlaceError, match="no measured day lies after the change"):
        window_span("after", {"base": BASE, "block": with_block("2024-04-08", 10)})


def test_a_window_follows_a_move(tmp_path: Path) -> None:
    day = 1440
    move = "take: {service: support, amount: 2}, give: {service: wards, amount: 2}"
    for dates, span in (("from: '2024-04-08', to: '2024-04-14'", (21, 28)), ("from: '2024-04-08'", (21, 35))):
        moved = small(f"+place.moves.beds={{{move}, {dates}}}")
        assert window_span("during", {"base": BASE, "moved": moved}) == (span[0] * day, span[1] * day)
    with pytest.raises(PlaceError, match="no measured day lies after the change"):
        window_span("after", {"base": BASE, "moved": moved})


def test_a_window_measures_its_own_days(tmp_path: Path) -> None:
    places = {"base": BASE, "block": with_block("2024-04-08", 1)}
    found = {
        window: compare(places, replications=1, jobs=1, window=window, out=tmp_path / window, progress=False).results
        for window in ("during", "after")
    }
    values = {window: f.query("measure == 'delayed_patients'")["value"].tolist() for window, f in found.items()}
    assert values["during"] != values["after"]


# -- warm-up -----------------------------------------------------------------------------------------------------------


def test_mser5_cuts_off_the_rise_and_nothing_else() -> None:
    noise = np.random.default_rng(1).normal(0, 1, 300)
    assert mser5(100 + noise) <= 50
    rising = 100 * (1 - np.exp(-np.arange(300) / 15)) + noise
    assert 30 <= mser5(rising) <= 110
    assert mser5(np.full(100, 3.0)) == 0


def test_a_short_warm_up_is_told() -> None:
    place = load("place=small", "days=200", "warm_up_days=10", scenarios_dir=PLACES)
    nights = pd.date_range(place.run.first_date, periods=210)
    count = 100 * (1 - np.exp(-np.arange(210) / 20))
    words = {"where": "all", "of": "", "state": "delayed"}
    rows = pd.DataFrame({"replication": 0, "date": nights, **words, "count": count})
    notice = warm_up_notice(place, rows)
    assert notice is not None
    assert notice.endswith("warm_up_days is 10.")
    assert warm_up_notice(load("place=small", "days=80", "warm_up_days=130", scenarios_dir=PLACES), rows) is None
    scenario = load("place=small", "scenario=more_support", "days=200", "warm_up_days=10", scenarios_dir=PLACES)
    assert warm_up_notice(scenario, rows) is None  # what a scenario changes is no start-up effect


def delayed_rows(place: Place, counts: np.ndarray) -> pd.DataFrame:
    """Nights of the delayed; `counts` has shape (replications, days)."""
    days = pd.date_range(place.run.first_date, periods=counts.shape[1])
    words = {"where": "all", "of": "", "state": "delayed"}
    return pd.concat(
        pd.DataFrame({"replication": number, "date": days, **words, "count": row}) for number, row in enumerate(counts)
    )


def test_an_empty_start_is_never_long_enough() -> None:
    place = load("place=small", "days=200", "warm_up_days=0", scenarios_dir=PLACES)
    level = 100 + np.random.default_rng(1).normal(0, 1, (3, 200))
    told = warm_up_notice(place, delayed_rows(place, level))
    assert told is not None
    assert "There is no warm-up (warm_up_days=0)" in told
    assert warm_up_notice(place, delayed_rows(place, 0 * level)) is None  # nobody is ever delayed
    scenario = load("place=small", "scenario=more_support", "days=200", "warm_up_days=0", scenarios_dir=PLACES)
    assert "There is no warm-up" in str(warm_up_notice(scenario, delayed_rows(scenario, level)))


def test_a_rise_in_the_days_that_count_is_told() -> None:
    place = load("place=small", "days=200", "warm_up_days=100", scenarios_dir=PLACES)
    chance = np.random.default_rng(1).normal(0, 5, (8, 300))
    level = np.full(300, 100.0)
    assert warm_up_notice(place, delayed_rows(place, level + chance)) is None
    level[200:] += 20
    assert judged(delayed_rows(place, level + chance), 100).rises
    assert "The warm-up may be too short" in str(warm_up_notice(place, delayed_rows(place, level + chance)))


def test_a_place_that_never_settles_is_not_told_to_wait_longer() -> None:
    place = load("place=small", "days=200", "warm_up_days=100", scenarios_dir=PLACES)
    for warm_up in (100, 200):  # a longer one in a longer run does not help
        run, days = place.run.model_copy(update={"warm_up_days": warm_up, "days": 300}), warm_up + 300
        slow = place.model_copy(update={"run": run})
        rising = np.linspace(0, 500, days) + np.random.default_rng(1).normal(0, 1, (4, days))
        load_of = pd.DataFrame({"of": ["support"], "where": ["north"], "value": [1.02]})
        told = warm_up_notice(slow, delayed_rows(slow, rising), load_of)
        assert told is not None
        assert "no longer warm-up is sure to help" in told
        assert "support/north 1.02" in told


def test_dates_in_words_of_the_run() -> None:
    assert BASE.run.date_of(window_span("all", {"base": BASE})[1] - 1) == dt.date(2024, 4, 21)


def test_a_comparison_of_which_nothing_is_left_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate = replicate.simulate

    def fails(place: Place, *rest: object) -> object:
        if place == MORE or broken == "all":
            raise RuntimeError("the ceiling came down")
        return simulate(place, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(replicate, "simulate", fails)
    for broken in ("one", "all"):
        comparison = flowsim.compare({"base": BASE, "more": MORE}, 2, jobs=1, out=tmp_path / broken, progress=False)
        assert len(comparison.failures) == (2 if broken == "one" else 4)
        assert comparison.differences.empty
        comparison.show()
    one = flowsim.read(tmp_path / "one")
    assert emergency.data(one).title.endswith("nothing to compare")  # and is drawn


# -- engines -----------------------------------------------------------------------------------------------------------


def test_without_numba_the_reference_engine_is_used_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flowsim.engine.compiled", None)  # importing it raises ImportError
    with pytest.warns(FlowsimNotice, match="The compiled engine cannot be used here"):
        result = run(BASE, replications=1, jobs=1, out=tmp_path / "out", progress=False)
    assert result.manifest.engine == "reference"
    assert not result.failures


@pytest.mark.long
def test_the_default_year_does_not_rise_after_its_warm_up(tmp_path: Path) -> None:
    settings = Settings(replications=10, seed=12, charts=False, out=tmp_path / "year", progress=False)
    year = runner.run(load(), settings)
    verdict = judged(year.delayed_nights, load().run.warm_up_days)
    assert verdict is not None
    assert not verdict.rises
    assert abs(verdict.last - verdict.first) < 0.1 * verdict.last
    assert not [told for told in year.notices if "warm-up" in told]
