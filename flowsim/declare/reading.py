"""What is refused: a raw mapping becomes a `Place`, or one sentence that says why not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from flowsim.declare.rules import check_names
from flowsim.declare.trees import is_evidence, with_likes
from flowsim.place import Place, PlaceError, nearest
from flowsim.place.refusals import shown


def read_place(raw: Mapping[str, Any], file: str = "place") -> Place:
    """Validate a mapping as read from YAML; `file` names where it came from. Raises PlaceError."""
    try:
        place = Place.model_validate(said(with_likes(raw)))
        check_names(place)
    except ValidationError as error:
        raise PlaceError(f"{file}: {explain(error, Place)}") from None
    except PlaceError as error:
        raise PlaceError(f"{file}: {error}") from None
    return place


def said(raw: Any, of: str = "") -> Any:
    """What a mapping, the one `of` a key, says of the model: without `source` keys that name evidence (evidence.py
    reads those) and without nulls, by which a file takes back what another said."""
    if not isinstance(raw, dict):
        return raw
    told = {k: v for k, v in raw.items() if v is not None and not (k == "source" and is_evidence(v, of))}
    return {k: said(v, k) for k, v in told.items()}


def explain(error: ValidationError, model: type[BaseModel], root: str = "place.") -> str:
    """The first mistake of a pydantic error in one sentence: key, what was given, what is allowed, a near name."""
    first = _first(error)
    loc = tuple(part for part in first["loc"] if not _TYPE_TAG.match(str(part)))
    key = (root + ".".join(str(part) for part in loc)).rstrip(".")
    kind = first["type"]
    if kind == "extra_forbidden":
        allowed = fields_at(model, loc[:-1])
        given = str(loc[-1])
        listing = f"; allowed: {', '.join(allowed)}" if allowed else ""
        return f"{key}: unknown key '{given}'{listing}{nearest(given, allowed)}."
    if kind == "missing":
        return f"{key}: this key is needed and was not given."
    given = shown(first["input"])
    if kind in ("value_error", "assertion_error"):
        message = first["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        if isinstance(first["input"], Mapping):
            return f"{key}: {message}." if key else f"{message}."
        return f"{key}: {given} was given; {message}."
    names = re.findall(r"'([^']*)'", str(first.get("ctx", {}).get("expected", "")))
    return f"{key}: {given} was given; allowed: {_allowed(error, loc, model)}{nearest(str(first['input']), names)}."


def _first(error: ValidationError) -> Any:
    """The first mistake; where it is a key that is missing, a near one that is unknown in its place, if there is."""
    every = error.errors()
    first = every[0]
    if first["type"] == "missing":
        *at, missing = first["loc"]
        unknown = [one for one in every if one["type"] == "extra_forbidden" and one["loc"][:-1] == tuple(at)]
        return next((one for one in unknown if nearest(str(one["loc"][-1]), [str(missing)])), first)
    return first


_TYPE_TAG = re.compile(r"^(function-|constrained-|literal\[|dict\[|list\[|tagged-|(int|float|str|bool)$)")
WHOLE = "a whole number"
_ALLOWED = {
    "int_parsing": WHOLE,
    "int_type": WHOLE,
    "int_from_float": WHOLE,
    "float_parsing": "a number",
    "float_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text (in quotes, if it looks like a number)",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of keys to values",
    "list_type": "a list",
    "tuple_type": "a list",
    "date_from_datetime_parsing": "a date such as 2024-04-01",
    "date_parsing": "a date such as 2024-04-01",
    "date_type": "a date such as 2024-04-01",
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "more than {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "less than {lt:g}",
    "literal_error": "{expected}",
    "too_short": "{min_length} entries",
    "too_long": "{max_length} entries",
}


def _allowed(error: ValidationError, loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """What may stand at a location: where several kinds may, all of them."""
    allowed = []
    bounds = _bounds(model, loc)
    for one in error.errors():
        if tuple(part for part in one["loc"] if not _TYPE_TAG.match(str(part))) == loc:
            text = _ALLOWED.get(one["type"])
            plain = one["msg"].removeprefix("Value error, ")
            words = text.format(**one.get("ctx", {})) if text else f"{plain[0].lower()}{plain[1:]}"
            allowed.append(f"{words}{bounds}" if text == WHOLE else words)
    return " or ".join(dict.fromkeys(allowed))


def fields_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys allowed at a location of a model."""
    there = _model_at(model, loc)
    return [] if there is None else [f.alias or n for n, f in there.model_fields.items()]


def _bounds(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """`` from 1 to 3660`` or ``, at least 1``: between which numbers the one at a location has to be, if it says."""
    owner = _model_at(model, loc[:-1])
    fields = {} if owner is None else {f.alias or n: f for n, f in owner.model_fields.items()}
    limits = fields[str(loc[-1])].metadata if loc and str(loc[-1]) in fields else []
    low, high = (next((getattr(m, at) for m in limits if hasattr(m, at)), None) for at in ("ge", "le"))
    return "" if low is None else f", at least {low}" if high is None else f" from {low} to {high}"


def _model_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    current: Any = model
    for part in loc:
        if isinstance(current, type) and issubclass(current, BaseModel):
            by_key = {(f.alias or n): f for n, f in current.model_fields.items()}
            current = by_key[str(part)].annotation if str(part) in by_key else None
        else:
            current = _inner(current, mapping=True)
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            inner = _inner(current, mapping=False)
            current = inner if inner is not None else current
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _inner(annotation: Any, mapping: bool) -> Any:
    """The model inside ``X | None`` (mapping=False) or the values' type of ``dict[str, X]`` (mapping=True)."""
    arguments = getattr(annotation, "__args__", ())
    origin = getattr(annotation, "__origin__", None)
    if mapping:
        if origin is dict:
            return get_args(annotation)[1]
        return next((_inner(a, True) for a in arguments if getattr(a, "__origin__", None) is dict), None)
    if origin is dict:
        return None
    return next((a for a in arguments if isinstance(a, type) and issubclass(a, BaseModel)), None)
