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
processes can work in one folder at the same question. Whose a folder is, is told in `ownership`; who is at work in it,
in `at_work`; what is read back is checked (`digests`, `tables`).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from flowsim import system
from flowsim.folder import ownership, tables
from flowsim.folder.at_work import claim
from flowsim.folder.atomic import renamed, told_trouble, write_csv
from flowsim.folder.cell_file import CellFile, listed
from flowsim.folder.chosen import Chosen
from flowsim.folder.configuration import HEAD, Configuration, file_name, first_difference, plain, read_plain, written
from flowsim.folder.digests import ChangedError, check, is_whole, sha256
from flowsim.folder.manifest import FILE as MANIFEST
from flowsim.folder.manifest import DamagedManifestError, Described, Manifest, read_manifest
from flowsim.folder.ownership import DRAWN
from flowsim.place import Place, PlaceError

EVIDENCE, PUBLISHED, CAPACITIES = "evidence", "published", "capacities"
ABOUT_COLUMNS = {
    EVIDENCE: ["place", "key", "value", "source", "grade", "quantity", "low", "high", "unit", "why"],
    PUBLISHED: ["place", "measure", "where", "id", "quantity", "value", "low", "high", "unit", "grade", "why"],
    CAPACITIES: ["scenario", "where", "of", "date", "open", "unit"],
}
"""Tables in `about/`, what is known of the places beside their configurations, and their columns."""


def default_out(verb: str) -> Path:
    """A new folder ``outputs/<date-time>-<verb>`` under the current one, numbered on when that second is taken.

    Raises StoreError when it cannot be made.
    """
    stem = Path("outputs") / f"{dt.datetime.now():%Y-%m-%d-%H%M%S}-{verb}"
    out, again = stem, 1
    with told_trouble(stem):
        while True:
            with contextlib.suppress(FileExistsError):
                out.mkdir(parents=True)  # at once, so that two commands of one second do not have the same
                return out
            again += 1
            out = stem.with_name(f"{stem.name}-{again}")


