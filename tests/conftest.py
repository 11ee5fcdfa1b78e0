"""Fixtures that several test files share."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from acceptance import ENGINES, Engine

# A shell's background job ignores Ctrl-C and passes that on; the processes that tests interrupt must not.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):  # which `nohup` ignores in the same way
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


SLOWEST_FIRST = (
    "test_readme", "test_outside_cases", "test_identity", "test_told", "test_experiments_page", "test_scenarios",
    "test_faults", "test_present", "test_experiment", "test_queueing_theory", "test_benchmarks", "test_branch",
)  # fmt: skip
"""Files that take longest: a process at work takes a whole file, and none should begin one of these when others end."""
MOST_WORKERS = 8
"""No file is shared, so more processes would only wait for the slowest, each with its own 300 MB."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """`-n auto`: as many as this process may use, where a virtual core counts as one."""
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_WORKERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: at for at, name in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--refresh-golden` and `--refresh-mutations`: write down anew what tests compare with, or begin at."""
    parser.addoption("--refresh-golden", action="store_true", help="write the golden runs anew (see CONTRIBUTING.md)")
    parser.addoption("--refresh-mutations", action="store_true", help="search anew which case notices each mutation")


@pytest.fixture
def refresh_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--refresh-golden"))


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each of the engines there are."""
    return ENGINES[request.param]


@pytest.fixture
def own_scenarios(tmp_path: Path) -> Path:
    """A folder of scenarios of one's own: the small place, and no scenario yet."""
    folder = tmp_path / "scenarios"
    (folder / "scenario").mkdir(parents=True)
    (folder / "place").mkdir()
    shutil.copy(Path(__file__).parent / "places" / "place" / "small.yaml", folder / "place")
    return folder
