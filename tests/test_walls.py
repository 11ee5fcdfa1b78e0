"""The walls between the rooms of flowsim (docs/architecture.md): who may import whom, read from the sources."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "flowsim"
MODULES = sorted(PACKAGE.rglob("*.py"))

ALLOWED = {
    "system": (),
    "place": (),
    "statistics": (),
    "declare": ("place",),
    "model": ("place",),
    "engine": ("system", "place", "model"),
    "measures": ("place", "model", "engine"),
    "folder": ("system", "place", "statistics", "declare", "measures"),
    "cells": ("system", "place", "statistics", "declare", "model", "engine", "measures", "folder"),
    "questions": ("place", "statistics", "declare", "engine", "measures", "folder", "cells"),
    "present": ("place", "statistics", "measures", "folder", "questions"),
    "api": ("place", "declare", "folder", "cells", "questions", "present"),
    "cli": ("system", "place", "declare", "engine", "folder", "cells", "questions", "present", "api"),
}
"""The rooms, and which others each may import from beside itself. A room imports nothing that is not named here."""

OUTSIDE = {
    "simpy": ("engine/reference.py",),
    "numba": ("engine/compiled.py", "engine/kernel.py", "engine/carry.py"),
    "llvmlite": ("engine/compiled.py", "engine/kernel.py", "engine/cache.py"),
    "hydra": ("declare/hydra.py", "declare/overrides.py"),
    "omegaconf": ("declare/hydra.py",),
    "joblib": ("cells/",),
    "distributed": ("cells/executors.py",),
    "duckdb": ("folder/catalogue.py",),
    "matplotlib": ("present/pictures/",),
}
"""Libraries, and the only files that may import them."""

CHANCE = {"model/cohort.py", "questions/design.py"}
"""Where all random numbers come from: of people and shocks, and those that choose the points of a sweep."""
MODULES_OF_CHANCE = re.compile(
    r"(random|secrets|uuid|numpy\.random|scipy\.stats\.(qmc|sampling)|os\.(urandom|getrandom))(\.|$)"
)
"""What is imported or reached to draw random numbers, wherever it comes from."""
DRAWS = {
    "random", "rvs", "default_rng", "RandomState", "SeedSequence", "Generator", "PCG64", "Philox", "urandom",
    "getrandom", "random_state", "uuid4", "token_bytes", "shuffle", "qmc",
}  # fmt: skip
"""Attributes, functions and arguments that draw random numbers, whatever they are called on."""


ONE_SYSTEM = "system.py"
"""The only file that asks which system this is, and uses what not every system has."""
NOT_EVERYWHERE = {
    "fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog", "posix", "spwd", "crypt", "readline",
    "curses", "msvcrt", "winreg", "nt", "_winapi", "_posixsubprocess", "ctypes",
}  # fmt: skip
"""Modules that only some systems have, and the one by which their libraries are called."""
OF_OS = {
    "name", "uname", "getuid", "geteuid", "getgid", "getegid", "getgroups", "setuid", "setgid", "seteuid", "setegid",
    "getpgid", "getpgrp", "setpgid", "setsid", "getsid", "getpriority", "getresuid", "nice", "fork", "forkpty", "kill",
    "killpg", "wait", "wait3", "wait4", "waitid", "WNOHANG", "WIFSIGNALED", "WEXITSTATUS", "posix_spawn",
    "register_at_fork", "chown", "lchown", "fchown", "fchmod", "lchmod", "chroot", "chflags", "fchdir", "mkfifo",
    "mknod", "statvfs", "fstatvfs", "pathconf", "sysconf", "confstr", "getloadavg", "ctermid", "ttyname", "openpty",
    "lockf", "posix_fallocate", "posix_fadvise", "pread", "pwrite", "readv", "writev", "sendfile", "splice",
    "sched_getaffinity", "sched_setaffinity", "sched_yield", "sync", "fdatasync", "getxattr", "setxattr", "listxattr",
    "removexattr", "memfd_create", "pipe2", "symlink", "link", "readlink", "umask", "startfile", "O_NOFOLLOW",
    "O_DIRECTORY", "O_CLOEXEC", "O_NONBLOCK", "O_SYNC", "O_DSYNC", "O_PATH", "O_TMPFILE", "O_BINARY",
    "supports_dir_fd", "supports_fd", "supports_follow_symlinks", "replace", "rename",
}  # fmt: skip
"""What only some systems' `os` has, or does otherwise: a file that is open is not renamed over on Windows."""
OF_SIGNAL = re.compile(r"SIG(?!INT\b)[A-Z0-9]+|pthread_\w+|alarm|setitimer|sigwait\w*|pause|siginterrupt|set_wakeup_fd")
OF_PATH = {"owner", "symlink_to", "hardlink_to", "lchmod", "is_mount", "PosixPath", "WindowsPath"}
"""Of a path, likewise."""
AT_OPENING = {"dir_fd", "src_dir_fd", "dst_dir_fd", "preexec_fn", "pass_fds"}
"""Arguments that not every system takes."""


