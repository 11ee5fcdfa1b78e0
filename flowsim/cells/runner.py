"""Run replications of one or more scenarios: cells in, a results folder out.

A *cell* is one replication of one scenario: cohort, plan, engine, measure. Cells know nothing of each other, so they
run in any order and in as many processes as there are; what they find is put together in a fixed order, so serial
equals parallel, to the byte. A cell that fails is a row in the manifest and loses no other.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from flowsim import system
from flowsim.cells import executors
from flowsim.cells.about import write_about
from flowsim.cells.executors import ClusterError
from flowsim.cells.making import Making
from flowsim.cells.window import window_span
from flowsim.declare.settings import Settings
from flowsim.engine import usable
from flowsim.folder.at_work import at_work, question_of
from flowsim.folder.atomic import StoreError
from flowsim.folder.configuration import Configuration
from flowsim.folder.machine import git_commit, this_machine, versions
from flowsim.folder.manifest import FailedCell, Manifest
from flowsim.folder.outcome import PARTS
from flowsim.folder.result import Result
from flowsim.folder.store import Store, default_out
from flowsim.place import Place
from flowsim.place.dates import OF_A_SERVICE
from flowsim.statistics.settling import still_moving
from flowsim.statistics.warm_up import judged

DEFAULT_REPLICATIONS = 20
FEWEST_REPLICATIONS = 3
REFERENCE_DAYS = 25_800
"""Days of a place of Sefton's size that the default number of replications may have with the reference engine, so that
they end within ten minutes on two cores. It takes about 8 seconds of an idle core for a Sefton year with its warm-up
(491 days), so this is about seven minutes of one idle core; the rest is for measuring and for slower, busier ones."""
NEAR_ONE = 0.97
"""Offered load from which a queue takes longer to settle than any warm-up is."""
REPLICATIONS_OF_WARM_UP = 100
"""The length of the warm-up is judged by the first so many replications, at most."""
MOST_JUDGED = 12
"""Of more scenarios, as a sweep has them, it is not asked whether each has settled."""


def default_replications(places: Mapping[str, Place], engine: str) -> int:
    """Twenty; with the reference engine as many as end within ten minutes on two cores, but at least three.

    The rule looks at the scenarios, the length of the run and `scale`, never at the machine, so that the same command
    gives the same numbers everywhere.
    """
    if engine != "reference":
        return DEFAULT_REPLICATIONS
    days = sum(place.run.all_days * max(1.0, place.run.scale) for place in places.values())
    return int(min(DEFAULT_REPLICATIONS, max(FEWEST_REPLICATIONS, REFERENCE_DAYS // days)))


@contextlib.contextmanager
def for_rounds(settings: Settings, verb: str) -> Iterator[Settings]:
    """Settings for several experiments one after the other in one folder; a Dask cluster here is started only once."""
    settings = settings.but(out=default_out(verb) if settings.out is None else settings.out)
    if settings.executor == "dask" and settings.address is None:
        with executors.cluster_here(settings.jobs or executors.default_jobs()) as address:
            yield settings.but(address=address)
    else:
        yield settings


def run(place: Place, settings: Settings) -> Result:
    """Run one scenario. Raises PlaceError."""
    return run_all({place.scenario.name: place}, settings, verb="run")


def run_all(
    places: Mapping[str, Place],
    settings: Settings,
    *,
    verb: str,
    replications: Mapping[str, int] | None = None,
    nights: bool = True,
    beside: Mapping[str, pd.DataFrame] | None = None,
    asked: Mapping[str, Any] | None = None,
) -> Result:
    """Run every replication of every place that `out` does not hold yet, and put all of them together there.

    Args:
        places: one a scenario, by name; the first is the one compared with.
        settings: how it is done.
        verb: names the folder when `settings.out` is None, and stands in the manifest.
        replications: how many of each scenario, instead of `settings.replications`.
        nights: put the nights together too; without, they are read from the cells when they are asked for.
        beside: tables for the folder, by the names of their CSV files; they are there before the first cell is.
        asked: what else was asked, for the manifest.

    Raises PlaceError; StoreError when the folder cannot be written: what is finished stays.
    """
    with system.told_to_stop(again=True), at_work():
        return _run_all(places, settings, verb, replications, nights, beside or {}, asked or {})


def _run_all(
    places: Mapping[str, Place],
    settings: Settings,
    verb: str,
    replications: Mapping[str, int] | None,
    nights: bool,
    beside: Mapping[str, pd.DataFrame],
    asked: Mapping[str, Any],
) -> Result:
    clock = _Clock()
    engine = usable(settings.engine)
    counts, notices = _counts(places, settings, engine, replications)
    span = window_span(settings.window, places)
    configuration = Configuration(places, settings.seed, engine, settings.window, span)
    store = Store(default_out(verb) if settings.out is None else settings.out)
    command = settings.command or told_command()
    described = configuration.described().model_dump()
    tables = {name: table.to_csv() for name, table in beside.items()}
    # where the replications are said they change from round to round, and two at once would be out of step
    question = question_of(verb, described, counts, asked, nights, tables, alone=replications is not None)
    before, damage = store.open(configuration.keys.values(), question, command)
    manifest = _begun(configuration, counts, command, verb, asked).but(assembled=before.assembled)
    notices += [*damage, *store.told_difference(configuration, before), *store.set_apart(manifest, before)]
    store.write_manifest(manifest)  # before all else: a folder without it is not ours

    def write_beside() -> None:
        store.prepare(configuration, command, before)
        for table_name, table in beside.items():
            store.write_table(table_name, table)
        write_about(store, places, capacities=nights)

    write_beside()
    manifest = manifest.but(digests=store.digests)
    store.write_manifest(manifest)
    if settings.progress and notices:
        print(*notices, sep="\n", file=sys.stderr)

    def stopped(making: Making) -> None:
        store.write_manifest(manifest.but(status="interrupted", cells=making.done))

    making = Making(store, configuration, counts, settings, nights, before.assembled, stopped)
    _make(making, manifest)
    if not all((store.out / name).exists() for name in store.digests):
        write_beside()  # somebody has taken it away meanwhile
    notices = [*_told_when_read(places), *notices, *_told_when_made(making, places)]
    spent = before if before.configuration == manifest.configuration else Manifest()
    store.write_manifest(_ended(manifest, making, notices, spent, clock))
    made = making.assembled.sha256
    return Result(store.out, dict(places), making.failures, tuple(notices), making.interrupted, made)


class _Clock:
    """Seconds since it was made: of the wall, and of this process's CPU."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), time.process_time()

    @property
    def wall(self) -> float:
        return time.perf_counter() - self._began

    @property
    def cpu(self) -> float:
        return time.process_time() - self._cpu


