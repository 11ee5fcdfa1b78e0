"""Who does the cells of an experiment: this process, processes of this machine, or the workers of a Dask cluster.

Whoever does them, a job is the same function of the same arguments (`jobs.work`), so the files are the same. There is
one level of processes only, and each does its numbers in one thread.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from flowsim import system
from flowsim.cells.jobs import Job, Made, about_this_place, failed, work, work_elsewhere, work_on_cluster
from flowsim.folder.machine import LIBRARIES_THAT_COUNT, memory_gib
from flowsim.place import PlaceError

if TYPE_CHECKING:
    from distributed import Client

TRIES = 3
"""How often a cell is begun, at most, when the process that does it is lost each time."""
GIB_A_WORKER = 1.5
CELLS_A_JOB = 50
"""Cells of a job, at most."""
JOBS_A_WORKER = 8
"""Jobs for each worker, at least, where there are cells enough: so that all end at about the same time."""
JOBS_UNDER_WAY = 3
"""Jobs for each worker of a cluster that are under way at a time: what comes back must not pile up."""
ALIKE = ("python", "flowsim", "code", "engine", *LIBRARIES_THAT_COUNT, "pydantic", "pyarrow")
"""What a worker must have in common with the process that asks it."""
SECONDS_TO_ANSWER = 20
"""How long a scheduler, and then a first worker, is waited for."""
ABOUT = "__import__('flowsim.cells.jobs', fromlist=['jobs']).about_this_place({engine!r})"
"""What a worker is asked to evaluate: an error, if it has no flowsim, is an answer too."""


class ClusterError(PlaceError):
    """A cluster that is gone while it was at work."""


def default_jobs() -> int:
    """The machine's cores, fewer where there is less than 1.5 GiB of memory for each."""
    memory = memory_gib()
    return system.cores() if memory is None else max(1, min(system.cores(), int(memory / GIB_A_WORKER)))


