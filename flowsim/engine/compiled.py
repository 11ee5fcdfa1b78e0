"""The fast engine: the rules of docs/engine-rules.md over integer tables, compiled once for a machine and kept on disk.

`run` lays the journeys out as the kernel wants them, runs it, and hands the stamps back. The kernel itself is in
`kernel.py`, which is loaded here and nowhere else.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from flowsim.engine.stamps import NEVER, Stamps, Standstill
from flowsim.model.calendar import DAY, Calendars
from flowsim.model.tables import MOST, NO_QUOTA, NONE, ROW_DEFAULTS, Journeys, Network, RowTable, SpellTable, TaskTable

LINE = 16
"""Words of four bytes that the processor fetches from memory at once."""
BLOCK = 4096
"""Lines of a table that are written or read at a time, so few that they stay at hand for the next column."""
SLICES = 20
"""How often progress is told."""
PACKAGE = Path(__file__).resolve().parent.parent
OLD = 30 * 24 * 3600
"""Seconds after which the compiled code of another version of the sources is removed."""


def run(journeys: Journeys, network: Network, on_progress: Callable[[int], None] | None = None) -> Stamps:
    """Move the journeys through the network.

    Args:
        journeys: R rows, N spells sorted by number, T tasks.
        network: S services; the run ends at its horizon, in minutes.
        on_progress: called now and then with the minute the run has reached.

    Returns:
        All stamps in whole minutes and the capacity log; equal to the reference engine's, every column.

    Raises:
        ValueError: when the priorities lie so far apart, or the horizon so far away, that a place in a queue does not
            fit the tables.
        Standstill: at the end of the run some services were held only by people waiting for each other's places.
    """
    tables = lay_out(journeys, network)
    kernel = load_kernel()
    horizon = network.horizon
    slices = SLICES if on_progress else 1
    ends = [horizon * (k + 1) // slices for k in range(slices)]
    begin = 0
    for end in ends:
        kernel.advance(*tables, begin, end)
        begin = end
        if on_progress:
            on_progress(end)
    refuse_standstill(tables, journeys, network)
    found = found_in(tables)
    del tables  # the rest is let go of before what is found is copied: together they would be the most memory of a run
    return collect(*found)


def lay_out(journeys: Journeys, network: Network) -> tuple[np.ndarray, ...]:
    """The tables of `kernel.advance`, in its order, as they stand before minute 0."""
    k = load_kernel()
    horizon = network.horizon
    n_services = len(network.names)
    n_rows = len(journeys.rows.spell)
    n_tasks = len(journeys.tasks.kind)
    n_spells = len(journeys.spells.number)

    rows, rare = _laid_out_rows(journeys.rows, horizon, k)
    tasks = _lines(n_tasks, 8)
    _write(tasks, [getattr(journeys.tasks, name) for name in k.TASK_COLUMNS], NEVER)
    stamps = _lines(n_rows, 8)
    stamps[...] = NEVER

    services = np.zeros((n_services, 32), dtype=np.int64)
    for column in (k.ROOT, k.HEAD, k.TAIL, k.QUOTA_DAY, k.QUOTA_WEEK, k.WAKE_AT, k.LOGGED):
        services[:, column] = -1
    services[:, k.CALENDAR] = network.calendar
    services[:, k.FIRST_FIT] = network.first_fit
    services[:, k.QUOTA] = (network.quota_day != NO_QUOTA).any(axis=1) | (network.quota_week != NO_QUOTA).any(axis=1)

    rules = _side_by_side(
        network.rule_watch, network.rule_service, network.rule_units, network.rule_open, network.rule_close,
        np.zeros(len(network.rule_watch)),
    )  # fmt: skip
    steps = _side_by_side(network.step_minute, network.step_service, network.step_capacity, network.step_reason)
    looks = _side_by_side(network.look_minute, network.look_rule, network.look_last)
    displacements = _side_by_side(network.displacement_minute, network.displacement_service, network.displacement_units)
    order = _order_of_displacement(journeys, network, services, k)

    heads = np.zeros((horizon + k.KINDS, 2), dtype=np.int32)
    words = n_services // 64 + 1
    state = np.zeros(k.DIRTY + words, dtype=np.int64)
    state[k.HORIZON] = horizon
    state[k.N_SPELLS] = n_spells
    state[k.WEEKDAY] = network.first_weekday
    state[k.WORDS] = words

    spells = _lines(n_spells + n_services, 32)
    k.prepare(
        spells, heads, state, *(_column(getattr(journeys.spells, name)) for name in ("arrival", "first_row", "initial"))
    )
    return (
        rows, rare, tasks, stamps, spells, services, heads, np.empty(n_rows, dtype=np.int32),
        network.calendars.openings, network.calendars.first, state,
        np.ascontiguousarray(network.quota_day, dtype=np.int64),
        np.ascontiguousarray(network.quota_week, dtype=np.int64),
        steps, looks, rules, displacements, order,
        np.zeros((n_services + len(steps) + len(looks), 6), dtype=np.int64),
    )  # fmt: skip


def found_in(tables: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Those tables of a run that say what happened: rows, tasks, stamps, the run's state and the log."""
    return tables[0], tables[2], tables[3], tables[10], tables[-1]


