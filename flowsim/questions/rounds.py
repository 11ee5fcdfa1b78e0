"""Replications in rounds, for questions that find out by themselves how many they need: ask, run, tell.

A procedure is *asked* how many replications each scenario should have, they are *run*, and it is *told* what they
found; and so on until it needs no more, or no more are allowed, or the time is used up. `precision.Narrowing` and
`select.Screening` are such procedures.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

import numpy as np

from flowsim.cells.runner import for_rounds, run_all
from flowsim.declare.settings import Settings
from flowsim.folder.result import Result
from flowsim.place import Place, refuse

FIRST_ROUND = 10
MOST = 500
BUDGET = "30min"
UNITS = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "hour": 3600, "hours": 3600}
ANSWERED, REPLICATIONS, TIME, STOPPED = "answered", "replications", "time", "stopped"
"""Why rounds end: no more are needed; all that are allowed used up, of replications or of time; Ctrl-C, failures."""

Counts = dict[str, int]
"""Replications of each scenario, in all."""
Samples = TypeVar("Samples")
Samples_contra = TypeVar("Samples_contra", contravariant=True)


class Procedure(Protocol[Samples_contra]):
    """What decides, from what was found so far, how many replications to have next."""

    def ask(self) -> Counts:
        """Replications each scenario should have, in all, never fewer than before; none (empty) when it is answered."""

    def tell(self, counts: Counts, samples: Samples_contra) -> None:
        """What so many replications of each found, those of earlier rounds among them."""


def in_rounds(
    procedure: Procedure[Samples],
    run: Callable[[Counts], Samples | None],
    *,
    most: int,
    seconds: float = np.inf,
    elapsed: Callable[[], float] = lambda: 0.0,
) -> str:
    """Ask, run and tell until it ends; returns why: ANSWERED, REPLICATIONS, TIME or STOPPED.

    Args:
        procedure: it is told of every round but one that was stopped.
        run: has so many replications of each scenario in all and returns what they found; None when it was stopped.
        most: replications of one scenario.
        seconds: after the first round, none is begun that would not end within them by the time the last one took.
        elapsed: seconds since the beginning.
    """
    counts: Counts = {}
    each = 0.0
    while asked := procedure.ask():
        asked = {name: min(number, most) for name, number in asked.items()}
        if asked == counts:
            return REPLICATIONS
        if counts:
            asked = _in_time(counts, asked, each, seconds - elapsed())
        if asked == counts:
            return TIME
        started = elapsed()
        samples = run(asked)
        if samples is None:
            return STOPPED
        each = (elapsed() - started) / (sum(asked.values()) - sum(counts.values()))
        counts = asked
        procedure.tell(counts, samples)
    return ANSWERED


def _in_time(counts: Counts, asked: Counts, each: float, left: float) -> Counts:
    """What was asked for, or as much of it as can be had in the seconds left, a replication taking `each`."""
    if left <= 0:
        return counts
    takes = each * (sum(asked.values()) - sum(counts.values()))
    if takes <= left:
        return asked
    return {name: counts[name] + int((number - counts[name]) * left / takes) for name, number in asked.items()}


class Running:
    """Runs the replications of rounds, all in one folder; `last` is the result of the last of them."""

    def __init__(self, places: Mapping[str, Place], settings: Settings, verb: str, asked: Mapping[str, object]) -> None:
        self._places, self._settings = places, settings
        self._verb, self._asked = verb, asked
        self._began = time.perf_counter()
        self.last: Result

    def __call__(self, counts: Counts) -> Result | None:
        """The result with so many replications of each scenario; None when it was stopped or cells failed."""
        verb, asked = self._verb, self._asked
        self.last = run_all(self._places, self._settings, verb=verb, replications=counts, asked=asked)
        return None if self.last.interrupted or self.last.failures else self.last

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self._began


@contextlib.contextmanager
def running(
    places: Mapping[str, Place], settings: Settings, verb: str, asked: Mapping[str, object]
) -> Iterator[Running]:
    """Runs of these places for rounds; `asked` is what the question asks, for the manifest (see `runner.run_all`)."""
    with for_rounds(settings, verb) as same:
        yield Running(places, same, verb, asked)


# ---------------------------------------------------------------------------------------------------------------------
# What rounds may take


def as_most(given: int | None) -> int:
    """The most replications; None for the default. Raises PlaceError."""
    most = MOST if given is None else given
    if isinstance(most, bool) or not isinstance(most, int) or most < 2:
        raise refuse("most", given, "a whole number of replications, at least 2")
    return most


def as_seconds(budget: str | float | None) -> float:
    """Seconds of ``90s``, ``30min`` (or a plain number, of minutes) or ``2h``; None: the default. Raises PlaceError."""
    given = BUDGET if budget is None else budget
    parts = re.fullmatch(r"\s*([0-9.]+)\s*([a-z]*)\s*", str(given).lower())
    unit = (parts[2] or "min") if parts else ""
    try:
        amount = float(parts[1]) if parts else np.nan
    except ValueError:
        amount = np.nan
    if isinstance(given, bool) or unit not in UNITS or not 0 < amount < np.inf:
        raise refuse("budget", given, "a time such as 90s, 30min or 2h")
    return amount * UNITS[unit]
