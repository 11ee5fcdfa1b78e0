"""The fast engine: the rules of docs/engine-rules.md over integer tables, compiled once for a machine and kept on disk.

`run` lays the journeys out as the kernel wants them, runs it, and hands the stamps back. The kernel itself is in
`kernel.py`, which is loaded here and nowhere else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from flowsim.engine import layout, standstill
from flowsim.engine.cache import cache_folder, remove_old
from flowsim.engine.layout import Tables
from flowsim.engine.stamps import NEVER, Stamps
from flowsim.model.calendar import DAY, Calendars
from flowsim.model.tables import MOST, NO_QUOTA, NONE, ROW_DEFAULTS, Journeys, Network, RowTable, SpellTable, TaskTable

LINE = 16
"""Words of four bytes that the processor fetches from memory at once."""
BLOCK = 4096
"""Lines of a table that are written or read at a time, so few that they stay at hand for the next column."""
SLICES = 20
"""How often progress is told."""


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
    happened = tables.happened
    del tables  # the rest is let go of before what happened is copied: together they would be the most memory of a run
    return collect(*happened)


def lay_out(journeys: Journeys, network: Network) -> Tables:
    """The tables of `kernel.advance` as they stand before minute 0."""
    kernel = load_kernel()
    n_services, n_rows, n_spells = len(network.names), len(journeys.rows.spell), len(journeys.spells.number)

    rows, rare = _laid_out_rows(journeys.rows, network.horizon)
    tasks = _lines(len(journeys.tasks.kind), 8)
    _write(tasks, [getattr(journeys.tasks, name) for name in layout.TASK_COLUMNS], NEVER)
    stamps = _lines(n_rows, 8)
    stamps[...] = NEVER
    services = _laid_out_services(network)
    order = _order_of_displacement(journeys, network, services)
    steps, looks, rules, displacements = _laid_out_minutes(network)

    heads = np.zeros((network.horizon + kernel.KINDS, 2), dtype=np.int32)
    words = n_services // 64 + 1
    state = np.zeros(layout.DIRTY + words, dtype=np.int64)
    state[layout.HORIZON] = network.horizon
    state[layout.N_SPELLS] = n_spells
    state[layout.WEEKDAY] = network.first_weekday
    state[layout.WORDS] = words

    spells = _lines(n_spells + n_services, 32)
    columns = (_column(getattr(journeys.spells, name)) for name in ("arrival", "first_row", "initial"))
    kernel.prepare(spells, heads, state, *columns)
    return Tables(
        rows, rare, tasks, stamps, spells, services, heads, np.empty(n_rows, dtype=np.int32),
        network.calendars.openings, network.calendars.first, state,
        np.ascontiguousarray(network.quota_day, dtype=np.int64),
        np.ascontiguousarray(network.quota_week, dtype=np.int64),
        steps, looks, rules, displacements, order,
        np.zeros((n_services + len(steps) + len(looks), 6), dtype=np.int64),
    )  # fmt: skip


def _laid_out_services(network: Network) -> np.ndarray:
    services = np.zeros((len(network.names), 32), dtype=np.int64)
    for column in (
        layout.ROOT,
        layout.HEAD,
        layout.TAIL,
        layout.QUOTA_DAY,
        layout.QUOTA_WEEK,
        layout.WAKE_AT,
        layout.LOGGED,
    ):
        services[:, column] = -1
    services[:, layout.CALENDAR] = network.calendar
    services[:, layout.FIRST_FIT] = network.first_fit
    services[:, layout.QUOTA] = (network.quota_day != NO_QUOTA).any(axis=1) | (network.quota_week != NO_QUOTA).any(
        axis=1
    )
    return services


def _laid_out_minutes(network: Network) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The tables of what happens at fixed minutes: steps, looks, their rules and displacements."""
    rules = _side_by_side(
        network.rule_watch, network.rule_service, network.rule_units, network.rule_open, network.rule_close,
        np.zeros(len(network.rule_watch)),
    )  # fmt: skip
    steps = _side_by_side(network.step_minute, network.step_service, network.step_capacity, network.step_reason)
    looks = _side_by_side(network.look_minute, network.look_rule, network.look_last)
    displacements = _side_by_side(network.displacement_minute, network.displacement_service, network.displacement_units)
    return steps, looks, rules, displacements


def collect(rows: np.ndarray, tasks: np.ndarray, stamps: np.ndarray, state: np.ndarray, log: np.ndarray) -> Stamps:
    """What happened in a run, `Tables.happened`, as both engines return it."""
    of_rows = np.empty((9, len(stamps)), dtype=np.int32)
    _read(stamps, layout.ROW_JOINED, of_rows[:7])
    _read(rows, layout.TAKEN, of_rows[7:])
    of_tasks = np.empty((3, len(tasks)), dtype=np.int32)
    _read(tasks, layout.TASK_BEGAN, of_tasks)
    return Stamps(*of_rows, *of_tasks, *np.ascontiguousarray(log[: state[layout.N_LOG]].T))


