"""A results folder: what is another's is left alone, two at once do not mix, nothing that is lost is counted.

Each for real: processes at the same time, links, bits that are turned round, cells that somebody deletes.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import flowsim
from flowsim import system
from flowsim.cells import making
from flowsim.cli import main as cli
from flowsim.declare.composition import load
from flowsim.folder.atomic import temporary_name
from flowsim.folder.catalogue import ask, rebuild
from flowsim.folder.store import Store
from flowsim.place import FlowsimNotice, Place, PlaceError

PLACES = Path(__file__).parent / "places"
TABLES = ("results.parquet", "nights.parquet", "comparison.csv")
posix = pytest.mark.skipif(os.name == "nt", reason="what only POSIX has")


def small(*overrides: str) -> Place:
    return load("place=small", "days=7", "warm_up_days=7", *overrides, scenarios_dir=PLACES)


BASE = small()
MORE = small("place.services.support.capacity=30")


def run(out: Path, replications: int = 2, **settings: Any) -> flowsim.Comparison:
    chosen = {"jobs": 1, "progress": False, "charts": False, **settings}
    return flowsim.compare({"base": BASE, "more": MORE}, replications, out=out, **chosen)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("kept") / "out").out


@pytest.fixture
def out(kept: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copytree(kept, tmp_path / "out"))


def content(folder: Path) -> dict[str, Any]:
    """All that stands in a folder, and when it was written."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }


def cells(out: Path) -> list[Path]:
    return sorted(path for path in out.glob("cells/*/*.parquet") if path.parent.name != "set_aside")


def left_over(name: str, process: int = 999_999_999) -> str:
    """What a process of this machine that is no more has left half written."""
    return f"{name}.{system.host()}-{process}.tmp"


# -- whose a folder is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "there",
    [
        ["cells/mine.txt"],
        ["cells/0123456789abcdef/00000-0123456789abcdef.parquet"],
        ["config/settings.yaml"],
        ["spells/notes.txt"],
        ["about/me.txt"],
        ["notes.tmp"],
        [left_over("thesis.txt")],
        ["results.parquet"],
        ["config/a.tmp", "spells/b.tmp", "about/c.tmp"],
        ["manifest.json", "notes.tmp", "cells/a/b.tmp"],
        [".hidden"],
    ],
)
def test_a_folder_that_its_manifest_does_not_say_is_ours_is_left_alone(there: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    for name in there:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('{"name": "an extension", "version": 3}')
        os.utime(folder / name, (0, 0))
    before = content(folder)
    with pytest.raises(PlaceError, match="give another out"):
        run(folder)
    assert content(folder) == before
    with pytest.raises(PlaceError):
        rebuild(Store(folder))
    assert content(folder) == before


def test_an_empty_folder_and_one_with_our_own_left_overs_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / left_over("manifest.json")).write_text("{")
    run(tmp_path / "out", 1)
    said = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert said["flowsim"] == 1
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_only_what_our_own_processes_left_is_taken_away(out: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / left_over("base.yaml")).write_text("a user's")
    key = cells(out)[0].parent
    (out / "linked").symlink_to(elsewhere)
    (out / "spells").mkdir()
    (out / "spells" / "base-01234567").symlink_to(elsewhere)
    (elsewhere / left_over("00000-stages.parquet")).write_text("a user's")
    stay = ["notes.tmp", "cells/notes.tmp", left_over("notes.txt"), f"config/{left_over('notes.txt')}"]
    stay += [f"results.parquet.another_machine-{os.getpid()}.tmp", f"{key.relative_to(out)}/{left_over('mine')}"]
    go = [left_over("results.parquet"), f"config/{left_over('base.yaml')}", f"about/{left_over('evidence.csv')}"]
    go += [f"{key.relative_to(out)}/{left_over('00001-0123456789abcdef.parquet')}", left_over("at_work")]
    for name in (*stay, *go):
        (out / name).write_text("half")
    run(out)
    assert [name for name in stay if not (out / name).exists()] == []
    assert [name for name in go if (out / name).exists()] == []
    assert len(list(elsewhere.iterdir())) == 2


