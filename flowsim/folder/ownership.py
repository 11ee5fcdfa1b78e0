"""Whose a folder is: nothing is written into one, or taken away, unless it is empty or its manifest says it is ours."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flowsim import system
from flowsim.folder.assemble import NIGHTS, RESULTS
from flowsim.folder.at_work import NAME as AT_WORK
from flowsim.folder.atomic import OURS, is_left_over
from flowsim.folder.cell_file import NAME as CELL
from flowsim.folder.cell_file import DamagedCellError, listed
from flowsim.folder.manifest import FILE as MANIFEST
from flowsim.folder.manifest import MARKER, OLDER
from flowsim.place import PlaceError

FOLDERS = ("cells", "config", "about", "spells", "earlier", "charts", "config/earlier", "cells/set_aside")
DRAWN = (
    "charts", "summary.md", "comparison.csv", "selection.csv", "precision.csv", "points.csv", "sweep.csv",
    "sweep.parquet",
)  # fmt: skip
"""What is drawn and written of an experiment beside its numbers; another question leaves some of it as it was."""
FILES = (MANIFEST, RESULTS, NIGHTS, *(name for name in DRAWN if name not in FOLDERS))
"""All that is written into a results folder, but for what stands in its folders."""
KEY = re.compile(r"[0-9a-f]{16}")
OF_SYSTEMS = {".DS_Store", "Thumbs.db", "desktop.ini"}
"""What a system puts into an empty folder that somebody looks at."""


def refuse_foreign(out: Path, keys: Iterable[str] = (), rebuilt: bool = False) -> None:
    """Raises PlaceError unless a folder is absent, empty or ours, and nothing we would write to in it is a link.

    `out` itself may be a link to such a folder. `keys`: the folders of cells that would be written to. `rebuilt`: one
    that has cells will do without a manifest.
    """
    if not out.is_dir():
        if out.exists() or system.is_link(out):
            what = "a file of this name is there" if out.exists() else "this link leads nowhere"
            raise PlaceError(f"out={out}: {what}; give another out.")
        return
    _refuse_links(out, keys)
    names = {path.name for path in out.iterdir()}
    if all(name in OF_SYSTEMS or _is_temporary(name, IN_THE_FOLDER) for name in names):
        return
    if MANIFEST in names:
        if is_ours(out):
            return
        raise PlaceError(f"out={out}: manifest.json in this folder is not a flowsim run's; give another out.")
    if rebuilt and not (out / "cells").exists():
        raise PlaceError(f"{out}: this folder holds no cells.")
    if has_cells(out):
        if rebuilt:
            return
        way = f"flowsim results {out} rebuild, which makes it from the cells, or another out"
        raise PlaceError(f"out={out}: the folder has cells and no manifest.json; allowed: {way}.")
    raise PlaceError(f"out={out}: the folder holds other files and no manifest.json of flowsim's; give another out.")


def is_ours(out: Path) -> bool:
    """Does the manifest of a folder say that a run of flowsim made it?

    One that is damaged says nothing: then it takes a cell whose bytes are those that were written.
    """
    try:
        said: Any = json.loads((out / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return has_cells(out)
    return isinstance(said, dict) and (MARKER in said or said.keys() >= OLDER)


def has_cells(out: Path) -> bool:
    """Is there a finished cell that is whole?"""
    for folder in cell_folders(out):
        for cell in listed(folder).values():
            try:
                cell.read()
            except DamagedCellError:
                continue
            return True
    return False


def cell_folders(out: Path) -> list[Path]:
    """The folders of cells, one a key, in order."""
    return [folder for folder in _folders(out / "cells") if folder.name != "set_aside"]


def _folders(path: Path) -> list[Path]:
    """The folders in a folder; links are none."""
    return [one for one in _entries(path) if one.is_dir() and not system.is_link(one)]


def _entries(path: Path) -> list[Path]:
    """All that stands in a folder, in order; nothing where it is a link or none."""
    return [] if system.is_link(path) or not path.is_dir() else [path / name for name in sorted(os.listdir(path))]


def _refuse_links(out: Path, keys: Iterable[str]) -> None:
    begin = {key[:8]: f"cells/{key}" for key in keys}
    of_spells = [f"spells/{path.name}" for path in _entries(out / "spells") if path.name[-8:] in begin]
    for name in (*FILES, *FOLDERS, *begin.values(), *of_spells):
        path, folder = out / name, name not in FILES
        if system.is_link(path):
            raise PlaceError(f"out={out}: {name} there is a link, and what it leads to may be another's; delete it.")
        if path.exists() and path.is_dir() != folder:
            what = "a file, where a folder is to be" if folder else "a folder, where a file is to be"
            raise PlaceError(f"out={out}: {name} there is {what}; move it away, or give another out.")


# ---------------------------------------------------------------------------------------------------------------------
# What is left of processes that are no more

IN_THE_FOLDER = re.compile("|".join(map(re.escape, (*FILES, AT_WORK))))
IN_ITS_FOLDERS = {
    "config": re.compile(r".+\.yaml"),
    "about": re.compile(r"[a-z]+\.csv"),
    "charts": re.compile(r".+\.(png|svg)"),
}
IN_SPELLS = re.compile(r"\d{5,}-[a-z]+\.parquet")


def clear(out: Path) -> None:
    """Take away what our own processes that are no more left half written of our own files; links are not followed."""
    _clear(out, IN_THE_FOLDER)
    for folder, names in IN_ITS_FOLDERS.items():
        _clear(out / folder, names)
    for cells in cell_folders(out):
        if KEY.fullmatch(cells.name):
            _clear(cells, CELL)
    for spells in _folders(out / "spells"):
        _clear(spells, IN_SPELLS)


def _is_temporary(name: str, of: re.Pattern[str]) -> bool:
    """Is it what a process of ours writes before it takes one of these names?"""
    match = OURS.fullmatch(name)
    return match is not None and of.fullmatch(match[1]) is not None


def _clear(folder: Path, of: re.Pattern[str]) -> None:
    if system.is_link(folder) or not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_temporary(entry.name, of) and entry.is_file(follow_symlinks=False):
                path = folder / entry.name
                if is_left_over(path):
                    path.unlink(missing_ok=True)
