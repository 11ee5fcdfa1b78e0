"""One replication of one scenario: cohort, plan, engine, measure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from flowsim.declare.settings import DEFAULT_ENGINE
from flowsim.engine import engine as engine_named
from flowsim.place import Place

if TYPE_CHECKING:
    from flowsim.engine.branch import Trunk
    from flowsim.engine.stamps import Stamps
    from flowsim.measures.flow import Measured
    from flowsim.model.cohort import Cohort
    from flowsim.model.tables import Journeys, Network


@dataclass(frozen=True)
class Prepared:
    """What an engine takes: one replication of one scenario, before anything happens in it."""

    network: Network
    journeys: Journeys


@dataclass(frozen=True)
class Simulated:
    """One replication of one scenario, before anything is measured."""

    network: Network
    journeys: Journeys
    stamps: Stamps


class Beginnings:
    """What scenarios of one replication share: the run up to the start of the policy, of one beginning at a time.

    Args:
        shared: the names of those beginnings that more than one of these scenarios have.
    """

    def __init__(self, shared: frozenset[str]) -> None:
        self._shared = shared
        self._name = ""
        self._trunk: Trunk | None = None

    def of(self, name: str) -> Beginnings | None:
        """To be used for a scenario with this beginning; None where no other has it."""
        if name not in self._shared:
            return None
        if name != self._name:
            self._name, self._trunk = name, None
        return self

    def run(self, made: Prepared, minute: int) -> Stamps:
        """What the compiled engine returns."""
        from flowsim.engine.branch import run_from, run_to_share

        if self._trunk is not None:
            return run_from(self._trunk, made.journeys, made.network)[0]
        stamps, self._trunk = run_to_share(made.journeys, made.network, minute)
        return stamps


def prepare(place: Place, seed: int, replication: int, cohort: Cohort | None = None) -> Prepared:
    """Sample (unless a cohort is given) and plan. The same arguments give the same tables."""
    from flowsim.model.cohort import Cohort
    from flowsim.model.network import build_network
    from flowsim.model.plan import plan

    cohort = cohort or Cohort(seed, replication)
    network = build_network(place, cohort)
    return Prepared(network, plan(place, cohort, network))


def simulate(
    place: Place,
    seed: int,
    replication: int,
    engine: str = DEFAULT_ENGINE,
    cohort: Cohort | None = None,
    beginnings: Beginnings | None = None,
) -> Simulated:
    """Prepare and run. The same arguments give the same tables, with either engine.

    `beginnings` (compiled engine only): to take the run up to the policy's start from there, or to leave it there.
    """
    run = engine_named(engine)
    made = prepare(place, seed, replication, cohort)
    if beginnings is not None:
        return Simulated(made.network, made.journeys, beginnings.run(made, place.run.switch))
    return Simulated(made.network, made.journeys, run(made.journeys, made.network))


def replicate(
    place: Place,
    seed: int,
    replication: int,
    engine: str = DEFAULT_ENGINE,
    span: tuple[int, int] | None = None,
    cohort: Cohort | None = None,
) -> Measured:
    """One cell: simulate and measure over `span` (first minute and the first after; default all that is measured)."""
    return measured(place, simulate(place, seed, replication, engine, cohort), span)


def measured(place: Place, done: Simulated, span: tuple[int, int] | None = None) -> Measured:
    """What a replication comes to over `span`."""
    from flowsim.measures.flow import measure

    return measure(place, done.network, done.journeys, done.stamps, span or measured_period(place))


def measured_period(place: Place) -> tuple[int, int]:
    """First minute that counts and the first after the run."""
    return place.run.measured_from, place.run.horizon


def spell_tables(done: Simulated, first_date: dt.date) -> dict[str, pd.DataFrame]:
    """Every stamp with its words: `people` (one row a spell), `stages` (one row a stage of a spell), `tasks` and
    `capacity` (the log). docs/spells.md says what stands in each column; minutes count from the first midnight.
    """
    from flowsim.model.tables import REASONS

    stamps, journeys = done.stamps, done.journeys
    rows, tasks = journeys.rows, journeys.tasks
    services = np.array(done.network.names, dtype=object)

    def words(names: Iterable[str], codes: np.ndarray) -> np.ndarray:
        return np.array(list(names), dtype=object)[codes]

    of_rows = ("joined", "accepted", "started", "ready", "recognised", "left", "freed", "units")
    stages = pd.DataFrame(
        {
            "spell": journeys.spells.number[rows.spell],
            "row": np.arange(len(rows.spell)),
            "stage": words(journeys.stages, rows.stage),
            "service": services[rows.service],
            **{name: getattr(stamps, name) for name in of_rows},
            **{f"{name}_at": _times(getattr(stamps, name), first_date) for name in ("joined", "started", "left")},
            "ended": _endings(done),
        }
    )
    counts = rows.n_before + rows.n_after
    of_row = np.repeat(rows.first_task - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    by_task = pd.DataFrame(
        {
            "row": np.repeat(np.arange(len(counts)), counts),
            "task": words(journeys.task_names, tasks.kind[of_row]),
            "began": stamps.task_began[of_row],
            "granted": stamps.task_granted[of_row],
            "ended": stamps.task_ended[of_row],
        }
    )
    log = pd.DataFrame(
        {
            "minute": stamps.log_minute,
            "service": services[stamps.log_service],
            "capacity": stamps.log_capacity,
            "in_use": stamps.log_in_use,
            "queue": stamps.log_queue,
            "reason": words(REASONS, stamps.log_reason),
        }
    )
    return {"people": _people(done, first_date), "stages": stages, "tasks": by_task, "capacity": log}


def _times(minute: np.ndarray, first_date: dt.date) -> np.ndarray:
    """Minutes as dates and times; none where it never came to that."""
    midnight = np.datetime64(first_date, "s")
    return np.where(minute >= 0, midnight + minute.astype("timedelta64[m]"), np.datetime64("NaT"))


def _endings(done: Simulated) -> np.ndarray:
    """How each stage ended; those that did not, by how far it came: a planned stage may never be reached."""
    from flowsim.engine.stamps import ENDINGS, STILL_IN

    stamps, journeys = done.stamps, done.journeys
    ended = np.array(ENDINGS, dtype=object)[stamps.ended]
    came = (stamps.joined[journeys.spells.first_row] >= 0)[journeys.rows.spell]
    open_rows = stamps.ended == STILL_IN
    ended[open_rows & (stamps.started < 0)] = "still on the way"  # accepted, and kept by tasks or by who goes first
    ended[open_rows & (stamps.accepted < 0)] = "still waiting"
    ended[open_rows & (stamps.joined < 0)] = "not reached"
    ended[open_rows & (stamps.joined < 0) & ~came] = "never came"
    return ended


def _people(done: Simulated, first_date: dt.date) -> pd.DataFrame:
    """One row a spell: who it is, by every attribute, and when they came."""
    from flowsim.model.tables import NUMBERS_A_PERSON

    journeys, spells = done.journeys, done.journeys.spells
    joined = done.stamps.joined[spells.first_row]
    known = {"spell": spells.number, "person": spells.number // NUMBERS_A_PERSON}
    people = pd.DataFrame(known | {"came": joined, "came_at": _times(joined, first_date)})
    people["there_at_start"] = spells.initial == 1
    for name, codes in journeys.attributes.items():
        levels = pd.Index(journeys.levels[name])
        people[name if name not in people else f"{name}_"] = pd.Categorical.from_codes(codes, categories=levels)
    return people
