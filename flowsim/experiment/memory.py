"""Memory that was used for one cell is used for the next, instead of being given back and asked for again."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Parameters of `mallopt` (glibc, malloc.h)."""
KEPT = 2**29
"""Bytes that a process keeps at most when they are free."""


@cache
def keep_memory() -> None:
    """Have this process keep what it frees, up to `KEPT`: it saves some 5 % of a cell. Without glibc it does nothing.

    Large tables are otherwise mapped anew each time, and the system clears each page of them at its first use.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, KEPT)
