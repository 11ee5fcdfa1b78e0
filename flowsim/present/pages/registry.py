"""The pages: which builder tells of which question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from flowsim.folder.result import Result
from flowsim.place import counted
from flowsim.present.pages import answer_compare, answer_other, answer_sweep, compare, run, selection, sweep
from flowsim.present.pages.page import Page, Section
from flowsim.present.titles import period_words, replication_count, settings_words


class Builder(NamedTuple):
    """What makes the page of a question: what was asked, for its title, and its sections.

    Sections are made of a result, and of whether they are to be brief; the answer of a result alone.
    """

    subject: Callable[[Any], str]
    sections: Callable[[Any, bool], Iterable[Section]]
    answer: Callable[[Any], Section]


PAGES: dict[str, Builder] = {
    "run": Builder(run.subject, run.sections, answer_other.of_run),
    "compare": Builder(compare.subject, compare.sections, answer_compare.section),
    "select": Builder(compare.subject, selection.sections, answer_other.of_selection),
    "sweep": Builder(sweep.subject, sweep.sections, answer_sweep.of_sweep),
}


def page_of(result: Result, pictures: Sequence[str] = (), brief: bool = False) -> Page:
    """The page of a result.

    Args:
        result: what an experiment found.
        pictures: those that are in the folder, relative to it, the most important first.
        brief: the measures a planner asks for first; else all of them, their definitions, and the smallest difference
            that these replications could have shown.
    """
    builder = PAGES[result.question]
    answer = None if result.results.empty else builder.answer(result)
    sections = tuple(builder.sections(result, brief))
    written = not result.is_part
    return Page(title(result), sections, settings_words(result), result.out, tuple(pictures), answer, written)


def title(result: Result) -> str:
    """One line: what was asked, over which time, how often."""
    place = next(iter(result.places.values()))
    subject = PAGES[result.question].subject(result)
    replications = counted(replication_count(result), "replication")
    return f"{place.title}: {subject}. {period_words(result)} {replications}."
