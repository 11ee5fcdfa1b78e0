"""Run replications of one or more scenarios: cells in, a results folder out.

A *cell* is one replication of one scenario: cohort, plan, engine, measure. Cells know nothing of each other, so they
run in any order and in as many processes as there are; what they find is put together in a fixed order, so serial
equals parallel, to the byte. A cell that fails is a row in the manifest and loses no other.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from flowsim.engine import DEFAULT, ENGINES, usable
from flowsim.engine import engine as engine_named
from flowsim.experiment import store as stores
from flowsim.experiment.progress import Progress
from flowsim.experiment.statistics import mean_interval
from flowsim.experiment.store import Configuration, Store
from flowsim.experiment.warm_up import warm_up_notice
from flowsim.place import Place, PlaceError, refuse

if TYPE_CHECKING:
    from flowsim.engine.spells import Spells
    from flowsim.measures.flow import Measured
    from flowsim.model.capacity import Network
    from flowsim.model.cohort import Cohort
    from flowsim.model.journeys import Journeys

WINDOWS = ("all", "during", "after")
DEFAULT_REPLICATIONS = 20
FEWEST_REPLICATIONS = 3
REFERENCE_DAYS = 25_800
"""Days of a place of Sefton's size that the default number of replications may have with the reference engine, so that
they end within ten minutes on two cores. It takes about 8 seconds of an idle core for a Sefton year with its warm-up
(491 days), so this is about seven minutes of one idle core; the rest is for measuring and for slower, busier ones."""
GIB_A_WORKER = 1.5


# ---------------------------------------------------------------------------------------------------------------------
# One cell


@dataclass(frozen=True)
class Simulated:
    """One replication of one scenario, before anything is measured."""

    network: Network
    journeys: Journeys
    spells: Spells


def simulate(
    place: Place, seed: int, replication: int, engine: str = DEFAULT, cohort: Cohort | None = None
) -> Simulated:
    """Sample (unless a cohort is given), plan and run. The same arguments give the same tables, with either engine."""
    from flowsim.model.cohort import Cohort
    from flowsim.model.network import build_network
    from flowsim.model.plan import plan

    run = engine_named(engine)
    network = build_network(place)
    journeys = plan(place, Cohort(seed, replication) if cohort is None else cohort, network)
    return Simulated(network, journeys, run(journeys, network))


def replicate(
    place: Place,
    seed: int,
    replication: int,
    engine: str = DEFAULT,
    span: tuple[int, int] | None = None,
    cohort: Cohort | None = None,
) -> Measured:
    """One cell: simulate and measure over `span` (first minute and the first after; default all that is measured)."""
    return _measured(place, simulate(place, seed, replication, engine, cohort), span or measured_period(place))


def _measured(place: Place, done: Simulated, span: tuple[int, int]) -> Measured:
    from flowsim.measures.flow import measure

    return measure(place, done.network, done.journeys, done.spells, span)


def measured_period(place: Place) -> tuple[int, int]:
    """First minute that counts and the first after the run."""
    return place.run.measured_from, place.run.horizon


# ---------------------------------------------------------------------------------------------------------------------
# The window


def window_span(window: str, places: Mapping[str, Place]) -> tuple[int, int]:
    """Minutes over which measures are taken: the whole measured period, or that `during` or `after` the dated blocks.

    Blocks that the first place has too are no part of the question, unless all have the same. Raises PlaceError when
    there is no block, or no time after it.
    """
    if window not in WINDOWS:
        raise refuse("window", window, "one of", WINDOWS)
    first = next(iter(places.values()))
    start, end = measured_period(first)
    if window == "all":
        return start, end
    blocks = _blocks(places.values())
    if not blocks:
        raise PlaceError(f"window: {window!r} was given, but no service of {', '.join(places)} has a dated block.")
    opens = max(start, min(first.run.minute_of(begin) for begin, _ in blocks))
    closes = min(end, max(first.run.minute_of(last) for _, last in blocks))
    span = (opens, closes) if window == "during" else (closes, end)
    if span[0] >= span[1]:
        when = f"{min(b for b, _ in blocks)} to {max(e for _, e in blocks)}"
        raise PlaceError(f"window: {window!r} was given, but no measured day lies {window} the block ({when}).")
    return span


def block_dates(places: Iterable[Place]) -> list[tuple[Any, Any]]:
    """First date and first date after of every dated block that tells these places apart (or that all of them have)."""
    return sorted(set(_blocks(places)))


def _blocks(places: Iterable[Place]) -> list[tuple[Any, Any]]:
    def of(place: Place) -> set[tuple[str, str, Any, Any]]:
        services = {**place.services, **place.pools}
        return {(s, b, k.from_date, k.end) for s, service in services.items() for b, k in service.blocks.items()}

    first, *others = list(places)
    reference = of(first if others or first.before is None else first.before)
    every = set.union(*(of(place) for place in (first, *others)))
    return [(begin, end) for _, _, begin, end in (every - reference or every)]


# ---------------------------------------------------------------------------------------------------------------------
# Jobs: what one worker does at a time


@dataclass(frozen=True)
class Cell:
    """One replication of one scenario, with the digest its files are named by."""

    scenario: str
    key: str
    place: Place


@dataclass(frozen=True)
class Job:
    """Cells of one replication: one with the reference engine (good balance), all with the compiled (one cohort)."""

    replication: int
    cells: tuple[Cell, ...]
    seed: int
    engine: str
    span: tuple[int, int]
    out: Path
    keep_spells: bool


@dataclass(frozen=True)
class Outcome:
    """How a cell ended; `error` is empty when it is finished."""

    scenario: str
    replication: int
    seed: int
    cpu_seconds: float
    error: str = ""


def work(job: Job) -> list[Outcome]:
    """Do the cells of a job and write them; an error ends its own cell only."""
    from flowsim.model.cohort import Cohort

    outcomes = []
    cohort = Cohort(job.seed, job.replication)
    for cell in job.cells:
        began = time.process_time()
        error = ""
        try:
            _work_cell(job, cell, cohort)
        except Exception as mistake:  # whatever went wrong is told and loses no other cell
            error = _told(mistake)
        outcomes.append(Outcome(cell.scenario, job.replication, job.seed, time.process_time() - began, error))
    return outcomes


def work_elsewhere(job: Job) -> list[Outcome]:
    """`work` in a process of its own, where Ctrl-C is left to the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return work(job)