@pytest.mark.parametrize("name", ["results.parquet", "manifest.json", "summary.md", "comparison.csv", "nights.parquet"])
def test_nothing_is_written_through_a_link_to_a_file(name: str, out: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes((out / name).read_bytes())
    (out / name).unlink()
    (out / name).symlink_to(mine)
    before = content(tmp_path)
    with pytest.raises(PlaceError, match=f"{name} there is a link"):
        run(out, 3)
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["cells", "config", "about", "charts", "earlier", "config/earlier", "cells/KEY", "spells/base-KEY"]
)
def test_nothing_is_written_through_a_link_to_a_folder(name: str, out: Path, tmp_path: Path) -> None:
    key = flowsim.read(out).manifest.keys["base"]
    mine, there = tmp_path / "mine", out / name.replace("KEY", key[:8] if name.startswith("spells") else key)
    there.parent.mkdir(exist_ok=True)
    if there.exists():
        there.rename(mine)
    mine.mkdir(exist_ok=True)
    there.symlink_to(mine)
    before = content(mine)
    with pytest.raises(PlaceError, match="there is a link"):
        run(out, 3)
    assert content(mine) == before


def test_out_may_be_a_link_to_a_folder_that_is_ours_or_empty(out: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(out)
    assert run(tmp_path / "link", 3).manifest.cells == {"base": 3, "more": 3}
    (tmp_path / "nowhere").symlink_to(tmp_path / "none")
    with pytest.raises(PlaceError, match="this link leads nowhere"):
        run(tmp_path / "nowhere")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.tmp").write_text("a user's")
    (tmp_path / "another").symlink_to(tmp_path / "mine")
    with pytest.raises(PlaceError, match="holds other files"):
        run(tmp_path / "another")
    assert (tmp_path / "mine" / "notes.tmp").read_text() == "a user's"


@pytest.mark.parametrize("name", ["summary.md", "results.parquet", "comparison.csv"])
def test_a_folder_where_a_file_is_to_be_is_said_before_anything_runs(name: str, out: Path) -> None:
    (out / name).unlink()
    (out / name).mkdir()
    before = content(out)
    with pytest.raises(PlaceError, match=f"{name} there is a folder, where a file is to be"):
        run(out)
    assert content(out) == before
    shutil.rmtree(out / "config")
    (out / "config").write_text("")
    (out / name).rmdir()
    with pytest.raises(PlaceError, match="config there is a file, where a folder is to be"):
        run(out)


def as_older(out: Path) -> None:
    """The manifest as it was before it had a marker and checksums."""
    said = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    for key in ("flowsim", "sha256", "digests"):
        said.pop(key)
    files = {name: [(out / name).stat().st_size, 0] for name in ("results.parquet", "nights.parquet")}
    said["assembled"] = {"made_of": said["assembled"]["made_of"], "tables": 2, "files": files}
    (out / "manifest.json").write_text(json.dumps(said), encoding="utf-8")


def test_an_older_folder_opens_and_goes_on(out: Path, kept: Path) -> None:
    as_older(out)
    pd.testing.assert_frame_equal(flowsim.read(out).results, flowsim.read(kept).results)
    before = {path: path.stat().st_mtime_ns for path in cells(out)}
    run(out, 3)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["flowsim"] == 1


def test_cells_without_a_manifest_are_not_taken_for_ours_until_they_are_rebuilt(out: Path) -> None:
    (out / "manifest.json").unlink()
    before = content(out)
    with pytest.raises(PlaceError, match=r"no manifest.json; allowed: flowsim results .* rebuild"):
        run(out)
    assert content(out) == before
    rebuild(Store(out))
    run(out)


# -- two at once -------------------------------------------------------------------------------------------------------

SCRIPT = """
import json, sys
import flowsim
from flowsim.declare.composition import load

asked = json.loads(sys.argv[1])
small = ("place=small", "days=7", "warm_up_days=7")
places = {
    "base": load(*small, scenarios_dir=sys.argv[2]),
    "more": load(*small, "place.services.support.capacity=30", scenarios_dir=sys.argv[2]),
}
try:
    found = flowsim.compare(places, asked.pop("replications", None), progress=False, charts=False, **asked)
except flowsim.place.PlaceError as mistake:
    print(mistake, file=sys.stderr)
    sys.exit(2)
print(json.dumps({"seed": found.manifest.seed, "mean": found.results["value"].sum(), "notices": found.notices,
                  "failures": [one.error for one in found.failures]}))
"""


def start(out: Path, **settings: Any) -> subprocess.Popen[str]:
    """The comparison in a process of its own."""
    script = out.parent / "made.py"
    script.write_text(SCRIPT)
    words = [sys.executable, "-W", "ignore", str(script), json.dumps({"jobs": 1, "out": str(out), **settings})]
    environment = os.environ | {"PYTHONPATH": str(PLACES.parents[1])}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*words, str(PLACES)], text=True, start_new_session=True, env=environment, **pipes)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    said, complained = process.communicate(timeout=300)
    return process.returncode, said, complained


