"""The results folder: what is written where, and how it is read again.

    manifest.json            how it was made: the only file with times and machines in it
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
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import BaseModel

from flowsim.declare.reading import read_place
from flowsim.declare.yaml_and_csv import load_yaml
from flowsim.folder.cell_file import NIGHTS_SCHEMA, CellFile, listed
from flowsim.place import Place, PlaceError, Table

OURS = {"config", "spells"}
"""What a folder of results may hold that has neither manifest nor cells: nothing else was written yet."""
DRAWN = (
    "charts", "summary.md", "comparison.csv", "selection.csv", "precision.csv", "points.csv", "sweep.csv",
    "sweep.parquet",
)  # fmt: skip
"""What is drawn and written of an experiment beside its numbers; another question leaves some of it as it was."""
QUESTION = ("verb", "configuration", "precision", "precision_of", "measures")
"""Keys of the manifest that say whether an experiment asks the same as the one before."""
STALE_SECONDS = 86_400
"""Age at which a temporary file of another machine is taken to be left over."""
CODE_THAT_COUNTS = ("place", "model", "engine", "measures")
"""Files and folders of the package on which a cell's numbers depend."""
LIBRARIES_THAT_COUNT = ("numpy", "scipy", "holidays")
"""Libraries on whose version a cell's numbers depend: random numbers, distributions, bank holidays."""
LIBRARIES = (
    *LIBRARIES_THAT_COUNT, "pandas", "pyarrow", "simpy", "numba", "joblib", "pydantic", "hydra-core", "PyYAML",
    "matplotlib",
)  # fmt: skip
"""Libraries whose versions the manifest tells."""
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # five times as fast, the same text
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


# ---------------------------------------------------------------------------------------------------------------------
# Configurations as plain data


def plain(value: Any) -> Any:
    """A place, or any part of one, as mappings, lists and scalars that `read_place` turns into an equal place."""
    if isinstance(value, Table):
        return _plain_table(value)
    if isinstance(value, BaseModel):
        names = {name: info.alias or name for name, info in type(value).model_fields.items()}
        pairs = ((names[name], getattr(value, name)) for name in names)
        return {key: plain(item) for key, item in pairs if item is not None}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _plain_table(table: Table) -> Any:
    if table.by is not None:
        return {"by": table.by, **{level: _plain_table(cell) for level, cell in table.cells.items()}}
    if table.times:
        return {"times": {name: _plain_table(factor) for name, factor in table.times.items()}}
    return plain(table.leaf)


def read_config(path: str | Path) -> Place:
    """The place of a `config/<scenario>.yaml`. Raises PlaceError when the file is not there or not a place."""
    path = Path(path)
    if not path.is_file():
        raise PlaceError(f"{path}: there is no such file.")
    return read_place(read_plain(path), str(path))


def read_plain(path: Path) -> dict[str, Any]:
    """A configuration as plain data, not checked. Raises PlaceError when it is none or cannot be read."""
    raw = load_yaml(path, _Loader)
    if not isinstance(raw, dict):
        raise PlaceError(f"{path}: this is not the configuration of a place.")
    return raw


def flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything in plain data that is no mapping."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from flat(item, f"{key}.{name}")
    else:
        yield key, value


def first_difference(there: Any, here: Any, what: str = "place") -> str:
    """One clause naming the first key in which two plain configurations differ."""
    old, new = dict(flat(there, what)), dict(flat(here, what))
    for key in (*new, *old):
        if old.get(key) != new.get(key):
            return f"{key} is {old.get(key, 'not set')} there and {new.get(key, 'not set')} here"
    return "the order of its keys differs"


def file_name(scenario: str) -> str:
    """A scenario's name as it may stand in a file's name on every system; no two names give the same."""
    name = re.sub(r"[^A-Za-z0-9_.+=,-]", "_", scenario)[:120]
    return name if name == scenario else f"{name}-{_digest(scenario)[:6]}"


def free_name(name: str, taken: Container[str]) -> str:
    """The scenario's name, or, where that is taken, ``name_2`` and so on."""
    again, free = 1, name
    while free in taken:
        again += 1
        free = f"{name}_{again}"
    return free


