"""Faults, each for real: processes killed, Ctrl-C at any moment, a full disk, damaged files, two at work in one folder.

After each the same command again ends with the bytes of a run that nothing has disturbed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowsim.cells import executors
from flowsim.declare.composition import load
from flowsim.declare.settings import Settings
from flowsim.folder.result import Result
from flowsim.place import PlaceError
from flowsim.questions.compare import Comparison, compare

PLACES = Path(__file__).parent / "places"
TABLES = ("results.parquet", "nights.parquet", "comparison.csv")
SHORT = ("days=7", "warm_up_days=7")
REPLICATIONS = 30
CELLS = 2 * REPLICATIONS
pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="signals are sent otherwise there")

SCRIPT = """
import json, os, signal, sys
from flowsim.declare.composition import load
from flowsim.cells import executors
from flowsim.questions.compare import compare
from flowsim.declare.settings import Settings
from flowsim.place import PlaceError

def deadly(number, job, driver):
    from flowsim.cells.jobs import work_elsewhere
    if any(replication == 3 and job.scenarios[at].name == "more" for at, replication in job.cells):
        os.kill(os.getpid(), signal.SIGKILL)
    return work_elsewhere(number, job, driver)

if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    if asked.pop("deadly", False):
        executors.work_elsewhere = deadly
    places = {
        "base": load("place=small", "days=7", "warm_up_days=7", scenarios_dir=sys.argv[2]),
        "more": load("place=small", "days=7", "warm_up_days=7", "place.services.support.capacity=30",
                     scenarios_dir=sys.argv[2]),
    }
    try:
        found = compare(places, Settings(progress=False, **asked))
    except PlaceError as mistake:
        print(mistake, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as stopped:
        print("stopped", stopped, file=sys.stderr)
        sys.exit(130)
    failures = [[f.scenario, f.replication, f.seed, f.error] for f in found.failures]
    print(json.dumps({"notices": found.notices, "failures": failures}))
    sys.exit(130 if found.interrupted else 0)
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("script") / "made.py"
    path.write_text(SCRIPT)
    return path


def start(script: Path, out: Path, **settings: Any) -> subprocess.Popen[str]:
    """The comparison in a group of processes of its own."""
    asked = {"replications": REPLICATIONS, "jobs": 2, "out": str(out), **settings}
    words = [sys.executable, str(script), json.dumps(asked), str(PLACES)]
    environment = os.environ | {"PYTHONPATH": str(PLACES.parents[1])}
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment
    )


def finish(script: Path, out: Path, **settings: Any) -> dict[str, Any]:
    """The comparison to its end; what it says."""
    process = start(script, out, **settings)
    said, complained = process.communicate(timeout=300)
    assert process.returncode == 0, complained
    return json.loads(said)


def wait_for_cells(process: subprocess.Popen[str], out: Path, cells: int) -> None:
    for _ in range(3000):
        if len(finished(out)) >= cells or process.poll() is not None:
            break
        time.sleep(0.02)
    assert process.poll() is None, "it ended before it could be disturbed"


def finished(out: Path) -> list[Path]:
    return [path for path in out.glob("cells/*/*.parquet") if path.parent.name != "set_aside"]


def children(process: int) -> list[int]:
    """Every process below this one, by Linux's account."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
    below = [process]
    for parent in below:
        below += [child for child, its_parent in parents.items() if its_parent == parent]
    return below[1:]


def workers(process: int, mark: str) -> list[int]:
    found = []
    for child in children(process):
        with contextlib.suppress(OSError):
            if mark in (Path("/proc") / str(child) / "cmdline").read_text():
                found.append(child)
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing has disturbed."""
    return made(tmp_path_factory.mktemp("undisturbed") / "out").out


def made(out: Path, **settings: Any) -> Comparison:
    places = {
        "base": load("place=small", *SHORT, scenarios_dir=PLACES),
        "more": load("place=small", *SHORT, "place.services.support.capacity=30", scenarios_dir=PLACES),
    }
    chosen = {"replications": REPLICATIONS, "jobs": 1, **settings}
    return compare(places, Settings(out=out, progress=False, **chosen))


def assert_as_undisturbed(out: Path, undisturbed: Path) -> None:
    for name in TABLES:
        assert (out / name).read_bytes() == (undisturbed / name).read_bytes(), name
    assert sorted(path.name for path in finished(out)) == sorted(path.name for path in finished(undisturbed))
    assert not list(out.rglob("*.tmp"))


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes by /proc")


# -- processes that are no more ----------------------------------------------------------------------------------------


@linux
def test_kill_9_of_the_driver_loses_nothing_finished(script: Path, tmp_path: Path, undisturbed: Path) -> None:
    out = tmp_path / "out"
    process = start(script, out)
    wait_for_cells(process, out, 5)
    left = workers(process.pid, "popen_loky_posix")
    process.kill()
    process.wait()
    for _ in range(100):  # its workers notice within a second
        if not any(Path(f"/proc/{worker}").exists() for worker in left):
            break
        time.sleep(0.1)
    assert not any(Path(f"/proc/{worker}").exists() for worker in left)
    before = {path: path.stat().st_mtime_ns for path in finished(out)}
    (out / f"results.parquet.{os.uname().nodename.replace('-', '_')}-999999999.tmp").write_bytes(b"half")
    made(out)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert_as_undisturbed(out, undisturbed)


