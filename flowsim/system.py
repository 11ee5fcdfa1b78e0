"""What each system does in its own way: processes, locks on files, signals, folders that nobody else can write to.

Nothing else asks which system this is, or uses what only POSIX has.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import getpass
import hashlib
import os
import platform
import re
import signal
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

STOPS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
"""Signals that ask a process to end, beside Ctrl-C: SIGHUP is of POSIX alone, SIGBREAK of Windows."""
CTRL_C = 130
"""Exit code of a process that Ctrl-C has stopped: 128 and the number of the signal."""
TIDIES = sys.platform != "win32"
"""Does Python start a process that takes away what others leave behind? Windows does that itself, and has none."""
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Parameters of `mallopt` (glibc, malloc.h)."""
FAR = 2**30
"""The byte that Windows locks, where a file has none: whoever reads the file is not held up."""
TEMPORARY = () if sys.platform == "win32" else ("/tmp", "/var/tmp")
"""Folders for temporary files, where the one that the user has named is not safe."""
MOST_LINKS = 40
"""In a path: as many as Linux follows."""
SECONDS_OPEN = 5
"""How long it is tried to rename a file over one that somebody has open."""
SECONDS_FOR_A_LOCK = 20
"""How long a lock that is held for a moment is waited for."""


# ---------------------------------------------------------------------------------------------------------------------
# Processes


def cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> int | None:
    """Bytes of memory of this machine; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def keep_memory(most: int) -> None:
    """Have this process keep up to so many bytes that it frees; without glibc it does nothing."""
    if sys.platform.startswith("linux"):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_MAX, 0)
            mallopt(_TRIM_THRESHOLD, most)


def host() -> str:
    """This machine's name, as it may stand in a file's name."""
    return re.sub(r"[^A-Za-z0-9_]", "_", platform.node()) or "host"


def is_alive(process: int) -> bool:
    """Does a process of this number run on this machine?"""
    if sys.platform == "win32":
        return True  # there `os.kill` ends it
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


@functools.cache
def end_with(parent: int) -> None:
    """End this process within a second after the one that started it, even if that was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    if sys.platform != "win32":  # there a process keeps the number of one that is no more
        threading.Thread(target=watch, daemon=True).start()


def replace(source: Path, target: Path) -> None:
    """Rename a file, over another of that name if there is one."""
    until = time.monotonic() + SECONDS_OPEN
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            # Windows refuses that while somebody reads the file there, a virus scanner among others
            if sys.platform != "win32" or time.monotonic() > until:
                raise
            time.sleep(0.05)


def is_link(path: Path) -> bool:
    """Does this name lead elsewhere: a symbolic link, or what Windows calls a junction?"""
    return path.is_symlink() or getattr(os.path, "isjunction", lambda _: False)(path)


# ---------------------------------------------------------------------------------------------------------------------
# Folders of this user alone


class NotPrivateError(OSError):
    """A folder that somebody else could have put something into."""


def private_folder(base: Path, *names: str) -> Path:
    """The folder of these names below `base`, made where it is missing, whose path nobody but this user can change.

    `base` may lead over links and be of the system; the folders of `names` are this user's, no links, and the last is
    closed to all others, so that what is read there is what this user has written.
    Raises NotPrivateError where it is not so, and OSError where it cannot be made.
    """
    # on Windows a user's folders, temporary ones too, are closed to others by what they inherit
    at = base if sys.platform == "win32" else _safe(base)
    for name in names:
        at = at / name
        with contextlib.suppress(FileExistsError):
            at.mkdir(mode=0o700, parents=sys.platform == "win32")
        found = at.lstat()
        if is_link(at) or not stat.S_ISDIR(found.st_mode):
            raise NotPrivateError(f"{at} is a link, or no folder")
        if sys.platform != "win32":
            _refuse_others(at, found, {os.geteuid()}, 0o077 if name == names[-1] else 0o022)
    if sys.platform != "win32":
        _refuse_content_of_others(at)
    return at


def _safe(base: Path) -> Path:
    """The path of a folder without links in it, made where it is missing.

    It is followed from its root: each folder is looked at only when nobody else can put another in its place any more,
    since all above belong to the system or to this user, and others may write to none of them, or to a sticky one,
    where they cannot take away what is not theirs. So nothing changes between this look and any later use.
    """
    own, links = {0, os.geteuid()}, 0
    at, steps = Path(base.anchor), list(base.parts[1:])
    _refuse_others(at, at.lstat(), own, 0o022)
    while steps:
        name = steps.pop(0)
        if name == "..":
            at = at.parent
            continue
        path = at / name
        try:
            found = path.lstat()
        except FileNotFoundError:
            path.mkdir(mode=0o700)
            found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            _refuse_others(path, found, own, 0)
            target, links = at / os.readlink(path), links + 1
            if links > MOST_LINKS:
                raise NotPrivateError(f"{base} leads over too many links")
            at, steps = Path(target.anchor), [*target.parts[1:], *steps]
            continue
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        _refuse_others(path, found, own, 0 if found.st_mode & stat.S_ISVTX else 0o022)
        at = path
    return at


