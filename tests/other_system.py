"""A small run as on a system without what only POSIX has: the words are the results folder, and how many processes.

Nothing that is taken away here is there on Windows. What stands in for `msvcrt` locks a byte of a file as that does.
Libraries are imported before, since they are built for the system that this runs on.
"""

import os
import signal
import sys
import types

import duckdb  # noqa: F401
import hydra.core.override_parser.overrides_parser  # noqa: F401
import joblib.externals.loky.backend.resource_tracker  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import numba  # noqa: F401
import pandas
import pyarrow.parquet  # noqa: F401
import rich.console  # noqa: F401
import scipy.stats  # noqa: F401

POSIX = ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog", "readline", "curses")
OF_OS = (
    "getuid", "geteuid", "getgid", "getegid", "getgroups", "fork", "forkpty", "killpg", "getpgid", "setsid", "uname",
    "sysconf", "sched_getaffinity", "statvfs", "chown", "lchown", "mkfifo", "nice", "getloadavg", "register_at_fork",
    "O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC", "O_NONBLOCK", "ttyname", "openpty", "wait", "getpriority", "fchmod",
    "posix_spawn", "pread", "pwrite", "confstr", "ctermid",
)  # fmt: skip
OF_SIGNAL = ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGPIPE", "SIGCHLD", "SIGKILL", "SIGQUIT", "pthread_sigmask")


def as_windows_locks() -> types.ModuleType:
    """`msvcrt.locking`: one byte where the file stands, for one that has it open at a time."""
    made = types.ModuleType("msvcrt")
    made.LK_NBLCK = 2
    lock, how = os.lockf, os.F_TLOCK

    def locking(descriptor: int, mode: int, size: int) -> None:
        assert mode == made.LK_NBLCK
        lock(descriptor, how, size)

    made.locking = locking
    return made


def take_away() -> None:
    sys.modules["msvcrt"] = as_windows_locks()
    for name in POSIX:
        sys.modules[name] = None
    for name in (*OF_OS, "lockf"):
        delattr(os, name)
    for name in OF_SIGNAL:
        delattr(signal, name)
    for known in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
        known.clear()
    kill = os.kill

    def refused(*given: object) -> None:
        raise AssertionError(f"os.kill{given}: on Windows that ends the process")

    assert kill
    os.kill = refused
    sys.platform = "win32"


if __name__ == "__main__":
    assert pandas
    take_away()
    from flowsim.cli.main import main

    sys.exit(main(sys.argv[1:]))