def of_one_system(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of what asks which system this is, or uses what not every system has."""

    def is_one(of: str, name: str) -> bool:
        known = {"os": name in OF_OS, "signal": OF_SIGNAL.fullmatch(name), "sys": name == "platform"}
        return bool(known.get(of, name in OF_PATH)) or (of, name) == ("platform", "system")

    for line, name in imports(tree):
        first, _, rest = name.partition(".")
        if first in NOT_EVERYWHERE or (rest and first in ("os", "signal", "sys", "platform") and is_one(first, rest)):
            yield line, name
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in AT_OPENING:
            yield node.value.lineno, node.arg
        elif isinstance(node, ast.Attribute):
            of = node.value.id if isinstance(node.value, ast.Name) else ""
            if is_one(of, node.attr):
                yield node.lineno, f"{of}.{node.attr}"


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room(path: Path) -> str:
    first = relative(path).split("/")[0].removesuffix(".py")
    return "api" if first == "__init__" else first


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of all a file imports, inside functions and for type checkers too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module",
            "__import__",
        ):
            yield from ((node.lineno, one.value) for one in node.args[:1] if isinstance(one, ast.Constant))


def draws(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of everything in a file that can draw a random number."""
    for line, name in imports(tree):
        if MODULES_OF_CHANCE.match(name):
            yield line, name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in DRAWS:
            yield node.lineno, node.attr
        elif isinstance(node, ast.Name) and node.id in DRAWS - {"Generator"}:  # a typing word too
            yield node.lineno, node.id
        elif isinstance(node, ast.keyword) and node.arg in DRAWS:
            yield node.value.lineno, node.arg


def broken(path: Path, source: str) -> list[str]:
    """Every wall that a file with this source breaks, one line each."""
    tree, here, found = ast.parse(source), room(path), []
    for line, name in imports(tree):
        parts = name.split(".")
        if name.startswith("."):
            found.append(f"line {line}: a relative import, {name}")
        elif parts[0] == "flowsim" and len(parts) > 1 and name != "flowsim.__version__":
            target = parts[1] if parts[1] in ALLOWED else "api"  # `from flowsim import x`: what __init__ offers
            if target != here and target not in ALLOWED[here]:
                found.append(f"line {line}: {here} may not import {name}")
        elif not relative(path).startswith(OUTSIDE.get(parts[0], ("",))):
            found.append(f"line {line}: {name} may be imported in {', '.join(OUTSIDE[parts[0]])} only")
    if relative(path) != ONE_SYSTEM:
        found += [f"line {line}: {name} is not on every system" for line, name in of_one_system(tree)]
    if relative(path) not in CHANCE:
        found += [f"line {line}: {name} draws random numbers" for line, name in draws(tree)]
    return found


def ids(path: object) -> str:
    return relative(path) if isinstance(path, Path) else str(path)


def test_every_room_is_known():
    assert {room(path) for path in MODULES} <= set(ALLOWED)


def test_rooms_form_one_direction():
    """No room imports, through whatever others, one that imports it."""
    for start in ALLOWED:
        reached, todo = set(), [*ALLOWED[start]]
        while todo:
            one = todo.pop()
            if one not in reached:
                reached.add(one)
                todo += ALLOWED[one]
        assert start not in reached, start


def test_every_allowed_edge_is_used():
    """An edge nobody needs is a door that stands open."""
    every = ((room(p), name) for p in MODULES for _, name in imports(ast.parse(p.read_text("utf-8"))))
    used = {(here, name.split(".")[1]) for here, name in every if name.startswith("flowsim.")}
    assert {(here, there) for here, others in ALLOWED.items() for there in others} <= used


def test_the_page_on_architecture_names_every_module():
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    told = page.partition("## The rooms")[2].split("```")[1]
    for module in MODULES:
        named = module.stem.startswith("__") or re.search(rf"\b{module.stem}\b", told)
        assert named, f"{relative(module)} is not named"


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_no_wall_is_broken(path):
    assert broken(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("from numpy.random import default_rng", "draws random numbers"),
        ("from scipy.stats import norm\nnoise = norm.rvs()", "draws random numbers"),
        ("from flowsim.declare.composition import load", "model may not import"),
        ("import numpy.random as chance", "draws random numbers"),
        ("noise = np.random.normal()", "draws random numbers"),
        ("import random", "draws random numbers"),
        ("from scipy.stats import qmc", "draws random numbers"),
        ("from os import urandom", "draws random numbers"),
        ("from random import gauss", "draws random numbers"),
        ("from importlib import import_module\nimport_module('flowsim.cells.replicate')", "model may not import"),
        ("from flowsim import compare", "model may not import"),
        ("def late():\n    from flowsim.engine import compiled", "model may not import"),
        ("import flowsim.measures.registry", "model may not import"),
        ("from ..declare import reading", "relative import"),
        ("import numba", "engine/compiled.py"),
        ("import fcntl", "not on every system"),
        ("def late():\n    import pwd", "not on every system"),
        ("from signal import SIGTERM", "not on every system"),
        ("from os import getuid", "not on every system"),
        ("import os\nos.geteuid()", "not on every system"),
        ("import os\nos.open('a', os.O_NOFOLLOW)", "not on every system"),
        ("import os\nos.open('a', 0, dir_fd=3)", "not on every system"),
        ("import signal\nsignal.SIGHUP", "not on every system"),
        ("import sys\nif sys.platform == 'win32':\n    pass", "not on every system"),
        ("import os\nif os.name == 'nt':\n    pass", "not on every system"),
        ("path.symlink_to('elsewhere')", "not on every system"),
    ],
)  # fmt: skip
def test_a_wall_that_is_broken_is_noticed(line, told):
    """Each put into a file that draws nothing and may import the place alone."""
    sampler = PACKAGE / "model" / "sampler.py"
    found = broken(sampler, f"{sampler.read_text(encoding='utf-8')}\n{line}\n")
    assert found
    assert all(told in one for one in found)


def test_only_the_compiled_engine_loads_the_kernel():
    loads = {relative(p) for p in MODULES for _, n in imports(ast.parse(p.read_text("utf-8"))) if "engine.kernel" in n}
    assert loads == {"engine/compiled.py", "engine/carry.py"}


def test_the_command_line_is_there_before_numpy_is():
    """Else `travel_light` would come too late to tell OpenBLAS how many threads to start."""
    code = "import sys, flowsim.cli.main; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_reading_a_place_loads_no_engine_and_no_charts():
    heavy = ("matplotlib", "simpy", "numba")
    code = f"import sys, flowsim; flowsim.load(); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
