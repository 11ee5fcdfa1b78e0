"""How a cell ended."""

from __future__ import annotations

from dataclasses import dataclass

PARTS = ("simulating", "measuring", "writing")
"""What the CPU seconds of a cell are spent on: sampling, planning and engine; measures; the files."""


@dataclass(frozen=True)
class Outcome:
    """How a cell ended; `error` is empty when it is finished. `seconds`: CPU seconds of each of `PARTS`."""

    scenario: str
    replication: int
    seed: int
    seconds: tuple[float, ...] = ()
    error: str = ""
