"""The two tables of an experiment as they are read: checked against the manifest, and made anew from the cells where
they are damaged."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flowsim.folder import at_work, digests
from flowsim.folder.assemble import NIGHTS, RESULTS, assemble
from flowsim.folder.atomic import put
from flowsim.folder.cell_file import NIGHTS_SCHEMA, CellFile, DamagedCellError, listed
from flowsim.folder.chosen import Chosen
from flowsim.folder.manifest import FILE as MANIFEST
from flowsim.folder.manifest import Manifest, read_manifest
from flowsim.place import PlaceError
from flowsim.place.refusals import notice


def results(out: Path, words: Mapping[str, Collection[str] | None], made: Mapping[str, str] | None = None) -> pa.Table:
    """The rows of `results.parquet` with these words (None: all), no others being read into memory.

    `made`: digests of the tables as they are to be; None for those in the manifest. Raises PlaceError.
    """
    path = sound(out, RESULTS, made)
    chosen = [(name, "in", list(values)) for name, values in words.items() if values is not None]
    with readable(path):
        # of the two ways to read a file the one that cannot choose imports far less
        return pq.read_table(path, filters=chosen) if chosen else pq.ParquetFile(path).read()


def nights(out: Path, chosen: Chosen, made: Mapping[str, str] | None = None) -> pa.Table:
    """The chosen rows of `nights.parquet`; where the nights were not assembled (sweeps) they come from the cells."""
    if not (out / NIGHTS).is_file() and NIGHTS not in (read_manifest(out).noted if made is None else made):
        return _nights_of_cells(out, chosen)
    path = sound(out, NIGHTS, made)
    with readable(path):
        return chosen.read(path)


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """What is no parquet file, or lacks a column, in one sentence: of a folder that is older than its checksums."""
    try:
        yield
    except (pa.ArrowException, OSError, KeyError):
        raise PlaceError(f"{path}: it is damaged; allowed: {_rebuild(path.parent)}.") from None


def _rebuild(out: Path) -> str:
    return f"flowsim results {out} rebuild, which makes it from the cells"


def sound(out: Path, name: str, made: Mapping[str, str] | None = None) -> Path:
    """A table of the folder whose bytes are those that were written; a damaged one is made anew from the cells.

    Raises PlaceError when it cannot be, and when it is of another experiment than the one asked for.
    """
    try:
        digests.check(out, name, read_manifest(out).noted if made is None else made)
    except digests.ChangedError as changed:
        noted = read_manifest(out).noted  # read again: somebody may have ended just now
        asked = noted if made is None else made
        if digests.is_whole(out, name, asked):
            return out / name
        if asked.get(name) != noted.get(name):
            raise PlaceError(f"out={out}: another experiment has used this folder since; run this one again.") from None
        with at_work.alone(out, f"reads {name}, which is damaged"):
            _make_anew(out, name, changed)
    path = out / name
    if not path.is_file():
        raise PlaceError(f"{out}: there is no {name}; allowed: {_rebuild(out)}.")
    return path


def _make_anew(out: Path, name: str, changed: digests.ChangedError) -> None:
    """Both tables, from the cells that they were made of. Raises PlaceError when not all of these are there."""
    manifest = read_manifest(out)
    found = {scenario: _counted(out, key, manifest.counts.get(scenario)) for scenario, key in manifest.keys.items()}
    lost = {scenario: cells - len(found.get(scenario, ())) for scenario, cells in manifest.cells.items()}
    again = f"the same command with out={out} makes them again"
    if any(number > 0 for number in lost.values()):
        raise PlaceError(f"{changed} {sum(lost.values())} of the cells that it was made of are gone; {again}.")
    note, damaged = assemble(out, manifest.keys, found, NIGHTS in manifest.noted)
    if damaged:
        raise PlaceError(f"{changed} {len(damaged)} of the cells that it was made of are damaged too; {again}.")
    put(out / MANIFEST, manifest.but(assembled=note).text().encode())
    notice(f"{str(changed).removesuffix('.')}, and was made anew from the cells")


def _counted(out: Path, key: str, count: int | None) -> dict[int, CellFile]:
    cells = listed(out / "cells" / key)
    return {at: cell for at, cell in cells.items() if count is None or at < count}


def _nights_of_cells(out: Path, chosen: Chosen) -> pa.Table:
    manifest: Manifest = read_manifest(out)
    tables = [NIGHTS_SCHEMA.empty_table()]
    scenarios, most = chosen.words.get("scenario"), chosen.replications or sys.maxsize
    for name, key in manifest.keys.items():
        if scenarios is None or name in scenarios:
            cells = _counted(out, key, min(manifest.counts.get(name, 0), most))
            for replication in sorted(cells):
                try:
                    tables.append(chosen.of(cells[replication].read().nights(name)))
                except DamagedCellError as reason:
                    where = cells[replication].path.relative_to(out).as_posix()
                    way = f"the same command with out={out} makes it anew"
                    raise PlaceError(f"{out}: {where} is damaged ({reason}); {way}.") from None
    return pa.concat_tables(tables).unify_dictionaries()
