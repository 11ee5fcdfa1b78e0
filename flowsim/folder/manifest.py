"""How an experiment was made: what `manifest.json` says, typed, in one place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from flowsim.declare.reading import explain
from flowsim.place import PlaceError

FILE = "manifest.json"


class _Part(BaseModel):
    """Keys that are not known are kept: another version may have written them."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Described(_Part):
    """What decides the numbers of an experiment, in short: see `Configuration`.

    Attributes:
        scenarios: the key of each scenario's cells, by its name; the first is the one compared with.
        window_minutes: first minute measured and the first after.
        code: a digest of the source that made the numbers; libraries: versions of those that make them too.
    """

    scenarios: dict[str, str] = {}
    seed: int | None = None
    engine: str | None = None
    window: str | None = None
    window_minutes: tuple[int, int] | None = None
    code: str | None = None
    libraries: dict[str, str] = {}


class FailedCell(_Part):
    """A cell that failed, with its seed and error in one line."""

    scenario: str
    replication: int
    seed: int
    error: str


class Selected(_Part):
    """What a selection was asked and how it ended; `left`: after how many replications each scenario was out;
    `worse`: the guards that are clearly worse in a scenario, which is not selected then."""

    measure: str
    indifference: float
    probability: float
    ended: str
    rounds: int
    best: str | None
    left: dict[str, int]
    worse: dict[str, tuple[str, ...]] = {}


class Manifest(_Part):
    """What `manifest.json` says; what is not said there has its default.

    Attributes:
        command: as it can be typed again; verb: run, compare, sweep, select or results (rebuilt from the cells).
        precision, precision_of: the half-width asked for, and of which measures.
        measures: by what a sweep is judged and drawn, or which of them a selection is about.
        indifference, probability: as a selection was asked.
        guards: measures that may not become clearly worse in what is called best; None for the default.
        design: of a sweep which points it has: grid, lhs, sobol, table or path.
        selection: what a selection came to; None until its end.
        status: running, complete, failures, interrupted or rebuilt.
        replications: of the scenario that has most; counts: how many each scenario is to have; cells: how many it has.
        assembled: of which cells the tables are made.
        wall_seconds, cpu_seconds: of all runs of this configuration in the folder so far.
        cpu_seconds_of_cells: by what they were spent on (`outcome.PARTS`), in the last run.
    """

    command: str = ""
    verb: str = ""
    precision: str | None = None
    precision_of: tuple[str, ...] | None = None
    measures: tuple[str, ...] | None = None
    indifference: float | None = None
    probability: float | None = None
    guards: tuple[str, ...] | None = None
    design: str | None = None
    selection: Selected | None = None
    status: str = ""
    replications: int = 0
    seed: int | None = None
    engine: str | None = None
    window: str | None = None
    configuration: Described = Described()
    counts: dict[str, int] = {}
    assembled: dict[str, Any] = {}
    versions: dict[str, str] = {}
    machine: dict[str, Any] = {}
    git_commit: str | None = None
    cells: dict[str, int] = {}
    jobs: int = 0
    executor: str = ""
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    cpu_seconds_of_cells: dict[str, float] = {}
    notices: tuple[str, ...] = ()
    failures: tuple[FailedCell, ...] = ()

    @property
    def keys(self) -> dict[str, str]:
        """The key of each scenario's cells, by its name."""
        return self.configuration.scenarios

    def asks_the_same(self, other: Manifest) -> bool:
        """Does an experiment ask the same question as another, so that what is drawn of it is drawn anew?"""
        of_question = ("precision", "precision_of", "measures", "indifference", "probability", "guards", "design")
        names = ("verb", "configuration", *of_question)
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def but(self, **changed: Any) -> Self:
        """The same with some of it changed."""
        return self.model_copy(update=changed)

    def text(self) -> str:
        """As it is written: what was set, in the order above."""
        return json.dumps(self.model_dump(mode="json", exclude_unset=True), indent=2, ensure_ascii=False) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """What the manifest of a folder says; nothing where there is none, or one that is no JSON: half of one, say.

    Raises PlaceError, in one sentence, for something that cannot be.
    """
    path = folder / FILE
    try:
        content = path.read_bytes()
        json.loads(content)
    except (OSError, ValueError):
        return Manifest()
    try:
        return Manifest.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise PlaceError(f"{path}: {explain(error, Manifest, '')}") from None