def cells_a_job(cells: int, workers: int, engine: str) -> int:
    """How many cells one job has. With the reference engine one: it takes seconds."""
    if engine == "reference":
        return 1
    return max(1, min(CELLS_A_JOB, cells // (workers * JOBS_A_WORKER)))


# ---------------------------------------------------------------------------------------------------------------------
# This machine


def here(todo: Iterable[Job]) -> Iterator[list[Made]]:
    """One job after another in this process."""
    for job in todo:
        yield work(job)


def in_processes(todo: Iterable[Job], processes: int) -> Iterator[list[Made]]:
    """Jobs in processes of this machine, by joblib over loky; what comes of each as it ends.

    When a process is lost (killed, out of memory) the others are started anew. The cells it may have had are then done
    one at a time, so that only the one that is to blame fails, after `TRIES` times.
    """
    source = iter(todo)
    lost = yield from _pool(source, processes)
    while lost:
        # loky tells that a process is gone, not which job it had: all that were under way are suspects. The others are
        # done first, so that a job that kills its process again and again holds up nothing
        waiting = [job for one in lost for job in one.each()]
        lost = yield from _pool(source, processes)
        for job in waiting:
            yield from _alone(job)


def _pool(source: Iterator[Job], processes: int, one_at_a_time: bool = False) -> Any:
    """Yields what comes of each job; returns the jobs that were under way when a process was lost."""
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    under_way: dict[int, Job] = {}

    def dispatched() -> Iterator[Any]:
        for job in source:
            number = id(job)  # what comes back is another object: the pickled job would not be found again
            under_way[number] = job
            yield delayed(work_elsewhere)(number, job, os.getpid())

    try:
        with _without(signal.SIGINT, *system.STOPS), parallel_config("loky", inner_max_num_threads=1):
            pool = Parallel(
                n_jobs=processes,
                return_as="generator_unordered",
                batch_size=1,
                pre_dispatch=1 if one_at_a_time else "2*n_jobs",
            )
            results = pool(dispatched())
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A worker stopped while some jobs")
            for number, made in results:
                del under_way[number]
                yield made
    except TerminatedWorkerError:
        pass
    return list(under_way.values())


def _alone(job: Job) -> Iterator[list[Made]]:
    """A job of one cell, which was under way when a process was lost, with nothing beside it."""
    for _ in range(TRIES - 1):
        # two processes, since joblib does a single one's work in this very process, which must not die
        if not (yield from _pool(iter([job]), 2, one_at_a_time=True)):
            return
    yield failed(job, f"its process was ended by the system {TRIES} times (out of memory? try fewer jobs)")


@contextlib.contextmanager
def _without(*signals: int) -> Iterator[None]:
    """Processes started in here never get these signals: the one that started them does, at the end of this."""
    with system.stops_wait(*signals):
        if system.TIDIES:
            from multiprocessing.resource_tracker import ensure_running

            from joblib.externals.loky.backend import resource_tracker

            ensure_running()  # were these started later, they would let signals through again, as they do now
            resource_tracker.ensure_running()
        with system.stops_wait(*signals):
            yield


# ---------------------------------------------------------------------------------------------------------------------
# A cluster


@contextlib.contextmanager
def cluster_here(processes: int) -> Iterator[str]:
    """The address of a scheduler with so many workers on this machine, as long as this lasts."""
    distributed = _distributed()
    with _without(signal.SIGINT):  # the others are how its workers are told to end
        cluster = distributed.LocalCluster(
            n_workers=processes, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
        )
    with contextlib.closing(cluster):
        yield cluster.scheduler_address


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        trouble = "executor: 'dask' was given, but dask.distributed is not installed"
        raise PlaceError(f"{trouble}; allowed: loky, or dask after pip install 'flowsim[cluster]'.") from None
    return distributed


@contextlib.contextmanager
def cluster(address: str | None, processes: int, engine: str) -> Iterator[Client]:
    """A client of the scheduler at this address, or of a cluster of so many processes here; its workers are looked at.

    Raises PlaceError when there is no Dask, no scheduler, no worker, or one that would not give the same numbers.
    """
    distributed = _distributed()
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(cluster_here(processes)) if address is None else address
        try:
            client = distributed.Client(where, timeout=SECONDS_TO_ANSWER, set_as_default=False)
        except (OSError, ValueError) as trouble:
            reason = " ".join(str(trouble).split())
            raise PlaceError(f"address: {address!r} was given; no Dask scheduler answers there ({reason}).") from None
        stack.callback(client.close)
        try:
            client.wait_for_workers(1, timeout=SECONDS_TO_ANSWER)
        except TimeoutError:
            raise PlaceError(f"address: the Dask scheduler at {address} has no workers; start some first.") from None
        _refuse_strange_workers(client, engine)
        yield client


def _refuse_strange_workers(client: Client, engine: str) -> None:
    """Ask every worker what it has. Raises PlaceError for the first that cannot run flowsim or has another one."""
    here = about_this_place(engine)
    answers = client.run(eval, ABOUT.format(engine=engine), on_error="return")
    for worker, there in sorted(answers.items()):
        if not isinstance(there, dict):
            reason = f"{type(there).__name__}: {there}"
            raise PlaceError(f"The Dask worker {worker} cannot run flowsim ({reason}); install it there as it is here.")
        for what in ALIKE:
            if there.get(what) != here.get(what):
                difference = f"{what} is {there.get(what, 'missing')} there and {here.get(what, 'missing')} here"
                raise PlaceError(
                    f"The Dask worker {worker} would not give the same numbers: {difference}; install the same."
                )


def slots(client: Client) -> int:
    """How many jobs its workers do at once."""
    return max(1, sum(client.nthreads().values()))


def on_cluster(todo: Iterable[Job], client: Client) -> Iterator[list[Made]]:
    """Jobs on the workers of a cluster; what comes of each as it ends. A few for each worker are under way at a time.

    The scheduler gives the job of a lost worker to another one; after it has lost as many as it allows (three by
    default) the cells of the job are tried apart, so that only the one that is to blame fails.
    """
    import distributed

    source = iter(todo)
    under_way: dict[Any, Job] = {}
    ended = distributed.as_completed(loop=client.loop)

    def submit(jobs: Iterable[Job]) -> None:
        for job in jobs:
            future = client.submit(work_on_cluster, job, pure=False)
            under_way[future] = job
            ended.add(future)

    submit(itertools.islice(source, JOBS_UNDER_WAY * slots(client)))
    try:
        for future in ended:
            job = under_way.pop(future)
            if future.status == "finished":
                yield future.result()
            elif future.status != "error":
                raise ClusterError("The Dask scheduler no longer answers.")
            elif not isinstance(future.exception(), distributed.scheduler.KilledWorker):
                yield failed(job, f"{type(future.exception()).__name__}: {future.exception()}")
            elif len(job.cells) > 1:
                submit(job.each())
            else:
                yield failed(job, "its worker was lost again and again (out of memory?)")
            submit(itertools.islice(source, 1))
    finally:
        client.cancel(list(under_way), force=True)
