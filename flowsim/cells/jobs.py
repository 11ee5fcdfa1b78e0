"""What a worker does at a time, wherever it runs: cells of an experiment, and how each of them ended."""

from __future__ import annotations

import functools
import io
import itertools
import json
import pickle
import platform
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from flowsim import system
from flowsim.cells import replicate
from flowsim.cells.memory import end_quickly, keep_memory
from flowsim.folder.atomic import StoreError
from flowsim.folder.cell_file import encode, file_name, listed
from flowsim.folder.code import code_digest
from flowsim.folder.configuration import plain
from flowsim.folder.machine import LIBRARIES, installed
from flowsim.folder.outcome import Outcome
from flowsim.folder.store import Store
from flowsim.place import Place, PlaceError

if TYPE_CHECKING:
    from flowsim.measures.flow import Measured

PLACES_KEPT = 64
"""Places that a worker keeps unpacked."""


@dataclass(frozen=True)
class Scenario:
    """A place as it travels to a worker.

    Attributes:
        name: the scenario's; key: the digest its cells are filed under.
        place: packed (`pack`).
        spells: the folder for its spells inside the results folder; None when they are not kept.
    """

    name: str
    key: str
    place: bytes
    spells: str | None = None


@dataclass(frozen=True)
class Job:
    """Cells that are done one after another, those of one replication together: they have the same people.

    Attributes:
        scenarios: the scenarios of these cells.
        cells: which scenario (by its place in `scenarios`) and which replication.
        about: what the files of all cells say of themselves: seed, engine, window, its minutes, code, libraries.
        out: the folder the worker writes to; None where it cannot: the files then come back with the outcome.
    """

    scenarios: tuple[Scenario, ...]
    cells: tuple[tuple[int, int], ...]
    about: Mapping[str, Any]
    out: Path | None

    def each(self) -> Iterator[Job]:
        """One job for every cell that is not on the disk by now."""
        for scenario, replication in self.cells:
            one = self.scenarios[scenario]
            if self.out is None or replication not in listed(Store(self.out).cells / one.key):
                yield replace(self, scenarios=(one,), cells=((0, replication),))


@dataclass(frozen=True)
class Made:
    """An outcome, and the files (name in the results folder, bytes) that the worker could not write itself."""

    outcome: Outcome
    files: tuple[tuple[str, bytes], ...] = ()


def pack(place: Place) -> bytes:
    """A place, small enough to travel with every job."""
    return zlib.compress(pickle.dumps(place, pickle.HIGHEST_PROTOCOL), 1)


@functools.lru_cache(maxsize=PLACES_KEPT)
def unpack(packed: bytes) -> Place:
    """The place that was packed."""
    return pickle.loads(zlib.decompress(packed))


# ---------------------------------------------------------------------------------------------------------------------
# At work


def work(job: Job) -> list[Made]:
    """Do the cells of a job; an error ends its own cell only. Raises StoreError when the folder cannot be written."""
    from flowsim.model.cohort import Cohort

    keep_memory()
    made = []
    cohort = Cohort(job.about["seed"], -1)
    beginnings = replicate.Beginnings(frozenset())
    for at, replication in job.cells:
        if replication != cohort.replication:
            cohort = Cohort(job.about["seed"], replication)
            beginnings = replicate.Beginnings(_shared(job, replication))
        scenario = job.scenarios[at]
        try:
            made.append(_cell(job, scenario, replication, cohort, beginnings.of(_beginning(scenario.place))))
        except StoreError:
            raise
        except Exception as mistake:  # whatever went wrong is told and loses no other cell
            made.append(Made(_outcome(job, scenario, replication, error=_told(mistake))))
    return made


def work_elsewhere(number: int, job: Job, driver: int) -> tuple[int, list[Made]]:
    """`work` in a process of its own, which ends when the one that started it ends, and leaves Ctrl-C and the like to
    it."""
    system.leave_stops_to_others()
    end_quickly()
    system.end_with(driver)
    return number, work(job)


