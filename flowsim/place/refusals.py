"""How a mistake is told: one sentence with the key, what was given, what is allowed and the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PlaceError(ValueError):
    """A user's mistake in a configuration, told in one sentence."""


class FlowsimNotice(UserWarning):
    """Something a user should know that stops nothing, such as a date that was clipped. Told with `warnings.warn`."""


def nearest(word: str, allowed: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` when a near name exists, else nothing."""
    close = difflib.get_close_matches(str(word), [str(a) for a in allowed], n=1, cutoff=0.55)
    return f" (did you mean '{close[0]}'?)" if close else ""


def refuse(key: str, given: object, allowed: str, names: Iterable[str] = ()) -> PlaceError:
    """The one sentence for a value that cannot be: which key, what was given, what is allowed, the nearest name."""
    names = list(names)
    if names:
        allowed = f"{allowed} {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}"
    return PlaceError(f"{key}: {given!r} was given; allowed: {allowed}{nearest(str(given), names)}.")
