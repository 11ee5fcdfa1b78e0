"""A path year by year: ``path(+3%,5)`` is what is there changed by 3 %, and by so much again in each of five years.

As a whole value it changes what the place has, as ``*1.03``, ``*1.0609`` and so on do; within brackets, as of one age
in a table of factors, it is these factors themselves: ``{by: age, 85+: path(+3%,5), other: 1}``.
"""

from __future__ import annotations

import re

from flowsim.declare.relative import factor_of
from flowsim.place import PlaceError

MOST_YEARS = 50
FIGURES = 8
"""Significant figures of a year's factor: what is written is what is run."""
_PATH = re.compile(r"path\(([^()]*)\)")
_KEYS = re.compile(r"\+{0,2}(place|scenario)\.")


def has_path(text: str) -> bool:
    """Does an override of the place have a path in its value?"""
    return _KEYS.match(text) is not None and _PATH.search(text.partition("=")[2]) is not None


def in_quotes(text: str) -> str:
    """The override as Hydra's grammar, which knows of no paths, can read it."""
    return _PATH.sub(lambda found: f"'{found[0]}'", text)


def values_of(text: str) -> tuple[str, ...]:
    """What an override with a path sets in the first year, the second and so on. Raises PlaceError."""
    key, _, value = text.partition("=")
    found = _PATH.findall(value)
    change, _, years = (part.strip() for part in found[0].partition(","))
    factor = factor_of(change)
    wrong = len(set(found)) > 1 or factor is None or factor <= 0 or re.fullmatch(r"\d{1,2}", years) is None
    if wrong or not 1 <= int(years) <= MOST_YEARS:
        allowed = f"path(+3%,5), a change such as +3%, -2% or *1.03, and a number of years up to {MOST_YEARS}"
        raise PlaceError(f"{key}: {value!r} was given; allowed: {allowed}.")
    assert factor is not None
    whole = value.strip() == f"path({found[0]})"
    factors = (f"{factor**year:.{FIGURES}g}" for year in range(1, int(years) + 1))
    return tuple(f"*{one}" if whole else _PATH.sub(one, value) for one in factors)
