"""``python -m benchmarks [quick] [--markdown] [--only PART]``: measure, print a table, keep it in results/."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.sections import FULL, QUICK, SECTIONS, Effort
from benchmarks.timing import Row
from flowsim.declare.composition import load
from flowsim.folder.machine import git_commit, this_machine, versions

RESULTS = Path(__file__).with_name("results")


def main() -> int:
    """Measure and print; 0 when done, 2 where this system cannot tell what a process took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("effort", nargs="?", choices=["full", "quick"], default="full", help="quick: a shorter year")
    parser.add_argument("--markdown", action="store_true", help="print the table as the README shows it")
    parser.add_argument("--only", choices=[section.__name__ for section in SECTIONS], help="one part of the table")
    asked = parser.parse_args()
    if not hasattr(os, "wait4"):
        print("the benchmarks need to know what a process took, which this system does not tell", file=sys.stderr)
        return 2
    effort = QUICK if asked.effort == "quick" else FULL
    rows: list[Row] = []
    for section in SECTIONS:
        if asked.only in (None, section.__name__):
            print(f"measuring: {section.__name__.replace('_', ' ')} ...", file=sys.stderr)
            rows += section(effort)
    head = heading(asked.effort, effort)
    print(as_markdown(head, rows) if asked.markdown else as_text(head, rows))
    keep(head, rows)
    return 0


def heading(name: str, effort: Effort) -> str:
    """One sentence: what was measured, where and when."""
    where = this_machine()
    days = load(*effort.year).run.all_days
    year = f"{', '.join(effort.year) or 'a Sefton year'}, {days} days with the warm-up"
    return (
        f"{dt.date.today():%d %B %Y}; {_processor()}, {where['cores']} cores, {where['memory_gib']} GiB, "
        f"Python {platform.python_version()}; {name}: {year}. CPU seconds (median, least and most) unless it says wall."
    )


def _processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def number(value: float) -> str:
    """Three digits, or all of a whole number."""
    if value == int(value) and abs(value) >= 100:
        return f"{int(value):,}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}" if abs(value) >= 0.01 else f"{value:.2g}"


def cells(row: Row) -> tuple[str, str, str, str, str]:
    """What, median, least to most, unit and target of a row in words."""
    spread = f"{number(min(row.values))} to {number(max(row.values))}" if len(row.values) > 1 else ""
    reached = "" if row.reached is None else ": reached" if row.reached else ": missed"
    return row.what, number(row.median), spread, row.unit, f"{row.target}{reached}"


def as_text(head: str, rows: list[Row]) -> str:
    """The table for a terminal."""
    lines = [head]
    width = max((len(row.what) for row in rows), default=0)
    section = ""
    for row in rows:
        if row.section != section:
            section = row.section
            lines += ["", section]
        what, median, spread, unit, target = cells(row)
        lines.append(f"  {what:<{width}}  {median:>9}  {spread:<17}  {unit:<15}  {target}".rstrip())
    return "\n".join(lines)


def as_markdown(head: str, rows: list[Row]) -> str:
    """The table for the README."""
    lines = [head, "", "| | median | least to most | | target |", "|---|---:|---|---|---|"]
    section = ""
    for row in rows:
        if row.section != section:
            section = row.section
            lines.append(f"| **{section}** | | | | |")
        lines.append(f"| {' | '.join(cells(row))} |")
    return "\n".join(lines)


def keep(head: str, rows: list[Row]) -> None:
    """Write everything that was measured to benchmarks/results."""
    RESULTS.mkdir(exist_ok=True)
    content = {
        "measured": head,
        "machine": this_machine(),
        "versions": versions(),
        "git_commit": git_commit(),
        "rows": [asdict(row) | {"median": row.median} for row in rows],
    }
    path = RESULTS / f"{dt.datetime.now():%Y-%m-%d-%H%M%S}.json"
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
