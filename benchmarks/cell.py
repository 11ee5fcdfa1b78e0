"""One worker's work, step by step: ``python -m benchmarks.cell ENGINE REPEATS [OVERRIDE ...]`` prints CPU seconds.

A process of its own, so that its memory is that of one worker and nothing else.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.timing import process
from flowsim.cells.jobs import cell_file
from flowsim.cells.memory import keep_memory
from flowsim.cells.replicate import prepare
from flowsim.declare.composition import load
from flowsim.engine import engine as engine_named
from flowsim.engine.stamps import Stamps
from flowsim.folder.store import Store
from flowsim.measures.flow import measure
from flowsim.model.tables import Journeys, Network
from flowsim.place import Place

STEPS = ("sampling and planning", "engine", "measuring", "writing")
MODEL_STEPS = STEPS[:2]
"""The work itself: the rest is looking at it."""


def measured(engine: str, repeats: int, *overrides: str) -> dict[str, Any]:
    """What a process of its own says; adds `memory`, the most it had in MiB."""
    done = process("-m", "benchmarks.cell", engine, str(repeats), *overrides)
    return {**json.loads(done.output), "memory": done.memory}


def events(journeys: Journeys, stamps: Stamps) -> int:
    """Arrivals, ends of stages and ends of tasks that happened."""
    arrived = stamps.joined[journeys.spells.first_row] >= 0
    return int(arrived.sum() + (stamps.ready >= 0).sum() + (stamps.task_ended >= 0).sum())


class _Clock:
    """CPU seconds by step, one number a repeat."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    def of(self, step: str, call: Callable[[], Any]) -> Any:
        began = time.process_time()
        result = call()
        self.seconds.setdefault(step, []).append(time.process_time() - began)
        return result


def main(engine: str, repeats: int, *overrides: str) -> None:
    """Do the steps of a cell so often (and once before, unmeasured, with the compiled engine: that loads it)."""
    keep_memory()  # as every worker does
    place = load(*overrides)
    run = engine_named(engine)
    unmeasured = int(engine == "compiled")
    for repeat in range(unmeasured + repeats):
        if repeat in (0, unmeasured):
            clock = _Clock()
        sizes = _one(clock, place, run, repeat)
    print(json.dumps({"seconds": clock.seconds, **sizes}))


def _one(clock: _Clock, place: Place, run: Callable[[Journeys, Network], Stamps], replication: int) -> dict[str, int]:
    """Do a cell's steps; returns how much there was to do."""
    made = clock.of("sampling and planning", lambda: prepare(place, 1, replication))
    journeys, network = made.journeys, made.network
    stamps = clock.of("engine", lambda: run(journeys, network))
    found = clock.of("measuring", lambda: measure(place, network, journeys, stamps))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        clock.of("writing", lambda: store.write(*cell_file("baseline", "key", replication, {"seed": 1}, found)))
    return {
        "spells": len(journeys.spells.number),
        "rows": int(np.count_nonzero(stamps.joined >= 0)),
        "events": events(journeys, stamps),
    }


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
