"""How a mistake is told: one sentence with the key, what was given, what is allowed and the nearest name; and counts in
words."""

from __future__ import annotations

import contextlib
import difflib
import warnings
from collections.abc import Iterable, Iterator
from contextvars import ContextVar

MOST_LISTED = 12


class PlaceError(ValueError):
    """A user's mistake in a configuration, told in one sentence."""


class FlowsimNotice(UserWarning):
    """Something a user should know that stops nothing, such as a date that was clipped. Told by `notice`."""


_kept: ContextVar[tuple[list[str], ...]] = ContextVar("kept", default=())


def notice(told: str) -> None:
    """Tell the user something that stops nothing: one sentence, without its full stop."""
    for kept in _kept.get():
        kept.append(told)
    warnings.warn(told, FlowsimNotice, stacklevel=3)


@contextlib.contextmanager
def kept_notices() -> Iterator[list[str]]:
    """A list to which every `notice` is added that is told meanwhile; each is told all the same."""
    notices: list[str] = []
    before = _kept.set((*_kept.get(), notices))
    try:
        yield notices
    finally:
        _kept.reset(before)


def nearest(word: str, allowed: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` when a near name exists, in large or small letters, else nothing."""
    names = {str(name).casefold(): str(name) for name in allowed}
    close = difflib.get_close_matches(str(word).casefold(), names, n=1, cutoff=0.55)
    return f" (did you mean '{names[close[0]]}'?)" if close else ""


def shown(given: object, most: int = 80, plain: bool = False) -> str:
    """What was given, as it is told: no more than so many letters of it; `plain`: none beyond ASCII."""
    text = ascii(given) if plain else repr(given)
    return f"{text[:most]}{'...' if len(text) > most else ''}"


def listed(names: Iterable[str]) -> str:
    """Names, the first dozen of them."""
    names = list(names)
    return f"{', '.join(names[:MOST_LISTED])}{', ...' if len(names) > MOST_LISTED else ''}"


def refuse(key: str, given: object, allowed: str, names: Iterable[str] = ()) -> PlaceError:
    """The one sentence for a value that cannot be: which key, what was given, what is allowed, the nearest name."""
    names = list(names)
    if names:
        allowed = f"{allowed} {listed(names)}"
    return PlaceError(f"{key}: {given!r} was given; allowed: {allowed}{nearest(str(given), names)}.")


def counted(n: int, thing: str) -> str:
    """How many there are of a thing whose name takes an s: ``1 point``, ``3 points``."""
    return f"{n} {thing}{'' if n == 1 else 's'}"
