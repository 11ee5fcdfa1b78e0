"""Fixtures that several test files share."""

from __future__ import annotations

import signal

import pytest
from acceptance import ENGINES, Engine

# A shell's background job ignores Ctrl-C and passes that on; the processes that tests interrupt must not.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
