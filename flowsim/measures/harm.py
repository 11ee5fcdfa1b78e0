"""What waiting in an emergency department does to people, by published evidence; a measure, never fed back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowsim.measures.services import ALL, WHOLE, Value

HELD = (6 * 60, 8 * 60)
"""Minutes from arrival: held for more than the first of these, and for more than the second."""
ONE_DEATH_IN = (82, 72)
"""Admitted people held so long for each that dies within 30 days (Jones and others, EMJ 2022;39:168: HA-01, HA-02)."""
EXCESS = 0.16
"""Their standardised mortality after 8 to 12 hours is 1.16 (HA-10) ..."""
EVIDENCE = {"low end of the evidence": 0.12, "high end of the evidence": 0.21}
"""... with a 95 % interval from 1.12 to 1.21; for 6 to 8 hours it is taken to be as wide (ASM-154)."""


def expected_extra_deaths(hours_held: list[tuple[str, np.ndarray]], a_year: float) -> Iterator[Value]:
    """Extra deaths a year of those admitted: where -> minutes from arrival to leaving for a bed, and years a window."""
    for where, minutes in hours_held:
        longest = minutes > HELD[1]
        long = (minutes > HELD[0]) & ~longest
        deaths = (long.sum() / ONE_DEATH_IN[0] + longest.sum() / ONE_DEATH_IN[1]) * a_year
        yield "expected_extra_deaths_of_waiting", where, WHOLE, float(deaths)
        if where == ALL:
            for name, excess in EVIDENCE.items():
                yield "expected_extra_deaths_of_waiting", ALL, name, float(deaths * excess / EXCESS)
