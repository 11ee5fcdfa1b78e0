"""Who is at work in a results folder, and with which question: two at once are let in with the same one only.

A process leaves a mark in the folder, ``at_work.<host>-<process>.tmp``, which says its question and is locked as long
as it is at work. So a process that was killed leaves a mark that others see through, on whatever machine. Cells need no
marks: they are named by their content, and two that make the same one only lose time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowsim import system
from flowsim.folder.atomic import OURS, temporary_name, told_trouble
from flowsim.place import PlaceError

NAME = "at_work"
LONGEST = 80
"""Characters of a command that are told."""
SECONDS_OF_SILENCE = 600
"""After which a mark of another machine, where locks of this one are not seen, is of a process that is no more."""


@dataclass(frozen=True)
class Mark:
    """What another process says of itself; `since`: nanoseconds at which it began, by its own clock."""

    path: Path
    question: str
    command: str
    since: int

    @property
    def who(self) -> str:
        """The process and its machine, in words."""
        match = OURS.fullmatch(self.path.name)
        return f"process {match[3]} on {match[2]}" if match else self.path.name


@dataclass(frozen=True)
class _Claim:
    """The mark of this process in a folder, held open."""

    path: Path
    descriptor: int
    question: str
    since: int
    thread: int
    process: int


_claims: dict[Path, _Claim] = {}
"""By folder."""


class _Depth(threading.local):
    value = 0


_depth = _Depth()


@contextlib.contextmanager
def at_work() -> Iterator[None]:
    """While this lasts, what `claim` has claimed stays claimed; within another one, until that ends."""
    _depth.value += 1
    try:
        yield
    finally:
        _depth.value -= 1
        if not _depth.value:
            for folder, one in list(_claims.items()):
                if (one.thread, one.process) == (threading.get_ident(), os.getpid()):
                    _release(folder)


def question_of(*parts: Any, alone: bool = False) -> str:
    """A digest of all that is asked; `alone`: it is no other process's, even if that asks the same."""
    whole = [*parts, *([system.host(), os.getpid()] if alone else [])]
    return hashlib.sha256(json.dumps(whole, default=str, sort_keys=True).encode()).hexdigest()[:16]


def claim(folder: Path, question: str, command: str) -> None:
    """Have this folder for this question, until `at_work` ends.

    Raises PlaceError when another process, or another thread of this one, is at work there with another question, and
    StoreError when the folder cannot be written.
    """
    folder = folder.resolve()
    with told_trouble(folder), system.one_at_a_time(folder):
        if folder in _claims and _claims[folder].process != os.getpid():
            del _claims[folder]  # of the process that this one was forked from
        mine = _claims.get(folder)
        if mine is not None and mine.thread != threading.get_ident():
            raise PlaceError(f"out={folder}: this process is at work in this folder already, in another thread.")
        for other in others(folder):
            if other.question != question:
                raise PlaceError(_refusal(folder, other))
        if mine is None or mine.question != question:
            _release(folder)
            _claims[folder] = _claimed(folder, question, command)


@contextlib.contextmanager
def alone(folder: Path, command: str) -> Iterator[None]:
    """Nobody else is at work in this folder while this lasts, unless this process has claimed it already.

    Raises as `claim` does.
    """
    with at_work():
        if folder.resolve() not in _claims:
            claim(folder, question_of(command, alone=True), command)
        yield


def _refusal(folder: Path, other: Mark) -> str:
    foreign = f".{system.host()}-" not in other.path.name
    way_out = f"; if that process is no more, delete {other.path.name} there" if foreign else ""
    what = f"another flowsim is at work in this folder with something else ({other.who}: {other.command})"
    return f"out={folder}: {what}; wait until it has ended, or give another out{way_out}."


def _claimed(folder: Path, question: str, command: str) -> _Claim:
    path = temporary_name(folder / NAME)
    path.unlink(missing_ok=True)  # of a process that had this number before; a link is not followed
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    since = time.time_ns()
    one = _Claim(path, descriptor, question, since, threading.get_ident(), os.getpid())
    try:
        system.lock(descriptor)
        os.write(descriptor, json.dumps({"question": question, "command": command[:LONGEST], "since": since}).encode())
    except BaseException:
        _leave(one)
        raise
    return one


def _release(folder: Path) -> None:
    one = _claims.pop(folder, None)
    if one is not None:
        _leave(one)


def _leave(one: _Claim) -> None:
    with contextlib.suppress(OSError):
        one.path.unlink(missing_ok=True)  # before it is unlocked: else another would take it for left over
    with contextlib.suppress(OSError):
        os.close(one.descriptor)
        one.path.unlink(missing_ok=True)  # Windows unlinks no file that is open


def still_at_work(folder: Path) -> None:
    """Tell machines that do not see this one's locks that this process is at work yet."""
    one = _claims.get(folder.resolve())
    if one is not None:
        with contextlib.suppress(OSError):
            os.utime(one.path)


def others(folder: Path) -> list[Mark]:
    """The other processes that are at work in a folder."""
    mine = temporary_name(folder / NAME).name
    marks = []
    for path in sorted(folder.glob(f"{NAME}.*.tmp")):
        if path.name != mine and _is_held(path):
            with contextlib.suppress(OSError):
                marks.append(_read(path))
    return marks


def is_second(folder: Path) -> bool:
    """Was another process at work in this folder before this one?"""
    mine = _claims.get(folder.resolve())
    # a tie is broken alike in both
    return mine is not None and any((o.since, o.path.name) < (mine.since, mine.path.name) for o in others(folder))


def _read(path: Path) -> Mark:
    try:
        said = json.loads(path.read_bytes())
        return Mark(path, str(said["question"]), str(said["command"]), int(said["since"]))
    except (ValueError, TypeError, KeyError):
        return Mark(path, "", "unknown", 0)


def _is_held(mark: Path) -> bool:
    """Is the process that left this mark at work yet?"""
    match = OURS.fullmatch(mark.name)
    if match is None or system.is_link(mark):
        return False
    here = match[2] == system.host()
    try:
        silence = time.time() - mark.stat().st_mtime
        descriptor = os.open(mark, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:  # another user's
        return not here or system.is_alive(int(match[3]))
    try:
        locked = system.lock(descriptor, shared=True)  # two that only ask do not hold each other up
    finally:
        os.close(descriptor)
    if locked is None:  # nothing is locked on this disk: the process's number says it here, its silence elsewhere
        return system.is_alive(int(match[3])) if here else silence < SECONDS_OF_SILENCE
    return locked is False or (not here and silence < SECONDS_OF_SILENCE)
