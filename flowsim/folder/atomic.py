"""Files that are there whole or not at all: written under a temporary name of their process, and renamed."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from flowsim.place import PlaceError

STALE_SECONDS = 86_400
"""Age at which a temporary file of another machine is taken to be left over."""


class StoreError(PlaceError):
    """The results folder cannot be written: a full disk, a folder without permission."""


@contextlib.contextmanager
def told_trouble(out: Path) -> Iterator[None]:
    """Trouble in writing as StoreError, in one sentence."""
    try:
        yield
    except OSError as trouble:
        reason = trouble.strerror or str(trouble).split("Detail:")[-1].strip()
        raise StoreError(f"out={out}: the folder cannot be written ({reason}).") from None


@contextlib.contextmanager
def renamed(path: Path) -> Iterator[Path]:
    """A temporary file of this process, which takes the name of `path` at the end; a failure leaves nothing."""
    temporary = temporary_name(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)  # on a full disk it would take the room that the next try needs
        raise


def temporary_name(path: Path) -> Path:
    return path.with_name(f"{path.name}.{_host()}-{os.getpid()}.tmp")


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", platform.node()) or "host"


def is_left_over(temporary: Path) -> bool:
    """Is the process that was writing this file no more?"""
    match = re.fullmatch(r".*\.(\w+)-(\d+)\.tmp", temporary.name)
    try:
        old = time.time() - temporary.stat().st_mtime > STALE_SECONDS
    except OSError:
        return False
    # a number says nothing of a process on another machine: there only age does
    return old or match is None or (match[1] == _host() and not is_alive(int(match[2])))


def is_alive(process: int) -> bool:
    """Does a process of this number run on this machine?"""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame as CSV; ten digits, so that no last bit of another machine shows. Raises StoreError."""
    with told_trouble(path.parent):
        write_text(path, frame.to_csv(index=False, float_format="%.10g", lineterminator="\n"))


def write_text(path: Path, text: str) -> None:
    with renamed(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
