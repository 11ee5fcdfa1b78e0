"""The grammar of overrides (``key=value``, as on the command line): what each sets, and what a sweep varies."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    Override,
    Quote,
    QuotedString,
    RangeSweep,
    Sweep,
)
from hydra.errors import HydraException

from flowsim.declare.limits import limits
from flowsim.declare.paths import has_path, values_of
from flowsim.declare.paths import in_quotes as paths_in_quotes
from flowsim.declare.relative import changed_by, factor_of, refuse_two_ways
from flowsim.declare.trees import put, take_away, with_text_keys
from flowsim.declare.yaml_and_csv import options
from flowsim.place import PlaceError, nearest, refuse
from flowsim.place.refusals import listed

AS_IT_STANDS = ("address", "census", "config", "counts", "out", "table", "to")
"""Keys whose value is the name of a file or a folder, or an address: no grammar looks into it."""
OF_NAMES = ("scenario", "place", "scenarios")
"""Keys whose values are names of files, each a name as it is written: 2026_27, 1e3, true."""
_NAMED = re.compile(rf"(\+{{0,2}}(?:{'|'.join(AS_IT_STANDS)}))=(.*)", re.DOTALL)
_PREFIX = re.compile(r"(~|\+{0,2})(.*)", re.DOTALL)
_STEP = r"[\w+%£&<>≤≥$/:@-]+"
_KEY = re.compile(rf"[A-Za-z_][\w/:@$-]*(?:\.{_STEP}(?: {_STEP})*)*")
_QUOTED = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)
_INNER_KEY = re.compile(r"([{,]\s*)([^\s{}\[\],:'\"()]+)(?=\s*:)")
_MARK = "k__"
"""Before a key inside braces, so that Hydra takes it for text: 85, 1e3, true."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_OF_NO_USE = {
    "shuffle": "the values, in an order of your own",
    "extend_list": "the whole list, in square brackets",
}
"""Words of Hydra's that are refused, and what is allowed instead."""


def parse(overrides: Sequence[str], several: bool = False) -> list[Override]:
    """Overrides in Hydra's grammar; names of files as they stand, or (`several`) as values with commas where they can
    be. Raises PlaceError for one that cannot be read."""
    parsed = []
    for text in overrides:
        _refuse_too_much(text)
        one = _read_override(text, several)
        if top_of(one) in ("place", "scenario") and one.key_or_group not in OF_NAMES:
            refuse_two_ways(one.key_or_group, text.partition("=")[2])
        parsed.append(one)
    return parsed


def is_key(text: str) -> bool:
    """Can it stand before the equals sign, with ``+`` or without?"""
    prefix, key = _PREFIX.fullmatch(text).groups()  # type: ignore[union-attr]
    return prefix != "~" and "@" not in key and _KEY.fullmatch(_without_quotes(key)) is not None


def can_be_step(text: str) -> bool:
    """Can it stand between the dots of a key?"""
    return re.fullmatch(rf"{_STEP}(?: {_STEP})*", text) is not None


def _refuse_too_much(text: str) -> None:
    """What would be expanded, or could not be printed, is refused before Hydra sees it."""
    most, key = limits(), text.partition("=")[0][:60]
    if len(text) > most.letters:
        raise PlaceError(f"{key}: a setting of {len(text):,} letters was given; allowed: {most.more('letters')}.")
    if match := _CONTROL.search(text):
        raise PlaceError(f"{key!a}: the letter {match[0]!a} was given, which cannot be printed; allowed: plain text.")
    depth = deepest = 0
    for letter in _QUOTED.sub("", text):
        depth += (letter in "([{") - (letter in ")]}")
        deepest = max(deepest, depth)
    if deepest > most.nesting:
        raise PlaceError(f"{key}: brackets stand in one another too deep; allowed: {most.more('nesting')}.")
    if re.search(rf"[\d_]{{{most.digits + 1}}}", _QUOTED.sub("", text)) and not _NAMED.fullmatch(text):
        raise PlaceError(f"{key}: a number of too many digits was given; allowed: {most.more('digits')}.")


