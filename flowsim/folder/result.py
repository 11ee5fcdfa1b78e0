"""What an experiment found: a results folder as it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pandas as pd

from flowsim.folder.configuration import read_config
from flowsim.folder.outcome import Outcome
from flowsim.folder.store import Store
from flowsim.place import Place, PlaceError
from flowsim.statistics.intervals import mean_interval, whole


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
            self._read[name] = read_config(self._store.config_file(name))
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
    """

    out: Path
    places: Mapping[str, Place]
    failures: tuple[Outcome, ...] = ()
    notices: tuple[str, ...] = ()
    interrupted: bool = False

    @classmethod
    def read(cls, out: str | Path) -> Self:
        """The result in a folder that an earlier run left. Raises PlaceError when it holds none."""
        store = Store(out)
        manifest = store.manifest
        names = manifest.get("configuration", {}).get("scenarios", {})
        if not names or not (store.out / "results.parquet").is_file():
            raise PlaceError(f"{out}: this folder holds no results.")
        keys = ("scenario", "replication", "seed", "error")
        failures = tuple(Outcome(**{key: row[key] for key in keys}) for row in manifest.get("failures", []))
        stopped = manifest.get("status") == "interrupted"
        return cls(store.out, Written(store, tuple(names)), failures, tuple(manifest.get("notices", [])), stopped)

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Names of the scenarios, in order."""
        return tuple(self.places)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """How it was made."""
        return Store(self.out).manifest

    @property
    def span(self) -> tuple[int, int]:
        """First minute measured and the first after."""
        start, end = self.manifest["configuration"]["window_minutes"]
        return start, end

    @cached_property
    def results(self) -> pd.DataFrame:
        """Columns scenario, replication, measure, where, of, unit, value."""
        return Store(self.out).results()

    @cached_property
    def nights(self) -> pd.DataFrame:
        """Columns scenario, replication, date, where, of, state, count: every night at 23:59, warm-up included."""
        return Store(self.out).nights()

    def nights_of(self, **only: Any) -> pd.DataFrame:
        """The rows of `nights` with these states, where, of, scenarios or of the first replications: `Store.nights`.

        No others are read into memory, of which a large experiment has more than there is.
        """
        return Store(self.out).nights(**only)

    @cached_property
    def delayed_nights(self) -> pd.DataFrame:
        """The rows of `nights` of people delayed in the whole place, in all and by pathway: kept, being drawn twice."""
        return self.nights_of(states=["delayed"], where=["all"])

    @cached_property
    def _means(self) -> pd.DataFrame:
        return mean_interval(self.results, self.scenarios)

    def summary(self, headline: bool = True) -> pd.DataFrame:
        """Columns scenario, measure, where, of, unit, n, mean, low, high: means over replications, 95 % intervals."""
        found = self._means
        if headline:
            from flowsim.measures.registry import HEADLINE

            order = {measure: at for at, measure in enumerate(HEADLINE)}
            found = whole(found[found["measure"].isin(list(order))])
            found = found.sort_values("measure", key=lambda column: column.map(order), kind="stable")
        return found.reset_index(drop=True)
