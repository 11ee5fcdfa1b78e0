"""Put finished cells together into the two tables of an experiment, one cell at a time, in a fixed order."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flowsim.folder.atomic import renamed, told_trouble
from flowsim.folder.cell_file import COMPRESSION, NIGHTS_SCHEMA, RESULTS_SCHEMA, CellFile, DamagedCellError
from flowsim.folder.digests import sha256
from flowsim.folder.manifest import Assembled

RESULTS, NIGHTS = "results.parquet", "nights.parquet"
ROWS_A_GROUP = 2**18
"""Rows of a table kept in memory before they are written."""
TABLES_KEPT = 256
"""Small tables kept in memory before they are made one."""


def assemble(
    out: Path,
    keys: Mapping[str, str],
    found: Mapping[str, Mapping[int, CellFile]],
    nights: bool = True,
    earlier: Assembled | None = None,
) -> tuple[Assembled, list[tuple[CellFile, str]]]:
    """Write `results.parquet` and, if asked for, `nights.parquet`, whose bytes depend on the cells alone.

    Args:
        out: the results folder.
        keys: the key of each scenario, in the order of the tables.
        found: the cells of each scenario by replication.
        nights: the nights too; without, they stay in the cells (`tables.nights` reads them there).
        earlier: the note of an earlier call: when the tables there are those very ones, byte for byte, and made of
            these cells, no cell is read.

    Returns a note of what the tables are made of, and the damaged cells, each with the reason: nothing is written while
    there are any. Raises StoreError when the folder cannot be written.
    """
    order = [[name, key, [cell.name for _, cell in sorted(found[name].items())]] for name, key in keys.items()]
    made_of = hashlib.sha256(json.dumps(order).encode()).hexdigest()
    paths = [out / RESULTS, *([out / NIGHTS] if nights else [])]
    damaged: list[tuple[CellFile, str]] = []
    with told_trouble(out):
        if not nights:
            (out / NIGHTS).unlink(missing_ok=True)
        if earlier is None or _note(paths, made_of) != earlier:
            damaged = _write(keys, found, paths)
        return Assembled() if damaged else _note(paths, made_of), damaged


def _note(paths: list[Path], made_of: str) -> Assembled:
    """Of which cells these very files are made."""
    there = [path for path in paths if path.is_file()]
    return Assembled(made_of=made_of, tables=len(paths), sha256={path.name: sha256(path) for path in there})


class _DamagedError(Exception):
    """Leaves the tables as they were."""


def _write(
    keys: Mapping[str, str], found: Mapping[str, Mapping[int, CellFile]], paths: list[Path]
) -> list[tuple[CellFile, str]]:
    damaged: list[tuple[CellFile, str]] = []
    with contextlib.suppress(_DamagedError), contextlib.ExitStack() as stack:
        tables = [
            stack.enter_context(_growing(path, schema))
            for path, schema in zip(paths, (RESULTS_SCHEMA, NIGHTS_SCHEMA), strict=False)
        ]
        for name in keys:
            for replication in sorted(found[name]):
                try:
                    cell = found[name][replication].read()
                except DamagedCellError as reason:
                    damaged.append((found[name][replication], str(reason)))
                    continue
                for table, part in zip(tables, (cell.results, cell.nights), strict=False):
                    if not damaged:
                        table.add(part(name))
        if damaged:
            raise _DamagedError
    return damaged


class _Growing:
    """A parquet file that is written in groups of rows; all cells of a group are whole."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._rows += table.num_rows
        if len(self._waiting) >= TABLES_KEPT:
            self._waiting = [self._whole()]
        if self._rows >= ROWS_A_GROUP:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            self._writer.write_table(self._whole(), row_group_size=max(1, self._rows))
        self._waiting, self._rows = [], 0

    def _whole(self) -> pa.Table:
        return pa.concat_tables(self._waiting).unify_dictionaries().combine_chunks()


@contextlib.contextmanager
def _growing(path: Path, schema: pa.Schema) -> Iterator[_Growing]:
    with renamed(path) as temporary, pq.ParquetWriter(temporary, schema, **COMPRESSION) as writer:
        table = _Growing(writer)
        yield table
        table.flush()