def refuse_standstill(tables: Tables, journeys: Journeys, network: Network) -> None:
    """Raise `Standstill` if full services are held only by people who wait, without end, for each other's places."""
    spells, services = tables.spells[: len(journeys.spells.number)], tables.services
    queueing = _queueing(spells, services)
    least_need = np.full(len(services), MOST, dtype=np.int64)
    np.minimum.at(least_need, spells[queueing, layout.QUEUE], spells[queueing, layout.NEED])
    full = standstill.full_for_good(network, services[:, layout.IN_USE], services[:, layout.WAITING], least_need)
    if not full.any():
        return
    stuck = _perhaps_stuck(tables, journeys, queueing)
    holder, held = _rows_held(tables, stuck)
    standstill.refuse(
        network.names, services[:, layout.IN_USE], full, spells[stuck, layout.QUEUE],
        holder, journeys.rows.service[held], tables.rows[held, layout.TAKEN],
    )  # fmt: skip


def _perhaps_stuck(tables: Tables, journeys: Journeys, queueing: np.ndarray) -> np.ndarray:
    """Of those who queue, who holds something and waits without end, with no event to come that could set them free."""
    spells, planned = tables.spells, journeys.rows
    asking = queueing[spells[queueing, layout.PHASE] == layout.QUEUES]
    row, marks = spells[asking, layout.ROW], spells[asking, layout.MARKS]
    may_change = (marks & layout.HOLDS != 0) & ((planned.unfit_after[row] >= 0) | (planned.death_after[row] >= 0))
    # A readmission that is due ends whatever its parent waits for, though it is an event of the child.
    parents = np.flatnonzero(planned.child >= 0)
    left = parents[tables.stamps[parents, layout.ROW_LEFT] >= 0]
    may_change |= np.isin(asking, planned.spell[left]) | (marks & layout.RESERVES != 0)
    endless = planned.patience[spells[asking, layout.TARGET]] < 0
    return asking[endless & ~may_change & (marks & (layout.HOLDS | layout.KEEPS) != 0)]


def _rows_held(tables: Tables, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows whose units these spells hold or keep: (H,) positions in `who`, and (H,) rows."""
    pairs: list[tuple[int, int]] = []
    for at, n in enumerate(who):
        marks = tables.spells[n, layout.MARKS]
        if marks & layout.HOLDS:
            pairs.append((at, int(tables.spells[n, layout.ROW])))
        kept = int(tables.spells[n, layout.KEPT]) if marks & layout.KEEPS else NONE
        while kept >= 0:
            pairs.append((at, kept))
            kept = int(tables.rows[kept, layout.NEXT_ROW])
    holder, held = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return holder, held


def _queueing(spells: np.ndarray, services: np.ndarray) -> np.ndarray:
    """Everybody who stands in a queue, from the roots of the queues' trees down: (n,) sorted indices of spells."""
    level = services[:, layout.ROOT]
    levels = []
    while len(level := level[level >= 0]):
        levels.append(level)
        level = spells[level][:, (layout.LESS, layout.MORE)].ravel()
    return np.sort(np.concatenate(levels)) if levels else level


def _laid_out_rows(planned: RowTable, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """The tables of what every row needs and of what few rows have."""
    n = len(planned.spell)
    columns = [getattr(planned, name) for name in layout.RARE_COLUMNS]
    has = np.zeros(n, dtype=bool)
    for name, column in zip(layout.RARE_COLUMNS, columns, strict=True):
        if n and (column.strides[0] or column[0] != ROW_DEFAULTS[name]):  # not one number for all, which says nothing
            has |= column != ROW_DEFAULTS[name]
    which = np.flatnonzero(has)
    rare = _lines(len(which), 16)
    rare[:, len(columns) :] = 0
    for at, column in enumerate(columns):
        rare[:, at] = column[which]
    where = np.full(n, NONE, dtype=np.int32)
    where[which] = np.arange(len(which))

    columns = [getattr(planned, name) for name in layout.ROW_COLUMNS]
    columns[layout.PRIORITY] = _small_priorities(planned.priority, horizon)
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
        for at, column in enumerate(columns):
            lines[:, at] = column[begin : begin + BLOCK]
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


def _order_of_displacement(journeys: Journeys, network: Network, services: np.ndarray) -> np.ndarray:
    """The rows of each service with displacements by (mark, spell number); notes in `services` where each begins."""
    rows = journeys.rows
    parts = [np.zeros(0, dtype=np.int64)]
    begin = 0
    for s in np.unique(network.displacement_service):
        there = np.flatnonzero(rows.service == s)
        parts.append(there[np.lexsort((rows.spell[there], rows.displacement_mark[there]))])
        services[s, layout.ORDER_FROM] = begin
        begin += len(there)
        services[s, layout.ORDER_TO] = begin
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
        remove_old(folder)
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
