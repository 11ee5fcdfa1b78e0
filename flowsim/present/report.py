"""The report as a whole, in the terminal and as `summary.md`: the same sections in the same order, written twice.

The terminal shows the measures a planner asks for first; `summary.md` has all of them, their definitions, and the
smallest difference that these replications could have shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flowsim.folder.result import Result
from flowsim.place import counted
from flowsim.present import sections as say
from flowsim.present import sweep_sections
from flowsim.present.sections import Section
from flowsim.present.tables import print_table
from flowsim.present.words import period_words, settings_words, titled
from flowsim.questions.compare import Comparison
from flowsim.questions.forecast import is_forecast
from flowsim.questions.select import Selection
from flowsim.questions.sweep import Sweep

if TYPE_CHECKING:
    from rich.console import Console


# ---------------------------------------------------------------------------------------------------------------------
# What stands in it


def sections(result: Result, assumptions: str = "", brief: bool = False) -> list[Section]:
    """The report in order: trouble first, then the answer, then what it rests on; `brief` as the terminal shows it."""
    found = [*say.trouble(result)]
    if result.results.empty:
        return found
    if isinstance(result, Sweep):
        return [*found, *sweep_sections.points(result, brief), *say.worth(result, assumptions)]
    if is_forecast(result):
        found += say.forecast(result)
    if isinstance(result, Selection):
        found += [say.selection(result)]
        if brief:
            return [*found, *say.worth(result, assumptions)]
    if isinstance(result, Comparison):
        found += [say.differences(result, brief), *say.breaks_next(result)]
        found += [*say.costs(result, brief), *say.evidence(result)]
    else:
        found += [say.measures(result), *say.services(result), *say.payers(result)]
    found += say.worth(result, assumptions)
    if not brief:
        found += [*say.pairing(result), say.detectable(result)] if isinstance(result, Comparison) else []
        found += [say.national(result), say.definitions(result)]
    return found


def title(result: Result) -> str:
    """One line: what was compared, over which time, how often."""
    place = next(iter(result.places.values()))
    what = titled(result, result.scenarios[0])
    if isinstance(result, Sweep):
        what = f"{counted(len(result.places) - 1, 'point')} of {', '.join(result.labels.values())}"
    elif isinstance(result, Comparison):
        what = f"{len(result.places)} scenarios compared"
    return f"{place.title}: {what}. {period_words(result)} {_replication_words(result)}."


def _replication_words(result: Result) -> str:
    return counted(result.results["replication"].nunique(), "replication")


# ---------------------------------------------------------------------------------------------------------------------
# As a file


def write_summary(result: Result, assumptions: str = "", charts: Sequence[str] = ()) -> Path:
    """Write `summary.md` into the results folder. `charts`: pictures to show, relative to the folder, in order."""
    path = result.out / "summary.md"
    path.write_text(markdown(result, assumptions, charts), encoding="utf-8", newline="\n")
    return path


def markdown(result: Result, assumptions: str = "", charts: Sequence[str] = ()) -> str:
    """The whole summary as Markdown."""
    parts = [f"# {title(result)}"]
    if told := settings_words(result):
        parts.append(told)
    for section in sections(result, assumptions):
        parts.append(f"## {section.heading}")
        if section.rows:
            lines = [section.columns, tuple("---" for _ in section.columns), *section.rows]
            parts.append("\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines))
        parts += [f"- {sentence}" if len(section.sentences) > 1 else sentence for sentence in section.sentences]
    parts += [f"![{Path(chart).stem}]({chart})" for chart in charts]
    return "\n\n".join(parts).replace("\n\n- ", "\n- ") + "\n"


def _cell(text: str) -> str:
    return text.replace("\n", "<br>").replace("|", "\\|")


# ---------------------------------------------------------------------------------------------------------------------
# In the terminal


def show(result: Result, assumptions: str = "", console: Console | None = None) -> None:
    """Print the brief report to the terminal."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    console.print(Text(title(result), style="bold"))
    if told := settings_words(result):
        console.print(Text(told), soft_wrap=not console.is_terminal)
    for section in sections(result, assumptions, brief=True):
        style = "bold red" if section.loud else "bold"
        console.print()
        console.print(Text(section.heading, style=style))
        if section.rows:
            print_table(section.columns, section.rows, console, console.width)
        for sentence in section.sentences:
            console.print(Text(sentence, style="red" if section.loud else ""))
    console.print()
    console.print(Text(f"All measures, definitions and charts: {result.out / 'summary.md'}"), soft_wrap=True)
    console.print(Text(f"Results: {result.out}"), soft_wrap=True)
