"""Make the cells of an experiment that are missing in its folder, and put all of them together there."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

from flowsim.cells import executors
from flowsim.cells.jobs import Job, Made, Scenario, pack
from flowsim.cells.progress import Progress
from flowsim.declare.settings import Settings
from flowsim.folder import at_work
from flowsim.folder.assemble import assemble
from flowsim.folder.cell_file import CellFile
from flowsim.folder.configuration import Configuration
from flowsim.folder.machine import installed
from flowsim.folder.manifest import Assembled
from flowsim.folder.outcome import PARTS, Outcome
from flowsim.folder.store import Store
from flowsim.place.refusals import counted

PLACES_PACKED = 256
"""Places kept ready for travelling to workers."""
TRIES = 2
"""How often cells are made again, at most, that were lost or damaged as soon as they were made."""
REPLICATIONS_A_JOB = 5
"""Replications of each of its scenarios that a job has, where there are more scenarios than cells in a job."""


class Making:
    """What is to be done in a store, and how far it is."""

    def __init__(
        self,
        store: Store,
        configuration: Configuration,
        counts: Mapping[str, int],
        settings: Settings,
        nights: bool,
        assembled: Assembled,
        stopped: Callable[[Making], None] = lambda _: None,
    ) -> None:
        """`assembled`: of which cells the tables there are made; `stopped` is called at once when it was stopped."""
        self.store = store
        self.configuration = configuration
        self.counts = counts
        self.settings = settings
        self.nights = nights
        self.interrupted = False
        self.assembled = assembled
        self._stopped = stopped
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
        """Make what is missing and put the tables together; cells that are damaged or lost by then are made anew."""
        self._make(self._missing())
        again = 0
        while (damaged := self._assemble()) or (self._lost() and not self.interrupted):
            self.notices += [self.store.set_aside(cell, reason) for cell, reason in damaged]
            lost = self._lost()
            if self.interrupted:
                continue
            if len(lost) > len(damaged):
                self.notices.append(f"{counted(len(lost) - len(damaged), 'cell')} had gone since; made again.")
            again += 1
            if again <= TRIES:
                self._make(lost)
            else:
                self._failed |= {(at, name): self._gone(name, at) for name, at in lost}

    def _lost(self) -> list[tuple[str, int]]:
        """What is missing, though it did not fail: it would fail again, and this would go on for ever."""
        return [cell for cell in self._missing() if cell[::-1] not in self._failed]

    def _gone(self, name: str, replication: int) -> Outcome:
        error = f"its file was gone or damaged each of {TRIES + 1} times that it was written"
        return Outcome(name, replication, self.configuration.seed, error=error)

    def _assemble(self) -> list[tuple[CellFile, str]]:
        keys, found = self.configuration.keys, self._found()
        self.assembled, damaged = assemble(self.store.out, keys, found, self.nights, self.assembled)
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
                        at_work.still_at_work(self.store.out)
            except KeyboardInterrupt:
                self.interrupted = True
                self._stopped(self)

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
        self.processes = min(settings.jobs or executors.default_jobs(), len(todo))
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
        about = {**self.configuration.common(), **installed(("flowsim",))}
        starts = range(0, len(todo), size)
        for start in reversed(starts) if at_work.is_second(self.store.out) else starts:
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
        if self.settings.keep_spells or not at_work.others(self.store.out):
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
