"""Other systems than the one this runs on: what only POSIX has is taken away, processes begin as Windows has them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import flowsim
from flowsim.declare.composition import load
from flowsim.engine import cache

TESTS = Path(__file__).parent
PLACES = TESTS / "places"
SHORT = ("place=small", "days=7", "warm_up_days=7")
SPAWNED = """
import multiprocessing, sys
import flowsim
from joblib.externals.loky.backend.context import get_context, set_start_method

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    set_start_method("spawn", force=True)
    assert get_context().get_start_method() == "spawn"
    names = [f"scenario={name}" for name in ("baseline", "more_support")]
    places = {name[9:]: flowsim.load(name, *sys.argv[2:], scenarios_dir="scenarios") for name in names}
    flowsim.compare(places, 4, jobs=2, out=sys.argv[1], charts=False, progress=False)
"""


def cells(out: Path) -> list[str]:
    """The finished cells, whose names have the digest of their bytes."""
    return sorted(path.relative_to(out).as_posix() for path in out.glob("cells/*/*.parquet"))


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as it is made here, in one process."""
    out = tmp_path_factory.mktemp("usual") / "out"
    names = ("baseline", "more_support")
    places = {name: load(f"scenario={name}", *SHORT, scenarios_dir=PLACES) for name in names}
    flowsim.compare(places, 4, jobs=1, out=out, charts=False, progress=False)
    return out


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A folder to run in, with the places of the tests in it."""
    (tmp_path / "scenarios").symlink_to(PLACES, target_is_directory=True)
    (tmp_path / "spawned.py").write_text(SPAWNED)
    return tmp_path


def run(folder: Path, *words: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(TESTS.parent), cache.NAMED: str(cache.cache_folder().parent)}
    words = (sys.executable, *words)
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_without_what_only_posix_has_the_same_cells_are_made(there: Path, usual: Path) -> None:
    asked = ("scenarios=[baseline,more_support]", *SHORT, "replications=4", "jobs=1", "charts=false", "out=out")
    told = run(there, str(TESTS / "other_system.py"), "compare", *asked)
    assert "8 of 8 cells done" in told
    assert cells(there / "out") == cells(usual)
    assert not list((there / "out").rglob("*.tmp"))


def test_processes_that_begin_with_nothing_make_the_same_cells(there: Path, usual: Path) -> None:
    run(there, "spawned.py", "out", *SHORT)
    assert cells(there / "out") == cells(usual)
