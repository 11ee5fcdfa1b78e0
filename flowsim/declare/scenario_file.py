"""A scenario's file: what it may say, and what it says of the place, in all and in each part that is switched on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flowsim.declare.layers import USER, Layer, refuse_shapes, with_totals
from flowsim.declare.reading import explain, fields_at
from flowsim.declare.yaml_and_csv import read_file
from flowsim.place import PlaceError, refuse


class Part(BaseModel):
    """A switch of a scenario: some of its changes, on or off."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: str = ""
    active: bool = True
    place: dict[str, Any] = Field(default_factory=dict)
    source: str | dict[str, str] | None = None


class ScenarioFile(BaseModel):
    """What a file under scenarios/scenario/ may say."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: str
    rationale: str = ""
    for_whom: str = ""
    evidence: dict[str, str] = Field(default_factory=dict)
    place: dict[str, Any] = Field(default_factory=dict)
    parts: dict[str, Part] = Field(default_factory=dict)
    source: str | dict[str, str] | None = None


def read_scenario(name: str, content: Any, file: str, path: Path) -> ScenarioFile:
    """What a scenario's file at `path` says; `file` names it to people. Raises PlaceError."""
    try:
        return ScenarioFile.model_validate(content)
    except ValidationError as error:
        told = explain(error, ScenarioFile, f"scenario.{name}.")
        inside = told.split(": ", 1)[0].split(".")[2:]
        raise PlaceError(f"{file}{read_file(path).where(inside)}: {told}") from None


def scenario_fields(loc: tuple[str, ...]) -> list[str]:
    """The keys allowed at a location below `scenario`, of which the first step is a scenario's name."""
    return fields_at(ScenarioFile, loc[1:]) if loc else []


def scenario_layers(
    name: str, scenario: ScenarioFile, file: str, by_user: Mapping[str, Mapping[str, Any]], path: Path | None = None
) -> Iterator[Layer]:
    """What a scenario says of the place, its own changes first and then its active parts.

    `by_user`, by the key of a layer, is what the user set in it and is in the scenario already: the capacities that
    follow from it are the user's, not the file's; `path` is where the file is. Raises PlaceError.
    """
    parts = {f"scenario.{name}.parts.{at}.place": part for at, part in scenario.parts.items() if part.active}
    changes: dict[str, ScenarioFile | Part] = {f"scenario.{name}.place": scenario, **parts}
    for key, one in changes.items():
        if one.place:
            source = {} if one.source is None else {"source": one.source}
            said = Layer(file, one.place, key, scenario=name, file=path)
            refuse_shapes(said)
            raw, _ = with_totals(one.place, Layer(USER, by_user.get(key, {})))
            yield replace(said, raw={**source, **raw})


def refuse_unknown_evidence(
    name: str, scenario: ScenarioFile, file: str, path: Path, register: Mapping[str, Any]
) -> None:
    """Raises PlaceError for the first id of a scenario's evidence that the register lacks."""
    for one in scenario.evidence:
        if one not in register:
            unknown = refuse(f"scenario.{name}.evidence", one, "an id of the evidence, such as", register)
            raise PlaceError(f"{file}{read_file(path).where(('evidence', one))}: {unknown}")