def _work_cell(job: Job, cell: Cell, cohort: Cohort) -> None:
    done = simulate(cell.place, job.seed, job.replication, job.engine, cohort)
    measured = _measured(cell.place, done, job.span)
    store = Store(job.out)
    if job.keep_spells:
        store.write_spells(cell.scenario, job.replication, spell_tables(done))
    store.write_cell(cell.key, cell.scenario, job.replication, measured.results, measured.census)


def _told(mistake: Exception) -> str:
    """An error in one line, with the place in the code where it was raised."""
    last = traceback.extract_tb(mistake.__traceback__)[-1]
    return f"{type(mistake).__name__}: {mistake} ({Path(last.filename).name}:{last.lineno})"


def spell_tables(done: Simulated) -> dict[str, pd.DataFrame]:
    """Every stamp with its words: `stages` (one row a stage of a spell), `tasks` and `capacity` (the log)."""
    from flowsim.engine.spells import ENDINGS
    from flowsim.model.capacity import REASONS

    spells, journeys = done.spells, done.journeys
    rows, tasks = journeys.rows, journeys.tasks
    services = np.array(done.network.names, dtype=object)

    def words(names: Iterable[str], codes: np.ndarray) -> np.ndarray:
        return np.array(list(names), dtype=object)[codes]

    stamps = ("joined", "accepted", "started", "ready", "recognised", "left", "freed", "units")
    stages = pd.DataFrame(
        {
            "spell": journeys.spells.number[rows.spell],
            "row": np.arange(len(rows.spell)),
            "stage": words(journeys.stages, rows.stage),
            "service": services[rows.service],
            **{name: getattr(spells, name) for name in stamps},
            "ended": words(ENDINGS, spells.ended),
        }
    )
    counts = rows.n_before + rows.n_after
    own = np.repeat(rows.first_task - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    by_task = pd.DataFrame(
        {
            "row": np.repeat(np.arange(len(counts)), counts),
            "task": words(journeys.task_names, tasks.kind[own]),
            "began": spells.task_began[own],
            "granted": spells.task_granted[own],
            "ended": spells.task_ended[own],
        }
    )
    log = pd.DataFrame(
        {
            "minute": spells.log_minute,
            "service": services[spells.log_service],
            "capacity": spells.log_capacity,
            "in_use": spells.log_in_use,
            "queue": spells.log_queue,
            "reason": words(REASONS, spells.log_reason),
        }
    )
    return {"stages": stages, "tasks": by_task, "capacity": log}


# ---------------------------------------------------------------------------------------------------------------------
# The experiment


@dataclass(frozen=True)
class Result:
    """What an experiment found, read from its folder.

    Attributes:
        out: the results folder.
        places: one place a scenario, by name; the first is the one compared with.
        failures: cells that failed, with their seed and error.
        notices: what the user should know, one sentence each.
        interrupted: it was stopped before all cells were done.
    """

    out: Path
    places: dict[str, Place]
    failures: tuple[Outcome, ...] = ()
    notices: tuple[str, ...] = ()
    interrupted: bool = False

    @classmethod
    def read(cls, out: str | Path) -> Self:
        """The result in a folder that an earlier run left. Raises PlaceError when it holds none."""
        store = Store(out)
        names = store.manifest.get("configuration", {}).get("scenarios", {})
        if not names or not (store.out / "results.parquet").is_file():
            raise PlaceError(f"{out}: this folder holds no results.")
        places = {name: stores.read_config(store.out / "config" / f"{stores.file_name(name)}.yaml") for name in names}
        failures = tuple(Outcome(**failure) for failure in store.manifest.get("failures", []))
        stopped = store.manifest.get("status") == "interrupted"
        return cls(store.out, places, failures, tuple(store.manifest.get("notices", [])), stopped)

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Names of the scenarios, in order."""
        return tuple(self.places)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """How it was made."""
        return Store(self.out).manifest

    @property
    def span(self) -> tuple[int, int]:
        """First minute measured and the first after."""
        start, end = self.manifest["configuration"]["window_minutes"]
        return start, end

    @cached_property
    def results(self) -> pd.DataFrame:
        """Columns scenario, replication, measure, where, unit, value."""
        return Store(self.out).results()

    @cached_property
    def census(self) -> pd.DataFrame:
        """Columns scenario, replication, date, where, state, count: every night at 23:59, warm-up included."""
        return Store(self.out).census()

    def summary(self, headline: bool = True) -> pd.DataFrame:
        """Columns scenario, measure, where, unit, n, mean, low, high: means over replications with 95 % intervals."""
        found = mean_interval(self.results, self.scenarios)
        if headline:
            from flowsim.measures.headline import HEADLINE

            order = {measure: at for at, measure in enumerate(HEADLINE)}
            found = found[found["measure"].isin(list(order)) & (found["where"] == "all")]
            found = found.sort_values("measure", key=lambda column: column.map(order), kind="stable")
        return found.reset_index(drop=True)


def default_replications(places: Mapping[str, Place], engine: str) -> int:
    """Twenty; with the reference engine as many as end within ten minutes on two cores, but at least three.

    The rule looks at the scenarios, the length of the run and `scale`, never at the machine, so that the same command
    gives the same numbers everywhere.
    """
    if engine != "reference":
        return DEFAULT_REPLICATIONS
    days = sum(place.run.all_days * max(1.0, place.run.scale) for place in places.values())
    return int(min(DEFAULT_REPLICATIONS, max(FEWEST_REPLICATIONS, REFERENCE_DAYS // days)))


def default_jobs() -> int:
    """The machine's cores, fewer where there is less than 1.5 GiB of memory for each."""
    memory = stores.memory_gib()
    return stores.cores() if memory is None else max(1, min(stores.cores(), int(memory / GIB_A_WORKER)))


def run(
    place: Place,
    *,
    replications: int | None = None,
    seed: int = 1,
    jobs: int | None = None,
    engine: str = DEFAULT,
    out: str | Path | None = None,
    keep_spells: bool = False,
    window: str = "all",
    progress: bool = True,
    command: str | None = None,
) -> Result:
    """Run one scenario. `replications` None: the documented default (`default_replications`). Raises PlaceError."""
    return run_all(
        {place.scenario.name: place},
        verb="run",
        replications=replications,
        seed=seed,
        jobs=jobs,
        engine=engine,
        out=out,
        keep_spells=keep_spells,
        window=window,
        progress=progress,
        command=command,
    )


def run_all(
    places: dict[str, Place],
    *,
    verb: str,
    replications: int | None = None,
    seed: int = 1,
    jobs: int | None = None,
    engine: str = DEFAULT,
    out: str | Path | None = None,
    keep_spells: bool = False,
    window: str = "all",
    progress: bool = True,
    command: str | None = None,
) -> Result:
    """Run every replication of every place that `out` does not hold yet, and put all of them together there."""
    check_settings(replications, seed, jobs, engine)
    engine = usable(engine)
    began, cpu = time.perf_counter(), time.process_time()
    notices = []
    if replications is None:
        replications = default_replications(places, engine)
        if replications < DEFAULT_REPLICATIONS:
            notices.append(
                f"With the reference engine the default is lowered from {DEFAULT_REPLICATIONS} to {replications} "
                "replications, so that this ends within about ten minutes on two cores; give replications=N for more."
            )
    configuration = Configuration(places, seed, engine, window, window_span(window, places))
    command = command or told_command()
    store = Store(stores.default_out(verb) if out is None else out)
    store.open(configuration, command)
    earlier = store.manifest
    manifest = {
        "command": command,
        "verb": verb,
        "status": "running",
        "replications": replications,
        "seed": seed,
        "engine": engine,
        "window": window,
        "configuration": configuration.described(),
        "versions": stores.versions(),
        "machine": stores.machine(),
        "git_commit": stores.git_commit(),
    }
    store.write_manifest(manifest)
    todo = [
        (name, replication)
        for replication in range(replications)
        for name, key in configuration.keys.items()
        if not store.has(key, name, replication, keep_spells)
    ]
    jobs = min(jobs or default_jobs(), max(1, len(todo)))
    cells = replications * len(places)
    if progress and notices:
        print(*notices, sep="\n", file=sys.stderr)
    outcomes: list[Outcome] = []
    interrupted = False
    with Progress(cells, cells - len(todo), enabled=progress) as shown:
        try:
            for finished in _outcomes(_jobs(configuration, todo, store.out, keep_spells), jobs):
                outcomes += finished
                shown.advance(len(finished))
        except KeyboardInterrupt:
            interrupted = True
    done = store.assemble(configuration, replications)
    failures = tuple(sorted((o for o in outcomes if o.error), key=lambda o: (o.replication, o.scenario)))
    if interrupted:
        notices.append(
            f"Stopped with {sum(done.values())} of {cells} cells done; the same command with out={store.out} goes on."
        )
    notices += _warm_up(store, places) if done[next(iter(places))] else []
    manifest |= {
        "status": "interrupted" if interrupted else "failures" if failures else "complete",
        "cells": done,
        "jobs": jobs,
        "wall_seconds": round(earlier.get("wall_seconds", 0) + time.perf_counter() - began, 3),
        "cpu_seconds": round(
            earlier.get("cpu_seconds", 0)
            + (time.process_time() - cpu if jobs == 1 else sum(o.cpu_seconds for o in outcomes)),
            1,
        ),
        "notices": notices,
        "failures": [asdict(failure) for failure in failures],
    }
    store.write_manifest(manifest)
    return Result(store.out, places, failures, tuple(notices), interrupted)


def check_settings(replications: int | None, seed: int, jobs: int | None, engine: str) -> None:
    """Raises PlaceError for a setting that cannot be."""
    if engine not in ENGINES:
        raise refuse("engine", engine, "one of", ENGINES)
    for name, value, least in (("replications", replications, 1), ("seed", seed, 0), ("jobs", jobs, 1)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise refuse(name, value, f"a whole number, at least {least}")


def told_command() -> str:
    """The command line as it can be typed again."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]) if sys.argv and sys.argv[0] else "python"


def _warm_up(store: Store, places: dict[str, Place]) -> list[str]:
    name, place = next(iter(places.items()))
    census = store.census()
    notice = warm_up_notice(place, census[census["scenario"] == name])
    return [notice] if notice else []


def _jobs(configuration: Configuration, todo: list[tuple[str, int]], out: Path, keep_spells: bool) -> list[Job]:
    """With the compiled engine a job is all scenarios of one replication; with the reference engine it is one cell."""
    groups: dict[Any, list[tuple[str, int]]] = {}
    for name, replication in todo:
        key = replication if configuration.engine == "compiled" else (replication, name)
        groups.setdefault(key, []).append((name, replication))
    return [
        Job(
            group[0][1],
            tuple(Cell(name, configuration.keys[name], configuration.places[name]) for name, _ in group),
            configuration.seed,
            configuration.engine,
            configuration.span,
            out.resolve(),
            keep_spells,
        )
        for group in groups.values()
    ]


def _outcomes(todo: list[Job], jobs: int) -> Iterator[list[Outcome]]:
    """Do the jobs, in this process or in one level of others, and hand back what comes of each as it ends."""
    if jobs == 1:
        for job in todo:
            yield work(job)
        return
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    pool = Parallel(n_jobs=jobs, backend="loky", return_as="generator_unordered", batch_size=1)
    left = {(job.replication, cell.scenario): job for job in todo for cell in job.cells}
    with _interrupts_ignored():
        results = pool(delayed(work_elsewhere)(job) for job in todo)
    try:
        for outcomes in results:
            for outcome in outcomes:
                del left[outcome.replication, outcome.scenario]
            yield outcomes
    except TerminatedWorkerError:
        reason = "a worker process was ended by the system (out of memory? try fewer jobs)"
        yield [Outcome(name, replication, job.seed, 0.0, reason) for (replication, name), job in left.items()]


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Workers started in here inherit that Ctrl-C is not for them: the process that started them answers it."""
    if threading.current_thread() is not threading.main_thread() or os.name == "nt":
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
