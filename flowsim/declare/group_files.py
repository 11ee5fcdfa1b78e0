"""What a file of a group (`place`, `scenario`) may say beside its content: where it belongs, and which it builds on.

Hydra would take far more (`# @package`, overrides of other groups), silently; here all but two things is refused: a
scenario may name those it builds on (``defaults: [one, another]``), and set what is in their files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flowsim.declare.yaml_and_csv import read_file
from flowsim.place import PlaceError, refuse

DEFAULTS = "defaults"
SELF = "_self_"
GLOBAL = "_global_"
SCENARIO = "scenario"
_NAME = re.compile(r"\w[\w.%£&~ -]*")
OF_STACKS = (DEFAULTS, SCENARIO)
"""All that a file has which belongs nowhere but sets what is in others' files."""


def with_those_below(group: str, names: Sequence[str], files: Mapping[str, Path]) -> list[str]:
    """These files of a group and all that they build on, each checked. Raises PlaceError, naming file and line."""
    every: list[str] = []
    for name in names:
        if name not in files:
            raise refuse(group, name, f"a file in scenarios/{group}/:", files)
        _add(group, name, files, (), every)
    return every


def _add(group: str, name: str, files: Mapping[str, Path], above: tuple[str, ...], every: list[str]) -> None:
    path = files[name]
    if not _NAME.fullmatch(name):
        allowed = "a file named by letters, digits, '_', '-' and '.'"
        raise PlaceError(f"{path}: {group}: {name!r} was given as a name; allowed: {allowed}.")
    if name in every:
        by = f"{files[above[-1]]}: " if above else ""
        told = f"{name!r} is laid over the place twice, itself and through another that builds on it"
        raise PlaceError(f"{by}{group}: {told}; allowed: each file once.")
    builds_on = checked(group, name, path, files)
    if "." in name and (above or builds_on):
        allowed = "a name without '.' in a stack, for keys have it between their parts"
        raise PlaceError(f"{path}: {group}: {name!r} was given as a name; allowed: {allowed}.")
    for below in builds_on:
        if below in (*above, name):
            circle = " -> ".join((*above, name, below))
            where = f"{path}{read_file(path).where((DEFAULTS,))}"
            raise PlaceError(f"{where}: {DEFAULTS}: {circle} builds on itself; allowed: no circle.")
        _add(group, below, files, (*above, name), every)
    every.append(name)


def refuse_other_keys(main: Path) -> None:
    """Raises PlaceError, naming file and line, for what `config.yaml` would say to Hydra beside what is composed."""
    document = read_file(main)
    if document.package is not None:
        raise PlaceError(f"{main}, line 1: '# @package' was given; allowed: no such line, its keys stand at the top.")
    if "hydra" in document.content:
        where = f"{main}{document.where(('hydra',))}"
        raise PlaceError(f"{where}: hydra: this key was given; allowed: the keys that `flowsim show config` shows.")
    listed, where = document.content.get(DEFAULTS), f"{main}{document.where((DEFAULTS,))}"
    for one in listed if isinstance(listed, list) else [listed]:
        named = one.values() if isinstance(one, dict) else ()
        names = [name for value in named for name in (value if isinstance(value, list) else [value])]
        if one != SELF and not (isinstance(one, dict) and len(one) == 1 and all(isinstance(n, str) for n in names)):
            raise refuse(f"{where}: {DEFAULTS}", one, "a list of 'place: NAME', 'scenario: NAME' and '_self_'")
        if isinstance(one, dict) and not set(one) <= {"place", SCENARIO}:
            raise refuse(f"{where}: {DEFAULTS}", next(iter(one)), "one of", ("place", SCENARIO))


def checked(group: str, name: str, path: Path, files: Mapping[str, Path]) -> list[str]:
    """The files that one builds on. Raises PlaceError where its heading or its list says what is not allowed."""
    document = read_file(path)
    _check_package(group, name, path)
    if DEFAULTS not in document.content:
        return []
    listed, where = document.content[DEFAULTS], f"{path}{document.where((DEFAULTS,))}"
    allowed = f"a list of files in scenarios/{group}/, such as [one, another]"
    if not isinstance(listed, list):
        raise refuse(f"{where}: {DEFAULTS}", listed, allowed)
    below = [one for one in listed if one != SELF]
    for one in below:
        if not isinstance(one, str):
            raise refuse(f"{where}: {DEFAULTS}", one, allowed)
        if one not in files:
            raise refuse(f"{where}: {DEFAULTS}", one, f"a file in scenarios/{group}/:", files)
    if len(set(below)) < len(below) or listed.count(SELF) > 1:
        raise refuse(f"{where}: {DEFAULTS}", listed, "each only once")
    return below


def _check_package(group: str, name: str, path: Path) -> None:
    """Where a file says it belongs, it belongs."""
    document = read_file(path)
    given, own = document.package, f"{SCENARIO}.{name}" if group == SCENARIO else group
    if given in (None, own):
        return
    if given == GLOBAL and group == SCENARIO and _sets_others(name, document.content):
        return
    told = f"the heading '# @package {given}'".rstrip() if given else "the heading '# @package'"
    raise PlaceError(f"{path}, line 1: {told} was given; allowed: '# @package {own}', or no such line.")


def _sets_others(name: str, content: Mapping[str, Any]) -> bool:
    """Is a file a stack that says what it is and sets what is in the files it builds on, and nothing else?"""
    listed, others = content.get(DEFAULTS), content.get(SCENARIO)
    return (
        set(content) == set(OF_STACKS)
        and isinstance(listed, list)
        and isinstance(others, dict)
        and set(others) <= {name, *(one for one in listed if isinstance(one, str))}
    )
