"""What an experiment found: a results folder as it is read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import pandas as pd

from flowsim.folder.assemble import RESULTS
from flowsim.folder.configuration import read_config
from flowsim.folder.manifest import Manifest
from flowsim.folder.outcome import Outcome
from flowsim.folder.store import CAPACITIES, EVIDENCE, PUBLISHED, Store
from flowsim.place import Place, PlaceError
from flowsim.place.dates import dates_of_changes
from flowsim.statistics.intervals import mean_interval, whole


class Views(NamedTuple):
    """What shows a result to a person: a chart in a file, the report in the terminal, all of both in the folder.

    What draws and writes stands above this room, so `api` hands it in; see `Result.views`.
    """

    chart: Callable[..., Path]
    show: Callable[..., None]
    finish: Callable[[Result, bool | str], None]


class Written(Mapping[str, Place]):
    """The places of a results folder by scenario, each read when it is asked for."""

    def __init__(self, store: Store, names: tuple[str, ...]) -> None:
        self._store = store
        self._names = names
        self._read: dict[str, Place] = {}

    def __getitem__(self, name: str) -> Place:
        if name not in self._read:
            if name not in self._names:
                raise KeyError(name)
            self._read[name] = read_config(self._store.config(name))
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True)
class Result:
    """What an experiment found, read from its folder.

    Attributes:
        out: the results folder.
        places: one place a scenario, by name; the first is the one compared with.
        failures: cells that failed, with their seed and error.
        notices: what the user should know, one sentence each.
        interrupted: it was stopped before all cells were done.
        made: the SHA-256 of its tables: what another experiment wrote in the folder since is not shown as its own.

    The answers to other questions are this with tables of their own: `Comparison`, `Selection` and `Sweep`.
    """

    question: ClassVar[str] = "run"
    """The verb whose question it answers: what chooses the page and the pictures it is shown by."""
    main_chart: ClassVar[str | None] = "differences"
    """The kind of chart that is drawn where none is said; None: the first that fits."""
    views: ClassVar[Views | None] = None
    """How results are shown; `import flowsim.api`, which `flowsim.run` and its like do, sets it once for all."""

    out: Path
    places: Mapping[str, Place]
    failures: tuple[Outcome, ...] = ()
    notices: tuple[str, ...] = ()
    interrupted: bool = False
    made: Mapping[str, str] | None = None

    @classmethod
    def read(cls, out: str | Path) -> Self:
        """The result in a folder that an earlier run left. Raises PlaceError when it holds none."""
        store = Store(out)
        manifest = store.manifest
        if not manifest.keys or not (RESULTS in manifest.noted or (store.out / RESULTS).is_file()):
            raise PlaceError(f"{out}: this folder holds no results.")
        failures = tuple(Outcome(f.scenario, f.replication, f.seed, error=f.error) for f in manifest.failures)
        stopped = manifest.status == "interrupted"
        written = Written(store, tuple(manifest.keys))
        return cls(store.out, written, failures, manifest.notices, stopped, manifest.assembled.sha256 or None)

    @classmethod
    def of(cls, result: Result) -> Self:
        """The same result, seen as the answer to a question."""
        return cls(result.out, result.places, result.failures, result.notices, result.interrupted, result.made)

    @property
    def store(self) -> Store:
        """The folder, whose tables are this result's or are refused."""
        return Store(self.out, self.made)

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Names of the scenarios, in order."""
        return tuple(self.places)

    @cached_property
    def manifest(self) -> Manifest:
        """How it was made."""
        return Store(self.out).manifest

    @property
    def is_part(self) -> bool:
        """Is it of some of the folder's scenarios, or with another one first, as `Comparison.between` gives it?"""
        return self.scenarios != tuple(self.manifest.keys)

    @property
    def span(self) -> tuple[int, int]:
        """First minute measured and the first after."""
        minutes = self.manifest.configuration.window_minutes
        if minutes is None:
            raise PlaceError(f"{self.out}: manifest.json does not say which minutes were measured.")
        return minutes

    @property
    def days(self) -> float:
        """How many days were measured."""
        start, end = self.span
        return (end - start) / (24 * 60)

    @cached_property
    def results(self) -> pd.DataFrame:
        """Columns scenario, replication, measure, where, of, unit, value."""
        return self.store.results(scenarios=self.scenarios if self.is_part else None)

    @cached_property
    def nights(self) -> pd.DataFrame:
        """Columns scenario, replication, date, where, of, state, count: every night at 23:59, warm-up included."""
        return self.nights_of()

    def nights_of(self, **only: Any) -> pd.DataFrame:
        """The rows of `nights` with these states, where, of, scenarios or of the first replications: `Store.nights`.

        No others are read into memory, of which a large experiment has more than there is.
        """
        theirs = {"scenarios": self.scenarios} if self.is_part else {}
        return self.store.nights(**theirs | only)

    @cached_property
    def delayed_nights(self) -> pd.DataFrame:
        """The rows of `nights` of people delayed in the whole place, in all and by pathway: kept, being drawn twice."""
        return self.nights_of(states=["delayed"], where=["all"])

    @cached_property
    def evidence(self) -> pd.DataFrame:
        """Every number that the files of the first scenario's place give it, before scenarios and the user's settings.

        Columns key, value, source, grade, quantity, low, high, unit, why, all of them text; no rows where the files
        were not found when the cells were made.
        """
        return self._of_the_place(EVIDENCE)

    @cached_property
    def published(self) -> pd.DataFrame:
        """Published figures that measures of the first scenario's place can be held against.

        Columns measure, where (a site or "all"), id, quantity, value, low, high, unit, grade, why, all of them text.
        """
        return self._of_the_place(PUBLISHED)

    def _of_the_place(self, name: str) -> pd.DataFrame:
        table = Store(self.out).about(name)
        rows = table[table["place"] == next(iter(self.places.values())).name]
        return rows.drop(columns="place").reset_index(drop=True)

    @cached_property
    def capacities(self) -> pd.DataFrame:
        """What is meant to be open at 23:59 in each queue of each scenario, from each date on which that changes.

        Columns scenario, where (a site, a locality or "all"), of (a service or pool), date (datetime64), open (NaN
        where there is no limit) and unit. Blocks, trends and what scenarios change are in it; surge capacity and
        shocks, which depend on chance, are not. No rows of a sweep.
        """
        table = Store(self.out).about(CAPACITIES)
        return table.assign(date=pd.to_datetime(table["date"]), open=pd.to_numeric(table["open"]))

    @cached_property
    def dates_of_changes(self) -> list[tuple[dt.date, dt.date]]:
        """First date and first date after of each dated block and move that tells the scenarios apart (or all have)."""
        return dates_of_changes(self.places.values())

    @cached_property
    def _means(self) -> pd.DataFrame:
        return mean_interval(self.results, self.scenarios)

    def summary(self, headline: bool = True) -> pd.DataFrame:
        """Columns scenario, measure, where, of, unit, n, mean, low, high: means over replications, 95 % intervals."""
        means = self._means
        if headline:
            from flowsim.measures.registry import HEADLINE

            order = {measure: at for at, measure in enumerate(HEADLINE)}
            means = whole(means[means["measure"].isin(list(order))])
            means = means.sort_values("measure", key=lambda column: column.map(order), kind="stable")
        return means.reset_index(drop=True)

    def main_table(self) -> pd.DataFrame:
        """The table that says most of it: what a notebook shows."""
        return self.summary()

    def _repr_html_(self) -> str:
        return self.main_table().to_html(index=False)

    def chart(self, path: str | Path, kind: str | None = None, **options: Any) -> Path:
        """Draw a chart to a .png or .svg file; see `api.chart` for the kinds. Raises PlaceError."""
        return self._views.chart(self, path, kind, **options)

    def show(self, detail: str = "answer") -> None:
        """Print the report to the terminal: the answer on one screen, or with ``detail="all"`` everything."""
        self._views.show(self, detail)

    def finish(self, charts: bool | str = True) -> None:
        """Write the summary into the results folder, and the charts: png and svg, png alone (``"png"``), or none."""
        self._views.finish(self, charts)

    @property
    def _views(self) -> Views:
        if Result.views is None:
            raise RuntimeError("nothing is there to show a result with: import flowsim.api first.")
        return Result.views