@linux
def test_kill_9_of_a_worker_is_no_more_than_a_pause(script: Path, tmp_path: Path, undisturbed: Path) -> None:
    out = tmp_path / "out"
    process = start(script, out)
    wait_for_cells(process, out, 5)
    os.kill(workers(process.pid, "popen_loky_posix")[0], signal.SIGKILL)
    _, complained = process.communicate(timeout=300)
    assert process.returncode == 0, complained
    assert_as_undisturbed(out, undisturbed)


def test_a_cell_that_kills_its_worker_fails_alone(script: Path, tmp_path: Path, undisturbed: Path) -> None:
    out = tmp_path / "out"
    said = finish(script, out, deadly=True, replications=6)
    ((scenario, replication, seed, error),) = said["failures"]
    assert (scenario, replication, seed) == ("more", 3, 1)
    assert "ended by the system 3 times" in error
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["failures"] == [{"scenario": "more", "replication": 3, "seed": 1, "error": error}]
    assert manifest["cells"] == {"base": 6, "more": 5}
    assert [(one.scenario, one.replication) for one in Result.read(out).failures] == [("more", 3)]
    made(out)
    assert_as_undisturbed(out, undisturbed)


# -- Ctrl-C ------------------------------------------------------------------------------------------------------------


def interrupt(process: subprocess.Popen[str], out: Path, undisturbed: Path) -> None:
    """Ctrl-C now, as a terminal sends it: to the process and to all its workers; then the same again to its end."""
    os.killpg(process.pid, signal.SIGINT)
    _, complained = process.communicate(timeout=120)
    if out.exists():  # before, Python itself is still being loaded
        # the last: when all was done and Python itself was ending
        assert process.returncode in (0, 130, -signal.SIGINT), complained
        # nothing of ours: threads that Python itself takes down after the last line of the script
        assert "Traceback" not in complained or "in _shutdown" in complained, complained
    made(out)
    assert_as_undisturbed(out, undisturbed)


def test_ctrl_c_amid_the_cells(script: Path, tmp_path: Path, undisturbed: Path) -> None:
    process = start(script, tmp_path / "out")
    wait_for_cells(process, tmp_path / "out", 5)
    interrupt(process, tmp_path / "out", undisturbed)


@pytest.mark.long
def test_ctrl_c_at_any_moment(script: Path, tmp_path: Path, undisturbed: Path) -> None:
    """A sixteenth of the time of a whole run apart: from before the first import to the last table."""
    began = time.perf_counter()
    finish(script, tmp_path / "whole")
    whole = time.perf_counter() - began
    for moment in range(16):
        out = tmp_path / f"out-{moment}"
        process = start(script, out)
        time.sleep(whole * (moment + 0.5) / 16)
        interrupt(process, out, undisturbed)


