"""The parts of the table, each a function of how much is to be measured."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import c_loop, experiments, kernel_in_c, stock_simpy
from benchmarks.cell import MODEL_STEPS, STEPS, measured
from benchmarks.small_model import TOWN, Model, tables
from benchmarks.timing import Row, flowsim, process, row, timed
from flowsim.cells.replicate import prepare
from flowsim.declare.composition import load
from flowsim.engine import compiled, reference
from flowsim.engine.stamps import differing
from flowsim.model.tables import Journeys, Network

SCENARIOS = ("baseline", "seven_day_working", "dom_care_400_hours", "discharge_to_assess", "all_three")


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        year: overrides that say how long a Sefton year is.
        town: the small model.
        often, seldom: repeats of what is fast and of what is slow.
        replications: of `flowsim run`, with the compiled and with the reference engine.
        scales: of the growth, with each.
        comparison: replications of the comparison of five scenarios; 0 to leave it out.
        store: replications of five scenarios that are counted cell by cell, and cells on a Dask cluster.
    """

    year: tuple[str, ...]
    town: Model
    often: int
    seldom: int
    replications: tuple[int, int]
    scales: tuple[tuple[int, ...], tuple[int, ...]]
    comparison: int
    store: tuple[int, int]


FULL = Effort((), TOWN, 7, 3, (50, 2), ((1, 2, 4, 8), (1, 2, 4)), 50, (1000, 2000))
QUICK = Effort(
    ("start_date=2024-09-16", "days=60", "warm_up_days=30"),
    replace(TOWN, days=100),
    3,
    1,
    (10, 2),
    ((1, 2, 4), (1, 2)),
    0,
    (8, 200),
)


@cache
def sefton(effort: Effort, engine: str, scale: int = 1) -> dict[str, Any]:
    """The steps of a Sefton year's cells in a process of their own."""
    times = {"compiled": effort.often, "reference": effort.seldom if scale == 1 else 1}
    return measured(engine, times[engine], *effort.year, f"scale={scale}")


def total(cell: dict[str, Any], steps: Sequence[str] = STEPS) -> list[float]:
    """CPU seconds of these steps of each repeat."""
    return [sum(seconds) for seconds in zip(*(cell["seconds"][step] for step in steps), strict=True)]


def engines(effort: Effort) -> Iterator[Row]:
    """The two engines on the same tables of a Sefton year."""
    here = "Engines, the same tables"
    fast, slow = sefton(effort, "compiled"), sefton(effort, "reference")
    for what in ("spells", "rows", "events"):
        yield row(here, f"{what} of a Sefton year", float(fast[what]), "")
    kernel = row(here, "compiled engine", fast["seconds"]["engine"], "s")
    simpy = row(here, "reference engine (SimPy)", slow["seconds"]["engine"], "s")
    yield from (kernel, simpy)
    yield row(here, "reference / compiled", simpy.median / kernel.median, "times", at_least=40)
    yield row(here, "compiled engine, events a second", fast["events"] / kernel.median / 1e6, "million")


def contenders(effort: Effort) -> Iterator[Row]:
    """A small model: flowsim's engines, C, and what a user would pick instead."""
    here = "A small model: department, ward, community service"
    making, (journeys, network) = timed(lambda: tables(effort.town, 0), effort.seldom)
    compiled.run(journeys, network)  # loads the compiled code
    running, stamps = timed(lambda: compiled.run(journeys, network), effort.often)
    loop = [_loop(journeys, network) for _ in range(effort.often)]
    events = len(journeys.spells.number) + int((stamps.ready >= 0).sum())
    yield row(here, "arrivals and ends of stages", float(events), "")
    yield row(here, "flowsim, people and tables", making, "s")
    flow = row(here, "flowsim, compiled engine", running, "s")
    yield flow
    kernel = row(here, "of which the kernel's loop", loop, "s")
    yield kernel
    if c_loop.compiler():
        table, seconds = c_loop.run(journeys, network, effort.often)
        _same(c_loop.agrees(table, stamps), "the loop in C")
        by_hand = row(here, "C by hand (-O2), for this model only", seconds, "s")
        yield by_hand
        what = "kernel, for every model / C by hand, for this one"
        yield row(here, what, kernel.median / by_hand.median, "times")
    slow, by_simpy = timed(lambda: reference.run(journeys, network), effort.seldom)
    _same(not differing(by_simpy, stamps), "the reference engine")
    yield row(here, "flowsim, reference engine (SimPy)", slow, "s")
    whole = row("", "", making, "s").median + flow.median
    others = [("plain SimPy, its own resources", stock_simpy.run)]
    try:
        from benchmarks import in_ciw

        others.append(("Ciw", in_ciw.run))
    except ImportError:
        pass
    for name, run in others:
        seconds, _ = timed(lambda run=run: run(effort.town, 1), effort.seldom)  # type: ignore[misc]
        other = row(here, name, seconds, "s")
        yield other
        yield row(here, f"{name} / flowsim with people and tables", other.median / whole, "times")


def in_c(effort: Effort) -> Iterator[Row]:
    """The kernel beside itself in C, all its rules, on the same tables."""
    if not c_loop.compiler():
        return
    here = "The same loop in C: the kernel translated, all its rules (-O3 -march=native)"
    year = prepare(load(*effort.year), 1, 0)
    town = tables(effort.town, 0)
    for what, (journeys, network) in (("the small model", town), ("a Sefton year", (year.journeys, year.network))):
        ours, theirs = kernel_in_c.measured(journeys, network, effort.often)
        kernel, translated = row(here, f"{what}, kernel's loop", ours, "s"), row(here, f"{what}, in C", theirs, "s")
        yield from (kernel, translated)
        yield row(here, f"{what}, kernel / C", kernel.median / translated.median, "times", at_most=1.6)


