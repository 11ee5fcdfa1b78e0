"""The rows of a large table that are asked for; no others are read into memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class Chosen:
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
            parts = [schema.empty_table()]
            for group in range(file.num_row_groups):
                if not self._may_be_in(file.metadata.row_group(group)):
                    continue
                part = file.read_row_group(group, asked)
                rows = self._rows(part)
                if rows.any():
                    rest = file.read_row_group(group, [name for name in schema.names if name not in asked])
                    columns = {name: (part if name in asked else rest).column(name) for name in schema.names}
                    parts.append(pa.table(columns).filter(pa.array(rows)))
        return pa.concat_tables(parts).unify_dictionaries()

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