def _begun(
    configuration: Configuration, counts: dict[str, int], command: str, verb: str, asked: Mapping[str, Any]
) -> Manifest:
    """What is known of an experiment before its first cell."""
    return Manifest(
        command=command,
        verb=verb,
        **asked,
        status="running",
        replications=max(counts.values()),
        seed=configuration.seed,
        engine=configuration.engine,
        window=configuration.window,
        configuration=configuration.described(),
        counts=counts,
        versions=versions(),
        machine=this_machine(),
        git_commit=git_commit(),
    )


def _make(making: Making, manifest: Manifest) -> None:
    """Make what is missing; whatever ends it before its time is told with what is kept, and is in the manifest.

    Raises StoreError, ClusterError, and KeyboardInterrupt where Ctrl-C came outside the cells.
    """
    store = making.store
    try:
        making.run()
    except (StoreError, ClusterError) as trouble:
        kept = f"{making.finished} of {sum(making.counts.values())} cells are finished and kept"
        with contextlib.suppress(StoreError):  # of a full disk this very file may be what does not fit
            store.write_manifest(manifest.but(status="interrupted", cells=making.done))
        raise type(trouble)(f"{trouble} {kept}; when it is mended, the same command goes on.") from None
    except KeyboardInterrupt:
        store.write_manifest(manifest.but(status="interrupted", cells=making.done))
        raise KeyboardInterrupt(f"the same command with out={store.out} goes on") from None


