"""Every key that a place may say stands on the page that says what can be declared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import flowsim.place
from flowsim.place import Place, Run, ScenarioInfo
from flowsim.place.tables import Model

PAGE = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
DECLARED = PAGE[PAGE.index("## What can be declared") :]
CODE = " ".join(re.findall(r"```yaml\n.*?```|`[^`\n]+(?:\n[^`\n]+)?`", DECLARED, flags=re.DOTALL))
NOT_DECLARED = {Run, ScenarioInfo}
"""Settings of a run are in `config.yaml`, and what a scenario says of itself in its file."""
MADE = {(Place, "run"), (Place, "scenario"), (Place, "before")}


def types(model: type[Model] = Model) -> Iterator[type[Model]]:
    for inner in model.__subclasses__():
        if inner.__module__.startswith(flowsim.place.__name__):
            yield inner
        yield from types(inner)


KEYS = sorted(
    {
        (model.__name__, info.alias or name)
        for model in types()
        if model not in NOT_DECLARED
        for name, info in model.model_fields.items()
        if (model, name) not in MADE
    }
)


@pytest.mark.parametrize(("model", "key"), KEYS)
def test_a_key_stands_on_the_page(model: str, key: str) -> None:
    assert re.search(rf"(?<![\w]){key}(?![\w])", CODE), f"`{key}` of {model} is nowhere in docs/architecture.md"


def test_all_types_are_looked_at() -> None:
    names = {model for model, _ in KEYS}
    assert {"Place", "Stream", "Daily", "OperatingList", "Distribution", "Empirical", "Initial", "Shock"} <= names
