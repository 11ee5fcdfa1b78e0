"""What is computed from a place once and kept as long as the place is."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import TypeVar

from flowsim.place.configuration import Place

Made = TypeVar("Made")


def once_a_place(make: Callable[[Place], Made]) -> Callable[[Place], Made]:
    """`make`, done once for each place and kept for as long as that place is: what it makes must not hold the place."""
    known: dict[int, Made] = {}

    @functools.wraps(make)
    def made(place: Place) -> Made:
        if id(place) not in known:
            known[id(place)] = make(place)
            weakref.finalize(place, known.pop, id(place), None)  # of two threads the later finds nothing
        return known[id(place)]

    return made