class Store:
    """A results folder. `open` it with a configuration to write; `manifest`, `results` and `nights` read it."""

    def __init__(self, out: str | Path, made: Mapping[str, str] | None = None) -> None:
        """`made`: digests of the tables as they are to be read; None for those that the manifest notes."""
        self.out = Path(out)
        self.cells = self.out / "cells"
        self.made = made
        self._digests: dict[str, str] = {}

    # -- opening ------------------------------------------------------------------------------------------------------

    def open(self, keys: Iterable[str], question: str, command: str) -> tuple[Manifest, list[str]]:
        """Make the folder, or go on in it, until `at_work` ends; returns what its manifest says, and what to tell.

        Raises PlaceError when it is another's or another process is at work there with another question, StoreError
        when it cannot be written.
        """
        keys = list(keys)
        ownership.refuse_foreign(self.out, keys)
        with told_trouble(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
            claim(self.out, question, command)
            ownership.refuse_foreign(self.out, keys)  # since it was looked at another may have come
            ownership.clear(self.out)
        try:
            return self.manifest, []
        except DamagedManifestError:
            return Manifest(), [f"out={self.out}: manifest.json was damaged; it was written anew."]

    def prepare(self, configuration: Configuration, command: str, before: Manifest) -> None:
        """Write the configurations. Raises StoreError."""
        with told_trouble(self.out):
            self.cells.mkdir(exist_ok=True)
            (self.out / "config").mkdir(exist_ok=True)
            for name, place in configuration.places.items():
                self._write_config(name, place, configuration.digests[name][1], command, before)

    def set_apart(self, manifest: Manifest, before: Manifest) -> list[str]:
        """Move what was drawn and written of another question than this manifest's out of the way, and say so.

        Raises StoreError when it cannot be moved.
        """
        names = [name for name in DRAWN if (self.out / name).exists()]
        if not names or before.asks_the_same(manifest):
            return []
        earlier = self.out / "earlier"
        numbers = [int(number) for path in earlier.glob("*") if (number := path.name.partition("-")[0]).isdecimal()]
        kept = earlier / f"{1 + max(numbers, default=0)}-{before.verb or 'unknown'}"
        with told_trouble(self.out):
            kept.mkdir(parents=True)
            for name in names:
                system.replace(self.out / name, kept / name)
            if (self.out / MANIFEST).is_file():
                shutil.copy2(self.out / MANIFEST, kept)
        sentence = f"{', '.join(names)} of the command before stand in {kept.relative_to(self.out).as_posix()} now"
        return [f"out={self.out}: {sentence}; nothing of it is lost."]

    def told_difference(self, configuration: Configuration, before: Manifest) -> list[str]:
        """A sentence when a scenario of this name was another one before."""
        there = before.configuration
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
        before = {}
        with contextlib.suppress(PlaceError):  # a damaged one is written anew
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

    def config(self, scenario: str) -> Path:
        """The composed place of a scenario, as it was written. Raises PlaceError when it is not."""
        return self.whole(self.config_file(scenario).relative_to(self.out).as_posix())

    def _write_config(self, name: str, place: Place, digest: str, command: str, before: Manifest) -> None:
        """Write the composed place; one that bore this name before is kept beside it."""
        path = self.config_file(name)
        noted = path.relative_to(self.out).as_posix()
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace") as file:
                head = file.readline()
                rest = file.read() if noted not in before.digests else ""
            earlier = HEAD.search(head)
            same = earlier is not None and earlier[1] == digest
            if same and (is_whole(self.out, noted, before.digests) or rest == written(place)):
                self._digests[noted] = sha256(path)
                return
            kept = path.parent / "earlier" / f"{path.stem}-{earlier[1] if earlier else 'unknown'}.yaml"
            kept.parent.mkdir(exist_ok=True)
            if not kept.exists():
                system.replace(path, kept)
        self.write(noted, f"# {name} ({digest}): the composed place. Made by: {command}\n{written(place)}".encode())
        self._digests[noted] = sha256(path)

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

    def set_aside(self, cell: CellFile, why: str, again: bool = True) -> str:
        """Move a damaged cell out of the way, so that it is made anew if it is (`again`); returns the sentence."""
        aside = self.cells / "set_aside"
        named, made = cell.path.relative_to(self.out).as_posix(), " and made anew" if again else ""
        with told_trouble(self.out):
            aside.mkdir(parents=True, exist_ok=True)
            try:
                system.replace(cell.path, aside / f"{cell.key}-{cell.path.name}")
            except FileNotFoundError:
                return f"{named}: it was gone{made}."
        return f"{named}: {why}; it was moved to cells/set_aside{made}."

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write a table that is read back, as CSV. Raises StoreError."""
        path = self.out / name
        with told_trouble(self.out):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_csv(path, table)
        with told_trouble(self.out):
            self._digests[name] = sha256(path)

    def write_about(self, name: str, table: pd.DataFrame) -> None:
        """Write a table into `about/`. Raises StoreError."""
        self.write_table(f"about/{name}.csv", table[ABOUT_COLUMNS[name]])

    def about(self, name: str) -> pd.DataFrame:
        """A table of `about/`, all of it text, columns as in `ABOUT_COLUMNS`; without rows where there is none.

        Raises PlaceError when it is damaged.
        """
        if not (self.out / f"about/{name}.csv").is_file():
            return pd.DataFrame(columns=ABOUT_COLUMNS[name], dtype=str)
        table = self.read_table(f"about/{name}.csv", dtype=str, keep_default_na=False)
        if missing := [column for column in ABOUT_COLUMNS[name] if column not in table]:
            raise PlaceError(f"{self.out}: about/{name}.csv is damaged (it has no column {missing[0]}); {self._again}.")
        return table

    def read_table(self, name: str, **options: Any) -> pd.DataFrame:
        """A table that was written as CSV, by pandas with these options. Raises PlaceError when it is damaged."""
        path = self.whole(name)
        try:
            return pd.read_csv(path, **options)
        except (OSError, ValueError) as trouble:  # pandas' own errors are of these, and what is no UTF-8
            why = str(getattr(trouble, "strerror", None) or trouble).splitlines()[0]
            raise PlaceError(f"{path}: it is damaged ({why}); {self._again}.") from None

    def whole(self, name: str) -> Path:
        """A file of the folder as it was written. Raises PlaceError when it is not."""
        try:
            check(self.out, name, self.manifest.noted)
        except ChangedError as changed:
            raise PlaceError(f"{str(changed).removesuffix('.')}; {self._again}.") from None
        return self.out / name

    @property
    def _again(self) -> str:
        return f"the same command with out={self.out} writes it anew"

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each file written here that is read back, by its name in the folder, without the tables."""
        return dict(self._digests)

    # -- reading ------------------------------------------------------------------------------------------------------

    @property
    def manifest(self) -> Manifest:
        """What `manifest.json` says; nothing when it is not there. Raises PlaceError (`read_manifest`)."""
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
        words = {"measure": measures, "where": where, "of": of, "scenario": scenarios}
        return tables.results(self.out, words, self.made).to_pandas()

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
        return tables.nights(self.out, chosen, self.made).to_pandas(date_as_object=False)
