"""Where and with what numbers were made: versions, cores, memory, the commit of the source."""

from __future__ import annotations

import contextlib
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from flowsim import system

LIBRARIES_THAT_COUNT = ("numpy", "scipy", "holidays")
"""Libraries on whose version a cell's numbers depend: random numbers, distributions, bank holidays."""
LIBRARIES = (
    *LIBRARIES_THAT_COUNT, "pandas", "pyarrow", "simpy", "numba", "joblib", "pydantic", "hydra-core", "PyYAML",
    "matplotlib",
)  # fmt: skip
"""Libraries whose versions the manifest tells."""


def versions() -> dict[str, str]:
    """Versions of flowsim, Python and the libraries that are installed."""
    return {"python": platform.python_version(), **installed(("flowsim", *LIBRARIES))}


def installed(libraries: Iterable[str]) -> dict[str, str]:
    """Versions of those of these libraries that are installed."""
    versions_of = {}
    for name in libraries:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions_of[name] = metadata.version(name)
    return versions_of


def this_machine() -> dict[str, Any]:
    """System, cores and memory in GiB (null where the system does not say)."""
    return {"system": platform.platform(), "cores": system.cores(), "memory_gib": memory_gib()}


def memory_gib() -> float | None:
    """Memory of the machine in GiB."""
    size = system.memory()
    return None if size is None else round(size / 2**30, 1)


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