def collect(rows: np.ndarray, tasks: np.ndarray, stamps: np.ndarray, state: np.ndarray, log: np.ndarray) -> Stamps:
    """What the tables of a run say, as both engines return it."""
    k = load_kernel()
    of_rows = np.empty((9, len(stamps)), dtype=np.int32)
    _read(stamps, k.ROW_JOINED, of_rows[:7])
    _read(rows, k.TAKEN, of_rows[7:])
    of_tasks = np.empty((3, len(tasks)), dtype=np.int32)
    _read(tasks, k.TASK_BEGAN, of_tasks)
    return Stamps(*of_rows, *of_tasks, *np.ascontiguousarray(log[: state[k.N_LOG]].T))


def refuse_standstill(tables: tuple[np.ndarray, ...], journeys: Journeys, network: Network) -> None:
    """Raise `Standstill` if full services are held only by people who wait, without end, for each other's places.

    The same question as the reference engine's: begins with everyone who might be stuck and takes away, until nothing
    changes, whoever or whatever could still move, were every capacity the highest of the run.
    """
    k = load_kernel()
    rows, _, _, stamps, spells, services = tables[:6]
    spells = spells[: len(journeys.spells.number)]
    planned = journeys.rows
    highest = np.zeros(len(services), dtype=np.int64)
    np.maximum.at(highest, network.step_service, network.step_capacity)
    np.add.at(highest, network.rule_service, np.maximum(network.rule_units, 0))
    queueing = _queueing(spells, services, k)
    least_need = np.full(len(services), MOST, dtype=np.int64)
    np.minimum.at(least_need, spells[queueing, k.QUEUE], spells[queueing, k.NEED])
    full = (services[:, k.WAITING] > 0) & (services[:, k.IN_USE] > 0) & (least_need > highest - services[:, k.IN_USE])
    if not full.any():
        return

    asking = queueing[spells[queueing, k.PHASE] == k.QUEUES]
    row, marks = spells[asking, k.ROW], spells[asking, k.MARKS]
    holds = marks & k.HOLDS != 0
    may_change = holds & ((planned.unfit_after[row] >= 0) | (planned.death_after[row] >= 0))
    parents = np.flatnonzero(planned.child >= 0)
    left = parents[stamps[parents, k.ROW_LEFT] >= 0]
    may_change |= np.isin(asking, planned.spell[left]) | (marks & k.RESERVES != 0)
    endless = planned.patience[spells[asking, k.TARGET]] < 0
    stuck = asking[endless & ~may_change & (marks & (k.HOLDS | k.KEEPS) != 0)]
    while len(stuck) and full.any():
        held = np.zeros(len(services), dtype=np.int64)
        for n in stuck:
            of_n = [int(spells[n, k.ROW])] if spells[n, k.MARKS] & k.HOLDS else []
            kept = int(spells[n, k.KEPT]) if spells[n, k.MARKS] & k.KEEPS else NONE
            while kept >= 0:
                of_n.append(kept)
                kept = int(rows[kept, k.NEXT_ROW])
            np.add.at(held, planned.service[of_n], rows[of_n, k.TAKEN])
        full_now = full & (held == services[:, k.IN_USE])
        stuck_now = stuck[full_now[spells[stuck, k.QUEUE]]]
        if len(stuck_now) == len(stuck) and (full_now == full).all():
            names = ", ".join(sorted(network.names[s] for s in np.flatnonzero(full)))
            raise Standstill(
                f"{len(stuck)} people hold all of {names} and wait without end for each other's places; "
                "give one of these queues patience, or let go of the place (hold: 0)"
            )
        full, stuck = full_now, stuck_now


def _queueing(spells: np.ndarray, services: np.ndarray, k: ModuleType) -> np.ndarray:
    """Everybody who stands in a queue, found from the roots of the queues' trees: (n,) sorted indices of spells."""
    level = services[:, k.ROOT]
    found = []
    while len(level := level[level >= 0]):
        found.append(level)
        level = spells[level][:, (k.LESS, k.MORE)].ravel()
    return np.sort(np.concatenate(found)) if found else level


def _laid_out_rows(planned: RowTable, horizon: int, k: ModuleType) -> tuple[np.ndarray, np.ndarray]:
    """The tables of what every row needs and of what few rows have."""
    n = len(planned.spell)
    columns = [getattr(planned, name) for name in k.RARE_COLUMNS]
    has = np.zeros(n, dtype=bool)
    for name, column in zip(k.RARE_COLUMNS, columns, strict=True):
        if n and (column.strides[0] or column[0] != ROW_DEFAULTS[name]):  # not one number for all, which says nothing
            has |= column != ROW_DEFAULTS[name]
    which = np.flatnonzero(has)
    rare = _lines(len(which), 16)
    rare[:, len(columns) :] = 0
    for c, column in enumerate(columns):
        rare[:, c] = column[which]
    where = np.full(n, NONE, dtype=np.int32)
    where[which] = np.arange(len(which))

    columns = [getattr(planned, name) for name in k.ROW_COLUMNS]
    columns[k.PRIORITY] = _small_priorities(planned.priority, horizon)
    rows = _lines(n, 16)
    _write(rows, [*columns, where], 0)
    return rows, rare


