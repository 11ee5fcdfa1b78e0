"""Many cells: what the store, the dispatch and a cluster cost beside the cells themselves.

``python -m benchmarks.experiments tiny OUT REPLICATIONS`` and ``... dask OUT REPLICATIONS [OVERRIDE ...]`` are its
processes: memory and CPU seconds are theirs alone.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.timing import Row, process, row
from flowsim.cells import executors, replicate, runner
from flowsim.cells.jobs import Job, Scenario, pack
from flowsim.cells.window import window_span
from flowsim.declare.composition import load, load_scenarios
from flowsim.declare.settings import Settings
from flowsim.folder.configuration import Configuration
from flowsim.folder.outcome import PARTS
from flowsim.folder.store import Store
from flowsim.measures.flow import Measured
from flowsim.place import Place

TINY_SCENARIOS = 5
MEMORY_AT = (1_000, 10_000)
"""Numbers of cells between which the memory must not grow."""


def many_cells(replications: int, scenarios: Sequence[str], overrides: Sequence[str]) -> Iterator[Row]:
    """Sefton's scenarios on all cores: cells a CPU second, and what the CPU is spent on."""
    here = f"{len(scenarios)} scenarios, {replications} replications"
    with tempfile.TemporaryDirectory() as folder:
        words = ["compare", f"{folder}/out", str(replications), f"scenarios=[{','.join(scenarios)}]", *overrides]
        process("-m", "benchmarks.experiments", *words)
        manifest = Store(f"{folder}/out").manifest
    cells = sum(manifest.cells.values())
    spent: dict[str, float] = manifest.cpu_seconds_of_cells
    whole = manifest.cpu_seconds
    rest = whole - sum(spent.values())
    yield row(here, "cells", float(cells), "")
    yield row(here, "cells a CPU second", cells / whole, "")
    yield row(here, f"cells a second of wall time, {manifest.jobs} jobs", cells / manifest.wall_seconds, "")
    for part in PARTS:
        yield row(here, f"of the CPU, {part}", 100 * spent[part] / whole, "%")
    yield row(here, "of the CPU, dispatch and tables", 100 * rest / whole, "%")
    store = (spent["writing"] + rest) / (spent["simulating"] + spent["measuring"])
    yield row(here, "store, dispatch and tables beside the cells", 100 * store, "%", at_most=10)


def on_dask(replications: int, overrides: Sequence[str]) -> Iterator[Row]:
    """Sefton on a local cluster of two workers, 50 cells a job."""
    here = "Dask, two workers, 50 cells a job"
    try:
        import distributed  # noqa: F401
    except ImportError:
        return
    with tempfile.TemporaryDirectory() as folder:
        done = process("-m", "benchmarks.experiments", "dask", f"{folder}/out", str(replications), *overrides)
    found = json.loads(done.output)
    yield row(here, "cells", float(found["cells"]), "")
    yield row(here, "a cell itself", found["of_cells"] / found["cells"], "s")
    yield row(here, "of driver, scheduler and workers beside the cells", 100 * found["beside"], "%", at_most=25)


def tiny_cells(resumed: int) -> Iterator[Row]:
    """Cells with next to nothing in them: memory of the process that has them done, and starting again at the end."""
    here = "Cells with next to nothing in them"
    memory = []
    with tempfile.TemporaryDirectory() as folder:
        for cells in MEMORY_AT:
            out = f"{folder}/{cells}"
            done = process("-m", "benchmarks.experiments", "tiny", out, str(cells // TINY_SCENARIOS))
            memory.append(done.memory)
            yield row(here, f"memory, {cells:,} cells", done.memory, "MiB")
        yield row(here, "memory, most / fewest cells", memory[-1] / memory[0], "times", at_most=1.25)
        again = process("-m", "benchmarks.experiments", "tiny", out, str(resumed // TINY_SCENARIOS))
        again = process("-m", "benchmarks.experiments", "tiny", out, str(resumed // TINY_SCENARIOS))
        what = f"{resumed:,} finished cells, the same command again"
        yield row(here, what, json.loads(again.output)["seconds"], "s", at_most=5)


def _compare(out: str, replications: int, *overrides: str) -> None:
    places = {place.scenario.name: place for place in load_scenarios(*overrides)}
    runner.run_all(places, Settings(replications=replications, out=out, progress=False), verb="compare")


def _dask(out: str, replications: int, *overrides: str) -> None:
    """One scenario on two workers; CPU seconds of all processes, less those before the first job."""
    place = load(*overrides)
    configuration = Configuration({"baseline": place}, 1, "compiled", "all", window_span("all", {"": place}))
    scenario = Scenario("baseline", configuration.keys["baseline"], pack(place))
    store = Store(out)
    with executors.cluster(None, 2, "compiled") as client:

        def jobs(first: int, cells: int) -> Iterator[Job]:
            for start in range(first, first + cells, executors.CELLS_A_JOB):
                chunk = range(start, min(start + executors.CELLS_A_JOB, first + cells))
                yield Job((scenario,), tuple((0, at) for at in chunk), configuration.common(), None)

        def spent() -> float:
            return time.process_time() + sum(client.run(time.process_time).values())

        list(executors.on_cluster((job for at in (1, 2) for job in jobs(10**6 * at, 2)), client))  # loads what it needs
        before, of_cells, cells = spent(), 0.0, 0
        for batch in executors.on_cluster(jobs(0, replications), client):
            for made in batch:
                of_cells += sum(made.outcome.seconds)
                cells += 1
                for name, data in made.files:
                    store.write(name, data)
        print(json.dumps({"cells": cells, "of_cells": of_cells, "beside": (spent() - before) / of_cells - 1}))


def _tiny(out: str, replications: int) -> None:
    """Five scenarios whose cells are made without being simulated."""
    dates = pd.date_range("2024-04-01", periods=30).to_numpy()
    whole = {"where": "all", "of": ""}
    results = pd.DataFrame({"measure": [f"m{n}" for n in range(100)], **whole, "unit": "people", "value": 1.5})
    by_night = pd.DataFrame({"date": dates, **whole, "state": "delayed", "count": np.arange(30.0)})
    replicate.simulate = _nothing  # type: ignore[assignment]
    replicate.measured = lambda *_: Measured(results=results, nights=by_night)  # type: ignore[assignment]
    base = load("days=21", "warm_up_days=9")
    places: dict[str, Place] = {
        f"tiny_{n}": base.model_copy(update={"title": f"tiny {n}"}) for n in range(TINY_SCENARIOS)
    }
    began = time.process_time()
    runner.run_all(places, Settings(replications=replications, out=out, jobs=1, progress=False), verb="compare")
    print(json.dumps({"seconds": time.process_time() - began}))


def _nothing(*_: Any) -> None:
    return None


if __name__ == "__main__":
    what, folder, number, *words = sys.argv[1:]
    Path(folder).parent.mkdir(parents=True, exist_ok=True)
    {"compare": _compare, "dask": _dask, "tiny": _tiny}[what](folder, int(number), *words)