def _refuse_others(path: Path, found: os.stat_result, own: set[int], closed: int) -> None:
    """Raises NotPrivateError unless it belongs to one of `own` and has none of the bits `closed` in its mode."""
    if found.st_uid not in own:
        raise NotPrivateError(f"{path} belongs to another user (number {found.st_uid})")
    if found.st_mode & closed:
        raise NotPrivateError(f"{path} is open to other users (mode {stat.S_IMODE(found.st_mode):04o})")


def _refuse_content_of_others(folder: Path) -> None:
    """Raises NotPrivateError for a file that another has put there while it was open, or that leads elsewhere."""
    own = {os.geteuid()}
    for at, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(at, name)
            with contextlib.suppress(FileNotFoundError):  # a temporary file of another process of this user
                found = path.lstat()
                if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
                    raise NotPrivateError(f"{path} is a link, or no file")
                _refuse_others(path, found, own, 0)


def fresh_folder() -> Path:
    """A new folder for temporary files that is this user's alone. Raises OSError where nobody could have one."""
    trouble: OSError = NotPrivateError("no folder for temporary files is there")
    for base in (tempfile.gettempdir(), *TEMPORARY):
        try:
            place = Path(base) if sys.platform == "win32" else _safe(Path(base))
            return Path(tempfile.mkdtemp(prefix="flowsim-", dir=place))
        except OSError as caught:
            trouble = caught
    raise trouble


def caches() -> list[Path]:
    """Where a user keeps what can be made again, and where else, if that cannot be written: folders to make others in.

    A path in the environment that does not begin at the root would lead to wherever the user happens to be; as the XDG
    specification has it, it does not count.
    """
    named = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")
    with contextlib.suppress(RuntimeError):  # a user without a home
        home = Path(named) if named and Path(named).is_absolute() else Path.home() / ".cache"
        return [home / "flowsim", Path(tempfile.gettempdir()) / f"flowsim-{_user()}"]
    return [Path(tempfile.gettempdir()) / f"flowsim-{_user()}"]


def _user() -> str:
    """This user, as it may stand in a file's name."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a number without a name, as in a container
        name = "" if sys.platform == "win32" else str(os.geteuid())
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


# ---------------------------------------------------------------------------------------------------------------------
# Locks


def lock(descriptor: int, shared: bool = False) -> bool | None:
    """Lock an open file for this process, until it is closed or the process is no more, however it ended.

    `shared`: with others that have it shared; Windows knows no such thing.
    False: another process has it; None: nothing here keeps locks on such a file.
    """
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Only one process at a time is in here for this folder, as far as locks are kept there. Nothing is left in it."""
    if sys.platform == "win32":  # no folder can be locked there
        name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
        descriptor = os.open(Path(tempfile.gettempdir()) / f"flowsim-{name}.lock", os.O_RDWR | os.O_CREAT)
    else:
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        until = time.monotonic() + SECONDS_FOR_A_LOCK
        while lock(descriptor) is False and time.monotonic() < until:
            time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


# ---------------------------------------------------------------------------------------------------------------------
# Signals


class Stopped(KeyboardInterrupt):
    """A signal of `STOPS` has come: what Ctrl-C ends is ended in the same way."""


_received: list[int] = []
"""The signal of `STOPS` that came last, if one did."""


@contextlib.contextmanager
def told_to_stop(again: bool = False) -> Iterator[None]:
    """Signals of `STOPS` are raised as `Stopped` while this lasts, where nobody else has said what they shall do.

    `again`: at its end the process gets the signal that came once more, as if it came now.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # what is ignored (nohup) stays ignored, and another's handler stays where it is
    mine = [one for one in STOPS if signal.getsignal(one) == signal.SIG_DFL]
    if mine:
        _received.clear()
    for one in mine:
        signal.signal(one, _raise)
    try:
        yield
    finally:
        for one in mine:
            signal.signal(one, signal.SIG_DFL)
        if mine and again and _received:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                print(f"flowsim: stopped by {signal.Signals(_received[-1]).name}.", file=sys.stderr, flush=True)
            signal.raise_signal(_received[-1])


def _raise(number: int, _: FrameType | None) -> None:
    _received.append(number)
    if number == getattr(signal, "SIGHUP", None):
        _leave_terminal()
    raise Stopped


def _leave_terminal() -> None:
    """A terminal that has gone cannot be told anything: what would be written there is not written."""
    for stream in (sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            descriptor = stream.fileno()  # type: ignore[union-attr]
            if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)


def exit_code() -> int:
    """Of a process that was stopped: 128 and the number of the signal, so 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + _received[-1] if _received else CTRL_C


def leave_stops_to_others() -> None:
    """Ctrl-C and signals of `STOPS` do nothing to this process: they are for the one that started it."""
    for one in (signal.SIGINT, *STOPS):
        signal.signal(one, signal.SIG_IGN)


@contextlib.contextmanager
def stops_wait(*signals: int) -> Iterator[None]:
    """These signals are answered at the end of this; processes started in here never get them."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