# -- a full disk -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of this size; the test is skipped where none can be mounted."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def pages(folder: Path, *without: str) -> int:
    """How many KiB these files take, a page of 4 KiB at least each."""
    return sum(4 * -(-p.stat().st_size // 4096) for p in folder.rglob("*") if p.is_file() and p.name not in without)


@pytest.mark.parametrize(
    ("full", "jobs"),
    [
        ("amid the cells", 1),
        *(
            pytest.param(full, jobs, marks=pytest.mark.long)
            for full in ("at the start", "amid the cells", "amid the tables")
            for jobs in (1, 2)
            if (full, jobs) != ("amid the cells", 1)
        ),
    ],
)
def test_a_full_disk_is_said_and_loses_nothing(
    full: str, jobs: int, script: Path, tmp_path: Path, undisturbed: Path
) -> None:
    folder = tmp_path / "disk"
    before_the_tables = pages(undisturbed, *TABLES)
    size = {"at the start": 16, "amid the cells": before_the_tables // 2, "amid the tables": before_the_tables + 16}
    with small_disk(folder, f"{size[full]}k"):
        process = start(script, folder / "out", jobs=jobs)
        _, complained = process.communicate(timeout=300)
        assert process.returncode == 2, complained
        assert "No space left on device" in complained
        assert "Traceback" not in complained
        there = finished(folder / "out")
        if full != "at the start":
            assert f"{len(there)} of {CELLS} cells are finished and kept" in complained
            assert len(there) > 5
        subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
        made(folder / "out")
        assert set(there) <= set(finished(folder / "out"))
        assert_as_undisturbed(folder / "out", undisturbed)


def test_a_limit_on_the_size_of_files_is_said_too(script: Path, tmp_path: Path, undisturbed: Path) -> None:
    """Where no file system can be mounted: cells fit, the tables do not."""
    resource = pytest.importorskip("resource")
    out = tmp_path / "out"
    limit = (undisturbed / "results.parquet").stat().st_size - 1000
    assert limit > max(path.stat().st_size for path in finished(undisturbed))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        process = start(script, out, jobs=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    _, complained = process.communicate(timeout=300)
    assert process.returncode == 2, complained
    assert f"File too large); {CELLS} of {CELLS} cells are finished and kept" in complained.replace(").", ");")
    made(out)
    assert_as_undisturbed(out, undisturbed)


# -- damaged files -----------------------------------------------------------------------------------------------------


def test_damaged_cells_are_noticed_set_aside_and_made_anew(tmp_path: Path, undisturbed: Path) -> None:
    out = made(tmp_path / "out").out
    first, second, third, *_ = sorted(finished(out))
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    first.write_bytes(data)
    second.write_bytes(second.read_bytes()[:-7])
    third.write_bytes(b"")
    (out / "results.parquet").unlink()
    again = made(out)
    assert sum("was moved to cells/set_aside and made anew" in notice for notice in again.notices) == 3
    assert len(list((out / "cells" / "set_aside").iterdir())) == 3
    assert_as_undisturbed(out, undisturbed)
    assert all("is split as" in notice for notice in made(out).notices)


def test_a_damaged_manifest_is_no_obstacle(tmp_path: Path, undisturbed: Path) -> None:
    out = made(tmp_path / "out").out
    (out / "manifest.json").write_text('{"status": "runn')
    made(out)
    assert_as_undisturbed(out, undisturbed)


# -- two at work -------------------------------------------------------------------------------------------------------


def test_two_processes_share_a_store(script: Path, tmp_path: Path, undisturbed: Path) -> None:
    out = tmp_path / "out"
    both = [start(script, out, jobs=1) for _ in range(2)]
    for process in both:
        _, complained = process.communicate(timeout=300)
        assert process.returncode == 0, complained
    assert_as_undisturbed(out, undisturbed)


# -- a cluster ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.long)])
def test_a_cluster_gives_the_same_bytes(jobs: int, tmp_path: Path, undisturbed: Path) -> None:
    pytest.importorskip("distributed")
    made(tmp_path / "out", executor="dask", jobs=jobs)
    assert_as_undisturbed(tmp_path / "out", undisturbed)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["executor"] == "dask"


@linux
@pytest.mark.long
def test_a_worker_of_a_cluster_is_killed(script: Path, tmp_path: Path, undisturbed: Path) -> None:
    pytest.importorskip("distributed")
    out = tmp_path / "out"
    process = start(script, out, executor="dask")
    wait_for_cells(process, out, 5)
    os.kill(workers(process.pid, "spawn_main")[0], signal.SIGKILL)
    said, complained = process.communicate(timeout=300)
    assert process.returncode == 0, complained
    assert json.loads(said)["failures"] == []
    assert_as_undisturbed(out, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_ctrl_c_while_a_cluster_is_at_work(share: float, script: Path, tmp_path: Path, undisturbed: Path) -> None:
    pytest.importorskip("distributed")
    began = time.perf_counter()
    finish(script, tmp_path / "whole", executor="dask")
    whole = time.perf_counter() - began
    out = tmp_path / "out"
    process = start(script, out, executor="dask")
    time.sleep(share * whole)
    os.killpg(process.pid, signal.SIGINT)
    _, complained = process.communicate(timeout=120)
    # that it is ended by the signal itself is Python's way where all was done and it was about to end anyhow
    assert process.returncode in (0, 130, -signal.SIGINT), complained
    assert "Traceback" not in complained
    made(out)
    assert_as_undisturbed(out, undisturbed)


class Workers:
    """What `distributed.Client` says of workers that are not like this process."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def run(self, *words: Any, **options: Any) -> dict[str, Any]:
        return self.answers


def test_workers_are_looked_at_before_anything_is_done() -> None:
    here = executors.about_this_place("compiled")
    executors._refuse_strange_workers(Workers(one=here, two=here), "compiled")
    with pytest.raises(PlaceError, match=r"worker two cannot run flowsim \(ModuleNotFoundError: No module named 'flow"):
        executors._refuse_strange_workers(
            Workers(one=here, two=ModuleNotFoundError("No module named 'flowsim'")), "compiled"
        )
    for what in ("python", "code", "numpy", "engine"):
        with pytest.raises(PlaceError, match=f"not give the same numbers: {what} is other there and .* here"):
            executors._refuse_strange_workers(Workers(one=here | {what: "other"}), "compiled")


def test_a_scheduler_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(executors, "SECONDS_TO_ANSWER", 1)
    with pytest.raises(PlaceError, match=r"address: 'tcp://127.0.0.1:9' was given; no Dask scheduler answers there"):
        made(tmp_path / "out", executor="dask", address="tcp://127.0.0.1:9")
    with pytest.raises(PlaceError, match="address: 'tcp://here:8786' was given; allowed: only with executor=dask"):
        made(tmp_path / "out", address="tcp://here:8786")


def test_without_dask_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(PlaceError, match=r"pip install 'flowsim\[cluster\]'"):
        made(tmp_path / "out", executor="dask")
