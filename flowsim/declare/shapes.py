"""Where a mapping belongs and where a list: asked of what a file says of a place before anything is laid over it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from flowsim.declare.trees import is_evidence
from flowsim.place import Place, PlaceError
from flowsim.place.refusals import shown

_ELSEWHERE = {
    "run": "days=, start_date= and the like, on the command line or in config.yaml",
    "scenario": "scenario=NAME, on the command line or in config.yaml",
    "before": "a scenario, which is laid over the place",
}
"""Keys of what becomes of a place, which no file says, and what is said instead."""


def refuse_wrong_shapes(raw: Mapping[str, Any]) -> None:
    """Raises PlaceError for something else where a mapping belongs, and for what belongs elsewhere."""
    for key, instead in _ELSEWHERE.items():
        if raw.get(key) is not None:
            raise PlaceError(f"place.{key}: this key was given; allowed: {instead}.")
    _walk(raw, Place, "place")


def _walk(value: Any, annotation: Any, key: str) -> None:
    inner = _inside(annotation)
    if inner is None or value is None:
        return
    if not isinstance(value, Mapping):
        raise PlaceError(f"{key}: {shown(value)} was given; allowed: a mapping of names to values.")
    fields, others = inner
    for name, item in value.items():
        known = fields.get(name, others)
        if known is not None and not (name == "source" and is_evidence(item, key.rpartition(".")[2])):
            _walk(item, known, f"{key}.{name}")


@lru_cache(maxsize=1024)
def _inside(annotation: Any) -> tuple[dict[str, Any], Any] | None:
    """What stands in a mapping, by name and otherwise, where nothing but a mapping may stand; else None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        plain, *more = get_args(annotation)
        only_checked = all(isinstance(one, FieldInfo | AfterValidator) for one in more)
        return _inside(plain) if only_checked else None
    if origin in (Union, UnionType):
        kinds = [one for one in get_args(annotation) if one is not type(None)]
        return _inside(kinds[0]) if len(kinds) == 1 else None
    if origin is dict:
        return {}, get_args(annotation)[1]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        before = [
            one for one in annotation.__pydantic_decorators__.model_validators.values() if one.info.mode != "after"
        ]
        if before:
            return None
        return {f.alias or name: _of_field(f) for name, f in annotation.model_fields.items()}, None
    return None


def _of_field(field: FieldInfo) -> Any:
    """A field's annotation with what pydantic took out of it: a validator before it may take more than a mapping."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
