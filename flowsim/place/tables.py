"""What every declaration is made of: the frozen model that refuses unknown keys, and values by what a person is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

LEAVE = "leave"
"""The stage name that means: leaves the system."""
ALWAYS = "always"
"""The calendar name that means: never closed."""
NOT_APPLICABLE = "none"
"""The level of an attribute that does not apply to a person."""
OTHER = "other"
"""In a table by attribute: every level that has no entry of its own."""
INITIAL = "initial"
"""The level of the attribute `stream` of people who are there at the start."""


class Table:
    """A value that may depend on what a person is: a leaf, or ``{by: attribute, level: table, ..., other: table}``.

    Numbers may also be products: ``{times: {name: table, ...}}``.
    """

    __slots__ = ("by", "cells", "leaf", "times")

    def __init__(self, raw: Any, parse_leaf: Any) -> None:
        self.by: str | None = None
        self.cells: dict[str, Table] = {}
        self.times: dict[str, Table] = {}
        self.leaf: Any = None
        if isinstance(raw, Mapping) and "by" in raw:
            self.by = str(raw["by"])
            self.cells = {str(k): Table(v, parse_leaf) for k, v in raw.items() if k != "by"}
            if not self.cells:
                raise ValueError("a table needs at least one level after 'by'")
        elif isinstance(raw, Mapping) and "times" in raw:
            if not isinstance(raw["times"], Mapping) or set(raw) != {"times"}:
                raise ValueError("'times' takes a mapping of named factors and stands alone")
            self.times = {str(k): Table(v, parse_leaf) for k, v in raw["times"].items()}
        else:
            self.leaf = parse_leaf(raw)

    def leaves(self) -> Iterator[Any]:
        """Every leaf, in order."""
        if self.by is None and not self.times:
            yield self.leaf
        for cell in (*self.cells.values(), *self.times.values()):
            yield from cell.leaves()

    def nodes(self) -> Iterator[Table]:
        """This table and every table inside it."""
        yield self
        for cell in (*self.cells.values(), *self.times.values()):
            yield from cell.nodes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and (self.by, self.cells, self.times, self.leaf) == (
            other.by,
            other.cells,
            other.times,
            other.leaf,
        )

    def __hash__(self) -> int:
        return hash((self.by, str(self.leaf), tuple(self.cells), tuple(self.times)))


def number_leaf(raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise ValueError(f"{raw!r} is not a number")
    if raw != raw or raw in (float("inf"), float("-inf")):
        raise ValueError(f"{raw!r} is not a finite number")
    return float(raw)


def name_leaf(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError(f"{raw!r} is not a name (quote it if it is)")
    return raw


def share_leaf(raw: Any) -> dict[str, float]:
    if not isinstance(raw, Mapping):
        raise ValueError(f"{raw!r} is not a mapping of options to shares")
    shares = {str(k): number_leaf(v) for k, v in raw.items()}
    if any(v < 0 for v in shares.values()):
        raise ValueError(f"a share is negative in {shares}")
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise ValueError(f"the shares {shares} add to {sum(shares.values()):.6g}, not to 1")
    return shares


def table_of(parse_leaf: Any) -> Any:
    """A validator of tables whose leaves are parsed by `parse_leaf`."""
    return BeforeValidator(lambda raw: raw if isinstance(raw, Table) else Table(raw, parse_leaf))


def _not_negative(table: Table) -> Table:
    for leaf in table.leaves():
        if leaf < 0:
            raise ValueError(f"{leaf:g} is negative")
    return table


NumberTable = Annotated[Table, table_of(number_leaf)]
AmountTable = Annotated[Table, table_of(number_leaf), AfterValidator(_not_negative)]
NameTable = Annotated[Table, table_of(name_leaf)]
ShareTable = Annotated[Table, table_of(share_leaf)]
Conditions = dict[str, str | list[str]]


class Model(BaseModel):
    """Frozen; unknown keys are refused. Files may add `source` to any mapping (evidence.py reads it)."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Pydantic would read `capacity: true` as 1."""
        annotation: Any = cls.model_fields[str(info.field_name)].annotation
        inside = list(value.values()) if isinstance(value, dict) and _of_numbers(annotation) else value
        for one in inside if isinstance(inside, list) else (value,):
            if isinstance(one, bool) and annotation is not bool:
                raise ValueError(f"{one} is neither a number nor a name here (in quotes it is text)")
        return value


@lru_cache(maxsize=512)
def _of_numbers(annotation: Any) -> bool:
    """May a mapping stand here, of names to numbers and of nothing else?"""
    if get_origin(annotation) is dict:
        return "float" in str(get_args(annotation)[1]) or "int" in str(get_args(annotation)[1])
    return any(_of_numbers(one) for one in get_args(annotation))


Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]
