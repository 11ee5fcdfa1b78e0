"""Where the compiled code of the engine is kept on disk: one folder for each state of its sources and each machine."""

from __future__ import annotations

import getpass
import hashlib
import os
import shutil
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
OLD = 30 * 24 * 3600
"""Seconds after which the compiled code of another version of the sources is removed."""


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
    """The folder of the compiled code of these sources: in the user's cache, or where that is read-only, in temp."""
    home = os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else os.environ.get("XDG_CACHE_HOME")
    sources = source_hash()
    # In temp each user has a folder of their own: nobody should run code that somebody else could have put there.
    temp = Path(tempfile.gettempdir()) / f"flowsim-{getpass.getuser()}"
    for base in ((Path(home) if home else Path.home() / ".cache") / "flowsim", temp):
        folder = base / sources
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = folder / f"probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError:
            continue
        return folder
    raise OSError(f"no folder can be written to keep the compiled engine in: last tried {base}")


def remove_old(folder: Path) -> None:
    """Remove the compiled code of sources nobody has run for a month."""
    for other in folder.parent.iterdir():
        if other != folder and other.is_dir() and time.time() - other.stat().st_mtime > OLD:
            shutil.rmtree(other, ignore_errors=True)
