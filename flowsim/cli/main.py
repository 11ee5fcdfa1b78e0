"""The command line: finds the verb, refuses what it does not know, and tells notices and mistakes.

A verb is a file of this folder with its help and its doing in a `Verb`; its name in `VERBS` makes it one.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from flowsim import system
from flowsim.cells.memory import end_quickly
from flowsim.cli.common import FAILED, INTERRUPTED, MISTAKE, Verb, is_override
from flowsim.place import FlowsimNotice, PlaceError, nearest, refuse

__all__ = ["FAILED", "INTERRUPTED", "MISTAKE", "VERBS", "main", "travel_light", "verb"]

VERBS = ("compare", "run", "sweep", "select", "show", "trace", "results", "new", "verify")
"""The files that are verbs, in the order of the help."""
DISK = (errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EACCES, getattr(errno, "EDQUOT", errno.ENOSPC))
"""Trouble with a disk that comes while charts and summaries are written."""
LARGE = 50_000
"""New objects after which Python looks for garbage; its own 700 has it look through all that imports make, again and
again."""

HELP = """\
flowsim: how people flow through hospitals and the services around them, and what would change that.

Usage: flowsim VERB key=value ...

{verbs}

Examples:
  flowsim compare
  flowsim compare 'scenarios=[baseline,seven_day_working]' replications=5
  flowsim run scenario=all_three seed=2 place.services.reablement.capacity=140
  flowsim show scenarios

`flowsim VERB --help` tells more about a verb, `flowsim show config` shows every key that can be set.
"""


def verb(name: str) -> Verb:
    """The verb of this name, whose file is imported only now. Raises PlaceError."""
    if name not in VERBS:
        raise refuse("verb", name, "one of", VERBS)
    asked: Verb = import_module(f"flowsim.cli.{name}").VERB
    return asked


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code: 0, 1 when replications failed, 2 for a mistake, 130 for Ctrl-C, and
    128 and the number of the signal for another that asks to stop, such as 143 for SIGTERM."""
    if arguments is None:
        travel_light()
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    with system.told_to_stop():
        return _told(words)


def _told(words: list[str]) -> int:
    """The exit code of a command line; whatever ends it before its time is told in a sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", FlowsimNotice)
            warnings.showwarning = _notices()
            _refuse_nowhere()
            code = _dispatch(words)
            return system.exit_code() if code == INTERRUPTED else code
    except PlaceError as mistake:
        print(f"flowsim: {mistake}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt as stopped:
        print(f"flowsim: stopped{f'; {stopped}' if str(stopped) else ''}.", file=sys.stderr)
        return system.exit_code()
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as trouble:
        if trouble.errno not in DISK:
            raise
        where = f"{trouble.filename}: " if trouble.filename else ""
        promise = "what is finished is kept, and the same command goes on when it is mended"
        print(f"flowsim: {where}cannot be written ({trouble.strerror}); {promise}.", file=sys.stderr)
        return MISTAKE


def _refuse_nowhere() -> None:
    """Raises PlaceError where the folder it is called in is gone: every name of a file would be read from there."""
    try:
        os.getcwd()
    except OSError:
        raise PlaceError("the current folder is gone; change to one that is there and try again.") from None


def travel_light() -> None:
    """Leave out of this process, which is flowsim's own, what costs time and does nothing for it."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # else threads are started, and wait at full speed
    gc.set_threshold(max(LARGE, gc.get_threshold()[0]))
    end_quickly()


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP.format(verbs="\n".join(f"  {name:<10} {verb(name).line}" for name in VERBS)))
        return 0
    if words[0] in ("-V", "--version"):
        from flowsim import __version__

        print(f"flowsim {__version__}")
        return 0
    name, *rest = words
    asked = verb(name)
    if any(word in ("-h", "--help") for word in rest):
        print(asked.help)
        return 0
    if unknown := [word for word in rest if word.startswith("-") and word not in asked.flags]:
        allowed = ", ".join([*asked.flags[:1], "--help"])
        raise PlaceError(f"{unknown[0]!r} was given; allowed: {allowed} and key=value.")
    if asked.overrides:
        _refuse_foreign(name, asked, [word for word in rest if is_override(word)])
    return asked.do(rest)


def _notices() -> Callable[..., None]:
    """How warnings are shown: notices as one line each, only once; anything else as Python shows it."""
    plain = warnings.showwarning
    already_said: set[str] = set()

    def show(message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: Any) -> None:
        if not issubclass(category, FlowsimNotice):
            plain(message, category, filename, lineno, *rest)
        elif str(message) not in already_said:
            already_said.add(str(message))
            print(f"Notice: {message}.", file=sys.stderr)

    return show


def _refuse_foreign(name: str, asked: Verb, overrides: list[str]) -> None:
    """Keys that mean nothing to this verb."""
    from flowsim.declare.overrides import parse
    from flowsim.declare.yaml_and_csv import setting_names

    known = [*asked.keys, *(key for key in setting_names() if key not in asked.refused)]
    for one in parse(overrides):
        key = one.key_or_group
        if key in asked.refused:
            listed = f"{', '.join(known)}{nearest(key, known)}"
            raise PlaceError(f"{key}: {one.input_line!r} was given; allowed with `flowsim {name}`: {listed}.")
        if key.split(".")[0] not in (*known, "scenario"):
            raise refuse(key, one.input_line, "a setting, such as", known)
