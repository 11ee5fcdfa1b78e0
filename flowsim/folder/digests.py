"""Digests of files that are read back, noted in the manifest when they are written: a flipped bit gives no numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from flowsim.place import PlaceError

_known: dict[Path, tuple[tuple[int, int, int], str]] = {}
"""What a file looked like (bytes, time, inode) when it was read by this process, and its digest then."""


class ChangedError(PlaceError):
    """A file is not what was written."""


def sha256(path: Path) -> str:
    """The SHA-256 of a file; read once by this process, as long as it is the same file. Raises OSError."""
    status = path.stat()
    looks = (status.st_size, status.st_mtime_ns, status.st_ino)
    path = path.absolute()
    if path not in _known or _known[path][0] != looks:
        with path.open("rb") as file:
            _known[path] = (looks, hashlib.file_digest(file, "sha256").hexdigest())
    return _known[path][1]


def check(folder: Path, name: str, noted: Mapping[str, str]) -> None:
    """Raises ChangedError when a file of a folder is not the one noted; one that is not noted may be any."""
    if name not in noted:
        return
    try:
        here = sha256(folder / name)
    except OSError as trouble:
        raise ChangedError(f"{folder / name}: it cannot be read ({trouble.strerror or trouble}).") from None
    if here != noted[name]:
        raise ChangedError(f"{folder / name}: it is not what was written (its checksum is wrong).")


def is_whole(folder: Path, name: str, noted: Mapping[str, str]) -> bool:
    """Is a file of a folder noted, and the very one that is?"""
    try:
        return noted.get(name) == sha256(folder / name)
    except OSError:
        return False
