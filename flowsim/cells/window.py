"""The part of a run over which measures are taken, and the dated changes that decide it."""

from __future__ import annotations

from collections.abc import Mapping

from flowsim.cells.replicate import measured_period
from flowsim.declare.settings import WINDOWS
from flowsim.place import Place, PlaceError, refuse
from flowsim.place.dates import dates_of_changes


def window_span(window: str, places: Mapping[str, Place]) -> tuple[int, int]:
    """Minutes over which measures are taken: the whole measured period, or that `during` or `after` what has dates.

    That are blocks and moves. Those that the first place has too are no part of the question, unless all have the same.
    Raises PlaceError when there are none, or no time after them.
    """
    if window not in WINDOWS:
        raise refuse("window", window, "one of", WINDOWS)
    first = next(iter(places.values()))
    start, end = measured_period(first)
    if window == "all":
        return start, end
    dated = dates_of_changes(places.values())
    if not dated:
        raise PlaceError(f"window: {window!r} was given, but {', '.join(places)} has no dated block or move.")
    opens = max(start, min(first.run.minute_of(begin) for begin, _ in dated))
    closes = min(end, max(first.run.minute_of(last) for _, last in dated))
    span = (opens, closes) if window == "during" else (closes, end)
    if span[0] >= span[1]:
        when = f"{min(b for b, _ in dated)} to {max(e for _, e in dated)}"
        raise PlaceError(f"window: {window!r} was given, but no measured day lies {window} the change ({when}).")
    return span
