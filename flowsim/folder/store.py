"""The results folder: what is written where, and how it is read again.

    manifest.json            how it was made: the only file with times and machines in it
    about/                   evidence, published figures and open capacities of its places, as CSV
    config/<scenario>.yaml   the composed place, enough to run it again; `config/earlier/`: others of its name
    cells/<key>/             one file a finished cell (see `cells.py`); damaged ones are moved to `cells/set_aside/`
    results.parquet          scenario, replication, measure, where, of, unit, value
    nights.parquet           scenario, replication, date, where, of, state, count
    spells/<scenario>-<key>/ every stage, task and capacity step of every spell (when asked for)
    earlier/<n>-<verb>/      what was drawn and written of another question in the same folder, with its manifest

Cells are found by the digest of their configuration, whatever experiment made them, and are never written over: an
experiment in the same folder makes only those that are missing. The manifest and the two tables are of the last one.
Everything is written under a temporary name of its own process and renamed, so what is there is whole, and several
processes can work in one folder.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from flowsim.folder.atomic import is_left_over, renamed, temporary_name, told_trouble, write_csv, write_text
from flowsim.folder.cell_file import NIGHTS_SCHEMA, CellFile, listed
from flowsim.folder.chosen import Chosen
from flowsim.folder.configuration import Configuration, file_name, first_difference, plain, read_plain, written
from flowsim.folder.manifest import FILE as MANIFEST
from flowsim.folder.manifest import Described, Manifest, read_manifest
from flowsim.place import Place, PlaceError

EVIDENCE, PUBLISHED, CAPACITIES = "evidence", "published", "capacities"
ABOUT_COLUMNS = {
    EVIDENCE: ["place", "key", "value", "source", "grade", "quantity", "low", "high", "unit", "why"],
    PUBLISHED: ["place", "measure", "where", "id", "quantity", "value", "low", "high", "unit", "grade", "why"],
    CAPACITIES: ["scenario", "where", "of", "date", "open", "unit"],
}
"""Tables in `about/`, what is known of the places beside their configurations, and their columns."""
OURS = {"config", "spells", "about"}
"""What a folder of results may hold that has neither manifest nor cells: nothing else was written yet."""
DRAWN = (
    "charts", "summary.md", "comparison.csv", "selection.csv", "precision.csv", "points.csv", "sweep.csv",
    "sweep.parquet",
)  # fmt: skip
"""What is drawn and written of an experiment beside its numbers; another question leaves some of it as it was."""


def default_out(verb: str) -> Path:
    """``outputs/<date-time>-<verb>`` under the current folder, numbered on when that second is taken."""
    stem = Path("outputs") / f"{dt.datetime.now():%Y-%m-%d-%H%M%S}-{verb}"
    out, again = stem, 1
    while out.exists():
        again += 1
        out = stem.with_name(f"{stem.name}-{again}")
    return out


class Store:
    """A results folder. `open` it with a configuration to write; `manifest`, `results` and `nights` read it."""

    def __init__(self, out: str | Path) -> None:
        self.out = Path(out)
        self.cells = self.out / "cells"

    # -- opening ------------------------------------------------------------------------------------------------------

    def open(self, configuration: Configuration, command: str) -> list[str]:
        """Make the folder, or go on in it; returns what the user should know of what is there.

        Raises PlaceError when it holds other things than results, StoreError when it cannot be written.
        """
        if self.out.exists() and not self.out.is_dir():
            raise PlaceError(f"out={self.out}: a file of this name is there; give another out.")
        if self.out.is_dir() and not self._is_ours():
            raise PlaceError(f"out={self.out}: the folder holds other files and no manifest.json; give another out.")
        with told_trouble(self.out):
            self.cells.mkdir(parents=True, exist_ok=True)
            (self.out / "config").mkdir(exist_ok=True)
            self._clear()
            notices = self._told_difference(configuration)
            for name, place in configuration.places.items():
                self._write_config(name, place, configuration.digests[name][1], command)
        return notices

    def set_apart(self, manifest: Manifest) -> list[str]:
        """Move what was drawn and written of another question than this manifest's out of the way, and say so.

        Raises StoreError when it cannot be moved.
        """
        before = self.manifest
        names = [name for name in DRAWN if (self.out / name).exists()]
        if not names or before.asks_the_same(manifest):
            return []
        earlier = self.out / "earlier"
        numbers = [int(number) for path in earlier.glob("*") if (number := path.name.partition("-")[0]).isdecimal()]
        kept = earlier / f"{1 + max(numbers, default=0)}-{before.verb or 'unknown'}"
        with told_trouble(self.out):
            kept.mkdir(parents=True)
            for name in names:
                os.replace(self.out / name, kept / name)
            if (self.out / MANIFEST).is_file():
                shutil.copy2(self.out / MANIFEST, kept)
        sentence = f"{', '.join(names)} of the command before stand in {kept.relative_to(self.out).as_posix()} now"
        return [f"out={self.out}: {sentence}; nothing of it is lost."]

    def _is_ours(self) -> bool:
        names = [path.name for path in self.out.iterdir() if path.suffix != ".tmp"]
        return not {MANIFEST, "cells"}.isdisjoint(names) or set(names) <= OURS

    def _clear(self) -> None:
        """Take away what processes that are no more left half written."""
        for pattern in ("*.tmp", "*/*.tmp", "*/*/*.tmp"):
            for path in self.out.glob(pattern):
                if is_left_over(path):
                    path.unlink(missing_ok=True)

    def _told_difference(self, configuration: Configuration) -> list[str]:
        """A sentence when a scenario of this name was another one before."""
        there = self.manifest.configuration
        here = configuration.described()
        changed = [name for name, key in there.scenarios.items() if here.scenarios.get(name, key) != key]
        if not changed:
            return []
        what = self._what_differs(changed[0], there, here, configuration)
        sentence = f"out={self.out}: {what}; the cells that are there stay and are not used"
        return [f"{sentence}."]

    def _what_differs(self, name: str, there: Described, here: Described, configuration: Configuration) -> str:
        for key in ("seed", "engine", "window"):
            if getattr(there, key) != getattr(here, key):
                return f"{key} is {getattr(there, key)} there and {getattr(here, key)} here"
        stored = self.config_file(name)
        before = read_plain(stored) if stored.is_file() else {}
        data = plain(configuration.places[name])
        if before and before != data:
            return f"in {name}, {first_difference(before, data)}"
        if there.code != here.code:
            return "flowsim itself has changed since"
        return first_difference(there.libraries, here.libraries, "versions")

    def config_file(self, scenario: str) -> Path:
        """Where the composed place of a scenario stands."""
        return self.out / "config" / f"{file_name(scenario)}.yaml"

    def _write_config(self, name: str, place: Place, digest: str, command: str) -> None:
        """Write the composed place; one that bore this name before is kept beside it."""
        path = self.config_file(name)
        if path.is_file():
            with path.open(encoding="utf-8") as file:
                head = file.readline()
            earlier = re.search(r"\((\w{16})\)", head)
            if earlier and earlier[1] == digest:
                return
            kept = path.parent / "earlier" / f"{path.stem}-{earlier[1] if earlier else 'unknown'}.yaml"
            kept.parent.mkdir(exist_ok=True)
            os.replace(path, kept)
        head = f"# {name} ({digest}): the composed place. Made by: {command}\n"
        write_text(path, head + written(place))

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Tells other processes, while it lasts, that this one is at work in the folder."""
        # a mark and no lock: cells are named by their content, so two that make the same one only lose time, and a
        # process that is killed leaves a mark that others see through, where a lock would stop them
        mark = temporary_name(self.out / "at_work")
        with told_trouble(self.out):
            mark.touch()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                mark.unlink(missing_ok=True)

    def others_at_work(self) -> list[bool]:
        """One entry for each other process that is at work in the folder: was it there before this one?"""
        mine = temporary_name(self.out / "at_work")
        earlier_than_this = []
        for mark in self.out.glob("at_work.*.tmp"):
            if mark != mine and not is_left_over(mark):
                with contextlib.suppress(OSError):
                    began = [
                        (one.stat().st_mtime_ns, one.name) for one in (mark, mine)
                    ]  # a tie is broken alike in both
                    earlier_than_this.append(began[0] < began[1])
        return earlier_than_this

    # -- cells --------------------------------------------------------------------------------------------------------

    def finished(self, keys: Iterable[str]) -> dict[str, dict[int, CellFile]]:
        """The cells that are there, by key and replication."""
        return {key: listed(self.cells / key) for key in set(keys)}

    def spells_folder(self, scenario: str, key: str) -> Path:
        """Where the `stages`, `tasks` and `capacity` of a scenario's cells stand when spells are kept."""
        return self.out / "spells" / f"{file_name(scenario)}-{key[:8]}"

    def has_spells(self, scenario: str, key: str, replication: int) -> bool:
        """Are the spells of this cell there? The stages are written last."""
        return (self.spells_folder(scenario, key) / f"{replication:05d}-stages.parquet").is_file()

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the folder, all of it or nothing. Raises StoreError."""
        path = self.out / name
        with told_trouble(self.out):
            path.parent.mkdir(parents=True, exist_ok=True)
            with renamed(path) as temporary:
                temporary.write_bytes(data)

    def set_aside(self, cell: CellFile, why: str) -> str:
        """Move a damaged cell out of the way, so that it is made anew; returns the sentence that says so."""
        aside = self.cells / "set_aside"
        with told_trouble(self.out):
            aside.mkdir(exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.replace(cell.path, aside / f"{cell.key}-{cell.path.name}")
        named = cell.path.relative_to(self.out).as_posix()
        return f"{named}: {why}; it was moved to cells/set_aside and made anew."

    def write_about(self, name: str, table: pd.DataFrame) -> None:
        """Write a table into `about/`. Raises StoreError."""
        with told_trouble(self.out):
            (self.out / "about").mkdir(exist_ok=True)
        write_csv(self.about_file(name), table[ABOUT_COLUMNS[name]])

    def about_file(self, name: str) -> Path:
        """Where a table of what is known of the places stands."""
        return self.out / "about" / f"{name}.csv"

    def about(self, name: str) -> pd.DataFrame:
        """A table of `about/`, all of it text, columns as in `ABOUT_COLUMNS`; without rows where there is none."""
        path = self.about_file(name)
        if not path.is_file():
            return pd.DataFrame(columns=ABOUT_COLUMNS[name], dtype=str)
        return pd.read_csv(path, dtype=str, keep_default_na=False)

    # -- reading ------------------------------------------------------------------------------------------------------

    @property
    def manifest(self) -> Manifest:
        """What `manifest.json` says; nothing when it is not there or not whole. Raises PlaceError (`read_manifest`)."""
        return read_manifest(self.out)

    def write_manifest(self, manifest: Manifest) -> None:
        """Write `manifest.json`. Raises StoreError."""
        self.write(MANIFEST, manifest.text().encode())

    def results(
        self,
        measures: Collection[str] | None = None,
        where: Collection[str] | None = None,
        of: Collection[str] | None = None,
        scenarios: Collection[str] | None = None,
    ) -> pd.DataFrame:
        """Columns scenario, replication, measure, where, of, unit, value; one row a number.

        All of them, or only those with these words; no others are read into memory.
        """
        path = self.out / "results.parquet"
        words = {"measure": measures, "where": where, "of": of, "scenario": scenarios}
        chosen = [(name, "in", list(values)) for name, values in words.items() if values is not None]
        # of the two ways to read a file the one that cannot choose imports far less
        table = pq.read_table(path, filters=chosen) if chosen else pq.ParquetFile(path).read()
        return table.to_pandas()

    def nights(
        self,
        states: Collection[str] | None = None,
        where: Collection[str] | None = None,
        of: Collection[str] | None = None,
        scenarios: Collection[str] | None = None,
        replications: int | None = None,
    ) -> pd.DataFrame:
        """Columns scenario, replication, date (datetime64), where, of, state, count; words are categories (it is long).

        All of them, or only those with these words and of the first so many replications; no others are read.
        Where the nights were not assembled (sweeps) they come from the cells.
        """
        chosen = Chosen({"scenario": scenarios, "where": where, "of": of, "state": states}, replications)
        path = self.out / "nights.parquet"
        table = chosen.read(path) if path.is_file() else self._nights_of_cells(chosen, scenarios, replications)
        return table.to_pandas(date_as_object=False)

    def _nights_of_cells(self, chosen: Chosen, scenarios: Collection[str] | None, replications: int | None) -> pa.Table:
        manifest = self.manifest
        tables = [NIGHTS_SCHEMA.empty_table()]
        for name, key in manifest.keys.items():
            if scenarios is None or name in scenarios:
                cells = listed(self.cells / key)
                for replication in range(min(manifest.counts.get(name, 0), replications or sys.maxsize)):
                    if replication in cells:
                        tables.append(chosen.of(cells[replication].read().nights(name)))
        return pa.concat_tables(tables).unify_dictionaries()