@contextlib.contextmanager
def started(out: Path, **settings: Any) -> Iterator[subprocess.Popen[str]]:
    """The same, with some cells finished; it is stopped there, for as long as this lasts, and then goes on."""
    process = start(out, **settings)
    wait_for(process, lambda: len(cells(out)) > 2)
    process.send_signal(signal.SIGSTOP)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)


def wait_for(process: subprocess.Popen[str], there: Any) -> None:
    for _ in range(6000):
        if there() or process.poll() is not None:
            break
        time.sleep(0.01)
    assert process.poll() is None, ended(process)


@posix
def test_two_with_different_questions_do_not_mix(tmp_path: Path) -> None:
    """Both begin at the same time: one of them is refused, or comes after the other; who ends has its own numbers."""
    alone = {seed: ended(start(tmp_path / str(seed), seed=seed, replications=8))[1] for seed in (1, 2)}
    both = {seed: start(tmp_path / "out", seed=seed, replications=8) for seed in (1, 2)}
    done = {seed: ended(process) for seed, process in both.items()}
    assert sorted(code for code, _, _ in done.values()) in ([0, 0], [0, 2]), done
    for seed, (code, said, complained) in done.items():
        if code:
            assert "another flowsim is at work in this folder with something else (process " in complained
            assert "wait until it has ended, or give another out" in complained
        else:
            assert json.loads(said)["mean"] == json.loads(alone[seed])["mean"]
    assert not list((tmp_path / "out").rglob("*.tmp"))


