"""The results folder: what is written where, when an old folder may be continued, and how it is read again.

    manifest.json            how it was made: the only file with times and machines in it
    config/<scenario>.yaml   the composed place, enough to run it again
    cells/<key>-<r>.*        what the workers wrote: one pair of files a scenario and replication
    results.parquet          scenario, replication, measure, where, unit, value
    census.parquet           scenario, replication, date, where, state, count
    spells/                  every stage, task and capacity step of every spell (when asked for)

Workers write a cell under a temporary name and rename it, so a file that is there is whole.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
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

from flowsim.place import Place, PlaceError, Table
from flowsim.validate import read_place

RESULTS_SCHEMA = pa.schema(
    [
        ("scenario", pa.string()),
        ("replication", pa.int32()),
        ("measure", pa.string()),
        ("where", pa.string()),
        ("unit", pa.string()),
        ("value", pa.float64()),
    ]
)
CENSUS_SCHEMA = pa.schema(
    [
        ("scenario", pa.string()),
        ("replication", pa.int32()),
        ("date", pa.date32()),
        ("where", pa.string()),
        ("state", pa.string()),
        ("count", pa.float64()),
    ]
)
CODE_THAT_COUNTS = ("place.py", "model", "engine", "measures")
"""Files and folders of the package on which a cell's numbers depend."""
LIBRARIES_THAT_COUNT = ("numpy", "scipy", "holidays")
"""Libraries on whose version a cell's numbers depend: random numbers, distributions, bank holidays."""
LIBRARIES = (
    *LIBRARIES_THAT_COUNT, "pandas", "pyarrow", "simpy", "numba", "joblib", "pydantic", "hydra-core", "PyYAML",
    "matplotlib",
)  # fmt: skip
"""Libraries whose versions the manifest tells."""


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
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(raw, Mapping):
        raise PlaceError(f"{path}: this is not the configuration of a place.")
    return read_place(raw, str(path))


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _flat(item, f"{key}.{name}")
    else:
        yield key, value


def first_difference(there: Any, here: Any, what: str = "place") -> str:
    """One clause naming the first key in which two plain configurations differ."""
    old, new = dict(_flat(there, what)), dict(_flat(here, what))
    for key in (*new, *old):
        if old.get(key) != new.get(key):
            return f"{key} is {old.get(key, 'not set')} there and {new.get(key, 'not set')} here"
    return "the order of its keys differs"


def file_name(scenario: str) -> str:
    """A scenario's name as it may stand in a file's name on every system."""
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", scenario)


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

    places: dict[str, Place]
    seed: int
    engine: str
    window: str
    span: tuple[int, int]
    code: str = field(default_factory=code_hash)
    libraries: dict[str, str] = field(default_factory=lambda: installed(LIBRARIES_THAT_COUNT))

    @cached_property
    def plain_places(self) -> dict[str, Any]:
        return {name: plain(place) for name, place in self.places.items()}

    @cached_property
    def keys(self) -> dict[str, str]:
        """A digest for each scenario: cells with equal digests hold equal numbers."""
        common = [self.seed, self.engine, self.window, list(self.span), self.code, self.libraries]
        return {
            name: hashlib.sha256(json.dumps([data, *common], default=str, sort_keys=True).encode()).hexdigest()[:16]
            for name, data in self.plain_places.items()
        }

    def described(self) -> dict[str, Any]:
        """As it stands in the manifest."""
        return {
            "scenarios": self.keys,
            "seed": self.seed,
            "engine": self.engine,
            "window": self.window,
            "window_minutes": list(self.span),
            "code": self.code,
            "libraries": self.libraries,
        }


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


