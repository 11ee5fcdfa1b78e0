"""Scenarios stacked of others, against the sum of what their parts change alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flowsim.measures.registry import HEADLINE, MEASURES
from flowsim.present.pages.cells import difference_cell, judged
from flowsim.present.pages.page import Cell, Entry, Section
from flowsim.present.titles import key_measures, title_and_unit, titled
from flowsim.present.words import NO_CHANGE, NO_MATTER, interval, number, signed
from flowsim.questions.compare import NO_CLEAR_CHANGE, Comparison, stacks
from flowsim.questions.matters import least

HOW_TO_READ = (
    "Beyond the sum: what the parts change together less the sum of what each changes alone, replication by "
    "replication; nought where none helps or hinders another."
)


def against_the_sum(result: Comparison, measure: str) -> dict[str, str]:
    """Words on each scenario that stacks others: the sum of its parts in this measure, and what lies between.

    Where a part is missing, how to get it.
    """
    rows = result.parts()
    rows = rows[rows["measure"] == measure]
    said = {str(row["scenario"]): _sum_and_rest(row, result) for row in rows.to_dict("records")}
    return said | {name: f"for the sum of its parts: {how}" for name, how in _to_get(result).items()}


def _sum_and_rest(row: Any, result: Comparison) -> str:
    """``its parts add up to -15.0: they overlap by 2.90 (1.10 to 4.70)``"""
    measure, size, parts = str(row["measure"]), float(row["difference"]), float(row["parts"])
    unit = MEASURES[measure].unit
    judgement = judged(str(row["change"]), size, least(measure, result))
    if judgement == NO_CLEAR_CHANGE:
        rest = "no clear difference from the sum"
    elif judgement in (NO_CHANGE, NO_MATTER):
        rest = f"{NO_MATTER if judgement == NO_MATTER else 'no difference'} from the sum"
    else:
        clear_sum = row["parts_low"] > 0 or row["parts_high"] < 0
        against = "they overlap by" if size * parts < 0 else "together it is more by"
        low, high = sorted(abs(float(row[end])) for end in ("low", "high"))
        side = f" {'above' if size > 0 else 'below'} it" if not clear_sum else ""
        limits = f" ({words})" if (words := interval(low, high, unit)) else ""
        rest = f"{against + ' ' if clear_sum else ''}{number(abs(size), unit)}{side}{limits}"
    return f"its parts add up to {signed(parts, unit)}: {rest}"


def _to_get(result: Comparison) -> dict[str, str]:
    """By scenario of which a part is missing: what to type for it; nothing of two that were taken out of more."""
    there = [place.scenario.name for place in result.places.values()]
    told: dict[str, str] = {}
    if result.is_part:
        return told
    for name, stack in stacks(result.places).items():
        if None in stack.parts:
            whole = [one for one in there[1:] if one not in stack.names]
            told[name] = f"the same command with 'scenarios=[{','.join([there[0], *stack.names, *whole])}]'"
    return told


def sections(result: Comparison, brief: bool) -> Iterator[Section]:
    """A table of what is stacked against the sum of its parts, and how to get what is missing for one."""
    rows = result.parts()
    shown = key_measures(result) if brief else tuple(HEADLINE)
    table: list[tuple[Entry, ...]] = []
    for scenario in dict.fromkeys(rows["scenario"]):
        name = titled(result, str(scenario))
        its: Any = rows[rows["scenario"] == scenario].set_index("measure")
        for measure in (one for one in shown if one in its.index):
            row, unit = its.loc[measure], HEADLINE[measure].unit
            together, parts = (Cell(float(row[what]), unit=unit, change="changed") for what in ("together", "parts"))
            beyond = difference_cell(row, unit, brief, least(measure, result))
            table.append((name, title_and_unit(measure, result), together, parts, beyond))
            name = ""
    missing = tuple(
        f"{titled(result, name)} stands here without all of its parts; {how} and out={result.out} runs those alone."
        for name, how in _to_get(result).items()
    )
    if table or missing:
        columns = ("scenario", "", "together", "sum of the parts", "beyond the sum") if table else ()
        sentences = (*((HOW_TO_READ,) if table else ()), *missing)
        yield Section("Together, and the sum of the parts", columns, tuple(table), sentences, in_a_line=True)
