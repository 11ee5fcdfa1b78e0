"""The grammar of overrides (``key=value``, as on the command line): what each sets, and what a sweep varies."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, Override, Quote, QuotedString, RangeSweep
from hydra.errors import HydraException

from flowsim.declare.paths import has_path, in_quotes, values_of
from flowsim.declare.relative import changed_by, factor_of, refuse_two_ways
from flowsim.declare.trees import put, take_away, with_text_keys
from flowsim.declare.yaml_and_csv import options
from flowsim.place import PlaceError, nearest, refuse

AS_IT_STANDS = ("address", "census", "config", "counts", "out", "table", "to")
"""Keys whose value is the name of a file or a folder, or an address: no grammar looks into it."""
_NAMED = re.compile(rf"(\+{{0,2}}(?:{'|'.join(AS_IT_STANDS)}))=(.*)", re.DOTALL)
_KEY = re.compile(r"[~+]{0,2}[A-Za-z_][\w.@/:]*")


def parse(overrides: Sequence[str], several: bool = False) -> list[Override]:
    """Overrides in Hydra's grammar; names of files as they stand, or (`several`) as values with commas where they can
    be. Raises PlaceError for one that cannot be read."""
    parsed = []
    for text in overrides:
        one = _read_override(text, several)
        if one.package is not None:
            raise PlaceError(f"{text!r} was given; allowed: key=value, without @package.")
        if top_of(one) in ("place", "scenario"):
            refuse_two_ways(one.key_or_group, text.partition("=")[2])
        parsed.append(one)
    return parsed


def _read_override(text: str, several: bool) -> Override:
    given = in_quotes(text) if has_path(text) else text
    for form in (given, _quoted(given)) if several else (_quoted(given),):
        with contextlib.suppress(HydraException):
            one = OverridesParser.create().parse_override(form)
            one.input_line = text
            if one.key_or_group:
                return one
    raise _unreadable(text)


def _quoted(text: str) -> str:
    """An override with quotes round the name of a file that has none yet."""
    named = _NAMED.fullmatch(text)
    value = named[2].strip() if named else ""
    if named is None or value in ("", "null") or (len(value) > 1 and value[0] == value[-1] and value[0] in "'\""):
        return text
    return f"{named[1]}={_in_quotes(value)}"


def _in_quotes(value: str) -> str:
    return QuotedString(text=value, quote=Quote.single).with_quotes()


def _unreadable(text: str) -> PlaceError:
    """What to type instead of an override that cannot be read."""
    key, equals, value = text.partition("=")
    if not equals and not text.startswith("~"):
        groups = [group for group in ("scenario", "place") if set(text.split("+")) <= options(group).keys()]
        meant = f", such as {groups[0]}={text}" if groups else ""
        return PlaceError(f"{text!r} was given; allowed: key=value{meant}.")
    if not _KEY.fullmatch(key):
        return PlaceError(f"{text!r} was given; allowed: key=value, such as days=90.")
    if value.lstrip()[:1] in ("[", "{"):
        allowed = "[a, b] or {key: value}, each bracket closed and words with odd characters in single quotes"
    else:
        allowed = f'the value in single quotes inside: "{key}={_in_quotes(value)}"'
    return PlaceError(f"{key}: {value!r} was given, which cannot be read; allowed: {allowed}.")


def single_value(one: Override) -> Any:
    """The value of an override that is no sweep; raises PlaceError for one that is."""
    if one.is_sweep_override():
        allowed = "one value, or `flowsim run -m` for a run of each, `flowsim sweep` to compare them"
        if one.key_or_group == "scenarios":
            allowed = "a list, in square brackets and quotes: 'scenarios=[a,b]'"
        raise PlaceError(f"{one.key_or_group}: {one.input_line!r} was given; allowed: {allowed}.")
    if has_path(str(one.input_line)):
        raise PlaceError(f"{one.key_or_group}: {one.input_line!r} was given; allowed: a path with `flowsim sweep`.")
    return one.value()


def value_of(one: Override) -> Any:
    """What an override sets, with keys as text; None for one that takes away."""
    return None if one.is_delete() else with_text_keys(single_value(one))


def factor(one: Override) -> float | None:
    """What it multiplies by, where it says ``+3%``, ``-10%`` or ``*1.03`` of what is there; None for a plain value."""
    return None if one.is_delete() or one.is_sweep_override() else factor_of(one.value())


def names_of(one: Override) -> list[str]:
    """The options of a group: ``a``, ``[a,b]`` or ``a+b``."""
    if one.is_delete() or one.value_type is None:
        raise PlaceError(f"{one.key_or_group}: {one.input_line!r} was given; allowed: {one.key_or_group}=NAME.")
    value = single_value(one)
    values = value if isinstance(value, list) else [value]
    return [part.strip() for item in values for part in str(item).split("+")]


def top_of(one: Override) -> str:
    """The first step of its key: `place` of ``place.services.reablement.capacity``."""
    return one.key_or_group.split(".")[0].split("/")[0]


# ---------------------------------------------------------------------------------------------------------------------
# What varies


@dataclass(frozen=True)
class Dimension:
    """A setting that is varied: the values it takes, or the ends between which a design chooses them.

    Attributes:
        key: as it stands before the equals sign, with its ``+`` where it has one.
        values: each as it stands after the equals sign; empty for an interval.
        ends: lowest and highest of an interval.
        whole: of an interval: only whole numbers are meant (True, by ``int()``), or any (False, by an end with a
            point); None: as the setting is now.
        by_year: its values are those of one year after the other, see `paths`.
    """

    key: str
    values: tuple[str, ...] = ()
    ends: tuple[float, float] | None = None
    whole: bool | None = None
    by_year: bool = False


def dimensions(
    overrides: Sequence[str], scenarios_dir: str | Path | None = None, several: bool = False
) -> tuple[tuple[Dimension, ...], tuple[str, ...]]:
    """What overrides vary, in Hydra's grammar (``a,b``, ``choice()``, ``range()``, ``glob()``, ``interval()``) or by a
    ``path()``, and the other overrides; with `several` names of files may vary too. Raises PlaceError for what cannot
    be read."""
    varied, fixed = [], []
    for text, one in zip(overrides, parse(overrides, several), strict=True):
        if has_path(text):
            varied.append(Dimension(one.get_key_element(), values_of(text), by_year=True))
        elif one.is_sweep_override():
            varied.append(_dimension(one, scenarios_dir))
        else:
            fixed.append(text)
    return tuple(varied), tuple(fixed)


def sweep(overrides: Sequence[str], scenarios_dir: str | Path | None = None) -> list[tuple[str, ...]]:
    """Every combination of the values of overrides such as ``seed=1,2``, the last one running fastest."""
    texts = []
    for text in overrides:
        varied, fixed = dimensions([text], scenarios_dir, several=True)
        for one in varied:
            if one.ends is not None:
                allowed = "values with commas, choice(), range() or glob()"
                raise PlaceError(f"{one.key}: {text!r} was given; allowed: {allowed}.")
        texts.append(list(fixed) or [f"{one.key}={value}" for one in varied for value in one.values])
    return list(product(*texts))


def _dimension(one: Override, scenarios_dir: str | Path | None) -> Dimension:
    key, value = one.get_key_element(), one.value()
    if isinstance(value, IntervalSweep):
        if value.start is None or value.end is None or not value.start < value.end:
            raise PlaceError(f"{key}: {one.input_line!r} was given; allowed: interval(LOW, HIGH), the lower end first.")
        written = str(one.input_line).split("=", 1)[1]
        whole = True if isinstance(value.start, int) else False if re.search(r"\d[.eE]|\.\d", written) else None
        return Dimension(key, ends=(float(value.start), float(value.end)), whole=whole)
    if isinstance(value, Glob):
        files = options(one.key_or_group, scenarios_dir)
        values = tuple(value.filter(sorted(files)))
        if not values:
            raise refuse(
                key, str(one.input_line), f"a pattern that fits a file in scenarios/{one.key_or_group}/:", files
            )
        return Dimension(key, values)
    texts = (str(text) for text in one.sweep_string_iterator())
    values = tuple(f"{float(text):.12g}" if isinstance(value, RangeSweep) else text for text in texts)
    if not values:
        raise PlaceError(f"{key}: {one.input_line!r} was given, which has no values; the end of a range is left out.")
    return Dimension(key, values)


# ---------------------------------------------------------------------------------------------------------------------
# What is set in a tree


def set_in(
    tree: dict[str, Any],
    one: Override,
    root: str,
    fields: Callable[[tuple[str, ...]], list[str]],
    known: Mapping[str, Any] | None = None,
) -> PlaceError | None:
    """Set, add or take away one key of a tree in place, or change it by a part of what is there (`known`, which is the
    tree with what it takes from elsewhere); returns what is wrong with the key, if anything."""
    path = tuple(one.key_or_group.split(".")[1:])
    value, times = value_of(one), factor(one)
    there = tree if known is None else known
    error = _unknown_key(path, there, one, root, fields)
    if error is not None:
        return error
    if one.is_delete():
        take_away(tree, path)
    else:
        put(tree, path, value if times is None else changed_by(times, there, path, one.key_or_group, fields))
    return None


def _unknown_key(
    path: tuple[str, ...], tree: Any, one: Override, root: str, fields: Callable[[tuple[str, ...]], list[str]]
) -> PlaceError | None:
    node = tree
    for depth, part in enumerate(path):
        key = ".".join((root, *path[: depth + 1]))
        if isinstance(node, list):
            if not part.isdigit() or int(part) >= len(node):
                return refuse(key, part, f"a number from 0 to {len(node) - 1}")
            node = node[int(part)]
            continue
        if isinstance(node, Mapping) and part in node:
            node = node[part]
            continue
        allowed = fields(path[:depth])
        if allowed:
            if part not in allowed:
                return refuse(key, part, "one of", allowed)
            node = {}
            continue
        if not isinstance(node, Mapping):
            parent = ".".join((root, *path[:depth]))
            return PlaceError(
                f"{key}: {one.input_line!r} was given; allowed: {parent}=VALUE, there is nothing below it."
            )
        if one.is_add() or one.is_force_add():
            return None
        names = list(node)
        if root == "scenario" and depth == 0:
            return PlaceError(
                f"{key}: this scenario takes no part here; allowed: {', '.join(names)}{nearest(part, names)}."
            )
        listed = f"{', '.join(names[:12])}{', ...' if len(names) > 12 else ''}" or "nothing yet"
        there = f"{key}: there is no '{part}'; allowed: {listed}{nearest(part, names)}"
        return PlaceError(f"{there}; +{one.key_or_group}=... adds a new one.")
    return None
