"""Measured numbers as rows of one table, and how to get them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MEBIBYTE = 2**20
UNLIKE_AT_HOME = "PYTHONDONTWRITEBYTECODE"
"""With this variable, which some containers have, flowsim's sources are parsed again in every process."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        section: the table's part.
        what: what was measured.
        values: one or more measurements; the table gives their median, least and most.
        unit: of the values.
        target: what is to be reached, in words; empty where nothing is.
        reached: was it, by the median? None where there is no target.
    """

    section: str
    what: str
    values: tuple[float, ...]
    unit: str
    target: str = ""
    reached: bool | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)


def row(
    section: str,
    what: str,
    values: float | Sequence[float],
    unit: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Row:
    """A row with the target it has, if any."""
    numbers = tuple(values) if isinstance(values, Sequence) else (values,)
    middle = statistics.median(numbers)
    if at_most is not None:
        return Row(section, what, numbers, unit, f"at most {at_most:g}", middle <= at_most)
    if at_least is not None:
        return Row(section, what, numbers, unit, f"at least {at_least:g}", middle >= at_least)
    return Row(section, what, numbers, unit)


def timed(call: Callable[[], Any], repeats: int) -> tuple[list[float], Any]:
    """CPU seconds of each of so many calls, and what the last of them returned."""
    seconds = []
    result = None
    for _ in range(repeats):
        result = None  # let go of the one before first: two results at a time would double the memory
        began = time.process_time()
        result = call()
        seconds.append(time.process_time() - began)
    return seconds, result


@dataclass(frozen=True)
class Finished:
    """A process that has ended: what it wrote, the CPU and wall seconds it took, and the most memory it had in MiB."""

    output: str
    cpu: float
    wall: float
    memory: float


def process(*arguments: str, **environment: str) -> Finished:
    """Run this Python with these arguments to its end. Raises RuntimeError when that is a bad one."""
    command = [sys.executable, *arguments]
    environment = {name: value for name, value in os.environ.items() if name != UNLIKE_AT_HOME} | environment
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as complaints:
        child = subprocess.Popen(command, stdout=output, stderr=complaints, env=environment)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        complaints.seek(0)
        if child.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}: {complaints.read()[-2000:]}")
        said = output.read()
    each = 1 if sys.platform == "darwin" else 1024  # ru_maxrss counts bytes there, KiB elsewhere
    return Finished(said, used.ru_utime + used.ru_stime, wall, used.ru_maxrss * each / MEBIBYTE)


def flowsim(*arguments: str, **environment: str) -> Finished:
    """Run the command line."""
    return process("-c", "import sys; from flowsim.cli import main; sys.exit(main())", *arguments, **environment)
