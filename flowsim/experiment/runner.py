"""Run replications of one or more scenarios: cells in, a results folder out.

A *cell* is one replication of one scenario: cohort, plan, engine, measure. Cells know nothing of each other, so they
run in any order and in as many processes as there are; what they find is put together in a fixed order, so serial
equals parallel, to the byte. A cell that fails is a row in the manifest and loses no other.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import shlex
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pandas as pd

from flowsim.engine import usable
from flowsim.experiment import executors
from flowsim.experiment import store as stores
from flowsim.experiment.assemble import assemble
from flowsim.experiment.cells import CellFile
from flowsim.experiment.executors import ClusterError
from flowsim.experiment.jobs import PARTS, Job, Made, Outcome, Scenario, pack
from flowsim.experiment.progress import Progress
from flowsim.experiment.replicate import measured_period
from flowsim.experiment.settings import WINDOWS, Settings
from flowsim.experiment.statistics import mean_interval
from flowsim.experiment.store import Configuration, Store, StoreError
from flowsim.experiment.warm_up import warm_up_notice
from flowsim.place import Place, PlaceError, refuse

DEFAULT_REPLICATIONS = 20
FEWEST_REPLICATIONS = 3
REFERENCE_DAYS = 25_800
"""Days of a place of Sefton's size that the default number of replications may have with the reference engine, so that
they end within ten minutes on two cores. It takes about 8 seconds of an idle core for a Sefton year with its warm-up
(491 days), so this is about seven minutes of one idle core; the rest is for measuring and for slower, busier ones."""
GIB_A_WORKER = 1.5
PLACES_PACKED = 256
"""Places kept ready for travelling to workers."""
REPLICATIONS_A_JOB = 5
"""Replications of each of its scenarios that a job has, where there are more scenarios than cells in a job."""
REPLICATIONS_OF_WARM_UP = 100
"""The length of the warm-up is judged by the first so many replications, at most."""


# ---------------------------------------------------------------------------------------------------------------------
# The window


def window_span(window: str, places: Mapping[str, Place]) -> tuple[int, int]:
    """Minutes over which measures are taken: the whole measured period, or that `during` or `after` what has dates.

    That are blocks and moves. Those that the first place has too are no part of the question, unless all have the same.
    Raises PlaceError when there are none, or no time after them.
    """
    if window not in WINDOWS:
        raise refuse("window", window, "one of", WINDOWS)
    first = next(iter(places.values()))
    start, end = measured_period(first)
    if window == "all":
        return start, end
    dated = dates_of_changes(places.values())
    if not dated:
        raise PlaceError(f"window: {window!r} was given, but {', '.join(places)} has no dated block or move.")
    opens = max(start, min(first.run.minute_of(begin) for begin, _ in dated))
    closes = min(end, max(first.run.minute_of(last) for _, last in dated))
    span = (opens, closes) if window == "during" else (closes, end)
    if span[0] >= span[1]:
        when = f"{min(b for b, _ in dated)} to {max(e for _, e in dated)}"
        raise PlaceError(f"window: {window!r} was given, but no measured day lies {window} the change ({when}).")
    return span


def dates_of_changes(places: Iterable[Place]) -> list[tuple[dt.date, dt.date]]:
    """First date and first date after of each dated block and move that tells these places apart (or that all have)."""
    first, *others = list(places)
    reference = _dated(first if others or first.before is None else first.before)
    every = set.union(*(_dated(place) for place in (first, *others)))
    return sorted({(begin, end) for *_, begin, end in (every - reference or every)})


def _dated(place: Place) -> set[tuple[str, str, dt.date, dt.date]]:
    """Blocks and moves with their dates; a move that is never undone lasts to the end of the run."""
    run = place.run
    blocks = {(s, b, k.from_date, k.end) for s, service in place.kinds.items() for b, k in service.blocks.items()}
    moves = {
        (m, "move", move.from_date or run.switch_date, move.to_date or run.end_date) for m, move in place.moves.items()
    }
    return blocks | moves


# ---------------------------------------------------------------------------------------------------------------------
# The experiment


class Written(Mapping[str, Place]):
    """The places of a results folder by scenario, each read when it is asked for."""

    def __init__(self, store: Store, names: tuple[str, ...]) -> None:
        self._store = store
        self._names = names
        self._read: dict[str, Place] = {}

    def __getitem__(self, name: str) -> Place:
        if name not in self._read:
            if name not in self._names:
                raise KeyError(name)
            self._read[name] = stores.read_config(self._store.config_file(name))
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


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
    places: Mapping[str, Place]
    failures: tuple[Outcome, ...] = ()
    notices: tuple[str, ...] = ()
    interrupted: bool = False

    @classmethod
    def read(cls, out: str | Path) -> Self:
        """The result in a folder that an earlier run left. Raises PlaceError when it holds none."""
        store = Store(out)
        manifest = store.manifest
        names = manifest.get("configuration", {}).get("scenarios", {})
        if not names or not (store.out / "results.parquet").is_file():
            raise PlaceError(f"{out}: this folder holds no results.")
        keys = ("scenario", "replication", "seed", "error")
        failures = tuple(Outcome(**{key: row[key] for key in keys}) for row in manifest.get("failures", []))
        stopped = manifest.get("status") == "interrupted"
        return cls(store.out, Written(store, tuple(names)), failures, tuple(manifest.get("notices", [])), stopped)

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

    def nights(self, **only: Any) -> pd.DataFrame:
        """The rows of `census` with these states, where, scenarios or of the first replications; see `Store.census`.

        No others are read into memory, of which a large experiment's census has more than there is.
        """
        return Store(self.out).census(**only)

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


@contextlib.contextmanager
def for_rounds(settings: Settings, verb: str) -> Iterator[Settings]:
    """Settings for several experiments one after the other in one folder; a Dask cluster here is started only once."""
    settings = replace(settings, out=stores.default_out(verb) if settings.out is None else settings.out)
    if settings.executor == "dask" and settings.address is None:
        with executors.cluster_here(settings.jobs or default_jobs()) as address:
            yield replace(settings, address=address)
    else:
        yield settings


def run(place: Place, settings: Settings) -> Result:
    """Run one scenario. Raises PlaceError."""
    return run_all({place.scenario.name: place}, settings, verb="run")


def run_all(
    places: Mapping[str, Place],
    settings: Settings,
    *,
    verb: str,
    replications: Mapping[str, int] | None = None,
    census: bool = True,
    beside: Mapping[str, pd.DataFrame] | None = None,
) -> Result:
    """Run every replication of every place that `out` does not hold yet, and put all of them together there.

    Args:
        places: one a scenario, by name; the first is the one compared with.
        settings: how it is done.
        verb: names the folder when `settings.out` is None, and stands in the manifest.
        replications: how many of each scenario, instead of `settings.replications`.
        census: put the census together too; without, it is read from the cells when it is asked for.
        beside: tables for the folder, by the names of their CSV files; they are there before the first cell is.

    Raises PlaceError; StoreError when the folder cannot be written: what is finished stays.
    """
    began, cpu = time.perf_counter(), time.process_time()
    engine = usable(settings.engine)
    counts, notices = _counts(places, settings, engine, replications)
    span = window_span(settings.window, places)
    configuration = Configuration(places, settings.seed, engine, settings.window, span)
    store = Store(stores.default_out(verb) if settings.out is None else settings.out)
    command = settings.command or told_command()
    notices += store.open(configuration, command)
    described = configuration.described()
    earlier = store.manifest if store.manifest.get("configuration") == described else {}
    manifest = {
        "command": command,
        "verb": verb,
        "status": "running",
        "replications": max(counts.values()),
        "seed": settings.seed,
        "engine": engine,
        "window": settings.window,
        "configuration": described,
        "counts": counts,
        "assembled": store.manifest.get("assembled", {}),
        "versions": stores.versions(),
        "machine": stores.machine(),
        "git_commit": stores.git_commit(),
    }
    store.write_manifest(manifest)
    for table_name, table in (beside or {}).items():
        stores.write_csv(store.out / table_name, table)
    if settings.progress and notices:
        print(*notices, sep="\n", file=sys.stderr)
    experiment = _Experiment(store, configuration, counts, settings, census)
    try:
        with store.at_work():
            experiment.run()
    except (StoreError, ClusterError) as trouble:
        kept = f"{experiment.finished} of {sum(counts.values())} cells are finished and kept"
        with contextlib.suppress(StoreError):
            store.write_manifest(manifest | {"status": "interrupted", "cells": experiment.done})
        raise type(trouble)(f"{trouble} {kept}; when it is mended, the same command goes on.") from None
    except KeyboardInterrupt:
        store.write_manifest(manifest | {"status": "interrupted", "cells": experiment.done})
        raise KeyboardInterrupt(f"the same command with out={store.out} goes on") from None
    failures = experiment.failures
    if experiment.interrupted:
        notices.append(
            f"Stopped with {experiment.finished} of {sum(counts.values())} cells done; "
            f"the same command with out={store.out} goes on."
        )
    notices += experiment.notices
    notices += _warm_up(store, places) if experiment.done[next(iter(places))] else []
    seconds = [experiment.seconds[part] for part in PARTS]
    here = time.process_time() - cpu
    status = "interrupted" if experiment.interrupted else "failures" if failures else "complete"
    manifest |= {
        "status": status,
        "assembled": experiment.assembled,
        "cells": experiment.done,
        "jobs": experiment.processes,
        "executor": settings.executor,
        "wall_seconds": round(earlier.get("wall_seconds", 0) + time.perf_counter() - began, 3),
        "cpu_seconds": round(
            earlier.get("cpu_seconds", 0) + here + (0 if experiment.in_this_process else sum(seconds)), 1
        ),
        "cpu_seconds_of_cells": {part: round(spent, 3) for part, spent in zip(PARTS, seconds, strict=True)},
        "notices": notices,
        "failures": [
            {"scenario": one.scenario, "replication": one.replication, "seed": one.seed, "error": one.error}
            for one in failures
        ],
    }
    store.write_manifest(manifest)
    return Result(store.out, dict(places), failures, tuple(notices), experiment.interrupted)


def _counts(
    places: Mapping[str, Place], settings: Settings, engine: str, replications: Mapping[str, int] | None
) -> tuple[dict[str, int], list[str]]:
    """How many replications each scenario has, and what is to be said of it."""
    if replications is not None:
        return {name: replications[name] for name in places}, []
    if settings.replications is not None:
        return dict.fromkeys(places, settings.replications), []
    chosen = default_replications(places, engine)
    if chosen == DEFAULT_REPLICATIONS:
        return dict.fromkeys(places, chosen), []
    return dict.fromkeys(places, chosen), [
        f"With the reference engine the default is lowered from {DEFAULT_REPLICATIONS} to {chosen} "
        "replications, so that this ends within about ten minutes on two cores; give replications=N for more."
    ]


def told_command() -> str:
    """The command line as it can be typed again."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]) if sys.argv and sys.argv[0] else "python"


