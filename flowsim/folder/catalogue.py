"""What a results folder holds, told from its files and asked in SQL.

The files of the cells are their own catalogue: their names and metadata say what they are. DuckDB reads the tables
where they stand; each view is made only for a question that names it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from flowsim.declare.totals import SECTIONS, SPLITS, shared_out
from flowsim.folder.assemble import NIGHTS, RESULTS, assemble
from flowsim.folder.at_work import alone
from flowsim.folder.cell_file import CellFile, DamagedCellError, listed
from flowsim.folder.configuration import flat, free_name, read_plain
from flowsim.folder.machine import versions
from flowsim.folder.manifest import Described, Manifest
from flowsim.folder.ownership import cell_folders, refuse_foreign
from flowsim.folder.store import Store
from flowsim.folder.tables import readable, sound
from flowsim.place import PlaceError, refuse

if TYPE_CHECKING:
    import duckdb

LOCKED = "set enable_external_access = false; set python_enable_replacements = false; set lock_configuration = true"
"""After this a question reads the tables that it was given, and can undo none of it."""
ENDINGS = (".csv", ".parquet")
"""Files that an answer can be written to."""


# ---------------------------------------------------------------------------------------------------------------------
# From the files alone


def catalogue(store: Store) -> pd.DataFrame:
    """One row a cell, finished or failed, of whatever experiment.

    Columns scenario, replication, state (finished, failed), seed, engine, window, key, file (in the folder), error. The
    names are those of the last experiment; a cell that is not part of it has the name it was made under.
    """
    manifest = store.manifest
    names = {key: name for name, key in manifest.keys.items()}
    rows: list[dict[str, Any]] = []
    for key, cells in _every(store):
        about = _about(cells)
        words = {"scenario": names.get(key, about.get("scenario")), "state": "finished", "key": key, "error": ""}
        words |= {name: about.get(name) for name in ("seed", "engine", "window")}
        for replication, cell in sorted(cells.items()):
            rows.append(words | {"replication": replication, "file": cell.path.relative_to(store.out).as_posix()})
    common = {"engine": manifest.engine, "window": manifest.window}
    keys = {name: key for key, name in names.items()}
    for row in (cell.model_dump() for cell in manifest.failures):
        rows.append({**row, **common, "state": "failed", "key": keys.get(row["scenario"]), "file": ""})
    columns = ["scenario", "replication", "state", "seed", "engine", "window", "key", "file", "error"]
    return pd.DataFrame(rows, columns=columns)


def _every(store: Store) -> Iterator[tuple[str, dict[int, CellFile]]]:
    """The finished cells of every key."""
    for folder in cell_folders(store.out):
        if cells := listed(folder):
            yield folder.name, cells


def _about(cells: dict[int, CellFile]) -> dict[str, Any]:
    """What the first cell that can be read says of itself; all of a key say the same."""
    for _, cell in sorted(cells.items()):
        with contextlib.suppress(DamagedCellError):
            return cell.about()
    return {}


def rebuild(store: Store) -> tuple[dict[str, int], list[str]]:
    """Make the manifest and the tables anew from the cells alone, all of them; damaged ones are set aside.

    A name that several configurations had is numbered. Returns how many cells each scenario has, and what is to be
    said. Raises PlaceError when there are none, when the folder is another's and while others are at work in it.
    """
    refuse_foreign(store.out, rebuilt=True)
    with alone(store.out, f"flowsim results {store.out} rebuild"):
        return _rebuilt(store)


def _rebuilt(store: Store) -> tuple[dict[str, int], list[str]]:
    cells_of: dict[str, dict[int, CellFile]] = {}
    keys: dict[str, str] = {}
    about: dict[str, Any] = {}
    earlier = Manifest()
    with contextlib.suppress(PlaceError):  # a damaged one is what this is for
        earlier = store.manifest
    before = list(earlier.keys)
    every = [(key, cells, _about(cells)) for key, cells in _every(store)]
    place = {name: at for at, name in enumerate(before)}
    every.sort(
        key=lambda one: (place.get(str(one[2].get("scenario")), len(place)), str(one[2].get("scenario")), one[0])
    )
    for key, cells, words in every:
        about = about or words
        name = free_name(str(words.get("scenario", key)), keys)
        keys[name], cells_of[name] = key, cells
    if not keys:
        raise PlaceError(f"{store.out}: this folder holds no cells.")
    notices: list[str] = []
    note, damaged = assemble(store.out, keys, cells_of)
    while damaged:
        for cell, reason in damaged:
            notices.append(store.set_aside(cell, reason, again=False))
            next(cells for name, cells in cells_of.items() if keys[name] == cell.key).pop(cell.replication)
        note, damaged = assemble(store.out, keys, cells_of)
    done = {name: len(cells) for name, cells in cells_of.items()}
    names = ("seed", "engine", "window", "window_minutes", "code", "libraries")
    said: dict[str, Any] = {name: about[name] for name in names if name in about}
    described = Described(scenarios=keys, **said)
    store.write_manifest(
        Manifest(
            command="flowsim results rebuild",
            verb="sweep" if earlier.verb == "sweep" else "results",  # its points.csv is still there
            status="rebuilt",
            replications=max(done.values()),
            seed=described.seed,
            engine=described.engine,
            window=described.window,
            configuration=described,
            counts={name: max(cells, default=-1) + 1 for name, cells in cells_of.items()},
            cells=done,
            assembled=note,
            digests=earlier.digests,
            versions=versions(),
            notices=tuple(notices),
            failures=(),
        )
    )
    return done, notices


# ---------------------------------------------------------------------------------------------------------------------
# In SQL


def ask(store: Store, sql: str, unsafe: bool = False) -> pd.DataFrame:
    """The answer of DuckDB to a question about the folder. Raises PlaceError, in one sentence, for a mistake in it.

    Views: `results` (scenario, replication, measure, where, of, unit, value), `totals` (those of everything in the
    whole place), `nights` (scenario, replication, date, where, of, state, count), `cells` (see `catalogue`),
    `scenarios` (scenario, key, replications, title, changes), `settings` (scenario, key, value: every number of every
    place). Nothing but these is read and nothing is written, unless `unsafe`: then the question may read and write any
    file that its user may, load extensions and reach the network.
    """
    try:
        import duckdb
    except ImportError:
        raise PlaceError("results: SQL needs DuckDB; allowed: pip install duckdb, or no SQL.") from None
    with duckdb.connect(":memory:") as connection:
        for view, make in _VIEWS.items():
            if re.search(rf"\b{view}\b", sql, re.IGNORECASE):
                make(store, connection)
        if not unsafe:  # the views stand by now, and are read by Arrow
            connection.execute(LOCKED)
        try:
            answer = connection.execute(sql)
            return answer.df() if answer.description else pd.DataFrame()
        except duckdb.Error as mistake:
            if not unsafe and isinstance(mistake, duckdb.PermissionException):
                raise PlaceError(
                    f"results: {sql!r} was given, which reaches beyond the tables of this folder; allowed: the tables "
                    f"{', '.join(_VIEWS)}, or unsafe=true, with which SQL may read and write any file of yours."
                ) from None
            if unknown := re.search(r"Table with name (\S+) does not exist", str(mistake)):
                raise refuse("results", unknown[1], "a table:", _VIEWS) from None
            words = " ".join(str(mistake).split("\n\n")[0].split("LINE ")[0].split())
            raise PlaceError(f"results: {sql!r} was given, which DuckDB does not take ({words.rstrip('.')}).") from None


def _results(store: Store, connection: duckdb.DuckDBPyConnection) -> None:
    _table(connection, "results", sound(store.out, RESULTS))


def _totals(store: Store, connection: duckdb.DuckDBPyConnection) -> None:
    """What holds of the whole place: in `results` a measure stands for each site, service and so on beside it."""
    _results(store, connection)
    connection.execute("create temp view totals as select * from results where \"where\" = 'all' and \"of\" = ''")


def _nights(store: Store, connection: duckdb.DuckDBPyConnection) -> None:
    if (store.out / NIGHTS).is_file():
        _table(connection, "nights", sound(store.out, NIGHTS))
    else:
        words = dict.fromkeys(("scenario", "where", "of", "state"), str)
        connection.register("nights", store.nights().astype(words))


def _table(connection: duckdb.DuckDBPyConnection, view: str, path: Path) -> None:
    import pyarrow.dataset as ds

    with readable(path):
        connection.register(view, ds.dataset(path))


def _cells(store: Store, connection: duckdb.DuckDBPyConnection) -> None:
    connection.register("cells", catalogue(store))


def _scenarios(store: Store, connection: duckdb.DuckDBPyConnection) -> None:
    rows = []
    counts = store.manifest.cells
    for name, key, config in _configurations(store):
        about = config.get("scenario", {})
        changes = "; ".join(f"place.{what}: {old} -> {new}" for what, (old, new) in about.get("changes", {}).items())
        rows.append([name, key, counts.get(name, 0), about.get("title", ""), changes])
    connection.register(
        "scenarios", pd.DataFrame(rows, columns=["scenario", "key", "replications", "title", "changes"])
    )


def _settings(store: Store, connection: duckdb.DuckDBPyConnection) -> None:
    rows = []
    for name, _, config in _configurations(store):
        declared = {part: value for part, value in config.items() if part not in ("before", "scenario", "run")}
        declared |= {part: {n: _as_open(service) for n, service in declared.get(part, {}).items()} for part in SECTIONS}
        every = [*flat(declared, "place"), *config.get("run", {}).items()]
        rows += [[name, key, str(value)] for key, value in every]
    connection.register("settings", pd.DataFrame(rows, columns=["scenario", "key", "value"]))


def _as_open(service: dict[str, Any]) -> dict[str, Any]:
    """A service or pool with as much in each of its parts as is open there before anything changes it."""
    total = service["capacity"]
    parts = {split: service[split] for split in SPLITS if isinstance(total, float) and service.get(split)}
    open_in = {split: shared_out(total, weights, service["unit"]) for split, weights in parts.items()}
    return {**service, **{split: {n: float(x) for n, x in amounts.items()} for split, amounts in open_in.items()}}


def _configurations(store: Store) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, key in store.manifest.keys.items():
        yield name, key, read_plain(store.config(name)) if store.config_file(name).is_file() else {}


_VIEWS: dict[str, Callable[[Store, Any], None]] = {
    "results": _results,
    "totals": _totals,
    "nights": _nights,
    "cells": _cells,
    "scenarios": _scenarios,
    "settings": _settings,
}


def write(answer: pd.DataFrame, path: Path) -> None:
    """Write an answer as .csv or .parquet. Raises PlaceError for another ending or a folder that is not there."""
    if path.suffix not in ENDINGS:
        raise refuse("to", str(path), "a file ending in", ENDINGS)
    try:
        if path.suffix == ".csv":
            answer.to_csv(path, index=False, float_format="%.10g", lineterminator="\n")
        else:
            answer.to_parquet(path, index=False)
    except OSError as trouble:
        raise PlaceError(
            f"to: {str(path)!r} was given, which cannot be written ({trouble.strerror or trouble})."
        ) from None
