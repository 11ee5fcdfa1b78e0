"""Two engines, one answer: journeys and a network in, spells and a log of capacities out."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from flowsim.place import FlowsimNotice

if TYPE_CHECKING:
    from flowsim.engine.stamps import Stamps
    from flowsim.model.tables import Journeys, Network


def engine(name: str) -> Callable[[Journeys, Network], Stamps]:
    """An engine's `run`, by its name."""
    return importlib.import_module(f"flowsim.engine.{name}").run


def usable(name: str) -> str:
    """The engine to use for the one asked for, made ready: the reference, with a notice, where Numba cannot be used."""
    try:
        module = importlib.import_module(f"flowsim.engine.{name}")
        if name == "compiled":
            module.prepare()
    except ImportError as missing:
        if name == "reference":
            raise
        reason = f"The compiled engine cannot be used here ({missing}); the reference engine gives the same, slower"
        warnings.warn(reason, FlowsimNotice, stacklevel=2)
        return "reference"
    return name
