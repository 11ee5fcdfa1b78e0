"""What went wrong, and what is to be noticed: first of all on every page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flowsim.folder.result import Result
from flowsim.measures.registry import MEASURES
from flowsim.present.pages.page import Section

WARNING_CHECKS = ("check_overloaded",)
"""Checks that warn about the place rather than fail the run."""
TOLERANCE = 1e-6
MOST_FAILURES = 10


def sections(result: Result, notices: Iterable[str] = ()) -> Iterator[Section]:
    """Cells that failed, trust checks that failed, and notices: those of the result, then these."""
    failed = [f"{f.scenario}, replication {f.replication} (seed {f.seed}): {f.error}" for f in result.failures]
    if failed:
        more = len(failed) - MOST_FAILURES
        rest = [f"... and {more} more, told in manifest.json."] if more > 0 else []
        again = f"The same command with out={result.out} tries them again."
        sentences = (*failed[:MOST_FAILURES], *rest, again)
        yield Section(f"{len(failed)} cells failed and are left out", sentences=sentences, loud=True)
    broken = tuple(failed_checks(result))
    if broken:
        yield Section("Trust checks that failed: do not use these results", sentences=broken, loud=True)
    every = (*result.notices, *notices)
    if every:
        yield Section("Notices", sentences=every)


def failed_checks(result: Result) -> Iterator[str]:
    """One sentence a trust check that is not nought in some replication."""
    checks = result.results[result.results["measure"].str.startswith("check_")]
    checks = checks[~checks["measure"].isin(WARNING_CHECKS) & (checks["value"].abs() > TOLERANCE)]
    for (scenario, measure), rows in checks.groupby(["scenario", "measure"], sort=True):
        worst = rows.iloc[int(rows["value"].abs().to_numpy().argmax())]
        yield (
            f"{MEASURES[str(measure)].title} ({scenario}): {worst['value']:g} {worst['unit']} in "
            f"replication {worst['replication']}; {len(rows)} numbers are not nought."
        )
