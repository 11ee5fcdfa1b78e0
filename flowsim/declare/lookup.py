"""Settings by topic: the numbers of a place whose key, titles or evidence speak of it, and what changes each."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowsim.declare.overrides import can_be_step
from flowsim.declare.trees import value_at
from flowsim.place import PlaceError

if TYPE_CHECKING:
    from flowsim.declare.composition import Composition

_SAYS_UNIT = ("unit", "per")
_AS_ONE = {
    "beds": "bed",
    "stays": "stay",
    "staying": "stay",
    "length": "duration",
    "los": "duration",
    "long": "duration",
}
"""Words people use, and the word that keys and titles have."""


@dataclass(frozen=True)
class Setting:
    """A number of a place: its `key` and value, the titles of what it belongs to, its unit, its source with the grade,
    the range of its dial (empty where it has none), and what to `type` to set it."""

    key: str
    value: str
    titles: str
    unit: str
    source: str
    range: str
    type: str


def settings_about(composed: Composition, topic: Sequence[str]) -> list[Setting]:
    """The numbers that a topic's words fit best: those of which the most words are in the key, the titles, the unit or
    what the evidence calls them. Raises PlaceError where no word fits any, with near words."""
    words = [_plain(word) for word in topic]
    if not words:
        raise PlaceError("show settings: nothing was given; allowed: a topic, such as reablement days.")
    every = [(setting, set(_words_of(f"{setting.key} {setting.titles} {setting.unit} {quantity}")))
             for setting, quantity in _settings(composed)]  # fmt: skip
    fits = [sum(any(known.startswith(word) for known in has) for word in words) for _, has in every]
    best = max(fits, default=0)
    if best == 0:
        known = sorted({word for _, has in every for word in has})
        near = {close for word in words for close in difflib.get_close_matches(word, known, n=3, cutoff=0.6)}
        meant = f" (did you mean {', '.join(repr(word) for word in sorted(near))}?)" if near else ""
        allowed = "words that stand in keys and titles; `flowsim show config` has every key"
        raise PlaceError(f"show settings: {' '.join(topic)!r} was given; allowed: {allowed}{meant}.")
    chosen = [(setting, has) for (setting, has), fit in zip(every, fits, strict=True) if fit == best]
    in_key = [sum(word in _words_of(setting.key) for word in words) for setting, _ in chosen]
    in_unit = [bool(set(words) & set(_words_of(setting.unit))) for setting, _ in chosen]
    stay = [".duration." in setting.key for setting, _ in chosen]
    order = sorted(
        range(len(chosen)), key=lambda at: (-in_key[at], not (in_unit[at] and stay[at]), chosen[at][0].key.count("."))
    )
    return [chosen[at][0] for at in order]


def _settings(composed: Composition) -> Iterator[tuple[Setting, str]]:
    for row in composed.evidence().to_dict("records"):
        key = str(row["key"])
        path = key.split(".")[1:]
        low, high, unit = str(row["low"]), str(row["high"]), str(row["unit"])
        reach = f"{low} to {high}" if row["dial"] and low and high else ""
        unit = "" if path[-1] == "sigma" else _unit_in_place(composed.place, path) or unit
        grade = f", grade {row['grade']}" if row["grade"] else ""
        source = f"{row['source'] or 'no source'}{grade}"
        value = row["value"]
        told = f"{value:g}" if isinstance(value, float) else str(value)
        setting = Setting(
            key, told, _titles(composed.place, path), unit, source, reach, _to_type(composed.place, path, told)
        )
        yield setting, str(row["quantity"])


def _titles(tree: Mapping[str, Any], path: Sequence[str]) -> str:
    """The titles on the way to a number, the outermost first."""
    on_the_way = (value_at(tree, path[:depth]) for depth in range(1, len(path)))
    titles = [node["title"] for node in on_the_way if isinstance(node, Mapping) and isinstance(node.get("title"), str)]
    return "; ".join(dict.fromkeys(titles))


def _unit_in_place(tree: Mapping[str, Any], path: Sequence[str]) -> str:
    """What the place says beside a number or above it: days of a stay, slots of a capacity."""
    for depth in range(len(path) - 1, 0, -1):
        node = value_at(tree, path[:depth])
        said = next((node[name] for name in _SAYS_UNIT if isinstance(node, Mapping) and name in node), None)
        if isinstance(said, str):
            of_service = len(path) > 2 and path[0] in ("services", "pools") and depth == 2
            if not of_service or path[2] in ("capacity", "by_site", "by_locality", "neighbours", "blocks"):
                return said.replace("_", " ")
            return ""
    return "days" if "duration" in path and path[-1] in ("mean", "fixed", "low", "high") else ""


def _to_type(tree: Mapping[str, Any], path: Sequence[str], told: str) -> str:
    """The override that says what is there now; one for the whole table where a level cannot be typed."""
    at = next((depth for depth, step in enumerate(path) if not can_be_step(step)), len(path))
    if at == len(path):
        typed = f"place.{'.'.join(path)}={told}"
        return typed if re.fullmatch(r"[\w.=+%:@/-]*", typed) else f"'{typed}'"
    table = value_at(tree, path[:at])
    inside = ", ".join(f"{k}: {v}" for k, v in table.items() if k != "source" and not isinstance(v, Mapping | list))
    return f"'place.{'.'.join(path[:at])}={{{inside}}}'"


def _plain(word: str) -> str:
    word = word.casefold().strip(".,")
    return _AS_ONE.get(word, word)


def _words_of(text: str) -> list[str]:
    return [_plain(word) for word in re.findall(r"[^\W_]+", text)]
