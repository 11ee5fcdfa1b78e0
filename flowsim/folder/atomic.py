"""Files that are there whole or not at all: written under a temporary name of their process, and renamed."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from flowsim import system
from flowsim.place import PlaceError

OURS = re.compile(r"(.+)\.(\w+)-(\d+)\.tmp")
"""The name of a temporary file of ours: the file it becomes, the host and the process that writes it."""
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
        system.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)  # on a full disk it would take the room that the next try needs
        raise


def temporary_name(path: Path) -> Path:
    """The name under which this process writes a file, before it takes its own."""
    return path.with_name(f"{path.name}.{system.host()}-{os.getpid()}.tmp")


def is_left_over(temporary: Path) -> bool:
    """Is the process that was writing this file no more?"""
    match = OURS.fullmatch(temporary.name)
    try:
        old = time.time() - temporary.lstat().st_mtime > STALE_SECONDS
    except OSError:
        return False
    # a number says nothing of a process on another machine: there only age does
    return match is not None and (old or (match[2] == system.host() and not system.is_alive(int(match[3]))))


def put(path: Path, data: bytes) -> None:
    """Write a file, all of it or nothing, and make the folder it stands in. Raises StoreError, with its name."""
    with placed(path) as temporary:
        temporary.write_bytes(data)


@contextlib.contextmanager
def placed(path: Path) -> Iterator[Path]:
    """`renamed`, in a folder that is made if there is none. Raises StoreError, with the file's name."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with renamed(path) as temporary:
            yield temporary
    except OSError as trouble:
        raise StoreError(f"{path}: it cannot be written ({trouble.strerror or trouble}).") from None


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame as CSV; ten digits, so that no last bit of another machine shows. Raises StoreError."""
    with told_trouble(path.parent):
        write_text(path, frame.to_csv(index=False, float_format="%.10g", lineterminator="\n"))


def write_text(path: Path, text: str) -> None:
    with renamed(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
