"""flowsim: how people flow through hospitals and the services around them, and what would change that.

import flowsim
c = flowsim.compare(["baseline", "seven_day_working"], replications=5)
c.chart("differences.png")
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowsim.api import Comparison, Result, Selection, Sweep, compare, load, read, run, select, sweep
    from flowsim.place import Place, PlaceError

__all__ = [
    "Comparison", "Place", "PlaceError", "Result", "Selection", "Sweep", "__version__",
    "compare", "load", "read", "run", "select", "sweep",
]  # fmt: skip

try:
    __version__ = version("flowsim")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0+unknown"

_WHERE = {"Place": "flowsim.place", "PlaceError": "flowsim.place"}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for, so that `flowsim --help` answers at once."""
    if name not in __all__:
        raise AttributeError(f"module 'flowsim' has no attribute {name!r}")
    return getattr(import_module(_WHERE.get(name, "flowsim.api")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
