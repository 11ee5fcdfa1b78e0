"""A finished cell as one parquet file that tells what it is and notices when it is damaged.

    cells/<key>/<replication>-<digest>.parquet

``key`` is the digest of all that decides the numbers (`store.Configuration.keys`), ``digest`` that of the file's own
bytes. The first row group holds the results (``date`` is null), the second the nights (``unit`` is null, ``measure``
is the state, ``value`` the count). The words of the file's metadata say which scenario, replication, seed and code made
it, so that a folder of cells is its own catalogue.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

KEYS = ("measure", "where", "of", "unit")
WORDS = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema([*((name, WORDS) for name in KEYS), ("date", pa.date32()), ("value", pa.float64())])
RESULTS_SCHEMA = pa.schema(
    [
        ("scenario", WORDS),
        ("replication", pa.int32()),
        ("measure", WORDS),
        ("where", WORDS),
        ("of", WORDS),
        ("unit", WORDS),
        ("value", pa.float64()),
    ]
)
NIGHTS_SCHEMA = pa.schema(
    [
        ("scenario", WORDS),
        ("replication", pa.int32()),
        ("date", pa.date32()),
        ("where", WORDS),
        ("of", WORDS),
        ("state", WORDS),
        ("count", pa.float64()),
    ]
)
"""Of the tables that are put together from cells. In the files words are plain strings."""
NAME = re.compile(r"(\d{5,})-([0-9a-f]{16})\.parquet")
ABOUT = b"flowsim"
COMPRESSION: dict[str, Any] = {"compression": "zstd", "compression_level": 1, "store_schema": False}


class DamagedCellError(Exception):
    """A cell file whose bytes are not those that were written."""


@dataclass(frozen=True, slots=True)
class CellFile:
    """A finished cell: whose it is, and where it stands."""

    folder: Path
    replication: int
    name: str

    @property
    def key(self) -> str:
        """The digest of its configuration."""
        return self.folder.name

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / self.name

    def read(self) -> Cell:
        """Its content. Raises DamagedCellError when a byte is not what it was, or it is another's by what it says."""
        try:
            data = self.path.read_bytes()
        except OSError as trouble:
            raise DamagedCellError(f"it cannot be read ({trouble.strerror})") from None
        if self.name != file_name(self.replication, data):
            raise DamagedCellError("its checksum is wrong")
        try:
            file = pq.ParquetFile(io.BytesIO(data), read_dictionary=["measure", "where", "of", "unit"])
        except pa.ArrowException:
            raise DamagedCellError("it is no parquet file") from None
        cell = Cell(file, self.replication)
        for what, asked in (("key", self.key), ("replication", self.replication)):
            if cell.about.get(what) != asked:
                raise DamagedCellError(f"it says that its {what} is {str(cell.about.get(what))[:20]}")
        return cell

    def about(self) -> dict[str, Any]:
        """What its metadata says of it; the rest is not looked at. Raises DamagedCellError."""
        try:
            return _about(pq.read_metadata(self.path).metadata)
        except (pa.ArrowException, OSError):
            raise DamagedCellError("it is no parquet file") from None


class Cell:
    """The tables of one cell, read when they are asked for."""

    def __init__(self, file: pq.ParquetFile, replication: int) -> None:
        self._file = file
        self._replication = replication

    @property
    def about(self) -> dict[str, Any]:
        """Scenario, key, replication, seed, engine, window, code and libraries."""
        return _about(self._file.metadata.metadata)

    def results(self, scenario: str) -> pa.Table:
        """Rows of `RESULTS_SCHEMA`, under the name the scenario has in an experiment."""
        return self._part(0, scenario, RESULTS_SCHEMA, dict(zip(KEYS, KEYS, strict=True)))

    def nights(self, scenario: str) -> pa.Table:
        """Rows of `NIGHTS_SCHEMA`."""
        columns = {"date": "date", "where": "where", "of": "of", "state": "measure"}
        return self._part(1, scenario, NIGHTS_SCHEMA, columns)

    def _part(self, group: int, scenario: str, schema: pa.Schema, columns: Mapping[str, str]) -> pa.Table:
        table = self._file.read_row_group(group, use_threads=False).combine_chunks()
        rows = table.num_rows
        named = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([scenario]))
        arrays = [named, pa.array(np.full(rows, self._replication, np.int32))]
        arrays += [table.column(name) for name in columns.values()]
        return pa.Table.from_arrays([*arrays, table.column("value")], schema=schema)


