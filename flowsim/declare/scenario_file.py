"""A scenario's file: what it may say, and what it says of the place, in all and in each part that is switched on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flowsim.declare.layers import USER, Layer, with_totals
from flowsim.declare.reading import explain, fields_at
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


def read_scenario(name: str, content: Any, file: str) -> ScenarioFile:
    """What a scenario's file says; `file` names it to people. Raises PlaceError."""
    try:
        return ScenarioFile.model_validate(content)
    except ValidationError as error:
        raise PlaceError(f"{file}: {explain(error, ScenarioFile, f'scenario.{name}.')}") from None


def scenario_fields(loc: tuple[str, ...]) -> list[str]:
    """The keys allowed at a location below `scenario`, of which the first step is a scenario's name."""
    return fields_at(ScenarioFile, loc[1:]) if loc else []


def scenario_layers(
    name: str, scenario: ScenarioFile, file: str, by_user: Mapping[str, Mapping[str, Any]]
) -> Iterator[Layer]:
    """What a scenario says of the place, its own changes first and then its active parts.

    `by_user`, by the key of a layer, is what the user set in it and is in the scenario already: the capacities that
    follow from it are the user's, not the file's. Raises PlaceError.
    """
    parts = {f"scenario.{name}.parts.{at}.place": part for at, part in scenario.parts.items() if part.active}
    changes: dict[str, ScenarioFile | Part] = {f"scenario.{name}.place": scenario, **parts}
    for key, one in changes.items():
        if one.place:
            source = {} if one.source is None else {"source": one.source}
            raw, _ = with_totals(one.place, Layer(USER, by_user.get(key, {})))
            yield Layer(file, {**source, **raw}, key, scenario=name)


def refuse_unknown_evidence(name: str, scenario: ScenarioFile, file: str, register: Mapping[str, Any]) -> None:
    """Raises PlaceError for the first id of a scenario's evidence that the register lacks."""
    for one in scenario.evidence:
        if one not in register:
            unknown = refuse(f"scenario.{name}.evidence", one, "an id of the evidence, such as", register)
            raise PlaceError(f"{file}: {unknown}")