def _ended(manifest: Manifest, making: Making, notices: list[str], before: Manifest, clock: _Clock) -> Manifest:
    """What is known of an experiment at its end; `before` says what earlier runs of it took."""
    seconds = [making.seconds[part] for part in PARTS]
    elsewhere = 0.0 if making.in_this_process else sum(seconds)  # else they are in this process's own CPU time
    failed = tuple(
        FailedCell(scenario=f.scenario, replication=f.replication, seed=f.seed, error=f.error) for f in making.failures
    )
    return manifest.but(
        status="interrupted" if making.interrupted else "failures" if making.failures else "complete",
        assembled=making.assembled,
        digests=making.store.digests,
        cells=making.done,
        jobs=making.processes,
        executor=making.settings.executor,
        wall_seconds=round(before.wall_seconds + clock.wall, 3),
        cpu_seconds=round(before.cpu_seconds + clock.cpu + elsewhere, 1),
        cpu_seconds_of_cells={part: round(spent, 3) for part, spent in zip(PARTS, seconds, strict=True)},
        notices=tuple(notices),
        failures=failed,
    )


def _told_when_made(making: Making, places: Mapping[str, Place]) -> list[str]:
    """What is to be said of how the cells were made, and of their warm-up."""
    store = Store(making.store.out, making.assembled.sha256)
    sentences = []
    if making.interrupted:
        sentences.append(
            f"Stopped with {making.finished} of {sum(making.counts.values())} cells done; "
            f"the same command with out={making.store.out} goes on."
        )
    if making.done[next(iter(places))]:
        sentences += [*making.notices, *_warm_up(store, places), *_not_settled(store, places)]
        return sentences
    return [*sentences, *making.notices]


def _told_when_read(places: Mapping[str, Place]) -> list[str]:
    """The notices of the places, each once: they were shown before, and are to stand beside the results."""
    return [f"{told}." for told in dict.fromkeys(told for place in places.values() for told in place.scenario.notices)]


def _counts(
    places: Mapping[str, Place], settings: Settings, engine: str, replications: Mapping[str, int] | None
) -> tuple[dict[str, int], list[str]]:
    """How many replications each scenario has, and what is to be said of it."""
    if replications is not None:
        return {name: replications[name] for name in places}, []
    if settings.replications is not None:
        return dict.fromkeys(places, settings.replications), []
    chosen = default_replications(places, engine)
    if chosen == DEFAULT_REPLICATIONS:
        return dict.fromkeys(places, chosen), []
    return dict.fromkeys(places, chosen), [
        f"With the reference engine the default is lowered from {DEFAULT_REPLICATIONS} to {chosen} "
        "replications, so that this ends within about ten minutes on two cores; give replications=N for more."
    ]


