"""Where the compiled code of the engine is kept on disk: one folder for each state of its sources and each machine."""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from flowsim import system

PACKAGE = Path(__file__).resolve().parent.parent
OLD = 30 * 24 * 3600
"""Seconds after which the compiled code of another version of the sources is removed."""
OURS = re.compile(r"[0-9a-f]{16}")
"""The name of such a folder."""
NAMED = "FLOWSIM_CACHE_DIR"
"""The variable of the environment that names the folder they stand in, before any other."""


def source_hash(package: Path = PACKAGE) -> str:
    """A hash of everything the compiled code depends on: sources, where and when written, Numba, Python, processor."""
    import llvmlite.binding  # type: ignore[import-untyped]

    digest = hashlib.sha256()
    tables = [package / "model" / f"{name}.py" for name in ("calendar", "tables")]
    for path in sorted(package.glob("engine/*.py")) + tables:
        digest.update(str(path).encode())
        digest.update(path.read_bytes())
    written = (package / "engine" / "kernel.py").stat().st_mtime  # Numba's own files count as stale without it
    digest.update(f"{written} {version('numba')} {sys.version} {llvmlite.binding.get_host_cpu_name()}".encode())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """The folder of the compiled code of these sources, which no other user can have put anything into.

    Numba unpickles what it finds there, which can run any command. So a folder in the user's cache, or where that
    cannot be written in temp, is taken only if it is this user's alone; else a fresh one, which the processes that this
    one starts find by `NAMED`, and which is removed at the end. Raises ImportError where there can be none.
    """
    sources, refused = source_hash(), []
    named = os.environ.get(NAMED, "")
    for base in [*([Path(named)] if Path(named).is_absolute() else []), *system.caches()]:
        try:
            folder = system.private_folder(base.parent, base.name, sources)
            probe = folder / f"probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as trouble:
            refused.append(trouble)
            continue
        return folder
    return _fresh(sources, refused)


def _fresh(sources: str, refused: Iterable[OSError]) -> Path:
    try:
        folder = system.fresh_folder()
        (folder / sources).mkdir(mode=0o700)
    except OSError as trouble:
        told = f"no folder can be written to keep the compiled engine in: {trouble}; {NAMED}=FOLDER names another"
        raise ImportError(told) from None
    for reason in (one for one in refused if isinstance(one, system.NotPrivateError)):
        print(f"flowsim: compiled code is not read from a folder of others: {reason}.", file=sys.stderr)
    os.environ[NAMED] = str(folder)
    atexit.register(_remove, folder, os.getpid())
    return folder / sources


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # else it is a process that was forked from the one that made it
        shutil.rmtree(folder, ignore_errors=True)


def remove_old(folder: Path) -> None:
    """Remove the compiled code of sources nobody has run for a month."""
    for other in folder.parent.iterdir():
        ours = other != folder and OURS.fullmatch(other.name) and not system.is_link(other)
        if ours and time.time() - other.lstat().st_mtime > OLD:
            shutil.rmtree(other, ignore_errors=True)