def code_hash() -> str:
    """A digest of the package's source on which a cell's numbers depend: results of other code are not continued."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for name in CODE_THAT_COUNTS:
        part = root / name
        for file in sorted(part.rglob("*.py")) if part.is_dir() else [part]:
            digest.update(file.relative_to(root).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, default=str, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Configuration:
    """All that decides the numbers of an experiment except how many replications it has.

    Attributes:
        places: one place a scenario, by the scenario's name; the first is the one compared with.
        window: the name of the window.
        span: its first minute and the first after.
        code: a digest of the source that makes the numbers.
        libraries: versions of those that make them too.
    """

    places: Mapping[str, Place]
    seed: int
    engine: str
    window: str
    span: tuple[int, int]
    code: str = field(default_factory=code_hash)
    libraries: dict[str, str] = field(default_factory=lambda: installed(LIBRARIES_THAT_COUNT))

    @cached_property
    def digests(self) -> dict[str, tuple[str, str]]:
        """For each scenario its key (cells with equal keys hold equal numbers) and the digest of its configuration.

        What a scenario says of itself (name, title, reasons) is no part of the key.
        """
        common = self.common()
        found = {}
        for name, place in self.places.items():
            data = plain(place)
            whole = _digest(data)
            for part in (data, data.get("before", {})):
                part.pop("scenario", None)
            found[name] = (_digest([data, common]), whole)
        return found

    @cached_property
    def keys(self) -> dict[str, str]:
        """The key of each scenario."""
        return {name: key for name, (key, _) in self.digests.items()}

    def common(self) -> dict[str, Any]:
        """What all scenarios have in common."""
        return {
            "seed": self.seed,
            "engine": self.engine,
            "window": self.window,
            "window_minutes": list(self.span),
            "code": self.code,
            "libraries": self.libraries,
        }

    def described(self) -> dict[str, Any]:
        """As it stands in the manifest."""
        return {"scenarios": self.keys, **self.common()}


# ---------------------------------------------------------------------------------------------------------------------
# The folder


def default_out(verb: str) -> Path:
    """``outputs/<date-time>-<verb>`` under the current folder, numbered on when that second is taken."""
    stem = Path("outputs") / f"{dt.datetime.now():%Y-%m-%d-%H%M%S}-{verb}"
    out, again = stem, 1
    while out.exists():
        again += 1
        out = stem.with_name(f"{stem.name}-{again}")
    return out


class StoreError(PlaceError):
    """The results folder cannot be written: a full disk, a folder without permission."""


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

    def set_apart(self, manifest: Mapping[str, Any]) -> list[str]:
        """Move what was drawn and written of another question than this manifest's out of the way, and say so.

        Raises StoreError when it cannot be moved.
        """
        before = self.manifest
        names = [name for name in DRAWN if (self.out / name).exists()]
        if not names or all(before.get(key) == manifest.get(key) for key in QUESTION):
            return []
        earlier = self.out / "earlier"
        numbers = [int(number) for path in earlier.glob("*") if (number := path.name.partition("-")[0]).isdecimal()]
        kept = earlier / f"{1 + max(numbers, default=0)}-{before.get('verb', 'unknown')}"
        with told_trouble(self.out):
            kept.mkdir(parents=True)
            for name in names:
                os.replace(self.out / name, kept / name)
            if before:
                shutil.copy2(self.out / "manifest.json", kept)
        told = f"{', '.join(names)} of the command before stand in {kept.relative_to(self.out).as_posix()} now"
        return [f"out={self.out}: {told}; nothing of it is lost."]

    def _is_ours(self) -> bool:
        names = [path.name for path in self.out.iterdir() if path.suffix != ".tmp"]
        return not {"manifest.json", "cells"}.isdisjoint(names) or set(names) <= OURS

    def _clear(self) -> None:
        """Take away what processes that are no more left half written."""
        for pattern in ("*.tmp", "*/*.tmp", "*/*/*.tmp"):
            for path in self.out.glob(pattern):
                if _is_left_over(path):
                    path.unlink(missing_ok=True)

    def _told_difference(self, configuration: Configuration) -> list[str]:
        """A sentence when a scenario of this name was another one before."""
        there = self.manifest.get("configuration", {})
        here = configuration.described()
        changed = [name for name, key in there.get("scenarios", {}).items() if here["scenarios"].get(name, key) != key]
        if not changed:
            return []
        what = self._what_differs(changed[0], there, here, configuration)
        told = f"out={self.out}: {what}; the cells that are there stay and are not used"
        return [f"{told}."]

    def _what_differs(
        self, name: str, there: dict[str, Any], here: dict[str, Any], configuration: Configuration
    ) -> str:
        for key in ("seed", "engine", "window"):
            if there.get(key) != here[key]:
                return f"{key} is {there.get(key)} there and {here[key]} here"
        stored = self.config_file(name)
        before = read_plain(stored) if stored.is_file() else {}
        data = plain(configuration.places[name])
        if before and before != data:
            return f"in {name}, {first_difference(before, data)}"
        if there.get("code") != here["code"]:
            return "flowsim itself has changed since"
        return first_difference(there.get("libraries", {}), here["libraries"], "versions")

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
        text = yaml.dump(plain(place), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
        _write_text(path, head + text)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Tells other processes, while it lasts, that this one is at work in the folder."""
        mark = _temporary(self.out / "at_work")
        with told_trouble(self.out):
            mark.touch()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                mark.unlink(missing_ok=True)

    def others_at_work(self) -> list[bool]:
        """One entry for each other process that is at work in the folder: was it there before this one?"""
        own = _temporary(self.out / "at_work")
        found = []
        for mark in self.out.glob("at_work.*.tmp"):
            if mark != own and not _is_left_over(mark):
                with contextlib.suppress(OSError):
                    found.append((mark.stat().st_mtime_ns, mark.name) < (own.stat().st_mtime_ns, own.name))
        return found

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

    # -- reading ------------------------------------------------------------------------------------------------------

    @property
    def manifest(self) -> dict[str, Any]:
        """What `manifest.json` says; empty when it is not there or not whole."""
        try:
            found = json.loads((self.out / "manifest.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_manifest(self, content: dict[str, Any]) -> None:
        """Write `manifest.json`. Raises StoreError."""
        text = json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"
        self.write("manifest.json", text.encode())

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
        chosen = _Chosen({"scenario": scenarios, "where": where, "of": of, "state": states}, replications)
        path = self.out / "nights.parquet"
        table = chosen.read(path) if path.is_file() else self._nights_of_cells(chosen, scenarios, replications)
        return table.to_pandas(date_as_object=False)

    def _nights_of_cells(
        self, chosen: _Chosen, scenarios: Collection[str] | None, replications: int | None
    ) -> pa.Table:
        manifest = self.manifest
        tables = [NIGHTS_SCHEMA.empty_table()]
        for name, key in manifest.get("configuration", {}).get("scenarios", {}).items():
            if scenarios is None or name in scenarios:
                cells = listed(self.cells / key)
                for replication in range(min(manifest["counts"].get(name, 0), replications or sys.maxsize)):
                    if replication in cells:
                        tables.append(chosen.of(cells[replication].read().nights(name)))
        return pa.concat_tables(tables).unify_dictionaries()


@dataclass(frozen=True)
class _Chosen:
    """Rows of a table with these words in the columns named (None: all), and of the first so many replications."""

    words: Mapping[str, Collection[str] | None]
    replications: int | None

    def read(self, path: Path) -> pa.Table:
        """These rows of a file, a group of rows at a time; the words stay coded."""
        asked = [name for name, values in self.words.items() if values is not None]
        if self.replications is not None:
            asked.append("replication")
        with pq.ParquetFile(path, read_dictionary=list(self.words)) as file:
            if not asked:
                return file.read()
            schema = file.schema_arrow
            found = [schema.empty_table()]
            for group in range(file.num_row_groups):
                if not self._may_be_in(file.metadata.row_group(group)):
                    continue
                part = file.read_row_group(group, asked)
                rows = self._rows(part)
                if rows.any():
                    rest = file.read_row_group(group, [name for name in schema.names if name not in asked])
                    columns = {name: (part if name in asked else rest).column(name) for name in schema.names}
                    found.append(pa.table(columns).filter(pa.array(rows)))
        return pa.concat_tables(found).unify_dictionaries()

    def _may_be_in(self, group: Any) -> bool:
        """May a group of rows have any of these, by the lowest and the highest of each column?"""
        for at in range(group.num_columns):
            column = group.column(at)
            values: Collection[Any] | None = self.words.get(column.path_in_schema)
            if column.path_in_schema == "replication" and self.replications is not None:
                values = range(self.replications)
            known = column.statistics
            if values is None or known is None or not known.has_min_max:
                continue
            if not any(known.min <= value <= known.max for value in values):
                return False
        return True

    def of(self, table: pa.Table) -> pa.Table:
        """These rows of a table whose words are coded."""
        return table.filter(pa.array(self._rows(table)))

    def _rows(self, table: pa.Table) -> np.ndarray:
        rows = np.ones(table.num_rows, bool)
        for name, values in self.words.items():
            if values is not None:
                chunks = table.column(name).chunks
                known = [np.isin(chunk.dictionary.to_pylist(), list(values)) for chunk in chunks]
                parts = [yes[chunk.indices.to_numpy()] for yes, chunk in zip(known, chunks, strict=True)]
                rows &= np.concatenate([np.zeros(0, bool), *parts])
        if self.replications is not None:
            rows &= table.column("replication").to_numpy() < self.replications
        return rows


@contextlib.contextmanager
def told_trouble(out: Path) -> Iterator[None]:
    """Trouble in writing as StoreError, in one sentence."""
    try:
        yield
    except OSError as trouble:
        reason = trouble.strerror or str(trouble).split("Detail:")[-1].strip()
        raise StoreError(f"out={out}: the folder cannot be written ({reason}).") from None


@contextlib.contextmanager
def renamed(path: Path) -> Iterator[Path]:
    """A temporary file of this process, which takes the name of `path` at the end; a failure leaves nothing."""
    temporary = _temporary(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _temporary(path: Path) -> Path:
    return path.with_name(f"{path.name}.{_host()}-{os.getpid()}.tmp")


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", platform.node()) or "host"


def _is_left_over(temporary: Path) -> bool:
    """Is the process that was writing this file no more?"""
    match = re.fullmatch(r".*\.(\w+)-(\d+)\.tmp", temporary.name)
    try:
        old = time.time() - temporary.stat().st_mtime > STALE_SECONDS
    except OSError:
        return False
    return old or match is None or (match[1] == _host() and not is_alive(int(match[2])))


def is_alive(process: int) -> bool:
    """Does a process of this number run on this machine?"""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame as CSV; ten digits, so that no last bit of another machine shows. Raises StoreError."""
    with told_trouble(path.parent):
        _write_text(path, frame.to_csv(index=False, float_format="%.10g", lineterminator="\n"))


def _write_text(path: Path, text: str) -> None:
    with renamed(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


# ---------------------------------------------------------------------------------------------------------------------
# Where and with what


def versions() -> dict[str, str]:
    """Versions of flowsim, Python and the libraries that are installed."""
    return {"python": platform.python_version(), **installed(("flowsim", *LIBRARIES))}


def installed(libraries: Iterable[str]) -> dict[str, str]:
    """Versions of those of these libraries that are installed."""
    found = {}
    for name in libraries:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def machine() -> dict[str, Any]:
    """System, cores and memory in GiB (null where the system does not say)."""
    return {"system": platform.platform(), "cores": cores(), "memory_gib": memory_gib()}


def cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_gib() -> float | None:
    """Memory of the machine in GiB."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    return float(np.round(size / 2**30, 1))


def git_commit() -> str | None:
    """The commit the package's source stands at, with ``+changes`` where files differ; None outside a checkout."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return f"{commit}+changes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