def _read_override(text: str, several: bool) -> Override:
    prefix, rest = _PREFIX.fullmatch(text).groups()  # type: ignore[union-attr]
    key, equals, value = rest.partition("=")
    key = _without_quotes(key)
    if "@" in key:
        raise PlaceError(f"{text!r} was given; allowed: key=value, without @package.")
    of_group = "/" in key.split(".")[0] and key.split("/")[0] in OF_NAMES
    if not _KEY.fullmatch(key) or not (equals or prefix == "~") or of_group:
        raise _unreadable(text)
    is_file = key in AS_IT_STANDS
    if has_path(text):
        value = paths_in_quotes(text).partition("=")[2]
    if "${" in value and not is_file:
        raise PlaceError(f"{key}: {value[:60]!r} was given; allowed: a value as it is; ${{...}} stands in files only.")
    for form in (value, _file_quoted(value)) if several and is_file else (_file_quoted(value) if is_file else value,):
        prepared = form if is_file else _prepared(key, form)
        with contextlib.suppress(HydraException, ValueError, ArithmeticError, RecursionError):
            # the key is no matter of Hydra's grammar, which has no 85+ and 75_and_over
            one = OverridesParser.create().parse_override(f"{prefix}k{equals}{prepared}")
            one.key_or_group, one.input_line = key, text
            one._value = _unmarked(one._value)
            return one
    raise _unreadable(text)


def _without_quotes(key: str) -> str:
    """A key in which a step may stand in quotes: ``place.x.rate.'85+'``."""
    return re.sub(r"""(?<=\.)(['"])([^'".]*)\1(?=\.|$)""", r"\2", key)


def _file_quoted(value: str) -> str:
    """The name of a file in quotes, if it has none yet."""
    value = value.strip()
    if value in ("", "null") or (len(value) > 1 and value[0] == value[-1] and value[0] in "'\""):
        return value
    return in_quotes(value)


def in_quotes(value: str) -> str:
    """Text in quotes as Hydra reads it."""
    return QuotedString(text=value, quote=Quote.single).with_quotes()


def _prepared(key: str, value: str) -> str:
    """A value for Hydra's grammar: names in quotes, keys inside braces marked as text, and ranges that shall be sorted
    as their values, for Hydra's own sorting of a range leaves some out and puts others in."""
    for word, allowed in _OF_NO_USE.items():
        if re.search(rf"\b{word}\s*\(", _QUOTED.sub("''", value)):
            raise PlaceError(f"{key}: {value[:60]!r} was given; allowed: {allowed}.")
    if key in OF_NAMES:
        return _names_quoted(value.strip())
    if "{" in value:
        parts = _QUOTED.split(value)  # what is in quotes is every second
        parts[::2] = [_INNER_KEY.sub(rf"\1{_MARK}\2", part) for part in parts[::2]]
        value = "".join(parts)
    if re.match(r"\s*sort\s*\(", value):
        value = re.sub(r"range\s*\([^()]*\)", lambda match: ",".join(_range_written(key, match[0])), value)
    return value


def _names_quoted(value: str) -> str:
    """Names of files in quotes: alone, with commas, in square brackets, or in ``choice()`` and ``sort()``."""
    inner = re.fullmatch(r"(\s*(?:\[|choice\s*\(|sort\s*\()?)(.*?)([\])]?\s*)", value, re.DOTALL)
    if inner is None or re.match(r"\s*\w+\s*\(", inner[2]) or set("[](){}") & set(_QUOTED.sub("", inner[2])):
        return value
    parts = _QUOTED.split(inner[2])
    if len(parts) > 1:  # some are in quotes already: commas count outside them only
        parts[::2] = [
            re.sub(r"[^,\s][^,]*", lambda match: _name_quoted(match[0]), part) if part.strip(" ,") else part
            for part in parts[::2]
        ]
        return f"{inner[1]}{''.join(parts)}{inner[3]}"
    return f"{inner[1]}{','.join(_name_quoted(name) for name in inner[2].split(','))}{inner[3]}"


