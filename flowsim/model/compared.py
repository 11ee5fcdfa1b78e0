"""How each field of `Network` is compared when two runs may share their beginning (engine/branch.py).

Two scenarios are one run until the minute in which anything differs that a run reads. Which part of a field a run has
read by then is said where the field is declared, as one of these; a field that says nothing is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_type_hints


@dataclass(frozen=True)
class InWhole:
    """All of it, for it decides what every minute means; or one `part` of it, by name."""

    part: str = ""


@dataclass(frozen=True)
class InOrder:
    """Names of services: those both runs have are matched by name, and stand in the same order.

    In that order services accept, and whoever is accepted first may take what the next has waited for.
    """


@dataclass(frozen=True)
class ByService:
    """A value of each service that both runs have; with `each`, one of every day or week that has begun by then."""

    each: Literal["", "day", "week"] = ""


@dataclass(frozen=True)
class ByOpenings:
    """A calendar of each service that both runs have: open in the same minutes until then, whatever its number."""


@dataclass(frozen=True)
class Until:
    """A column of what happens at fixed minutes: those entries whose minute has come by then.

    Attributes:
        minute: the column with the minutes.
        through: the column by which these entries name a line of this one, where there is such a column.
        names_service: it holds services, which are compared by what they are called.
        only: the column of services where only entries of services that both runs have count. What befalls a service
            that one run has alone is of no consequence: nobody who came by then has it on their way.
    """

    minute: str
    through: str = ""
    names_service: bool = False
    only: str = ""


@dataclass(frozen=True)
class NotAtAll:
    """Never, because of what `why` says."""

    why: str


Way = InWhole | InOrder | ByService | ByOpenings | Until | NotAtAll


def ways_of_comparing(kind: type) -> dict[str, Way]:
    """What each field of a dataclass declares, as ``Annotated[type, way]``. Raises TypeError for one that does not."""
    hints = get_type_hints(kind, include_extras=True)
    ways: dict[str, Way] = {}
    for field in fields(kind):
        declared = [one for one in getattr(hints[field.name], "__metadata__", ()) if isinstance(one, Way)]
        if len(declared) != 1:
            raise TypeError(
                f"{kind.__name__}.{field.name}: {len(declared)} ways were given to compare it when runs share their "
                "beginning; allowed: one of model/compared.py"
            )
        ways[field.name] = declared[0]
    return ways
