"""How large what somebody writes may be: counted before it is expanded, so that nothing small becomes huge."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from functools import lru_cache

from flowsim.place import PlaceError, refuse

VARIABLE = "FLOWSIM_LIMITS"
"""The environment variable that sets some of them: ``FLOWSIM_LIMITS=values=500000,nesting=80``."""


@dataclass(frozen=True)
class Limits:
    """The most there may be.

    Attributes:
        bytes: in one file of YAML.
        nesting: mappings and lists in one another.
        values: keys and values of a file, and of files put together, each use of a named block counted; long text
            counts as several (`LETTERS_EACH`).
        digits: of one number.
        letters: in one setting, such as a cell of a table or a word of the command line.
        points: values of a sweep, and runs of all of them together.
    """

    bytes: int = 8_000_000
    nesting: int = 40
    values: int = 400_000
    digits: int = 40
    letters: int = 100_000
    points: int = 100_000

    def more(self, name: str) -> str:
        """What is allowed of one of them, and what allows more."""
        return f"at most {getattr(self, name):,} ({VARIABLE}={name}=N sets another limit)"


LETTERS_EACH = 100
"""So many letters of a text count as one value more."""


def limits() -> Limits:
    """Those that hold. Raises PlaceError where the environment sets one that is none."""
    return _read(os.environ.get(VARIABLE, ""))


@lru_cache(maxsize=4)
def _read(text: str) -> Limits:
    names = [one.name for one in fields(Limits)]
    given: dict[str, int] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = pair.partition("=")
        if name.strip() not in names:
            raise refuse(VARIABLE, pair, "name=N with one of", names)
        if not (number.strip().isascii() and number.strip().isdigit() and 0 < len(number.strip()) < 13):
            raise PlaceError(f"{VARIABLE}: {pair[:80]!r} was given; allowed: {name.strip()}=N, a whole number.")
        given[name.strip()] = int(number)
    return Limits(**given)
