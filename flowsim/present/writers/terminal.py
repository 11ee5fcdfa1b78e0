"""A page in the terminal: tables as wide as there is room, and no word cut."""

from __future__ import annotations

import dataclasses
import io
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from flowsim.place import counted
from flowsim.present.pages.page import Cell, Entry, Page, Section
from flowsim.present.words import entry_words
from flowsim.questions.compare import NO_CLEAR_CHANGE

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_OF_NAMES = 14
FRAME = 3
"""Characters that a column has beside its text: a space each side and a line."""
WIDTH_OF_A_FILE = 160
LINES = 40
"""Of a screen, that hold the answer: title, sentences, table and where the rest is."""
FEW_ROWS = 4
"""Of an answer's table, that may have lines between them."""
NARROWEST = 10
"""Characters of a column whose heading is broken."""
LONGEST_SETTINGS = 230
"""Characters of the user's settings that stand above an answer."""


def write(page: Page) -> bytes:
    """The page as it stands in a wide terminal, as the bytes of a file without colours."""
    from rich.console import Console

    file = io.StringIO()
    show(page, Console(file=file, width=WIDTH_OF_A_FILE))
    return file.getvalue().encode("utf-8")


def show(page: Page, console: Console | None = None) -> None:
    """Print a page to the terminal, and where the rest of it is."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    console.print(Text(page.title, style="bold"))
    if page.settings:
        console.print(Text(page.settings), soft_wrap=not console.is_terminal)
    for section in ([page.answer] if page.answer else []) + list(page.sections):
        console.print()
        console.print(Text(section.heading, style="bold red" if section.loud else "bold"))
        print_body(section, console)
    console.print()
    rest = "All measures, definitions and charts" if page.pictures else "All measures and definitions"
    if page.written:
        console.print(Text(f"{rest}: {page.folder / 'summary.md'}"), soft_wrap=True)
    console.print(Text(f"Results: {page.folder}"), soft_wrap=True)


def print_body(section: Section, console: Console) -> None:
    """The table and the sentences of a section, in its order."""
    from rich.text import Text

    if section.rows and not section.told_first:
        _print_section(section, console)
    for sentence in section.sentences:
        console.print(Text(sentence, style="red" if section.loud else ""))
    if section.rows and section.told_first:
        _print_section(section, console, lines=False)


def show_answer(page: Page, console: Console | None = None) -> None:
    """Print the answer alone, and where the rest is: within 40 lines, for which the last rows are left out."""
    from rich.console import Console

    console = console or Console()
    if page.answer is None:
        show(page, console)
        return
    answer, rows = page.answer, len(page.answer.rows)
    kept = _rows_kept(page, answer, console.width)
    if kept < rows and (more := _rows_kept(page, narrow := _with_narrow_heads(answer), console.width)) > kept:
        answer, kept = narrow, more
    _print_answer(page, answer, kept, console)


def _rows_kept(page: Page, answer: Section, width: int) -> int:
    """How many of the first rows there is room for; one at least, where there is any."""
    from rich.console import Console

    for kept in range(len(answer.rows), 0, -1):
        file = io.StringIO()
        _print_answer(page, answer, kept, Console(file=file, width=width))
        if file.getvalue().count("\n") <= LINES - 1:
            return kept
    return min(1, len(answer.rows))


def _with_narrow_heads(answer: Section) -> Section:
    """The same with its headings broken to the width of the numbers below: the names of the rows have the room."""
    columns = [answer.columns[0]]
    for at, head in enumerate(answer.columns[1:], start=1):
        texts = [entry_words(row[at], answer.in_a_line, answer.half) for row in answer.rows]
        width = max(NARROWEST, *(len(line) for text in texts for line in text.split("\n")))
        columns.append("\n".join(textwrap.wrap(head, width, break_long_words=False)))
    return dataclasses.replace(answer, columns=tuple(columns))


def _print_answer(page: Page, answer: Section, kept: int, console: Console) -> None:
    from rich.text import Text

    console.print(Text(page.title, style="bold"))
    if page.settings:
        long = len(page.settings) > LONGEST_SETTINGS
        console.print(Text(page.settings[:LONGEST_SETTINGS].rsplit(",", 1)[0] + ", ..." if long else page.settings))
    for section in page.sections:
        if section.loud:
            console.print(Text(f"{section.heading}: see below where the rest is.", style="bold red"))
    for sentence in answer.sentences:
        about, _, words = sentence.partition(":")
        loud = "bold red" if about.isupper() else "bold"
        console.print(Text.assemble((f"{about}:", loud), words))
    if kept:
        _print_section(dataclasses.replace(answer, rows=answer.rows[:kept]), console, lines=kept <= FEW_ROWS)
    if more := len(answer.rows) - kept:
        console.print(Text(f"{counted(more, 'more row')} in the summary."))
    where = f" (detail=all prints it): {page.folder / 'summary.md'}" if page.written else ": detail=all prints it"
    console.print(Text(f"The rest{where}"), soft_wrap=True)
    console.print(Text(f"Results: {page.folder}"), soft_wrap=True)


def _print_section(section: Section, console: Console, lines: bool = True) -> None:
    rows = [[entry_words(entry, section.in_a_line, section.half) for entry in row] for row in section.rows]
    styles = [[_style(entry) for entry in row] for row in section.rows]
    print_table(section.columns, rows, console, console.width, styles, lines)


def _style(entry: Entry) -> str:
    return "dim" if isinstance(entry, Cell) and entry.change == NO_CLEAR_CHANGE else ""


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    console: Console,
    width: int,
    styles: Sequence[Sequence[str]] = (),
    lines: bool = True,
) -> None:
    """Print a table of so many characters, or of more where its longest words would have to be cut.

    `styles`: rich's style of each cell; plain where none are given. `lines`: between rows of several lines.
    """
    from rich.table import Table
    from rich.text import Text

    widths = fitting_widths([columns, *rows], width)
    lines = lines and any("\n" in text for row in rows for text in row)
    table = Table(show_lines=lines, width=_whole_width(widths))
    for column, its_width in zip(columns, widths, strict=True):
        table.add_column(Text(column), width=its_width)
    for row, its_styles in zip(rows, styles or [[""] * len(row) for row in rows], strict=True):
        table.add_row(*(Text(text, style=style) for text, style in zip(row, its_styles, strict=True)))
    console.print(table, crop=False, soft_wrap=True)


def in_parts(lines: Sequence[Sequence[str]], available: int) -> Iterator[list[list[str]]]:
    """A table, heading first, whole where it fits; else parts that do, each with the first column before some others.

    Only headings are broken into lines then.
    """
    if _whole_width(fitting_widths(lines, available)) <= available:
        yield [list(line) for line in lines]
        return
    words = [" ".join(text.split()).replace(" ", "\n") for text in lines[0]]
    widths = _widths([words, *lines[1:]])
    part: list[int] = []
    for at in range(1, len(widths)):
        if part and _whole_width([widths[n] for n in (0, *part, at)]) > available:
            yield [[line[n] for n in (0, *part)] for line in lines]
            part = []
        part.append(at)
    yield [[line[n] for n in (0, *part)] for line in lines]


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    """Characters of each column's longest line."""
    return [max(len(line) for text in column for line in text.split("\n")) for column in zip(*lines, strict=True)]


def _whole_width(widths: Sequence[int]) -> int:
    """Characters of a table with columns of so many."""
    return sum(widths) + FRAME * len(widths) + 1


def fitting_widths(lines: Sequence[Sequence[str]], available: int) -> list[int]:
    """Characters of each column: as its text is, or the widest made narrower until all fit or none can be."""
    columns = list(zip(*lines, strict=True))
    widths = _widths(lines)
    least = [max((len(word) for text in column for word in text.split()), default=0) for column in columns]
    least[0] = max(least[0], min(widths[0], WIDTH_OF_NAMES))
    while _whole_width(widths) > available:
        wider = [at for at, width in enumerate(widths) if width > least[at]]
        if not wider:
            break
        widths[max(wider, key=widths.__getitem__)] -= 1
    return widths