def _lines(n: int, width: int) -> np.ndarray:
    """A table to be written, (n, width) int32, that begins where a line of memory does."""
    words = np.empty(n * width + LINE, dtype=np.int32)
    begin = -(words.ctypes.data // words.itemsize) % LINE
    return words[begin : begin + n * width].reshape(n, width)


def _write(table: np.ndarray, columns: Sequence[np.ndarray], rest: int) -> None:
    """Write columns, (n,) each, side by side into a table, (n, width), and `rest` into those behind them."""
    for begin in range(0, len(table), BLOCK):
        lines = table[begin : begin + BLOCK]
        for c, column in enumerate(columns):
            lines[:, c] = column[begin : begin + BLOCK]
        lines[:, len(columns) :] = rest


def _read(table: np.ndarray, begin: int, columns: np.ndarray) -> None:
    """Copy the columns of a table, (n, width), from `begin` on into the rows of an array, (columns, n)."""
    for low in range(0, len(table), BLOCK):
        columns[:, low : low + BLOCK] = table[low : low + BLOCK, begin : begin + len(columns)].T


def _column(values: np.ndarray) -> np.ndarray:
    """A column the kernel takes: all are of one type, also where one number stands for all or a run has one row."""
    return np.require(values, dtype=np.int32, requirements=("C", "W"))


def _side_by_side(*columns: np.ndarray) -> np.ndarray:
    return np.column_stack([np.asarray(column, dtype=np.int64) for column in columns])


def _small_priorities(priority: np.ndarray, horizon: int) -> np.ndarray:
    """Priorities in the same order, so small that (priority, minute) fits into 31 bits."""
    if not len(priority):
        return priority
    small = priority - priority.min()
    if (int(small.max()) + 1) * horizon >= 2**31:
        small = np.unique(priority, return_inverse=True)[1].astype(np.int64)
        if (int(small.max()) + 1) * horizon >= 2**31:
            raise ValueError(
                f"{int(small.max()) + 1} different priorities in a run of {horizon} minutes are more than the compiled "
                f"engine can tell apart (at most {2**31 // horizon - 1}); use engine=reference, or fewer priorities"
            )
    return small


def _order_of_displacement(journeys: Journeys, network: Network, services: np.ndarray, k: ModuleType) -> np.ndarray:
    """The rows of each service with displacements by (mark, spell number); notes in `services` where each begins."""
    rows = journeys.rows
    parts = [np.zeros(0, dtype=np.int64)]
    begin = 0
    for s in np.unique(network.displacement_service):
        there = np.flatnonzero(rows.service == s)
        parts.append(there[np.lexsort((rows.spell[there], rows.displacement_mark[there]))])
        services[s, k.ORDER_FROM] = begin
        begin += len(there)
        services[s, k.ORDER_TO] = begin
    return np.concatenate(parts)


# -------------------------------------------------------------------------------------- compiling, once a version


@cache
def load_kernel() -> ModuleType:
    """The kernel, from compiled code on disk where these very sources have been compiled on such a machine before.

    Numba looks at the kernel's own file only; a change in a file it takes functions or constants from would go
    unnoticed. So each state of the sources has a folder of its own.
    """
    folder = cache_folder()
    if not any(folder.rglob("*.nbi")):
        print("flowsim: compiling the engine (once for this version, about ten seconds) ...", file=sys.stderr)
        _remove_old(folder)
    with _code_kept_in(folder):
        from flowsim.engine import kernel
    return kernel


@cache
def load_carry() -> ModuleType:
    """What `branch.py` needs compiled, kept on disk beside the kernel."""
    load_kernel()
    with _code_kept_in(cache_folder()):
        from flowsim.engine import carry
    return carry


@contextmanager
def _code_kept_in(folder: Path) -> Iterator[None]:
    """Whatever is loaded meanwhile keeps its compiled code there."""
    import numba

    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        config.CACHE_DIR = before


def prepare() -> None:
    """Compile now what has not been compiled on this machine, so that worker processes find it on disk."""
    if any(cache_folder().rglob("*.nbi")):
        return
    one, none = np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64)
    row = {name: one + ROW_DEFAULTS.get(name, 0) for name in (f.name for f in fields(RowTable))}
    tasks = TaskTable(**{f.name: none for f in fields(TaskTable)})
    journeys = Journeys(SpellTable(one, one, one, one), RowTable(**row), tasks, ("stage",), ())
    calendars = Calendars.from_openings({}, horizon=DAY)
    limits = np.full((1, 1), NO_QUOTA, dtype=np.int64)
    run(journeys, Network(("service",), 0, calendars, one - 1, one > 0, one, one, one, one, limits, limits))


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


def _remove_old(folder: Path) -> None:
    """Remove the compiled code of sources nobody has run for a month."""
    for other in folder.parent.iterdir():
        if other != folder and other.is_dir() and time.time() - other.stat().st_mtime > OLD:
            shutil.rmtree(other, ignore_errors=True)
