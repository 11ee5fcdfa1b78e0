"""What a process of flowsim need not do: give back memory that it soon wants again, tidy up when it ends."""

from __future__ import annotations

import atexit
import gc
import sys
from functools import cache

from flowsim import system

KEPT = 2**31 - 1
"""Bytes that a process keeps at most when they are free: as many as `mallopt` takes. A cell needs a quarter of it."""


@cache
def keep_memory() -> None:
    """Have this process keep what it frees, up to `KEPT`: it saves some 5 % of a cell. Without glibc it does nothing.

    Large tables are otherwise mapped anew each time, and the system clears each page of them at its first use.
    """
    system.keep_memory(KEPT)


@cache
def end_quickly() -> None:
    """Have this process not look for garbage among all that was imported when it ends, which takes a fifth of a second;
    DuckDB alone complains when that is left out."""
    atexit.register(lambda: None if "duckdb" in sys.modules else gc.freeze())
