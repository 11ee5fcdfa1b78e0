"""What a verb of the command line is, exit codes, and the reading of words that verbs share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsim.place import PlaceError, refuse

if TYPE_CHECKING:
    from flowsim.declare.settings import Configured
    from flowsim.folder.result import Result

MISTAKE = 2
"""Exit code of everything the user can put right: refused before anything ran."""
FAILED = 1
INTERRUPTED = 130
PRECISION = ("precision", "precision_of", "budget", "most")
"""Keys of verbs that run replications until they are enough."""

DETAIL = "detail"
"""Key of verbs that print a report: the answer on one screen, or all."""


@dataclass(frozen=True)
class Verb:
    """A verb of the command line; each stands as `VERB` in the file of its name.

    Attributes:
        do: what it does with the words after it; returns the exit code. Heavy imports stand in it, not above it.
        line: what `flowsim --help` says of it.
        help: what `flowsim VERB --help` prints.
        keys: keys it has besides those of config.yaml.
        refused: keys of config.yaml that mean nothing to it.
        flags: words it has that begin with a dash.
        overrides: are its words with ``=`` overrides? Else it reads all of them itself.
    """

    do: Callable[[list[str]], int]
    line: str
    help: str
    keys: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    overrides: bool = True


def take(overrides: list[str], *names: str) -> tuple[dict[str, Any], list[str]]:
    """The values of a verb's own keys, and the other overrides."""
    from flowsim.declare.overrides import parse, single_value

    taken = {one.key_or_group: single_value(one) for one in parse(overrides) if one.key_or_group in names}
    rest = [text for text, one in zip(overrides, parse(overrides), strict=True) if one.key_or_group not in names]
    return taken, rest


def whole(name: str, value: Any) -> int:
    """A whole number. Raises PlaceError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise refuse(name, value, "a whole number, at least 0")
    return value


def listed(value: Any) -> list[str]:
    """A value or a list of them as a list of words."""
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def is_override(word: str) -> bool:
    """Is it ``key=value`` or ``~key``?"""
    return "=" in word or word.startswith("~")


def no_words(words: list[str]) -> None:
    """Raises PlaceError for a word that is no override."""
    for word in words:
        if not is_override(word):
            raise PlaceError(f"{word!r} was given; allowed: key=value.")


def as_arguments(settings: Configured, out: str | Path | None = None) -> dict[str, Any]:
    """How an experiment is made, as arguments of the functions of `flowsim.api`."""
    return settings.model_dump(exclude={"scenarios"}) | ({} if out is None else {"out": out})


def take_detail(overrides: list[str]) -> tuple[str, list[str]]:
    """How much is to be printed, answer or all, and the other overrides. Raises PlaceError before anything runs."""
    taken, rest = take(overrides, DETAIL)
    detail = taken.get(DETAIL, "answer")
    if detail not in ("answer", "all"):
        raise refuse(DETAIL, detail, "one of", ("answer", "all"))
    return str(detail), rest


def report(result: Result, detail: str) -> int:
    """Print the report of an experiment; returns its exit code."""
    result.show(detail)
    if result.interrupted:
        print(f"flowsim: stopped; the same command with out={result.out} goes on.", file=sys.stderr)
    return INTERRUPTED if result.interrupted else FAILED if result.failures else 0