def work_on_cluster(job: Job) -> list[Made]:
    """`work` on a worker that may have joined since all were looked at."""
    if job.about["code"] != code_digest():
        raise PlaceError(f"the flowsim of {platform.node()} is another version")
    return work(job)


def _shared(job: Job, replication: int) -> frozenset[str]:
    """The beginnings that more than one cell of a replication have."""
    if job.about["engine"] != "compiled":
        return frozenset()
    every = Counter(_beginning(job.scenarios[at].place) for at, number in job.cells if number == replication)
    return frozenset(name for name, times in every.items() if name and times > 1)


@functools.lru_cache(maxsize=PLACES_KEPT)
def _beginning(packed: bytes) -> str:
    """A name for a place's run up to the start of the policy; "" where that is too early to be worth sharing."""
    from flowsim.engine.branch import pays

    place = unpack(packed)
    if not pays(place.run.switch, place.run.horizon):
        return ""
    before = plain(place.before or place)
    return json.dumps([place.run.switch, {**before, "scenario": None}], default=str, sort_keys=True)


def _cell(job: Job, scenario: Scenario, replication: int, cohort: Any, beginnings: replicate.Beginnings | None) -> Made:
    clock = [time.process_time()]
    place = unpack(scenario.place)
    done = replicate.simulate(place, job.about["seed"], replication, job.about["engine"], cohort, beginnings)
    clock.append(time.process_time())
    measured = replicate.measured(place, done, tuple(job.about["window_minutes"]))
    clock.append(time.process_time())
    files = []
    if scenario.spells is not None:
        tables = replicate.spell_tables(done, place.run.first_date)
        for what in sorted(tables, key=lambda name: name == "stages"):  # the stages last: they say that all are there
            files.append((f"{scenario.spells}/{replication:05d}-{what}.parquet", _parquet(tables[what])))
    files.append(cell_file(scenario.name, scenario.key, replication, job.about, measured))
    if job.out is not None:
        store = Store(job.out)
        for name, data in files:
            store.write(name, data)
        files = []
    clock.append(time.process_time())
    seconds = tuple(after - before for before, after in itertools.pairwise(clock))
    return Made(_outcome(job, scenario, replication, seconds), tuple(files))


def cell_file(
    scenario: str, key: str, replication: int, about: Mapping[str, Any], found: Measured
) -> tuple[str, bytes]:
    """The name (in the results folder) and the bytes of a finished cell."""
    words = {"scenario": scenario, "key": key, "replication": replication, **about}
    data = encode(found.results, found.nights, words)
    return f"cells/{key}/{file_name(replication, data)}", data


def _parquet(frame: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None), sink)
    return sink.getvalue()


def _outcome(
    job: Job, scenario: Scenario, replication: int, seconds: tuple[float, ...] = (), error: str = ""
) -> Outcome:
    return Outcome(scenario.name, replication, job.about["seed"], seconds, error)


def failed(job: Job, error: str) -> list[Made]:
    """All cells of a job with the same error."""
    return [Made(_outcome(job, job.scenarios[at], replication, error=error)) for at, replication in job.cells]


def _told(mistake: Exception) -> str:
    """An error in one line, with the place in the code where it was raised."""
    last = traceback.extract_tb(mistake.__traceback__)[-1]
    return f"{type(mistake).__name__}: {mistake} ({Path(last.filename).name}:{last.lineno})"


# ---------------------------------------------------------------------------------------------------------------------
# Where a worker runs


def about_this_place(engine: str) -> dict[str, Any]:
    """What decides the numbers in this process: Python, flowsim, its source, libraries, and the engine it can use."""
    from flowsim.engine import usable

    major, minor, _ = platform.python_version_tuple()
    return {
        "python": f"{major}.{minor}",
        "code": code_digest(),
        "engine": usable(engine),
        **installed(("flowsim", *LIBRARIES)),
    }