class Store:
    """A results folder. `open` it with a configuration to write; `manifest`, `results` and `census` read it."""

    def __init__(self, out: str | Path) -> None:
        self.out = Path(out)
        self.cells = self.out / "cells"

    # -- opening ------------------------------------------------------------------------------------------------------

    def open(self, configuration: Configuration, command: str) -> None:
        """Make the folder, or continue it when it holds this configuration. Raises PlaceError when it holds another."""
        if self.out.exists() and not self.out.is_dir():
            raise PlaceError(f"out={self.out}: a file of this name is there; give another out.")
        if (self.out / "manifest.json").is_file():
            self._check_same(configuration)
        elif self.out.is_dir() and any(self.out.iterdir()):
            raise PlaceError(f"out={self.out}: the folder holds other files and no manifest.json; give another out.")
        self.cells.mkdir(parents=True, exist_ok=True)
        (self.out / "config").mkdir(exist_ok=True)
        for left_over in self.cells.glob("*.tmp"):
            left_over.unlink()
        for name, data in configuration.plain_places.items():
            head = f"# {name}: the composed place. Made by: {command}\n"
            text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)
            _write_text(self.out / "config" / f"{file_name(name)}.yaml", head + text)

    def _check_same(self, configuration: Configuration) -> None:
        there = self.manifest.get("configuration", {})
        here = configuration.described()
        if there == here:
            return
        raise PlaceError(
            f"out={self.out}: this folder holds results of another configuration "
            f"({self._what_differs(there, here, configuration)}); give another out."
        )

    def _what_differs(self, there: dict[str, Any], here: dict[str, Any], configuration: Configuration) -> str:
        old, new = there.get("scenarios", {}), here["scenarios"]
        if list(old) != list(new):
            return f"scenarios are {', '.join(old)} there and {', '.join(new)} here"
        for key in ("seed", "engine", "window"):
            if there.get(key) != here[key]:
                return f"{key} is {there.get(key)} there and {here[key]} here"
        for name, data in configuration.plain_places.items():
            stored = self.out / "config" / f"{file_name(name)}.yaml"
            if old[name] != new[name] and stored.is_file():
                before = yaml.safe_load(stored.read_text(encoding="utf-8"))
                if before != data:
                    return f"in {name}, {first_difference(before, data)}"
        if there.get("code") != here["code"]:
            return "flowsim itself has changed since"
        return first_difference(there.get("libraries", {}), here["libraries"], "versions")

    # -- cells --------------------------------------------------------------------------------------------------------

    def cell_file(self, key: str, replication: int, what: str) -> Path:
        """Where a cell's `results` or `census` stands."""
        return self.cells / f"{key}-{replication:05d}.{what}.parquet"

    def spells_file(self, scenario: str, replication: int, what: str) -> Path:
        """Where a cell's `stages`, `tasks` or `capacity` stand when spells are kept."""
        return self.out / "spells" / f"{file_name(scenario)}-{replication:05d}-{what}.parquet"

    def has(self, key: str, scenario: str, replication: int, keep_spells: bool) -> bool:
        """Is the cell finished?"""
        spells = not keep_spells or self.spells_file(scenario, replication, "stages").is_file()
        return spells and self.cell_file(key, replication, "results").is_file()

    def write_cell(
        self, key: str, scenario: str, replication: int, results: pd.DataFrame, census: pd.DataFrame
    ) -> None:
        """Write one cell; the results last, since their file says that the cell is finished."""
        for what, frame, schema, order in (
            ("census", census, CENSUS_SCHEMA, ["date", "where", "state"]),
            ("results", results, RESULTS_SCHEMA, ["measure", "where", "unit"]),
        ):
            whole = frame.assign(scenario=scenario, replication=replication).sort_values(order, kind="stable")
            table = pa.Table.from_pandas(whole[schema.names], schema=schema, preserve_index=False)
            _write_parquet(self.cell_file(key, replication, what), table.replace_schema_metadata(None))

    def write_spells(self, scenario: str, replication: int, tables: dict[str, pd.DataFrame]) -> None:
        """Write the spells of one cell; the stages last, since their file says that they are whole."""
        (self.out / "spells").mkdir(exist_ok=True)
        for what in sorted(tables, reverse=True, key=lambda name: name != "stages"):
            table = pa.Table.from_pandas(tables[what], preserve_index=False).replace_schema_metadata(None)
            _write_parquet(self.spells_file(scenario, replication, what), table)

    def assemble(self, configuration: Configuration, replications: int) -> dict[str, int]:
        """Put the finished cells together; returns how many each scenario has. Cells are streamed, one at a time."""
        found = {
            name: [r for r in range(replications) if self.cell_file(key, r, "results").is_file()]
            for name, key in configuration.keys.items()
        }
        for what, schema in (("results", RESULTS_SCHEMA), ("census", CENSUS_SCHEMA)):
            final = self.out / f"{what}.parquet"
            with pq.ParquetWriter(_temporary(final), schema) as writer:
                for name, key in configuration.keys.items():
                    for replication in found[name]:
                        table = pq.read_table(self.cell_file(key, replication, what), schema=schema)
                        writer.write_table(table.replace_schema_metadata(None))
            os.replace(_temporary(final), final)
        return {name: len(done) for name, done in found.items()}

    # -- reading ------------------------------------------------------------------------------------------------------

    @property
    def manifest(self) -> dict[str, Any]:
        """What `manifest.json` says; empty when it is not there."""
        path = self.out / "manifest.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def write_manifest(self, content: dict[str, Any]) -> None:
        """Write `manifest.json`."""
        _write_text(self.out / "manifest.json", json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")

    def results(self) -> pd.DataFrame:
        """Columns scenario, replication, measure, where, unit, value; one row a number."""
        return pq.read_table(self.out / "results.parquet").to_pandas()

    def census(self) -> pd.DataFrame:
        """Columns scenario, replication, date (datetime64), where, state, count; words are categories (it is long)."""
        words = ["scenario", "where", "state"]
        table = pq.read_table(self.out / "census.parquet", read_dictionary=words)
        return table.to_pandas(date_as_object=False)


def _temporary(path: Path) -> Path:
    return path.with_name(f"{path.name}.{os.getpid()}.tmp")


def _write_parquet(path: Path, table: pa.Table) -> None:
    pq.write_table(table, _temporary(path))
    os.replace(_temporary(path), path)


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame as CSV; ten digits, so that no last bit of another machine shows."""
    _write_text(path, frame.to_csv(index=False, float_format="%.10g", lineterminator="\n"))


def _write_text(path: Path, text: str) -> None:
    _temporary(path).write_text(text, encoding="utf-8", newline="\n")
    os.replace(_temporary(path), path)


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
