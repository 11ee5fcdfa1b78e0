"""All that decides the numbers of an experiment, as plain data and as digests of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from flowsim.declare.reading import read_place
from flowsim.declare.yaml_and_csv import load_yaml
from flowsim.declare.yaml_reader import NUMBERS_AS_TEXT
from flowsim.folder.code import code_digest
from flowsim.folder.machine import LIBRARIES_THAT_COUNT, installed
from flowsim.folder.manifest import Described
from flowsim.place import Place, PlaceError, Table
from flowsim.place.refusals import notice

HEAD = re.compile(r"\((\w{16})\): the composed place")
"""What the first line of a written configuration says: the digest of all that follows."""


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # five times as fast, the same text
    """Writes text that our own reader would take for a number, such as 1e3 and 08, in quotes."""


_Dumper.add_implicit_resolver("tag:yaml.org,2002:as_text", NUMBERS_AS_TEXT, list("-+.0123456789"))


def plain(value: Any) -> Any:
    """A place, or any part of one, as mappings, lists and scalars that `read_place` turns into an equal place."""
    if isinstance(value, Table):
        return _plain_table(value)
    if isinstance(value, BaseModel):
        names = {name: info.alias or name for name, info in type(value).model_fields.items()}
        pairs = ((names[name], getattr(value, name)) for name in names)
        return {key: plain(item) for key, item in pairs if item is not None}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _plain_table(table: Table) -> Any:
    if table.by is not None:
        return {"by": table.by, **{level: _plain_table(cell) for level, cell in table.cells.items()}}
    if table.times:
        return {"times": {name: _plain_table(factor) for name, factor in table.times.items()}}
    return plain(table.leaf)


def read_config(path: str | Path) -> Place:
    """The place of a `config/<scenario>.yaml`, with a notice if it is not what was written.

    Raises PlaceError when the file is not there or not a place.
    """
    path = Path(path)
    if not path.is_file():
        raise PlaceError(f"{path}: there is no such file.")
    raw = read_plain(path)
    with path.open(encoding="utf-8", errors="replace") as file:
        said = HEAD.search(file.readline())
    if said and said[1] != _digest(raw):
        notice(f"{path} is not as it was written: it has been changed since")
    return read_place(raw, str(path))


def read_plain(path: Path) -> dict[str, Any]:
    """A configuration as plain data, not checked. Raises PlaceError when it is none or cannot be read."""
    raw = load_yaml(path, stored=True).content
    if not isinstance(raw, dict):
        raise PlaceError(f"{path}: this is not the configuration of a place.")
    return raw


def written(place: Place) -> str:
    """A place as YAML that `read_config` reads into an equal one."""
    return str(yaml.dump(plain(place), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))


def flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything in plain data that is no mapping."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from flat(item, f"{key}.{name}")
    else:
        yield key, value


def first_difference(there: Any, here: Any, what: str = "place") -> str:
    """One clause naming the first key in which two plain configurations differ."""
    old, new = dict(flat(there, what)), dict(flat(here, what))
    for key in (*new, *old):
        if old.get(key) != new.get(key):
            return f"{key} is {old.get(key, 'not set')} there and {new.get(key, 'not set')} here"
    return "the order of its keys differs"


def file_name(scenario: str) -> str:
    """A scenario's name as it may stand in a file's name on every system; no two names give the same."""
    name = re.sub(r"[^A-Za-z0-9_.+=,-]", "_", scenario)[:120]
    return name if name == scenario else f"{name}-{_digest(scenario)[:6]}"


def free_name(name: str, taken: Container[str]) -> str:
    """The scenario's name, or, where that is taken, ``name_2`` and so on."""
    again, free = 1, name
    while free in taken:
        again += 1
        free = f"{name}_{again}"
    return free


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, default=str, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Configuration:
    """All that decides the numbers of an experiment except how many replications it has.

    Attributes:
        places: one place a scenario, by the scenario's name; the first is the one compared with.
        window: the name of the window.
        span: its first minute and the first after.
        code: a digest of the source that makes the numbers.
        libraries: versions of those that make them too.
    """

    places: Mapping[str, Place]
    seed: int
    engine: str
    window: str
    span: tuple[int, int]
    code: str = field(default_factory=lambda: code_digest())
    libraries: dict[str, str] = field(default_factory=lambda: installed(LIBRARIES_THAT_COUNT))

    @cached_property
    def digests(self) -> dict[str, tuple[str, str]]:
        """For each scenario its key (cells with equal keys hold equal numbers) and the digest of its configuration.

        What a scenario says of itself (name, title, reasons) is no part of the key.
        """
        common = self.common()
        digests = {}
        for name, place in self.places.items():
            data = plain(place)
            whole = _digest(data)
            for part in (data, data.get("before", {})):
                part.pop("scenario", None)
            digests[name] = (_digest([data, common]), whole)
        return digests

    @cached_property
    def keys(self) -> dict[str, str]:
        """The key of each scenario."""
        return {name: key for name, (key, _) in self.digests.items()}

    def common(self) -> dict[str, Any]:
        """What all scenarios have in common."""
        return {
            "seed": self.seed,
            "engine": self.engine,
            "window": self.window,
            "window_minutes": list(self.span),
            "code": self.code,
            "libraries": self.libraries,
        }

    def described(self) -> Described:
        """As it stands in the manifest."""
        return Described(scenarios=self.keys, **self.common())