@posix
def test_another_question_is_refused_while_one_is_at_work(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with started(out, replications=8) as process:
        before = content(out)
        for other in ({"seed": 2}, {"replications": 9}, {"replications": None, "precision": "50%"}):
            with pytest.raises(PlaceError, match=rf"something else \(process {process.pid} on "):
                run(out, **{"replications": 8, **other})
        with pytest.raises(PlaceError, match="something else"):
            rebuild(Store(out))
        assert content(out) == before
    assert ended(process)[0] == 0


@posix
def test_two_with_the_same_question_share_the_work(tmp_path: Path, kept: Path) -> None:
    out = tmp_path / "out"
    with started(out, replications=8):
        assert not run(out, 8).failures
    run(tmp_path / "alone", 8)
    for name in TABLES:
        assert (out / name).read_bytes() == (tmp_path / "alone" / name).read_bytes(), name


@posix
def test_one_that_was_killed_holds_up_nobody(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(out, replications=8)
    wait_for(process, lambda: len(cells(out)) > 2)
    process.kill()
    process.wait()
    assert len(list(out.glob("at_work.*.tmp"))) == 1
    assert run(out, seed=2).manifest.status == "complete"
    assert not list(out.rglob("*.tmp"))


def test_a_mark_of_another_machine_counts_while_it_is_fresh(out: Path) -> None:
    mark = out / "at_work.another_machine-17.tmp"
    mark.write_text(json.dumps({"question": "another", "command": "flowsim run", "since": 1}))
    with pytest.raises(PlaceError, match=r"process 17 on another_machine.* delete at_work\.another_machine-17\.tmp"):
        run(out)
    os.utime(mark, (1, 1))
    run(out)
    mark.write_text("no mark of ours")
    with pytest.raises(PlaceError, match="unknown"):
        run(out)


def test_a_result_shows_no_other_experiment_that_came_after_it(tmp_path: Path) -> None:
    first = flowsim.run(BASE, 2, seed=1, out=tmp_path / "out", jobs=1, progress=False, charts=False)
    again = flowsim.read(tmp_path / "out")
    second = flowsim.run(BASE, 2, seed=2, out=tmp_path / "out", jobs=1, progress=False, charts=False)
    for one in (first, again):
        one.__dict__.pop("results", None)  # it may have been read by now
        with pytest.raises(PlaceError, match="another experiment has used this folder since"):
            one.results  # noqa: B018
    assert not second.results.empty


# -- lost cells --------------------------------------------------------------------------------------------------------


@posix
def test_cells_that_are_deleted_during_a_run_are_made_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with started(out, replications=20) as process:
        shutil.rmtree(out / "cells")
    assert ended(process)[0] == 0
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["status"] == "complete"
    assert manifest["cells"] == {"base": 20, "more": 20}
    assert any("had gone since; made again" in told for told in manifest["notices"])
    assert len(cells(out)) == 40
    run(tmp_path / "alone", 20)
    for name in TABLES:
        assert (out / name).read_bytes() == (tmp_path / "alone" / name).read_bytes(), name


def test_cells_that_go_again_and_again_are_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Something takes one cell away each time that the tables have been put together."""
    assemble = making.assemble

    def and_take_one_away(out: Path, *rest: Any) -> Any:
        answer = assemble(out, *rest)
        for path in out.glob("cells/*/00001-*.parquet"):
            path.unlink()
        return answer

    monkeypatch.setattr(making, "assemble", and_take_one_away)
    found = run(tmp_path / "out", 3)
    assert [(one.scenario, one.replication) for one in found.failures] == [("base", 1), ("more", 1)]
    assert "gone or damaged each of 3 times" in found.failures[0].error
    assert found.manifest.status == "failures"
    assert found.manifest.cells == {"base": 2, "more": 2}


def test_what_stands_beside_the_cells_is_written_again_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    make = making.Making._make

    def and_take_away(self: Any, todo: Any) -> None:
        make(self, todo)
        shutil.rmtree(out / "config")
        shutil.rmtree(out / "about")

    monkeypatch.setattr(making.Making, "_make", and_take_away)
    run(out)
    assert flowsim.read(out).places["more"].services["support"].capacity == 30
    assert not flowsim.read(out).capacities.empty


# -- damage ------------------------------------------------------------------------------------------------------------


def turn_a_bit(path: Path, at: float = 0.5) -> None:
    """Turn one bit round, and leave the time of the file as it was: as a disk does."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[int(at * (len(data) - 1))] ^= 4
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def in_a_process(*words: str) -> tuple[int, str, str]:
    code = "import sys; from flowsim.cli.main import main; sys.exit(main())"
    environment = os.environ | {"PYTHONPATH": str(PLACES.parents[1])}
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("at", [0.001, 0.3, 0.6, 0.999])
@pytest.mark.parametrize("name", ["results.parquet", "nights.parquet"])
def test_a_bit_of_a_table_that_was_turned_is_turned_back(name: str, at: float, out: Path, kept: Path) -> None:
    turn_a_bit(out / name, at)
    found = flowsim.read(out)
    with pytest.warns(FlowsimNotice, match=f"{name}: it is not what was written .* made anew from the cells"):
        table = found.results if name == "results.parquet" else found.nights
    whole = flowsim.read(kept)
    pd.testing.assert_frame_equal(table, whole.results if name == "results.parquet" else whole.nights)
    assert (out / name).read_bytes() == (kept / name).read_bytes()


def test_what_is_asked_in_sql_is_checked_too(out: Path, kept: Path) -> None:
    sql = "select sum(value) as total from results"
    turn_a_bit(out / "results.parquet", 0.4)
    with pytest.warns(FlowsimNotice, match="made anew from the cells"):
        pd.testing.assert_frame_equal(ask(Store(out), sql), ask(Store(kept), sql))


@pytest.mark.parametrize("at", [0.3, 0.6])
def test_a_resume_does_not_hand_damage_on(at: float, out: Path, kept: Path) -> None:
    turn_a_bit(out / "results.parquet", at)
    turn_a_bit(out / "nights.parquet", at)
    for name in ("comparison.csv", "summary.md"):
        (out / name).unlink()
    run(out)
    for name in TABLES:
        assert (out / name).read_bytes() == (kept / name).read_bytes(), name


def test_a_damaged_table_whose_cells_are_gone_is_refused(out: Path) -> None:
    turn_a_bit(out / "results.parquet")
    shutil.rmtree(out / "cells")
    with pytest.raises(PlaceError, match="4 of the cells that it was made of are gone; the same command"):
        flowsim.read(out).results  # noqa: B018


def test_what_is_no_table_is_told_in_an_older_folder(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    as_older(out)
    for name in ("results.parquet", "nights.parquet"):
        (out / name).write_bytes(b"PAR1 no more")
    for words in ([], ["select count(*) from results"], ["select count(*) from nights"]):
        assert cli.main(["results", str(out), *words]) == cli.MISTAKE
        said = capsys.readouterr().err
        assert "is damaged; allowed: flowsim results" in said or "which DuckDB does not take" in said
        assert len(said.splitlines()) == 1


@pytest.mark.parametrize("name", ["config/more.yaml", "about/evidence.csv", "about/capacities.csv"])
def test_other_files_that_are_read_back_are_checked(name: str, out: Path, kept: Path) -> None:
    turn_a_bit(out / name)
    found = flowsim.read(out)
    with pytest.raises(PlaceError, match=f"{name}: it is not what was written .*; the same command with out="):
        _ = found.places["more"], found.evidence, found.capacities
    run(out)
    for path in (name, "results.parquet"):
        assert (out / path).read_bytes() == (kept / path).read_bytes()
    assert flowsim.read(out).places["more"] == MORE


def test_the_points_of_a_sweep_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(PLACES, tmp_path / "scenarios")
    monkeypatch.chdir(tmp_path)
    words = ("place=small", "days=7", "warm_up_days=7", "place.services.support.capacity=20,30")
    flowsim.sweep(*words, replications=2, jobs=1, out="out", progress=False, charts=False)
    points = Path("out/points.csv")
    points.write_text(points.read_text().replace("30", "31"))
    with pytest.raises(PlaceError, match=r"points\.csv: it is not what was written"):
        flowsim.read("out").show()


def test_a_cell_under_the_name_of_another_is_not_taken(out: Path, kept: Path) -> None:
    first, second, third, _ = cells(out)
    moved = second.with_name(f"00001{first.name[5:]}")  # one replication's, with its right checksum, as another's
    second.unlink()
    shutil.copy(first, moved)
    other = third.with_name(first.name)  # one scenario's as the other's
    third.unlink()
    shutil.copy(first, other)
    found = run(out)
    assert any("it says that its replication is 0; it was moved to cells/set_aside" in one for one in found.notices)
    assert any(f"it says that its key is {first.parent.name}; it was moved" in one for one in found.notices)
    for name in TABLES:
        assert (out / name).read_bytes() == (kept / name).read_bytes(), name


@pytest.mark.parametrize("spoil", ["half", "no JSON", "a number", "deep"])
def test_a_damaged_manifest_is_said_and_made_anew(spoil: str, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (out / "manifest.json").read_text(encoding="utf-8")
    minutes = json.loads(text)["configuration"]["window_minutes"][1]
    spoilt = {
        "half": text[: len(text) // 2],
        "no JSON": "\0\0\0",
        "a number": text.replace(f"{minutes}", f"{minutes + 1440}"),
        "deep": "[" * 100_000,
    }
    (out / "manifest.json").write_text(spoilt[spoil], encoding="utf-8")
    assert cli.main(["results", str(out)]) == cli.MISTAKE
    assert "manifest.json: it is damaged (" in capsys.readouterr().err
    again = Path(shutil.copytree(out, out.with_name("again")))
    assert cli.main(["results", str(out), "rebuild"]) == 0
    assert cli.main(["results", str(out)]) == 0
    found = run(again)
    assert any("manifest.json was damaged; it was written anew" in told for told in found.notices)
    assert found.manifest.status == "complete"


# -- signals -----------------------------------------------------------------------------------------------------------

SLOW = ["run", "place=small", "days=60", "warm_up_days=7", "replications=5000", "charts=false"]


def command(folder: Path, *words: str, **options: Any) -> subprocess.Popen[str]:
    """A long run, as typed, in a group of processes of its own."""
    shutil.copytree(PLACES, folder / "scenarios")
    code = "import sys; from flowsim.cli.main import main; sys.exit(main())"
    environment = os.environ | {"PYTHONPATH": str(PLACES.parents[1])}
    asked = [sys.executable, "-c", code, *SLOW, "out=out", *words]
    return subprocess.Popen(asked, text=True, start_new_session=True, env=environment, cwd=folder, **options)


def piped(folder: Path, *words: str) -> subprocess.Popen[str]:
    return command(folder, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@posix
@pytest.mark.parametrize(("name", "to", "code"), [("SIGTERM", os.kill, 143), ("SIGHUP", os.killpg, 129)])
def test_a_signal_ends_in_a_sentence_and_a_true_manifest(name: str, to: Any, code: int, tmp_path: Path) -> None:
    process = piped(tmp_path, f"jobs={1 if to is os.kill else 2}")
    wait_for(process, lambda: len(cells(tmp_path / "out")) > 2)
    to(process.pid, getattr(signal, name))
    ended_with, _, complained = ended(process)
    assert (ended_with, "Traceback" in complained) == (code, False), complained
    there = len(cells(tmp_path / "out"))
    assert complained.endswith("flowsim: stopped; the same command with out=out goes on.\n")
    assert f"Stopped with {there} of 5000 cells done" in (tmp_path / "out" / "summary.md").read_text()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["status"], manifest["cells"]) == ("interrupted", {"baseline": there})
    assert not list((tmp_path / "out").rglob("*.tmp"))


@posix
def test_a_terminal_that_is_closed_leaves_a_true_manifest(tmp_path: Path) -> None:
    """What it would say has nowhere to go."""
    ours, theirs = pty.openpty()
    process = command(tmp_path, "jobs=1", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    wait_for(process, lambda: len(cells(tmp_path / "out")) > 2)
    os.close(ours)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 129
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["status"] == "interrupted"


@posix
def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """As `nohup` has it."""
    process = command(
        tmp_path,
        "jobs=1",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    wait_for(process, lambda: len(cells(tmp_path / "out")) > 2)
    process.send_signal(signal.SIGHUP)
    there = len(cells(tmp_path / "out"))
    wait_for(process, lambda: len(cells(tmp_path / "out")) > there)
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 143


@posix
def test_a_signal_to_a_script_leaves_a_true_manifest_and_ends_the_script(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(out, replications=5000)
    wait_for(process, lambda: len(cells(out)) > 2)
    process.send_signal(signal.SIGTERM)
    code, _, complained = ended(process)
    assert (code, complained) == (-signal.SIGTERM, "flowsim: stopped by SIGTERM.\n")
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["status"] == "interrupted"
    assert sum(manifest["cells"].values()) == len(cells(out))


@posix
def test_a_current_folder_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    code = "import os, sys; os.rmdir(os.getcwd()); from flowsim.cli.main import main; sys.exit(main())"
    environment = os.environ | {"PYTHONPATH": str(PLACES.parents[1])}
    for words in (["compare"], ["run", "out=x"], ["results", "x"], ["show", "scenarios"]):
        (tmp_path / "gone").mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=tmp_path / "gone",
            env=environment,
            capture_output=True,
            text=True,
        )
        told = "flowsim: the current folder is gone; change to one that is there and try again.\n"
        assert (done.returncode, done.stderr) == (cli.MISTAKE, told)


def test_the_name_of_a_temporary_file_says_whose_it_is(tmp_path: Path) -> None:
    assert temporary_name(tmp_path / "a.csv").name == f"a.csv.{system.host()}-{os.getpid()}.tmp"
    assert system.is_alive(os.getpid())
    assert not system.is_alive(10**30)


# -- manifests with wrong types ----------------------------------------------------------------------------------------


def keys_of(said: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in a manifest that decides what is shown."""
    pairs = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    for key, value in pairs:
        if key not in ("versions", "machine", "libraries"):
            yield (*at, key)
            yield from keys_of(value, (*at, key))


SELECTION = {
    "measure": "delayed_patients", "indifference": 1.0, "probability": 0.95, "ended": "decided", "rounds": 2,
    "best": "base", "left": {"more": 3}, "worse": {},
}  # fmt: skip
WRONG: tuple[Any, ...] = (None, True, -1, "x", [], ["a"], {"a": "b"}, 10**40, "\ud800")


@pytest.mark.parametrize("verb", ["compare", "select", "sweep"])
def test_a_manifest_of_which_anything_is_wrong_is_shown_or_refused(
    verb: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a folder that is older than its checksums; each key has two of the wrong values, another key two others."""
    as_older(out)
    whole = json.loads((out / "manifest.json").read_text(encoding="utf-8")) | {"verb": verb}
    if verb == "select":
        whole["selection"] = SELECTION
    refused = 0
    for number, keys in enumerate(list(keys_of(whole))):
        for value in (WRONG[number % len(WRONG)], WRONG[(number + 4) % len(WRONG)]):
            said = json.loads(json.dumps(whole))
            part = said
            for key in keys[:-1]:
                part = part[key]
            part[keys[-1]] = value
            (out / "manifest.json").write_text(json.dumps(said), encoding="utf-8")
            with contextlib.suppress(PlaceError):
                flowsim.read(out).show("all")
                refused -= 1
            refused += 1
    assert refused > 20
