"""How an experiment was made: what `manifest.json` says, typed, in one place."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flowsim.declare.reading import explain
from flowsim.place import PlaceError

FILE = "manifest.json"
MARKER, FORMAT = "flowsim", 1
"""The key by which a manifest is known to be flowsim's, and the number of the folder's layout."""
OLDER = {"command", "verb", "status", "configuration"}
"""The keys by which one is known that was written before there was a marker."""
CHECKSUM = "sha256"
"""The key of a digest of all the others."""


Minute = Annotated[int, Field(ge=0, lt=2**31)]
"""As engines count them."""


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
    window_minutes: tuple[Minute, Minute] | None = None
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
    left: dict[str, Minute]
    worse: dict[str, tuple[str, ...]] = {}


class Assembled(_Part):
    """Of which cells the tables are made (a digest of their names), how many tables, and the SHA-256 of each."""

    made_of: str = ""
    tables: int = 0
    sha256: dict[str, str] = {}


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
        digests: the SHA-256 of each other file that is read back, by its name in the folder.
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
    assembled: Assembled = Assembled()
    digests: dict[str, str] = {}
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

    @property
    def noted(self) -> dict[str, str]:
        """The SHA-256 of each file that is read back, as it was written."""
        return {**self.digests, **self.assembled.sha256}

    def asks_the_same(self, other: Manifest) -> bool:
        """Does an experiment ask the same question as another, so that what is drawn of it is drawn anew?"""
        of_question = ("precision", "precision_of", "measures", "indifference", "probability", "guards", "design")
        names = ("verb", "configuration", *of_question)
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def but(self, **changed: Any) -> Self:
        """The same with some of it changed."""
        return self.model_copy(update=changed)

    def text(self) -> str:
        """As it is written: what was set, in the order above, between the marker and the checksum."""
        said = self.model_dump(mode="json", exclude_unset=True)
        whole = {MARKER: FORMAT, **{name: value for name, value in said.items() if name not in (MARKER, CHECKSUM)}}
        return json.dumps({**whole, CHECKSUM: _checksum(whole)}, indent=2, ensure_ascii=False) + "\n"


def _checksum(said: dict[str, Any]) -> str:
    rest = {name: value for name, value in said.items() if name != CHECKSUM}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


class DamagedManifestError(PlaceError):
    """A manifest that is not what was written."""


def read_manifest(folder: Path) -> Manifest:
    """What the manifest of a folder says; nothing where there is none.

    Raises DamagedManifestError for one that is not what was written, half of one, say; PlaceError, in one sentence,
    for one that says what cannot be.
    """
    path = folder / FILE
    try:
        content = path.read_bytes()
        said = json.loads(content)
    except FileNotFoundError:
        return Manifest()
    except OSError as trouble:
        raise _damaged(path, f"it cannot be read: {trouble.strerror or trouble}") from None
    except (ValueError, RecursionError):
        raise _damaged(path, "it is no JSON") from None
    if isinstance(said, dict) and CHECKSUM in said and said[CHECKSUM] != _checksum(said):
        raise _damaged(path, "its checksum is wrong")
    try:
        return Manifest.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise PlaceError(f"{path}: {explain(error, Manifest, '')}") from None


def _damaged(path: Path, why: str) -> DamagedManifestError:
    way = f"flowsim results {path.parent} rebuild, which makes it from the cells"
    return DamagedManifestError(f"{path}: it is damaged ({why}); allowed: {way}.")