def _loop(journeys: Journeys, network: Network) -> float:
    """CPU seconds of the kernel's loop alone, on memory that has been touched, as in C."""
    laid_out = tuple(kernel_in_c.like(table) for table in compiled.lay_out(journeys, network))
    seconds, _ = timed(lambda: compiled.load_kernel().advance(*laid_out, 0, network.horizon), 1)
    return seconds[0]


def _same(agrees: bool, who: str) -> None:
    if not agrees:
        raise AssertionError(f"{who} and the compiled engine differ: the times of this table mean nothing")


@cache
def compile_before() -> None:
    """Compile what these very sources have not yet, so that the first command measured is not charged for it."""
    process("-c", "from flowsim.engine import compiled; compiled.prepare()")


def end_to_end(effort: Effort) -> Iterator[Row]:
    """`flowsim run` as a user runs it, charts included, compiled before; and where a worker's CPU goes.

    The reference engine would take minutes: few replications are run, and the others reckoned at what one takes.
    """
    here = "From start to end"
    compile_before()
    many, few = effort.replications
    cpu = {}
    for engine, replications in (("compiled", many), ("reference", few)):
        with tempfile.TemporaryDirectory() as folder:
            out = f"out={folder}/out"
            done = flowsim("run", f"replications={replications}", "jobs=1", f"engine={engine}", out, *effort.year)
        one = row("", "", total(sefton(effort, engine)), "s").median
        cpu[engine] = done.cpu + (many - replications) * one
        name = f"flowsim run, {replications} replications, {engine} engine"
        yield row(here, name, done.cpu / replications, "s a replication", at_most=0.5 if engine == "compiled" else None)
    ratio = cpu["reference"] / cpu["compiled"]
    reckoned = f"the reference: {few} run, the other {many - few} reckoned at the time of one in a worker"
    yield row(here, f"reference / compiled at {many} replications ({reckoned})", ratio, "times", at_least=20)
    cell = sefton(effort, "compiled")
    whole = row(here, "one replication in a worker", total(cell), "s")
    yield whole
    for step in STEPS:
        yield row(here, f"of which {step}", cell["seconds"][step], "s")
    share = row("", "", total(cell, MODEL_STEPS), "s").median / whole.median
    yield row(here, "of which planning and engine", 100 * share, "%", at_least=60)
    yield row(here, "a worker's memory", cell["memory"], "MiB", at_most=600)


def growth(effort: Effort) -> Iterator[Row]:
    """A larger population with as much more capacity: what each person costs."""
    here = "Growth of the population"
    for engine, scales in zip(("compiled", "reference"), effort.scales, strict=True):
        first = None
        for scale in scales:
            cell = sefton(effort, engine, scale)
            each = row("", "", cell["seconds"]["engine"], "s").median / cell["spells"]
            first = first or each
            yield row(here, f"{engine} engine, scale {scale}, a spell", each * 1e6, "µs")
            if scale > 1:
                what = f"{engine} engine, scale {scale}, a spell / at scale 1"
                yield row(here, what, each / first, "times", at_most=1.5)
            yield row(here, f"{engine} engine, scale {scale}, memory", cell["memory"], "MiB")


def comparison(effort: Effort) -> Iterator[Row]:
    """The comparison of five scenarios on all cores, writing and charts included, compiled before."""
    if not effort.comparison:
        return
    here = "Comparison"
    compile_before()
    with tempfile.TemporaryDirectory() as folder:
        done = flowsim(
            "compare", f"scenarios=[{','.join(SCENARIOS)}]", f"replications={effort.comparison}", "engine=compiled",
            f"out={folder}/out", *effort.year,
        )  # fmt: skip
        jobs = json.loads((Path(folder) / "out" / "manifest.json").read_text())["jobs"]
    what = f"five scenarios, {effort.comparison} replications, {jobs} jobs"
    yield row(here, what, done.wall, "s of wall time", at_most=100)


def first_result(effort: Effort) -> Iterator[Row]:
    """From starting Python to the first replication's numbers, with and without compiled code from before."""
    here = "First result"
    code = "from flowsim.cli.main import travel_light; travel_light(); "  # as the program itself does
    code += "from flowsim.declare.composition import load; from flowsim.cells.replicate import replicate; "
    code += f"replicate(load(*{list(effort.year)!r}), 1, 0, 'compiled')"
    process("-c", code)  # compiles, where these very sources have not been
    warm = [process("-c", code).wall for _ in range(effort.seldom)]
    yield row(here, "fresh process, compiled before", warm, "s of wall time", at_most=2)
    with tempfile.TemporaryDirectory() as folder:
        cold = process("-c", code, XDG_CACHE_HOME=folder).wall
    yield row(here, "fresh process, compiling", cold, "s of wall time", at_most=15)


def store(effort: Effort) -> Iterator[Row]:
    """Many cells: what they cost beside themselves, on this machine and on a cluster; memory; going on at the end."""
    compile_before()
    replications, on_dask = effort.store
    yield from experiments.many_cells(replications, SCENARIOS, effort.year)
    yield from experiments.on_dask(on_dask, effort.year)
    yield from experiments.tiny_cells(5_000)


SECTIONS = (engines, in_c, contenders, end_to_end, growth, comparison, store, first_result)
