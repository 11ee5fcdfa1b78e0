"""How an experiment is made, apart from the places it is made of: one frozen object that checks itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from flowsim.engine import DEFAULT, ENGINES
from flowsim.place import PlaceError, refuse

EXECUTORS = ("loky", "dask")
"""Who does the cells: processes of this machine (joblib over loky), or workers of a Dask cluster here or elsewhere."""
WINDOWS = ("all", "during", "after")
"""What is measured: the whole period, or the part during or after the dated blocks and moves."""


@dataclass(frozen=True)
class Settings:
    """How an experiment is made. Raises PlaceError, in one sentence, for a value that cannot be.

    Attributes:
        replications: how many; None for the documented default (`runner.default_replications`).
        seed: the same seed brings the same people.
        jobs: processes at once; None for the machine's cores, fewer with less than 1.5 GiB of memory each.
        engine: compiled or reference; both give the same tables.
        out: the results folder; None for a new one under ``outputs/``. Finished cells that are there are used.
        keep_spells: keep every stage of every person too.
        window: all, during or after.
        progress: tell on stderr how far it is.
        command: what the manifest says it was made by; None for the command line.
        executor: loky or dask.
        address: of the scheduler, with dask (``tcp://host:8786``); None for a cluster of `jobs` processes here.
    """

    replications: int | None = None
    seed: int = 1
    jobs: int | None = None
    engine: str = DEFAULT
    out: str | Path | None = None
    keep_spells: bool = False
    window: str = "all"
    progress: bool = True
    command: str | None = None
    executor: str = "loky"
    address: str | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("engine", ENGINES), ("window", WINDOWS), ("executor", EXECUTORS)):
            if getattr(self, name) not in allowed:
                raise refuse(name, getattr(self, name), "one of", allowed)
        for name, least, optional in (("replications", 1, True), ("seed", 0, False), ("jobs", 1, True)):
            value = getattr(self, name)
            if value is None and optional:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise refuse(name, value, f"a whole number, at least {least}")
        for name in ("keep_spells", "progress"):
            if not isinstance(getattr(self, name), bool):
                raise refuse(name, getattr(self, name), "true or false")
        if self.address is not None and self.executor != "dask":
            raise PlaceError(f"address: {self.address!r} was given; allowed: only with executor=dask.")

    @classmethod
    def of(cls, **given: Any) -> Self:
        """Settings by name; raises PlaceError for a name that is none, with the nearest."""
        if unknown := given.keys() - set(names()):
            raise refuse("setting", min(unknown), "one of", names())
        return cls(**given)


def names() -> tuple[str, ...]:
    """What can be set."""
    return tuple(field.name for field in dataclasses.fields(Settings))
