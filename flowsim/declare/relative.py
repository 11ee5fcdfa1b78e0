"""A number set by what it is now: ``+3%``, ``-10%`` or ``*1.03``, of a number or of each number in a mapping.

What could be read two ways is refused: ``+3`` (three, or three more?) and ``3%`` (a share, or so much more?).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flowsim.declare.trees import NOTHING, value_at
from flowsim.place import PlaceError

_NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"
_RELATIVE = re.compile(rf"(?:([+-])\s*{_NUMBER}\s*%|\*\s*{_NUMBER})")
_TWO_WAYS = re.compile(rf"\+\s*{_NUMBER}|{_NUMBER}\s*%")
_WORDS_IN_TABLES = ("by", "source")
"""Keys of a table of numbers that say something of it, and are no numbers."""
_CAPACITY = re.compile(r"(?:^|\.)(capacity|(by_site|by_locality|neighbours)(\.[^.]+)?)$")


def factor_of(value: Any) -> float | None:
    """What ``+3%``, ``-10%`` or ``*1.03`` multiplies by; None for any other value."""
    match = _RELATIVE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    sign, percent, times = match.groups()
    return float(times) if sign is None else 1 + (1 if sign == "+" else -1) * float(percent) / 100


def refuse_two_ways(key: str, text: str) -> None:
    """Raises PlaceError for a value (or one of several, with commas) that could be read in two ways."""
    if text.lstrip()[:1] in ("[", "{", "'", '"'):
        return
    for part in re.sub(r"^\w+\((.*)\)$", r"\1", text.strip()).split(","):
        if _TWO_WAYS.fullmatch(part.strip()):
            number = part.strip().strip("+%").strip()
            value = number if "%" not in part else f"{float(number) / 100:g}"
            allowed = f"{value} to set it, +{number}% or -{number}% to change it by so much of what it is"
            raise PlaceError(f"{key}: {part.strip()!r} was given, which could be read two ways; allowed: {allowed}.")


def changed_by(
    factor: float,
    tree: Mapping[str, Any],
    path: Sequence[str],
    key: str,
    fields: Callable[[tuple[str, ...]], list[str]],
) -> Any:
    """What is at a path of a tree, each number of it times a factor; amounts of whole beds and slots stay whole.

    Args:
        key: as the user gave it, for the refusal.
        fields: the keys that are allowed at a path: where there are any (but a table's), it is no mapping of numbers.

    Raises PlaceError where nothing is set there, or what is there is more than numbers.
    """
    now = value_at(tree, path, NOTHING)
    whole = _CAPACITY.search(".".join(path)) is not None
    if now is NOTHING or now is None:
        raise PlaceError(f"{key}: there is nothing yet to be changed by a part; allowed: a value.")
    if factor < 0:
        raise PlaceError(f"{key}: a change to less than nothing was given; allowed: -100% or less of a change.")
    if isinstance(now, Mapping) and ("by" in now or not fields(tuple(path))):
        return {
            name: value if name in _WORDS_IN_TABLES else _times(value, factor, f"{key}.{name}", whole)
            for name, value in now.items()
        }
    return _times(now, factor, key, whole)


def _times(now: Any, factor: float, key: str, whole: bool) -> Any:
    if isinstance(now, Mapping) and "by" in now:  # a table within a table
        return {n: v if n in _WORDS_IN_TABLES else _times(v, factor, f"{key}.{n}", whole) for n, v in now.items()}
    if isinstance(now, bool) or not isinstance(now, int | float):
        inside = [name for name in now if name not in _WORDS_IN_TABLES] if isinstance(now, Mapping) else []
        meant = f"one of its numbers, such as {key}.{inside[0]}" if inside else "a value"
        raise PlaceError(
            f"{key}: it is no number, nor a mapping of numbers, to be changed by a part; allowed: {meant}."
        )
    made = now * factor
    as_whole = float(now).is_integer() if whole else isinstance(now, int) and made == int(made)
    return round(made) if as_whole else round(made, 12)