def _warm_up(store: Store, places: Mapping[str, Place]) -> list[str]:
    name, place = next(iter(places.items()))
    if place.scenario.changes:
        return []
    census = store.census(["delayed"], ["all"], [name], REPLICATIONS_OF_WARM_UP)
    notice = warm_up_notice(place, census)
    return [notice] if notice else []


class _Experiment:
    """What is to be done in a store, and how far it is."""

    def __init__(
        self, store: Store, configuration: Configuration, counts: Mapping[str, int], settings: Settings, census: bool
    ) -> None:
        self.store = store
        self.configuration = configuration
        self.counts = counts
        self.settings = settings
        self.census = census
        self.interrupted = False
        self.assembled: dict[str, Any] = store.manifest.get("assembled", {})
        self.notices: list[str] = []
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.processes = 1
        self._done_elsewhere = 0
        self._failed: dict[tuple[int, str], Outcome] = {}
        self._pack = functools.lru_cache(maxsize=PLACES_PACKED)(self._packed)

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """Cells that failed, by replication and scenario."""
        return tuple(outcome for _, outcome in sorted(self._failed.items()))

    @property
    def in_this_process(self) -> bool:
        """Are the cells done here and nowhere else?"""
        return self.processes == 1 and self.settings.executor == "loky"

    @property
    def done(self) -> dict[str, int]:
        """How many cells of each scenario are finished."""
        return {name: len(cells) for name, cells in self._found().items()}

    @property
    def finished(self) -> int:
        """How many cells are finished."""
        return sum(self.done.values())

    def run(self) -> None:
        """Make what is missing and put the tables together; damaged cells are set aside and made anew."""
        self._make(self._missing())
        while damaged := self._assemble():
            self.notices += [self.store.set_aside(cell, reason) for cell, reason in damaged]
            if not self.interrupted:
                self._make([cell for cell in self._missing() if cell[::-1] not in self._failed])

    def _assemble(self) -> list[tuple[CellFile, str]]:
        keys, found = self.configuration.keys, self._found()
        self.assembled, damaged = assemble(self.store, keys, found, self.census, self.assembled)
        return damaged

    def _found(self) -> dict[str, dict[int, CellFile]]:
        """The finished cells that belong to this experiment, by scenario and replication."""
        keys = self.configuration.keys
        there = self.store.finished(keys.values())
        return {
            name: {at: cell for at, cell in there[key].items() if at < self.counts[name]} for name, key in keys.items()
        }

    def _missing(self) -> list[tuple[str, int]]:
        """Scenario and replication of what is not there yet, replication by replication."""
        keys, found = self.configuration.keys, self._found()
        spells = self.settings.keep_spells
        return [
            (name, replication)
            for replication in range(max(self.counts.values()))
            for name, count in self.counts.items()
            if replication < count
            and not (
                replication in found[name] and (not spells or self.store.has_spells(name, keys[name], replication))
            )
        ]

    def _make(self, todo: list[tuple[str, int]]) -> None:
        """Do these cells."""
        cells = sum(self.counts.values())
        with Progress(cells, cells - len(todo), enabled=self.settings.progress) as shown:
            if not todo:
                return
            try:
                with contextlib.closing(self._made(todo)) as batches:
                    for batch in batches:
                        self._keep(batch)
                        elsewhere, self._done_elsewhere = self._done_elsewhere, 0
                        shown.advance(len(batch) + elsewhere, len(self._failed))
            except KeyboardInterrupt:
                self.interrupted = True

    def _keep(self, batch: list[Made]) -> None:
        for made in batch:
            outcome = made.outcome
            for name, data in made.files:
                self.store.write(name, data)
            if outcome.error:
                self._failed[outcome.replication, outcome.scenario] = outcome
            for part, spent in zip(PARTS, outcome.seconds, strict=False):
                self.seconds[part] += spent

    def _made(self, todo: list[tuple[str, int]]) -> Generator[list[Made]]:
        """What comes of these cells, in jobs, as each ends."""
        settings = self.settings
        self.processes = min(settings.jobs or default_jobs(), len(todo))
        if settings.executor == "dask":
            with executors.cluster(settings.address, self.processes, self.configuration.engine) as client:
                self.processes = executors.slots(client)
                yield from executors.on_cluster(self._jobs(todo, None), client)
        elif self.processes == 1:
            yield from executors.here(self._jobs(todo, self.store.out.resolve()))
        else:
            yield from executors.in_processes(self._jobs(todo, self.store.out.resolve()), self.processes)

    def _jobs(self, todo: list[tuple[str, int]], out: Path | None) -> Iterator[Job]:
        """The cells in jobs. Of two processes at work in one store the later begins at the end, and they meet."""
        size = executors.cells_a_job(len(todo), self.processes, self.configuration.engine)
        if size > (scenarios := len(self.counts)):
            size -= size % scenarios
        else:
            todo = self._in_blocks(todo, max(1, size // REPLICATIONS_A_JOB))
        about = {**self.configuration.common(), "flowsim": stores.versions()["flowsim"]}
        starts = range(0, len(todo), size)
        for start in reversed(starts) if any(self.store.others_at_work()) else starts:
            cells = self._still_missing(todo[start : start + size])
            names = list(dict.fromkeys(name for name, _ in cells))
            at = {name: number for number, name in enumerate(names)}
            if cells:
                places = tuple(self._pack(name) for name in names)
                yield Job(places, tuple((at[name], replication) for name, replication in cells), about, out)

    def _in_blocks(self, todo: list[tuple[str, int]], scenarios: int) -> list[tuple[str, int]]:
        """Where there are many scenarios, so many of them with a few replications each: fewer places travel."""
        block = {name: at // scenarios for at, name in enumerate(self.counts)}
        return sorted(todo, key=lambda cell: (cell[1] // REPLICATIONS_A_JOB, block[cell[0]], cell[1]))

    def _still_missing(self, cells: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """Those of these cells that no other process has finished meanwhile."""
        if self.settings.keep_spells or not self.store.others_at_work():
            return cells
        keys = self.configuration.keys
        there = self.store.finished(keys[name] for name, _ in cells)
        missing = [(name, replication) for name, replication in cells if replication not in there[keys[name]]]
        self._done_elsewhere += len(cells) - len(missing)
        return missing

    def _packed(self, name: str) -> Scenario:
        key = self.configuration.keys[name]
        spells = self.store.spells_folder(name, key).relative_to(self.store.out).as_posix()
        place = self.configuration.places[name]
        return Scenario(name, key, pack(place), spells if self.settings.keep_spells else None)