def _about(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    try:
        words = json.loads((metadata or {}).get(ABOUT, b"{}"))
    except ValueError:
        return {}
    return words if isinstance(words, dict) else {}


def file_name(replication: int, data: bytes) -> str:
    """A cell file's name, which is right only for these very bytes."""
    return f"{replication:05d}-{hashlib.sha256(data).hexdigest()[:16]}.parquet"


def listed(folder: Path) -> dict[int, CellFile]:
    """The finished cells of one key's folder, by replication; of two files for one, the first by name."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return {}
    cells: dict[int, CellFile] = {}
    for name in names:
        match = NAME.fullmatch(name)
        if match:
            cells.setdefault(int(match[1]), CellFile(folder, int(match[1]), name))
    return cells


def encode(results: pd.DataFrame, nights: pd.DataFrame, about: Mapping[str, Any]) -> bytes:
    """The bytes of a cell file; the same tables and words give the same bytes, whatever the order of the rows.

    Args:
        results: columns measure, where, of, unit, value.
        nights: columns date, where, of, state, count.
        about: plain words and numbers for the metadata.
    """
    dates = np.asarray(nights["date"], dtype="datetime64[D]").astype(np.int32)
    tables = (
        _table(results, KEYS, None, "value"),
        _table(nights, ("state", "where", "of"), dates, "count"),
    )
    sink = io.BytesIO()
    metadata = {ABOUT: json.dumps(dict(about), sort_keys=True, ensure_ascii=False, default=str).encode()}
    with pq.ParquetWriter(sink, SCHEMA, write_statistics=False, **COMPRESSION) as writer:
        writer.add_key_value_metadata(metadata)
        for table in tables:
            writer.write_table(table, row_group_size=max(1, table.num_rows))
    return sink.getvalue()


def _table(frame: pd.DataFrame, words: Sequence[str], dates: np.ndarray | None, value: str) -> pa.Table:
    """Rows in the order of their nights, then (results) of their words, (nights) of `of`, where and state."""
    coded = {name: coded_words(frame[name]) for name in words}
    order = np.zeros(len(frame), np.int64) if dates is None else dates.astype(np.int64)
    for name in words if dates is None else reversed(words):
        codes, known = coded[name]
        order = order * (len(known) + 1) + codes
    at = np.argsort(order, kind="stable") if (np.diff(order) < 0).any() else slice(None)
    columns: dict[str, Any] = {
        field: pa.DictionaryArray.from_arrays(pa.array(codes[at]), pa.array(known, pa.string()))
        for field, (codes, known) in zip(KEYS, coded.values(), strict=False)
    }
    none = pa.nulls(len(frame), pa.int32())
    columns.setdefault("unit", pa.DictionaryArray.from_arrays(none, pa.array([], pa.string())))
    columns["date"] = (none if dates is None else pa.array(dates[at])).cast(pa.date32())
    columns["value"] = pa.array(frame[value].to_numpy(dtype=np.float64)[at], from_pandas=True)
    return pa.Table.from_pydict(columns, schema=SCHEMA)


def coded_words(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Codes (int32, shape (rows,)) and the sorted words they stand for."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, known = column.cat.codes.to_numpy(), [str(word) for word in column.cat.categories]
    else:
        dictionary_coded = pa.array(column, pa.string(), from_pandas=True).dictionary_encode()
        codes, known = dictionary_coded.indices.to_numpy(zero_copy_only=False), dictionary_coded.dictionary.to_pylist()
    used = sorted(np.flatnonzero(np.bincount(codes, minlength=len(known))), key=known.__getitem__)
    rank = np.zeros(len(known), np.int32)
    rank[used] = np.arange(len(used), dtype=np.int32)
    return rank[codes], [known[at] for at in used]
