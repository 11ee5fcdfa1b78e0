"""A page as Markdown: `summary.md`."""

from __future__ import annotations

from pathlib import Path

from flowsim.present.pages.page import Entry, Page, Section
from flowsim.present.words import entry_words


def write(page: Page) -> bytes:
    """The page as the bytes of a file."""
    return text(page).encode("utf-8")


def text(page: Page) -> str:
    """The page as Markdown."""
    parts = [f"# {page.title}"]
    if page.settings:
        parts.append(page.settings)
    for section in ([page.answer] if page.answer else []) + list(page.sections):
        parts.append(f"## {section.heading}")
        sentences = [f"- {sentence}" if len(section.sentences) > 1 else sentence for sentence in section.sentences]
        table = [_table(section)] if section.rows else []
        first = section is page.answer or section.told_first
        parts += [*sentences, *table] if first else [*table, *sentences]
    parts += [f"![{Path(picture).stem}]({picture})" for picture in page.pictures]
    return "\n\n".join(parts).replace("\n\n- ", "\n- ") + "\n"


def _table(section: Section) -> str:
    lines = [section.columns, tuple("---" for _ in section.columns), *section.rows]
    return "\n".join(f"| {' | '.join(_cell(entry, section) for entry in line)} |" for line in lines)


def _cell(entry: Entry, section: Section) -> str:
    return entry_words(entry, section.in_a_line, section.half).replace("\n", "<br>").replace("|", "\\|")
