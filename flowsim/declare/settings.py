"""How an experiment is made, apart from the places it is made of: each key with its default and its bounds, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flowsim.declare.reading import explain
from flowsim.place import PlaceError, refuse

Engine = Literal["compiled", "reference"]
Executor = Literal["loky", "dask"]
"""Who does the cells: processes of this machine (joblib over loky), or workers of a Dask cluster here or elsewhere."""
Window = Literal["all", "during", "after"]
"""What is measured: the whole period, or the part during or after the dated blocks and moves."""
Charts = bool | Literal["png"]
"""Which pictures are drawn of what was found: each as PNG and SVG, as PNG alone, or none."""
ENGINES, WINDOWS = get_args(Engine), get_args(Window)
DEFAULT_ENGINE: Engine = "compiled"


class Settings(BaseModel):
    """How an experiment is made. Raises PlaceError, in one sentence, for a value that cannot be.

    Attributes:
        replications: how many; None for the documented default (`runner.default_replications`).
        seed: the same seed brings the same people.
        jobs: processes at once; None for the machine's cores, fewer with less than 1.5 GiB of memory each.
        engine: compiled or reference; both give the same tables.
        out: the results folder; None for a new one under ``outputs/``. Finished cells that are there are used.
        keep_spells: keep every stage of every person too.
        window: all, during or after.
        charts: true for every picture as PNG and SVG, "png" for PNG alone, false for none.
        executor: loky or dask.
        address: of the scheduler, with dask (``tcp://host:8786``); None for a cluster of `jobs` processes here.
        progress: tell on stderr how far it is.
        command: what the manifest says it was made by; None for the command line.

    The last two are no keys of `config.yaml`, so `model_dump` leaves them out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    replications: int | None = Field(default=None, ge=1, le=100_000)
    seed: int = Field(default=1, ge=0, lt=2**63)
    jobs: int | None = Field(default=None, ge=1, le=4096)
    engine: Engine = DEFAULT_ENGINE
    out: str | Path | None = None
    keep_spells: bool = False
    window: Window = "all"
    charts: Charts = True
    executor: Executor = "loky"
    address: str | None = None
    progress: bool = Field(default=True, exclude=True)
    command: str | None = Field(default=None, exclude=True)

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise PlaceError(explain(error, type(self), "")) from None
        if self.address is not None and self.executor != "dask":
            raise PlaceError(f"address: {self.address!r} was given; allowed: only with executor=dask.")

    @classmethod
    def of(cls, **given: Any) -> Self:
        """Settings by name; raises PlaceError for a name that is none, with the nearest."""
        if unknown := given.keys() - cls.model_fields.keys():
            raise refuse("setting", min(unknown), "one of", cls.model_fields)
        return cls(**given)

    def but(self, **changed: Any) -> Self:
        """The same with some of them changed."""
        return self.model_copy(update=changed)


class Configured(Settings):
    """The settings of `config.yaml`: with what `flowsim compare` compares."""

    scenarios: tuple[str, ...] = Field(default=(), strict=False)


CONFIGURED = tuple(name for name, field in Settings.model_fields.items() if not field.exclude)
"""Those that are keys of `config.yaml`."""