def told_command() -> str:
    """The command line as it can be typed again."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]) if sys.argv and sys.argv[0] else "python"


def _warm_up(store: Store, places: Mapping[str, Place]) -> list[str]:
    name, place = next(iter(places.items()))
    nights = store.nights(["delayed"], ["all"], [""], [name], REPLICATIONS_OF_WARM_UP)
    loads = store.results(["service_offered_load"], scenarios=[name])
    notice = warm_up_notice(place, nights, loads)
    return [notice] if notice else []


def _not_settled(store: Store, places: Mapping[str, Place]) -> list[str]:
    """A sentence for each scenario whose difference from the first is still on its way at the end of the run."""
    (base, plain), *others = places.items()
    judged = [name for name, place in others if may_settle(plain, place)]
    if not judged or len(places) > MOST_JUDGED:
        return []
    nights = store.nights(["delayed", "in use"], None, None, [base, *judged], REPLICATIONS_OF_WARM_UP)
    nights = nights[nights["date"] >= pd.Timestamp(plain.run.start_date)]
    nights = nights[(nights["state"] == "in use") | ((nights["where"] == "all") & (nights["of"] == ""))]
    keys = ["scenario", "of", "replication", "date"]
    counts = nights.groupby(keys, observed=True)["count"].sum().unstack("date")
    sentences = (not_settled_notice(base, name, counts, places[name]) for name in judged)
    return [sentence for sentence in sentences if sentence]


def may_settle(plain: Place, place: Place) -> bool:
    """Could what a scenario changes settle? Not what has dates of its own, nor what a census begins with: the way from
    today."""
    if not place.scenario.changes or place.run.census is not None or place.run.is_all_scenario:
        return False
    dated = (getattr(place, part) != getattr(plain, part) for part in ("periods", "moves"))
    sections = (
        getattr(service, section) != getattr(plain.kinds.get(name), section, {})
        for name, service in place.kinds.items()
        for section in OF_A_SERVICE
    )
    return not any(dated) and not any(sections)


def not_settled_notice(base: str, name: str, counts: pd.DataFrame, place: Place) -> str | None:
    """What to say of a scenario whose paired difference still moves in the last quarter of the days measured; `counts`
    by scenario, service ("" for the people delayed) and replication, a column a day."""
    for of, rows in counts.groupby(level="of", observed=True):
        here = rows.droplevel("of")
        if not {base, name} <= set(here.index.get_level_values("scenario")):
            continue
        paired = (here.loc[name] - here.loc[base]).dropna()
        moving = still_moving(paired.to_numpy(dtype=float))
        if moving is not None:
            what = f"{place.kinds[str(of)].title}, in use" if of else "people delayed"
            return (
                f"{name} has not settled: {what} differs from {base} by {moving[0]:+,.1f} in the third quarter of the "
                f"days measured and by {moving[1]:+,.1f} in the last. What is compared is the way from the old "
                "caseload to the new; policy_start=warm_up compares what has settled."
            )
    return None


def warm_up_notice(place: Place, nights: pd.DataFrame, loads: pd.DataFrame | None = None) -> str | None:
    """A sentence when the warm-up looks too short, or none is there; `nights` and offered `loads` are this place's.

    How long it has to be is judged on a place without a scenario only: a scenario is meant to change who is delayed,
    which is no start-up effect. A run that starts from a census has no warm-up.
    """
    run = place.run
    if run.census is not None:
        return None
    if run.warm_up_days == 0 and nights["count"].any():
        return (
            "There is no warm-up (warm_up_days=0): the run begins with nobody delayed or in a queue, so that it looks "
            f"better than the place is; warm_up_days={type(run).model_fields['warm_up_days'].default}, or a census "
            "(census=FILE.csv), begins with a full one."
        )
    verdict = None if place.scenario.changes else judged(nights, run.warm_up_days)
    if verdict is None:
        return None
    if not verdict.settles and verdict.leave_out > run.warm_up_days:
        return (
            f"The people delayed have not settled in {run.all_days} days, warm-up included, and no longer warm-up is "
            f"sure to help{_near_one(place, loads)}; compare scenarios over the same days, or begin with a census."
        )
    if verdict.leave_out > run.warm_up_days:
        return (
            f"The warm-up may be too short: MSER-5 on the delayed census would leave out {verdict.leave_out} days, "
            f"warm_up_days is {run.warm_up_days}."
        )
    if verdict.rises:
        return (
            f"The warm-up may be too short: {verdict.first:.4g} people are delayed in the first quarter of the days "
            f"that count and {verdict.last:.4g} in the last, more than chance makes; warm_up_days is "
            f"{run.warm_up_days}. With a longer one the rise stays if it is the season's or a trend's."
        )
    return None


def _near_one(place: Place, loads: pd.DataFrame | None) -> str:
    """The queues that are offered nearly all they can do, or more, in words: these have no level to settle at."""
    if loads is None or loads.empty:
        return ""
    means = loads.groupby(["of", "where"], observed=True)["value"].mean()
    neighbours = {unit for service in place.kinds.values() for unit in service.neighbours}
    of, where = means.index.get_level_values("of"), means.index.get_level_values("where")
    busy = means[of.isin(list(place.kinds)) & ~where.isin(["all", *neighbours]) & (means >= NEAR_ONE)]
    if busy.empty:
        return ""
    busiest = busy.sort_values(ascending=False).head(3)
    queues = ("/".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in busiest.index)
    listed = ", ".join(f"{queue} {load:.2f}" for queue, load in zip(queues, busiest, strict=True))
    return f", for what is offered comes so near to all that can be done, or above it ({listed})"