def _name_quoted(name: str) -> str:
    name = name.strip()
    return name if not name or re.match(r"reverse\s*=", name) else in_quotes(name)


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        return {_unmarked_key(key): _unmarked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if isinstance(value, ChoiceSweep):
        value.list = _unmarked(value.list)
    return value


def _unmarked_key(key: Any) -> str:
    return str(key).removeprefix(_MARK)


def _unreadable(text: str) -> PlaceError:
    """What to type instead of an override that cannot be read."""
    key, equals, value = text.partition("=")
    shown = f"{text[:80]!r}{'...' if len(text) > 80 else ''}"
    if not equals and not text.startswith("~"):
        groups = [group for group in ("scenario", "place") if set(text.split("+")) <= options(group).keys()]
        meant = f", such as {groups[0]}={text}" if groups else ""
        return PlaceError(f"{shown} was given; allowed: key=value{meant}.")
    if not _KEY.fullmatch(_without_quotes(key.lstrip("+~"))):
        return PlaceError(f"{shown} was given; allowed: key=value, such as days=90.")
    if re.match(r"\s*(range|choice|glob|interval|sort|tag|int|float|str|bool|json_str)\s*\(", value):
        allowed = "values with commas, choice(a,b), range(START,STOP,STEP), interval(LOW,HIGH), glob(*) or sort(b,a)"
    elif value.lstrip()[:1] in ("[", "{"):
        allowed = "[a, b] or {key: value}, each bracket closed and words with odd characters in single quotes"
    else:
        allowed = f'the value in single quotes inside: "{key}={in_quotes(value[:80])}"'
    given = f"{value[:80]!r}{'...' if len(value) > 80 else ''}"
    return PlaceError(f"{key}: {given} was given, which cannot be read; allowed: {allowed}.")


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
    runs, most = math.prod(len(one) for one in texts), limits()
    if runs > most.points:
        raise PlaceError(f"{runs:,} runs were asked for; allowed: {most.more('points')}.")
    return list(product(*texts))


def _dimension(one: Override, scenarios_dir: str | Path | None) -> Dimension:
    key, value = one.get_key_element(), one.value()
    if isinstance(value, IntervalSweep):
        if value.start is None or value.end is None or not -math.inf < value.start < value.end < math.inf:
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
    if isinstance(value, RangeSweep):
        values = _range_values(key, str(one.input_line), value)
    elif isinstance(value, ChoiceSweep) and any(isinstance(each, Sweep | Glob) for each in value.list):
        allowed = "one of range(), glob() and the like, or values"
        raise PlaceError(f"{key}: {one.input_line!r} was given; allowed: {allowed}.")
    else:
        values = tuple(str(text) for text in one.sweep_string_iterator())
    if key in OF_NAMES:
        values = tuple(text[1:-1] if text[:1] in ("'", '"') else text for text in values)
    if not values:
        raise PlaceError(f"{key}: {one.input_line!r} was given, which has no values; the end of a range is left out.")
    return Dimension(key, values)


def _range_written(key: str, text: str) -> tuple[str, ...]:
    """The values of a ``range()`` within another word."""
    (one,) = parse([f"k={text}"])
    value = one.value()
    if not isinstance(value, RangeSweep):
        raise _unreadable(f"{key}={text}")
    return _range_values(key, text, value)


def _range_values(key: str, given: str, value: RangeSweep) -> tuple[str, ...]:
    """The values of a range, counted first: from START in steps, without STOP, as Hydra has it; worked out in decimals,
    so that 0.1 + 0.1 + 0.1 is no less than 0.3."""
    start, stop, step = (Decimal(str(number)) for number in (value.start, value.stop, value.step))
    if not (start.is_finite() and stop.is_finite() and step.is_finite()) or step == 0:
        allowed = "range(START,STOP,STEP) with numbers, and a STEP that is not 0"
        raise PlaceError(f"{key}: {given!r} was given; allowed: {allowed}.")
    number, most = max(0, math.ceil((stop - start) / step)), limits()
    if number > most.points:
        raise PlaceError(f"{key}: {given!r} was given, which has {number:,} values; allowed: {most.more('points')}.")
    values = (start + step * at for at in range(number))
    return tuple(f"{float(one):.12g}" if abs(one) < 10**12 else str(one) for one in values)


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
        there = f"{key}: there is no '{part}'; allowed: {listed(names) or 'nothing yet'}{nearest(part, names)}"
        return PlaceError(f"{there}; +{one.key_or_group}=... adds a new one.")
    return None
