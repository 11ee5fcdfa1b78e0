"""Fixtures that several test files share."""

from __future__ import annotations

import pytest
from acceptance import ENGINES, Engine


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each of the engines there are."""
    return ENGINES[request.param]
